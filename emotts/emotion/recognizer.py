"""The emotion recogniser: log mel and F0 (or the features of a frozen encoder) to labels, arousal-valence-dominance, an embedding.

Comes in: features [B, T, F] and their lengths, and neutral clips of the same voice where there are some. Goes out: for the whole
clip or for any windows of it, logits over LABELS, A, V, D with their uncertainty, and a point of the emotion space. Joint heads
after MERaLiON-SER (2025), arXiv 2511.04914; temperature after Guo et al. (2017), arXiv 1706.04599.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.emotion.regions import LabelRegions
from emotts.emotion.stems import (
    N_CONTOUR,
    AttentivePooling,
    FeatureStem,
    MelStem,
    SpectralComparison,
    Stemmed,
    contour_statistics,
)
from emotts.layers import BlockStack, lengths_to_mask, mean_over

N_CONTROLS = 13
VARIANCE_RANGE = (-7.0, 1.0)  # natural log of the variance of A, V, D


@dataclass
class Statistics:
    """What is known of B clips (or of W windows of each) after pooling; averages of these describe a speaker's neutral voice.

    Attributes:
        hidden: normalised statistics of the hidden channels [B, W, 2 C].
        bands: statistics of the bands [B, W, 2 G, M].
        contour: statistics of pitch and level [B, W, N_CONTOUR].
    """

    hidden: Tensor
    bands: Tensor
    contour: Tensor


@dataclass
class Recognition:
    """What the network says about W windows of each clip.

    Attributes:
        logits: over LABELS, before the temperature [B, W, K].
        avd: mean of arousal, valence, dominance [B, W, 3]; about [-1, 1], not bounded.
        log_variance: natural log of their variance [B, W, 3].
        embedding: unit vectors [B, W, E].
        controls: the acoustic controls that would render this emotion, in the units of objective.CONTROL_SCALES [B, W, 13].
    """

    logits: Tensor
    avd: Tensor
    log_variance: Tensor
    embedding: Tensor
    controls: Tensor


class Recognizer(nn.Module):
    """Convolutions over the clip, told its average; pooling; comparison with the speaker's neutral voice where it is known."""

    temperature: Tensor

    def __init__(
        self,
        stem: MelStem | FeatureStem,
        channels: int = 128,
        layout: str = "ccc",
        context: int = 64,
        groups: int = 4,
        head: int = 192,
        embedding_dim: int = 64,
        dropout: float = 0.1,
    ) -> None:
        """Build the network.

        Args:
            stem: MelStem, or FeatureStem for an encoder of emotts/emotion/backbones.py.
            channels: of the hidden positions; the stem's too.
            layout: blocks of emotts.layers.BlockStack.
            context: size of the clip's average that every block is told, through its norm.
            groups: of channels with attention weights of their own.
            head: width of the layer before the embedding.
            embedding_dim: E, the emotion space from which labels and A, V, D are read linearly.
            dropout: of what is pooled.
        """
        super().__init__()
        self.stem = stem
        self.norm = nn.LayerNorm(channels)
        self.context = nn.Sequential(nn.Linear(2 * channels, context), nn.SiLU(), nn.Linear(context, context))
        self.blocks = BlockStack(layout, channels, context)
        self.norm_out = nn.LayerNorm(channels)
        self.pool = AttentivePooling(channels, groups)
        self.norm_pool = nn.LayerNorm(2 * channels)
        self.any_hidden = nn.Parameter(torch.zeros(2 * channels))  # stands for a voice that is not known
        self.any_bands = nn.Parameter(torch.zeros(2 * groups, stem.n_bands))
        self.any_contour = nn.Parameter(torch.zeros(N_CONTOUR))
        self.comparison = SpectralComparison(groups, stem.n_bands)
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(4 * channels + 128 + 2 * N_CONTOUR + 1, head), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(head, embedding_dim),
        )  # fmt: skip
        self.labels = nn.Linear(embedding_dim, len(LABELS))
        self.avd = nn.Linear(embedding_dim, len(DIMENSIONS))
        self.log_variance = nn.Linear(embedding_dim, len(DIMENSIONS))
        self.controls = nn.Linear(embedding_dim, N_CONTROLS)
        self.regions = LabelRegions()
        self.register_buffer("temperature", torch.ones(2))  # voice unknown, voice known

    def forward(
        self,
        features: Tensor,
        lengths: Tensor,
        windows: Tensor | None = None,
        reference: Statistics | None = None,
        reference_weight: Tensor | None = None,
    ) -> Recognition:
        """Recognise clips, whole or in windows.

        Args:
            features: log mel and F0 [B, T, M + 1], or what the stem takes.
            lengths: real frames of each clip [B], at least one.
            windows: first frame and end of windows [B, W, 2] in frames of the features; None is the whole clip, W = 1.
            reference: statistics of R neutral clips, W = 1; None takes those of the clips themselves.
            reference_weight: which of them describe the voice of each clip [B, R]: rows sum to 1, or are 0 for a voice that is not
                known. None means that no voice is known.
        """
        stemmed, mask = self._trunk(features, lengths)
        if windows is None:
            windows = torch.stack([torch.zeros_like(lengths), lengths], dim=-1)[:, None]
        found = self._pooled(stemmed, _window_masks(windows, self.stem.stride, mask))
        if reference is None and reference_weight is not None:
            reference = self._pooled(stemmed, mask[:, None])
        return self._heads(found, self._voice(reference, reference_weight, len(features)))

    def describe(self, features: Tensor, lengths: Tensor) -> Statistics:
        """Return the statistics of whole clips, for use as `reference` of others of the same voice."""
        stemmed, mask = self._trunk(features, lengths)
        return self._pooled(stemmed, mask[:, None])

    def probabilities(self, logits: Tensor, is_voice_known: bool = False) -> Tensor:
        """Return calibrated probabilities [..., K]."""
        return (logits / self.temperature[int(is_voice_known)]).softmax(dim=-1)

    def _trunk(self, features: Tensor, lengths: Tensor) -> tuple[Stemmed, Tensor]:
        stride = self.stem.stride
        features = F.pad(features, (0, 0, 0, -features.shape[1] % stride))  # [B, T, F]
        stemmed = self.stem(features, lengths_to_mask(lengths, features.shape[1]))
        mask = lengths_to_mask((lengths + stride - 1) // stride, stemmed.hidden.shape[1])
        hidden = self.norm(F.gelu(stemmed.hidden))  # [B, T / stride, C]
        hidden = self.blocks(hidden, mask, self.context(_statistics(hidden, mask))[:, None])
        return replace(stemmed, hidden=self.norm_out(hidden)), mask

    def _pooled(self, stemmed: Stemmed, windows: Tensor) -> Statistics:
        hidden, bands = self.pool(stemmed.hidden, stemmed.bands, windows)
        return Statistics(self.norm_pool(hidden), bands, contour_statistics(stemmed.tracks, windows))

    def _voice(self, reference: Statistics | None, weight: Tensor | None, n: int) -> tuple[Statistics, Tensor]:
        """Return the statistics of each clip's neutral voice, W = 1, and whether it is known [B, 1, 1]."""
        unknown = Statistics(*(x.expand(n, 1, *x.shape) for x in (self.any_hidden, self.any_bands, self.any_contour)))
        if reference is None or weight is None:
            return unknown, self.any_hidden.new_zeros(n, 1, 1)
        known = (weight.sum(dim=1) > 0)[:, None, None]

        def of_voice(given: Tensor, otherwise: Tensor) -> Tensor:
            mixed = torch.einsum("br,rw...->bw...", weight, given)
            return torch.where(known.view(n, *[1] * (mixed.ndim - 1)), mixed, otherwise)

        columns = zip(vars(reference).values(), vars(unknown).values(), strict=True)
        return Statistics(*(of_voice(given, otherwise) for given, otherwise in columns)), known.float()

    def _heads(self, found: Statistics, voice: tuple[Statistics, Tensor]) -> Recognition:
        neutral, known = voice
        compared = self.comparison(found.bands, neutral.bands)
        known = known.expand(-1, found.hidden.shape[1], -1)
        same = [found.hidden, found.hidden - neutral.hidden, found.contour, found.contour - neutral.contour]
        heard = torch.cat([*same, compared, known], dim=-1)
        embedding = F.normalize(self.head(heard), dim=-1)  # [B, W, E]
        point = embedding * math.sqrt(embedding.shape[-1])  # entries of about one
        return Recognition(
            logits=self.labels(point),
            avd=self.avd(point),
            log_variance=_soft_limits(self.log_variance(point), *VARIANCE_RANGE),
            embedding=embedding,
            controls=self.controls(point),
        )


def _statistics(x: Tensor, mask: Tensor) -> Tensor:
    """Return mean and standard deviation over the real positions: [B, T, C] -> [B, 2 C]."""
    mean = mean_over(x, mask)
    variance = mean_over((x - mean[:, None]).square(), mask)
    return torch.cat([mean, (variance + 1e-5).sqrt()], dim=-1)


def _window_masks(windows: Tensor, stride: int, mask: Tensor) -> Tensor:
    """Turn windows [B, W, 2] in frames into masks [B, W, T / stride] with at least one real position each."""
    n = mask.sum(dim=1)[:, None]  # [B, 1]
    start = torch.minimum((windows[..., 0] + stride // 2) // stride, n - 1)
    end = torch.maximum((windows[..., 1] + stride // 2) // stride, start + 1)
    end = torch.where(windows[..., 1] >= (n - 1) * stride + 1, n, end)
    position = torch.arange(mask.shape[1], device=mask.device)
    return (position >= start[..., None]) & (position < end[..., None]) & mask[:, None, :]


def _soft_limits(x: Tensor, low: float, high: float) -> Tensor:
    """Keep x between two limits without a corner: gradients never vanish all at once."""
    return low + (high - low) * torch.sigmoid(4.0 * (x - 0.5 * (low + high)) / (high - low))
