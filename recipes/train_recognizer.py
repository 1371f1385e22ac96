"""Train the emotion recogniser, measure and export it: python recipes/train_recognizer.py corpus=runs/corpus.

Run the same command again to go on from the last state; evaluate_only=true measures what was exported. Every figure is printed
and written to <export>-figures.json and, in training, into the metadata of the checkpoint.
"""

import json
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import torch
from facts import facts_of, facts_of_trainer, licensed
from omegaconf import DictConfig, OmegaConf
from recognizer_data import Parts, parts_of
from recognizer_figures import Measurement, evaluate, known_by
from torch import Tensor

from emotts.data.batch_plan import BatchPlan
from emotts.data.clips import ClipBatch, Clips, Draw, distorted
from emotts.data.rows import codes_of
from emotts.emotion.augment import MelAugment
from emotts.emotion.labels import LABELS
from emotts.emotion.objective import LossWeights, recognition_losses
from emotts.emotion.recognizer import Recognition, Recognizer
from emotts.training import Trainer

MOST_OFTEN = 20  # times that a row of a small voice is heard for one of the largest


def losses_of(model: Any, batch: ClipBatch, class_weight: Tensor, weights: LossWeights) -> dict[str, Tensor]:
    """Return the losses of whole clips, and that of their windows as one term."""
    heard = model(batch.features, batch.lengths, batch.windows, reference_weight=batch.reference_weight)
    regions = getattr(model, "module", model).regions
    n = len(batch.target.labels)
    whole, windows = (
        recognition_losses(
            Recognition(**{name: value[:n, part] for name, value in vars(heard).items()}),
            type(batch.target)(**{name: value[:, part] for name, value in vars(batch.target).items()}),
            class_weight,
            regions,
        )
        for part in (slice(0, 1), slice(1, None))
    )
    return whole | ({"window": weights.total(windows)} if batch.windows.shape[1] > 1 else {})


def balanced(clips: Clips, power: float) -> list[int]:
    """Return row indices with repetitions: a voice with 1/n of the rows of the largest has each about n ** power times.

    None is there more than MOST_OFTEN times, or corpora of many hundred voices would be one clip of each, over and over.
    """
    codes, _ = codes_of(clips.rows, "voice")
    count = np.bincount(codes).tolist()
    times = [min(MOST_OFTEN, round((max(count) / n) ** power)) if n else 0 for n in count]
    return np.repeat(np.arange(len(codes)), np.array(times)[codes]).tolist()


def class_weights(clips: Clips, neutral_weight: float) -> Tensor:
    """Return weights [K] that give every class the same total, neutral times `neutral_weight`."""
    labels, known = clips.labels(range(len(clips.rows)))
    total = (labels * known[:, None]).sum(dim=0)
    weight = torch.where(total > 0, total.sum() / (len(LABELS) * total.clamp_min(1e-6)), 0.0)
    weight[LABELS.index("neutral")] *= neutral_weight
    return weight


def fit_regions(model: Recognizer, clips: Clips) -> None:
    """Set where labels lie in A, V, D from the clips that have both."""
    (labels, is_labelled), (points, is_rated) = (of(range(len(clips.rows))) for of in (clips.labels, clips.points))
    both = is_labelled & is_rated.all(dim=1)
    model.regions.fit(points[both], labels[both])


def write_figures(figures: dict[str, Any], config: DictConfig) -> None:
    """Print the figures and write them beside the export."""
    text = json.dumps(figures, indent=1)
    path = Path(config.export)
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / f"{path.name}-figures.json").write_text(text + "\n", encoding="utf-8")
    print(text, flush=True)


def export(trainer: Trainer[ClipBatch], parts: Parts, config: DictConfig) -> None:
    """Calibrate the averaged network, measure it, and write it as float16 with its figures."""
    from emotts.checkpoint import save_checkpoint

    with trainer.averaged() as model:
        measurement = Measurement(model, config.n_references, config.clear_intensity)
        measurement.calibrate(parts.calibration, known_by(measurement, parts)["calibration"])
        figures = evaluate(measurement, parts, config)
        facts = licensed(facts_of(config, *(part.rows for _, part in parts.items())))
        metadata = facts | facts_of_trainer("train_recognizer", trainer) | {
            "parts": {name: {"clips": len(part.rows), "voices": len(part.voices)} for name, part in parts.items()},
            "split": "of the manifest" if parts.is_by_split else "by voice and sentence",
            "backbone": facts["config"]["backbone"], "figures": figures,
        }  # fmt: skip
        modules = {"recognizer": (OmegaConf.to_container(config.recognizer, resolve=True), model)}
        save_checkpoint(config.export, modules, metadata, dtype=torch.float16)
    write_figures(figures, config)


def main(config: DictConfig) -> None:
    parts = parts_of(config)
    if config.evaluate_only:
        from emotts.checkpoint import load_checkpoint

        loaded = load_checkpoint(config.export)[0]["recognizer"]
        assert isinstance(loaded, Recognizer)
        write_figures(evaluate(Measurement(loaded, config.n_references, config.clear_intensity), parts, config), config)
        return
    torch.manual_seed(config.seed)
    model: Recognizer = hydra.utils.instantiate(config.recognizer, _convert_="all")
    clips = parts.train
    fit_regions(model, clips)
    weights: LossWeights = hydra.utils.instantiate(config.weights)
    augment: MelAugment = hydra.utils.instantiate(config.augment)
    draw: Draw = hydra.utils.instantiate(config.draw)
    print(json.dumps({name: len(part.rows) for name, part in parts.items()}), flush=True)

    trainer: Trainer[ClipBatch] = Trainer(
        model, config.output, hydra.utils.instantiate(config.schedule), config.seed, precision=config.precision,
        ema_decay=config.ema_decay, log_every=config.log_every, save_minutes=config.save_minutes, device=config.device,
    )  # fmt: skip
    picks = balanced(clips, config.balance)
    plan = BatchPlan(clips.lengths[picks], config.max_frames, config.seed)
    class_weight = class_weights(clips, config.neutral_weight)

    def batch_of(step: int) -> ClipBatch:
        return clips.batch([picks[i] for i in plan.indices(step)], np.random.default_rng((config.seed, step)), draw)

    def step_losses(model: Any, batch: ClipBatch, generator: torch.Generator) -> dict[str, Tensor]:
        if config.backbone is None:  # the features of an encoder cannot be distorted afterwards
            batch = distorted(batch, augment, generator)
        return losses_of(model, batch.to(trainer.device), class_weight.to(trainer.device), weights)

    def total(losses: dict[str, Tensor]) -> Tensor:
        whole = weights.total({name: value for name, value in losses.items() if name != "window"})
        return whole + config.window_weight * losses["window"] if "window" in losses else whole

    if trainer.fit(batch_of, step_losses, total, config.max_minutes) and trainer.is_first:
        export(trainer, parts, config)


if __name__ == "__main__":
    from start import run

    run("train_recognizer")
