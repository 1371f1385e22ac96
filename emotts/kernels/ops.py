"""`torch.ops.emotts.attention_qkv`: the fused kernel on CUDA, the plain formula on a CPU, shapes for tracing, and a backward.

Being an op of torch's own registry it works under torch.compile (fullgraph), torch.export and CUDA graph capture. Whatever keeps
the kernel from running is warned of once, and the plain formula takes its place on the same device.
"""

import warnings
from typing import Any

import torch
from torch import Tensor

from emotts.kernels.launch import Inputs, torch_launcher
from emotts.kernels.nvrtc import KernelError
from emotts.kernels.reference import reference_attention
from emotts.kernels.variants import HEAD_DIM

FUSED_DTYPES = (torch.bfloat16, torch.float16)
SCHEMA = (
    "attention_qkv(Tensor qkv, Tensor starts, Tensor lengths, SymInt max_length, Tensor? query_weight, Tensor? key_weight, "
    "Tensor? rope, float epsilon, float scale) -> Tensor"
)
_warned: set[str] = set()


def attention_qkv(
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
    """Attend within each sequence: softmax(scale q k^T) v, q and k normed and rotated.

    Args:
        qkv: the projection's output [tokens, 3, H, 64]; its rows may be further apart than 3 * H * 64.
        starts: first row of each sequence, int64 [S], ascending from 0; a sequence owns the rows up to the next start.
        lengths: real rows of each sequence, int64 [S], 0 allowed; bounded by max_length and by the rows owned.
        max_length: no sequence is longer; rows past a length are never read and come out as zeros.
        query_weight, key_weight: gains [64] of an RMS norm over the head, in qkv's dtype; both or neither.
        rope: float32 [positions, 64], 32 cosines and 32 sines per position, at least max_length positions.
        epsilon: added to the mean square.
        scale: of the scores, above 0.

    Returns:
        [tokens, H * 64] in qkv's dtype, heads side by side.

    Raises:
        ValueError: a shape or dtype is not as above.
    """
    _check(qkv, starts, lengths, max_length, query_weight, key_weight, rope, scale)
    return torch.ops.emotts.attention_qkv(
        qkv, starts, lengths, max_length, query_weight, key_weight, rope, epsilon, scale
    )


def warn_once(message: str) -> None:
    """Warn, but of one thing only once per process: attention is called thousands of times."""
    if message not in _warned and not torch.compiler.is_compiling():  # a warning would break the graph
        _warned.add(message)
        warnings.warn(message, stacklevel=3)


def _check(
    qkv: Tensor,
    starts: Tensor,
    lengths: Tensor,
    max_length: int,
    query_weight: Tensor | None,
    key_weight: Tensor | None,
    rope: Tensor | None,
    scale: float,
) -> None:
    if qkv.ndim != 4 or qkv.shape[1] != 3 or qkv.shape[3] != HEAD_DIM:
        raise ValueError(
            f"qkv must be [tokens, 3, heads, {HEAD_DIM}]; got {list(qkv.shape)}. View the projection's output so."
        )
    for name, tensor in (("starts", starts), ("lengths", lengths)):
        if tensor.ndim != 1 or tensor.dtype != torch.int64 or tensor.shape != starts.shape:
            raise ValueError(f"{name} must be int64 [sequences], like starts; got {tensor.dtype} {list(tensor.shape)}.")
    if (query_weight is None) != (key_weight is None):
        raise ValueError("query_weight and key_weight must both be given or both be None; got one of them.")
    for name, weight in (("query_weight", query_weight), ("key_weight", key_weight)):
        if weight is not None and (weight.shape != (HEAD_DIM,) or weight.dtype != qkv.dtype):
            raise ValueError(
                f"{name} must be {qkv.dtype} [{HEAD_DIM}], like qkv; got {weight.dtype} {list(weight.shape)}."
            )
    if rope is not None and (rope.ndim != 2 or rope.shape[1] != HEAD_DIM or rope.dtype != torch.float32):
        raise ValueError(f"rope must be float32 [positions, {HEAD_DIM}]; got {rope.dtype} {list(rope.shape)}.")
    if rope is not None and rope.shape[0] < max_length:
        raise ValueError(f"rope must have max_length = {max_length} positions or more; got {rope.shape[0]}.")
    if max_length < 0 or scale <= 0:
        raise ValueError(f"max_length must be 0 or more and scale above 0; got {max_length} and {scale}.")


def _forward_cuda(*arguments: Any) -> Tensor:
    inputs = Inputs(*arguments)
    try:
        if inputs.qkv.dtype not in FUSED_DTYPES:
            raise KernelError(f"the fused kernel computes in bfloat16 or float16; got {inputs.qkv.dtype}.")
        with torch.cuda.device(inputs.qkv.device):
            return torch_launcher().run(inputs)
    except KernelError as error:
        warn_once(f"plain attention is used instead of the fused kernel: {error}")
        return reference_attention(*inputs)


def _forward_fake(qkv: Tensor, *rest: Any) -> Tensor:
    return qkv.new_empty(qkv.shape[0], qkv.shape[2] * HEAD_DIM)


def _save_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    saved = Inputs(*inputs)
    ctx.save_for_backward(*(x for x in saved if isinstance(x, Tensor)))
    ctx.is_tensor = [isinstance(x, Tensor) for x in saved]
    ctx.numbers = [x for x in saved if not isinstance(x, Tensor)]


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    """Differentiate the plain formula, computed again: nothing of the forward pass is kept but its inputs."""
    tensors, numbers = iter(ctx.saved_tensors), iter(ctx.numbers)
    inputs = [next(tensors) if is_tensor else next(numbers) for is_tensor in ctx.is_tensor]
    wanted = [
        i for i in (0, 4, 5) if ctx.needs_input_grad[i]
    ]  # qkv and the two weights; a rotation table is not learnt
    with torch.enable_grad():
        for i in wanted:
            inputs[i] = inputs[i].detach().requires_grad_()
        gradients = torch.autograd.grad(reference_attention(*inputs), [inputs[i] for i in wanted], gradient)
    by_index = dict(zip(wanted, gradients, strict=True))
    return tuple(by_index.get(i) for i in range(len(inputs)))


_library = torch.library.Library("emotts", "FRAGMENT")  # kept alive: what it registers goes with it
_library.define(SCHEMA, tags=(torch.Tag.needs_exact_strides,))
_library.impl("attention_qkv", reference_attention, "CPU")
_library.impl("attention_qkv", _forward_cuda, "CUDA")
torch.library.register_fake("emotts::attention_qkv", _forward_fake, lib=_library)
torch.library.register_autograd("emotts::attention_qkv", _backward, setup_context=_save_inputs, lib=_library)
