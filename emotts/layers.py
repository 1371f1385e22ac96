"""What several networks share: masks, time embedding, adaptive norm, ConvNeXt and attention blocks, length regulation.

Everything takes and gives [B, T, C]; a mask is [B, T] boolean, True = real. Padding never changes the real frames.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from emotts.kernels import attend_padded, choose_backend

HEAD_DIM = 64


def lengths_to_mask(lengths: Tensor, size: int | None = None) -> Tensor:
    """Turn lengths [B] into a mask [B, size], True where the position is real."""
    size = int(lengths.max()) if size is None else size
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


def frame_to_token(durations: Tensor, n_frames: int | None = None) -> Tensor:
    """Return for every frame the index [B, T] of the token it belongs to; frames past the end point at the last token.

    Args:
        durations: whole frames per token [B, N], 0 allowed.
        n_frames: T; by default the longest sum.
    """
    ends = durations.cumsum(dim=1)  # [B, N]
    n_frames = int(ends[:, -1].max()) if n_frames is None else n_frames
    frames = torch.arange(n_frames, device=durations.device).expand(len(durations), -1).contiguous()
    return torch.searchsorted(ends, frames, right=True).clamp_max(durations.shape[1] - 1)


def expand_tokens(x: Tensor, index: Tensor) -> Tensor:
    """Repeat token rows [B, N, C] to frames [B, T, C] by `index` [B, T]."""
    return torch.gather(x, 1, index[:, :, None].expand(-1, -1, x.shape[-1]))


def mean_over(x: Tensor, mask: Tensor) -> Tensor:
    """Average x [B, T, C] over the real positions of mask [B, T], giving [B, C]."""
    weight = mask.to(x.dtype)[:, :, None]
    return (x * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1.0)


class TimeEmbedding(nn.Module):
    """Embed flow time t [B] in [0, 1] as sinusoids and a small network, giving [B, C]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.network = nn.Sequential(nn.Linear(channels, channels), nn.SiLU(), nn.Linear(channels, channels))

    def forward(self, t: Tensor) -> Tensor:
        half = self.channels // 2
        frequency = torch.exp(-math.log(1_000.0) * torch.arange(half, device=t.device) / half)
        angle = 100.0 * t[:, None] * frequency[None, :]
        return self.network(torch.cat([angle.sin(), angle.cos()], dim=-1))


