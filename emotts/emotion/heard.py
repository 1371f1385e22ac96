"""What a judge of emotion says about speech, and the contract that the judges keep.

Comes in: nothing but the judge's own numbers. Goes out: `Heard`, one answer for a piece of speech. Both judges, the network of
emotts/emotion/recognizer.py and the one of acoustic functionals, answer in this form, so that they can be compared.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from emotts.emotion.labels import DIMENSIONS, LABELS

UNCERTAIN = "uncertain"
WINDOW_S = 0.5


@dataclass(frozen=True)
class Heard:
    """What a judge heard in one piece of speech.

    Attributes:
        start_s: where the piece begins, in seconds from the start of the recording.
        end_s: where it ends.
        labels: probability of every name of LABELS; they sum to 1.
        avd: arousal, valence, dominance in [-1, 1].
        avd_std: standard deviation of each of the three.
        embedding: [E] float32, unit length.
        is_uncertain: the calibrated probability of the best label lies below the judge's threshold.
    """

    start_s: float
    end_s: float
    labels: dict[str, float]
    avd: tuple[float, float, float]
    avd_std: tuple[float, float, float]
    embedding: np.ndarray
    is_uncertain: bool

    def __post_init__(self) -> None:
        if set(self.labels) != set(LABELS):
            raise ValueError(
                f"labels must give a probability for each of {', '.join(LABELS)}; got {list(self.labels)}."
            )

    @property
    def label(self) -> str:
        """The most probable label, or "uncertain"."""
        return UNCERTAIN if self.is_uncertain else max(self.labels, key=self.labels.__getitem__)

    def to_dict(self) -> dict[str, object]:
        """Return everything but the embedding as JSON-ready values, rounded to what is meaningful."""
        return {
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "label": self.label,
            "labels": {name: round(p, 4) for name, p in self.labels.items()},
            **{name: round(value, 4) for name, value in zip(DIMENSIONS, self.avd, strict=True)},
            **{f"{name}_std": round(value, 4) for name, value in zip(DIMENSIONS, self.avd_std, strict=True)},
        }


class Judge(Protocol):
    """Something that hears emotion in a waveform."""

    name: str  # "recognizer" or "features"

    def hear(self, waveform: np.ndarray, sample_rate: int) -> Heard:
        """Judge a whole clip.

        Args:
            waveform: mono [L] or [channels, L], float in [-1, 1] or integers of a PCM format.
            sample_rate: Hz, any.

        Raises:
            ValueError: silence, too short, or samples that are not finite, in one line.
        """
        ...

    def windows(self, waveform: np.ndarray, sample_rate: int, window_s: float = WINDOW_S) -> list[Heard]:
        """Judge consecutive pieces of `window_s` seconds; pieces without speech are left out.

        Raises:
            ValueError: as `hear`, or a window that is too short to be judged.
        """
        ...
