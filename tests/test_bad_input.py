"""Bad input of every kind: one line that names the thing, the expectation and the remedy; exit code 2; no file."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emotts.cli import main
from emotts.pipeline import EmoTTS

pytestmark = pytest.mark.usefixtures("one_thread")
TEXT = "Hello there."

# name -> (arguments after `synthesize`, what the line must hold)
MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "empty text": ([""], ["text is empty; expected at least one word"]),
    "white space": ([" \t\n "], ["text is empty; expected at least one word"]),
    "no text": ([], ["give either TEXT or --text-file; got neither"]),
    "two texts": ([TEXT, "--text-file", "-"], ["give either TEXT or --text-file; got both"]),
    "only marks": (["… !? —"], ["text has nothing speakable", "at least one word or number"]),
    "only emoji": (["🎉👩‍👩‍👧"], ["text has nothing speakable"]),
    "only control characters": (["\x01\x02\x1b"], ["text has nothing speakable"]),
    "lone surrogate": (["he\udc80llo"], ["text is not valid UTF-8; save it as UTF-8"]),
    "missing text file": (["--text-file", "none.txt"], ["text file 'none.txt' does not exist"]),
    "folder as text file": (["--text-file", "."], ["text file '.' is a folder; give a UTF-8 text file"]),
    "text file not UTF-8": (["--text-file", "latin1.txt"], ["'latin1.txt' is not UTF-8 (byte 3); save it as UTF-8"]),
    "binary text file": (["--text-file", "zeros.bin"], ["text has nothing speakable"]),
    "unknown voice": ([TEXT, "--voice", "maxx"], ["voice must be one of ada, max; got 'maxx'", 'Did you mean "max"?']),
    "voice as a path": (
        [TEXT, "--voice", "../../etc/passwd"],
        ["voice '../../etc/passwd' is neither a voice nor a recording"],
    ),
    "unknown label": ([TEXT, "--emotion", "hapy:0.8"], ['got "hapy" at position 1', 'Did you mean "happy"?']),
    "intensity too high": ([TEXT, "--emotion", "happy:2"], ["position 7", "from 0 to 1.5; got 2"]),
    "empty emotion": ([TEXT, "--emotion", ""], ["position 1: expected a label; got the end"]),
    "arousal out of range": ([TEXT, "--arousal", "1.1"], ["arousal must be a number from -1 to 1; got 1.1"]),
    "valence out of range": ([TEXT, "--valence", "-7"], ["valence must be a number from -1 to 1; got -7.0"]),
    "dominance NaN": ([TEXT, "--dominance", "nan"], ["--dominance: expected a number; got 'nan'"]),
    "arousal infinite": ([TEXT, "--arousal=-inf"], ["--arousal: expected a number; got '-inf'"]),
    "speed zero": ([TEXT, "--speed", "0"], ["--speed must be from 0.4 to 2.5; got 0"]),
    "speed a word": ([TEXT, "--speed", "fast"], ["--speed: expected a number; got 'fast'"]),
    "pitch too high": ([TEXT, "--pitch", "30"], ["--pitch must be from -12 to 12; got 30"]),
    "steps negative": ([TEXT, "--steps", "-1"], ["--steps: expected a whole number of 0 or more; got '-1'"]),
    "steps too many": ([TEXT, "--steps", "100000"], ["--steps must be from 0 to 64; got 100000"]),
    "guidance NaN": ([TEXT, "--guidance", "nan"], ["--guidance: expected a number"]),
    "seed a fraction": ([TEXT, "--seed", "1.5"], ["--seed: expected a whole number of 0 or more; got '1.5'"]),
    "seed too large": ([TEXT, "--seed", "9999999999999999999"], ["seed must be a whole number from 0 to 2^63 - 1"]),
    "existing output": ([TEXT, "-o", "mine.wav"], ["output 'mine.wav' exists; give another name, or --force"]),
    "unknown format": ([TEXT, "-o", "a.txt"], ["output must end in one of .wav, .flac, .ogg, .mp3, or be -"]),
    "no suffix": ([TEXT, "-o", "a"], ["output must end in one of"]),
    "folder as output": ([TEXT, "-o", "folder.wav"], ["output 'folder.wav' is not a regular file"]),
    "pipe as output": ([TEXT, "-o", "pipe.wav", "--force"], ["output 'pipe.wav' is not a regular file"]),
    "missing folder": ([TEXT, "-o", "no/a.wav"], ["output folder 'no' does not exist; create it first"]),
    "unwritable folder": ([TEXT, "-o", "/proc/a.wav"], ["output folder '/proc' cannot be written"]),
    "NUL in the name": ([TEXT, "-o", "a\0.wav"], ["output must be a file name"]),
    "plot not a png": ([TEXT, "--plot", "a.jpg"], ["plot must end in .png; got 'a.jpg'"]),
    "existing plot": ([TEXT, "--plot", "mine.png"], ["plot 'mine.png' exists"]),
    "json and audio on stdout": ([TEXT, "-o", "-", "--json"], ["--json and -o - both write to stdout"]),
    "checkpoint missing": ([TEXT, "--checkpoint", "none"], ["checkpoint 'none' is not a folder", "manifest.json"]),
    "checkpoint a file": ([TEXT, "--checkpoint", "mine.wav"], ["checkpoint 'mine.wav' is not a folder"]),
    "checkpoint foreign": ([TEXT, "--checkpoint", "foreign"], ["is not an emotts checkpoint", "found model.pt"]),
    "checkpoint corrupt": (
        [TEXT, "--checkpoint", "corrupt"],
        ["vocoder.safetensors", "sha256", "Copy the checkpoint again"],
    ),
    "checkpoint of half a model": (
        [TEXT, "--checkpoint", "half"],
        ["half holds a vocoder, which does not speak; emotts.load reads it."],
    ),
    "unknown device": ([TEXT, "--device", "abacus"], ["device must be cpu, cuda or cuda:N; got 'abacus'"]),
    "unknown option": ([TEXT, "--emotoin", "happy"], ["unrecognized arguments: --emotoin"]),
    "abbreviated option": ([TEXT, "--emo", "happy"], ["unrecognized arguments: --emo"]),
}


@pytest.fixture
def place(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with everything that can be in the way."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOTTS_CHECKPOINT", str(tiny_checkpoint))
    for name in ("mine.wav", "mine.png"):
        Path(name).write_text("mine")
    Path("latin1.txt").write_bytes("caf\xe9".encode("latin-1"))
    Path("zeros.bin").write_bytes(bytes(1_000))
    Path("folder.wav").mkdir()
    os.mkfifo("pipe.wav")
    Path("foreign").mkdir()
    Path("foreign/model.pt").write_bytes(b"\x80\x04.")
    for copy in ("corrupt", "half"):
        Path(copy).mkdir()
        for path in tiny_checkpoint.iterdir():
            Path(copy, path.name).write_bytes(path.read_bytes())
    data = bytearray(Path("corrupt/vocoder.safetensors").read_bytes())
    data[-5] ^= 1
    Path("corrupt/vocoder.safetensors").write_bytes(data)
    return tmp_path


@pytest.fixture
def half(place: Path) -> None:
    """Turn the folder `half` into a sound checkpoint without an acoustic model."""
    from conftest import tiny_configs

    from emotts.checkpoint import save_checkpoint
    from emotts.checkpoint.config import build

    config = tiny_configs()["vocoder"]
    save_checkpoint(place / "half", {"vocoder": (config, build(config, "vocoder"))})


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.usefixtures("half")
def test_a_mistake_costs_one_line_and_exit_code_2(place: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    arguments, parts = MISTAKES[name]
    before = sorted(place.rglob("*"))
    try:
        code = main(["synthesize", *arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    assert code == 2, err
    assert out == "" and err.endswith("\n")
    lines = err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("emotts") and ": error: " in lines[0] and lines[0].isprintable()
    for part in parts:
        assert part in lines[0]
    assert sorted(place.rglob("*")) == before, "nothing was written"
    assert Path("mine.wav").read_text() == "mine"


@pytest.fixture(scope="module")
def tts(tiny_checkpoint: Path) -> EmoTTS:
    return EmoTTS.from_pretrained(tiny_checkpoint)


CALLS: dict[str, tuple[Callable[[EmoTTS], object], str]] = {
    "empty text": (lambda tts: tts.synthesize(""), "text"),
    "white space": (lambda tts: tts.synthesize(" \n"), "text"),
    "text not a text": (lambda tts: tts.synthesize(None), "text"),  # type: ignore[arg-type]
    "unspeakable": (lambda tts: tts.synthesize("🎉"), "text has nothing speakable"),
    "label": (lambda tts: tts.synthesize(TEXT, emotion="sadd"), 'Did you mean "sad"'),
    "NaN": (lambda tts: tts.synthesize(TEXT, valence=float("nan")), "valence must be a number from -1 to 1; got nan"),
    "voice": (lambda tts: tts.synthesize(TEXT, voice="adda"), 'Did you mean "ada"'),
    "speed": (lambda tts: tts.synthesize(TEXT, speed=float("inf")), "speed must be a number from"),
    "steps": (lambda tts: tts.synthesize(TEXT, steps=-1), "steps must be"),
    "seed": (lambda tts: tts.synthesize(TEXT, seed=-1), "seed must be a whole number"),
    "stream": (lambda tts: tts.stream(TEXT, emotion="sadd"), 'Did you mean "sad"'),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_mistake_in_python_is_a_value_error(tts: EmoTTS, name: str) -> None:
    call, message = CALLS[name]
    with pytest.raises(ValueError) as caught:
        call(tts)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_result_is_not_saved_under_an_unknown_suffix(tts: EmoTTS, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="output must end in one of"):
        tts.synthesize(TEXT, seed=1).save(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "he\x01llo \x1b[31mthere\x00",
        "I love it 🎉 👩‍👩‍👧!",
        "שלום hello",
        "a\u0301\u0301\u0301 e",
        "x" * 300,
        "%s {0} \\n hello",
        "5" * 60,
    ],
)
def test_odd_text_is_spoken_or_refused_in_one_line(tts: EmoTTS, text: str) -> None:
    try:
        waveform = tts.synthesize(text, seed=1).waveform
    except ValueError as error:
        assert str(error).startswith("text") and str(error).isprintable()
    else:
        assert len(waveform) and np.isfinite(waveform).all() and np.abs(waveform).max() <= 1.0


@pytest.mark.parametrize(
    "text", ["All work and no play makes Jack a dull boy. " * 2_273, "word " * 20_000, "a" * 100_000]
)
def test_a_text_of_100_000_characters_starts_at_once(tts: EmoTTS, text: str) -> None:
    chunks = list(itertools.islice(tts.stream(text, seed=1), 3))
    assert all(np.isfinite(chunk.waveform).all() for chunk in chunks)
    assert max(len(chunk.text) for chunk in chunks) <= 1_000
