"""`emotts batch`: bad tables and scripts are told whole, a killed run goes on where it was, and moods follow their closed form."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pytest
import soundfile

from emotts.batch.outputs import PARTIAL, held, read_results
from emotts.batch.rows import Checker, Row, option_kinds
from emotts.batch.run import Batch, run_batch
from emotts.batch.script import moods, read_script
from emotts.cli import main
from emotts.emotion.coordinates import coordinates_of_spec
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.provenance import ModelCard, Provenance, read_provenance
from emotts.request import Options
from emotts.speech import Result

RATE = 24_000
EMOTTS = [sys.executable, "-c", "import sys, test_batch; sys.exit(test_batch.with_noise(sys.argv[1:]))"]


class NoiseTTS:
    """Speaks a second of noise that follows from text and options; `pause_s` tells how long that takes."""

    def __init__(self, pause_s: Callable[[], float] = lambda: 0.0) -> None:
        self.pause_s, self.asked = pause_s, []  # type: ignore[var-annotated]

    def synthesize(self, text: str, **options: Unpack[Options]) -> Result:
        self.asked.append((text, options))
        time.sleep(self.pause_s())
        if "fail" in text:
            raise ValueError("nothing in it can be spoken.")
        if "bug" in text:
            raise RuntimeError("shapes differ")
        seed = options["seed"]
        assert seed is not None
        wave = 0.1 * np.random.default_rng([seed, *text.encode()]).standard_normal(RATE // 10 + len(text))
        emotion, nothing = parse_emotion(options.get("emotion")), np.zeros(0, np.float32)
        voice = str(options.get("voice") or "heart")
        made = Provenance("speech", (ModelCard("noise"),), seed, {"voice": voice, "emotion": str(emotion)}, text=text)
        told = (text, voice, emotion, seed, 0.1, [], [], nothing, nothing)
        return Result(wave.astype(np.float32), RATE, *told, provenance=made)


def n_logged() -> int:
    """Return how many rows are in the log of the batch in this folder."""
    log = Path("out/results.jsonl")
    return log.read_bytes().count(b"\n") if log.exists() else 0


def with_noise(arguments: list[str]) -> int:
    """Run `emotts` with a slow NoiseTTS in place of the model; after ROWS rows it hardly goes on, so that it can be killed."""
    from emotts import pipeline

    rows = int(os.environ["ROWS"])
    pipeline.EmoTTS.from_pretrained = lambda *_: NoiseTTS(lambda: 0.02 if n_logged() < rows else 5.0)  # type: ignore[assignment, method-assign]
    return main(arguments)


@pytest.fixture
def tts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NoiseTTS:
    """An empty folder, and a model that speaks noise."""
    found = NoiseTTS()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("emotts.pipeline.EmoTTS.from_pretrained", lambda *_: found)
    return found


def run(*arguments: str) -> int:
    try:
        return main(["batch", *arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def write_rows(*rows: dict[str, Any], name: str = "lines.jsonl") -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


def results(folder: str = "out") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, "results.jsonl").read_text().splitlines()]


def audio(folder: str = "out") -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(Path(folder).rglob("*.wav"))}


# Tables


@pytest.mark.parametrize(
    "text", ["[sad:.3]I waited.[/] [angry]You never came!", "This is *very* good. [pause 300ms] Yes."]
)
def test_marks_in_a_text_pass_the_check(text: str) -> None:
    checker = Checker(option_kinds(NoiseTTS.synthesize), ["heart"])
    checker.text(text, "row 1")
    assert checker.problems == []
    checker.text("[hapy:0.5]Yes.[/]", "row 1")
    assert "hapy" in str(checker.problems)


def test_rows_become_files_and_results(tts: NoiseTTS, capsys: pytest.CaptureFixture[str]) -> None:
    name = write_rows(
        {"text": "Hello.", "voice": "max", "emotion": "happy:0.8", "output": "a.wav", "speed": 1.1, "seed": 5},
        {"text": "Café “two”.", "output": "deep/er/b.flac", "pitch": None},
        {"text": "Three."},
    )
    assert run(name, "--out", "out") == 0
    assert [dict(options) for _, options in tts.asked] == [
        {"voice": "max", "emotion": "happy:0.8", "speed": 1.1, "seed": 5},
        {"seed": results()[1]["seed"]},
        {"seed": results()[2]["seed"]},
    ]
    assert [line["output"] for line in results()] == ["a.wav", "deep/er/b.flac", "000003.wav"]
    assert results()[0]["emotion"] == EmotionSpec("happy", 0.8).to_dict()
    assert results()[0].keys() == {"row", "output", "digest", "duration_s", "rtf", "seed", "emotion", "voice"}
    assert all(soundfile.info(f"out/{line['output']}").samplerate == RATE for line in results())
    out, err = capsys.readouterr()
    assert out == "" and err == "emotts: 3 of 3 lines spoken, in out\n"
    assert sorted(str(p.relative_to("out")) for p in Path("out").rglob("*") if p.is_file()) == [
        "000003.wav", "000003.wav.json", "a.wav", "a.wav.json", "deep/er/b.flac", "deep/er/b.flac.json", "results.jsonl",
    ]  # fmt: skip


def test_json_prints_a_line_per_row(tts: NoiseTTS, capsys: pytest.CaptureFixture[str]) -> None:
    name = write_rows({"text": "One."}, {"text": "Two."})
    assert run(name, "--out", "out", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{**line, "skipped": False} for line in results()]
    assert run(name, "--out", "out", "--json", "--resume") == 0
    assert [json.loads(line)["skipped"] for line in capsys.readouterr().out.splitlines()] == [True, True]


@pytest.mark.parametrize(
    ("delimiter", "end", "bom"), [(",", "\n", ""), (";", "\r\n", "\ufeff"), ("\t", "\n", "\ufeff")]
)
def test_csv_of_every_kind_says_the_same(tts: NoiseTTS, delimiter: str, end: str, bom: str) -> None:
    with open("lines.csv", "w", encoding="utf-8", newline="") as file:
        file.write(bom)
        table = csv.writer(file, delimiter=delimiter, lineterminator=end)
        table.writerow(["text", "voice", "speed", "steps", "emotion", "mixing", "duration"])
        table.writerow(["Two\nlines, and; \ta tab.", "max", "1.25", "6", "sad:0.5", "", ""])
        table.writerow([])
        table.writerow(["Plain.", "", "", "", "happy+sad", "velocity", "2"])
    assert run("lines.csv", "--out", "out") == 0
    (text, first), (_, second) = tts.asked
    assert text == "Two\nlines, and; \ta tab."
    assert {k: v for k, v in first.items() if k != "seed"} == {
        "voice": "max", "speed": 1.25, "steps": 6, "emotion": "sad:0.5",
    }  # fmt: skip
    assert {k: v for k, v in second.items() if k != "seed"} == {
        "emotion": "happy+sad", "mixing": "velocity", "duration": 2,
    }  # fmt: skip


def test_every_option_of_synthesize_is_a_column(tts: NoiseTTS) -> None:
    from emotts.pipeline import EmoTTS

    kinds = option_kinds(EmoTTS.synthesize)
    assert kinds.keys() == Options.__annotations__.keys()
    assert kinds["speed"] == {"float"} and kinds["steps"] == {"int"} and kinds["like_neutral"] == {"list"}

    def speak(text: str, *, loud: bool = False, edit: Any = None, level: float | None = None) -> None: ...

    for name in ("a.wav", "b.wav"):
        Path(name).touch()
    checker = Checker(kinds)
    assert checker.value("like_neutral", "a.wav; b.wav", "row 1", is_text=True) == ["a.wav", "b.wav"]
    assert checker.value("like_neutral", ["a.wav"], "row 1", is_text=False) == ["a.wav"] and checker.problems == []
    assert option_kinds(speak) == {"loud": {"bool"}, "level": {"float"}}


def test_default_seeds_follow_from_the_content() -> None:
    rows = [Row(1, 1, "Hello.", "a.wav"), Row(7, 9, "Hello.", "b.wav"), Row(1, 1, "Hello!", "a.wav")]
    spec = [Row(1, 1, "Hello.", "a.wav", {"emotion": e}) for e in ("sad", EmotionSpec("sad"), EmotionSpec("sad"))]
    assert rows[0].seed == rows[1].seed != rows[2].seed
    assert spec[0].seed != rows[0].seed and spec[1].seed == spec[2].seed
    assert Row(1, 1, "Hello.", "a.wav", {"seed": 3}).seed == 3
    assert len({row.digest(model) for row in rows for model in ("m", "n")}) == 6


BAD_ROWS: list[tuple[Any, str]] = [
    ({}, "row 2 (line 2), column text: expected at least one word to speak; got nothing."),
    ({"text": "  "}, "column text: expected at least one word to speak; got nothing."),
    ({"text": 7}, "column text: expected at least one word to speak; got 7."),
    ({"text": "\ud800"}, "column text: is not valid Unicode"),
    ({"text": "[pause]"}, "column text: pause must have a length and a unit"),
    ({"text": "Hi.", "emotoin": "sad"}, "no column is named 'emotoin'. Did you mean \"emotion\"?"),
    ({"text": "Hi.", "emotion": "hapy"}, 'column emotion: emotion must be one of'),
    ({"text": "Hi.", "emotion": "happy:"}, 'column emotion: emotion "happy:", position 7'),
    ({"text": "Hi.", "emotion": "like=none.wav"}, "column emotion: file 'none.wav' does not exist"),
    ({"text": "Hi.", "emotion": "direction=none.safetensors"}, "direction file 'none.safetensors' does not exist"),
    ({"text": "Hi.", "emotion": 3}, "column emotion: expected a text; got 3."),
    ({"text": "Hi.", "voice": "hart"}, 'column voice: voice must be one of'),
    ({"text": "Hi.", "speed": 9}, "column speed: speed must be a number from 0.4 to 2.5; got 9."),
    ({"text": "Hi.", "speed": "1.1"}, 'column speed: expected a number; got "1.1".'),
    ({"text": "Hi.", "speed": True}, "column speed: expected a number; got true."),
    ({"text": "Hi.", "steps": 2.5}, "column steps: expected a whole number; got 2.5."),
    ({"text": "Hi.", "seed": -1}, "column seed: seed must be a whole number"),
    ({"text": "Hi.", "arousal": 2}, "column arousal: arousal must be a number from -1 to 1; got 2."),
    ({"text": "Hi.", "mixing": "shaken"}, "column mixing: mixing must be one of"),
    ({"text": "Hi.", "duration": 0}, "column duration: duration must be a number from 0.05"),
    ({"text": "Hi.", "timeline": "none.csv"}, "column timeline: "),
    ({"text": "Hi.", "intonation": "none.wav"}, "column intonation: file 'none.wav' does not exist."),
    ({"text": "Hi.", "like_neutral": "a.wav"}, 'column like_neutral: expected a list of texts; got "a.wav".'),
    ({"text": "Hi.", "output": 1}, "column output: expected a file name; got 1."),
    ([1], "row 2 (line 2): expected an object of columns; got list."),
    ('{"text": "Hi.", "speed": NaN}', "is not JSON (NaN is no number)"),
    ('{"text": "Hi.", "speed": 1e999}', "column speed: expected a number; got Infinity."),
    ('{"text": "Hi.", "text": "Ho."}', "is not JSON (a name stands twice)"),
    ('{"text": "Hi."', "row 2 (line 2): is not JSON"),
    ("[" * 5_000, "row 2 (line 2): is not JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "message"), BAD_ROWS)
def test_a_bad_row_is_told_with_its_place_before_the_model_loads(
    tts: NoiseTTS, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], row: Any, message: str
) -> None:
    def load(*_: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("emotts.pipeline.EmoTTS.from_pretrained", load)
    bad = row if isinstance(row, str) else json.dumps(row)
    Path("lines.jsonl").write_text(f'{{"text": "Fine."}}\n{bad}\n{{"text": "Fine too."}}\n')
    assert run("lines.jsonl", "--out", "out") == 2
    problem, end = capsys.readouterr().err.splitlines()
    assert message in problem and problem.startswith("emotts: row 2 (line 2)")
    assert end == "emotts: error: nothing was spoken; lines.jsonl has 1 of these."
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "output",
    [
        "../a.wav", "deep/../../a.wav", "/tmp/a.wav", "C:\\a.wav", "C:a.wav", "..\\a.wav", "a\\b.wav", "a\0.wav", "a\n.wav",
        ".hidden.wav", "deep/.x/a.wav", "con.wav", "deep/nul.wav", "a.txt", "a", "a.wav/", ".", "..", "link/a.wav", " a.wav",
        "x" * 250 + ".wav", "~/../../a.wav", "results.jsonl", ".partial/a.wav", "folder.wav", "//host/a.wav", "deep /a.wav",
    ],
)  # fmt: skip
def test_outputs_stay_in_their_folder(tts: NoiseTTS, capsys: pytest.CaptureFixture[str], output: str) -> None:
    Path("out/folder.wav").mkdir(parents=True)
    Path("out/link").symlink_to("/tmp")
    assert run(write_rows({"text": "Hi.", "output": output}), "--out", "out") == 2
    assert "emotts: row 1 (line 1), column output: " in capsys.readouterr().err
    assert tts.asked == [] and not Path("a.wav").exists()


def test_outputs_must_differ_and_not_be_folders_of_others(tts: NoiseTTS, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"text": "Hi.", "output": name} for name in ("a.wav", "A.WAV", "b.wav/c.wav", "b.wav", "./a.wav")]
    assert run(write_rows(*rows), "--out", "out") == 2
    err = capsys.readouterr().err
    assert "'A.WAV' is the output of row 1 too" in err and "'./a.wav' is the output of row 1 too" in err
    assert "row 4, column output: 'b.wav' is a folder for row 3" in err and "has 3 of these" in err


def test_twenty_problems_are_shown_and_the_rest_counted(tts: NoiseTTS, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(write_rows(*[{"text": "Hi.", "speed": 0}] * 50), "--out", "out") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 22 and lines[20] == "emotts: and 30 more"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"txt\nHi.\n", "heading: expected a column \"text\"; got 'txt'"),
        ("a.csv", b"text,text\nHi.,Ho.\n", "heading: column 'text' stands there twice"),
        ("a.csv", b"text,loudness\nHi.,3\n", "heading: no column is named 'loudness'"),
        ("a.csv", b"text,speed\nHi, there.,1\n", "row 1 (line 2): has 3 cells; the heading has 2"),
        ("a.csv", b"text,speed\nHi.\n", "row 1 (line 2): has 1 cells; the heading has 2"),
        (
            "a.csv",
            b'text,speed\n"Two\nlines",fast\nHi.,1\n',
            "row 1 (line 2), column speed: expected a number; got 'fast'",
        ),
        (
            "a.csv",
            b'text,speed\n"Two\nlines",1\nHi.,nan\n',
            "row 2 (line 4), column speed: expected a number; got 'nan'",
        ),
        ("a.csv", b"text,steps\nHi.,2.0\n", "column steps: expected a whole number; got '2.0'"),
        ("a.csv", b'text\n"Hi.\n', "is not CSV"),
        ("a.csv", b"text\n", "there are no rows"),
        ("a.jsonl", b"\n\n", "there are no rows"),
        ("a.txt", b"# nothing\n", "there are no turns"),
        ("a.txt", b"@ANNA voice=heart\nANA: Hi.\n", "line 2: 'ANA' has no voice. Did you mean \"ANNA\"?"),
        ("a.txt", b"BOB: Hi.\n", "line 1: 'BOB' has no voice. Write a line before it, such as @BOB voice=heart."),
        ("a.txt", b"@ANNA voice=heart\nJust words\n", "line 2: expected NAME: text, or NAME (emotion): text"),
        ("a.txt", b"@ANNA voice=heart\nANNA (hapy): Hi.\n", "line 2: emotion must be one of"),
        ("a.txt", b"@ANNA voice=heart\nANNA (sad: Hi.\n", "line 2: expected NAME: text"),
        ("a.txt", b"@ANNA voice=heart\nANNA:\n", "line 2: expected at least one word to speak"),
        ("a.txt", b"@ANNA voice=nobody\nANNA: Hi.\n", "line 1, column voice: voice must be one of"),
        ("a.txt", b"@ANNA colour=red\nANNA: Hi.\n", "line 1: no column is named 'colour'"),
        ("a.txt", b"@ANNA speed=fast\nANNA: Hi.\n", "line 1, column speed: expected a number; got 'fast'"),
        ("a.txt", b"@ANNA speed=1 speed=1\nANNA: Hi.\n", "line 1: an option stands twice"),
        ("a.txt", b"@ANNA\n@ANNA\nANNA: Hi.\n", "line 2: ANNA has a voice already"),
        ("a.txt", b"@ANNA voice=\nANNA: Hi.\n", "line 1: expected such as @ANNA voice=heart"),
        ("a.txt", b"@ANNA\nANNA: Hi.\n" + b"\n" * 101 + b"ANNA: Ho.\n", "line 104: stands after 101 blank lines"),
    ],
)
def test_bad_files_are_told(
    tts: NoiseTTS, capsys: pytest.CaptureFixture[str], name: str, content: bytes, message: str
) -> None:
    Path(name).write_bytes(content)
    assert run(name, "--out", "out") == 2
    assert message in capsys.readouterr().err.splitlines()[0]
    assert tts.asked == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.jsonl", "--out", "out"], "batch file 'none.jsonl' does not exist"),
        (["folder.csv", "--out", "out"], "batch file 'folder.csv' is not a regular file"),
        (["lines.xlsx", "--out", "out"], "FILE must end in one of .jsonl, .csv, .txt; got 'lines.xlsx'"),
        (["utf16.csv", "--out", "out"], "batch file utf16.csv is not UTF-8 (byte 0); save it as UTF-8"),
        (["nul.jsonl", "--out", "out"], "holds NUL characters"),
        (["lines.jsonl", "--out", "utf16.csv"], "--out 'utf16.csv' is not a folder"),
        (["lines.jsonl", "--out", "out", "--inertia", "0.5"], "--gap and --inertia belong to scripts"),
        (["story.txt", "--out", "out", "--inertia", "1"], "--inertia must be from 0 to below 1; got 1."),
        (["story.txt", "--out", "out", "--gap", "nan"], "--gap must be from 0 to 10 seconds; got nan."),
        (["lines.jsonl"], "the following arguments are required: --out"),
        (["lines.jsonl", "--out", "out", "--checkpoint", "none"], ""),
    ],
)
def test_bad_arguments_cost_one_line(
    tts: NoiseTTS,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    write_rows({"text": "Hi."})
    Path("folder.csv").mkdir()
    Path("utf16.csv").write_bytes("text\nHi.\n".encode("utf-16"))
    Path("nul.jsonl").write_bytes(b'{"text": "H\0i"}')
    code = run(*arguments)
    err = capsys.readouterr().err
    if message:
        assert code == 2 and message in err and len(err.splitlines()) == 1


def test_too_many_rows_are_refused(tts: NoiseTTS, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("emotts.batch.tables.MAX_ROWS", 3)
    assert run(write_rows(*[{"text": "Hi."}] * 4), "--out", "out") == 2
    assert "there are 4 rows; expected at most 3. Split the file." in capsys.readouterr().err
    assert run(write_rows(*[{"text": "Hi."}] * 3), "--out", "out") == 0


# Going on


def test_an_earlier_run_is_not_overwritten_by_chance(tts: NoiseTTS, capsys: pytest.CaptureFixture[str]) -> None:
    name = write_rows({"text": "Hi.", "output": "a.wav"})
    assert run(name, "--out", "out") == 0 and run(name, "--out", "out") == 2
    assert "holds an earlier run; add --resume to go on, or --force to start over" in capsys.readouterr().err
    Path("out/results.jsonl").unlink()
    assert run(name, "--out", "out") == 2
    assert "'out/a.wav' exists; add --resume, or --force" in capsys.readouterr().err
    assert run(name, "--out", "out", "--force") == 0 and len(tts.asked) == 2


def test_resume_speaks_only_what_changed_or_is_missing(tts: NoiseTTS, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"text": f"Line {i}.", "output": f"{i}.wav"} for i in range(6)]
    assert run(write_rows(*rows), "--out", "out") == 0
    before = audio()
    assert run(write_rows(*rows), "--out", "out", "--resume") == 0
    assert len(tts.asked) == 6 and "0 of 6 lines spoken, 6 done before" in capsys.readouterr().err
    Path("out/2.wav").unlink()
    rows[4]["emotion"] = "sad"
    assert run(write_rows(*rows), "--out", "out", "--resume") == 0
    assert [text for text, _ in tts.asked[6:]] == ["Line 2.", "Line 4."]
    assert sorted(line["row"] for line in results()) == [1, 2, 3, 4, 5, 6]
    assert {name for name in before if audio()[name] != before[name]} == {"4.wav"}


def test_each_line_says_how_it_was_made(tts: NoiseTTS) -> None:
    rows = [{"text": "One.", "voice": "max", "seed": 5}, {"text": "Two."}]
    assert run(write_rows(*rows), "--out", "out") == 0
    found = [read_provenance(f"out/{line['output']}") for line in results()]
    assert [(made.found_in, made.seed, made.settings["voice"]) for made in found if made] == [
        ("file", 5, "max"),
        ("file", results()[1]["seed"], "heart"),
    ]
    assert json.loads(Path("out/000001.wav.json").read_text())["text"] == "One."


def test_a_line_without_its_sidecar_is_spoken_again_unless_none_is_wanted(tts: NoiseTTS) -> None:
    name = write_rows({"text": "One."}, {"text": "Two."})
    assert run(name, "--out", "out") == 0
    Path("out/000002.wav.json").unlink()
    assert run(name, "--out", "out", "--resume", "--no-sidecar") == 0 and len(tts.asked) == 2
    assert run(name, "--out", "out", "--resume") == 0 and [text for text, _ in tts.asked[2:]] == ["Two."]
    assert Path("out/000002.wav.json").is_file()


def test_no_sidecar_leaves_only_audio(tts: NoiseTTS) -> None:
    Path("story.txt").write_text("@A\nA: One.\nA: Two.\n")
    assert run("story.txt", "--out", "out", "--no-sidecar") == 0
    assert not list(Path("out").rglob("*.json")) and len(audio()) == 3
    assert all(read_provenance(path) for path in Path("out").rglob("*.wav"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "Hi.", "output": "mine.wav"}], "'out/mine.wav.json' exists; add --resume, or --force"),
        ([{"text": "Hi.", "output": "x.wav"}], "'out/x.wav.json' is a folder; expected room for a sidecar"),
        (
            [{"text": "Hi.", "output": "a.wav"}, {"text": "Ho.", "output": "a.wav.json/b.wav"}],
            "row 1, column output: 'a.wav.json' is a folder for row 2",
        ),
    ],
)
def test_sidecars_are_in_nobodys_way(tts: NoiseTTS, capsys, rows: list[dict[str, Any]], message: str) -> None:
    Path("out/x.wav.json").mkdir(parents=True)
    Path("out/mine.wav.json").write_text("mine")
    name = write_rows(*rows)
    assert run(name, "--out", "out") == 2
    assert message in capsys.readouterr().err and tts.asked == []
    assert run(name, "--out", "out", "--no-sidecar") == 0
    assert Path("out/mine.wav.json").read_text() == "mine"


def test_another_model_speaks_everything_again(tmp_path: Path) -> None:
    tts, batch = NoiseTTS(), Batch([Row(1, 1, "Hi.", "a.wav")])
    for model, n_spoken in (("m", 1), ("m", 0), ("n", 1)):
        assert run_batch(tts, batch, tmp_path, model=model, resume=True).n_spoken == n_spoken


def test_errors_stop_or_are_gone_past(tts: NoiseTTS, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["One.", "fail", "Three.", "bug", "Five."]
    name = write_rows(*({"text": text} for text in texts))
    assert run(name, "--out", "out") == 1
    assert len(tts.asked) == 2 and results()[1]["error"] == "nothing in it can be spoken."
    assert "1 failed (row 2); stopped; go on with --resume." in capsys.readouterr().err
    assert run(name, "--out", "out", "--resume", "--continue-on-error") == 1
    err = capsys.readouterr().err
    assert "emotts: row 4, 000004.wav: RuntimeError: shapes differ" in err
    assert "2 of 5 lines spoken, 1 done before" in err and "2 failed (row 2, 4); mend them" in err
    assert sorted(line["row"] for line in results()) == [1, 2, 3, 4, 5] and len(audio()) == 3


def test_a_full_disk_stops_everything_and_leaves_no_half_file(tts: NoiseTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = soundfile.SoundFile.write, []

    def fill(self: Any, samples: np.ndarray) -> None:
        written.append(1)
        write(self, samples)
        if len(written) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile.SoundFile, "write", fill)
    name = write_rows(*({"text": f"{i}."} for i in range(4)))
    assert run(name, "--out", "out", "--continue-on-error") == 1
    assert list(audio()) == ["000001.wav"] and [line["row"] for line in results()] == [1]
    assert not Path("out", PARTIAL).exists()


def test_two_batches_do_not_share_a_folder(tts: NoiseTTS, capsys: pytest.CaptureFixture[str]) -> None:
    with held(Path("out")):
        assert run(write_rows({"text": "Hi."}), "--out", "out") == 2
    assert "another batch is writing to 'out'" in capsys.readouterr().err


def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    lines = b'{"row": 1, "digest": "a"}\n[1]\n3\n\xff\n{"row": 2, "dig'
    (tmp_path / "results.jsonl").write_bytes(lines)
    assert read_results(tmp_path) == {1: {"row": 1, "digest": "a"}}


@pytest.mark.parametrize("kind", ["table", "script"])
def test_a_killed_batch_goes_on_to_the_same_bytes(tmp_path: Path, tts: NoiseTTS, kind: str) -> None:
    if kind == "table":
        name = write_rows(*({"text": f"This is line {i}.", "output": f"{i % 3}/{i}.wav"} for i in range(30)))
    else:
        name = "story.txt"
        turns = [f"{'AB'[i % 2]} ({'sad' if i % 3 else 'happy'}:0.8): This is line {i}." for i in range(30)]
        Path(name).write_text("\n".join(["@A voice=heart", "@B voice=max emotion=calm", *turns]))
    assert run(name, "--out", "whole") == 0
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    for kill_at in (3, 9, 17) if kind == "table" else (5,):
        process = subprocess.Popen(
            [*EMOTTS, "batch", name, "--out", "out", "--resume"],
            env=environment | {"ROWS": str(kill_at + 4)},
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + 300
        while n_logged() < kill_at:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(0.01 * (kill_at % 4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert kill_at <= len(read_results(Path("out"))) < 30
    done = len(read_results(Path("out")))
    tts.asked.clear()
    assert run(name, "--out", "out", "--resume") == 0
    assert len(tts.asked) == 30 - done
    assert audio("out") == audio("whole") and len(audio("out")) == 30 + (kind == "script")
    assert sorted(line["row"] for line in results()) == list(range(1, 31))
    assert not Path("out", PARTIAL).exists()


# Scripts


STORY = """# a scene
@ANNA voice=heart emotion=calm:0.5 speed=1.1
@Old Man voice=max

