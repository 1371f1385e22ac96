"""What a stranger may ask is refused in one sentence, before a file is opened by its name or decoded; no message holds a path."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from emotts.checkpoint import CheckpointError
from emotts.emotion.spec import EmotionSpec
from emotts.server import guard
from emotts.server.limits import Limits

LIMITS = Limits()
NAMING_FILES = [
    "like=/etc/passwd",
    "happy,like=ref.wav:0.5",
    "LIKE = x.wav",
    'like="a b.wav"',
    "direction=weary.safetensors",
    "sad,erase=x",
    "happy:0.5,direction=/x/y.safetensors:-1",
    "like=“a.wav”",
]


@pytest.mark.parametrize("spec", NAMING_FILES)
def test_an_emotion_that_names_a_file_is_refused_whether_it_exists_or_not(spec: str, tmp_path: Path) -> None:
    for ask in (
        lambda: guard.check_emotion(spec),
        lambda: guard.check_text(f"[{spec}]Hello there.[/]", LIMITS),
        lambda: guard.check_timeline(f"rise:{spec}"),
        lambda: guard.check_timeline([{"t": 0, "emotion": spec}]),
    ):
        with pytest.raises(ValueError, match="must not name files here"):
            ask()


def test_what_names_no_file_passes() -> None:
    assert guard.check_emotion("happy:0.8") == EmotionSpec("happy", 0.8)
    assert guard.check_emotion("relieved, but still shaking").words == "relieved, but still shaking"
    assert guard.check_emotion("auto:0.5").auto == 0.5
    text = "[sad:.3]I waited.[/] [pause 300ms] You *never* came! [[h ə l ˈoʊ]]"
    assert guard.check_text(text, LIMITS) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "must be a text"),
        (b"x", "must be a text"),
        ("", "must not be empty"),
        (" \n", "must not be empty"),
        ("…", "speakable"),
        ("a" * 4_097, "at most 4096 characters; got 4097"),
        ("Hi \ud800.", "character 3"),
        ("[sad:9]x[/]", "from 0 to 1.5"),
        ("a " + "[pause 10s]" * 31, "at most 300 s in all; got 310 s"),
        ("[[" + "a " * 990 + "]] [[" + "a " * 990 + "]]", "sounds"),
        ("1/2/2024 " * 450, "numbers are long to say"),
    ],
)
def test_a_text_that_cannot_be_spoken_is_refused(text: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        guard.check_text(text, LIMITS)


def test_a_text_of_the_longest_length_passes() -> None:
    assert len(guard.check_text(("word " * 900)[:4_096], LIMITS)) == 4_096


@pytest.mark.parametrize(
    ("emotion", "words"),
    [
        (None, "must be a text"),
        (["happy"], "must be a text"),
        (EmotionSpec("happy"), "must be a text"),
        ("x" * 501, "at most 500"),
        ("\udc00", "surrogate"),
        ("hapy", 'Did you mean "happy"'),
        ("happy:1e400", "from 0 to 1.5"),
        ("happy:nan", "position"),
    ],
)
def test_an_emotion_that_is_none_is_refused(emotion: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        guard.check_emotion(emotion)


def test_time_lines_are_presets_or_keyframes() -> None:
    assert guard.check_timeline("rise:angry").kind == "part"
    line = guard.check_timeline([{"word": 0, "emotion": "calm"}, {"word": 3, "arousal": 0.5, "emotion": None}])
    assert line.kind == "word" and [frame.place for frame in line.keyframes] == [0.0, 3.0]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("/etc/passwd", "preset"),
        ("moods.csv", "preset"),
        (Path("moods.csv"), "PosixPath"),
        ({"keyframes": []}, "dict"),
        ([], "got 0"),
        ([{"t": 0}] * 1_001, "got 1001"),
        ([3], "must be an object"),
        ([{"t": 0, "file": "x"}], "'file' is unknown"),
        ([{"emotion": "sad"}], "one place"),
        ([{"t": 0, "word": 1, "emotion": "sad"}], "t and word"),
        ([{"t": 0}], "must have an emotion"),
        ([{"t": math.nan, "emotion": "sad"}], "finite"),
        ([{"t": 10**400, "emotion": "sad"}], "finite"),
        ([{"t": "1", "emotion": "sad"}], "finite"),
        ([{"t": 0, "arousal": math.inf}], "finite"),
        ([{"t": 0, "arousal": 10**400}], "finite"),
        ([{"t": 0, "arousal": 2}], "from -1 to 1"),
        ([{"t": 0, "emotion": ["sad"]}], "keyframe 1: emotion must be a text"),
        ([{"t": 0, "emotion": "auto"}], "keyframe 1"),
        ([{"t": 1, "emotion": "sad"}, {"t": 1, "emotion": "sad"}], "keyframe 2 must come after"),
        ([{"t": 1, "emotion": "sad"}, {"word": 2, "emotion": "sad"}], "of one kind"),
        ([{"word": 1.5, "emotion": "sad"}], "whole number"),
    ],
)
def test_a_time_line_that_is_none_is_refused(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        guard.check_timeline(value)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "hart", "../x.wav", "", None, 3, {"a": 1}, "heart\0", "\ud800", "x" * 10_000]
)
def test_a_voice_is_one_of_those_offered(name: object) -> None:
    with pytest.raises(ValueError, match="voice must be one of heart, max"):
        guard.check_voice(name, ["heart", "max"])
    assert guard.check_voice("max", ["heart", "max"]) == "max"


def tone(seconds: float = 1.0, rate: int = 24_000) -> np.ndarray:
    return 0.2 * np.sin(2 * np.pi * 200 * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_recording_of_any_format_passes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.stack([tone(), tone()], axis=1), 24_000)
    facts = guard.check_recording(path, LIMITS)
    assert (facts.sample_rate, facts.channels) == (24_000, 2) and facts.duration_s == pytest.approx(1.0, abs=0.06)


def write_raw(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_what_is_no_recording_is_refused_by_its_bare_name(tmp_path: Path) -> None:
    good = tmp_path / "good.wav"
    soundfile.write(good, tone(), 24_000)
    wav = good.read_bytes()
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 24_000)
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), 24_000, subtype="FLOAT")
    soundfile.write(tmp_path / "many.wav", np.zeros((100, 9)), 24_000)
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 100)
    cases = {
        "empty.wav": b"",
        "text.wav": b"hello",
        "cut.wav": wav[:30],
        "sound.raw": wav[44:],
        "zip.wav": b"PK\x03\x04" * 99,
        "null.flac": b"fLaC" + bytes(50),
        "none.wav": None,
        "nan.wav": None,
        "many.wav": None,
        "slow.wav": None,
        "missing.wav": None,
    }
    for name, data in cases.items():
        path = tmp_path / name if data is None else write_raw(tmp_path / name, data)
        with pytest.raises(ValueError) as caught:
            guard.check_recording(path, LIMITS)
        assert str(caught.value).startswith(name) and str(tmp_path) not in str(caught.value)


def test_hours_of_silence_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "silence.flac"
    with soundfile.SoundFile(path, "w", 8_000, 1) as file:
        for _ in range(4 * 60):
            file.write(np.zeros(60 * 8_000, np.int16))
    assert path.stat().st_size < LIMITS.max_upload_bytes
    start = time.process_time()
    with pytest.raises(ValueError, match="at most 120 s; it lasts 14400 s"):
        guard.check_recording(path, LIMITS)
    assert time.process_time() - start < 0.5  # decoding it takes seconds


def test_a_header_that_tells_too_little_is_not_believed(tmp_path: Path) -> None:
    """The header of a FLAC stream may leave its length open; what is decoded counts then."""
    path = tmp_path / "long.flac"
    soundfile.write(path, tone(3.0), 24_000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the length takes 36 bits of the stream's description
    data[22:26] = bytes(4)
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="at most 2 s"):
        guard.check_recording(path, Limits(max_recording_s=2.0))


def test_a_large_file_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 0.001 MB; got 0.0 MB"):
        guard.check_recording(write_raw(tmp_path / "a.wav", bytes(2_000)), Limits(max_upload_bytes=1_000))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            FileNotFoundError("audio file '/home/me/my voice.wav' does not exist"),
            "audio file 'my voice.wav' does not exist",
        ),
        (
            FileNotFoundError(2, "No such file or directory", "/tmp/x/y.wav"),
            "[Errno 2] No such file or directory: 'y.wav'",
        ),
        (ValueError("see /srv/models/bundled/config.yaml, line 3"), "see config.yaml, line 3"),
        (CheckpointError("/srv/a/model.safetensors must hold x"), "model.safetensors must hold x"),
        (ValueError("runs/bundled/model.safetensors is corrupt"), "model.safetensors is corrupt"),
        (ValueError("folder ../../secret is none"), "folder secret is none"),
        (ValueError("~/.ssh/id_rsa"), "id_rsa"),
        (ValueError(r"C:\Users\me\a.wav and 'D:\x y\b.wav'"), "a.wav and 'b.wav'"),
        (ValueError("file:///etc/passwd"), "passwd"),
        (ValueError("200 st/s and 3/4; ask /v1/audio/voices"), "200 st/s and 3/4; ask /v1/audio/voices"),
        (ValueError("two\nlines\x07 \ud800"), "two lines\\x07 \\ud800"),
        (ValueError("[/] must close a span"), "[/] must close a span"),
        (RuntimeError("CUDA at /usr/lib"), guard.UNSAID),
        (KeyError("/etc"), guard.UNSAID),
        (PermissionError("/etc/x"), guard.UNSAID),
        (MemoryError(), guard.UNSAID),
        (TypeError("x"), guard.UNSAID),
    ],
)
def test_a_stranger_is_told_mistakes_without_folders(error: BaseException, said: str) -> None:
    assert guard.sentence(error) == said


def test_a_long_message_is_cut() -> None:
    assert len(guard.sentence(ValueError("word " * 10_000))) == guard.MAX_SENTENCE_CHARS


@given(st.text(st.characters(), max_size=300))
@settings(max_examples=150)
def test_any_text_passes_or_is_refused_by_a_sentence_that_can_be_sent(text: str) -> None:
    for check in (
        lambda: guard.check_text(text, LIMITS),
        lambda: guard.check_emotion(text),
        lambda: guard.check_timeline(text),
    ):
        try:
            check()
        except ValueError as error:
            guard.sentence(error).encode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
        lambda part: (
            st.lists(part, max_size=3)
            | st.dictionaries(st.sampled_from(["t", "word", "part", "emotion", "arousal", "x"]), part)
        ),
        max_leaves=12,
    )
)
@settings(max_examples=150)
def test_any_json_is_a_time_line_or_refused_by_a_sentence(value: Any) -> None:
    try:
        guard.check_timeline(value)
    except ValueError as error:
        guard.sentence(error).encode()


@pytest.mark.parametrize(
    "name", ["max_text_chars", "max_upload_bytes", "max_recording_s", "max_rows", "max_waiting", "timeout_s"]
)
def test_limits_must_be_above_zero(name: str) -> None:
    for value in (0, -1, math.inf, math.nan):
        with pytest.raises(ValueError, match=name):
            Limits(**{name: value})
