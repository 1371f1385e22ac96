"""Story: reading, refusing, speaking and drawing as functions, the endpoint by a client, and the tab in a browser."""

import io
import json
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path, PurePosixPath

import pytest
import soundfile
from browser import assert_clean, open_page, served, shot
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import expect

from demo.app import build_app
from demo.compare_grid import Stop
from demo.engine import Engine
from demo.story_examples import EXAMPLES
from demo.story_moods import Mood, marks_of_path, moods_of, moods_svg, path_of
from demo.story_read import MAX_CHARS, Story, read_story, text_of_rows
from demo.story_run import pack, run_story
from demo.tab_story import cells_of_run, check_html, run_html, uploaded
from demo.theme import STYLE, make_theme
from emotts import EmoTTS
from emotts.batch.script import moods as moods_of_script
from emotts.batch.script import read_script
from emotts.emotion.labels import AVD_MEANS
from emotts.provenance import read_provenance

EVIL = "<img src=x onerror=window.hacked=1>"
SHORT = """\
@ANNA voice=heart emotion=calm:0.5
@BEN voice=max

ANNA: Come in.
BEN (angry:0.8): No!

ANNA (happy): Oh, come.
"""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(EmoTTS.from_pretrained())


@pytest.fixture(scope="module")
def run(engine: Engine):
    *_, last = run_story(engine, read_story(engine, SHORT, "script", 0.5, 0.4), Stop())
    return last


@pytest.fixture(scope="module")
def address(engine: Engine):
    with served(build_app(engine, tabs=("story",)), {"theme": make_theme(), "css_paths": [STYLE]}) as url:
        yield url


def rows_of(**columns: object) -> str:
    return json.dumps({"text": "Hello there."} | columns)


# --- reading


@pytest.mark.parametrize("kind", list(EXAMPLES))
def test_examples_are_sound(engine, kind):
    story = read_story(engine, EXAMPLES[kind], kind)
    assert story.problems == () and len(story.rows) >= 4
    assert [line.row for line in story.lines] == [str(row.number) for row in story.rows]


def test_script_has_the_moods_and_pauses_of_the_command(engine, tmp_path):
    from demo.story_checker import make_checker

    (tmp_path / "s.txt").write_text(SHORT)
    script = read_script(tmp_path / "s.txt", make_checker(engine.voices, engine.limits))
    story = read_story(engine, SHORT, "script", 0.5, 0.3)
    assert [row.options["emotion"] for row in story.rows] == moods_of_script(script, 0.3)
    assert story.pauses_s == (0.0, 0.5, 1.0)
    assert story.speakers == ["ANNA", "BEN"]
    assert [line.voice for line in story.lines] == ["ANNA, heart", "BEN, max", "ANNA, heart"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"voice": "/etc/passwd"}, "voice must be one of"),
        ({"voice": "../heart.wav"}, "voice must be one of"),
        ({"timeline": "/etc/times.csv"}, "timeline must be a preset"),
        ({"timeline": "rise:like=/etc/passwd"}, "must not name files"),
        ({"prosody": "/etc/passwd"}, "column prosody reads files"),
        ({"prosody": "{}"}, "column prosody reads files"),
        ({"word_times": "/etc/passwd"}, "column word_times reads files"),
        ({"intonation": "/etc/passwd"}, "column intonation reads files"),
        ({"like_neutral": ["/etc/passwd"]}, "column like_neutral reads files"),
        ({"norms": "/etc/passwd"}, "column norms reads files"),
        ({"emotion": "like=/etc/passwd"}, "must not name files"),
        ({"emotion": "happy,direction=/etc/passwd"}, "must not name files"),
        ({"emotion": "sad,erase=/etc/passwd"}, "must not name files"),
        ({"emotion": "happy" * 200}, "at most 500 characters"),
        ({"text": "[like=/etc/passwd]Hello.[/]"}, "must not name files"),
        ({"text": "word " * 1_000}, "at most 4096 characters"),
        ({"text": "\ud800 half"}, "Unicode"),
        ({"text": 5}, "at least one word"),
        ({"output": "../out.wav"}, "inside the output folder"),
        ({"output": "/tmp/out.wav"}, "inside the output folder"),
        ({"output": "a/../../out.wav"}, "inside the output folder"),
        ({"output": "C:/out.wav"}, "inside the output folder"),
        ({"output": "..\\out.wav"}, "a file name with /"),
        ({"output": ".hidden.wav"}, "do not begin"),
        ({"output": "results.jsonl"}, "a name that ends in"),
        ({"output": "story.wav"}, "the name of the whole story"),
        ({"duration": 3_000}, "at most 60 s"),
        ({"speed": 99}, "speed must be"),
        ({"happy": 1}, "no column is named"),
    ],
)
def test_row_that_asks_too_much_is_refused_where_it_stands(engine, columns, said):
    source = f"{rows_of()}\n{rows_of(**columns)}\n{rows_of()}"
    story = read_story(engine, source, "jsonl")
    assert story.rows == () and len(story.problems) == 1
    assert "row 2" in story.problems[0]
    [bad] = [line for line in story.lines if line.problem]
    assert bad.row == "2" and said in bad.problem
    json.dumps([line.cells for line in story.lines]).encode()  # can be sent, whatever stood there
    "".join(bad.cells).encode()