ANNA: Good morning.
Old Man (angry:0.8): You are late!

# a pause, then
ANNA (happy:0.6+sad:0.2): I know: (sorry).
ANNA: I waited.
Old Man ("relieved, but (still) shaking"): Well.
"""


def script_of(text: str):
    Path("story.txt").write_text(text, encoding="utf-8")
    checker = Checker(option_kinds(NoiseTTS.synthesize), ["heart", "max"])
    script = read_script(Path("story.txt"), checker)
    assert checker.problems == []
    return script


def test_a_script_is_read_as_written(tts: NoiseTTS) -> None:
    script = script_of(STORY)
    assert [(turn.speaker, turn.text) for turn in script.turns] == [
        ("ANNA", "Good morning."),
        ("Old Man", "You are late!"),
        ("ANNA", "I know: (sorry)."),
        ("ANNA", "I waited."),
        ("Old Man", "Well."),
    ]
    assert script.cast["ANNA"].options == {"voice": "heart", "speed": 1.1}
    assert script.cast["ANNA"].mood == EmotionSpec("calm", 0.5)
    assert script.turns[4].emotion is not None and script.turns[4].emotion.words == "relieved, but (still) shaking"
    assert script.pauses_s(0.5) == [0.0, 0.5, 1.0, 0.5, 0.5]
    rows = script.rows()
    assert [row.output for row in rows][:2] == ["turns/0001-ANNA.wav", "turns/0002-Old-Man.wav"]
    assert all(isinstance(row.options["emotion"], EmotionSpec) for row in rows)


@pytest.mark.parametrize(
    "line", ["@{a }", "@A{ a=b}", '@A a={"}', 'A ({"}', "A {(}", "{a }:", "A{ }x", "@A{ }x", 'A ({"a"}x', "A{ }({ }x"]
)
def test_no_line_takes_long_to_read(tts: NoiseTTS, line: str) -> None:
    """Doubled, a line that is tried in ever more ways would take four times as long; 20,000 signs would take minutes."""
    Path("story.txt").write_text("@A\n" + re.sub(r"\{(.*?)\}", lambda part: part[1] * 20_000, line) + "\nA: Hi.\n")
    started = time.process_time()
    checker = Checker(option_kinds(NoiseTTS.synthesize), ["heart"])
    read_script(Path("story.txt"), checker)
    assert checker.problems and time.process_time() - started < 5.0


def test_moods_follow_their_closed_form(tts: NoiseTTS) -> None:
    """m_n = i^n b + (1 - i) sum_k i^(n-k) a_k, per speaker, with a_k = b where a turn says nothing."""
    asked = ["angry:0.8", None, "happy:0.4+sad:0.6", None, None, "arousal=-0.5,valence=0.2"]
    turns = [f"A{f' ({spec})' if spec else ''}: Hi.\nB (sad): Ho." for spec in asked]
    script = script_of("@A emotion=calm:0.5\n@B\n" + "\n".join(turns))
    base = coordinates_of_spec(parse_emotion("calm:0.5"))
    inertia = 0.4
    found = [coordinates_of_spec(spec) for spec in moods(script, inertia)]
    wanted = [base if spec is None else coordinates_of_spec(parse_emotion(spec)) for spec in asked]
    sad = coordinates_of_spec(parse_emotion("sad"))
    for n in range(1, len(asked) + 1):
        closed = inertia**n * base + (1 - inertia) * sum(inertia ** (n - k) * wanted[k - 1] for k in range(1, n + 1))
        # four digits are written, weights below 0.02 left out
        np.testing.assert_allclose(found[2 * n - 2], closed, atol=2.01e-2)
        np.testing.assert_allclose(found[2 * n - 1], (1 - inertia**n) * sad, atol=2.01e-2)


def test_without_requests_a_mood_falls_back_to_the_speakers_own(tts: NoiseTTS) -> None:
    script = script_of("@A emotion=calm:0.5\nA (angry:1.2): No!\n" + "A: Yes.\n" * 12)
    found = moods(script, 0.4)
    anger = [dict(spec.weights).get("angry", 0.0) for spec in found]
    assert anger == sorted(anger, reverse=True) and anger[0] == pytest.approx(0.72, abs=1e-3) and anger[-1] == 0.0
    assert found[-1].weights == (("calm", pytest.approx(0.5, abs=1e-3)),)


def test_without_inertia_turns_are_spoken_as_written(tts: NoiseTTS) -> None:
    script = script_of("@A emotion=calm:0.5\nA (angry:0.8): No!\nA: Yes.")
    assert moods(script, 0.0) == [EmotionSpec("angry", 0.8), EmotionSpec("calm", 0.5)]
    for inertia in (1.0, -0.1, float("nan"), True):
        with pytest.raises(ValueError, match="inertia must be from 0 to below 1"):
            moods(script, inertia)


def test_what_a_turn_refuses_is_not_kept_from_before(tts: NoiseTTS) -> None:
    script = script_of("@A\nA (angry:0.8): No!\nA (happy:0.5-angry:0.3): Well.\nA: So.")
    found = moods(script, 0.4)
    assert found[1].away == (("angry", 0.3),) and [name for name, _ in found[1].weights] == ["happy"]
    assert found[2].away == () and dict(found[2].weights).keys() == {"angry", "happy"}


def test_a_script_becomes_turns_and_one_file(tts: NoiseTTS, capsys: pytest.CaptureFixture[str]) -> None:
    Path("story.txt").write_text("@A voice=heart speed=1.1\n@B voice=max\nA: One.\n\nB (sad): Two.\nA: Three.\n")
    assert run("story.txt", "--out", "out", "--gap", "0.2") == 0
    turns = [soundfile.read(f"out/{line['output']}")[0] for line in results()]
    joined, rate = soundfile.read("out/story.wav")
    gap = np.zeros(round(0.2 * rate))
    np.testing.assert_array_equal(joined, np.concatenate([turns[0], gap, gap, turns[1], gap, turns[2]]))
    assert [(line["speaker"], line["voice"]) for line in results()] == [("A", "heart"), ("B", "max"), ("A", "heart")]
    assert [options.get("speed") for _, options in tts.asked] == [1.1, None, 1.1]
    assert f"joined out/story.wav, {len(joined) / rate:.2f} s" in capsys.readouterr().err
    whole = read_provenance("out/story.wav")
    assert whole is not None and whole.models == (ModelCard("noise"),)
    assert whole.settings == {"pieces": 3, "voice": "heart, max"}
    assert json.loads(Path("out/story.wav.json").read_text())["text"] == "A: One.\nB: Two.\nA: Three."
    assert run("story.txt", "--out", "out", "--gap", "0.2") == 2
    before = audio()
    assert run("story.txt", "--out", "out", "--gap", "0.2", "--resume") == 0 and audio() == before


def test_a_script_with_a_failed_turn_is_not_joined(tts: NoiseTTS) -> None:
    Path("story.txt").write_text("@A\nA: One.\nA: fail\nA: Three.\n")
    assert run("story.txt", "--out", "out", "--continue-on-error") == 1
    assert sorted(audio()) == ["turns/0001-A.wav", "turns/0003-A.wav"]


def test_progress_is_shown_on_a_terminal_only(tts: NoiseTTS, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run(write_rows({"text": "Hi."}, {"text": "Ho."}), "--out", "out") == 0
    assert "[##########          ] 1 of 2" in capsys.readouterr().err
