"""Functionals of voice features over an utterance: frames come in, one vector [F] of named numbers goes out.

Means, spreads, percentiles and slopes of the series that emotts.metrics.voice_frames measures, in the manner of Eyben et al.,
"The Geneva Minimalistic Acoustic Parameter Set" (2016). Level and register of the voice stand in names of their own, so that a
user who does not know the speaker can leave them out.
"""

import numpy as np

from emotts.audio import speech_level_db
from emotts.metrics.formants import formant_spacing
from emotts.metrics.prosody import to_semitones
from emotts.metrics.voice import VoiceAnalysis, find_pauses, find_syllables, spread, summarise, tilt_of
from emotts.metrics.voice_frames import FRAME_S, THIRD_OCTAVES_HZ, VoiceFrames, measure_frames, to_mono

REGISTER = ("f0_st", "level_db")  # what tells more of the speaker and the microphone than of the emotion
SILENCE_DB, NOMINAL_DB = -75.0, -25.0  # dBFS of speech
FINAL_S = 0.25  # of voiced speech at the end: where statements fall and questions rise
EDGE_SHARE = 0.25  # of the voiced frames, at either end
FAST_S = 0.06  # F0 that moves faster is tremor and roughness
N_BANDS = len(THIRD_OCTAVES_HZ) - 1
CEPSTRA = 6  # of the long-term spectrum
TAKEN = (
    "f0_range_st", "f0_slope_st_per_s", "level_sd_db", "level_range_db", "syllable_rate", "pause_share", "pause_mean_s",
    "tilt_db_per_oct", "alpha_ratio_db", "hammarberg_db", "hnr_db", "jitter_pct", "shimmer_pct",
)  # fmt: skip


