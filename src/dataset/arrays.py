"""Preprocess: archive and manifest -> arrays the network reads, memory-mappable.

A folder of arrays holds, per split, `<split>_images.npy` (n, size, size) uint8 and `<split>_labels.npy` (n,)
uint8, the label's position in params.yaml; rows stand in the order of `index.csv`, the manifest rows kept.
"""

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import cpu_count
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from src.dataset import manifest
from src.errors import UserError
from src.files import replacing, write_csv
from src.params import Preprocess

# Bytes of an image file, on average, below which threads wait for Python's lock more than they decode: 1.6 kB of
# 48 x 48 pixels took 2.5 times as long on two threads, 12 kB of 200 x 200 0.6 to 0.9 times.
SMALL = 5000


def decode(data: bytes, upright: bool = False, limit: int | None = None) -> np.ndarray:
    """An image file's bytes -> (height, width) uint8 grey, pixel for pixel what Keras's `load_img` gives.

    So of an animation or several pages the first is taken, transparency is left away, and colours of any kind
    (palette, CMYK, 16 bits each) become grey by Pillow's `convert`.

    Args:
        upright: turn it as its EXIF orientation says, which Keras does not.
        limit: of its pixels; stages need none, because the first one has checked the whole archive.

    Raises:
        ValueError: the bytes are not a complete image, or one of more pixels than `limit`, or one in grey of more than
            8 bits. Of that `load_img` makes values up to 65535 where the network expects 255.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if limit and image.width * image.height > limit:
                raise ValueError(f"{image.width} x {image.height} pixels, limits.image_pixels allows {limit}")
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"mode {image.mode}: more than 8 bits per channel")
            return np.asarray((ImageOps.exif_transpose(image) if upright else image).convert("L"))
    except UnidentifiedImageError as error:  # its text has the address of an object
        raise ValueError("not an image, or of an unknown format") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error


def resize(image: np.ndarray, size: int, interpolation: str) -> np.ndarray:
    """(height, width) uint8 -> (size, size), as `load_img` does it: not at all where it has that size."""
    if image.shape == (size, size):
        return image
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling[interpolation.upper()]))


def write(
    folder: Path,
    archive: Path,
    table: pd.DataFrame,
    labels: Iterable[str],
    size: int,
    how: Preprocess,
    straighten: Callable[[list[np.ndarray]], list[np.ndarray]] | None = None,
) -> int:
    """Decodes every image of the manifest `table` into `folder`; returns how many were skipped.

    Args:
        straighten: is given batches of decoded images, before they are resized.

    Raises:
        UserError: images that cannot be decoded, unless `how.skip_unreadable`; a split or label that is then empty.
    """
    position = {label: number for number, label in enumerate(labels)}
    unreadable: list[str] = []
    shrink = partial(resize, size=size, interpolation=how.interpolation)
    with replacing(folder) as temporary:
        temporary.mkdir()
        kept = []
        for split in (name for name in manifest.SPLITS if name in set(table["split"])):
            rows = table[table["split"] == split]
            path = temporary / f"{split}_images.npy"
            images = np.lib.format.open_memmap(path, "w+", np.uint8, (len(rows), size, size))
            good = []
            for row, member, image in _decoded(archive, rows["member"], shrink, straighten, split):
                if isinstance(image, ValueError):
                    unreadable.append(f"{member}: {image}")
                else:
                    images[len(good)] = image
                    good.append(row)
            images.flush()
            if len(good) < len(rows):
                _shorten(path, len(good))
            kept.append(rows.iloc[good])
            np.save(temporary / f"{split}_labels.npy", kept[-1]["label"].map(position).to_numpy(np.uint8))
        if unreadable and not how.skip_unreadable:
            raise UserError(
                f"{archive}: {len(unreadable)} of {len(table)} images cannot be decoded:\n  "
                + "\n  ".join(unreadable[:20])
                + ("\n  …" if len(unreadable) > 20 else "")
                + "\nmend or remove them at the source, or leave them out: -S preprocess.skip_unreadable=true"
            )
        index = pd.concat(kept)
        expected = table.loc[table["split"] != manifest.LEFT_OUT, ["split", "label"]]
        cells = set(expected.itertuples(index=False, name=None))
        if lost := sorted(cells - set(index[["split", "label"]].itertuples(index=False, name=None))):
            named = ", ".join("/".join(cell) for cell in lost)
            raise UserError(f"{archive}: after skipping {len(unreadable)} unreadable images none is left in {named}")
        write_csv(temporary / "index.csv", index)
    return len(unreadable)


def _shorten(path: Path, rows: int) -> None:
    whole = np.load(path, mmap_mode="r")
    with replacing(path) as temporary:
        short = np.lib.format.open_memmap(temporary, "w+", whole.dtype, (rows, *whole.shape[1:]))
        short[:] = whole[:rows]
        short.flush()


def _decoded(
    archive: Path, members: Iterable[str], shrink: Callable, straighten: Callable | None, split: str
) -> Iterator:
    """Yields (row, member, pixels or the ValueError) in order, decoding bounded batches, large images on every core."""

    def attempt(data: bytes) -> np.ndarray | ValueError:
        try:
            return decode(data) if straighten else shrink(decode(data))
        except ValueError as error:
            return error

    members = list(members)
    progress = tqdm(total=len(members), desc=f"decode {split}", unit="image", mininterval=1)
    with zipfile.ZipFile(archive) as opened, ThreadPoolExecutor(cpu_count()) as pool, progress:
        row = 0
        for batch in _batches(opened, members):
            small = sum(opened.getinfo(member).file_size for member in batch) < SMALL * len(batch)
            spread = map if small else pool.map
            results = list(spread(attempt, map(opened.read, batch)))
            if straighten:
                faces = iter(straighten([result for result in results if not isinstance(result, ValueError)]))
                results = [result if isinstance(result, ValueError) else shrink(next(faces)) for result in results]
            for member, result in zip(batch, results, strict=True):
                yield row, member, result
                row += 1
            progress.update(len(batch))


def _batches(archive: zipfile.ZipFile, members: list[str]) -> Iterator[list[str]]:
    """What is in memory at a time: at most 512 members, and 64 MB unless one alone is larger."""
    batch: list[str] = []
    held = 0
    for member in members:
        size = archive.getinfo(member).file_size
        if batch and (len(batch) == 512 or held + size > 2**26):
            yield batch
            batch, held = [], 0
        batch.append(member)
        held += size
    yield batch


def load(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, size, size) uint8, memory-mapped, and labels (n,) uint8."""
    return np.load(folder / f"{split}_images.npy", mmap_mode="r"), np.load(folder / f"{split}_labels.npy")


def validation_split(folder: Path) -> str:
    """The split that is scored after every epoch: train itself where the policy gives no validation images."""
    return "validation" if (folder / "validation_images.npy").exists() else "train"


def scored_split(folder: Path) -> str:
    """The split that evaluate scores: test where the policy keeps one back, otherwise as after every epoch."""
    return "test" if (folder / "test_images.npy").exists() else validation_split(folder)
