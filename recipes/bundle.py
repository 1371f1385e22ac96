"""Join a trained acoustic model and vocoder into one checkpoint, stored as float16: python recipes/bundle.py.

The voices' descriptions and licences come from the teachers that spoke them.
"""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import torch
import yaml
from hydra.utils import get_class
from omegaconf import DictConfig

from emotts.acoustic.model import AcousticModel
from emotts.checkpoint import load_checkpoint, save_checkpoint
from emotts.speaker import VoiceTable


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
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    metadata = {
        "name": "emotts-simulated-en",
        "licence": "Apache-2.0",
        "data": "simulated emotion, recipes/simulate_corpus.py",
        "commit": commit,
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
