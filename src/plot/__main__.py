"""Stage 6: arrays, metrics and predictions -> plots/*.png."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from src import command, identity, tracking
from src.core import arrays
from src.core.files import ARRAYS, GRADCAM, MODEL, PREDICTIONS, replacing
from src.evaluate import calibration
from src.params import Params, load
from src.plot import charts, faces, filters, inside


def main(params: Params) -> None:
    rng = np.random.default_rng(params.seed)
    with replacing(Path("plots")) as plots:
        plots.mkdir()
        for name, figure in _figures(params, rng):
            # No creation software in the file: its version is none of the picture's business.
            figure.savefig(plots / f"{name}.png", dpi=100, metadata={"Software": None})
    tracking.log_stage(load(), identity.of("train").key, "plot")


def _figures(params: Params, rng: np.random.Generator) -> Iterator[tuple[str, Figure]]:
    """Name and figure, one after the other."""
    labels = list(params.data.labels)
    data = f"{params.dataset}, {params.source} faces"
    run_title = f"{data}, {params.conv_layers} conv layers, seed {params.seed}"

    images, actual = arrays.load(ARRAYS, "train")
    chosen = {label: _choose(rng, np.flatnonzero(actual == number), 4) for number, label in enumerate(labels)}
    yield "samples", faces.samples({label: images[rows] for label, rows in chosen.items()}, f"Training images: {data}")

    yield "curves", charts.curves(pd.read_csv("metrics/history.csv"), run_title)

    split = arrays.scored_split(ARRAYS)
    matrix = pd.read_csv("metrics/confusion.csv")[labels].to_numpy()
    yield "confusion", charts.confusion(matrix, labels, f"{run_title}: {split}")

    images, actual = arrays.load(ARRAYS, split)
    table = pd.read_csv(PREDICTIONS, dtype={"actual": str, "predicted": str}, keep_default_na=False)
    probabilities = table[labels].to_numpy()
    one = int(rng.integers(len(table)))
    title = f"A {split} image: {data}"
    yield "prediction", faces.prediction(images[one], probabilities[one], labels, labels[actual[one]], title)

    confidence = probabilities.max(axis=1)
    calibrated = calibration.tempered(probabilities, table["temperature"].to_numpy()).max(axis=1)
    correct = (table["actual"] == table["predicted"]).to_numpy()
    sides = {"as trained": confidence, "temperature scaled": calibrated}
    tables = {name: calibration.reliability(correct, side) for name, side in sides.items()}
    yield "reliability", charts.reliability(tables, f"{run_title}: {split}")

    yield "filters", _filters(params, images[one], f"First layer, on a {split} image: {data}")

    shown = np.load(GRADCAM)
    rows = shown["row"]
    captions = [f"{row.predicted}\nlabelled {row.actual}" for row in table.iloc[rows].itertuples()]
    title = f"Grad-CAM of the predicted label, {split}: {data}"
    yield "gradcam", inside.heat_maps(images[rows], shown["map"], captions, title)

    wrong = np.flatnonzero(~correct)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:12]
    captions = [f"{table['predicted'][row]} {confidence[row]:.0%}\nlabelled {table['actual'][row]}" for row in worst]
    yield "mistakes", faces.mistakes(images[worst], captions, f"Most confident mistakes, {split}: {data}")


def _filters(params: Params, image: np.ndarray, title: str) -> Figure:
    kernels = filters.first_layer(MODEL)
    similarity, chance = filters.sobel_similarity(kernels), filters.random_similarity(params.seed)
    order = np.argsort(-similarity, kind="stable")
    stack = [filters.LEFT_SOBEL, *kernels[order]]
    maps = [filters.applied(image, kernel) for kernel in stack]
    captions = ["left Sobel", *(f"{value:.2f}" for value in similarity[order])]
    note = (
        f"best cosine similarity to a Sobel filter: mean {similarity.mean():.2f}\n"
        f"of random filters: mean {chance.mean():.2f}, 95 % below {np.quantile(chance, 0.95):.2f}"
    )
    return inside.filters(image, stack, maps, captions, f"{title}\n{note}")


def _choose(rng: np.random.Generator, rows: np.ndarray, count: int) -> np.ndarray:
    return np.sort(rng.choice(rows, min(count, len(rows)), replace=False))


if __name__ == "__main__":
    command.stage("plot", main)
