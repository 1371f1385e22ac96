"""What a recipe learns from and what it is judged on: speaker-disjoint corpora, without a text, with votes, with ratings alone."""

import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from miniatures import MINIATURES, put, tone
from omegaconf import OmegaConf
from test_dataset import write_corpus

from emotts.checkpoint import load_checkpoint
from emotts.data.clips import Clips
from emotts.data.manifest import read_manifest, write_manifest
from emotts.data.rows import open_rows

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "recipes"))

from held_out import hold_out, load_train_and_valid, read_train_and_valid  # noqa: E402

TINY = [
    "recognizer=tiny",
    "max_frames=2000",
    "n_references=1",
    "schedule.max_steps=2",
    "schedule.decay_steps=0",
    "device=cpu",
]
ACOUSTIC = [
    "acoustic=tiny",
    "max_frames=2000",
    "schedule.max_steps=2",
    "schedule.decay_steps=0",
    "precision=fp32",
    "device=cpu",
]


def ravdess(root: Path) -> None:
    """Write four actors: by the first fold 01 tests, 04 validates and two train. One sentence is not spoken by 03."""
    for actor in ("01", "02", "03", "04"):
        for emotion in ("01", "03", "04", "05"):
            for statement in ("01", "02"):
                name = f"03-01-{emotion}-01-{statement}-01-{actor}.wav"
                put(root / f"Actor_{actor}/{name}", tone(f0=100.0 + 20.0 * int(actor) + 10.0 * int(emotion)))


def mead(root: Path) -> None:
    """Write two speakers of MEAD as wav: neutral sentences and angry ones."""
    for speaker, f0 in (("M003", 120.0), ("W009", 220.0)):
        for emotion, level, n in (("neutral", 1, 20), ("angry", 3, 12)):
            for k in range(1, n + 1):
                put(root / f"{speaker}/audio/{emotion}/level_{level}/{k:03d}.wav", tone(f0=f0 * level**0.2))


def rated(root: Path) -> None:
    """Write a folder with ratings and no labels."""
    lines = ["path,text,speaker,arousal,valence,dominance,split"]
    for k in range(24):
        put(root / f"clips/{k:02d}.wav", tone(f0=100.0 + 4.0 * k))
        lines.append(
            f"clips/{k:02d}.wav,Hello there.,{'abcd'[k % 4]},{k % 5 - 2},{k % 3 - 1},,{('train', 'valid', 'test')[k % 3]}"
        )
    put(root / "metadata.csv", "\n".join(lines))


