"""Join a trained speech encoder and encoder of voices into one checkpoint, as float16: python recipes/bundle_converter.py."""

from pathlib import Path

import torch
import yaml
from licences import bundled_licence
from omegaconf import DictConfig

from emotts.checkpoint import load_checkpoint, save_checkpoint
from emotts.listeners import fingerprint


def main(config: DictConfig) -> None:
    modules, trained = {}, {}
    for name, folder in (
        ("speech_encoder", Path(config.content_folder)),
        ("reference_voice", Path(config.speaker_folder)),
    ):
        loaded, trained[name] = load_checkpoint(folder)
        modules[name] = (yaml.safe_load((folder / "config.yaml").read_text())[name], loaded[name])
    metadata = {
        "acoustic": fingerprint(load_checkpoint(config.acoustic_folder)[0]["acoustic"]),
        "name": "emotts-converter-en", "licence": bundled_licence(config.licence, trained), "training": trained,
        "data": "simulated emotion, recipes/simulate_corpus.py, and many voices, recipes/simulate_crowd.py",
    }  # fmt: skip
    save_checkpoint(config.output, modules, metadata, dtype=torch.float16)
    print(config.output)


if __name__ == "__main__":
    from start import run

    run("bundle_converter")
