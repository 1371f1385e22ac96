"""`emotts convert` and `emotts voices add`: what is written, what is told, and that bad recordings cost a line and no file."""

import io
import json
import struct
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from emotts.audio import FORMATS as AUDIO_FORMATS
from emotts.cli import convert_files, main
from emotts.cli.convert_report import in_words, not_speech
from emotts.conversion.activity import Span
from emotts.data.nonspeech import make_nonspeech
from emotts.emotion.spec import EmotionSpec
from emotts.pipeline import EmoTTS

pytestmark = pytest.mark.usefixtures("one_thread")
RATE = 24_000
ANGRY = ("--emotion", "angry", "--seed", "3")


@pytest.fixture(scope="module")
def tts() -> EmoTTS:
    return EmoTTS.from_pretrained()


@pytest.fixture(scope="module")
def spoken(tts: EmoTTS) -> dict[str, Any]:
    """Speech of two voices, as results."""
    text = "We keep the spare blankets here."
    return {name: tts.synthesize(text, voice=name, seed=1) for name in ("heart", "max")}


@pytest.fixture
def run(
    tts: EmoTTS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., SimpleNamespace]]:
    """Run `emotts` in an empty folder with a model that is loaded once; return exit code, stdout and lines of stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOTTS_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(EmoTTS, "from_pretrained", lambda *arguments: tts)

    def run(*arguments: str) -> SimpleNamespace:
        capsys.readouterr()
        try:
            code = main(list(arguments))
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err.splitlines(), facts=_facts(out))

    yield run


def _facts(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


@pytest.fixture
def talk(spoken: dict[str, Any], run: Any) -> str:
    """A recording in the folder, which says of itself that a model spoke it."""
    spoken["heart"].save("talk.wav", sidecar=False)
    return "talk.wav"


@pytest.fixture
def person(spoken: dict[str, Any], run: Any) -> str:
    """A recording that says nothing of itself."""
    soundfile.write("person.wav", spoken["max"].waveform, RATE)
    return "person.wav"


def files(folder: str | Path = ".") -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def rows(lines: list[str]) -> dict[str, str]:
    return {line[:20].strip(): line[20:].strip() for line in lines}


# One recording


def test_one_recording_keeps_its_length_and_is_reported_on_stderr(run: Any, talk: str) -> None:
    done = run("convert", talk, *ANGRY, "-o", "angry.wav")
    assert (done.code, done.out) == (0, "")
    info = soundfile.info("angry.wav")
    assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
    assert info.frames == soundfile.info(talk).frames
    told = rows(done.err)
    assert told["voice"] == "of the recording" and told["emotion asked"] == "angry, strength 1" and told["seed"] == "3"
    assert told["duration"] == f"{info.duration:.2f} s" and told["written"] == "angry.wav"
    assert told["source emotion"].endswith("(heard)") and told["no speech"] == "none"
    assert files() == ["angry.wav", "angry.wav.json", "talk.wav"]


def test_json_tells_it_and_the_seed_repeats_the_bytes(run: Any, talk: str) -> None:
    options = ("--arousal", "-.5", "--source-emotion", "neutral", "--no-sidecar", "--json")
    first = run("convert", talk, *options, "-o", "a.wav")
    (facts,) = first.facts
    again = run("convert", talk, *options, "-o", "b.wav", "--seed", str(facts["seed"]))
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()
    assert (facts["source"], facts["path"], facts["voice"], facts["strength"]) == (talk, "a.wav", "source", 1.0)
    assert facts["source_emotion"]["label"] == "neutral" and facts["emotion"]["arousal"] == -0.5
    assert {kind for _, _, kind in facts["spans"]} <= {"speech", "silence", "other", "overlap"} and facts["rtf"] > 0
    assert rows(again.err)["source emotion"] == "neutral (declared)"
    assert files() == ["a.wav", "b.wav", "talk.wav"]


def test_refusing_a_label_merges_with_the_emotion(run: Any, talk: str) -> None:
    done = run("convert", talk, "--emotion", "sad:0.5", "--not", "angry:0.5", "-o", "a.wav", "--json", "--seed", "1")
    assert done.facts[0]["emotion"]["away"] == [["angry", 0.5]] and done.facts[0]["emotion"]["label"] == "sad"


def test_strength_0_is_copy_synthesis_whatever_is_asked(run: Any, talk: str) -> None:
    for name, label in (("a.wav", "angry"), ("b.wav", "sad")):
        assert run("convert", talk, "--emotion", label, "--strength", "0", "--seed", "1", "-o", name).code == 0
    assert Path("a.wav").read_bytes()[-20_000:] == Path("b.wav").read_bytes()[-20_000:]  # the metadata differ


def test_provenance_is_read_back_by_inspect(run: Any, talk: str) -> None:
    run("convert", talk, *ANGRY, "--strength", "0.7", "-o", "a.flac")
    (facts,) = run("inspect", "a.flac", "--json").facts
    told = facts["provenance"]
    assert told["kind"] == "conversion" and told["synthetic"] is True and told["seed"] == 3 and "consent" not in told
    assert told["source"]["name"] == "talk.wav" and len(told["source"]["sha256"]) == 64
    assert told["settings"] == {"emotion": "angry", "voice": "source", "emotion_asked": "angry", "strength": 0.7}
    assert facts["sidecar"]["created"]
    shown = run("inspect", "a.flac").out
    assert "a conversion by a model" in shown and "strength" in shown


def test_plot_shows_both(run: Any, talk: str) -> None:
    pytest.importorskip("matplotlib")
    assert run("convert", talk, *ANGRY, "-o", "a.wav", "--plot", "a.png").code == 0
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")


# Several recordings


def test_a_folder_keeps_its_names_and_one_bad_file_does_not_stop_the_rest(run: Any, spoken: dict[str, Any]) -> None:
    Path("in/sub").mkdir(parents=True)
    soundfile.write("in/a b.flac", spoken["heart"].waveform, RATE)
    soundfile.write("in/sub/ü.aiff", spoken["max"].waveform, RATE)
    Path("in/bad.wav").write_text("no audio")
    Path("in/notes.txt").write_text("no audio either")
    done = run("convert", "in", *ANGRY, "-o", "out", "--json", "--no-sidecar")
    assert done.code == 1
    assert files("out") == ["a b.flac", "sub/ü.wav"]  # aiff is not written
    assert [facts.get("path") for facts in done.facts] == ["out/a b.flac", None, "out/sub/ü.wav"]
    assert "not audio" in done.facts[1]["error"]
    assert sum("belongs to a person" in line for line in done.err) == 1
    assert sum(line.startswith("emotts: in/bad.wav: ") for line in done.err) == 1
    assert done.err[-2:] == ["emotts: 2 of 3 recordings converted", "emotts: 1 failed: in/bad.wav"]
    assert not any("Traceback" in line for line in done.err)


def test_globs_and_files_go_to_one_folder_in_one_format(run: Any, spoken: dict[str, Any]) -> None:
    for name in ("x/one.wav", "x/deep/two.wav", "three.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        spoken["heart"].save(name, sidecar=False)
    done = run("convert", "x/**/*.wav", "three.wav", *ANGRY, "-o", "out", "--format", "ogg")
    assert done.code == 0 and files("out") == [
        *("deep/two.ogg", "deep/two.ogg.json", "one.ogg", "one.ogg.json", "three.ogg", "three.ogg.json"),
    ]
    assert soundfile.info("out/deep/two.ogg").format == "OGG"


def test_what_lies_in_the_output_folder_is_no_input(run: Any, talk: str) -> None:
    assert run("convert", ".", *ANGRY, "-o", "out").code == 0
    assert files("out") == ["talk.wav", "talk.wav.json"]
    assert run("convert", ".", *ANGRY, "-o", "out", "--force").code == 0
    assert files("out") == ["talk.wav", "talk.wav.json"]
    assert "lie in the output folder" in run("convert", "out/*.wav", *ANGRY, "-o", ".").err[-1]


def test_all_sorts_of_recordings_are_converted(run: Any, spoken: dict[str, Any]) -> None:
    wave = spoken["heart"].waveform
    Path("in").mkdir()
    soundfile.write("in/stereo.wav", np.stack([wave, 0.5 * wave], axis=1), RATE)
    soundfile.write("in/8k.wav", wave[::3], 8_000)
    soundfile.write("in/48k.wav", np.repeat(wave, 2), 48_000, subtype="PCM_24")
    soundfile.write("in/-f 'a'\n$b.wav", wave, RATE)
    done = run("convert", "in", *ANGRY, "-o", "out", "--no-sidecar", "--i-have-consent")
    assert done.code == 0 and len(done.err) == 5
    assert files("out") == sorted(["stereo.wav", "8k.wav", "48k.wav", "-f 'a'\n$b.wav"])
    for name in files("out"):
        info = soundfile.info(str(Path("out") / name))
        assert (info.samplerate, info.channels) == (RATE, 1) and abs(info.frames - len(wave)) < 300


# What cannot be converted


def _absurd_rate(wave: np.ndarray) -> bytes:
    data, rate = (wave * 32_767).astype("<i2").tobytes(), 2_000_000_000
    chunk = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    sizes = [struct.pack("<I", size) for size in (36 + len(data), len(data))]
    return b"RIFF" + sizes[0] + b"WAVEfmt " + chunk + b"data" + sizes[1] + data


def _half_of_a_flac(wave: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, RATE, format="FLAC")
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]


BAD: dict[str, tuple[Callable[[np.ndarray], bytes | np.ndarray], str]] = {
    "no bytes": (lambda wave: b"", "not audio"),
    "text": (lambda wave: b"hello there", "not audio"),
    "no samples": (lambda wave: wave[:0], "no samples"),
    "0.05 s": (lambda wave: wave[6_000:7_200], "at least"),
    "silence": (lambda wave: 0.0 * wave, "silent"),
    "nan": (lambda wave: np.where(np.arange(len(wave)) == 30_000, np.nan, wave), "not finite"),
    "noise": (lambda wave: 0.1 * np.random.default_rng(0).standard_normal(48_000), "no speech"),
    "tone": (lambda wave: 0.3 * np.sin(np.arange(48_000) * np.pi / 60.0), "no speech"),
    "truncated": (_half_of_a_flac, ""),
    "rate": (_absurd_rate, "sample rate"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_recording_costs_a_line_and_leaves_no_file(run: Any, spoken: dict[str, Any], kind: str) -> None:
    make, message = BAD[kind]
    content = make(spoken["heart"].waveform)
    if isinstance(content, bytes):
        Path("bad.wav").write_bytes(content)
    else:
        soundfile.write("bad.wav", content.astype(np.float32), RATE, subtype="FLOAT")
    done = run("convert", "bad.wav", *ANGRY, "-o", "out/", "--i-have-consent")
    assert done.code == 2 and done.out == "" and len(done.err) == 1
    assert done.err[0].startswith("emotts: error: ") and message in done.err[0]
    assert files() == ["bad.wav"]


def test_music_is_refused_or_told(run: Any) -> None:
    soundfile.write("music.wav", make_nonspeech("music", 2.0, np.random.default_rng(0)), RATE)
    done = run("convert", "music.wav", *ANGRY, "-o", "a.wav", "--i-have-consent")
    said = " ".join(done.err)
    assert ("no speech" in said or "unclear" in said) and Path("a.wav").exists() == (done.code == 0)


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (OSError(28, "No space left on device"), 1)])
def test_a_write_that_stops_half_way_leaves_no_file(
    run: Any, talk: str, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def write(self: object, waveform: np.ndarray) -> None:
        raise error

    monkeypatch.setattr(soundfile.SoundFile, "write", write)
    assert run("convert", talk, *ANGRY, "-o", "a.wav").code == code
    assert files() == ["talk.wav"]


# What must not be overwritten


def test_existing_files_stay_unless_forced(run: Any, talk: str) -> None:
    Path("a.wav").write_text("mine")
    done = run("convert", talk, *ANGRY, "-o", "a.wav")
    assert done.code == 2 and "--force" in done.err[0] and Path("a.wav").read_text() == "mine"
    Path("b.wav.json").write_text("mine")
    assert "sidecar 'b.wav.json' exists" in run("convert", talk, *ANGRY, "-o", "b.wav").err[0]
    assert run("convert", talk, *ANGRY, "-o", "a.wav", "--force").code == 0
    assert soundfile.info("a.wav").frames == soundfile.info(talk).frames


def test_no_recording_is_overwritten_even_if_forced(run: Any, talk: str, person: str) -> None:
    before = Path(talk).read_bytes()
    Path("link.wav").symlink_to(talk)
    for output in (talk, "link.wav", "./", person):
        done = run("convert", talk, "--voice", person, "-o", output, "--force")
        assert done.code == 2 and "is one of the recordings" in done.err[0]
    assert Path(talk).read_bytes() == before


def test_two_recordings_for_one_output_are_refused(run: Any) -> None:
    Path("x").mkdir()
    for name in ("x/a.wav", "x/a.flac"):
        soundfile.write(name, np.zeros(10), RATE)
    done = run("convert", "x", *ANGRY, "-o", "out", "--format", "mp3")
    assert done.code == 2 and "would both be written to 'out/a.mp3'" in done.err[0] and not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "a.wav"], "nothing to change"),
        (["--emotion", "angry", "--strength", "2", "-o", "a.wav"], "--strength must be from 0 to 1.5; got 2"),
        (["--emotion", "angry", "--strength", "nan", "-o", "a.wav"], "expected a number"),
        (["--emotion", "angree", "-o", "a.wav"], 'Did you mean "angry"'),
        (["--arousal", "2", "-o", "a.wav"], "arousal"),
        (["--speed", "1.2", "-o", "a.wav"], "retime"),
        (["--retime", "--keep-timing", "-o", "a.wav"], "not allowed with"),
        (["--voice", "harte", "-o", "a.wav"], 'Did you mean "heart"'),
        (["--voice", "nobody.wav", "-o", "a.wav"], "nobody.wav"),
        (["--voice", "short.wav", "-o", "a.wav"], "at least 1 s of speech"),
        (["--emotion", "angry", "-o", "a.txt"], "output must end in one of .wav"),
        (["--emotion", "angry", "-o", "nowhere/a.wav"], "'nowhere' does not exist"),
        (["--emotion", "angry", "-o", "a.wav", "--format", "mp3"], "do not agree"),
        (["--emotion", "angry", "-o", "talk.wav/sub/"], "must be a folder"),
        (["empty", "--emotion", "angry", "-o", "out"], "holds no audio file"),
        (["more.wav", "--emotion", "angry", "-o", "a.wav"], "must be a folder"),
        (["more.wav", "--emotion", "angry", "-o", "out", "--plot", "a.png"], "--plot draws one recording"),
        (["--emotion", "angry", "-o", "a.wav", "--max-tries", "3"], "--max-tries needs --tolerance"),
        (["--voice", "max", "-o", "a.wav", "--tolerance", "0.2"], "ask for an emotion"),
    ],
)
def test_mistakes_cost_a_line_before_anything_is_written(
    run: Any, talk: str, spoken: dict[str, Any], words: list[str], message: str
) -> None:
    Path("empty").mkdir()
    soundfile.write("short.wav", spoken["max"].waveform[4_000:18_000], RATE)
    done = run("convert", talk, *words)
    assert done.code == 2 and message in done.err[-1] and done.out == ""
    assert files() == ["short.wav", "talk.wav"] and not Path("out").exists()


# Consent


def test_consent_is_asked_for_once_and_told_in_the_file(run: Any, person: str, talk: str) -> None:
    said = run("convert", person, talk, *ANGRY, "-o", "out")
    assert said.code == 0 and sum("belongs to a person" in line for line in said.err) == 1
    stated = run("convert", person, *ANGRY, "-o", "a.wav", "--i-have-consent")
    assert not any("belongs to a person" in line for line in stated.err)
    read = [
        run("inspect", name, "--json").facts[0]["provenance"] for name in ("out/person.wav", "out/talk.wav", "a.wav")
    ]
    assert [told.get("consent") for told in read] == ["not stated", None, "stated"]
    taken = run("convert", talk, "--voice", "a.wav", "-o", "b.wav")  # what was converted still is the person's voice
    assert any("belongs to a person" in line for line in taken.err)


# The closed loop

needs_speaker_encoder = pytest.mark.skipif(find_spec("resemblyzer") is None, reason="resemblyzer is not installed")


@needs_speaker_encoder
def test_a_tighter_similarity_lowers_the_strength(run: Any, talk: str) -> None:
    common = ("convert", talk, "--emotion", "excited:1.2", "--seed", "3", "--json", "--no-sidecar")
    free = run(*common, "--min-speaker-sim", "0", "-o", "a.wav")
    plain = free.facts[0]["check"]
    assert plain["voice_held"] and plain["used"]["strength"] == 1.0 and "held" in rows(free.err)["speaker similarity"]
    limit = plain["speaker_sim"] + 0.25 * (1.0 - plain["speaker_sim"])
    (tight,) = run(*common, "--min-speaker-sim", f"{limit:.4f}", "-o", "b.wav").facts
    assert tight["check"]["used"]["strength"] < 1.0 and tight["check"]["speaker_sim"] > plain["speaker_sim"]
    assert tight["check"]["asked"] == plain["asked"]  # what the user asked, not what was left of it


def test_a_tolerance_costs_tries_and_is_told(run: Any, talk: str) -> None:
    common = ("convert", talk, *ANGRY, "--json", "--no-sidecar")
    (wide,) = run(*common, "--tolerance", "2", "-o", "a.wav").facts
    assert wide["check"]["tolerance_met"] and len(wide["check"]["tries"]) == 1
    done = run(*common, "--tolerance", "0.01", "--max-tries", "3", "-o", "b.wav")
    tight = done.facts[0]["check"]
    errors = [attempt["error"] for attempt in tight["tries"]]
    assert len(errors) == 3 and min(errors) <= wide["check"]["tries"][0]["error"]
    assert tight["judge"] == "features" and "NOT met" in rows(done.err)["tolerance"]


def test_check_says_what_the_judge_was_told(run: Any, talk: str) -> None:
    told = rows(run("convert", talk, *ANGRY, "--source-emotion", "neutral", "--check", "-o", "a.wav").err)
    assert told["the judge knew"] == "the recording itself, which is neutral" and "heard A V D" in told
    told = rows(run("convert", talk, *ANGRY, "--source-emotion", "sad", "--check", "-o", "b.wav").err)
    assert told["the judge knew"] == "no neutral speech of the speaker"


# Kept voices


def test_a_voice_is_kept_listed_used_and_removed(run: Any, talk: str, person: str) -> None:
    done = run("voices", "add", "mira_2", person, "--json")
    assert done.code == 0 and sum("belongs to a person" in line for line in done.err) == 1
    assert rows(done.err)["consent"] == "not stated"
    if find_spec("resemblyzer") is not None:
        assert 0.5 < done.facts[0]["speaker_sim"] < 1.0
    assert files("data") == ["voices/mira_2.safetensors"]
    (row,) = [row for row in json.loads(run("voices", "--json").out) if row["teacher"] == "kept"]
    assert row["name"] == "mira_2" and "s of speech" in row["description"]
    assert "mira_2" in run("voices").out and run("voices", "list", "--json").out == run("voices", "--json").out
    assert run("convert", talk, "--voice", "mira_2", "-o", "a.wav").code == 0
    assert run("synthesize", "Hello.", "--voice", "mira_2", "-o", "b.wav").code == 0
    for name in ("a.wav", "b.wav"):
        told = run("inspect", name, "--json").facts[0]["provenance"]
        assert told["settings"]["voice"] == "mira_2" and told["consent"] == "not stated"
    Path("lines.jsonl").write_text('{"text": "Hi.", "voice": "mira_2"}\n')
    assert run("batch", "lines.jsonl", "--out", "spoken").code == 0
    assert "kept already" in run("voices", "add", "mira_2", person).err[-1]
    stated = run("voices", "add", "mira_2", person, talk, "--force", "--i-have-consent")
    assert stated.code == 0 and rows(stated.err)["consent"] == "stated" and "2 recordings" in rows(stated.err)["speech"]
    assert run("voices", "remove", "mira_2").code == 0 and files("data") == []
    assert run("voices", "remove", "mira_2").code == 2


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", ".hidden", "a.b", "-x", "a b", "x" * 65, "é", "heart", "HEART", "Source"]
)
def test_hostile_names_are_refused(run: Any, person: str, name: str) -> None:
    done = run("voices", "add", "--", name, person)
    assert done.code == 2 and files() == ["person.wav"]


def test_what_holds_no_voice_is_not_kept(run: Any, spoken: dict[str, Any]) -> None:
    soundfile.write("short.wav", spoken["max"].waveform[4_000:18_000], RATE)
    assert "at least 1 s" in run("voices", "add", "mira", "short.wav").err[-1]
    assert "does not exist" in run("voices", "add", "mira", "nobody.wav").err[-1]
    assert files() == ["short.wav"]


def test_a_kept_voice_that_is_damaged_is_listed_as_such(run: Any) -> None:
    Path("data/voices").mkdir(parents=True)
    Path("data/voices/broken.safetensors").write_text("no voice")
    (row,) = [row for row in json.loads(run("voices", "--json").out) if row["name"] == "broken"]
    assert "cannot be read" in row["description"]
    assert run("voices", "remove", "broken").code == 0


# Words


def test_the_formats_are_those_that_can_be_written() -> None:
    assert set(convert_files.WRITABLE) == set(AUDIO_FORMATS)


def test_emotions_and_spans_are_told_shortly() -> None:
    mixed = EmotionSpec(None, 1.0, 0.1, -0.2, 0.0, (("sad", 0.3), ("calm", 0.2), ("bored", 0.1)))
    assert in_words(mixed) == "neutral 0.40 sad 0.30, A +0.10 V -0.20 D +0.00"
    spans = [Span(0.0, 1.0, "speech"), Span(1.0, 2.5, "other"), Span(3.0, 3.5, "other"), Span(4.0, 4.2, "overlap")]
    assert not_speech(spans) == "other 2.0 s from 1.0 s in 2 places, overlap 0.2 s from 4.0 s"
