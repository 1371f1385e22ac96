"""Train the acoustic model: python recipes/train_acoustic.py corpus=runs/corpus max_minutes=60, or corpus='[runs/a,runs/b]'.

Run the same command again to go on from the last state; `accelerate launch` before recipes/ takes several GPUs. The averaged
weights are exported to <output>/export as checkpoint parts; spoken samples go to TensorBoard and <output>/samples. With
judge=<folder of a recogniser> the judge hears a small grid every judge_every steps, its scores are logged, and the best model so
far stays in <output>/best.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import hydra
import numpy as np
import torch
from facts import facts_of_run, facts_of_trainer, voices_of_run
from held_out import read_train_and_valid
from omegaconf import DictConfig, OmegaConf

from emotts.acceleration.load import SAMPLING
from emotts.acoustic.condition import Condition
from emotts.acoustic.model import AcousticModel
from emotts.acoustic.objective import Residuals, Target, acoustic_losses, loss_counts, total
from emotts.audio import SPEC, save_audio
from emotts.data.balance import balanced_weights
from emotts.data.batch_plan import BatchPlan
from emotts.data.dataset import Batch, Corpus, collate
from emotts.data.readers import readers_of
from emotts.emotion.space import EmotionInput
from emotts.pipeline import EmoTTS
from emotts.text.symbols import N_MARKS, PHONEMES, is_pause
from emotts.training import Trainer
from emotts.training.pictures import f0_picture, mel_picture
from emotts.training.validation import validate
from emotts.vocoder.baseline import BaselineVocoder

SAMPLES = (
    ("neutral", "The train leaves at seven."),
    ("happy", "I can't believe you came."),
    ("sad", "Nobody was at home."),
)
SAMPLE_LANGUAGE = "en-us"


@dataclass
class Lesson:
    """A batch and the place of each row's language among those of the model [B]."""

    batch: Batch
    language: torch.Tensor


def condition_of(batch: Batch, language: torch.Tensor | None = None) -> Condition:
    """Read what the model is told from a batch."""
    emotion = EmotionInput(batch.labels, batch.label_known, batch.avd, batch.avd_known)
    return Condition(batch.phonemes, batch.stresses, batch.token_lengths, batch.voice, emotion, language=language)


def target_of(batch: Batch) -> Target:
    """Read what the model should say from a batch."""
    return Target(batch.durations, batch.features, batch.feature_weight, batch.f0, batch.contour, batch.mel)


class Lessons:
    """A split as batches, each a function of its number."""

    def __init__(self, corpus: Corpus, languages: list[str], config: DictConfig, balance: float) -> None:
        self.corpus = corpus
        rows = corpus.rows
        shares = balanced_weights(rows, rows.codes("corpus")[0], balance) if balance > 0 else None
        self.plan = BatchPlan(corpus.lengths, config.max_frames, config.seed, shares)
        codes, names = rows.codes("language")
        place = {name.lower(): languages.index(name.lower()) for name in rows.names("language")}
        self.language = torch.tensor([place.get(name.lower(), -1) for name in names])[torch.from_numpy(codes)]

    def __call__(self, number: int) -> Lesson:
        picks = self.plan.indices(number)
        return Lesson(collate([self.corpus.utterance(i) for i in picks]), self.language[picks])


def folders_of(config: DictConfig) -> list[str]:
    """Return the corpora: one, or a list."""
    return [config.corpus] if isinstance(config.corpus, str) else list(config.corpus)


def load(config: DictConfig) -> tuple[Corpus, Corpus]:
    """Return what is trained on and what is held out, with the same voices at the same registers; see held_out.py."""
    train, valid = read_train_and_valid(folders_of(config), config.voices or None, config.in_memory_gb)
    if config.limit is not None:
        train = train.spread(config.limit)
    valid.mean_log_f0 = train.mean_log_f0
    return train, valid


