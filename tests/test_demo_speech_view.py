"""Pictures of sound hold the numbers of what they show, and `SpeechView` draws them in a browser, safely and at any width."""

import base64
import io
import json
import math
import time

import numpy as np
import pytest
from browser import assert_clean, open_page, served, shot

import gradio as gr  # isort: skip
from PIL import Image

from demo.components.speech_view import SpeechView
from demo.picture_asked import asked_along
from demo.picture_lanes import LEVEL_FLOOR_DB, label_runs, levels, outline, sheet_places, word_times
from demo.picture_mel import LEVELS, MAX_COLUMNS, MEL_CEILING, MEL_FLOOR, mel_picture, palette
from demo.pictures import picture_of_conversion, picture_of_recording, picture_of_result
from demo.theme import make_theme
from emotts import EmoTTS
from emotts.audio import SPEC, save_audio
from emotts.conversion.activity import Span
from emotts.conversion.result import Conversion
from emotts.emotion.heard import Heard
from emotts.emotion.labels import LABELS
from emotts.emotion.spec import EmotionSpec
from emotts.emotion.timeline import Keyframe, Timeline
from emotts.speech import Result

TEXT = "I can't believe you came. Sit down, and tell me everything."
BAD = "<img src=x onerror=window.hacked=1>"
NOT_FILLED = "Converted"
LANES = ["sounds", "waveform", "mel", "f0", "level", "feeling", "spans"]


@pytest.fixture(scope="module")
def result():
    return EmoTTS.from_pretrained().synthesize(TEXT, emotion="happy:0.8", seed=3)


@pytest.fixture(scope="module")
def picture(result):
    return picture_of_result(result, windows_of(result.duration_s), (0.5, None, -0.25))


@pytest.fixture(scope="module")
def converted(result):
    """A conversion whose parts are known: the result, an octave lower, of a recording that is the result itself."""
    return Conversion(
        result.waveform, SPEC.sample_rate, "", "otto", EmotionSpec("sad"), 1, 0.1, result.tokens, result.durations,
        result.f0 / 2, result.mel, spans=[Span(0.0, 0.5, "other"), Span(0.5, 90.0, "speech")],
    )  # fmt: skip


def windows_of(duration_s, labels=("happy", "happy", "sad")):
    found = []
    for i in range(int(duration_s / 0.5)):
        best = labels[i % len(labels)]
        shares = {name: 0.78 if name == best else 0.02 for name in LABELS}
        place = (0.4 + 0.1 * (i % 3), -0.3 + 0.2 * (i % 4), 0.1)
        found.append(Heard(0.5 * i, 0.5 * (i + 1), shares, place, (0.2, 0.15, 0.1), np.ones(2, np.float32), False))
    return found


def tone(seconds, hz=200.0, rate=SPEC.sample_rate, gain=0.5):
    return (gain * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def repeated(result, seconds):
    """The same speech again and again."""
    n = math.ceil(seconds / result.duration_s)
    return Result(
        np.tile(result.waveform, n), SPEC.sample_rate, TEXT, "otto", EmotionSpec(), 1, 0.1, n * result.tokens,
        n * result.durations, np.tile(result.f0, n), np.tile(result.mel, (n, 1)),
        [word + i * (max(result.words) + 1) if word >= 0 else -1 for i in range(n) for word in result.words], n * result.prosody,
    )  # fmt: skip


def decoded(uri):
    assert uri.startswith("data:image/png;base64,")
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))


def unpacked(text):
    return np.frombuffer(base64.b64decode(text), np.int8)


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_tokens_lie_at_the_cumulated_durations(result, picture):
    ends = np.cumsum(result.durations) / SPEC.frame_rate
    lasting = [
        (t, e - d / SPEC.frame_rate, e) for t, d, e in zip(result.tokens, result.durations, ends, strict=True) if d
    ]
    assert [row[0] for row in picture["tokens"]] == [row[0] for row in lasting]
    shown = np.array([row[1:] for row in picture["tokens"]])
    np.testing.assert_allclose(shown, np.array([row[1:] for row in lasting]), atol=6e-5)  # four decimals
    assert picture["tokens"][-1][2] == pytest.approx(result.duration_s, abs=1e-3)


def test_words_have_their_texts_and_the_times_of_the_result(result, picture):
    plain = [word.casefold().strip(".,") for word in TEXT.split()]
    assert [row[0].casefold() for row in picture["words"]] == plain
    for (_, start_s, end_s), spoken in zip(picture["words"], result.word_times, strict=True):
        assert (start_s, end_s) == pytest.approx((spoken.start_s, spoken.end_s), abs=1e-4)