class AdaptiveNorm(nn.Module):
    """Layer norm whose scale and shift come from a condition [B, 1 or T, D]; identity modulation at initialisation.

    Reference: Peebles & Xie, "Scalable Diffusion Models with Transformers" (2023), arXiv 2212.09748.
    """

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.modulation = nn.Linear(condition, 2 * channels)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.modulation(condition).chunk(2, dim=-1)
        return self.norm(x) * (1.0 + scale) + shift


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over time, adaptive norm, pointwise network, residual.

    Reference: Liu et al., "A ConvNet for the 2020s" (2022), arXiv 2201.03545, in one dimension.
    """

    def __init__(
        self, channels: int, condition: int, kernel_size: int = 7, expansion: int = 3, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
        self.norm = AdaptiveNorm(channels, condition)
        self.expand = nn.Linear(channels, expansion * channels)
        self.contract = nn.Linear(expansion * channels, channels)
        self.dropout = nn.Dropout(dropout)
        self.gain = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor) -> Tensor:
        """Map x [B, T, C] with mask [B, T] and condition [B, 1 or T, D] to [B, T, C]."""
        hidden = (x * mask[:, :, None]).transpose(1, 2)  # [B, T, C] -> [B, C, T]
        hidden = self.depthwise(hidden).transpose(1, 2)  # [B, C, T] -> [B, T, C]
        hidden = self.contract(F.gelu(self.expand(self.norm(hidden, condition)), approximate="tanh"))
        return x + self.gain * self.dropout(hidden)


def rotary_tables(
    length: int, device: torch.device, dtype: torch.dtype, base: float = 10_000.0
) -> tuple[Tensor, Tensor]:
    """Return cosine and sine tables [T, HEAD_DIM / 2] of rotary positions (Su et al. 2021, arXiv 2104.09864)."""
    frequency = base ** (-torch.arange(0, HEAD_DIM, 2, device=device, dtype=torch.float32) / HEAD_DIM)
    angle = torch.arange(length, device=device, dtype=torch.float32)[:, None] * frequency[None, :]
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate the halves of the last axis of x [B, H, T, HEAD_DIM] by position."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


class Attention(nn.Module):
    """Self-attention with QK RMS norm and rotary positions, head dimension 64."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels % HEAD_DIM:
            raise ValueError(f"attention channels must be a multiple of {HEAD_DIM}; got {channels}.")
        self.heads = channels // HEAD_DIM
        self.qkv = nn.Linear(channels, 3 * channels)
        self.norm_q = nn.RMSNorm(HEAD_DIM, eps=1e-6)
        self.norm_k = nn.RMSNorm(HEAD_DIM, eps=1e-6)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map x [B, T, C] to [B, T, C]; padded keys are never attended to."""
        qkv = self.qkv(x)
        needs_grad = torch.is_grad_enabled() and qkv.requires_grad
        if choose_backend(qkv.device, qkv.dtype, len(mask), mask.shape[1], needs_grad).backend != "sdpa":
            rope = torch.cat(rotary_tables(x.shape[1], x.device, torch.float32), dim=1)
            return self.out(
                attend_padded(qkv, mask, self.norm_q.weight, self.norm_k.weight, rope, self.norm_q.eps or 0.0)
            )
        q, k, v = rearrange(qkv, "b t (three h d) -> three b h t d", three=3, h=self.heads)
        cosine, sine = rotary_tables(x.shape[1], x.device, torch.float32)
        q = rotate(self.norm_q(q.float()), cosine, sine).to(v.dtype)
        k = rotate(self.norm_k(k.float()), cosine, sine).to(v.dtype)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        return self.out(rearrange(attended, "b h t d -> b t (h d)"))


class TransformerBlock(nn.Module):
    """Attention and a pointwise network, both behind adaptive norms."""

    def __init__(self, channels: int, condition: int, expansion: int = 3, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm_attention = AdaptiveNorm(channels, condition)
        self.attention = Attention(channels)
        self.norm_network = AdaptiveNorm(channels, condition)
        self.expand = nn.Linear(channels, expansion * channels)
        self.contract = nn.Linear(expansion * channels, channels)
        self.dropout = nn.Dropout(dropout)
        self.gain_attention = nn.Parameter(torch.full((channels,), 0.1))
        self.gain_network = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor) -> Tensor:
        x = x + self.gain_attention * self.dropout(self.attention(self.norm_attention(x, condition), mask))
        hidden = self.contract(F.gelu(self.expand(self.norm_network(x, condition)), approximate="tanh"))
        return x + self.gain_network * self.dropout(hidden)


class BlockStack(nn.Module):
    """A row of blocks, named by a string: "c" is a ConvNeXt block, "a" attention."""

    def __init__(self, layout: str, channels: int, condition: int, kernel_size: int = 7, dropout: float = 0.0) -> None:
        super().__init__()
        if not layout or set(layout) - {"c", "a"}:
            raise ValueError(f'block layout must be letters "c" and "a" such as "ccac"; got {layout!r}.')
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(channels, condition, kernel_size, dropout=dropout)
            if kind == "c"
            else TransformerBlock(channels, condition, dropout=dropout)
            for kind in layout
        )

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor) -> Tensor:
        """Map x [B, T, C] to [B, T, C] under condition [B, 1 or T, D]; padded positions come out as zeros."""
        for block in self.blocks:
            x = block(x, mask, condition)
        return x * mask[:, :, None]
