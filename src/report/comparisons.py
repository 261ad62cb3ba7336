"""Several runs in one picture: curves and points in, matplotlib Figure out. A curve is an array (seeds, epochs)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

TRAIN, VAL = "tab:blue", "tab:orange"


def panels(curves: dict[str, tuple[np.ndarray, np.ndarray]], title: str) -> Figure:
    """Training and validation accuracy per epoch, a panel a name: mean over seeds, band from lowest to highest."""
    columns = min(2, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(5 * columns, 3.6 * rows), layout="constrained")
    figure.suptitle(title, wrap=True, parse_math=False)
    places = figure.subplots(rows, columns, squeeze=False).flat
    for axes, (name, (train, validation)) in zip(places, curves.items(), strict=False):
        _band(axes, train, "training", TRAIN)
        _band(axes, validation, "validation", VAL)
        _label(axes, f"{name} (n = {len(train)})", "epoch", "accuracy")
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in figure.axes[len(curves) :]:
        axes.remove()
    return figure


def published(
    train: np.ndarray, validation: np.ndarray, points: Mapping[str, Mapping[int, Sequence[float]]], title: str
) -> Figure:
    """The measured band with the published points of each named run (epoch: accuracy, validation accuracy) over it."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    _band(axes, train, "measured, training", TRAIN)
    _band(axes, validation, "measured, validation", VAL)
    for marker, (name, values) in zip("osD^", points.items(), strict=False):
        for column, colour in enumerate((TRAIN, VAL)):
            which = ("training", "validation")[column]
            shown = [pair[column] for pair in values.values()]
            axes.plot(
                list(values), shown, marker, color=colour, markeredgecolor="black", label=f"report, {name}, {which}"
            )
    _label(axes, "", "epoch", "accuracy")
    axes.set_title(title, wrap=True, parse_math=False)
    return figure


def against(groups: dict[str, list[tuple[float, np.ndarray]]], x: str, title: str, log: bool = False) -> Figure:
    """Validation accuracy against `x`: per group (x, accuracy of each seed); line through the means, dots the seeds."""
    figure, axes = _axes(x, title)
    for name, points in groups.items():
        ordered = sorted(points, key=lambda point: point[0])
        (line,) = axes.plot([place for place, _ in ordered], [values.mean() for _, values in ordered], label=name)
        for place, values in ordered:
            axes.plot([place] * len(values), values, "o", color=line.get_color(), alpha=0.6)
    if log:
        axes.set_xscale("log", base=2)
    places = sorted({place for points in groups.values() for place, _ in points})
    axes.set_xticks(places, [f"{place:g}" for place in places], rotation=45 if log else 0)  # 192 and 208 are neighbours
    axes.minorticks_off()
    axes.legend(fontsize=8)
    return figure


def costs(groups: dict[str, list[tuple[str, float, np.ndarray]]], x: str, title: str) -> Figure:
    """Validation accuracy against a cost: per group (name, cost, accuracy of each seed), each point with its name."""
    figure, axes = _axes(x, title)
    for group, points in groups.items():
        places, means = [cost for _, cost, _ in points], [values.mean() for _, _, values in points]
        (dots,) = axes.plot(places, means, "o", label=group)
        for (name, cost, values), mean in zip(points, means, strict=True):
            axes.vlines(cost, values.min(), values.max(), color=dots.get_color(), alpha=0.6)
            axes.annotate(name, (cost, mean), xytext=(6, 4), textcoords="offset points", fontsize=8)
    axes.margins(x=0.12)
    axes.legend(fontsize=8)
    return figure


def _axes(x: str, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel="validation accuracy, mean of the last ten epochs")
    axes.set_title(title, wrap=True, parse_math=False)
    axes.grid(alpha=0.3)
    return figure, axes


def _band(axes: Axes, curve: np.ndarray, name: str, colour: str) -> None:
    epochs = np.arange(1, curve.shape[1] + 1)
    axes.plot(epochs, curve.mean(axis=0), color=colour, label=name)
    axes.fill_between(epochs, curve.min(axis=0), curve.max(axis=0), color=colour, alpha=0.2, linewidth=0)


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
