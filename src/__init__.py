from src import core as core  # pins the environment, before any library reads it
