"""Train the emotion recogniser, measure and export it: python recipes/train_recognizer.py corpus=runs/corpus.

Run the same command again to go on from the last state; evaluate_only=true measures what was exported. Every figure is printed
and written to <export>-figures.json and, in training, into the metadata of the checkpoint.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import torch
import torch.nn.functional as F
from facts import facts_of, facts_of_trainer, licensed
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from emotts.audio import LogMel, extract_f0, load_audio
from emotts.data.clips import ClipBatch, Clips, Draw, distorted, tracked_f0
from emotts.data.dataset import BatchPlan
from emotts.data.manifest import read_manifest
from emotts.emotion import augment as distort
from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.emotion.objective import LossWeights, expected_calibration_error, fit_temperature, recognition_losses
from emotts.emotion.recognizer import Recognition, Recognizer, Statistics
from emotts.metrics.statistics import concordance, unweighted_average_recall
from emotts.training import Trainer

Condition = Callable[[np.ndarray], np.ndarray]
CONDITIONS: dict[str, Condition] = {
    "noise_10db": lambda waveform: distort.add_noise(waveform, 10.0),
    "telephone": distort.telephone,
    "room": lambda waveform: distort.reverberate(waveform, 0.5),
    "level_minus_12db": lambda waveform: waveform * np.float32(10.0 ** (-12.0 / 20.0)),
}
BATCH = 16  # clips that are measured at once


def is_recognizer_text(text: str) -> bool:
    """Whether a sentence is the recogniser's to train on; the others are the features judge's."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 2 == 0


def parts_of(config: DictConfig) -> dict[str, Clips]:
    """Split the manifest.

    train is heard in training; calibration has other voices and sentences; test has the voices of calibration and sentences of
    neither; own_voices has the voices of train and the sentences of test.
    """
    from emotts.emotion.backbones import load_backbone

    rows = read_manifest(Path(config.corpus) / "manifest.jsonl")
    everybody = sorted({row.voice for row in rows if row.split == "train"})
    own, held_out = (
        {v for v in everybody for name in names if fnmatch(v, name)} for names in (config.voices, config.held_out)
    )
    chosen = {
        "train": [r for r in rows if r.voice in own and r.split == "train" and is_recognizer_text(r.text)],
        "calibration": [
            r for r in rows if r.voice in held_out and r.split == "train" and not is_recognizer_text(r.text)
        ],
        "test": [r for r in rows if r.voice in held_out and r.split != "train"],
        "own_voices": [r for r in rows if r.voice in own and r.split != "train"],
    }
    empty = [name for name, part in chosen.items() if not part]
    if empty:
        raise ValueError(
            f"{config.corpus} has no rows for {', '.join(empty)}; voices and held_out must name its voices."
        )
    encoder = None if config.backbone is None else load_backbone(config.backbone)
    f0 = tracked_f0(
        config.corpus, [row for part in chosen.values() for row in part], Path(config.output) / "f0.safetensors"
    )
    return {
        name: Clips(config.corpus, part, f0, encoder, config.is_simulated, config.in_memory_gb)
        for name, part in chosen.items()
    }


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
    """Return row indices with repetitions: a voice with 1/n of the rows of the largest has each about n ** power times."""
    count = {voice: sum(row.voice == voice for row in clips.rows) for voice in clips.voices}
    times = {voice: round((max(count.values()) / n) ** power) for voice, n in count.items()}
    return [i for i, row in enumerate(clips.rows) for _ in range(times[row.voice])]


def class_weights(clips: Clips, neutral_weight: float) -> Tensor:
    """Return weights [K] that give every class the same total, neutral times `neutral_weight`."""
    labels, known = clips.labels(range(len(clips.rows)))
    total = (labels * known[:, None]).sum(dim=0)
    weight = torch.where(total > 0, total.sum() / (len(LABELS) * total.clamp_min(1e-6)), 0.0)
    weight[LABELS.index("neutral")] *= neutral_weight
    return weight


