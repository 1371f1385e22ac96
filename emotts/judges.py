"""The two judges of emotion by name: "recognizer", the network on mels, and "features", functionals and their own models.

A name comes in, a Judge that hears goes out. They learnt from different voices and sentences, so that one may steer and the
other tells whether it worked.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from emotts.checkpoint.shipped import shipped_folder

if TYPE_CHECKING:
    from emotts.emotion.listening import RecognizerJudge
    from emotts.metrics.features_judge import FeaturesJudge

RECOGNIZER, FEATURES = "recognizer", "features"
JUDGES = (RECOGNIZER, FEATURES)
FOLDERS = {RECOGNIZER: "recognizer", FEATURES: "judge"}


def load_judge(name: str, folder: Path | str | None = None) -> "RecognizerJudge | FeaturesJudge":
    """Load a judge from a folder, by default the one that comes with emotts; both keep `emotts.emotion.heard.Judge`.

    Raises:
        ValueError: an unknown name, or a folder that does not hold such a judge.
        FileNotFoundError: no such folder.
    """
    if name not in JUDGES:
        raise ValueError(f"judge must be one of {', '.join(JUDGES)}; got {name!r}.")
    place = Path(folder) if folder is not None else bundled_judge(name)
    if not place.is_dir():
        raise FileNotFoundError(f"judge folder {str(place)!r} does not exist; give the folder that a recipe exported.")
    if name == RECOGNIZER:
        return _load_recognizer(place)
    from emotts.metrics.features_judge import FeaturesJudge

    return FeaturesJudge.from_pretrained(place)


def bundled_judge(name: str) -> Path:
    """Return the folder of a judge that comes with emotts: inside the installed package, else in the repository.

    Raises:
        FileNotFoundError: there is none.
    """
    return shipped_folder(FOLDERS[name], f"train the judge {name!r} with recipes/train_{FOLDERS[name]}.py.")


def _load_recognizer(folder: Path) -> "RecognizerJudge":
    """Load the network, and the frozen encoder in front of it where it was trained on one; the metadata names its folder."""
    from emotts.checkpoint import CheckpointError, load_checkpoint
    from emotts.emotion.listening import RecognizerJudge
    from emotts.emotion.recognizer import Recognizer
    from emotts.emotion.stems import FeatureStem

    modules, metadata = load_checkpoint(folder)
    model = modules.get("recognizer")
    if not isinstance(model, Recognizer):
        raise CheckpointError(f"{str(folder)!r} holds {', '.join(modules)}; expected a recognizer.")
    if not isinstance(model.stem, FeatureStem):
        return RecognizerJudge(model)
    if not metadata.get("backbone"):
        raise CheckpointError(f"{str(folder)!r} reads a frozen encoder, but its metadata names no backbone folder.")
    from emotts.emotion.backbones import load_backbone

    return RecognizerJudge(model, encoder=load_backbone(str(metadata["backbone"])))
