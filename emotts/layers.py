"""What several networks share: masks, time embedding, adaptive norm, ConvNeXt and attention blocks, length regulation.

Everything takes and gives [B, T, C]; a mask is [B, T] boolean, True = real. Padding never changes the real frames. What a solver
calls many times comes apart into what stays (`split_modulations`, `part_of`) and what every call adds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from emotts.depthwise import over_time
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
    if torch.compiler.is_compiling():  # no runtime but torch's own searches
        return (frames[:, :, None] >= ends[:, None, :]).sum(dim=2).clamp_max(durations.shape[1] - 1)
    return torch.searchsorted(ends, frames, right=True).clamp_max(durations.shape[1] - 1)


def expand_tokens(x: Tensor, index: Tensor) -> Tensor:
    """Repeat token rows [B, N, C] to frames [B, T, C] by `index` [B, T]."""
    return torch.gather(x, 1, index[:, :, None].expand(-1, -1, x.shape[-1]))


def mean_over(x: Tensor, mask: Tensor) -> Tensor:
    """Average x [B, T, C] over the real positions of mask [B, T], giving [B, C]."""
    weight = mask.to(x.dtype)[:, :, None]
    return (x * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1.0)


def hiding(mask: Tensor) -> Tensor | None:
    """Return the mask, or None where it is known to hide nothing, so that masking can be left out.

    Looking into it would make a GPU wait and would bind a traced graph to these lengths: there the mask stays.
    """
    if mask.device.type != "cpu" or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return mask
    return None if bool(mask.all()) else mask


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Set the padded positions of x [B, T, C] to zero; without a mask nothing is padded."""
    return x if mask is None else x * mask[:, :, None]


def gelu(x: Tensor) -> Tensor:
    """Return the tanh form of GELU (Hendrycks & Gimpel 2016, arXiv 1606.08415).

    On a CPU without gradients by the sigmoid that it equals, x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)), in half the time.
    """
    has_gradient = torch.is_grad_enabled() and x.requires_grad
    if x.device.type != "cpu" or has_gradient or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return F.gelu(x, approximate="tanh")
    gate = torch.addcmul(x, x * x, x, value=0.044715).mul_(2.0 * math.sqrt(2.0 / math.pi))
    return gate.sigmoid_().mul_(x)


def part_of(linear: nn.Module, columns: Sequence[slice], bias: bool) -> Callable[[Tensor], Tensor]:
    """Return what of a linear layer acts on some columns of its input: the parts of all columns add up to the layer.

    Args:
        linear: an nn.Linear, or a layer that takes its place and has a method `part_of(columns, bias)` of its own.
        columns: of the input, joined in this order. bias: whether the part adds it; one of all parts must.

    Raises:
        TypeError: the layer is neither.
    """
    own = getattr(linear, "part_of", None)
    if own is not None:
        return own(columns, bias)
    if isinstance(linear, nn.Linear):
        weight = torch.cat([linear.weight[:, c] for c in columns], dim=1)
        added = linear.bias if bias else None
        return lambda x: F.linear(x, weight, added)
    raise TypeError(
        f"a layer in place of nn.Linear must have a method part_of(columns, bias); {type(linear).__name__} has none."
    )


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
        waves = torch.cat([angle.sin(), angle.cos()], dim=-1)  # in float32: halves cannot tell times apart
        return self.network(waves.to(next(self.network.parameters()).dtype))


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

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """Norm x [B, T, C] and apply scale and shift, side by side in `self.modulation(condition)` [B, 1 or T, 2 C]."""
        scale, shift = modulation.chunk(2, dim=-1)
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

    @property
    def norms(self) -> tuple[AdaptiveNorm, ...]:
        """The adaptive norms in the order in which `forward` takes their modulations."""
        return (self.norm,)

    def forward(self, x: Tensor, mask: Tensor | None, modulations: Sequence[Tensor], rope: Tensor | None) -> Tensor:
        """Map x [B, T, C] with mask [B, T] (None hides nothing) and modulations [B, 1 or T, 2 C] to [B, T, C]."""
        hidden = self.norm(over_time(self.depthwise, masked(x, mask)), modulations[0])
        hidden = self.contract(gelu(self.expand(hidden)))
        return x + self.gain * self.dropout(hidden)


