"""Preparing recorded corpora: what is stored can be trained on, bad clips are named, a killed run goes on to the same bytes."""

import importlib.util
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile
from miniatures import MINIATURES, POINTER, put, tone
from safetensors.numpy import load_file

from emotts.cli import main
from emotts.data import prepare as preparation
from emotts.data.alignment import EXPECTED, NO_TEXT, TEXTGRID, align, expected_frames, speech_bounds
from emotts.data.balance import balanced_weights
from emotts.data.clips import Clips, Draw
from emotts.data.corpora.rows import SourceRow
from emotts.data.dataset import Corpus, collate
from emotts.data.manifest import ManifestRow, emotion_of, read_manifest
from emotts.data.prepare_audio import at_gain, decode, speaker_gain_db, trim
from emotts.data.prepare_clip import RATING_STD, Settings, prepare_clip
from emotts.data.statistics import corpus_statistics
from emotts.data.textgrid import Interval, read_textgrid
from emotts.emotion.labels import LABELS

ROOT = Path(__file__).resolve().parent.parent
SOURCE = SourceRow("own-a", "a.wav", "own", "anna", "en-us", "CC0-1.0", "train", text="Hello there.", label="happy")
TOKENS = ["<sil>", "h", "ə", "l", "ˈoʊ", " ", "ð", "ˈɛ", "ɹ", ".", "<sil>"]
WORDS = [-1, 0, 0, 0, 0, -1, 1, 1, 1, -1, -1]


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    """The recipe as a module, so that a run costs no start of a process."""
    spec = importlib.util.spec_from_file_location("prepare_corpus_recipe", ROOT / "recipes/prepare_corpus.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = dict(os.environ)
    spec.loader.exec_module(module)
    os.environ.clear()
    os.environ.update(before)
    return module


def run(recipe: ModuleType, *options: str) -> None:
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(ROOT / "conf/prepare"), version_base=None):
        recipe.prepare(compose("prepare_corpus", overrides=["processes=1", *options]))


