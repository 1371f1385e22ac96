"""Time lines: keyframes read from files and presets, and the smooth line through them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotts.emotion.coordinates import SIZE, coordinates_of_spec
from emotts.emotion.labels import AVD_MEANS, LABELS
from emotts.emotion.spec import parse_emotion
from emotts.emotion.timeline import Keyframe, Timeline, preset_timeline, read_timeline

AROUSAL, VALENCE, DOMINANCE = len(LABELS), len(LABELS) + 1, len(LABELS) + 2
emotions = st.sampled_from(
    [
        "neutral",
        "happy",
        "angry:0.5",
        "sad:1.5",
        "happy:0.6+sad:0.4",
        "arousal=.7,valence=-.4",
        "tender:0.3,dominance=.9",
    ]
)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    places = sorted(draw(st.sets(st.integers(0, 100), min_size=1, max_size=6)))
    return Timeline("t", tuple(Keyframe(place / 10.0, draw(emotions)) for place in places))


@given(timelines())
def test_every_keyframe_is_reached_where_it_stands(timeline: Timeline) -> None:
    line = timeline.coordinates_at([keyframe.place for keyframe in timeline.keyframes])
    for row, keyframe in zip(line, timeline.keyframes, strict=True):
        spec = keyframe.spec
        if spec.label is not None or spec.mixture:
            assert row == pytest.approx(coordinates_of_spec(spec))
        for i, name in enumerate(("arousal", "valence", "dominance")):
            if name in spec.dimensions:
                assert row[AROUSAL + i] == pytest.approx(spec.dimensions[name])


@given(timelines())
def test_the_line_never_jumps_in_value_or_slope_and_never_overshoots(timeline: Timeline) -> None:
    step = 0.001
    line = timeline.coordinates_at(np.arange(-1.0, 11.0, step))
    known = ~np.isnan(line).any(axis=0)
    assert (np.isnan(line).all(axis=0) | known).all()  # a coordinate is known everywhere or nowhere
    value = line[:, known]
    steepest = 1.5 * 2.0 / 0.1  # a smoothstep from -1 to 1 between the closest keyframes, 0.1 s apart
    bend = 6.0 * 2.0 / 0.1**2
    assert (np.abs(np.diff(value, axis=0)) <= steepest * step + 1e-12).all()
    assert (np.abs(np.diff(value, n=2, axis=0)) <= bend * step**2 + 1e-12).all()
    knots = timeline.coordinates_at([keyframe.place for keyframe in timeline.keyframes])[:, known]
    assert (value <= knots.max(axis=0) + 1e-12).all() and (value >= knots.min(axis=0) - 1e-12).all()
    assert (value[0] == knots[0]).all() and (value[-1] == knots[-1]).all()


def test_between_neighbours_the_line_is_monotone() -> None:
    line = Timeline("t", (Keyframe(0, "calm"), Keyframe(2, "angry"))).coordinates_at(np.linspace(0, 2, 101))
    assert (np.diff(line[:, AROUSAL]) > 0).all() and (np.diff(line[:, LABELS.index("calm")]) < 0).all()
    assert line[50, LABELS.index("calm")] == line[50, LABELS.index("angry")] == pytest.approx(0.5)


def test_what_a_keyframe_does_not_say_passes_through_it() -> None:
    keyframes = (Keyframe(0, "happy"), Keyframe(1, None, arousal=-0.5), Keyframe(2, "sad"))
    line = Timeline("t", keyframes).coordinates_at([0.5, 1.0])
    assert line[1, AROUSAL] == -0.5
    without = Timeline("t", (keyframes[0], keyframes[2])).coordinates_at([0.5, 1.0])
    others = [c for c in range(SIZE) if c != AROUSAL]
    assert np.array_equal(line[:, others], without[:, others])


def test_what_no_keyframe_says_is_nan() -> None:
    line = Timeline("part", (Keyframe(0, arousal=0.1), Keyframe(1, arousal=0.9))).coordinates_at([0.0, 0.5, 1.0])
    assert np.isnan(np.delete(line, AROUSAL, axis=1)).all()
    assert line[:, AROUSAL] == pytest.approx([0.1, 0.5, 0.9])


def test_a_label_brings_its_dimensions_and_given_ones_take_their_place() -> None:
    (row,) = Timeline("t", (Keyframe(0, "sad:0.5", dominance=0.3),)).coordinates_at([7.0])
    assert row[LABELS.index("sad")] == 0.5 and row[DOMINANCE] == 0.3
    assert row[AROUSAL] == pytest.approx(0.5 * AVD_MEANS["sad"][0])


def test_presets_rise_fall_and_burst() -> None:
    places = np.linspace(0, 1, 101)
    angry = LABELS.index("angry")
    rise, fall, burst = (read_timeline(f"{n}:angry:1.2").coordinates_at(places) for n in ("rise", "fall", "burst"))
    assert rise[0, angry] == 0.0 and rise[-1, angry] == pytest.approx(1.2) and (np.diff(rise[:, angry]) >= 0).all()
    assert np.allclose(fall, rise[::-1])
    assert burst[0, angry] == burst[-1, angry] == 0.0 and burst[:, angry].argmax() == 60
    assert burst[60] == pytest.approx(coordinates_of_spec(parse_emotion("angry:1.2")))
    assert read_timeline(" Rise : happy ") == preset_timeline("rise", "happy")


def test_a_preset_of_dimensions_leaves_labels_open() -> None:
    line = read_timeline("rise:arousal=.8").coordinates_at([0.0, 1.0])
    assert line[:, AROUSAL] == pytest.approx([0.0, 0.8]) and np.isnan(np.delete(line, AROUSAL, axis=1)).all()


GOOD = {
    "a.csv": "t,emotion\n0,calm\n\n2.5,angry:0.8\n",
    "b.csv": "\ufeffemotion;t\r\ncalm;0\r\nangry:0.8;2.5\r\n",
    "a.json": '[{"t": 0, "emotion": "calm"}, {"t": 2.5, "emotion": "angry:0.8", "arousal": null}]',
    "b.json": '{"keyframes": [{"t": 0, "emotion": "calm"}, {"t": 2.5, "emotion": "angry:0.8"}]}',
}


@pytest.mark.parametrize("name", GOOD)
def test_every_form_gives_the_same_time_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(GOOD[name].encode())
    assert read_timeline(tmp_path / name) == Timeline("t", (Keyframe(0.0, "calm"), Keyframe(2.5, "angry:0.8")))


def test_columns_of_dimensions_and_words(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('word,arousal,valence,emotion\n0,.1,,\n3,,-.2,"happy,dominance=.5"\n')
    timeline = read_timeline(str(path))
    assert timeline == Timeline("word", (Keyframe(0.0, None, 0.1), Keyframe(3.0, "happy,dominance=.5", valence=-0.2)))
    assert timeline.keyframes[1].spec.dimensions == {"valence": -0.2, "dominance": 0.5}
    timeline.check(n_words=4)
    with pytest.raises(ValueError, match="word of a keyframe must be from 0 to 2, as the text has 3; got 3"):
        timeline.check(n_words=3)


def test_a_keyframe_after_the_end_is_refused() -> None:
    timeline = Timeline("t", (Keyframe(2.0, "sad"),))
    timeline.check(duration_s=2.0)
    with pytest.raises(ValueError, match="from 0 to 1.50 s"):
        timeline.check(duration_s=1.5)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "", "x.csv has no keyframes"),
        ("x.csv", "t,emotion\n", "x.csv has no keyframes"),
        ("x.csv", "0,calm\n1,sad\n", "line 2: '0' is unknown"),
        ("x.csv", "emotion\ncalm\n", "line 2: must have one place, one of t, word, part; got none"),
        ("x.csv", "t,word,emotion\n0,0,calm\n", "line 2: must have one place.*got t and word"),
        ("x.csv", "t,word,emotion\n0,,calm\n,1,sad\n", "line 3: all places must be of one kind; got word after t"),
        ("x.csv", "t,emotion\n0,hapy\n", 'line 2: emotion.*"hapy"'),
        ("x.csv", "t,emotion\n0,\n", "line 2: keyframe must have an emotion or one of arousal"),
        ("x.csv", "t,emotion\n0,calm,sad\n", "line 2: expected 2 cells, got 3.*quotation marks"),
        ("x.csv", "t,emotion\nzero,calm\n", "line 2: t must be a number; got 'zero'"),
        ("x.csv", "t,emotion\nnan,calm\n", "line 2: t must be a number; got 'nan'"),
        ("x.csv", "t,emotion\n-1,calm\n", "line 2: t must be a number from 0 to 36000; got -1"),
        ("x.csv", "part,emotion\n1.2,calm\n", "line 2: part must be a number from 0 to 1; got 1.2"),
        ("x.csv", "word,emotion\n1.5,calm\n", "line 2: word must be a whole number from 0"),
        ("x.csv", "t,emotion\n1,calm\n1,sad\n", "line 3: t must be greater than 1, that of the keyframe before; got 1"),
        ("x.csv", "t,emotion\n2,calm\n1,sad\n", "line 3: t must be greater than 2"),
        ("x.csv", "t,arousal\n0,2\n", "line 2: arousal must be a number from -1 to 1; got 2"),
        ("x.csv", "t,arousal\n0,x\n", "line 2: arousal must be a number; got 'x'"),
        ("x.csv", "t,t,emotion\n0,0,calm\n", "line 1: each column must be named once"),
        ("x.csv", 't,emotion\n0,"calm\n', "line 2: not a table"),
        ("x.csv", "t,emotion\n0,auto\n", "line 2: keyframe must be of labels and dimensions only; got auto"),
        ("x.csv", "t,emotion\n0,happy-sad:0.5\n", "line 2: keyframe must be of labels and dimensions only; got away"),
        ("x.json", "{", "x.json is no JSON"),
        ("x.json", "[" * 100_000, "x.json is no JSON"),
        ("x.json", "3", "x.json must be a list of keyframes"),
        ("x.json", "[]", "x.json has no keyframes"),
        ("x.json", "[1]", "keyframe 1: must be an object; got 1"),
        ("x.json", '[{"t": true, "emotion": "sad"}]', "keyframe 1: t must be a number; got True"),
        ("x.json", '[{"t": NaN, "emotion": "sad"}]', "keyframe 1: t must be a number; got nan"),
        ("x.json", '[{"t": [], "emotion": "sad"}]', "keyframe 1: t must be a number"),
        ("x.json", '[{"t": 0, "emotion": 3}]', "keyframe 1: emotion must be a text such as angry:0.8; got 3"),
        ("x.json", '[{"time": 0, "emotion": "sad"}]', "keyframe 1: 'time' is unknown"),
        ("x.txt", "", "must be a .csv or .json file, or a preset such as rise:angry"),
    ],
)
def test_a_malformed_time_line_is_refused_in_one_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_timeline(tmp_path / name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("rise:", 'as "rise:angry"'),
        ("rise", 'as "rise:angry"'),
        ("burst:hapy", '"hapy"'),
        ("up:angry", "preset such as"),
    ],
)
def test_a_wrong_preset_is_refused(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_timeline(source)


def test_what_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_timeline(tmp_path / "no.csv")
    (tmp_path / "x.csv").write_bytes(b"t,emotion\n0,\xff\n")
    with pytest.raises(ValueError, match="must be UTF-8; byte 12 is not"):
        read_timeline(tmp_path / "x.csv")


def test_time_lines_made_in_python_are_checked_too() -> None:
    for kind, keyframes, message in [
        ("frames", (Keyframe(0, "sad"),), "places must be one of t, word, part"),
        ("t", (), "1 to 10000 keyframes; got 0"),
        ("t", (Keyframe(1, "sad"), Keyframe(1, "calm")), "keyframe 2 must come after 1"),
        ("part", (Keyframe(2, "sad"),), "keyframe 1: part must be a number from 0 to 1"),
        ("t", (Keyframe(0),), "keyframe must have an emotion"),
    ]:
        with pytest.raises(ValueError, match=message):
            Timeline(kind, keyframes)


@given(st.text(max_size=150), st.sampled_from(["csv", "json"]))
def test_any_text_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"timeline.{suffix}"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert read_timeline(path).keyframes
    except ValueError as error:
        assert str(error).isprintable()


def test_json_of_many_keyframes_is_fast_enough_for_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    path.write_text(json.dumps([{"t": n / 10, "arousal": (n % 3) / 3} for n in range(2_000)]))
    assert read_timeline(path).coordinates_at(np.arange(0, 200, 256 / 24_000)).shape == (18_750, SIZE)
