"""Measure how far each voice lies below its corpus: python recipes/calibrate_level.py corpus=runs/corpus.

Training utterances are spoken again from their tokens, label and arousal-valence-dominance; what is missing in level, in the mean
over them, is printed per voice and written to `output`, the file that the option `level_db` of bundle.py takes.
"""

import json
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from train_acoustic import SAMPLING, condition_of

from emotts.audio import load_audio, speech_level_db
from emotts.checkpoint import load_checkpoint
from emotts.data.dataset import Corpus, collate
from emotts.data.manifest import write_atomically
from emotts.text.symbols import is_pause


def main(config: DictConfig) -> None:
    acoustic = load_checkpoint(Path(config.acoustic_folder))[0]["acoustic"]
    vocoder = load_checkpoint(Path(config.vocoder_folder))[0]["vocoder"]
    missing = {}
    for voice in config.voices or acoustic.voices.names:
        corpus = Corpus(config.corpus, "train", [voice])
        differences = []
        for i in np.random.default_rng(config.seed).permutation(len(corpus))[: config.n_utterances].tolist():
            row = corpus.rows[i]
            condition = condition_of(collate([corpus.utterance(i)]))
            condition.voice[:] = acoustic.voices.index(voice)
            minimum = torch.zeros_like(condition.phonemes)
            minimum[0, : len(row.phonemes)] = torch.tensor([0 if is_pause(token) else 1 for token in row.phonemes])
            generator = torch.Generator().manual_seed(i)
            with torch.inference_mode():
                prosody = acoustic.sample_prosody(
                    condition, minimum, generator=generator, temperature=SAMPLING["default_prosody_temperature"]
                )
                mel = acoustic.sample_mel(
                    condition, prosody, generator=generator, temperature=SAMPLING["default_temperature"]
                )
                spoken = vocoder(mel, prosody.f0, generator=generator)[0].numpy()
            differences.append(speech_level_db(load_audio(Path(config.corpus) / row.audio)) - speech_level_db(spoken))
        missing[voice] = round(float(np.mean(differences)), 2)
        print(f"{voice:12s} {missing[voice]:+.2f} dB, standard deviation {np.std(differences):.2f}", flush=True)
    write_atomically(config.output, json.dumps(missing, indent=1) + "\n")


if __name__ == "__main__":
    from start import run

    run("calibrate_level")
