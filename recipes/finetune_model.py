"""What a fine-tuning makes of a model before it trains: further languages and voices, and what of it is to move.

A trained model and a corpus come in; a copy goes out that says what it said, and has a place for what is new.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from finetune_data import FIRST_LANGUAGE, Lesson, condition_of
from omegaconf import DictConfig
from train_acoustic import target_of

from emotts.acoustic.adaptation import add_low_rank, move_rows
from emotts.acoustic.model import AcousticModel
from emotts.acoustic.objective import Dropout, acoustic_losses, total
from emotts.checkpoint.config import build
from emotts.data.dataset import Corpus
from emotts.speaker.known import Speaker
from emotts.text.symbols import N_MARKS, nearest_mark

NO_DROPOUT = Dropout(0.0, 0.0, 0.0, 0.0, 0.0)
PLAIN_STRESSES = 3  # rows of the stress table before the tones


def with_languages(
    config: dict[str, Any], model: AcousticModel, added: Sequence[str], readers: Mapping[str, str] | None = None
) -> AcousticModel:
    """Return the model with further languages and all marks; what it says in those that it knows does not change.

    A new mark begins as the same stress or tone without length and quality. `readers` are the backends of the new languages.
    """
    old = model.text_encoder
    new_names = [name.lower() for name in added]
    names = [*(old.languages or (FIRST_LANGUAGE,)), *new_names]
    own = {name: reader for name, reader in (readers or {}).items() if name in new_names}
    config["text_encoder"] |= {"languages": names, "n_stresses": max(old.n_stresses, N_MARKS)}
    if own:
        config["text_encoder"]["read_by"] = old.read_by | own
    new = build(config, "acoustic")
    assert isinstance(new, AcousticModel)
    weights = model.state_dict()
    for name in ("text_encoder.language.weight", "text_encoder.stress.weight"):
        table = torch.zeros_like(new.state_dict()[name])
        if name in weights:
            table[: len(weights[name])] = weights[name]
        weights[name] = table
    marks = weights["text_encoder.stress.weight"]
    for i in range(old.n_stresses, len(marks)):
        marks[i] = marks[nearest_mark(i)]
    new.load_state_dict(weights)
    return new


def with_voices(config: dict[str, Any], model: AcousticModel, corpus: Corpus, lesson: Lesson) -> AcousticModel:
    """Return a copy of the model that has the corpus' voices too, each begun as the named voice that is nearest to it."""
    model = deepcopy(model)
    config["voices"] = list(corpus.voices)
    if added := [name for name in corpus.voices if name not in model.voices.names]:
        model.voices = model.voices.extended(added, nearest_voice(model, corpus, lesson))
    rows = voices_of(corpus)
    model.voices.mean_log_f0[rows] = torch.tensor([corpus.mean_log_f0[corpus.voices[row]] for row in rows])
    return model


def voices_of(corpus: Corpus) -> list[int]:
    """Return the places of the voices that speak in the corpus."""
    return sorted(corpus.voices.index(voice) for voice in corpus.rows.names("voice"))


@torch.inference_mode()
def nearest_voice(model: AcousticModel, corpus: Corpus, lesson: Lesson) -> int:
    """Return the row whose embedding, at the new voices' registers, says a batch with the least loss."""
    registers = torch.tensor([corpus.mean_log_f0[corpus.voices[i]] for i in lesson.batch.voice.tolist()])
    losses = []
    for row in model.voices.embedding.weight:
        told = replace(condition_of(lesson), speaker=Speaker(row.expand(len(registers), -1), registers))
        generator = torch.Generator().manual_seed(0)
        told = replace(told, voice=torch.zeros_like(told.voice))  # a row that exists; the speaker counts
        losses.append(total(acoustic_losses(model, told, target_of(lesson.batch), generator, NO_DROPOUT)))
    return int(torch.stack(losses).argmin())


def prepare(model: AcousticModel, corpus: Corpus, config: DictConfig) -> AcousticModel:
    """Choose what is trained.

    Raises:
        ValueError: a part does not exist.
    """
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
