"""A new emotion from a few clips: the place in the emotion space from which a frozen model says them best.

A corpus of a few clips of voices that the model has comes in; a direction file, to be asked for as direction=weary.safetensors:0.8,
goes out. The twelve labels and the model stay as they are. The idea of learning a word and not the network is of Gal et al., "An
Image is Worth One Word: Textual Inversion" (2022), arXiv 2208.01618; here the word is 14 numbers with names.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from facts import facts_of, licensed
from finetune_data import Lesson, Lessons, condition_of
from finetune_model import NO_DROPOUT
from omegaconf import DictConfig
from torch import Tensor, nn
from train_acoustic import target_of

from emotts.acoustic.model import AcousticModel
from emotts.acoustic.objective import acoustic_losses, total
from emotts.data.dataset import Corpus
from emotts.data.manifest import read_manifest
from emotts.emotion.direction import SUFFIX, Direction, save_direction
from emotts.emotion.labels import LABELS, MAX_INTENSITY
from emotts.emotion.space import EmotionInput

STEPS, RATE = 120, 0.05  # of Adam, in units of label weights and dimensions
# Cost of a label's weight, and of a squared dimension: few labels and near places, for few clips tell little.
FEW, NEAR = 0.1, 0.1
K = len(LABELS)


def learn_emotion(config: DictConfig, model: AcousticModel, metadata: Mapping[str, Any]) -> None:
    """Learn and save a direction.

    Raises:
        ValueError: it has no name, or no clip is of a voice of the model.
    """
    name = str(config.name or "")
    if not name.isidentifier():
        raise ValueError(f"mode=emotion needs name=, a word such as weary; got {name!r}.")
    rows = [row for row in read_manifest(Path(config.corpus) / "manifest.jsonl") if row.split == "train"]
    unknown = sorted({row.voice for row in rows} - set(model.voices.names))
    if unknown or not rows:
        raise ValueError(
            f"{config.corpus} must hold clips (split train) of {', '.join(model.voices.names)}; it holds "
            f"{', '.join(unknown) or 'none'}. Add the voice first: mode=lora, then checkpoint=<its export>."
        )
    corpus = Corpus(config.corpus, "train", model.voices.names)
    corpus.n_marks = model.text_encoder.n_stresses
    lessons = Lessons(corpus, model.text_encoder.languages, config.max_frames, config.seed)
    model = model.eval().requires_grad_(False)  # in eval mode nothing but the place moves
    place, began = nn.Parameter(torch.zeros(K + 3)), time.monotonic()
    before = loss_at(model, lessons, place)
    optimizer = torch.optim.Adam([place], lr=RATE)
    for step in range(STEPS):
        loss = loss_of(model, lessons(step), place, step) + FEW * place[:K].sum() + NEAR * place[K:].square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            place[:K].clamp_(0.0, MAX_INTENSITY)
            place[0] = 0.0
            place[:K] *= min(1.0, MAX_INTENSITY / max(float(place[:K].sum()), 1e-9))  # more a request cannot ask for
            place[K:].clamp_(-1.0, 1.0)
    after = loss_at(model, lessons, place)
    vector = as_asked(place.detach().numpy().astype(np.float64), metadata.get("intensity_curves", {}))
    minutes = round((time.monotonic() - began) / 60.0, 1)
    facts = licensed(facts_of(config, corpus.rows), config.checkpoint) | {
        "name": name, "recipe": "finetune", "mode": config.mode, "steps": STEPS, "minutes": minutes,
        "figures": {"loss_neutral": round(before, 4), "loss": round(after, 4)},
    }  # fmt: skip
    path = Path(config.output) / f"{name}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    direction = Direction(vector, len(corpus), "groups", facts)
    save_direction(path, direction)
    print(f"{path}: loss {before:.4f} as neutral, {after:.4f} as {name}; {len(corpus)} clips")
    largest = sorted(direction.to_dict()["vector"].items(), key=lambda item: -abs(item[1]))[:5]
    print(", ".join(f"{key} {value:+.2f}" for key, value in largest))


def loss_of(model: AcousticModel, lesson: Lesson, place: Tensor, seed: int) -> Tensor:
    """Return what the clips of a batch cost if they are asked for by a place [K + 3]."""
    shape = lesson.batch.phonemes.shape
    known = torch.ones(shape, dtype=torch.bool)
    emotion = EmotionInput(
        place[:K].expand(*shape, -1), known, place[K:].expand(*shape, -1), known[..., None].expand(*shape, 3)
    )
    told, target = condition_of(lesson).feeling(emotion), target_of(lesson.batch)
    return total(acoustic_losses(model, told, target, torch.Generator().manual_seed(seed), NO_DROPOUT))


@torch.no_grad()
def loss_at(model: AcousticModel, lessons: Lessons, place: Tensor) -> float:
    """Return the mean loss over the clips, each alone, with noise fixed."""
    losses = [float(loss_of(model, lessons.of([i]), place, i)) for i in range(len(lessons.corpus))]
    return float(np.mean(losses))


def as_asked(place: np.ndarray, curves: Mapping[str, Any]) -> np.ndarray:
    """Return the label weights to ask for, so that the checkpoint's curves of intensity tell the model these."""
    asked = place.copy()
    for i, label in enumerate(LABELS):
        if label in curves:
            points = np.array(curves[label], np.float64)
            rising = np.concatenate([[True], np.diff(points[:, 1]) > 0.0])
            asked[i] = np.interp(place[i], points[rising, 1], points[rising, 0])
    return asked
