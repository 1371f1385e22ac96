"""Measure how strongly each label is heard at each intensity: python recipes/calibrate_intensity.py checkpoint=checkpoints/bundled.

The recogniser, told every voice, hears sentences at intensities from 0 to 1.5. The inverse of that curve is written as points
(asked, told), by which equal steps of intensity are heard as equal steps; `intensity_curves` of bundle.yaml takes the file.
"""

import json
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from emotts.emotion.labels import AVD_MEANS, LABELS, MAX_INTENSITY
from emotts.emotion.place import as_asked
from emotts.evaluation.measures import along
from emotts.judges import load_judge
from emotts.pipeline import EmoTTS
from emotts.reference import acquaint

GRID = np.linspace(0.0, MAX_INTENSITY, 7)


def inverse_curve(strength: np.ndarray) -> list[list[float]]:
    """Return points (asked, told): what to tell the model so that the heard strength grows evenly.

    Args:
        strength: heard at each intensity of GRID; scaled here so that intensity 0 has 0 and intensity 1 has 1. Where it falls
            it is taken as level.

    Returns:
        Points from (0, 0) through (1, 1) to MAX_INTENSITY, both columns rising.
    """
    rising = np.maximum.accumulate(strength)
    typical = float(np.interp(1.0, GRID, rising))
    if typical - rising[0] < 0.05:  # hardly heard at all: nothing to be evened out
        return [[0.0, 0.0], [MAX_INTENSITY, MAX_INTENSITY]]
    scaled = (rising - rising[0]) / (typical - rising[0])
    scaled += np.linspace(0.0, 1e-6, len(scaled))  # so that level parts have an inverse
    told = np.interp(GRID, scaled, GRID)
    told = np.maximum.accumulate(np.where(GRID > 1.0, np.maximum(told, 1.0), np.minimum(told, 1.0)))
    told[np.isclose(GRID, 1.0)] = 1.0
    return [[round(float(asked), 3), round(float(value), 3)] for asked, value in zip(GRID, told, strict=True)]


def main(config: DictConfig) -> None:
    tts = EmoTTS.from_pretrained(config.checkpoint)
    tts.even = as_asked
    voices = list(config.voices or [card.name for card in tts.voices])
    judge = load_judge("recognizer", config.judge)
    judges = {voice: acquaint(judge, tts, voice) for voice in voices}
    curves = {}
    for label in LABELS[1:]:
        place = np.array(AVD_MEANS[label])
        strength = np.zeros(len(GRID))
        for i, text in enumerate(config.texts):
            voice = voices[i % len(voices)]
            for k, intensity in enumerate(GRID):
                spoken = tts.synthesize(text, voice=voice, emotion=f"{label}:{intensity:g}", seed=config.seed + i)
                heard = np.array(judges[voice].hear(spoken.waveform, spoken.sample_rate).avd)
                strength[k] += float(along(heard, np.zeros(3), place)) / len(config.texts)
        curves[label] = inverse_curve(strength)
        print(
            f"{label:10s} heard {np.round(strength, 2).tolist()} told {[told for _, told in curves[label]]}", flush=True
        )
    output = Path(config.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(curves, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    from start import run

    run("calibrate_intensity")