def test_words_of_a_pause_between_segments_are_not_shifted(result):
    with_pause = EmoTTS.from_pretrained().synthesize("One two. [pause 300ms] Three.", seed=1)
    assert [row[0] for row in word_times(with_pause, 60.0)] == ["One", "two", "Three"]
    places = [place for place, _ in sheet_places(with_pause)]
    left_out = set(range(len(with_pause.tokens))) - set(places)
    assert all(with_pause.tokens[place] == "<sil>" and with_pause.words[place] < 0 for place in left_out)


def test_f0_is_none_exactly_where_unvoiced(result, picture):
    values = picture["f0"]["values"]
    assert [value is None for value in values] == (result.f0 <= 0).tolist()
    voiced = [value for value in values if value is not None]
    np.testing.assert_allclose(voiced, result.f0[result.f0 > 0], atol=0.051)
    mean = math.exp(np.log(result.f0[result.f0 > 0]).mean())
    assert picture["facts"]["mean_f0_hz"] == pytest.approx(mean, abs=0.06)


def test_mel_has_a_pixel_for_each_frame_and_band_with_low_bands_below(result, picture):
    image = decoded(picture["mel"]["png"])
    assert image.size == (len(result.mel), SPEC.n_mels)
    steps = (result.mel.T[::-1] - MEL_FLOOR) / (MEL_CEILING - MEL_FLOOR) * (LEVELS - 1)
    np.testing.assert_array_equal(np.asarray(image), np.clip(np.rint(steps), 0, LEVELS - 1))


def test_long_mel_is_averaged_and_brighter_is_louder():
    mel = np.linspace(MEL_FLOOR, MEL_CEILING, 4 * MAX_COLUMNS - 1)[:, None] * np.ones(SPEC.n_mels)
    pixels = np.asarray(decoded(mel_picture(mel)))
    assert pixels.shape == (SPEC.n_mels, MAX_COLUMNS)
    assert pixels[0, 0] == 0 and pixels[0, -1] == LEVELS - 1 and (np.diff(pixels[0].astype(int)) >= 0).all()
    lightness = palette().astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) > 0).all()


def test_outline_holds_lowest_and_highest_sample_of_each_column():
    waveform = np.random.default_rng(1).uniform(-1, 1, 24_000).astype(np.float32)
    shape = outline(waveform, 24_000)
    assert shape["step_s"] == pytest.approx(0.002)
    columns = waveform.reshape(-1, 48)
    np.testing.assert_allclose(unpacked(shape["low"]) / 127, columns.min(axis=1), atol=0.004)
    np.testing.assert_allclose(unpacked(shape["high"]) / 127, columns.max(axis=1), atol=0.004)
    beyond = outline(np.array([-3.0, 3.0] * 48, np.float32), 24_000)
    assert unpacked(beyond["low"]).min() == -127 and unpacked(beyond["high"]).max() == 127


def test_level_of_a_tone_is_its_rms_and_silence_stays_finite():
    values = levels(tone(1.0, gain=0.5))["values"]
    assert values[len(values) // 2] == pytest.approx(20 * math.log10(0.5 / math.sqrt(2)), abs=0.1)
    assert set(levels(np.zeros(24_000, np.float32))["values"]) == {LEVEL_FLOOR_DB}


def test_recording_at_another_rate_in_stereo_integers_is_drawn_with_its_pitch():
    sound = tone(1.5, hz=220.0, rate=44_100, gain=0.3)
    stereo = (np.stack([sound, sound], axis=1) * 32_767).astype(np.int16)
    picture = picture_of_recording(stereo, 44_100)
    assert picture["duration_s"] == pytest.approx(1.5, abs=1e-3)
    assert picture["facts"]["mean_f0_hz"] == pytest.approx(220.0, rel=0.01)
    assert "Recording of 1.50 s" in picture["alt"]
    assert picture["mel"]["start_s"] == pytest.approx(
        -0.5 / SPEC.frame_rate, abs=1e-4
    )  # frames lie around their centres


@pytest.mark.parametrize("length", [1, 30, 255, 256, 700])
def test_shortest_recordings_are_drawn(length):
    picture = picture_of_recording(np.full(length, 0.1, np.float32), 24_000)
    assert picture["duration_s"] == pytest.approx(length / 24_000, abs=1e-4)
    assert decoded(picture["mel"]["png"]).size[0] >= 1
    json.dumps(picture, allow_nan=False)


def test_silence_has_no_f0_and_says_so():
    picture = picture_of_recording(np.zeros(24_000, np.float32), 24_000)
    assert picture["facts"] == {"mean_f0_hz": None, "low_f0_hz": None, "high_f0_hz": None, "level_db": None, "words": 0}
    assert "No voiced sound." in picture["alt"] and "Silence." in picture["alt"]


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.array([0.0, np.nan]), np.zeros((2, 2, 9))])
def test_recordings_that_are_none_are_refused(waveform):
    with pytest.raises(ValueError, match="samples"):
        picture_of_recording(waveform, 24_000)


