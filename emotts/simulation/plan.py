"""Decide what the simulated corpus says: sentence, voice, emotion and seed of every utterance.

In: sentence files and hours per voice. Out: shards of `Utterance`. Everything follows from one seed and the sentences;
asking for more hours adds shards and leaves the earlier ones as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotts.emotion.labels import AVD_MEANS, LABEL_INDEX, LABELS
from emotts.text.symbols import is_pause

KINDS = ("neutral", "category", "moved", "mixture", "turn", "point", "varying")
KIND_SHARES = (0.12, 0.42, 0.07, 0.09, 0.06, 0.18, 0.06)
INTENSITY_RANGE = (0.2, 1.4)
MIXTURE_SUM = (0.5, 1.2)  # sum of the two weights
MIXTURE_SHARE = (0.2, 0.8)  # of the first label in the sum
TURN_PLACE = (0.3, 0.7)  # part of the utterance after which it turns to the second emotion
AVD_SD = 0.08  # spread of a category around its mean
NEUTRAL_AVD_SD = 0.04
VALID_SHARE = 0.02

Point = tuple[float, float, float]
Mix = tuple[tuple[str, float], ...]  # labels with weight times intensity


@dataclass(frozen=True)
class Utterance:
    """One planned utterance.

    Attributes:
        id: Unique name: voice, pass over the sentences, hash of the text.
        text: What is said.
        voice: Who says it.
        split: "train", "valid" or "test".
        seed: Source of the reading and of the teacher's noise.
        label: Category, or None.
        intensity: Strength of the category, 0 for neutral and for no category.
        keyframes: Arousal, valence, dominance at evenly spaced places of the utterance; one means constant.
        weights: Weight times intensity of the labels where more than one is meant: one mapping for a mixture, two for an
            utterance that turns from the first to the second at `turn_place`, as its two keyframes do.
        turn_place: Part of the utterance after which the second begins, at the nearest pause between words.
    """

    id: str
    text: str
    voice: str
    split: str
    seed: int
    label: str | None
    intensity: float
    keyframes: tuple[Point, ...]
    weights: tuple[Mix, ...] = ()
    turn_place: float | None = None

    def avd(self, tokens: list[str]) -> NDArray[np.float64]:
        """Return arousal, valence, dominance per token [N, 3], moving smoothly between the keyframes, or turning at once."""
        frames = np.array(self.keyframes)  # [keyframes, 3]
        if self.turn_place is not None:
            return frames[self._is_second(tokens).astype(int)]
        place = np.linspace(0.0, len(frames) - 1.0, len(tokens))
        low = np.minimum(place.astype(np.int64), max(len(frames) - 2, 0))
        x = place - low
        x = (x * x * (3.0 - 2.0 * x))[:, None]
        return (1.0 - x) * frames[low] + x * frames[np.minimum(low + 1, len(frames) - 1)]

    def label_weights(self, tokens: list[str]) -> NDArray[np.float64]:
        """Return the category weights per token [N, K]: weight times intensity in each label's column."""
        mixes = self.weights or ((() if self.label is None else ((self.label, self.intensity),)),)
        columns = np.zeros((2, len(LABELS)))
        for row, mix in zip(columns, mixes if len(mixes) == 2 else mixes * 2, strict=True):
            for label, weight in mix:
                row[LABEL_INDEX[label]] += weight
        columns[:, LABEL_INDEX["neutral"]] = 0.0  # neutral is the absence of weight
        return columns[self._is_second(tokens).astype(int)]

    def _is_second(self, tokens: list[str]) -> NDArray[np.bool_]:
        """Mark the tokens after the turn [N]."""
        places = np.arange(len(tokens))
        inner = [i for i, token in enumerate(tokens) if is_pause(token) and 0 < i < len(tokens) - 1]
        if self.turn_place is None or not inner:
            return np.zeros(len(tokens), bool)
        return places >= min(inner, key=lambda i: abs(i - float(self.turn_place or 0.0) * len(tokens)))


@dataclass(frozen=True)
class Shard:
    """Utterances that are rendered, checked and stored together."""

    name: str
    utterances: tuple[Utterance, ...]


