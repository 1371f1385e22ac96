"""Add a voice or a language to a trained model, or learn a new emotion: python recipes/finetune.py corpus=runs/mine [mode=lora].

A corpus of some minutes and a checkpoint come in. Out comes <output>/export, a whole checkpoint with plain weights in which the
old voices speak as before, or with mode=emotion a direction file. The held-out rows say when to stop; the same command goes on
after a kill.
"""

import json
import sys
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import hydra
import torch
import yaml
from finetune_emotion import learn_emotion
from finetune_keep import keep_losses
from finetune_save import level_db, new_metadata
from finetune_vocoder import adapt_vocoder, old_mels
from omegaconf import DictConfig
from torch import Tensor
from train_acoustic import condition_of as told_of
from train_acoustic import target_of

from emotts.acoustic.adaptation import MODES, add_low_rank, merged_weights, move_rows
from emotts.acoustic.condition import Condition
from emotts.acoustic.model import AcousticModel
from emotts.acoustic.objective import Dropout, Residuals, acoustic_losses, total
from emotts.checkpoint import load_checkpoint, manifest_sha256, save_checkpoint
from emotts.checkpoint.config import build
from emotts.data.dataset import Batch, BatchPlan, Corpus, collate
from emotts.data.manifest import read_manifest
from emotts.speaker.known import Speaker
from emotts.text.symbols import N_MARKS
from emotts.training import Schedule, Trainer

NO_DROPOUT = Dropout(0.0, 0.0, 0.0, 0.0, 0.0)
VALID_BATCHES = 6
OLD_BATCHES = 8  # that old voices speak for the vocoder
FIRST_LANGUAGE = "en-us"  # of a model that was told none
PLAIN_STRESSES = 3  # rows of the stress table before the tones


@dataclass
class Lesson(Batch):
    """A batch with the language of each row [B]."""

    language: Tensor


def condition_of(batch: Lesson) -> Condition:
    """Read what the model is told from a batch, its languages included."""
    return told_of(batch, batch.language)


class Lessons:
    """One split of the corpus as batches, each a function of (seed, step)."""

    def __init__(self, corpus: Corpus, languages: tuple[str, ...], max_frames: int, seed: int) -> None:
        self.corpus = corpus
        self.plan = BatchPlan([row.n_frames for row in corpus.rows], max_frames, seed)
        self.languages = torch.tensor([language_of(row.language, languages) for row in corpus.rows])

    def __call__(self, step: int) -> Lesson:
        return self.of(self.plan.indices(step))

    def of(self, picks: list[int]) -> Lesson:
        """Return these rows as a batch."""
        batch = collate([self.corpus.utterance(i) for i in picks])
        return Lesson(**{f.name: getattr(batch, f.name) for f in fields(batch)}, language=self.languages[picks])


def language_of(tag: str, languages: tuple[str, ...]) -> int:
    """Return the place of a row's language among those of the model; a model without any takes all for one.

    Raises:
        ValueError: the model does not know it, and it was not asked to learn it.
    """
    known = languages or (FIRST_LANGUAGE,)
    found = [i for i, name in enumerate(known) if tag.lower() == name] or [
        i for i, name in enumerate(known) if tag.lower().split("-")[0] == name.split("-")[0]
    ]
    if not found:
        raise ValueError(f"the corpus speaks {tag}, the model {', '.join(known)}; add it by languages=[{tag.lower()}].")
    return found[0]


def with_languages(config: dict[str, Any], model: AcousticModel, added: list[str]) -> AcousticModel:
    """Return the model with further languages and with tones; what it says in those that it knows does not change."""
    old = model.text_encoder
    names = [*(old.languages or (FIRST_LANGUAGE,)), *(name.lower() for name in added)]
    config["text_encoder"] |= {"languages": names, "n_stresses": max(old.n_stresses, N_MARKS)}
    new = build(config, "acoustic")
    assert isinstance(new, AcousticModel)
    weights = model.state_dict()
    for name in ("text_encoder.language.weight", "text_encoder.stress.weight"):
        table = torch.zeros_like(new.state_dict()[name])
        if name in weights:
            table[: len(weights[name])] = weights[name]
        weights[name] = table
    new.load_state_dict(weights)
    return new


def with_voices(config: dict[str, Any], model: AcousticModel, corpus: Corpus, batch: Lesson) -> AcousticModel:
    """Return a copy of the model that has the corpus' voices too, each begun as the named voice that is nearest to it."""
    model = deepcopy(model)
    config["voices"] = list(corpus.voices)
    if added := [name for name in corpus.voices if name not in model.voices.names]:
        model.voices = model.voices.extended(added, nearest_voice(model, corpus, batch))
    rows = voices_of(corpus)
    model.voices.mean_log_f0[rows] = torch.tensor([corpus.mean_log_f0[corpus.voices[row]] for row in rows])
    return model


