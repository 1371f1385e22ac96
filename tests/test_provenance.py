"""Provenance: what is written is read back, junk is refused in one sentence, and equal speech has equal bytes."""

import copy
import io
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from emotts.audio import FORMATS, SPEC, save_audio
from emotts.cli import main
from emotts.cli.consent import CONSENT_LINE, consent_line
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.pipeline import EmoTTS
from emotts.provenance import (
    ModelCard,
    Provenance,
    Source,
    joined_provenance,
    model_card,
    parse,
    read_provenance,
    settings_of,
    sidecar_path,
    source_of,
    write_sidecar,
)
from emotts.provenance.files import read_sidecar
from emotts.provenance.record import MAX_COMMENT_BYTES, MAX_TEXT_CHARS

pytestmark = pytest.mark.usefixtures("one_thread")
SUFFIXES = sorted(FORMATS)
HASH = "0123456789abcdef" * 4
CARD = ModelCard("tiny", 1, HASH, {"acoustic": 15_700})
SPEECH = Provenance("speech", (CARD,), 7, {"voice": "ada", "emotion": "happy:0.8", "pitch": 1.5}, text="Hello “there”.")
CONVERSION = Provenance(
    "conversion", (CARD, ModelCard("converter", 1, HASH)), 3, {"emotion": "sad", "strength": 1.5},
    Source("me.wav", HASH), "not stated",
)  # fmt: skip
TONE = (0.1 * np.sin(np.arange(9_600) / 20.0)).astype(np.float32)


@pytest.fixture
def tts(tiny_checkpoint: Path) -> EmoTTS:
    return EmoTTS.from_pretrained(tiny_checkpoint)


