"""A voice as the acoustic model is told it: what is known of a speaker who is no row of the table of named voices.

Comes in: a `VoiceProfile`, made from recordings. Goes out: a `Speaker`, tensors with a batch axis and the correction of the mel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from emotts.speaker.reference import TimbreAdapter


@dataclass
class Speaker:
    """Voices of a batch.

    Attributes:
        embedding: [B, D] in the space of the named voices.
        mean_log_f0: log2 Hz of neutral speech [B].
        timbre: [B, U] for the adapter; without an adapter it has no effect.
        adapter: corrects the mel for the timbre.
        residual: [B, C + 1, M]: what the mel still lacks, linear in content, with a constant in the last row.
    """

    embedding: Tensor
    mean_log_f0: Tensor
    timbre: Tensor | None = None
    adapter: TimbreAdapter | None = None
    residual: Tensor | None = None

    def to(self, device: torch.device) -> "Speaker":
        moved = [None if x is None else x.to(device) for x in (self.timbre, self.residual)]
        return Speaker(self.embedding.to(device), self.mean_log_f0.to(device), moved[0], self.adapter, moved[1])

    def correct(self, rows: Tensor, prior: Tensor, content: Tensor, mask: Tensor) -> Tensor:
        """Return the prior mel [B, T, M] with what is known of the timbre, in the same normalised units.

        Args:
            rows: of the trunk [B, T, C']. prior: its mel [B, T, M].
            content: frame by frame [B, T, C]. mask: real frames [B, T].
        """
        if self.adapter is not None and self.timbre is not None:
            prior = prior + self.adapter.to(prior.device)(rows, prior, self.timbre, mask)
        if self.residual is not None:
            prior = prior + content @ self.residual[:, :-1] + self.residual[:, -1:]
        return prior