@pytest.mark.parametrize("name", ["like", "direction", "erase"])
def test_no_file_is_looked_at_before_it_is_refused(engine, name, monkeypatch, tmp_path):
    here, gone = tmp_path / "here.wav", tmp_path / "gone.wav"
    here.write_bytes(b"secret")
    opened = []
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda self: opened.append(str(self)) or is_file(self))
    found = []
    for path in (here, gone):
        script = f"@ANNA voice=heart emotion={name}={path}\nANNA ({name}={path}): Hello.\nANNA: [{name}={path}]x[/]"
        story = read_story(engine, script, "script")
        found.append([problem.replace(str(path), "") for problem in story.problems])
        assert len(story.problems) == 3
    assert found[0] == found[1]  # what is there and what is not cannot be told apart
    assert not any(str(tmp_path) in path for path in opened)


def test_script_with_mistakes_tells_each_line(engine):
    script = "@ANNA voice=/etc/passwd\nANNA: Hi.\nCARL: Hm.\nANNA (happyy): Oh.\nnothing"
    story = read_story(engine, script, "script")
    bad = {line.text: line.problem for line in story.lines if line.problem}
    assert "voice must be one of" in bad["@ANNA voice=/etc/passwd"]
    assert "'CARL' has no voice" in bad["CARL: Hm."]
    assert 'Did you mean "happy"' in bad["ANNA (happyy): Oh."]
    assert "expected NAME: text" in bad["nothing"]
    assert "4 problems; nothing was spoken" in check_html(story)


def test_csv_with_mistakes_tells_each_row(engine):
    table = 'text,voice,speed\nHi.,heart,1\nHo.,nobody,1\nHu.,heart\n,heart,fast\n"open'
    story = read_story(engine, table, "csv")
    said = {line.row: line.problem for line in story.lines if line.problem}
    assert "voice must be one of" in said["2"] and "has 2 cells" in said["3"]
    assert "at least one word" in said["4"] and "expected a number" in said["4"]
    assert any("is not CSV" in line.problem for line in story.lines)


def test_too_many_rows_and_too_much_text_are_refused(engine):
    story = read_story(engine, "\n".join([rows_of()] * 201), "jsonl")
    assert story.rows == () and "has 201 rows; expected at most 200" in story.problems[0]
    assert read_story(engine, "\n".join([rows_of()] * 200), "jsonl").problems == ()
    long = rows_of(text="A word or two. " * 250)
    story = read_story(engine, "\n".join([long] * 9), "jsonl")
    assert "characters to speak; expected at most 30000" in " ".join(story.problems)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("", "script"), "at least one line"),
        ((None, "script"), "at least one line"),
        (("x" * (MAX_CHARS + 1), "csv"), "at most 200000 characters"),
        ((SHORT, "../../x"), "kind must be one of"),
        ((SHORT, ["csv"]), "kind must be one of"),
        ((SHORT, "script", 99.0), "gap must be"),
        ((SHORT, "script", 0.3, 1.0), "inertia must be"),
        ((SHORT, "script", 0.3, float("nan")), "inertia must be"),
        (("ANNA: \ud800", "script"), "must be Unicode"),
    ],
)
def test_what_is_no_story_is_refused(engine, arguments, said):
    with pytest.raises(ValueError, match=said):
        read_story(engine, *arguments)


def test_problems_of_the_whole_name_no_folder(engine):
    for source, kind in [("# nothing", "script"), ("\0", "script"), ("text\n", "csv")]:
        story = read_story(engine, source, kind)
        assert story.problems and str(engine.folder) not in " ".join(story.problems)


def test_rows_must_be_objects():
    assert json.loads(text_of_rows([{"text": "a\nb"}])) == {"text": "a\nb"}
    for rows in ("text", [1], {"text": "a"}):
        with pytest.raises(ValueError, match="list of objects"):
            text_of_rows(rows)


