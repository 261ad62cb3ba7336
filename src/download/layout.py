"""Which image is which: folders and labels as others name them, filed under ours."""

import unicodedata
from collections.abc import Iterable
from functools import partial
from pathlib import PurePosixPath

from src.core import images as reader
from src.core.labels import canonical
from src.core.raw import FOLDERS, Image
from src.download.container import File
from src.errors import UserError
from src.params import Layout, Limits

IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff", ".webp"}


def images(source: str, files: list[File], labels: Iterable[str], layout: Layout, limits: Limits) -> list[Image]:
    """The images among `files`, under the dataset's own spelling of `labels`.

    Raises:
        UserError: a file that does not fit `layout`, a label that is not the dataset's, a label without images, an
            image file beyond `limits`.
    """
    spelling = {canonical(label): label for label in labels}
    own = ", ".join(spelling.values())
    also = {}
    for theirs, ours in layout.labels.items():
        if canonical(ours) not in spelling:
            raise UserError(f"layout.labels: {ours!r} is not a label of this dataset, which has {own}")
        also[canonical(theirs)] = spelling[canonical(ours)]
    names = {"train": _folder(layout.train), "test": _folder(layout.test)}
    found, strange, others = [], [], []
    for file in files:
        parts = file.name.split("/")
        folder = next((key for key in FOLDERS if _parts(file.name)[: len(names[key])] == names[key]), None)
        if folder is None:
            others.append(file.name)
            continue
        label, *rest = parts[len(names[folder]) :] or [""]  # a file may have the name of a folder
        if not rest or PurePosixPath(file.name).suffix.lower() not in IMAGE_SUFFIXES:
            strange.append(file.name)
            continue
        ours = (spelling | also).get(canonical(label))
        if ours is None:
            raise UserError(f"{source}: {file.name}: {label!r} is not a label of this dataset, which has {own}")
        if file.size > limits.member_bytes:
            raise UserError(
                f"{source}: {file.name} has {file.size} bytes, but limits.member_bytes = {limits.member_bytes}"
            )
        found.append(Image(folder, ours, "/".join(rest), partial(_read, file, limits.image_pixels)))
    if others and layout.skip_others:
        print(f"{source}: {len(others)} files outside {layout.train} and {layout.test} are left out")
    else:
        strange += others
    if strange:
        raise UserError(
            f"{source}: {len(strange)} files do not fit {layout.train}/<label>/<image> or "
            f"{layout.test}/<label>/<image>, first {min(strange)!r}; images end in {' '.join(sorted(IMAGE_SUFFIXES))}; "
            f"layout.train and layout.test can name other folders"
        )
    cells = {(image.folder, image.label) for image in found}
    missing = [
        "/".join([*names[folder], label])
        for folder in FOLDERS
        for label in spelling.values()
        if (folder, label) not in cells
    ]
    if missing:
        raise UserError(f"{source} has no image in {', '.join(missing)}")
    return found


def _folder(written: str) -> list[str]:
    """The parts of a folder's path, which may be written as a shell completes it: `./images//train/`."""
    return [part for part in _parts(written) if part not in ("", ".")]


def _parts(name: str) -> list[str]:
    return unicodedata.normalize("NFC", name).split("/")


def _read(file: File, pixels: int) -> bytes:
    """The bytes of an image file, whose header is looked at before any later stage decodes it.

    Bytes that are no image, or one of a format that is never read, pass: preprocess counts and names them all at once.
    """
    data = file.read()
    try:
        width, height = reader.size(data)
    except reader.TooLarge as error:
        raise UserError(f"{file.source}: {file.name} has {error}, but limits.image_pixels = {pixels}") from error
    except ValueError:
        return data
    if width * height > pixels:
        raise UserError(f"{file.source}: {file.name} has {width} x {height} pixels, but limits.image_pixels = {pixels}")
    return data
