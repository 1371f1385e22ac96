"""What a fine-tuning learns from: a prepared corpus comes in, batches with languages and with questions about old voices go out.

A batch is a function of its number alone, noise of the questions included, so that it can be computed in parts and resumed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from finetune_keep import Question, Rehearsal
from held_out import read_train_and_valid
from omegaconf import DictConfig
from torch import Tensor
from train_acoustic import condition_of as told_of

from emotts.acoustic.condition import Condition
from emotts.data.batch_plan import BatchPlan
from emotts.data.dataset import Batch, Corpus, collate
from emotts.data.manifest import ManifestRow, read_manifest

FIRST_LANGUAGE = "en-us"  # of a model that was told none
VOICE_NAME = re.compile(r"\w[\w-]{0,39}")


@dataclass
class Lesson:
    """A batch, the place of each row's language among those of the model [B], and a question about old voices, if any."""

    batch: Batch
    language: Tensor
    asked: tuple[Question, ...] = ()


def condition_of(lesson: Lesson) -> Condition:
    """Read what the model is told, languages included."""
    return told_of(lesson.batch, lesson.language)


class Lessons:
    """One split of the corpus as batches, each a function of its number."""

    def __init__(
        self,
        corpus: Corpus,
        languages: Sequence[str],
        max_frames: int,
        seed: int,
        rehearsal: Rehearsal | None = None,
    ) -> None:
        self.corpus, self.rehearsal = corpus, rehearsal
        self.plan = BatchPlan(corpus.lengths, max_frames, seed)
        self.languages = torch.tensor([language_of(row.language, languages) for row in corpus.rows])

    def __call__(self, number: int) -> Lesson:
        lesson = self.of(self.plan.indices(number))
        if self.rehearsal is None:
            return lesson
        # no more questions than rows, so that whoever splits a batch by its rows splits its questions too
        return replace(lesson, asked=(self.rehearsal.question(number, len(lesson.language)),))

    def of(self, picks: list[int]) -> Lesson:
        """Return these rows as a batch."""
        return Lesson(collate([self.corpus.utterance(i) for i in picks]), self.languages[picks])


def language_of(tag: str, languages: Sequence[str]) -> int:
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


def read_corpus(config: DictConfig, known: Sequence[str]) -> tuple[Corpus, Corpus]:
    """Return what is learnt from and what is held out (see held_out.py), its voices behind those that the model knows.

    Raises:
        ValueError: nothing can be learnt from, or a voice has the name of one that the model has.
    """
    rows = read_manifest(Path(config.corpus) / "manifest.jsonl")
    if not any(row.split == "train" for row in rows):
        raise ValueError(f"{config.corpus} must have rows to learn from; none has the split train.")
    names = _names(config, rows, known)
    corpora = read_train_and_valid(config.corpus, list(names))
    registers = {name: corpora[0].mean_log_f0[old] for old, name in names.items()}
    voices = [*known, *(name for name in names.values() if name not in known)]
    train, valid = (corpus.renamed(names, voices, registers) for corpus in corpora)
    return train, valid


def _names(config: DictConfig, rows: Sequence[ManifestRow], known: Sequence[str]) -> dict[str, str]:
    """Return what the voices of the corpus are to be called in the model."""
    speakers = sorted({row.voice for row in rows if row.split == "train"})
    names = {name: name for name in speakers}
    if config.voice is not None:
        if len(speakers) > 1:
            raise ValueError(f"voice= names the one who speaks; in {config.corpus} {', '.join(speakers)} do.")
        if not VOICE_NAME.fullmatch(str(config.voice)):
            raise ValueError(f"voice= must be a name of letters, digits, _ and -; got {str(config.voice)!r}.")
        names = {speakers[0]: str(config.voice)}
    taken = [name for name in names.values() if name in known]
    if taken and not config.again:
        way = "voice=<another name>" if len(speakers) == 1 else "another name in the manifest"
        raise ValueError(
            f"{config.checkpoint} has a voice {taken[0]} already; give the new one {way}, or train that one further by again=true."
        )
    return names
