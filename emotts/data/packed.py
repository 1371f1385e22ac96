"""Clips within parquet files, as Hugging Face stores data sets: what stands beside the audio of each row, and the audio itself.

A clip is named `<file>.parquet/<row>`. pyarrow (pip install 'emotts[parquet]') is imported when such a file is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from emotts.data.faults import MachineFault

SUFFIX = ".parquet"
AUDIO = ("audio", "mp3", "wav", "flac", "ogg")  # names of the column, bytes or an object with bytes


def packed_name(path: str, row: int) -> str:
    """Name the clip in a row, counted from 0, of a parquet file."""
    return f"{path}/{row:06d}"


def packed_entries(path: Path) -> list[dict[str, Any]]:
    """Return what stands in each row beside the audio; an object or text in the column `json` is spread out.

    Raises:
        ValueError: the file is not parquet or is damaged, or has no column of audio.
        OSError: the disk does not give it.
        MachineFault: pyarrow is missing.
    """
    file = _parquet(path)
    audio = _audio_column(path, file)
    columns = [name for name in file.schema_arrow.names if name != audio]
    with _reading(path):
        rows = file.read(columns=columns).to_pylist()
    return [_spread(row) for row in rows]


def packed_audio(root: Path, name: str) -> bytes | None:
    """Return the audio file of a clip that lies in a parquet file below `root`, None if it lies in none.

    Raises:
        ValueError: as `packed_entries`; or the row is missing or has no audio.
        MachineFault: pyarrow is missing.
    """
    folder = PurePosixPath(name).parent
    if folder.suffix != SUFFIX or not (root / folder).is_file():
        return None
    left = int(PurePosixPath(name).name)
    metadata = _parquet(root / folder).metadata
    for group in range(metadata.num_row_groups):
        n_rows = metadata.row_group(group).num_rows
        if left < n_rows:
            data = _group(str(root / folder), group)[left]
            data = data.get("bytes") if isinstance(data, dict) else data
            if not isinstance(data, bytes) or not data:
                raise ValueError(f"has no audio in its row of {folder.name}")
            return data
        left -= n_rows
    raise ValueError(f"{folder.name} has no such row; prepare into a new folder")


@lru_cache(maxsize=1)
def _group(path: str, group: int) -> list[Any]:
    """Read the audio of one group of rows; clips come in their order, so the last group is kept."""
    file = _parquet(Path(path))
    column = _audio_column(Path(path), file)
    with _reading(Path(path)):
        return list(file.read_row_group(group, columns=[column]).column(0).to_pylist())


def _parquet(path: Path) -> Any:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MachineFault(
            f"{path.name} is parquet, which needs pyarrow; install it with pip install 'emotts[parquet]'"
        ) from error
    with _reading(path):
        return ParquetFile(path)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Name the file where what is read from it is damaged; what the disk says of itself stays as it is."""
    try:
        yield
    except (ValueError, NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # pyarrow's own have no number
            raise
        raise ValueError(f"{path.name} cannot be read as parquet ({error}); copy it again") from error


def _audio_column(path: Path, file: Any) -> str:
    names = file.schema_arrow.names
    found = next((name for name in AUDIO if name in names), None)
    if found is None:
        raise ValueError(f"{path.name} must have a column {', '.join(AUDIO)}; got {', '.join(names)[:80]}")
    return found


def _spread(row: dict[str, Any]) -> dict[str, Any]:
    values = row.get("json")
    if isinstance(values, str | bytes):
        try:
            values = json.loads(values)
        except (ValueError, RecursionError):
            values = None
    inner = values if isinstance(values, dict) else {}
    return {name: value for name, value in (row | inner).items() if name != "json" and value is not None}
