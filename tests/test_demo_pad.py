"""The pad: what it takes from Python and from strangers, and how it is dragged by mouse, keys and touch."""

import json
import math

import pytest
from browser import assert_clean, component_fixtures, open_page, shot, touch
from playwright.sync_api import Page, expect

import gradio as gr  # isort: skip  # after browser, which turns its reports off
from gradio_client import Client
from gradio_client.exceptions import AppError
from gradio_client.utils import json_schema_to_python_type

from demo.components.emotion_pad import ANCHORS, EmotionPad, check_marks, check_path
from emotts.emotion.labels import AVD_MEANS

REACH = 0.46  # of the pad's side from its centre to the value 1, as in emotion_pad.js
EVERY_MS = 80  # between two "input" while dragging, as there
EVIL = '<img src=x onerror="window.evil=1">${window.evil=1}{{evil}}'
MARKS = [
    {"arousal": 0.5, "valence": 0.7, "kind": "asked", "text": ""},
    {"arousal": 0.3, "valence": 0.4, "kind": "heard", "text": "heard by the judge", "std": [0.2, 0.25]},
    {"arousal": -0.3, "valence": -0.2, "kind": "before"},
    {"arousal": -0.6, "valence": 0.4, "kind": "result", "text": EVIL},
]
FORGED = {
    "too large to be finite": json.loads('{"arousal": 1e400, "valence": 0}'),
    "not a number": {"arousal": math.nan, "valence": 0},
    "text": {"arousal": "0.5", "valence": 0},
    "truth value": {"arousal": True, "valence": 0},
    "missing key": {"arousal": 0.5},
    "nothing": None,
    "empty text": "",
    "list": [0.5, 0.5],
    "million numbers": {"arousal": [0.0] * 1_000_000, "valence": 0},
    "nested": {"arousal": {"arousal": [[[[[[0.5]]]]]]}, "valence": 0},
}


def build() -> gr.Blocks:
    """A page with two pads that are told apart, a third one that only shows, and buttons for what Python sets."""
    with gr.Blocks() as blocks:
        with gr.Row():
            with gr.Column(min_width=280) as column:
                first = EmotionPad({"arousal": 0.2, "valence": -0.3}, elem_id="first", label="First")
            with gr.Column(min_width=280):
                second = EmotionPad(elem_id="second", label="Second")
        EmotionPad(marks=MARKS, path=[[-0.2, -0.3], [0.0, 0.2], [0.4, 0.3]], interactive=False, elem_id="shows")
        told = gr.Textbox(elem_id="told")
        releases, inputs = gr.Number(0, elem_id="releases"), gr.Number(0, elem_id="inputs")
        options = {"show_progress": "hidden"}
        last = {"trigger_mode": "always_last", **options}  # as the demo has it
        first.release(lambda value, n: (json.dumps(value), n + 1), [first, releases], [told, releases], **last)
        second.release(lambda value: json.dumps(value), second, told, **last)
        count = "n => { window.inputCount = (window.inputCount || 0) + 1; return [n]; }"  # all, however slow Python is
        first.input(lambda n: n + 1, inputs, inputs, js=count, trigger_mode="multiple", **options)
        set_value = gr.Button("set value")
        set_value.click(lambda: {"arousal": 0.75, "valence": 0.62}, None, first, api_name="set_value", **options)
        gr.Button("set marks").click(lambda: EmotionPad(marks=MARKS[:2]), None, first, **options)
        gr.Button("read only").click(lambda: gr.update(interactive=False), None, first, **options)
        gr.Button("read").click(lambda value: json.dumps(value), first, told, api_name="read", **options)
        gr.Button("hide").click(lambda: gr.update(visible=False), None, column, **options)
        gr.Button("show").click(lambda: gr.update(visible=True), None, column, **options)
    return blocks


url, desktop, page = component_fixtures(build)


def at(page: Page, arousal: float, valence: float, pad: str = "#first") -> tuple[float, float]:
    """Return where a place of a pad is on the page; the pad is brought into view first."""
    page.locator(f"{pad} .pad").scroll_into_view_if_needed()
    box = page.locator(f"{pad} .pad").bounding_box()
    return box["x"] + box["width"] * (0.5 + REACH * valence), box["y"] + box["height"] * (0.5 - REACH * arousal)


