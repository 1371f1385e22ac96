"""Read the affect words of a text with their negations, degrees and contrasts, and combine them to one place.

Comes in: English text. Goes out: `Part`s, one per affect word, and their weighted mean in arousal, valence, dominance.

References: Hutto & Gilbert, "VADER: a parsimonious rule-based model for sentiment analysis of social media text" (2014),
for negation, degree and "but"; Quirk et al., "A comprehensive grammar of the English language" (1985), 8.104-8.115, for the
classes of degree adverbs; Anderson, "Averaging versus adding as a stimulus-combination rule in impression formation"
(1965), for the mean with a neutral first impression.
Departure: VADER turns a negated word's sign by one factor (-0.74); "not sad" is not happy, so what is unpleasant or
low falls to near neutral, and only pleasant words turn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from emotts.emotion.affect import Entry, Place, find, scale

# Factor on the distance from neutral, and who sets it: maximizers, boosters, moderators, diminishers, minimizers.
_DEGREE_WORDS: dict[float, str] = {
    1.6: (
        "absolutely, utterly, completely, totally, entirely, extremely, supremely, incredibly, insanely, "
        "thoroughly, overwhelmingly, infinitely, eternally, exceedingly, sheer, pure, blind, nothing but, "
        "consumed by, consumed with, overcome with, overcome by, burning with, bursting with, out of his mind "
        "with, crazy with, mad with, sick with, beside himself with, beside herself with, scared to death with, "
        "unbelievably, wildly, madly, fully, perfectly, beyond, as can be, downright, positively"
    ),
    1.3: (
        "very, really, so, deeply, highly, truly, terribly, awfully, dreadfully, horribly, hugely, enormously, "
        "immensely, intensely, strongly, greatly, too, much, most, remarkably, particularly, especially, "
        "profoundly, desperately, seriously, extra, super, such, a lot, lots of, great, big, huge, painfully, "
        "frightfully, genuinely, uncontrollably, full of, filled with, more and more, increasingly, all, "
        "hopelessly, heavily, dead, hardly able to contain, barely able to contain, unable to contain, can hardly "
        "contain, can barely contain, barely containing, could not be, could not be more"
    ),
    1.15: ("more, even, just so, obviously, unmistakably"),
    0.85: (
        "rather, quite, pretty, fairly, reasonably, relatively, more or less, practically, bordering on, perhaps, "
        "maybe, on the verge of, on the edge of, on the brink of, moderately, probably"
    ),
    0.75: ("almost, nearly, close to, not entirely, not completely, not fully"),
    0.6: (
        "somewhat, kind of, sort of, partly, partially, in part, half, less, a bit, a little, a little bit, "
        "mildly, some, to some extent, ish"
    ),
    0.45: (
        "slightly, a touch, a touch of, a tad, a shade, a bit of, a note of, a dash of, a slight, slight, "
        "vaguely, faintly, faint, lightly, tinged with, a tinge of, an undertone of, a hint of, hint of, a trace "
        "of, a suspicion of, mild, gently, marginally"
    ),
    0.25: ("barely, hardly, scarcely, almost not, next to no, little"),
}
DEGREES = {phrase: factor for factor, phrases in _DEGREE_WORDS.items() for phrase in phrases.split(", ")}
AFTERWARDS = {"to death": 1.5, "beyond words": 1.5, "beyond measure": 1.5, "as hell": 1.5, "to the bone": 1.4, "indeed": 1.2,
              "at best": 0.8, "at most": 0.8}  # fmt: skip
NOT_VERY = {"not very", "not too", "not that", "not so", "not particularly", "not especially", "not overly", "not really",
            "not terribly", "not quite", "not exactly", "not all that"}  # fmt: skip
UNPLEASANT_REST, PLEASANT_TURN = 0.3, 0.6  # "not very sad" is a little sad; "not very happy" is not quite "not happy"

NEGATORS = {"not", "never", "no", "without", "lacking", "nor", "neither", "nothing", "free of", "lack of", "devoid of",
            "far from", "cannot", "anything but", "by no means", "instead of", "rather than", "none of", "cease to"}  # fmt: skip
# begin as negators or contrasts do, and are none
LOOKALIKES = {"not only", "not just", "not to mention", "no wonder", "no doubt", "no less", "never more", "never so",
              "but also"}  # fmt: skip
NEGATION_REACH = 5  # words after the negator
PLEASANT_TURNS = (-0.25, -0.5, -0.5)  # factor on arousal, valence, dominance of a pleasant word
QUIET_TURNS = (-0.6, -0.5, -0.5)  # of a pleasant word of low arousal: "not calm" is agitated
UNPLEASANT_FADES = (-0.25, -0.15, -0.3)

CONTRASTS = {"but", "yet", "however", "nevertheless", "nonetheless", "except"}
BEFORE_CONTRAST, AFTER_CONTRAST = 0.6, 1.3  # VADER has 0.5 and 1.5 for whole clauses of a review
CONCESSIONS = {"despite", "in spite of", "although", "though", "even though", "while", "under", "underneath", "beneath",
               "behind", "hiding", "concealing", "masking", "pretending to be", "notwithstanding"}  # fmt: skip
CONCEDED = 0.5
COMPARED = 0.4  # weight of Y in "more X than Y", of X in "less X than Y"
NEGATED = 0.35  # weight of a negated word beside one that is affirmed
MANNER_ADVERB = 0.6  # weight of "coldly" in "coldly polite"
AGREEMENT = 1.2  # "viciously mocking" is stronger than "mocking"
FIRST_IMPRESSION = 0.25  # Anderson's weight of the neutral first impression
SILENT = 0.06  # a word for the manner of a voice says nothing of a dimension in which it is smaller than this
FRAMES = (DEGREES, NEGATORS, LOOKALIKES, NOT_VERY, CONCESSIONS, CONTRASTS)
BREAKS = set(",;:.!?")


@dataclass(frozen=True)
class Part:
    """An affect word in its sentence.

    Attributes:
        words: as written.
        entry: what the list says of it.
        place: arousal, valence, dominance here, after degree and negation.
        weight: in the mean of all parts, at least 0.
        is_negated: whether the text says that it is not so.
    """

    words: str
    entry: Entry
    place: Place
    weight: float
    is_negated: bool = False


@dataclass
class _Reading:
    """What the words so far do to the affect word that comes next."""

    degree: float = 1.0
    negation_left: int = 0
    weight: float = 1.0
    is_comparing: str = ""  # "more" or "less"
    is_not_very: bool = False


def split_words(text: str) -> list[str]:
    """Return lower-case words and punctuation marks; "isn't" becomes "is", "not"."""
    text = text.lower().replace("’", "'")
    text = re.sub(r"\bcan't\b(?! wait| believe it)", "can not", text)
    text = re.sub(r"\bwon't\b", "will not", text)
    text = re.sub(r"(?<!\bcan)n't\b", " not", text)
    return re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?(?:-[^\W\d_]+)*|[,;:.!?]", text)


def read_parts(text: str, entries: Mapping[str, Entry]) -> tuple[list[Part], list[str]]:
    """Find the affect words of a text.

    Returns:
        The parts in order of appearance, and the words that are neither affect words nor degrees, negators or contrasts.
    """
    words = [piece for word in split_words(text) for piece in _known_pieces(word, entries)]
    parts: list[Part] = []
    others: list[str] = []
    state, at = _Reading(), 0
    while at < len(words):
        used = _read_frame(words, at, state, parts) if not _is_affect_here(words, at, entries) else 0
        if not used:
            found = find(words, at, entries)
            if found:
                entry, used = found
                parts.append(_make_part(" ".join(words[at : at + used]), entry, state))
                state.degree, state.is_not_very = 1.0, False
            else:
                others.append(words[at])
                used = 1
        state.negation_left = max(0, state.negation_left - used)
        at += used
    return _join_manner_adverbs(parts, words), others


def combine(parts: Sequence[Part]) -> Place:
    """Return the weighted mean place of the parts; more parts count a little more than one (Anderson 1965)."""
    is_any_affirmed = any(not part.is_negated for part in parts)
    place = []
    for axis in range(3):
        pairs = []
        for part in parts:
            weight = effective_weight(part, is_any_affirmed)
            if part.entry.use == "manner" and abs(part.entry.place[axis]) < SILENT and len(parts) > 1:
                weight = 0.0
            pairs.append((weight, part.place[axis]))
        total = sum(weight for weight, _ in pairs)
        if total == 0.0:
            place.append(0.0)
            continue
        count = total**2 / sum(weight**2 for weight, _ in pairs)
        gain = count * (1.0 + FIRST_IMPRESSION) / (count + FIRST_IMPRESSION)
        mean = sum(weight * x for weight, x in pairs) / total
        place.append(max(-1.0, min(1.0, gain * mean)))
    return place[0], place[1], place[2]


def effective_weight(part: Part, is_any_affirmed: bool) -> float:
    """Return a part's weight in the mean: stronger words weigh more, negated ones less than those affirmed."""
    strength = sum(x * x for x in part.place) ** 0.5
    return part.weight * (0.35 + strength) * (NEGATED if part.is_negated and is_any_affirmed else 1.0)


