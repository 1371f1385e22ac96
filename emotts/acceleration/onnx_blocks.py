"""Blocks of the networks in ONNX Runtime: a `BlockStack` or a vocoder's block comes in, one that is computed there goes out.

Graphs are written from the loaded weights. They take utterances without padding; padded batches, gradients and other devices get
torch's form.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from emotts.acceleration.choice import has_fast_int8
from emotts.acceleration.onnx_graph import GraphWriter
from emotts.acceleration.warn import warn_once
from emotts.layers import (
    HEAD_DIM,
    AdaptiveNorm,
    Attention,
    BlockStack,
    ConvNeXtBlock,
    TransformerBlock,
    rotary_rows,
)
from emotts.vocoder.generator import CorrectionBlock

MOST_THREADS = 8  # of a graph; every graph has its own, and the work of one is small


class OnnxModule(nn.Module, ABC):
    """A module that keeps its weights and names and runs in ONNX Runtime where nothing but its numbers is wanted."""

    _session: Any
    _is_broken: bool  # torch's form is taken from then on
    _weights: list[Tensor]
    _state: list[tuple[int, int]]

    @classmethod
    def of(cls, module: nn.Module) -> Self:
        """Return a module that owns the layers of `module`; its graph is written when it is first asked."""
        made = cls.__new__(cls)
        made.__dict__.update(module.__dict__)
        made._session, made._weights, made._state = None, [], []
        made._is_broken = False
        return made

    @abstractmethod
    def model(self, is_int8: bool) -> bytes:
        """Return the graph of the weights as they are now."""

    def load_session(self) -> None:
        """Write the graph and load it."""
        self._weights = list(self.parameters())
        self._state = _state_of(self._weights)
        self._session = _session(self.model(has_fast_int8()))

    def runs_for(self, x: Tensor, mask: Tensor | None) -> bool:
        """Say whether x can be computed there: float32 on a CPU, without padding or gradient."""
        if mask is not None or x.device.type != "cpu" or x.dtype != torch.float32:
            return False
        if torch.is_grad_enabled() and any(t.requires_grad for t in (x, *self.parameters())):
            return False
        return self._is_ready()

    def _is_ready(self) -> bool:
        """Write the graph if there is none of these weights; a graph that cannot be had is warned of once."""
        if not self._is_broken and (self._session is None or self._state != _state_of(self._weights)):
            try:
                self.load_session()
            except Exception as error:  # of a runtime that does not fit this machine anything may come
                self._is_broken = True
                warn_once(f"ONNX Runtime cannot compute a part of the networks, torch does: {str(error)[:200]}")
        return not self._is_broken

    def compute(self, feed: dict[str, Tensor]) -> Tensor:
        """Run the graph."""
        arrays = {name: value.detach().contiguous().numpy() for name, value in feed.items()}
        return torch.from_numpy(self._session.run(None, arrays)[0])

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the session: copies load their own."""
        return {**self.__dict__, "_session": None, "_weights": [], "_state": []}


class OnnxBlockStack(OnnxModule, BlockStack):
    """A stack of blocks in ONNX Runtime."""

    def model(self, is_int8: bool) -> bytes:
        return _stack_model(self, is_int8)

    def run(self, x: Tensor, mask: Tensor | None, modulations: Sequence[Tensor], rope: Tensor | None) -> Tensor:
        """Do as `BlockStack.run`."""
        if not self.runs_for(x, mask):
            return super().run(x, mask, modulations, rope)
        feed = {"x": x, **{f"m{i}": modulation for i, modulation in enumerate(modulations)}}
        if any(isinstance(block, TransformerBlock) for block in self.blocks):
            feed["rope"] = rotary_rows(x.shape[1], x.device) if rope is None else rope
        return self.compute(feed)


