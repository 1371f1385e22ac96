"""The trajectory editor: drawings and time lines, and how its points are moved by mouse, keys and touch."""

import json
import math
import time

import numpy as np
import pytest
from browser import assert_clean, component_fixtures, open_page, shot, touch
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page, expect

import gradio as gr  # isort: skip  # after browser, which turns its reports off
from gradio_client import Client
from gradio_client.exceptions import AppError
from gradio_client.utils import json_schema_to_python_type

from demo.components.keyframes import from_timeline, preset, to_timeline
from demo.components.trajectory import TrajectoryEditor
from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABELS
from emotts.emotion.timeline import Keyframe, Timeline

INSET = 13  # pixels around the range of values, as in trajectory.js
EVIL = "<img src=x onerror=window.evil=1>"
WORDS = ["I", "can", "hardly", "believe", EVIL]
START = {"arousal": [[0.0, -0.3], [0.4, 0.9], [1.0, 0.1]], "valence": [[0.5, 0.6]], "dominance": []}
FORGED = {
    "too large to be finite": json.loads('{"arousal": [[0, 1e400]]}'),
    "not a number": {"arousal": [[math.nan, 0]]},
    "text": {"arousal": [["0", "0"]]},
    "truth value": {"valence": [[True, 0]]},
    "text for a list": {"valence": "0,1"},
    "million points": {"valence": [[0, 0]] * 1_000_000},
    "13 points": {"valence": [[i / 20, 0] for i in range(13)]},
    "point of three": {"valence": [[0, 0, 0]]},
    "numbers for points": {"valence": [0, 0]},
    "two at a place": {"dominance": [[0.5, 0], [0.5, 1]]},
    "unknown key": {"arousal": [], "joy": [[0, 1]]},
    "nothing": None,
    "list": [[0, 1]],
    "nested": {"arousal": [[[[[[[0, 0]]]]]]]},
}


def build() -> gr.Blocks:
    """A page with two editors that are told apart, and buttons for what Python sets."""
    with gr.Blocks() as blocks:
        first = TrajectoryEditor(START, words=WORDS, elem_id="first", label="First")
        second = TrajectoryEditor(preset("burst", "happy"), elem_id="second")
        told, releases = gr.Textbox(elem_id="told"), gr.Number(0, elem_id="releases")
        options = {"show_progress": "hidden"}
        last = {"trigger_mode": "always_last", **options}  # as the demo has it
        first.release(lambda value, n: (json.dumps(value), n + 1), [first, releases], [told, releases], **last)
        gr.Button("preset").click(lambda: preset("rise", "angry"), None, first, **options)
        gr.Button("words").click(lambda: TrajectoryEditor(words=["One", "word", "more"]), None, first, **options)
        gr.Button("read").click(lambda value: json.dumps(value), first, told, api_name="read", **options)
        gr.Button("read second").click(lambda value: json.dumps(value), second, told, **options)
    return blocks


