"""Voices known from a recording: a mel [B, T, M] comes in, a speaker embedding and what it leaves out go out.

The embedding lies in the space of the named voices, which the acoustic model knows; a few voices span little of it, so a second
vector, the timbre, corrects the mel behind the model's trunk. Both are trained through the frozen acoustic model.
Attentive statistics after Okabe et al., "Attentive statistics pooling for deep speaker embedding" (2018), arXiv 1803.10963.
"""

import torch
from torch import Tensor, nn

from emotts.audio import SPEC
from emotts.layers import BlockStack

MEL_MEAN, MEL_SCALE = -2.0, 2.5  # bring log mels near zero mean and unit variance
MEL_FLOOR = -5.0  # what lies deeper is nothing, be it digital silence or the band that a telephone lacks
CONDITION = 8


class ReferenceEncoder(nn.Module):
    """Hear who speaks in a mel."""

    def __init__(
        self, speaker: int = 96, timbre: int = 64, n_mels: int = SPEC.n_mels, channels: int = 192, layout: str = "cccc"
    ) -> None:
        super().__init__()
        self.sizes = [speaker, timbre]
        self.enter = nn.Linear(n_mels, channels)
        self.condition = nn.Parameter(torch.zeros(1, 1, CONDITION))
        self.blocks = BlockStack(layout, channels, CONDITION, kernel_size=5, dropout=0.1)
        self.attention = nn.Linear(channels, channels)
        self.leave = nn.Sequential(
            nn.LayerNorm(2 * channels),
            nn.Linear(2 * channels, channels),
            nn.SiLU(),
            nn.Linear(channels, speaker + timbre),
        )

    def forward(self, mel: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return speaker embeddings [B, D] and timbres [B, U].

        Args:
            mel: natural-log magnitudes of the bundled front end [B, T, M].
            mask: frames that count [B, T]; at least one in every row.
        """
        x = self.enter((mel.clamp_min(MEL_FLOOR) - MEL_MEAN) / MEL_SCALE)
        x = self.blocks(x, mask, self.condition.expand(len(mel), 1, -1)).float()
        weight = self.attention(x).float().masked_fill(~mask[:, :, None], -1e4).softmax(dim=1)
        mean = (weight * x).sum(dim=1)
        deviation = (weight * x.square()).sum(dim=1) - mean.square()
        pooled = torch.cat([mean, deviation.clamp_min(1e-5).sqrt()], dim=-1)
        speaker, timbre = self.leave(pooled).float().split(self.sizes, dim=-1)
        return speaker, timbre


class TimbreAdapter(nn.Module):
    """Correct the trunk's mel for a timbre; without training it changes nothing."""

    def __init__(
        self, trunk: int = 256, timbre: int = 64, n_mels: int = SPEC.n_mels, channels: int = 192, layout: str = "cc"
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(trunk + n_mels, channels)
        self.blocks = BlockStack(layout, channels, timbre, kernel_size=5)
        self.norm = nn.LayerNorm(channels)
        self.leave = nn.Linear(channels, n_mels)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, rows: Tensor, prior: Tensor, timbre: Tensor, mask: Tensor) -> Tensor:
        """Return what is added to the prior mel [B, T, M], in its normalised units.

        Args:
            rows: of the trunk [B, T, C]. prior: its mel [B, T, M].
            timbre: [B, U]. mask: real frames [B, T].
        """
        x = self.enter(torch.cat([rows, prior], dim=-1))
        return self.leave(self.norm(self.blocks(x, mask, timbre[:, None, :])))


class ReferenceVoice(nn.Module):
    """Encoder and adapter, trained and stored together."""

    def __init__(self, encoder: ReferenceEncoder, adapter: TimbreAdapter) -> None:
        super().__init__()
        self.encoder = encoder
        self.adapter = adapter
