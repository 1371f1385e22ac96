"""Optimal-transport conditional flow matching: path, loss and solver. No network inside.

The path runs from noise x_0 at t = 0 to data x_1 at t = 1 along x_t = (1 - t) x_0 + t x_1, with velocity x_1 - x_0, after
Lipman et al., "Flow Matching for Generative Modeling" (2023), arXiv 2210.02747, with sigma_min = 0. The schedulers of
diffusers run towards noise: their sigma is 1 - t and their velocity has the opposite sign (see tests/test_flow.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
CalledVelocity = Callable[[Tensor, int], Tensor]

SCHEDULES = ("uniform", "sway", "epss")
STAGES = {"euler": (0.0,), "midpoint": (0.0, 0.5), "heun": (0.0, 1.0)}  # where in a step a method calls the network
METHODS = tuple(STAGES)
EPSS = {5: (0, 2, 4, 8, 16, 32), 6: (0, 2, 4, 6, 8, 16, 32), 7: (0, 2, 4, 6, 8, 16, 24, 32)}  # in 32nds, as published


@dataclass(frozen=True)
class Sampling:
    """How a flow's steps are laid and taken: schedule one of SCHEDULES, method one of METHODS.

    Raises:
        ValueError: it is none of them.
    """

    schedule: str = "uniform"
    method: str = "euler"

    def __post_init__(self) -> None:
        for name, value, known in (("schedule", self.schedule, SCHEDULES), ("method", self.method, METHODS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r:.60}.")

    def grid(self, steps: int) -> Tensor:
        """Return the times of the steps [steps + 1], from 0 to 1.

        Raises:
            ValueError: fewer than one step.
        """
        if self.schedule == "epss":
            return epss_grid(steps)
        return time_grid(steps, -1.0 if self.schedule == "sway" else 0.0)


PLAIN = Sampling()


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


def epss_grid(steps: int) -> Tensor:
    """Return the grid [steps + 1] of empirically pruned step sampling: whole 32nds, dense near noise.

    Published are 5, 6, 7 and 10 steps. The other counts are ours: below 5 the table of 5 without its points nearest to noise; above
    7 that of 7 with its longest step halved, the one nearest to noise first, which at 10 gives what was published.

    Reference: Zheng et al., "Accelerating Flow-Matching-Based Text-to-Speech via Empirically Pruned Step Sampling" (2025), arXiv
    2505.19931.

    Raises:
        ValueError: fewer than one step.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1; got {steps}.")
    fewest, most = min(EPSS), max(EPSS)
    points: list[float] = list(EPSS[min(max(steps, fewest), most)])
    points[1 : max(1, len(points) - steps)] = []
    while len(points) <= steps:
        widths = [end - start for start, end in zip(points[:-1], points[1:], strict=True)]
        longest = widths.index(max(widths))
        points.insert(longest + 1, points[longest] + widths[longest] / 2)
    return torch.tensor(points, dtype=torch.float32) / 32.0


def evaluations(steps: int, method: str = "euler") -> int:
    """Return how often the network is called (NFE): once a step by Euler's method, twice by the others.

    Raises:
        ValueError: unknown method.
    """
    return steps * len(_stages(method))


def evaluation_times(grid: Tensor, method: str = "euler") -> Tensor:
    """Return t of each call of the network [S], in the order in which `integrate` makes them.

    Args:
        grid: increasing times [steps + 1]. method: one of METHODS.

    Raises:
        ValueError: unknown method.
    """
    inside = torch.tensor(_stages(method), dtype=grid.dtype, device=grid.device)
    return (grid[:-1, None] + torch.diff(grid)[:, None] * inside).flatten()  # [steps, calls] -> [S]


def integrate(velocity: CalledVelocity, x_0: Tensor, grid: Tensor, method: str = "euler") -> Tensor:
    """Integrate dx/dt = velocity from x_0 [B, T, C] over the times of `grid`.

    Args:
        velocity: maps (x [B, T, C], the number of the call, from 0) to [B, T, C]; t of each call is in `evaluation_times`.
        grid: increasing times on the CPU; the first is where x_0 stands.
        method: "euler" (one call a step, first order), "midpoint" or "heun" (two calls, second order).

    Raises:
        ValueError: unknown method.
    """
    per_step = len(_stages(method))
    x = x_0
    for number, step in enumerate(torch.diff(grid.double()).tolist()):
        call = number * per_step
        slope = velocity(x, call)
        if method == "midpoint":
            slope = velocity(x + 0.5 * step * slope, call + 1)
        elif method == "heun":
            slope = 0.5 * (slope + velocity(x + step * slope, call + 1))
        x = x + step * slope
    return x


def solve(velocity: Velocity, x_0: Tensor, grid: Tensor, method: str = "euler") -> Tensor:
    """Integrate as `integrate` does a velocity that maps (x [B, T, C], t [B]) to [B, T, C].

    Raises:
        ValueError: unknown method.
    """
    times = evaluation_times(grid, method).tolist()
    return integrate(
        lambda x, call: velocity(x, torch.full((len(x),), times[call], device=x.device)), x_0, grid, method
    )


def _stages(method: str) -> tuple[float, ...]:
    """Return where in a step a method calls the network, as shares of the step."""
    if method not in STAGES:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r:.60}.")
    return STAGES[method]
