from src import pinning

pinning.pin()
