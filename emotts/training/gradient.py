"""The gradient of one step: of several batches, on several processes, in parts where memory is short, always of the same means.

Comes in: this process' batches of the step. Goes out: named losses over all of them, with the gradients in place. A mean over a
part is scaled by the part's share of what the whole step averages over (frames, tokens, rows), so that the sum of the parts is the
mean over the whole, and not a mean of means.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from emotts.training.memory import free_cache, is_out_of_memory
from emotts.training.parts import NoiseOfTheWhole, n_rows, rows_of, split_rows
from emotts.training.ranks import Ranks

LossesOf = Callable[[Any, Any, torch.Generator], dict[str, Tensor]]
CountsOf = Callable[[Any], Mapping[str, Tensor]]


class Gathered(Protocol):
    """What the losses of a step leave behind for the model beside gradients, such as running statistics."""

    def clear(self) -> None:
        """Forget: the step begins, or begins anew."""

    def settle(self, model: Any, sum_over_ranks: Callable[[Tensor], Tensor]) -> None:
        """Give the model what the whole step has left."""


class Losses(nn.Module):
    """The losses as a forward pass, which is when spread weights are gathered."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, losses_of: LossesOf, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        """Return what losses_of says of the model and the batch."""
        return losses_of(self.model, batch, generator)


class Gradient:
    """How the losses of a step are computed and derived."""

    def __init__(
        self,
        losses_of: LossesOf,
        total: Callable[[dict[str, Tensor]], Tensor],
        counts_of: CountsOf | None,
        gathered: Gathered | None,
        ranks: Ranks,
    ) -> None:
        """Take the functions of `Trainer.fit` and the processes."""
        self.losses_of, self.total, self.counts_of, self.gathered, self.ranks = (
            losses_of, total, counts_of, gathered, ranks,
        )  # fmt: skip
        self.parts = 1  # into which every batch is split; doubles whenever memory runs out

    def __call__(
        self,
        model: Losses,
        batches: Sequence[tuple[int, Any]],
        begin: Callable[[], None],
        autocast: Callable[[], Any],
        is_sharded: bool,
    ) -> dict[str, float]:
        """Add the gradient of (seed, batch) pairs to the parameters and return the losses over all processes.

        Args:
            begin: empties the gradients; called again whenever the step begins anew in smaller parts.
            autocast: gives the context of the forward pass.
            is_sharded: gradients are averaged over processes by the backward pass itself.
        """
        while True:
            begin()
            if self.gathered is not None:
                self.gathered.clear()
            sums: dict[str, Tensor] | None = None
            try:
                sums = self._accumulate(model, batches, autocast, float(self.ranks.count) if is_sharded else 1.0)
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not is_out_of_memory(error):
                    raise
                if is_sharded:
                    raise MemoryError(
                        "out of memory, and spread weights leave no way to begin the step anew; lower max_frames."
                    ) from None
            if not self.ranks.agree(sums is None)[0]:
                assert sums is not None
                names = sorted(sums)
                values = self.ranks.sum(torch.stack([sums[name] for name in names]))
                return dict(zip(names, values.tolist(), strict=True))
            begin()
            self._halve(batches)

    def _accumulate(
        self, model: Losses, batches: Sequence[tuple[int, Any]], autocast: Callable[[], Any], scale: float
    ) -> dict[str, Tensor]:
        whole = self._counts(batches)
        sums: dict[str, Tensor] = {}
        for seed, batch in batches:
            n = n_rows(batch) if self.parts > 1 else 0
            for rows in split_rows(n, self.parts) if self.parts > 1 else [None]:
                part = batch if rows is None else rows_of(batch, rows)
                torch.manual_seed(seed)  # dropout
                generator = torch.Generator().manual_seed(seed)
                noise = nullcontext() if rows is None else NoiseOfTheWhole(rows, n)
                with autocast(), noise:
                    losses = model(self.losses_of, part, generator)
                    if whole is not None:
                        losses = self._shares(losses, part, whole)
                    loss = self.total(losses)
                (loss * scale if scale != 1.0 else loss).backward()
                for name, value in (losses | {"loss": loss}).items():
                    kept = value.detach().float()
                    sums[name] = sums[name] + kept if name in sums else kept
        return sums

    def _counts(self, batches: Sequence[tuple[int, Any]]) -> dict[str, float] | None:
        """Return by how much the whole step averages each loss; None where one part is the whole."""
        if self.counts_of is None or (len(batches) == 1 and self.parts == 1 and self.ranks.count == 1):
            return None
        each = [self.counts_of(batch) for _, batch in batches]
        names = sorted(each[0])
        rows = torch.tensor([[float(counts[name]) for name in names] for counts in each], dtype=torch.float64)
        return dict(zip(names, self.ranks.sum(rows.sum(dim=0)).tolist(), strict=True))

    def _shares(self, losses: dict[str, Tensor], part: Any, whole: Mapping[str, float]) -> dict[str, Tensor]:
        assert self.counts_of is not None
        counts = self.counts_of(part)
        return {name: value * (max(1.0, float(counts[name])) / max(1.0, whole[name])) for name, value in losses.items()}

    def _halve(self, batches: Sequence[tuple[int, Any]]) -> None:
        if self.counts_of is None:
            raise MemoryError("out of memory, and the losses are of a batch as a whole; lower max_frames.")
        can_be_halved = self.parts < max(n_rows(batch) for _, batch in batches)
        if not self.ranks.agree(can_be_halved)[0]:  # on none of the processes
            raise MemoryError("out of memory with a single utterance; lower the longest utterance or the model's size.")
        self.parts *= 2
        free_cache()
        if self.ranks.is_first:
            print(f"out of memory; batches are computed in {self.parts} parts from here on", flush=True)
