"""Rows of indexed manifests as a sequence: what all of them have of one thing at once, and each of them whole when asked for.

Comes in: corpus folders. Goes out: rows by number, columns [R], and the rows that fit. A list of rows gives the same columns.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from emotts.data.index import MANIFEST, Index, open_index
from emotts.data.manifest import SPLITS, ManifestRow, emotion_of
from emotts.emotion.labels import LABELS


class Rows(Sequence[ManifestRow]):
    """Some rows of some manifests; of each, four bytes are held."""

    def __init__(self, indexes: Sequence[Index]) -> None:
        self.indexes = list(indexes)
        self._starts = np.cumsum([0, *(len(index) for index in self.indexes)])
        kind = np.uint32 if self._starts[-1] < 2**32 else np.int64
        self._at = np.arange(self._starts[-1], dtype=kind)  # among the rows of all manifests
        self._called: Mapping[str, str] = {}

    def __len__(self) -> int:
        return len(self._at)

    @overload
    def __getitem__(self, i: int) -> ManifestRow: ...
    @overload
    def __getitem__(self, i: slice) -> "Rows": ...
    def __getitem__(self, i: int | slice) -> "ManifestRow | Rows":
        if isinstance(i, slice):
            return self._with(self._at[i])
        part, place = self.place_of(i)
        row = self.indexes[part].row(place)
        return replace(row, voice=self._called[row.voice]) if row.voice in self._called else row

    def place_of(self, i: int) -> tuple[int, int]:
        """Return the number of the manifest in which row i is, and its number there."""
        at = int(self._at[i])
        part = int(np.searchsorted(self._starts, at, side="right")) - 1
        return part, at - int(self._starts[part])

    def folder_of(self, i: int) -> Path:
        """Return the folder of the corpus of row i."""
        return self.indexes[self.place_of(i)[0]].manifest.parent

    def taken(self, picks: Sequence[int] | np.ndarray) -> "Rows":
        """Return some of the rows, by number or by a mask [R]."""
        picks = np.asarray(picks)
        return self._with(self._at[picks if picks.dtype == bool else picks.astype(np.int64)])

    def renamed(self, names: Mapping[str, str]) -> "Rows":
        """Return the rows with other names of voices."""
        found = self._with(self._at)
        found._called = dict(names)
        return found

    def _with(self, at: np.ndarray) -> "Rows":
        found = copy(self)
        found._at = at
        return found

    def column(self, name: str) -> np.ndarray:
        """Return the numbers of all rows [R, ...]; see SHAPES in index_build.py."""
        if len(self.indexes) == 1:
            return self.indexes[0].columns[name][self._at]
        first = self.indexes[0].columns[name]
        found = np.empty((len(self), *first.shape[1:]), first.dtype)
        for index, start in zip(self.indexes, self._starts[:-1], strict=True):
            is_here = (self._at >= start) & (self._at < start + len(index))
            found[is_here] = index.columns[name][self._at[is_here] - start]
        return found

    def codes(self, name: str) -> tuple[np.ndarray, list[Any]]:
        """Return numbers [R] and the names that they stand for, of "split", "label" or one of NAMED in index_build.py."""
        if name in ("split", "label"):
            found, names = self.column(name).astype(np.int32), [*(SPLITS if name == "split" else (*LABELS, None))]
            return found % len(names), names  # -1 is the last name
        own = [list(index.names[name]) for index in self.indexes]
        if name == "corpus":  # of rows without an origin it is the folder
            own = [[*names, index.manifest.parent.name] for names, index in zip(own, self.indexes, strict=True)]
        if name == "voice":
            own = [[self._called.get(voice, voice) for voice in names] for names in own]
        names = list(dict.fromkeys(one for names in own for one in names))
        number = {one: k for k, one in enumerate(names)}
        found = np.empty(len(self), np.int32)
        for index, start, mine in zip(self.indexes, self._starts[:-1], own, strict=True):
            is_here = (self._at >= start) & (self._at < start + len(index))
            numbers = np.array([number[one] for one in mine], np.int32)
            found[is_here] = numbers[index.columns[name][self._at[is_here] - start]]  # -1 is the last name
        return found, names

    def names(self, name: str) -> list[Any]:
        """Return the names that occur, in the order of their first rows; see `codes`."""
        codes, names = self.codes(name)
        numbers, first = np.unique(codes, return_index=True)
        return [names[k] for k in numbers[np.argsort(first)]]

    def of(self, split: str | None = None, voices: Iterable[str] | None = None) -> "Rows":
        """Return the rows of a split and of some voices."""
        keep = np.ones(len(self), bool)
        if split is not None:
            keep &= self.column("split") == SPLITS.index(split)
        if voices is not None:
            codes, names = self.codes("voice")
            known = set(voices)
            keep &= np.array([name in known for name in names], bool)[codes]
        return self.taken(keep)

    def trust(self, i: int) -> np.ndarray:
        """Return the trust [3] in the dimensions of row i, see trust.py."""
        part, place = self.place_of(i)
        return np.array(self.indexes[part].columns["trust"][place])


def open_rows(folders: str | Path | Sequence[str | Path], with_features: bool = False) -> Rows:
    """Return all rows of one or several corpora; see `open_index`."""
    several = [folders] if isinstance(folders, str | Path) else folders
    return Rows([open_index(Path(folder) / MANIFEST, with_features) for folder in several])


def column_of(rows: Sequence[ManifestRow], name: str) -> np.ndarray:
    """Return a number of all rows [R]: a field of theirs; dimensions that are unknown are nan."""
    if isinstance(rows, Rows):
        return rows.column(name)
    return np.array([np.nan if (value := getattr(row, name)) is None else value for row in rows])


def codes_of(rows: Sequence[ManifestRow], name: str) -> tuple[np.ndarray, list[Any]]:
    """Return numbers [R] and the names that they stand for; see `Rows.codes`."""
    if isinstance(rows, Rows):
        return rows.codes(name)
    return codes_among([emotion_of(row) if name == "emotion" else getattr(row, name) for row in rows])


def names_in(rows: Sequence[ManifestRow], name: str) -> list[Any]:
    """Return the different names that occur among rows; see `Rows.names`."""
    return rows.names(name) if isinstance(rows, Rows) else codes_of(rows, name)[1]


def taken_rows(rows: Sequence[ManifestRow], picks: Sequence[int]) -> Sequence[ManifestRow]:
    """Return some rows by number."""
    return rows.taken(picks) if isinstance(rows, Rows) else [rows[i] for i in picks]


def codes_among(values: Iterable[Any]) -> tuple[np.ndarray, list[Any]]:
    """Number values in the order in which they first come; returns numbers [R] and the different values."""
    number: dict[Any, int] = {}
    codes = np.fromiter((number.setdefault(value, len(number)) for value in values), np.int32)
    return codes, list(number)