def test_uploaded_file_is_read_by_its_suffix(tmp_path):
    (tmp_path / "a.csv").write_bytes("\ufefftext\r\nHi.\r\n".encode())
    assert uploaded(str(tmp_path / "a.csv")) == ("text\r\nHi.\r\n", "csv")
    for name, content, said in [
        ("a.exe", b"", "must end in one of"), ("b.txt", b"\xff\xfe", "must be UTF-8"), ("c.txt", b" " * 900_000, "at most 200000"),
    ]:  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=said) as error:
            uploaded(str(tmp_path / name))
        assert str(tmp_path) not in str(error.value)


# --- speaking


def test_story_is_spoken_joined_and_packed(engine, run):
    assert [result["row"] for result in run.results.values()] == [1, 2, 3] and run.note == ""
    spoken_s = sum(result["duration_s"] for result in run.results.values())
    info = soundfile.info(run.joined)
    assert info.duration == pytest.approx(spoken_s + 0.5 + 1.0, abs=0.01) == pytest.approx(run.joined_s, abs=0.01)
    assert set(run.heard) == {1, 2, 3}
    with zipfile.ZipFile(run.archive) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert {"story.txt", "story.wav", "results.jsonl", "turns/0001-ANNA.wav", "turns/0002-BEN.wav"} <= set(names)
        assert archive.read("story.txt").decode() == SHORT
        lines = [json.loads(line) for line in archive.read("results.jsonl").splitlines()]
        assert [line["row"] for line in lines] == [1, 2, 3]
        sound = soundfile.info(io.BytesIO(archive.read("turns/0002-BEN.wav")))
        assert sound.duration == pytest.approx(lines[1]["duration_s"], abs=1e-3)
    assert all(not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts for name in names)
    assert read_provenance(run.joined) is not None


def test_same_story_gives_the_same_sound(engine, run):
    *_, again = run_story(engine, read_story(engine, SHORT, "script", 0.5, 0.4), Stop())
    assert Path(again.joined).read_bytes() == Path(run.joined).read_bytes()


def test_stopping_keeps_the_rows_that_are_spoken(engine):
    story, stop = read_story(engine, "\n".join([rows_of(output=f"{n}.wav") for n in range(6)]), "jsonl"), Stop()
    seen = []
    for at in run_story(engine, story, stop):
        seen.append(len(at.results))
        stop.is_wished = True
    assert seen == sorted(seen)
    assert 1 <= len(at.results) <= 2 and at.note.startswith("Stopped after")
    assert soundfile.info(at.joined).duration == pytest.approx(at.joined_s, abs=1e-3)
    with zipfile.ZipFile(at.archive) as archive:
        assert [name for name in archive.namelist() if name.endswith(".wav")][:1] == ["0.wav"]
    assert "of 6 rows spoken" in run_html(at) and "Stopped after" in run_html(at)
    assert [cells[-1][:1] for cells in cells_of_run(at)] == ["✓"] * len(at.results) + [""] * (6 - len(at.results))


def test_stop_wished_while_waiting_speaks_nothing(engine):
    [at] = run_story(engine, read_story(engine, SHORT, "script"), Stop(is_wished=True))
    assert at.results == {} and at.archive is None and "Stopped after 0 of 3" in at.note


def test_row_that_fails_is_told_and_the_others_are_spoken(engine):
    table = "\n".join([rows_of(duration=0.06), rows_of(), rows_of(text="Bye.")])  # no mouth is that fast
    story = read_story(engine, table, "jsonl", 0.2)
    assert story.problems == ()
    *_, at = run_story(engine, story, Stop())
    assert "error" in at.results[1] and [row.number for row in at.spoken] == [2, 3]
    assert at.joined_s == pytest.approx(at.results[2]["duration_s"] + at.results[3]["duration_s"] + 0.2, abs=0.01)
    assert "2 of 3 rows spoken, 1 failed" in run_html(at) and cells_of_run(at)[0][-1].startswith("✗")


def test_story_with_problems_is_not_spoken(engine):
    with pytest.raises(ValueError, match="mend them first"):
        next(run_story(engine, read_story(engine, rows_of(voice="nobody"), "jsonl"), Stop()))