def test_conversion_shows_its_recording_behind_it(result, converted):
    picture = picture_of_conversion(result.waveform, 24_000, converted, windows_of(1.0))
    both = [
        (before, after)
        for before, after in zip(picture["before"]["f0"]["values"], picture["f0"]["values"], strict=False)
        if before and after
    ]
    assert np.median([before / after for before, after in both]) == pytest.approx(2.0, rel=0.05)
    assert picture["spans"] == [[0.0, 0.5, "other"], [0.5, 60.0, "speech"]]
    assert picture["note"] == "" and "Before:" in picture["alt"]


def test_conversion_of_another_length_keeps_both_times_and_says_so(result, converted):
    longer = np.concatenate([result.waveform, np.zeros(24_000, np.float32)])
    picture = picture_of_conversion(longer, 24_000, converted)
    assert picture["duration_s"] == pytest.approx(result.duration_s + 1.0, abs=1e-3)
    assert picture["total_s"] == pytest.approx(result.duration_s, abs=1e-3)
    assert f"The recording lasts {result.duration_s + 1.0:.2f} s" in picture["note"]


def test_asked_is_constant_or_rows_and_none_is_free(picture, result):
    end_s = round(result.duration_s, 3)
    assert picture["feeling"]["asked"] == [[0.0, 0.5, None, -0.25], [end_s, 0.5, None, -0.25]]
    moving = picture_of_result(
        result, None, [[0.0, -1.0, math.nan, 0.0], [1.0, 1.0, math.nan, 0.0], [99.0, 0.0, 0.0, 0.0]]
    )
    assert moving["feeling"]["asked"] == [[0.0, -1.0, None, 0.0], [1.0, 1.0, None, 0.0]]
    assert picture_of_result(result, None, (None, None, None))["feeling"]["asked"] == []
    with pytest.raises(ValueError, match="arousal, valence, dominance, or rows"):
        picture_of_result(result, None, (0.1, 0.2))


@pytest.mark.parametrize("kind, last", [("part", 1.0), ("t", 2.0), ("word", 9.0)])
def test_asked_along_a_time_line_rises_over_the_speech(result, kind, last):
    line = Timeline(kind, (Keyframe(0.0, arousal=-0.5), Keyframe(last, arousal=0.5)))
    rows = asked_along(result, line)
    times, arousal = [row[0] for row in rows], [row[1] for row in rows]
    assert times == sorted(times) and times[-1] < result.duration_s
    assert arousal == sorted(arousal) and arousal[0] < -0.4 and arousal[-1] > 0.4
    assert all(row[2] is None and row[3] is None for row in rows)


def test_windows_become_rows_and_neighbours_of_one_label_join(picture):
    heard = windows_of(2.0)
    assert picture["feeling"]["heard"][1][:2] == [0.5, 1.0]
    assert picture["feeling"]["heard"][1][2:] == [0.5, -0.1, 0.1, 0.2, 0.15, 0.1]
    assert label_runs(heard, 60.0) == [[0.0, 1.0, "happy", 0.78], [1.0, 1.5, "sad", 0.78], [1.5, 2.0, "happy", 0.78]]
    apart = [heard[0], heard[3]]  # a pause lies between them
    assert [run[:2] for run in label_runs(apart, 60.0)] == [[0.0, 0.5], [1.5, 2.0]]


