"""States on disk: what a run is resumed from, whole or not there at all.

Comes in: a dict of tensors and numbers. Goes out: the same dict. A state is written beside the old one, flushed to the disk, and
takes its name by renaming; the old one stays as `<name>.previous`. A kill at any moment leaves one of them whole. What is read
must have the form of a state, down to the last number that resuming needs: a file of another form costs a sentence.
"""

import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emotts.durable import replace_durably, temporary_of

SCHEMA = 2  # 1 had no number and knew neither `pieces` nor `skipped`
PICKLE = b"\x80"  # what files of pickle begin with


class StateError(ValueError):
    """A state cannot be used; the message says why and what to do."""


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state; one that stood there becomes the previous one.

    Raises:
        OSError: it cannot be written. What stood there stays.
    """
    try:
        replace_durably(path, lambda file: torch.save(state | {"schema": SCHEMA}, file), previous(path))
    except (OSError, RuntimeError) as error:  # torch tells a full disk as a RuntimeError
        cause = error if isinstance(error, OSError) else error.__context__
        reason = cause.strerror if isinstance(cause, OSError) else str(error).splitlines()[0]
        stays = "The state before it is whole" if path.is_file() else "There is no state yet"
        raise OSError(
            f"{path} could not be written: {reason}. {stays}; make room and run the same command again."
        ) from error


def read_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """Read the newest whole state, None if there is none.

    A damaged one is set aside as `<name>.damaged` once the one before it turned out to be whole, or it would take that one's place
    when the next state is written.

    Raises:
        StateError: it holds code, has another form or schema, or no state there is whole.
    """
    temporary_of(path).unlink(missing_ok=True)  # of a run that was killed while it wrote
    damaged = []
    for place in (path, previous(path)):
        if not place.is_file():
            continue
        try:
            state = _read(place, device)
        except FileNotFoundError:  # another process of the run has just set it aside
            continue
        except _Damaged as error:
            damaged.append(f"{place} is damaged ({error})")
            continue
        if place != path:
            told = f"{path} is missing"
            if damaged:
                told = f"{damaged[0]} and was set aside as {_aside(path).name}"
                with suppress(FileNotFoundError):
                    path.replace(_aside(path))
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


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


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


def check_progress(
    state: dict[str, Any], groups: Sequence[Sequence[Tensor]], averaged: Sequence[Tensor], path: Path
) -> None:
    """Refuse a state whose moments and averages are not of the parameters that are trained.

    Args:
        groups: the parameters of each group of the optimiser. averaged: those that are averaged, in their order.

    Raises:
        StateError: something is missing, or of another form or shape.
    """
    parameters = [parameter for group in groups for parameter in group]
    kept, ema = state["optimizer"], state["ema"]
    try:
        sizes = [len(group["params"]) for group in kept["param_groups"]]
        n_averages, _ = len(ema["shadow_params"]), int(ema["optimization_step"])
        moments = {name: [entry[name] for entry in kept["state"].values()] for name in ("step", *MOMENTS)}
        numbers = list(kept["state"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        told = f"{type(error).__name__} at {error}"
        raise StateError(
            f"{path} is not a state of emotts: moments or averages are malformed ({told}); {_remedy(path)}."
        ) from None
    if sizes != [len(group) for group in groups] or n_averages != len(averaged):
        raise StateError(
            f"{path} trains other parameters of this model ({n_averages} there, {len(averaged)} here); "
            "use another output folder."
        )
    is_whole = set(numbers) <= set(range(len(parameters))) and all(
        isinstance(value, Tensor) and value.shape == parameters[k].shape
        for name in MOMENTS
        for k, value in zip(numbers, moments[name], strict=True)
    )
    is_whole &= all(isinstance(value, int | float) or getattr(value, "ndim", 1) == 0 for value in moments["step"])
    is_whole &= all(
        isinstance(value, Tensor) and value.shape == own.shape
        for value, own in zip(ema["shadow_params"], averaged, strict=True)
    )
    if not is_whole:
        raise StateError(
            f"{path} is not a state of emotts: moments or averages have other shapes than the weights; {_remedy(path)}."
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
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        struct.error,
        zlib.error,
    ) as error:
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
    schema = state.get("schema", 1) if isinstance(state, dict) else 1
    if schema not in (1, SCHEMA):
        raise StateError(
            f"{path} has schema {schema!r:.40}, this version reads 1 and {SCHEMA}; update emotts or use another folder."
        )
    problem = _problem(state)
    if problem is not None:
        raise StateError(f"{path} is not a state of emotts: {problem}; {_remedy(path)}.")
    return state


def _remedy(path: Path) -> str:
    before = previous(path)
    return (
        f"delete it to go on from {before}"
        if path != before and before.is_file()
        else "delete it or use another folder"
    )


def _problem(state: Any) -> str | None:
    """Say what of a state has not the form that resuming needs."""
    if not isinstance(state, dict):
        return f"expected a mapping, got {type(state).__name__}"
    for name, (kinds, told) in FORM.items():
        if name in OPTIONAL and name not in state:
            continue
        if name not in state:
            return f"{name!r} is missing, of {', '.join(FORM)}"
        value = state[name]
        if not isinstance(value, kinds) or isinstance(value, bool):
            return f"{name!r} must be {told}, got {type(value).__name__}"
        if isinstance(value, int | float) and not 0 <= value < float("inf") and name != "seed":
            return f"{name!r} must be 0 or more, got {value}"
    for key, value in state["model"].items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            return f"'model' must map names to tensors, got {key!r:.40}: {type(value).__name__}"
    return None


FORM: dict[str, tuple[Any, str]] = {
    "model": (dict, "a mapping of tensors"),
    "optimizer": (dict, "a mapping"),
    "ema": (dict, "a mapping"),
    "step": (int, "a whole number"),
    "seconds": ((int, float), "a number"),
    "seed": (int, "a whole number"),
    "pieces": (int, "a whole number"),
    "skipped": (int, "a whole number"),
}
MOMENTS = ("exp_avg", "exp_avg_sq")  # of AdamW, of every parameter that ever had a gradient
OPTIONAL = ("pieces", "skipped")  # which schema 1 did not know
