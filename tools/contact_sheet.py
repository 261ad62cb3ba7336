"""Sheets of drawn faces for docs/, one row per emotion, one person per column: python -m tools.contact_sheet

Writes docs/images/faces_48.png and faces_416.png: the people of params.yaml's seed, each showing every emotion.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from src import drawn, params
from src.core.files import replacing
from src.core.labels import canonical
from src.plot import faces


def sheet(labels: list[str], size: int, people: int, seed: int) -> Figure:
    """Drawn faces without label noise, `size` pixels a side."""
    faces_of = {
        label: np.stack([drawn.draw(index, canonical(label), size, seed) for index in range(people)])
        for label in labels
    }
    # Matplotlib wants red first, OpenCV draws blue first.
    images = {label: pictures[..., ::-1] if pictures.ndim == 4 else pictures for label, pictures in faces_of.items()}
    return faces.samples(images, f"Drawn faces, {size} x {size} pixels: the same people, every emotion")


def main() -> None:
    loaded = params.load()
    for dataset, people, dpi in ((loaded.datasets["ai"], 8, 100), (loaded.datasets["ai2"], 6, 140)):
        figure = sheet(list(dataset.labels), dataset.native_size, people, loaded.rendered.seed)
        with replacing(Path(f"docs/images/faces_{dataset.native_size}.png")) as temporary:
            figure.savefig(temporary, format="png", dpi=dpi, metadata={"Software": None})


if __name__ == "__main__":
    main()
