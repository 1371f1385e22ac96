"""The emotion specification: what is read, what is refused, and how it is said."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotts.emotion.dyads import DYADS, dyad_labels
from emotts.emotion.grammar import KEYS
from emotts.emotion.labels import ALIASES, AVD_MEANS, DIMENSIONS, LABELS, MAX_INTENSITY
from emotts.emotion.spans import read_span
from emotts.emotion.spec import EmotionSpec, parse_emotion

intensities = st.floats(0.0, MAX_INTENSITY)
dimensions = st.none() | st.floats(-1.0, 1.0)
paths = st.sampled_from(["ref.wav", "a, b+c:d.wav", r"C:\\refs\\a.wav", 'say "hi".wav', " x ", "é/ü-1.wav", "“.wav"])
paths = paths | st.text(min_size=1, max_size=12).filter(lambda path: path.strip() != "")
PIECES = [
    *(
        "happy",
        "sad",
        "delight",
        "love",
        "auto",
        "like=",
        "direction=",
        "erase=",
        "a=",
        "valence=",
        "x.wav",
        ":",
        "0.5",
    ),
    *("+", "-", ",", '"', "so tired", " ", ".4", "-1", "“", "”", "1e-1", "="),
]


@st.composite
def specifications(draw: Callable) -> EmotionSpec:
    """Draw anything that a specification can say."""

    def weighted(names: st.SearchStrategy[str], low: float, high: float) -> tuple[tuple[str, float], ...]:
        chosen = draw(st.lists(names, max_size=3, unique=True))
        return tuple((name, draw(st.floats(low, high, exclude_min=low == 0.0))) for name in chosen)

    labels = draw(st.permutations(LABELS))
    n = draw(st.integers(0, 4))
    if n == 4 and draw(st.booleans()):  # the text decides, beside dimensions alone
        away = weighted(st.sampled_from(labels), 0.0, MAX_INTENSITY)
        return EmotionSpec(
            None, **{name: draw(dimensions) for name in DIMENSIONS}, away=away, auto=draw(st.floats(0.0, 1.5))
        )
    words = st.text(max_size=20).map(lambda words: f"w{words}")
    return EmotionSpec(
        label=labels[0] if n == 1 else None,
        intensity=draw(intensities) if n == 1 else 1.0,
        **{name: draw(dimensions) for name in DIMENSIONS},
        mixture=tuple((label, draw(st.floats(0.0, MAX_INTENSITY / n))) for label in labels[:n]) if n > 1 else (),
        away=weighted(st.sampled_from(labels[n:]), 0.0, MAX_INTENSITY),
        like=weighted(paths, 0.0, MAX_INTENSITY),
        directions=weighted(paths, -3.0, 3.0),
        erase=tuple(draw(st.lists(paths, max_size=2, unique=True))),
        words=draw(st.none() | words) if n else draw(words),
    )


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


@given(st.text(max_size=30) | st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_any_text_gives_a_specification_or_one_clear_line(text: str) -> None:
    try:
        spec = parse_emotion(text)
        assert parse_emotion(str(spec)) == spec
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
        ("happy:0.6+", ["position 11", "expected a label", "got the end"]),
        ("happy:0.6+sda:0.4", ['"sda" at position 11', 'Did you mean "sad"?']),
        ("deligth", ['Did you mean "delight"?']),
        ("happy:1+sad:1", ["position 1", "weights must sum to at most 1.5; got 2", "happy:0.8+sad:0.4"]),
        ("happy:1+sad", ["position 9", "needs a weight"]),
        ("sad:.4+happy:.1+joy:.2", ["position 17", '"happy" is given twice']),
        ("delight+happy", ["position 9", '"happy" is given twice']),
        ("sad-sad", ["position 1", '"sad" is given twice']),
        ("happy-sad-sad", ["position 11", '"sad" is given twice']),
        ("happy-sad:0", ["position 7", 'after "-" must be above 0', "happy:0.8-fearful:0.5"]),
        ("happy-sad:1.6", ["position 11", "from 0 to 1.5"]),
        ("happy,sad", ["position 7", "a label was given at position 1", 'join labels with "+"']),
        ("love+sad", ["position 1", '"love" is a place and no label']),
        ("angry-love", ["position 7", '"love" is a place and no label']),
        ("arousal", ["position 8", 'expected "=" and a number', "arousal=0.7"]),
        ("dominance:.3", ["position 10", 'expected "=" and a number', 'got ":"']),
        ("arousal=", ["position 9", "expected a number from -1 to 1", "got the end"]),
        ("v=3", ["position 3", "valence must be from -1 to 1", "got 3"]),
        ("a=.1,arousal=.2", ["position 6", "arousal is given twice"]),
        ("arosal=.7", ["position 1", "expected one of arousal, a, valence", 'did you mean "arousal"?']),
        ("sad:.5 a=.3", ["position 8", "expected the end", 'got "a"']),
        ("like=", ["position 6", "expected a path", "got the end", "like=ref.wav:0.7"]),
        ("like", ["position 5", 'expected "=" and a path']),
        ("like=a,b.wav", ['"b" at position 8']),
        ("like=a:b.wav", ["position 8", "expected a strength from 0 to 1.5", 'got "b"']),
        ("like=a.wav+sad", ["position 11", "needs quotes", 'got "+"']),
        ("like=a.wav,like=a.wav", ["position 17", 'like="a.wav" is given twice']),
        ("direction=weary.safetensors:9", ["position 29", "from -3 to 3"]),
        ("erase=weary.safetensors:0.5", ["position 24", "expected the end", 'got ":"']),
        ("auto:2", ["position 6", "from 0 to 1.5", "got 2"]),
        ("auto+sad", ["position 5", "expected", 'got "+"']),
        ("auto,auto", ["position 6", "auto is given twice"]),
        ('"relieved', ["position 1", "expected a closing", "got the end"]),
        ('""', ["position 1", "at least one word"]),
        ('"a b","c d"', ["position 7", "words is given twice"]),
        ('"' + "x" * 501 + '"', ["position 1", "at most 500 characters; got 501"]),
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


@settings(max_examples=400)
@given(specifications())
def test_whatever_can_be_said_round_trips_through_text_and_json(spec: EmotionSpec) -> None:
    assert parse_emotion(str(spec)) == spec
    assert EmotionSpec(**json.loads(json.dumps(spec.to_dict()))) == EmotionSpec(**spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("happy:0.6+sad:0.4", EmotionSpec(mixture=(("happy", 0.6), ("sad", 0.4)))),
        ("Joy:.6 + sadness : .4", EmotionSpec(mixture=(("happy", 0.6), ("sad", 0.4)))),
        ("happy+sad", EmotionSpec(mixture=(("happy", 0.5), ("sad", 0.5)))),
        ("happy+sad:0.4+calm", EmotionSpec(mixture=(("happy", 0.3), ("sad", 0.4), ("calm", 0.3)))),
        ("delight", EmotionSpec(mixture=(("happy", 0.5), ("surprised", 0.5)))),
        ("Outrage:0.4", EmotionSpec(mixture=(("surprised", 0.2), ("angry", 0.2)))),
        ("delight:.5+sad:.2", EmotionSpec(mixture=(("happy", 0.25), ("surprised", 0.25), ("sad", 0.2)))),
        ("love", EmotionSpec("happy", 0.5, 0.305, 0.755, 0.33)),
        ("anxiety,dominance=-.4", EmotionSpec("fearful", 0.5, 0.5, -0.07, -0.4)),
        ("hope", EmotionSpec(None, 1.0, 0.25, 0.6, 0.2)),
        ("angry:0.8-fearful:0.5", EmotionSpec("angry", 0.8, away=(("fearful", 0.5),))),
        ("angry - fearful - sad:.2", EmotionSpec("angry", away=(("fearful", 1.0), ("sad", 0.2)))),
        ("happy-despair", EmotionSpec("happy", away=(("fearful", 0.5), ("sad", 0.5)))),
        ("-fearful:0.5", EmotionSpec("neutral", away=(("fearful", 0.5),))),
        ("arousal=.7,valence=-.4", EmotionSpec(None, 1.0, 0.7, -0.4)),
        ("a=.7, V = - .4 ,d=+1e-1", EmotionSpec(None, 1.0, 0.7, -0.4, 0.1)),
        ("sad:0.5,dominance=.3", EmotionSpec("sad", 0.5, dominance=0.3)),
        ("dominance=.3,sad:0.5", EmotionSpec("sad", 0.5, dominance=0.3)),
        ("like=ref.wav", EmotionSpec(None, like=(("ref.wav", 1.0),))),
        ("like=ref-1.wav:0.7,like=my voice.wav", EmotionSpec(None, like=(("ref-1.wav", 0.7), ("my voice.wav", 1.0)))),
        (r'like="C:\refs\a+b.wav":.5', EmotionSpec(None, like=((r"C:\refs\a+b.wav", 0.5),))),
        ("direction=weary.safetensors:-0.8", EmotionSpec(None, directions=(("weary.safetensors", -0.8),))),
        ("sad,erase=weary.safetensors", EmotionSpec("sad", erase=("weary.safetensors",))),
        ('"relieved, but still shaking"', EmotionSpec(None, words="relieved, but still shaking")),
        ("“tired”,arousal=-.5", EmotionSpec(None, arousal=-0.5, words="tired")),
        ("relieved, but  still shaking", EmotionSpec(None, words="relieved, but still shaking")),
        (r'"she said \"no\" \\ yes"', EmotionSpec(None, words=r'she said "no" \ yes')),
        ("auto", EmotionSpec(None, auto=1.0)),
        ("auto:0.5,dominance=.2", EmotionSpec(None, dominance=0.2, auto=0.5)),
    ],
)
def test_every_form_says_what_the_documentation_says(text: str, spec: EmotionSpec) -> None:
    assert parse_emotion(text) == spec


def test_three_labels_without_weights_share_equally() -> None:
    assert [weight for _, weight in parse_emotion("happy+sad+calm").mixture] == pytest.approx([1 / 3] * 3, abs=1e-6)


@pytest.mark.parametrize("name", DYADS)
def test_a_dyad_weighs_one_half_each_and_lies_between_its_parts(name: str) -> None:
    spec = parse_emotion(name)
    assert spec.weights == tuple((label, 0.5) for label in dyad_labels(name))
    if len(spec.weights) == 1:
        trust, anticipation = (0.1, 0.7, 0.2), (0.4, 0.5, 0.2)
        other = trust if "trust" in DYADS[name] else anticipation
        between = [(a + b) / 2 for a, b in zip(AVD_MEANS[spec.weights[0][0]], other, strict=True)]
        assert list(spec.dimensions.values()) == pytest.approx(between, abs=1e-4)


def test_no_dyad_takes_the_name_of_something_else() -> None:
    assert not set(DYADS) & {*LABELS, *ALIASES, *KEYS, "auto"}


def test_weights_hold_what_the_model_is_asked_for_without_neutral() -> None:
    assert parse_emotion("happy:.6").weights == (("happy", 0.6),)
    assert parse_emotion("neutral:.5+sad:.4").weights == (("sad", 0.4),)
    assert parse_emotion("neutral").weights == parse_emotion("auto").weights == ()


def test_sources_are_what_must_be_resolved_first() -> None:
    assert parse_emotion("happy:.5-sad,arousal=.3").sources == {}
    assert set(parse_emotion('like=a.wav,erase=b,"so tired"').sources) == {"like", "erase", "words"}
    assert set(parse_emotion("auto:0").sources) == {"auto"}


def test_dimensions_beside_are_laid_over_any_specification() -> None:
    assert parse_emotion("happy:.6+sad:.4,arousal=.1", arousal=0.9, valence=0.2).dimensions == {
        "arousal": 0.9, "valence": 0.2
    }  # fmt: skip
    assert parse_emotion(parse_emotion("love"), dominance=-1.0).dominance == -1.0


def test_text_that_cannot_be_read_fast_is_read_in_linear_time() -> None:
    for text in (
        '"' + "\\" * 50_000,
        "happy+" * 20_000,
        "-sad" * 20_000,
        "a" * 100_000,
        " " * 100_000 + "=",
        "a b:" * 20_000,
    ):
        with pytest.raises(ValueError):
            parse_emotion(text)


@pytest.mark.parametrize(
    "bad",
    [
        {"mixture": (("happy", 0.5),)},
        {"mixture": (("happy", 1.0), ("sad", 1.0))},
        {"mixture": (("happy", 0.5), ("hapy", 0.5))},
        {"mixture": (("happy", 0.5), ("happy", 0.5))},
        {"mixture": (("happy", 0.5), ("sad", -0.1))},
        {"mixture": "happy"},
        {"mixture": (("happy", 0.5, 1), ("sad", 0.5))},
        {"label": "calm", "mixture": (("happy", 0.5), ("sad", 0.5))},
        {"away": (("sad", 0.0),)},
        {"label": "sad", "away": (("sad", 0.5),)},
        {"label": None, "away": (("sad", 0.5),)},
        {"like": (("", 1.0),)},
        {"like": ((3, 1.0),)},
        {"directions": (("x", math.inf),)},
        {"erase": ("x", "x")},
        {"words": "..."},
        {"words": 3},
        {"auto": 2.0},
        {"label": "sad", "auto": 1.0},
        {"label": None, "words": "tired", "auto": 1.0},
    ],
)
def test_a_specification_with_new_parts_checks_itself(bad: dict) -> None:
    with pytest.raises(ValueError):
        EmotionSpec(**bad)


def test_replacing_a_part_keeps_the_rest() -> None:
    spec = parse_emotion("happy:.6+sad:.4-angry,like=a.wav")
    assert replace(spec, dominance=0.5).mixture == spec.mixture


@pytest.mark.parametrize(
    "tag",
    ["sad:.3", "sad", "Joy", "delight", "arousal=.7", "v=-.3", "like=ref.wav", '"so tired"', "“tired”", "auto", "auto:0.5",
     "happy:.6+sad:.4", "angry:.8-fearful:.5"],
)  # fmt: skip
def test_a_tag_in_a_text_is_any_specification(tag: str) -> None:
    assert read_span(tag) == parse_emotion(tag)


@pytest.mark.parametrize(
    "tag",
    ["note", "sic", "1", "", "i", "a", "John 3:16", "note: see below", "x = 5", "sad-looking", "very sad", "happy, sad",
     "so tired, he said", "happy New Year", '"', "...", "sad 3", "C++", "auto matic", "width=5"],
)  # fmt: skip
def test_other_bracketed_words_are_read_aloud(tag: str) -> None:
    assert read_span(tag) is None


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("hapy:0.5", 'Did you mean "happy"'),
        ("v=3", "valence must be from -1 to 1"),
        ("arosal=.5", 'did you mean "arousal"'),
        ("sad:.3,arosal=.5", 'did you mean "arousal"'),
        ("v=0.3 a=1", "expected the end"),
        ("happy+hapy:.2", 'Did you mean "happy"'),
        ("happy+", "expected a label"),
        ("angry:.5-ferful:.5", 'Did you mean "fearful"'),
        ("like=", "expected a path"),
        ("sad:2", "from 0 to 1.5"),
    ],
)
def test_a_tag_that_was_meant_and_is_wrong_is_refused(tag: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_span(tag)


def rows_of(section: str) -> list[tuple[str, str]]:
    """Return the rows of the table in a section of the documentation."""
    text = (Path(__file__).parent.parent / "docs/emotion_controls.md").read_text(encoding="utf-8")
    part = re.split(rf"^##+ {section}$", text, flags=re.MULTILINE)[1].split("\n#")[0]
    return re.findall(r"^\| `([^|]+)` \| (.+) \|$", part, flags=re.MULTILINE)


def test_every_form_in_the_documentation_is_read() -> None:
    forms = [form for form, _ in rows_of("The grammar")]
    assert len(forms) > 15
    for form in forms:
        assert parse_emotion(str(parse_emotion(form))) == parse_emotion(form)


def test_every_refusal_in_the_documentation_is_given() -> None:
    rows = rows_of("What is refused")
    assert len(rows) > 5
    for form, answer in rows:
        with pytest.raises(ValueError) as caught:
            parse_emotion(form)
        assert answer in str(caught.value)


def test_the_documentation_names_every_dyad() -> None:
    text = (Path(__file__).parent.parent / "docs/emotion_controls.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in DYADS)


def test_a_plain_specification_has_a_short_dictionary() -> None:
    assert list(parse_emotion("happy:.5").to_dict()) == ["label", "intensity", *DIMENSIONS]
    assert parse_emotion("happy:.6+sad:.4,like=a.wav").to_dict() == {
        **{"label": None, "intensity": 1.0, "arousal": None, "valence": None, "dominance": None},
        **{"mixture": [["happy", 0.6], ["sad", 0.4]], "like": [["a.wav", 1.0]]},
    }
