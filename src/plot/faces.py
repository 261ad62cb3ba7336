"""Pictures of faces: arrays in, matplotlib Figure out."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


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


def predictions(
    photos: list[np.ndarray],
    boxes: list[tuple[float, ...] | None],
    faces: list[np.ndarray],
    probabilities: list[dict[str, float]],
) -> Figure:
    """A row per face: the photo (height, width, 3) with its box, what the network saw (size, size), what it says."""
    rows = max(1, len(photos))
    figure = Figure(figsize=(9, 2.6 * rows), layout="constrained")
    grid = figure.subplots(rows, 3, squeeze=False, width_ratios=(1.2, 1, 1.6))
    for row, photo, box, face, values in zip(grid, photos, boxes, faces, probabilities, strict=False):
        row[0].imshow(photo)
        if box:
            left, top, right, bottom = box
            row[0].add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color="C1", linewidth=2))
        _show(row[1], face)
        for axes in row[:2]:
            axes.axis("off")
        _bars(row[2], values)
        row[2].set_title(max(values, key=lambda label: values[label]))
    if not photos:
        for axes in grid.ravel():
            axes.axis("off")
        figure.text(0.5, 0.4, "no face", ha="center")
    else:
        grid[0, 0].set_title("photo")
        grid[0, 1].set_title("what the network saw")
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
