"""What must not change the emotion that is heard: channel, noise, room, codec, bandwidth, tempo and pitch register.

Comes in: log mels [B, T, M] in training, where everything is an approximation in the mel domain and costs milliseconds a batch; or
a waveform [L] in evaluation, where it is exact. Goes out: the same, distorted. Random draws come from an explicit generator.
Level is missing because the recogniser's stem takes it off exactly.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from emotts.audio import LOG_FLOOR, SPEC, frame_energy, resample, speech_level_db

DB = math.log(10.0) / 20.0  # nats of magnitude per decibel
NARROW_BAND_RATE = 8_000


@dataclass(frozen=True)
class MelAugment:
    """Distort mels at random; every number is the largest change, or the share of clips that get one.

    Attributes:
        tilt_db: smooth channel response: its standard deviation over the mel axis.
        noise: share of clips with added noise, at 0 to 30 dB below the speech.
        band: share of clips through a narrow band (300 Hz to between 3.4 and 8 kHz).
        room: share of clips with reverberation, T60 up to 0.8 s.
        quantise: share of clips with the noise of a coarse codec, 15 to 35 dB below the signal of each frame.
        speed: relative change of tempo.
        size_st: shift of pitch and formants together, semitones.
        register_st: shift of pitch alone, semitones.
        mistrack: share of clips in whose F0 stretches are lost or an octave off.
        masking: share of clips with a hole in time and one in frequency.
    """

    tilt_db: float = 3.0
    noise: float = 0.3
    band: float = 0.15
    room: float = 0.15
    quantise: float = 0.1
    speed: float = 0.05
    size_st: float = 2.0
    register_st: float = 1.0
    mistrack: float = 0.3
    masking: float = 0.2

    def __call__(
        self, features: Tensor, lengths: Tensor, voice: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return distorted features [B, T', M + 1] and their lengths [B].

        Args:
            features: natural-log mel magnitudes of the bundled front end and F0 in Hz [B, T, M + 1].
            lengths: real frames [B].
            voice: clips with equal numbers [B] are changed alike, as one speaker in one channel.
            generator: of everything that is drawn.
        """
        n_voices = int(voice.max()) + 1

        def uniform(low: float = -1.0, high: float = 1.0) -> Tensor:
            return (low + (high - low) * torch.rand(n_voices, generator=generator))[voice]

        def chosen(share: float) -> Tensor:
            return (torch.rand(n_voices, generator=generator) < share)[voice]

        features, lengths = _change_tempo(features, lengths, 1.0 + self.speed * uniform())
        mel, f0 = features[..., :-1], features[..., -1]
        size = 2.0 ** (self.size_st * uniform() / 12.0)
        register = 2.0 ** (self.register_st * uniform() / 12.0)
        mel = _warp(mel, size, size * register)
        f0 = _mistrack(f0 * (size * register)[:, None], self.mistrack, generator)
        mel = _reverberate(mel, chosen(self.room), uniform(0.15, 0.8), uniform(-15.0, 0.0))
        mel = mel + DB * self.tilt_db * _smooth_response(n_voices, mel.shape[-1], generator)[voice, None]
        shape = _smooth_response(n_voices, mel.shape[-1], generator)[voice]
        mel = _add_noise(mel, lengths, chosen(self.noise), uniform(0.0, 30.0), shape, generator)
        mel = _quantise(mel, chosen(self.quantise), uniform(15.0, 35.0))
        mel = _narrow(mel, chosen(self.band), uniform(3_400.0, 8_000.0))
        mel = _mask(mel, lengths, torch.rand(len(mel), generator=generator) < self.masking, generator)
        return torch.cat([mel, f0[..., None]], dim=-1), lengths


def _mel_frequencies(n_mels: int) -> Tensor:
    """Return the centre frequencies [M] in Hz of the bundled front end."""
    top = 2_595.0 * math.log10(1.0 + SPEC.sample_rate / 2.0 / 700.0)
    points = torch.linspace(0.0, top, n_mels + 2)[1:-1]
    return 700.0 * (10.0 ** (points / 2_595.0) - 1.0)