def place_of_dot(page: Page, pad: str = "#first") -> tuple[float, float]:
    """Return arousal and valence of the place at which a dot is drawn."""
    outer, dot = (page.locator(f"{pad} {name}").bounding_box() for name in (".pad", ".handle"))
    x, y = dot["x"] + dot["width"] / 2 - outer["x"], dot["y"] + dot["height"] / 2 - outer["y"]
    return (0.5 - y / outer["height"]) / REACH, (x / outer["width"] - 0.5) / REACH


def expect_told(page: Page, arousal: float, valence: float) -> None:
    expect(page.locator("#told textarea")).to_have_value(json.dumps({"arousal": arousal, "valence": valence}))


@pytest.mark.parametrize("value", FORGED.values(), ids=FORGED)
def test_forged_value_is_refused_in_a_short_sentence(value: object) -> None:
    with pytest.raises(gr.Error) as error:
        EmotionPad().preprocess(value)
    message = error.value.message
    assert "must be" in message and "got" in message and len(message) < 300


def test_values_outside_are_kept_in_range() -> None:
    assert EmotionPad().preprocess({"arousal": 5, "valence": -(10**400), "more": 1}) == {
        "arousal": 1.0,
        "valence": -1.0,
    }


def test_emotions_stand_at_their_means() -> None:
    assert {a["name"]: (a["arousal"], a["valence"]) for a in ANCHORS} == {n: m[:2] for n, m in AVD_MEANS.items()}


def test_schema_describes_the_value() -> None:
    pad = EmotionPad()
    assert json_schema_to_python_type(pad.api_info()) == "dict(arousal: float, valence: float)"
    assert set(pad.api_info()["required"]) == set(pad.preprocess(pad.example_payload()))


