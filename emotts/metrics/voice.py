"""Voice analysis: a waveform [L] at any rate comes in; pitch, loudness, tempo, pauses and voice quality go out.

The features are those of Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set" (2016), IEEE Trans. Affective
Computing 7, 190-202. What cannot be measured, such as F0 where nothing is voiced, is nan here and null in JSON.
"""

from dataclasses import asdict, dataclass

import numpy as np

from emotts.metrics.prosody import alpha_ratio_db, to_semitones
from emotts.metrics.voice_frames import (
    BIN_HZ,
    FRAME_S,
    RATE,
    THIRD_OCTAVES_HZ,
    VoiceFrames,
    measure_frames,
    octave_means,
)

MIN_PAUSE_S = 0.15
# Tuned on the simulated corpus (172 clips): counts correlate with the vowels spoken by 0.96, at 0.89 of their number.
SYLLABLE_DIP = 0.05  # of the loudest
SYLLABLE_MIN = 0.10
TILT_RANGE_HZ = (250.0, 8_000.0)
BAND_EDGE_DB = 75.0  # third-octaves this far below the strongest were cut off by a channel, not by a voice
HAMMARBERG_BANDS_HZ = ((0.0, 2_000.0), (2_000.0, 5_000.0))


@dataclass(frozen=True)
class VoiceAnalysis:
    """The voice in one recording.

    Attributes:
        duration_s: of the recording.
        voiced_s: of its voiced frames.
        f0_hz: median of voiced frames.
        f0_st: the same in semitones above 27.5 Hz.
        f0_range_st: from the 5th to the 95th percentile.
        f0_slope_st_per_s: regression of F0 on time over the recording; negative is declination.
        level_db: RMS over speech, dBFS.
        level_sd_db: standard deviation of the level of speech frames.
        level_range_db: from the 10th to the 90th percentile of the level of speech frames.
        syllable_rate: syllable nuclei per second of speech, pauses left out, found in the signal.
        pause_count: silences of 150 ms and more between the first and the last sound.
        pause_share: of the time from first to last sound.
        pause_mean_s: mean length of a pause; 0 without one.
        tilt_db_per_oct: regression of third-octave levels of voiced frames from 250 Hz to 8 kHz or where the channel ends.
        alpha_ratio_db: energy of 1-5 kHz over 50 Hz-1 kHz in voiced frames.
        hammarberg_db: strongest peak below 2 kHz over the strongest in 2-5 kHz.
        hnr_db: harmonics to noise below 4 kHz.
        jitter_pct, shimmer_pct: mean change of period and amplitude from one period to the next.
    """

    duration_s: float
    voiced_s: float
    f0_hz: float
    f0_st: float
    f0_range_st: float
    f0_slope_st_per_s: float
    level_db: float
    level_sd_db: float
    level_range_db: float
    syllable_rate: float
    pause_count: int
    pause_share: float
    pause_mean_s: float
    tilt_db_per_oct: float
    alpha_ratio_db: float
    hammarberg_db: float
    hnr_db: float
    jitter_pct: float
    shimmer_pct: float

    def to_dict(self) -> dict[str, float | None]:
        """Return JSON-ready values; None where something could not be measured."""
        return {name: round(value, 4) if np.isfinite(value) else None for name, value in asdict(self).items()}


def analyse_voice(waveform: np.ndarray, sample_rate: int = RATE) -> VoiceAnalysis:
    """Measure a waveform; errors are those of `measure_frames`."""
    return summarise(measure_frames(waveform, sample_rate))