def negate(place: Place) -> Place:
    """Return where the denial of a word lies: a pleasant word turns, an unpleasant one fades."""
    pleasant = PLEASANT_TURNS if place[0] > 0.0 else QUIET_TURNS
    factors = pleasant if place[1] > 0.0 else UNPLEASANT_FADES
    arousal, valence, dominance = (factor * x for factor, x in zip(factors, place, strict=True))
    return arousal, valence, dominance


def _known_pieces(word: str, entries: Mapping[str, Entry]) -> list[str]:
    """Keep a hyphenated word that is listed; split one that is not."""
    return [word] if "-" not in word or find([word], 0, entries) else word.split("-")


def _is_affect_here(words: Sequence[str], at: int, entries: Mapping[str, Entry]) -> bool:
    """Tell an affect word from a degree that is spelled alike: "terribly" in "terribly anxious" is a degree."""
    found = find(words, at, entries)
    if not found:
        return False
    is_frame, length = _longest(words, at, FRAMES)
    if not is_frame or found[1] > length:
        return True
    after = at + length
    return after >= len(words) or words[after] in BREAKS or not _affect_within(words, after, entries)


def _affect_within(words: Sequence[str], at: int, entries: Mapping[str, Entry], reach: int = 2) -> bool:
    return any(find(words, i, entries) or words[i] in DEGREES for i in range(at, min(at + reach, len(words))))