@pytest.mark.parametrize(
    ("marks", "complaint"),
    [
        ([{"arousal": 0, "valence": 0, "kind": "seen"}], "kind of a mark must be one of asked, heard, before, result"),
        ([{"arousal": 0, "valence": math.inf, "kind": "heard"}], "valence must be a finite number"),
        ([{"arousal": 0, "valence": 0, "kind": "heard", "std": [math.nan, 0.1]}], "std of a mark must be a finite"),
        ([{"arousal": 0, "valence": 0, "kind": "heard"}] * 201, "at most 200 marks; got 201"),
    ],
)
def test_marks_that_cannot_be_drawn_are_refused(marks: list[dict], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        EmotionPad(marks=marks)


def test_marks_and_path_are_kept_in_range() -> None:
    assert check_marks([{"arousal": 3, "valence": 0, "kind": "heard", "std": [0.1, 0.2, 0.3]}]) == [
        {"arousal": 1.0, "valence": 0.0, "kind": "heard", "text": "", "std": [0.1, 0.2]}
    ]
    assert check_path([[2, 0.5]]) == [[1.0, 0.5]]
    with pytest.raises(ValueError, match="point of a path must be"):
        check_path([[1.0, 0.5, 0.3]])


def test_forged_value_over_http_is_told_why(url: str) -> None:
    client = Client(url, verbose=False, httpx_kwargs={"timeout": 60})
    assert json.loads(client.predict({"arousal": 0.5, "valence": 9}, api_name="/read")) == {
        "arousal": 0.5,
        "valence": 1,
    }
    with pytest.raises(AppError, match="arousal must be a finite number from -1 to 1; got '0.5'"):
        client.predict({"arousal": "0.5", "valence": 0}, api_name="/read")


def test_dot_is_dragged_by_the_mouse(page: Page) -> None:
    page.mouse.move(*at(page, 0.2, -0.3))
    page.mouse.down()
    page.mouse.move(*at(page, -0.4, 0.5), steps=30)
    assert place_of_dot(page) == pytest.approx((-0.4, 0.5), abs=0.02)
    expect(page.locator("#told textarea")).to_have_value("")  # not yet released
    page.mouse.up()
    expect_told(page, -0.4, 0.5)
    expect(page.locator("#releases input")).to_have_value("1")
    expect(page.locator("#inputs input")).not_to_have_value("0")
    assert place_of_dot(page, "#second") == pytest.approx((0, 0), abs=0.02)
    page.mouse.click(*at(page, 0.9, -1.0, "#second"))  # a press anywhere
    expect_told(page, 0.9, -1.0)
    assert place_of_dot(page) == pytest.approx((-0.4, 0.5), abs=0.02)


def test_dragging_is_told_only_now_and_then(page: Page) -> None:
    drag = """node => {
        const box = node.getBoundingClientRect(), start = performance.now();
        for (let i = 0; i < 100; i++) {
            const at = {pointerId: 1, clientX: box.x + i, clientY: box.y + i};
            node.dispatchEvent(new PointerEvent("pointermove", {...at, bubbles: true}));
        }
        return performance.now() - start;
    }"""
    page.mouse.move(*at(page, 0.2, -0.3))
    page.mouse.down()
    took_ms = page.locator("#first .pad").evaluate(drag)
    page.mouse.up()
    expect(page.locator("#releases input")).to_have_value("1")
    assert 1 <= page.evaluate("window.inputCount") <= 2 + took_ms / EVERY_MS


def test_dot_stays_in_the_pad_when_the_mouse_leaves_it(page: Page) -> None:
    page.mouse.move(*at(page, 0.2, -0.3))
    page.mouse.down()
    page.mouse.move(*at(page, 1.6, -1.6), steps=4)
    page.mouse.up()
    expect_told(page, 1.0, -1.0)


def test_click_on_an_emotion_means_it(page: Page) -> None:
    for name in ("angry", "fearful", "tender"):
        arousal, valence, _ = AVD_MEANS[name]
        x, y = at(page, arousal, valence)
        page.mouse.click(x + 2, y - 2)
        expect_told(page, arousal, valence)
    page.locator('#first .anchor[data-name="calm"] span').click()
    expect_told(page, *AVD_MEANS["calm"][:2])


def test_dot_is_moved_by_keys(page: Page) -> None:
    handle = page.locator("#first .handle")
    handle.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(handle).to_have_attribute("aria-valuetext", "arousal 0.25, valence -0.05, near contempt")
    expect_told(page, 0.25, -0.05)
    page.keyboard.press("Home")
    expect_told(page, 0.0, 0.0)
    page.keyboard.press("Shift+Tab")  # to the emotion that is nearest
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect_told(page, *AVD_MEANS["calm"][:2])


def test_keys_that_follow_each_other_are_told_once(page: Page) -> None:
    press = "node => node.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowUp', bubbles: true}))"
    page.locator("#first .handle").evaluate(f"node => {{ for (let i = 0; i < 8; i++) ({press})(node); }}")
    expect_told(page, 0.6, -0.3)
    expect(page.locator("#releases input")).to_have_value("1")


def test_dot_is_dragged_by_a_finger_and_the_page_stays(url: str) -> None:
    with open_page(url, phone=True) as page:
        start, end = at(page, 0.2, -0.3), at(page, -0.7, 0.3)
        scrolled = page.evaluate("scrollY")
        middle = (start[0] + 10, start[1] + 30)
        touch(page, start, middle, end)
        expect_told(page, -0.7, 0.3)
        assert page.evaluate("scrollY") == scrolled
        x, y = at(page, *AVD_MEANS["happy"][:2])
        touch(page, (x - 15, y + 6))  # a finger is broad
        expect_told(page, *AVD_MEANS["happy"][:2])
        box = page.locator("#first .handle").bounding_box()
        assert box["width"] >= 44 and box["height"] >= 44
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert_clean(page)


def test_python_moves_the_dot_and_listeners_stay_single(page: Page) -> None:
    for _ in range(3):
        page.mouse.click(*at(page, -0.8, -0.1))
        expect_told(page, -0.8, -0.1)
        page.get_by_role("button", name="set value").click()
        page.wait_for_function("document.querySelector('#first .handle').getAttribute('aria-valuenow') === '0.62'")
        assert place_of_dot(page) == pytest.approx((0.75, 0.62), abs=0.02)
        page.get_by_role("button", name="set marks").click()
        expect(page.locator("#first .legend li")).to_have_count(2)
        page.get_by_role("button", name="read", exact=True).click()
        expect_told(page, 0.75, 0.62)
    expect(page.locator("#releases input")).to_have_value("3")
    expect(page.locator("#first .anchor")).to_have_count(12)


def test_pad_that_only_shows_has_no_dot_and_takes_no_touch(page: Page) -> None:
    page.get_by_role("button", name="read only").click()
    expect(page.locator("#first .handle")).to_be_hidden()
    page.mouse.click(*at(page, 0.6, 0.6))
    page.get_by_role("button", name="read", exact=True).click()
    expect_told(page, 0.2, -0.3)
    expect(page.locator("#shows .handle")).to_be_hidden()
    expect(page.locator("#shows .readout")).to_be_empty()
    assert page.locator("#shows [tabindex='0']:visible").count() == 0
    expect(page.locator("#shows .anchor:disabled")).to_have_count(12)


def test_marks_are_drawn_where_they_are_and_named_in_a_legend(page: Page) -> None:
    for mark in MARKS:
        x, y = at(page, mark["arousal"], mark["valence"], "#shows")
        box = page.locator(f"#shows .mark[data-kind={mark['kind']}]").bounding_box()
        assert (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) == pytest.approx((x, y), abs=1.5)
    spread = page.locator("#shows .spread").bounding_box()
    pad = page.locator("#shows .pad").bounding_box()
    assert spread["width"] == pytest.approx(2 * 0.25 * REACH * pad["width"], abs=2.5)
    assert spread["height"] == pytest.approx(2 * 0.2 * REACH * pad["height"], abs=2.5)
    expect(page.locator("#shows .path")).to_have_attribute("points", "-0.2,0.3 0,-0.2 0.4,-0.3")
    turn = page.locator("#shows .arrow path").get_attribute("transform")
    assert float(turn.split("(")[1].split()[0]) == pytest.approx(math.degrees(math.atan2(-0.1, 0.4)))
    texts = page.locator("#shows .legend li").all_inner_texts()
    assert texts == ["asked", "heard by the judge", "before", EVIL]
    assert page.evaluate("window.evil") is None


def test_value_outlives_a_time_out_of_sight(page: Page) -> None:
    page.mouse.click(*at(page, -0.8, -0.1))
    expect_told(page, -0.8, -0.1)
    page.get_by_role("button", name="hide").click()
    expect(page.locator("#first .pad")).to_be_hidden()
    page.get_by_role("button", name="show").click()
    page.locator("#first .handle").wait_for()
    assert place_of_dot(page) == pytest.approx((-0.8, -0.1), abs=0.02)
    page.mouse.click(*at(page, 0.3, 0.3))
    expect_told(page, 0.3, 0.3)
    expect(page.locator("#releases input")).to_have_value("2")


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_names_do_not_overlap_and_stay_inside(url: str, phone: bool) -> None:
    with open_page(url, phone=phone) as page:
        pad = page.locator("#shows .pad").bounding_box()
        boxes = [name.bounding_box() for name in page.locator("#shows .anchor span").all()]
        assert len(boxes) == 12
        for i, one in enumerate(boxes):
            assert pad["x"] <= one["x"] and one["x"] + one["width"] <= pad["x"] + pad["width"]
            for other in boxes[:i]:
                across = min(one["x"] + one["width"], other["x"] + other["width"]) - max(one["x"], other["x"])
                down = min(one["y"] + one["height"], other["y"] + other["height"]) - max(one["y"], other["y"])
                assert across <= 2 or down <= 3, (one, other)  # the padding of a name may touch another


def test_colours_follow_light_and_dark(url: str) -> None:
    ink = {}
    for dark in (False, True):
        with open_page(url, dark=dark, phone=dark) as page:
            page.locator("#shows .mark").first.wait_for()
            ink[dark] = page.eval_on_selector("#first .anchor span", "node => getComputedStyle(node).color")
            at(page, 0, 0)
            shot(page, "pad-phone-dark" if dark else "pad-desktop-light")
    light, dark = (sum(int(part) for part in ink[key][4:-1].split(",")) for key in (False, True))
    assert light < 200 < 550 < dark  # dark ink on light paper, light ink on dark


def test_motion_is_left_out_for_those_who_ask(page: Page) -> None:
    for motion in ("reduce", "no-preference"):
        page.emulate_media(reduced_motion=motion)
        duration = page.locator("#first .handle").evaluate("node => getComputedStyle(node).transitionDuration")
        assert (duration.strip("s, 0.") == "") == (motion == "reduce")
    page.emulate_media(reduced_motion="reduce")
