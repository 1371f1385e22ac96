"""How long each phoneme of a recorded clip lasts: from a TextGrid where there is one, else heard, else in proportion.

Comes in: tokens, the word of each, the energy of the frames, and what the speech encoder heard in them if it was asked. Goes out:
whole frames per token and the name of the method.
Inherent durations after Klatt, "Review by rule of segmental duration" (1979), Frontiers of Speech Communication Research, 287-300.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emotts.audio import SPEC
from emotts.content.segments import align_tokens
from emotts.content.speech_encoder import Heard
from emotts.data.textgrid import Interval
from emotts.text.symbols import SIL, SPACE, is_pause, is_vowel, phoneme_class, split_stress

EXPECTED_S = {
    "vowel": 0.085, "diphthong": 0.13, "nasal": 0.065, "liquid": 0.06, "glide": 0.06, "tap": 0.03, "voiced plosive": 0.06,
    "voiceless plosive": 0.075, "voiced fricative": 0.07, "voiceless fricative": 0.095, "voiced affricate": 0.085,
    "voiceless affricate": 0.11,
}  # fmt: skip
STRESSED = 1.3  # a stressed vowel lasts so many times longer
PAUSE_S = 0.15  # of punctuation within the clip
SPEECH_RANGE = 4.0  # natural log; frames further than 35 dB below the loudest are the silence around the speech
SLOWEST_S = 1.0  # mean length of a phoneme beyond which the text is of another clip
TEXTGRID, LISTENED, EXPECTED, NO_TEXT = "textgrid", "listened", "expected", "none"
ALIGNERS = (EXPECTED, LISTENED)  # what may take the place of a TextGrid
WORD_TIERS, PHONE_TIERS = ("words", "word", "ort-mau"), ("phones", "phone", "phonemes", "mau")
SILENCES = frozenset(("", "sil", "sp", "spn", "<eps>", "<sil>", "<p:>", "<unk>"))


@dataclass(frozen=True)
class Alignment:
    """Whole frames per token, and where they come from: TEXTGRID, LISTENED, EXPECTED or NO_TEXT."""

    durations: list[int]
    method: str


def expected_frames(tokens: Sequence[str]) -> np.ndarray:
    """Return how many frames each token is expected to last [N]; a space and the silence at the ends last none."""
    return np.array([_expected_s(token) * SPEC.frame_rate for token in tokens])


def align(
    tokens: Sequence[str],
    words: Sequence[int],
    energy: np.ndarray,
    tiers: dict[str, list[Interval]] | None = None,
    heard: Heard | None = None,
) -> Alignment:
    """Give every token its frames, in their order; every phoneme lasts at least one frame.

    Args:
        tokens: [N], `<sil>` at both ends.
        words: number of the word of each token, -1 for pauses [N].
        energy: natural log of the level of each frame [T].
        tiers: of a TextGrid of this clip, times counted from its first frame.
        heard: in this clip, T frames; used where there is no TextGrid.

    Raises:
        ValueError: the phonemes do not fit into the clip, it says something else, or the words of the TextGrid are others.
    """
    n_sounds = sum(not is_pause(token) for token in tokens)
    if not n_sounds:
        return Alignment(_silent(tokens, len(energy)), NO_TEXT)
    if n_sounds > len(energy) - 2:
        raise ValueError(
            f"{n_sounds} phonemes do not fit into {len(energy) / SPEC.frame_rate:.2f} s; is the text of another clip?"
        )
    if len(energy) / SPEC.frame_rate > SLOWEST_S * n_sounds:
        raise ValueError(
            f"{n_sounds} phonemes would fill {len(energy) / SPEC.frame_rate:.1f} s; is the text of another clip?"
        )
    if tiers is not None:
        return Alignment(_by_words(tokens, words, tiers, len(energy)), TEXTGRID)
    if heard is not None:
        return Alignment(align_tokens(heard, tokens), LISTENED)
    return Alignment(_by_expectation(tokens, energy), EXPECTED)


def speech_bounds(energy: np.ndarray) -> tuple[int, int]:
    """Return the first frame of speech and the one after the last, of natural log energy [T]."""
    loud = np.flatnonzero(energy > energy.max() - SPEECH_RANGE)
    return int(loud[0]), int(loud[-1]) + 1


def _by_expectation(tokens: Sequence[str], energy: np.ndarray) -> list[int]:
    """Stretch the expected durations evenly over the speech between the silences at both ends."""
    first, last = speech_bounds(energy)
    inner = tokens[1:-1]
    n_sounds = sum(not is_pause(token) for token in inner)
    if last - first < n_sounds:  # a whisper between loud clicks: take all but a frame at each end
        first, last = 1, len(energy) - 1
    return [first, *_share(expected_frames(inner), inner, last - first), len(energy) - last]


def _by_words(
    tokens: Sequence[str], words: Sequence[int], tiers: dict[str, list[Interval]], n_frames: int
) -> list[int]:
    """Put every word at its times; within a word, its phones at theirs if there are as many, else by expectation."""
    spans = [(words.index(k), len(words) - list(reversed(words)).index(k)) for k in sorted(set(words) - {-1})]
    spoken = [interval for interval in _tier(tiers, WORD_TIERS) if interval.text.lower() not in SILENCES]
    if len(spoken) != len(spans):
        raise ValueError(
            f"the TextGrid must have the {len(spans)} words of the text in a tier {WORD_TIERS[0]!r}; got {len(spoken)}."
        )
    phones = [phone for phone in _tier(tiers, PHONE_TIERS) if phone.text.lower() not in SILENCES]
    durations = np.zeros(len(tokens), int)
    at, border = 0, 0
    for (first, last), word in zip(spans, spoken, strict=True):
        part = tokens[first:last]
        n_sounds = sum(not is_pause(token) for token in part)
        start = max(border, round(word.start_s * SPEC.frame_rate))
        end = min(n_frames, max(round(word.end_s * SPEC.frame_rate), start + n_sounds))
        if end - start < n_sounds:
            raise ValueError(f"word {word.text!r} of the TextGrid ends after the clip, at {word.end_s:.2f} s.")
        _give_gap(durations, tokens, at, first, start - border)
        durations[first:last] = _within(
            part, start, end, [p for p in phones if word.start_s - 1e-3 <= p.start_s < word.end_s - 1e-3]
        )
        at, border = last, end
    _give_gap(durations, tokens, at, len(tokens), n_frames - border)
    return [int(duration) for duration in durations]


def _within(tokens: Sequence[str], start: int, end: int, phones: Sequence[Interval]) -> list[int]:
    """Return the frames of the tokens of one word."""
    if len(phones) == len(tokens) and not any(is_pause(token) for token in tokens):
        borders = np.array([start, *(round(phone.end_s * SPEC.frame_rate) for phone in phones[:-1]), end])
        frames = np.diff(borders)
        if (frames >= 1).all():
            return [int(n) for n in frames]
    return _share(expected_frames(tokens), tokens, end - start)


def _give_gap(durations: np.ndarray, tokens: Sequence[str], first: int, last: int, gap: int) -> None:
    """Give the frames between two words to the pause there, or else to the sound before."""
    pauses = [k for k in range(first, last) if is_pause(tokens[k])]
    place = max(pauses, key=lambda k: (tokens[k] == SIL, tokens[k] != SPACE)) if pauses else first - 1
    durations[max(place, 0)] += gap


def _share(expected: np.ndarray, tokens: Sequence[str], n_frames: int) -> list[int]:
    """Round durations in proportion to `expected` [N] to whole frames with the sum `n_frames`, one at least for a sound."""
    least = np.array([0 if is_pause(token) else 1 for token in tokens])
    free = n_frames - int(least.sum())
    weight = np.maximum(expected - least, 0.0) + 1e-6 * least
    borders = np.floor(np.cumsum(weight) / weight.sum() * free + 0.5)
    borders[-1] = free
    return [int(n) for n in np.diff(borders, prepend=0.0) + least]


def _silent(tokens: Sequence[str], n_frames: int) -> list[int]:
    return [n_frames // 2] + [0] * (len(tokens) - 2) + [n_frames - n_frames // 2]


def _tier(tiers: dict[str, list[Interval]], names: Sequence[str]) -> list[Interval]:
    """Return the first tier of these names; aligners of several speakers write "name - words"."""
    return next((found for name in names for key, found in tiers.items() if key.split(" - ")[-1] == name), [])


def _expected_s(token: str) -> float:
    if is_pause(token):
        return 0.0 if token in (SIL, SPACE) else PAUSE_S
    return EXPECTED_S[phoneme_class(token)] * (STRESSED if is_vowel(token) and split_stress(token)[1] == 1 else 1.0)
