"""Which attention runs: the fused kernel, torch's scaled_dot_product_attention or the plain formula, and why.

$EMOTTS_ATTENTION names one, or `auto` (the default): the fused kernel where it has been measured to win, SDPA elsewhere.
"""

import os
from dataclasses import dataclass

import torch
from torch import Tensor

from emotts.kernels.launch import OLDEST
from emotts.kernels.ops import FUSED_DTYPES, attention_qkv, warn_once
from emotts.kernels.reference import reference_attention, sdpa_attention
from emotts.kernels.variants import HEAD_DIM

VARIABLE = "EMOTTS_ATTENTION"
BACKENDS = ("auto", "fused", "sdpa", "reference")


@dataclass(frozen=True)
class Win:
    """One row of the measured table: up to these sizes the fused kernel beats SDPA on GPUs of this capability."""

    capability: tuple[int, int]
    max_sequences: int
    max_length: int  # mel frames or patches


# Filled from benchmarks/attention.py, which prints the rows. No GPU has run it yet, so nothing is claimed here.
FUSED_WINS: tuple[Win, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The backend that runs and the reason, for `emotts doctor`."""

    backend: str
    reason: str


def requested_backend() -> str:
    """Return what $EMOTTS_ATTENTION asks for.

    Raises:
        ValueError: it names no backend.
    """
    asked = os.environ.get(VARIABLE) or "auto"
    if asked not in BACKENDS:
        raise ValueError(f"{VARIABLE} must be one of {', '.join(BACKENDS)}; got {asked!r}. Unset it for auto.")
    return asked


def choose_backend(
    device: torch.device, dtype: torch.dtype, n_sequences: int, max_length: int, needs_grad: bool = False
) -> Choice:
    """Choose by what is asked for, then by device, number format and size.

    Args:
        device: where qkv is. dtype: its number format. n_sequences: S. max_length: the bound of the lengths.
        needs_grad: whether a backward pass will follow; the kernel's recomputes, so SDPA trains faster.

    Raises:
        ValueError: $EMOTTS_ATTENTION names no backend.
    """
    asked = requested_backend()
    if asked in ("sdpa", "reference"):
        return Choice(asked, f"{VARIABLE}={asked}")
    if device.type != "cuda":
        if asked == "fused":
            return Choice("fused", f"{VARIABLE}=fused; on {device.type} its plain form runs")
        return Choice("sdpa", f"no fused kernel on {device.type}")
    if dtype not in FUSED_DTYPES:
        return _instead(asked, f"the fused kernel computes in bfloat16 or float16; the model is in {dtype}")
    properties = torch.cuda.get_device_properties(device)  # which torch.compile can fold, unlike get_device_capability
    capability = (properties.major, properties.minor)
    if capability < OLDEST:
        return _instead(asked, f"the fused kernel needs sm_80 or later; this GPU is sm_{capability[0]}{capability[1]}")
    if asked == "fused":
        return Choice("fused", f"{VARIABLE}=fused")
    if needs_grad:
        return Choice("sdpa", "a backward pass follows")
    rows = [win for win in FUSED_WINS if win.capability == capability]
    if any(n_sequences <= win.max_sequences and max_length <= win.max_length for win in rows):
        return Choice("fused", "measured faster at this size")
    if rows:
        return Choice("sdpa", "measured faster at this size")
    return Choice("sdpa", f"the fused kernel is not measured on this GPU; {VARIABLE}=fused asks for it")


def attention(
    qkv: Tensor,
    starts: Tensor,
    lengths: Tensor,
    max_length: int,
    query_weight: Tensor | None = None,
    key_weight: Tensor | None = None,
    rope: Tensor | None = None,
    epsilon: float = 1e-6,
    scale: float = HEAD_DIM**-0.5,
) -> Tensor:
    """Attend within each sequence by the chosen backend; arguments and result are those of `attention_qkv`.

    Raises:
        ValueError: a shape or dtype is wrong, or $EMOTTS_ATTENTION names no backend.
    """
    needs_grad = torch.is_grad_enabled() and qkv.requires_grad
    backend = choose_backend(qkv.device, qkv.dtype, len(starts), max_length, needs_grad).backend
    run = {"fused": attention_qkv, "sdpa": sdpa_attention, "reference": reference_attention}[backend]
    return run(qkv, starts, lengths, max_length, query_weight, key_weight, rope, epsilon, scale)


def attend_padded(
    qkv: Tensor,
    mask: Tensor,
    query_weight: Tensor | None,
    key_weight: Tensor | None,
    rope: Tensor | None,
    epsilon: float = 1e-6,
) -> Tensor:
    """Attend in the padded layout: qkv [B, T, 3 * H * 64], mask [B or 1, T] with the real frames first, to [B, T, H * 64].

    Args:
        qkv, mask: as above. query_weight, key_weight, rope, epsilon: as in `attention_qkv`; gains take qkv's dtype.
    """
    batch, length, width = qkv.shape
    rows = qkv.reshape(batch * length, 3, width // (3 * HEAD_DIM), HEAD_DIM)  # [B, T, C] -> [B * T, 3, H, 64]
    starts = torch.arange(batch, device=qkv.device) * length
    gains = [None if weight is None else weight.to(qkv.dtype) for weight in (query_weight, key_weight)]
    lengths = mask.sum(dim=1).expand(batch)  # one mask may serve the whole batch
    out = attention(rows, starts, lengths, length, gains[0], gains[1], rope, epsilon)
    return out.reshape(batch, length, width // 3)


def _instead(asked: str, reason: str) -> Choice:
    if asked == "fused":
        warn_once(f"SDPA is used instead of the fused kernel: {reason}")
    return Choice("sdpa", reason)
