"""Which utterances an evaluation asks for: texts, voices and a suite come in, a list of `Cell`s goes out.

Five parts: `category` (labels and intensities), `sweep` (one dimension at a time), `point` (free places of the emotion space),
`conflict` (words that say one thing, asked to sound like another) and `loop` (free places that the closed loop steers to).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABELS

# Plain words, so that the voice has to carry the emotion. None of them stands in recipes/sentences.
TEXTS: tuple[str, ...] = (
    "The parcel lies on the kitchen counter.",
    "They moved the meeting to half past nine.",
    "Someone left a blue umbrella in the hallway.",
    "The bus stops right behind the library.",
    "We put the new chairs beside the window.",
    "My cousin called while you were outside.",
    "The second door leads down to the garage.",
    "He wrote the number on the back of the card.",
    "The shop around the corner opens at seven.",
    "You will find the keys under the green bowl.",
    "A letter from the office came this morning.",
    "She walked along the river after dinner.",
)
CHEERFUL: tuple[str, ...] = (
    "We won the prize and the whole town is dancing!",
    "What a wonderful day, the baby is laughing again.",
    "I got the job, let us all celebrate tonight!",
    "The summer holidays start tomorrow and I love it.",
)
MOURNFUL: tuple[str, ...] = (
    "The old dog died last night and I miss him.",
    "They lost their home and everything in it.",
    "Nobody came to her funeral but the neighbors.",
    "I failed again and there is no hope left.",
)
REACH = 0.8  # the closed loop is asked for places this far out at most, so that there is room to correct


@dataclass(frozen=True)
class Cell:
    """One utterance to make.

    Attributes:
        part: "category", "sweep", "point", "conflict" or "loop".
        text, voice, seed: as in `EmoTTS.synthesize`.
        label: a name of LABELS, or None where only dimensions are asked.
        intensity: of the label; 0 for neutral.
        avd: arousal, valence and dominance asked; those that the label implies where there is one.
        dimension: the one that a sweep moves, else None.
        words: what the words of a conflict say, "cheerful" or "mournful", else None.
        is_transcribed: whether words and quality are measured too, which takes longest.
    """

    part: str
    text: str
    voice: str
    seed: int
    label: str | None
    intensity: float
    avd: tuple[float, float, float]
    dimension: str | None = None
    words: str | None = None
    is_transcribed: bool = False

    def options(self) -> dict[str, Any]:
        """Return the arguments for `EmoTTS.synthesize` besides the text."""
        if self.label is not None:
            return {"voice": self.voice, "seed": self.seed, "emotion": f"{self.label}:{self.intensity:g}"}
        return {"voice": self.voice, "seed": self.seed, **dict(zip(DIMENSIONS, self.avd, strict=True))}

    def key(self, system: str) -> str:
        """Return a digest of this request and of the system that answers it (its checkpoint, code and judges)."""
        text = json.dumps([asdict(self), system], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Suite:
    """How large a grid is.

    Attributes:
        n_texts: texts; each is spoken by one voice in turn, or by `voices_per_text`.
        n_voices: voices at most.
        voices_per_text: voices that speak every text.
        texts_per_label: pairs of text and voice that every label gets.
        intensities: of every label, besides neutral.
        sweep: values of every dimension. sweep_pairs: pairs of text and voice that are swept.
        n_points: free places. n_conflicts: cheerful and, again, mournful texts. conflict_voices: voices of each.
        n_loops: places for the closed loop. n_ceiling: utterances of a corpus that are measured.
        n_sources: utterances of the model that are converted. labels_per_source: emotions into which each of them, and each
            recording, is converted.
    """

    n_texts: int
    n_voices: int
    voices_per_text: int
    texts_per_label: int
    intensities: tuple[float, ...]
    sweep: tuple[float, ...]
    sweep_pairs: int
    n_points: int
    n_conflicts: int
    conflict_voices: int
    n_loops: int
    n_ceiling: int
    n_sources: int = 0
    labels_per_source: int = 0


SIZES = {
    "quick": Suite(8, 4, 1, 4, (0.5, 1.0), (-1.0, -0.5, 0.0, 0.5, 1.0), 2, 20, 2, 1, 8, 24, 6, 3),
    "full": Suite(
        12,
        99,
        4,
        24,
        (0.25, 0.5, 0.75, 1.0),
        tuple(np.linspace(-1.0, 1.0, 9).tolist()),
        12,
        144,
        4,
        4,
        48,
        240,
        48,
        11,
    ),
}


def suite_named(name: str) -> Suite:
    """Return the size of a suite.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in SIZES:
        raise ValueError(f"suite must be one of {', '.join(SIZES)}; got {name!r:.40}.")
    return SIZES[name]