def test_of_what_is_long_the_first_minute_is_shown_within_its_size(result):
    long = repeated(result, 75.0)
    converted = Conversion(**vars(long), spans=[Span(0.0, 75.0, "speech")])
    asked = [[0.5 * n, 0.1, 0.2, 0.3] for n in range(150)]
    windows = windows_of(long.duration_s)
    made = [
        picture_of_result(long, windows, asked),
        picture_of_conversion(long.waveform, 24_000, converted, windows, asked),
        picture_of_recording(long.waveform, 24_000, windows),
    ]
    for picture in made:
        assert picture["duration_s"] == 60.0 and picture["total_s"] == pytest.approx(long.duration_s, abs=1e-4)
        assert (
            picture["note"] == f"The first 60 s of {long.duration_s:.1f} s are shown."
            and picture["note"] in picture["alt"]
        )
        assert len(picture["f0"]["values"]) == 60 * SPEC.frame_rate
        ends = [row[1] for name in ("labels", "spans") for row in picture[name]]
        ends += [row[2] for name in ("tokens", "words") for row in picture[name]]
        ends += [row[1] for row in picture["feeling"]["heard"]] + [row[0] for row in picture["feeling"]["asked"]]
        assert 59.0 < max(ends) <= 60.0
        assert decoded(picture["mel"]["png"]).size[0] <= MAX_COLUMNS
        assert len(json.dumps(picture, allow_nan=False, separators=(",", ":")).encode()) < 300_000


def test_five_seconds_of_speech_are_drawn_within_60_ms(result):
    five = repeated(result, 5.0)
    times = []
    for _ in range(5):
        started = time.thread_time()
        picture_of_result(five, windows_of(five.duration_s))
        times.append(time.thread_time() - started)
    assert min(times) < 0.06  # 4 ms; of this thread's own time, as others may be at work


# --- the component ----------------------------------------------------------------------------------------------------


def test_only_pictures_are_shown_and_nothing_comes_back():
    view = SpeechView()
    assert view.postprocess(None) is None
    assert view.preprocess({"waveform": 1e400}) is None
    for wrong in ({}, {"waveform": {}}, "text", 7):
        with pytest.raises(ValueError, match=r"value must be a picture of demo/pictures.py; it lacks"):
            view.postprocess(wrong)


@pytest.fixture(scope="module")
def page_url(tmp_path_factory, result, picture, converted):
    sound = tmp_path_factory.mktemp("sound") / "speech.wav"
    save_audio(sound, result.waveform)
    evil = json.loads(json.dumps(picture))
    evil["tokens"] = [[BAD, 0.0, 1.0]]
    evil["words"] = [[BAD, 0.0, 1.0]]
    evil["labels"] = [[0.0, 1.5, BAD, 0.5]]
    evil["spans"] = [[0.0, 1.5, BAD]]
    evil["alt"] = evil["note"] = BAD
    evil["mel"]["png"] = "http://example.invalid/x.png"
    second = picture_of_conversion(result.waveform, 24_000, converted, windows_of(result.duration_s))
    with gr.Blocks() as blocks:
        gr.Audio(str(sound), elem_id="player", interactive=False)
        first = SpeechView(picture, player="player", elem_id="first")
        SpeechView(second, elem_id="second")
        last = SpeechView(placeholder="Press Speak.", elem_id="last")
        for name, value in {"Fill": picture, "Convert": second, "Attack": evil, "Clear": None}.items():
            gr.Button(name).click(lambda value=value: value, outputs=last)
        gr.Button("Swap").click(lambda: second, outputs=first)
        bare = gr.WaveformOptions(show_recording_waveform=False)
        gr.Audio(str(sound), elem_id="bare", interactive=False, waveform_options=bare)
        SpeechView(picture, player="bare", elem_id="third")
        with gr.Tabs():
            with gr.Tab("Front"):
                gr.Markdown("Nothing here.")
            with gr.Tab("Back"):
                behind = SpeechView(second, elem_id="behind")
        gr.Button("Change what is behind").click(lambda: picture, outputs=behind)
    with served(blocks, {"theme": make_theme()}) as url:
        yield url


def drawn(page, view):
    return page.locator(f"#{view} .sv-plot g[data-lane]").evaluate_all("all => all.map(g => g.dataset.lane)")


def wait_for(page, view):
    page.locator(f"#{view} .sv-plot .sv-draw-waveform").wait_for(state="attached")


