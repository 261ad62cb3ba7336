"""FER-2013 as it was first published: one table, a face a row.

The columns are `emotion` (0 to 6), `pixels` (48 x 48 values from 0 to 255, row by row, with spaces between) and
`Usage` (Training, PublicTest, PrivateTest), as the challenge's page describes them:
https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge/data
"""

import csv
import io
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO

from src.core.labels import canonical
from src.core.raw import FOLDERS, Image
from src.download.container import File
from src.download.folders import IMAGE_SUFFIXES
from src.errors import UserError

NAMES = {"fer2013.csv", "icml_face_data.csv"}
EMOTIONS = dict(zip("0123456", ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"), strict=True))
FOLDER = {"Training": "train", "PublicTest": "test", "PrivateTest": "test"}
SIDE = 48
TONES = {str(tone): tone for tone in range(256)}
LONGEST_LINE = 2**16  # characters; a row of the table has at most 9,250
LONGEST_CELL = 40  # characters of it in a message


def among(files: list[File]) -> File | None:
    """The table among `files`: the csv of a known name or else the only one, where there is no image.

    Raises:
        UserError: several csv files, none of which is alone in having a known name.
    """
    tables = [file for file in files if PurePosixPath(file.name).suffix.lower() == ".csv"]
    if not tables or any(PurePosixPath(file.name).suffix.lower() in IMAGE_SUFFIXES for file in files):
        return None
    tables = [file for file in tables if PurePosixPath(file.name).name in NAMES] or tables
    if len(tables) > 1:
        named = ", ".join(file.name for file in tables[:5]) + (", …" if len(tables) > 5 else "")
        raise UserError(f"{tables[0].source} has several tables, {named}: keep one of them")
    return tables[0]


def images(table: File, labels: Iterable[str]) -> list[Image]:
    """The faces of a table, as PNG files `<usage>_<row>.png`, counted from row 0.

    Their pixels wait in a temporary file, so that memory stays small and the table is read only once.

    Raises:
        UserError: what is wrong in which line; a label of the dataset without a face; no room for the temporary file.
    """
    spelling = {canonical(label): label for label in labels}
    found = []
    try:
        spool = tempfile.TemporaryFile()  # noqa: SIM115  closed with the last image that reads from it
        for row, (line, emotion, pixels, usage) in enumerate(_rows(table)):
            if (label := spelling.get(emotion)) is None:
                known = ", ".join(spelling.values())
                raise _wrong(table, line, f"{emotion!r} is not a label of this dataset, which has {known}")
            spool.write(pixels)
            found.append(Image(FOLDER[usage], label, f"{usage}_{row}.png", partial(_read, spool, row)))
        spool.flush()
    except OSError as error:
        raise UserError(
            f"{table.source}: the pixels of {table.name} find no room in a temporary file: {error.strerror}; "
            "TMPDIR can name another folder for it"
        ) from error
    present = {(image.folder, image.label) for image in found}
    missing = [
        f"{folder}/{label}" for folder in FOLDERS for label in spelling.values() if (folder, label) not in present
    ]
    if missing:
        raise UserError(f"{table.source}: {table.name} has no image for {', '.join(missing)}")
    return found


def _rows(table: File) -> Iterator[tuple[int, str, bytes, str]]:
    """Yields (line number, emotion, pixels, usage) of each row."""
    with table.stream() as binary:
        lines = csv.reader(_lines(table, io.TextIOWrapper(binary, "utf-8-sig", newline="")), strict=True)
        try:
            header = [name.strip() for name in next(lines, [])]  # icml_face_data.csv has " Usage" and " pixels"
            if missing := ", ".join(sorted({"emotion", "pixels", "Usage"} - set(header))):
                if not all(name.isprintable() and len(name) <= LONGEST_CELL for name in header):  # of an archive, say
                    raise UserError(f"{table.source}: {table.name} is no table: without the columns {missing}")
                has = ", ".join(header[:10]) + (", …" if len(header) > 10 else "") or "none"
                raise _wrong(table, 1, f"without the column {missing}; it has {has}")
            columns = [header.index(name) for name in ("emotion", "pixels", "Usage")]
            for fields in lines:
                if not fields:
                    continue
                if len(fields) != len(header):
                    raise _wrong(table, lines.line_num, f"{len(fields)} cells, but {len(header)} columns")
                emotion, pixels, usage = (fields[column].strip() for column in columns)
                if emotion not in EMOTIONS:
                    raise _wrong(table, lines.line_num, f"emotion {_short(emotion)} is not one of 0 to 6")
                if usage not in FOLDER:
                    raise _wrong(table, lines.line_num, f"Usage {_short(usage)} is not one of {', '.join(FOLDER)}")
                yield lines.line_num, EMOTIONS[emotion], _tones(table, lines.line_num, pixels), usage
        except csv.Error as error:
            raise _wrong(table, lines.line_num, str(error)) from error


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= LONGEST_CELL else f"{cell[:LONGEST_CELL]}…")


def _lines(table: File, text: io.TextIOWrapper) -> Iterator[str]:
    number = 0
    while line := text.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise _wrong(table, number, f"longer than {LONGEST_LINE} characters")
        yield line


def _tones(table: File, line: int, pixels: str) -> bytes:
    values = pixels.split()
    if len(values) != SIDE * SIDE:
        raise _wrong(table, line, f"{len(values)} pixels, not {SIDE} x {SIDE} = {SIDE * SIDE}")
    try:
        return bytes(map(TONES.__getitem__, values))
    except KeyError as error:
        raise _wrong(table, line, f"pixel {_short(error.args[0])} is not a whole number from 0 to 255") from error


def _wrong(table: File, line: int, what: str) -> UserError:
    return UserError(f"{table.source}: {table.name}, line {line}: {what}")


def _read(spool: BinaryIO, row: int) -> bytes:
    spool.seek(row * SIDE * SIDE)
    return png(spool.read(SIDE * SIDE))


def png(pixels: bytes) -> bytes:
    """A grey PNG of 48 x 48 `pixels`, not compressed: what compression gives depends on the library and the CPU.

    PNG is described in https://www.w3.org/TR/png-3/, its zlib stream in RFC 1950, a stored block in RFC 1951.
    """
    rows = b"".join(b"\0" + pixels[start : start + SIDE] for start in range(0, SIDE * SIDE, SIDE))
    block = b"\1" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows
    stream = b"\x78\x01" + block + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