def make_grid(suite: Suite, voices: Sequence[str], seed: int = 0) -> list[Cell]:
    """Return the cells of a suite in the order in which they are made: neutral ones first, since others are compared with them.

    Args:
        suite: how large.
        voices: names of the model's voices; the first `suite.n_voices` are used.
        seed: of every reading, and of the free places.
    """
    voices = list(voices)[: suite.n_voices]
    pairs = [
        (text, voices[(i + j * max(1, len(voices) // suite.voices_per_text)) % len(voices)])
        for i, text in enumerate(TEXTS[: suite.n_texts])
        for j in range(min(suite.voices_per_text, len(voices)))
    ]
    return [
        *_neutrals(pairs, seed),
        *_categories(suite, pairs, seed),
        *_sweeps(suite, pairs, seed),
        *_points("point", suite.n_points, 1.0, pairs, seed),
        *_conflicts(suite, voices, seed),
        *_points("loop", suite.n_loops, REACH, pairs, seed + 1),
    ]


def spread_voices(names: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Order voices so that the first ones come from different groups, such as teachers; the order within a group stays."""
    members: dict[str, list[str]] = {}
    for name, group in zip(names, groups, strict=True):
        members.setdefault(group, []).append(name)
    longest = max((len(m) for m in members.values()), default=0)
    return [m[i] for i in range(longest) for m in members.values() if i < len(m)]


def _neutrals(pairs: Sequence[tuple[str, str]], seed: int) -> list[Cell]:
    return [Cell("category", *pair, seed, "neutral", 0.0, (0.0, 0.0, 0.0), is_transcribed=True) for pair in pairs]


def _categories(suite: Suite, pairs: Sequence[tuple[str, str]], seed: int) -> list[Cell]:
    cells = []
    for k, label in enumerate(name for name in LABELS if name != "neutral"):
        for j in range(min(suite.texts_per_label, len(pairs))):
            text, voice = pairs[(k + j) % len(pairs)]
            for intensity in suite.intensities:
                cells.append(_labelled("category", text, voice, seed, label, intensity, intensity == 1.0))
    return cells


def _sweeps(suite: Suite, pairs: Sequence[tuple[str, str]], seed: int) -> list[Cell]:
    """Move one dimension with the two others at 0; the middle is made once per pair and belongs to all three."""
    cells = []
    for text, voice in _every(pairs, suite.sweep_pairs):
        cells.append(Cell("sweep", text, voice, seed, None, 0.0, (0.0, 0.0, 0.0)))
        for i, dimension in enumerate(DIMENSIONS):
            for value in suite.sweep:
                place = [0.0, 0.0, 0.0]
                place[i] = value
                if value != 0.0:
                    cells.append(Cell("sweep", text, voice, seed, None, 0.0, (place[0], place[1], place[2]), dimension))
    return cells


def _points(part: str, n: int, reach: float, pairs: Sequence[tuple[str, str]], seed: int) -> list[Cell]:
    """Draw a Latin hypercube: every dimension takes n equally spaced values up to `reach`, in three independent orders."""
    levels = reach * ((np.arange(n) + 0.5) / max(1, n) * 2.0 - 1.0)
    generator = np.random.default_rng(seed)
    places = np.stack([generator.permutation(levels) for _ in DIMENSIONS], axis=-1).round(3)
    return [
        Cell(part, *pairs[i % len(pairs)], seed, None, 0.0, (float(a), float(v), float(d)))
        for i, (a, v, d) in enumerate(places)
    ]


def _conflicts(suite: Suite, voices: Sequence[str], seed: int) -> list[Cell]:
    cells = []
    for words, texts in (("cheerful", CHEERFUL), ("mournful", MOURNFUL)):
        for i, text in enumerate(texts[: suite.n_conflicts]):
            for j in range(min(suite.conflict_voices, len(voices))):
                voice = voices[(i + j) % len(voices)]
                for label in ("happy", "sad"):
                    cells.append(_labelled("conflict", text, voice, seed, label, 1.0, True, words))
    return cells


def _labelled(
    part: str, text: str, voice: str, seed: int, label: str, intensity: float, whole: bool, words: str | None = None
) -> Cell:
    a, v, d = (float(round(mean * intensity, 4)) for mean in AVD_MEANS[label])
    return Cell(part, text, voice, seed, label, intensity, (a, v, d), words=words, is_transcribed=whole)


def _every(pairs: Sequence[tuple[str, str]], n: int) -> list[tuple[str, str]]:
    """Return n pairs, spread evenly over texts and, by one more step each time, over voices."""
    if n >= len(pairs):
        return list(pairs)
    return list(dict.fromkeys(pairs[(i * len(pairs) // n + i) % len(pairs)] for i in range(n)))
