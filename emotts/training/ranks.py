"""What the processes of one run tell each other: sums, agreements, the same weights; and weights that are spread over them.

One process talks to nobody, and everything here is then the identity.
"""

import atexit
import gc
import time
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from emotts.training.memory import free_cache, is_out_of_memory

# Now, as there is no group: the functions of this module keep that of its import for good; see _leave.
if dist.is_available():
    import torch.distributed.nn.functional


class Ranks:
    """The processes of a run, of which this is number `rank` of `count`."""

    def __init__(self, rank: int, count: int, device: torch.device) -> None:
        self.rank, self.count, self.device = rank, count, device
        if count > 1:
            atexit.register(_leave)

    @property
    def is_first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.count == 1:
            return value
        value = value.detach().clone().to(self.device)
        dist.all_reduce(value)
        return value

    def agree(self, *said: bool) -> list[bool]:
        """Return for each statement whether any process says it."""
        if self.count == 1:
            return list(said)
        flags = torch.tensor([float(each) for each in said], device=self.device)
        dist.all_reduce(flags, op=dist.ReduceOp.MAX)
        return [bool(flag) for flag in flags.tolist()]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add up the gradients of all processes; a parameter without one counts as zero.

        Once a step and after everybody has agreed that all went well, so that a process that ran out of memory does not leave the
        others waiting. It is done with a copy of all gradients; where a process has no memory for it, with one after the other.

        Raises:
            MemoryError: in all processes, as one of them has none even for the gradients.
        """
        if self.count == 1:
            return
        together, gradients = None, []
        try:
            gradients = [_gradient_of(parameter) for parameter in parameters]
            together = torch.cat([gradient.flatten().float() for gradient in gradients])
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            free_cache()
        has_none, is_short = self.agree(not gradients, together is None)
        if has_none:
            raise MemoryError("out of memory for the gradients; take a smaller model, or shard=true.")
        if is_short or together is None:
            for gradient in gradients:
                dist.all_reduce(gradient)
            return
        dist.all_reduce(together)
        parts = together.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def share_weights(self, model: nn.Module) -> None:
        """Give all processes the parameters and buffers of the first."""
        if self.count > 1:
            for tensor in (*model.parameters(), *model.buffers()):
                dist.broadcast(tensor.data, src=0)

    def wait(self) -> None:
        """Wait for the others."""
        if self.count > 1:
            dist.barrier()


def _leave() -> None:
    """Part from the others while Python still runs.

    A thread of the connections that lets go of a tensor while Python ends aborts the process (https://github.com/pytorch/pytorch/pull/179291).
    The threads end with the group, which lives as long as anybody refers to it.
    """
    if not dist.is_initialized():
        return
    group = weakref.ref(dist.group.WORLD)
    dist.destroy_process_group()
    gc.collect()
    if group() is not None:  # spread weights: the caches of torch keep the mesh, and that keeps the group
        time.sleep(1.0)  # so that the threads come to their turn and have nothing left


def _gradient_of(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def spread(module: nn.Module, ranks: Ranks) -> None:
    """Keep only a part of every weight, its gradient and its moments in each process; forward passes gather them.

    Reference: Zhao et al., "PyTorch FSDP" (2023), arXiv 2304.11277; torch's fully_shard.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    fully_shard(module, mesh=init_device_mesh(ranks.device.type, (ranks.count,)))


def whole(value: Any) -> Any:
    """Return tensors, or dicts and lists of them, gathered from all processes; every process must ask."""
    if hasattr(value, "full_tensor"):
        return value.full_tensor()
    if isinstance(value, Mapping):
        return {name: whole(each) for name, each in value.items()}
    return [whole(each) for each in value] if isinstance(value, list) else value


def like(value: Tensor, other: Any) -> Any:
    """Spread a whole tensor as another one is, or leave it whole as the other is."""
    if not hasattr(other, "full_tensor") or value.shape != other.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(other.device), other.device_mesh, other.placements)
