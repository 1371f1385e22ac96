"""Splitting: nothing lost, nothing twice, limits kept, sentences ended where a reader ends them, any length."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotts.text.split import iter_sentences, split_text


def without_space(text):
    return re.sub(r"\s+", "", text)


@settings(max_examples=200)
@given(st.text(max_size=400), st.integers(8, 60))
def test_no_character_is_lost_or_repeated_in_any_text(text, max_chars):
    chunks = split_text(text, max_chars=max_chars)
    assert without_space("".join(chunks)) == without_space(text)
    assert all(0 < len(chunk) <= max_chars and chunk == chunk.strip() for chunk in chunks)


@settings(max_examples=150)
@given(st.text(alphabet="abc AB.!?…,;:\n\"')(—-1", max_size=300), st.integers(8, 50), st.integers(8, 50))
def test_no_character_is_lost_or_repeated_in_punctuation(text, max_chars, first):
    chunks = split_text(text, max_chars=max_chars, first_max_chars=first)
    assert without_space("".join(chunks)) == without_space(text)
    assert all(len(chunk) <= max_chars for chunk in chunks)
    assert not chunks or len(chunks[0]) <= first


@settings(max_examples=60)
@given(st.lists(st.text(alphabet="ab AB.!?, \n", max_size=20), max_size=30))
def test_pieces_cut_anywhere_lose_nothing(pieces):
    chunks = list(iter_sentences(iter(pieces), max_chars=40))
    assert without_space("".join(chunks)) == without_space("".join(pieces))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four…", ["One.", "Two!", "Three?", "Four…"]),
        ("Dr. Smith met Mrs. Jones. They left.", ["Dr. Smith met Mrs. Jones.", "They left."]),
        ("It costs 3.50 today. Fine.", ["It costs 3.50 today.", "Fine."]),
        ('"Stop!" he said. She ran.', ['"Stop!" he said.', "She ran."]),
        ('He said "Go." Then he went.', ['He said "Go."', "Then he went."]),
        ("J. K. Rowling wrote it. Yes.", ["J. K. Rowling wrote it.", "Yes."]),
        ("In the U.S. Army. Yes.", ["In the U.S. Army.", "Yes."]),
        ("Apples, pears, etc. They are ripe.", ["Apples, pears, etc.", "They are ripe."]),
        ("See no. 5 there. No. I won't.", ["See no. 5 there.", "No.", "I won't."]),
        ("Wait... what? Yes.", ["Wait... what?", "Yes."]),
        ("We came at 5 p.m. and left.", ["We came at 5 p.m. and left."]),
        ("A line\nthat goes on", ["A line\nthat goes on"]),
        ("A title\n\nA paragraph", ["A title", "A paragraph"]),
        ("A list:\n- one\n- two", ["A list:", "- one", "- two"]),
        ("1. First. 2. Second.", ["1. First.", "2. Second."]),
        ("今日は。明日は？", ["今日は。", "明日は？"]),
        ("(Really?) Yes.", ["(Really?)", "Yes."]),
        ("It was I. Then he left.", ["It was I.", "Then he left."]),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text, expected):
    assert split_text(text) == expected


def test_long_sentences_are_cut_at_clauses_then_conjunctions_then_words():
    assert (
        split_text("The rain came early this year, the river rose quickly.", 40)[0] == "The rain came early this year,"
    )
    assert split_text("The rain came early this year because the wind turned", 45)[1].startswith("because")
    assert split_text("alpha bravo charlie delta echo foxtrot golf hotel", 30) == [
        "alpha bravo charlie delta echo",
        "foxtrot golf hotel",
    ]
    assert split_text("x" * 50, 20) == ["x" * 20, "x" * 20, "x" * 10]


def test_first_chunk_may_be_shorter():
    chunks = split_text("When the long night was over, the village woke and looked about.", 200, first_max_chars=35)
    assert chunks[0] == "When the long night was over,"
    assert len(chunks) == 2


def test_a_live_source_gives_its_sentence_before_the_next_one_ends():
    seen = []

    def source():
        for piece in ("Hello there", ". How", " are you? I", " am fine."):
            seen.append(piece)
            yield piece

    sentences = iter_sentences(source())
    assert next(sentences) == "Hello there."
    assert len(seen) == 2


@pytest.mark.parametrize("limit", [0, 7, -3])
def test_a_limit_that_is_too_small_is_refused(limit):
    with pytest.raises(ValueError, match="at least 8"):
        split_text("Hello.", max_chars=limit)
    with pytest.raises(ValueError, match="first_max_chars"):
        split_text("Hello.", first_max_chars=limit or 1)


@pytest.mark.parametrize("unit", ["word ", ". ", "...", "\n", "a", "—", "(", "a.b.c. ", "\n\n- "])
def test_time_is_linear(unit):
    text = unit * (20_000 // len(unit))
    start = time.thread_time()
    split_text(text)
    assert time.thread_time() - start < 1.0  # measured: below 0.1 s
