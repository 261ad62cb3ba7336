"""Pictures of faces: arrays in, matplotlib Figure out."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def samples(images: dict[str, np.ndarray], title: str) -> Figure:
    """A row per label of its images (n, size, size), as the report's first figure."""
    columns = max(len(faces) for faces in images.values())
    figure = Figure(figsize=(1.5 * columns + 1.2, 1.5 * len(images) + 0.5), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(len(images), columns, squeeze=False)
    for row, (label, faces) in zip(grid, images.items(), strict=True):
        for axes in row:
            axes.axis("off")
        for axes, face in zip(row, faces, strict=False):
            _show(axes, face)
        row[0].text(-0.1, 0.5, label, transform=row[0].transAxes, ha="right", va="center", fontsize=12)
    return figure


def prediction(image: np.ndarray, probabilities: np.ndarray, labels: list[str], actual: str, title: str) -> Figure:
    """One face (size, size) beside the probability of each label."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.4))
    _show(left, image)
    left.axis("off")
    best = labels[int(probabilities.argmax())]
    left.set_title(f"predicted {best}\nlabelled {actual}")
    _bars(right, dict(zip(labels, probabilities, strict=True)))
    right.set_xlabel("probability")
    return figure


def mistakes(images: np.ndarray, captions: list[str], title: str) -> Figure:
    """A grid of faces (n, size, size), each with its caption."""
    columns = 4
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(2.3 * columns, 2.7 * rows + 0.5), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, image, caption in zip(grid, images, captions, strict=False):
        _show(axes, image)
        axes.set_title(caption, fontsize=10)
    if not len(images):
        figure.text(0.5, 0.4, "no mistakes", ha="center")
    return figure


def _show(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)


def _bars(axes: Axes, probabilities: dict[str, float]) -> None:
    best = max(probabilities, key=lambda label: probabilities[label])
    axes.barh(
        list(probabilities), list(probabilities.values()), color=["C0" if n == best else "C7" for n in probabilities]
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
