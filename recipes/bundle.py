"""Join a trained acoustic model, a vocoder and a student of its flows into one checkpoint, as float16: python recipes/bundle.py.

Each part is an export of its own or part of an older bundle. Name, data, languages and voices are what these record; simulated
voices are described by the teachers that spoke them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from facts import check_student
from facts_bundle import part_of, read_part, said_of
from hydra.utils import get_class
from omegaconf import DictConfig
from start import refuse_foreign

from emotts.acoustic.model import AcousticModel
from emotts.checkpoint import save_checkpoint
from emotts.emotion.labels import LABELS
from emotts.speaker import VoiceTable

USUAL_VOICE = "heart"  # of the simulated voices


def keep_voices(model: AcousticModel, names: list[str]) -> None:
    """Leave only these voices, and the row for "any voice", in the table of the model."""
    old = model.voices
    rows = [old.index(name) for name in names]
    model.voices = VoiceTable(names, old.embedding.embedding_dim)
    with torch.no_grad():
        model.voices.embedding.weight.copy_(old.embedding.weight[[*rows, old.unknown]])
        model.voices.mean_log_f0.copy_(old.mean_log_f0[rows])


def read_curves(path: str | None) -> dict[str, list[list[float]]]:
    """Return the points (asked, told) of each label that recipes/calibrate_intensity.py wrote; none without a file.

    Raises:
        ValueError: the file holds something else.
    """
    curves = read_json("intensity_curves", path) if path else {}
    if not isinstance(curves, dict) or not curves.keys() <= set(LABELS):
        raise ValueError(
            f"intensity_curves must be a file of labels, as calibrate_intensity.py writes; {path} holds other things."
        )
    return curves


def read_json(option: str, path: str) -> Any:
    """Read the file of an option.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{option} must be a JSON file; {path} is none ({error}).") from None


def read_levels(
    given: Mapping[str, float] | str | None, voices: Sequence[str], shipped: Sequence[str]
) -> dict[str, float]:
    """Return the dB of each shipped voice, given as such or in the file that recipes/calibrate_level.py wrote.

    Args:
        voices: that the acoustic model has; shipped: those of them that go into the bundle.

    Raises:
        ValueError: it holds something else, or voices of another model.
    """
    levels = read_json("level_db", given) if isinstance(given, str) else dict(given or {})
    if not isinstance(levels, dict) or not all(
        isinstance(db, int | float) and math.isfinite(db) for db in levels.values()
    ):
        raise ValueError(f"level_db must give dB by voice, as calibrate_level.py writes; {given} holds other things.")
    if strange := sorted(set(levels) - set(voices)):
        raise ValueError(f"level_db names {', '.join(strange)}; the acoustic model has the voices {', '.join(voices)}.")
    return {name: float(level) for name, level in levels.items() if name in shipped}


def described(classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what classes of emotts that have `voices` tell of each, by name.

    Raises:
        ValueError: a name is of something else; nothing of it was imported.
    """
    known = {}
    for path in classes:
        refuse_foreign(path, "voice_classes")
        voices = getattr(get_class(path), "voices", None)
        if not isinstance(voices, dict):
            raise ValueError(f"voice_classes must name classes with voices; {path} has none.")
        known |= {info.name: asdict(info) for info in voices.values()}
    return known


def card_of(name: str, recorded: Mapping[str, Any], teachers: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of a voice.

    Args:
        recorded: cards by name, of the acoustic model; one with a description is of recordings or of an older bundle.
        teachers: cards by name, of simulated voices; they stand for a voice that nothing describes.
    """
    card = dict(recorded.get(name, {"name": name}))
    return card if card.get("description") else dict(teachers.get(name, card))


def main(config: DictConfig) -> None:
    modules, trained, parts = {}, {}, {}
    folders = {"acoustic": config.acoustic_folder, "vocoder": config.vocoder_folder, "student": config.student_folder}
    for name, folder in ((name, Path(given)) for name, given in folders.items() if given is not None):
        modules[name], parts[name] = read_part(name, folder)
        trained[name] = part_of(name, parts[name], folder)
        steps = parts[name].get("training", {})
        trained |= {step: facts for step, facts in steps.items() if step.startswith("finetune")}
    if "student" in modules:
        check_student(trained["student"], modules["acoustic"][1])
    trained_voices = list(modules["acoustic"][1].voices.names)
    levels = read_levels(config.level_db, trained_voices, list(config.voices or trained_voices))
    if config.voices is not None:
        keep_voices(modules["acoustic"][1], list(config.voices))
        modules["acoustic"][0]["voices"] = list(config.voices)
    acoustic = modules["acoustic"][1]
    known = acoustic.voices.names
    default_voice = config.default_voice or (USUAL_VOICE if USUAL_VOICE in known else known[0])
    if default_voice not in known:
        raise ValueError(f"default_voice must be one of the voices, {', '.join(known)}; got {default_voice!r}.")
    recorded = {card["name"]: card for card in parts["acoustic"].get("voices", [])}
    teachers = described(config.voice_classes)
    languages = list(acoustic.text_encoder.languages or ("en-us",))
    metadata = said_of("emotts", config, parts, trained, languages) | {
        "level_db": levels,
        "intensity_curves": read_curves(config.intensity_curves),
        "default_voice": default_voice,
        "default_steps": config.default_steps,
        "student_steps": config.student_steps,
        "student_prosody_steps": config.student_prosody_steps,
        "default_temperature": config.default_temperature,
        "default_prosody_temperature": config.default_prosody_temperature,
        "voices": [card_of(name, recorded, teachers) for name in acoustic.voices.names],
    }
    save_checkpoint(config.output, modules, metadata, dtype=torch.float16)
    files = sorted(Path(config.output).iterdir())
    print("\n".join(f"{file.name:32s} {file.stat().st_size / 1e6:8.2f} MB" for file in files))


if __name__ == "__main__":
    from start import run

    run("bundle")
