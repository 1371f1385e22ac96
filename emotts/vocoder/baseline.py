"""The untrained harmonic-plus-noise vocoder: mel [B, T, M] and F0 [B, T] come in, a waveform [B, T * hop] goes out.

Pulses and noise are shaped by envelopes read off the mel, so that analysing the result gives that mel back.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emotts.audio import SPEC, AudioSpec, mel_filterbank
from emotts.vocoder.excitation import SourceSpectra, SourceSTFT, sample_source_state, voicing_of_patterns

PIVOT_HZ = 1_000.0  # effort tilts the spectrum about this frequency
CROSSOVER_HZ, CROSSOVER_WIDTH_HZ = 4_000.0, 1_000.0  # where voiced frames hold as much noise as harmonics; how fast
LEAST_NOISE = 1e-3  # of the power of voiced frames, at low frequencies
GAIN_UPDATES = 2  # copy synthesis: mel L1 0.341 nepers, with one update 0.359
SMOOTHING_HZ = 100.0  # half the spacing of harmonics; below it, envelopes would copy the ripple of the harmonics


@dataclass(frozen=True)
class Envelopes:
    """Natural-log gains of the two sources at the centres of the mel bands."""

    harmonic: Tensor  # [B, T, M]
    noise: Tensor  # [B, T, M]


def band_centres(spec: AudioSpec = SPEC) -> Tensor:
    """Return the centre frequencies [M] of the mel bands in Hz."""
    top = 2_595.0 * math.log10(1.0 + spec.sample_rate / 2 / 700.0)
    points = np.linspace(0.0, top, spec.n_mels + 2)[1:-1]
    return torch.from_numpy((700.0 * (10.0 ** (points / 2_595.0) - 1.0)).astype(np.float32))


class EnvelopeEstimator(nn.Module):
    """Reads both envelopes off a mel by comparing it with the mel of the unshaped sources.

    The share of noise in voiced frames follows a fixed rule that rises over frequency.
    """

    to_bins: Tensor
    smoothing: Tensor
    smooth_filters: Tensor
    harmonic_share: Tensor
    harmonic_power: Tensor
    noise_share: Tensor
    noise_power: Tensor

    def __init__(self, spec: AudioSpec = SPEC) -> None:
        super().__init__()
        centres = band_centres(spec)
        distance = (centres[:, None] - centres[None, :]) / SMOOTHING_HZ
        share = torch.sigmoid((centres - CROSSOVER_HZ) / CROSSOVER_WIDTH_HZ).clamp_min(LEAST_NOISE)
        to_bins = interpolation_matrix(spec)
        smoothing = torch.exp(-0.5 * distance.square())
        level = math.pi / 4.0 * torch.hann_window(spec.n_fft).square().sum().item()  # the square of the mean |STFT|
        voiced_noise = voicing_of_patterns(spec)[:, None] * (1.0 - share)
        harmonic = 0.5 * torch.log1p(-share)  # [M]
        noise = 0.5 * torch.log1p(-voiced_noise.clamp_max(1.0 - 1e-6))  # [32, M]
        self.register_buffer("to_bins", to_bins, persistent=False)  # [M, bins]
        self.register_buffer("smoothing", smoothing, persistent=False)  # [M, M]
        self.register_buffer("smooth_filters", mel_filterbank(spec) @ smoothing, persistent=False)  # [bins, M]
        self.register_buffer("harmonic_share", harmonic, persistent=False)  # log gains
        self.register_buffer("harmonic_power", torch.exp(2.0 * harmonic @ to_bins), persistent=False)  # [bins]
        self.register_buffer("noise_share", noise, persistent=False)  # log gains, by pattern of voicing
        self.register_buffer("noise_power", level * torch.exp(2.0 * noise @ to_bins), persistent=False)  # [32, bins]

    def forward(self, mel: Tensor, sources: SourceSpectra) -> Envelopes:
        """Map log mel [B, T, M] and the spectra of the sources to envelopes."""
        pulse_power = (sources.pulses * sources.pulses.conj()).real
        power = torch.addcmul(F.embedding(sources.pattern, self.noise_power), pulse_power, self.harmonic_power)
        magnitude = power.sqrt()  # [B, T, bins], of both sources in their shares, before any gain
        target = mel.exp() @ self.smoothing
        gain = torch.log(target / (magnitude @ self.smooth_filters).clamp_min(1e-12))
        for _ in range(GAIN_UPDATES - 1):
            estimate = (magnitude * torch.exp(gain @ self.to_bins)) @ self.smooth_filters
            gain = gain + torch.log(target / estimate.clamp_min(1e-12))
        return Envelopes(gain + self.harmonic_share, gain + F.embedding(sources.pattern, self.noise_share))


class SpectrumRenderer(nn.Module):
    """Shapes both sources, adds them and returns to the time domain by overlap-add."""

    to_bins: Tensor
    to_phase: Tensor
    window: Tensor
    octaves: Tensor
    look_back, look_ahead = 1, 2  # frames whose windows overlap a block of hop samples

    def __init__(self, spec: AudioSpec = SPEC) -> None:
        super().__init__()
        self.spec = spec
        to_bins = interpolation_matrix(spec)
        self.register_buffer("to_bins", to_bins, persistent=False)  # [M, bins]
        self.register_buffer("to_phase", minimum_phase_matrix(to_bins), persistent=False)  # [M, bins] radians
        self.register_buffer("window", torch.hann_window(spec.n_fft), persistent=False)
        self.register_buffer(
            "octaves", torch.log2(band_centres(spec) / PIVOT_HZ).clamp(-3.0, 3.0), persistent=False
        )  # [M]

    def forward(
        self,
        envelopes: Envelopes,
        sources: SourceSpectra,
        mask: Tensor | None = None,
        *,
        breath_db: float | Tensor = 0.0,
        effort_db_per_oct: float | Tensor = 0.0,
    ) -> Tensor:
        """Render a waveform [B, T * hop]; frames where mask [B, T] is False are silent.

        Args:
            breath_db: gain of the noise in voiced frames, a number or [B, T].
            effort_db_per_oct: tilt of the harmonics about 1 kHz (positive is brighter), a number or [B, T].
        """
        breath = _per_frame(breath_db, sources.voicing) * sources.voicing * (math.log(10.0) / 20.0)
        tilt = _per_frame(effort_db_per_oct, sources.voicing) * (math.log(10.0) / 20.0)
        harmonic = envelopes.harmonic + tilt[:, :, None] * self.octaves
        noise = envelopes.noise + breath[:, :, None]
        magnitude, phase = torch.exp(harmonic @ self.to_bins), harmonic @ self.to_phase  # [B, T, M] -> [B, T, bins]
        shaper = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())  # torch.polar takes twice as long
        spectrum = shaper * sources.pulses + torch.exp(noise @ self.to_bins) * sources.noise
        if mask is not None:
            spectrum = spectrum * mask[:, :, None]
        return self._overlap_add(spectrum)

    def _overlap_add(self, spectrum: Tensor) -> Tensor:
        """Inverse STFT with the constant norm of the interior: the outermost blocks fade."""
        frames = torch.fft.irfft(spectrum, self.spec.n_fft)
        frames = frames * (self.window / 1.5)  # four squared Hann windows sum to 1.5
        quarters = frames.unflatten(2, (4, self.spec.hop_length))  # [B, T, 4, hop]; quarter k falls on block t + k - 2
        blocks = quarters[:, :, 2].clone()
        blocks[:, 1:] += quarters[:, :-1, 3]
        blocks[:, :-1] += quarters[:, 1:, 1]
        blocks[:, :-2] += quarters[:, 2:, 0]
        return blocks.flatten(1)  # [B, T, hop] -> [B, T * hop]


class BaselineVocoder(nn.Module):
    """Pulses and noise through the envelopes of the mel; nothing is trained."""

    def __init__(self, spec: AudioSpec = SPEC) -> None:
        super().__init__()
        self.source = SourceSTFT(spec)
        self.estimator = EnvelopeEstimator(spec)
        self.renderer = SpectrumRenderer(spec)

    def forward(
        self,
        mel: Tensor,
        f0: Tensor,
        mask: Tensor | None = None,
        *,
        breath_db: float | Tensor = 0.0,
        effort_db_per_oct: float | Tensor = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Map log mel [B, T, M] and f0 [B, T] in Hz (0 unvoiced) to a waveform [B, T * hop]."""
        f0 = f0 if mask is None else f0 * mask
        sources = self.source(f0, sample_source_state(len(mel), mel.device, generator))
        envelopes = self.estimator(mel, sources)
        return self.renderer(envelopes, sources, mask, breath_db=breath_db, effort_db_per_oct=effort_db_per_oct)


