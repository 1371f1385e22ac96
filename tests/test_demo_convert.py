"""The tab Convert in a browser, its work without one, and its endpoint, which strangers may call; and the tab About."""

import io
import json
import re
import secrets
import shlex
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from browser import assert_clean, open_page, served, shot  # before gradio
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from playwright.sync_api import Page, expect

from demo.app import build_app
from demo.convert_view import around_html, in_words, marks_of, result_html
from demo.convert_work import Around, Wish, converted, heard_around
from demo.engine import Engine
from demo.snippets import cli_line, python_lines
from demo.tab_about import about, model_card, voices_html
from demo.theme import STYLE, make_theme
from emotts import EmoTTS
from emotts.cli import _parser
from emotts.emotion.heard import Heard
from emotts.emotion.labels import AVD_MEANS, LABELS
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.loop.conversion import OF_NOBODY, OF_SOURCE, OF_VOICE
from emotts.provenance import read_provenance

RATE = 24_000
ATTACK = '<img src=x onerror="window.attacked=1">'
SECRET = "/etc/passwd"
RECORDED = "[...document.querySelectorAll('#convert-recording time')].some(t => t.textContent >= '0:03')"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(EmoTTS.from_pretrained())


@pytest.fixture(scope="module")
def folder(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings: of a model that says so, the same without a word of it, and some that will not do."""
    place = tmp_path_factory.mktemp("recordings")
    result = engine.tts.synthesize("Come in and sit down.", voice="heart", seed=3)
    result.save(place / "synthetic.wav", sidecar=False)
    samples = (32_767 * result.waveform).astype(np.int16)
    soundfile.write(place / "person.wav", samples, RATE)
    soundfile.write(place / "person.flac", samples, RATE)
    soundfile.write(place / "silence.wav", np.zeros(RATE), RATE)
    soundfile.write(place / "hours.flac", np.zeros(130 * RATE), RATE)
    (place / "text.wav").write_text("this is no audio at all")
    return place


@pytest.fixture(scope="module")
def url(engine: Engine) -> Iterator[str]:
    options = {"theme": make_theme(), "css_paths": [STYLE], "max_file_size": engine.limits.max_upload_bytes}
    with served(build_app(engine, ("convert", "about")), options) as url:
        yield url


def wish(path: Path, emotion: str | None = "angry", **changes: Any) -> Wish:
    asked = {} if emotion is None else {"emotion": parse_emotion(emotion)}
    return replace(Wish(str(path), True, asked, seed=5), **changes)


def heard_at(*avd: float) -> Heard:
    labels = dict.fromkeys(LABELS, 1.0 / len(LABELS))
    arousal, valence, dominance = avd
    return Heard(0.0, 1.0, labels, (arousal, valence, dominance), (0.2, 0.3, 0.4), np.ones(1, np.float32), True)


# The work


def test_a_conversion_keeps_the_timing_and_says_who_agreed(engine: Engine, folder: Path) -> None:
    told: list[float] = []
    done = converted(engine, wish(folder / "person.wav"), lambda part, what: told.append(part))
    assert len(done.result.waveform) == len(done.source)
    assert told and told == sorted(told) and told[-1] <= 1.0
    found = read_provenance(done.take.path)
    assert found is not None and found.consent == "stated" and found.kind == "conversion" and found.seed == 5
    assert found.source is not None and found.source.name == "person.wav"
    written, rate = soundfile.read(done.take.path)
    assert rate == RATE and soundfile.info(done.take.path).subtype == "PCM_16"
    np.testing.assert_allclose(written, done.result.waveform, atol=1 / 32_768)  # loud as it was made
    assert soundfile.info(done.before.path).subtype == "PCM_16" and read_provenance(done.before.path) is None


def test_a_moved_timing_changes_the_length(engine: Engine, folder: Path) -> None:
    done = converted(engine, wish(folder / "person.wav", keep_timing=False, speed=1.5))
    assert len(done.result.waveform) < 0.85 * len(done.source)


def test_strength_intonation_and_pitch_reach_the_pipeline(engine: Engine, folder: Path) -> None:
    same = engine.tts.convert(
        folder / "person.wav", emotion="sad", strength=0.5, keep_intonation=0.5, pitch=2.0, source_emotion="neutral", seed=5
    )  # fmt: skip
    asked = wish(folder / "person.wav", "sad", strength=0.5, keep_intonation=0.5, pitch=2.0, source_emotion="neutral")
    np.testing.assert_array_equal(converted(engine, asked).result.waveform, same.waveform)


def test_recordings_of_a_model_need_no_consent_and_hand_on_what_they_say(engine: Engine, folder: Path) -> None:
    done = converted(engine, wish(folder / "synthetic.wav", consent=False))
    found, before = read_provenance(done.take.path), read_provenance(done.before.path)
    assert found is not None and found.consent is None
    assert before is not None and before.kind == "speech" and before.seed == 3


@pytest.mark.parametrize("agreed", [False, None, "yes", 1])
def test_nothing_but_a_ticked_box_is_consent(engine: Engine, folder: Path, agreed: object) -> None:
    with pytest.raises(ValueError, match="consent must be stated"):
        converted(engine, wish(folder / "person.wav", consent=agreed))


def test_a_recorded_voice_needs_consent_too(engine: Engine, folder: Path) -> None:
    asked = wish(folder / "synthetic.wav", None, consent=False, voice=str(folder / "person.wav"), is_recorded=True)
    with pytest.raises(ValueError, match="consent must be stated"):
        converted(engine, asked)
    done = converted(engine, replace(asked, consent=True))
    assert "reference.wav" in cli_line(done.take) and str(folder) not in json.dumps(done.take.facts)


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"recording": None}, "a recording is needed; got none"),
    ({"emotion": None}, "needs a feeling or a voice"),
    ({"voice": "nobody"}, "nobody"),
    ({"voice": SECRET}, "voice must be one of"),
    ({"voice": None, "is_recorded": True}, "recording of the wanted speaker"),
    ({"speed": 1.5}, "speed must be 1 while the timing is kept"),
    ({"strength": 9.0}, "strength"),
    ({"source_emotion": "joyless"}, "joyless"),
    ({"seed": -1}, "seed"),
    ({"keep_timing": "no"}, "keep_timing must be true or false"),
]


@pytest.mark.parametrize(("changes", "told"), MISTAKES)
def test_mistakes_are_told_before_anything_is_computed(
    engine: Engine, folder: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        converted(engine, wish(folder / "person.wav", **changes))


@pytest.mark.parametrize(
    ("name", "told"), [("silence.wav", "silent"), ("hours.flac", "at most 120 s"), ("text.wav", "not audio")]
)
def test_recordings_that_will_not_do_are_told_by_name_alone(engine: Engine, folder: Path, name: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as error:
        converted(engine, wish(folder / name))
    assert str(folder) not in str(error.value)


def test_the_judge_is_told_the_neutral_voice_where_there_is_one(engine: Engine, folder: Path) -> None:
    own = heard_around(engine, converted(engine, wish(folder / "person.wav", source_emotion="neutral")))
    assert own.told == OF_SOURCE and own.asked == pytest.approx(AVD_MEANS["angry"])
    assert own.before is not None and np.abs(own.before.avd).max() < 0.25  # it is neutral, and the judge knows it
    assert own.after is not None and own.after.avd[0] > own.before.avd[0] + 0.25 and own.windows
    half = heard_around(engine, converted(engine, wish(folder / "person.wav", source_emotion="neutral", strength=0.5)))
    assert half.asked == pytest.approx([0.5 * value for value in AVD_MEANS["angry"]])
    other = heard_around(engine, converted(engine, wish(folder / "person.wav", voice="joe", source_emotion="sad")))
    assert other.told == OF_VOICE
    nobody = heard_around(engine, converted(engine, wish(folder / "person.wav", source_emotion="sad")))
    assert nobody.told == OF_NOBODY


def test_another_voice_alone_asks_for_no_place(engine: Engine, folder: Path) -> None:
    done = converted(engine, wish(folder / "person.wav", None, voice="max"))
    around = heard_around(engine, done)
    assert around.asked == (None, None, None) and around.share is None
    assert [mark["kind"] for mark in marks_of(around)] == ["before", "heard"]
    assert done.take.emotion == "as it is" and done.take.voice == "max"


def test_too_little_speech_for_a_judge_is_said(engine: Engine) -> None:
    assert "too little" in around_html(Around(None, None, [], (None, None, None), OF_NOBODY))


def test_the_share_of_the_way_is_the_projection_on_it() -> None:
    asked = (0.8, 0.0, None)
    around = Around(heard_at(0.0, 0.0, 0.9), heard_at(0.4, 0.7, -0.9), [], asked, OF_NOBODY)
    assert around.share == pytest.approx(0.5)  # valence was not to move, and of dominance nothing was said
    assert replace(around, asked=(0.05, 0.0, None)).share is None
    page = around_html(around)
    assert "50%" in page and "−0.90" in page and page.count("<tr>") == 4
    asked_mark = marks_of(around)[1]
    assert (asked_mark["kind"], asked_mark["arousal"], asked_mark["valence"]) == ("asked", 0.8, 0.0)
    assert marks_of(around)[2]["std"] == [0.2, 0.3]


def test_a_recording_stands_once_in_the_list_of_takes(engine: Engine, folder: Path) -> None:
    first = converted(engine, wish(folder / "person.wav"))
    takes = first.kept([])
    assert [take.kind for take in takes] == ["conversion", "recording"]
    again = converted(engine, wish(folder / "person.flac", "sad"))  # other name, the same samples
    assert [take.key for take in again.kept(takes)] == [again.take.key, first.take.key, first.before.key]


def test_what_comes_from_outside_is_escaped(engine: Engine, folder: Path) -> None:
    done = converted(engine, wish(folder / "person.wav"))
    done.result.warnings = [ATTACK]
    assert "<img" not in result_html(done) and "&lt;img" in result_html(done)
    facts = about(engine)
    facts["voices"][0]["description"] = ATTACK
    assert "<img" not in voices_html(facts)


def test_emotions_are_told_by_names_or_signs() -> None:
    assert in_words(parse_emotion("angry:0.8")) == "angry:0.8"
    assert in_words(EmotionSpec(None, 1.0, -0.2955, 0.5)) == "arousal −0.30, valence +0.50"


def test_the_snippets_are_commands_and_python(engine: Engine, folder: Path) -> None:
    asked = wish(
        folder / "person.wav", "sad", keep_timing=False, speed=1.2, pitch=-2.0, source_emotion="neutral", voice="joe"
    )
    take = converted(engine, asked).take
    parsed = _parser().parse_args(shlex.split(cli_line(take))[1:])
    assert (parsed.emotion, parsed.voice, parsed.speed, parsed.pitch) == ("sad", "joe", 1.2, -2.0)
    assert parsed.retime and parsed.source_emotion == "neutral" and parsed.seed == 5
    compile(python_lines(take), "snippet", "exec")
    called: dict[str, Any] = {}

    class Model:
        def convert(self, name: str, **options: Any) -> Any:
            called.update(options, name=name)
            return self

        def save(self, path: str) -> None: ...

    lines = python_lines(take).replace("from emotts import EmoTTS", "").replace("EmoTTS.from_pretrained()", "Model()")
    exec(lines, {"Model": Model})
    assert called["name"] == "person.wav" and called["source_emotion"] == "neutral" and called["retime"] is True
    assert engine.tts.conversion(**{name: value for name, value in called.items() if name != "name"}).seed == 5


# The endpoint


def raw_call(url: str, name: str, data: list[Any]) -> str:
    """Call an endpoint as no client would; return what the server says until it closes."""
    request = urllib.request.Request(
        f"{url}gradio_api/call/{name}", json.dumps({"data": data}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        event = json.loads(answer.read())["event_id"]
    with urllib.request.urlopen(f"{url}gradio_api/call/{name}/{event}", timeout=60) as stream:
        return str(stream.read().decode())


def raw_event(url: str, number: int, data: list[Any]) -> Mapping[str, Any]:
    """Trigger a private event of the page by its number; return the last message."""
    session = secrets.token_hex(5)
    body = json.dumps({"data": data, "fn_index": number, "session_hash": session, "trigger_id": None}).encode()
    request = urllib.request.Request(f"{url}gradio_api/queue/join", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).close()
    with urllib.request.urlopen(f"{url}gradio_api/queue/data?session_hash={session}", timeout=60) as stream:
        for line in stream:
            if line.startswith(b"data:"):
                message: dict[str, Any] = json.loads(line[5:])
                if message["msg"] == "process_completed":
                    return message
    raise AssertionError("the event must be completed")


def test_clients_convert_by_the_endpoint(url: str, engine: Engine, folder: Path) -> None:
    client = Client(url, verbose=False, httpx_kwargs={"timeout": 60})
    file, facts = client.predict(
        handle_file(folder / "person.flac"), "angry:0.8", "keep", 1.0, True, True, 7, api_name="/convert"
    )
    told = read_provenance(file)
    assert told is not None and told.seed == 7 and told.consent == "stated" and told.settings["emotion"] == "angry:0.8"
    assert facts["seed"] == 7 and facts["heard"]["arousal"] > facts["before"]["arousal"]
    assert facts["options"]["emotion"] == "angry:0.8" and facts["provenance"]["seed"] == 7
    assert str(engine.folder) not in json.dumps(facts) and str(folder) not in json.dumps(facts)
    same = engine.tts.convert(folder / "person.flac", emotion="angry:0.8", seed=7)
    np.testing.assert_allclose(soundfile.read(file)[0], same.waveform, atol=1e-4)
    other = handle_file(folder / "synthetic.wav")
    file, facts = client.predict(
        handle_file(folder / "synthetic.wav"), "", other, 0.0, True, False, 7, api_name="/convert"
    )
    assert soundfile.info(file).frames > RATE and facts["voice"] != "source"


@pytest.mark.parametrize(
    ("emotion", "voice", "consent", "told"),
    [
        ("angry", "keep", False, "consent must be stated"),
        ("joyless", "keep", True, "joyless"),
        ("like=/etc/passwd", "keep", True, "must not name files"),
        ("angry", SECRET, True, "passwd"),
        ("", "keep", True, "needs a feeling or a voice"),
    ],
)
def test_clients_are_told_their_mistakes(
    url: str, folder: Path, emotion: str, voice: str, consent: bool, told: str
) -> None:
    client = Client(url, verbose=False, httpx_kwargs={"timeout": 60})
    with pytest.raises(AppError, match=told) as error:
        client.predict(handle_file(folder / "person.wav"), emotion, voice, 1.0, True, consent, 7, api_name="/convert")
    assert "Traceback" not in str(error.value) and "/etc" not in str(error.value)


FORGED: list[Any] = [
    {"path": SECRET, "meta": {"_type": "gradio.FileData"}},
    {"path": SECRET},
    {"path": "/proc/self/environ"},
    {"path": "http://127.0.0.1:9/x.wav", "meta": {"_type": "gradio.FileData"}},
    {"path": "../../../../etc/passwd", "meta": {"_type": "gradio.FileData"}},
    {"path": "a\0b"},
    {"path": ["x"]},
    {},
    SECRET,
    7,
    None,
]


@pytest.mark.parametrize("forged", FORGED, ids=repr)
def test_forged_files_are_refused(url: str, forged: Any) -> None:
    answer = raw_call(url, "convert", [forged, "angry", "keep", 1.0, True, True, 7])
    assert "event: error" in answer and "root:" not in answer and "Traceback" not in answer
    answer = raw_call(url, "convert", [forged, "angry", forged, 1.0, True, True, 7])
    assert "event: error" in answer and "root:" not in answer


def test_a_file_of_the_engine_that_nobody_uploaded_is_refused(url: str, engine: Engine, folder: Path) -> None:
    done = converted(engine, wish(folder / "person.wav"))
    answer = raw_call(url, "convert", [{"path": done.take.path}, "angry", "keep", 1.0, True, True, 7])
    assert "must be a file that was uploaded" in answer


def test_private_events_refuse_forged_values(url: str) -> None:
    with urllib.request.urlopen(f"{url}config", timeout=30) as answer:
        config = json.load(answer)
    props = {one["id"]: one["props"] for one in config["components"]}
    recording = next(number for number, prop in props.items() if prop.get("elem_id") == "convert-recording")
    event = max(
        (one for one in config["dependencies"] if recording in one["inputs"]), key=lambda one: len(one["inputs"])
    )
    assert event["inputs"][0] == recording and len(event["inputs"]) > 10
    assert event["api_visibility"] == "private"
    values = [props[number].get("value") for number in event["inputs"]]
    for forged in ({"path": SECRET, "meta": {"_type": "gradio.FileData"}}, {"path": SECRET}, SECRET, None):
        message = raw_event(url, event["id"], [forged, *values[1:]])
        assert not message["success"] and "root:" not in json.dumps(message)


# The browser


def give(page: Page, elem_id: str, path: Path) -> None:
    """Give a file to a recorder and wait until the page shows it."""
    page.locator(f"#{elem_id} button[aria-label*='pload']").first.click()
    page.locator(f"#{elem_id} input[type=file]").set_input_files(path)
    page.locator(f"#{elem_id} #waveform").wait_for()


def sound_of(page: Page, elem_id: str) -> np.ndarray:
    """Return the samples of a player's file."""
    link = page.locator(f"#{elem_id} a[download]").first
    link.wait_for(state="attached")
    return soundfile.read(io.BytesIO(page.context.request.get(str(link.get_attribute("href"))).body()))[0]


def test_a_visitor_converts_an_upload(url: str, engine: Engine, folder: Path) -> None:
    with open_page(url) as page:
        give(page, "convert-recording", folder / "person.flac")
        page.locator("#convert-consent input").check()
        page.locator("#convert-go").click()
        page.locator("#convert-table td").first.wait_for()
        page.locator("#convert-wav:enabled").wait_for()
        before, after = sound_of(page, "convert-before"), sound_of(page, "convert-after")
        assert len(before) == len(after) and not np.allclose(before, after, atol=0.01)
        expect(page.locator("#convert-heard .legend li")).to_have_text(["before", "asked", "after"])
        page.locator("#convert-snippets button").first.click()
        expect(page.locator("#convert-cli")).to_contain_text("emotts convert --emotion=happy:0.8")
        expect(page.locator("#convert-python")).to_contain_text("tts.convert")
        expect(page.locator("#convert-view [role=img]").first).to_have_attribute("aria-label", re.compile("Before:"))
        for kind in ("wav", "flac", "mp3"):
            with page.expect_download() as download:
                page.locator(f"#convert-{kind}").click()
            told = read_provenance(Path(download.value.path()).rename(engine.new_file(f"got.{kind}")))
            assert told is not None and told.kind == "conversion" and told.consent == "stated"
        with page.expect_download() as download:
            page.locator("#convert-json").click()
        facts = json.loads(Path(download.value.path()).read_text())
        assert (
            facts["kind"] == "conversion"
            and facts["heard"]
            and facts["before"]
            and str(engine.folder) not in json.dumps(facts)
        )
        shot(page, "convert", ".gradio-container")
        assert_clean(page)


def test_a_visitor_speaks_into_the_microphone(url: str, folder: Path) -> None:
    with open_page(url, microphone=folder / "person.wav") as page:
        page.locator("#convert-recording button[aria-label='Record audio']").first.click()
        page.locator("#convert-recording .record-button").click()
        page.wait_for_function(RECORDED)
        page.locator("#convert-recording .stop-button >> nth=0").click()
        page.locator("#convert-recording #waveform").wait_for()
        page.locator("#convert-consent input").check()
        page.locator("#convert-mode").get_by_text("Keep it", exact=True).click()
        page.locator("#convert-voice input").first.click()
        page.get_by_role("option", name="joe", exact=False).first.click()
        page.locator("#convert-go").click()
        page.locator("#convert-table td").first.wait_for(timeout=180_000)
        sound = sound_of(page, "convert-after")
        assert len(sound) > RATE and np.sqrt(np.mean(sound**2)) > 0.005
        assert_clean(page)


def test_the_page_fits_a_phone_in_the_dark(url: str, folder: Path) -> None:
    with open_page(url, phone=True, dark=True) as page:
        give(page, "convert-recording", folder / "synthetic.wav")
        page.locator("#convert-go").click()
        page.locator("#convert-table td").first.wait_for()
        widths = page.evaluate(
            "[...document.querySelectorAll('#tab-convert .block, .block')].map(e => e.getBoundingClientRect().right)"
        )
        assert max(widths) <= 390 and page.evaluate("document.documentElement.scrollWidth") <= 390
        shot(page, "convert-phone", ".gradio-container")
        assert_clean(page)


def test_mistakes_are_told_on_the_page(url: str, folder: Path) -> None:
    with open_page(url) as page:
        page.locator("#convert-go").click()
        page.get_by_text("a recording is needed; got none").wait_for()
        give(page, "convert-recording", folder / "person.wav")
        page.locator("#convert-go").click()
        page.get_by_text("consent must be stated").wait_for()
        assert_clean(page)


def test_two_visitors_are_served_one_after_the_other(url: str, folder: Path) -> None:
    seeds: list[int] = []

    def call(seed: int) -> None:
        client = Client(url, verbose=False, httpx_kwargs={"timeout": 60})
        _, facts = client.predict(
            handle_file(folder / "synthetic.wav"), "sad", "keep", 1.0, True, False, seed, api_name="/convert"
        )
        seeds.append(facts["seed"])

    threads = [threading.Thread(target=call, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
        assert not thread.is_alive()
    assert sorted(seeds) == [1, 2]


# About


def test_about_tells_what_the_model_is(url: str, engine: Engine) -> None:
    facts = Client(url, verbose=False, httpx_kwargs={"timeout": 60}).predict(api_name="/about")
    assert facts == json.loads(json.dumps(about(engine)))
    assert facts["model"] == "emotts-simulated-en" and facts["labels"] == list(LABELS)
    assert [voice["name"] for voice in facts["voices"]] == [card.name for card in engine.tts.voices]
    assert facts["parameters"]["all"] == sum(count for name, count in facts["parameters"].items() if name != "all")
    with open_page(url) as page:
        page.get_by_role("tab", name="About").click()
        page.locator("#about-model td").first.wait_for()
        assert f"{facts['parameters']['all']:,}" in page.locator("#about-model").inner_text()
        page.locator("#about-card button").first.click()
        page.get_by_text("What it reaches").first.wait_for()
        shot(page, "about", ".gradio-container")
        assert_clean(page)


def test_a_model_that_is_not_the_bundled_one_gets_no_card_of_it(engine: Engine, tiny_checkpoint: Path) -> None:
    assert "7.4 hours" in str(model_card(engine)) and "](../" not in str(model_card(engine))
    assert model_card(Engine(EmoTTS.from_pretrained(tiny_checkpoint))) is None
