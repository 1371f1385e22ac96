"""Distil the flows of a trained model into a student of few steps: python recipes/distill_sampler.py corpus=runs/corpus.

The student begins as its teacher and learns to jump along the teacher's path, guidance folded in. Run the same command again to go
on from the last state. The averaged weights are exported to <output>/export; recipes/bundle.py student_folder=<output>/export puts
them beside their teacher.
"""

import json
from pathlib import Path
from typing import Any

import hydra
import torch
import yaml
from facts import facts_of_run, facts_of_trainer, flows_of
from omegaconf import DictConfig, OmegaConf
from train_acoustic import Lesson, Lessons, condition_of, load, target_of

from emotts.acoustic.distillation import jump_counts, student_losses
from emotts.acoustic.model import AcousticModel
from emotts.acoustic.objective import draw_dropout
from emotts.acoustic.student import FlowStudent, adopt
from emotts.checkpoint import load_checkpoint, manifest_sha256, save_checkpoint
from emotts.training import Trainer
from emotts.training.validation import validate


def read_teacher(folder: Path) -> AcousticModel:
    """Load the acoustic model of a checkpoint, which learns nothing more.

    Raises:
        ValueError: the checkpoint has none.
    """
    teacher = load_checkpoint(folder)[0].get("acoustic")
    if not isinstance(teacher, AcousticModel):
        raise ValueError(f"teacher must be a checkpoint with an acoustic model; {folder} has none.")
    return teacher.requires_grad_(False)


def build(config: DictConfig, teacher_folder: Path) -> FlowStudent:
    """Instantiate the student with the teacher's sizes, where its configuration leaves them open."""
    built = yaml.safe_load((teacher_folder / "config.yaml").read_text(encoding="utf-8"))["acoustic"]
    mel, prosody = built["estimator"], built["prosody"]
    sizes: dict[str, dict[str, Any]] = {
        "mel": {key: mel[key] for key in ("n_mels", "trunk", "condition", "channels", "layout") if key in mel},
        "prosody": {"condition": prosody["speaker"] + prosody["emotion"], "channels": prosody.get("channels", 192)},
    }
    if "flow" in prosody:
        sizes["prosody"]["layout"] = prosody["flow"]
    for part, found in sizes.items():
        for key, value in found.items():
            if config.student[part].get(key) is None:
                OmegaConf.update(config, f"student.{part}.{key}", value, force_add=True)
    torch.manual_seed(config.seed)
    student: FlowStudent = hydra.utils.instantiate(config.student, _convert_="all")
    return student


def begin_as(student: FlowStudent, teacher: AcousticModel) -> None:
    """Copy what fits of the teacher's flows; the rest begins at random."""
    adopt(student.mel, teacher.estimator)
    adopt(student.prosody, teacher.prosody)


def export(trainer: Trainer[Lesson], config: DictConfig, flows: str) -> None:
    """Write the averaged weights and the configuration that rebuilds them to <output>/export; `flows` names the teacher's."""
    with trainer.averaged() as student:
        metadata = facts_of_run(config, config.corpus, config.teacher) | facts_of_trainer("distill_sampler", trainer)
        metadata |= {"teacher": manifest_sha256(Path(config.teacher)), "flows": flows}
        modules = {"student": (OmegaConf.to_container(config.student, resolve=True), student)}
        save_checkpoint(Path(config.output) / "export", modules, metadata)


def main(config: DictConfig) -> float:
    # 1. Teacher, data and student.
    folder = Path(config.teacher)
    teacher = read_teacher(folder)
    OmegaConf.update(config, "voices", teacher.voices.names)
    corpus, valid = load(config)
    corpus.n_marks = valid.n_marks = teacher.text_encoder.n_stresses
    flows = flows_of(teacher)
    languages = list(teacher.text_encoder.languages) or ["en-us"]
    student = build(config, folder)
    begin_as(student, teacher)

    # 2. Training.
    trainer: Trainer[Lesson] = Trainer(
        student, config.output, hydra.utils.instantiate(config.schedule), config.seed, precision=config.precision,
        log_every=config.log_every, save_minutes=config.save_minutes, device=config.device, ema_decay=config.ema_decay,
        pieces=config.pieces, shard=config.shard,
    )  # fmt: skip
    teacher.to(trainer.device)
    if trainer.is_first:
        told = {"utterances": len(corpus), "voices": teacher.voices.names}
        told |= {name: sum(p.numel() for p in child.parameters()) for name, child in student.named_children()}
        print(json.dumps(told), flush=True)
    lessons, held_out = Lessons(corpus, languages, config, 0.0), Lessons(valid, languages, config, 0.0)
    dropout, asked = hydra.utils.instantiate(config.dropout), hydra.utils.instantiate(config.lessons)

    def losses_of(model: Any, lesson: Lesson, generator: torch.Generator) -> dict[str, torch.Tensor]:
        condition = condition_of(lesson.batch, lesson.language).to(trainer.device)
        target = target_of(lesson.batch).to(trainer.device)
        condition, _ = draw_dropout(condition, dropout, generator)
        return student_losses(model, teacher, condition, target, generator, asked)

    def counts_of(lesson: Lesson) -> dict[str, torch.Tensor]:
        return jump_counts(condition_of(lesson.batch), target_of(lesson.batch), asked)

    held_out_loss = float("nan")

    def on_save(trainer: Trainer[Lesson]) -> None:
        nonlocal held_out_loss
        held_out_loss = sum(validate(trainer, held_out, losses_of).values())
        export(trainer, config, flows)

    trainer.fit(lessons, losses_of, total, config.max_minutes, on_save, counts_of)
    return held_out_loss


def total(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the sum; both are in units of the residuals' scales."""
    return torch.stack(list(losses.values())).sum()


if __name__ == "__main__":
    from start import run

    run("distill_sampler")
