"""Edit an F0 contour and spread values per token over frames.

In: a teacher's F0 [F] with the token boundaries, `Controls` and a `Reading`. Out: the F0 that the voice shall follow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotts.emotion.rendering import Controls
from emotts.simulation.readings import Reading
from emotts.text.symbols import is_pause, is_vowel

Array = NDArray[np.float64]

ACCENT_UNIT_ST = 10.0  # usual F0 range of a reading; `accent` is a part of it
F0_LOW, F0_HIGH, F0_ROOM_ST = 70.0, 520.0, 3.0  # Hz, soft limits: what goes beyond bends within 3 semitones
TREMOR_HZ = (5.0, 8.0)
LOW_RANGE_SHARE = 0.35  # a wider range raises the peaks; the base line of a voice hardly moves
SHORTEST_RAMP_S = 0.12  # a final slope takes at least this long
FULL_RISE_ST = 4.0  # a final rise of this size replaces the reading's own final fall


def spread_over_frames(
    values: NDArray[np.floating], boundaries: NDArray[np.floating], times: NDArray[np.floating]
) -> Array:
    """Interpolate values [N] per token, placed at the token centres, at `times` [F].

    Args:
        values: [N].
        boundaries: [N + 1] token boundaries, in the unit of `times`. Tokens without duration are left out.
        times: [F], not decreasing.
    """
    edges = np.asarray(boundaries, np.float64)
    has_duration = np.diff(edges) > 0
    centres = 0.5 * (edges[1:] + edges[:-1])
    return np.interp(times, centres[has_duration], np.asarray(values, np.float64)[has_duration])


def edit_f0(
    f0: NDArray[np.floating],
    times_s: NDArray[np.floating],
    tokens: list[str],
    boundaries_s: NDArray[np.floating],
    controls: Controls,
    reading: Reading,
    generator: np.random.Generator,
    register_st: float = 0.0,
) -> Array:
    """Apply controls, reading and voice register to a contour.

    Args:
        f0: [F] Hz, 0 where unvoiced.
        times_s: [F] frame times in seconds, evenly spaced.
        tokens: N tokens.
        boundaries_s: [N + 1] token boundaries in seconds.
        controls: What the emotion asks for.
        reading: What this reading adds.
        generator: Source of tremor phase and jitter.
        register_st: Shift of the voice itself in semitones.

    Returns:
        [F] Hz, 0 on the same frames as `f0`.
    """
    voiced = np.asarray(f0) > 0
    if not voiced.any():
        return np.zeros(len(voiced))

    def per_frame(values: NDArray[np.floating]) -> Array:
        return spread_over_frames(values, boundaries_s, times_s)

    pitch_st = 12.0 * np.log2(np.interp(times_s, times_s[voiced], f0[voiced]))  # continuous through unvoiced frames
    mean_st = pitch_st[voiced].mean()
    start_s, end_s = _speech_span(tokens, boundaries_s)
    end_s = min(end_s, float(times_s[voiced][-1]))  # what comes after is silent or creaks without F0
    position = np.clip((times_s - start_s) / max(end_s - start_s, 1e-3), 0.0, 1.0)
    ramp = _final_ramp(tokens, boundaries_s, times_s, end_s)
    deviation_st = (pitch_st - mean_st) * (1.0 - ramp * np.clip(controls.final_slope_st / FULL_RISE_ST, 0.0, 1.0))
    scaled_st = _scale_range(deviation_st, per_frame(controls.f0_range))
    edited = mean_st + register_st + scaled_st - (scaled_st - deviation_st)[voiced].mean()  # the range keeps the mean
    edited += per_frame(controls.f0_shift_st + reading.f0_st)
    edited += (controls.phrase_slope_st + reading.declination_st) * (position - 0.5)
    edited += controls.final_slope_st * ramp
    edited += ACCENT_UNIT_ST * _accents(tokens, boundaries_s, times_s, controls.accent)
    edited += per_frame(controls.tremor_st) * _tremor(times_s, generator)
    jitter = generator.standard_normal(len(times_s)) * per_frame(controls.jitter_pct) / 100.0
    edited += 12.0 / np.log(2.0) * jitter
    return np.where(voiced, _soft_limit(edited), 0.0)


def _scale_range(deviation_st: Array, factors: Array) -> Array:
    """Scale deviations from the mean; where the range grows, those below the mean grow less."""
    low_factors = np.where(factors > 1.0, 1.0 + LOW_RANGE_SHARE * (factors - 1.0), factors)
    return deviation_st * np.where(deviation_st < 0.0, low_factors, factors)


def _speech_span(tokens: list[str], boundaries_s: NDArray[np.floating]) -> tuple[float, float]:
    spoken = [i for i, token in enumerate(tokens) if not is_pause(token)]
    if not spoken:
        return float(boundaries_s[0]), float(boundaries_s[-1])
    return float(boundaries_s[spoken[0]]), float(boundaries_s[spoken[-1] + 1])


def _final_ramp(
    tokens: list[str], boundaries_s: NDArray[np.floating], times_s: NDArray[np.floating], end_s: float
) -> Array:
    """Rise smoothly from 0 at the last stressed vowel (or last vowel) to 1 at the end of speech."""
    vowels = [i for i, token in enumerate(tokens) if is_vowel(token)]
    stressed = [i for i in vowels if tokens[i].startswith("ˈ")] or vowels
    start_s = float(boundaries_s[stressed[-1]]) if stressed else float(boundaries_s[0])
    start_s = min(start_s, end_s - SHORTEST_RAMP_S)
    x = np.clip((times_s - start_s) / max(end_s - start_s, 1e-3), 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _accents(
    tokens: list[str], boundaries_s: NDArray[np.floating], times_s: NDArray[np.floating], accent: Array
) -> Array:
    """Raise cosine bumps of the height `accent` over stressed vowels, half as high on secondary stress."""
    bumps = np.zeros(len(times_s))
    for i, token in enumerate(tokens):
        height = accent[i] * {"ˈ": 1.0, "ˌ": 0.5}.get(token[0], 0.0)
        if height != 0.0:
            centre = 0.5 * (boundaries_s[i] + boundaries_s[i + 1])
            half_width = 0.5 * (boundaries_s[i + 1] - boundaries_s[i]) + 0.06
            x = np.clip((times_s - centre) / half_width, -1.0, 1.0)
            bumps += height * 0.5 * (1.0 + np.cos(np.pi * x))
    return bumps


def _tremor(times_s: NDArray[np.floating], generator: np.random.Generator) -> Array:
    rate_hz, phase = generator.uniform(*TREMOR_HZ), generator.uniform(0.0, 2.0 * np.pi)
    return np.sin(2.0 * np.pi * rate_hz * times_s + phase)


def _soft_limit(pitch_st: Array) -> Array:
    """Convert semitones to Hz, bending what lies beyond the soft limits."""
    low, high, room = 12.0 * np.log2(F0_LOW), 12.0 * np.log2(F0_HIGH), F0_ROOM_ST
    bent = np.where(pitch_st > high, high + room * np.tanh((pitch_st - high) / room), pitch_st)
    bent = np.where(bent < low, low - room * np.tanh((low - bent) / room), bent)
    return 2.0 ** (bent / 12.0)