def interpolation_matrix(spec: AudioSpec = SPEC) -> Tensor:
    """Return the matrix [M, bins] that interpolates band values to STFT bins, linearly in Hz and held outside."""
    centres = band_centres(spec).numpy()
    bins = np.linspace(0.0, spec.sample_rate / 2, spec.n_fft // 2 + 1)
    rows = [np.interp(bins, centres, unit) for unit in np.eye(spec.n_mels)]
    return torch.from_numpy(np.stack(rows).astype(np.float32))


def minimum_phase_matrix(to_bins: Tensor) -> Tensor:
    """Return the matrix [M, bins] from log gains to the phase in radians of the minimum-phase filter with those gains.

    Minimum phase is minus the Hilbert transform of the log magnitude, which is linear: fold the real cepstrum.

    Reference: Oppenheim & Schafer, "Discrete-Time Signal Processing" (1989), section 12.3 and figure 12.13.
    """
    cepstrum = torch.fft.irfft(to_bins.double())  # [M, n_fft]
    half = cepstrum.shape[1] // 2
    fold = torch.zeros(cepstrum.shape[1], dtype=torch.float64)
    fold[0], fold[1:half], fold[half] = 1.0, 2.0, 1.0
    return torch.fft.rfft(cepstrum * fold).imag.float()


def _per_frame(value: float | Tensor, like: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=like.dtype, device=like.device).expand_as(like)
