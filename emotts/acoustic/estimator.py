"""The velocity network of the mel flow, on patches of two frames.

Comes in: x_t [B, T, M] with the prior mel and the trunk's rows. Goes out: the velocity's correction [B, T, M]. Patches halve the
number of positions, which is what a step costs. A solver calls `prepare` once and `step` for every call: what does not depend on
x_t is computed once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from emotts.layers import BlockStack, Modulations, TimeEmbedding, masked, part_of

PATCH = 2


@dataclass
class PreparedEstimator:
    """What all calls of one solver share; K * B rows, where K requests are blended.

    Attributes:
        enter: the entry's part of x_t, patches [B, T / 2, 2 M] to [B, T / 2, C].
        entered: the rest of the entry [K * B, T / 2, C].
        modulations: of all norms in all calls.
        mask: real frames [B, T], None if all are; patch_mask: real patches [K * B, T / 2] likewise.
        rope: rotary rows of the patches, if there is attention.
    """

    enter: Callable[[Tensor], Tensor]
    entered: Tensor
    modulations: Modulations
    mask: Tensor | None
    patch_mask: Tensor | None
    rope: Tensor | None


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
        x = torch.cat([x_t.to(trunk.dtype), prior.to(trunk.dtype), trunk], dim=-1) * mask[:, :, None]
        x = self.enter(_patches(x))
        time = self.time(t)[:, None, :]
        x = self.blocks(x, _patch_mask(mask), torch.cat([condition, time.to(condition.dtype)], dim=-1))
        return _frames(self.head(x), x_t.shape[1])

    def prepare(
        self, prior: Tensor, trunk: Tensor, condition: Tensor, mask: Tensor | None, times: Tensor
    ) -> PreparedEstimator:
        """Compute what the calls of a solver share, for K requests on the same B noises.

        Args:
            prior: normalised prior mels [K * B, T, M]; trunk: [K * B, T, C]; the B rows of one request lie together.
            condition: speaker and emotion [K * B, 1, D + E]; mask: real frames [B, T], None if all are.
            times: t of each call [S].
        """
        n_mels, row = prior.shape[-1], 2 * prior.shape[-1] + trunk.shape[-1]
        moving = [slice(i * row, i * row + n_mels) for i in range(PATCH)]
        staying = [slice(i * row + n_mels, (i + 1) * row) for i in range(PATCH)]
        copies = None if mask is None else mask.repeat(len(prior) // len(mask), 1)
        fixed = masked(torch.cat([prior.to(trunk.dtype), trunk], dim=-1), copies)
        entered = part_of(self.enter, staying, bias=True)(_patches(fixed))
        return PreparedEstimator(
            part_of(self.enter, moving, bias=False),
            entered,
            self.blocks.split_modulations(condition, self.time(times).to(condition.dtype)),
            mask,
            None if copies is None else _patch_mask(copies),
            self.blocks.rope(entered.shape[1], entered.device),
        )

    def step(self, prepared: PreparedEstimator, x_t: Tensor, call: int) -> Tensor:
        """Return what `forward` gives for x_t [B, T, M] under each of the K requests [K * B, T, M] in one of the S calls."""
        x = prepared.enter(_patches(masked(x_t.to(prepared.entered.dtype), prepared.mask)))
        x = prepared.entered + x.repeat(len(prepared.entered) // len(x), 1, 1)
        x = self.blocks.run(x, prepared.patch_mask, prepared.modulations.at(call), prepared.rope)
        return _frames(self.head(x), x_t.shape[1])


def _patches(x: Tensor) -> Tensor:
    """Lay frames [B, T, C] side by side in patches [B, T / 2, 2 C]; an odd T is filled up with zeros."""
    odd = -x.shape[1] % PATCH
    return rearrange(F.pad(x, (0, 0, 0, odd)) if odd else x, "b (t p) c -> b t (p c)", p=PATCH)


def _frames(patches: Tensor, n_frames: int) -> Tensor:
    return rearrange(patches, "b t (p m) -> b (t p) m", p=PATCH)[:, :n_frames]


def _patch_mask(mask: Tensor) -> Tensor:
    return F.pad(mask, (0, -mask.shape[1] % PATCH))[:, ::PATCH]