url, desktop, page = component_fixtures(build)


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where a place of the first editor is on the page; the editor is brought into view first."""
    page.locator("#first .plot").scroll_into_view_if_needed()
    box = page.locator("#first .plot").bounding_box()
    width, height = box["width"] - 2 * (INSET + 1), box["height"] - 2 * (INSET + 1)  # the border has 1 pixel
    return box["x"] + INSET + 1 + x * width, box["y"] + INSET + 1 + (1 - y) / 2 * height


def told(page: Page, releases: int) -> dict[str, list[list[float]]]:
    """Return what Python was told when the editor was released for this many times."""
    expect(page.locator("#releases input")).to_have_value(str(releases))
    value: dict[str, list[list[float]]] = json.loads(page.locator("#told textarea").input_value())
    return value


def expect_told(page: Page, value: dict[str, list[list[float]]]) -> None:
    expect(page.locator("#told textarea")).to_have_value(json.dumps(value))


def is_near(line: list[list[float]], wanted: list[list[float]]) -> bool:
    """Whether points are where they should be, but for what a pixel is worth."""
    return len(line) == len(wanted) and bool(np.allclose(line, wanted, atol=0.021))


def curve(page: Page, name: str) -> np.ndarray:
    """Return points [P, 2] that lie on the line that is drawn, as the browser finds them."""
    script = """path => Array.from({length: 301}, (_, i) => {
        const point = path.getPointAtLength(path.getTotalLength() * i / 300);
        return [point.x, -point.y];
    })"""
    return np.array(page.locator(f"#first .curve[data-name={name}]").evaluate(script))


@pytest.mark.parametrize("value", FORGED.values(), ids=FORGED)
def test_forged_value_is_refused_in_a_short_sentence(value: object) -> None:
    with pytest.raises(gr.Error) as error:
        TrajectoryEditor().preprocess(value)
    message = error.value.message
    assert "must" in message and "got" in message and len(message) < 300


def test_values_outside_are_kept_in_range_and_in_order() -> None:
    assert TrajectoryEditor().preprocess({"arousal": [[2, -9], [-1, 5]]}) == {
        "arousal": [[0.0, 1.0], [1.0, -1.0]],
        "valence": [],
        "dominance": [],
    }


def test_schema_describes_the_value() -> None:
    editor = TrajectoryEditor()
    described = json_schema_to_python_type(editor.api_info())
    assert all(f"{name}: list[list[float]]" in described for name in DIMENSIONS)
    assert set(editor.api_info()["properties"]) == set(editor.preprocess(editor.example_payload()))


places = st.lists(st.integers(0, 1000), max_size=12, unique=True).map(sorted)
heights = st.integers(-100, 100).map(lambda number: number / 100)


@st.composite
def drawings(draw: st.DrawFn) -> dict[str, list[list[float]]]:
    return {name: [[place / 1000, draw(heights)] for place in draw(places)] for name in DIMENSIONS}


@given(drawings())
@settings(max_examples=50)
def test_lines_do_not_disturb_each_other(drawing: dict[str, list[list[float]]]) -> None:
    if not any(drawing.values()):
        with pytest.raises(ValueError, match="trajectory must have at least one point; got none"):
            to_timeline(drawing)
        return
    timeline = to_timeline(drawing)
    assert timeline.kind == "part"
    assert from_timeline(timeline) == drawing
    parts = np.linspace(0, 1, 41)
    together = timeline.coordinates_at(parts)
    for i, (name, line) in enumerate(drawing.items()):
        column = together[:, len(LABELS) + i]
        if line:
            alone = Timeline("part", tuple(Keyframe(x, None, **{name: y}) for x, y in line))
            np.testing.assert_allclose(column, alone.coordinates_at(parts)[:, len(LABELS) + i], atol=1e-12)
        else:
            assert np.isnan(column).all()
    assert np.isnan(together[:, : len(LABELS)]).all()  # no label is asked


def test_presets_reach_the_means_of_their_label() -> None:
    burst = preset("burst", "sad")
    assert burst == {
        name: [[0.25, 0.0], [0.6, mean], [0.95, 0.0]] for name, mean in zip(DIMENSIONS, AVD_MEANS["sad"], strict=True)
    }
    assert preset("rise", "angry:0.5")["arousal"] == [[0.0, 0.0], [1.0, pytest.approx(0.295)]]
    assert preset("fall", "happy")["valence"] == [[0.0, 0.81], [1.0, 0.0]]
    for name, label, complaint in [("up", "sad", "preset must be one of rise, fall, burst"), ("rise", "odd", "odd")]:
        with pytest.raises(ValueError, match=complaint):
            preset(name, label)


def test_time_line_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match='must give places as "part" to be drawn; got "word"'):
        from_timeline(Timeline("word", (Keyframe(0, "sad"),)))
    with pytest.raises(ValueError, match="up to 12 points"):
        from_timeline(Timeline("part", tuple(Keyframe(i / 12, "sad") for i in range(13))))


def test_forged_value_over_http_is_told_why(url: str) -> None:
    client = Client(url, verbose=False, httpx_kwargs={"timeout": 60})
    assert json.loads(client.predict(START, api_name="/read")) == START
    with pytest.raises(AppError, match="arousal must be a list of up to 12 points"):
        client.predict({"arousal": "steep"}, api_name="/read")


def test_lines_are_those_of_the_time_line(page: Page) -> None:
    line = to_timeline(START)
    for i, name in enumerate(DIMENSIONS[:2]):
        drawn = curve(page, name)
        assert drawn[0, 0] == pytest.approx(0, abs=1e-6) and drawn[-1, 0] == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(drawn[:, 1], line.coordinates_at(drawn[:, 0])[:, len(LABELS) + i], atol=0.01)
    expect(page.locator("#first .curve")).to_have_count(2)
    assert page.locator("#first .count").all_inner_texts() == ["3 points", "1 point", "free"]


def test_points_are_added_dragged_and_deleted_by_the_mouse(page: Page) -> None:
    page.mouse.dblclick(*at(page, 0.7, -0.5))
    assert is_near(told(page, 1)["arousal"], [[0, -0.3], [0.4, 0.9], [0.7, -0.5], [1, 0.1]])
    page.mouse.move(*at(page, 0.7, -0.5))
    page.mouse.down()
    page.mouse.move(*at(page, 0.8, 0.4), steps=6)
    page.mouse.move(*at(page, 0.1, 2.0), steps=6)  # beyond its neighbour, and beyond the plot
    expect(page.locator("#releases input")).to_have_value("1")  # told when it rests
    page.mouse.up()
    assert is_near(told(page, 2)["arousal"], [[0, -0.3], [0.4, 0.9], [0.41, 1], [1, 0.1]])
    page.keyboard.press("Delete")
    assert told(page, 3)["arousal"] == START["arousal"]
    page.mouse.click(*at(page, 0.5, 0.6))  # a point of another line
    expect(page.locator("#first [aria-checked=true]")).to_contain_text("valence")
    page.get_by_role("button", name="Delete point").first.click()
    assert told(page, 4) == {**START, "valence": []}
    page.mouse.click(*at(page, 0.2, 0.2))  # one click adds nothing
    page.get_by_role("button", name="read", exact=True).click()
    assert told(page, 4) == {**START, "valence": []}


def test_everything_is_done_by_keys(page: Page) -> None:
    page.locator("#first [aria-checked=true]").focus()
    page.keyboard.press("ArrowLeft")  # round to the last line
    expect(page.locator("#first [aria-checked=true]")).to_contain_text("dominance")
    page.keyboard.press("Tab")
    expect(page.locator("#first .plot")).to_be_focused()
    page.keyboard.press("Enter")  # the first point, in the middle
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowLeft")
    point = page.locator("#first .point").first
    expect(point).to_have_attribute("aria-valuetext", "dominance 0.25 at 38 % of the text, “can”")
    expect_told(page, {**START, "dominance": [[0.38, 0.25]]})
    page.keyboard.press("Enter")  # one more behind it
    page.keyboard.press("Shift+ArrowDown")
    expect_told(page, {**START, "dominance": [[0.38, 0.25], [0.69, 0.05]]})
    page.keyboard.press("Shift+Tab")
    expect(point).to_be_focused()
    page.keyboard.press("End")
    expect(page.locator("#first .point").last).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Delete")
    expect(point).to_be_focused()
    expect_told(page, {**START, "dominance": [[0.69, 0.05]]})
    page.keyboard.press("Backspace")
    expect(page.locator("#first .plot")).to_be_focused()
    expect_told(page, START)


def test_a_line_takes_twelve_points_and_says_so(page: Page) -> None:
    page.locator("#first .plot").focus()
    for _ in range(14):
        page.keyboard.press("Enter")
    expect(page.locator("#first .point")).to_have_count(12)
    expect(page.locator("#first .readout")).to_have_text("A line has at most 12 points; delete one first.")
    expect(page.locator("#first [data-tool=add]")).to_be_disabled()
    page.get_by_role("button", name="Clear line").first.click()
    page.get_by_role("button", name="read", exact=True).click()
    expect_told(page, {**START, "arousal": []})


def test_points_are_added_and_dragged_by_a_finger(url: str) -> None:
    with open_page(url, phone=True) as page:
        place = at(page, 0.7, -0.5)
        scrolled = page.evaluate("scrollY")
        now = time.time()
        touch(page, place, at_s=now)
        touch(page, place, at_s=now + 0.1)  # however long it took
        assert is_near(told(page, 1)["arousal"], [[0, -0.3], [0.4, 0.9], [0.7, -0.5], [1, 0.1]])
        touch(
            page,
            (place[0] + 9, place[1] - 9),
            at(page, 0.6, 0.0),
            (at(page, 0.6, 0.2)[0] + 9, at(page, 0.6, 0.2)[1] - 9),
        )
        assert is_near(told(page, 2)["arousal"], [[0, -0.3], [0.4, 0.9], [0.6, 0.2], [1, 0.1]])
        assert page.evaluate("scrollY") == scrolled
        for button in page.locator("#first button").all():
            assert button.bounding_box()["height"] >= 44
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert_clean(page)


def test_python_draws_a_preset_and_listeners_stay_single(page: Page) -> None:
    for n in range(3):
        page.get_by_role("button", name="preset").click()
        expect(page.locator("#first .curve")).to_have_count(3)
        page.get_by_role("button", name="read", exact=True).click()
        expect_told(page, preset("rise", "angry"))
        drawn = curve(page, "valence")
        wanted = to_timeline(preset("rise", "angry")).coordinates_at(drawn[:, 0])[:, len(LABELS) + 1]
        np.testing.assert_allclose(drawn[:, 1], wanted, atol=0.01)
        page.mouse.dblclick(*at(page, 0.5, -0.9))
        assert is_near(told(page, n + 1)["arousal"], [[0, 0], [0.5, -0.9], [1, 0.59]])
    page.get_by_role("button", name="read second").click()
    expect_told(page, preset("burst", "happy"))


def test_words_stand_under_their_middle_as_plain_text(page: Page) -> None:
    words = page.locator("#first .words span")
    expect(words).to_have_text(WORDS)
    page.get_by_role("button", name="words").click()
    expect(words).to_have_count(3)
    for i, word in enumerate(words.all()):
        box = word.bounding_box()
        assert box["x"] + box["width"] / 2 == pytest.approx(at(page, (i + 0.5) / 3, 0)[0], abs=2)
    expect(page.locator("#first .point")).to_have_count(3)  # new words leave the drawing
    assert page.locator("#first img").count() == 0 and page.evaluate("window.evil") is None


def test_colours_follow_light_and_dark(url: str) -> None:
    tones = []
    for dark in (False, True):
        with open_page(url, dark=dark, phone=dark) as page:
            page.mouse.click(*at(page, 0.4, 0.9))
            expect(page.locator("#first .readout")).to_have_text("arousal 0.90 at 40 % of the text, “hardly”")
            shot(page, "trajectory-phone-dark" if dark else "trajectory-desktop-light")
            node = page.locator("#first")
            tones.append(node.evaluate("node => getComputedStyle(node.querySelector('.curve.current')).stroke"))
            assert_clean(page)
    assert tones[0] != tones[1]