def _mel_positions(frequency: Tensor, n_mels: int) -> Tensor:
    """Return where frequencies in Hz lie on the axis of mel bins."""
    top = 2_595.0 * math.log10(1.0 + SPEC.sample_rate / 2.0 / 700.0)
    return 2_595.0 * torch.log10(1.0 + frequency / 700.0) / top * (n_mels + 1) - 1.0


def _interpolation(position: Tensor, size: int) -> Tensor:
    """Return matrices [B, size, N] that read positions [B, N] of an axis of `size` bins linearly."""
    grid = torch.arange(size)[None, :, None]
    return (1.0 - (position.clamp(0.0, size - 1.0)[:, None, :] - grid).abs()).clamp_min(0.0)


def _warp(mel: Tensor, size: Tensor, pitch: Tensor) -> Tensor:
    """Scale the spectral envelope by `size` [B] along frequency and the harmonics by `pitch` [B]."""
    n_mels = mel.shape[-1]
    frequency = _mel_frequencies(n_mels)
    distance = (torch.arange(n_mels)[:, None] - torch.arange(n_mels)[None, :]).float()
    kernel = torch.exp(-0.5 * (distance / 4.0).square())  # wider than the distance of two harmonics at low pitch
    envelope = mel @ (kernel / kernel.sum(dim=0, keepdim=True))
    warped = []
    for part, factor in ((envelope, size), (mel - envelope, pitch)):
        position = _mel_positions(frequency[None] / factor[:, None], n_mels)
        warped.append(part @ _interpolation(position, n_mels))
    return warped[0] + warped[1]


