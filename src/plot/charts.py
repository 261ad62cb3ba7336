"""Curves and matrices: tables in, matplotlib Figure out."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure


def curves(history: pd.DataFrame, title: str) -> Figure:
    """Accuracy and loss per epoch, training and validation, from the columns of history.csv."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    for axes, name in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        axes.plot(history["epoch"], history[name], label="training")
        axes.plot(history["epoch"], history[f"val_{name}"], label="validation")
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def confusion(counts: np.ndarray, labels: list[str], title: str) -> Figure:
    """Counts (labels, labels), rows the true label -> shares of each row, with the counts below."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.5 else "black"
        text = f"{share:.0%}\n({counts[row, column]})"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    positions = np.arange(len(labels))
    axes.set_xticks(positions, labels, rotation=45, ha="right")
    axes.set_yticks(positions, labels)
    axes.set(xlabel="predicted", ylabel="actual")
    axes.set_title(title, wrap=True)
    figure.colorbar(image, label="share of the actual label", shrink=0.8)
    return figure


def reliability(tables: dict[str, pd.DataFrame], title: str) -> Figure:
    """Accuracy against confidence: per line the columns confidence, accuracy and images of its bins."""
    figure = Figure(figsize=(6.5, 6), layout="constrained")
    figure.suptitle(title, wrap=True)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="C7", linestyle=":", label="perfectly calibrated")
    for name, table in tables.items():
        upper.plot(table["confidence"], table["accuracy"], marker="o", label=name)
        lower.plot(table["confidence"], table["images"], marker="o")
    upper.set(ylabel="share that is correct", xlim=(0, 1), ylim=(0, 1))
    lower.set(xlabel="confidence", ylabel="images")
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    upper.legend()
    return figure
