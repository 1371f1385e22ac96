"""Phoneme tokens to hidden rows.

Comes in: phoneme and stress ids [B, N]. Goes out: content [B, N, C], free of voice and emotion.
"""

import torch
from torch import Tensor, nn

from emotts.layers import BlockStack


class TextEncoder(nn.Module):
    """Embed phonemes and stresses, then mix them over the sentence."""

    def __init__(
        self, n_phonemes: int, n_stresses: int, channels: int = 192, layout: str = "ccacac", dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.channels = channels
        self.phoneme = nn.Embedding(n_phonemes, channels)
        self.stress = nn.Embedding(n_stresses, channels)
        self.null = nn.Parameter(torch.zeros(channels))
        self.condition = nn.Parameter(torch.zeros(1, 1, 8))
        self.blocks = BlockStack(layout, channels, 8, kernel_size=5, dropout=dropout)
        self.norm = nn.LayerNorm(channels)

    def forward(self, phonemes: Tensor, stresses: Tensor, mask: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return content [B, N, C].

        Args:
            phonemes, stresses: ids [B, N] (int64).
            mask: [B, N], True = real token.
            keep: [B], False replaces the whole content by the null row (classifier-free dropout).
        """
        hidden = self.phoneme(phonemes) + self.stress(stresses)
        hidden = self.norm(self.blocks(hidden, mask, self.condition.expand(len(hidden), 1, -1)))
        if keep is not None:
            hidden = self.drop(hidden, keep)
        return hidden * mask[:, :, None]

    def drop(self, content: Tensor, keep: Tensor) -> Tensor:
        """Replace the content [B, N, C] of the rows where keep [B] is False by the null row."""
        return torch.where(keep[:, None, None], content, self.null.to(content.dtype))
