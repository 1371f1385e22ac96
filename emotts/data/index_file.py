"""Columns of numbers in one file that every process maps and none reads whole: a safetensors file, written without holding it.

Comes in: a file per column, filled a piece at a time. Goes out: one file, and its columns as arrays over the mapped bytes.
"""

import json
import os
import shutil
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

NAMES: dict[str, np.dtype[Any]] = {
    "I64": np.dtype("<i8"),
    "U64": np.dtype("<u8"),
    "F64": np.dtype("<f8"),
    "I32": np.dtype("<i4"),
    "U32": np.dtype("<u4"),
    "F32": np.dtype("<f4"),
    "I8": np.dtype("i1"),
    "BOOL": np.dtype("?"),
}
KINDS = {dtype: name for name, dtype in NAMES.items()}
ALIGNED = 8  # bytes; where the data begin
MOST_HEADER = 1_000_000_000  # bytes; names of a million voices and shards are some 50 million


class FormatError(ValueError):
    """A file is not what `write_columns` writes."""


class Column:
    """Numbers that are added a piece at a time, kept in a file without a name; shape [n, *inner]."""

    def __init__(self, dtype: np.dtype[Any], inner: tuple[int, ...], folder: Path) -> None:
        self.dtype, self.inner, self.n = dtype, inner, 0
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (it ends with the column)

    def __del__(self) -> None:
        if hasattr(self, "file"):  # there was room for one
            self.file.close()  # what is mapped stays

    def add(self, values: Any) -> None:
        """Add numbers [k, *inner]."""
        piece = np.ascontiguousarray(values, self.dtype).reshape(-1, *self.inner)
        self.file.write(piece.tobytes())
        self.n += len(piece)

    def mapped(self) -> np.ndarray:
        """Return what was added [n, *inner]; what is written into it is written into the file."""
        self.file.flush()
        shape = (self.n, *self.inner)
        return np.memmap(self.file, self.dtype, "r+", shape=shape) if self.n else np.empty(shape, self.dtype)


@dataclass(frozen=True)
class Mapped:
    """What a file holds: columns by name, and text by name."""

    columns: Mapping[str, np.ndarray]
    texts: Mapping[str, str]


def write_columns(file: IO[bytes], columns: Mapping[str, Column], texts: Mapping[str, str]) -> None:
    """Write columns and texts; a few megabytes of memory do, however long the columns are."""
    order = sorted(columns, key=lambda name: -columns[name].dtype.itemsize)  # so that each lies on its own size
    header: dict[str, Any] = {"__metadata__": dict(texts)}
    place = 0
    for name in order:
        column = columns[name]
        end = place + column.n * int(np.prod(column.inner, dtype=np.int64)) * column.dtype.itemsize
        shape = [column.n, *column.inner]
        header[name] = {"dtype": KINDS[column.dtype], "shape": shape, "data_offsets": [place, end]}
        place = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNED)
    file.write(struct.pack("<Q", len(text)) + text)
    for name in order:
        columns[name].file.seek(0)
        shutil.copyfileobj(columns[name].file, file, 1 << 20)
    file.flush()


def copy_with_texts(source: IO[bytes], file: IO[bytes], texts: Mapping[str, str]) -> None:
    """Write a file that has the columns of another one beside these texts."""
    header, begin = _read_header(source)
    text = json.dumps(header | {"__metadata__": dict(texts)}).encode()
    text += b" " * (-len(text) % ALIGNED)
    file.write(struct.pack("<Q", len(text)) + text)
    source.seek(begin)
    shutil.copyfileobj(source, file, 1 << 20)
    file.flush()


def map_columns(file: IO[bytes]) -> Mapped:
    """Map a file.

    Raises:
        FormatError: it is no such file, or cut short.
    """
    header, begin = _read_header(file)
    texts = header.pop("__metadata__", {})
    size = os.fstat(file.fileno()).st_size
    data = np.memmap(file, np.uint8, "r")
    found = {}
    try:
        for name, entry in header.items():
            dtype, shape = NAMES[entry["dtype"]], tuple(int(n) for n in entry["shape"])
            first, last = (begin + int(offset) for offset in entry["data_offsets"])
            if last > size or last - first != int(np.prod(shape, dtype=np.int64)) * dtype.itemsize:
                raise FormatError(f"column {name} does not fit the file")
            found[name] = np.asarray(data[first:last]).view(dtype).reshape(shape)
        if not all(isinstance(text, str) for text in texts.values()):
            raise FormatError("texts are no texts")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(str(error)) from None
    return Mapped(found, texts)


def _read_header(file: IO[bytes]) -> tuple[dict[str, Any], int]:
    """Return the header, and where the data begin."""
    file.seek(0)
    try:
        (size,) = struct.unpack("<Q", file.read(8))
        if size > min(MOST_HEADER, os.fstat(file.fileno()).st_size):
            raise ValueError(f"a header of {size} bytes")
        header = json.loads(file.read(size))
    except (struct.error, ValueError, RecursionError) as error:
        raise FormatError(str(error)) from None
    if not isinstance(header, dict):
        raise FormatError("no names")
    return header, 8 + size
