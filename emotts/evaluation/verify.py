"""Prove that every knob works: knobs and a model come in, a verdict per knob goes out, with what it costs in words and in voice.

A knob fails where its feature does not move by `min_change`, does not follow the values in order, or costs more than allowed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from emotts.emotion.heard import Judge
from emotts.evaluation.grid import TEXTS
from emotts.evaluation.knobs import CountWords, Knob, Take
from emotts.metrics.statistics import spearman
from emotts.reference import LearningJudge, acquaint

if TYPE_CHECKING:
    from emotts.pipeline import EmoTTS

MIN_ORDER = 0.5  # mean rank correlation of feature and value over texts and voices
MAX_WORD_ERRORS = 10.0  # percentage points above the same texts with no knob turned
SPARE_WORDS = 2  # so many more wrong words never fail a knob: few texts are spoken, and one slip is no cost
MIN_SPEAKER_SIM = 0.70  # mean cosine with the neutral rendering, or with what is converted, at the knob's worst value


@dataclass(frozen=True)
class Verdict:
    """What a sweep showed.

    Attributes:
        name, promise: of the knob. values: swept.
        change: of the feature, signed so that up is as promised; for direction 0 the smallest difference of two values.
        needed: the change that was needed. order: mean signed rank correlation, None for direction 0.
        word_errors: percentage points above the unturned knob, or what is converted, at the worst value; None where words were
            not counted.
        lost_words: the same as a number of words.
        speaker_sim: lowest mean cosine over the values, None where the knob may change the voice.
        problems: why it fails; empty where it passes.
        means: of the feature at each value over all places; empty for direction 0.
    """

    name: str
    promise: str
    values: tuple[Any, ...]
    change: float
    needed: float
    order: float | None
    word_errors: float | None
    lost_words: int
    speaker_sim: float | None
    problems: tuple[str, ...]
    means: tuple[float, ...] = ()

    @property
    def is_passed(self) -> bool:
        return not self.problems


@dataclass(frozen=True)
class Bench:
    """What a verification needs besides the knobs.

    Attributes:
        tts: the model. judge: the independent one; it is told the neutral speech of every voice.
        embed: maps a waveform [L] at 24 kHz to a unit vector of the speaker.
        count_words: counts wrong words and words; None leaves words out.
        places: pairs of text and voice on which every knob is swept.
        seed: of all readings.
        kept: takes that outlive a knob, see `Take`.
    """

    tts: "EmoTTS"
    judge: LearningJudge
    embed: Callable[[np.ndarray], np.ndarray]
    count_words: CountWords | None
    places: Sequence[tuple[str, str]]
    seed: int = 1
    kept: dict[str, Take] = field(default_factory=dict, repr=False)

    @cached_property
    def judges(self) -> dict[str, Judge]:
        """The judge as it knows every voice of the places."""
        return {voice: acquaint(self.judge, self.tts, voice) for _, voice in self.places}

    def start(self) -> list[Take]:
        """Return a plain take of every place; takes that come from it are not made twice, and go with it."""
        made: dict[str, Take] = {}
        return [
            Take(
                self.tts, self.judges[v], self.embed, t, {"voice": v, "seed": self.seed}, made, self.kept, self.count_words
            )
            for t, v in self.places
        ]  # fmt: skip


def places_for(voices: Sequence[str], is_quick: bool) -> list[tuple[str, str]]:
    """Return the pairs of text and voice of a verification: two, or eight that cycle through up to four voices."""
    n = 2 if is_quick else 8
    return [(TEXTS[i], voices[i % min(4, len(voices))]) for i in range(n)]


def verify(bench: Bench, knobs: Sequence[Knob], progress: Callable[[int, int], None] | None = None) -> list[Verdict]:
    """Sweep every knob on every place.

    Args:
        bench: model, judges and places.
        knobs: what to sweep, see `knobs_of`.
        progress: called with (done, all) after every knob.
    """
    plain = bench.start()
    verdicts = []
    for i, knob in enumerate(knobs):
        verdicts.append(_judge_knob(bench, knob, plain))
        if progress is not None:
            progress(i + 1, len(knobs))
    return verdicts


def _judge_knob(bench: Bench, knob: Knob, plain: Sequence[Take]) -> Verdict:
    start, bases = bench.start(), [knob.base_of(take) for take in plain]
    takes = [[knob.take_at(value, take) for take in start] for value in knob.values]  # [values][places]
    features = [[knob.feature(take) for take in row] for row in takes]  # [values][places]
    order = None
    means: tuple[float, ...] = ()
    if knob.direction:
        table = np.array(features, np.float64)
        means = tuple(round(float(mean), 4) for mean in table.mean(axis=1))
        change = knob.direction * float(np.mean(table[-1] - table[0]))
        ranks = np.arange(len(knob.values))
        order = knob.direction * float(np.mean([spearman(ranks, table[:, j]) for j in range(table.shape[1])]))
    else:
        change = _smallest_difference(features)
    word_errors, lost_words = None, 0
    if bench.count_words is not None:
        wrong, words = _wrong_words(bases)
        lost_words = max(_wrong_words(row)[0] for row in takes) - wrong
        word_errors = 100.0 * lost_words / max(1, words)
    similarity = None
    if knob.keeps_voice:
        similarity = min(
            float(np.mean([t.speaker @ b.speaker for t, b in zip(row, bases, strict=True)])) for row in takes
        )
    problems = []
    if not change >= knob.min_change:  # also where it is no number
        problems.append(f"moves by {change:.3f}, needs {knob.min_change:g}")
    if order is not None and not order >= MIN_ORDER:
        problems.append(f"follows its values with {order:.2f}, needs {MIN_ORDER:g}")
    if word_errors is not None and word_errors > MAX_WORD_ERRORS and lost_words > SPARE_WORDS:
        problems.append(f"costs {word_errors:.1f} points of WER, allowed {MAX_WORD_ERRORS:g}")
    if similarity is not None and similarity < MIN_SPEAKER_SIM:
        problems.append(f"leaves speaker similarity {similarity:.2f}, needs {MIN_SPEAKER_SIM:g}")
    return Verdict(
        knob.name, knob.promise, knob.values, change, knob.min_change, order, word_errors, lost_words, similarity, tuple(problems),
        means,
    )  # fmt: skip


def _smallest_difference(features: list[list[Any]]) -> float:
    """Return the smallest mean absolute difference of two values over all places."""
    n = len(features)
    return min(
        float(np.mean([np.mean(np.abs(np.subtract(a, b))) for a, b in zip(features[i], features[j], strict=True)]))
        for i in range(n)
        for j in range(i)
    )


def _wrong_words(takes: Sequence[Take]) -> tuple[int, int]:
    """Return how many words of takes are wrong, and how many there are."""
    return sum(take.words[0] for take in takes), sum(take.words[1] for take in takes)
