"""Images from a zip or a folder on disk, or from FER-2013's original table."""

import hashlib
from collections.abc import Iterable

from src.core.files import digest, root
from src.core.raw import Image
from src.download import container, fer_csv, folders
from src.download.container import File
from src.errors import UserError, printable
from src.params import Layout, Limits


def images(
    local_path: str, local_sha256: str | None, labels: Iterable[str], layout: Layout, limits: Limits
) -> list[Image]:
    """The images at `local_path`, filed under the dataset's own spelling of `labels`.

    A relative path starts at the repository root. The hash is SHA-256: of a zip or table that of the file, as
    `sha256sum` prints it; of a folder that of its sorted lines `<sha256>  <relative path>`.

    Raises:
        UserError: nothing there, another hash than `local_sha256`, and as `listed`.
    """
    path, source = root() / local_path, f"local_path: {local_path}"
    if not path.is_file() and not path.is_dir():
        raise UserError(f"local_path: there is no zip, folder or csv at {path}")
    found = container.files(source, path, limits.total_bytes)
    actual = digest(path) if path.is_file() else _digest(found)
    if local_sha256 is None:
        print(f"{printable(local_path)} has SHA-256 {actual}\nTo pin this data: -S local_sha256={actual}")
    elif local_sha256 != actual:
        raise UserError(f"local_sha256: {local_path} has SHA-256 {actual}, but params.yaml expects {local_sha256}")
    return listed(source, found, labels, layout, limits)


def listed(source: str, found: list[File], labels: Iterable[str], layout: Layout, limits: Limits) -> list[Image]:
    """The images in the files `found`, which are either images in folders or FER-2013's table.

    Raises:
        UserError: as `fer_csv.images` or `folders.images`.
    """
    if table := fer_csv.among(found):
        return fer_csv.images(table, labels)
    return folders.images(source, found, labels, layout, limits)


def _digest(found: list[File]) -> str:
    lines = []
    for file in found:
        with file.stream() as opened:
            # Every file that is opened for reading bytes has `readinto`; typeshed's IO lacks it.
            hashed = hashlib.file_digest(opened, "sha256")  # pyright: ignore[reportArgumentType]
            lines.append(f"{hashed.hexdigest()}  {file.name}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()
