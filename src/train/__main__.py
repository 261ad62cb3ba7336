"""Stage 4: arrays -> models/model.h5, metrics/history.csv, metrics/train.json."""

from pathlib import Path

import pandas as pd

from src import command, environment, identity, tracking
from src.core import arrays
from src.core.files import ARRAYS, MODEL, write_csv, write_json
from src.params import Params, load
from src.train.checkpoint import Checkpoints, History


def main(params: Params) -> None:
    key = identity.of("train").key
    checkpoints = Checkpoints(key)
    # The tracking server first: a dead one must not cost a training.
    with checkpoints.alone(), tracking.open_stage(load(), key) as tracked:
        from src.core import runtime

        runtime.configure(params.portable, params.device)
        from src.model import network, saved
        from src.train.fit import fit

        saved.check(params)
        train, validation = (arrays.load(ARRAYS, split) for split in ("train", arrays.validation_split(ARRAYS)))
        clock = environment.Clock(key)

        def on_epoch(history: History) -> None:
            clock.epoch_ended()
            tracked.log_history(history)

        model, history = fit(params, train, validation, checkpoints, on_epoch)
        saved.save(model.network, MODEL, params)
        table = pd.DataFrame(history)
        table.insert(0, "epoch", range(1, len(history) + 1))
        table["source"] = params.source
        write_csv(Path("metrics/history.csv"), table)
        results = {
            "dataset": params.dataset,
            "source": params.source,
            "epochs": len(history),
            "parameters": model.network.count_params(),
            "operations": network.operations(model.network),
            **history[-1],
        }
        write_json(Path("metrics/train.json"), results)
        tracked.log_outputs("train")


if __name__ == "__main__":
    command.stage("train", main)
