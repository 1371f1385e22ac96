"""Sentences in the languages that a model knows and a new corpus does not speak: read by the model itself, to hold it by.

A model and texts come in, a file of sentences or a prepared corpus for each language; utterances with readings go out. They have no
sound, for what the model would say of a reading is asked anew in every step (finetune_keep.py).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from finetune_data import language_of
from finetune_keep import request_of

from emotts.acoustic.condition import Condition
from emotts.acoustic.model import AcousticModel
from emotts.data.dataset import Corpus, Utterance, anchor_line, fill_unvoiced, token_features
from emotts.data.manifest import read_manifest
from emotts.emotion.space import EmotionInput
from emotts.simulation.plan import read_sentences
from emotts.text import phonemize
from emotts.text.phonemize import backend_of
from emotts.text.symbols import encode, is_pause

T = TypeVar("T")
SENTENCES = 64  # of each language; a step asks some ten of them


def sentences_of(
    corpus: Corpus,
    languages: Sequence[str],
    known: Sequence[str],
    texts: Mapping[str, str],
    teacher: AcousticModel,
    voices: Sequence[int],
    temperature: float,
) -> list[tuple[Utterance, int]]:
    """Return sentences in every language that the old model knows, each with the place of its language.

    Args:
        corpus: the new one, whose sentences are taken where they are in a language that the old model knows.
        languages: of the new model; known: those of the old one, which come first among them.
        texts: by language, a file of sentences or a folder of a prepared corpus, for languages that the corpus does not speak.
        teacher: reads these. voices: that read, in turn. temperature: of the readings.

    Raises:
        ValueError: the old model knows a language in which there is nothing to say.
    """
    places = [language_of(row.language, languages) for row in corpus.rows]
    found = [(corpus.utterance(i), place) for i, place in enumerate(places) if place < len(known)]
    for place, language in enumerate(known):
        if place in places:
            continue
        if language not in texts:
            raise ValueError(
                f"the model speaks {language} too, the corpus does not, and nothing says what to hold it by: give "
                f"+rehearse.{language}=<a file of sentences, or a prepared corpus>, or let it go by keep=0 vocoder_keep=0."
            )
        for number, tokens in enumerate(tokens_of(Path(texts[language]), language, teacher.text_encoder.read_by)):
            voice = voices[number % len(voices)]
            found.append((reading_of(teacher, tokens, place, voice, number, temperature), place))
    return found


def tokens_of(path: Path, language: str, read_by: Mapping[str, str] | None = None) -> list[list[str]]:
    """Return the phoneme tokens of at most SENTENCES sentences, spread over a file or the manifest of a folder.

    Raises:
        FileNotFoundError: there is neither. ValueError: it holds none in this language, or one that cannot be read.
    """
    if path.is_dir():
        own = language.split("-")[0]
        rows = [row for row in read_manifest(path / "manifest.jsonl") if row.language.lower().split("-")[0] == own]
        if not rows:
            raise ValueError(f"{path} must hold sentences in {language} to hold it by; it holds none.")
        return [row.phonemes for row in _spread(rows)]
    return [phonemize(text, language, backend_of(language, read_by)) for text in _spread(read_sentences([path]))]


def _spread(items: list[T]) -> list[T]:
    return [items[i] for i in np.linspace(0, len(items) - 1, min(SENTENCES, len(items))).astype(int)]


def reading_of(
    teacher: AcousticModel, tokens: list[str], place: int, voice: int, number: int, temperature: float
) -> Utterance:
    """Return a reading of a sentence by a voice, in a feeling drawn at random."""
    generator = torch.Generator().manual_seed(number)
    phonemes, stresses = (torch.tensor([ids]) for ids in encode(tokens, teacher.text_encoder.n_stresses))
    _, labels, avd = request_of(phonemes.shape, [voice], generator)
    known = torch.ones_like(phonemes, dtype=torch.bool)
    emotion = EmotionInput(labels, known, avd, known[..., None].expand_as(avd))
    condition = Condition(
        phonemes, stresses, torch.tensor([len(tokens)]), torch.tensor([voice]), emotion, language=torch.tensor([place])
    )
    minimum = torch.tensor([[0 if is_pause(token) else 1 for token in tokens]])
    prosody = teacher.sample_prosody(condition, minimum, generator=generator, temperature=temperature)
    durations, f0 = prosody.durations[0].numpy(), prosody.f0[0].numpy()
    log_f0 = fill_unvoiced(f0) - float(teacher.voices.mean_log_f0[voice])
    log_f0 = np.where(np.isnan(log_f0), 0.0, log_f0)
    features = token_features(durations, log_f0, np.zeros(len(f0)))
    features[:, 3] = prosody.energy[0].numpy() * float(teacher.prosody.std[3]) + float(teacher.prosody.mean[3])
    return Utterance(
        phonemes[0].numpy(), stresses[0].numpy(), durations, features.astype(np.float32), np.ones_like(features, np.float32),
        f0, anchor_line(features, durations, len(f0)).astype(np.float32), np.zeros((len(f0), len(teacher.mel_mean)), np.float32),
        labels[0].numpy(), True, avd[0].numpy(), np.ones(3), voice,
    )  # fmt: skip
