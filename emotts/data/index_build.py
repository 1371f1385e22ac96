"""The index of a corpus, made in one pass over its manifest with bounded memory.

Comes in: manifest.jsonl, with origins.jsonl and the shards of features beside it. Goes out: one column per thing that selection,
balancing and planning ask of a row, where its line and its tensors lie, and what the files were like. A bad row and an id that
appears twice are refused with their line; a shard that is missing or damaged is left for those who need it.
"""

import hashlib
import itertools
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from emotts.data.headers import KEYS, Headers
from emotts.data.index_file import Column, write_columns
from emotts.data.manifest import SPLITS, ManifestRow, emotion_of, parse_numbered, parse_row
from emotts.data.trust import FILE, parse_origin
from emotts.emotion.labels import DIMENSIONS, LABELS

VERSION = 1
CHUNK = 20_000  # rows that are held at once
TOGETHER = 4_000_000  # ids that are compared at once
NAMED = ("voice", "language", "licence", "read_by", "emotion", "corpus")  # columns of numbers of names
SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "offset": ("<i8", ()),  # of the line, in bytes
    "size": ("<i4", ()),  # of the line
    "checksum": ("<u4", ()),  # of the line
    "text": ("<u8", ()),  # see `number_of`
    "n_frames": ("<i4", ()),
    "n_tokens": ("<i4", ()),
    "duration_s": ("<f8", ()),
    **dict.fromkeys(DIMENSIONS, ("<f8", ())),  # nan where unknown
    "split": ("i1", ()),  # place in SPLITS
    "label": ("i1", ()),  # place in LABELS, -1 without one
    **dict.fromkeys(NAMED, ("<i4", ())),  # place among the names; -1 for the corpus of a row without an origin
    "trust": ("<f4", (len(DIMENSIONS),)),
    "shard": ("<i4", ()),
    "n_bytes": ("<i8", ()),  # of the tensors; -1 where the shard lacks some
    "places": ("<i8", (len(KEYS), 2)),
}
MOST_FRAMES = 2**31 - 1


@dataclass(frozen=True)
class Stamp:
    """What a file was like: bytes, time of change in ns, sha256; and when that was so, in ns."""

    size: int
    mtime_ns: int
    sha256: str
    seen_ns: int


