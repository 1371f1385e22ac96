"""`emotts align` and corpora that are aligned by listening: tiers and files, every refusal in one line, the same bytes again."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_prepare import SOURCE, TOKENS, WORDS, lines, own_corpus, recipe, run  # noqa: F401
from test_segments import FRAMES, heard_of
from test_voice import speech

from emotts.audio import SPEC
from emotts.cli import _explain, _Parser
from emotts.cli.align import LONGEST_S, _intervals, add_parser, align, phonemes_of
from emotts.content.speech_encoder import ACTIVITIES, Heard
from emotts.data.alignment import EXPECTED, LISTENED, TEXTGRID
from emotts.data.alignment import align as align_tokens_of_clip
from emotts.data.manifest import read_manifest
from emotts.data.prepare_clip import Settings, prepare_clip
from emotts.data.textgrid import Interval, format_textgrid, read_textgrid
from emotts.word_times import read_word_times

ROOT = Path(__file__).resolve().parent.parent
CONVERTER = ROOT / "checkpoints" / "converter"
RATE = SPEC.sample_rate
TEXT = "Hello there."
Run = Callable[..., int]


class Hearing:
    """A listener that hears "Hello there." in every recording, spread over it in fixed shares."""

    def hear(self, waveform: np.ndarray, sample_rate: int = RATE) -> Heard:
        n = len(waveform) // SPEC.hop_length
        durations = [max(2, f * (n - 12) // sum(FRAMES)) for f in FRAMES]
        durations[-1] += n - sum(durations)
        return heard_of(TOKENS, durations)


class Deaf(Hearing):
    """A listener that hears music."""

    def hear(self, waveform: np.ndarray, sample_rate: int = RATE) -> Heard:
        heard = super().hear(waveform)
        heard.activity[0] = torch.eye(len(ACTIVITIES))[ACTIVITIES.index("other")] * 9.0
        return heard


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command as the command line does, in an empty folder with two recordings; return its exit code."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", speech(0.8), RATE)
    soundfile.write("b.wav", speech(0.9), RATE)

    def run_it(*arguments: str, listener: Hearing | None = None) -> int:
        monkeypatch.setattr("emotts.listeners.load_listener", lambda *_: listener or Hearing())
        parser = _Parser(prog="emotts")
        add_parser(parser.add_subparsers(parser_class=_Parser))
        try:
            return align(parser.parse_args(["align", *arguments]))
        except Exception as error:
            return _explain(error)

    return run_it


def test_a_text_gives_words_and_phones_that_other_tools_read(command: Run, tmp_path: Path) -> None:
    assert command("a.wav", "--text", TEXT, "-o", "a.TextGrid") == 0
    tiers = read_textgrid(tmp_path / "a.TextGrid")
    assert list(tiers) == ["words", "phones"]
    said = [interval for interval in tiers["phones"] if interval.text]
    assert [interval.text for interval in said] == ["h", "ɛ", "l", "ˈoʊ", "ð", "ˈɛ", "ɹ"]  # a near phone is heard
    words = [interval for interval in tiers["words"] if interval.text]
    assert [word.text for word in words] == ["Hello", "there"]
    assert (words[0].start_s, words[0].end_s) == (said[0].start_s, said[3].end_s)
    assert tiers["words"][0].start_s == 0.0 and tiers["words"][-1].end_s == pytest.approx(0.8, abs=0.02)
    assert [time.word for time in read_word_times(tmp_path / "a.TextGrid")] == ["Hello", "there"]  # for --word-times


def test_without_a_text_the_phonemes_are_heard(command: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("a.wav", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [phone["text"] for phone in found["phones"]] == ["h", "ə", "l", "ˈoʊ", "ð", "ˈɛ", "ɹ"]
    assert "words" not in found and found["confidence"] > 0.9 and found["duration_s"] == pytest.approx(0.8, abs=0.02)
    assert command("a.wav", "--format", "csv", "--text", TEXT) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["text"] for row in rows if row["tier"] == "words"] == ["Hello", "there"]
    phones = [row for row in rows if row["tier"] == "phones"]
    assert [float(row["start"]) for row in phones] == [pytest.approx(p["start_s"], abs=1e-4) for p in found["phones"]]


def test_several_recordings_go_to_a_folder_and_a_line_each(
    command: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    assert command("a.wav", "bad.wav", "b.wav", "-o", "out", "--json") == 1
    output = capsys.readouterr()
    facts = [json.loads(line) for line in output.out.splitlines()]
    assert [Path(fact["output"]).name for fact in facts] == ["a.TextGrid", "b.TextGrid"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.TextGrid", "b.TextGrid"]
    assert "bad.wav is not audio" in output.err and "1 of 3 recordings failed" in output.err
    assert command("a.wav", "b.wav", "-o", "out") == 2
    assert "exists; give another name, or --force" in capsys.readouterr().err
    assert command("a.wav", "b.wav", "-o", "out", "--force") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.wav"], "'gone.wav' does not exist"),
        (["text.txt"], "text.txt is not audio that libsndfile can read"),
        (["silent.wav"], "silent.wav is silent"),
        (["short.wav"], "short.wav lasts 0.05 s; at least 0.1 s are needed"),
        (["a.wav", "--text", "Quite another sentence."], "Is it the text of another clip?"),
        (["a.wav", "--text", "Hello there. " * 40], "phonemes must fit into"),
        (["a.wav", "--text", "..."], "nothing speakable in the text"),
        (["a.wav", "--text", " "], "text is empty"),
        (["a.wav", "--text-file", "gone.txt"], "text file 'gone.txt' does not exist"),
        (["a.wav", "b.wav", "--text", TEXT, "--json"], "a text belongs to one recording; got 2"),
        (["a.wav", "b.wav"], "several recordings need -o FOLDER, or --json"),
        (["a.wav", "-o", "a.xyz"], "output must end in .TextGrid, .json, .csv, or give --format"),
        (["a.wav", "b.wav", "-o", "text.txt"], "must be a folder; 'text.txt' is a file"),
        (["a.wav", "sub/a.wav", "-o", "both"], "would both be a.TextGrid"),
    ],
)
def test_a_mistake_costs_one_line(
    command: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "sub").mkdir()
    soundfile.write("sub/a.wav", speech(0.8), RATE)
    soundfile.write("silent.wav", np.zeros(RATE), RATE)
    soundfile.write("short.wav", speech(0.8)[: RATE // 20], RATE)
    assert command(*arguments) == 2
    said = capsys.readouterr()
    assert message in said.err and said.err.count("\n") == 1 and said.out == ""


def test_a_recording_without_speech_is_refused(command: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("a.wav", listener=Deaf()) == 2
    assert "a.wav holds no speech that could be aligned" in capsys.readouterr().err


def test_a_recording_that_is_too_long_is_refused_while_it_is_read(
    command: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotts.cli.align.LONGEST_S", 0.5)
    assert command("a.wav") == 2 and LONGEST_S > 600.0
    assert "a.wav lasts more than" in capsys.readouterr().err


def test_a_long_text_is_read_sentence_by_sentence() -> None:
    tokens, numbers, words = phonemes_of("I have 2 dogs. They are old!\n\nDr. Smith knows.")
    assert words == ["I", "have", "two", "dogs", "They", "are", "old", "Doctor", "Smith", "knows"]
    assert [n for n in dict.fromkeys(numbers) if n >= 0] == list(range(len(words)))
    assert tokens[0] == tokens[-1] == "<sil>" and tokens.count("<sil>") == 4
    assert [token for token, n in zip(tokens, numbers, strict=True) if n == 3] == ["d", "ˈɔ", "ɡ", "z"]


@given(st.lists(st.tuples(st.floats(0.01, 5.0), st.floats(0.0, 1.0), st.text(max_size=8)), max_size=8))
@settings(max_examples=60)
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, drawn: list) -> None:
    intervals, end_s = list[Interval](), 0.0
    for length_s, gap_s, text in drawn:
        text = "".join(c for c in text if c.isprintable() and not "\ud800" <= c <= "\udfff")
        intervals.append(Interval(end_s + gap_s, end_s + gap_s + length_s, " ".join(text.split())))
        end_s = intervals[-1].end_s
    path = tmp_path_factory.mktemp("grids") / "a.TextGrid"
    path.write_text(format_textgrid({"words": intervals}, end_s + 0.5), encoding="utf-8")
    found = read_textgrid(path)["words"]
    assert found[0].start_s == 0.0 and found[-1].end_s == pytest.approx(end_s + 0.5, abs=1e-5)
    assert all(a.end_s == b.start_s for a, b in zip(found, found[1:], strict=False))
    kept = [(i.text, i.start_s) for i in found if i.text]
    assert kept == [(i.text, pytest.approx(i.start_s, abs=1e-5)) for i in intervals if i.text]


def test_tiers_that_overlap_are_refused() -> None:
    for wrong in ([Interval(0.0, 0.5, "a"), Interval(0.4, 0.6, "b")], [Interval(0.5, 2.0, "a")]):
        with pytest.raises(ValueError, match="intervals must follow each other up to 1 s"):
            format_textgrid({"words": wrong}, 1.0)


def test_a_clip_is_aligned_by_listening_unless_a_textgrid_tells() -> None:
    heard = heard_of(TOKENS, FRAMES)
    energy = np.zeros(sum(FRAMES))
    found = align_tokens_of_clip(TOKENS, WORDS, energy, None, heard)
    assert found.method == LISTENED and found.durations == FRAMES
    assert align_tokens_of_clip(TOKENS, WORDS, energy).method == EXPECTED
    tiers = {"words": [Interval(0.1, 0.3, "hello"), Interval(0.3, 0.5, "there")]}
    assert align_tokens_of_clip(TOKENS, WORDS, energy, tiers, heard).method == TEXTGRID
    with pytest.raises(ValueError, match="text of another clip"):
        align_tokens_of_clip(["<sil>", *"kstpfkst", "<sil>"], [-1, *[0] * 8, -1], energy, None, heard)


def test_a_listener_is_asked_for_clips_without_a_textgrid(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speech(0.8), RATE)
    one = prepare_clip(tmp_path, SOURCE, Settings(), 0.0, "s", None, Hearing())
    assert one.origin.alignment == LISTENED and sum(one.row.durations) == one.row.n_frames
    assert one.row.durations != prepare_clip(tmp_path, SOURCE, Settings(), 0.0, "s").row.durations


def test_a_corpus_is_aligned_by_listening_and_ends_with_the_same_bytes(
    recipe: ModuleType,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_corpus(tmp_path / "in", 6)
    monkeypatch.setattr(recipe, "load_listener_once", Hearing)
    options = ["corpus=folder", f"root={tmp_path}/in", "shard_size=2", "aligner=listened"]
    run(recipe, *options, f"output={tmp_path}/out")
    assert {line["alignment"] for line in lines(tmp_path / "out/origins.jsonl")} == {LISTENED}
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    (tmp_path / "out/shards/own-00001.json").unlink()
    run(recipe, *options, f"output={tmp_path}/out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert len(read_manifest(tmp_path / "out/manifest.jsonl")) == 6
    with pytest.raises(ValueError, match="was made from other clips or settings"):
        run(recipe, *options[:-1], f"output={tmp_path}/out")
    with pytest.raises(ValueError, match="aligner must be one of expected, listened; got 'guessed'"):
        run(recipe, *options[:-1], "aligner=guessed", f"output={tmp_path}/other")


@pytest.fixture(scope="module")
def spoken() -> tuple[np.ndarray, list[str], list[int], list[int], str]:
    """Speech of the bundled model with its own tokens, frames and words."""
    from emotts import EmoTTS

    text = "The children carried seven boxes across the street."
    result = EmoTTS.from_pretrained().synthesize(text, emotion="happy:0.6", seed=3)
    return result.waveform, result.tokens, result.durations, result.words, text


def test_the_trained_encoder_aligns_what_the_model_says(
    spoken: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emotts.cli import main

    waveform, tokens, durations, _, text = spoken
    soundfile.write(tmp_path / "a.wav", waveform, RATE)
    monkeypatch.delenv("EMOTTS_CONVERTER", raising=False)
    assert main(["align", str(tmp_path / "a.wav"), "--text", text, "-o", str(tmp_path / "a.TextGrid")]) == 0
    tiers = read_textgrid(tmp_path / "a.TextGrid")
    assert " ".join(word.text for word in tiers["words"] if word.text) == text[:-1]
    exact = _intervals(tokens, durations)
    found = [phone for phone in tiers["phones"] if phone.text]
    assert [phone.text for phone in found] == [phone.text for phone in exact]
    errors = np.abs([a.start_s - b.start_s for a, b in zip(found, exact, strict=True)])
    assert np.median(errors) < 0.025  # two frames
    assert (
        main(["align", str(tmp_path / "a.wav"), "--text", "Nobody knows where the old fisherman went at night."]) == 2
    )


def test_the_trained_encoder_hears_most_phonemes_of_the_model(spoken: tuple, tmp_path: Path) -> None:
    from emotts.content.segments import recognise
    from emotts.listeners import load_listener
    from emotts.text.symbols import is_pause, split_stress

    waveform, tokens, durations, *_ = spoken
    sounds = recognise(load_listener(CONVERTER).hear(waveform))
    assert sum(sounds.durations) == len(waveform) // SPEC.hop_length

    def frames(names: list[str], lengths: list[int]) -> np.ndarray:
        return np.repeat(["" if is_pause(name) else split_stress(name)[0] for name in names], lengths)

    said, heard = frames(tokens, durations), frames(sounds.tokens, sounds.durations)
    n = min(len(said), len(heard))
    assert (said[:n] == heard[:n])[said[:n] != ""].mean() > 0.5  # chance is below 0.1
