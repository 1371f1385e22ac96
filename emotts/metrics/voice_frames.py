"""Frame by frame: a waveform at any rate comes in; F0, level, loudness, spectra and glottal periods go out.

One place for what the analysis of a voice and the judge of features both start from. Spectra of speech are freed from the
steady noise that the pauses show; nothing here needs more than NumPy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emotts.audio import SPEC, extract_f0, resample
from emotts.metrics.formants import LIMIT_HZ, N_FORMANTS, track_formants
from emotts.metrics.prosody import HNR_BANDS_HZ, N_FFT, harmonics_to_noise_db
from emotts.metrics.voice_quality import Periods, find_periods, join_periods

RATE, HOP = SPEC.sample_rate, SPEC.hop_length
FRAME_S = HOP / RATE
MIN_RATE, MAX_RATE = 2_000, 768_000  # Hz; a header that says anything else is wrong
MAX_PEAK = 16.0  # of float samples; a little above 1 is overshoot, far above are numbers of another scale
PIECE_S = 30.0  # longer waveforms are measured piece by piece, so that memory does not grow
MIN_PIECE_S = 1.0
FLOOR_DB = -90.0  # dBFS; below it nothing is heard
SPEECH_BELOW_PEAK_DB = 30.0
LOUDNESS_EDGES_HZ = (300.0, 500.0, 800.0, 1_200.0, 1_700.0, 2_300.0, 3_000.0)  # of the bands where vowels stand out
LOUDNESS_POWER = 0.3  # of Pfau & Ruske, "Estimating the speaking rate by vowel detection" (1998), ICASSP 945-948
LOUDNESS_N_FFT = 512
LOUDNESS_SMOOTHING_S = 0.01
MIN_FORMANT_FRAMES = 12
BIN_HZ = np.linspace(0.0, RATE / 2.0, N_FFT // 2 + 1)
THIRD_OCTAVES_HZ = 250.0 * 2.0 ** (np.arange(-4, 17) / 3.0)  # edges, 99 Hz to 10.1 kHz


@dataclass(frozen=True)
class VoiceFrames:
    """What is known of every frame of 10.7 ms; T frames.

    Attributes:
        f0: [T] Hz, 0 unvoiced.
        level_db: [T] dBFS.
        loudness: [T] sum over bands from 300 Hz to 3 kHz of their power to the 0.3, smoothed over 10 ms.
        alpha_db: [T] energy of 1-5 kHz over 50 Hz-1 kHz, the steady noise of the pauses taken away.
        bands_db: [T, 20] third-octaves from 99 Hz to 10 kHz, likewise.
        is_speech: [T] bool.
        spectrum: [513] mean power spectrum of voiced frames, likewise.
        periods: of the glottis.
        hnr_db, hnr_high_db: harmonics to noise below 4 kHz and in 2-6 kHz; nan where nothing is voiced.
        limit_hz: highest frequency that the recording can hold.
        formants: [4] median in Hz over voiced frames; nan where they cannot be told, or the recording does not hold them.
    """

    f0: np.ndarray
    level_db: np.ndarray
    loudness: np.ndarray
    alpha_db: np.ndarray
    bands_db: np.ndarray
    is_speech: np.ndarray
    spectrum: np.ndarray
    periods: Periods
    hnr_db: float
    hnr_high_db: float
    limit_hz: float
    formants: np.ndarray

    @property
    def is_voiced(self) -> np.ndarray:
        return self.f0 > 0


def measure_frames(waveform: np.ndarray, sample_rate: int = RATE) -> VoiceFrames:
    """Measure every frame of a waveform; one that is longer than 30 s is measured piece by piece.

    Args:
        waveform: mono [L] or [channels, L], float in [-1, 1] or integers of a PCM format.
        sample_rate: Hz.

    Raises:
        ValueError: no samples, samples that are not finite, or an impossible rate.
    """
    mono = to_mono(waveform, sample_rate)
    size = int(PIECE_S * sample_rate)
    cuts = list(range(0, max(1, len(mono) - int(MIN_PIECE_S * sample_rate)), size))
    return join_frames([_measure(mono[a:b], sample_rate) for a, b in zip(cuts, [*cuts[1:], len(mono)], strict=True)])


def to_mono(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return float32 [L] in [-1, 1] without a constant part; arguments and errors are those of `measure_frames`."""
    samples = np.asarray(waveform)
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise ValueError(f"sample_rate must be from {MIN_RATE} to {MAX_RATE} Hz; got {sample_rate}.")
    if samples.ndim not in (1, 2) or samples.size == 0 or samples.dtype.kind not in "fiu":
        raise ValueError(
            f"a waveform must be numbers [L] or [channels, L], at least one; got {list(samples.shape)} of {samples.dtype}."
        )
    if samples.dtype.kind in "iu":
        limits = np.iinfo(samples.dtype)
        middle = 0.0 if samples.dtype.kind == "i" else (limits.max + 1) / 2.0
        samples = (samples - middle) / (limits.max - middle)
    mono = samples.astype(np.float32)
    mono = mono.mean(axis=0) if mono.ndim == 2 else mono
    if not np.isfinite(mono).all():
        raise ValueError("the waveform has samples that are not finite; write it again as 16-bit wav.")
    peak = float(np.abs(mono).max())
    if peak > MAX_PEAK:
        raise ValueError(f"float samples must lie in [-1, 1]; got a peak of {peak:g}. Divide them by their full scale.")
    return mono - mono.mean(dtype=np.float64).astype(np.float32)