MADE: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "ravdess": (ravdess, ()),
    "cremad": (MINIATURES["cremad"], ("corpus.fold=2",)),  # two actors train, one tests, nobody validates
    "savee": (MINIATURES["savee"], ("settings.needs_text=false",)),
    "mead": (mead, ("settings.needs_text=false", "corpus.split=sentences")),
    "folder": (rated, ("corpus.licence=CC0-1.0", "corpus.scale=[-2,2]", "corpus.corpus=rated")),
}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Prepare a corpus when it is first asked for."""
    place, prepare = tmp_path_factory.mktemp("splits"), import_module("prepare_corpus").prepare

    def prepared(name: str) -> str:
        output = place / name
        if not output.exists():
            write, options = MADE[name]
            write(place / "in" / name)
            given = ["processes=1", f"corpus={name}", f"root={place}/in/{name}", f"output={output}", *options]
            with initialize_config_dir(str(ROOT / "conf/prepare"), version_base="1.3"):
                prepare(compose("prepare_corpus", overrides=given))
        return str(output)

    yield prepared


def run(recipe: str, patch: pytest.MonkeyPatch, *options: str) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose(recipe, overrides=list(options))
    patch.setattr(sys, "argv", [f"recipes/{recipe}.py", *options])
    import_module(recipe).main(config)


@pytest.mark.parametrize(
    ("names", "n", "has", "lacks", "said"),
    [
        (["ravdess"], {"train": 16, "calibration": 8, "test": 8}, {"uar_all_intensities"}, {"ccc_arousal"}, ""),
        (["cremad"], {}, {"uar_all_intensities"}, {"ccc_valence"}, "1 of {} rows of train are held out, by clips"),
        (["savee"], {"train": 2, "calibration": 1, "test": 1}, {"uar"}, {"ccc_arousal"}, ""),
        (
            ["mead"],
            {"train": 16, "calibration": 16, "test": 32},
            {"uar"},
            {"ccc_arousal"},
            "2 voices of test are voices of train",
        ),
        (
            ["folder"],
            {"train": 8, "calibration": 8, "test": 8},
            {"ccc_arousal", "ccc_valence"},
            {"uar", "ccc_dominance"},
            "",
        ),
        (
            ["ravdess", "folder", "savee"],
            {"train": 26, "calibration": 17, "test": 17},
            {"uar", "ccc_arousal"},
            set(),
            "",
        ),
    ],
)
def test_the_recogniser_learns_from_recordings_as_they_are_split(
    names: list[str], n: dict[str, int], has: set[str], lacks: set[str], said: str,
    corpora: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folders = ",".join(corpora(name) for name in names)
    capsys.readouterr()
    run("train_recognizer", monkeypatch, f"corpus=[{folders}]", f"output={tmp_path}/run", *TINY)
    told = capsys.readouterr().out
    if not n:  # of a corpus without a split valid
        split = [row.split for row in read_manifest(f"{folders}/manifest.jsonl")]
        n = {"train": split.count("train") - 1, "calibration": 1, "test": split.count("test")}
    assert json.dumps(n) in told and said.format(n["train"] + 1) in told
    metadata = load_checkpoint(tmp_path / "run/export")[1]
    figures = json.loads((tmp_path / "run/export-figures.json").read_text())
    assert metadata["figures"] == figures and metadata["steps"] == 2 and metadata["split"] == "of the manifest"
    assert figures["test"]["n_clips"] == n["test"] and all(0.1 <= t <= 10.0 for t in figures["temperature"])
    assert has <= figures["test"].keys() and not lacks & figures["test"].keys()
    assert {"noise_10db", "telephone"} <= figures.keys() and not (tmp_path / "run/f0.safetensors").exists()
    known = figures.get("test_known", {"n_clips": 0})["n_clips"]
    assert known < n["test"], "the clips that tell a voice are not measured"


def test_voices_of_recordings_may_be_named_and_what_then_lacks_is_said(corpora: Callable[[str], str]) -> None:
    from recognizer_data import parts_of

    folders = {name: corpora(name) for name in ("ravdess", "mead")}
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):

        def asked(name: str, *options: str) -> object:
            return parts_of(compose("train_recognizer", overrides=[f"corpus={folders[name]}", *options]))

        with pytest.raises(
            ValueError, match=r"no rows for .*calibration \(the other half.* test \(rows of valid.*leave voices"
        ):
            asked("ravdess", "voices=[ravdess-02,ravdess-03]", "held_out=[ravdess-01,ravdess-04]")
        with pytest.raises(ValueError, match="voices and held_out belong together; only voices is given"):
            asked("ravdess", "voices=[ravdess-02]")
        parts = dict(asked("mead", "voices=[mead-M*]", "held_out=[mead-W*]").items())  # type: ignore[attr-defined]
    assert {name: len(part.rows) for name, part in parts.items()} == {
        "train": 8, "calibration": 8, "test": 24, "own_voices": 24,
    }, "without a text all rows of train are of both halves"  # fmt: skip


def test_a_simulated_corpus_of_other_voices_is_told_what_to_name(tmp_path: Path) -> None:
    from recognizer_data import parts_of

    folder = write_corpus(tmp_path, n=24)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train_recognizer", overrides=[f"corpus={folder}"])
        with pytest.raises(
            ValueError, match=r"name some of them by voices= and others by held_out=.*is_simulated=false"
        ):
            parts_of(config)


def test_a_part_without_rows_is_named_with_what_would_give_them(corpora: Callable[[str], str], tmp_path: Path) -> None:
    from recognizer_data import by_split

    rows = [row for row in read_manifest(f"{corpora('ravdess')}/manifest.jsonl") if row.split != "test"]
    write_manifest(tmp_path / "manifest.jsonl", rows)
    with pytest.raises(
        ValueError, match="no rows of the split test that have a label.*measured on test; prepare with another"
    ):
        by_split(open_rows(tmp_path), [str(tmp_path)])


def test_simulation_is_known_by_its_missing_origins_and_guesses_teach_nothing(
    corpora: Callable[[str], str], tmp_path: Path
) -> None:
    from recognizer_data import by_voice, named_voices, simulated

    made = open_rows(write_corpus(tmp_path, n=12), with_features=True)
    assert simulated(made).all() and not simulated(open_rows(corpora("ravdess"))).any()
    default = OmegaConf.load(ROOT / "conf/train_recognizer.yaml")
    named = named_voices(default, True)
    assert named == (["heart", "ada", "max", "otto", "joe"], ["pip", "leo", "kumo", "sora"])
    assert named_voices(default, False) is None
    with pytest.raises(ValueError, match="The voices of its split train are a, b"):
        by_voice(made, [str(tmp_path)], *named)

    origins = [{"id": row.id, "corpus": "x", "avd_weight": [1.0, 0.4, 0.0]} for row in made]
    assert Clips(tmp_path, made).points([2])[1].tolist() == [[True, True, True]]
    (tmp_path / "origins.jsonl").write_text("".join(json.dumps(one) + "\n" for one in origins))
    recorded = open_rows(tmp_path, with_features=True)
    assert Clips(tmp_path, recorded, is_simulated=simulated(recorded)).points([2])[1].tolist() == [[True, False, False]]


def test_joined_corpora_stay_recorded_or_simulated(
    corpora: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recognizer_data import simulated

    (tmp_path / "made").mkdir()
    parts = [str(write_corpus(tmp_path / "made", n=6)), corpora("folder")]
    monkeypatch.setattr(sys, "argv", ["recipes/join_corpora.py", str(tmp_path / "joined"), *parts])
    import_module("join_corpora").main()
    rows, old = open_rows(tmp_path / "joined", with_features=True), open_rows(parts[1])
    assert simulated(rows).tolist() == [True] * 6 + [False] * len(old)
    np.testing.assert_array_equal(rows.column("trust")[6:], old.column("trust"))


def test_voices_that_never_train_are_not_shipped(
    corpora: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = corpora("ravdess")
    capsys.readouterr()
    run("train_acoustic", monkeypatch, f"corpus={folder}", f"output={tmp_path}/run", *ACOUSTIC)
    told = capsys.readouterr().out
    assert (
        f"{folder}: none of the split valid has the voices of train; 1 of 16 rows of train are held out, by clips."
        in told
    )
    built = yaml.safe_load((tmp_path / "run/export/config.yaml").read_text())
    assert built["acoustic"]["voices"] == ["ravdess-02", "ravdess-03"]
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [row["split"] for row in rows] == ["valid"] and np.isfinite(rows[0]["mel"])


def without_valid(prepared: str, folder: Path) -> str:
    """Write a corpus in which what validated trains."""
    folder.mkdir()
    for name in ("audio", "features", "origins.jsonl"):
        (folder / name).symlink_to(Path(prepared) / name)
    text = (Path(prepared) / "manifest.jsonl").read_text(encoding="utf-8")
    (folder / "manifest.jsonl").write_text(text.replace('"split": "valid"', '"split": "train"'), encoding="utf-8")
    return str(folder)


def test_a_corpus_without_a_valid_part_trains(
    corpora: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """MEAD has no texts, and the vocoder needs none."""
    said = without_valid(corpora("ravdess"), tmp_path / "said")
    silent = without_valid(corpora("mead"), tmp_path / "silent")
    run("train_acoustic", monkeypatch, f"corpus={said}", f"output={tmp_path}/acoustic", *ACOUSTIC)
    assert f"{said}: none of the split valid is there; 1 of 24 rows of train are held out" in capsys.readouterr().out
    few = ["vocoder=tiny", "batch_size=2", "crop_frames=32", "resolutions=[256,512]", "n_valid=9", *ACOUSTIC[2:]]
    run("train_vocoder", monkeypatch, f"corpus=[{said},{silent}]", f"output={tmp_path}/vocoder", *few)
    assert "2 of 56 rows of train are held out, by clips" in capsys.readouterr().out
    assert len(list((tmp_path / "vocoder/samples").glob("*-recording.wav"))) == 2
    with pytest.raises(ValueError, match="no rows of split 'train'.*0 long, 32 without a text.*prepare it with texts"):
        read_train_and_valid(silent)
    train, valid = load_train_and_valid([said], 1_000, 1.0, "test")
    assert [len(part[0]) for part in (train, valid)] == [24, 8], "strangers judge a model of any voice"
    rows = [row for row in read_manifest(f"{said}/manifest.jsonl") if row.split == "train"]
    write_manifest(f"{said}/manifest.jsonl", rows)
    train, valid = load_train_and_valid([said], 1_000, 1.0, "test")
    ids = [{row.id for row in part[0].rows} for part in (train, valid)]
    assert list(map(len, ids)) == [23, 1] and not ids[0] & ids[1]


def test_finetuning_holds_out_of_the_one_split_that_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from finetune_data import read_corpus

    folder = write_corpus(tmp_path, n=40)
    rows = [
        json.loads(line) | {"split": "train", "voice": "mia"}
        for line in (folder / "manifest.jsonl").read_text().splitlines()
    ]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    train, valid = read_corpus(SimpleNamespace(corpus=str(folder), voice="ida", again=False, checkpoint="x"), ["old"])  # type: ignore[arg-type]
    assert (len(train), len(valid)) == (38, 2) and "2 of 40 rows of train are held out" in capsys.readouterr().out
    assert valid.voices == ["old", "ida"] and valid.rows[0].voice == "ida" and valid.utterance(0).voice == 1


# -- which rows


def listed(folder: Path, cells: list[tuple[str, str]]) -> Path:
    """Write a corpus with a row for each voice and text."""
    write_corpus(folder, n=len(cells))
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    for row, (voice, text) in zip(rows, cells, strict=True):
        row |= {"voice": voice, "text": text, "split": "train"}
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_sentences_are_held_out_whole_and_clips_where_there_are_few(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    (tmp_path / "few").mkdir()
    many = open_rows(listed(tmp_path / "many", [("ab"[k % 2], f"Sentence {k // 2}.") for k in range(120)]))
    part = hold_out(many)
    there, left = ({row.text for row in many.taken(mask)} for mask in (part.mask, ~part.mask))
    assert part.unit == "sentences" and part.mask.sum() == 6 and not there & left
    assert np.array_equal(part.mask, hold_out(many).mask)
    few = open_rows(listed(tmp_path / "few", [("ab"[k % 2], "ABC"[k % 3]) for k in range(60)]))
    part = hold_out(few)
    assert part.unit == "clips" and part.mask.sum() == 3


def test_a_sentence_that_a_voice_cannot_spare_is_not_held_out(tmp_path: Path) -> None:
    """One voice says everything, forty others one sentence each: what these say stays, with the first one's clip of it."""
    said = [("a", f"Sentence {k}.") for k in range(100)] + [(f"v{k}", f"Sentence {2 * k}.") for k in range(40)]
    rows = open_rows(listed(tmp_path, said))
    part = hold_out(rows, share=10)
    there, left = ({row.text for row in rows.taken(mask)} for mask in (part.mask, ~part.mask))
    assert part.unit == "sentences" and part.mask.sum() > 1 and not there & left
    assert set(rows.taken(~part.mask).names("voice")) == {voice for voice, _ in said}