class Measurement:
    """The answers of a network for whole clips, as they are or with their waveforms distorted first."""

    def __init__(self, model: Recognizer, n_references: int, clear_intensity: float) -> None:
        self.model, self.n_references, self.clear_intensity = model, n_references, clear_intensity
        self.log_mel = LogMel()
        self.device = model.temperature.device

    def features(self, clips: Clips, indices: Sequence[int], condition: Condition | None) -> tuple[Tensor, Tensor]:
        """Return features [B, T, F] and lengths [B], where the network is."""
        if condition is None:
            features, lengths = clips.padded(indices)
            return features.to(self.device), lengths.to(self.device)
        parts = []
        for i in indices:
            waveform = condition(load_audio(clips.folder / clips.rows[i].audio))
            mel = self.log_mel(torch.from_numpy(waveform)[None])[0]
            f0 = torch.from_numpy(extract_f0(waveform)).float()[: len(mel), None]
            parts.append(torch.cat([mel[: len(f0)], f0], dim=1))
        lengths = torch.tensor([len(part) for part in parts])
        return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True).to(self.device), lengths.to(self.device)

    @torch.inference_mode()
    def voices(self, clips: Clips, condition: Condition | None) -> dict[str, Statistics]:
        """Return the mean statistics of the first neutral clips of every voice that has some."""
        known = {}
        for voice, neutral in clips.neutral.items():
            if not neutral:
                continue
            found = self.model.describe(*self.features(clips, neutral[: self.n_references], condition))
            known[voice] = Statistics(*(x.mean(dim=0, keepdim=True) for x in vars(found).values()))
        return known

    @torch.inference_mode()
    def answers(
        self, clips: Clips, references: Clips | None = None, condition: Condition | None = None
    ) -> dict[str, Tensor]:
        """Return logits [N, K], avd and log_variance [N, 3] on the CPU; `references` are clips that the voices are known from."""
        voices = self.voices(references, condition) if references is not None else {}
        rows: dict[int, list[Tensor]] = {}
        order = sorted(range(len(clips.rows)), key=lambda i: (clips.rows[i].voice, clips.rows[i].n_frames))
        for voice in clips.voices:
            own = [i for i in order if clips.rows[i].voice == voice]
            for indices in (own[k : k + BATCH] for k in range(0, len(own), BATCH)):
                weight = torch.ones(len(indices), 1, device=self.device) if voice in voices else None
                features, lengths = self.features(clips, indices, condition)
                heard = self.model(features, lengths, None, voices.get(voice), weight)
                for k, i in enumerate(indices):
                    rows[i] = [x[k, 0].float().cpu() for x in (heard.logits, heard.avd, heard.log_variance)]
        columns = zip(*(rows[i] for i in range(len(clips.rows))), strict=True)
        return dict(zip(("logits", "avd", "log_variance"), map(torch.stack, columns), strict=True))

    def figures(self, clips: Clips, answers: dict[str, Tensor], is_voice_known: bool) -> dict[str, Any]:
        """Return every figure of one condition. Categories count at clear intensities, each class alike; see `clear`."""
        everything = range(len(clips.rows))
        soft, _ = clips.labels(everything)
        known = torch.tensor([row.label is not None for row in clips.rows])
        true, _ = clips.points(everything)
        clear, asked = self.clear(clips), self.asked(clips)
        probability = self.model.probabilities(answers["logits"].to(self.device), is_voice_known).cpu()
        top = probability.topk(2, dim=-1).indices
        heard, sd = answers["avd"].clamp(-1.0, 1.0), torch.exp(0.5 * answers["log_variance"])
        one_hot = F.one_hot(asked, len(LABELS)).float()
        among_two = (top == asked[:, None]).any(dim=-1).float()
        classes = asked[clear].unique().tolist()
        figures = {
            "n_clips": len(clips.rows),
            "n_clear": int(clear.sum()),
            "uar": unweighted_average_recall(asked[clear].numpy(), top[clear, 0].numpy()),
            "top2": float(np.mean([float(among_two[clear & (asked == k)].mean()) for k in classes])),
            "uar_all_intensities": unweighted_average_recall(asked[known].numpy(), top[known, 0].numpy()),
            "ece": expected_calibration_error(probability[clear], one_hot[clear]),
            "ece_soft_all_intensities": expected_calibration_error(probability[known], soft[known]),
        }
        for d, name in enumerate(DIMENSIONS):
            figures[f"ccc_{name}"] = concordance(true[:, d].numpy(), heard[:, d].numpy())
            figures[f"within_1sd_{name}"] = float(((true - heard).abs() < sd)[:, d].float().mean())
        figures = {name: round(value, 4) for name, value in figures.items()}
        recall = {LABELS[k]: round(float((top[clear & (asked == k), 0] == k).float().mean()), 3) for k in classes}
        return figures | {"recall": recall}

    def asked(self, clips: Clips) -> Tensor:
        """Return the index of each row's label [N], neutral where there is none."""
        return torch.tensor([LABELS.index(row.label or "neutral") for row in clips.rows])

    def clear(self, clips: Clips) -> Tensor:
        """Mark rows that one label describes [N]: see `ManifestRow.is_clear`."""
        return torch.tensor([row.is_clear(self.clear_intensity) for row in clips.rows])

    def calibrate(self, clips: Clips) -> None:
        """Set both temperatures, for a voice that is not known and for one that is, from the clear rows of `clips`."""
        clear = self.clear(clips)
        target = F.one_hot(self.asked(clips), len(LABELS)).float()[clear]
        for k, references in enumerate((None, clips)):
            logits = self.answers(clips, references)["logits"][clear]
            self.model.temperature[k] = fit_temperature(logits, target)