def join_frames(parts: Sequence[VoiceFrames]) -> VoiceFrames:
    """Join the frames of consecutive pieces; what is a mean over voiced frames stays one."""
    if len(parts) == 1:
        return parts[0]
    weights = np.array([part.is_voiced.sum() for part in parts], np.float64)

    def mean_of(values: Sequence[float]) -> float:
        known = np.isfinite(values) & (weights > 0)
        return float(np.average(np.asarray(values)[known], weights=weights[known])) if known.any() else float("nan")

    shares = weights / weights.sum() if weights.sum() else np.full(len(parts), 1.0 / len(parts))
    return VoiceFrames(
        f0=np.concatenate([part.f0 for part in parts]),
        level_db=np.concatenate([part.level_db for part in parts]),
        loudness=np.concatenate([part.loudness for part in parts]),
        alpha_db=np.concatenate([part.alpha_db for part in parts]),
        bands_db=np.concatenate([part.bands_db for part in parts]),
        is_speech=np.concatenate([part.is_speech for part in parts]),
        spectrum=np.sum([share * part.spectrum for share, part in zip(shares, parts, strict=True)], axis=0),
        periods=join_periods([part.periods for part in parts]),
        hnr_db=mean_of([part.hnr_db for part in parts]),
        hnr_high_db=mean_of([part.hnr_high_db for part in parts]),
        limit_hz=parts[0].limit_hz,
        formants=np.array([mean_of(values) for values in zip(*(part.formants for part in parts), strict=True)]),
    )


def octave_means(power: np.ndarray) -> np.ndarray:
    """Return the mean power per bin [T, 20] of third-octaves; the lowest, narrower than a bin, take the nearest."""
    first = np.searchsorted(BIN_HZ, THIRD_OCTAVES_HZ[:-1])
    last = np.maximum(np.searchsorted(BIN_HZ, THIRD_OCTAVES_HZ[1:]), first + 1)
    total = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, axis=1)], axis=1)
    return (total[:, last] - total[:, first]) / (last - first)


