"""The emotion specification: what is read, what is refused, and how it is said."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotts.emotion.labels import ALIASES, DIMENSIONS, LABELS, MAX_INTENSITY
from emotts.emotion.spec import EmotionSpec, parse_emotion

intensities = st.floats(0.0, MAX_INTENSITY)
dimensions = st.none() | st.floats(-1.0, 1.0)


@pytest.mark.parametrize("label", LABELS)
def test_every_label_reads_alone_and_with_an_intensity(label: str) -> None:
    assert parse_emotion(label) == EmotionSpec(label, 1.0)
    assert parse_emotion(f"{label}:0.25") == EmotionSpec(label, 0.25)


@pytest.mark.parametrize(("alias", "label"), ALIASES.items())
def test_every_alias_reads_as_its_label(alias: str, label: str) -> None:
    assert parse_emotion(f"{alias.upper()}:.5") == EmotionSpec(label, 0.5)


def test_spaces_and_case_do_not_matter() -> None:
    assert parse_emotion("  Happy :  0.80 ") == parse_emotion("happy:.8") == EmotionSpec("happy", 0.8)


def test_nothing_given_is_neutral_and_a_dimension_alone_has_no_label() -> None:
    assert parse_emotion(None) == EmotionSpec("neutral")
    assert parse_emotion(None, arousal=0.5) == EmotionSpec(None, arousal=0.5)
    assert parse_emotion("sad", valence=-1).dimensions == {"valence": -1.0}


def test_dimensions_are_laid_over_a_ready_specification() -> None:
    ready = EmotionSpec("sad", 0.5, arousal=0.1, valence=0.2)
    assert parse_emotion(ready, arousal=-0.3) == EmotionSpec("sad", 0.5, arousal=-0.3, valence=0.2)


@given(st.sampled_from(LABELS), intensities)
def test_text_round_trips_exactly(label: str, intensity: float) -> None:
    spec = EmotionSpec(label, intensity)
    assert parse_emotion(str(spec)) == spec


@given(st.sampled_from(LABELS), intensities, dimensions, dimensions, dimensions)
def test_dict_round_trips_exactly(
    label: str, intensity: float, a: float | None, v: float | None, d: float | None
) -> None:
    spec = EmotionSpec(label, intensity, a, v, d)
    assert EmotionSpec(**spec.to_dict()) == spec


@given(st.text(max_size=30))
def test_any_text_gives_a_specification_or_one_clear_line(text: str) -> None:
    try:
        assert parse_emotion(text).label in LABELS
    except ValueError as error:
        message = str(error)
        assert message.startswith("emotion") and message.isprintable()
        assert "happy:0.8" in message or "Did you mean" in message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hapy:0.8", ['"hapy" at position 1', 'Did you mean "happy"?']),
        ("joyfull", ['Did you mean "happy"?']),
        ("zzzz", ['got "zzzz"', "one of neutral, calm"]),
        ("", ["position 1", "expected a label", "got the end"]),
        ("   ", ["expected a label", "got the end"]),
        (":0.8", ["position 1", "expected a label", 'got ":"']),
        ("0.8", ["expected a label", 'got "0.8"']),
        ("happy:", ["position 7", "expected an intensity from 0 to 1.5", "got the end"]),
        ("happy:x", ["position 7", 'got "x"']),
        ("happy:nan", ["expected an intensity", 'got "nan"']),
        ("happy:inf", ["expected an intensity", 'got "inf"']),
        ("happy:1e999", ["position 7", "from 0 to 1.5", "got inf"]),
        ("happy:1.6", ["position 7", "from 0 to 1.5", "got 1.6"]),
        ("happy:-0.5", ["position 7", "from 0 to 1.5", "got -0.5"]),
        ("happy 0.8", ["position 7", 'expected ":" and an intensity, or the end']),
        ("happy:0.8:0.9", ["position 10", "expected the end"]),
        ("happy:0.6+sad:0.4", ["position 10", "expected the end", 'got "+"']),
        ("angry-fearful:.5", ["position 6", 'got "-"']),
        ("arousal=.7", ['"arousal" at position 1']),
        ("happy:0,8", ["position 8", 'got ","']),
        ("happy:٣", ["position 7", "expected an intensity"]),
        ("happy\x00", ["position 6", r'got "\x00"']),
        ("😀", ["position 1", "expected a label"]),
    ],
)
def test_what_is_not_understood_is_named_with_its_place(text: str, parts: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        parse_emotion(text)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("name", DIMENSIONS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.01, -1.01, "0.5", True])
def test_dimensions_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number from -1 to 1"):
        parse_emotion("happy", **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [{"label": "hapy"}, {"label": None}, {"intensity": math.nan}, {"intensity": 2.0}])
def test_specification_checks_itself(bad: dict) -> None:
    with pytest.raises(ValueError):
        EmotionSpec(**bad)


def test_a_wrong_type_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="must be a text such as happy:0.8; got int"):
        parse_emotion(3)  # type: ignore[arg-type]