@pytest.fixture
def speak(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run `emotts synthesize` in an empty folder with the tiny model; return its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOTTS_CHECKPOINT", str(tiny_checkpoint))
    return lambda *arguments: run("synthesize", "Hello there.", *arguments)


def run(*arguments: str) -> int:
    try:
        return main([*arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def write(path: Path, provenance: Provenance | None = SPEECH, sidecar: bool = True) -> Path:
    save_audio(path, TONE, metadata=provenance.to_metadata() if provenance else None)
    if provenance and sidecar:
        write_sidecar(path, provenance)
    return path


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def with_comment(path: Path, comment: str) -> Path:
    save_audio(path, TONE, metadata={"comment": comment})
    return path


# Round trips


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("made", [SPEECH, CONVERSION], ids=lambda made: made.kind)
def test_what_a_file_says_is_read_back(tmp_path: Path, suffix: str, made: Provenance) -> None:
    found = read_provenance(write(tmp_path / f"a{suffix}", made, sidecar=False))
    assert found == replace(made, text=None) and found.found_in == "file"
    with soundfile.SoundFile(tmp_path / f"a{suffix}") as file:
        assert suffix == ".mp3" or file.software.startswith(f"emotts {made.version}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_sidecar_speaks_where_the_file_does_not(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", None)
    assert read_provenance(path) is None
    write_sidecar(path, SPEECH)
    found = read_provenance(path)
    assert found is not None and found.found_in == "sidecar" and found.created is not None
    assert replace(found, created=None) == SPEECH


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("tag", ["title", "artist", "album"])
def test_a_comment_that_was_moved_to_another_tag_is_found(tmp_path: Path, suffix: str, tag: str) -> None:
    """As FFmpeg does, which writes comments to DESCRIPTION in FLAC and to TXXX in MP3."""
    save_audio(tmp_path / f"a{suffix}", TONE, metadata={tag: CONVERSION.to_json()})
    assert read_provenance(tmp_path / f"a{suffix}") == CONVERSION
    save_audio(tmp_path / f"b{suffix}", TONE, metadata={tag: CONVERSION.to_json()[:-9]})
    with pytest.raises(ValueError, match="is not JSON"):
        read_provenance(tmp_path / f"b{suffix}")
    save_audio(tmp_path / f"c{suffix}", TONE, metadata={tag: CONVERSION.to_json()[2:]})
    assert read_provenance(tmp_path / f"c{suffix}") is None


def test_json_is_read_back_and_says_that_it_is_synthetic() -> None:
    for made in (SPEECH, CONVERSION, Provenance("speech")):
        assert parse(made.to_json()) == made
        assert json.loads(made.to_json())["synthetic"] is True and made.to_json().isascii()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_result_says_how_it_was_made(tts: EmoTTS, tmp_path: Path, suffix: str) -> None:
    result = tts.synthesize("Hello there.", emotion="sad:0.5", voice="max", pitch=2.0, seed=9)
    result.save(tmp_path / f"a{suffix}")
    found = read_provenance(tmp_path / f"a{suffix}")
    assert found is not None and (found.kind, found.seed, found.consent, found.text) == ("speech", 9, None, None)
    assert found.settings == {"voice": "max", "emotion": "sad:0.5", "emotion_asked": "sad:0.5", "pitch": 2.0}
    beside = read_sidecar(tmp_path / f"a{suffix}")
    assert beside is not None and beside.text == "Hello there."


def test_the_model_is_named_by_its_manifest(tts: EmoTTS, tiny_checkpoint: Path) -> None:
    from hashlib import sha256

    assert tts.card.name == "tiny" and tts.card.format == 1
    assert tts.card.manifest_sha256 == sha256((tiny_checkpoint / "manifest.json").read_bytes()).hexdigest()
    card = model_card({"name": "m", "training": {"a": {"steps": 5}, "b": {"steps": "x"}, "c": 3}}, 2)
    assert card == ModelCard("m", 2, "", {"a": 5}) and model_card({"training": []}, 1) == ModelCard("", 1)


def test_the_text_is_in_the_file_only_if_asked(tts: EmoTTS, tmp_path: Path) -> None:
    result = tts.synthesize("Top secret.", seed=1)
    result.save(tmp_path / "a.wav")
    assert b"secret" not in (tmp_path / "a.wav").read_bytes() and b"secret" in (tmp_path / "a.wav.json").read_bytes()
    result.save(tmp_path / "b.wav", sidecar=False, text_inside=True)
    found = read_provenance(tmp_path / "b.wav")
    assert found is not None and found.text == "Top secret." and not (tmp_path / "b.wav.json").exists()


def test_a_text_too_long_for_either_place_is_named_as_left_out(tts: EmoTTS) -> None:
    request = tts.request(seed=1)
    long = tts.provenance("word " * 1_000, request)
    assert long.text is not None and "text" not in long.left_out
    inside = parse(long.to_metadata(with_text=True)["comment"])
    assert inside is not None and inside.text is None and inside.left_out == ("text",)
    longer = tts.provenance("w" * (MAX_TEXT_CHARS + 1), request)
    assert longer.text is None and longer.left_out == ("text",) and parse(longer.to_json()) == longer


# Equal bytes, equality and copies


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])  # libsndfile gives every Ogg stream a random number
def test_the_same_seed_gives_the_same_bytes(speak, suffix: str) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert speak("--seed", str(seed), "-o", name + suffix) == 0
    a, b, c = (Path(name + suffix).read_bytes() for name in "abc")
    assert a == b != c


def test_ogg_of_the_same_seed_has_the_same_samples(speak) -> None:
    assert speak("--seed", "5", "-o", "a.ogg") == 0 and speak("--seed", "5", "-o", "b.ogg") == 0
    assert np.array_equal(soundfile.read("a.ogg")[0], soundfile.read("b.ogg")[0])
    assert read_provenance("a.ogg") == read_provenance("b.ogg")


def test_the_sidecar_holds_the_time_which_can_be_fixed(speak, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert speak("--seed", "5", "-o", "a.wav") == 0
    assert json.loads(Path("a.wav.json").read_text())["created"] == "1970-01-01T00:00:00Z"
    before = Path("a.wav.json").read_bytes()
    assert speak("--seed", "5", "-o", "a.wav", "--force") == 0 and Path("a.wav.json").read_bytes() == before


def test_a_provenance_is_a_value(tts: EmoTTS) -> None:
    a, b = (tts.synthesize("Hello.", seed=4) for _ in range(2))
    assert a.provenance == b.provenance and hash(a.provenance) == hash(b.provenance)
    for clone in (copy.deepcopy(a), copy.copy(a)):  # by the same protocol as pickle
        assert clone.provenance == a.provenance and np.array_equal(clone.waveform, a.waveform)
    assert "provenance" not in repr(a)
    with pytest.raises(ValueError, match="kind must be one of speech, conversion"):
        Provenance("song")
    with pytest.raises(ValueError, match="consent must be None or one of"):
        Provenance("conversion", consent="surely")


# Settings


@dataclass(frozen=True)
class Asked:
    voice: Any = "ada"
    emotion: Any = EmotionSpec()
    asked: Any = None
    seed: int = 0
    speed: float = 1.0
    sheets: Any = None
    norms: Any = None
    like_neutral: tuple[Any, ...] = ()


def test_settings_tell_what_is_no_default_without_folders() -> None:
    assert settings_of(Asked(), {}) == {"voice": "ada", "emotion": "neutral"}
    assert settings_of(Asked(speed=1.2), {"speed": 1.2}) == {"voice": "ada", "emotion": "neutral"}
    spec = parse_emotion('like="/home/me/private/take 1.wav":0.5,direction=/home/me/x.safetensors')
    found = settings_of(
        Asked(voice="/home/me/ref.wav", asked=spec, norms=Path("/home/me/n.txt"), like_neutral=("/home/me/n.wav", "b.wav")), {}
    )  # fmt: skip
    assert "home" not in str(found) and "private" not in str(found)
    assert found["voice"] == "ref.wav" and found["norms"] == "n.txt" and found["like_neutral"] == "n.wav, b.wav"
    assert "take 1.wav" in str(found["emotion_asked"]) and "x.safetensors" in str(found["emotion_asked"])


def test_what_is_no_text_becomes_a_hash_of_its_content() -> None:
    def of(*values: float) -> Any:
        return settings_of(Asked(sheets=(Asked(speed=1.0), np.array(values))), {})["sheets"]

    assert of(1.0, 2.0) == of(1.0, 2.0) != of(1.0, 2.5) and str(of(1.0)).startswith("sha256:")
    assert of(*np.zeros(5_000)) != of(*np.zeros(2_500), 1.0, *np.zeros(2_499))  # repr would show both the same


def test_what_has_no_room_is_named() -> None:
    settings = {"voice": "ada", "emotion": "漢" * 1_900, "speed": 1.5, "norms": "x" * 1_500}
    comment = replace(SPEECH, settings=settings).to_metadata()["comment"]
    found = parse(comment)
    assert len(comment) <= MAX_COMMENT_BYTES and found is not None
    assert found.left_out == ("emotion",) and found.settings == {k: v for k, v in settings.items() if k != "emotion"}
    huge = replace(
        CONVERSION,
        models=(replace(CARD, name="\U0001f600" * 80),) * 64,
        source=Source("é" * 127, HASH),
        settings=settings,
    )
    found = parse(huge.to_metadata()["comment"])
    assert found is not None and found.kind == "conversion" and found.consent == "not stated"
    assert found.source is not None and found.source.sha256 == HASH and "settings" in found.left_out


def test_pieces_are_told_together() -> None:
    other = replace(SPEECH, settings={"voice": "max"}, seed=8)
    joined = joined_provenance([SPEECH, other, SPEECH, None], "text")
    assert joined == Provenance(
        "speech", (CARD,), None, {"pieces": 4, "voice": "ada, max", "pieces_without_provenance": 1}, text="text"
    )
    assert joined_provenance([None, None], "text") is None
    for words, weakest in (
        (("stated", None), "stated"),
        (("stated", "not stated", None), "not stated"),
        ((None,), None),
    ):
        joined = joined_provenance([replace(SPEECH, consent=word) for word in words], "text")
        assert joined is not None and joined.consent == weakest


# Junk


FACTS = json.loads(CONVERSION.to_json())
DEEP = '{"emotts_provenance": ' + "[" * 100_000
JUNK: dict[str, tuple[Any, str]] = {
    "cut off": (CONVERSION.to_json()[:-20], "is not JSON"),
    "deep": (DEEP, "is not JSON"),
    "deep and closed": ('{"emotts_provenance":1,"a":' + "[" * 50_000 + "]" * 50_000 + "}", "emotts"),
    "twice": (CONVERSION.to_json().replace('"tool"', '"kind":"speech","tool"'), "is not JSON"),
    "NaN": (CONVERSION.to_json().replace("1.5", "NaN"), "is not JSON"),
    "digits": (CONVERSION.to_json().replace('"seed":3', '"seed":' + "9" * 5_000), "is not JSON"),
    "huge": ('{"emotts_provenance":1,"text":"' + "x" * 3_000_000 + '"}', "bytes; at most"),
    "version 2": (FACTS | {"emotts_provenance": 2}, "has format 2; this version of emotts reads 1"),
    "version true": (FACTS | {"emotts_provenance": True}, "has format True"),
    "version a list": (FACTS | {"emotts_provenance": [1]}, "has format [1]"),
    "not synthetic": (FACTS | {"synthetic": 1}, "must say that it is synthetic"),
    "another tool": (FACTS | {"tool": "spade"}, "must say that it is synthetic, by emotts"),
    "unknown": (FACTS | {"colour": "red"}, "has 'colour', which is none of"),
    "found_in": (FACTS | {"found_in": "file"}, "has 'found_in', which is none of"),
    "kind": (FACTS | {"kind": "song"}, "must have as kind one of speech, conversion; got 'song'"),
    "kind a list": (FACTS | {"kind": ["speech"]}, "must have as kind"),
    "kind missing": ({k: v for k, v in FACTS.items() if k != "kind"}, "must have as kind"),
    "consent": (FACTS | {"consent": "maybe"}, "must have as consent"),
    "consent null": (FACTS | {"consent": None}, "must have as consent"),
    "seed": (FACTS | {"seed": -1}, "must have as seed a whole number"),
    "seed true": (FACTS | {"seed": True}, "must have as seed a whole number"),
    "seed 1.0": (FACTS | {"seed": 1.0}, "must have as seed a whole number"),
    "settings a list": (FACTS | {"settings": [1]}, "must have as settings an object"),
    "settings of many": (FACTS | {"settings": {str(i): i for i in range(65)}}, "at most 64"),
    "settings nested": (FACTS | {"settings": {"a": {"b": 1}}}, "must have as settings texts of at most"),
    "settings long": (FACTS | {"settings": {"a": "x" * 2_001}}, "must have as settings texts of at most 2000"),
    "settings infinite": (CONVERSION.to_json().replace("1.5", "1e999"), "must have as settings"),
    "settings named long": (FACTS | {"settings": {"x" * 256: 1}}, "must have as settings"),
    "models": (FACTS | {"models": "tiny"}, "must have as models a list"),
    "models of texts": (FACTS | {"models": ["tiny"]}, "must have as models a list"),
    "models of many": (FACTS | {"models": [{}] * 65}, "at most 64 objects"),
    "model unknown": (FACTS | {"models": [{"size": 3}]}, "has 'size', which is none of"),
    "model hash": (FACTS | {"models": [{"manifest_sha256": "Z" * 64}]}, "64 hexadecimal digits"),
    "model steps": (FACTS | {"models": [{"steps": {"a": "b"}}]}, "must have as a a whole number"),
    "source": (FACTS | {"source": "me.wav"}, "must have as source an object"),
    "source hash": (FACTS | {"source": {"name": "me.wav", "hashed": "samples"}}, "64 hexadecimal digits"),
    "source hashed": (FACTS | {"source": {"name": "", "sha256": HASH, "hashed": "ears"}}, "must have as hashed one of"),
    "text a number": (FACTS | {"text": 3}, "must have as text a text of at most"),
    "left_out": (FACTS | {"left_out": [3]}, "must have as left_out a list of at most 64 names"),
    "version long": (FACTS | {"version": "1" * 256}, "must have as version"),
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_is_refused_in_one_sentence(name: str) -> None:
    junk, message = JUNK[name]
    assert parse(json.dumps(FACTS)) == CONVERSION  # without the change it would have been read
    with pytest.raises(ValueError) as refused:
        parse(junk if isinstance(junk, str) else json.dumps(junk), "the comment")
    said = str(refused.value)
    assert message in said and said.startswith("the comment ") and len(said) < 400 and "\n" not in said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Recorded at home",
        "{",
        "[]",
        "null",
        "{}",
        '{"a": 1}',
        '["emotts_provenance"]',
        "\x1b[31m",
        "{" * 10_000,
        b"\xff\xfe",
    ],
)
def test_what_does_not_claim_to_be_ours_is_nothing(text: str | bytes) -> None:
    assert parse(text) is None


# Sidecars


def test_a_sidecar_of_another_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    save_audio(tmp_path / "b.wav", 0.5 * TONE)
    sidecar_path(tmp_path / "a.wav").replace(tmp_path / "b.wav.json")
    with pytest.raises(ValueError, match=r"b\.wav\.json does not belong to b\.wav: it tells of other samples"):
        read_provenance(tmp_path / "b.wav")


def test_a_sidecar_follows_lossless_samples_to_another_name_and_format(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    samples, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    soundfile.write(tmp_path / "b.flac", samples, rate)
    soundfile.write(tmp_path / "c.wav", samples, rate, subtype="PCM_24")
    samples[100] ^= 1
    soundfile.write(tmp_path / "d.flac", samples, rate)
    for name in ("b.flac", "c.wav", "d.flac"):
        sidecar_path(tmp_path / name).write_bytes((tmp_path / "a.wav.json").read_bytes())
    assert all(read_provenance(tmp_path / name) is not None for name in ("b.flac", "c.wav"))
    with pytest.raises(ValueError, match="other samples"):
        read_provenance(tmp_path / "d.flac")


@pytest.mark.parametrize("name", ["cut off", "deep", "huge", "unknown"])
def test_a_broken_sidecar_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a.wav", None)
    junk, _ = JUNK[name]
    sidecar_path(path).write_text(junk if isinstance(junk, str) else json.dumps(junk))
    with pytest.raises(ValueError, match=r"a\.wav\.json "):
        read_provenance(path)
    sidecar_path(path).write_text('{"mine": [1, 2]}')  # somebody else's file of that name is none of our business
    assert read_provenance(path) is None


@pytest.mark.parametrize(
    "audio", [None, [], {}, {"sha256": HASH}, {"name": "a.wav", "sha256": HASH, "hashed": "samples", "more": 1}]
)
def test_a_sidecar_must_tell_of_which_audio_it_is(tmp_path: Path, audio: Any) -> None:
    path = write(tmp_path / "a.wav", None)
    sidecar_path(path).write_text(json.dumps(json.loads(SPEECH.to_json()) | {"audio": audio}))
    with pytest.raises(ValueError, match=r"a\.wav\.json"):
        read_provenance(path)


def test_a_sidecar_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", None)

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_sidecar(path, SPEECH)
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize(
    "name", ["a b'\"(é漢😀).wav", "line\nbreak.wav", "\x1b[31mred.wav", "100%s {0} $HOME.wav", "-o.wav"]
)
def test_odd_file_names_are_written_and_read(tmp_path: Path, capsys, name: str) -> None:
    path = write(tmp_path / name)
    assert sidecar_path(path).is_file() and read_sidecar(path) is not None
    assert source_of(path).name == name
    assert run("inspect", str(path)) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and all(line.isprintable() for line in out.splitlines())
    assert run("inspect", "--json", str(path)) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(path)


def test_sources_are_told_by_name_and_hash_alone(tmp_path: Path) -> None:
    deep = tmp_path / "private"
    deep.mkdir()
    a = source_of(write(deep / "a.wav"))
    samples, rate = soundfile.read(deep / "a.wav", dtype="int16")
    soundfile.write(tmp_path / "b.flac", samples, rate)
    b = source_of(tmp_path / "b.flac")
    assert (a.name, a.hashed) == ("a.wav", "samples") and a.sha256 == b.sha256  # the same samples in another format
    assert source_of(write(tmp_path / "c.mp3")).hashed == "file"
    array = source_of(TONE)
    assert (array.name, array.hashed) == ("", "array") and array != source_of(TONE * 0.5)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        source_of(tmp_path / "none.wav")


# emotts synthesize


def test_no_sidecar_leaves_the_metadata(speak) -> None:
    assert speak("-o", "a.wav", "--no-sidecar") == 0
    assert files() == ["a.wav"] and read_provenance("a.wav") is not None


def test_an_existing_sidecar_is_refused_without_force(speak, capsys) -> None:
    Path("a.wav.json").write_text("mine")
    assert speak("-o", "a.wav") == 2
    assert "sidecar 'a.wav.json' exists; give another name, --no-sidecar, or --force" in capsys.readouterr().err
    assert files() == ["a.wav.json"] and Path("a.wav.json").read_text() == "mine"
    assert speak("-o", "a.wav", "--no-sidecar") == 0 and Path("a.wav.json").read_text() == "mine"
    assert speak("-o", "a.wav", "--force") == 0 and read_sidecar("a.wav") is not None


def test_the_reading_and_the_sidecar_are_two_files(speak, capsys) -> None:
    assert speak("-o", "a.wav", "--prosody-out", "a.wav.json") == 2
    assert "prosody-out 'a.wav.json' is the name of the sidecar" in capsys.readouterr().err
    assert files() == []


def test_stdout_carries_the_metadata_and_no_sidecar(speak, capfdbinary) -> None:
    assert speak("-o", "-", "--seed", "2") == 0
    with soundfile.SoundFile(io.BytesIO(capfdbinary.readouterr().out)) as file:
        found = parse(file.comment)
    assert found is not None and found.seed == 2 and files() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_costs_one_line(speak, capsys) -> None:
    Path("closed").mkdir(mode=0o500)
    assert speak("-o", "closed/a.wav") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_sidecar_that_cannot_be_written_leaves_the_audio(speak, monkeypatch, capsys) -> None:
    def fail(path: object, provenance: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("emotts.provenance.write_sidecar", fail)
    assert speak("-o", "a.wav") == 1
    err = capsys.readouterr().err
    assert "Read-only file system" in err and len(err.splitlines()) == 1
    assert files() == ["a.wav"] and read_provenance("a.wav") is not None


# emotts inspect


def test_inspect_shows_what_is_known(tmp_path: Path, capsys) -> None:
    path = write(tmp_path / "a.flac")
    assert run("inspect", str(path)) == 0
    out, err = capsys.readouterr()
    rows = dict(line.strip().split(maxsplit=1) for line in out.splitlines()[1:])
    assert err == "" and out.splitlines()[0] == str(path)
    assert rows["provenance"].startswith("synthetic speech, emotts") and rows["seed"] == "7"
    assert rows["voice"] == "ada" and rows["text"] == "Hello “there”." and rows["duration"] == "0.40 s"
    assert "sidecar" in rows and HASH in rows["model"] and "24000 Hz" in rows["sample"]
    assert run("inspect", str(write(tmp_path / "b.wav", CONVERSION))) == 0
    out = capsys.readouterr().out
    assert "a conversion by a model" in out and "me.wav" in out and "not stated" in out


def test_inspect_tells_by_its_exit_code(tmp_path: Path, capsys) -> None:
    known, unknown = str(write(tmp_path / "a.wav")), str(write(tmp_path / "b.ogg", None))
    (tmp_path / "c.wav").write_text("no audio")
    broken = str(tmp_path / "c.wav")
    assert run("inspect", known) == 0 and "no provenance" not in capsys.readouterr().out
    assert run("inspect", unknown, known) == 1
    out = capsys.readouterr().out
    assert out.count("no provenance") == 1 and "synthetic speech" in out
    assert run("inspect", broken, unknown, known) == 2
    out, err = capsys.readouterr()
    assert err.startswith("emotts: error: c.wav is not audio") and len(err.splitlines()) == 1
    assert "no provenance" in out and "synthetic speech" in out  # the others are shown
    for name in ("none.wav", str(tmp_path), "\0"):
        assert run("inspect", name) == 2 and len(capsys.readouterr().err.splitlines()) == 1


def test_inspect_prints_one_line_of_json_per_file(tmp_path: Path, capsys) -> None:
    paths = [write(tmp_path / "a.wav"), write(tmp_path / "b.wav", None)]
    assert run("inspect", "--json", *map(str, paths)) == 1
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["provenance"]["seed"] == 7 and first["found_in"] == "file" and "text" not in first["provenance"]
    assert first["sidecar"]["text"] == SPEECH.text and first["sidecar_problem"] is None
    assert second["provenance"] is None and second["found_in"] is None and second["duration_s"] == 0.4


def test_inspect_warns_of_a_sidecar_that_was_left_behind(tmp_path: Path, capsys) -> None:
    path = write(tmp_path / "a.wav")
    save_audio(path, 0.5 * TONE, metadata=replace(SPEECH, seed=8).to_metadata())
    assert run("inspect", str(path)) == 0
    out = capsys.readouterr().out
    assert (
        "refused: a.wav.json does not belong to a.wav" in out and "seed                8" in out and "Hello" not in out
    )


HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\u202egnp\x9b31m\nfake line"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_that_a_file_says_is_obeyed_by_the_terminal(tmp_path: Path, capsys, suffix: str) -> None:
    nasty = replace(
        SPEECH, settings={HOSTILE: HOSTILE}, models=(ModelCard(HOSTILE),), left_out=(HOSTILE,), version=HOSTILE, text=HOSTILE
    )  # fmt: skip
    path = write(tmp_path / f"a{suffix}", nasty)
    assert run("inspect", str(path)) == 0
    out = capsys.readouterr().out
    assert "owned" in out and "fake line" in out  # it is shown, as an escape
    assert all(line.isprintable() for line in out.split("\n")) and not any(
        line.startswith("fake") for line in out.split("\n")
    )


@pytest.mark.parametrize("name", ["cut off", "kind", "deep"])
def test_a_comment_that_lies_costs_one_line(tmp_path: Path, capsys, name: str) -> None:
    junk, _ = JUNK[name]
    comment = junk if isinstance(junk, str) else json.dumps(junk)
    path = with_comment(tmp_path / "a.flac", comment[:60_000])
    assert run("inspect", str(path)) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and err.startswith("emotts: error: the comment in a.flac ")


def test_somebody_elses_comment_is_no_provenance(tmp_path: Path, capsys) -> None:
    for i, comment in enumerate(("Recorded at home", "{" * 1_000, '{"a": ' + "[" * 1_000, "\x1b[2J")):
        assert run("inspect", str(with_comment(tmp_path / f"{i}.flac", comment))) == 1
        assert "no provenance" in capsys.readouterr().out


def test_a_pipe_beside_a_file_does_not_hang(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", None)
    os.mkfifo(sidecar_path(path))
    assert read_provenance(path) is None


# Consent


def test_consent_is_asked_once_where_a_person_speaks(tmp_path: Path, capsys) -> None:
    person, model = write(tmp_path / "me.wav", None), write(tmp_path / "tts.wav")
    assert consent_line([model], has_consent=False) is None and capsys.readouterr().err == ""
    assert consent_line([model, person, person], has_consent=False) == "not stated"
    out, err = capsys.readouterr()
    assert out == "" and err == f"{CONSENT_LINE}\n" and len(err.splitlines()) == 1
    assert consent_line([person], has_consent=True) == "stated" and capsys.readouterr().err == ""
    assert consent_line([model], has_consent=False, kept_voice=True) == "not stated"


def test_a_converted_person_stays_a_person(tmp_path: Path) -> None:
    converted = write(tmp_path / "a.wav", CONVERSION)
    spoken = write(tmp_path / "b.wav", replace(CONVERSION, consent=None))
    lying = with_comment(tmp_path / "c.wav", '{"emotts_provenance": 9}')
    assert [consent_line([path], True) for path in (converted, spoken, lying, tmp_path / "none.wav")] == [
        "stated", None, "stated", "stated",
    ]  # fmt: skip


def test_hours_of_silence_are_not_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav")
    monkeypatch.setattr("emotts.provenance.files.MAX_HOURS", len(TONE) / SPEC.sample_rate / 3_600 * 0.99)
    with pytest.raises(ValueError, match="lasts more than"):
        read_sidecar(path)
