"""Add a voice or a language to a trained model, or learn a new emotion: python recipes/finetune.py corpus=runs/mine [mode=lora].

A corpus of some minutes and a checkpoint come in. Out comes <output>/export, a whole checkpoint with plain weights in which the
old voices speak as before, or with mode=emotion a direction file. The held-out rows say when to stop; the same command goes on
after a kill. `accelerate launch` before recipes/ takes several processes, each with a batch of every step.
"""

import json
import os
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
import torch
import yaml
from finetune_data import FIRST_LANGUAGE, Lesson, Lessons, condition_of, language_of, read_corpus
from finetune_emotion import learn_emotion
from finetune_keep import PREFIX, Rehearsal, keep_counts, keep_losses, keep_total
from finetune_model import NO_DROPOUT, is_half, prepare, voices_of, with_languages, with_voices
from finetune_rehearse import sentences_of
from finetune_save import level_db, new_metadata
from finetune_vocoder import adapt_vocoder, old_mels
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from train_acoustic import target_of

from emotts.acoustic.adaptation import MODES, merged_weights
from emotts.acoustic.model import AcousticModel
from emotts.acoustic.objective import Residuals, acoustic_losses, loss_counts, total
from emotts.checkpoint import load_checkpoint, manifest_sha256, save_checkpoint
from emotts.data.manifest import write_atomically
from emotts.data.readers import check_readers, readers_of
from emotts.text.symbols import encode
from emotts.training import Schedule, Trainer

VALID_BATCHES = 6
OLD_QUESTIONS, MOST_ROWS = 16, 8  # that old voices speak for the vocoder


