"""What happens inside the network: arrays in, matplotlib Figure out."""

import numpy as np
from matplotlib.figure import Figure


def filters(
    image: np.ndarray, kernels: list[np.ndarray], maps: list[np.ndarray], captions: list[str], title: str
) -> Figure:
    """A face (size, size), and per filter (3, 3) what it makes of that face (size - 2, size - 2)."""
    columns = 6
    rows = -(-(len(kernels) + 1) // columns)
    figure = Figure(figsize=(1.6 * columns, 2.9 * rows + 0.7), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=(1, 2) * rows)
    for axes in grid.ravel():
        axes.axis("off")
    uppers, lowers = grid[::2].ravel(), grid[1::2].ravel()
    lowers[0].imshow(image, cmap="gray", vmin=0, vmax=255)
    uppers[0].set_title("the face", fontsize=10)
    for upper, lower, kernel, seen, caption in zip(uppers[1:], lowers[1:], kernels, maps, captions, strict=False):
        for axes, values in ((upper, kernel), (lower, seen)):
            reach = max(float(np.abs(values).max()), np.finfo(np.float32).tiny)
            axes.imshow(values, cmap="gray", vmin=-reach, vmax=reach)
        upper.set_title(caption, fontsize=10)
    return figure


def heat_maps(images: np.ndarray, maps: np.ndarray, captions: list[str], title: str) -> Figure:
    """Faces (n, size, size), each beside itself under its heat map (n, height, width) uint8, with its caption."""
    columns = 4
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(2.6 * columns, 3.6 * rows + 0.5), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(2 * rows, columns, squeeze=False)
    for axes in grid.ravel():
        axes.axis("off")
    for number, (image, heat, caption) in enumerate(zip(images, maps, captions, strict=True)):
        upper, lower = grid[2 * (number // columns) :, number % columns][:2]
        for axes in (upper, lower):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        edge = image.shape[0] - 0.5
        # Positions of the last layer lie apart; between them the colours are interpolated.
        lower.imshow(
            heat, cmap="inferno", alpha=0.5, vmin=0, vmax=255, extent=(-0.5, edge, edge, -0.5), interpolation="bilinear"
        )
        upper.set_title(caption, fontsize=10)
    return figure
