"""Optimal-transport conditional flow matching: path, loss and solver. No network inside.

The path runs from noise x_0 at t = 0 to data x_1 at t = 1 along x_t = (1 - t) x_0 + t x_1, with velocity x_1 - x_0, after
Lipman et al., "Flow Matching for Generative Modeling" (2023), arXiv 2210.02747, with sigma_min = 0. The schedulers of
diffusers run towards noise: their sigma is 1 - t and their velocity has the opposite sign (see tests/test_flow.py).
"""

from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]


def sample_times(
    batch_size: int, generator: torch.Generator | None = None, device: torch.device | None = None
) -> Tensor:
    """Draw t [B] in (0, 1) from a logit-normal, dense in the middle, where the velocity is hardest.

    Reference: Esser et al., "Scaling Rectified Flow Transformers" (2024), arXiv 2403.03206, section 3.1.
    """
    return torch.sigmoid(torch.randn(batch_size, generator=generator, device=device))


def interpolate(x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    """Return x_t on the straight path between noise x_0 and data x_1, both [B, T, C], at t [B]."""
    t = t[:, None, None]
    return (1.0 - t) * x_0 + t * x_1


def skip_scale(t: Tensor) -> Tensor:
    """Return the factor c(t) of x_t in the best linear guess of the velocity, for data of unit variance.

    c(t) = (2t - 1) / (t^2 + (1 - t)^2). A network that adds its output to c(t) x_t starts as the exact flow from white noise
    to white unit-variance data and learns only what the data adds to that (compare Karras et al. 2022, arXiv 2206.00364,
    section 5).
    """
    return (2.0 * t - 1.0) / (t**2 + (1.0 - t) ** 2)


def flow_loss(velocity: Tensor, x_0: Tensor, x_1: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error of velocity [B, T, C] against x_1 - x_0 over the real frames of mask [B, T]."""
    error = (velocity.float() - (x_1 - x_0)) ** 2
    weight = mask.to(error.dtype)[:, :, None]
    return (error * weight).sum() / (weight.sum() * error.shape[-1]).clamp_min(1.0)


def time_grid(steps: int, sway: float = 0.0) -> Tensor:
    """Return the grid [steps + 1] from 0 to 1; sway -1 puts more steps near noise.

    Reference: sway sampling of Chen et al., "F5-TTS" (2024), arXiv 2410.06885, equation 10.

    Raises:
        ValueError: fewer than one step, or sway outside [-1, 1].
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1; got {steps}.")
    if not -1.0 <= sway <= 1.0:
        raise ValueError(f"sway must lie in [-1, 1]; got {sway}.")
    t = torch.linspace(0.0, 1.0, steps + 1)
    return t + sway * (torch.cos(torch.pi / 2 * t) - 1.0 + t)


def solve(velocity: Velocity, x_0: Tensor, grid: Tensor, method: str = "euler") -> Tensor:
    """Integrate dx/dt = velocity(x, t) from x_0 [B, T, C] over the times of `grid`.

    Args:
        velocity: maps (x [B, T, C], t [B]) to [B, T, C].
        grid: increasing times; the first is where x_0 stands.
        method: "euler" (one call a step) or "midpoint" (two calls, second order).

    Raises:
        ValueError: unknown method.
    """
    if method not in ("euler", "midpoint"):
        raise ValueError(f'method must be "euler" or "midpoint"; got {method!r}.')
    x = x_0
    for start, end in zip(grid[:-1].tolist(), grid[1:].tolist(), strict=True):
        t = torch.full((len(x),), start, device=x.device)
        step = end - start
        slope = velocity(x, t)
        if method == "midpoint":
            slope = velocity(x + 0.5 * step * slope, t + 0.5 * step)
        x = x + step * slope
    return x
