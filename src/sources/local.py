"""Images from a zip or a folder on disk, laid out as `train/<label>/…` and `test/<label>/…`."""

import hashlib
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from src.errors import UserError
from src.files import digest, root
from src.sources.archive import FOLDERS, Image
from src.sources.labels import canonical

IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff", ".webp"}
# What zipfile raises for a damaged, encrypted or unsupported archive or member.
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError)
LEFT_BY_TOOLS = {"__MACOSX", "Thumbs.db", "desktop.ini"}
Files = list[tuple[str, Callable[[], bytes]]]  # name with slashes, reader


def images(local_path: str, local_sha256: str | None, labels: Iterable[str]) -> list[Image]:
    """The images at `local_path`, filed under the dataset's own spelling of `labels`.

    A relative path starts at the repository root. The hash is SHA-256: of a zip that of the file, as `sha256sum`
    prints it; of a folder that of its sorted lines `<sha256>  <relative path>`.

    Raises:
        UserError: nothing there, another hash than `local_sha256`, a layout or a label that is not the dataset's.
    """
    path = root() / local_path
    if path.is_dir():
        files = _folder(path)
        actual = hashlib.sha256(
            "".join(f"{hashlib.sha256(read()).hexdigest()}  {name}\n" for name, read in files).encode()
        ).hexdigest()
    elif path.is_file():
        files = _zip(path)
        actual = digest(path)
    else:
        raise UserError(f"local_path: there is no zip or folder at {path}")
    if local_sha256 is None:
        print(f"{local_path} has SHA-256 {actual}\nTo pin this data: -S local_sha256={actual}")
    elif local_sha256 != actual:
        raise UserError(f"local_sha256: {local_path} has SHA-256 {actual}, but params.yaml expects {local_sha256}")
    return _labelled(local_path, files, labels)


def _folder(path: Path) -> Files:
    files = [(file.relative_to(path).as_posix(), file.read_bytes) for file in path.rglob("*") if file.is_file()]
    return sorted((name, read) for name, read in files if not _left_by_tools(name))


def _zip(path: Path) -> Files:
    try:
        archive = zipfile.ZipFile(path)
    except ZIP_ERRORS as error:
        raise UserError(f"local_path: {path} is not a complete zip file: {error}") from error
    members = (info for info in archive.infolist() if not info.is_dir())
    return [(info.filename.removeprefix("./"), partial(_member, archive, info)) for info in members]


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(info)
    except ZIP_ERRORS as error:
        raise UserError(f"local_path: {archive.filename}: {info.filename} cannot be read: {error}") from error


def _left_by_tools(name: str) -> bool:
    return any(part in LEFT_BY_TOOLS or (part.startswith(".") and part != "..") for part in name.split("/"))


def _labelled(local_path: str, files: Files, labels: Iterable[str]) -> list[Image]:
    spelling = {canonical(label): label for label in labels}
    found, strange = [], []
    for name, read in files:
        if _left_by_tools(name):
            continue
        parts = name.split("/")
        if len(parts) < 3 or parts[0] not in FOLDERS or Path(name).suffix.lower() not in IMAGE_SUFFIXES:
            strange.append(name)
            continue
        label = spelling.get(canonical(parts[1]))
        if label is None:
            raise UserError(
                f"local_path: {local_path}: {name}: {parts[1]!r} is not a label of this dataset, "
                f"which has {', '.join(spelling.values())}"
            )
        found.append(Image(parts[0], label, "/".join(parts[2:]), read))
    if strange:
        raise UserError(
            f"local_path: {local_path}: {len(strange)} files do not fit train/<label>/<image> or "
            f"test/<label>/<image>, first {min(strange)!r}; images end in {' '.join(sorted(IMAGE_SUFFIXES))}"
        )
    cells = {(image.folder, image.label) for image in found}
    missing = [f"{folder}/{label}" for folder in FOLDERS for label in spelling.values() if (folder, label) not in cells]
    if missing:
        raise UserError(f"local_path: {local_path} has no image in {', '.join(missing)}")
    return found