def _measure(mono: np.ndarray, sample_rate: int) -> VoiceFrames:
    waveform = resample(mono, sample_rate, RATE)
    f0 = extract_f0(waveform, RATE, HOP)
    power = _power_spectra(waveform, len(f0))
    level_db = _to_db(_band_power(power, 0.0, RATE / 2.0))
    is_speech = _is_speech(level_db)
    f0 = np.where(is_speech, f0, 0.0)
    is_quiet = ~is_speech
    if is_quiet.sum() >= 5:  # what sounds in pauses sounds in speech too
        noise = power[is_quiet].mean(axis=0)
        power = np.maximum(power - noise, 0.02 * power)
    voiced = f0 > 0
    has_voice = bool(voiced.any())
    hnr = {name: harmonics_to_noise_db(waveform, f0, RATE, band) for name, band in HNR_BANDS_HZ.items()}
    low, high = _band_power(power, 50.0, 1_000.0), _band_power(power, 1_000.0, 5_000.0)
    return VoiceFrames(
        f0=f0,
        level_db=level_db,
        loudness=_loudness(waveform, len(f0)),
        alpha_db=10.0 * np.log10((high + 1e-12) / (low + 1e-12)),
        bands_db=10.0 * np.log10(octave_means(power) + 1e-12),
        is_speech=is_speech,
        spectrum=power[voiced].mean(axis=0) if has_voice else np.zeros(len(BIN_HZ)),
        periods=find_periods(waveform, f0, RATE, HOP),
        limit_hz=0.95 * min(sample_rate, RATE) / 2.0,
        formants=_median_formants(power[voiced], sample_rate),
        **hnr,
    )


def _median_formants(power: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the median formants [4] of voiced spectra [V, 513]; nan where fewer than MIN_FORMANT_FRAMES tell them."""
    if sample_rate < 2.0 * LIMIT_HZ:
        return np.full(N_FORMANTS, np.nan)
    found = track_formants(power, BIN_HZ)
    found = found[np.isfinite(found[:, 0])]
    return np.median(found, axis=0) if len(found) >= MIN_FORMANT_FRAMES else np.full(N_FORMANTS, np.nan)


def _power_spectra(waveform: np.ndarray, n_frames: int, n_fft: int = N_FFT) -> np.ndarray:
    """Return power spectra [T, n_fft // 2 + 1] scaled so that the sum over bins is the mean square."""
    padded = np.pad(waveform, (n_fft // 2, n_fft + HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[: n_frames * HOP : HOP]
    window = np.hanning(n_fft).astype(np.float32)
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    power[:, 1:-1] *= 2.0
    return (power / (n_fft * np.sum(window**2))).astype(np.float64)


def _loudness(waveform: np.ndarray, n_frames: int) -> np.ndarray:
    power = _power_spectra(waveform, n_frames, LOUDNESS_N_FFT)
    hz = np.linspace(0.0, RATE / 2.0, power.shape[1])
    bands = [
        power[:, (a <= hz) & (hz < b)].sum(axis=1)
        for a, b in zip(LOUDNESS_EDGES_HZ, LOUDNESS_EDGES_HZ[1:], strict=False)
    ]
    sigma = LOUDNESS_SMOOTHING_S * RATE / HOP
    offsets = np.arange(-int(4 * sigma), int(4 * sigma) + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    padded = np.pad(np.sum(np.power(bands, LOUDNESS_POWER), axis=0), len(offsets) // 2, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), "valid")


def _band_power(power: np.ndarray, low: float, high: float) -> np.ndarray:
    return power[:, (low <= BIN_HZ) & (high >= BIN_HZ)].sum(axis=1)


def _is_speech(level_db: np.ndarray) -> np.ndarray:
    """Say which frames [T] are not pauses: above a threshold between the loudest and the quietest of them."""
    top, floor = np.percentile(level_db, [99, 5])
    floor = max(floor, top - 60.0)
    if top <= FLOOR_DB or top - floor < 6.0:
        return np.full(len(level_db), top > FLOOR_DB)
    return level_db > max(top - SPEECH_BELOW_PEAK_DB, floor + 0.3 * (top - floor))


def _to_db(power: np.ndarray) -> np.ndarray:
    return np.maximum(10.0 * np.log10(power + 1e-12), FLOOR_DB)
