"""Losses and measures of a vocoder: waveforms [B, L] come in, named terms or numbers go out.

Noise has no one right waveform, so a plain distance to the recording would reward too little of it. The loss is a
spectral energy distance between two syntheses x, x' of one mel and the recording y: d(x, y) + d(x', y) - d(x, x'),
smallest when x and y have the same distribution.

Reference: Gritsenko et al., "A Spectral Energy Distance for Parallel Speech Synthesis" (2020), arXiv 2008.01160.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from emotts.audio import SPEC, AudioSpec, LogMel, extract_f0

MAGNITUDE_FLOOR = 1e-4  # of a full-scale sinusoid; differences below -80 dB are not heard
MEL_FLOOR = -6.0  # natural log of mel magnitude; as above, for the mel term
FINE_LIMIT_HZ = 4_000.0  # below it a 4096-sample window separates harmonics from the noise between them


class SpectralEnergyDistance(nn.Module):
    """Energy distance over several STFTs, the mel and the level."""

    def __init__(
        self,
        spec: AudioSpec = SPEC,
        resolutions: tuple[int, ...] = (256, 512, 1024, 2048),
        fine_resolution: int = 4096,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.resolutions = tuple(resolutions)
        self.fine_resolution = fine_resolution
        self.log_mel = LogMel(spec)
        for size in (*self.resolutions, fine_resolution):
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)

    def forward(self, first: Tensor, second: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compare two syntheses [B, L] of the same mels with the recordings [B, L].

        Returns:
            stft: log magnitudes over all resolutions, in nepers.
            convergence: magnitudes relative to the recording's, over all resolutions.
            fine: log magnitudes below 4 kHz with a long window: periodicity and the noise between harmonics.
            mel: log mel in nepers.
            level: log RMS of mel frames in nepers.
        """
        waveforms = torch.cat([first, second, target]).float()
        terms: dict[str, list[Tensor]] = {"stft": [], "convergence": []}
        for size in self.resolutions:
            magnitude = self._magnitude(waveforms, size)
            terms["stft"].append(energy_distance(magnitude.clamp_min(MAGNITUDE_FLOOR).log()))
            scale = magnitude[2 * len(first) :].square().sum(dim=(1, 2)).sqrt().clamp_min(MAGNITUDE_FLOOR)
            relative = (magnitude / scale.repeat(3)[:, None, None]).flatten(1)[:, None]  # one vector per waveform
            terms["convergence"].append(energy_distance(relative, mean=False))
        fine = self._magnitude(waveforms, self.fine_resolution)
        n_bins = int(FINE_LIMIT_HZ / self.spec.sample_rate * self.fine_resolution)
        mel = self.log_mel(waveforms).clamp_min(MEL_FLOOR)
        level = 0.5 * torch.logsumexp(2.0 * mel, dim=-1, keepdim=True)
        return {
            **{name: torch.stack(values).mean() for name, values in terms.items()},
            "fine": energy_distance(fine[:, :, :n_bins].clamp_min(MAGNITUDE_FLOOR).log()),
            "mel": energy_distance(mel),
            "level": energy_distance(level),
        }

    def _magnitude(self, waveforms: Tensor, size: int) -> Tensor:
        """Return STFT magnitudes [B, frames, bins] in which a full-scale sinusoid peaks at 1."""
        window = self.get_buffer(f"window_{size}")
        spectrum = torch.stft(waveforms, size, size // 4, window=window, center=False, return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()
        return (power + 1e-14).sqrt().transpose(1, 2) / (size / 4)


def energy_distance(features: Tensor, mean: bool = True) -> Tensor:
    """Return d(x, y) + d(x', y) - d(x, x') for features [x; x'; y] stacked as [3 B, frames, C].

    d is the Euclidean distance of two frames, divided by sqrt(C) if `mean` (a root mean square), averaged over frames.
    """
    x_1, x_2, y = features.chunk(3)
    scale = features.shape[-1] ** -0.5 if mean else 1.0

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return ((a - b).square().sum(dim=-1) + 1e-8).sqrt().mean() * scale

    return distance(x_1, y) + distance(x_2, y) - distance(x_1, x_2)


def periodicity(
    waveform: np.ndarray, f0: np.ndarray, spec: AudioSpec = SPEC, band_hz: tuple[float, float] = (0.0, 12e3)
) -> np.ndarray:
    """Measure how alike neighbouring periods are: [T] in [-1, 1], nan in unvoiced frames.

    Args:
        waveform: [L].
        f0: Hz at mel frames [T], 0 unvoiced; the lag is the best one within 3 % of its period.
        band_hz: only this band is looked at (by zeroing the rest of the spectrum).
    """
    spectrum = np.fft.rfft(waveform)
    frequency = np.fft.rfftfreq(len(waveform), 1.0 / spec.sample_rate)
    signal = np.fft.irfft(np.where((frequency >= band_hz[0]) & (frequency < band_hz[1]), spectrum, 0.0), len(waveform))
    result = np.full(len(f0), np.nan)
    for t in np.flatnonzero(f0 > 0):
        period = spec.sample_rate / float(f0[t])
        length = int(2 * period)  # two periods against the next two
        for lag in range(math.floor(period * 0.97), math.ceil(period * 1.03) + 1):
            start = t * spec.hop_length - (length + lag) // 2
            if start < 0 or start + length + lag > len(signal):
                continue
            a, b = signal[start : start + length], signal[start + lag : start + lag + length]
            norm = math.sqrt(float(a @ a) * float(b @ b))
            if norm > 1e-9:
                result[t] = np.nanmax([result[t], float(a @ b) / norm])
    return result


def copy_synthesis_measures(
    synthesis: np.ndarray, recording: np.ndarray, f0: np.ndarray, spec: AudioSpec = SPEC
) -> dict[str, float]:
    """Compare a synthesis [L] with the recording [L] whose F0 is f0 [T] in Hz.

    Returns:
        mel_l1: nepers, over bands above the floor of hearing. f0_cents: mean absolute error where both are voiced.
        voicing_error: share of frames. periodicity_<band>: mean absolute difference; bias_<band>: its signed mean
        (positive = synthesis is more periodic) in the bands low (0-2 kHz), mid (2-5 kHz) and high (5-10 kHz).
    """
    log_mel = LogMel(spec)
    with torch.no_grad():
        mels = log_mel(torch.from_numpy(np.stack([synthesis, recording])).float()).clamp_min(MEL_FLOOR)
    tracks = [extract_f0(x.astype(np.float32), spec.sample_rate, spec.hop_length) for x in (synthesis, recording)]
    both = (tracks[0] > 0) & (tracks[1] > 0)
    cents = 1_200.0 * np.abs(np.log2(tracks[0][both] / tracks[1][both]))
    measures = {
        "mel_l1": float((mels[0, 4:-4] - mels[1, 4:-4]).abs().mean()),
        "f0_cents": float(cents.mean()) if both.any() else math.nan,
        "voicing_error": float(((tracks[0] > 0) != (tracks[1] > 0)).mean()),
    }
    for name, band_hz in {"low": (0.0, 2e3), "mid": (2e3, 5e3), "high": (5e3, 10e3)}.items():
        difference = periodicity(synthesis, f0, spec, band_hz) - periodicity(recording, f0, spec, band_hz)
        measures[f"periodicity_{name}"] = float(np.nanmean(np.abs(difference)))
        measures[f"bias_{name}"] = float(np.nanmean(difference))
    return measures
