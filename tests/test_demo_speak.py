"""The tab Speak in a browser, its event functions without one, and its endpoint."""

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import assert_clean, open_page, served, shot  # before gradio
from playwright.sync_api import Page

from demo.app import build_app
from demo.components.keyframes import preset
from demo.engine import KEEP_S, Engine
from demo.preview import count_line, split_rows
from demo.spoken import facts_html, marks_of
from demo.stopping import StoppedError, begin, end, heeding
from demo.takes import find_take
from demo.theme import STYLE, make_theme
from emotts import EmoTTS
from emotts.provenance import read_provenance

ATTACK = '<img src=x onerror="window.attacked=1">'


@pytest.fixture(scope="module")
def engine() -> Engine:
    engine = Engine(EmoTTS.from_pretrained())
    engine.warm_up()
    return engine


@pytest.fixture(scope="module")
def url(engine: Engine) -> Iterator[str]:
    options = {"theme": make_theme(), "css_paths": [STYLE], "max_file_size": engine.limits.max_upload_bytes}
    with served(build_app(engine, ("speak",)), options) as url:
        yield url


def spoken(page: Page) -> np.ndarray:
    """Press Speak, wait for what was heard, and return the samples that the player's file holds."""
    link = page.locator("#speak-audio a[download]").first
    before = link.get_attribute("href") if link.count() else ""
    page.locator("#speak-go").click()
    page.locator(f"#speak-audio a[download]:not([href='{before}'])").first.wait_for(state="attached")
    page.locator("#speak-facts td").first.wait_for()
    page.locator("#speak-wav:enabled").wait_for()
    return soundfile.read(io.BytesIO(page.context.request.get(str(link.get_attribute("href"))).body()))[0]


def snippet(page: Page, elem_id: str) -> str:
    """Return what a field of code shows."""
    if not page.locator(f"#{elem_id}").is_visible():
        page.get_by_text("The same without this page").click()
    return page.locator(f"#{elem_id}").inner_text()


def choose(page: Page, elem_id: str, option: str) -> None:
    """Choose an option of a dropdown."""
    page.locator(f"#{elem_id} input").first.click()
    page.get_by_role("option", name=option, exact=False).first.click()


def test_a_visitor_speaks_hears_and_takes_the_files(url: str, engine: Engine) -> None:
    with open_page(url) as page:
        page.locator("#speak-text textarea").fill("It works, and it is loud and clear.")
        samples = spoken(page)
        assert 1.0 < len(samples) / 24_000 < 6.0 and 0.05 < np.abs(samples).max() <= 1.0
        same = engine.tts.synthesize(
            "It works, and it is loud and clear.", emotion="happy:0.8", seed=1, voice=engine.voices[0]
        )
        np.testing.assert_allclose(samples, same.waveform, atol=1e-4)  # loud as it was made, not as Gradio likes it
        assert page.locator("#speak-facts").inner_text().count("±") == 3
        assert "emotts synthesize" in snippet(page, "speak-cli")
        assert "emotion='happy:0.8'" in snippet(page, "speak-python")
        assert page.locator("#speak-view [role=img]").first.get_attribute("aria-label")
        for kind in ("wav", "flac", "mp3"):
            with page.expect_download() as download:
                page.locator(f"#speak-{kind}").click()
            told = read_provenance(Path(download.value.path()).rename(engine.new_file(f"got.{kind}")))
            assert told is not None and told.seed == 1 and told.settings["emotion"] == "happy:0.8"
        with page.expect_download() as download:
            page.locator("#speak-json").click()
        assert '"heard"' in Path(download.value.path()).read_text()
        shot(page, "speak")
        assert_clean(page)


def test_the_pad_by_mouse_and_by_keyboard_changes_what_is_said(url: str) -> None:
    with open_page(url) as page:
        page.locator("#speak-text textarea").fill("Give it back.")
        choose(page, "speak-feeling", "by its place alone")
        box = page.locator("#speak-pad .pad").first.bounding_box()
        assert box
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.2, steps=6)
        page.mouse.up()
        page.get_by_text("Asks for arousal +").wait_for()
        agitated = spoken(page)
        page.locator("#speak-pad [role=slider]").first.focus()
        page.keyboard.press("Home")
        for _ in range(4):
            page.keyboard.press("Shift+ArrowDown")
        page.get_by_text("Asks for arousal -0.64, valence +0.00").wait_for()
        calm = spoken(page)
        assert np.sqrt(np.mean(agitated**2)) > 1.5 * np.sqrt(np.mean(calm**2))
        assert_clean(page)


def test_every_way_to_ask_speaks(url: str, engine: Engine, tmp_path: Path) -> None:
    engine.tts.synthesize("Leave me alone, right now!", emotion="angry", seed=2).save(tmp_path / "rage.wav")
    heard = []
    with open_page(url) as page:
        page.locator("#speak-text textarea").fill("We have waited for hours. At last, it came!")
        for way in ("Mix", "Over time", "Like a recording", "In words", "From the text"):
            page.locator("#speak-mode").get_by_text(way, exact=True).click()
            if way == "Like a recording":
                page.locator("#speak-like button[aria-label*='pload']").first.click()
                page.locator("#speak-like input[type=file]").set_input_files(tmp_path / "rage.wav")
                page.get_by_text("the recording sounds like").wait_for()
            if way == "In words":
                page.locator("#speak-words textarea").fill("furious and loud")
            heard.append(spoken(page))
            if way == "Over time":
                assert "timeline.csv" in snippet(page, "speak-cli")
                shot(page, "speak-over-time")
        assert len({samples.tobytes() for samples in heard}) == len(heard)
        assert_clean(page)


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_a_phone(url: str, dark: bool) -> None:
    with open_page(url, phone=True, dark=dark) as page:
        spoken(page)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390
        shot(page, f"speak-phone{'-dark' if dark else ''}")
        assert_clean(page)


