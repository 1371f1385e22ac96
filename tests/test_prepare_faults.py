"""Faults of the machine end a preparation in one line and finish no shard; the same command then makes what it would have made.

So does a mistake of the user: what was prepared well before stays as it is.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import soundfile
from miniatures import MINIATURES, put, tone
from test_prepare import SOURCE, lines, own_corpus, recipe, run  # noqa: F401

from emotts.data import prepare_audio
from emotts.data.faults import MachineFault, is_of_machine
from emotts.data.manifest import read_manifest
from emotts.data.prepare_audio import decode
from emotts.text.languages import NotInstalled
from emotts.text.phonemize import _phonemize

Prepare = Callable[..., None]


@pytest.fixture
def prepare(recipe: ModuleType, tmp_path: Path) -> Prepare:  # noqa: F811
    """Prepare tmp_path/in, a table of six clips unless it is there, into a folder beside it."""
    if not (tmp_path / "in").exists():
        own_corpus(tmp_path / "in", 6)

    def into(name: str, *options: str) -> None:
        run(recipe, "corpus=folder", f"root={tmp_path}/in", f"output={tmp_path}/{name}", "shard_size=2", *options)

    return into


@pytest.fixture
def with_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A stand-in for the program, the only one in PATH, that gives the wav beside the file; made by the test with `install`."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    yield tmp_path / "bin/ffmpeg"


def install(program: Path, before: str = "") -> None:
    """Write the stand-in, with lines of shell before it works."""
    body = 'while [ "$#" -gt 1 ]; do case "$1" in file:*) exec /bin/cat "${1#file:}.wav";; esac; shift; done\n'
    put(program, f"#!/bin/sh\n{before}\n{body}")
    program.chmod(0o755)


def make_foreign(root: Path, *numbers: str) -> None:
    """Turn clips of the table to m4a."""
    for number in numbers:
        (root / f"clips/{number}.wav").rename(root / f"clips/{number}.m4a.wav")
        put(root / f"clips/{number}.m4a", b"\x00\x00\x00\x18ftypM4A ")
        table = (root / "metadata.csv").read_text()
        put(root / "metadata.csv", table.replace(f"clips/{number}.wav", f"clips/{number}.m4a"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def shards(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "shards").glob("*.json"))


def refused(prepare: Prepare, *options: str, match: str) -> None:
    """Prepare out, and see it end in one line."""
    with pytest.raises(OSError, match=match) as told:
        prepare("out", *options)
    assert "\n" not in str(told.value)


def test_ffmpeg_that_is_missing_is_told_before_the_shards(prepare: Prepare, with_ffmpeg: Path, tmp_path: Path) -> None:
    make_foreign(tmp_path / "in", "001", "004")
    refused(prepare, match="2 clips such as 'clips/001.m4a': install ffmpeg, or convert to wav")
    assert not shards(tmp_path / "out")
    install(with_ffmpeg, "exit 127")  # one whose libraries are missing
    refused(prepare, match="ffmpeg is installed and does not run")
    assert not shards(tmp_path / "out")
    install(with_ffmpeg)
    prepare("out")
    prepare("untroubled")
    assert len(read_manifest(tmp_path / "out/manifest.jsonl")) == 6
    assert content(tmp_path / "out") == content(tmp_path / "untroubled")


def test_ffmpeg_that_is_ended_by_the_system_ends_the_run(prepare: Prepare, with_ffmpeg: Path, tmp_path: Path) -> None:
    make_foreign(tmp_path / "in", "001", "003")
    install(with_ffmpeg, 'case "$*" in *003*) kill -9 $$;; esac')
    for loudness in ("none", "speaker"):  # when its shard's turn comes, and when its speaker's does
        refused(
            prepare,
            f"settings.loudness={loudness}",
            match="ffmpeg was ended by the system.* run the same command again",
        )
        assert shards(tmp_path / "out") == (["own-00000.json"] if loudness == "none" else [])
        (tmp_path / "out").rename(tmp_path / loudness)
    (tmp_path / "none").rename(tmp_path / "out")
    install(with_ffmpeg)
    prepare("out", "settings.loudness=none")
    prepare("untroubled", "settings.loudness=none")
    assert content(tmp_path / "out") == content(tmp_path / "untroubled")


def espeak(text: str, language: str) -> list[list[str]]:
    """Read every word alike."""
    return [["h", "a"] for _ in text.split()]


def no_espeak(text: str, language: str) -> list[list[str]]:
    raise NotInstalled('backend "espeak" needs phonemizer, which is not installed. pip install emotts[espeak]')


def with_reader(monkeypatch: pytest.MonkeyPatch, reader: Callable[[str, str], list[list[str]]]) -> None:
    _phonemize.cache_clear()
    monkeypatch.setattr(sys.modules["emotts.text.phonemize"], "espeak_words", reader)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Let no other test see what the stand-ins read."""
    yield
    _phonemize.cache_clear()


