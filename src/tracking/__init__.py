"""MLflow: one run per experiment, found again by the experiment's key. Nothing else imports mlflow.

DVC's outputs are the truth and a run is a view of them: whatever is logged is compared with what the run already
holds, so that logging twice adds nothing, and a run that holds other values is replaced.
"""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody agreed to it, and it wants a network

from src.tracking.lookup import download_model, environment_of, seconds_per_epoch
from src.tracking.run import KEY, Run, open_run
from src.tracking.stage import log_stage, open_stage
from src.tracking.store import EXPERIMENT, StoreError, prepare

__all__ = [
    "EXPERIMENT",
    "KEY",
    "Run",
    "StoreError",
    "download_model",
    "environment_of",
    "log_stage",
    "open_run",
    "open_stage",
    "prepare",
    "seconds_per_epoch",
]
