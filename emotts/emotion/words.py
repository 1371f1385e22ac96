"""From a free description of how somebody speaks to a place in the emotion space: "relieved, but still shaking".

Comes in: English words. Goes out: a `Description`, an `EmotionSpec` with arousal, valence and dominance and, where clear
words say so, a label or a mixture; and the words that decided. Works offline with the project's own list (affect.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emotts.emotion.affect import Entry, Place, listed_forms, load_norms, own_words
from emotts.emotion.labels import AVD_MEANS, MAX_INTENSITY
from emotts.emotion.neighbours import Embed, neighbour_place
from emotts.emotion.phrases import DEGREES, Part, combine, effective_weight, read_parts, split_words
from emotts.emotion.spec import EmotionSpec

__all__ = ["Description", "describe", "load_norms"]

EXAMPLE = '"relieved, but still shaking"'
NORMS_ONLY = 0.5  # weight of a word that only the user's norms know
GUESSED = 0.5  # weight of a word placed by its neighbours, beside listed words
CLEAR_SHARE = 0.7  # of the labelled words, from which one label names the description
MIXED_SHARE = 0.2  # below this share a label does not enter a mixture
MOST_LABELS = 3  # in a mixture
LABELLED_SHARE = 0.3  # of all words that must carry labels before any label is given
_FUNCTION_WORDS = (
    "a an the and or of in on at to for with from by as like if is am are was were be been being it its this that these "
    "those he she they we you i him her them us me his my your their our who whose somebody someone something everyone "
    "everything person man woman voice tone sound sounds sounding sounded speaking speaks speak spoken spoke talking talks "
    "talk says say said saying speaker feels feel feeling felt seems seem seemed manner way kind sort mood bit touch it's "
    "i'm you're he's she's just still about into than then very has have had having do does did doing can could would "
    "should will may might must there here when where what which how some any every each other another own same only also "
    "after before up down out off over again once all both few one two old new little big"
)
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())


@dataclass(frozen=True)
class Description:
    """What a description says.

    Attributes:
        spec: arousal, valence and dominance, and a label or a mixture where clear words give one.
        deciding: the words that decided, the weightiest first.
        shares: each deciding word's part of the decision; they sum to 1.
        unknown: words that no list knows and that nothing was made of.
    """

    spec: EmotionSpec
    deciding: tuple[str, ...]
    shares: tuple[float, ...] = ()
    unknown: tuple[str, ...] = ()


def describe(text: str, norms: Mapping[str, Place] | None = None, embed: Embed | None = None) -> Description:
    """Place a description in the emotion space.

    Args:
        text: such as "barely annoyed", "half amused, half disgusted", "like a proud coach".
        norms: by word (arousal, valence, dominance) in [-1, 1], from `load_norms`; used over the own list.
        embed: sentence vectors [N, D] of N texts, from `neighbours.load_embedder`; words on no list are then placed by their
            nearest neighbours on the list.

    Raises:
        ValueError: not a text, no word in it, or only words that nothing knows.
    """
    if not isinstance(text, str) or not any(character.isalpha() for character in text):
        raise ValueError(
            f"words must describe a feeling or a manner of speaking; got {text!r:.60}. Example: {EXAMPLE}."
        )
    entries = _with_norms(own_words(), norms) if norms else own_words()
    parts, others = read_parts(text, entries)
    unknown = [word for word in others if word not in FUNCTION_WORDS and word not in DEGREES]
    if norms:
        parts += _norms_only(unknown, norms)
    if embed is not None:
        parts += _guessed(text, unknown, bool(parts), embed)
    if not parts:
        named = ", ".join(f'"{word}"' for word in unknown) or f'"{text:.60}"'
        raise ValueError(
            f"words: none of {named} is on the list of feelings and manners. Try other words, such as {EXAMPLE}."
        )
    used = {word for part in parts for word in split_words(part.words)}
    return _description(parts, tuple(word for word in unknown if word not in used))


def _description(parts: Sequence[Part], unknown: tuple[str, ...]) -> Description:
    arousal, valence, dominance = (round(x, 3) for x in combine(parts))
    is_any_affirmed = any(not part.is_negated for part in parts)
    weights = [effective_weight(part, is_any_affirmed) for part in parts]
    order = sorted(range(len(parts)), key=lambda i: -weights[i])
    labels = _labels(parts, weights)
    spec = EmotionSpec(**labels, arousal=arousal, valence=valence, dominance=dominance)
    names = tuple(("not " if parts[i].is_negated else "") + parts[i].words for i in order)
    total = sum(weights)
    return Description(spec, names, tuple(round(weights[i] / total, 3) for i in order), unknown)


def _labels(parts: Sequence[Part], weights: Sequence[float]) -> dict[str, Any]:
    """Return the fields `label` and `intensity`, or `mixture`, of what the words name; label None where they do not."""
    masses: dict[str, float] = {}
    for part, weight in zip(parts, weights, strict=True):
        for label, share in part.entry.labels:
            if not part.is_negated and label != "neutral":
                masses[label] = masses.get(label, 0.0) + weight * share
    labelled = sum(masses.values())
    if labelled < LABELLED_SHARE * sum(weights):
        return {"label": None}
    ordered = sorted(masses, key=lambda label: -masses[label])
    kept = [label for label in ordered[:MOST_LABELS] if masses[label] >= MIXED_SHARE * labelled] or ordered[:1]
    if masses[kept[0]] >= CLEAR_SHARE * labelled:
        kept = kept[:1]
    total = sum(masses[label] for label in kept)
    usual = sum(masses[label] / total * math.hypot(*AVD_MEANS[label]) for label in kept)
    named = [
        (w, math.hypot(*p.place)) for p, w in zip(parts, weights, strict=True) if p.entry.labels and not p.is_negated
    ]
    strength = sum(weight * length for weight, length in named) / sum(weight for weight, _ in named)
    intensity = min(MAX_INTENSITY, strength / usual)
    if len(kept) == 1:
        return {"label": kept[0], "intensity": round(intensity, 3)}
    mixture = tuple((label, math.floor(1e3 * intensity * masses[label] / total) / 1e3) for label in kept)
    return {"label": None, "mixture": mixture}


def _with_norms(entries: Mapping[str, Entry], norms: Mapping[str, Place]) -> dict[str, Entry]:
    """Return the own list with the places of the norms, where they have the word."""
    return {
        word: Entry(norms[word], entry.labels, entry.use) if word in norms else entry for word, entry in entries.items()
    }


def _norms_only(unknown: Sequence[str], norms: Mapping[str, Place]) -> list[Part]:
    parts = []
    for word in unknown:
        place = next((norms[form] for form in listed_forms(word) if form in norms), None)
        if place is not None:
            parts.append(Part(word, Entry(place), place, NORMS_ONLY))
    return parts


def _guessed(text: str, unknown: Sequence[str], has_known: bool, embed: Embed) -> list[Part]:
    """Place unknown words, or the whole text where no word is known, by their nearest neighbours on the list."""
    queries = list(unknown) if has_known or len(unknown) == 1 else [text]
    parts = []
    for query, (place, confidence) in zip(queries, neighbour_place(queries, own_words(), embed), strict=True):
        if confidence > 0.0:
            parts.append(Part(query, Entry(place), place, confidence * (GUESSED if has_known else 1.0)))
    return parts
