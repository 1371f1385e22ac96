"""The velocity network of the residual flow of readings, on token features.

Comes in: x_t [B, N, F] with the prior's rows and what is known of speaker and emotion. Goes out: what is added to the skip path.
The same parts, told of jumps in the place of times, are the student's of emotts/acoustic/student.py.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emotts.layers import BlockStack, Modulations, part_of

FEATURES = ("log_duration", "f0_first", "f0_second", "energy")


@dataclass
class PreparedVelocity:
    """What all calls of one solver share; K * B rows, where K requests are blended.

    Attributes:
        enter: the entry's part of x_t [B, N, F] to [B, N, C]. entered: the rest of the entry [K * B, N, C].
        modulations: of all norms in all calls.
        mask: real tokens [K * B, N], None if all are. rope: rotary rows, if there is attention.
    """

    enter: Callable[[Tensor], Tensor]
    entered: Tensor
    modulations: Modulations
    mask: Tensor | None
    rope: Tensor | None


class ProsodyFlow(nn.Module):
    """What calls the parts of the network; who inherits makes them.

    Attributes:
        flow_enter: F + C to C channels. time: what the network is told of a call to [*, C].
        flow_blocks: under condition and time. flow_head: C to F.
    """

    flow_enter: nn.Linear
    time: nn.Module
    flow_blocks: BlockStack
    flow_head: nn.Linear

    def velocity(self, x_t: Tensor, t: Tensor, hidden: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """Return what the network adds to the skip path of the residual flow [B, N, F] at time t [B]."""
        time = self.time(t)[:, None, :].expand(-1, x_t.shape[1], -1)
        x = self.flow_enter(torch.cat([x_t, hidden], dim=-1))
        return self.flow_head(self.flow_blocks(x, mask, torch.cat([condition, time.to(condition.dtype)], dim=-1)))

    def prepare(self, hidden: Tensor, condition: Tensor, mask: Tensor | None, times: Tensor) -> PreparedVelocity:
        """Compute what the calls of a solver share, for K requests on the same B noises.

        Args:
            hidden: rows of the prior [K * B, N, C]; condition: [K * B, N, D + E]; the B rows of one request lie together.
            mask: real tokens [B, N], None if all are. times: t of each call [S].
        """
        n = len(FEATURES)
        return PreparedVelocity(
            part_of(self.flow_enter, [slice(0, n)], bias=False),
            part_of(self.flow_enter, [slice(n, None)], bias=True)(hidden),
            self.flow_blocks.split_modulations(condition, self.time(times).to(condition.dtype)),
            None if mask is None else mask.repeat(len(hidden) // len(mask), 1),
            self.flow_blocks.rope(hidden.shape[1], hidden.device),
        )

    def step(self, prepared: PreparedVelocity, x_t: Tensor, call: int) -> Tensor:
        """Return what `velocity` gives for x_t [B, N, F] under each of the K requests [K * B, N, F] in one of the S calls."""
        x = prepared.enter(x_t.to(prepared.entered.dtype))
        x = prepared.entered + x.repeat(len(prepared.entered) // len(x), 1, 1)
        return self.flow_head(self.flow_blocks.run(x, prepared.mask, prepared.modulations.at(call), prepared.rope))