def test_a_reader_that_is_missing_is_told_before_the_shards(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_reader(monkeypatch, no_espeak)
    refused(
        prepare, "corpus.language=de", match=r"^de: backend \"espeak\" needs phonemizer.* run the same command again"
    )
    assert not shards(tmp_path / "out")

    def broken(text: str, language: str) -> list[list[str]]:
        raise OSError(errno.EFBIG, "File too large")  # of the copy that the library makes of itself

    with_reader(monkeypatch, broken)
    refused(prepare, "corpus.language=de", match="the reader of de: .*File too large.* run the same command again")
    assert not shards(tmp_path / "out")
    with_reader(monkeypatch, espeak)
    prepare("out", "corpus.language=de")
    prepare("untroubled", "corpus.language=de")
    assert len(read_manifest(tmp_path / "out/manifest.jsonl")) == 6
    assert content(tmp_path / "out") == content(tmp_path / "untroubled")


def test_clips_for_recognisers_do_without_a_reader_until_it_is_there(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["corpus.language=de", "settings.needs_text=false"]
    with_reader(monkeypatch, no_espeak)
    prepare("out", *options)
    assert 'de: backend "espeak" needs phonemizer' in capsys.readouterr().err
    assert {tuple(row.phonemes) for row in read_manifest(tmp_path / "out/manifest.jsonl")} == {("<sil>", "<sil>")}
    with_reader(monkeypatch, espeak)
    prepare("untroubled", *options)
    prepare("out", *options)
    assert content(tmp_path / "out") == content(tmp_path / "untroubled")
    with_reader(monkeypatch, no_espeak)  # a machine that cannot do it as well leaves what is there
    prepare("out", *options)
    assert content(tmp_path / "out") == content(tmp_path / "untroubled")


@pytest.mark.parametrize(
    "fault",
    [
        *(
            OSError(number, os.strerror(number))
            for number in (errno.ENOSPC, errno.EFBIG, errno.EMFILE, errno.EIO, errno.ENOMEM)
        ),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=lambda fault: str(getattr(fault, "errno", None) or type(fault).__name__),
)
@pytest.mark.parametrize("loudness", ["none", "speaker"])
def test_a_fault_of_the_machine_is_no_fault_of_the_clip(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, loudness: str
) -> None:
    resample, calls = prepare_audio.resample, []

    def failing(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 4:
            raise fault
        return resample(*arguments)  # type: ignore[arg-type]

    option = f"settings.loudness={loudness}"
    with monkeypatch.context() as patch:
        patch.setattr(prepare_audio, "resample", failing)
        refused(prepare, option, match="machine is at fault and not the clip.* run the same command again")
    assert shards(tmp_path / "out") == (["own-00000.json"] if loudness == "none" else [])
    prepare("out", option)
    assert len(read_manifest(tmp_path / "out/manifest.jsonl")) == 6
    assert lines(tmp_path / "out/quarantine.jsonl") == []


def test_what_the_audio_library_hides_is_asked_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.wav", tone())

    def closed(*_: object) -> None:
        raise soundfile.LibsndfileError(2)  # "System error", which tells nothing

    def full(_: Path) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(soundfile, "SoundFile", closed)
    with pytest.raises(ValueError, match="cannot be read as audio") as of_clip:
        decode(tmp_path, SOURCE, 30.0)
    monkeypatch.setattr(Path, "read_bytes", full)
    with pytest.raises(OSError, match="Too many open files") as of_machine:
        decode(tmp_path, SOURCE, 30.0)
    assert is_of_machine(of_machine.value) and not is_of_machine(of_clip.value)
    assert is_of_machine(MachineFault("x")) and not is_of_machine(PermissionError(errno.EACCES, "x"))


@pytest.mark.parametrize(
    "options",
    [
        ["settings.max_duration_s=0.4"],
        ["relabel={angry: excited}"],
        ["shard_size=3"],
        ["relabel={angry: excited}", "listing_only=true"],
    ],
)
def test_a_preparation_that_is_refused_leaves_a_good_one_as_it_is(
    recipe: ModuleType,  # noqa: F811
    tmp_path: Path,
    options: list[str],
) -> None:
    own_corpus(tmp_path / "in", 6)
    put(tmp_path / "in/clips/002.wav", b"no audio")
    place = ["corpus=folder", f"root={tmp_path}/in", f"output={tmp_path}/out"]
    run(recipe, *place, "shard_size=2")
    (tmp_path / "out/shards/own-00000.json").unlink()  # so that there is something to make, and it comes first
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    with pytest.raises(ValueError, match="was made from other clips or settings"):
        run(recipe, *place, "shard_size=2", *options)
    after = {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    assert after == before


def test_listing_again_keeps_what_the_preparation_refused(recipe: ModuleType, tmp_path: Path) -> None:  # noqa: F811
    own_corpus(tmp_path / "in", 4)
    put(tmp_path / "in/clips/002.wav", b"RIFF, they said, but it is text.")
    place = ["corpus=folder", f"root={tmp_path}/in", f"output={tmp_path}/out"]
    run(recipe, *place)
    before = content(tmp_path / "out")
    assert [line["stage"] for line in lines(tmp_path / "out/quarantine.jsonl")] == ["preparation"]
    run(recipe, *place, "listing_only=true")
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("inside", ["", "/prepared", "/../in/prepared"])
def test_nothing_is_written_into_the_corpus(recipe: ModuleType, tmp_path: Path, inside: str) -> None:  # noqa: F811
    own_corpus(tmp_path / "in", 2)
    before = content(tmp_path / "in")
    with pytest.raises(ValueError, match="lies inside root .* choose a folder outside the corpus"):
        run(recipe, "corpus=folder", f"root={tmp_path}/in", f"output={tmp_path}/in{inside}")
    assert content(tmp_path / "in") == before and not (tmp_path / "in/prepared").exists()


def test_an_output_that_cannot_be_written_to_says_so(prepare: Prepare, tmp_path: Path) -> None:
    put(tmp_path / "out", "a file")
    refused(prepare, match=r"output .*out' cannot be written to \(File exists\); choose another folder")


def test_durations_that_nothing_heard_are_told_at_the_end(
    recipe: ModuleType,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own_corpus(tmp_path / "in", 2)
    with_reader(monkeypatch, espeak)
    place = ["corpus=folder", f"root={tmp_path}/in"]
    for language, remedy in (
        ("en-us", "aligner=listened hears them, settings.textgrids="),
        ("de", "hears English, settings.textgrids="),
    ):
        run(recipe, *place, f"output={tmp_path}/{language}", f"corpus.language={language}")
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert last.startswith("2 clips have expected durations") and remedy in last
    MINIATURES["savee"](tmp_path / "savee")
    run(recipe, "corpus=savee", f"root={tmp_path}/savee", f"output={tmp_path}/silent", "settings.needs_text=false")
    assert "expected durations" not in capsys.readouterr().err  # no text, no durations of phonemes