def clip_functionals(waveform: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Return the features of a clip, `level_db` as recorded and all others as if it were at -25 dBFS.

    Args:
        waveform: mono [L] or [channels, L], float in [-1, 1] or integers of a PCM format.
        sample_rate: Hz.

    Raises:
        ValueError: silence, or what `measure_frames` refuses.
    """
    mono = to_mono(waveform, sample_rate)
    level_db = speech_level_db(mono, max(1, sample_rate // 50))
    if level_db < SILENCE_DB:
        raise ValueError(f"the clip is silent: its level is {level_db:.0f} dBFS, speech needs {SILENCE_DB:.0f}.")
    scaled = mono * np.float32(10.0 ** ((NOMINAL_DB - level_db) / 20.0))
    return {**functionals(measure_frames(scaled, sample_rate)), "level_db": level_db}


def functionals(frames: VoiceFrames) -> dict[str, float]:
    """Return the features of an utterance by name, REGISTER first; nan where one cannot be measured."""
    analysis = summarise(frames)
    voiced = np.flatnonzero(frames.is_voiced)
    semitones = to_semitones(frames.f0[voiced].astype(np.float64))
    return {
        "f0_st": analysis.f0_st,
        "level_db": analysis.level_db,
        **{name: float(getattr(analysis, name)) for name in TAKEN},
        **_pitch(semitones, voiced),
        **_level(frames, semitones, voiced),
        **_tempo(frames, analysis, voiced),
        **_spectrum(frames, voiced),
    }


def _pitch(semitones: np.ndarray, frames: np.ndarray) -> dict[str, float]:
    """Describe F0 [V] (semitones) at its frames [V] relative to its own median."""
    names = (
        "f0_sd", "f0_iqr", "f0_above", "f0_below", "f0_start", "f0_end", "f0_final", "f0_final_slope", "f0_rise", "f0_fall",
        "f0_rise_share", "f0_fast", "f0_max_place", "f0_curve",
    )  # fmt: skip
    if len(frames) < 8:
        return dict.fromkeys(names, float("nan"))
    x = semitones - np.median(semitones)
    edge = max(2, int(EDGE_SHARE * len(x)))
    final = slice(-max(4, int(FINAL_S / FRAME_S)), None)
    is_next = np.diff(frames) == 1
    slope = np.diff(x)[is_next] / FRAME_S  # st/s
    slope = slope[np.abs(slope) < 200.0]  # faster are errors of the tracker
    time = (frames - frames.mean()) / max(float(np.ptp(frames)), 1.0)
    values = (
        x.std(),
        spread(x, 25, 75),
        np.percentile(x, 95),
        np.percentile(x, 5),
        x[:edge].mean(),
        x[-edge:].mean(),
        x[final].mean(),
        _slope(frames[final] * FRAME_S, x[final]),
        _mean(slope[slope > 0]),
        _mean(slope[slope < 0]),
        np.mean(slope > 0) if len(slope) else 0.5,
        _fast(x, frames),
        time[int(x.argmax())],
        np.polyfit(time, x, 2)[0],
    )
    return dict(zip(names, map(float, values), strict=True))


def _level(frames: VoiceFrames, semitones: np.ndarray, voiced: np.ndarray) -> dict[str, float]:
    """Describe the contour of the level relative to its own mean, and how it goes with F0."""
    names = (
        "level_above",
        "level_below",
        "level_slope",
        "level_end",
        "level_rise",
        "level_fall",
        "level_f0",
        "peak_sd",
    )
    speech = np.flatnonzero(frames.is_speech)
    if len(speech) < 8 or len(voiced) < 8:
        return dict.fromkeys(names, float("nan"))
    level = frames.level_db[speech]
    change = np.diff(level)[np.diff(speech) == 1] / FRAME_S  # dB/s
    x = level - level.mean()
    peaks = find_syllables(frames)
    values = (
        np.percentile(x, 90),
        np.percentile(x, 20),
        _slope(speech * FRAME_S, level),
        x[-max(2, int(EDGE_SHARE * len(x))) :].mean(),
        _mean(change[change > 0]),
        _mean(change[change < 0]),
        _correlation(semitones, frames.level_db[voiced]),
        frames.level_db[peaks].std() if len(peaks) > 1 else np.nan,
    )
    return dict(zip(names, map(float, values), strict=True))


def _tempo(frames: VoiceFrames, analysis: VoiceAnalysis, voiced: np.ndarray) -> dict[str, float]:
    """Describe how fast the sound changes."""
    speech = frames.is_speech
    both = speech[1:] & speech[:-1]
    flux = np.abs(np.diff(frames.bands_db[:, 4:17], axis=0)).mean(axis=1)[both]
    syllables = find_syllables(frames)
    gaps = np.diff(syllables) * FRAME_S
    gaps = gaps[gaps < 0.8]
    runs = np.split(voiced, np.flatnonzero(np.diff(voiced) > 1) + 1) if len(voiced) else []
    pauses = find_pauses(speech)
    return {
        "flux": _mean(flux),
        "flux_sd": float(flux.std()) if len(flux) else float("nan"),
        "syllable_gap": _mean(gaps),
        "syllable_gap_sd": float(gaps.std()) if len(gaps) > 1 else float("nan"),
        "voiced_run": _mean(np.array([len(run) * FRAME_S for run in runs])),
        "voiced_share": float(len(voiced) / max(1, speech.sum())),
        "pause_rate": len(pauses) / max(analysis.duration_s, 0.1),
    }


def _spectrum(frames: VoiceFrames, voiced: np.ndarray) -> dict[str, float]:
    """Describe the spectrum of voiced frames: how it varies, how it goes with level, and its long-term shape."""
    names = [f"cepstrum_{i}" for i in range(1, CEPSTRA + 1)] + [f"band_{i}" for i in range(N_BANDS)]
    more = (
        "formant_3",
        "formant_4",
        "formant_spacing",
        "hnr_high_db",
        "alpha_sd",
        "alpha_level",
        "alpha_end",
        "tilt_loud",
        "band_sd",
    )
    if len(voiced) < 8:
        return dict.fromkeys((*more, *names), float("nan"))
    alpha, level, bands = frames.alpha_db[voiced], frames.level_db[voiced], frames.bands_db[voiced]
    loud = level >= np.percentile(level, 70)
    shape = 10.0 * np.log10(np.mean(10.0 ** (bands / 10.0), axis=0) + 1e-12)
    shape = np.maximum(shape - shape.max(), -70.0)
    basis = np.cos(np.pi * np.outer(np.arange(1, CEPSTRA + 1), np.arange(N_BANDS) + 0.5) / N_BANDS)
    return {
        **_formants(frames.formants),
        "hnr_high_db": frames.hnr_high_db,
        "alpha_sd": float(alpha.std()),
        "alpha_level": _slope(level, alpha),
        "alpha_end": float(alpha[-max(2, int(EDGE_SHARE * len(alpha))) :].mean() - alpha.mean()),
        "tilt_loud": tilt_of(bands[loud].mean(axis=0), frames.limit_hz),
        "band_sd": float(bands[:, 4:17].std(axis=0).mean()),
        **dict(zip(names, [*(basis @ shape / N_BANDS), *(shape - shape.mean())], strict=True)),
    }


def _formants(hz: np.ndarray) -> dict[str, float]:
    """Return the higher formants, which depend least on the vowels, and their spacing in octaves above 1 kHz."""
    values = (hz[2], hz[3], formant_spacing(hz))
    names = ("formant_3", "formant_4", "formant_spacing")
    return {name: float(np.log2(value / 1_000.0)) for name, value in zip(names, values, strict=True)}


def _fast(x: np.ndarray, frames: np.ndarray) -> float:
    """Return the mean absolute distance of F0 from its moving mean over 60 ms, inside voiced runs, semitones."""
    width = int(FAST_S / FRAME_S)
    runs = [run for run in np.split(x, np.flatnonzero(np.diff(frames) > 1) + 1) if len(run) >= 2 * width]
    if not runs:
        return float("nan")
    kernel = np.ones(width) / width
    rest = [run[width // 2 : len(run) - (width - 1) // 2] - np.convolve(run, kernel, "valid") for run in runs]
    return float(np.abs(np.concatenate(rest)).mean())


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    x = x - x.mean()
    return float(x @ (y - y.mean()) / max(float(x @ x), 1e-9))


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / max(float(np.sqrt((x @ x) * (y @ y))), 1e-9))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