def test_all_lanes_are_drawn_and_can_be_hidden(page_url, picture):
    with open_page(page_url) as page:
        wait_for(page, "first")
        wait_for(page, "second")
        assert drawn(page, "first") == LANES[:-1]
        assert drawn(page, "second") == LANES
        for name in ("waveform", "f0", "level", "heard", "asked"):
            assert len(page.locator(f"#first .sv-draw-{name}").first.get_attribute("d")) > 20
        assert page.locator("#second .sv-draw-before").count() == 1
        assert page.locator("#first .sv-draw-mel").get_attribute("href") == picture["mel"]["png"]
        words = page.locator("#first .sv-word").all_text_contents()
        assert "believe" in words and "everything" in words
        plot = page.locator("#first .sv-plot")
        assert plot.get_attribute("role") == "img" and plot.get_attribute("aria-label") == picture["alt"]
        height = plot.bounding_box()["height"]
        page.locator("#first").get_by_role("button", name="mel").click()
        assert drawn(page, "first") == [lane for lane in LANES[:-1] if lane != "mel"]
        assert plot.bounding_box()["height"] < height - 100
        assert drawn(page, "second") == LANES  # views do not know of each other
        page.locator("#first").get_by_role("button", name="mel").click()
        assert drawn(page, "first") == LANES[:-1]
        assert_clean(page)


def test_tokens_stand_where_they_are_spoken(page_url, picture):
    with open_page(page_url) as page:
        wait_for(page, "first")
        width = page.locator("#first .sv-plot").bounding_box()["width"]
        scale = width / picture["duration_s"]
        path = page.locator('#first [data-lane="f0"] .sv-edge').get_attribute("d")
        edges = [float(edge.split()[0]) for edge in path.split("M")[1:]]
        np.testing.assert_allclose(edges, [row[2] * scale for row in picture["tokens"]], atol=2.0)


def test_pointing_and_keys_read_out_what_is_there(page_url, picture):
    name, start_s, end_s = next(row for row in picture["words"] if row[0] == "believe")
    with open_page(page_url) as page:
        wait_for(page, "first")
        readout = page.locator("#first .sv-readout")
        at_rest = readout.inner_text()
        assert f"{picture['total_s']:.2f} s" in at_rest and f"{picture['facts']['mean_f0_hz']:.0f} Hz" in at_rest
        box = page.locator("#first .sv-plot").bounding_box()
        middle_s = (start_s + end_s) / 2
        page.mouse.move(box["x"] + middle_s / picture["duration_s"] * box["width"], box["y"] + 150)
        told = readout.inner_text()
        assert name in told and f"{middle_s:.1f}"[:3] in told and "dB" in told and "happy 78 %" in told
        page.mouse.move(5, 5)
        assert readout.inner_text() == at_rest
        page.locator("#first .sv-scroll").focus()
        page.keyboard.press("End")
        assert f"{picture['duration_s']:.2f} s" in readout.inner_text()
        page.keyboard.press("Home")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("ArrowRight")
        assert readout.inner_text().startswith("0.22 s")
        assert readout.get_attribute("aria-live") == "polite"
        page.keyboard.press("Escape")
        assert readout.inner_text() == at_rest
        assert_clean(page)


def test_zoom_widens_and_shows_all_again(page_url):
    with open_page(page_url) as page:
        wait_for(page, "first")
        scroll, plot = page.locator("#first .sv-scroll"), page.locator("#first .sv-plot")
        room, width = scroll.bounding_box()["width"], plot.bounding_box()["width"]
        page.locator('#first [data-zoom="in"]').click()
        page.locator('#first [data-zoom="in"]').click()
        assert plot.bounding_box()["width"] == pytest.approx(2.25 * width, rel=0.02)
        page.locator('#first [data-zoom="fit"]').click()
        assert plot.bounding_box()["width"] == pytest.approx(room, abs=1.5)
        assert page.locator('#first [data-zoom="out"]').is_disabled()
        assert_clean(page)


def test_playhead_follows_the_player_and_a_click_seeks(page_url, picture):
    with open_page(page_url) as page:
        wait_for(page, "first")
        page.wait_for_function(
            "[...document.querySelectorAll('#player div')].some(d => d.shadowRoot?.querySelector('canvas'))"
        )
        page.wait_for_timeout(600)
        head = page.locator("#first .sv-playhead")
        assert head.is_hidden()
        box = page.locator("#first .sv-plot").bounding_box()
        page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 150)
        page.wait_for_function("!document.querySelector('#first .sv-playhead').hidden")
        place = head.bounding_box()["x"] - box["x"]
        assert place == pytest.approx(0.5 * box["width"], abs=6)
        assert page.locator("#second .sv-playhead").is_hidden()
        page.locator("#player .play-pause-button").click()
        page.wait_for_function(
            f"document.querySelector('#first .sv-playhead').getBoundingClientRect().x > {box['x'] + place + 20}"
        )
        assert_clean(page)


