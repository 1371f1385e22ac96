"""Sounds that are no speech, made on the spot: music, noises, tones and laughter, for a listener that must let them pass.

Comes in: a kind and a random generator. Goes out: a waveform [L] at 24 kHz with a peak of 0.5.
"""

import numpy as np
from numpy.typing import NDArray

from emotts.audio import SPEC

Array = NDArray[np.float64]

KINDS = ("music", "noise", "tones", "laughter", "applause")
PEAK = 0.5
SCALE_ST = (0, 2, 4, 5, 7, 9, 11)
LAUGH_FORMANTS_HZ = ((700.0, 1_250.0, 2_600.0), (550.0, 1_700.0, 2_500.0), (400.0, 2_000.0, 2_700.0))  # ha, heh, hi
LAUGH_BANDWIDTHS_HZ = (90.0, 110.0, 160.0)


def make_nonspeech(kind: str, duration_s: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """Make a sound of one of KINDS.

    Raises:
        ValueError: an unknown kind.
    """
    makers = {"music": _music, "noise": _noise, "tones": _tones, "laughter": _laughter, "applause": _applause}
    if kind not in makers:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    waveform = makers[kind](int(duration_s * SPEC.sample_rate), generator)
    return (waveform * (PEAK / max(float(np.abs(waveform).max()), 1e-9))).astype(np.float32)


def _music(n: int, generator: np.random.Generator) -> Array:
    """Chords of plucked or held notes, each with its own harmonics and decay."""
    total = np.zeros(n)
    base = 110.0 * 2.0 ** generator.uniform(0.0, 1.5)
    beat = int(generator.uniform(0.15, 0.6) * SPEC.sample_rate)
    decay_s, brightness = generator.uniform(0.15, 1.5), generator.uniform(0.8, 2.0)
    for start in range(0, n, beat):
        for _ in range(int(generator.integers(1, 5))):
            step = SCALE_ST[generator.integers(len(SCALE_ST))] + 12 * int(generator.integers(-1, 3))
            length = min(n - start, int(generator.uniform(0.8, 2.5) * beat))
            total[start : start + length] += _note(base * 2.0 ** (step / 12.0), length, decay_s, brightness)
    if generator.random() < 0.5:  # a drum
        for start in range(0, n, 2 * beat):
            length = min(n - start, SPEC.sample_rate // 8)
            total[start : start + length] += 2.0 * _decaying(length, 0.03) * generator.standard_normal(length)
    return total


def _note(frequency: float, length: int, decay_s: float, brightness: float) -> Array:
    time = np.arange(length) / SPEC.sample_rate
    harmonics = np.arange(1, max(2, min(12, int(11_000.0 / frequency))))
    waves = np.sin(2.0 * np.pi * frequency * harmonics[:, None] * time) / harmonics[:, None] ** brightness
    attack = np.minimum(1.0, time / 0.01) * np.minimum(1.0, (time[-1] - time) / 0.02 + 1e-3)
    return waves.sum(axis=0) * attack * np.exp(-time / decay_s)


def _noise(n: int, generator: np.random.Generator) -> Array:
    """Noise with a random slope and a band or two, swelling slowly."""
    frequency = np.maximum(np.fft.rfftfreq(n, 1.0 / SPEC.sample_rate), 20.0)
    shape = frequency ** generator.uniform(-1.2, 0.3)
    for _ in range(int(generator.integers(0, 3))):
        centre, width = 100.0 * 2.0 ** generator.uniform(0.0, 6.5), generator.uniform(0.1, 1.0)
        shape *= 1.0 + generator.uniform(0.0, 6.0) * np.exp(-0.5 * (np.log2(frequency / centre) / width) ** 2)
    noise = np.fft.irfft(np.fft.rfft(generator.standard_normal(n)) * shape, n)
    return noise * _swell(n, generator)


def _tones(n: int, generator: np.random.Generator) -> Array:
    """Beeps, sirens and hums."""
    time = np.arange(n) / SPEC.sample_rate
    total = np.zeros(n)
    for _ in range(int(generator.integers(1, 4))):
        frequency = 80.0 * 2.0 ** generator.uniform(0.0, 5.5)
        vibrato = 1.0 + generator.uniform(0.0, 0.3) * np.sin(2.0 * np.pi * generator.uniform(0.2, 6.0) * time)
        phase = 2.0 * np.pi * np.cumsum(frequency * vibrato) / SPEC.sample_rate
        is_on = np.sin(2.0 * np.pi * generator.uniform(0.3, 4.0) * time + generator.uniform(0.0, 6.0)) > -0.3
        total += generator.uniform(0.3, 1.0) * np.sin(phase) * np.convolve(is_on, np.full(240, 1 / 240), mode="same")
    return total


def _laughter(n: int, generator: np.random.Generator) -> Array:
    """Bursts of a voiced vowel between bursts of breath, 4 to 6 a second, falling in pitch and level."""
    total = np.zeros(n)
    formants = np.array(LAUGH_FORMANTS_HZ[generator.integers(len(LAUGH_FORMANTS_HZ))]) * generator.uniform(0.85, 1.25)
    f0 = generator.uniform(160.0, 420.0)
    start, strength = 0, 1.0
    while start < n - 2_400:
        period = int(SPEC.sample_rate / generator.uniform(4.0, 6.0))
        voiced = int(period * generator.uniform(0.4, 0.6))
        length = min(voiced, n - start)
        time = np.arange(length) / SPEC.sample_rate
        phase = np.cumsum(f0 * (1.0 - 0.15 * time / max(time[-1], 1e-3))) / SPEC.sample_rate
        source = np.diff(np.floor(phase), prepend=0.0) + 0.05 * generator.standard_normal(length)
        total[start : start + length] += strength * _resonate(source, formants) * np.hanning(length)
        rest = min(period - voiced, n - start - length)
        if rest > 1:
            breath = _resonate(0.12 * generator.standard_normal(rest), formants) * np.hanning(rest)
            total[start + length : start + length + rest] += strength * breath
        start, f0, strength = start + period, f0 * generator.uniform(0.95, 1.0), strength * generator.uniform(0.85, 1.0)
        if strength < 0.3:  # the next laugh, after a breath
            start, strength, f0 = start + int(0.4 * SPEC.sample_rate), 1.0, generator.uniform(160.0, 420.0)
    return total


def _applause(n: int, generator: np.random.Generator) -> Array:
    """Short bursts of noise at random times, many or few."""
    total = np.zeros(n)
    for start in generator.integers(
        0, max(1, n - 600), int(n / SPEC.sample_rate * 10.0 ** generator.uniform(0.3, 2.0))
    ):
        length = min(n - int(start), 600)
        total[start : start + length] += _decaying(length, 0.004) * generator.standard_normal(length)
    return total


def _resonate(source: Array, formants: Array) -> Array:
    """Pass a source [L] through resonances at the formants, in the frequency domain."""
    size = len(source) + 1_200
    frequency = np.fft.rfftfreq(size, 1.0 / SPEC.sample_rate)
    response = np.ones(len(frequency), complex)
    for centre, width in zip(formants, LAUGH_BANDWIDTHS_HZ, strict=True):
        response *= centre**2 / (centre**2 - frequency**2 + 1j * frequency * width)
    return np.fft.irfft(np.fft.rfft(source, size) * response, size)[: len(source)]


def _decaying(n: int, decay_s: float) -> Array:
    return np.exp(-np.arange(n) / (decay_s * SPEC.sample_rate))


def _swell(n: int, generator: np.random.Generator) -> Array:
    points = 10.0 ** (generator.uniform(-15.0, 0.0, max(2, n // 12_000)) / 20.0)
    return np.interp(np.linspace(0.0, len(points) - 1.0, n), np.arange(len(points)), points)