def read_sentences(paths: list[Path]) -> list[str]:
    """Read one sentence per line; blank lines, lines starting with # and repetitions are left out.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the files hold no sentence.
    """
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"no sentence file at {', '.join(missing)}")
    lines = [line.strip() for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    sentences = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not sentences:
        raise ValueError(f"no sentences in {', '.join(map(str, paths))}")
    return sentences


def plan_shards(
    sentences: list[str],
    test_sentences: list[str],
    hours: dict[str, float],
    seed: int,
    shard_size: int,
    test_per_voice: int,
) -> list[Shard]:
    """Plan the corpus.

    Args:
        sentences: For training; 2 % of them, by hash, are for validation.
        test_sentences: Kept for the test split; those that are also in `sentences` stay out of training.
        hours: Speech per voice; rounded to whole shards, at least one.
        seed: Changes everything that is random.
        shard_size: Utterances per shard.
        test_per_voice: Utterances of the test split per voice.

    Returns:
        Shards in the order of rounds over the voices, so that an unfinished corpus is balanced.
    """
    if shard_size < 1:
        raise ValueError(f"shard_size must be at least 1; got {shard_size}")
    train = [sentence for sentence in sentences if sentence not in set(test_sentences)]
    mean_s = float(np.mean([expected_duration_s(sentence) for sentence in train]))
    rounds: list[tuple[int, Shard]] = []
    for voice, voice_hours in hours.items():
        if voice_hours <= 0:
            continue
        stream = _stream(train, voice, seed, is_test=False)
        for number in range(max(1, round(voice_hours * 3_600.0 / (mean_s * shard_size)))):
            rounds.append((number, Shard(f"{voice}-{number:04d}", tuple(islice(stream, shard_size)))))
        tests = islice(_stream(test_sentences, voice, seed, is_test=True), test_per_voice)
        for number, part in enumerate(_chunks(tests, shard_size)):
            rounds.append((number, Shard(f"{voice}-test-{number:04d}", part)))
    return [shard for _, shard in sorted(rounds, key=lambda pair: pair[0])]


def expected_duration_s(text: str) -> float:
    """Guess how long a sentence takes to say."""
    return 0.4 + 0.055 * len(text)


def fingerprint(shard: Shard) -> str:
    """Hash a shard's utterances: a stored shard with another fingerprint belongs to another plan."""
    return hashlib.sha256(repr(shard).encode()).hexdigest()[:16]


def _stream(sentences: list[str], voice: str, seed: int, is_test: bool) -> Iterator[Utterance]:
    """Yield utterances without end: pass after pass over the sentences, each in its own order."""
    passage = 0
    while True:
        prefix = f"{voice}-t{passage:02d}" if is_test else f"{voice}-{passage:03d}"
        order = np.random.default_rng(_hash(f"{seed}:{prefix}")).permutation(len(sentences))
        for index in order:
            text = sentences[index]
            identity = f"{prefix}-{_hash(text) % 16**8:08x}"
            split = "test" if is_test else _split(text)
            yield _sample_utterance(identity, text, voice, split, _hash(f"{seed}:{identity}"))
        passage += 1


def _sample_utterance(identity: str, text: str, voice: str, split: str, seed: int) -> Utterance:
    generator = np.random.default_rng(seed)
    kind = KINDS[generator.choice(len(KINDS), p=KIND_SHARES)]
    label: str | None = None
    intensity = 0.0
    weights: tuple[Mix, ...] = ()
    turn_place: float | None = None
    if kind == "neutral":
        label = "neutral"
        points = generator.normal(0.0, NEUTRAL_AVD_SD, (1, 3))
    elif kind in ("category", "moved"):
        label = str(generator.choice([name for name in LABELS if name != "neutral"]))
        intensity = round(float(generator.uniform(*INTENSITY_RANGE)), 3)
        points = intensity * np.array([AVD_MEANS[label]]) + generator.normal(0.0, AVD_SD, (1, 3))
        if kind == "moved":  # one dimension is not where the label has it
            points[0, generator.integers(3)] = generator.uniform(-1.0, 1.0)
    elif kind in ("mixture", "turn"):
        weights = _sample_mixture(generator) if kind == "mixture" else (_sample_one(generator), _sample_one(generator))
        means = [sum(w * np.array(AVD_MEANS[name]) for name, w in mix) for mix in weights]
        points = np.array(means) + generator.normal(0.0, AVD_SD, (1, 3))
        if kind == "turn":
            turn_place = round(float(generator.uniform(*TURN_PLACE)), 3)
    else:
        n_points = 1 if kind == "point" else int(generator.integers(2, 4))
        points = generator.uniform(-1.0, 1.0, (n_points, 3))
    rounded = np.round(np.clip(points, -1.0, 1.0), 3).tolist()
    keyframes: tuple[Point, ...] = tuple((a, v, d) for a, v, d in rounded)
    return Utterance(identity, text, voice, split, seed, label, intensity, keyframes, weights, turn_place)


def _sample_one(generator: np.random.Generator) -> Mix:
    """Draw one label, neutral among them, with its intensity."""
    return ((str(generator.choice(LABELS)), round(float(generator.uniform(*INTENSITY_RANGE)), 3)),)


def _sample_mixture(generator: np.random.Generator) -> tuple[Mix]:
    """Draw two different labels with their weights."""
    names = generator.choice([name for name in LABELS if name != "neutral"], 2, replace=False)
    total, share = generator.uniform(*MIXTURE_SUM), generator.uniform(*MIXTURE_SHARE)
    return (((str(names[0]), round(total * share, 3)), (str(names[1]), round(total * (1.0 - share), 3))),)


def _split(text: str) -> str:
    return "valid" if _hash(f"split:{text}") % 10_000 < VALID_SHARE * 10_000 else "train"


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1  # fits a signed 64-bit integer


def _chunks(utterances: Iterator[Utterance], size: int) -> Iterator[tuple[Utterance, ...]]:
    while part := tuple(islice(utterances, size)):
        yield part
