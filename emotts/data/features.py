"""Features of the rows of a corpus, held in memory or read from their shards when they are asked for: the same bytes either way.

Comes in: rows, and folders with safetensors shards. Goes out: a sequence with the named arrays of each row. Where the tensors of
indexed rows lie is mapped from the index; of listed ones it is read from the headers and held, 16 bytes for each tensor.
"""

import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Generic, TypeVar, overload

import numpy as np

from emotts.data.headers import DTYPES, KEYS, REMEDY, Headers, Layout, missing
from emotts.data.manifest import ManifestRow
from emotts.data.open_files import OPEN_FILES, OpenFile
from emotts.data.rows import Rows

IN_MEMORY_GB = 4.0  # features of some 60 hours; larger corpora are read from the disk
ItemT = TypeVar("ItemT")
Features = Sequence[dict[str, np.ndarray]]
Parts = Sequence[tuple[Path, Sequence[ManifestRow]]]


class Lazy(Sequence[ItemT], Generic[ItemT]):
    """A sequence whose items are made when they are asked for."""

    def __init__(self, item_of: Callable[[int], ItemT], indices: Iterable[int]) -> None:
        self._item_of, self.indices = item_of, np.fromiter(indices, np.int64)

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, i: int) -> ItemT: ...
    @overload
    def __getitem__(self, i: slice) -> "Lazy[ItemT]": ...
    def __getitem__(self, i: int | slice) -> "ItemT | Lazy[ItemT]":
        if isinstance(i, slice):
            return Lazy(self._item_of, self.indices[i])
        return self._item_of(int(self.indices[i]))

    def taken(self, picks: Sequence[int]) -> "Lazy[ItemT]":
        """Return some of the items, none of them made."""
        return Lazy(self._item_of, self.indices[np.asarray(picks, np.int64)])


def taken(items: Sequence[ItemT], picks: Sequence[int]) -> Sequence[ItemT]:
    """Return some items of a sequence; of a lazy one, none of them is made."""
    return items.taken(picks) if isinstance(items, Lazy) else [items[i] for i in picks]


class Shards:
    """The bytes of the tensors of rows that are asked for."""

    def __init__(self, rows: Rows | Parts) -> None:
        """Find the tensors of rows: in their index, or by the headers of their shards.

        Raises:
            ValueError: a shard is no safetensors file, or lacks what a row needs.
            FileNotFoundError: there is no shard of this name.
        """
        self.paths: list[str] = []
        self.layouts: list[Layout] = []  # of each shard, by key
        self._owner = OPEN_FILES.owner()
        weakref.finalize(self, OPEN_FILES.forget, self._owner)
        self._rows: Rows | None = None
        self.n_rows, self.n_bytes = 0, 0
        if isinstance(rows, Rows):
            self._map(rows)
        else:
            self._find(rows)

    def _map(self, rows: Rows) -> None:
        self._rows, self._first = rows, []
        for index in rows.indexes:
            self._first.append(len(self.paths))
            self.paths += [str(index.manifest.parent / name) for name in index.names["features"]]
            self.layouts += index.layouts
        sizes = rows.column("n_bytes")
        if len(lost := np.flatnonzero(sizes < 0)):
            Shards(
                [
                    (
                        rows.indexes[rows.place_of(int(lost[0]))[0]].manifest.parent,
                        rows.taken(_beside(rows, int(lost[0]))),
                    )
                ]
            )
            raise ValueError(f"{rows[int(lost[0])].features} was changed while it was read; run again.")
        self.n_rows, self.n_bytes = len(rows), int(sizes.sum())

    def _find(self, parts: Parts) -> None:
        shards, places = [], []
        for folder, rows in parts:
            headers = Headers(folder)
            shard = np.empty(len(rows), np.int32)
            place = np.empty((len(rows), len(KEYS), 2), np.int64)
            for i in np.argsort([row.features for row in rows], kind="stable").tolist():
                shard[i], place[i] = len(self.paths) + headers.number_of(rows[i]), headers.places_of(rows[i])
            self.paths += [str(folder / name) for name in headers.names]
            self.layouts += headers.layouts
            shards.append(shard)
            places.append(place)
        if shards:
            self._shard, self._places = np.concatenate(shards), np.concatenate(places)
            self.n_bytes = int((self._places[..., 1] - self._places[..., 0]).sum())
        self.n_rows = sum(map(len, shards))

    def place_of(self, i: int) -> tuple[int, np.ndarray]:
        """Return the shard of row i, and the first and last byte of each of KEYS [K, 2]; equal where there is none."""
        if self._rows is None:
            return int(self._shard[i]), self._places[i]
        part, at = self._rows.place_of(i)
        columns = self._rows.indexes[part].columns
        return self._first[part] + int(columns["shard"][at]), columns["places"][at]

    def in_order(self, picks: Iterable[int]) -> list[int]:
        """Return rows as they lie on the disk, a shard after the other."""

        def place(i: int) -> tuple[int, int]:
            shard, places = self.place_of(i)
            return shard, int(places[0, 0])

        return sorted(picks, key=place)

    def read(self, i: int) -> dict[str, np.ndarray]:
        """Return the arrays of row i by name.

        Raises:
            ValueError: the shard is shorter than it was.
            FileNotFoundError: it is gone.
        """
        return self._read(i, KEYS)

    def read_one(self, i: int, key: str) -> np.ndarray:
        """Return one array of row i, and read nothing else."""
        return self._read(i, (key,))[key]

    def _read(self, i: int, keys: Sequence[str]) -> dict[str, np.ndarray]:
        number, places = self.place_of(i)
        found = {}
        file = self._file(number)
        for key, (first, last) in zip(KEYS, places.tolist(), strict=True):
            if key not in keys or (last == first and key == "labels"):
                continue
            kind, shape = self.layouts[number][key]
            data = file.read(first, last - first)
            if len(data) != last - first:
                raise ValueError(f"{self.paths[number]} is cut short; {REMEDY}.")
            found[key] = np.frombuffer(data, DTYPES[kind]).reshape(-1, *shape)
        return found

    def _file(self, number: int) -> OpenFile:
        try:
            return OPEN_FILES.get(self._owner, number, self.paths[number])
        except FileNotFoundError:
            raise missing(self.paths[number]) from None


