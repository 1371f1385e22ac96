"""Read the emotion of sentences off the sentences themselves: a story gets a smooth path of arousal, valence, dominance.

Comes in: sentences in their order. Goes out: one `EmotionSpec` each. What decides are words of feeling, events ("won",
"funeral"), interjections, punctuation and capitals, and, by exponential smoothing to both sides, the neighbours.

Reference: Hutto & Gilbert, "VADER" (2014), for the cues of punctuation and capitals.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from emotts.emotion.affect import Entry, Place, own_words
from emotts.emotion.labels import MAX_INTENSITY
from emotts.emotion.phrases import combine, read_parts
from emotts.emotion.spec import EmotionSpec

USES = ("feeling", "event")  # of the list; words for the manner of a voice tell nothing here
EXCLAMATION = 0.22  # arousal that the first "!" adds; each further one adds half of the one before, up to three
QUESTION_AND_EXCLAMATION = (0.30, -0.10, -0.05)  # "?!"
TRAILING_OFF = (-0.25, -0.08, -0.10)  # "..."
CAPITALS = (0.20, 0.0, 0.10)  # a word of capitals among others that are not
LONGEST_ABBREVIATION = 2  # letters: "OK", "TV" are not shouted
OWN = 0.6  # share of a sentence's own emotion in its place, the rest is its neighbours'
DECAY = 0.45  # of a neighbour's part with every sentence between
REACH = 30  # sentences to each side; what is further off weighs less than 1e-9
NEUTRAL_BELOW = 0.05  # distance from neutral that is not worth a colour


def read_emotions(sentences: Sequence[str], strength: float = 1.0) -> list[EmotionSpec]:
    """Return the emotion of each sentence, its neighbours considered.

    Args:
        sentences: in the order in which they are spoken; an empty one is as plain as a plain one.
        strength: factor on the distance from neutral, 0 (neutral) to 1.5.

    Raises:
        ValueError: a single text in place of a sequence, an item that is no text, or a strength out of range.
    """
    if isinstance(sentences, str) or not all(isinstance(sentence, str) for sentence in sentences):
        raise ValueError(
            f"sentences must be a sequence of texts; got {sentences!r:.60}. Example: ['We won!', 'Then it rained.']."
        )
    if isinstance(strength, bool | str) or not 0.0 <= strength <= MAX_INTENSITY:
        raise ValueError(
            f"auto must have a strength from 0 to {MAX_INTENSITY:g}; got {strength!r:.40}. Example: auto:0.7."
        )
    return [_spec(place, strength) for place in smooth([read_place(sentence) for sentence in sentences])]


def read_place(sentence: str) -> Place:
    """Return arousal, valence, dominance of one sentence by itself."""
    parts, _ = read_parts(sentence, running_words())
    return _add_cues(combine(parts), find_cues(sentence))


def smooth(places: Sequence[Place]) -> list[Place]:
    """Draw each place towards its neighbours' mean, whose weights fall exponentially with the distance."""
    smoothed = []
    for i, own in enumerate(places):
        near = range(max(0, i - REACH), min(len(places), i + REACH + 1))
        weights = [DECAY ** (abs(i - j) - 1) if j != i else 0.0 for j in near]
        total = sum(weights)
        if total == 0.0:
            smoothed.append(own)
            continue
        around = [
            sum(w * place[axis] for w, place in zip(weights, (places[j] for j in near), strict=True)) / total
            for axis in range(3)
        ]
        arousal, valence, dominance = (OWN * x + (1.0 - OWN) * y for x, y in zip(own, around, strict=True))
        smoothed.append((arousal, valence, dominance))
    return smoothed


@cache
def running_words() -> Mapping[str, Entry]:
    """Return the part of the word list that tells of feelings in running text."""
    return {word: entry for word, entry in own_words().items() if entry.use in USES}


@dataclass(frozen=True)
class Cues:
    """What the writing shows beside the words: numbers of "!", of "?!" together, of "...", of words in capitals."""

    exclamations: int = 0
    interrobangs: int = 0
    trailing: int = 0
    capitals: int = 0


def find_cues(sentence: str) -> Cues:
    """Count the cues in a sentence."""
    words = re.findall(r"[^\W\d_]{2,}", sentence)
    shouted = [word for word in words if word.isupper() and len(word) > LONGEST_ABBREVIATION]
    return Cues(
        exclamations=min(3, sentence.count("!")),
        interrobangs=len(re.findall(r"\?+!|!+\?", sentence)),
        trailing=len(re.findall(r"\.{3}|…", sentence)),
        capitals=len(shouted),
    )


def _add_cues(place: Place, cues: Cues) -> Place:
    total = list(place)
    total[0] += EXCLAMATION * (2.0 - 2.0 * 0.5**cues.exclamations)
    if cues.exclamations and total[0] < 0.0:
        total[0] = 0.0  # nobody exclaims in a sleepy voice
    shifts = [(QUESTION_AND_EXCLAMATION, cues.interrobangs), (TRAILING_OFF, cues.trailing), (CAPITALS, cues.capitals)]
    for shift, count in shifts:
        for axis in range(3):
            total[axis] += shift[axis] * min(count, 2)
    arousal, valence, dominance = (max(-1.0, min(1.0, x)) for x in total)
    return arousal, valence, dominance


def _spec(place: Place, strength: float) -> EmotionSpec:
    """Return the place by strength; where it is next to neutral, the label neutral."""
    arousal, valence, dominance = (max(-1.0, min(1.0, round(strength * x, 3))) for x in place)
    if math.hypot(arousal, valence, dominance) < NEUTRAL_BELOW:
        return EmotionSpec()
    return EmotionSpec(None, arousal=arousal, valence=valence, dominance=dominance)
