"""Tensors come in, the fused kernel is started on the current stream, and the tensor that it fills goes out.

Nothing here waits for the GPU or reads from it, so a launch can be captured in a CUDA graph; what is not loaded yet is not loaded
during a capture.
"""

import threading
from collections.abc import Callable
from ctypes import c_float, c_int, c_longlong, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from emotts.kernels.cache import load_or_compile
from emotts.kernels.driver import Driver, load_driver
from emotts.kernels.nvrtc import KernelError
from emotts.kernels.variants import HEAD_DIM, Tile, Variant, choose_tile

LOG2_E = 1.4426950408889634  # the kernel's exponentials are powers of two
LARGEST_GRID = 65_535  # heads and sequences are the grid's second and third axis
ALIGNMENT = 16  # bytes of one load
OLDEST = (8, 0)  # cp.async and bf16 came with sm_80


class Inputs(NamedTuple):
    """What the attention op takes, see `emotts.kernels.ops.attention_qkv`."""

    qkv: Tensor
    starts: Tensor
    lengths: Tensor
    max_length: int
    query_weight: Tensor | None
    key_weight: Tensor | None
    rope: Tensor | None
    epsilon: float
    scale: float


@dataclass(frozen=True)
class Device:
    """What the launcher asks of torch about a device; tests give answers of their own."""

    architecture: Callable[[torch.device], str]
    stream: Callable[[torch.device], int]
    is_capturing: Callable[[], bool]


def architecture_of(device: torch.device) -> str:
    """Return the architecture that NVRTC compiles for, such as "sm_90".

    Raises:
        KernelError: the GPU is older than sm_80.
    """
    capability = torch.cuda.get_device_capability(device)
    if capability < OLDEST:
        raise KernelError(f"the fused kernel needs sm_80 or later; this GPU is sm_{capability[0]}{capability[1]}.")
    return f"sm_{capability[0]}{capability[1]}"


TORCH_DEVICE = Device(
    architecture=architecture_of,
    stream=lambda device: torch.cuda.current_stream(device).cuda_stream,
    is_capturing=torch.cuda.is_current_stream_capturing,
)


class Launcher:
    """Loads each variant once per device and starts it."""

    def __init__(
        self, driver: Driver, device: Device, get_cubin: Callable[[Variant, str], bytes], tile: Tile | None = None
    ) -> None:
        """Take the parts; `tile` holds one fast for tests and benchmarks, by default the shape chooses."""
        self.driver, self.device, self.get_cubin, self.tile = driver, device, get_cubin, tile
        self._functions: dict[tuple[int, Variant], c_void_p | str] = {}  # or why there is none
        self._lock = threading.Lock()

    def run(self, inputs: Inputs) -> Tensor:
        """Start the kernel and return its output [tokens, heads * 64].

        Raises:
            KernelError: it cannot be compiled, loaded or started; nothing was computed.
        """
        qkv = _aligned(inputs.qkv)
        starts, lengths, query_weight, key_weight, rope = (
            None if tensor is None else _dense(tensor)
            for tensor in (inputs.starts, inputs.lengths, inputs.query_weight, inputs.key_weight, inputs.rope)
        )
        tokens, _, heads, _ = qkv.shape
        n_sequences = len(inputs.starts)
        out = torch.empty(tokens, heads * HEAD_DIM, dtype=qkv.dtype, device=qkv.device)
        if n_sequences == 0:
            return out.zero_()
        if out.numel() == 0:
            return out
        if max(heads, n_sequences) > LARGEST_GRID:
            raise KernelError(f"at most {LARGEST_GRID} heads and sequences; got {heads} and {n_sequences}.")
        tile = self.tile or choose_tile(n_sequences, heads, inputs.max_length)
        variant = Variant(tile, qkv.dtype, inputs.query_weight is not None, inputs.rope is not None)
        tensors = (qkv, out, starts, lengths, query_weight, key_weight, rope)
        arguments = [
            *(c_void_p(None if tensor is None else tensor.data_ptr()) for tensor in tensors),
            c_longlong(tokens), c_longlong(qkv.stride(0)), c_int(heads), c_int(n_sequences), c_int(inputs.max_length),
            c_float(inputs.scale * LOG2_E), c_float(inputs.epsilon),
        ]  # fmt: skip
        grid = (max(1, -(-inputs.max_length // tile.rows)), heads, n_sequences)
        index = qkv.device.index or 0
        self.driver.ensure_context(index)
        function = self._function(index, variant, qkv.device)
        self.driver.launch(function, grid, tile.threads, self.device.stream(qkv.device), arguments)
        return out

    def _function(self, index: int, variant: Variant, device: torch.device) -> c_void_p:
        found = self._functions.get((index, variant))
        if found is None:
            if self.device.is_capturing():
                raise KernelError(
                    "the kernel is not loaded yet and cannot be during a CUDA graph capture; call it once before."
                )
            with self._lock:
                found = self._functions.get((index, variant)) or self._load(variant, device)
                self._functions[index, variant] = found
        if isinstance(found, str):
            raise KernelError(found)
        return found

    def _load(self, variant: Variant, device: torch.device) -> c_void_p | str:
        try:
            return self.driver.load(self.get_cubin(variant, self.device.architecture(device)), "attention")
        except KernelError as error:
            return str(error)  # kept, so that a failing compilation is not tried again at every call


@cache
def torch_launcher() -> Launcher:
    """Return the launcher of this process's GPUs.

    Raises:
        KernelError: there is no driver.
    """
    return Launcher(load_driver(), TORCH_DEVICE, load_or_compile)


def _dense(tensor: Tensor) -> Tensor:
    """Return a small tensor as the kernel reads it, 16 bytes at a time from its first element on."""
    is_dense = tensor.is_contiguous() and tensor.data_ptr() % ALIGNMENT == 0
    return tensor if is_dense else tensor.clone(memory_format=torch.contiguous_format)


def _aligned(qkv: Tensor) -> Tensor:
    """Return qkv with 16-byte rows that lie as the kernel reads them; the projection's own output is not copied."""
    heads = qkv.shape[2]
    is_strided = qkv.stride()[1:] == (heads * HEAD_DIM, HEAD_DIM, 1) and qkv.stride(0) % 8 == 0
    return qkv if is_strided and qkv.data_ptr() % ALIGNMENT == 0 else qkv.clone(memory_format=torch.contiguous_format)
