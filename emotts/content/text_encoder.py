"""Phoneme tokens to hidden rows.

Comes in: phoneme and stress ids [B, N], and the language [B] where there are several. Goes out: content [B, N, C], free of
voice and emotion.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from emotts.layers import BlockStack


class TextEncoder(nn.Module):
    """Embed phonemes and stresses, then mix them over the sentence."""

    def __init__(
        self,
        n_phonemes: int,
        n_stresses: int,
        channels: int = 192,
        layout: str = "ccacac",
        dropout: float = 0.1,
        languages: Sequence[str] = (),
        read_by: Mapping[str, str] | None = None,
    ) -> None:
        """Build the network.

        Args:
            n_stresses: rows of the table of marks; 3 knows stress alone, `N_MARKS` of emotts/text/symbols.py all of them.
            languages: names of the languages that it tells apart; with none it takes all text for one language.
            read_by: the backend that reads each language, where the corpus told; the network does not use it.
        """
        super().__init__()
        self.channels, self.n_stresses = channels, n_stresses
        self.languages, self.read_by = tuple(languages), dict(read_by or {})
        if len(set(self.languages)) != len(self.languages):
            raise ValueError(f"languages must be different; got {', '.join(self.languages)}.")
        self.phoneme = nn.Embedding(n_phonemes, channels)
        self.stress = nn.Embedding(n_stresses, channels)
        if self.languages:
            self.language = nn.Embedding(len(self.languages), channels)
            nn.init.normal_(self.language.weight, std=0.02)
        self.null = nn.Parameter(torch.zeros(channels))
        self.condition = nn.Parameter(torch.zeros(1, 1, 8))
        self.blocks = BlockStack(layout, channels, 8, kernel_size=5, dropout=dropout)
        self.norm = nn.LayerNorm(channels)

    def forward(
        self,
        phonemes: Tensor,
        stresses: Tensor,
        mask: Tensor,
        keep: Tensor | None = None,
        language: Tensor | None = None,
    ) -> Tensor:
        """Return content [B, N, C].

        Args:
            phonemes, stresses: ids [B, N] (int64).
            mask: [B, N], True = real token.
            keep: [B], False replaces the whole content by the null row (classifier-free dropout).
            language: [B] places in `languages`; None is the first. Without `languages` it does not count.
        """
        hidden = self.phoneme(phonemes) + self.stress(stresses)
        if self.languages:
            first = phonemes.new_zeros(len(phonemes))
            hidden = hidden + self.language(first if language is None else language)[:, None, :]
        hidden = self.norm(self.blocks(hidden, mask, self.condition.expand(len(hidden), 1, -1)))
        if keep is not None:
            hidden = self.drop(hidden, keep)
        return hidden * mask[:, :, None]

    def drop(self, content: Tensor, keep: Tensor) -> Tensor:
        """Replace the content [B, N, C] of the rows where keep [B] is False by the null row."""
        return torch.where(keep[:, None, None], content, self.null.to(content.dtype))