def own_corpus(root: Path, n: int) -> None:
    """Write a table and n clips of three speakers, two emotions and three levels."""
    rows = ["path,text,speaker,emotion,intensity,arousal,valence"]
    for k in range(n):
        put(root / f"clips/{k:03d}.wav", tone(f0=100.0 + 40 * (k % 3)))
        rows.append(
            f"clips/{k:03d}.wav,Hello there.,{'abc'[k % 3]},{('angry', 'neutral')[k % 2]},0.7,{0.5 if k % 2 else ''},"
        )
    put(root / "metadata.csv", "\n".join(rows))


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def prepared(recipe: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus, prepared in one go."""
    place = tmp_path_factory.mktemp("prepared")
    own_corpus(place / "in", 24)
    run(recipe, "corpus=folder", f"root={place}/in", f"output={place}/out", "shard_size=2", "corpus.licence=CC0-1.0")
    return place


def test_what_is_stored_can_be_trained_on(prepared: Path) -> None:
    rows = read_manifest(prepared / "out/manifest.jsonl")
    assert len(rows) == 24 and {row.split for row in rows} == {"train", "valid", "test"}
    row = rows[0]
    store = load_file(prepared / "out" / row.features)
    assert store[f"{row.id}.mel"].shape == (row.n_frames, 100) and store[f"{row.id}.mel"].dtype == np.float16
    assert store[f"{row.id}.f0"].shape == store[f"{row.id}.energy"].shape == (row.n_frames,)
    assert store[f"{row.id}.avd"].shape == (len(row.phonemes), 3)
    voiced = store[f"{row.id}.f0"][store[f"{row.id}.f0"] > 0]
    assert np.median(voiced) == pytest.approx(100.0, rel=0.02)
    waveform, rate = soundfile.read(prepared / "out" / row.audio)
    assert rate == 24_000 and len(waveform) / rate == pytest.approx(row.duration_s, abs=1e-3)
    voices = sorted({row.voice for row in rows if row.split == "train"})
    corpus = Corpus(prepared / "out", "train", voices)
    assert collate([corpus.utterance(i) for i in range(len(corpus))]).mel.shape[2] == 100
    clips = Clips(prepared / "out", rows, is_simulated=False)
    batch = clips.batch([0, 1, 2], np.random.default_rng(0), Draw(n_references=1))
    assert batch.target.avd_known[1, 0].tolist() == [True, False, False]


def test_the_report_and_the_origins_say_how_it_was_made(prepared: Path) -> None:
    report = json.loads((prepared / "out/report.json").read_text())
    assert report["utterances"] == 24 and report["alignment"] == {EXPECTED: 24} and report["licences"] == ["CC0-1.0"]
    origin = lines(prepared / "out/origins.jsonl")[1]
    assert (
        origin["source"] == "clips/001.wav"
        and origin["avd_weight"] == [1.0, 0.0, 0.0]
        and origin["alignment"] == EXPECTED
    )
    assert (prepared / "out/quarantine.jsonl").read_text() == ""


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(recipe: ModuleType, tmp_path: Path) -> None:
    """Two processes and kill -9 on the one hand, one process in one go on the other."""
    own_corpus(tmp_path / "in", 96)  # so many that the kill comes in time
    options = [
        "corpus=folder",
        f"root={tmp_path}/in",
        "shard_size=2",
        "corpus.licence=CC0-1.0",
    ]
    out, killed = tmp_path / "out", tmp_path / "killed"
    run(recipe, *options, f"output={out}")
    command = [sys.executable, "recipes/prepare_corpus.py", *options, f"output={killed}", "processes=2"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 600.0
    while not list((killed / "shards").glob("own-*.json")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list((killed / "shards").glob("own-*.json")))
    assert 1 <= done < 48 and not (killed / "manifest.jsonl").exists()
    for _ in range(1200):  # the workers end by themselves
        if not group_is_alive(process.pid):
            break
        time.sleep(0.1)
    assert not group_is_alive(process.pid)
    run(recipe, *options, f"output={killed}")
    for name in ("manifest.jsonl", "origins.jsonl", "quarantine.jsonl", "report.json", "sources.jsonl"):
        assert (killed / name).read_bytes() == (out / name).read_bytes(), name
    for path in (out / "features").iterdir():
        assert (killed / "features" / path.name).read_bytes() == path.read_bytes()
    assert not [path for path in killed.rglob("*") if "unfinished" in path.name]


def test_machines_that_share_the_work_make_the_same_bytes(recipe: ModuleType, prepared: Path) -> None:
    """Three machines with a third of the shards each, and one that joins them, prepare nothing twice."""
    options = [
        "corpus=folder",
        f"root={prepared}/in",
        f"output={prepared}/shared",
        "shard_size=2",
        "corpus.licence=CC0-1.0",
    ]
    for number in (3, 1, 2):
        run(recipe, *options, f"shard={number}/3")
        assert not (prepared / "shared/manifest.jsonl").exists()
    names = {path.name: path.stat().st_mtime_ns for path in (prepared / "shared/shards").iterdir()}
    assert len(names) == 12
    run(recipe, *options)
    assert names == {path.name: path.stat().st_mtime_ns for path in (prepared / "shared/shards").iterdir()}
    for folder in (".", "features"):
        for path in (prepared / "out" / folder).iterdir():
            if not path.is_file() or path.suffix == ".index":  # made when it is first opened
                continue
            if path.suffix != ".index":  # made by who reads a corpus, and says when
                assert (prepared / "shared" / folder / path.name).read_bytes() == path.read_bytes(), path.name


def group_is_alive(group: int) -> bool:
    """Whether a process of this group still runs; one that ended and was not yet collected does not."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):  # it ended just now
            continue
        if int(its_group) == group and state not in "ZX":
            return True
    return False


def test_five_percent_of_broken_clips_are_named_and_the_others_prepared(recipe: ModuleType, tmp_path: Path) -> None:
    own_corpus(tmp_path / "in", 80)
    silent, spoiled, cut = io.BytesIO(), io.BytesIO(), tone(kind="FLAC")
    soundfile.write(silent, np.zeros(16_000), 16_000, format="WAV")
    soundfile.write(spoiled, np.full(16_000, np.nan), 16_000, format="WAV", subtype="FLOAT")
    broken = {
        "007": silent.getvalue(),
        "019": spoiled.getvalue(),
        "042": cut[: len(cut) // 2],
        "077": b"RIFF, they said, but it is text.",
    }
    for name, content in broken.items():
        put(tmp_path / f"in/clips/{name}.wav", content)
    run(recipe, "corpus=folder", f"root={tmp_path}/in", f"output={tmp_path}/out")
    named = {line["place"]: line["reason"] for line in lines(tmp_path / "out/quarantine.jsonl")}
    assert set(named) == {f"own-clips_{name}" for name in broken}
    assert "is silent" in named["own-clips_007"] and "not finite" in named["own-clips_019"]
    assert "cannot be read as audio" in named["own-clips_077"]
    assert len(read_manifest(tmp_path / "out/manifest.jsonl")) == 76
    assert json.loads((tmp_path / "out/report.json").read_text())["quarantined"] == {"preparation": 4}


def test_votes_become_a_mixture_and_dialogues_one_channel(recipe: ModuleType, tmp_path: Path) -> None:
    for name in ("cremad", "expresso"):
        MINIATURES[name](tmp_path / name)
        run(
            recipe,
            f"corpus={name}",
            f"root={tmp_path}/{name}",
            f"output={tmp_path}/out/{name}",
            "settings.needs_text=false",
        )
    rows = {row.id: row for row in read_manifest(tmp_path / "out/cremad/manifest.jsonl")}
    row = rows["cremad-1001_IEO_ANG_HI"]
    assert row.label is None and row.mixture is not None and "neutral" not in row.mixture
    labels = load_file(tmp_path / "out/cremad" / row.features)[f"{row.id}.labels"]
    assert labels.shape == (len(row.phonemes), 12) and labels[0].sum() == pytest.approx(
        sum(row.mixture.values()), abs=1e-3
    )
    target, known = Clips(tmp_path / "out/cremad", [row], is_simulated=False).labels([0])
    assert known.all() and float(target.sum()) == pytest.approx(1.0, abs=1e-3)
    assert emotion_of(row) == "angry" and emotion_of(rows["cremad-1001_IEO_ANG_LO"]) == "mixed"
    turn = {row.id: row for row in read_manifest(tmp_path / "out/expresso/manifest.jsonl")}[
        "expresso-ex03-ex01_angry_005-2-000"
    ]
    assert turn.text == "" and turn.phonemes == ["<sil>", "<sil>"] and 0.9 < turn.duration_s < 1.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["corpus=esd"], "ESD: root must hold clips such as"),
        (["corpus=folder", "root=nowhere"], "own folder: root must be a folder"),
        (["corpus=folder", "+corpus.foo=1"], "corpus.foo is unknown; expected one of table, corpus, language"),
        (["corpus=folder", "+settings.loud=1"], "settings.loud is unknown"),
        (["corpus=folder", "corpus.name=os.system"], "corpus must be one of esd"),
        (["corpus=folder", "settings.loudness=max"], 'loudness must be "speaker" or "none"'),
        (["corpus=folder", "settings.phonemizer=x"], "phonemizer must be"),
        (["corpus=folder", "settings.level_db=loud"], "settings.level_db must be a number"),
        (["corpus=folder", "settings.unknown_intensity=9"], "unknown_intensity must lie in"),
        (["corpus=folder", "settings.textgrids=none"], "textgrids must be a folder"),
        (
            ["corpus=folder", "settings.max_duration_s=-1"],
            "settings.max_duration_s must be more than 0.3 s, the shortest",
        ),
        (["corpus=folder", "settings.max_duration_s=.nan"], "settings.max_duration_s must be a number"),
        (["corpus=folder", "settings.margin_s=-1"], "settings.margin_s must be 0 or more"),
        (["corpus=folder", "settings.needs_text=maybe"], "settings.needs_text must be true or false"),
        (["corpus=folder", "listing_only=true", "processes=abc"], "processes must be 1 or more; got 'abc'"),
        (["corpus=folder", "processes=0"], "processes must be 1 or more; got 0"),
        (["corpus=folder", "judge=nowhere"], "judge folder 'nowhere' does not exist"),
        (["corpus=folder", "relabel={angry: cross}"], "relabel.angry must be null or one of"),
        (["corpus=folder", "relabel={bitter: angry}"], "relabel.bitter: no clip has this label"),
        (["corpus=folder", "shard_size=0"], "shard_size must be 1 or more"),
        (["corpus=folder", "shard=9/8"], "shard must be i/n, such as 2/8"),
        (["corpus=folder", "shard=half"], "shard must be i/n, such as 2/8"),
    ],
)
def test_a_mistake_costs_one_line_and_writes_no_manifest(
    recipe: ModuleType, tmp_path: Path, options: list[str], message: str
) -> None:
    own_corpus(tmp_path / "in", 2)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        run(recipe, f"root={tmp_path}/in", f"output={tmp_path}/out", *options)
    assert "\n" not in str(error.value) and not (tmp_path / "out/manifest.jsonl").exists()


