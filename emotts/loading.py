"""Whatever a recipe saved: a folder or file comes in, the object that works with it goes out, or what it says of itself.

`emotts.load` is `load` of this file. Each kind has a loader of its own, in the table of `load`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emotts.acceleration.load import JUDGE_FILE, is_judge
from emotts.checkpoint.described import Described, count_tensors, describe_checkpoint
from emotts.checkpoint.layout import sha256_of

if TYPE_CHECKING:
    from torch import nn

    from emotts.content.listener import Listener
    from emotts.emotion.direction import Direction
    from emotts.emotion.listening import RecognizerJudge
    from emotts.metrics.features_judge import FeaturesJudge
    from emotts.pipeline import EmoTTS
    from emotts.speaker.reference import ReferenceVoice

CONVERTER = {"speech_encoder", "reference_voice"}


@dataclass(frozen=True)
class Listeners:
    """What a conversion listens with, of one folder: phonemes and content, and who speaks."""

    listener: "Listener"
    reference_voice: "ReferenceVoice"


def load(
    path: str | Path, device: str = "cpu"
) -> "EmoTTS | RecognizerJudge | FeaturesJudge | Listeners | Listener | ReferenceVoice | Direction | nn.Module":
    """Load what a recipe saved.

    Args:
        path: a folder that a recipe exported, or a direction file.
        device: cpu, cuda or cuda:N, of what speaks or listens and of bare networks; judges work on a CPU.

    Returns:
        By what lies there:

        | saved by | object |
        |---|---|
        | bundle, finetune, train_acoustic | `EmoTTS`; an acoustic model alone speaks through an untrained vocoder, and warns |
        | train_recognizer | `RecognizerJudge`, as `emotts.judges.load_judge("recognizer", path)` |
        | train_judge | `FeaturesJudge`, as `load_judge("features", path)` |
        | bundle_converter | `Listeners` |
        | train_content, erase_voice | `Listener`, as `emotts.listeners.load_listener(path)` |
        | train_speaker | `ReferenceVoice`, as `emotts.listeners.load_reference_voice(path)` |
        | train_vocoder, distill_sampler | the network: `HarmonicNoiseGenerator`, `FlowStudent` |
        | finetune mode=emotion, `emotts direction fit` | `Direction`, as `emotts.emotion.direction.load_direction(path)` |

    Raises:
        ValueError: there is nothing, it is damaged, or it is nothing that a recipe saves.
    """
    place = Path(path)
    if place.is_file():
        from emotts.emotion.direction import load_direction

        return load_direction(place)
    from emotts.judges import load_judge

    if is_judge(place):
        return load_judge("features", place)
    held = set(describe_checkpoint(place).configs)
    if "acoustic" in held:
        from emotts.pipeline import EmoTTS

        return EmoTTS.from_pretrained(place, device)
    if held == {"recognizer"}:
        return load_judge("recognizer", place)
    if held <= CONVERTER:
        return _listening(held, place, device)
    from emotts.checkpoint import load_checkpoint

    modules = load_checkpoint(place, device)[0]
    if len(modules) != 1:
        raise ValueError(f"{str(place)!r} holds {', '.join(sorted(modules))}, which no recipe saves together.")
    return next(iter(modules.values()))


def describe(path: str | Path) -> Described:
    """Return what anything that a recipe saved says of itself; arguments and errors are those of `load`."""
    place = Path(path)
    if place.is_file():
        from emotts.emotion.direction import load_direction

        found = load_direction(place)
        config = {"direction": {"_target_": "emotts.emotion.direction.Direction"}}
        return Described(
            place.parent, sha256_of(place.read_bytes()), 1, config, {"direction": found.vector.size}, found.metadata
        )
    if not is_judge(place):
        return describe_checkpoint(place)
    from emotts.metrics.features_judge import FORMAT_VERSION, TENSORS, FeaturesJudge

    metadata = FeaturesJudge.from_pretrained(place).metadata
    config = {"judge": {"_target_": "emotts.metrics.features_judge.FeaturesJudge"}}
    identity = sha256_of((place / JUDGE_FILE).read_bytes())  # which holds the hash of the other file
    return Described(place, identity, FORMAT_VERSION, config, {"judge": count_tensors(place / TENSORS)}, metadata)


def _listening(held: set[str], place: Path, device: str) -> "Listeners | Listener | ReferenceVoice":
    from emotts.listeners import load_listener, load_reference_voice

    if held == CONVERTER:
        return Listeners(load_listener(place, device), load_reference_voice(place, device))
    return load_listener(place, device) if "speech_encoder" in held else load_reference_voice(place, device)
