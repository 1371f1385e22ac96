"""What every teacher does with its speech before handing it over: durations as asked, level, silence, mel frames.

In: a waveform with its token boundaries and F0. Out: a `Rendition`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotts.audio import SPEC, speech_level_db
from emotts.emotion.rendering import Controls
from emotts.simulation.readings import Reading
from emotts.simulation.teachers import (
    NEUTRAL_LEVEL_DB,
    Rendition,
    apply_gain,
    fit_length,
    frame_durations,
    limit_peaks,
    trim_silence,
)
from emotts.text.symbols import SIL, is_pause

Array = NDArray[np.float64]


def duration_factors(tokens: list[str], controls: Controls, reading: Reading) -> Array:
    """Return the factor [N] on the durations; the silence at both ends keeps its own."""
    pauses = np.array([is_pause(token) for token in tokens])
    silences = np.array([token == SIL for token in tokens])
    factors = np.exp(reading.log_duration) * np.where(pauses, controls.pause, 1.0 / controls.rate)
    return np.where(silences, 1.0, factors)


def finish_rendition(
    waveform: NDArray[np.float32],
    f0: Array,
    times: Array,
    tokens: list[str],
    boundaries: Array,
    controls: Controls,
    reading: Reading,
) -> Rendition:
    """Set the level, trim silence and express everything in mel frames.

    Args:
        waveform: float32 [L] at any level.
        f0: [F] Hz at `times` (samples, evenly spaced), 0 where unvoiced.
        times: [F].
        tokens: N tokens.
        boundaries: [N + 1] in samples.
        controls: The gain and the energy range are applied here.
        reading: Its gain is applied here.
    """
    level = speech_level_db(waveform)
    if np.isfinite(level):
        waveform = waveform * np.float32(10.0 ** ((NEUTRAL_LEVEL_DB - level) / 20.0))
    waveform = apply_gain(waveform, boundaries, controls.gain_db + reading.gain_db, controls.energy_range)
    start, boundaries = trim_silence(waveform, tokens, boundaries)
    durations = frame_durations(boundaries)
    n_frames = int(durations.sum())
    waveform = fit_length(waveform[start:], n_frames * SPEC.hop_length)
    waveform, limited_fraction = limit_peaks(waveform)
    centres = np.arange(n_frames) * SPEC.hop_length + start  # in samples of the untrimmed waveform
    return Rendition(waveform, durations, resample_f0(f0, times, centres), limited_fraction)


def resample_f0(f0: Array, times: Array, centres: NDArray[np.integer]) -> NDArray[np.float32]:
    """Interpolate log F0 [F] at `times` to new `centres` [T] (same unit); the nearest frame says what is voiced."""
    voiced = f0 > 0
    if not voiced.any():
        return np.zeros(len(centres), np.float32)
    step = times[1] - times[0] if len(times) > 1 else 1.0
    nearest = np.clip(np.rint((centres - times[0]) / step).astype(np.int64), 0, len(f0) - 1)
    continuous = np.exp(np.interp(centres, times[voiced], np.log(f0[voiced])))
    return np.where(voiced[nearest], continuous, 0.0).astype(np.float32)


def whole_units(durations: NDArray[np.floating]) -> NDArray[np.int64]:
    """Round durations to whole units of at least 1; the next token gets what rounding took, so tempo stays exact."""
    units = np.empty(len(durations), np.int64)
    carry = 0.0
    for i, duration in enumerate(durations):
        units[i] = max(1, int(np.floor(duration + carry + 0.5)))
        carry = float(np.clip(carry + duration - units[i], -1.0, 1.0))
    return units
