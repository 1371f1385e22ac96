"""The tab Listen in a browser, its work without one, and its endpoint."""

import json
import shlex
from collections.abc import Iterator
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
from demo.engine import Engine
from demo.listen_view import (
    HINTS,
    MOST_STEPS,
    dimensions_html,
    labels_html,
    origin_html,
    path_of,
    summary_html,
    voice_html,
)
from demo.listen_work import listen_to, origin_of
from demo.tab_listen import cli_line, kept
from demo.theme import STYLE, make_theme
from emotts import EmoTTS
from emotts.cli import _parser
from emotts.judges import FEATURES, JUDGES, RECOGNIZER, load_judge
from emotts.provenance import read_provenance
from emotts.recognition import VOICE_COLUMNS, recognize_file

RATE = 24_000
ATTACK = "<img src=x onerror=window.attacked=1>"
SECRET = "/etc/passwd"
RECORDED = "[...document.querySelectorAll('#listen-recording time')].some(t => t.textContent >= '0:03')"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(EmoTTS.from_pretrained())


@pytest.fixture(scope="module")
def folder(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two voices that say so, one of them without a word of it, and recordings that will not do."""
    place = tmp_path_factory.mktemp("recordings")
    text = "You never listen to a word I say."
    for name in ("angry", "neutral"):
        result = engine.tts.synthesize(text, voice="max", emotion=name, seed=2)
        result.save(place / f"{name}.wav", sidecar=False)
        soundfile.write(place / f"{name}.flac", result.waveform, RATE)
    samples = soundfile.read(place / "angry.wav")[0]
    soundfile.write(place / f"{ATTACK}.wav", samples, RATE)
    soundfile.write(place / "silence.wav", np.zeros(RATE), RATE)
    soundfile.write(place / "short.wav", samples[:1_000], RATE)
    soundfile.write(place / "hours.flac", np.zeros(130 * RATE), RATE)
    soundfile.write(place / "long.flac", np.resize(samples, 40 * RATE), RATE)
    (place / "text.wav").write_text("this is no audio at all")
    (place / "empty.wav").write_bytes(b"")
    return place


@pytest.fixture(scope="module")
def url(engine: Engine) -> Iterator[str]:
    options = {"theme": make_theme(), "css_paths": [STYLE], "max_file_size": engine.limits.max_upload_bytes}
    with served(build_app(engine, ("listen",)), options) as url:
        yield url


# The work


@pytest.mark.parametrize("judge", JUDGES)
def test_what_is_heard_is_what_the_command_hears(engine: Engine, folder: Path, judge: str) -> None:
    found = listen_to(engine, str(folder / "angry.wav"), None, judge)
    same = recognize_file(load_judge(judge), folder / "angry.wav", wants_windows=True)
    assert found.recognition.heard.to_dict() == same.heard.to_dict() and found.judge == judge
    assert found.recognition.voice == same.voice and len(found.recognition.windows) == len(same.windows) > 2
    assert found.take.kind == "recording" and found.take.heard is found.recognition.heard
    assert json.loads(json.dumps(found.facts))["labels"] == same.heard.to_dict()["labels"]
    assert str(folder) not in json.dumps(found.facts)


@pytest.mark.parametrize("judge", JUDGES)
def test_neutral_speech_of_the_speaker_changes_what_is_heard(engine: Engine, folder: Path, judge: str) -> None:
    alone = listen_to(engine, str(folder / "angry.wav"), None, judge)
    known = listen_to(engine, str(folder / "angry.wav"), str(folder / "neutral.wav"), judge)
    assert known.is_told and not alone.is_told and known.recognition.heard.avd != alone.recognition.heard.avd
    itself = listen_to(engine, str(folder / "neutral.wav"), str(folder / "neutral.wav"), judge)
    assert np.abs(itself.recognition.heard.avd).max() < 0.35  # against itself nothing is left to hear
    assert known.recognition.heard.avd[0] > itself.recognition.heard.avd[0] + 0.2


def test_a_recording_longer_than_a_piece_is_heard_whole(engine: Engine, folder: Path) -> None:
    found = listen_to(engine, str(folder / "long.flac"), None)
    assert found.recognition.duration_s == pytest.approx(40.0)
    assert found.recognition.windows[-1].end_s > 35.0 and len(found.recognition.windows) > MOST_STEPS
    assert len(path_of(found.recognition.windows)) <= MOST_STEPS


def test_a_file_says_where_it_is_from(engine: Engine, folder: Path) -> None:
    told = listen_to(engine, str(folder / "angry.wav"), None)
    assert told.facts["provenance"]["settings"]["emotion"] == "angry"
    page = origin_html(told)
    assert "says it is synthetic" in page and "voice max" in page and "seed 2" in page
    again = read_provenance(told.take.path)  # the copy for the list says it too
    assert again is not None and again.seed == 2
    silent = listen_to(engine, str(folder / "angry.flac"), None)
    assert silent.facts["provenance"] is None and "does not say how it was made" in origin_html(silent)


def test_a_provenance_that_lies_is_not_believed(engine: Engine, folder: Path, tmp_path: Path) -> None:
    lying = tmp_path / "lying.wav"
    samples, rate = soundfile.read(folder / "angry.wav")
    with soundfile.SoundFile(str(lying), "w", rate, 1) as file:
        file.comment = '{"emotts_provenance":1,"kind":"' + ATTACK + '"}'
        file.write(samples)
    provenance, problem = origin_of(lying)
    assert provenance is None and problem
    found = listen_to(engine, str(lying), None)
    page = origin_html(found)
    assert "not to be believed" in page and "<img" not in page
    assert read_provenance(found.take.path) is None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("silence.wav", "silen"), ("short.wav", "at least 0.25 s"), ("hours.flac", "at most 120 s"), ("text.wav", "not audio"),
        ("empty.wav", "empty"), ("nothing.wav", "empty"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_reference", [False, True])
def test_recordings_that_will_not_do_are_told_by_name_alone(
    engine: Engine, folder: Path, name: str, told: str, is_reference: bool
) -> None:
    bad, good = str(folder / name), str(folder / "angry.wav")
    with pytest.raises(ValueError, match=told) as error:
        listen_to(engine, *((good, bad) if is_reference else (bad, None)))
    assert str(folder) not in str(error.value)


def test_no_recording_and_no_such_judge_are_told(engine: Engine, folder: Path) -> None:
    with pytest.raises(ValueError, match="a recording is needed; got none"):
        listen_to(engine, None, None)
    with pytest.raises(ValueError, match="judge must be one of recognizer, features"):
        listen_to(engine, str(folder / "angry.wav"), None, "oracle")


# What is shown


def test_the_bars_are_the_probabilities(engine: Engine, folder: Path) -> None:
    heard = listen_to(engine, str(folder / "angry.wav"), None).recognition.heard
    page = labels_html(heard)
    assert page.count('class="fill"') == len(heard.labels)
    best = max(heard.labels, key=heard.labels.__getitem__)
    assert page.index(best) == min(page.index(name) for name in heard.labels)  # the likeliest comes first
    edge = replace(heard, avd=(1.0, -1.0, 0.0), avd_std=(0.5, 0.5, 0.25))
    shown = dimensions_html(edge)
    assert "left:75.0%;width:25.0%" in shown and "left:0.0%;width:25.0%" in shown  # cut at the ends of the scale
    assert "left:37.5%;width:25.0%" in shown and "−1.00 ± 0.50" in shown


def test_the_path_is_the_windows_averaged(engine: Engine, folder: Path) -> None:
    windows = listen_to(engine, str(folder / "angry.wav"), None).recognition.windows
    assert path_of(windows) == [[heard.avd[1], heard.avd[0]] for heard in windows]
    assert path_of([]) == []
    many = [windows[0], windows[1]] * MOST_STEPS
    means = np.mean([[heard.avd[1], heard.avd[0]] for heard in windows[:2]], axis=0)
    np.testing.assert_allclose(path_of(many), np.tile(means, (MOST_STEPS, 1)))


def test_every_measure_has_a_hint_and_what_is_unknown_a_dash(engine: Engine, folder: Path) -> None:
    assert HINTS.keys() == VOICE_COLUMNS.keys()
    voice = listen_to(engine, str(folder / "angry.wav"), None).recognition.voice
    page = voice_html(replace(voice, f0_hz=float("nan"), f0_slope_st_per_s=-1.26))
    assert page.count("<tr>") == 1 + len(VOICE_COLUMNS)
    assert "<td>–</td>" in page and "<td>−1.3 st/s</td>" in page and f"<td>{voice.pause_count}</td>" in page


def test_the_name_of_a_file_is_escaped(engine: Engine, folder: Path) -> None:
    found = listen_to(engine, str(folder / f"{ATTACK}.wav"), None)
    assert "<img" not in summary_html(found) and "&lt;img" in summary_html(found)


def test_the_command_line_is_one(engine: Engine, folder: Path) -> None:
    found = listen_to(engine, str(folder / "angry.wav"), str(folder / "neutral.wav"), FEATURES)
    parsed = _parser().parse_args(shlex.split(cli_line(found))[1:])
    assert (parsed.judge, parsed.windows, parsed.reference) == (FEATURES, True, ["neutral.wav"])
    assert parsed.inputs == ["angry.wav"]


def test_a_recording_heard_again_replaces_itself(engine: Engine, folder: Path) -> None:
    first = listen_to(engine, str(folder / "angry.wav"), None).take
    other = listen_to(engine, str(folder / "neutral.wav"), None).take
    again = listen_to(engine, str(folder / "angry.wav"), None, FEATURES).take
    assert [take.key for take in kept(again, kept(other, kept(first, [])))] == [again.key, other.key]


# The endpoint


def test_clients_listen_by_the_endpoint(url: str, engine: Engine, folder: Path) -> None:
    client = Client(url, verbose=False, httpx_kwargs={"timeout": 60})
    facts = client.predict(handle_file(folder / "angry.wav"), api_name="/listen")
    assert facts == json.loads(json.dumps(listen_to(engine, str(folder / "angry.wav"), None).facts))
    known = client.predict(
        handle_file(folder / "angry.wav"), handle_file(folder / "neutral.wav"), FEATURES, api_name="/listen"
    )
    assert known["judge"] == FEATURES and known["judge_knew_the_speaker"] and known["label"] == "angry"


FORGED: list[Any] = [{"path": SECRET, "meta": {"_type": "gradio.FileData"}}, {"path": SECRET}, SECRET, None]


@pytest.mark.parametrize("forged", FORGED, ids=repr)
def test_forged_files_are_refused(url: str, folder: Path, forged: Any) -> None:
    client = Client(url, verbose=False, httpx_kwargs={"timeout": 60})
    with pytest.raises((AppError, ValueError, OSError)) as error:
        client.predict(forged, None, RECOGNIZER, api_name="/listen")
    assert "root:" not in str(error.value)
    if forged is not None:
        with pytest.raises((AppError, ValueError, OSError)):
            client.predict(handle_file(folder / "angry.wav"), forged, RECOGNIZER, api_name="/listen")


def test_clients_are_told_their_mistakes(url: str, folder: Path) -> None:
    client = Client(url, verbose=False, httpx_kwargs={"timeout": 60})
    for name, judge, told in (
        ("silence.wav", RECOGNIZER, "silen"), ("text.wav", RECOGNIZER, "not audio"), ("angry.wav", "oracle", "judge must be")
    ):  # fmt: skip
        with pytest.raises(AppError, match=told) as error:
            client.predict(handle_file(folder / name), None, judge, api_name="/listen")
        assert "Traceback" not in str(error.value) and "/tmp" not in str(error.value)


# The browser


def give(page: Page, elem_id: str, path: Path) -> None:
    """Give a file to a recorder and wait until the page shows it."""
    page.locator(f"#{elem_id} button[aria-label*='pload']").first.click()
    page.locator(f"#{elem_id} input[type=file]").set_input_files(path)
    page.locator(f"#{elem_id} #waveform").wait_for()


def test_a_visitor_lets_a_file_be_heard(url: str, folder: Path) -> None:
    with open_page(url) as page:
        give(page, "listen-recording", folder / "angry.wav")
        page.locator("#listen-known button").first.click()
        give(page, "listen-neutral", folder / "neutral.wav")
        page.locator("#listen-judge").get_by_text("features judge").click()
        page.locator("#listen-go").click()
        page.locator("#listen-voice td").first.wait_for()
        expect(page.locator("#listen-summary")).to_contain_text("hears angry")
        expect(page.locator("#listen-origin")).to_contain_text("says it is synthetic")
        expect(page.locator("#listen-labels .best")).to_have_text("angry")
        expect(page.locator("#listen-pad .legend li")).to_have_text(["the whole"])
        expect(page.locator("#listen-pad .lines path, #listen-pad .lines polyline")).not_to_have_count(0)
        expect(page.locator("#listen-cli")).to_contain_text("--reference neutral.wav")
        page.locator("#listen-view [role=img][aria-label*='Heard']").wait_for()
        with page.expect_download() as download:
            page.locator("#listen-json").click()
        facts = json.loads(Path(download.value.path()).read_text())
        assert facts["label"] == "angry" and len(facts["windows"]) > 2
        shot(page, "listen", ".gradio-container")
        assert_clean(page)


def test_a_visitor_speaks_into_the_microphone(url: str, folder: Path) -> None:
    with open_page(url, microphone=folder / "angry.wav") as page:
        page.locator("#listen-recording button[aria-label='Record audio']").first.click()
        page.locator("#listen-recording .record-button").click()
        page.wait_for_function(RECORDED)
        page.locator("#listen-recording .stop-button >> nth=0").click()
        page.locator("#listen-recording #waveform").wait_for()
        page.locator("#listen-go").click()
        page.locator("#listen-voice td").first.wait_for()
        expect(page.locator("#listen-origin")).to_contain_text("does not say how it was made")
        assert_clean(page)


def test_the_page_fits_a_phone_in_the_dark(url: str, folder: Path) -> None:
    with open_page(url, phone=True, dark=True) as page:
        give(page, "listen-recording", folder / "angry.flac")
        page.locator("#listen-go").click()
        page.locator("#listen-voice td").first.wait_for()
        page.locator("#listen-view [role=img][aria-label*='Heard']").wait_for()
        rights = page.evaluate("[...document.querySelectorAll('.block')].map(e => e.getBoundingClientRect().right)")
        assert max(rights) <= 390 and page.evaluate("document.documentElement.scrollWidth") <= 390
        shot(page, "listen-phone", ".gradio-container")
        assert_clean(page)


def test_mistakes_are_told_on_the_page_and_names_run_nothing(url: str, folder: Path) -> None:
    with open_page(url) as page:
        page.locator("#listen-go").click()
        page.get_by_text("a recording is needed; got none").wait_for()
        give(page, "listen-recording", folder / f"{ATTACK}.wav")
        page.locator("#listen-go").click()
        page.locator("#listen-voice td").first.wait_for()
        assert page.evaluate("window.attacked") is None
        assert_clean(page)
