"""The command line: what goes to stdout and to stderr, the exit codes, and that no partial file is ever left."""

import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emotts.cli import main
from emotts.emotion.labels import ALIASES, AVD_MEANS

pytestmark = pytest.mark.usefixtures("one_thread")
EMOTTS = [sys.executable, "-c", "import sys; from emotts.cli import main; sys.exit(main())"]


@pytest.fixture
def speak(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run `emotts synthesize` in an empty folder with the tiny model; return its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOTTS_CHECKPOINT", str(tiny_checkpoint))

    def run(*arguments: str) -> int:
        try:
            return main(["synthesize", *arguments])
        except SystemExit as stop:
            return int(stop.code or 0)

    return run


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Speaking


def test_speaks_to_a_file_and_reports_on_stderr(speak, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert speak("Hello there.", "--emotion", "joy:0.8", "--voice", "max", "--seed", "7", "-o", "a.wav") == 0
    out, err = capsys.readouterr()
    assert out == ""
    info = soundfile.info(str(tmp_path / "a.wav"))
    assert (info.samplerate, info.channels, info.subtype) == (24_000, 1, "PCM_16")
    report = dict(line.split(maxsplit=1) for line in err.replace("emotion asked", "emotion").splitlines())
    assert report["voice"] == "max" and report["emotion"] == "happy:0.8" and report["seed"] == "7"
    assert report["duration"] == f"{info.duration:.2f} s"
    assert files(tmp_path) == ["a.wav", "a.wav.json"]


def test_json_tells_what_was_understood(speak, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert speak("Hello.", "--arousal", "-.5", "--valence", "0.25", "--seed", "3", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["emotion"] == {"label": None, "intensity": 1.0, "arousal": -0.5, "valence": 0.25, "dominance": None}
    assert (facts["path"], facts["plot"], facts["seed"], facts["voice"]) == ("out.wav", None, 3, "ada")
    assert facts["duration_s"] == pytest.approx(soundfile.info("out.wav").duration, abs=1e-3) and facts["rtf"] > 0


def test_a_drawn_seed_is_told_and_repeats_the_bytes(speak, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert speak("Hello there.", "-o", "a.wav", "--json") == 0
    seed = json.loads(capsys.readouterr().out)["seed"]
    assert speak("Hello there.", "-o", "b.wav", "--seed", str(seed)) == 0
    assert speak("Hello there.", "-o", "c.wav", "--seed", str(seed + 1)) == 0
    a, b, c = ((tmp_path / f"{name}.wav").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_format_holds_the_same_speech(speak, tmp_path: Path, suffix: str) -> None:
    assert speak("Hello there.", "--seed", "1", "-o", f"a.{suffix}") == 0
    samples, rate = soundfile.read(tmp_path / f"a.{suffix}")
    assert rate == 24_000 and np.isfinite(samples).all() and len(samples) > 2_000


def test_stdout_carries_the_wav_and_nothing_else(speak, tmp_path: Path, capfdbinary) -> None:
    assert speak("Hello there.", "--seed", "1", "-o", "a.wav") == 0
    capfdbinary.readouterr()
    assert speak("Hello there.", "--seed", "1", "-o", "-") == 0
    data = capfdbinary.readouterr().out
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(data))[0], soundfile.read(tmp_path / "a.wav")[0])


def test_text_comes_from_a_file_or_stdin(speak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\ufeffCafé — “hello”.\r\n"
    (tmp_path / "text.txt").write_bytes(text.encode())
    assert speak("--text-file", "text.txt", "--seed", "1", "-o", "a.wav") == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert speak("--text-file", "-", "--seed", "1", "-o", "b.wav") == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_force_overwrites(speak, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("mine")
    assert speak("Hello.", "-o", "a.wav", "--force") == 0
    assert soundfile.info(str(tmp_path / "a.wav")).frames > 0


def test_plot_is_a_picture(speak, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert speak("Five $ and $ six — “hello”. And on.", "-o", "a.wav", "--plot", "a.png") == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert files(tmp_path) == ["a.png", "a.wav", "a.wav.json"]


# Lists


def test_emotions_lists_every_label_in_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emotions"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["label", "arousal", "valence", "dominance", "also"]
    end = table.index("")
    assert [line.split()[0] for line in table[1:end]] == list(AVD_MEANS)
    assert "delight" in table[end + 1]
    assert main(["emotions", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["label"]: (row["arousal"], row["valence"], row["dominance"]) for row in rows} == AVD_MEANS
    assert {alias: row["label"] for row in rows for alias in row["also"]} == ALIASES


def test_voices_and_models_describe_the_checkpoint(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EMOTTS_DATA", str(tmp_path))
    where = ["--checkpoint", str(tiny_checkpoint)]
    assert main(["voices", *where, "--json"]) == 0
    assert [(row["name"], row["gender"]) for row in json.loads(capsys.readouterr().out)] == [
        ("ada", "female"),
        ("max", "male"),
    ]
    assert main(["models", *where, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    parameters = {row["component"]: row["parameters"] for row in facts["components"]}
    assert parameters.pop("all") == sum(parameters.values()) and facts["metadata"]["name"] == "tiny"
    assert main(["voices", *where]) == main(["models", *where]) == 0
    out = capsys.readouterr().out
    assert "description" in out and "vocoder" in out and "CC0-1.0" in out


# Errors and interruptions


def test_what_was_left_out_is_said_on_stderr(speak, capsys: pytest.CaptureFixture[str]) -> None:
    assert speak("\u05e9\u05dc\u05d5\u05dd hello.") == 0
    assert "emotts: warning: skipped what cannot be read" in capsys.readouterr().err


def test_an_existing_output_is_refused_before_the_model_loads(speak, tmp_path: Path, monkeypatch, capsys) -> None:
    def load(*arguments):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("emotts.pipeline.EmoTTS.from_pretrained", load)
    (tmp_path / "a.wav").write_text("mine")
    assert speak("Hello.", "-o", "a.wav") == 2
    assert (
        capsys.readouterr().err
        == "emotts: error: output 'a.wav' exists; give another name, or --force to overwrite it.\n"
    )
    assert (tmp_path / "a.wav").read_text() == "mine"
    monkeypatch.setenv("EMOTTS_DEBUG", "1")
    assert speak("Hello.", "-o", "b.wav") == 1  # and without a mistake it would have been
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (OSError(28, "No space left on device"), 1)])
def test_a_write_that_stops_half_way_leaves_no_file(
    speak, tmp_path: Path, monkeypatch, capsys, error, code: int
) -> None:
    def write(self, waveform) -> None:
        raise error

    monkeypatch.setattr(soundfile.SoundFile, "write", write)
    assert speak("Hello.", "-o", "a.wav") == code
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "Traceback" not in err
    assert files(tmp_path) == []


def test_a_plot_that_fails_leaves_no_picture(speak, tmp_path: Path, monkeypatch) -> None:
    figure = pytest.importorskip("matplotlib.figure")

    def save(self, path: Path, **options) -> None:
        Path(path).write_bytes(b"\x89PNG")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure.Figure, "savefig", save)
    assert speak("Hello.", "-o", "a.wav", "--plot", "a.png") == 1
    assert files(tmp_path) == ["a.wav", "a.wav.json"]


def test_a_bug_costs_one_line_and_exit_code_1(speak, monkeypatch, capsys) -> None:
    def load(*arguments):
        raise RuntimeError("two\nlines and \x1b[31m")

    monkeypatch.setattr("emotts.pipeline.EmoTTS.from_pretrained", load)
    assert speak("Hello.") == 1
    expected = r"emotts: error: RuntimeError: two lines and \x1b[31m (EMOTTS_DEBUG=1 shows where)" + "\n"
    assert capsys.readouterr().err == expected


def test_interrupt_exits_130_with_one_line() -> None:
    code = """
import signal, sys
from types import SimpleNamespace
from emotts.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
stdin = sys.stdin.buffer

def read(n):
    print("waiting", flush=True)
    return stdin.read(n)

sys.stdin = SimpleNamespace(buffer=SimpleNamespace(read=read))
sys.exit(main(["synthesize", "--text-file", "-"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
        assert process.stderr.read() == b"emotts: interrupted\n"


def test_a_reader_that_leaves_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*EMOTTS, "emotions"], stdout=write, stderr=subprocess.PIPE, timeout=600)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_help_answers_in_half_a_second() -> None:
    def seconds() -> float:
        """Processor time, which a busy machine does not stretch."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([*EMOTTS, "--help"], capture_output=True, text=True, check=True, timeout=600)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "synthesize" in done.stdout and "voices" in done.stdout
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.5


@pytest.mark.parametrize("command", ["synthesize", "convert", "inspect", "voices", "emotions", "models"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"usage: emotts {command}" in capsys.readouterr().out


def test_no_command_shows_the_help_and_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "emotts synthesize" in err


# make say


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    "text", ["I can't believe you came.", 'He said "no"; $5, #1 (50%) & `x` \\ $HOME $(x) -> *', "--voice"]
)
def test_make_say_hands_the_text_over_unharmed(tmp_path: Path, text: str) -> None:
    root = Path(__file__).resolve().parent.parent
    stub = tmp_path / "bin" / "emotts"
    stub.parent.mkdir()
    stub.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    stub.chmod(0o755)
    (tmp_path / ".speak").touch()  # newer than the files it depends on: the environment is there
    command = [
        "make",
        "--no-print-directory",
        "say",
        f"VENV={tmp_path}",
        f"TEXT={text}",
        "EMOTION=happy:0.8",
        "VOICE=max",
        "OUT=a b.wav",
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=600)
    expected = ["synthesize", "--emotion=happy:0.8", "--output=a b.wav", "--voice=max", "--", text]
    assert done.stdout.splitlines() == expected, done.stderr