MISTAKES = [
    ("   ", "empty"), ("?!", "speakable"), ("[sad:9]oops[/]", "intensity"), ("[like=/etc/passwd]Hi[/]", "file"),
    ("[nobody:1]Hi[/]", "nobody"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), MISTAKES)
def test_mistakes_are_told_in_sentences(url: str, text: str, told: str) -> None:
    with open_page(url) as page:
        page.locator("#speak-text textarea").fill(text)
        page.locator("#speak-go").click()
        toast = page.locator(".toast-body").first
        toast.wait_for()
        assert told in toast.inner_text() and "Traceback" not in toast.inner_text()
        assert_clean(page)


def test_markup_of_a_page_in_a_text_is_only_text(url: str) -> None:
    with open_page(url) as page:
        page.locator("#speak-text textarea").fill(f"Hello {ATTACK} you.")
        page.locator("#speak-text textarea").blur()
        page.get_by_text("How it will be split").click()
        spoken(page)
        page.locator("#speak-mode").get_by_text("In words", exact=True).click()
        page.locator("#speak-words textarea").fill(f"furious {ATTACK}")
        page.locator("#speak-words textarea").blur()
        page.get_by_text("Not understood").wait_for()
        assert page.evaluate("window.attacked") is None
        assert_clean(page)


def test_the_split_preview_shows_what_will_be_spoken(engine: Engine) -> None:
    rows = split_rows("Dr. Smith paid $3.50. [pause 500ms] Then [sad:0.5]she[/] left.", engine.limits)
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    assert "500 ms" in {row[2] for row in rows} and all(row[3] for row in rows if row[1])
    assert "file" in str(split_rows("[like=/etc/passwd]x[/]", engine.limits)[0][1])
    assert "characters" in count_line("x" * 9_999, engine.limits) and "Too long" in count_line(
        "x" * 9_999, engine.limits
    )


def test_what_is_told_of_a_take_is_escaped(engine: Engine) -> None:
    take, result = engine.speak("Hello.", {"emotion": '"furious"', "seed": 1})
    take = engine.listened(take, result.waveform, result.sample_rate)
    assert "&quot;furious&quot;" in facts_html(take)
    assert [mark["kind"] for mark in marks_of(take)] == ["asked", "heard"]


def test_old_files_are_removed(engine: Engine) -> None:
    old = engine.new_file("old.wav")
    old.write_bytes(b"x")
    os.utime(old.parent, (1.0, 1.0))
    new = engine.new_file("new.wav")
    engine.clean()
    assert not old.parent.exists() and new.parent.exists() and KEEP_S <= 3_600.0


def test_the_folder_holds_no_more_than_it_may(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.engine.MAX_BYTES", 3_000)
    monkeypatch.setattr(engine, "folder", tmp_path)
    made = []
    for age, name in ((300, "gradio/oldest"), (200, "take-older"), (100, "take-new")):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "sound.wav").write_bytes(b"x" * 1_400)
        os.utime(folder, (time.time() - age, time.time() - age))
        made.append(folder)
    engine.clean()
    assert [folder.exists() for folder in made] == [False, True, True]


def test_a_wish_to_stop_ends_the_work_after_the_piece_at_hand(engine: Engine) -> None:
    stop, told = begin(), []

    def tell(part: float, what: str) -> None:
        told.append(what)
        end(stop)

    with pytest.raises(StoppedError):
        engine.speak("One more sentence here. " * 60, {"seed": 1}, heeding(stop, tell))
    assert len(told) == 1 and begin() is not stop
    started = time.monotonic()
    engine.speak("Hi there.", {"seed": 1})  # nothing holds the engine any more
    assert time.monotonic() - started < 30.0


def test_a_result_whose_sound_is_gone_is_told(engine: Engine) -> None:
    take, _ = engine.speak("Hello.", {"seed": 1})
    assert find_take(take.key, [take]) is take
    Path(take.path).unlink()
    with pytest.raises(ValueError, match="make it again"):
        find_take(take.key, [take])


def test_the_endpoint_speaks_for_programs(url: str) -> None:
    from gradio_client import Client

    client = Client(url, verbose=False, httpx_kwargs={"timeout": 60})
    path, facts = client.predict(text="Hello there.", emotion="sad:0.6", seed=7, api_name="/speak")
    assert soundfile.info(path).samplerate == 24_000 and facts["seed"] == 7 and facts["heard"]["arousal"] < 0.3
    again, _ = client.predict(text="Hello there.", emotion="sad:0.6", seed=7, api_name="/speak")
    assert Path(path).read_bytes() == Path(again).read_bytes()
    told, _ = client.predict(text="One, two, three.", timeline="rise:angry", api_name="/speak")
    assert soundfile.info(told).frames > 10_000
    for wrong in ({"text": "Hi", "emotion": "like=/etc/passwd"}, {"text": "Hi", "voice": "/etc/passwd"}, {"text": ""},
                  {"text": "Hi", "timeline": "/etc/passwd.csv"}, {"text": "Hi", "speed": 99}):  # fmt: skip
        with pytest.raises(Exception, match=".{15,}") as refused:
            client.predict(**wrong, api_name="/speak")
        assert "/etc" not in str(refused.value).replace("'/etc/passwd'", "")


def test_presets_are_drawings_that_the_editor_takes() -> None:
    assert preset("rise", "angry")["arousal"][-1][1] > 0.5
