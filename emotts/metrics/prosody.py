"""What the signal says of a reading: pitch, level, spectrum, tempo, periodicity; and how two contours agree.

Comes in: a waveform [L] and, where known, its tokens with durations [N] in frames. Goes out: `ProsodyFeatures`, after
Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set" (2016), IEEE Trans. Affective Computing 7, 190-202.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from emotts.audio import SPEC, extract_f0, speech_level_db
from emotts.metrics.statistics import pearson
from emotts.text.symbols import is_pause, is_vowel

N_FFT = 1_024
REFERENCE_HZ = 27.5  # semitones are counted from A0, as in eGeMAPS
ALPHA_BANDS_HZ = ((50.0, 1_000.0), (1_000.0, 5_000.0))
TILT_RANGE_HZ = (250.0, 8_000.0)
HNR_BANDS_HZ = {"hnr_db": (0.0, 4_000.0), "hnr_high_db": (2_000.0, 6_000.0)}
PAUSE_BELOW_PEAK_DB = 35.0
POINTS_PER_TOKEN = 5


@dataclass(frozen=True)
class ProsodyFeatures:
    """Features of one utterance.

    Attributes:
        f0_mean_st, f0_sd_st: over voiced frames, semitones above 27.5 Hz.
        f0_slope_st: change of the regression line of F0 from the first voiced frame to the last, semitones.
        level_db: RMS over frames of speech, dBFS.
        alpha_ratio_db: energy of 1-5 kHz over 50 Hz-1 kHz in voiced frames.
        tilt_db_per_oct: regression of third-octave levels from 250 Hz to 8 kHz in voiced frames.
        hnr_db, hnr_high_db: harmonics to noise below 4 kHz and in 2-6 kHz, by the correlation of neighbouring periods.
        syllable_rate: vowels per second of speech by the known durations; nan without them.
        energy_peak_rate: peaks of the energy of the vowel band per second of speech, from the signal alone.
        pause_share: of the time between first and last sound.
        duration_s: of the whole waveform.
    """

    f0_mean_st: float
    f0_sd_st: float
    f0_slope_st: float
    level_db: float
    alpha_ratio_db: float
    tilt_db_per_oct: float
    hnr_db: float
    hnr_high_db: float
    syllable_rate: float
    energy_peak_rate: float
    pause_share: float
    duration_s: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def measure_prosody(
    waveform: np.ndarray,
    tokens: Sequence[str] | None = None,
    durations: np.ndarray | None = None,
    sample_rate: int = SPEC.sample_rate,
) -> ProsodyFeatures:
    """Measure a waveform [L]; F0 features are nan where nothing is voiced.

    Args:
        waveform: [L].
        tokens: N tokens that were spoken.
        durations: [N] in frames of 256 samples at 24 kHz.
        sample_rate: Hz.
    """
    waveform = np.asarray(waveform, np.float32)
    hop = SPEC.hop_length
    f0 = extract_f0(waveform, sample_rate, hop)
    voiced = f0 > 0
    semitones = to_semitones(f0[voiced])
    frames = np.flatnonzero(voiced)
    slope = float(np.polyfit(frames, semitones, 1)[0] * (frames[-1] - frames[0])) if len(frames) > 2 else float("nan")
    spectrum = mean_spectrum(waveform, voiced, hop)
    hnr = {name: harmonics_to_noise_db(waveform, f0, sample_rate, band) for name, band in HNR_BANDS_HZ.items()}
    is_speech, pause_share = speech_frames(waveform, hop)
    known = None if tokens is None or durations is None else syllable_rate(tokens, durations)
    return ProsodyFeatures(
        f0_mean_st=float(semitones.mean()) if len(frames) else float("nan"),
        f0_sd_st=float(semitones.std()) if len(frames) else float("nan"),
        f0_slope_st=slope,
        level_db=speech_level_db(waveform),
        alpha_ratio_db=alpha_ratio_db(spectrum, sample_rate),
        tilt_db_per_oct=spectral_tilt(spectrum, sample_rate),
        syllable_rate=float("nan") if known is None else known,
        energy_peak_rate=energy_peak_rate(waveform, is_speech, sample_rate, hop),
        pause_share=pause_share,
        duration_s=len(waveform) / sample_rate,
        **hnr,
    )


def to_semitones(f0: np.ndarray) -> np.ndarray:
    """Return F0 (Hz, all above 0) in semitones above 27.5 Hz."""
    return 12.0 * np.log2(f0 / REFERENCE_HZ)


def mean_spectrum(waveform: np.ndarray, chosen: np.ndarray, hop: int) -> np.ndarray:
    """Return the mean power spectrum [N_FFT // 2 + 1] of the frames chosen [T]; of all frames where none is chosen."""
    frames = _frames(waveform, len(chosen), hop, N_FFT)
    frames = frames[chosen] if chosen.any() else frames
    return np.mean(np.abs(np.fft.rfft(frames * np.hanning(N_FFT))) ** 2, axis=0)


def alpha_ratio_db(spectrum: np.ndarray, sample_rate: int) -> float:
    """Return the energy of 1-5 kHz over 50 Hz-1 kHz of a power spectrum [bins], in dB."""
    low, high = (_band(spectrum, sample_rate, band).sum() for band in ALPHA_BANDS_HZ)
    return float(10.0 * np.log10((high + 1e-20) / (low + 1e-20)))


def spectral_tilt(spectrum: np.ndarray, sample_rate: int) -> float:
    """Return the slope of third-octave levels of a power spectrum [bins], in dB per octave."""
    low, high = TILT_RANGE_HZ
    edges = low * 2.0 ** (np.arange(int(3 * np.log2(high / low)) + 1) / 3.0)
    density = [_band(spectrum, sample_rate, (a, b)).mean() for a, b in zip(edges[:-1], edges[1:], strict=True)]
    octaves = np.log2(np.sqrt(edges[:-1] * edges[1:]))
    return float(np.polyfit(octaves, 10.0 * np.log10(np.asarray(density) + 1e-20), 1)[0])


def harmonics_to_noise_db(
    waveform: np.ndarray, f0: np.ndarray, sample_rate: int, band_hz: tuple[float, float]
) -> float:
    """Return the median over voiced frames of 10 log10(r / (1 - r)), r the correlation of neighbouring periods.

    Args:
        waveform: [L].
        f0: [T] Hz, 0 unvoiced, `SPEC.hop_length` samples apart.
        sample_rate: Hz.
        band_hz: the band that is looked at.

    Reference: Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
        sampled sound" (1993), IFA Proceedings 17, equation 4.
    """
    centres = np.flatnonzero(f0 > 0)
    if not len(centres):
        return float("nan")
    spectrum = np.fft.rfft(waveform)
    hz = np.fft.rfftfreq(len(waveform), 1.0 / sample_rate)
    signal = np.fft.irfft(np.where((hz >= band_hz[0]) & (hz <= band_hz[1]), spectrum, 0.0), len(waveform))
    size = 2_048
    frames = _frames(signal, len(f0), SPEC.hop_length, size // 2)[centres]
    window = np.hanning(size // 2)
    transform = np.fft.rfft(frames * window, size)
    correlation = np.fft.irfft(np.abs(transform) ** 2, size)[:, : size // 2]
    reference = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2, size)[: size // 2]
    correlation = correlation / np.maximum(correlation[:, :1], 1e-20) * (reference[0] / np.maximum(reference, 1e-6))
    period = sample_rate / f0[centres]
    best = np.full(len(centres), -1.0)
    for factor in np.linspace(0.97, 1.03, 13):
        lag = period * factor
        left = np.clip(lag.astype(int), 0, size // 2 - 2)
        weight = lag - left
        rows = np.arange(len(centres))
        best = np.maximum(best, (1.0 - weight) * correlation[rows, left] + weight * correlation[rows, left + 1])
    r = np.clip(best, 1e-3, 1.0 - 1e-4)
    return float(np.median(10.0 * np.log10(r / (1.0 - r))))


def syllable_rate(tokens: Sequence[str], durations: np.ndarray) -> float:
    """Return the vowels per second of speech; silence and pauses are not speech.

    Args:
        tokens: N tokens.
        durations: [N] in frames of `SPEC.hop_length` samples.
    """
    spoken = sum(int(n) for token, n in zip(tokens, durations, strict=True) if not is_pause(token))
    vowels = sum(is_vowel(token) for token in tokens)
    return vowels / (spoken / SPEC.frame_rate) if spoken else float("nan")


def speech_frames(waveform: np.ndarray, hop: int) -> tuple[np.ndarray, float]:
    """Return which frames [T] lie within 35 dB of the loudest, and the share of the others between first and last."""
    level = _level_db(waveform, hop)
    is_speech = level > level.max() - PAUSE_BELOW_PEAK_DB
    inside = np.flatnonzero(is_speech)
    return is_speech, float(1.0 - is_speech[inside[0] : inside[-1] + 1].mean())


def energy_peak_rate(waveform: np.ndarray, is_speech: np.ndarray, sample_rate: int, hop: int) -> float:
    """Count the peaks, at least 2 dB high, of the smoothed level between 300 Hz and 3 kHz, per second of speech."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import butter, find_peaks, sosfiltfilt

    if len(waveform) < 4 * N_FFT:
        return float("nan")
    band = sosfiltfilt(
        butter(2, (300.0, 3_000.0), "bandpass", fs=sample_rate, output="sos"), waveform.astype(np.float64)
    )
    level = gaussian_filter1d(_level_db(band, hop), 0.03 * sample_rate / hop)
    peaks, _ = find_peaks(level, prominence=2.0, height=level.max() - 30.0)
    return float(len(peaks) / max(is_speech.sum() * hop / sample_rate, 1e-9))


def contour_correlation(
    first_f0: np.ndarray, first_durations: np.ndarray, second_f0: np.ndarray, second_durations: np.ndarray
) -> float:
    """Correlate the F0 contours of two readings of the same tokens, aligned token by token.

    Args:
        first_f0, second_f0: [T] Hz at mel frames, 0 unvoiced; each with its own T.
        first_durations, second_durations: [N] frames per token.

    Returns:
        Pearson correlation of semitones over the points that are voiced in both; nan with fewer than 10 of them.
    """
    first, second = _per_token(first_f0, first_durations), _per_token(second_f0, second_durations)
    present = np.repeat((np.asarray(first_durations) > 0) & (np.asarray(second_durations) > 0), POINTS_PER_TOKEN)
    both = present & (first > 0) & (second > 0)
    if both.sum() < 10:
        return float("nan")
    return pearson(to_semitones(first[both]), to_semitones(second[both]))


def _per_token(f0: np.ndarray, durations: np.ndarray) -> np.ndarray:
    """Sample F0 [T] at evenly spaced places of each token [N * POINTS_PER_TOKEN] by the nearest frame."""
    durations = np.asarray(durations)
    start = np.cumsum(durations) - durations
    place = (np.arange(POINTS_PER_TOKEN) + 0.5) / POINTS_PER_TOKEN
    index = (start[:, None] + place[None, :] * durations[:, None]).astype(int).reshape(-1)
    return np.asarray(f0)[np.clip(index, 0, len(f0) - 1)]


def _level_db(waveform: np.ndarray, hop: int) -> np.ndarray:
    frames = _frames(waveform, 1 + len(waveform) // hop, hop, 2 * hop)
    return 10.0 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-12)


def _frames(waveform: np.ndarray, n_frames: int, hop: int, size: int) -> np.ndarray:
    """Cut frames [T, size] centred at multiples of `hop`, with zeros beyond both ends."""
    padded = np.pad(waveform, (size // 2, size + n_frames * hop))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[: n_frames * hop : hop]


def _band(spectrum: np.ndarray, sample_rate: int, band_hz: tuple[float, float]) -> np.ndarray:
    hz = np.linspace(0.0, sample_rate / 2.0, len(spectrum))
    return spectrum[(hz >= band_hz[0]) & (hz < band_hz[1])]
