"""What benchmarks/convert.py handles: clips, targets and what was heard, a store of measures, and measures of its own.

Waveforms and tokens come in, numbers go out.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emotts.audio import SPEC, LogMel, extract_f0
from emotts.emotion.spec import EmotionSpec
from emotts.text.symbols import is_pause

SEED = 11


@dataclass(frozen=True)
class Clip:
    """Sound that is measured: waveform float32 [L] at 24 kHz, and what a conversion said beside it."""

    waveform: np.ndarray
    warnings: tuple[str, ...] = ()
    source_emotion: str | None = None

    @cached_property
    def key(self) -> str:
        return hashlib.sha256(np.ascontiguousarray(self.waveform).tobytes()).hexdigest()[:20]


@dataclass(frozen=True)
class Target:
    """A voice to convert to: `value` is what the option `voice` takes, `own` are other recordings of it."""

    name: str
    value: Any
    own: tuple[Clip, ...]


@dataclass(frozen=True)
class Heard:
    """What a judge heard, as far as it is kept."""

    labels: dict[str, float]
    avd: tuple[float, float, float]

    def rank(self, label: str) -> int:
        """Return how many labels are more probable."""
        return sum(p > self.labels[label] for p in self.labels.values())

    @property
    def place(self) -> np.ndarray:
        return np.array(self.avd)


@dataclass
class Store:
    """Values by key in a JSON-lines file; what is there is not computed again."""

    path: Path
    known: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []:
            try:
                row = json.loads(line)
            except json.JSONDecodeError:  # cut short by an interruption
                continue
            self.known[row["key"]] = row["value"]

    def keep(self, key: str, compute: Callable[[], Any]) -> Any:
        if key not in self.known:
            self.known[key] = compute()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "value": self.known[key]}) + "\n")
        return self.known[key]


@torch.inference_mode()
def copy_synthesis(vocoder: Any, waveform: np.ndarray) -> np.ndarray:
    """Analyse a waveform [L] and let the vocoder speak it again [L // hop * hop]."""
    n_frames = len(waveform) // SPEC.hop_length
    mel = LogMel()(torch.from_numpy(waveform)[None])[:, :n_frames]
    f0 = torch.from_numpy(extract_f0(waveform)[:n_frames]).float()[None]
    generator = torch.Generator().manual_seed(SEED)
    return vocoder(mel, f0, generator=generator)[0].float().numpy()


def mel_distance_db(one: np.ndarray, other: np.ndarray, floor_db: float = 60.0) -> float:
    """Return the mean absolute difference of two log mels in dB, leaving out what lies `floor_db` below the peak in both."""
    n = min(len(one), len(other))
    a, b = (LogMel()(torch.from_numpy(x[:n])[None])[0].numpy() * 20.0 / np.log(10.0) for x in (one, other))
    is_heard = np.maximum(a, b) > max(a.max(), b.max()) - floor_db
    return float(np.abs(a - b)[is_heard].mean())


def main_label(spec: EmotionSpec) -> str:
    """Return the strongest label of a specification; what its weights leave is neutral."""
    weights = dict(spec.weights)
    weights["neutral"] = max(0.0, 1.0 - sum(weights.values()))
    return max(weights, key=lambda name: weights[name])


def word_borders(tokens: Sequence[str], durations: Sequence[int]) -> list[float]:
    """Return begin and end of every word in seconds [2 W]; whatever is a pause separates words."""
    ends = np.cumsum(durations)
    found: list[float] = []
    inside = False
    for token, end, duration in zip(tokens, ends, durations, strict=True):
        if is_pause(token):
            inside = False
            continue
        if not inside:
            found += [float(end - duration), 0.0]
        found[-1] = float(end)
        inside = True
    return [round(frame / SPEC.frame_rate, 4) for frame in found]
