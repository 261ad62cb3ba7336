"""MLflow: one run per training, a mirror of what DVC has, and which model is served. Nothing else imports mlflow, and
nothing is read back from it but a model to predict with and the scores that decide which one is the champion.

Whatever is logged is compared with what the run already holds, so that logging twice adds nothing, and a run that holds
other values is replaced.
"""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody agreed to it, and it wants a network

from src.tracking.champion import challenge
from src.tracking.connection import EXPERIMENT, StoreError, prepare
from src.tracking.log import open_run
from src.tracking.model import download_model
from src.tracking.run import KEY
from src.tracking.stage import log_stage, open_stage

__all__ = [
    "EXPERIMENT",
    "KEY",
    "StoreError",
    "challenge",
    "download_model",
    "log_stage",
    "open_run",
    "open_stage",
    "prepare",
]
