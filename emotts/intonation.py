"""The melody of a recording, and a reading that takes it over.

Comes in: a waveform [L]. Goes out: an `Intonation`, its F0 in octaves around its mean over the normalised time of its speech,
which `impose_intonation` lays over another reading. The register stays the reading's own; only the shape is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from emotts.audio import SPEC, extract_f0
from emotts.text.symbols import is_pause, is_voiced

if TYPE_CHECKING:
    from emotts.prosody import Reading

WEIGHT_RANGE = (0.0, 1.5)
SHORTEST_S, SHORTEST_VOICED_S = 0.25, 0.1
LEAST_VOICED_SHARE = 0.1
SPEECH_BELOW_PEAK_DB = 35.0
SILENCE_DBFS = -70.0
_MEDIAN, _SMOOTH = 5, 3  # frames


@dataclass(frozen=True)
class Intonation:
    """The shape of an F0 contour.

    Attributes:
        octaves: log2 F0 less its mean over voiced frames [P], evenly spaced from the first sound to the last; unvoiced parts
            are bridged by straight lines.
        mean_hz: geometric mean of the voiced F0.
        duration_s: of the speech part.
    """

    octaves: np.ndarray
    mean_hz: float
    duration_s: float


def intonation_of(waveform: np.ndarray, sample_rate: int) -> Intonation:
    """Measure the intonation of a recording [L], what is silent before and after it left out.

    Raises:
        ValueError: no single channel, samples that are not finite, silence, too short, or too little that is voiced.
    """
    waveform = np.asarray(waveform, np.float32)
    if waveform.ndim != 1 or not np.isfinite(waveform).all():
        raise ValueError(
            f"recording must be one channel [L] of finite samples; got {list(waveform.shape)}. See `load_audio`."
        )
    speech = _speech_part(waveform, sample_rate)
    duration_s = len(speech) / sample_rate
    if duration_s < SHORTEST_S:
        raise ValueError(
            f"recording must hold at least {SHORTEST_S:g} s of speech to copy its intonation; got {duration_s:.2f} s."
        )
    f0 = extract_f0(speech, sample_rate, round(sample_rate / SPEC.frame_rate))
    voiced = np.flatnonzero(f0 > 0)
    voiced_s = len(voiced) / SPEC.frame_rate
    if voiced_s < SHORTEST_VOICED_S or len(voiced) < LEAST_VOICED_SHARE * len(f0):
        raise ValueError(
            f"recording must have a voice with a pitch to copy its intonation; {voiced_s:.2f} of its {duration_s:.2f} s are "
            "voiced. Whispered or noisy speech has none; give another recording."
        )
    octaves = _median(np.log2(f0[voiced].astype(np.float64)), _MEDIAN)  # single octave errors go
    line = np.interp(np.arange(len(f0)), voiced, octaves)
    line = np.convolve(np.pad(line, _SMOOTH // 2, mode="edge"), np.full(_SMOOTH, 1.0 / _SMOOTH), mode="valid")
    mean = line[voiced].mean()
    return Intonation(line - mean, float(2.0**mean), duration_s)


def impose_intonation(reading: Reading, tokens: Sequence[str], intonation: Intonation, weight: float = 1.0) -> Reading:
    """Give a reading the shape of another contour over the time from its first sound to its last.

    Args:
        reading: N tokens.
        tokens: phoneme tokens [N].
        intonation: the shape.
        weight: 0 keeps the reading's own shape, 1 replaces it, above 1 exaggerates what differs.

    Returns:
        The reading; its mean over voiced sounds, weighted by their time, is what it was.

    Raises:
        ValueError: weight outside WEIGHT_RANGE, or tokens without a sound.
    """
    if isinstance(weight, bool) or not WEIGHT_RANGE[0] <= weight <= WEIGHT_RANGE[1]:
        raise ValueError(
            f"weight of the intonation must be a number from 0 to {WEIGHT_RANGE[1]:g}; got {weight!r:.40}."
        )
    durations = np.asarray(reading.durations, np.float64)
    sounds = [place for place, token in enumerate(tokens) if not is_pause(token)]
    if len(tokens) != len(durations) or not sounds:
        raise ValueError(
            f"reading must have sounds, and {len(durations)} tokens as it has durations; got {len(tokens)}."
        )
    starts = np.cumsum(durations) - durations
    first, last = starts[sounds[0]], starts[sounds[-1]] + durations[sounds[-1]]
    place = (anchor_times(durations) - first) / max(last - first, 1e-9)
    grid = (np.arange(len(intonation.octaves)) + 0.5) / len(intonation.octaves)
    shape = np.interp(place, grid, intonation.octaves)
    own = np.asarray(reading.log_f0, np.float64)
    voiced = [token for token in sounds if is_voiced(tokens[token])] or sounds
    share = np.maximum(durations[voiced], 1e-6)[:, None] / (2.0 * np.maximum(durations[voiced], 1e-6).sum())
    mean = (own[voiced] * share).sum()
    copied = shape - (shape[voiced] * share).sum() + mean
    return replace(reading, log_f0=own + weight * (copied - own))


def anchor_times(durations: np.ndarray) -> np.ndarray:
    """Return when the F0 anchors of each token lie, a quarter and three quarters through it, in frames [N, 2]."""
    starts = np.cumsum(durations) - durations
    return np.stack([starts + 0.25 * durations, starts + 0.75 * durations], axis=-1)


def _speech_part(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Cut a waveform to what lies between its first and its last frame of speech."""
    length = max(1, round(sample_rate / SPEC.frame_rate))
    frames = waveform[: len(waveform) // length * length].reshape(-1, length).astype(np.float64)
    level_db = 10.0 * np.log10((frames**2).mean(axis=1) + 1e-12)
    peak_db = level_db.max(initial=-120.0)
    if peak_db < SILENCE_DBFS:
        raise ValueError("recording is silent; to copy its intonation it must hold speech. Give another recording.")
    loud = np.flatnonzero(level_db > peak_db - SPEECH_BELOW_PEAK_DB)
    return waveform[loud[0] * length : (loud[-1] + 1) * length]


def _median(values: np.ndarray, width: int) -> np.ndarray:
    padded = np.pad(values, width // 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=-1)
