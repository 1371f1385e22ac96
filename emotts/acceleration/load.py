"""Load the networks that speak: a checkpoint folder and a backend come in, `Networks` ready to compute go out."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from emotts.acceleration.choice import Choice, choose_backend
from emotts.acceleration.swap import accelerate
from emotts.acoustic.model import AcousticModel
from emotts.acoustic.student import FlowStudent
from emotts.checkpoint import CheckpointError, load_checkpoint
from emotts.checkpoint.layout import MANIFEST
from emotts.vocoder.baseline import BaselineVocoder

SAMPLING = {"default_temperature": 0.2, "default_prosody_temperature": 0.5}  # of a model that was not bundled yet
READERS = {  # module -> what it is and who reads it
    "vocoder": ("a vocoder", "emotts.load"),
    "student": ("a student of flows", "emotts.load"),
    "recognizer": ("a recogniser", 'emotts.judges.load_judge("recognizer", folder)'),
    "speech_encoder": ("a speech encoder", "emotts.listeners.load_listener"),
    "reference_voice": ("an encoder of voices", "emotts.listeners.load_reference_voice"),
}
JUDGE_FILE = "judge.json"  # of the judge of features, which is no checkpoint


@dataclass(frozen=True)
class Networks:
    """What speaks, the metadata of its checkpoint, and the backend that computes it."""

    acoustic: AcousticModel
    vocoder: nn.Module
    metadata: dict[str, Any]
    backend: Choice
    student: FlowStudent | None = None


def load_networks(folder: Path, device: str, backend: str | None = None) -> Networks:
    """Load the modules acoustic and vocoder of a checkpoint.

    An acoustic model alone, as recipes/train_acoustic.py saves it, gets the vocoder that needs no training, and a warning says so.

    Args:
        backend: one of BACKENDS; None is $EMOTTS_BACKEND, then auto.

    Raises:
        FileNotFoundError: no checkpoint there.
        ValueError: the checkpoint is corrupt or holds what does not speak, or no backend has that name.
    """
    if is_judge(folder):
        raise _speechless(folder, "a judge of features", 'emotts.judges.load_judge("features", folder)')
    modules, metadata = load_checkpoint(folder, device)
    choice = choose_backend(backend, device)
    acoustic, vocoder = modules.get("acoustic"), modules.get("vocoder")
    if not isinstance(acoustic, AcousticModel):
        raise _refusal(folder, modules)
    if vocoder is None:
        warnings.warn(
            f"{folder} holds an acoustic model alone; it speaks through a vocoder that has learnt nothing. "
            "Join it with a trained one by recipes/bundle.py.",
            stacklevel=3,
        )
        vocoder = BaselineVocoder().to(device).eval()
        metadata = SAMPLING | {"training": {"acoustic": metadata}} | metadata
    student = modules.get("student")
    if not isinstance(student, FlowStudent | None):
        raise CheckpointError(
            f"{folder} must hold a student of flows under that name; it is a {type(student).__name__}."
        )
    accelerate([module for module in (acoustic, vocoder, student) if module is not None], choice)
    return Networks(acoustic, vocoder, metadata, choice, student)


def is_judge(folder: Path) -> bool:
    """Whether a folder holds a judge of features, which is no checkpoint of networks."""
    return (folder / JUDGE_FILE).is_file() and not (folder / MANIFEST).is_file()


def _refusal(folder: Path, modules: Iterable[str]) -> CheckpointError:
    """Say in one sentence what a checkpoint holds that does not speak, and who reads it."""
    held = sorted(modules)
    if held == ["reference_voice", "speech_encoder"]:
        return _speechless(folder, "a converter", "emotts.load, or $EMOTTS_CONVERTER with any model that speaks,")
    if len(held) == 1 and held[0] in READERS:
        return _speechless(folder, *READERS[held[0]])
    return CheckpointError(
        f"{folder} must hold the modules acoustic and vocoder; it holds {', '.join(held) or 'none'}."
        " Join parts with recipes/bundle.py, or point --checkpoint at a whole model."
    )


def _speechless(folder: Path, what: str, reader: str) -> CheckpointError:
    return CheckpointError(f"{folder} holds {what}, which does not speak; {reader} reads it.")