def _longest(words: Sequence[str], at: int, tables: Sequence[Mapping[str, float] | set[str]]) -> tuple[str, int]:
    for length in range(min(5, len(words) - at), 0, -1):
        phrase = " ".join(words[at : at + length])
        if any(phrase in table for table in tables):
            return phrase, length
    return "", 0


def _read_frame(words: Sequence[str], at: int, state: _Reading, parts: list[Part]) -> int:
    """Let a mark, degree, negator or contrast act on the state or on the parts so far; return how many words it took."""
    tables = (*FRAMES, AFTERWARDS, BREAKS, {"than", "and"})
    phrase, length = _longest(words, at, tables)
    if phrase in BREAKS:
        state.degree, state.negation_left, state.is_comparing = 1.0, 0, ""
        state.weight = max(state.weight, 1.0)  # what follows "but" keeps its weight, what is conceded ends here
    elif phrase in CONTRASTS:
        parts[:] = [replace(part, weight=part.weight * BEFORE_CONTRAST) for part in parts]
        state.degree, state.negation_left, state.weight = 1.0, 0, AFTER_CONTRAST if parts else 1.0
    elif phrase in CONCESSIONS:
        state.weight = CONCEDED
    elif phrase == "than":
        if state.is_comparing == "less":
            parts[-1:] = [replace(part, weight=part.weight * COMPARED) for part in parts[-1:]]
        elif state.is_comparing == "more":
            state.weight = COMPARED
        state.degree, state.is_comparing = 1.0, ""
    elif phrase in NOT_VERY:
        state.is_not_very = True
    elif phrase in NEGATORS:
        state.negation_left = NEGATION_REACH + length
    elif phrase in AFTERWARDS:
        last = parts[-1:]
        parts[-1:] = [replace(part, place=scale(part.place, AFTERWARDS[phrase])) for part in last]
    elif phrase in ("more", "less") and "than" in words[at:]:
        state.is_comparing = phrase
    elif phrase == "half" and words.count("half") > 1:
        state.degree = 1.0
    elif phrase in DEGREES:
        state.degree *= DEGREES[phrase]
    elif phrase == "and":
        state.degree = 1.0
    return length


def _make_part(words: str, entry: Entry, state: _Reading) -> Part:
    place = scale(entry.place, state.degree)
    weight = state.weight * min(1.0, state.degree) ** 0.5
    if state.is_not_very:
        place = scale(negate(place), PLEASANT_TURN) if place[1] > 0.0 else scale(place, UNPLEASANT_REST)
    elif state.negation_left > 0:
        place = negate(place)
    is_negated = state.negation_left > 0 or (state.is_not_very and entry.place[1] > 0.0)
    return Part(words, entry, place, weight, is_negated)


def _join_manner_adverbs(parts: list[Part], words: Sequence[str]) -> list[Part]:
    """Let "coldly" in "coldly polite" weigh less, and let "viciously" strengthen "mocking"."""
    text = " ".join(words)
    joined = list(parts)
    for i, (first, second) in enumerate(zip(parts, parts[1:], strict=False)):
        if first.words.endswith("ly") and f"{first.words} {second.words}" in text and not second.is_negated:
            joined[i] = replace(first, weight=first.weight * MANNER_ADVERB)
            if first.entry.place[1] * second.entry.place[1] > 0.0 and first.entry.place[0] > 0.0:
                joined[i + 1] = replace(second, place=scale(second.place, AGREEMENT))
    return joined
