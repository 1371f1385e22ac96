"""Linear layers in bfloat16 for CPUs with AVX512-BF16 or AMX: weights and rows have 8 significant bits, sums are float32."""

import torch.nn.functional as F
from torch import Tensor

from emotts.acceleration.fast_linear import FastLinear


class Bf16Linear(FastLinear):
    """A linear layer on bfloat16 weights and rows; what lies between the layers stays float32."""

    def prepare(self, weight: Tensor) -> Tensor:
        return weight.bfloat16()

    def compute(self, x: Tensor, prepared: Tensor, bias: Tensor | None) -> Tensor:
        y = F.linear(x.bfloat16(), prepared).float()
        return y if bias is None else y + bias
