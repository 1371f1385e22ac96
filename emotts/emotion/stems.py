"""What the emotion recogniser looks with: stems, pooling over windows, and the comparison with the speaker's neutral voice.

Comes in: features [B, T, F] with a mask. Goes out: hidden, bands and contours at a lower rate, and statistics of windows.
Pooling after Desplanques et al., "ECAPA-TDNN" (2020), arXiv 2005.07143; comparison with neutral speech of the same speaker after
Busso et al., "Iterative feature normalization scheme for automatic emotion detection from speech" (2013), IEEE TAC 4(4).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emotts.audio import SPEC, frame_energy

SPEECH_RANGE = 30.0 * math.log(10.0) / 20.0  # 30 dB below the loudest frame, where speech ends for the clip's level
DYNAMIC_RANGE = 65.0 * math.log(10.0) / 20.0  # what lies deeper below the clip's level is not looked at
MEL_SCALE = 2.0  # nats; brings the normalised mel to about unit variance
PITCH_REFERENCE = 150.0  # Hz


def speech_level(mel: Tensor, mask: Tensor) -> Tensor:
    """Return the level of the speech of each clip: log mel [B, T, M], mask [B, T] -> natural log RMS [B].

    Only frames within 30 dB of the loudest count, so that pauses and padding do not change it.
    """
    energy = frame_energy(mel).masked_fill(~mask, -math.inf)  # [B, T]
    speech = energy > energy.amax(dim=1, keepdim=True) - SPEECH_RANGE
    power = torch.logsumexp(2.0 * energy.masked_fill(~speech, -math.inf), dim=1)
    return 0.5 * (power - speech.sum(dim=1).clamp_min(1).log())


def pitch_channels(f0: Tensor, mask: Tensor) -> Tensor:
    """Describe F0 [B, T] in Hz per frame [B, T, 5]: voicing, height, height in the clip, place in the clip, and their product.

    The product is what a slope over the whole clip is read from; a convolution sees a few syllables only.
    """
    voiced = (f0 > 0) & mask
    height = torch.where(voiced, (f0.clamp_min(1.0) / PITCH_REFERENCE).log2(), 0.0)
    mean = height.sum(dim=1, keepdim=True) / voiced.sum(dim=1, keepdim=True).clamp_min(1)
    local = torch.where(voiced, height - mean, 0.0)
    length = mask.sum(dim=1, keepdim=True)
    place = 2.0 * torch.arange(f0.shape[1], device=f0.device)[None] / (length - 1).clamp_min(1) - 1.0
    place = torch.where(mask, place, 0.0)
    return torch.stack([voiced.float(), 2.0 * height, 4.0 * local, place, 4.0 * local * place], dim=-1)


@dataclass
class Stemmed:
    """What a stem gives, at its lower rate.

    Attributes:
        hidden: [B, T / stride, C].
        bands: mean of the normalised mel, or of projected features [B, T / stride, M].
        tracks: share of voiced frames, F0 of these in octaves over 150 Hz, and level over that of the clip's speech in nats
            [B, T / stride, 3].
    """

    hidden: Tensor
    bands: Tensor
    tracks: Tensor


class MelStem(nn.Module):
    """Take the level off a log mel, keep the loudness relations inside the clip, add F0, and convolve to a lower rate.

    One number per clip is subtracted, so quiet and loud parts of a recording keep their difference while gain does not matter.
    The last column of the features is F0 in Hz, 0 where unvoiced.
    """

    def __init__(self, n_mels: int = SPEC.n_mels, channels: int = 128, stride: int = 4) -> None:
        super().__init__()
        self.n_features, self.n_bands, self.stride = n_mels + 1, n_mels, stride
        self.convolution = nn.Conv1d(n_mels + 5, channels, 2 * stride, stride=stride, padding=stride // 2)

    def forward(self, features: Tensor, mask: Tensor) -> Stemmed:
        """Map features [B, T, M + 1]; T is a multiple of the stride."""
        mel, f0 = features[..., :-1], features[..., -1]
        level = speech_level(mel, mask)[:, None, None]
        mel = ((mel - level).clamp_min(-DYNAMIC_RANGE) / MEL_SCALE + 1.0) * mask[:, :, None]
        x = torch.cat([mel, pitch_channels(f0, mask)], dim=-1)
        hidden = self.convolution(x.transpose(1, 2)).transpose(1, 2)  # [B, M + 5, T] -> [B, T / stride, C]
        voiced = ((f0 > 0) & mask).float()
        height = (f0.clamp_min(1.0) / PITCH_REFERENCE).log2() * voiced
        energy = (frame_energy(features[..., :-1]) - level[..., 0]) * mask
        tracks = torch.stack([voiced, height, energy], dim=-1)
        voicing, height, energy = _frame_groups(tracks, mask, self.stride).unbind(dim=-1)
        tracks = torch.stack([voicing, height / voicing.clamp_min(1e-3), energy.clamp_min(-DYNAMIC_RANGE)], dim=-1)
        return Stemmed(hidden, _frame_groups(mel, mask, self.stride), tracks)


class FeatureStem(nn.Module):
    """Normalise the features of a frozen encoder per frame and project them, `stride` frames to one."""

    def __init__(self, n_features: int, channels: int = 128, stride: int = 2, n_bands: int = 64) -> None:
        super().__init__()
        self.n_features, self.n_bands, self.stride = n_features, n_bands, stride
        self.norm = nn.LayerNorm(n_features)
        self.convolution = nn.Conv1d(n_features, channels, stride, stride=stride)
        self.bands = nn.Linear(n_features, n_bands)

    def forward(self, features: Tensor, mask: Tensor) -> Stemmed:
        """Map features [B, T, F]; T is a multiple of the stride. Such features have no tracks: these are constant."""
        x = self.norm(features) * mask[:, :, None]
        hidden = self.convolution(x.transpose(1, 2)).transpose(1, 2)  # [B, F, T] -> [B, T / stride, C]
        bands = _frame_groups(self.bands(x) * mask[:, :, None], mask, self.stride)
        return Stemmed(hidden, bands, bands.new_zeros(*bands.shape[:2], 3))


def _frame_groups(x: Tensor, mask: Tensor, stride: int) -> Tensor:
    """Average the real frames of each group of `stride`: [B, T, M] -> [B, T / stride, M]."""
    total = x.unflatten(1, (-1, stride)).sum(dim=2)
    return total / mask.unflatten(1, (-1, stride)).sum(dim=2).clamp_min(1)[..., None]


class AttentivePooling(nn.Module):
    """Weighted mean and deviation over windows: of hidden channels in groups, and of all bands under each group's weights."""

    def __init__(self, channels: int, groups: int = 4) -> None:
        super().__init__()
        self.groups = groups
        self.score = nn.Sequential(nn.Linear(channels, channels // 2), nn.Tanh(), nn.Linear(channels // 2, groups))

    def forward(self, hidden: Tensor, bands: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Pool over boolean windows [B, W, T] of at least one frame each.

        Args:
            hidden: [B, T, C].
            bands: [B, T, M].
            windows: [B, W, T].

        Returns:
            Statistics of the hidden channels [B, W, 2 C], and of the bands [B, W, 2 G, M]: G means, then G deviations.
        """
        score = self.score(hidden).transpose(1, 2)[:, :, None, :]  # [B, T, G] -> [B, G, 1, T]
        weight = score.masked_fill(~windows[:, None], -math.inf).softmax(dim=-1)  # [B, G, W, T]
        grouped = hidden.unflatten(-1, (self.groups, -1)).transpose(1, 2)  # [B, T, C] -> [B, G, T, C / G]
        of_hidden = [part.transpose(1, 2).flatten(-2) for part in _mean_and_deviation(weight, grouped)]
        of_bands = [part.transpose(1, 2) for part in _mean_and_deviation(weight, bands[:, None])]
        return torch.cat(of_hidden, dim=-1), torch.cat(of_bands, dim=-2)


def _mean_and_deviation(weight: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    mean = weight @ x
    return mean, (weight @ x.square() - mean.square()).clamp_min(1e-5).sqrt()


N_CONTOUR = 13


def contour_statistics(tracks: Tensor, windows: Tensor) -> Tensor:
    """Describe pitch and loudness over windows by numbers that mean the same in every voice.

    Args:
        tracks: see Stemmed [B, T, 3].
        windows: boolean [B, W, T].

    Returns:
        Level, spread, slope, start and end, height of peaks and movement of F0; voicing, pauses; spread and movement of level, all
        about one in size [B, W, N_CONTOUR].
    """
    voicing, height, energy = (x[:, None] for x in tracks.unbind(dim=-1))  # [B, 1, T]
    inside = windows.float()
    spoken = inside * (energy > -SPEECH_RANGE)
    voiced = inside * voicing
    place = (inside.cumsum(dim=-1) - 0.5) / inside.sum(dim=-1, keepdim=True) - 0.5  # -0.5 to 0.5 along the window

    def mean(x: Tensor, weight: Tensor) -> Tensor:
        return (x * weight).sum(dim=-1, keepdim=True) / weight.sum(dim=-1, keepdim=True).clamp_min(0.5)

    level = mean(height, voiced)
    local = height - level
    moment = mean(place, voiced)
    slope = mean(local * (place - moment), voiced) / (mean((place - moment).square(), voiced) + 0.01)
    loud = mean(energy, spoken)
    steps = inside[..., 1:] * inside[..., :-1]
    both = steps * voicing[..., 1:] * voicing[..., :-1]
    columns = [
        2.0 * level,
        5.0 * (mean(local.square(), voiced) + 1e-5).sqrt(),
        2.0 * slope,
        4.0 * mean(local, voiced * (place < -0.25)),
        4.0 * mean(local, voiced * (place > 0.25)),
        10.0 * mean(F.relu(local), voiced),
        10.0 * mean((height[..., 1:] - height[..., :-1]).abs(), both),
        2.0 * mean(voicing, spoken),
        2.0 * mean(spoken, inside),
        (mean((energy - loud).square(), spoken) + 1e-5).sqrt(),
        2.0 * (mean((energy - mean(energy, voiced)).square(), voiced) + 1e-5).sqrt(),
        mean((energy[..., 1:] - energy[..., :-1]).abs(), steps * spoken[..., 1:]),
        4.0 * mean((voicing[..., 1:] - voicing[..., :-1]).abs(), steps),
    ]
    return torch.cat(columns, dim=-1)


class SpectralComparison(nn.Module):
    """Compare the band statistics of a window with the speaker's neutral ones.

    A formant shift moves the spectrum by a part of a band, which shows as the difference times the slope of the reference. In four
    ranges of bands the difference is fitted by least squares as offset, tilt, curvature and shift, which mean the same in every
    voice; convolutions along frequency with a product of channels see the rest.
    """

    def __init__(self, groups: int, n_bands: int, channels: int = 32, out: int = 128) -> None:
        super().__init__()
        self.first = nn.Conv1d(4 * groups, 2 * channels, 5, padding=2)
        self.second = nn.Conv1d(2 * channels, channels, 5, stride=2, padding=2)
        self.third = nn.Conv1d(channels, channels, 5, stride=2, padding=2)
        edges = ((0.05, 0.5), (0.3, 0.75), (0.5, 0.98), (0.05, 0.98))
        self.ranges = [(int(low * n_bands), int(high * n_bands)) for low, high in edges]
        self.groups = groups
        self.out = nn.Linear(channels * ((n_bands + 3) // 4) + 4 * len(edges) * groups, out)

    def forward(self, bands: Tensor, reference: Tensor) -> Tensor:
        """Map statistics [B, W, 2 G, M] and those of the reference [B, 1, 2 G, M] to [B, W, out]."""
        x = torch.cat([bands - reference, reference.expand_as(bands)], dim=-2).flatten(0, 1)  # [B W, 4 G, M]
        a, b = self.first(x).chunk(2, dim=1)
        x = F.gelu(self.second(torch.cat([a, a * b], dim=1)))
        x = F.gelu(self.third(x)).flatten(1).unflatten(0, bands.shape[:2])
        means = bands[..., : self.groups, :].float(), reference[..., : self.groups, :].float()
        with torch.autocast(bands.device.type, enabled=False):  # small systems of equations need every digit
            fits = [_fitted(*(part[..., low:high] for part in means)).flatten(-2) for low, high in self.ranges]
        return self.out(torch.cat([x, *fits], dim=-1))


def _fitted(bands: Tensor, reference: Tensor) -> Tensor:
    """Fit bands - reference [..., M] by offset, tilt, curvature and shift along the axis in bands: [..., 4]."""
    axis = torch.linspace(-1.0, 1.0, bands.shape[-1], device=bands.device)
    smooth = F.avg_pool1d(F.pad(reference.flatten(0, -2)[:, None], (1, 1), mode="replicate"), 3, 1)[:, 0]
    slope = torch.gradient(smooth.view_as(reference), dim=-1)[0]
    basis = torch.stack([torch.ones_like(slope), axis.expand_as(slope), axis.square().expand_as(slope), slope], dim=-1)
    square = basis.mT @ basis + 0.05 * torch.eye(4, device=bands.device)  # ridge: a flat reference has no shift
    projected = (basis.mT @ (bands - reference)[..., None]).expand(*bands.shape[:-1], 4, 1)
    return torch.linalg.solve(square.expand(*bands.shape[:-1], 4, 4), projected)[..., 0]