def check(config: DictConfig) -> None:
    """Refuse options that do not go together.

    Raises:
        ValueError: some do not.
    """
    if OmegaConf.is_missing(config, "corpus"):
        raise ValueError("corpus= must name the folder of a prepared corpus; none was given.")
    if config.mode not in (*MODES, "emotion"):
        raise ValueError(f"mode must be one of {', '.join((*MODES, 'emotion'))}; got {config.mode!r}.")
    if config.languages and config.mode not in ("lora", "full"):
        raise ValueError(f"languages need mode=lora or mode=full; got mode={config.mode}.")
    if config.mode != "emotion":
        return
    if config.voice is not None:
        raise ValueError(
            "voice= names a new voice; mode=emotion learns from voices that the model has, by their names."
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError("mode=emotion learns 14 numbers, each step from the one before: start it as one process.")


def check_languages(added: Sequence[str], known: Sequence[str]) -> None:
    """Refuse languages that would be in the model twice.

    Raises:
        ValueError: the model speaks one already, or it is named twice.
    """
    names = [name.lower() for name in added]
    spoken = [name for name in names if name in {language.lower() for language in known}]
    if spoken:
        raise ValueError(
            f"languages names what the corpus adds; the model speaks {', '.join(spoken)} already. Leave it out: "
            f"languages=[{','.join(name for name in names if name not in spoken)}]."
        )
    if len(set(names)) < len(names):
        raise ValueError(f"languages must name each language once; got {', '.join(names)}.")


def validate(trainer: Trainer[Lesson], lessons: Lessons) -> float:
    """Return and log the averaged model's loss on the held-out rows, with noise fixed; that of the first process counts."""
    sums: dict[str, float] = {}
    with trainer.averaged() as model, torch.inference_mode():
        for step in range(VALID_BATCHES):
            lesson = lessons(step)
            generator = torch.Generator().manual_seed(step)
            told, target = condition_of(lesson).to(trainer.device), target_of(lesson.batch).to(trainer.device)
            losses = acoustic_losses(model, told, target, generator, NO_DROPOUT)
            for name, value in (losses | {"loss": total(losses)}).items():
                sums[name] = sums.get(name, 0.0) + float(value) / VALID_BATCHES
    trainer.log(sums, prefix="valid")
    return float(trainer.ranks.sum(torch.tensor(sums["loss"] if trainer.is_first else 0.0, dtype=torch.float64)))


def counts_of(lesson: Lesson) -> dict[str, Tensor]:
    """Return what each loss is a mean over."""
    counts = loss_counts(condition_of(lesson), target_of(lesson.batch))
    return counts | {name: n for question in lesson.asked for name, n in keep_counts(question).items()}


def main(config: DictConfig) -> None:
    # 1. Model and data. The old model stays as it is, to be asked what it would have said.
    check(config)
    folder, output = Path(config.checkpoint), Path(config.output)
    modules, metadata = load_checkpoint(folder)
    teacher = modules.get("acoustic")
    if not isinstance(teacher, AcousticModel) or "vocoder" not in modules:
        raise ValueError(f"{folder} must be a whole model with acoustic and vocoder; it holds {', '.join(modules)}.")
    dtype = torch.float16 if all(map(is_half, modules.values())) else torch.float32
    configs = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    if config.mode == "emotion":
        learn_emotion(config, teacher, metadata)
        return
    known = teacher.text_encoder.languages or (FIRST_LANGUAGE,)
    check_languages(config.languages, known)
    corpora = read_corpus(config, teacher.voices.names)
    languages = (*known, *(name.lower() for name in config.languages))
    rows = [row for corpus in corpora for row in corpus.rows]
    names = {row.language.lower(): languages[language_of(row.language, languages)] for row in rows}
    readers = {names[language]: reader for language, reader in readers_of(rows).items()}
    n_marks = 1 + max(max(encode(row.phonemes)[1]) for row in rows)
    if config.languages or n_marks > teacher.text_encoder.n_stresses:
        teacher = with_languages(configs["acoustic"], teacher, list(config.languages), readers).eval()
    check_readers(rows, names, teacher.text_encoder.read_by)
    for corpus in corpora:
        corpus.n_marks = teacher.text_encoder.n_stresses
    train, valid = (Lessons(corpus, languages, config.max_frames, config.seed) for corpus in corpora)
    model = with_voices(configs["acoustic"], teacher, corpora[0], train(0))
    old_voices = [i for i in range(len(teacher.voices.names)) if i not in voices_of(corpora[0])]
    is_vocoder_trained = config.mode != "voice" and config.vocoder_steps > 0
    rehearsal = None
    is_held = config.keep > 0.0 or (is_vocoder_trained and config.vocoder_keep > 0.0)
    if old_voices and is_held and config.mode != "voice":
        temperature = float(metadata.get("default_prosody_temperature", 1.0))
        sentences = sentences_of(corpora[0], languages, known, config.rehearse, teacher, old_voices, temperature)
        registers = model.voices.mean_log_f0.clone()
        rehearsal = Rehearsal(sentences, registers, old_voices, config.max_frames // 2, config.seed)
    train.rehearsal = rehearsal if config.keep > 0.0 else None
    plain = deepcopy(model).eval()

    # 2. Train, and stop where the held-out rows are said no better.
    trainer: Trainer[Lesson] = Trainer(
        prepare(model, corpora[0], config), output, Schedule(config.learning_rate, 0, config.warmup_steps, 0), config.seed,
        weight_decay=config.weight_decay, ema_decay=config.ema_decay, precision=config.precision,
        log_every=config.valid_every, device=config.device, pieces=config.pieces,
    )  # fmt: skip
    if trainer.is_sharded:
        raise ValueError(
            "fine-tuning keeps all weights in every process, for it folds steps of rows into them; leave FSDP out."
        )
    teacher = teacher.to(trainer.device).requires_grad_(False)
    dropout = hydra.utils.instantiate(config.dropout)

    def losses_of(model: AcousticModel, lesson: Lesson, generator: torch.Generator) -> dict[str, Tensor]:
        condition, target = condition_of(lesson).to(trainer.device), target_of(lesson.batch).to(trainer.device)
        trust = lesson.batch.avd_trust.to(trainer.device)
        losses = acoustic_losses(model, condition, target, generator, dropout, Residuals(), trust)  # the scales stay
        for question in lesson.asked:
            losses |= keep_losses(model, teacher, question.to(trainer.device))
        return losses

    def joined(losses: dict[str, Tensor]) -> Tensor:
        kept = {name: value for name, value in losses.items() if name.startswith(PREFIX)}
        own = total({name: value for name, value in losses.items() if name not in kept})
        return own + config.keep * keep_total(kept) if kept else own

    def save(vocoder: torch.nn.Module, facts: dict[str, Any]) -> None:
        args = (plain, vocoder, metadata, corpora[0], Path(config.corpus), lambda i: condition_of(train.of([i])))
        new = new_metadata(metadata, config, corpora, level_db(*args), facts, manifest_sha256(folder))
        parts = {"acoustic": (configs["acoustic"], plain), "vocoder": (configs["vocoder"], vocoder)}
        if config.mode == "voice" and "student" in modules:  # of flows that stay what they are
            parts["student"] = (configs["student"], modules["student"])
        save_checkpoint(output / "export", parts, new, dtype=dtype)
        write_atomically(record, json.dumps(facts) + "\n")

    # What was heard last stands beside the best: a program killed between its state and its export hears the state again.
    record = output / "best.json"
    best: dict[str, Any] = {"step": -1, "loss": float("inf"), "heard": 0}
    best |= json.loads(record.read_text()) if record.exists() else {}
    most = config.patience * config.valid_every
    while True:
        is_last = trainer.step >= config.max_steps
        if trainer.step > best["heard"] and (is_last or trainer.step % config.valid_every == 0):
            loss = validate(trainer, valid)
            is_better = loss < best["loss"]
            if is_better:  # its vocoder is still to come
                best = {"step": trainer.step, "loss": loss, "minutes": round(trainer.seconds / 60.0, 2)}
            best["heard"] = trainer.step
            if trainer.is_first:
                print(f"step {trainer.step}: held-out loss {loss:.4f}, best {best['loss']:.4f}", flush=True)
                if is_better:
                    with trainer.averaged() as averaged:
                        plain.load_state_dict(merged_weights(averaged))
                    save(modules["vocoder"], best)
                else:
                    write_atomically(record, json.dumps(best) + "\n")
            trainer.ranks.wait()
        if is_last or trainer.step - max(best["step"], 0) >= most:
            break
        until = min(trainer.step - trainer.step % config.valid_every + config.valid_every, config.max_steps)
        trainer.schedule = replace(trainer.schedule, max_steps=until)
        trainer.fit(train, losses_of, joined, counts_of=counts_of)
    if best["step"] < 0:
        raise ValueError(f"the held-out loss was no number at any of {trainer.step} steps; lower learning_rate.")
    if not trainer.is_first:
        return

    # 3. The vocoder, from the recordings themselves.
    if is_vocoder_trained and "vocoder_steps" not in best:
        plain = load_checkpoint(output / "export")[0]["acoustic"]
        questions = [rehearsal.question(i, MOST_ROWS) for i in range(OLD_QUESTIONS)] if rehearsal else []
        kept = old_mels(teacher.cpu(), [question.condition for question in questions])
        vocoder = adapt_vocoder(
            modules["vocoder"], Path(config.corpus), kept, config.vocoder_steps, config.vocoder_keep, config.seed, print
        )
        save(vocoder, best | {"vocoder_steps": config.vocoder_steps})
    names = ", ".join(corpora[0].voices[i] for i in voices_of(corpora[0]))
    print(f"{output / 'export'} speaks as {names}, after {best['step']} steps; give it to --checkpoint.")
    if config.mode != "voice" and "student" in modules:
        print("The student of the old flows was left behind; recipes/distill_sampler.py teaches one of these.")


if __name__ == "__main__":
    from start import run

    run("finetune")
