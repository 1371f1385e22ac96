"""Attention over packed or padded sequences in plain torch: the yardstick of the kernel, its CPU form and its backward pass.

In and out are as in `emotts.kernels.ops.attention_qkv`. Lengths stay tensors, so all of this can be traced and captured.
Reference: Vaswani et al. 2017, arXiv 1706.03762, eq. 1; Zhang & Sennrich 2019, arXiv 1910.07467, eq. 4 (the norm); Su et al. 2021,
arXiv 2104.09864 (the rotation).
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def reference_attention(
    qkv: Tensor,
    starts: Tensor,
    lengths: Tensor,
    max_length: int,
    query_weight: Tensor | None,
    key_weight: Tensor | None,
    rope: Tensor | None,
    epsilon: float,
    scale: float,
) -> Tensor:
    """Attend in float32 (float64 for float64 input) by the formula; returns [tokens, heads * 64] in qkv's dtype."""
    index, is_real = _rows(qkv.shape[0], starts, lengths, max_length)
    query, key, value = _prepared(qkv, index, is_real, query_weight, key_weight, rope, epsilon)
    scores = scale * query @ key.transpose(-1, -2)  # [S, H, T, T]
    # The lowest number, not minus infinity: a sequence of length 0 then has a finite result and gradient, both thrown away.
    scores = scores.masked_fill(~is_real[:, None, None, :], torch.finfo(scores.dtype).min)
    return _scatter(scores.softmax(dim=-1) @ value, index, is_real, qkv)


def sdpa_attention(
    qkv: Tensor,
    starts: Tensor,
    lengths: Tensor,
    max_length: int,
    query_weight: Tensor | None,
    key_weight: Tensor | None,
    rope: Tensor | None,
    epsilon: float,
    scale: float,
) -> Tensor:
    """Attend by torch's scaled_dot_product_attention in qkv's dtype; norm and rotation are in float32."""
    index, is_real = _rows(qkv.shape[0], starts, lengths, max_length)
    query, key, value = _prepared(qkv, index, is_real, query_weight, key_weight, rope, epsilon)
    # A sequence of length 0 attends to its zeros, for a row without any key is NaN in some of torch's kernels.
    mask = (is_real | ~is_real.any(dim=1, keepdim=True))[:, None, None, :]
    query, key, value = query.to(qkv.dtype), key.to(qkv.dtype), value.to(qkv.dtype)
    attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    return _scatter(attended, index, is_real, qkv)


def prepare(x: Tensor, weight: Tensor | None, rope: Tensor | None, epsilon: float) -> Tensor:
    """Apply RMS norm and rotation, each if it is given, to x [S, H, T, 64]; rope is [positions, 64], cosines then sines."""
    if weight is not None:
        x = x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + epsilon) * weight.to(x.dtype)
    if rope is not None:
        cosine, sine = rope[: x.shape[-2]].to(x.dtype).chunk(2, dim=-1)  # [T, 32]
        first, second = x.chunk(2, dim=-1)
        x = torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
    return x


def _rows(tokens: int, starts: Tensor, lengths: Tensor, max_length: int) -> tuple[Tensor, Tensor]:
    """Return the rows [S, T] of every sequence and which are real; the others point at row 0.

    A sequence owns the rows up to the next one's start, the last those up to the end; that and max_length bound its length.
    """
    ends = torch.cat([starts[1:], starts.new_full((min(1, len(starts)),), tokens)])
    positions = torch.arange(max_length, device=starts.device)
    is_real = positions[None, :] < torch.minimum(lengths, ends - starts)[:, None]
    return torch.where(is_real, starts[:, None] + positions[None, :], 0), is_real


def _prepared(
    qkv: Tensor,
    index: Tensor,
    is_real: Tensor,
    query_weight: Tensor | None,
    key_weight: Tensor | None,
    rope: Tensor | None,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values [S, H, T, 64] in float32 at least, the first two normed and rotated.

    Rows that are not real are zeros, whatever qkv holds there.
    """
    precision = torch.promote_types(qkv.dtype, torch.float32)
    rows = torch.where(is_real[:, :, None, None, None], qkv[index], 0).to(precision)  # [S, T, 3, H, 64]
    query, key, value = rows.permute(2, 0, 3, 1, 4).unbind(0)
    return prepare(query, query_weight, rope, epsilon), prepare(key, key_weight, rope, epsilon), value


def _scatter(attended: Tensor, index: Tensor, is_real: Tensor, qkv: Tensor) -> Tensor:
    """Put attended [S, H, T, 64] back into rows [tokens, H * 64]; all other rows are zeros."""
    merged = attended.transpose(1, 2).flatten(2).flatten(0, 1).to(qkv.dtype)  # [S, H, T, D] -> [S * T, H * D]
    spare = qkv.shape[0]  # a row that takes what is not real, cut off at the end
    out = merged.new_zeros(spare + 1, merged.shape[1])
    return out.index_copy(0, torch.where(is_real, index, spare).flatten(), merged)[:spare].clone()
