"""Losses on held-out batches: a trainer and how its losses come about go in, their means over a few batches go out."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from emotts.training.trainer import Trainer

BatchT = TypeVar("BatchT")
BATCHES = 6


def validate(
    trainer: Trainer[BatchT],
    batch_of: Callable[[int], BatchT],
    losses_of: Callable[[Any, BatchT, torch.Generator], dict[str, Tensor]],
    *others: tuple[str, Callable[[Any, BatchT, torch.Generator], dict[str, Tensor]]],
) -> dict[str, float]:
    """Log and print the averaged model's losses on the first batches of `batch_of`, with noise fixed, and return them.

    Args:
        others: further losses, each with a word that is put before its names.
    """
    means: dict[str, float] = {}
    with trainer.averaged() as model, torch.inference_mode():
        for word, function in (("", losses_of), *others):
            for step in range(BATCHES):
                for name, value in function(model, batch_of(step), torch.Generator().manual_seed(step)).items():
                    means[word + name] = means.get(word + name, 0.0) + float(value) / BATCHES
    trainer.log(means, prefix="valid")
    print(trainer.step, {name: round(value, 4) for name, value in means.items()}, flush=True)
    return means