def evaluate(measurement: Measurement, parts: dict[str, Clips], config: DictConfig) -> dict[str, Any]:
    """Return the figures of every part, voice known and not, per voice, and of the test part under every distortion."""
    calibration, test = parts["calibration"], parts["test"]
    report: dict[str, Any] = {
        "parameters": sum(p.numel() for p in measurement.model.parameters()),
        "temperature": [round(float(t), 4) for t in measurement.model.temperature],
    }

    def add(name: str, clips: Clips, references: Clips, condition: Condition | None = None) -> None:
        for suffix, given in (("", None), ("_known", references)):
            answers = measurement.answers(clips, given, condition)
            report[name + suffix] = measurement.figures(clips, answers, given is not None)

    add("test", test, calibration)
    add("calibration", calibration, calibration)
    add("own_voices", parts["own_voices"], parts["train"])
    for voice in test.voices:
        add(f"test_{voice}", test.only(voice), calibration)
    for name, condition in CONDITIONS.items() if config.backbone is None else []:
        add(name, test, calibration, condition)
    return report


def write_figures(figures: dict[str, Any], config: DictConfig) -> None:
    """Print the figures and write them beside the export."""
    text = json.dumps(figures, indent=1)
    path = Path(config.export)
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / f"{path.name}-figures.json").write_text(text + "\n", encoding="utf-8")
    print(text, flush=True)


def export(trainer: Trainer[ClipBatch], parts: dict[str, Clips], config: DictConfig) -> None:
    """Calibrate the averaged network, measure it, and write it as float16 with its figures."""
    from emotts.checkpoint import save_checkpoint

    with trainer.averaged() as model:
        measurement = Measurement(model, config.n_references, config.clear_intensity)
        measurement.calibrate(parts["calibration"])
        figures = evaluate(measurement, parts, config)
        facts = licensed(facts_of(config, [row for part in parts.values() for row in part.rows]))
        metadata = facts | facts_of_trainer("train_recognizer", trainer) | {
            "voices": list(config.voices), "held_out": list(config.held_out), "backbone": facts["config"]["backbone"],
            "figures": figures,
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
    clips = parts["train"]
    labels, known = clips.labels(range(len(clips.rows)))
    model.regions.fit(clips.points(range(len(clips.rows)))[0][known], labels[known])
    weights: LossWeights = hydra.utils.instantiate(config.weights)
    augment: distort.MelAugment = hydra.utils.instantiate(config.augment)
    draw: Draw = hydra.utils.instantiate(config.draw)
    print(json.dumps({name: len(part.rows) for name, part in parts.items()}), flush=True)

    trainer: Trainer[ClipBatch] = Trainer(
        model, config.output, hydra.utils.instantiate(config.schedule), config.seed, precision=config.precision,
        ema_decay=config.ema_decay, log_every=config.log_every, save_minutes=config.save_minutes, device=config.device,
    )  # fmt: skip
    picks = balanced(clips, config.balance)
    plan = BatchPlan([clips.lengths[i] for i in picks], config.max_frames, config.seed)
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