def _change_tempo(features: Tensor, lengths: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    """Resample time so that clip b is factor[b] times as fast; F0, the last column, takes the nearest frame."""
    shortened = (lengths / factor).round().clamp_min(1).long()
    n = int(shortened.max())
    position = torch.arange(n)[None] * factor[:, None]
    position = torch.minimum(position, (lengths - 1).float()[:, None])
    low = position.floor().long()
    high = torch.minimum(low + 1, (lengths - 1)[:, None])
    part = position - low
    rows = torch.arange(len(features))[:, None]
    mel = torch.lerp(features[rows, low, :-1], features[rows, high, :-1], part[:, :, None])
    f0 = features[rows, torch.where(part > 0.5, high, low), -1:]
    return torch.cat([mel, f0], dim=-1), shortened


def _mistrack(f0: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Lose F0 [B, T] in random stretches, or move it by an octave, in a share of the clips."""
    b, n = f0.shape
    factor = torch.tensor([0.0, 0.0, 0.5, 2.0])
    frame = torch.arange(n)[None]
    for _ in range(2):
        start = torch.rand(b, generator=generator) * n
        width = torch.rand(b, generator=generator) * 25.0
        inside = (frame >= start[:, None]) & (frame < (start + width)[:, None])
        inside &= (torch.rand(b, generator=generator) < share)[:, None]
        f0 = torch.where(inside, f0 * factor[torch.randint(4, (b,), generator=generator)][:, None], f0)
    return f0


def _smooth_response(b: int, n_mels: int, generator: torch.Generator) -> Tensor:
    """Draw smooth curves [B, M] of mean 0 and variance about 1: a tilt and three cosines."""
    axis = torch.linspace(0.0, 1.0, n_mels)
    waves = torch.stack([torch.cos(math.pi * k * axis) for k in (1, 2, 3, 4)])  # k = 1 is nearly a tilt
    scale = torch.tensor([1.1, 0.6, 0.4, 0.3])
    return (torch.randn(b, 4, generator=generator) * scale) @ waves


def _add_noise(
    mel: Tensor, lengths: Tensor, chosen: Tensor, snr_db: Tensor, response: Tensor, generator: torch.Generator
) -> Tensor:
    """Add noise with the spectrum `response` [B, M], `snr_db` [B] below the mean power of the clip, to the chosen ones [B]."""
    if not bool(chosen.any()):
        return mel
    picked = mel[chosen]
    real = torch.arange(mel.shape[1])[None] < lengths[chosen, None]
    energy = frame_energy(picked).masked_fill(~real, -math.inf)
    level = 0.5 * (torch.logsumexp(2.0 * energy, dim=1) - lengths[chosen].log())
    shape = 12.0 * DB * response[chosen]
    shape = shape - frame_energy(shape)[:, None]
    flutter = 0.3 * torch.randn(picked.shape, generator=generator)
    noise = (level - DB * snr_db[chosen])[:, None, None] + shape[:, None] + flutter
    return _replaced(mel, chosen, 0.5 * torch.logaddexp(2.0 * picked, 2.0 * noise))


def _replaced(mel: Tensor, chosen: Tensor, value: Tensor) -> Tensor:
    """Return mel [B, T, M] with the chosen clips [B] replaced."""
    out = mel.clone()
    out[chosen] = value
    return out


def _quantise(mel: Tensor, chosen: Tensor, snr_db: Tensor) -> Tensor:
    """Add noise that follows the level of each frame, as mu-law and coarse codecs do, to the chosen clips [B]."""
    if not bool(chosen.any()):
        return mel
    picked = mel[chosen]
    noise = (frame_energy(picked) - DB * snr_db[chosen, None])[..., None]
    return _replaced(mel, chosen, 0.5 * torch.logaddexp(2.0 * picked, 2.0 * noise))


def _narrow(mel: Tensor, chosen: Tensor, cutoff_hz: Tensor) -> Tensor:
    """Leave the band from 300 Hz to `cutoff_hz` [B]: 24 dB per octave below it, a floor 70 dB under the peak above it."""
    frequency = _mel_frequencies(mel.shape[-1])
    low = 24.0 * torch.log2(300.0 / frequency.clamp_min(20.0)).clamp_min(0.0)
    high = 200.0 * torch.log2(frequency[None] / cutoff_hz[:, None]).clamp_min(0.0)
    band = torch.maximum(mel - DB * (low + high)[:, None], mel.amax(dim=(1, 2), keepdim=True) - 70.0 * DB)
    return torch.where(chosen[:, None, None], band, mel)


def cut_band(mel: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Leave nothing above 3.4 to 8 kHz in a share of the clips [B, T, M], as resampling does; not even noise."""
    cutoff_hz = 3_400.0 + 4_600.0 * torch.rand(len(mel), generator=generator)
    cut = (torch.rand(len(mel), generator=generator) < share)[:, None] & (
        _mel_frequencies(mel.shape[-1]) > cutoff_hz[:, None]
    )
    return torch.where(cut[:, None, :], math.log(LOG_FLOOR), mel)


def _reverberate(mel: Tensor, chosen: Tensor, t60_s: Tensor, wet_db: Tensor) -> Tensor:
    """Add an exponentially decaying tail of `wet_db` [B] to the power of every band of the chosen clips [B]."""
    if not bool(chosen.any()):
        return mel
    n_taps, n = 48, int(chosen.sum())
    power = torch.exp(2.0 * mel[chosen]).transpose(1, 2)  # [P, M, T]
    decay = 6.0 * math.log(10.0) / (t60_s[chosen] * SPEC.frame_rate)  # nats of power per frame
    taps = torch.exp(-decay[:, None] * torch.arange(1, n_taps + 1))
    taps = taps / taps.sum(dim=1, keepdim=True) * torch.exp(2.0 * DB * wet_db[chosen])[:, None]
    taps = torch.cat([torch.ones(n, 1), taps], dim=1).flip(1)[:, None]  # [P, 1, taps]
    padded = torch.nn.functional.pad(power, (n_taps, 0)).transpose(0, 1)  # [M, P, T]
    tail = torch.nn.functional.conv1d(padded, taps, groups=n).transpose(0, 1)
    return _replaced(mel, chosen, 0.5 * tail.transpose(1, 2).clamp_min(LOG_FLOOR**2).log())


def _mask(mel: Tensor, lengths: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
    """Level a stretch of time (to 0.2 s) and one of frequency (to 15 bins) to the clip's mean (SpecAugment, arXiv 1904.08779)."""
    b, n_frames, n_mels = mel.shape
    start = torch.rand(b, generator=generator) * lengths
    width = torch.rand(b, generator=generator) * 20.0
    time = torch.arange(n_frames)[None]
    in_time = (time >= start[:, None]) & (time < (start + width)[:, None])
    low = torch.rand(b, generator=generator) * n_mels
    bins = torch.arange(n_mels)[None]
    in_band = (bins >= low[:, None]) & (bins < (low + 15.0 * torch.rand(b, generator=generator))[:, None])
    hole = (in_time[:, :, None] | in_band[:, None, :]) & chosen[:, None, None]
    return torch.where(hole, mel.mean(dim=(1, 2), keepdim=True), mel)


def add_noise(waveform: np.ndarray, snr_db: float, seed: int = 0) -> np.ndarray:
    """Add white noise `snr_db` below the level of the speech in waveform [L]."""
    level = 10.0 ** ((speech_level_db(waveform) - snr_db) / 20.0)
    noise = np.random.default_rng(seed).standard_normal(len(waveform))
    return (waveform + level * noise).astype(np.float32)


def telephone(waveform: np.ndarray, sample_rate: int = SPEC.sample_rate, low_hz: float = 300.0) -> np.ndarray:
    """Pass waveform [L] through a telephone: 8 kHz, 300 to 3400 Hz, 8-bit mu-law (ITU-T G.711), and back to its rate."""
    peak = float(np.abs(waveform).max()) or 1.0
    narrow = resample((waveform / peak).astype(np.float32), sample_rate, NARROW_BAND_RATE)
    spectrum = np.fft.rfft(narrow)
    frequency = np.fft.rfftfreq(len(narrow), 1.0 / NARROW_BAND_RATE)
    rise = np.clip((frequency - low_hz + 100.0) / 100.0, 0.0, 1.0)
    fall = np.clip((3_600.0 - frequency) / 200.0, 0.0, 1.0)
    narrow = np.fft.irfft(spectrum * rise * fall, len(narrow))
    wide = resample(mu_law(narrow).astype(np.float32), NARROW_BAND_RATE, sample_rate)
    return (peak * np.pad(wide, (0, max(0, len(waveform) - len(wide))))[: len(waveform)]).astype(np.float32)


def mu_law(waveform: np.ndarray, levels: int = 256) -> np.ndarray:
    """Quantise waveform [L] in [-1, 1] to `levels` steps of the mu-law and expand it again."""
    mu = levels - 1.0
    compressed = np.sign(waveform) * np.log1p(mu * np.abs(np.clip(waveform, -1.0, 1.0))) / math.log1p(mu)
    steps = np.round((compressed + 1.0) / 2.0 * mu) / mu * 2.0 - 1.0
    return np.sign(steps) * np.expm1(np.abs(steps) * math.log1p(mu)) / mu


def reverberate(waveform: np.ndarray, t60_s: float, wet_db: float = -3.0, seed: int = 0) -> np.ndarray:
    """Convolve waveform [L] with an exponentially decaying tail of noise, `wet_db` relative to the direct sound."""
    n = int(t60_s * SPEC.sample_rate)
    tail = np.random.default_rng(seed).standard_normal(n) * 10.0 ** (-3.0 * np.arange(n) / n)
    tail *= 10.0 ** (wet_db / 20.0) / math.sqrt(float(tail @ tail))
    tail[0] = 1.0
    size = len(waveform) + n
    return np.fft.irfft(np.fft.rfft(waveform, size) * np.fft.rfft(tail, size), size)[: len(waveform)].astype(np.float32)