def rotary_tables(
    length: int, device: torch.device, dtype: torch.dtype, base: float = 10_000.0
) -> tuple[Tensor, Tensor]:
    """Return cosine and sine tables [T, HEAD_DIM / 2] of rotary positions (Su et al. 2021, arXiv 2104.09864)."""
    frequency = base ** (-torch.arange(0, HEAD_DIM, 2, device=device, dtype=torch.float32) / HEAD_DIM)
    angle = torch.arange(length, device=device, dtype=torch.float32)[:, None] * frequency[None, :]
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotary_rows(length: int, device: torch.device) -> Tensor:
    """Return the cosines and sines of `rotary_tables` side by side, float32 [T, HEAD_DIM], as attention takes them."""
    return torch.cat(rotary_tables(length, device, torch.float32), dim=1)


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

    def forward(self, x: Tensor, mask: Tensor | None, rope: Tensor | None = None) -> Tensor:
        """Map x [B, T, C] to [B, T, C]; padded keys are never attended to.

        Args:
            mask: real positions [B, T]; None hides nothing. rope: `rotary_rows` of T positions, if at hand.
        """
        qkv = self.qkv(x)
        rope = rotary_rows(x.shape[1], x.device) if rope is None else rope
        needs_grad = torch.is_grad_enabled() and qkv.requires_grad
        if choose_backend(qkv.device, qkv.dtype, len(x), x.shape[1], needs_grad).backend != "sdpa":
            mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask
            return self.out(
                attend_padded(qkv, mask, self.norm_q.weight, self.norm_k.weight, rope, self.norm_q.eps or 0.0)
            )
        q, k, v = rearrange(qkv, "b t (three h d) -> three b h t d", three=3, h=self.heads)
        cosine, sine = rope.chunk(2, dim=1)
        q = rotate(self.norm_q(q.float()), cosine, sine).to(v.dtype)
        k = rotate(self.norm_k(k.float()), cosine, sine).to(v.dtype)
        hidden_keys = None if mask is None else mask[:, None, None, :]
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=hidden_keys)
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

    @property
    def norms(self) -> tuple[AdaptiveNorm, ...]:
        """The adaptive norms in the order in which `forward` takes their modulations."""
        return (self.norm_attention, self.norm_network)

    def forward(self, x: Tensor, mask: Tensor | None, modulations: Sequence[Tensor], rope: Tensor | None) -> Tensor:
        """Map x [B, T, C] to [B, T, C]; arguments as those of `ConvNeXtBlock` and of `Attention`."""
        attended = self.attention(self.norm_attention(x, modulations[0]), mask, rope)
        x = x + self.gain_attention * self.dropout(attended)
        hidden = self.norm_network(x, modulations[1])
        hidden = self.contract(gelu(self.expand(hidden)))
        return x + self.gain_network * self.dropout(hidden)


@dataclass
class Modulations:
    """What adaptive norms do, apart into what stays and what every call of a solver changes.

    Attributes:
        staying: of each norm, from the condition that stays [B, 1 or T, 2 C].
        moving: of each norm, from the condition of each of S calls, with the bias [S, 2 C].
    """

    staying: list[Tensor]
    moving: list[Tensor]

    def at(self, call: int) -> list[Tensor]:
        """Return the modulation of each norm in one of the calls [B, 1 or T, 2 C]."""
        return [staying + moving[call] for staying, moving in zip(self.staying, self.moving, strict=True)]


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
        modulations = [norm.modulation(condition) for norm in self.norms]
        return self.run(x, hiding(mask), modulations, self.rope(x.shape[1], x.device))

    @property
    def norms(self) -> list[AdaptiveNorm]:
        """All adaptive norms, in the order of their modulations."""
        return [norm for block in self._blocks for norm in block.norms]

    @property
    def _blocks(self) -> list[ConvNeXtBlock | TransformerBlock]:
        return cast(list[ConvNeXtBlock | TransformerBlock], list(self.blocks))

    def rope(self, length: int, device: torch.device) -> Tensor | None:
        """Return the rotary rows [T, HEAD_DIM] of all attention in the stack; None where there is none."""
        has_attention = any(isinstance(block, TransformerBlock) for block in self.blocks)
        return rotary_rows(length, device) if has_attention else None

    def split_modulations(self, staying: Tensor, moving: Tensor) -> Modulations:
        """Compute for S calls what `forward` under conditions [staying | moving] would compute in each.

        Args:
            staying: first columns of the condition, the same in all calls [B, 1 or T, D].
            moving: the other columns, one row for each call [S, C].
        """
        width = staying.shape[-1]
        return Modulations(
            [part_of(norm.modulation, [slice(0, width)], bias=False)(staying) for norm in self.norms],
            [part_of(norm.modulation, [slice(width, None)], bias=True)(moving) for norm in self.norms],
        )

    def run(self, x: Tensor, mask: Tensor | None, modulations: Sequence[Tensor], rope: Tensor | None) -> Tensor:
        """Run the blocks with the modulations of all norms; a mask of None hides nothing."""
        rest = list(modulations)
        for block in self._blocks:
            own, rest = rest[: len(block.norms)], rest[len(block.norms) :]
            x = block(x, mask, own, rope)
        return masked(x, mask)
