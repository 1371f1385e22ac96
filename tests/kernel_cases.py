"""Inputs for the tests of the attention kernel, and how far an output is from float64."""

from dataclasses import dataclass

import torch
from torch import Tensor

from emotts.kernels.launch import Inputs
from emotts.kernels.variants import HEAD_DIM
from emotts.layers import rotary_tables

# Largest error of a row, relative to its norm: about twice what rounding queries, keys, weights and output to 8 or 11 bits gives.
TOLERANCE = {torch.bfloat16: 1.2e-2, torch.float16: 1.5e-3}


@dataclass(frozen=True)
class Case:
    """A batch: lengths, layout and options."""

    lengths: tuple[int, ...]
    heads: int = 2
    dtype: torch.dtype = torch.bfloat16
    room: int | None = None  # rows per sequence in the padded layout; None is packed
    has_norm: bool = True
    has_rope: bool = True
    spare_columns: int = 0  # between the rows of qkv
    spare_rows: int = 3  # after the last sequence of the packed layout

    @property
    def max_length(self) -> int:
        return max(self.lengths)


def make_inputs(case: Case, seed: int = 0, device: str = "cpu") -> Inputs:
    """Draw inputs; whatever must not be read is NaN."""
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.tensor(case.lengths)
    if case.room is None:
        starts = lengths.cumsum(0) - lengths
        tokens = int(lengths.sum()) + case.spare_rows
    else:
        starts = torch.arange(len(lengths)) * case.room
        tokens = case.room * len(lengths)
    width = 3 * case.heads * HEAD_DIM
    rows = torch.full((tokens, width + case.spare_columns), float("nan"))
    for start, length in zip(starts.tolist(), case.lengths, strict=True):
        rows[start : start + length, :width] = torch.randn(length, width, generator=draw)
    qkv = rows.to(case.dtype).to(device)[:, :width].unflatten(1, (3, case.heads, HEAD_DIM))
    gains = [(1.0 + 0.3 * torch.randn(HEAD_DIM, generator=draw)).to(case.dtype).to(device) for _ in range(2)]
    rope = torch.cat(rotary_tables(max(case.max_length, 1), torch.device(device), torch.float32), dim=1)
    return Inputs(
        qkv, starts.to(device), lengths.to(device), case.max_length,
        *(gains if case.has_norm else (None, None)), rope if case.has_rope else None, 1e-6, HEAD_DIM**-0.5,
    )  # fmt: skip


def in_float64(inputs: Inputs) -> Tensor:
    """Return the result in float64, of the formula written out sequence by sequence."""
    tokens, _, heads, _ = inputs.qkv.shape
    out = torch.zeros(tokens, heads, HEAD_DIM, dtype=torch.float64, device=inputs.qkv.device)
    ends = [*inputs.starts.tolist()[1:], tokens]
    for start, length, end in zip(inputs.starts.tolist(), inputs.lengths.tolist(), ends, strict=True):
        n = max(0, min(length, inputs.max_length, end - start))
        query, key, value = inputs.qkv[start : start + n].double().unbind(1)  # [n, H, 64]
        query, key = (
            _prepared(x, weight, inputs) for x, weight in ((query, inputs.query_weight), (key, inputs.key_weight))
        )
        scores = torch.einsum("qhd,khd->hqk", query, key) * inputs.scale
        out[start : start + n] = torch.einsum("hqk,khd->qhd", scores.softmax(-1), value)
    return out.flatten(1)


def _prepared(x: Tensor, weight: Tensor | None, inputs: Inputs) -> Tensor:
    if weight is not None:
        x = x / torch.sqrt((x**2).mean(-1, keepdim=True) + inputs.epsilon) * weight.double()
    if inputs.rope is not None:
        angle = torch.complex(*inputs.rope[: len(x)].double().chunk(2, dim=1))  # [n, 32]
        turned = torch.complex(*x.chunk(2, dim=-1)) * angle[:, None, :]
        x = torch.cat([turned.real, turned.imag], dim=-1)
    return x


def largest_error(out: Tensor, exact: Tensor) -> float:
    """Return the largest relative error of a row; NaN, and anything in a row that must be zero, count as infinite."""
    error, norm = (out.double() - exact).norm(dim=1), exact.norm(dim=1)
    relative = torch.where(norm > 0, error / norm.clamp_min(1e-30), torch.where(error == 0, 0.0, torch.inf))
    return float(relative.nan_to_num(nan=torch.inf, posinf=torch.inf).max()) if len(out) else 0.0
