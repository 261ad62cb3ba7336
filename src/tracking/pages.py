"""What the experiment's page in `mlflow ui` shows first.

Its table of runs begins without metrics and params. A saved view names columns: an experiment's tag, which the menu
"Views" lists and an address can name.
"""

import json

VIEW = "scores"
# As `mlflow ui` runs by default, and with the first experiment of its store. Without the type, MLflow 3.17 opens on
# its pages for generative AI.
ADDRESS = f"http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"
COLUMNS = (
    "metrics.`scores/accuracy`",
    "metrics.`scores/macro_f1`",
    *(f"params.`{name}`" for name in ("dataset", "source", "conv_layers", "epochs", "seed", "split.policy")),
)
TAGS = {
    "mlflow.note.content": "Facial emotions, a run for each training. *Scores and params* in the menu Views shows what "
    "sets them apart and how well they do.",
    f"mlflow.sharedViewState.{VIEW}": json.dumps(
        {"name": "Scores and params", "createdAt": 0, "state": json.dumps({"selectedColumns": COLUMNS})}
    ),
}
