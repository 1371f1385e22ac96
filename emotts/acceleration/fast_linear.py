"""What linear layers in few bits share: they keep their float weights, and give way to float where few bits will not do."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST_ROWS = 8  # below, float is as fast: modulations of a whole utterance and embeddings of time stay exact
LEAST_WEIGHTS = 16_384  # smaller layers are as fast in float, such as heads 4 wide

Spans = tuple[tuple[int, int], ...]  # columns of the input, from and up to


class FastLinear(nn.Linear, ABC):
    """A linear layer that computes in few bits where no gradient is asked for.

    Weights, their names and their gradients are those of the layer it was made of, so that what is saved is exact. In float is
    computed what needs a gradient, what lies elsewhere than on a CPU, and what is too small to gain.
    """

    _kept: dict[Spans, tuple[Any, Any]]  # columns -> version of the weights, and these as `prepare` made them

    @classmethod
    def of(cls, linear: nn.Linear) -> Self:
        """Return a layer that owns the parameters of `linear`."""
        layer = cls.__new__(cls)
        layer.__dict__.update(linear.__dict__)
        layer._kept = {}
        return layer

    @abstractmethod
    def prepare(self, weight: Tensor) -> Any:
        """Return weights [out, in] in the form in which `compute` wants them."""

    @abstractmethod
    def compute(self, x: Tensor, prepared: Any, bias: Tensor | None) -> Tensor:
        """Map x [..., in] to [..., out] by prepared weights."""

    def forward(self, x: Tensor) -> Tensor:
        """Map x [..., in] to [..., out]."""
        return self._run(x, ((0, self.in_features),), self.bias)

    def part_of(self, columns: Sequence[slice], bias: bool) -> Callable[[Tensor], Tensor]:
        """Return what of the layer acts on some columns of its input; see `emotts.layers.part_of`."""
        spans = tuple(column.indices(self.in_features)[:2] for column in columns)
        return lambda x: self._run(x, spans, self.bias if bias else None)

    def _run(self, x: Tensor, spans: Spans, bias: Tensor | None) -> Tensor:
        if self._is_fast(x):
            return self.compute(x, self._prepared(spans), bias)
        return F.linear(x, _columns(self.weight, spans), bias)

    def _is_fast(self, x: Tensor) -> bool:
        if torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad):
            return False
        is_large = x.numel() >= LEAST_ROWS * x.shape[-1] and x.shape[-1] * self.out_features >= LEAST_WEIGHTS
        return is_large and x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.float32

    def _prepared(self, spans: Spans) -> Any:
        """Return the prepared weights of some columns, made anew when the weights have changed."""
        version = None if self.weight.is_inference() else (self.weight._version, self.weight.data_ptr())
        known = self._kept.get(spans)
        if known is None or known[0] != version:
            known = self._kept[spans] = (version, self.prepare(_columns(self.weight.detach(), spans)))
        return known[1]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was prepared: copies prepare their own."""
        return {**self.__dict__, "_kept": {}}


def _columns(weight: Tensor, spans: Spans) -> Tensor:
    if spans == ((0, weight.shape[1]),):
        return weight
    return torch.cat([weight[:, start:end] for start, end in spans], dim=1)
