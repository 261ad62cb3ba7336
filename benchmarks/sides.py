"""The sides of a comparison: processes that wait for their turn, so that they alternate on one machine.

    python -m benchmarks.sides report     the report's pipeline on images/ in the current folder
    python -m benchmarks.sides ours       this repository's training, on data/arrays/
    python -m benchmarks.sides xla        its network compiled by XLA, on the same
    python -m benchmarks.sides pytorch    the same training in PyTorch, on the same

Each line on standard input is a turn, an epoch; the answer is a line of JSON with its seconds and its curves.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from benchmarks.prepare import python

if TYPE_CHECKING:
    import numpy as np

    from src.params import Params


Logs = dict[str, float] | None  # what Keras tells a callback


class Side:
    """One such process."""

    def __init__(self, folder: Path, kind: str):
        self.kind = kind
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = python(folder, "-m", "benchmarks.sides", kind, **pipes)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.turns, self.answers = self.process.stdin, self.process.stdout

    def begin(self) -> None:
        self.turns.write("\n")
        self.turns.flush()

    def end(self) -> dict[str, float]:
        """Waits for an answer: seconds, accuracy, val_accuracy; the report's pipeline gives two."""
        line = self.answers.readline()
        if not line:
            raise SystemExit(f"error: python -m benchmarks.sides {self.kind} ended")
        return json.loads(line)

    def turn(self) -> dict[str, float]:
        self.begin()
        return self.end()

    def close(self) -> None:
        self.turns.close()
        self.process.wait()


class Turns:
    """The other end of a `Side`."""

    def __init__(self, answers: TextIO):
        self.answers = answers
        self.started = 0.0

    def wait(self) -> None:
        if not sys.stdin.readline():
            sys.exit()
        self.started = time.perf_counter()

    def answer(self, values: dict[str, float]) -> None:
        """The curves of an epoch, and its seconds where they are not those since `wait`."""
        seconds = time.perf_counter() - self.started
        print(json.dumps({"seconds": seconds, **values}), file=self.answers, flush=True)


def report(turns: Turns) -> None:
    """Answers when the epoch is done, and again, with seconds alone, when `fit` has ended.

    What lies between is a wait: tf.data's autotuning, which Keras leaves on for it, looks after 0.01, 0.03, ... 20.47,
    40.95 seconds, and what has been done by then ends only with the next look. The first answer leaves waits out.
    """
    import keras

    from benchmarks.report_pipeline import generators, network
    from src import params

    chosen = params.load()
    keras.utils.set_random_seed(chosen.seed)
    size = chosen.data.input_size
    train, test = generators(Path("images"), size)
    model = network(size, train.num_classes)
    times: dict[str, float] = {}

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
            times["trained"] = time.perf_counter()

        def on_test_begin(self, logs: Logs = None) -> None:
            times["test"] = time.perf_counter()

        def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
            times["tested"] = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
            seconds = times["trained"] - turns.started + times["tested"] - times["test"]
            turns.answer({**(logs or {}), "seconds": seconds})

    while True:
        turns.wait()
        model.fit(train, validation_data=test, callbacks=[Clock()], verbose=0)
        turns.answer({})


def ours(turns: Turns) -> None:
    """As the train stage does it: checkpointed, and every epoch in MLflow."""
    from src import tracking
    from src.train.checkpoint import Checkpoints

    chosen, train, validation = _prepared()
    with tracking.open_run(chosen, "benchmark") as tracked:
        from src.train.fit import fit

        def on_epoch(history: list[dict[str, float]]) -> None:
            tracked.log_history(history)
            turns.answer(history[-1])
            turns.wait()

        turns.wait()
        fit(chosen, train, validation, Checkpoints("benchmark"), on_epoch)


def xla(turns: Turns) -> None:
    chosen, train, validation = _prepared()
    from src.model import inputs
    from src.train import batches, fit

    classes = len(chosen.data.labels)
    model = fit.compiled(chosen, len(train[0]), len(validation[0]))
    model.jit_compile = True
    for epoch in range(chosen.epochs):
        turns.wait()
        drawn = batches.training(*train, chosen, epoch)
        fitted = model.fit(drawn, validation_data=inputs.scoring(*validation, classes), shuffle=False, verbose=0)
        turns.answer({name: values[0] for name, values in fitted.history.items()})


def pytorch(turns: Turns) -> None:
    """With as wide vectors and as many threads as this repository would take."""
    from src import params
    from src.core import arrays
    from src.core.files import ARRAYS

    chosen = params.load()
    if chosen.portable is True:
        os.environ |= {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    from benchmarks.pytorch_pipeline import Training

    train, validation = (arrays.load(ARRAYS, split) for split in ("train", arrays.validation_split(ARRAYS)))
    training = Training(train, validation, len(chosen.data.labels), chosen.seed, chosen.threads)
    while True:
        turns.wait()
        turns.answer(training.epoch())


def _prepared() -> "tuple[Params, tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]":
    """Params, training arrays and validation arrays of the current folder; TensorFlow set up."""
    from src import params
    from src.core import arrays, runtime
    from src.core.files import ARRAYS

    chosen = params.load()
    runtime.configure(chosen.portable)
    return chosen, arrays.load(ARRAYS, "train"), arrays.load(ARRAYS, arrays.validation_split(ARRAYS))


if __name__ == "__main__":
    sides: dict[str, Callable[[Turns], None]] = {"report": report, "ours": ours, "xla": xla, "pytorch": pytorch}
    answers, sys.stdout = sys.stdout, sys.stderr  # Keras prints
    sides[sys.argv[1]](Turns(answers))
