"""Archive and manifest -> the arrays that core/arrays.py describes."""

import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import cpu_count
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from src import progress
from src.core import images, manifest, raw
from src.core.files import replacing, write_csv
from src.errors import UserError
from src.params import Params

# Bytes of an image file, on average, below which threads wait for Python's lock more than they decode: 1.6 kB of
# 48 x 48 pixels took 2.5 times as long on two threads, 12 kB of 200 x 200 0.6 to 0.9 times.
SMALL = 5000


Prepare = Callable[[list[np.ndarray], str], list[np.ndarray | None]]


def write(
    folder: Path,
    archive: Path,
    table: pd.DataFrame,
    params: Params,
    prepare: Prepare | None = None,
) -> int:
    """Decodes every image of the manifest `table` into `folder`; returns how many were skipped.

    Args:
        prepare: is given batches of decoded images, before they are resized, and their split; it returns what is to be
            resized in their place, or None for what is to be left out.

    Raises:
        UserError: images that cannot be decoded, unless they may be skipped; a split or label that is then empty;
            a damaged archive; a full disk.
    """
    size = params.data.input_size
    unreadable: list[str] = []
    left_out = 0
    shrink = partial(images.resize, size=size, interpolation=params.preprocess.interpolation)
    with replacing(folder) as temporary:
        temporary.mkdir()
        kept: list[pd.DataFrame] = []
        for split in (name for name in manifest.SPLITS if name in set(table["split"])):
            rows = table[table["split"] == split]
            good: list[int] = []
            # Written, not mapped: on a full disk a write fails, but a store into a mapped file kills the process.
            with (temporary / f"{split}_images.npy").open("wb") as file:
                _header(file, (len(rows), size, size))
                for row, member, image in _decoded(archive, rows["member"], shrink, prepare, split):
                    if isinstance(image, ValueError):
                        unreadable.append(f"{member}: {image}")
                    elif image is None:
                        left_out += 1
                    else:
                        file.write(image.tobytes())
                        good.append(row)
                file.seek(0)
                _header(file, (len(good), size, size))
            kept.append(rows.iloc[good])
            with (temporary / f"{split}_labels.npy").open("wb") as file:
                np.save(file, _targets(kept[-1], params.data.labels, split))
        if unreadable and not params.preprocess.skip_unreadable:
            raise UserError(
                f"{archive}: {len(unreadable)} of {len(table)} images cannot be decoded:\n  "
                + "\n  ".join(unreadable[:20])
                + ("\n  …" if len(unreadable) > 20 else "")
                + "\nmend or remove them at the source, or leave them out: -S preprocess.skip_unreadable=true"
            )
        index = pd.concat(kept)
        expected = table.loc[table["split"] != manifest.LEFT_OUT, ["split", "label"]]
        pairs = set(expected.itertuples(index=False, name=None))
        if lost := sorted(pairs - set(index[["split", "label"]].itertuples(index=False, name=None))):
            named = ", ".join("/".join(cell) for cell in lost)
            skipped = [f"{len(unreadable)} unreadable"] if unreadable else []
            skipped += [f"{left_out} unusable"] if left_out else []
            raise UserError(f"{archive}: after skipping {' and '.join(skipped)} images none is left in {named}")
        write_csv(temporary / "index.csv", index)
    return len(unreadable)


def _targets(rows: pd.DataFrame, labels: Iterable[str], split: str) -> np.ndarray:
    """What core/arrays.py says of labels: positions (n,) uint8, or shares (n, labels) float32 for training by votes."""
    columns = [f"{manifest.VOTES}{label}" for label in labels]
    if split == "train" and set(columns) <= set(rows):
        votes = rows[columns].to_numpy(np.float64)
        return (votes / votes.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows["label"].map({label: number for number, label in enumerate(labels)}).to_numpy(np.uint8)


def _header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Writes the header of an .npy file of uint8. NumPy pads it, so that it is as long for any number of rows."""
    content = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, content)


def _decoded(
    archive: Path,
    members: Iterable[str],
    shrink: Callable[[np.ndarray], np.ndarray],
    prepare: Prepare | None,
    split: str,
) -> Iterator[tuple[int, str, np.ndarray | ValueError | None]]:
    """Yields (row, member, pixels) in order, decoding bounded batches, large images on every core.

    For pixels stands the ValueError of what cannot be decoded, and None for what `prepare` leaves out.
    """

    def attempt(data: bytes) -> np.ndarray | ValueError:
        try:
            return images.decode(data) if prepare else shrink(images.decode(data))
        except ValueError as error:
            return error

    members = list(members)
    done = progress.bar(None, f"decode {split}", total=len(members))
    with raw.opened(archive) as opened, ThreadPoolExecutor(cpu_count()) as pool, done:
        row = 0
        for batch in _batches(opened, members):
            tiny = sum(opened.getinfo(member).file_size for member in batch) < SMALL * len(batch)
            spread = map if tiny else pool.map
            results = list(spread(attempt, (raw.read(opened, member) for member in batch)))
            if prepare:
                faces = prepare([result for result in results if not isinstance(result, ValueError)], split)
                small = (None if face is None else shrink(face) for face in faces)
                results = [result if isinstance(result, ValueError) else next(small) for result in results]
            for member, result in zip(batch, results, strict=True):
                yield row, member, result
                row += 1
            done.update(len(batch))


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
