"""Named voices: a learned embedding each, with the register they speak in.

Comes in: voice indices [B]. Goes out: speaker embeddings [B, D] and the voice's mean log2 F0 [B].
"""

import torch
from torch import Tensor, nn


class VoiceTable(nn.Module):
    """Embeddings of named voices; the last row stands for "any voice" and serves dropout and guidance."""

    mean_log_f0: Tensor

    def __init__(self, names: list[str], dim: int = 96) -> None:
        super().__init__()
        if len(set(names)) != len(names) or not names:
            raise ValueError(f"voice names must be given and different; got {names}.")
        self.names = list(names)
        self.embedding = nn.Embedding(len(names) + 1, dim)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.register_buffer("mean_log_f0", torch.full((len(names),), 7.3))

    @property
    def unknown(self) -> int:
        """Index of the "any voice" row."""
        return len(self.names)

    def extended(self, names: list[str], like: int | None = None) -> "VoiceTable":
        """Return a table with further voices after these; each begins as row `like`, by default as "any voice".

        Raises:
            ValueError: a name is taken.
        """
        start = self.unknown if like is None else like
        table = VoiceTable([*self.names, *names], self.embedding.embedding_dim)
        with torch.no_grad():
            rows = [*range(len(self.names)), *[start] * len(names), self.unknown]
            table.embedding.weight.copy_(self.embedding.weight[rows])
            table.mean_log_f0[: len(self.names)] = self.mean_log_f0
        return table

    def index(self, name: str) -> int:
        """Return the index of a voice.

        Raises:
            ValueError: no voice of that name.
        """
        if name not in self.names:
            raise ValueError(f"voice must be one of {', '.join(self.names)}; got {name!r}.")
        return self.names.index(name)

    def forward(self, voice: Tensor) -> Tensor:
        """Map voice indices [B] to speaker embeddings [B, D]."""
        return self.embedding(voice)