class Stored(Lazy[dict[str, np.ndarray]]):
    """Features that are read when they are asked for."""

    def __init__(self, shards: Shards, indices: Iterable[int]) -> None:
        super().__init__(shards.read, indices)
        self.shards = shards

    def taken(self, picks: Sequence[int]) -> "Stored":
        return Stored(self.shards, self.indices[np.asarray(picks, np.int64)])


def load_features(rows: Rows | Parts, in_memory_gb: float = IN_MEMORY_GB) -> Features:
    """Return the features of rows.

    Args:
        rows: indexed ones; or folders and rows of each, one after the other.
        in_memory_gb: what is larger, all in all, is not held but read whenever it is asked for.

    Raises:
        ValueError: a shard is damaged or lacks a row, or the bound is negative.
        FileNotFoundError: a shard is missing.
    """
    stored = stored_features(rows)
    if not fits(stored, in_memory_gb):
        return stored
    found: list[dict[str, np.ndarray]] = [{} for _ in range(len(stored))]
    for i in stored.shards.in_order(range(len(stored))):
        found[i] = stored[i]
    return found


def stored_features(rows: Rows | Parts) -> Stored:
    """Return the features of rows, none of them read."""
    shards = Shards(rows)
    return Stored(shards, range(shards.n_rows))


def fits(stored: Stored, in_memory_gb: float) -> bool:
    """Whether features may be held.

    Raises:
        ValueError: the bound is negative.
    """
    if not in_memory_gb >= 0.0:
        raise ValueError(f"in_memory_gb must be 0 or more; got {in_memory_gb}.")
    return stored.shards.n_bytes <= in_memory_gb * 1e9


def arrays_of(features: Features, picks: Sequence[int], key: str) -> list[np.ndarray]:
    """Return one array of each of some rows; what lies on the disk is read in its order there, and nothing else with it."""
    if not isinstance(features, Stored):
        return [features[i][key] for i in picks]
    places = features.indices[np.asarray(picks, np.int64)].tolist()
    found = {i: features.shards.read_one(i, key) for i in features.shards.in_order(places)}
    return [found[i] for i in places]


def held_gb(features: Features) -> float:
    """Return how much memory features take, in GB; none where they are read when needed."""
    return 0.0 if isinstance(features, Lazy) else sum(a.nbytes for arrays in features for a in arrays.values()) / 1e9


def _beside(rows: Rows, i: int) -> np.ndarray:
    """Mark the rows of the shard of row i [R]: an error of one may be that it differs from the others."""
    part, place = rows.place_of(i)
    parts = [rows.place_of(k)[0] == part for k in range(len(rows))] if len(rows.indexes) > 1 else True
    return (rows.column("shard") == rows.indexes[part].columns["shard"][place]) & np.array(parts)
