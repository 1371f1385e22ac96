"""Fitting a reading to a total or to the times of words."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotts.prosody import Reading
from emotts.text.symbols import is_pause, is_vowel, phoneme_class
from emotts.timing import (
    feasible_total,
    fit_total,
    fit_words,
)
from emotts.word_times import WordTime

RATE = 93.75
HALF_FRAME_S = 0.5 / RATE + 1e-9
SOUNDS = ("h", "ə", "l", "ˈoʊ", "w", "ˈɚ", "d", "k", "ˈæ", "t", "s", "n", "ɾ", "d͡ʒ", "ɪ")
HELLO = ["<sil>", "h", "ə", "l", "ˈoʊ", ",", "w", "ˈɚ", "l", "d", ".", "<sil>"]
HELLO_WORDS = [-1, 0, 0, 0, 0, -1, 1, 1, 1, 1, -1, -1]


def reading_of(durations: list[float]) -> Reading:
    n = len(durations)
    return Reading(np.array(durations, float), np.full((n, 2), 7.0), np.full(n, -1.0))


def minimum(tokens: list[str]) -> np.ndarray:
    return np.array([0 if is_pause(token) else 1 for token in tokens])


@st.composite
def utterances(draw: st.DrawFn) -> tuple[list[str], list[int], Reading]:
    tokens, words = ["<sil>"], [-1]
    for word in range(draw(st.integers(1, 6))):
        if word:
            tokens += [draw(st.sampled_from([" ", ",", "—"]))]
            words += [-1]
        sounds = draw(st.lists(st.sampled_from(SOUNDS), min_size=1, max_size=6))
        tokens, words = tokens + sounds, words + [word] * len(sounds)
    tokens, words = [*tokens, ".", "<sil>"], [*words, -1, -1]
    frames = draw(st.lists(st.floats(0.0, 30.0, allow_subnormal=False), min_size=len(tokens), max_size=len(tokens)))
    return (
        tokens,
        words,
        reading_of([0.0 if d < 0.05 and is_pause(t) else d for t, d in zip(tokens, frames, strict=True)]),
    )


@given(utterances(), st.floats(0.0, 1.0))
@settings(max_examples=200)
def test_the_total_is_exact_and_no_token_below_its_minimum(
    utterance: tuple[list[str], list[int], Reading], place: float
) -> None:
    tokens, _, reading = utterance
    low, high = feasible_total(reading, tokens)
    duration_s = low + place * (high - low)
    fitted = fit_total(reading, tokens, duration_s)
    assert fitted.durations.sum() == round(duration_s * RATE)
    assert np.array_equal(fitted.durations, np.rint(fitted.durations))
    assert (fitted.durations >= minimum(tokens)).all()
    assert fitted.log_f0 is reading.log_f0 and fitted.energy is reading.energy


def test_whole_frames_of_the_natural_length_stay_as_they_are() -> None:
    reading = reading_of([5, 4, 6, 5, 15, 12, 4, 11, 5, 6, 13, 3])
    fitted = fit_total(reading, HELLO, reading.durations.sum() / RATE)
    assert np.array_equal(fitted.durations, reading.durations)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.4, 2.2])
def test_pauses_give_way_more_than_vowels_and_vowels_more_than_plosives(factor: float) -> None:
    reading = reading_of([100.0] * len(HELLO))  # long tokens, so that rounding hides nothing
    fitted = fit_total(reading, HELLO, factor * reading.durations.sum() / RATE)
    change = np.log(fitted.durations / reading.durations)
    pause = np.mean([c for c, t in zip(change, HELLO, strict=True) if is_pause(t)])
    vowel = np.mean([c for c, t in zip(change, HELLO, strict=True) if is_vowel(t)])
    plosive = np.mean([c for c, t in zip(change, HELLO, strict=True) if "plosive" in phoneme_class(t)])
    assert pause / vowel == pytest.approx(1.5, abs=0.05) and plosive / vowel == pytest.approx(0.5, abs=0.05)


def test_a_longer_wish_makes_no_token_shorter_by_more_than_its_border() -> None:
    reading = reading_of([5.2, 4.1, 6.6, 5.0, 15.3, 12.8, 4.4, 11.1, 5.9, 6.2, 13.7, 3.3])
    low, high = feasible_total(reading, HELLO)
    before = None
    for duration_s in np.arange(low, high, 0.013):
        durations = fit_total(reading, HELLO, float(duration_s)).durations
        assert before is None or (durations - before >= -1.0).all()
        before = durations


@pytest.mark.parametrize("duration_s", [0.0, -1.0, 0.3, 99.0, 1e300])
def test_an_impossible_total_is_refused_with_the_feasible_range(duration_s: float) -> None:
    reading = reading_of([5, 4, 6, 5, 15, 12, 4, 11, 5, 6, 13, 3])
    low, high = feasible_total(reading, HELLO)
    with pytest.raises(ValueError, match=re.escape(f"from {low:.2f} to {high:.2f} s")):
        fit_total(reading, HELLO, duration_s)
    for border in (low, high):
        assert fit_total(reading, HELLO, border).durations.sum() == round(border * RATE)


@pytest.mark.parametrize("duration_s", [float("nan"), float("inf"), True, "2", None])
def test_a_total_that_is_no_number_is_refused(duration_s: object) -> None:
    with pytest.raises(ValueError, match="number of seconds"):
        fit_total(reading_of([5.0] * len(HELLO)), HELLO, duration_s)  # type: ignore[arg-type]


@given(utterances(), st.data())
@settings(max_examples=200)
def test_every_word_border_lies_within_half_a_frame(
    utterance: tuple[list[str], list[int], Reading], data: st.DataObject
) -> None:
    tokens, words, reading = utterance
    at, times = 0.0, []
    for word in range(max(words) + 1):
        mine = [max(d, 1.0) for d, w in zip(reading.durations, words, strict=True) if w == word]
        at += data.draw(st.sampled_from([0.0, 0.0, 0.004, 0.3]))  # gaps
        factor = data.draw(st.floats(0.6, 3.0))
        length = max(factor * sum(mine) / RATE, (len(mine) + 1) / RATE)
        times.append(WordTime(f"w{word}", at, at + length))
        at += length
    fitted = fit_words(reading, tokens, words, times)
    borders = np.concatenate([[0.0], np.cumsum(fitted.durations)])
    for word, time in enumerate(times):
        mine = np.flatnonzero(np.array(words) == word)
        assert abs(borders[mine[0]] / RATE - time.start_s) <= HALF_FRAME_S
        assert abs(borders[mine[-1] + 1] / RATE - time.end_s) <= HALF_FRAME_S
    assert (fitted.durations >= minimum(tokens)).all()
    assert np.array_equal(fitted.durations, np.rint(fitted.durations))


def test_a_gap_becomes_the_pause_and_no_gap_takes_it_away() -> None:
    reading = reading_of([5, 4, 6, 5, 15, 12, 4, 11, 5, 6, 13, 3])
    apart = fit_words(reading, HELLO, HELLO_WORDS, [WordTime("hello", 0.2, 0.5), WordTime("world", 0.9, 1.3)])
    joined = fit_words(reading, HELLO, HELLO_WORDS, [WordTime("hello", 0.2, 0.5), WordTime("world", 0.5, 0.9)])
    assert apart.durations[5] == round(0.9 * RATE) - round(0.5 * RATE) and joined.durations[5] == 0
    assert apart.durations[0] == round(0.2 * RATE)
    assert np.array_equal(apart.durations[-2:], [13, 3])  # what follows the last word stays


def test_the_whole_ends_when_asked() -> None:
    reading, times = reading_of([5.0] * len(HELLO)), [WordTime("hello", 0.1, 0.4), WordTime("world", 0.5, 0.8)]
    assert fit_words(reading, HELLO, HELLO_WORDS, times, total_s=2.0).durations.sum() == round(2.0 * RATE)
    for total_s in (0.7, 60.0):
        with pytest.raises(ValueError, match=r"total must be from 0.80 to 10.79 s"):
            fit_words(reading, HELLO, HELLO_WORDS, times, total_s=total_s)


def test_words_without_a_pause_between_them_carry_a_frame_but_no_more() -> None:
    tokens, words = ["h", "ə", "l", "ˈoʊ"], [0, 0, 1, 1]
    reading = reading_of([5.0, 6.0, 5.0, 15.0])
    fitted = fit_words(reading, tokens, words, [WordTime("a", 0.0, 0.1), WordTime("b", 0.108, 0.3)])
    assert fitted.durations.sum() == round(0.3 * RATE) and fitted.durations[:2].sum() == round(0.108 * RATE)
    with pytest.raises(ValueError, match='word 2 "b" must start where the one before it ends, at 0.100 s'):
        fit_words(reading, tokens, words, [WordTime("a", 0.0, 0.1), WordTime("b", 0.2, 0.4)])


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([(0.2, 0.25), (0.5, 0.9)], r'word 1 "w0" must last from 0\.\d\d to 1\.\d\d s'),
        ([(0.2, 0.6), (0.7, 4.9)], r'word 2 "w1" must last from 0\.\d\d to 1\.\d\d s'),
        ([(0.2, 0.6)], "all 2 words of the text; got 1"),
        ([(0.2, 0.6), (0.5, 0.9)], 'word 2 "w1" must start at 0.600 s or later'),
        ([(0.2, 0.6), (0.9, 0.8)], 'word 2 "w1" must end after it starts'),
        ([(0.2, 0.6), (0.9, float("nan"))], 'word 2 "w1" must end after it starts'),
        ([(0.2, 0.6), (20.9, 21.4)], 'word 2 "w1" must start at most 10 s after 0.600 s'),
    ],
)
def test_impossible_words_are_named_with_what_is_possible(times: list[tuple[float, float]], message: str) -> None:
    reading = reading_of([5, 4, 6, 5, 15, 12, 4, 11, 5, 6, 13, 3])
    asked = [WordTime(f"w{n}", start, end) for n, (start, end) in enumerate(times)]
    with pytest.raises(ValueError, match=message):
        fit_words(reading, HELLO, HELLO_WORDS, asked)


def test_the_named_range_of_a_word_is_granted_at_both_ends() -> None:
    reading = reading_of([5, 4, 6, 5, 15, 12, 4, 11, 5, 6, 13, 3])
    with pytest.raises(ValueError) as caught:
        fit_words(reading, HELLO, HELLO_WORDS, [WordTime("hello", 0.2, 0.21), WordTime("world", 2.0, 2.3)])
    low, high = (float(n) for n in re.findall(r"from (\d\.\d\d) to (\d\.\d\d) s \(", str(caught.value))[0])
    for length in (low, high):
        for start in np.linspace(0.2, 0.212, 13):
            fit_words(
                reading, HELLO, HELLO_WORDS, [WordTime("hello", start, start + length), WordTime("world", 2.0, 2.3)]
            )


@pytest.mark.parametrize("words", [[0] * 3, [-1] * 12, [1] * 12, [-1, 1, 1, 1, 1, -1, 0, 0, 0, 0, -1, -1]])
def test_numbers_of_words_must_fit_the_tokens(words: list[int]) -> None:
    with pytest.raises(ValueError, match="^words must"):
        fit_words(reading_of([5.0] * len(HELLO)), HELLO, words, [WordTime("hello", 0.1, 0.4)])
