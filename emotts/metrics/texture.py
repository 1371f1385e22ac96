"""Whether generated mels have the life of real ones: variance, modulation and variety.

Mels [T, M] come in, numbers go out. An average of many possible mels (an L1 prior) is too smooth: its variance
is too low and its fast modulations are missing, after Toda & Tokuda (2007), IEICE Trans. E90-D, 816-824.
"""

from collections.abc import Sequence

import numpy as np

SEGMENT = 64  # frames, 0.68 s
MEL_FLOOR = -6.0  # natural log; what lies below is not heard


def global_variance(mels: Sequence[np.ndarray]) -> np.ndarray:
    """Return the variance over time of each mel bin [M], the mean over utterances [T, M]."""
    return np.mean([np.maximum(mel, MEL_FLOOR).var(axis=0) for mel in mels], axis=0)


def variance_ratio(mels: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> float:
    """Return the geometric mean over bins of the global variance against the references'; 1 is as lively."""
    return float(np.exp(np.mean(np.log(global_variance(mels) / global_variance(references)))))


def modulation_spectrum_db(mels: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean power spectrum along time of the mel bins, in dB [SEGMENT // 2 + 1, M], from 0 to 47 Hz.

    Raises:
        ValueError: no mel is as long as one segment of 64 frames.
    """
    window = np.hanning(SEGMENT)[:, None]
    powers = []
    for mel in mels:
        mel = np.maximum(mel, MEL_FLOOR)
        for start in range(0, len(mel) - SEGMENT + 1, SEGMENT // 2):
            segment = mel[start : start + SEGMENT]
            powers.append(np.abs(np.fft.rfft((segment - segment.mean(axis=0)) * window, axis=0)) ** 2)
    if not powers:
        raise ValueError(f"a modulation spectrum needs mels of at least {SEGMENT} frames.")
    return 10.0 * np.log10(np.mean(powers, axis=0) + 1e-10)


def modulation_distance_db(mels: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> float:
    """Return the mean absolute difference of two modulation spectra in dB, without the lowest band (the mean)."""
    return float(np.mean(np.abs(modulation_spectrum_db(mels) - modulation_spectrum_db(references))[1:]))


def diversity(mels: Sequence[np.ndarray]) -> float:
    """Return the standard deviation over seeds of mels of equal durations, each [T, M], in nepers; 0 is no variety."""
    stack = np.maximum(np.stack(mels), MEL_FLOOR)
    return float(np.sqrt(np.mean(stack.var(axis=0))))