def test_other_clips_or_another_corpus_in_the_output_are_refused(recipe: ModuleType, tmp_path: Path) -> None:
    own_corpus(tmp_path / "in", 2)
    MINIATURES["tess"](tmp_path / "tess")
    options = [f"root={tmp_path}/in", f"output={tmp_path}/out", "corpus=folder"]
    run(recipe, *options, "relabel={angry: excited}")
    manifest = (tmp_path / "out/manifest.jsonl").read_bytes()
    assert b'"excited"' in manifest
    with pytest.raises(
        ValueError, match="was made from other clips or settings, or by an older version; choose another output folder"
    ):
        run(recipe, *options)
    with pytest.raises(ValueError, match="holds the corpus 'own'; choose another folder for 'tess'"):
        run(recipe, "corpus=tess", f"root={tmp_path}/tess", f"output={tmp_path}/out")
    assert (tmp_path / "out/manifest.jsonl").read_bytes() == manifest


def test_listing_alone_decodes_nothing(recipe: ModuleType, tmp_path: Path) -> None:
    MINIATURES["mead"](tmp_path / "mead")
    run(recipe, "corpus=mead", f"root={tmp_path}/mead", f"output={tmp_path}/out", "listing_only=true")
    of_speakers = [line for line in lines(tmp_path / "out/quarantine.jsonl") if "/" in line["place"]]
    assert len(lines(tmp_path / "out/sources.jsonl")) == 57 and len(of_speakers) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["quarantine.jsonl", "sources.jsonl"]


