"""Where the tensors of rows lie, by the headers of their safetensors shards: no tensor is read.

Comes in: a corpus folder and its rows. Goes out: of each row its shard and the first and last byte of each of its tensors.
"""

import json
import math
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np

from emotts.data.manifest import FEATURES, ManifestRow

MOST_HEADER = 100_000_000  # bytes; a header names five tensors a row
KEYS = (*FEATURES, "labels")
REMEDY = "prepare or simulate the corpus again"
DTYPES: dict[str, np.dtype[Any]] = {
    "F16": np.dtype(np.float16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}
Kind = tuple[str, tuple[int, ...]]  # name of the numbers' type, and the shape of one frame or token
Layout = dict[str, Kind]  # by key; all rows of a shard share it


class Headers:
    """The shards of one folder, in the order in which they were asked for; the header of the last one is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, int] = {}  # of shards, to their numbers
        self.layouts: list[Layout] = []  # of each shard
        self.stats: list[tuple[int, int, int]] = []  # of each: bytes, time of change, and when that was so, in ns
        self._last: tuple[str, dict[str, Any], int, int] = "", {}, 0, 0

    def number_of(self, row: ManifestRow) -> int:
        """Return the number of the row's shard, whether it can be read or not."""
        number = self.names.setdefault(row.features, len(self.names))
        if number == len(self.layouts):
            self.layouts.append({})
            seen = time.time_ns()
            self.stats.append((*stat_of(self.folder / row.features), seen))
        return number

    def places_of(self, row: ManifestRow) -> np.ndarray:
        """Return the first and last byte of the tensors of a row [K, 2], in the order of KEYS; equal where there is none.

        Raises:
            ValueError: the shard is no safetensors file, or lacks what the row needs.
            FileNotFoundError: there is no such shard.
        """
        layout = self.layouts[self.number_of(row)]
        if self._last[0] != row.features:
            self._last = (row.features, *_header(self.folder / row.features))
        _, header, begin, end = self._last
        path = f"{self.folder}/{row.features}"
        keys = KEYS if row.mixture is not None else FEATURES
        places = [_place(header, begin, path, f"{row.id}.{key}", key, layout) for key in keys]
        if max(last for _, last in places) > end:
            raise ValueError(f"{path} is cut short: {row.id} is not in it; {REMEDY}.")
        return np.array(places + [(0, 0)] * (len(KEYS) - len(keys)), np.int64)


def stat_of(path: Path) -> tuple[int, int]:
    """Return the bytes of a file and its time of change in ns; -1 twice where there is none."""
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def missing(path: str | Path) -> FileNotFoundError:
    """Return the error of a shard that is not there."""
    return FileNotFoundError(f"no shard of features at {path}; {REMEDY}, or copy it from where that was done.")


def _place(header: dict[str, Any], begin: int, path: str, name: str, key: str, layout: Layout) -> tuple[int, int]:
    """Return the first and last byte of a tensor, and note its kind."""
    try:
        entry = header[name]
        kind: Kind = entry["dtype"], tuple(int(size) for size in entry["shape"][1:])
        first, last = (int(offset) for offset in entry["data_offsets"])
        size = math.prod(entry["shape"]) * DTYPES[kind[0]].itemsize
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} lacks {name} ({type(error).__name__} at {error}); {REMEDY}.") from None
    if layout.setdefault(key, kind) != kind or last - first != size or first < 0:
        raise ValueError(f"{path}: {name} has another kind or size than its header or the other rows; {REMEDY}.")
    return begin + first, begin + last


def _header(path: Path) -> tuple[dict[str, Any], int, int]:
    """Return the header of a safetensors file, and where its data begin and end."""
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > MOST_HEADER:
                raise ValueError(f"a header of {size} bytes")
            header = json.loads(file.read(size))
        if not isinstance(header, dict):
            raise ValueError("no names")
    except FileNotFoundError:
        raise missing(path) from None
    except (struct.error, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a shard of features ({error}); {REMEDY}.") from None
    return header, 8 + size, path.stat().st_size
