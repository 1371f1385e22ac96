"""Markup: phonemes and pauses are taken out, other brackets stay text, mistakes are named with their place."""

import pytest

from emotts.text.markup import Pause, Phonemes, Text, parse_markup


def test_parts_come_in_order():
    assert parse_markup("Say [[həˈloʊ]] now. [pause 300ms] Bye.") == [
        *(Text("Say "), Phonemes(["h", "ə", "l", "ˈoʊ"]), Text(" now. "), Pause(0.3), Text(" Bye."))
    ]


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [
        ("[pause 300ms]", 0.3),
        ("[pause 0.5s]", 0.5),
        ("[pause:1s]", 1.0),
        ("[ pause 10 s ]", 10.0),
        ("[PAUSE 0s]", 0.0),
        ("[pause .5s]", 0.5),
    ],
)
def test_pauses(tag, seconds):
    assert parse_markup(tag) == [Pause(seconds)]


@pytest.mark.parametrize(
    "text", ["a [note] here", "[sic]", "[1]", "[pause for effect]", "array[i]", "[]", "]", "plain", "[John 3:16]"]
)
def test_other_brackets_are_text(text):
    assert parse_markup(text) == [Text(text)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ab [pause 11s]", "from 0 to 10 s; got .* at character 3"),
        ("[pause]", "a length and a unit"),
        ("[pause 300]", "a length and a unit"),
        ("[pause -1s]", "a length and a unit"),
        ("go [happy:.5]on[/]", "tag must be one of .* at character 3"),
        ("[/]", "tag must be one of"),
        ("[v=0.3 a=1]", "tag must be one of"),
        ("x [[h ə", "must be closed.* at character 2"),
        ("[[]]", "must not be empty"),
        ("[[h % l]]", 'got "%".*at character 0'),
    ],
)
def test_mistakes_are_named_with_their_place(text, message):
    with pytest.raises(ValueError, match=message):
        parse_markup(text)


def test_brackets_without_end_take_linear_time():
    assert parse_markup("[a" * 20_000) == [Text("[a" * 20_000)]
