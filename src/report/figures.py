"""The page's figures, from the finished cells: those for which enough of them ran."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from src.report import comparisons, published
from src.report.selection import SET_1, SET_1_END, SET_2, SHARES, TRAINING, VALIDATION, Group, Runs, depths, resolutions


def drawn(runs: Runs, data: str) -> Iterator[tuple[str, Figure]]:
    """Name and figure, in the page's order; `data` is part of every title."""
    yield from _curves(runs, data)
    yield from _depth(runs, data)
    yield from _resolution(runs, data)
    yield from _images(runs, data)


def _curves(runs: Runs, data: str) -> Iterator[tuple[str, Figure]]:
    measured = {name: runs.of(configuration) for name, configuration in published.MEASURED.items() if name != "curve"}
    curves = {name: (group.curve(TRAINING), group.curve(VALIDATION)) for name, group in measured.items() if group}
    if curves:
        yield "curves", comparisons.panels(curves, f"Accuracy per epoch: {data}")
    if "set 1" in curves:
        points = {name: published.RUNS[name] for name in ("curve", "set 1")}
        title = f"Published points over measured runs: {data}"
        yield "published", comparisons.published(*curves["set 1"], points, title)


def _depth(runs: Runs, data: str) -> Iterator[tuple[str, Figure]]:
    points, costs = {}, {}
    for configuration in (SET_1, SET_2):
        by_layers = runs.finished(depths(configuration))
        if len(by_layers) > 1:
            operations = {layers: group.runs["operations"].iloc[0] / 1e6 for layers, group in by_layers.items()}
            accuracies = {layers: _accuracies(group) for layers, group in by_layers.items()}
            points[configuration.dataset] = list(accuracies.items())
            costs[configuration.dataset] = [(f"conv {n}", operations[n], accuracies[n]) for n in by_layers]
    if points:
        yield "layers", comparisons.against(points, "convolutional layers", f"Accuracy and depth: {data}")
        yield "cost", comparisons.costs(costs, "million operations per image", f"Accuracy and its cost: {data}")


def _resolution(runs: Runs, data: str) -> Iterator[tuple[str, Figure]]:
    points = {
        f"ai2, the same images, {layers} layers": [(float(size), _accuracies(group)) for size, group in by_size.items()]
        for layers, by_size in resolutions(runs).items()
    }
    if points:
        title = f"Accuracy and resolution: {data}"
        yield "resolution", comparisons.against(points, "pixels a side", title, log=True)


def _images(runs: Runs, data: str) -> Iterator[tuple[str, Figure]]:
    groups = runs.finished({**SHARES, 1: SET_1})
    points = [(float(group.runs["train_images"].iloc[0]), _accuracies(group)) for group in groups.values()]
    if len(points) > 1:
        title = f"Accuracy and data: {data}"
        yield "images", comparisons.against({"ai": points}, "training images", title, log=True)


def _accuracies(group: Group) -> np.ndarray:
    """Those of runs of set 1 as they were after 50 epochs, since others are as long."""
    end = min(SET_1_END, group.epochs) if group.configuration == SET_1 else None
    return group.values(group.configuration.validation(end)).to_numpy()