def set_statistics(model: AcousticModel, corpus: Corpus) -> None:
    """Set the normalisation buffers from the corpus: mel per bin and token features. A resumed run keeps its own."""
    picks = range(0, len(corpus), max(1, len(corpus) // 600))
    some = [corpus.utterance(i) for i in picks]
    mel = torch.cat([torch.from_numpy(one.mel).float() for one in some])
    model.mel_mean.copy_(mel.mean(dim=0))
    model.mel_std.copy_(mel.std(dim=0).clamp_min(0.1))
    features = torch.cat([torch.from_numpy(one.features) for one in some])
    model.prosody.mean.copy_(features.mean(dim=0))
    model.prosody.std.copy_(features.std(dim=0).clamp_min(0.05))


def build(config: DictConfig, voices: list[str], languages: list[str]) -> AcousticModel:
    """Instantiate the network of the configuration for these voices and languages; one language needs no telling apart."""
    OmegaConf.update(config, "acoustic.voices", voices)
    OmegaConf.update(config, "acoustic.text_encoder.n_phonemes", len(PHONEMES))
    if languages != ["en-us"]:
        OmegaConf.update(config, "acoustic.text_encoder.languages", languages, force_add=True)
        OmegaConf.update(config, "acoustic.text_encoder.n_stresses", N_MARKS)
    torch.manual_seed(config.seed)
    return hydra.utils.instantiate(config.acoustic, _convert_="all")


def speaker_of(model: AcousticModel, device: torch.device) -> EmoTTS:
    """Let the model speak through the untrained vocoder, which needs no training and is close to the trained one."""
    return EmoTTS(model, BaselineVocoder(), dict(SAMPLING), str(device))


def log_samples(trainer: Trainer[Lesson], held_out: Lessons, languages: list[str]) -> None:
    """Speak into TensorBoard and <output>/samples.

    English sentences, each with the next voice; of every other language, held-out rows.
    """
    with trainer.averaged() as model:
        tts = speaker_of(model, trainer.device)
        if SAMPLE_LANGUAGE in languages:
            for i, (label, text) in enumerate(SAMPLES):
                result = tts.synthesize(
                    text, emotion=label, voice=tts.voices[i % len(tts.voices)].name, seed=0, language=SAMPLE_LANGUAGE
                )
                result.save(trainer.output / "samples" / f"{label}.wav")
                show_sample(trainer, label, result.waveform, result.mel, result.f0)
        for place, language in enumerate(languages):
            rows = (held_out.language == place).nonzero()[: len(SAMPLES), 0].tolist()
            for number, row in enumerate(rows if language != SAMPLE_LANGUAGE else [], start=1):
                waveform, mel, f0 = say_row(tts, held_out, row)
                save_audio(trainer.output / "samples" / f"{language}-{number}.wav", waveform)
                show_sample(trainer, f"{language}-{number}", waveform, mel, f0)


@torch.inference_mode()
def say_row(tts: EmoTTS, lessons: Lessons, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Say a row's phonemes as its recording was asked for; returns waveform [L], mel [T, M] and F0 [T]."""
    condition = condition_of(collate([lessons.corpus.utterance(i)]), lessons.language[[i]]).to(tts.device)
    minimum = torch.zeros_like(condition.phonemes)
    tokens = lessons.corpus.rows[i].phonemes
    minimum[0, : len(tokens)] = torch.tensor([0 if is_pause(token) else 1 for token in tokens])
    generator = torch.Generator().manual_seed(0)
    temperature = SAMPLING["default_prosody_temperature"]
    prosody = tts.acoustic.sample_prosody(condition, minimum, generator=generator, temperature=temperature)
    temperature = SAMPLING["default_temperature"]
    mel = tts.acoustic.sample_mel(condition, prosody, generator=generator, temperature=temperature)
    waveform = tts.vocoder(mel, prosody.f0, generator=generator)
    waveform, mel, f0 = (x[0].float().cpu().numpy() for x in (waveform, mel, prosody.f0))
    return waveform, mel, f0


def show_sample(trainer: Trainer[Lesson], name: str, waveform: np.ndarray, mel: np.ndarray, f0: np.ndarray) -> None:
    """Write a sample into TensorBoard as a sound and two pictures."""
    trainer.writer.add_audio(f"samples/{name}", waveform[None], trainer.step, SPEC.sample_rate)
    trainer.writer.add_image(f"mel/{name}", mel_picture(mel), trainer.step, dataformats="HWC")
    trainer.writer.add_image(f"f0/{name}", f0_picture(f0), trainer.step, dataformats="HWC")


def judge_model(trainer: Trainer[Lesson], config: DictConfig) -> None:
    """Log the judge's scores of the averaged model, and export it to <output>/best if none before scored higher."""
    from emotts.evaluation.scores import grid_scores
    from emotts.judges import load_judge

    with trainer.averaged() as model:
        scores = grid_scores(speaker_of(model, trainer.device), load_judge("recognizer", Path(config.judge)))
    trainer.log(scores, prefix="judge")
    record = trainer.output / "best.json"
    best = json.loads(record.read_text())["score"] if record.exists() else float("-inf")
    if scores["score"] > best:
        export(trainer, config, "best")
        record.write_text(json.dumps({"step": trainer.step, **scores}, indent=2) + "\n")


def export(trainer: Trainer[Lesson], config: DictConfig, name: str = "export") -> None:
    """Write the averaged weights and the configuration that rebuilds them to <output>/<name>."""
    from emotts.checkpoint import save_checkpoint

    with trainer.averaged() as model:
        metadata = facts_of_run(config, config.corpus) | facts_of_trainer("train_acoustic", trainer)
        metadata["voices"] = voices_of_run(config.corpus, config.acoustic.voices)
        modules = {"acoustic": (OmegaConf.to_container(config.acoustic, resolve=True), model)}
        save_checkpoint(Path(config.output) / name, modules, metadata)


def main(config: DictConfig) -> float:
    # 1. Data and model.
    corpus, valid = load(config)
    languages = sorted({name.lower() for part in (corpus, valid) for name in part.rows.names("language")})
    if readers := readers_of(corpus.rows, valid.rows):
        OmegaConf.update(config, "acoustic.text_encoder.read_by", readers, force_add=True)
    (Path(config.output) / "samples").mkdir(parents=True, exist_ok=True)
    model = build(config, corpus.voices, languages)
    corpus.n_marks = valid.n_marks = model.text_encoder.n_stresses
    set_statistics(model, corpus)
    told = {"utterances": len(corpus), "hours": round(int(corpus.lengths.sum(dtype=np.int64)) / 93.75 / 3600, 2)}
    untrained = sorted(set(corpus.voices) - set(corpus.rows.names("voice")))
    told |= {"left_out": corpus.left_out, "languages": languages, "untrained_voices": untrained}
    told |= {name: sum(p.numel() for p in child.parameters()) for name, child in model.named_children()}

    # 2. Training.
    trainer: Trainer[Lesson] = Trainer(
        model, config.output, hydra.utils.instantiate(config.schedule), config.seed, precision=config.precision,
        log_every=config.log_every, save_minutes=config.save_minutes, device=config.device, pieces=config.pieces,
        shard=config.shard,
    )  # fmt: skip
    if trainer.is_first:
        print(json.dumps(told), flush=True)
    # Registers follow the corpus even in a resumed run, for it may have gained voices since.
    model.voices.mean_log_f0.copy_(torch.tensor([corpus.mean_log_f0[name] for name in corpus.voices]))
    lessons, held_out = Lessons(corpus, languages, config, config.balance), Lessons(valid, languages, config, 0.0)
    dropout = hydra.utils.instantiate(config.dropout)
    residuals = Residuals()

    def losses_of(model: AcousticModel, lesson: Lesson, generator: torch.Generator) -> dict[str, torch.Tensor]:
        batch, device = lesson.batch, trainer.device
        condition, target = condition_of(batch, lesson.language).to(device), target_of(batch).to(device)
        if config.by_heart:
            generator = torch.Generator().manual_seed(config.seed)
        trust = batch.avd_trust.to(device)
        return acoustic_losses(model, condition, target, generator, dropout, residuals, trust)

    def counts_of(lesson: Lesson) -> dict[str, torch.Tensor]:
        return loss_counts(condition_of(lesson.batch), target_of(lesson.batch))

    judged, held_out_loss = trainer.step, float("nan")

    def on_save(trainer: Trainer[Lesson]) -> None:
        nonlocal judged, held_out_loss
        means = validate(trainer, held_out, losses_of)
        held_out_loss = float(total({name: torch.tensor(value) for name, value in means.items()}))
        export(trainer, config)
        log_samples(trainer, held_out, languages)
        if config.judge is not None and trainer.step >= min(judged + config.judge_every, config.schedule.max_steps):
            judge_model(trainer, config)
            judged = trainer.step

    trainer.fit(
        lessons, losses_of, total, config.max_minutes, on_save, counts_of, None if config.by_heart else residuals
    )
    return held_out_loss


if __name__ == "__main__":
    from start import run

    run("train_acoustic")
