"""What the parts of benchmarks/steer.py stand on: the model, the judge that knows its voices, and the rows of the table."""

import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tables import git_commit

from emotts import EmoTTS
from emotts.emotion.heard import Heard, Judge
from emotts.judges import load_judge
from emotts.reference import neutral_speech
from emotts.speech import Result

SEED = 11


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    control: str
    measure: str
    target: str
    value: str
    n: int
    is_met: bool | None = None


class Bench:
    """The model, the independent judge told every voice, and what was made already."""

    def __init__(self, checkpoint: Path | None, voices: Sequence[str], texts: Sequence[str]) -> None:
        self.tts = EmoTTS.from_pretrained(checkpoint)
        self.voices, self.texts = list(voices), list(texts)
        judge = load_judge("features")
        self.judges: dict[str, Judge] = {v: judge.with_reference(neutral_speech(self.tts, v)) for v in self.voices}
        self.folder = Path(tempfile.mkdtemp(prefix="steer-"))

    @cached_property
    def words(self) -> Any:
        from emotts.metrics.asr import Recogniser

        return Recogniser(threads=2)

    @cached_property
    def speaker(self) -> Callable[[np.ndarray], np.ndarray]:
        from emotts.metrics.speaker import load_speaker_encoder

        return load_speaker_encoder().embed

    def pairs(self) -> list[tuple[int, str, str]]:
        """Return (number, text, voice), the voices in turn."""
        return [(i, text, self.voices[i % len(self.voices)]) for i, text in enumerate(self.texts)]

    def say(self, text: str, voice: str, **options: Any) -> Result:
        return self.tts.synthesize(text, voice=voice, **{"seed": SEED, **options})

    def hear(self, result: Result) -> Heard:
        return self.judges[result.voice].hear(result.waveform, result.sample_rate)

    def heard(self, text: str, voice: str, **options: Any) -> Heard:
        return self.hear(self.say(text, voice, **options))

    def describe(self) -> dict[str, Any]:
        return {"voices": self.voices, "commit": git_commit(), "python": platform.python_version(), "judge": "features"}


def rate(control: str, measure: str, hits: Sequence[bool], least: float) -> Figure:
    share = float(np.mean(hits))
    return Figure(control, measure, f">= {100 * least:.0f} %", f"{100 * share:.1f} %", len(hits), share >= least)


def least(control: str, measure: str, value: float, least: float, n: int) -> Figure:
    return Figure(control, measure, f">= {least:g}", f"{value:.3f}", n, value >= least)


def most(control: str, measure: str, value: float, most: float, n: int, unit: str = "") -> Figure:
    return Figure(control, measure, f"<= {most:g}{unit}", f"{value:.2f}{unit}", n, value <= most)


def place(heard: Heard) -> np.ndarray:
    return np.array(heard.avd)