def test_a_part_is_held_against_the_size_of_the_part(
    recipe: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MINIATURES["esd"](tmp_path / "esd")
    part = ["corpus.languages=[en-us]", "corpus.split=sentences", "listing_only=true"]
    run(recipe, "corpus=esd", f"root={tmp_path}/esd", f"output={tmp_path}/out", *part)
    assert re.search(r"\d+ of 17500 published clips .* of 10 speakers", capsys.readouterr().err)


def test_a_corpus_without_texts_says_so_before_a_shard_is_finished(recipe: ModuleType, tmp_path: Path) -> None:
    MINIATURES["savee"](tmp_path / "savee")
    options = ["corpus=savee", f"root={tmp_path}/savee", f"output={tmp_path}/out"]
    with pytest.raises(ValueError, match="no clip could be prepared; settings.needs_text=false keeps them"):
        run(recipe, *options)
    run(recipe, *options, "settings.needs_text=false")  # into the same folder
    assert {row.text for row in read_manifest(tmp_path / "out/manifest.jsonl")} == {""}


def test_a_full_disk_costs_one_line_and_the_run_goes_on_later(
    recipe: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_corpus(tmp_path / "in", 2)

    def full(*_: object) -> None:
        raise preparation.SafetensorError("No space left on device")

    options = [f"root={tmp_path}/in", f"output={tmp_path}/out", "corpus=folder"]
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "save_file", full)
        with pytest.raises(
            OSError, match="shard own-00000 cannot be written .*No space left.* run the same command again"
        ):
            run(recipe, *options)
    run(recipe, *options)
    assert len(read_manifest(tmp_path / "out/manifest.jsonl")) == 2


class Hearing:
    """A judge that always hears the same."""

    def hear_mel(self, mel: object, f0: object) -> SimpleNamespace:
        labels = dict.fromkeys(LABELS, 0.0) | {"sad": 1.0}
        unit = np.array([0.6, 0.8], np.float32)
        std = (0.0, RATING_STD, 3 * RATING_STD)
        return SimpleNamespace(avd=(1.4, -0.2, 0.1), avd_std=std, labels=labels, embedding=unit)


def test_the_recogniser_fills_in_what_was_not_rated_with_its_uncertainty(tmp_path: Path) -> None:
    put(tmp_path / "a.wav")
    one = prepare_clip(tmp_path, replace(SOURCE, valence=0.7), Settings(), 0.0, "s", Hearing())  # type: ignore[arg-type]
    assert (one.row.arousal, one.row.valence, one.row.dominance) == (1.0, 0.7, 0.1)
    assert one.origin.avd_weight == [1.0, 1.0, 0.1]  # sure, rated, three times less sure than raters
    assert one.tensors["own-a.embedding"].tolist() == pytest.approx([0.6, 0.8], abs=1e-3)
    assert one.tensors["own-a.heard"].tolist() == [float(label == "sad") for label in LABELS]
    full = replace(SOURCE, arousal=0.1, valence=0.2, dominance=0.3)
    rated = prepare_clip(tmp_path, full, Settings(), 0.0, "s", Hearing())  # type: ignore[arg-type]
    assert "own-a.embedding" in rated.tensors and rated.row.arousal == 0.1
    none = prepare_clip(tmp_path, SOURCE, Settings(), 0.0, "s")
    assert none.row.arousal is None and none.origin.avd_weight == [0.0, 0.0, 0.0]
    assert not {"own-a.embedding", "own-a.heard"} & none.tensors.keys()


def test_clips_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    put(tmp_path / "a.wav")
    put(tmp_path / "b.m4a", b"\x00\x00\x00\x18ftypM4A ")
    for change, settings, message in (
        ({"text": None}, Settings(), "has no text"),
        ({"text": "Ja.", "language": "de"}, Settings(phonemizer="gruut"), r"is in de.*emotts\[espeak\]"),
        ({"text": "你好"}, Settings(), "cannot be spoken"),
        ({"text": "..."}, Settings(), "has a text without a word"),
        (
            {"text": "Seventy-six trombones led the big parade with a hundred and ten cornets close at hand. " * 2},
            Settings(),
            "do not fit into",
        ),
        ({"channel": 1}, Settings(), "has 1 channels; the speaker is on channel 2"),
        ({}, Settings(max_duration_s=0.5), "lasts 1 s; at most 0.5 s are taken"),
        ({"start_s": 5.0, "end_s": 6.0}, Settings(), "holds no samples"),
        ({"start_s": 0.2, "end_s": 0.3}, Settings(), "at least 0.3 s are taken"),
        ({"audio": "none.wav"}, Settings(), "is missing"),
        ({"audio": "b.m4a"}, Settings(), "install ffmpeg, or convert|cannot be decoded by ffmpeg"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            prepare_clip(tmp_path, replace(SOURCE, **change), settings, 0.0, "s")


def test_other_formats_go_through_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the program writes a wav to its output, without the sizes, as one does into a pipe."""
    data = bytearray(tone())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    put(tmp_path / "tone.wav", bytes(data))
    put(tmp_path / "bin/ffmpeg", f"#!/bin/sh\nexec cat '{tmp_path}/tone.wav'\n")
    (tmp_path / "bin/ffmpeg").chmod(0o755)
    put(tmp_path / "-a.mp4", b"\x00\x00\x00\x18ftypmp42")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    assert len(decode(tmp_path, replace(SOURCE, audio="-a.mp4"), 30.0)) == pytest.approx(0.8 * 24_000, abs=2)


def test_one_gain_per_speaker_keeps_loud_and_soft(tmp_path: Path) -> None:
    rows = []
    for k, factor in enumerate((0.1, 0.2, 0.4)):
        samples, rate = soundfile.read(io.BytesIO(tone()))
        soundfile.write(tmp_path / f"{k}.wav", samples * factor, rate, subtype="DOUBLE")  # as in EmoV-DB
        rows.append(replace(SOURCE, id=f"own-{k}", audio=f"{k}.wav"))
    gain_db = speaker_gain_db(tmp_path, rows, -25.0, 30.0)
    levels = [20 * np.log10(np.abs(at_gain(decode(tmp_path, row, 30.0), gain_db)).max()) for row in rows]
    assert np.diff(levels) == pytest.approx([6.02, 6.02], abs=0.1)
    assert speaker_gain_db(tmp_path, [replace(SOURCE, audio="none.wav")], -25.0, 30.0) == 0.0
    assert np.abs(at_gain(np.array([0.5], np.float32), 40.0)).max() <= 0.99
    cut = trim(np.pad(decode(tmp_path, rows[2], 30.0), 12_000), 0.1)
    assert cut.offset_s == pytest.approx(0.5, abs=0.03) and len(cut.waveform) / 24_000 == pytest.approx(0.8, abs=0.05)


def test_durations_follow_expectation_between_the_silences() -> None:
    energy = np.full(100, -9.0)
    energy[10:90] = -1.0
    found = align(TOKENS, WORDS, energy)
    assert found.method == EXPECTED and sum(found.durations) == 100 and speech_bounds(energy) == (10, 90)
    assert (found.durations[0], found.durations[-1]) == (10, 10)
    sounds = [d for token, d in zip(TOKENS, found.durations, strict=True) if token not in (" ", "<sil>", ".")]
    assert min(sounds) >= 1 and found.durations[TOKENS.index("ˈoʊ")] == max(sounds)
    inner = expected_frames(TOKENS[1:-1])
    assert np.abs(np.array(found.durations[1:-1]) - inner * 80 / inner.sum()).max() <= 2.0
    for n in range(10, 200):
        assert sum(align(TOKENS, WORDS, np.zeros(n)).durations) == n
    assert align(["<sil>", "<sil>"], [-1, -1], energy).method == NO_TEXT
    with pytest.raises(ValueError, match="7 phonemes do not fit into 0.09 s"):
        align(TOKENS, WORDS, np.zeros(8))
    with pytest.raises(ValueError, match="7 phonemes would fill 9.6 s"):
        align(TOKENS, WORDS, np.zeros(900))


WORD_TIER = [Interval(0.0, 0.2, ""), Interval(0.2, 0.52, "hello"), Interval(0.6, 0.9, "there"), Interval(0.9, 1.2, "")]


def test_words_and_phones_of_a_textgrid_keep_their_times() -> None:
    rate = 93.75
    words = align(TOKENS, WORDS, np.zeros(112), {"speaker - words": WORD_TIER})
    ends = np.cumsum(words.durations) / rate
    assert words.method == TEXTGRID and words.durations[5] == round(0.6 * rate) - round(0.52 * rate)
    assert ends[[0, 4, 8]] == pytest.approx([0.2, 0.52, 0.9], abs=0.006) and sum(words.durations) == 112
    phones = [
        Interval(a, b, "x") for a, b in ((0.2, 0.3), (0.3, 0.35), (0.35, 0.4), (0.4, 0.52), (0.6, 0.7), (0.7, 0.9))
    ]
    both = align(TOKENS, WORDS, np.zeros(112), {"words": WORD_TIER, "phones": phones})
    assert np.cumsum(both.durations)[1:4] / rate == pytest.approx([0.3, 0.35, 0.4], abs=0.006)
    with pytest.raises(ValueError, match="must have the 2 words of the text in a tier 'words'; got 1"):
        align(TOKENS, WORDS, np.zeros(112), {"words": WORD_TIER[:2]})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_textgrids_of_both_forms_are_read(tmp_path: Path, encoding: str) -> None:
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
    short = head + (
        '0\n1.2\n<exists>\n2\n"IntervalTier"\n"words"\n0\n1.2\n2\n0\n0.5\n"say ""hi"""\n0.5\n1.2\n""\n'
        '"TextTier"\n"bell"\n0\n1.2\n1\n0.3\n"ding"\n'
    )
    long = head + (
        "xmin = 0 \nxmax = 1.2 \ntiers? <exists> \nsize = 1 \nitem []: \n    item [1]:\n"
        '        class = "IntervalTier" \n        name = "Words" \n        xmin = 0 \n        xmax = 1.2 \n'
        "        intervals: size = 2 \n"
        '        intervals [1]:\n            xmin = 0 \n            xmax = 0.5 \n            text = "say ""hi""" \n'
        '        intervals [2]:\n            xmin = 0.5 \n            xmax = 1.2 \n            text = "" \n'
    )
    for text in (short, long):
        put(tmp_path / "a.TextGrid", text, encoding)
        assert read_textgrid(tmp_path / "a.TextGrid") == {
            "words": [Interval(0.0, 0.5, 'say "hi"'), Interval(0.5, 1.2, "")]
        }
        put(tmp_path / "a.TextGrid", text[:150], encoding)
        with pytest.raises(ValueError, match="breaks off"):
            read_textgrid(tmp_path / "a.TextGrid")
    put(tmp_path / "b.TextGrid", POINTER)
    with pytest.raises(ValueError, match="is no TextGrid|breaks off"):
        read_textgrid(tmp_path / "b.TextGrid")


def test_a_textgrid_beside_the_clips_is_used(tmp_path: Path) -> None:
    put(tmp_path / "in/x/a.wav", tone(1.4))
    body = "".join(f'{i.start_s + 0.1}\n{i.end_s + 0.1}\n"{i.text}"\n' for i in WORD_TIER[1:3])
    put(
        tmp_path / "grids/x/a.TextGrid",
        f'"ooTextFile"\n"TextGrid"\n0\n1.4\n<exists>\n1\n"IntervalTier"\n"words"\n0\n1.4\n2\n{body}',
    )
    row = replace(SOURCE, audio="x/a.wav")
    one = prepare_clip(tmp_path / "in", row, Settings(textgrids=str(tmp_path / "grids")), 0.0, "s")
    assert one.origin.alignment == TEXTGRID
    cut_s = 0.3 - sum(one.row.durations[:1]) / 93.75  # what was trimmed from the start
    assert 0.0 <= cut_s < 0.05
    assert prepare_clip(tmp_path / "in", row, Settings(), 0.0, "s").origin.alignment == EXPECTED


def manifest_row(name: str, **change: object) -> ManifestRow:
    values = {"label": "happy", "voice": "v", "arousal": None, "mixture": None} | change
    return ManifestRow(
        id=name, audio="a.flac", text=name, language="en-us", phonemes=["<sil>", "<sil>"], durations=[50, 43], intensity=1.0,
        valence=None, dominance=None, split="train", licence="CC0-1.0", n_frames=93, duration_s=1.0, features="f", **values,
    )  # fmt: skip


def test_balanced_weights_make_cells_alike() -> None:
    rows = [manifest_row(f"h{k}") for k in range(90)] + [manifest_row(f"s{k}", label="sad") for k in range(10)]
    weights = balanced_weights(rows, {})
    assert weights.sum() == pytest.approx(1.0) and weights[90:].sum() == pytest.approx(0.5)
    assert balanced_weights(rows, {}, power=0.0) == pytest.approx(np.full(100, 0.01))
    assert balanced_weights(rows, {f"h{k}": "x" for k in range(45)})[:45].sum() == pytest.approx(1 / 3)
    limited = balanced_weights(rows, {}, most=2.0)
    assert limited.max() == pytest.approx(0.02) and limited.sum() == pytest.approx(1.0)
    assert emotion_of(manifest_row("n", label=None)) == "unlabelled"
    assert emotion_of(manifest_row("m", label=None, mixture={"sad": 0.2})) == "neutral"
    for bad in ({"power": 2.0}, {"most": 0.5}):
        with pytest.raises(ValueError, match="power must lie in"):
            balanced_weights(rows, {}, **bad)
    with pytest.raises(ValueError, match="at least one row"):
        balanced_weights([], {})


def test_statistics_count_hours_and_histograms() -> None:
    found = corpus_statistics(
        [manifest_row("a", arousal=-1.0), manifest_row("b", arousal=1.0, label=None, voice="w"), manifest_row("c")]
    )
    assert found.utterances == 3 and found.hours_by["voice"] == {"v": round(2 / 3_600, 4), "w": round(1 / 3_600, 4)}
    assert found.histograms["arousal"] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1] and found.rated == {
        "arousal": 2,
        "valence": 0,
        "dominance": 0,
    }
    assert found.means == {"arousal": 0.0, "valence": None, "dominance": None}
    assert set(found.hours_by["emotion"]) == {"happy", "unlabelled"}


def test_the_command_prints_and_draws(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "stats.png"
    assert main(["data", "stats", str(prepared / "out"), "--plot", str(picture)]) == 0
    shown = capsys.readouterr().out
    assert "utterances         24" in shown and "own-a" in shown and "valence    not rated" in shown
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["data", "stats", str(prepared / "out/manifest.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rated"]["arousal"] == 12
    for arguments, message in (
        (["nowhere"], "manifest 'nowhere' does not exist; prepare a corpus first"),
        ([str(prepared / "out"), "--plot", str(picture)], "exists; give another name or --force"),
        ([str(prepared / "out"), "--plot", "a.jpg"], "plot must end in .png"),
        ([str(prepared / "in/metadata.csv")], "line 1: a manifest line must be a JSON object"),
    ):
        assert main(["data", "stats", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_the_page_names_every_corpus_and_its_commands_compose() -> None:
    from hydra import compose, initialize_config_dir

    from emotts.data.corpora.registry import corpus_facts

    page = (ROOT / "docs/train_your_own.md").read_text(encoding="utf-8")
    for name, facts in corpus_facts().items():
        line = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
        assert facts.licence in line and facts.example in line and facts.split in line
    commands = [line.split()[2:] for line in page.splitlines() if line.startswith("python recipes/prepare_corpus.py")]
    assert len(commands) >= 5
    with initialize_config_dir(str(ROOT / "conf/prepare"), version_base=None):
        for options in commands:
            compose("prepare_corpus", overrides=options)


@pytest.mark.parametrize("path", sorted((ROOT / "conf/prepare/corpus").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_configuration_builds_its_loader(recipe: ModuleType, path: Path) -> None:
    from omegaconf import OmegaConf

    from emotts.data.corpora.registry import CORPORA

    loader = recipe.build_corpus(OmegaConf.load(path))
    assert loader == CORPORA[path.stem]()  # its numbers are the defaults of the class
    assert f"recipes/prepare_corpus.py corpus={path.stem}" in path.read_text(encoding="utf-8")
