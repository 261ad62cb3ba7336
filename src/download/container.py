"""A zip, folder or csv of the user's, as files with names: nothing outside it is reached, nothing oversized is read."""

import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from src.core.raw import ERRORS
from src.errors import UserError, printable

# In lower case; and whatever begins with a dot, such as .DS_Store and .AppleDouble. On macOS an Icon ends in a return.
LEFT_BY_TOOLS = {
    *("__macosx", "icon\r"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
    "@eadir",  # Synology
}
# Of the others zipfile unpacks whole blocks at once, and a block of bzip2 can hold gigabytes.
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


class File(NamedTuple):
    """One file: its name with slashes, and its size in bytes as the zip or the folder states it."""

    source: str
    name: str
    size: int
    open: Callable[[], IO[bytes]]

    @contextmanager
    def stream(self) -> Iterator[IO[bytes]]:
        """The file, opened; what goes wrong while it is read becomes a UserError that names it."""
        try:
            with self.open() as opened:
                yield opened
        except ERRORS as error:
            raise UserError(f"{self.source}: {self.name} cannot be read: {printable(str(error))}") from error

    def read(self) -> bytes:
        """All of it; errors as in `stream`."""
        with self.stream() as opened:
            data = opened.read(self.size + 1)  # so that no more is unpacked, whatever the zip really holds
            if len(data) != self.size:
                raise ValueError(f"it does not have the {self.size} bytes that are stated for it")
        return data


def files(source: str, path: Path, total_bytes: int) -> list[File]:
    """The files of the zip or folder at `path`, sorted by name, without what file managers leave behind; or the csv.

    Args:
        source: how messages call it.
        total_bytes: what all files together may hold, uncompressed.

    Raises:
        UserError: not a zip; a name that leads elsewhere, a link that does, or what is no plain file; too much.
    """
    if path.is_dir():
        found = _folder(source, path)
    elif path.suffix.lower() == ".csv":
        found = [File(source, path.name, path.stat().st_size, partial(path.open, "rb"))]
    else:
        found = _zip(source, path)
    found = sorted(found, key=lambda file: file.name)
    total = sum(file.size for file in found)
    if total > total_bytes:
        raise UserError(f"{source} holds {total} bytes, but limits.total_bytes = {total_bytes}")
    return found


def _folder(source: str, path: Path) -> Iterator[File]:
    inside = path.resolve()
    for parent, folders, names in os.walk(path, onerror=partial(_unreadable, source)):
        folders[:] = [folder for folder in folders if not _left_by_tools(folder)]  # some cannot even be looked into
        for file in (Path(parent) / name for name in [*folders, *names] if not _left_by_tools(name)):
            name = file.relative_to(path).as_posix()
            _check_name(source, name)
            if file.is_symlink() and (file.is_dir() or not Path(os.path.realpath(file)).is_relative_to(inside)):
                target = printable(str(file.readlink()))
                raise UserError(f"{source}: {name} is a link to {target}; put what it names in its place")
            if file.is_file():
                yield File(source, name, file.stat().st_size, partial(file.open, "rb"))
            elif not file.is_dir():
                raise UserError(f"{source}: {name} is not a file that can be read")


def _unreadable(source: str, error: OSError) -> None:
    raise UserError(f"{source}: a folder cannot be read: {printable(str(error))}") from error


def _zip(source: str, path: Path) -> Iterator[File]:
    try:
        archive = zipfile.ZipFile(path)
    except ERRORS as error:
        raise UserError(f"{source}: {path} is not a complete zip file: {printable(str(error))}") from error
    for info in archive.infolist():
        name = info.filename.removeprefix("./")
        if info.filename.endswith("/"):  # a folder; `is_dir` wants a name that is not empty
            continue
        if {".", ".."} & set(re.split(r"[/\\]", name)) or name.startswith("/"):  # also in what is passed over
            raise _not_plain(source, name)
        if _left_by_tools(name):
            continue
        _check_name(source, name)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UserError(f"{source}: {name} is a link; put what it names in its place")
        if info.compress_type not in METHODS:
            raise UserError(
                f"{source}: {name} cannot be read: it is compressed with method {info.compress_type}; "
                f"pack it again with deflate, as zip does by default"
            )
        yield File(source, name, info.file_size, partial(archive.open, info))


def _check_name(source: str, name: str) -> None:
    if "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise _not_plain(source, name)
    if not name.isprintable():
        raise UserError(f"{source}: '{printable(name)}' is not a name of characters that can be seen; rename it")


def _not_plain(source: str, name: str) -> UserError:
    return UserError(f"{source}: {name!r} is not a plain relative name; pack the files again without it")


def _left_by_tools(name: str) -> bool:
    return any(part.lower() in LEFT_BY_TOOLS or part.startswith(".") for part in name.split("/"))