def test_no_hidden_file_is_packed(tmp_path):
    for name in ("a.wav", ".partial/b.wav", ".c.wav", "d/.e/f.wav", "d/g.wav"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
    with zipfile.ZipFile(pack(tmp_path / "in", tmp_path / "x.zip", "story.csv", "text\nHi.")) as archive:
        assert archive.namelist() == ["story.csv", "a.wav", "d/g.wav"]


# --- drawing


def test_moods_of_a_script_are_drawn_where_they_are_asked(engine):
    story = read_story(engine, SHORT, "script", 0.3, 0.4)
    moods = moods_of(engine, story.rows)
    calm, happy = AVD_MEANS["calm"], AVD_MEANS["happy"]
    steady = [0.5 * value for value in calm]
    assert moods[0].asked == pytest.approx(steady, abs=1e-3)
    assert moods[2].asked == pytest.approx([0.4 * a + 0.6 * b for a, b in zip(steady, happy, strict=True)], abs=1e-3)
    assert path_of(moods, "ANNA") == [[moods[i].asked[1], moods[i].asked[0]] for i in (0, 2)]
    assert [mark["kind"] for mark in marks_of_path(moods, "ANNA")] == ["before", "result"]
    assert [mark["kind"] for mark in marks_of_path(moods, "BEN")] == ["asked"]


def test_moods_of_a_table_are_read_whichever_way_they_are_asked(engine):
    table = [
        {"text": "One.", "emotion": "happy:0.5"}, {"text": "Two.", "arousal": 0.3}, {"text": "Three.", "timeline": "rise:sad"},
        {"text": "[sad]Four.[/]"}, {"text": "I hate this terrible disaster!", "emotion": "auto"},
        {"text": "Six.", "emotion": '"furious"'},
    ]  # fmt: skip
    moods = moods_of(engine, read_story(engine, text_of_rows(table), "jsonl").rows)
    assert moods[0].asked == pytest.approx([0.5 * value for value in AVD_MEANS["happy"]], abs=1e-3)
    assert moods[1].asked == (pytest.approx(0.3), None, None)
    assert moods[2].asked == moods[3].asked == (None, None, None)
    assert moods[4].asked[1] < -0.1 and moods[5].asked[0] > 0.3


def test_picture_has_a_line_for_each_speaker_and_dimension(engine, run):
    moods = moods_of(engine, run.story.rows, run.heard)
    picture = ElementTree.fromstring(f"<div>{moods_svg(moods)}</div>")
    plot = picture.find(".//svg[@class='story-moods']")
    assert len(plot.findall(".//polyline")) == 3  # ANNA's; BEN's only row is a dot
    assert len(plot.findall(".//circle[@class='asked']")) == len(plot.findall(".//circle[@class='heard']")) == 9
    first = plot.findall("g")[0].findall("circle")[0]
    assert "row 1, ANNA: arousal -0.23" in first.find("title").text
    height = {title: float(first.get("cy")) for title in ["arousal"]}
    zero = float(plot.findall("line")[0].get("y1"))
    assert height["arousal"] > zero  # calm is drawn below the middle


def test_names_in_the_picture_are_escaped():
    moods = [Mood(n, EVIL + '"&', (0.1 * n, None, 0.0), None) for n in range(3)]
    picture = moods_svg(moods)
    assert "<img" not in picture and "&lt;img" in picture
    ElementTree.fromstring(f"<div>{picture}</div>")
    assert moods_svg([]) == ""


# --- the endpoint


def test_endpoint_speaks_rows_and_returns_a_zip(address):
    client = Client(address, verbose=False, httpx_kwargs={"timeout": 60})
    rows = [{"text": "Come in.", "voice": "ada", "emotion": "happy:0.8", "output": "a/b.flac"}, {"text": "Go."}]
    archive, results = client.predict(rows=rows, gap_s=0.2, api_name="/batch")
    with zipfile.ZipFile(archive) as found:
        assert {"story.jsonl", "a/b.flac", "000002.wav", "story.wav", "results.jsonl"} <= set(found.namelist())
    assert [result["row"] for result in results] == [1, 2]
    assert (
        results[0]["asked"]["arousal"] == pytest.approx(0.8 * AVD_MEANS["happy"][0], abs=1e-3)
        and results[0]["heard"]["label"]
    )


def test_endpoint_speaks_a_script(address):
    archive, results = Client(address, verbose=False, httpx_kwargs={"timeout": 60}).predict(
        SHORT, "script", api_name="/batch"
    )
    assert [result["speaker"] for result in results] == ["ANNA", "BEN", "ANNA"]
    assert zipfile.ZipFile(archive).testzip() is None


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"text": "Hi.", "voice": "/etc/passwd"}], "voice must be one of"),
        ([{"text": "Hi.", "output": "/etc/cron.d/x.wav"}], "inside the output folder"),
        ([{"text": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}}], "path"),
        ([{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}], "path"),
        ([], "at least one line"),
    ],
)
def test_endpoint_refuses_files_of_the_server(address, rows, said):
    with pytest.raises(AppError, match=said) as error:
        Client(address, verbose=False, httpx_kwargs={"timeout": 60}).predict(rows=rows, api_name="/batch")
    assert "root:" not in str(error.value)


