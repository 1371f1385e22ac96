"""Features of the rows of a corpus, held in memory or read from their shards when they are asked for: the same bytes either way.

Comes in: folders with safetensors shards, and rows. Goes out: a sequence with the named arrays of each row. What is kept of a row
that is read when needed is where its tensors lie: 16 bytes for each.
"""

import json
import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar, overload

import numpy as np

from emotts.data.manifest import FEATURES, ManifestRow

IN_MEMORY_GB = 4.0  # features of some 60 hours; larger corpora are read from the disk
OPEN_FILES = 256  # shards that are held open at once, far below what systems allow
MOST_HEADER = 100_000_000  # bytes; a header names five tensors a row
KEYS = (*FEATURES, "labels")
DTYPES: dict[str, np.dtype[Any]] = {
    "F16": np.dtype(np.float16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}
ItemT = TypeVar("ItemT")
Kind = tuple[np.dtype[Any], tuple[int, ...]]  # of the numbers, and the shape of one frame or token


class Lazy(Sequence[ItemT], Generic[ItemT]):
    """A sequence whose items are made when they are asked for."""

    def __init__(self, item_of: Callable[[int], ItemT], indices: Iterable[int]) -> None:
        self._item_of, self._indices = item_of, np.fromiter(indices, np.int64)

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, i: int) -> ItemT: ...
    @overload
    def __getitem__(self, i: slice) -> "Lazy[ItemT]": ...
    def __getitem__(self, i: int | slice) -> "ItemT | Lazy[ItemT]":
        if isinstance(i, slice):
            return Lazy(self._item_of, self._indices[i])
        return self._item_of(int(self._indices[i]))

    def taken(self, picks: Sequence[int]) -> "Lazy[ItemT]":
        """Return some of the items, none of them made."""
        return Lazy(self._item_of, self._indices[np.asarray(picks, np.int64)])


def taken(items: Sequence[ItemT], picks: Sequence[int]) -> Sequence[ItemT]:
    """Return some items of a sequence; of a lazy one, none of them is made."""
    return items.taken(picks) if isinstance(items, Lazy) else [items[i] for i in picks]