class OnnxCorrectionBlock(OnnxModule, CorrectionBlock):
    """A block of the vocoder in ONNX Runtime."""

    def model(self, is_int8: bool) -> bytes:
        return _correction_model(self, is_int8)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Do as `CorrectionBlock.forward`."""
        return self.compute({"x": x}) if self.runs_for(x, mask) else super().forward(x, mask)


def _state_of(weights: Sequence[Tensor]) -> list[tuple[int, int]]:
    """Return what changes with the values of weights."""
    return [(0 if weight.is_inference() else weight._version, weight.data_ptr()) for weight in weights]


def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(MOST_THREADS, torch.get_num_threads())
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # torch wants the same cores in between
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _stack_model(stack: BlockStack, is_int8: bool) -> bytes:
    writer = GraphWriter(is_int8)
    has_attention = any(isinstance(block, TransformerBlock) for block in stack.blocks)
    rope = writer.op("Split", "rope", axis=1, num_outputs=2, n_outputs=2) if has_attention else []
    channels = stack.norms[0].modulation.out_features // 2
    modulations = [f"m{i}" for i in range(len(stack.norms))]
    x, rest = "x", list(modulations)
    for block in stack.blocks:
        if isinstance(block, ConvNeXtBlock):
            hidden = _adaptive_norm(writer, writer.over_time(x, block.depthwise), block.norm, rest.pop(0))
            x = writer.op("Add", x, _network(writer, hidden, block.expand, block.contract, block.gain))
        elif isinstance(block, TransformerBlock):
            attended = _adaptive_norm(writer, x, block.norm_attention, rest.pop(0))
            x = writer.op("Add", x, _attention(writer, attended, block.attention, block.gain_attention, rope))
            hidden = _adaptive_norm(writer, x, block.norm_network, rest.pop(0))
            x = writer.op("Add", x, _network(writer, hidden, block.expand, block.contract, block.gain_network))
    assert not rest, "a block that this backend does not know"
    inputs: dict[str, Sequence[int | str]] = {"x": ("B", "T", channels)}
    inputs |= {name: (f"B{name}", f"T{name}", 2 * channels) for name in modulations}  # of 1 or B rows, 1 or T frames
    if has_attention:
        inputs["rope"] = ("T", HEAD_DIM)
    return writer.model(inputs, x, ("B", "T", channels))


def _correction_model(block: CorrectionBlock, is_int8: bool) -> bytes:
    writer, channels = GraphWriter(is_int8), block.contract.out_features
    hidden = writer.layer_norm(writer.over_time("x", block.depthwise), block.norm)
    out = writer.op("Add", "x", _network(writer, hidden, block.expand, block.contract, torch.ones(channels)))
    return writer.model({"x": ("B", "T", channels)}, out, ("B", "T", channels))


def _network(writer: GraphWriter, x: str, expand: Any, contract: Any, gain: Tensor) -> str:
    return writer.linear(writer.gelu(writer.linear(x, expand)), contract, gain)


def _adaptive_norm(writer: GraphWriter, x: str, norm: AdaptiveNorm, modulation: str) -> str:
    scale, shift = writer.op("Split", modulation, axis=-1, num_outputs=2, n_outputs=2)
    scaled = writer.op(
        "Mul",
        writer.layer_norm(x, norm.norm),
        writer.op("Add", scale, writer.constant(torch.ones(1))),
    )
    return writer.op("Add", scaled, shift)


def _attention(writer: GraphWriter, x: str, attention: Attention, gain: Tensor, rope: Sequence[str]) -> str:
    """Add attention without hidden positions; queries and keys go side by side through norm and rotation."""
    heads, channels = attention.heads, attention.heads * HEAD_DIM
    rows = writer.op("Reshape", writer.linear(x, attention.qkv), writer.constant([0, 0, 3, heads, HEAD_DIM]))
    parts = writer.op("Transpose", rows, perm=[2, 0, 3, 1, 4])  # [B, T, 3, H, D] -> [3, B, H, T, D]
    both, value = writer.op("Split", parts, writer.constant([2, 1]), axis=0, n_outputs=2)
    assert attention.norm_q.weight is not None and attention.norm_k.weight is not None
    gains = torch.stack([attention.norm_q.weight * HEAD_DIM**-0.5, attention.norm_k.weight])[:, None, None, None]
    power = writer.op("ReduceMean", writer.op("Mul", both, both), writer.constant([-1]), keepdims=1)
    epsilon = torch.tensor([attention.norm_q.eps or 0.0])
    length = writer.op("Sqrt", writer.op("Add", power, writer.constant(epsilon)))
    normed = writer.op("Mul", writer.op("Div", both, length), writer.constant(gains))
    first, second = writer.op("Split", normed, axis=-1, num_outputs=2, n_outputs=2)
    cosine, sine = rope
    turned = writer.op(
        "Concat",
        writer.op("Sub", writer.op("Mul", first, cosine), writer.op("Mul", second, sine)),
        writer.op("Add", writer.op("Mul", second, cosine), writer.op("Mul", first, sine)),
        axis=-1,
    )
    query, key = writer.op("Split", turned, axis=0, num_outputs=2, n_outputs=2)  # each [1, B, H, T, D]
    scores = writer.op("MatMul", query, writer.op("Transpose", key, perm=[0, 1, 2, 4, 3]))
    attended = writer.op("MatMul", writer.op("Softmax", scores, axis=-1), value)  # [1, B, H, T, D]
    merged = writer.op("Transpose", attended, perm=[0, 1, 3, 2, 4])
    flat = writer.op("Reshape", writer.op("Squeeze", merged, writer.constant([0])), writer.constant([0, 0, channels]))
    return writer.linear(flat, attention.out, gain)
