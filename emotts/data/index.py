"""The index of a corpus folder: found beside its manifest, checked, made where there is none, and mapped by every process.

Comes in: a manifest. Goes out: columns over its rows, and single rows, parsed from their lines when they are asked for. An index
belongs to the bytes of its manifest: size and time of change tell quickly, sha256 where these differ or are too young to tell, and
a checksum guards each line. It lies beside the manifest as manifest.index, else in the user's cache, else in a file without a name.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from emotts.data.headers import Layout, stat_of
from emotts.data.index_build import SHAPES, VERSION, Stamp, build_index
from emotts.data.index_file import FormatError, copy_with_texts, map_columns
from emotts.data.manifest import REMEDY, ManifestRow, parse_row
from emotts.data.trust import FILE
from emotts.durable import locked, user_cache

MANIFEST = "manifest.jsonl"
YOUNG_NS = (
    2_000_000_000  # a file may change within the tick of its clock; some file systems count in steps of two seconds
)


class Index:
    """A mapped index.

    Attributes:
        manifest: path of the manifest.
        columns: numbers by name [R, ...], see SHAPES in index_build.py.
        names: what the numbers of "voice", "language" and so on, and of the shards ("features"), stand for.
        layouts: of each shard.
    """

    def __init__(self, manifest: Path, file: IO[bytes]) -> None:
        """Map an index.

        Raises:
            FormatError: it is of another kind or version.
            OSError: the manifest cannot be opened.
        """
        mapped = map_columns(file)
        self.manifest, self.columns = manifest, mapped.columns
        try:
            if json.loads(mapped.texts["version"]) != VERSION or not SHAPES.keys() <= self.columns.keys():
                raise FormatError(f"version {mapped.texts['version']}")
            self.stamps = {
                name: Stamp(**found) if (found := json.loads(mapped.texts[name])) else None
                for name in ("manifest", "origins")
            }
            self.names: dict[str, list[Any]] = json.loads(mapped.texts["names"])
            kinds: list[Layout] = [
                {key: (kind, tuple(shape)) for key, (kind, shape) in layout}
                for layout in json.loads(mapped.texts["layouts"])
            ]
            self.layouts = [kinds[number] for number in json.loads(mapped.texts["layout_of"])]
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise FormatError(str(error)) from None
        self.texts = mapped.texts
        self._handle = os.open(manifest, os.O_RDONLY)  # a manifest that takes its place later is another file

    def __len__(self) -> int:
        return len(self.columns["offset"])

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            os.close(self._handle)

    def row(self, i: int) -> ManifestRow:
        """Parse row i from its line.

        Raises:
            ValueError: the line is not the one that was indexed.
        """
        size = int(self.columns["size"][i])
        line = os.pread(self._handle, size, int(self.columns["offset"][i]))
        if len(line) != size or zlib.crc32(line) != self.columns["checksum"][i]:
            raise ValueError(f"{self.manifest} was changed since the program began to read it; start it again.")
        return parse_row(line.decode("utf-8"))

    def has_shards_as_they_are(self) -> bool:
        """Whether the shards of features are still those that the index knows, by size and time of change."""
        folder, known = self.manifest.parent, self.columns["shards"]
        return all(
            stat_of(folder / name) == (size, mtime) and mtime <= seen - YOUNG_NS
            for name, (size, mtime, seen) in zip(self.names["features"], known.tolist(), strict=True)
        )


def open_index(manifest: Path, with_features: bool = True) -> Index:
    """Return the index of a manifest; it is made, or made anew, where there is none that fits.

    Args:
        with_features: check that the shards are those that the index knows, too.

    Raises:
        FileNotFoundError: there is no manifest.
        ValueError: a row or an origin is wrong or an id appears twice; the message names the line.
        OSError: there is no place for an index.
    """
    if not manifest.is_file():
        raise FileNotFoundError(f"no manifest at {manifest}; {REMEDY}")
    for place in _places(manifest):
        found = _fitting(manifest, place, with_features)
        if found is not None:
            return found
    for place in _places(manifest):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with _alone(place):
                found = _fitting(manifest, place, with_features)  # another process may have made it
                return found or _written(manifest, place, partial(build_index, manifest, folder=place.parent))
        except OSError:
            if not manifest.is_file():
                raise
    with tempfile.TemporaryFile() as file:
        build_index(manifest, file, folder=Path(tempfile.gettempdir()))
        return Index(manifest, file)  # what is mapped stays


def _places(manifest: Path) -> Iterator[Path]:
    """Name where an index may lie: beside its manifest, or in the user's cache."""
    yield manifest.with_name(f"{manifest.stem}.index")
    with contextlib.suppress(RuntimeError, OSError):  # an account without a home
        name = hashlib.sha256(str(manifest.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        yield user_cache("indexes") / f"{name}.index"


def _fitting(manifest: Path, place: Path, with_features: bool) -> Index | None:
    """Return the index at a place if it is of these files."""
    try:
        with place.open("rb") as file:
            index = Index(manifest, file)
            now = {"manifest": _checked(manifest, index.stamps["manifest"])}
            now["origins"] = _checked(manifest.with_name(FILE), index.stamps["origins"])
            if now["manifest"] is None or (now["origins"] is None) != (index.stamps["origins"] is None):
                return None
            if with_features and not index.has_shards_as_they_are():
                return None
            if now != index.stamps:
                texts = {**index.texts, **{name: json.dumps(vars(s) if s else None) for name, s in now.items()}}
                with contextlib.suppress(OSError):  # it is checked again next time
                    return _written(manifest, place, lambda new: copy_with_texts(file, new, texts))
            return index
    except (OSError, FormatError, _Changed):
        return None


class _Changed(Exception):
    pass


def _checked(path: Path, stamp: Stamp | None) -> Stamp | None:
    """Return what is known of a file that is still the one it was, None if there was and is none.

    Raises:
        _Changed: it is not.
    """
    size, mtime_ns = stat_of(path)
    if stamp is None:
        if size >= 0:
            raise _Changed
        return None
    if size != stamp.size:
        raise _Changed
    if mtime_ns == stamp.mtime_ns and mtime_ns <= stamp.seen_ns - YOUNG_NS:
        return stamp
    seen = time.time_ns()
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != stamp.sha256:
            raise _Changed
    return replace(stamp, mtime_ns=mtime_ns, seen_ns=seen)


def _written(manifest: Path, place: Path, content: Callable[[IO[bytes]], None]) -> Index:
    """Write an index under a name of its own, then rename it, so that several processes at once all leave a whole one."""
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "w+b") as file:
            content(file)
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
            Path(name).replace(place)
            return Index(manifest, file)
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Wait while another process makes this index, which would cost both the time; where files cannot be locked, both make it."""
    path = place.with_name(f".{place.name}.lock")
    with locked(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
