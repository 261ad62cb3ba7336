"""The page's figures, from the finished cells: those for which enough of them ran."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from src.report import comparisons, published
from src.report.selection import (
    FEWER_IMAGES,
    SET_1,
    SET_2,
    TRAINING,
    VALIDATION,
    by_resolution,
    depths,
    finished,
    mean_accuracy,
)


def drawn(rows: pd.DataFrame, data: str) -> Iterator[tuple[str, Figure]]:
    """Name and figure, in the page's order; `data` is part of every title."""
    yield from _curves(rows, data)
    yield from _depth(rows, data)
    yield from _resolution(rows, data)
    yield from _images(rows, data)


def _curves(rows: pd.DataFrame, data: str) -> Iterator[tuple[str, Figure]]:
    measured = {name: runs for name, runs in published.measured(rows).items() if len(runs)}
    curves = {name: (_stacked(runs[TRAINING]), _stacked(runs[VALIDATION])) for name, runs in measured.items()}
    if curves:
        yield "curves", comparisons.panels(curves, f"Accuracy per epoch: {data}")
    if "curve" in curves:
        points = {name: published.RUNS[name] for name in ("curve", "set 1")}
        title = f"Published points over measured runs: {data}"
        yield "published", comparisons.published(*curves["curve"], points, title)


def _depth(rows: pd.DataFrame, data: str) -> Iterator[tuple[str, Figure]]:
    points, costs = {}, {}
    for configuration in (SET_1, SET_2):
        by_layers = finished(rows, depths(configuration))
        if len(by_layers) > 1:
            operations = {layers: runs["operations"].iloc[0] / 1e6 for layers, runs in by_layers.items()}
            accuracies = {layers: _accuracies(runs) for layers, runs in by_layers.items()}
            points[configuration.dataset] = list(accuracies.items())
            costs[configuration.dataset] = [(f"conv {n}", operations[n], accuracies[n]) for n in by_layers]
    if points:
        yield "layers", comparisons.against(points, "convolutional layers", f"Accuracy and depth: {data}")
        yield "cost", comparisons.costs(costs, "million operations per image", f"Accuracy and its cost: {data}")


def _resolution(rows: pd.DataFrame, data: str) -> Iterator[tuple[str, Figure]]:
    points = {
        f"ai2, the same images, {layers} layers": [(float(size), _accuracies(runs)) for size, runs in by_size.items()]
        for layers, by_size in by_resolution(rows).items()
    }
    if points:
        title = f"Accuracy and resolution: {data}"
        yield "resolution", comparisons.against(points, "pixels a side", title, log=True)


def _images(rows: pd.DataFrame, data: str) -> Iterator[tuple[str, Figure]]:
    tables = finished(rows, FEWER_IMAGES | {1: SET_1})
    points = [(float(runs["train_images"].iloc[0]), _accuracies(runs)) for runs in tables.values()]
    if len(points) > 1:
        title = f"Accuracy and data: {data}"
        yield "images", comparisons.against({"ai": points}, "training images", title, log=True)


def _accuracies(runs: pd.DataFrame) -> np.ndarray:
    return mean_accuracy(runs).to_numpy()


def _stacked(curves: pd.Series) -> np.ndarray:
    return np.array(curves.tolist())
