"""A depthwise convolution over time on a CPU, with time where oneDNN wants the width of a picture.

[B, T, C] as it lies in memory is a picture [B, C, 1, T] in channels-last order: nothing is transposed. torch derives such a
convolution by its general way; here the gradient of x is the same convolution with the kernel turned around, and that of the
kernel a product and a sum for each of its few taps.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def over_time(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """Apply a depthwise convolution, with bias and of an odd width padded by half of it, to x [B, T, C]; gives [B, T, C].

    On a CPU its gradient can be taken once.
    """
    device = x.device.type
    if device != "cpu" or torch.compiler.is_compiling():
        return conv(x.transpose(1, 2)).transpose(1, 2)  # [B, T, C] -> [B, C, T] -> [B, T, C]
    weight, bias = conv.weight, conv.bias
    assert bias is not None
    if not torch.is_grad_enabled():
        return _convolve(x, weight, bias)
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
    return _Convolution.apply(x, weight, bias)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve x [B, T, C] with a kernel for each channel, weight [C, 1, odd K], to [B, T, C]."""
    picture = x.transpose(1, 2)[:, :, None, :]  # [B, T, C] -> [B, C, 1, T]
    padding = (0, weight.shape[2] // 2)
    out = F.conv2d(picture, weight[:, :, None, :], bias, padding=padding, groups=len(weight))
    return out[:, :, 0].transpose(1, 2)  # [B, C, 1, T] -> [B, T, C]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        context.save_for_backward(x, weight)
        return _convolve(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = context.saved_tensors
        wants_x, wants_weight, wants_bias = context.needs_input_grad
        n_taps, n_frames = weight.shape[2], x.shape[1]
        of_x = of_weight = None
        if wants_x:
            of_x = _convolve(gradient, weight.flip(2), None)
        if wants_weight:
            padded = F.pad(x, (0, 0, n_taps // 2, n_taps // 2))
            exact = torch.promote_types(weight.dtype, torch.float32)
            taps = [(padded[:, i : i + n_frames] * gradient).sum((0, 1), dtype=exact) for i in range(n_taps)]
            of_weight = torch.stack(taps, dim=1)[:, None, :].to(weight.dtype)
        return of_x, of_weight, gradient.sum((0, 1)) if wants_bias else None