def summarise(frames: VoiceFrames) -> VoiceAnalysis:
    """Sum frames up to the numbers of a recording."""
    voiced = np.flatnonzero(frames.is_voiced)
    semitones = to_semitones(frames.f0[voiced].astype(np.float64))
    level = frames.level_db[frames.is_speech]
    pauses = find_pauses(frames.is_speech)
    inside = np.flatnonzero(frames.is_speech)
    span = inside[-1] - inside[0] + 1 if len(inside) else 0
    syllables = find_syllables(frames)
    speech_s = (span - pauses.sum()) * FRAME_S
    is_known = len(voiced) > 0
    return VoiceAnalysis(
        duration_s=len(frames.f0) * FRAME_S,
        voiced_s=len(voiced) * FRAME_S,
        f0_hz=float(np.median(frames.f0[voiced])) if is_known else float("nan"),
        f0_st=float(np.median(semitones)) if is_known else float("nan"),
        f0_range_st=spread(semitones, 5, 95),
        f0_slope_st_per_s=float(np.polyfit(voiced * FRAME_S, semitones, 1)[0]) if len(voiced) > 2 else float("nan"),
        level_db=float(10.0 * np.log10(np.mean(10.0 ** (level / 10.0)))) if len(level) else float("nan"),
        level_sd_db=float(level.std()) if len(level) else float("nan"),
        level_range_db=spread(level, 10, 90),
        syllable_rate=float(len(syllables) / speech_s) if speech_s > 0 else float("nan"),
        pause_count=len(pauses),
        pause_share=float(pauses.sum() / span) if span else float("nan"),
        pause_mean_s=float(pauses.mean() * FRAME_S) if len(pauses) else 0.0,
        tilt_db_per_oct=tilt_of(10.0 * np.log10(octave_means(frames.spectrum[None])[0] + 1e-20), frames.limit_hz)
        if is_known
        else float("nan"),
        alpha_ratio_db=alpha_ratio_db(frames.spectrum, RATE) if is_known else float("nan"),
        hammarberg_db=hammarberg_db(frames.spectrum) if is_known else float("nan"),
        hnr_db=frames.hnr_db,
        jitter_pct=frames.periods.jitter_pct(),
        shimmer_pct=frames.periods.shimmer_pct(),
    )


def find_pauses(is_speech: np.ndarray) -> np.ndarray:
    """Return the lengths [P] in frames of the silences of 150 ms and more between the first and the last sound."""
    inside = np.flatnonzero(is_speech)
    gaps = np.diff(inside) - 1
    return gaps[gaps >= MIN_PAUSE_S / FRAME_S]


def find_syllables(frames: VoiceFrames) -> np.ndarray:
    """Return the frames [S] of the syllable nuclei: voiced peaks of the loudness with a dip between neighbours.

    Reference: Pfau & Ruske, "Estimating the speaking rate by vowel detection" (1998), ICASSP 945-948, for the loudness;
        de Jong & Wempe, "Praat script to detect syllable nuclei" (2009), Behavior Research Methods 41, 385-390, for the rest.
    """
    loudness = frames.loudness / max(float(np.percentile(frames.loudness, 99)), 1e-12)
    is_near_voice = np.convolve(frames.is_voiced, np.ones(5), "same") > 0
    peaks, top, low = [], 0, float(loudness[0])
    for t in range(1, len(loudness)):
        if loudness[t] > loudness[top]:
            top = t
        elif loudness[top] - loudness[t] >= SYLLABLE_DIP:
            if loudness[top] - low >= SYLLABLE_DIP and loudness[top] > SYLLABLE_MIN and is_near_voice[top]:
                peaks.append(top)
                low = float(loudness[t])
            low, top = min(low, float(loudness[t])), t
    return np.array(peaks, np.int64)


def tilt_of(bands_db: np.ndarray, limit_hz: float) -> float:
    """Return the slope in dB per octave of third-octave levels [20] from 250 Hz to 8 kHz, or to the end of the channel."""
    centres = np.sqrt(THIRD_OCTAVES_HZ[1:] * THIRD_OCTAVES_HZ[:-1])
    low, high = TILT_RANGE_HZ
    is_inside = (centres > low) & (centres < high) & (THIRD_OCTAVES_HZ[1:] <= limit_hz)
    is_inside &= bands_db > bands_db[is_inside].max() - BAND_EDGE_DB
    return float(np.polyfit(np.log2(centres[is_inside]), bands_db[is_inside], 1)[0])


def hammarberg_db(spectrum: np.ndarray) -> float:
    """Return the strongest bin of a power spectrum [513] below 2 kHz over the strongest in 2-5 kHz, in dB.

    Reference: Hammarberg et al., "Perceptual and acoustic correlates of abnormal voice qualities" (1980), Acta
        Oto-Laryngologica 90, 441-451.
    """
    low, high = (spectrum[(a <= BIN_HZ) & (b > BIN_HZ)].max() for a, b in HAMMARBERG_BANDS_HZ)
    return float(10.0 * np.log10((low + 1e-20) / (high + 1e-20)))


def spread(values: np.ndarray, low: float, high: float) -> float:
    """Return the distance between two percentiles of values [N]; nan of nothing."""
    return float(np.subtract(*np.percentile(values, [high, low]))) if len(values) else float("nan")
