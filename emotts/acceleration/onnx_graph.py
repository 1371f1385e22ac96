"""Write ONNX graphs by hand: weights and operations come in, the bytes of a model go out. For 8-bit and float32 linear layers.

A graph of a few dozen nodes is written in milliseconds, where an exporter takes a minute; ONNX Runtime joins many of them to one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

OPSET, IR_VERSION = 20, 10
LEVELS = 127  # of a symmetric 8-bit number


class GraphWriter:
    """Collects nodes and weights; a value is known by its name."""

    def __init__(self, is_int8: bool) -> None:
        """Begin an empty graph; linear layers of `is_int8` have 8-bit weights, a scale per output channel."""
        self.is_int8 = is_int8
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def op(self, kind: str, *inputs: str, domain: str = "", n_outputs: int = 1, **attributes: Any) -> Any:
        """Add an operation; return the name of what it gives, or the names of several."""
        names = [f"v{len(self._nodes)}_{i}" for i in range(n_outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return names[0] if n_outputs == 1 else names

    def constant(self, value: Tensor | np.ndarray | Sequence[int]) -> str:
        """Add a weight; return its name."""
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def linear(self, x: str, layer: torch.nn.Linear, gain: Tensor | None = None) -> str:
        """Add a linear layer, whose outputs are multiplied by `gain` [out]."""
        weight = layer.weight.detach().float()
        bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias.detach().float()
        if gain is not None:
            weight, bias = weight * gain.detach()[:, None], bias * gain.detach()
        if not self.is_int8:
            return self.op("Add", self.op("MatMul", x, self.constant(weight.t())), self.constant(bias))
        scale = weight.abs().amax(dim=1).clamp_min(1e-12) / LEVELS  # [out]
        quantised = torch.round(weight / scale[:, None]).to(torch.int8)
        zeros = torch.zeros(len(weight), dtype=torch.int8)
        inputs = [self.constant(part) for part in (quantised.t(), scale, zeros, bias)]
        return self.op("DynamicQuantizeMatMul", x, *inputs, domain="com.microsoft")

    def layer_norm(self, x: str, norm: torch.nn.LayerNorm) -> str:
        """Add a layer norm over the last axis."""
        width = norm.normalized_shape[0]
        gain = torch.ones(width) if norm.weight is None else norm.weight
        bias = torch.zeros(width) if norm.bias is None else norm.bias
        return self.op("LayerNormalization", x, self.constant(gain), self.constant(bias), axis=-1, epsilon=norm.eps)

    def over_time(self, x: str, conv: torch.nn.Conv1d) -> str:
        """Add a convolution of rows [B, T, C] over time."""
        assert conv.bias is not None
        padding, axes = int(conv.padding[0]), [0, 2, 1]
        columns = self.op(
            "Conv", self.op("Transpose", x, perm=axes), self.constant(conv.weight), self.constant(conv.bias),
            group=conv.groups, pads=[padding, padding], kernel_shape=list(conv.kernel_size),
        )  # fmt: skip
        return self.op("Transpose", columns, perm=axes)

    def gelu(self, x: str) -> str:
        """Add the tanh form of GELU."""
        return self.op("Gelu", x, approximate="tanh")

    def model(self, inputs: dict[str, Sequence[int | str]], output: str, shape: Sequence[int | str]) -> bytes:
        """Return the model: float32 inputs by name with their axes, one output."""
        told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(axes)) for name, axes in inputs.items()]
        given = helper.make_tensor_value_info(output, TensorProto.FLOAT, list(shape))
        graph = helper.make_graph(self._nodes, "emotts", told, [given], self._weights)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="emotts")
        onnx.checker.check_model(model)
        return model.SerializeToString()