def test_every_voice_keeps_a_clip(tmp_path: Path) -> None:
    rows = open_rows(
        listed(tmp_path, [("a", "One."), *((voice, f"Text {voice}.") for voice in "bcdefghijk"), ("a", "Two.")])
    )
    part = hold_out(rows, share=2)
    assert set(rows.taken(~part.mask).names("voice")) == set("abcdefghijk") and part.mask.sum() == 1
    with pytest.raises(ValueError, match="every voice of train has one clip"):
        hold_out(rows.taken(np.arange(len(rows) - 1)))


def test_what_is_split_for_its_voices_stays_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_corpus(tmp_path, n=24)
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    for k, row in enumerate(rows):
        row["split"] = "valid" if k % 6 > 3 else "train"
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    train, valid = read_train_and_valid(folder)
    for part, split in ((train, "train"), (valid, "valid")):
        assert [row.id for row in part.rows] == [row.id for row in open_rows(folder).of(split)]
    assert train.voices == valid.voices == ["a", "b"] and not capsys.readouterr().out
    _, valid = read_train_and_valid(folder, ["b", "nobody"])
    assert valid.voices == ["b", "nobody"] and {row.voice for row in valid.rows} == {"b"}


@pytest.mark.parametrize("recipe", ["train_recognizer", "train_judge"])
def test_nothing_that_is_shipped_is_overwritten_unasked(recipe: str) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        assert compose(recipe, overrides=["output=elsewhere"]).export == "elsewhere/export"
        assert compose(recipe).export.startswith("runs/")
