"""How both encoders of the converter are trained: utterances come in, a model that learnt them through other channels goes out."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import hydra
import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from emotts.data.batch_plan import BatchPlan
from emotts.emotion.augment import MelAugment
from emotts.training import Trainer
from emotts.training.parts import on_device
from emotts.training.validation import validate

BatchT = TypeVar("BatchT")
Losses = Callable[[Any, Any], dict[str, Tensor]]


class Source(Protocol[BatchT]):
    """Utterances: how many frames each has, and batches of some of them."""

    lengths: np.ndarray

    def batch(self, indices: Any, generator: np.random.Generator) -> BatchT: ...


def frames_hours(source: Source[Any]) -> float:
    """Return how long all utterances are, in hours of 93.75 frames a second."""
    return round(int(source.lengths.sum(dtype=np.int64)) / 93.75 / 3600, 2)


def trainer_of(model: torch.nn.Module, config: DictConfig) -> Trainer[Any]:
    """Return the trainer that a configuration asks for."""
    return Trainer(
        model, config.output, hydra.utils.instantiate(config.schedule), config.seed, precision=config.precision,
        log_every=config.log_every, save_minutes=config.save_minutes, device=config.device, pieces=config.pieces,
        shard=config.shard,
    )  # fmt: skip


def fit(
    trainer: Trainer[BatchT],
    config: DictConfig,
    sources: tuple[Source[BatchT], Source[BatchT]],
    losses_of: Losses,
    distorted: Callable[[BatchT, MelAugment, torch.Generator], BatchT],
    counts_of: Callable[[BatchT], dict[str, Tensor]],
    export: Callable[[Trainer[BatchT], DictConfig], None],
    also_distorted: Sequence[str] = (),
) -> None:
    """Train on distorted batches, hear the held-out ones as they are, and export at every save.

    Args:
        sources: learnt from and held out. losses_of: takes model and batch, which lies where the model does.
        also_distorted: names before the losses of the held-out utterances when distorted, such as ("changed_",); () leaves it out.
    """
    learnt, held_out = sources
    plan, valid_plan = (BatchPlan(source.lengths, config.max_frames, config.seed) for source in sources)
    augment = hydra.utils.instantiate(config.augment)

    def losses(model: Any, batch: BatchT, generator: torch.Generator) -> dict[str, Tensor]:
        return losses_of(model, on_device(batch, trainer.device))

    def changed(model: Any, batch: BatchT, generator: torch.Generator) -> dict[str, Tensor]:
        return losses(model, distorted(batch, augment, generator), generator)

    def batch_of(number: int) -> BatchT:
        # distorted as a whole: what is drawn depends on the longest utterance, which not every part of a batch has
        batch = learnt.batch(plan.indices(number), np.random.default_rng((config.seed, number)))
        return distorted(batch, augment, torch.Generator().manual_seed(trainer.seed_of(number)))

    def on_save(trainer: Trainer[BatchT]) -> None:
        validate(
            trainer,
            lambda step: held_out.batch(valid_plan.indices(step), np.random.default_rng(step)),
            losses,
            *((name, changed) for name in also_distorted),
        )
        export(trainer, config)

    weights = config.weights
    trainer.fit(
        batch_of,
        losses,
        lambda losses: torch.stack([weights[name] * losses[name] for name in weights]).sum(),
        config.max_minutes,
        on_save,
        counts_of,
    )
