"""Join a trained acoustic model and vocoder into one checkpoint, stored as float16: python recipes/bundle.py.

The voices' descriptions and licences come from the teachers that spoke them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from facts import commit
from hydra.utils import get_class
from omegaconf import DictConfig

from emotts.acoustic.model import AcousticModel
from emotts.checkpoint import load_checkpoint, save_checkpoint
from emotts.speaker import VoiceTable

OPEN = ("Apache-2.0", "CC0-1.0", "MIT", "BSD-like", "public domain")


def keep_voices(model: AcousticModel, names: list[str]) -> None:
    """Leave only these voices, and the row for "any voice", in the table of the model."""
    old = model.voices
    rows = [old.index(name) for name in names]
    model.voices = VoiceTable(names, old.embedding.embedding_dim)
    with torch.no_grad():
        model.voices.embedding.weight.copy_(old.embedding.weight[[*rows, old.unknown]])
        model.voices.mean_log_f0.copy_(old.mean_log_f0[rows])


def read_curves(path: str | None) -> dict[str, list[list[float]]]:
    """Return the points (asked, told) of each label that recipes/calibrate_intensity.py wrote; none without a file."""
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else {}


def check_licence(licence: str, trained: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse to publish weights under an open licence that were learnt from data under another.

    Args:
        licence: that the bundle is to have. trained: facts of each part.

    Raises:
        ValueError: a part learnt from data whose licence is none of OPEN, and that is not the one asked for.
    """
    for part, facts in trained.items():
        for one in facts.get("licences", []):
            if licence in OPEN and one not in OPEN:
                raise ValueError(
                    f"licence of the bundle is {licence}, but {part} learnt from data under {one!r}; "
                    "say licence= of these weights, and what else is not as in the configuration."
                )


def main(config: DictConfig) -> None:
    modules, trained = {}, {}
    for name, folder in (("acoustic", Path(config.acoustic_folder)), ("vocoder", Path(config.vocoder_folder))):
        loaded, metadata = load_checkpoint(folder)
        modules[name] = (yaml.safe_load((folder / "config.yaml").read_text())[name], loaded[name])
        trained[name] = metadata
    if config.voices is not None:
        keep_voices(modules["acoustic"][1], list(config.voices))
        modules["acoustic"][0]["voices"] = list(config.voices)
    known = {info.name: asdict(info) for path in config.voice_classes for info in get_class(path).voices.values()}
    check_licence(str(config.licence), trained)
    metadata = {
        "name": config.name,
        "licence": config.licence,
        "data": config.data,
        "commit": commit(),
        "training": trained,
        "level_db": {name: float(level) for name, level in (config.level_db or {}).items()},
        "intensity_curves": read_curves(config.intensity_curves),
        "default_voice": config.default_voice,
        "default_steps": config.default_steps,
        "default_temperature": config.default_temperature,
        "default_prosody_temperature": config.default_prosody_temperature,
        "voices": [known.get(name, {"name": name}) for name in modules["acoustic"][1].voices.names],
    }
    save_checkpoint(config.output, modules, metadata, dtype=torch.float16)
    files = sorted(Path(config.output).iterdir())
    print("\n".join(f"{file.name:32s} {file.stat().st_size / 1e6:8.2f} MB" for file in files))


if __name__ == "__main__":
    from start import run

    run("bundle")