class Shards:
    """Where the tensors of rows lie, and the bytes of those that are asked for."""

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self.layouts: list[dict[str, Kind]] = []  # of each shard, by key
        self._shard: list[np.ndarray] = []  # of each row
        self._places: list[np.ndarray] = []  # [R, K, 2], first and last byte of each of KEYS; equal where there is none
        self._open: OrderedDict[int, int] = OrderedDict()  # shard to file descriptor, the latest last
        self._lock = Lock()  # batches are made in one thread, statistics and samples in another

    def __len__(self) -> int:
        return sum(len(part) for part in self._shard)

    def __del__(self) -> None:
        for handle in self._open.values():
            os.close(handle)

    def add(self, folder: Path, rows: Sequence[ManifestRow]) -> None:
        """Find the tensors of rows by the headers of their shards.

        Raises:
            ValueError: a shard is no safetensors file, or lacks what a row needs.
            FileNotFoundError: there is no shard of this name.
        """
        numbers: dict[str, int] = {}
        shard = np.empty(len(rows), np.int32)
        places = np.zeros((len(rows), len(KEYS), 2), np.int64)
        headers: dict[str, tuple[dict[str, Any], int, int]] = {}
        for i in sorted(range(len(rows)), key=lambda i: rows[i].features):
            name = rows[i].features
            if name not in numbers:
                headers = {name: _header(folder / name)}  # one at a time
                numbers[name] = len(self.paths)
                self.paths.append(folder / name)
                self.layouts.append({})
            shard[i] = numbers[name]
            header, begin, end = headers[name]
            for k, key in enumerate(KEYS if rows[i].mixture is not None else FEATURES):
                places[i, k] = self._place(header, begin, numbers[name], f"{rows[i].id}.{key}", key)
            if places[i].max() > end:
                raise ValueError(f"{folder / name} is cut short: {rows[i].id} is not in it; prepare the corpus again.")
        self._shard.append(shard)
        self._places.append(places)

    def _place(self, header: dict[str, Any], begin: int, number: int, name: str, key: str) -> tuple[int, int]:
        """Return the first and last byte of a tensor, and note its kind, which all of a shard share."""
        path = self.paths[number]
        try:
            entry = header[name]
            kind: Kind = DTYPES[entry["dtype"]], tuple(int(size) for size in entry["shape"][1:])
            first, last = (int(offset) for offset in entry["data_offsets"])
            size = int(np.prod(entry["shape"], dtype=np.int64)) * kind[0].itemsize
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} lacks {name} ({type(error).__name__} at {error}); prepare the corpus again."
            ) from None
        if self.layouts[number].setdefault(key, kind) != kind or last - first != size or first < 0:
            raise ValueError(
                f"{path}: {name} has another kind or size than its header or the other rows; prepare the corpus again."
            )
        return begin + first, begin + last

    def joined(self) -> None:
        """Join what was added, once there is no more to come."""
        self._shard, self._places = [np.concatenate(self._shard)], [np.concatenate(self._places)]

    def n_bytes(self) -> int:
        """Return how much memory all rows would take."""
        return int(sum((places[..., 1] - places[..., 0]).sum() for places in self._places))

    def in_order(self) -> list[int]:
        """Return the rows as they lie on the disk, a shard after the other."""
        return np.argsort(self._shard[0], kind="stable").tolist()

    def read(self, i: int) -> dict[str, np.ndarray]:
        """Return the arrays of row i by name.

        Raises:
            ValueError: the shard is shorter than it was.
        """
        number, places = int(self._shard[0][i]), self._places[0][i]
        found = {}
        with self._lock:
            handle = self._handle(number)
            for key, (first, last) in zip(KEYS, places.tolist(), strict=True):
                if last == first and key == "labels":
                    continue
                kind, shape = self.layouts[number][key]
                data = bytearray(last - first)
                if os.preadv(handle, [data], first) != last - first:
                    raise ValueError(f"{self.paths[number]} is cut short; prepare the corpus again.")
                found[key] = np.frombuffer(data, kind).reshape(-1, *shape)
        return found

    def _handle(self, number: int) -> int:
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        if len(self._open) >= OPEN_FILES:
            os.close(self._open.popitem(last=False)[1])
        self._open[number] = handle = os.open(self.paths[number], os.O_RDONLY)
        return handle


def load_features(
    parts: Sequence[tuple[Path, Sequence[ManifestRow]]], in_memory_gb: float = IN_MEMORY_GB
) -> Sequence[dict[str, np.ndarray]]:
    """Return the features of the rows of several corpora, one after the other.

    Args:
        parts: folder and rows of each.
        in_memory_gb: what is larger, all in all, is not held but read whenever it is asked for.

    Raises:
        ValueError: a shard is damaged or lacks a row, or the bound is negative.
        FileNotFoundError: a shard is missing.
    """
    if not in_memory_gb >= 0.0:
        raise ValueError(f"in_memory_gb must be 0 or more; got {in_memory_gb}.")
    shards = Shards()
    for folder, rows in parts:
        shards.add(folder, rows)
    if not len(shards):
        return []
    shards.joined()
    if shards.n_bytes() > in_memory_gb * 1e9:
        return Lazy(shards.read, range(len(shards)))
    found: list[dict[str, np.ndarray]] = [{} for _ in range(len(shards))]
    for i in shards.in_order():
        found[i] = shards.read(i)
    return found


def held_gb(features: Sequence[dict[str, np.ndarray]]) -> float:
    """Return how much memory features take, in GB; none where they are read when needed."""
    return 0.0 if isinstance(features, Lazy) else sum(a.nbytes for arrays in features for a in arrays.values()) / 1e9


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
    except (struct.error, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a shard of features ({error}); prepare the corpus again.") from None
    return header, 8 + size, path.stat().st_size
