"""A batch in parts, so that it fits into memory, with the result of the whole; or as a whole, elsewhere.

Comes in: a batch whose tensors have the rows of the batch first. Goes out: some of its rows, and a mode in which these rows get
the noise that they would get within the whole batch; or the batch on another device.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from types import EllipsisType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


def rows_of(batch: Any, rows: slice) -> Any:
    """Return these rows of every tensor of a batch: a tensor, or tuples, lists, dicts and dataclasses of such."""
    return _each(batch, lambda tensor: tensor[rows])


def on_device(batch: Any, device: torch.device) -> Any:
    """Return the batch with every tensor on a device."""
    return _each(batch, lambda tensor: tensor.to(device))


def _each(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(batch, Tensor):
        return change(batch)
    if is_dataclass(batch) and not isinstance(batch, type):
        return replace(batch, **{field.name: _each(getattr(batch, field.name), change) for field in fields(batch)})
    if isinstance(batch, Mapping):
        return {name: _each(value, change) for name, value in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)(_each(value, change) for value in batch)
    raise TypeError(f"a batch must be made of tensors; got {type(batch).__name__}.")


def n_rows(batch: Any) -> int:
    """Return the number of rows of a batch."""
    while not isinstance(batch, Tensor):
        if is_dataclass(batch):
            batch = getattr(batch, fields(batch)[0].name)
        else:
            batch = next(iter(batch.values() if isinstance(batch, Mapping) else batch))
    return len(batch)


def split_rows(n: int, parts: int) -> list[slice]:
    """Return at most `parts` slices of nearly equal size over n rows."""
    borders = [n * k // parts for k in range(parts + 1)]
    return [slice(a, b) for a, b in zip(borders[:-1], borders[1:], strict=True) if b > a]


class NoiseOfTheWhole(TorchFunctionMode):
    """Draw random tensors and dropout masks for the whole batch and keep those of the rows that are there.

    Holds for tensors whose first axis is the batch, or the batch times something (heads, windows). Others are drawn as they are,
    which every part does alike.
    """

    def __init__(self, rows: slice, whole: int) -> None:
        super().__init__()
        self.rows, self.n, self.whole = rows, rows.stop - rows.start, whole

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in (torch.rand, torch.randn):
            given = args[0] if args and isinstance(args[0], Sequence) else args or kwargs.pop("size")
            shape, keep = self._enlarged(tuple(given))
            return function(shape, **kwargs)[keep]
        if function is torch.randint:
            return self._randint(*args, **kwargs)
        if function in (torch.rand_like, torch.randn_like):
            drawn = torch.rand if function is torch.rand_like else torch.randn
            shape, keep = self._enlarged(tuple(args[0].shape))
            return drawn(shape, dtype=args[0].dtype, device=args[0].device, **kwargs)[keep]
        if function is F.dropout:
            return self._dropout(*args, **kwargs)
        return function(*args, **kwargs)

    def _enlarged(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], slice | EllipsisType]:
        """Return the shape for the whole batch, and where in it these rows are."""
        if not shape or shape[0] % self.n:
            return shape, ...
        each = shape[0] // self.n
        return (self.whole * each, *shape[1:]), slice(self.rows.start * each, self.rows.stop * each)

    def _randint(self, *bounds: Any, **kwargs: Any) -> Tensor:
        """Draw as torch.randint([low,] high, size, *, ...) does."""
        size = bounds[-1] if bounds and isinstance(bounds[-1], Sequence) else kwargs.pop("size")
        given = [bound for bound in bounds if isinstance(bound, int)]
        high = kwargs.pop("high") if "high" in kwargs else given.pop()
        low = kwargs.pop("low", given[0] if given else 0)
        shape, keep = self._enlarged(tuple(size))
        return torch.randint(low, high, shape, **kwargs)[keep]

    def _dropout(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0.0:
            return x
        shape, keep = self._enlarged(tuple(x.shape))
        order = sorted(range(x.ndim), key=x.stride, reverse=True)  # masks are drawn in the order of memory
        back = [order.index(axis) for axis in range(x.ndim)]
        ones = torch.ones([shape[axis] for axis in order], dtype=x.dtype, device=x.device).permute(back)
        return x * F.dropout(ones, p, True)[keep]
