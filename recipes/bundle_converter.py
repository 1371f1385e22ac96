"""Join a trained speech encoder and encoder of voices into one checkpoint, as float16: python recipes/bundle_converter.py.

Name, data and languages are what both parts record.
"""

from pathlib import Path

import torch
from facts_bundle import languages_in, part_of, read_part, said_of
from omegaconf import DictConfig

from emotts.checkpoint import load_checkpoint, save_checkpoint
from emotts.listeners import fingerprint


def main(config: DictConfig) -> None:
    modules, trained, parts = {}, {}, {}
    for name, folder in (
        ("speech_encoder", Path(config.content_folder)),
        ("reference_voice", Path(config.speaker_folder)),
    ):
        modules[name], parts[name] = read_part(name, folder)
        trained[name] = part_of(name, parts[name], folder)
    languages = languages_in(parts.values())
    acoustic = fingerprint(load_checkpoint(config.acoustic_folder)[0]["acoustic"])
    metadata = {"acoustic": acoustic} | said_of("emotts-converter", config, parts, trained, languages)
    save_checkpoint(config.output, modules, metadata, dtype=torch.float16)
    print(config.output)


if __name__ == "__main__":
    from start import run

    run("bundle_converter")