def voices_of(corpus: Corpus) -> list[int]:
    """Return the places of the voices that speak in the corpus."""
    return sorted({corpus.voices.index(row.voice) for row in corpus.rows})


@torch.inference_mode()
def nearest_voice(model: AcousticModel, corpus: Corpus, batch: Lesson) -> int:
    """Return the row whose embedding, at the new voices' registers, says a batch with the least loss."""
    registers = torch.tensor([corpus.mean_log_f0[corpus.voices[i]] for i in batch.voice.tolist()])
    losses = []
    for row in model.voices.embedding.weight:
        told = replace(condition_of(batch), speaker=Speaker(row.expand(len(registers), -1), registers))
        generator = torch.Generator().manual_seed(0)
        told = replace(told, voice=torch.zeros_like(told.voice))  # a row that exists; the speaker counts
        losses.append(total(acoustic_losses(model, told, target_of(batch), generator, NO_DROPOUT)))
    return int(torch.stack(losses).argmin())


def prepare(model: AcousticModel, corpus: Corpus, config: DictConfig) -> AcousticModel:
    """Choose what is trained."""
    model.requires_grad_(False)
    parts = [*config.parts, *(["text_encoder"] if config.languages else [])]
    unknown = sorted(set(parts) - {name for name, _ in model.named_children()})
    if unknown:
        raise ValueError(
            f"parts must be of {', '.join(name for name, _ in model.named_children())}; got {unknown[0]!r}."
        )
    for number, part in enumerate(dict.fromkeys(parts)):
        if config.mode == "lora":
            add_low_rank(getattr(model, part), config.rank, config.lora_scale, config.seed + number)
        elif config.mode == "full":
            getattr(model, part).requires_grad_(True)
    if config.languages:
        encoder = model.text_encoder
        move_rows(encoder.language, range(len(encoder.languages))[-len(config.languages) :], config.voice_scale)
        move_rows(encoder.stress, range(PLAIN_STRESSES, encoder.n_stresses), config.voice_scale)
    move_rows(model.voices.embedding, voices_of(corpus), config.voice_scale)
    return model


def is_half(module: torch.nn.Module) -> bool:
    """Return whether a module was stored as float16; stored so again, what did not change stays the same to the bit."""
    return all(torch.equal(v, v.half().to(v.dtype)) for v in module.state_dict().values() if v.is_floating_point())


def validate(trainer: Trainer[Lesson], lessons: Lessons) -> float:
    """Return and log the averaged model's loss on the held-out rows, with noise fixed."""
    sums: dict[str, float] = {}
    with trainer.averaged() as model, torch.inference_mode():
        for step in range(VALID_BATCHES):
            batch = lessons(step)
            generator = torch.Generator().manual_seed(step)
            told, target = condition_of(batch).to(trainer.device), target_of(batch).to(trainer.device)
            losses = acoustic_losses(model, told, target, generator, NO_DROPOUT)
            for name, value in (losses | {"loss": total(losses)}).items():
                sums[name] = sums.get(name, 0.0) + float(value) / VALID_BATCHES
    trainer.log(sums, prefix="valid")
    return sums["loss"]


