"""How F0 moves when a recording shall feel otherwise or be another's: contours in, a contour out.

The recording's contour is the model's for what was said and felt, and what this speaker made of it. The model's part is exchanged;
the speaker's is kept, as wide as the wanted emotion has contours. All in log2 Hz.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotts.prosody import F0_MAX, F0_MIN

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ContourMove:
    """What is the same all along a recording.

    Attributes:
        source_register, target_register: mean log2 F0 of neutral speech of both voices.
        range_ratio: how much wider contours are in the wanted emotion than in the recording's.
        strength: how far it goes. keep: weight of the speaker's own part.
        pitch: octaves added.
    """

    source_register: float
    target_register: float
    range_ratio: float
    strength: float = 1.0
    keep: float = 1.0
    pitch: float = 0.0

    def __call__(self, f0: NDArray[np.float32], source: Array, target: Array) -> NDArray[np.float32]:
        """Move a contour.

        Args:
            f0: Hz [T], 0 where unvoiced.
            source: the model's contour for what was said as it was felt, relative to the register [T].
            target: likewise for what is wanted [T].

        Returns:
            Hz [T], within the range that the vocoder follows; 0 where unvoiced.
        """
        voiced = f0 > 0
        log_f0 = np.log2(np.maximum(f0, 1.0)).astype(np.float64)
        own = log_f0 - self.source_register - source  # what this speaker made of it
        spread = 1.0 + self.strength * (self.range_ratio - 1.0)
        moved = source + self.strength * (target - source) + self.keep * spread * own
        hertz = np.clip(np.exp2(self.target_register + self.pitch + moved), F0_MIN, F0_MAX)
        return np.where(voiced, hertz, 0.0).astype(np.float32)


def stretched(values: Array, positions: Array) -> Array:
    """Read values [T, ...] at positions [n] in frames, linearly; beyond the ends they hold."""
    positions = np.clip(positions, 0.0, len(values) - 1.0)
    low = np.minimum(positions.astype(np.int64), max(len(values) - 2, 0))
    high = np.minimum(low + 1, len(values) - 1)
    weight = (positions - low).reshape(-1, *([1] * (values.ndim - 1)))
    return values[low] * (1.0 - weight) + values[high] * weight


def stretched_f0(f0: NDArray[np.float32], positions: Array) -> NDArray[np.float32]:
    """Read F0 [T] at positions [n]: in octaves between voiced frames, the nearest frame at the edges of voicing."""
    nearest = np.clip(np.rint(positions).astype(np.int64), 0, len(f0) - 1)
    low = np.clip(np.floor(positions).astype(np.int64), 0, len(f0) - 1)
    high = np.minimum(low + 1, len(f0) - 1)
    both = (f0[low] > 0) & (f0[high] > 0)
    log_f0 = np.log2(np.maximum(f0, 1.0))
    between = np.exp2(stretched(log_f0.astype(np.float64), positions))
    return np.where(both, between, f0[nearest]).astype(np.float32)
