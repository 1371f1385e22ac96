"""What a conversion listens with, by folder: the speech encoder and the voices known from a recording.

A folder comes in, by default the one that comes with emotts or $EMOTTS_CONVERTER; trained modules go out.
"""

import hashlib
import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from emotts.checkpoint.shipped import shipped_folder

if TYPE_CHECKING:
    from emotts.content.listener import Listener
    from emotts.speaker.reference import ReferenceVoice

FOLDER = "converter"


def load_listener(folder: str | Path | None = None, device: str = "cpu") -> "Listener":
    """Load what hears phonemes and content.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: the folder is corrupt or holds no speech encoder.
    """
    from emotts.content.listener import Listener
    from emotts.content.speech_encoder import SpeechEncoder

    model = _module("speech_encoder", folder, device)
    assert isinstance(model, SpeechEncoder)
    return Listener(model)


def load_reference_voice(folder: str | Path | None = None, device: str = "cpu") -> "ReferenceVoice":
    """Load what hears who speaks; errors are those of `load_listener`."""
    from emotts.speaker.reference import ReferenceVoice

    model = _module("reference_voice", folder, device)
    assert isinstance(model, ReferenceVoice)
    return model


def bundled_converter() -> Path:
    """Return the folder that is loaded by default.

    Raises:
        FileNotFoundError: there is none.
    """
    return shipped_folder(
        FOLDER, "train it with recipes/train_content.py and recipes/train_speaker.py.", "EMOTTS_CONVERTER"
    )


def check_belongs(acoustic: str, content: int, speaker: int, folder: str | Path | None = None) -> None:
    """See that the converter was trained for this acoustic model.

    Args:
        acoustic: fingerprint of the whole acoustic model. content, speaker: widths of its content and its speaker embeddings.

    Raises:
        ValueError: it was made for another one of other widths.
    """
    place = Path(folder) if folder is not None else bundled_converter()
    listener, voice = load_listener(place), load_reference_voice(place)
    widths = (listener.model.content.out_features, voice.encoder.sizes[0])
    remedy = "train one for this model with recipes/train_content.py and recipes/train_speaker.py"
    if widths != (content, speaker):
        raise ValueError(
            f"the converter is of another acoustic model: it has content and speakers of {widths[0]} and {widths[1]} numbers, "
            f"this one {content} and {speaker}; {remedy}, and name it by EMOTTS_CONVERTER."
        )
    known = _loaded(place, "cpu")[1].get("acoustic")
    if known is not None and known != acoustic:
        warnings.warn(f"the converter was trained with other weights of the acoustic model; {remedy}.", stacklevel=2)


def fingerprint(module: nn.Module) -> str:
    """Return a name that changes with the weights of a module."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:16]


def _module(name: str, folder: str | Path | None, device: str) -> nn.Module:
    from emotts.checkpoint import CheckpointError

    place = Path(folder) if folder is not None else bundled_converter()
    if not place.is_dir():
        raise FileNotFoundError(
            f"converter folder {str(place)!r} does not exist; give the folder that a recipe exported."
        )
    modules = _loaded(place, device)[0]
    if name not in modules:
        raise CheckpointError(f"{str(place)!r} holds {', '.join(sorted(modules))}; expected {name}.")
    return modules[name].eval().requires_grad_(False)


@lru_cache(maxsize=2)
def _loaded(place: Path, device: str) -> tuple[dict[str, nn.Module], dict[str, Any]]:
    from emotts.checkpoint import load_checkpoint

    return load_checkpoint(place, device)
