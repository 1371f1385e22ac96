"""What training the acoustic model lets be heard: English sentences, and held-out rows of the other languages of the corpus."""

import sys
from pathlib import Path

import torch
from conftest import tiny_configs
from finetuning import ROOT, rewritten
from omegaconf import OmegaConf
from test_dataset import write_corpus

from emotts.audio import load_audio
from emotts.checkpoint.config import build
from emotts.data.dataset import Corpus
from emotts.text.symbols import N_MARKS
from emotts.training import Schedule, Trainer

sys.path.insert(0, str(ROOT / "recipes"))


def samples_of(folder: Path, languages: list[str]) -> tuple[list[str], set[str]]:
    """Return the files and the sounds in TensorBoard of a model that learns from rows in these languages."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from train_acoustic import Lesson, Lessons, log_samples

    folder.mkdir()
    spoken = [*languages, *languages]
    rewritten(
        write_corpus(folder), lambda i, row: {"language": spoken[i % len(spoken)], "voice": "ada", "split": "valid"}
    )
    corpus = Corpus(folder, "valid", ["ada", "max"])
    configs = tiny_configs()
    if languages != ["en-us"]:
        configs["acoustic"]["text_encoder"] |= {"languages": languages, "n_stresses": N_MARKS}
    model = build(configs["acoustic"], "acoustic")
    model.mel_mean.fill_(-5.0)
    model.prosody.mean.copy_(torch.tensor([1.8, 0.0, 0.0, -2.0]))
    trainer: Trainer[Lesson] = Trainer(model, folder / "run", Schedule(1e-3, 1, 1, 0), precision="fp32", device="cpu")
    (folder / "run" / "samples").mkdir()
    held_out = Lessons(corpus, languages, OmegaConf.create({"max_frames": 128, "seed": 0}), 0.0)
    log_samples(trainer, held_out, languages)
    trainer.writer.flush()
    files = sorted((folder / "run" / "samples").glob("*.wav"))
    assert all(len(load_audio(file)) > 1_000 for file in files)
    tags = EventAccumulator(str(folder / "run" / "tensorboard")).Reload().Tags()
    assert {tag.partition("/")[2] for tag in tags["images"]} == {file.stem for file in files}
    return [file.stem for file in files], set(tags["audio"])


def test_a_corpus_in_another_language_is_heard_in_it(tmp_path: Path) -> None:
    files, sounds = samples_of(tmp_path / "thai", ["th"])  # which no front end reads
    assert files == ["th-1", "th-2", "th-3"] and sounds == {f"samples/{name}" for name in files}


def test_both_languages_of_a_corpus_are_heard(tmp_path: Path) -> None:
    files, _ = samples_of(tmp_path / "both", ["de", "en-us"])
    assert files == ["de-1", "de-2", "de-3", "happy", "neutral", "sad"]


def test_english_is_heard_as_before(tmp_path: Path) -> None:
    assert samples_of(tmp_path / "english", ["en-us"])[0] == ["happy", "neutral", "sad"]
