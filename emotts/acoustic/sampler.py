"""One run of a residual flow, from noise to data: the part of sampling that a CUDA graph can hold.

Comes in: noise, what the network is given, lengths and the weights of the branches, all tensors. Goes out: the residual. Which
numbers are in them decides nothing about what is computed, so that a recorded run serves every request of its shape.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from emotts.acoustic.blend import Branch
from emotts.acoustic.flow import evaluation_times, integrate, skip_scale
from emotts.acoustic.stacked import blended, weights_at
from emotts.acoustic.student import jumps_to_data, land
from emotts.layers import hiding, lengths_to_mask, masked

JUMPS = "jumps"  # the method of a student's networks

Bend = Callable[[Tensor, float, Tensor], Tensor]


class FlowNetwork(Protocol):
    """The velocity networks of the reading and of the mel, as `sample_flow` calls them.

    `prepare` takes what the network is given in the order of `FlowInputs`, a mask [B, T] or None, and the times of all calls [S].
    `step` gives the correction to the skip path [K * B, T, M] for x_t [B, T, M] in a numbered call.
    """

    def step(self, prepared: Any, x_t: Tensor, call: int, /) -> Tensor: ...

    @property
    def prepare(self) -> Callable[..., Any]: ...


@dataclass
class FlowInputs:
    """What a run depends on; K branches of B rows.

    Attributes:
        noise: x_0, temperature included [B, T, M].
        over_time: what the network is given for every position [K * B, T, ...].
        constant: what it is given for the whole [K * B, 1, ...].
        lengths: real positions [B].
        weights: of each branch in each call [S, K].
        times: t of each call [S], or start, end and scale of a student's jumps [S, 3].
    """

    noise: Tensor
    over_time: tuple[Tensor, ...]
    constant: tuple[Tensor, ...]
    lengths: Tensor
    weights: Tensor
    times: Tensor

    @property
    def tensors(self) -> list[Tensor]:
        """All of them, in one order."""
        return [self.noise, *self.over_time, *self.constant, self.lengths, self.weights, self.times]

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "FlowInputs":
        """Return these inputs, each of them changed."""
        over_time, constant = (tuple(map(change, x)) for x in (self.over_time, self.constant))
        rest = (change(x) for x in (self.lengths, self.weights, self.times))
        return FlowInputs(change(self.noise), over_time, constant, *rest)


def flow_inputs(
    noise: Tensor,
    over_time: Sequence[Tensor],
    constant: Sequence[Tensor],
    lengths: Tensor,
    branches: Sequence[Branch],
    times: Tensor,
) -> FlowInputs:
    """Gather the inputs of a run; shapes as in `FlowInputs`.

    Args:
        times: t of each call [S], on the CPU.
    """
    weights = torch.tensor(weights_at(branches, times.tolist())).to(noise.device)
    return FlowInputs(noise, tuple(over_time), tuple(constant), lengths, weights, times.to(noise.device))


def jump_inputs(
    noise: Tensor, over_time: Sequence[Tensor], constant: Sequence[Tensor], lengths: Tensor, steps: int, scale: float
) -> FlowInputs:
    """Gather the inputs of a student's run, whose one branch is told the scale of the guidance.

    Raises:
        ValueError: more steps, or another scale, than it learnt.
    """
    weights = torch.ones(steps, 1, device=noise.device)
    times = jumps_to_data(steps, scale).to(noise.device)
    return FlowInputs(noise, tuple(over_time), tuple(constant), lengths, weights, times)


def run_flow(
    network: FlowNetwork,
    inputs: FlowInputs,
    grid: Tensor,
    method: str,
    mask: Tensor | None,
    bend: Bend | None = None,
) -> Tensor:
    """Integrate a residual flow, the skip path c(t) x_t plus what the network adds, to x [B, T, M]; padding comes out as zeros.

    Args:
        grid: times of the steps, on the CPU. method: one of flow.METHODS, or JUMPS, for which the network is a student's.
        mask: real positions [B, T]; None if all are.
        bend: changes the velocity [B, T, M], given x_t [B, T, M], t and the plain one.
    """
    prepared = network.prepare(*inputs.over_time, *inputs.constant, mask, inputs.times)
    if method == JUMPS:
        return masked(_jumped(network, prepared, inputs.noise, grid), mask)
    times = evaluation_times(grid, method)
    skip, clock = skip_scale(times).tolist(), times.tolist()

    def velocity(x_t: Tensor, call: int) -> Tensor:
        added = blended(network.step(prepared, x_t, call), inputs.weights[call])
        plain = skip[call] * x_t + added.float()
        return plain if bend is None else bend(x_t, clock[call], plain)

    return masked(integrate(velocity, inputs.noise, grid, method), mask)


def _jumped(network: FlowNetwork, prepared: Any, noise: Tensor, grid: Tensor) -> Tensor:
    """Let a student jump from one time of the grid to the next."""
    x = noise
    for call, (start, end) in enumerate(itertools.pairwise(grid.tolist())):
        x = land(x, start, end, network.step(prepared, x, call))
    return x


def eager(network: FlowNetwork, inputs: FlowInputs, grid: Tensor, method: str, bend: Bend | None = None) -> Tensor:
    """Run a flow as it is; masks that hide nothing are left out where looking at them costs nothing."""
    mask = lengths_to_mask(inputs.lengths, inputs.noise.shape[1])
    return run_flow(network, inputs, grid, method, hiding(mask), bend)
