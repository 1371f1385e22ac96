"""How long each token lasts, bent to a wish: a total length, or the times of all words.

Comes in: a `Reading` [N] with its tokens. Goes out: the same reading with whole frames whose sum, or whose word borders, are
those that were asked for. As in human speech at another tempo, pauses give way most, then vowels, and plosives least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from emotts.audio import SPEC
from emotts.text.symbols import is_pause, is_vowel, phoneme_class
from emotts.word_times import WordTime, quoted

if TYPE_CHECKING:
    from emotts.prosody import Reading

TOTAL_STRETCH = (0.4, 2.5)  # least and most of the natural length, as in the range of `speed`
WORD_STRETCH = (0.25, 4.0)  # single words differ more than whole sentences do
LONGEST_GAP_S = 10.0  # as the longest [pause]
_PAUSE_WEIGHT, _VOWEL_WEIGHT = 1.5, 1.0  # share in a change of tempo, in log terms
_SOUND_WEIGHTS = {
    "nasal": 0.8, "liquid": 0.8, "glide": 0.7, "voiced fricative": 0.8, "voiceless fricative": 0.8,
    "voiced affricate": 0.6, "voiceless affricate": 0.6, "voiced plosive": 0.5, "voiceless plosive": 0.5, "tap": 0.3,
}  # fmt: skip


def fit_total(reading: Reading, tokens: Sequence[str], duration_s: float) -> Reading:
    """Stretch or shrink a reading to `duration_s` seconds, to the nearest frame.

    Args:
        reading: N tokens.
        tokens: phoneme tokens [N].
        duration_s: of the whole reading, its silences included.

    Returns:
        The reading with whole frames; their sum is `duration_s` in frames, rounded.

    Raises:
        ValueError: the duration is outside `feasible_total`.
    """
    natural = _natural(reading, tokens)
    low_s, high_s = feasible_total(reading, tokens)
    wanted = _finite("duration", duration_s)
    least, most = _frame_range(natural, _minimum(tokens), TOTAL_STRETCH)
    n_frames = round(wanted * SPEC.frame_rate) if 0.0 <= wanted < 1e6 else -1
    if not least <= n_frames <= most:
        raise ValueError(
            f"duration must be from {low_s:.2f} to {high_s:.2f} s for this text and voice, {TOTAL_STRETCH[0]:g} to "
            f"{TOTAL_STRETCH[1]:g} times its own {natural.sum() / SPEC.frame_rate:.2f} s; got {wanted:.2f} s."
        )
    return replace(reading, durations=_bend(natural, tokens, n_frames))


def feasible_total(reading: Reading, tokens: Sequence[str]) -> tuple[float, float]:
    """Return the least and the greatest length in seconds that `fit_total` grants, rounded inwards to 0.01 s."""
    least, most = _frame_range(_natural(reading, tokens), _minimum(tokens), TOTAL_STRETCH)
    return _inwards(least, most)


def fit_words(
    reading: Reading,
    tokens: Sequence[str],
    words: Sequence[int],
    times: Sequence[WordTime],
    total_s: float | None = None,
) -> Reading:
    """Put every word at its time: all borders are the asked ones to the nearest frame (within 5.4 ms).

    The time between two words goes to the pause tokens between them, a space included; where there is none, a gap of up
    to one frame goes to the word before. What comes before the first word lasts until it; what comes after the last lasts
    as the reading has it, or until `total_s`.

    Args:
        reading: N tokens.
        tokens: phoneme tokens [N].
        words: number of the word of each token, counted from 0; -1 for what belongs to none.
        times: start and end of each word, in order, in seconds from the start of the reading.
        total_s: length of the whole reading.

    Raises:
        ValueError: another number of words, a word outside 0.25 to 4 times its own length, a gap that nothing can carry.
    """
    natural = _natural(reading, tokens)
    spans = _word_spans(words, len(tokens))
    _check_times(times, len(spans))
    durations = np.zeros(len(tokens))
    at, border = 0, 0  # token and frame up to which everything has its place
    for number, ((first, last), time) in enumerate(zip(spans, times, strict=True)):
        start = round(time.start_s * SPEC.frame_rate)
        if first > at:
            durations[at:first] = _bend_gap(natural[at:first], start - border)
        elif start > border:
            _carry(durations, times, number, border, start)
        end = round(time.end_s * SPEC.frame_rate)
        durations[first:last] = _bend_word(natural[first:last], tokens[first:last], end - start, number, time)
        at, border = last, end
    if total_s is None:
        durations[at:] = _whole(natural[at:], np.zeros(len(tokens) - at), int(round(natural[at:].sum())))
    else:
        durations[at:] = _closing(natural[at:], border, _finite("total", total_s))
    return replace(reading, durations=durations)


def _bend(natural: np.ndarray, tokens: Sequence[str], n_frames: int) -> np.ndarray:
    """Bring durations [N] to whole frames with the sum `n_frames`: all times one factor, raised to the weight of each sound."""
    weights, minimum = np.array([_weight(token) for token in tokens]), _minimum(tokens)

    def bent(rate: float) -> np.ndarray:
        return np.maximum(natural * np.exp(rate * weights), minimum)

    low, high = -30.0, 30.0  # the sum grows with the rate; what is left of the interval after 80 halvings is rounding
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if bent(middle).sum() < n_frames else (low, middle)
    return _whole(bent(high), minimum, n_frames)


def _whole(frames: np.ndarray, minimum: np.ndarray, total: int) -> np.ndarray:
    """Round the borders of tokens [N] to whole frames with the sum `total`, none below its minimum."""
    if not len(frames):
        return np.zeros(0)
    borders = np.floor(np.cumsum(frames) + 0.5)
    borders[-1] = total
    ahead = np.cumsum(minimum)  # the least place of each border, and by how much it may come before the end
    borders = np.maximum.accumulate(borders - ahead) + ahead
    borders = np.minimum(np.maximum(borders, ahead), total - (ahead[-1] - ahead))
    return np.diff(borders, prepend=0.0)


def _bend_gap(natural: np.ndarray, n_frames: int) -> np.ndarray:
    """Share a gap among its pauses [P] as they would share it by themselves; a new one goes to all alike."""
    share = natural if natural.sum() > 0 else np.ones(len(natural))
    return _whole(share * (n_frames / share.sum()), np.zeros(len(natural)), n_frames)


def _bend_word(natural: np.ndarray, tokens: Sequence[str], n_frames: int, number: int, time: WordTime) -> np.ndarray:
    least, most = _frame_range(natural, _minimum(tokens), WORD_STRETCH)
    if not least <= n_frames <= most:
        low_s, high_s = _inwards(least + 1, most - 1)  # both borders are rounded, so a frame is kept in hand
        raise ValueError(
            f"word {number + 1} {quoted(time.word)} must last from {low_s:.2f} to {high_s:.2f} s ({WORD_STRETCH[0]:g} to "
            f"{WORD_STRETCH[1]:g} times its own {natural.sum() / SPEC.frame_rate:.2f} s); got {time.end_s - time.start_s:.3f} s, "
            f"from {time.start_s:.3f} to {time.end_s:.3f}. Move one of its borders."
        )
    return _bend(natural, tokens, n_frames)


def _carry(durations: np.ndarray, times: Sequence[WordTime], number: int, border: int, start: int) -> None:
    """Let the word before, whose last token is already set, hold its last sound over a gap of at most a frame."""
    before = times[number - 1].end_s if number else 0.0
    spans_a_frame = start / SPEC.frame_rate - before <= 1.0 / SPEC.frame_rate
    first = int(np.flatnonzero(durations)[-1]) if number else -1
    if first < 0 or not spans_a_frame:
        raise ValueError(
            f"word {number + 1} {quoted(times[number].word)} must start where the one before it ends, at {before:.3f} s, for "
            f"there is no pause between them in the text; got {times[number].start_s:.3f} s. Put a comma there, or close the gap."
        )
    durations[first] += start - border


def _closing(natural: np.ndarray, border: int, total_s: float) -> np.ndarray:
    """Give the tokens after the last word what is left of the whole."""
    left = round(total_s * SPEC.frame_rate) - border if abs(total_s) < 1e6 else -1
    longest = math.floor(LONGEST_GAP_S * SPEC.frame_rate)
    if not 0 <= left <= (longest if len(natural) else 0):
        low_s, high_s = _inwards(border, border + (longest if len(natural) else 0))
        raise ValueError(
            f"total must be from {low_s:.2f} to {max(low_s, high_s):.2f} s, as the last word ends at "
            f"{border / SPEC.frame_rate:.3f} s; got {total_s:.2f} s."
        )
    return _bend_gap(natural, left) if len(natural) else natural


def _check_times(times: Sequence[WordTime], n_words: int) -> None:
    if len(times) != n_words:
        raise ValueError(f"word times must name all {n_words} words of the text; got {len(times)}.")
    before = 0.0
    for number, time in enumerate(times):
        name = f"word {number + 1} {quoted(time.word)}"
        if not (math.isfinite(time.start_s) and math.isfinite(time.end_s)) or time.end_s <= time.start_s:
            raise ValueError(f"{name} must end after it starts; got {time.start_s:.3f} to {time.end_s:.3f} s.")
        if not before <= time.start_s + 1e-9:
            raise ValueError(f"{name} must start at {before:.3f} s or later; got {time.start_s:.3f} s. Sort the times.")
        if time.start_s - before > LONGEST_GAP_S:
            raise ValueError(
                f"{name} must start at most {LONGEST_GAP_S:g} s after {before:.3f} s, where the one before it ends; got "
                f"{time.start_s:.3f} s. Speak the parts one by one."
            )
        before = time.end_s


def _word_spans(words: Sequence[int], n_tokens: int) -> list[tuple[int, int]]:
    """Return first token and the one after the last of each word; pauses inside a word are part of it."""
    numbers = np.asarray(words, int)
    n_words = int(numbers.max(initial=-1)) + 1
    if len(numbers) != n_tokens:
        raise ValueError(f"words must have one number for each of {n_tokens} tokens; got {len(numbers)}.")
    if not n_words:
        raise ValueError("words must hold at least one word; all tokens are pauses.")
    places = [np.flatnonzero(numbers == word) for word in range(n_words)]
    spans = [(int(place[0]), int(place[-1]) + 1) if len(place) else (0, 0) for place in places]
    ends = [0] + [last for _, last in spans]
    if any(last == 0 or first < before for (first, last), before in zip(spans, ends, strict=False)):
        raise ValueError("words must be numbered 0, 1, 2 and so on in their order, each at least once.")
    return spans


def _natural(reading: Reading, tokens: Sequence[str]) -> np.ndarray:
    durations = np.asarray(reading.durations, np.float64)
    if len(durations) != len(tokens):
        raise ValueError(f"reading must have one duration for each of {len(tokens)} tokens; got {len(durations)}.")
    return np.maximum(durations, _minimum(tokens))


def _minimum(tokens: Sequence[str]) -> np.ndarray:
    return np.array([0.0 if is_pause(token) else 1.0 for token in tokens])


def _frame_range(natural: np.ndarray, minimum: np.ndarray, stretch: tuple[float, float]) -> tuple[int, int]:
    """Return the least and the most frames, both whole, in which these tokens can be spoken."""
    least = max(math.ceil(stretch[0] * natural.sum() - 1e-9), int(minimum.sum()))
    return least, max(least, math.floor(stretch[1] * natural.sum() + 1e-9))


def _inwards(least: int, most: int) -> tuple[float, float]:
    """Write a range of frames in seconds with 2 decimals that lie inside it, or nearest to it if none does."""
    low = math.ceil(least / SPEC.frame_rate * 100.0 - 1e-9) / 100.0
    return low, max(low, math.floor(most / SPEC.frame_rate * 100.0 + 1e-9) / 100.0)


def _weight(token: str) -> float:
    if is_pause(token):
        return _PAUSE_WEIGHT
    return _VOWEL_WEIGHT if is_vowel(token) else _SOUND_WEIGHTS[phoneme_class(token)]


def _finite(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number of seconds; got {value!r:.40}.")
    return float(value)