def finetune(config: DictConfig) -> None:
    # 1. Model and data. The old model stays as it is, to be asked what it would have said.
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
    if config.languages:
        teacher = with_languages(configs["acoustic"], teacher, list(config.languages)).eval()
    rows = read_manifest(Path(config.corpus) / "manifest.jsonl")
    if missing := [split for split in ("train", "valid") if not any(row.split == split for row in rows)]:
        raise ValueError(
            f"{config.corpus} must have rows to learn from and some held out; none has the split {missing[0]}."
        )
    voices = sorted({row.voice for row in rows if row.split == "train"} - set(teacher.voices.names))
    corpora = [Corpus(config.corpus, split, [*teacher.voices.names, *voices]) for split in ("train", "valid")]
    corpora[1].mean_log_f0 = corpora[0].mean_log_f0
    spoken = teacher.text_encoder.languages
    train, valid = (Lessons(corpus, spoken, config.max_frames, config.seed) for corpus in corpora)
    model = with_voices(configs["acoustic"], teacher, corpora[0], train(0))
    old_voices = [i for i in range(len(teacher.voices.names)) if i not in voices_of(corpora[0])]

    plain = deepcopy(model).eval()

    # 2. Train, and stop where the held-out rows are said no better.
    trainer: Trainer[Lesson] = Trainer(
        prepare(model, corpora[0], config), output, Schedule(config.learning_rate, 0, config.warmup_steps, 0), config.seed,
        weight_decay=config.weight_decay, ema_decay=config.ema_decay, precision=config.precision,
        log_every=config.valid_every, save_minutes=60.0, device=config.device,
    )  # fmt: skip
    teacher = teacher.to(trainer.device).requires_grad_(False)
    dropout = hydra.utils.instantiate(config.dropout)

    def losses_of(model: AcousticModel, batch: Lesson, generator: torch.Generator) -> dict[str, Tensor]:
        condition, target = condition_of(batch).to(trainer.device), target_of(batch).to(trainer.device)
        trust = batch.avd_trust.to(trainer.device)
        losses = acoustic_losses(model, condition, target, generator, dropout, Residuals(), trust)  # the scales stay
        if config.keep > 0.0 and config.mode != "voice" and old_voices:
            losses["keep"] = keep_losses(model, teacher, condition, target, old_voices, generator)
        return losses

    def joined(losses: dict[str, Tensor]) -> Tensor:
        own = total({name: value for name, value in losses.items() if name != "keep"})
        return own + config.keep * losses["keep"] if "keep" in losses else own

    def save(vocoder: torch.nn.Module, facts: dict[str, Any]) -> None:
        args = (plain, vocoder, metadata, corpora[0], Path(config.corpus), lambda i: condition_of(train.of([i])))
        made = {"base": manifest_sha256(folder), "mode": config.mode, **facts}
        new = new_metadata(metadata, config, corpora, level_db(*args), made)
        pair = {"acoustic": (configs["acoustic"], plain), "vocoder": (configs["vocoder"], vocoder)}
        save_checkpoint(output / "export", pair, new, dtype=dtype)
        written = record.with_suffix(".tmp")
        written.write_text(json.dumps(facts) + "\n")
        written.replace(record)

    record = output / "best.json"
    best = json.loads(record.read_text()) if record.exists() else {"step": -1, "loss": float("inf")}
    most = config.patience * config.valid_every
    while trainer.step < config.max_steps and trainer.step - max(best["step"], 0) < most:
        until = min(trainer.step - trainer.step % config.valid_every + config.valid_every, config.max_steps)
        trainer.schedule = replace(trainer.schedule, max_steps=until)
        trainer.fit(train, losses_of, joined)
        loss = validate(trainer, valid)
        print(f"step {trainer.step}: held-out loss {loss:.4f}, best {min(loss, best['loss']):.4f}", flush=True)
        if loss < best["loss"]:
            best = {"step": trainer.step, "loss": loss, "minutes": round(trainer.seconds / 60.0, 2)}
            with trainer.averaged() as averaged:
                plain.load_state_dict(merged_weights(averaged))
            save(modules["vocoder"], best)

    if best["step"] < 0:
        raise ValueError(
            f"{output} holds a finished run whose result was never written, as its program was killed at its very end; "
            "raise max_steps, or remove the folder and run again."
        )

    # 3. The vocoder, from the recordings themselves.
    if config.mode != "voice" and config.vocoder_steps > 0 and "vocoder_steps" not in best:
        plain = load_checkpoint(output / "export")[0]["acoustic"]
        kept = (
            old_mels(teacher.cpu(), [condition_of(train(i)) for i in range(OLD_BATCHES)], old_voices)
            if old_voices
            else []
        )
        vocoder = adapt_vocoder(
            modules["vocoder"], Path(config.corpus), kept, config.vocoder_steps, config.vocoder_keep, config.seed, print
        )
        save(vocoder, best | {"vocoder_steps": config.vocoder_steps})
    names = ", ".join(corpora[0].voices[i] for i in voices_of(corpora[0]))
    print(f"{output / 'export'} speaks as {names}, after {best['step']} steps; give it to --checkpoint.")


@hydra.main(version_base="1.3", config_path="../conf", config_name="finetune")
def main(config: DictConfig) -> None:
    """Run the recipe; a mistake costs one line."""
    try:
        if config.mode not in (*MODES, "emotion"):
            raise ValueError(f"mode must be one of {', '.join((*MODES, 'emotion'))}; got {config.mode!r}.")
        if config.languages and config.mode not in ("lora", "full"):
            raise ValueError(f"languages need mode=lora or mode=full; got mode={config.mode}.")
        finetune(config)
    except (ValueError, OSError) as error:
        sys.exit(f"finetune: error: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
