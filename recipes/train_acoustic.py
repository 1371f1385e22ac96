"""Train the acoustic model on a manifest: python recipes/train_acoustic.py corpus=runs/corpus max_minutes=60.

Run the same command again to go on from the last state. The averaged weights are exported to <output>/export as checkpoint parts;
spoken samples go to TensorBoard and <output>/samples. With judge=<folder of a recogniser> the judge hears a small grid every
judge_every steps, its scores are logged, and the best model so far stays in <output>/best.
"""

import json
from pathlib import Path

import hydra
import torch
from omegaconf import DictConfig, OmegaConf

from emotts.acoustic.condition import Condition
from emotts.acoustic.model import AcousticModel
from emotts.acoustic.objective import Target, acoustic_losses, total
from emotts.data.dataset import Batch, BatchPlan, Corpus, collate
from emotts.data.manifest import read_manifest
from emotts.emotion.space import EmotionInput
from emotts.pipeline import EmoTTS
from emotts.text.symbols import PHONEMES
from emotts.training import Trainer
from emotts.vocoder.baseline import BaselineVocoder

VALID_BATCHES = 6
SAMPLES = (
    ("neutral", "The train leaves at seven."),
    ("happy", "I can't believe you came."),
    ("sad", "Nobody was at home."),
)
SAMPLING = {"default_temperature": 0.2, "default_prosody_temperature": 0.5}


def condition_of(batch: Batch) -> Condition:
    """Read what the model is told from a batch."""
    emotion = EmotionInput(batch.labels, batch.label_known, batch.avd, batch.avd_known)
    return Condition(batch.phonemes, batch.stresses, batch.token_lengths, batch.voice, emotion)


def target_of(batch: Batch) -> Target:
    """Read what the model should say from a batch."""
    return Target(batch.durations, batch.features, batch.feature_weight, batch.f0, batch.contour, batch.mel)