def number_of(text: str) -> int:
    """Return 64 bits of the sha256 of a text; the last one says whose sentence it is, see recipes/train_recognizer.py."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[-8:], "big")


def build_index(manifest: Path, file: IO[bytes], folder: Path) -> None:
    """Write the index of a manifest into an open file.

    Args:
        folder: where columns lie until they are whole.

    Raises:
        ValueError: a row or an origin is wrong or an id appears twice, the message names the line; or the manifest was changed.
        FileNotFoundError: there is no manifest.
        OSError: there is no room.
    """
    build = _Build(manifest, folder)
    stamps: dict[str, Stamp | None] = {"manifest": build.read_rows()}
    _refuse_repeats(manifest, build.ids.mapped(), build.columns["offset"].mapped())
    stamps["origins"] = build.read_origins()
    write_columns(file, build.columns | build.shards(), build.texts(stamps))


class _Build:
    """Columns as they grow."""

    def __init__(self, manifest: Path, folder: Path) -> None:
        self.manifest, self.folder = manifest, folder
        self.columns = {name: Column(np.dtype(kind), inner, folder) for name, (kind, inner) in SHAPES.items()}
        self.ids = Column(np.dtype("<u8"), (), folder)
        self.names: dict[str, dict[str | None, int]] = {name: {} for name in NAMED}
        self.headers = Headers(manifest.parent)

    def read_rows(self) -> Stamp:
        with self.manifest.open("rb") as file:
            rows: list[ManifestRow] = []
            lines: list[tuple[int, int, int]] = []
            digest, place = hashlib.sha256(), 0
            before, seen = os.fstat(file.fileno()), time.time_ns()
            for number, line in enumerate(file, start=1):
                digest.update(line)
                if line.strip():
                    rows.append(parse_numbered(self.manifest, number, line))
                    if rows[-1].n_frames > MOST_FRAMES:
                        raise ValueError(f"{self.manifest}, line {number}: n_frames must be at most {MOST_FRAMES}.")
                    lines.append((place, len(line), zlib.crc32(line)))
                place += len(line)
                if len(rows) == CHUNK:
                    self._add(rows, lines)
                    rows, lines = [], []
            self._add(rows, lines)
        after = self.manifest.stat()
        if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
            raise ValueError(f"{self.manifest} was changed while it was read; run again.")
        return Stamp(before.st_size, before.st_mtime_ns, digest.hexdigest(), seen)

    def _add(self, rows: list[ManifestRow], lines: list[tuple[int, int, int]]) -> None:
        if not rows:
            return
        offset, size, checksum = zip(*lines, strict=True)
        dimensions = [[getattr(row, name) for name in DIMENSIONS] for row in rows]
        values: dict[str, Any] = {
            "offset": offset, "size": size, "checksum": checksum,
            "text": np.array([number_of(row.text) for row in rows], np.uint64),
            "n_frames": [row.n_frames for row in rows], "n_tokens": [len(row.phonemes) for row in rows],
            "duration_s": [row.duration_s for row in rows],
            "split": [SPLITS.index(row.split) for row in rows],
            "label": [-1 if row.label is None else LABELS.index(row.label) for row in rows],
            "corpus": np.full(len(rows), -1),
            "trust": [[value is not None for value in three] for three in dimensions],  # what a row lacks has none
        }  # fmt: skip
        values |= {
            name: [np.nan if three[d] is None else three[d] for three in dimensions]
            for d, name in enumerate(DIMENSIONS)
        }
        for name, value_of in _NAMES.items():
            values[name] = [self._number(name, value_of(row)) for row in rows]
        values |= self._find(rows)
        for name, column in self.columns.items():
            column.add(values[name])
        self.ids.add(np.array([number_of(str(row.id)) for row in rows], np.uint64))

    def _number(self, kind: str, name: str | None) -> int:
        return self.names[kind].setdefault(name, len(self.names[kind]))

    def _find(self, rows: list[ManifestRow]) -> dict[str, np.ndarray]:
        """Find the tensors of rows, a shard after the other."""
        shard = np.array([self.headers.number_of(row) for row in rows], np.int32)
        places = np.zeros((len(rows), len(KEYS), 2), np.int64)
        n_bytes = np.full(len(rows), -1, np.int64)
        for i in np.argsort(shard, kind="stable").tolist():
            try:
                places[i] = self.headers.places_of(rows[i])
            except (ValueError, OSError):  # told to those who ask for this row's features
                continue
            n_bytes[i] = (places[i, :, 1] - places[i, :, 0]).sum()
        return {"shard": shard, "places": places, "n_bytes": n_bytes}

    def read_origins(self) -> Stamp | None:
        """Give rows the corpus and the trust that their origins name; the last one counts where an id has several."""
        path = self.manifest.parent / FILE
        if not path.is_file():
            return None
        ids, corpora, weights = (
            Column(np.dtype(kind), inner, self.folder) for kind, inner in (("<u8", ()), ("<i4", ()), ("<f4", (3,)))
        )
        digest, seen = hashlib.sha256(), time.time_ns()
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            for first in itertools.count(1, CHUNK):
                lines = list(itertools.islice(file, CHUNK))
                if not lines:
                    break
                digest.update(b"".join(lines))
                found = [
                    parse_origin(path, number, line) for number, line in enumerate(lines, start=first) if line.strip()
                ]
                if not found:
                    continue
                ids.add(np.array([number_of(name) for name, _ in found], np.uint64))
                corpora.add([self._number("corpus", source.corpus) for _, source in found])
                weights.add([source.avd_weight for _, source in found])
        rows, corpus, trust = self.ids.mapped(), self.columns["corpus"].mapped(), self.columns["trust"].mapped()
        told, own, weight = ids.mapped(), corpora.mapped(), weights.mapped()
        for mine, theirs in zip(_parts(rows, len(rows)), _parts(told, len(rows)), strict=True):
            order = theirs[np.argsort(told[theirs], kind="stable")]
            if not len(order):
                continue
            place = np.searchsorted(told[order], rows[mine], side="right") - 1
            is_told = (place >= 0) & (told[order[place]] == rows[mine])
            mine, line_of = mine[is_told], order[place[is_told]]
            corpus[mine] = own[line_of]
            trust[mine] *= weight[line_of]
        return Stamp(before.st_size, before.st_mtime_ns, digest.hexdigest(), seen)

    def shards(self) -> dict[str, Column]:
        """Return what the shards were like: bytes and time of change in ns, -1 where there is none, and when that was so."""
        column = Column(np.dtype("<i8"), (3,), self.folder)
        column.add(np.array(self.headers.stats, np.int64))
        return {"shards": column}

    def texts(self, stamps: Mapping[str, Stamp | None]) -> dict[str, str]:
        names = {kind: list(found) for kind, found in self.names.items()} | {"features": list(self.headers.names)}
        layouts = [sorted(layout.items()) for layout in self.headers.layouts]
        kinds = {json.dumps(layout): k for k, layout in enumerate(layouts)}
        different = {text: number for number, text in enumerate(kinds)}
        return {
            "version": str(VERSION),
            **{name: json.dumps(vars(stamp) if stamp else None) for name, stamp in stamps.items()},
            "names": json.dumps(names),
            "layouts": json.dumps([json.loads(text) for text in different]),
            "layout_of": json.dumps([different[json.dumps(layout)] for layout in layouts]),
        }


_NAMES: dict[str, Callable[[ManifestRow], str | None]] = {
    "voice": lambda row: row.voice,
    "language": lambda row: row.language,
    "licence": lambda row: row.licence,
    "read_by": lambda row: row.read_by,
    "emotion": emotion_of,
}


def _parts(ids: np.ndarray, n: int) -> Iterator[np.ndarray]:
    """Split the places of ids so that equal ids are in one part, in their order, and a part of n ids has some TOGETHER."""
    parts = np.uint64(1 + n // TOGETHER)
    step = 1 << 20
    for part in range(int(parts)):
        found = [
            start + np.flatnonzero(ids[start : start + step] % parts == part) for start in range(0, len(ids), step)
        ]
        yield np.concatenate(found) if found else np.empty(0, np.int64)


def _refuse_repeats(manifest: Path, ids: np.ndarray, offsets: np.ndarray) -> None:
    """Refuse an id that appears twice, the first one in the file."""
    repeats: list[tuple[int, int]] = []
    for part in _parts(ids, len(ids)):
        order = part[np.argsort(ids[part], kind="stable")]
        again = np.flatnonzero(ids[order[1:]] == ids[order[:-1]])
        if len(again):
            later = int(order[again + 1].min())
            same = part[ids[part] == ids[later]]
            repeats.append((later, int(same[same < later][-1])))
    if not repeats:
        return
    later, earlier = min(repeats)
    number, name = _named(manifest, int(offsets[later]))
    if name == _named(manifest, int(offsets[earlier]))[1]:
        raise ValueError(f"{manifest}, line {number}: id {name!r} appears twice")
    raise ValueError(f"{manifest}, line {number}: id {name!r} has the 64 bits of another one; give it another name.")


def _named(manifest: Path, offset: int) -> tuple[int, str]:
    """Return the number of the line at an offset, and the id in it."""
    with manifest.open("rb") as file:
        left, number = offset, 1
        while left:
            piece = file.read(min(left, 1 << 20))
            left, number = left - len(piece), number + piece.count(b"\n")
        return number, parse_row(file.readline().decode("utf-8")).id
