"""How loud a recording is to an ear: a waveform comes in, its integrated loudness in LUFS goes out.

ITU-R BS.1770-5 (2023), Annex 1, for one channel: the K weighting, a shelf for the head and a high pass, then the mean power of
the blocks that are not pauses. The weighting is applied in the frequency domain, so that it needs nothing but numpy.
"""

import math

import numpy as np

BLOCK_S, STEP_S = 0.4, 0.1
ABSOLUTE_LUFS = -70.0  # quieter blocks are silence
RELATIVE_LU = -10.0  # blocks this far below the mean of the others are pauses
OFFSET_DB = -0.691  # makes a full-scale sine of 997 Hz -3.01 LUFS
SHELF_HZ, SHELF_DB, SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
HIGH_PASS_HZ, HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773
TAIL_S = 0.5  # zeros behind the signal, in which the high pass dies away


def loudness_lufs(waveform: np.ndarray, sample_rate: int) -> float:
    """Return the integrated loudness of [L] samples in [-1, 1]; -inf for silence.

    What is shorter than a block is measured as one block.
    """
    n_block = round(BLOCK_S * sample_rate)
    weighted = _weighted(np.asarray(waveform, np.float64), sample_rate)
    if len(weighted) < n_block:
        weighted = np.pad(weighted, (0, n_block - len(weighted))) * math.sqrt(n_block / max(1, len(weighted)))
    energy = np.concatenate([[0.0], np.cumsum(weighted**2)])
    starts = np.arange(0, len(weighted) - n_block + 1, round(STEP_S * sample_rate))
    powers = (energy[starts + n_block] - energy[starts]) / n_block
    loud = powers[powers > _power(ABSOLUTE_LUFS)]
    if not len(loud):
        return -math.inf
    spoken = loud[loud > loud.mean() * 10.0 ** (RELATIVE_LU / 10.0)]
    return OFFSET_DB + 10.0 * math.log10(float(spoken.mean()))


def _weighted(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the K-weighted samples [L]."""
    n = len(waveform) + round(TAIL_S * sample_rate)
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(n))
    response = _shelf(sample_rate, z) * _high_pass(sample_rate, z)
    return np.fft.irfft(np.fft.rfft(waveform, n) * response, n)[: len(waveform)]


def _shelf(sample_rate: int, z: np.ndarray) -> np.ndarray:
    """Return the response of the shelf; at 48 kHz its coefficients are those of Table 1."""
    k = math.tan(math.pi * SHELF_HZ / sample_rate)
    high = 10.0 ** (SHELF_DB / 20.0)
    band = high**0.4996667741545416
    upper = (high + band * k / SHELF_Q + k * k) + 2.0 * (k * k - high) * z + (high - band * k / SHELF_Q + k * k) * z**2
    return upper / ((1.0 + k / SHELF_Q + k * k) + 2.0 * (k * k - 1.0) * z + (1.0 - k / SHELF_Q + k * k) * z**2)


def _high_pass(sample_rate: int, z: np.ndarray) -> np.ndarray:
    """Return the response of the high pass; at 48 kHz its coefficients are those of Table 2."""
    k = math.tan(math.pi * HIGH_PASS_HZ / sample_rate)
    below = 1.0 + k / HIGH_PASS_Q + k * k
    return (1.0 - z) ** 2 / (1.0 + (2.0 * (k * k - 1.0) * z + (1.0 - k / HIGH_PASS_Q + k * k) * z**2) / below)


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs - OFFSET_DB) / 10.0))