def set_statistics(model: AcousticModel, corpus: Corpus) -> None:
    """Set the normalisation buffers from the corpus: mel per bin and token features. A resumed run keeps its own."""
    picks = range(0, len(corpus), max(1, len(corpus) // 600))
    mel = torch.cat([torch.from_numpy(corpus.raw[i]["mel"]).float() for i in picks])
    model.mel_mean.copy_(mel.mean(dim=0))
    model.mel_std.copy_(mel.std(dim=0).clamp_min(0.1))
    features = torch.cat([torch.from_numpy(corpus.utterance(i).features) for i in picks])
    model.prosody.mean.copy_(features.mean(dim=0))
    model.prosody.std.copy_(features.std(dim=0).clamp_min(0.05))


def build(config: DictConfig, voices: list[str]) -> AcousticModel:
    """Instantiate the network of the configuration for these voices."""
    OmegaConf.update(config, "acoustic.voices", voices)
    OmegaConf.update(config, "acoustic.text_encoder.n_phonemes", len(PHONEMES))
    torch.manual_seed(config.seed)
    return hydra.utils.instantiate(config.acoustic, _convert_="all")


def validate(trainer: Trainer[Batch], corpus: Corpus, plan: BatchPlan, config: DictConfig) -> None:
    """Log the averaged model's losses on held-out rows, with noise fixed."""
    dropout = hydra.utils.instantiate(config.dropout)
    sums: dict[str, float] = {}
    with trainer.averaged() as model, torch.inference_mode():
        for step in range(VALID_BATCHES):
            batch = collate([corpus.utterance(i) for i in plan.indices(step)])
            generator = torch.Generator().manual_seed(step)
            losses = acoustic_losses(
                model, condition_of(batch).to(trainer.device), target_of(batch).to(trainer.device), generator, dropout
            )
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value) / VALID_BATCHES
    trainer.log(sums, prefix="valid")
    print(trainer.step, {k: round(v, 4) for k, v in sums.items()}, flush=True)


def speaker_of(model: AcousticModel, device: torch.device) -> EmoTTS:
    """Let the model speak through the untrained vocoder, which needs no training and is close to the trained one."""
    return EmoTTS(model, BaselineVocoder(), dict(SAMPLING), str(device))


def log_samples(trainer: Trainer[Batch]) -> None:
    """Speak the sample sentences, each with the next voice, into TensorBoard and <output>/samples."""
    with trainer.averaged() as model:
        tts = speaker_of(model, trainer.device)
        for i, (label, text) in enumerate(SAMPLES):
            result = tts.synthesize(text, emotion=label, voice=tts.voices[i % len(tts.voices)].name, seed=0)
            result.save(trainer.output / "samples" / f"{label}.wav")
            trainer.writer.add_audio(f"samples/{label}", result.waveform[None], trainer.step, result.sample_rate)


def judge_model(trainer: Trainer[Batch], config: DictConfig) -> None:
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


def export(trainer: Trainer[Batch], config: DictConfig, name: str = "export") -> None:
    """Write the averaged weights and the configuration that rebuilds them to <output>/<name>."""
    from emotts.checkpoint import save_checkpoint

    with trainer.averaged() as model:
        metadata = {
            "recipe": "train_acoustic",
            "steps": trainer.step,
            "minutes": round(trainer.seconds / 60.0, 1),
            "seed": config.seed,
        }
        modules = {"acoustic": (OmegaConf.to_container(config.acoustic, resolve=True), model)}
        save_checkpoint(Path(config.output) / name, modules, metadata)


@hydra.main(version_base="1.3", config_path="../conf", config_name="train_acoustic")
def main(config: DictConfig) -> None:
    voices = list(config.voices or sorted({row.voice for row in read_manifest(Path(config.corpus) / "manifest.jsonl")}))
    corpus = Corpus(config.corpus, "train", voices)
    valid = Corpus(config.corpus, "valid", voices)
    valid.mean_log_f0 = corpus.mean_log_f0
    (Path(config.output) / "samples").mkdir(parents=True, exist_ok=True)
    model = build(config, voices)
    set_statistics(model, corpus)
    parameters = {name: sum(p.numel() for p in child.parameters()) for name, child in model.named_children()}
    print(
        json.dumps(
            {
                "utterances": len(corpus),
                "hours": round(sum(r.n_frames for r in corpus.rows) / 93.75 / 3600, 2),
                **parameters,
            }
        )
    )

    trainer: Trainer[Batch] = Trainer(
        model,
        config.output,
        hydra.utils.instantiate(config.schedule),
        config.seed,
        precision=config.precision,
        log_every=config.log_every,
        save_minutes=config.save_minutes,
        device=config.device,
    )
    # Registers follow the corpus even in a resumed run, for it may have gained voices since.
    model.voices.mean_log_f0.copy_(torch.tensor([corpus.mean_log_f0[name] for name in corpus.voices]))
    plan = BatchPlan([r.n_frames for r in corpus.rows], config.max_frames, config.seed)
    valid_plan = BatchPlan([r.n_frames for r in valid.rows], config.max_frames, config.seed)
    dropout = hydra.utils.instantiate(config.dropout)

    def batch_of(step: int) -> Batch:
        return collate([corpus.utterance(i) for i in plan.indices(step)])

    def losses_of(model: AcousticModel, batch: Batch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return acoustic_losses(
            model, condition_of(batch).to(trainer.device), target_of(batch).to(trainer.device), generator, dropout
        )

    judged = trainer.step

    def on_save(trainer: Trainer[Batch]) -> None:
        nonlocal judged
        validate(trainer, valid, valid_plan, config)
        export(trainer, config)
        log_samples(trainer)
        if config.judge is not None and trainer.step >= min(judged + config.judge_every, config.schedule.max_steps):
            judge_model(trainer, config)
            judged = trainer.step

    trainer.fit(batch_of, losses_of, total, config.max_minutes, on_save)


if __name__ == "__main__":
    main()
