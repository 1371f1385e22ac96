"""Compare: loudness, pairs, blind tests and grids as functions, the endpoint by a client, and the tab in a browser."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import soundfile
from browser import assert_clean, open_page, served, shot
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import expect
from scipy.signal import lfilter
from scipy.stats import binomtest

from demo.app import build_app
from demo.compare_abx import answer, binomial_p, start_abx, write_abx
from demo.compare_cells import CellGrid, cells_of
from demo.compare_grid import LATTICE, PLACES, Stop, check_grid, marks_of_grid, path_of_grid, speak_grid
from demo.compare_loudness import loudness_lufs
from demo.compare_pair import make_pair, read_sound
from demo.engine import Engine
from demo.room import Room
from demo.tab_compare import build_compare_tab, marks_of_pair, offered, score_html
from demo.takes import Take, remembered
from demo.theme import STYLE, make_theme
from emotts import EmoTTS
from emotts.provenance import read_provenance

TEXT = "You came back after all."
EVIL = "<img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(EmoTTS.from_pretrained())


@pytest.fixture(scope="module")
def nine(engine: Engine) -> list[Take]:
    return list(speak_grid(engine, TEXT, engine.voices[0], 1))


@pytest.fixture(scope="module")
def address(engine: Engine):
    with served(build_app(engine, tabs=("compare",)), {"theme": make_theme(), "css_paths": [STYLE]}) as url:
        yield url


# --- loudness


def sine(rate: int, seconds: float, amplitude: float = 1.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * 997.0 * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000])
def test_full_scale_sine_has_the_loudness_of_the_standard(rate):
    assert loudness_lufs(sine(rate, 3.0), rate) == pytest.approx(-3.01, abs=0.05)  # BS.1770-5, Annex 1


def test_loudness_equals_filters_and_gates_in_the_time_domain(engine, nine):
    rate = 48_000  # the rate for which the standard gives coefficients
    sound = read_sound(nine[0].path)
    from emotts.audio import resample

    wave = np.concatenate([resample(sound.waveform, sound.sample_rate, rate), np.zeros(rate), 0.05 * sine(rate, 1.0)])
    shelf = lfilter(
        [1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585], wave
    )
    weighted = lfilter([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621], shelf)
    starts = range(0, len(weighted) - 19_200 + 1, 4_800)
    powers = np.array([np.mean(weighted[at : at + 19_200] ** 2) for at in starts])
    loud = powers[-0.691 + 10 * np.log10(powers + 1e-30) > -70]
    spoken = loud[10 * np.log10(loud) > 10 * np.log10(loud.mean()) - 10]
    expected = -0.691 + 10 * np.log10(spoken.mean())
    assert loudness_lufs(wave, rate) == pytest.approx(expected, abs=1e-3)


def test_silence_has_no_loudness_and_a_short_sound_that_of_a_long_one():
    assert loudness_lufs(np.zeros(24_000), 24_000) == -math.inf
    assert loudness_lufs(np.zeros(10), 24_000) == -math.inf
    assert loudness_lufs(sine(24_000, 0.2, 0.1), 24_000) == pytest.approx(
        loudness_lufs(sine(24_000, 2.0, 0.1), 24_000), abs=0.1
    )


# --- pairs


def test_matched_pair_is_equally_loud_and_nothing_is_made_louder(engine, nine):
    loud, quiet = nine[2], nine[7]
    pair = make_pair(engine, loud, quiet, match=True)
    a, b = read_sound(pair.a), read_sound(pair.b)
    assert a.lufs == pytest.approx(b.lufs, abs=0.1)
    assert pair.b == quiet.path and pair.a != loud.path
    before = read_sound(loud.path)
    gain = np.dot(a.waveform, before.waveform) / np.dot(before.waveform, before.waveform)
    assert 0.0 < gain < 0.9
    assert np.abs(a.waveform - gain * before.waveform).max() < 2.0 / 32_768  # a gain, rounded to 16 bits
    assert "A was lowered by" in pair.note and "LUFS" in pair.note


def test_lowered_copy_still_says_how_it_was_made(engine, nine):
    pair = make_pair(engine, nine[2], nine[7], match=True)
    assert read_provenance(pair.a).settings == read_provenance(nine[2].path).settings


def test_unmatched_pair_is_the_takes_themselves(engine, nine):
    pair = make_pair(engine, nine[0], nine[8], match=False)
    assert (pair.a, pair.b) == (nine[0].path, nine[8].path)


def test_silent_recording_is_compared_as_it_is(engine, nine):
    place = engine.new_file("silence.wav")
    soundfile.write(place, np.zeros(24_000, np.int16), 24_000)
    pair = make_pair(engine, replace(nine[0], path=str(place)), nine[1], match=True)
    assert (pair.a, pair.b) == (str(place), nine[1].path)


def test_marks_of_a_pair_are_told_apart_by_shape(nine):
    marks = marks_of_pair(nine[0], nine[8])
    assert [(mark["kind"], mark["text"]) for mark in marks] == [
        ("asked", "A asked"), ("heard", "A heard"), ("before", "B asked"), ("result", "B heard"),
    ]  # fmt: skip


# --- blind test


def test_p_value_is_that_of_the_binomial_test():
    for n, right in [(1, 1), (1, 0), (8, 7), (16, 12), (40, 25)]:
        assert binomial_p(n, right) == pytest.approx(binomtest(right, n, 0.5, alternative="greater").pvalue)
    assert binomial_p(0, 0) == 1.0


def test_files_of_a_blind_test_do_not_tell(engine, nine):
    short, long = sorted((nine[2], nine[6]), key=lambda take: take.duration_s)
    assert short.duration_s < long.duration_s
    paths = [Path(path) for path in write_abx(engine, start_abx(short, long, match=False))]
    assert len({path.name for path in paths}) == 1
    assert len({path.stat().st_size for path in paths}) == 1
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in paths}) == 3  # Gradio's addresses hold this
    comments = set()
    for path in paths:
        with soundfile.SoundFile(str(path)) as file:
            comments.add(file.comment)
    assert len(comments) == 1
    said = json.loads(comments.pop())
    assert said["synthetic"] and said["settings"]["pieces"] == 2 and "seed" not in said  # both are told, and neither


@pytest.mark.parametrize("x_is_a", [True, False])
def test_x_is_what_the_server_says_it_is(engine, nine, x_is_a):
    test = replace(start_abx(nine[0], nine[8], match=True), x_is_a=x_is_a)
    a, b, x = (read_sound(path).waveform for path in write_abx(engine, test))
    same, other = (a, b) if x_is_a else (b, a)
    assert np.abs(x - same).max() < 4.0 / 32_768  # two noises of at most one step each, and rounding
    assert np.abs(x - other).max() > 0.05
    assert read_sound(nine[0].path).waveform.size <= a.size == b.size


def test_x_is_drawn_anew_each_time_without_a_side(engine, nine):
    test = start_abx(nine[0], nine[8], match=False)
    drawn = []
    for _ in range(400):
        drawn.append(test.x_is_a)
        test = answer(test, True)
    assert 150 < sum(drawn) < 250  # five standard deviations
    assert test.n == 400 and test.n_correct == sum(drawn)


def test_one_take_cannot_be_told_from_itself(nine):
    with pytest.raises(ValueError, match="two different takes"):
        start_abx(nine[0], nine[0], match=True)


def test_score_tells_the_last_answer(engine, nine):
    before = replace(start_abx(nine[0], nine[8], True), x_is_a=True, n=7, n_correct=6)
    assert "Right: X was A" in (said := score_html(before, answer(before, True)))
    assert "7 of 8 right, p = 0.035" in said
    assert "Wrong: X was A" in score_html(before, answer(before, False))
    assert score_html(None, None) == ""


# --- grid


def test_grid_is_heard_where_it_was_asked_to_be(nine):
    assert [take.asked[:2] for take in nine] == [pytest.approx(place) for place in PLACES]
    heard = np.array([take.heard.avd[:2] for take in nine]).reshape(3, 3, 2)
    arousal, valence = heard[..., 0].mean(axis=1), heard[..., 1].mean(axis=0)
    assert arousal[0] > arousal[1] > arousal[2] and arousal[0] - arousal[2] > 0.8
    assert valence[2] > valence[1] > valence[0] and valence[2] - valence[0] > 0.6
    assert {take.seed for take in nine} == {1}


def test_stopping_a_grid_keeps_what_is_spoken(engine):
    stop, takes = Stop(), []
    for take in speak_grid(engine, "Stop.", engine.voices[0], 1, stop=stop):
        takes.append(take)
        stop.is_wished = len(takes) == 2
    assert len(takes) == 2 and all(Path(take.path).is_file() for take in takes)


def test_lattice_is_a_walk_along_every_edge_of_the_grid():
    steps = {frozenset(pair) for pair in zip(LATTICE, LATTICE[1:], strict=False)}
    across = {frozenset((3 * row + i, 3 * row + i + 1)) for row in range(3) for i in range(2)}
    down = {frozenset((i, i + 3)) for i in range(6)}
    assert steps == across | down


def test_dots_of_a_grid_come_with_its_takes(nine):
    assert len(marks_of_grid(nine[:4])) == 8 and path_of_grid(nine[:8]) == []
    assert len(path_of_grid(nine)) == len(LATTICE)


def test_cells_show_what_is_there_and_what_is_coming(nine):
    value = cells_of(nine[:3], is_working=True)
    assert len(value["cells"]) == 3 and value["at"] == 3
    assert cells_of(nine, is_working=True)["at"] == -1
    assert CellGrid().preprocess({"cells": [{"file": {"path": "/etc/passwd"}}]}) is None


@pytest.mark.parametrize(
    ("text", "voice", "seed", "said"),
    [
        ("", "heart", 1, "text must not be empty"),
        (None, "heart", 1, "text must be a text"),
        ("word " * 80, "heart", 1, "at most 300 characters"),
        ("[like=/etc/passwd]Hello.[/]", "heart", 1, "must not name files"),
        ("Hello.", "/etc/passwd", 1, "voice must be one of"),
        ("Hello.", ["heart"], 1, "voice must be one of"),
        ("Hello.", "heart", -1, "seed must be a whole number"),
        ("Hello.", "heart", 1.5, "seed must be a whole number"),
        ("Hello.", "heart", math.nan, "seed must be a whole number"),
        ("Hello.", "heart", True, "seed must be a whole number"),
    ],
)
def test_grid_refuses_what_cannot_be_spoken(engine, text, voice, seed, said):
    with pytest.raises(ValueError, match=said):
        check_grid(engine, text, voice, seed)


def test_pickers_keep_a_choice_that_is_still_there(nine):
    a, b = offered(None, None, [], [])
    assert a["choices"] == [] and "Nothing to compare" in a["info"]
    a, b = offered(None, None, [], nine)
    assert (a["value"], b["value"]) == (nine[0].key, nine[8].key)
    a, b = offered(nine[3].key, "gone", nine[:2], nine[2:])
    assert (a["value"], b["value"]) == (nine[3].key, nine[0].key)
    a, b = offered(None, None, nine[:1], [])
    assert (a["value"], b["value"]) == (nine[0].key, None)


# --- the endpoint


def test_endpoint_gives_nine_files_with_asked_and_heard(address):
    client = Client(address, verbose=False, httpx_kwargs={"timeout": 60})
    answers = client.predict("Come in.", "ada", 3, api_name="/compare")
    assert len(answers) == 9
    for found, (arousal, valence) in zip(answers, PLACES, strict=True):
        waveform, rate = soundfile.read(found["file"])
        assert rate == 24_000 and 0.3 < len(waveform) / rate < 3.0 and np.abs(waveform).max() > 0.01
        assert (found["asked"]["arousal"], found["asked"]["valence"]) == pytest.approx((arousal, valence))
        assert set(found["heard"]) >= {"arousal", "valence", "dominance", "label"} and found["seed"] == 3


def test_endpoint_tells_mistakes_in_a_sentence(address):
    client = Client(address, verbose=False, httpx_kwargs={"timeout": 60})
    with pytest.raises(AppError, match="voice must be one of"):
        client.predict("Come in.", "/etc/passwd", 3, api_name="/compare")
    with pytest.raises(AppError, match="must not name files"):
        client.predict("[like=/etc/passwd]Come in.[/]", "ada", 3, api_name="/compare")


# --- in a browser


def test_grid_pair_and_blind_test_in_a_browser(address):
    with open_page(address) as page:
        bodies: list[str] = []
        page.on("response", lambda response: bodies.append(_text(response)))
        page.locator("#compare-go").click()
        page.get_by_text("Rings are what was asked").wait_for(timeout=180_000)
        cells = page.locator("#compare-cells .cell")
        expect(cells).to_have_count(9)
        expect(page.locator("#compare-cells .cell.ready")).to_have_count(9)
        cells.nth(8).click()
        page.locator("#compare-cells .cell.playing", has_text="serene").wait_for()
        cells.nth(4).focus()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        page.locator("#compare-cells .cell.playing", has_text="alert").wait_for()
        expect(page.locator("#compare-grid-pad .mark[data-kind]")).to_have_count(18)
        shot(page, "compare-grid")

        page.get_by_text("was lowered by").wait_for()
        expect(page.locator("#compare-pad .mark[data-kind]")).to_have_count(4)
        a, b = (_sound(page, f"#compare-player-{name}") for name in "ab")
        assert loudness_lufs(*a) == pytest.approx(loudness_lufs(*b), abs=0.1)
        louder = page.locator("#compare-pair-note").inner_text().split(" was lowered by")[0][-1].lower()
        link = page.locator(f"#compare-player-{louder} a[download]")
        lowered = str(link.get_attribute("href"))
        page.get_by_label("Equally loud").uncheck()
        page.get_by_text("Each as loud as it was spoken").wait_for()
        expect(link).not_to_have_attribute("href", lowered)
        assert (
            abs(loudness_lufs(*_sound(page, "#compare-player-a")) - loudness_lufs(*_sound(page, "#compare-player-b")))
            > 1.0
        )

        page.locator("#compare-abx button").first.click()
        bodies.clear()
        page.locator("#abx-start").click()
        page.wait_for_function("document.querySelectorAll('#compare-abx audio[src]').length === 3")
        urls = page.eval_on_selector_all("#compare-abx audio", "all => all.map(one => one.src)")
        assert len({url.rsplit("/", 1)[1] for url in urls}) == 1 and len(set(urls)) == 3
        sizes = {len(page.context.request.get(url).body()) for url in urls}
        assert len(sizes) == 1
        assert not any("x_is_a" in body or "X was" in body for body in bodies) and "X was" not in page.content()
        for n in range(1, 4):
            page.locator("#abx-is-a").click()
            page.locator("#abx-score").get_by_text(f"of {n} right").wait_for()
        right = int(page.locator("#abx-score").inner_text().split("X was ")[1].split(" of")[0].split()[-1])
        assert f"p = {binomial_p(3, right):.3f}" in page.locator("#abx-score").inner_text()
        shot(page, "compare-abx")
        page.get_by_label("Equally loud").check()  # other files: the test begins anew
        page.wait_for_function("document.querySelector('#abx-is-a').disabled")
        expect(page.locator("#abx-score")).to_have_text("")
        assert_clean(page)


def test_takes_of_another_tab_can_be_compared(engine, nine):
    coming = [replace(nine[4], text=f"Evil {EVIL}"), nine[2]]
    with gr.Blocks() as app:
        room = Room(engine, gr.State([]))
        add = gr.Button("Add", elem_id="add")
        build_compare_tab(room)
        add.click(lambda takes: remembered(coming.pop(0), takes), room.takes, room.takes)
    with served(app) as url, open_page(url) as page:
        page.locator("#add").click()
        page.wait_for_function("document.querySelector('#compare-a input').value.includes('Evil')")
        page.locator("#add").click()
        page.locator("#compare-pair-note").get_by_text("was lowered by").wait_for()
        assert EVIL in page.locator("#compare-a input").input_value()
        expect(page.locator("#compare-b input")).to_have_value(nine[2].title)
        assert np.abs(_sound(page, "#compare-player-b")[0]).max() > 0.01
        assert page.evaluate("window.hacked") is None and page.locator("img[src=x]").count() == 0
        assert_clean(page)


def test_stop_ends_a_grid_after_the_cell_that_is_spoken(address):
    with open_page(address) as page:
        page.locator("#compare-text textarea, #compare-text input").fill(
            "This is a longer sentence, so that there is time. " * 4
        )
        page.locator("#compare-go").click()
        page.locator("#compare-cells .cell.ready").first.wait_for(timeout=180_000)
        page.locator("#compare-stop").click()
        page.get_by_text("Stopped after").wait_for(timeout=180_000)
        spoken = int(page.locator("#compare-note").inner_text().split("Stopped after ")[1].split(" of 9")[0])
        assert 1 <= spoken < 9
        expect(page.locator("#compare-cells .cell.ready")).to_have_count(spoken)
        expect(page.locator("#compare-cells .cell.working")).to_have_count(0)
        page.locator("#compare-cells .cell.ready").first.click()
        page.locator("#compare-cells .cell.playing").wait_for()
        assert_clean(page)


def test_markup_in_an_error_is_shown_and_never_run(address):
    with open_page(address) as page:
        page.locator("#compare-text textarea, #compare-text input").fill(f"[{EVIL}]Hello.[/]")
        page.locator("#compare-go").click()
        page.locator(".toast-body").first.wait_for()
        page.wait_for_timeout(300)
        assert page.evaluate("window.hacked") is None and page.locator("img[src=x]").count() == 0
        expect(page.locator("#compare-cells .cell.working")).to_have_count(0)
        assert_clean(page)


def test_tab_fits_a_phone_in_the_dark(address):
    with open_page(address, phone=True, dark=True) as page:
        page.locator("#compare-text textarea, #compare-text input").fill("Come in.")
        page.locator("#compare-go").click()
        page.get_by_text("Rings are what was asked").wait_for(timeout=180_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = page.locator("#compare-cells .cell").nth(0).bounding_box()
        assert box["width"] >= 60 and box["height"] >= 60  # large enough for a finger
        assert page.evaluate("document.body.classList.contains('dark')")
        page.locator("#compare-cells .cell").nth(0).tap()
        page.locator("#compare-cells .cell.playing").wait_for()
        shot(page, "compare-phone-dark")
        assert_clean(page)


def _text(response) -> str:
    try:
        return response.text() if "json" in response.headers.get("content-type", "") else ""
    except Exception:  # a stream that is still open
        return ""


def _sound(page, selector: str) -> tuple[np.ndarray, int]:
    """Return what a player offers for download."""
    import io

    href = page.locator(f"{selector} a[download]").get_attribute("href")
    return soundfile.read(io.BytesIO(page.context.request.get(href).body()))
