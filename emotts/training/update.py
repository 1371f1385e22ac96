"""The update of a step: gradients come in, and weights, moments and averages move on, all of them or none.

An update needs no more memory than there was before it: moments are made at the start. Where it runs out all the same, smaller
batches would not help, for their memory is free by then; the update is tried again with what torch had kept for later.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from emotts.training.average import Average
from emotts.training.memory import free_cache, is_out_of_memory
from emotts.training.ranks import Ranks, whole

REMEDY = "smaller batches do not help here; take a smaller model, or shard=true on several GPUs"


class Update:
    """Move weights and averages by an optimiser, the same on all processes."""

    def __init__(self, optimizer: torch.optim.Optimizer, average: Average, ranks: Ranks) -> None:
        """Make the moments.

        Raises:
            MemoryError: there is no room for them.
        """
        self.optimizer, self.average, self.ranks = optimizer, average, ranks
        self.is_whole = True  # whether weights, moments and averages are those of one and the same step
        self.parameters: list[nn.Parameter] = [p for group in optimizer.param_groups for p in group["params"]]
        try:
            _make_moments(optimizer)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise MemoryError(f"out of memory for the moments of the optimiser; {REMEDY}.") from None

    def clip(self, most: float) -> float:
        """Scale the gradients down to a norm of at most `most`; returns the norm they had.

        Raises:
            MemoryError: there is none for it, twice.
        """
        norm: list[Tensor] = []
        if not self._done(lambda: norm.append(torch.nn.utils.clip_grad_norm_(self.parameters, most))):
            raise MemoryError(f"out of memory for the norm of the gradients; {REMEDY}.")
        return float(whole(norm[0]))

    def apply(self) -> None:
        """Take the step.

        Raises:
            MemoryError: in one of the processes; `is_whole` says whether the weights of this one are still those before the step.
        """
        before = _counts(self.optimizer)
        done = self._done(self.optimizer.step, lambda: _counts(self.optimizer) == before)
        if self.ranks.agree(not done)[0]:
            self.is_whole = _counts(self.optimizer) == before
            raise MemoryError(f"out of memory in the update of the weights; {REMEDY}.")
        self.is_whole = False
        if not self._done(self.average.follow, lambda: False):
            raise MemoryError(f"out of memory for the averaged weights; {REMEDY}.")
        self.is_whole = True

    def _done(self, action: Callable[[], object], may_repeat: Callable[[], bool] = lambda: True) -> bool:
        """Do something, again if memory ran out and nothing has been changed yet; returns whether it is done."""
        for _ in range(2):
            try:
                action()
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if not may_repeat():
                    return False
            else:
                return True
            free_cache()
        return False


def _counts(optimizer: torch.optim.Optimizer) -> list[int]:
    """Return how often each weight's count of steps was changed, which is what an update begins with."""
    return [entry["step"]._version for entry in optimizer.state.values()]


def _make_moments(optimizer: torch.optim.Optimizer) -> None:
    """Make what the first step would make: a step without gradients and rate, that counts for nothing."""
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    for entry in optimizer.state.values():
        entry["step"].zero_()
