"""The folder a batch writes: safe names in it, one writer at a time, and a log that survives being killed.

Speech is written to a hidden folder, renamed to its place, and only then logged: a line in results.jsonl means that
its file is whole.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from emotts.audio import FORMATS, save_audio
from emotts.batch.rows import Checker, Row
from emotts.provenance import Provenance, sidecar_path, write_sidecar

RESULTS = "results.jsonl"
PARTIAL = ".partial"
MAX_NAME_BYTES = 200


def check_outputs(rows: Sequence[Row], folder: Path, checker: Checker, may_exist: bool, sidecars: bool = True) -> None:
    """Note outputs that stand twice, lead out of the folder, have a suffix nobody writes, or exist already.

    Args:
        rows: of the batch. folder: to write to; it need not exist yet.
        checker: collects the problems.
        may_exist: whether files that exist are taken over or written anew.
        sidecars: whether each gets a sidecar.
    """
    seen: dict[str, int] = {}
    parents: dict[str, int] = {}
    for row in rows:
        place = f"row {row.number} (line {row.line}), column output"
        problem = _problem(row.output, folder)
        if problem:
            checker.complain(place, f"{problem}; got {row.output[:80]!r}.")
            continue
        name = PurePosixPath(row.output).as_posix().casefold()  # some file systems hold A.wav and a.wav for one
        if name in seen:
            checker.complain(place, f"{row.output!r} is the output of row {seen[name]} too; give each its own.")
        seen.setdefault(name, row.number)
        for parent in PurePosixPath(name).parents:
            parents.setdefault(str(parent), row.number)
        _check_place(folder / row.output, place, checker, may_exist, sidecars)
    beside = {str(sidecar_path(name)): number for name, number in seen.items()} if sidecars else {}
    written = beside | seen
    for name in written.keys() & parents.keys():
        checker.complain(f"row {written[name]}, column output", f"{name!r} is a folder for row {parents[name]}.")


def check_joined(path: Path, checker: Checker, may_exist: bool, sidecars: bool) -> None:
    """Note whether the file that a script is joined to, or its sidecar, exists already."""
    _check_place(path, "script", checker, may_exist, sidecars)


def _check_place(path: Path, place: str, checker: Checker, may_exist: bool, sidecars: bool) -> None:
    beside = sidecar_path(path)
    if sidecars and beside.is_dir():
        checker.complain(
            place, f"{str(beside)!r} is a folder; expected room for a sidecar. Add --no-sidecar, or remove it."
        )
    existing = [file for file in (path, beside) if file.exists() and (sidecars or file is path)]
    if existing and not may_exist:
        checker.complain(place, f"{str(existing[0])!r} exists; add --resume, or --force to overwrite it.")


def _problem(output: str, folder: Path) -> str | None:
    windows = PureWindowsPath(output)
    parts = [part for part in output.split("/") if part not in ("", ".")]
    if not parts or output.endswith("/") or "\\" in output or not output.isprintable():
        return "expected a file name with / between folders"
    if output.startswith("/") or windows.drive or windows.is_reserved() or ".." in parts:
        return "expected a name inside the output folder"
    if any(part.startswith(".") or part != part.strip() or part.endswith(".") for part in parts):
        return "expected names that do not begin or end with a dot or a space"
    if any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        return f"expected names of at most {MAX_NAME_BYTES} bytes"
    if PurePosixPath(output).suffix.lower() not in FORMATS:
        return f"expected a name that ends in one of {', '.join(FORMATS)}"
    place, home = (folder / output).resolve(), folder.resolve()
    if not place.is_relative_to(home):
        return "a link leads out of the output folder"
    if place.exists() and not place.is_file():
        return "expected a file; a folder has this name"
    return None


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Create a folder and keep other batches out of it for a while; what a killed one left half written is cleared away.

    Raises:
        ValueError: another batch writes there, or it is not a folder.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {str(folder)!r} is not a folder; give another name.")
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"another batch is writing to {str(folder)!r}; wait for it, or give another --out."
            ) from None
        shutil.rmtree(folder / PARTIAL, ignore_errors=True)
        (folder / PARTIAL).mkdir()
        yield
    finally:
        shutil.rmtree(folder / PARTIAL, ignore_errors=True)
        os.close(handle)


def write_speech(
    folder: Path,
    output: str,
    waveform: np.ndarray,
    sample_rate: int,
    provenance: Provenance | None = None,
    sidecar: bool = True,
) -> None:
    """Write a file of a batch: there whole or not at all; its sidecar comes after it.

    Raises:
        OSError: it cannot be written.
        ValueError: samples that are not finite.
    """
    place = folder / output
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder / PARTIAL / place.name
    save_audio(temporary, waveform, sample_rate, provenance.to_metadata() if provenance else None)
    put_in_place(temporary, place, provenance if sidecar else None)


def put_in_place(temporary: Path, place: Path, provenance: Provenance | None) -> None:
    """Give a finished file its name, and then its sidecar, if there is a provenance for one."""
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    beside = write_sidecar(temporary, provenance) if provenance else None
    temporary.replace(place)
    if beside:
        beside.replace(sidecar_path(place))


def read_results(folder: Path) -> dict[int, dict[str, Any]]:
    """Return the lines of the log by row; a line that was cut off when its writer died is left out."""
    found: dict[int, dict[str, Any]] = {}
    path = folder / RESULTS
    if not path.is_file():
        return found
    for line in path.read_bytes().split(b"\n"):
        try:
            result = json.loads(line)
            found[int(result["row"])] = result
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return found


def write_results(folder: Path, results: Iterable[dict[str, Any]]) -> None:
    """Replace the log, at once."""
    temporary = folder / PARTIAL / RESULTS
    temporary.write_text("".join(_line(result) for result in results), encoding="utf-8")
    temporary.replace(folder / RESULTS)


def append_result(folder: Path, result: dict[str, Any]) -> None:
    """Add a line to the log and wait until the disk has it."""
    with open(folder / RESULTS, "ab") as file:
        file.write(_line(result).encode())
        file.flush()
        os.fsync(file.fileno())


def _line(result: dict[str, Any]) -> str:
    return json.dumps(result) + "\n"
