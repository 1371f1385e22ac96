"""A device that is not there: tensors say that they are on "cuda", and meeting one of the CPU is an error, as it would be on a GPU.

Everything is computed on the CPU. Which tensors are "there" is a mark that `.to`, factories and the results of functions carry;
what PyTorch allows between devices (scalars, copies, indices from the CPU) is allowed here.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

THERE = torch.device("cuda", 0)
FACTORIES = {
    torch.zeros, torch.ones, torch.full, torch.empty, torch.arange, torch.rand, torch.randn, torch.randint, torch.tensor,
    torch.eye, torch.linspace, torch.as_tensor, torch.hann_window, torch.randperm,
}  # fmt: skip
ACROSS = {Tensor.copy_, Tensor.__setitem__, torch._has_compatible_shallow_copy_type}  # which may join devices
TO_NUMPY = {Tensor.numpy, Tensor.__array__}


def is_there(value: Any) -> bool:
    return isinstance(value, Tensor) and "is_there" in value.__dict__


def mark(value: Any, there: bool = True) -> Any:
    """Mark tensors, also within what functions return."""
    if isinstance(value, Tensor):
        if there:
            value.__dict__["is_there"] = True
        else:
            value.__dict__.pop("is_there", None)
    elif isinstance(value, list | tuple):
        for each in value:
            mark(each, there)
    return value


def tensors_of(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for each in values:
            yield from tensors_of(each)
    elif isinstance(values, dict):
        yield from tensors_of(list(values.values()))


class WrongDevice(RuntimeError):
    pass


class OtherDevice(TorchFunctionMode):
    """While it is active, `cuda` exists, on the CPU; `functions` counts what was called on it."""

    functions = 0

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if function == Tensor.device.__get__:
            return THERE if is_there(args[0]) else function(*args)
        if function == Tensor.is_cuda.__get__:
            return is_there(args[0])
        if function is Tensor.to:
            return self._moved(args, kwargs)
        if function in (Tensor.cpu, Tensor.cuda):
            return mark(args[0].clone(), function is Tensor.cuda)
        if function in (Tensor.data.__set__, Tensor.grad.__set__):
            function(*args)
            return mark(args[0], is_there(args[1])) if function == Tensor.data.__set__ else None
        if function in FACTORIES or (function.__name__ if hasattr(function, "__name__") else "").endswith("_like"):
            return self._made(function, args, kwargs)
        given = list(tensors_of(args)) + list(tensors_of(kwargs))
        there = [tensor for tensor in given if is_there(tensor)]
        if there and function in TO_NUMPY:
            raise WrongDevice("a tensor of another device has no NumPy form; use .cpu() first")
        if there and function not in ACROSS:
            self._check(function, args, given, there)
        if there:
            type(self).functions += 1
        return mark(function(*args, **kwargs)) if there and function is not Tensor.tolist else function(*args, **kwargs)

    def _moved(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        device, dtype = kwargs.get("device"), kwargs.get("dtype")
        for value in args[1:]:
            if isinstance(value, str | torch.device):
                device = value
            elif isinstance(value, torch.dtype):
                dtype = value
            elif isinstance(value, Tensor):
                device, dtype = THERE if is_there(value) else "cpu", value.dtype
        is_to_be_there = is_there(args[0]) if device is None else torch.device(device).type == "cuda"
        moved = args[0] if dtype is None else args[0].to(dtype)
        if is_to_be_there == is_there(args[0]) and moved is args[0]:
            return moved
        return mark(moved.clone() if moved is args[0] else moved, is_to_be_there)

    def _made(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        device = kwargs.pop("device", None)
        like = [tensor for tensor in tensors_of(args) if is_there(tensor)]
        is_to_be_there = bool(like) if device is None else torch.device(device).type == "cuda"
        if is_to_be_there and kwargs.get("generator") is not None and kwargs["generator"].device.type == "cpu":
            raise WrongDevice(f"{function.__name__} with a generator of the CPU for another device")
        return mark(function(*args, **kwargs), is_to_be_there)

    @staticmethod
    def _check(function: Callable[..., Any], args: tuple[Any, ...], given: list[Tensor], there: list[Tensor]) -> None:
        if function is Tensor.__getitem__ and is_there(args[0]):
            return  # indices may come from the CPU
        here = [tensor for tensor in given if not is_there(tensor) and tensor.ndim > 0]
        if here:
            raise WrongDevice(
                f"{resolve_name(function) or function}: tensors of {list(there[0].shape)} on another device and "
                f"{list(here[0].shape)} on the CPU"
            )


def state_is_there(module: nn.Module) -> bool:
    """Whether all weights and buffers are on the other device."""
    return all(is_there(tensor) for tensor in (*module.parameters(), *module.buffers()))
