"""Load the networks that speak: a checkpoint folder and a backend come in, `Networks` ready to compute go out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from emotts.acceleration.choice import Choice, choose_backend
from emotts.acceleration.swap import accelerate
from emotts.acoustic.model import AcousticModel
from emotts.acoustic.student import FlowStudent
from emotts.checkpoint import CheckpointError, load_checkpoint


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

    Args:
        backend: one of BACKENDS; None is $EMOTTS_BACKEND, then auto.

    Raises:
        FileNotFoundError: no checkpoint there.
        ValueError: the checkpoint is corrupt or holds other modules, or no backend has that name.
    """
    modules, metadata = load_checkpoint(folder, device)
    choice = choose_backend(backend, device)
    acoustic, vocoder = modules.get("acoustic"), modules.get("vocoder")
    if not isinstance(acoustic, AcousticModel) or vocoder is None:
        raise CheckpointError(
            f"{folder} must hold the modules acoustic and vocoder; it holds {', '.join(sorted(modules)) or 'none'}."
            " Join parts with recipes/bundle.py, or point --checkpoint at a whole model."
        )
    student = modules.get("student")
    if not isinstance(student, FlowStudent | None):
        raise CheckpointError(
            f"{folder} must hold a student of flows under that name; it is a {type(student).__name__}."
        )
    accelerate([module for module in (acoustic, vocoder, student) if module is not None], choice)
    return Networks(acoustic, vocoder, metadata, choice, student)
