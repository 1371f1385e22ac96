"""States on disk: what a run is resumed from, whole or not there at all.

Comes in: a dict of tensors and numbers. Goes out: the same dict. A state is written beside the old one, flushed to the disk, and
takes its name by renaming; the old one stays as `<name>.previous`. A kill at any moment leaves one of them whole.
"""

import os
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

SCHEMA = 2  # 1 had no number and knew neither `pieces` nor `skipped`
PICKLE = b"\x80"  # what files of pickle begin with


class StateError(ValueError):
    """A state cannot be used; the message says why and what to do."""


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state; one that stood there becomes the previous one.

    Raises:
        OSError: it cannot be written. What stood there stays.
    """
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            torch.save(state | {"schema": SCHEMA}, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:  # torch tells a full disk as a RuntimeError
        temporary.unlink(missing_ok=True)
        cause = error if isinstance(error, OSError) else error.__context__
        reason = cause.strerror if isinstance(cause, OSError) else str(error).splitlines()[0]
        stays = "The state before it is whole" if path.is_file() else "There is no state yet"
        raise OSError(
            f"{path} could not be written: {reason}. {stays}; make room and run the same command again."
        ) from error
    if path.is_file():
        path.replace(previous(path))
    temporary.replace(path)
    _flush_folder(path.parent)


def read_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """Read the newest whole state, None if there is none.

    Raises:
        StateError: it holds code, or is of another schema, or no state there is whole.
    """
    _temporary(path).unlink(missing_ok=True)  # of a run that was killed while it wrote
    damaged = []
    for place in (path, previous(path)):
        if not place.is_file():
            continue
        try:
            state = _read(place, device)
        except _Damaged as error:
            damaged.append(f"{place} is damaged ({error})")
            continue
        if damaged or place != path:
            told = damaged[0] if damaged else f"{path} is missing"
            warnings.warn(f"{told}; going on from {place}, step {state['step']}.", stacklevel=2)
        return state
    if damaged:
        raise StateError(
            f"{' and '.join(damaged)}; delete the folder's states to start anew, or put a whole one there."
        )
    return None


def previous(path: Path) -> Path:
    """Name the state before this one."""
    return path.with_name(f"{path.name}.previous")


def check_model(state: dict[str, Any], model: nn.Module, path: Path) -> None:
    """Refuse a state of another model.

    Raises:
        StateError: names or shapes of tensors differ.
    """
    kept, own = state["model"], model.state_dict()
    different = sorted(kept.keys() ^ own.keys()) + sorted(
        name for name in kept.keys() & own.keys() if kept[name].shape != own[name].shape
    )
    if not different:
        return
    name = different[0]
    there, here = (list(tensors[name].shape) if name in tensors else "nothing" for tensors in (kept, own))
    raise StateError(
        f"{path} is of another model: {len(different)} tensors differ, such as {name} ({there} there, {here} here); "
        "use the settings it was made with or another output folder."
    )


class _Damaged(Exception):
    pass


def _read(path: Path, device: torch.device | str) -> dict[str, Any]:
    with path.open("rb") as file:
        if file.read(1) == PICKLE:
            raise StateError(
                f"{path} is a bare pickle, not a state; it was not opened, for it could run code. Delete it."
            )
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error) as error:
        raise _Damaged(str(error) or "cut off") from error
    if wrong is not None:
        raise _Damaged(f"checksum of {wrong}")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        if type(error).__name__ == "UnpicklingError":
            raise StateError(
                f"{path} holds more than tensors and numbers; it was not opened, for it could run code. Delete it."
            ) from None
        raise _Damaged(str(error).splitlines()[0]) from error
    expected = {"model", "optimizer", "ema", "step", "seconds", "seed"}
    if not isinstance(state, dict) or not expected <= state.keys():
        raise StateError(f"{path} is not a state of emotts: it should hold {', '.join(sorted(expected))}.")
    if state.setdefault("schema", 1) not in (1, SCHEMA):
        raise StateError(
            f"{path} has schema {state['schema']}, this version reads 1 and {SCHEMA}; update emotts or use another folder."
        )
    return state


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _flush_folder(folder: Path) -> None:
    """Make the renaming last through a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