def test_players_without_a_waveform_are_followed_too(page_url):
    with open_page(page_url) as page:
        wait_for(page, "third")
        page.wait_for_function("document.querySelector('#bare audio')?.duration > 0")
        plot = page.locator("#third .sv-plot")
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 150)
        page.wait_for_function("!document.querySelector('#third .sv-playhead').hidden")
        share = page.evaluate("(audio => audio.currentTime / audio.duration)(document.querySelector('#bare audio'))")
        assert share == pytest.approx(0.25, abs=0.01)
        assert page.locator("#first .sv-playhead").is_hidden()
        assert_clean(page)


def test_what_changes_behind_another_tab_is_drawn_when_it_comes_to_the_front(page_url):
    with open_page(page_url) as page:
        wait_for(page, "first")
        page.get_by_role("tab", name="Back").click()
        wait_for(page, "behind")
        assert drawn(page, "behind") == LANES
        page.get_by_role("tab", name="Front").click()
        page.locator("#behind .sv-plot").wait_for(state="hidden")
        page.get_by_role("button", name="Change what is behind").click()
        page.wait_for_timeout(500)
        page.get_by_role("tab", name="Back").click()
        page.locator("#behind .sv-draw-asked").first.wait_for(state="attached")
        assert drawn(page, "behind") == LANES[:-1]
        assert_clean(page)


def test_values_from_python_redraw_and_none_empties(page_url, picture):
    with open_page(page_url) as page:
        wait_for(page, "first")
        assert page.locator("#last .sv-empty").inner_text() == "Press Speak."
        assert page.locator("#last .sv-stage").is_hidden()
        page.get_by_role("button", name="Fill").click()
        wait_for(page, "last")
        assert drawn(page, "last") == LANES[:-1]
        page.get_by_role("button", name="Convert").click()
        page.locator("#last [data-lane=spans] text").first.wait_for(state="attached")
        assert drawn(page, "last") == LANES
        page.evaluate("document.querySelector('#last').style.display = 'none'")  # as an accordion does it
        page.get_by_role("button", name="Fill").click()
        page.wait_for_function(f"!document.querySelector('#last .sv-plot').ariaLabel.includes('{NOT_FILLED}')")
        page.evaluate("document.querySelector('#last').style.display = ''")
        page.locator("#last .sv-draw-asked").first.wait_for(state="attached")
        assert drawn(page, "last") == LANES[:-1]
        page.get_by_role("button", name="Clear").click()
        page.locator("#last .sv-empty").wait_for()
        assert page.locator("#last .sv-plot g").count() == 0
        assert page.locator("#last .sv-plot").get_attribute("aria-label") is None
        page.get_by_role("button", name="Swap").click()
        page.locator("#first .sv-draw-before").wait_for(state="attached")
        assert_clean(page)


def test_texts_are_never_markup_and_pictures_come_from_nowhere_else(page_url):
    with open_page(page_url) as page:
        wait_for(page, "first")
        page.get_by_role("button", name="Attack").click()
        wait_for(page, "last")
        assert page.locator("#last .sv-note").inner_text() == BAD
        assert page.locator("#last .sv-plot").get_attribute("aria-label") == BAD
        box = page.locator("#last .sv-plot").bounding_box()
        page.mouse.move(box["x"] + 20, box["y"] + 60)
        assert page.locator("#last .sv-readout").inner_text().count(BAD) >= 2
        assert page.locator("#last img, #last image").count() == 0
        assert page.evaluate("window.hacked") is None
        assert_clean(page)


@pytest.mark.parametrize("dark", [False, True])
def test_phone_shows_everything_without_a_wider_page(page_url, picture, dark):
    with open_page(page_url, phone=True, dark=dark) as page:
        wait_for(page, "first")
        wait_for(page, "second")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert drawn(page, "first") == LANES[:-1]
        scroll = page.locator("#first .sv-scroll")
        assert scroll.evaluate("s => s.scrollWidth > s.clientWidth")  # wider than the page, so that it can be read
        page.locator('#first [data-zoom="fit"]').tap()
        assert scroll.evaluate("s => s.scrollWidth <= s.clientWidth + 1")
        box = scroll.bounding_box()
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + 150)
        assert page.locator("#first .sv-readout").inner_text().startswith(f"{picture['duration_s'] / 2:.2f}"[:3])
        assert page.locator("#first .sv-cursor").is_visible()
        shot(page, f"speech-view-phone-{'dark' if dark else 'light'}", "#first")
        assert_clean(page)