# --- in a browser


def test_story_by_paste_in_a_browser(address):
    with open_page(address) as page:
        page.locator("#story-moods circle.asked").first.wait_for()  # the example is drawn from the beginning
        page.locator("#story-text textarea").fill(SHORT)
        page.locator("#story-go").click()
        page.get_by_text("3 of 3 rows spoken; together").wait_for(timeout=180_000)
        for part in ("Come in.", "✓"):
            expect(page.locator("#story-table")).to_contain_text(part)
        page.locator("#story-audio a[download]").wait_for()
        href = page.locator("#story-audio a[download]").get_attribute("href")
        sound = soundfile.info(io.BytesIO(page.context.request.get(href).body()))
        expect(page.locator("#story-note")).to_contain_text(f"together {sound.duration:.1f} s")
        expect(page.locator("#story-moods svg.story-moods circle.heard")).to_have_count(9)
        expect(page.locator("#story-pad polyline.path")).to_have_count(1)
        page.locator("#story-who").get_by_text("BEN").click()
        page.wait_for_function(
            "document.querySelectorAll('#story-pad polyline.path').length === 0"
        )  # one row is no way
        with page.expect_download() as download:
            page.locator("#story-zip").click()
        with zipfile.ZipFile(download.value.path()) as archive:
            assert "turns/0003-ANNA.wav" in archive.namelist() and archive.testzip() is None
        page.locator("#story-row input").click()
        page.get_by_role("option", name="2 · No!").click()
        page.locator("#story-one a[download]").wait_for()
        shot(page, "story")
        assert_clean(page)


def test_story_by_upload_in_a_browser(address, tmp_path):
    (tmp_path / "lines.csv").write_text("text,voice,emotion\nCome in.,ada,happy\nGo.,otto,sad\n")
    with open_page(address) as page:
        with page.expect_file_chooser() as chooser:
            page.locator("#story-upload").click()
        chooser.value.set_files(tmp_path / "lines.csv")
        page.get_by_text("2 rows, nothing wrong").wait_for()
        expect(page.locator("#story-kind input:checked")).to_have_value("csv")
        page.locator("#story-go").click()
        page.get_by_text("2 of 2 rows spoken; together").wait_for(timeout=180_000)
        assert_clean(page)


def test_stop_in_a_browser_keeps_what_is_spoken(address):
    with open_page(address) as page:
        page.locator("#story-kind").get_by_text("JSONL").click()
        page.locator("#story-text textarea").fill(
            "\n".join([rows_of(text="This takes a while to say, and then some more. " * 3)] * 20)
        )
        page.locator("#story-go").click()
        page.get_by_text("of 20 rows spoken").wait_for(timeout=180_000)
        page.locator("#story-stop").click()
        page.get_by_text("as was wished").wait_for(timeout=180_000)
        page.wait_for_function("!document.querySelector('#story-zip').disabled")
        with page.expect_download() as download:
            page.locator("#story-zip").click()
        assert "000001.wav" in zipfile.ZipFile(download.value.path()).namelist()
        assert_clean(page)


def test_markup_in_stories_is_shown_and_never_run_on_a_dark_phone(address):
    with open_page(address, phone=True, dark=True) as page:
        page.locator("#story-kind").get_by_text("JSONL").click()
        evil = [rows_of(text=f"So {EVIL}", output=f"{EVIL}.wav"), rows_of(voice=EVIL), rows_of(**{EVIL: 1})]
        page.locator("#story-text textarea").fill("\n".join(evil))
        page.locator("#story-check").click()
        page.get_by_text("problems; nothing was spoken").wait_for()
        for place in ("#story-table", "#story-note"):
            expect(page.locator(place)).to_contain_text(EVIL)
        page.locator("#story-text textarea").fill("\n".join([rows_of(text=f"So {EVIL}"), rows_of(text="Yes.")]))
        page.locator("#story-go").click()
        page.get_by_text("2 of 2 rows spoken; together").wait_for(timeout=180_000)
        page.locator("#story-row input").click()
        page.get_by_role("option").first.click()
        page.locator("#story-one audio, #story-one a[download]").first.wait_for(state="attached")
        assert page.evaluate("window.hacked") is None and page.locator("img[src=x]").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        shot(page, "story-phone-dark")
        assert_clean(page)


def test_story_object_knows_its_speakers_in_order(engine):
    story = read_story(engine, EXAMPLES["csv"], "csv")
    assert isinstance(story, Story) and story.speakers == ["ada", "otto"]
