"""The contract between the simulated corpus and the open voices ("teachers") that speak it.

In: phoneme tokens, a voice name, `Controls` (the emotion) and a `Reading` (natural variation). Out: a `Rendition` whose
durations and F0 are known exactly because the teacher made them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emotts.audio import SPEC
from emotts.emotion.rendering import Controls
from emotts.simulation.contour import spread_over_frames
from emotts.simulation.readings import Reading
from emotts.text.symbols import is_pause

NEUTRAL_LEVEL_DB = -25.0  # RMS over speech of a neutral rendition, dBFS; `gain_db` comes on top
PEAK_LIMIT = 0.95
LEADING_S, TRAILING_S = 0.080, 0.160  # most silence kept at the ends


@dataclass(frozen=True)
class VoiceInfo:
    """What a listener should know about a voice.

    Attributes:
        name: Name used in manifests and by the model.
        gender: "female", "male" or "child".
        accent: For example "American English".
        teacher: Name of the teacher that speaks it.
        licence: Licence of the voice, an SPDX identifier where there is one.
        description: One line for people.
    """

    name: str
    gender: str
    accent: str
    teacher: str
    licence: str
    description: str


@dataclass(frozen=True)
class VoiceShape:
    """How a voice differs from its network's own.

    Attributes:
        formant: Factor on the formant frequencies.
        register_st: Shift of F0 in semitones.
        tilt_db_per_oct: Spectral tilt around 1 kHz, positive is brighter; tells apart voices of like formants.
    """

    formant: float = 1.0
    register_st: float = 0.0
    tilt_db_per_oct: float = 0.0


@dataclass(frozen=True)
class Rendition:
    """One spoken utterance with its exact alignment.

    Attributes:
        waveform: float32 [L] at 24 kHz, L = durations.sum() * 256.
        durations: int64 [N] in mel frames, one per token.
        f0: float32 [T] in Hz at the centres of the mel frames (sample 256 * i), 0 = unvoiced.
        limited_fraction: Part of the samples on which the peak limiter acted.
    """

    waveform: NDArray[np.float32]
    durations: NDArray[np.int64]
    f0: NDArray[np.float32]
    limited_fraction: float = 0.0


class Teacher(Protocol):
    """An open voice (or several) that can be steered."""

    voices: dict[str, VoiceInfo]

    def speak(self, tokens: list[str], voice: str, controls: Controls, reading: Reading, seed: int) -> Rendition:
        """Speak tokens of one utterance (`<sil>` at both ends); the same arguments give the same samples."""
        ...


def frame_durations(boundaries: NDArray[np.floating]) -> NDArray[np.int64]:
    """Round token boundaries in samples to durations in frames without accumulating an error.

    Args:
        boundaries: [N + 1] in samples, starting at 0, not decreasing.

    Returns:
        int64 [N] ; the sum is the rounded last boundary.
    """
    return np.diff(np.floor(np.asarray(boundaries, np.float64) / SPEC.hop_length + 0.5)).astype(np.int64)


def fit_length(waveform: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Cut the end of a waveform [L], or append zeros to it, so that it has exactly `length` samples."""
    return np.pad(waveform[:length], (0, max(0, length - len(waveform)))).astype(np.float32)


def limit_peaks(waveform: NDArray[np.float32], limit: float = PEAK_LIMIT) -> tuple[NDArray[np.float32], float]:
    """Bend samples above 0.8 of the limit smoothly below it.

    Args:
        waveform: float32 [L].
        limit: Largest magnitude of the result.

    Returns:
        The waveform [L] and the fraction of samples that were changed.
    """
    knee = 0.8 * limit
    magnitude = np.abs(waveform)
    over = magnitude > knee
    if not over.any():
        return waveform.astype(np.float32), 0.0
    bent = knee + (limit - knee) * np.tanh((magnitude - knee) / (limit - knee))
    return np.where(over, np.sign(waveform) * bent, waveform).astype(np.float32), float(over.mean())


def apply_gain(
    waveform: NDArray[np.float32],
    boundaries: NDArray[np.floating],
    gain_db: NDArray[np.floating],
    energy_range: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Apply a gain per token, and widen or narrow the loudness contour around its mean.

    Args:
        waveform: float32 [L].
        boundaries: [N + 1] token boundaries in samples.
        gain_db: [N].
        energy_range: [N] factor on the deviation from the mean level; its effect is limited to 5 dB.

    Returns:
        float32 [L].
    """
    block = 240
    n_blocks = -(-len(waveform) // block)
    power = np.pad(waveform, (0, n_blocks * block - len(waveform))).reshape(n_blocks, block).astype(np.float64) ** 2
    kernel = np.hanning(13)[1:-1]  # about 60 ms: follows syllables, not periods
    level_db = 10.0 * np.log10(np.convolve(power.mean(axis=1), kernel / kernel.sum(), mode="same") + 1e-12)
    is_speech = level_db > level_db.max() - 30.0
    deviation_db = np.clip(level_db - level_db[is_speech].mean(), -15.0, 15.0)
    centres = (np.arange(n_blocks) + 0.5) * block
    stretch = spread_over_frames(energy_range, boundaries, centres) - 1.0
    total_db = spread_over_frames(gain_db, boundaries, centres) + np.clip(stretch * deviation_db, -5.0, 5.0)
    gain = 10.0 ** (np.interp(np.arange(len(waveform)), centres, total_db) / 20.0)
    return (waveform * gain).astype(np.float32)


def trim_silence(
    waveform: NDArray[np.float32], tokens: list[str], boundaries: NDArray[np.floating]
) -> tuple[int, NDArray[np.float64]]:
    """Shorten the silence at both ends to at most 80 ms before speech and 160 ms after it.

    Only tokens that are pauses give time away, `<sil>` first.

    Args:
        waveform: float32 [L].
        tokens: N tokens.
        boundaries: [N + 1] in samples.

    Returns:
        The first sample to keep, and the new boundaries [N + 1] counted from it.
    """
    edges = np.asarray(boundaries, np.float64).copy()
    first, last = _first_and_last_sound(waveform)
    spoken = [i for i, token in enumerate(tokens) if not is_pause(token)]
    if not spoken:
        return 0, edges
    start = max(0, int(min(first, edges[spoken[0]]) - LEADING_S * SPEC.sample_rate))
    end = min(edges[-1], max(last, edges[spoken[-1] + 1]) + TRAILING_S * SPEC.sample_rate)
    return start, np.clip(edges, start, end) - start


def _first_and_last_sound(waveform: NDArray[np.float32], below_peak_db: float = 42.0) -> tuple[int, int]:
    """Return the samples between which 10 ms blocks are within `below_peak_db` of the loudest one."""
    block = SPEC.sample_rate // 100
    blocks = waveform[: len(waveform) // block * block].reshape(-1, block).astype(np.float64)
    power = (blocks**2).mean(axis=1)
    loud = np.flatnonzero(power > power.max(initial=0.0) * 10.0 ** (-below_peak_db / 10.0))
    return (int(loud[0]) * block, int(loud[-1] + 1) * block) if len(loud) else (0, len(waveform))
