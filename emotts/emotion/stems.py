"""What the emotion recogniser looks with: stems, pooling over windows, and the comparison with the speaker's neutral voice.

Comes in: features [B, T, F] with a mask. Goes out: hidden [B, T / stride, C], the mel at that rate, and statistics of windows.
Pooling after Desplanques et al., "ECAPA-TDNN" (2020), arXiv 2005.07143; comparison with neutral speech of the same speaker after
Busso et al., "Iterative feature normalization scheme for automatic emotion detection from speech" (2013), IEEE TAC 4(4).
"""

import math

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


class MelStem(nn.Module):
    """Take the level off a log mel, keep the loudness relations inside the clip, add F0, and convolve to a lower rate.

    One number per clip is subtracted, so quiet and loud parts of a recording keep their difference while gain does not matter.
    The last column of the features is F0 in Hz, 0 where unvoiced.
    """

    def __init__(self, n_mels: int = SPEC.n_mels, channels: int = 128, stride: int = 4) -> None:
        super().__init__()
        self.n_features, self.n_bands, self.stride = n_mels + 1, n_mels, stride
        self.convolution = nn.Conv1d(n_mels + 5, channels, 2 * stride, stride=stride, padding=stride // 2)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Map features [B, T, M + 1] to hidden [B, T / stride, C] and bands [B, T / stride, M]; T is a multiple of the stride."""
        mel, f0 = features[..., :-1], features[..., -1]
        level = speech_level(mel, mask)[:, None, None]
        mel = ((mel - level).clamp_min(-DYNAMIC_RANGE) / MEL_SCALE + 1.0) * mask[:, :, None]
        x = torch.cat([mel, pitch_channels(f0, mask)], dim=-1)
        hidden = self.convolution(x.transpose(1, 2)).transpose(1, 2)  # [B, M + 5, T] -> [B, T / stride, C]
        return hidden, _frame_groups(mel, mask, self.stride)


class FeatureStem(nn.Module):
    """Normalise the features of a frozen encoder per frame and project them, `stride` frames to one."""

    def __init__(self, n_features: int, channels: int = 128, stride: int = 2, n_bands: int = 64) -> None:
        super().__init__()
        self.n_features, self.n_bands, self.stride = n_features, n_bands, stride
        self.norm = nn.LayerNorm(n_features)
        self.convolution = nn.Conv1d(n_features, channels, stride, stride=stride)
        self.bands = nn.Linear(n_features, n_bands)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Map features [B, T, F] to hidden [B, T / stride, C] and bands [B, T / stride, n_bands]."""
        x = self.norm(features) * mask[:, :, None]
        bands = self.bands(x) * mask[:, :, None]
        return self.convolution(x.transpose(1, 2)).transpose(1, 2), _frame_groups(bands, mask, self.stride)


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


class SpectralComparison(nn.Module):
    """Compare the band statistics of a window with the speaker's neutral ones, by convolutions along frequency.

    A formant shift moves the spectrum by a part of a band, which shows as the difference times the slope of the reference: the
    gate supplies that product, and the convolution makes it the same for every voice.
    """

    def __init__(self, groups: int, n_bands: int, channels: int = 32, out: int = 128) -> None:
        super().__init__()
        self.first = nn.Conv1d(4 * groups, 2 * channels, 5, padding=2)
        self.second = nn.Conv1d(2 * channels, channels, 5, stride=2, padding=2)
        self.third = nn.Conv1d(channels, channels, 5, stride=2, padding=2)
        self.out = nn.Linear(channels * ((n_bands + 3) // 4), out)

    def forward(self, bands: Tensor, reference: Tensor) -> Tensor:
        """Map statistics [B, W, 2 G, M] and those of the reference [B, 1, 2 G, M] to [B, W, out]."""
        x = torch.cat([bands - reference, reference.expand_as(bands)], dim=-2).flatten(0, 1)  # [B W, 4 G, M]
        a, b = self.first(x).chunk(2, dim=1)
        x = F.gelu(self.second(torch.cat([a, a * b], dim=1)))
        x = F.gelu(self.third(x)).flatten(1)
        return self.out(x).unflatten(0, bands.shape[:2])
