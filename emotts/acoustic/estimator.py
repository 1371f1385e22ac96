"""The velocity network of the mel flow, on patches of two frames.

Comes in: x_t [B, T, M] with the prior mel and the trunk's rows. Goes out: the velocity's correction [B, T, M]. Patches halve the
number of positions, which is what a step costs.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from emotts.layers import BlockStack, TimeEmbedding

PATCH = 2


class VelocityEstimator(nn.Module):
    """Estimate the velocity of the residual mel flow."""

    def __init__(self, n_mels: int, trunk: int, condition: int, channels: int = 256, layout: str = "ccacca") -> None:
        super().__init__()
        self.enter = nn.Linear(PATCH * (2 * n_mels + trunk), channels)
        self.time = TimeEmbedding(channels)
        self.blocks = BlockStack(layout, channels, condition + channels, kernel_size=5)
        self.head = nn.Linear(channels, PATCH * n_mels)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x_t: Tensor, t: Tensor, prior: Tensor, trunk: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """Return the correction [B, T, M] to the skip path at time t [B].

        Args:
            x_t: [B, T, M]; prior: normalised prior mel [B, T, M]; trunk: [B, T, C].
            condition: speaker and emotion [B, 1, D + E]; mask: real frames [B, T].
        """
        n_frames = x_t.shape[1]
        odd = -n_frames % PATCH
        x = F.pad(
            torch.cat([x_t.to(trunk.dtype), prior.to(trunk.dtype), trunk], dim=-1) * mask[:, :, None], (0, 0, 0, odd)
        )
        patch_mask = F.pad(mask, (0, odd))[:, ::PATCH]
        x = self.enter(rearrange(x, "b (t p) c -> b t (p c)", p=PATCH))
        time = self.time(t)[:, None, :]
        x = self.blocks(x, patch_mask, torch.cat([condition, time.to(condition.dtype)], dim=-1))
        return rearrange(self.head(x), "b t (p m) -> b (t p) m", p=PATCH)[:, :n_frames]
