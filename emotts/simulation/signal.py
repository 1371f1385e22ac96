"""Edit finished speech: exchange F0, move formants, tilt the spectrum, add breath.

In: a waveform [L] at 24 kHz and one value per mel frame, T = 1 + L // 256 frames centred on sample 256 * t. Out: a
waveform [L]. F0 is exchanged in the time domain after Moulines & Charpentier, "Pitch-synchronous waveform processing
techniques for text-to-speech synthesis using diphones" (1990): on a low, creaky voice a copy keeps 0.1 to 0.3 DNSMOS
more than one by WORLD or by harmonics plus noise. The rest are filters on the short-time spectrum that keep the phase.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from emotts.audio import SPEC
from emotts.compiled import librosa_part

Array = NDArray[np.float64]
Wave = NDArray[np.float32]
Marks = NDArray[np.int64]  # positions in samples, or indices of marks

TRACKING_RATE = 12_000
VOICING_PRIOR, VOICING_SWITCH = (2, 8), 0.05  # pYIN's own (2, 18), 0.01 miss half of a creaky voice
UNVOICED_PERIOD = 120  # samples between the grains of unvoiced sound, 5 ms
LONGEST_GAP = 480  # samples; marks further apart belong to different stretches of voice
MARK_SEARCH = 0.12  # of a period, how far a pitch mark may lie from where F0 expects it
TILT_PIVOT_HZ, TILT_LOW_HZ, TILT_HIGH_HZ = 1_000.0, 125.0, 8_000.0
ENVELOPE_WIDTH_HZ = 200.0  # power is averaged over this width; wider, and formants move less than asked
ENVELOPE_QUEFRENCY = 50  # cepstral order: formants stay, harmonics more than 240 Hz apart would stay too
WARP_LIMIT_DB = 18.0
LOG_DB = float(np.log(10.0) / 20.0)


def track_f0_range(waveform: Wave, low_hz: float, high_hz: float) -> Array:
    """Track F0 [T] in Hz (0 = unvoiced) of a voice whose range is known, by probabilistic YIN (Mauch & Dixon 2014)."""
    import soxr

    ratio = SPEC.sample_rate // TRACKING_RATE
    f0, _, _ = librosa_part("core.pitch").pyin(
        soxr.resample(waveform, SPEC.sample_rate, TRACKING_RATE),
        fmin=low_hz,
        fmax=high_hz,
        sr=TRACKING_RATE,
        frame_length=2 * SPEC.n_fft // ratio,
        hop_length=SPEC.hop_length // ratio,
        beta_parameters=VOICING_PRIOR,
        switch_prob=VOICING_SWITCH,
    )
    return np.pad(np.nan_to_num(f0), (0, 1))[: 1 + len(waveform) // SPEC.hop_length].astype(np.float64)


def exchange_f0(waveform: Wave, f0: NDArray[np.floating], new_f0: NDArray[np.floating]) -> Wave:
    """Give voiced speech another F0 by moving two-period grains; timing and formants stay.

    Args:
        waveform: float32 [L].
        f0: [T] Hz as spoken, 0 where unvoiced.
        new_f0: [T] Hz as wanted, above 0 wherever `f0` is.

    Returns:
        float32 [L]; the period at each moment is that of `new_f0`.
    """
    stretches = _pitch_marks(waveform, np.asarray(f0, np.float64))
    marks, is_voiced = _with_unvoiced_marks(stretches, len(waveform))
    targets, sources = _place_grains(marks, is_voiced, np.asarray(new_f0, np.float64))
    return _overlap_add(waveform, marks, targets, sources)


def shape_spectrum(waveform: Wave, tilt_db_per_oct: NDArray[np.floating], formant: NDArray[np.floating]) -> Wave:
    """Tilt the spectrum around 1 kHz and stretch its envelope along frequency.

    Args:
        waveform: float32 [L].
        tilt_db_per_oct: [T], positive is brighter; constant below 125 Hz and above 8 kHz.
        formant: [T] factor on the formant frequencies.

    Returns:
        float32 [L].
    """
    spectrum = _stft(waveform)  # [T, bins]
    log_gain = np.asarray(tilt_db_per_oct)[:, None] * _tilt_curve()[None, :] * LOG_DB
    factors = np.asarray(formant, np.float64)
    if np.abs(factors - 1.0).max() > 1e-3:
        envelope = _log_envelope(spectrum)
        limit = WARP_LIMIT_DB * LOG_DB
        log_gain = log_gain + np.clip(_warp(envelope, factors) - envelope, -limit, limit)
    return _istft(spectrum * np.exp(log_gain), len(waveform))


def add_breath(
    waveform: Wave, f0: NDArray[np.floating], breathiness: NDArray[np.floating], generator: np.random.Generator
) -> Wave:
    """Add noise of the speech's own spectral envelope where it is voiced, weak below 500 Hz.

    Args:
        waveform: float32 [L].
        f0: [T] Hz, 0 where unvoiced.
        breathiness: [T] amplitude relative to the voice; below 0 adds nothing, for noise cannot be taken away here.
        generator: Source of the noise.

    Returns:
        float32 [L].
    """
    strength = np.convolve(np.maximum(breathiness, 0.0) * (np.asarray(f0) > 0), [0.25, 0.5, 0.25], mode="same")
    if strength.max(initial=0.0) < 1e-4:
        return waveform
    noise = _stft(generator.standard_normal(len(waveform)).astype(np.float32))
    unit = np.sqrt(np.square(_window().numpy()).sum())  # STFT magnitude of white noise of variance 1
    envelope = np.exp(_log_envelope(_stft(waveform))) / unit
    return waveform + _istft(noise * envelope * _breath_shape()[None, :] * strength[:, None], len(waveform))


def _pitch_marks(waveform: Wave, f0: Array) -> list[Marks]:
    """Find one mark per period in every voiced stretch, at the same place of the waveform in each period."""
    smooth = _low_passed(waveform)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], f0 > 0, [False]]).astype(np.int8)))
    stretches = []
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        start = max(0, int((begin - 0.5) * SPEC.hop_length))
        stop = min(len(waveform), int((end - 0.5) * SPEC.hop_length))
        centres = np.arange(begin, end) * SPEC.hop_length
        marks = _follow_periods(smooth, start, stop, centres, SPEC.sample_rate / f0[begin:end])
        if len(marks) >= 3:
            stretches.append(marks)
    return stretches


def _low_passed(waveform: Wave) -> Array:
    """Keep about 50 to 900 Hz without delay and turn the waveform so that its sharper peaks point up."""
    size = 1 << (len(waveform) + SPEC.sample_rate // 10).bit_length()
    hz = np.fft.rfftfreq(size, 1.0 / SPEC.sample_rate)
    response = 1.0 / (1.0 + (hz / 900.0) ** 4) / (1.0 + (50.0 / np.maximum(hz, 1e-3)) ** 4)
    smooth = np.fft.irfft(np.fft.rfft(waveform.astype(np.float64), size) * response, size)[: len(waveform)]
    return smooth if (smooth**3).sum() >= 0 else -smooth


def _follow_periods(signal: Array, start: int, stop: int, centres: Marks, periods: Array) -> Marks:
    """Walk from the middle of a voiced stretch to both ends, each step to the best correlated period."""
    middle = (start + stop) // 2
    half = int(np.interp(middle, centres, periods) / 2)
    low = max(start, middle - half)
    first = low + int(np.argmax(signal[low : min(stop, middle + half) + 1]))
    marks = [first]
    for direction in (1, -1):
        mark: int | None = first
        while mark is not None:
            mark = _next_mark(signal, mark, direction * float(np.interp(mark, centres, periods)), start, stop)
            if mark is not None:
                marks.append(mark)
    return np.sort(np.array(marks, np.int64))


def _next_mark(signal: Array, mark: int, step: float, start: int, stop: int) -> int | None:
    period, expected = abs(step), mark + step
    width, reach = int(0.6 * period), max(2, int(MARK_SEARCH * period))
    begin = int(round(expected)) - reach
    outside = not start <= expected < stop
    if outside or min(mark, begin) < width or max(mark, begin + 2 * reach) + width >= len(signal):
        return None
    reference = signal[mark - width : mark + width]
    windows = np.lib.stride_tricks.sliding_window_view(signal[begin - width : begin + 2 * reach + width], 2 * width)
    likeness = windows @ reference / (np.linalg.norm(windows, axis=1) * np.linalg.norm(reference) + 1e-9)
    offset = (np.arange(len(windows)) + begin - expected) / reach
    return begin + int(np.argmax(likeness - 0.05 * offset**2))


def _with_unvoiced_marks(stretches: list[Marks], length: int) -> tuple[Marks, NDArray[np.bool_]]:
    """Fill the time between voiced stretches with evenly spaced marks."""
    marks: list[Marks] = []
    flags: list[NDArray[np.bool_]] = []
    position = 0
    for stretch in [*stretches, np.array([length], np.int64)]:
        filler = np.arange(position, stretch[0] - UNVOICED_PERIOD // 2, UNVOICED_PERIOD)
        is_end = stretch[0] >= length
        marks += [filler] if is_end else [filler, stretch]
        flags += [np.zeros(len(filler), bool)] if is_end else [np.zeros(len(filler), bool), np.ones(len(stretch), bool)]
        position = int(stretch[-1]) + UNVOICED_PERIOD
    return np.concatenate(marks), np.concatenate(flags)


def _place_grains(marks: Marks, is_voiced: NDArray[np.bool_], new_f0: Array) -> tuple[Array, Marks]:
    """Return the times [G] of the grains of the new speech and the mark [G] that each is cut around."""
    frames = np.flatnonzero(new_f0 > 0) * SPEC.hop_length
    values = new_f0[new_f0 > 0]
    targets: list[float] = []
    sources: list[int] = []
    i = 0
    while i < len(marks):
        j = i + 1
        while is_voiced[i] and j < len(marks) and is_voiced[j] and marks[j] - marks[j - 1] < LONGEST_GAP:
            j += 1
        stretch, time = marks[i:j], float(marks[i])
        while time <= stretch[-1]:
            targets.append(time)
            sources.append(i + int(np.argmin(np.abs(stretch - time))))
            time += SPEC.sample_rate / float(np.interp(time, frames, values)) if is_voiced[i] else UNVOICED_PERIOD
        i = j
    return np.array(targets), np.array(sources, np.int64)


def _overlap_add(waveform: Wave, marks: Marks, targets: Array, sources: Marks) -> Wave:
    """Add grains that reach from the mark before to the mark after; power stays when grains come more often."""
    ends = {"prepend": marks[0] - UNVOICED_PERIOD, "append": marks[-1] + UNVOICED_PERIOD}
    gaps = np.minimum(np.diff(marks, **ends), LONGEST_GAP)
    left, right = gaps[:-1], gaps[1:]
    spacing = np.diff(targets, append=targets[-1] + right[sources[-1]])
    pad = 2 * LONGEST_GAP
    padded = np.pad(waveform.astype(np.float64), pad)
    result = np.zeros(len(padded))
    for time, source, space in zip(targets, sources, spacing, strict=True):
        a, b = int(left[source]), int(right[source])
        grain = padded[marks[source] + pad - a : marks[source] + pad + b] * _asymmetric_hann(a, b)
        gain = min(2.0, max(0.5, (space / b) ** 0.5))
        begin = int(round(time)) + pad - a
        result[begin : begin + a + b] += gain * grain
    return result[pad : pad + len(waveform)].astype(np.float32)


@lru_cache(maxsize=4096)
def _asymmetric_hann(rise: int, fall: int) -> Array:
    up = 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
    return np.concatenate([up, 0.5 + 0.5 * np.cos(np.pi * np.arange(fall) / fall)])


def _window() -> torch.Tensor:
    return torch.hann_window(SPEC.n_fft)


def _stft(waveform: Wave) -> NDArray[np.complex64]:
    """Return the short-time spectrum [T, bins], frames centred on sample 256 * t."""
    spectrum = torch.stft(
        torch.from_numpy(waveform), SPEC.n_fft, SPEC.hop_length, window=_window(), center=True, return_complex=True
    )
    return spectrum.T.numpy()  # [bins, T] -> [T, bins]


def _istft(spectrum: NDArray[np.complexfloating], length: int) -> Wave:
    """Return the waveform [length] of a short-time spectrum [T, bins]."""
    bins_first = torch.from_numpy(np.ascontiguousarray(spectrum.T.astype(np.complex64)))
    return torch.istft(bins_first, SPEC.n_fft, SPEC.hop_length, window=_window(), center=True, length=length).numpy()


def _log_envelope(spectrum: NDArray[np.complexfloating]) -> Array:
    """Return the natural log of the amplitude envelope [T, bins]: power averaged over harmonics, then liftered."""
    reach = int(round(0.5 * ENVELOPE_WIDTH_HZ * SPEC.n_fft / SPEC.sample_rate))
    power = _moving_mean(_moving_mean(np.abs(spectrum).astype(np.float64) ** 2, reach).T, 1).T
    cepstrum = np.fft.irfft(0.5 * np.log(power + 1e-10), axis=1)
    cepstrum[:, ENVELOPE_QUEFRENCY : SPEC.n_fft - ENVELOPE_QUEFRENCY + 1] = 0.0
    return np.fft.rfft(cepstrum, axis=1).real


def _moving_mean(values: Array, reach: int) -> Array:
    """Average values [rows, columns] over 2 * reach + 1 columns, the border repeated."""
    padded = np.pad(values, ((0, 0), (reach, reach)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1).mean(axis=-1)


def _warp(envelope: Array, factors: Array) -> Array:
    """Stretch log envelopes [T, bins] along frequency by `factors` [T]."""
    n_bins = envelope.shape[1]
    source = np.minimum(np.arange(n_bins)[None, :] / factors[:, None], n_bins - 1.0)
    low = np.minimum(source.astype(np.int64), n_bins - 2)
    below, above = np.take_along_axis(envelope, low, 1), np.take_along_axis(envelope, low + 1, 1)
    return below + (source - low) * (above - below)


@lru_cache(maxsize=1)
def _tilt_curve() -> Array:
    """Octaves from the pivot [bins]: dB of amplitude per dB/octave of tilt."""
    hz = np.linspace(0.0, SPEC.sample_rate / 2, SPEC.n_fft // 2 + 1)
    return np.log2(np.clip(hz, TILT_LOW_HZ, TILT_HIGH_HZ) / TILT_PIVOT_HZ)


@lru_cache(maxsize=1)
def _breath_shape() -> Array:
    """Weight of added breath [bins]: -12 dB below 500 Hz, 0 dB above 2 kHz, as in the other teachers."""
    hz = np.linspace(0.0, SPEC.sample_rate / 2, SPEC.n_fft // 2 + 1)
    return np.exp(LOG_DB * np.interp(np.log2(np.maximum(hz, 1.0)), np.log2([500.0, 2_000.0]), [-12.0, 0.0]))
