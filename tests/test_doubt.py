"""Doubtful labels: wrong ones that were put into a corpus are found at the top, by neighbours of other voices and sentences."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, ignore_patterns
from types import ModuleType

import numpy as np
import pytest
from miniatures import put, tone
from safetensors.numpy import load_file, save_file
from test_prepare import own_corpus, recipe, run  # noqa: F401

from emotts.cli import main
from emotts.data.doubt import NEIGHBOURS, find_doubts, neighbour_votes
from emotts.data.index_build import number_of
from emotts.data.rows import open_rows
from emotts.emotion.labels import LABELS

KINDS = {"angry": (330.0, 0.9), "sad": (95.0, 1.6), "neutral": (170.0, 1.2)}  # F0 in Hz, seconds
VOICES, SENTENCES = "abcdef", ("Hello there.", "Good morning.", "Come in, please.")
WRONG = {"angry-b-1": "sad", "sad-e-0": "neutral", "neutral-c-2": "angry"}


def write_recordings(root: Path) -> None:
    """Three emotions that differ in pitch and length, each by six voices in three sentences; three labels are wrong."""
    rows = ["path,text,speaker,emotion,arousal,valence,dominance,split"]
    for emotion, (f0, seconds) in KINDS.items():
        for k, voice in enumerate(VOICES):
            for s, sentence in enumerate(SENTENCES):
                name = f"{emotion}-{voice}-{s}"
                put(root / f"{name}.wav", tone(seconds + 0.05 * s, f0=f0 * (1.0 + 0.01 * k)))
                rows.append(f'{name}.wav,"{sentence}",{voice},{WRONG.get(name, emotion)},0.1,0.1,0.1,train')
    put(root / "metadata.csv", "\n".join(rows))


@pytest.fixture(scope="module")
def heard(recipe: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A corpus that the recogniser heard, all of whose clips are rated."""
    place = tmp_path_factory.mktemp("doubt")
    write_recordings(place / "in")
    run(recipe, "corpus=folder", f"root={place}/in", f"output={place}/out", "judge=bundled", "shard_size=20")
    return place


def test_what_the_recogniser_hears_is_stored_with_every_clip(heard: Path) -> None:
    rows = [json.loads(line) for line in (heard / "out/manifest.jsonl").read_text().splitlines()]
    assert len(rows) == 54 and {row["arousal"] for row in rows} == {0.1}
    for row in rows:
        store = load_file(heard / "out" / row["features"])
        assert np.linalg.norm(store[f"{row['id']}.embedding"]) == pytest.approx(1.0, abs=2e-3)
        assert store[f"{row['id']}.heard"].shape == (len(LABELS),)
        assert store[f"{row['id']}.heard"].sum() == pytest.approx(1.0, abs=5e-3)


def test_a_stopped_run_hears_the_same_again_and_no_other_recogniser_is_mixed_in(
    recipe: ModuleType,  # noqa: F811
    heard: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = ["corpus=folder", f"root={heard}/in", f"output={heard}/out", "judge=bundled", "shard_size=20"]

    def content() -> dict[Path, bytes]:
        files = (path for path in (heard / "out").rglob("*") if path.is_file() and path.suffix != ".index")
        return {path: path.read_bytes() for path in files}

    before = content()
    (heard / "out/shards/own-00001.json").unlink()
    (heard / "out/features/own-00001.safetensors").unlink()
    run(recipe, *options)
    assert content() == before
    monkeypatch.setattr("emotts.listeners.fingerprint", lambda module: "others")
    with pytest.raises(ValueError, match="was made from other clips or settings"):
        run(recipe, *options)


def test_wrong_labels_are_found_at_the_top(heard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "stats", str(heard / "out"), "--doubtful", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["doubtful"]
    assert {clip["id"] for clip in found["clips"][:3]} == {f"own-{name}" for name in WRONG} and len(found["clips"]) == 5
    assert found["contradicted"] == {"angry": 1, "neutral": 1, "sad": 1}
    assert found["judged"] == {"angry": 18, "neutral": 18, "sad": 18} and found["left_out"] == 0
    first = next(clip for clip in found["clips"] if clip["id"] == "own-angry-b-1")
    assert first["label"] == "sad" and next(iter(first["neighbours"])) == "angry" and first["doubt"] > 0.9
    assert main(["data", "stats", str(heard / "out"), "--doubtful", "3"]) == 0
    shown = capsys.readouterr().out
    assert "         1 of       18  angry\n" in shown and "own-angry-b-1: sad; neighbours " in shown


def test_without_a_recogniser_it_says_how_to_get_one(
    recipe: ModuleType,  # noqa: F811
    heard: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own_corpus(tmp_path / "in", 2)
    run(recipe, "corpus=folder", f"root={tmp_path}/in", f"output={tmp_path}/out")
    capsys.readouterr()
    for folder, n, message in (
        (tmp_path / "out", "3", "no clip has the embedding of a recogniser; prepare the corpus with judge=bundled"),
        (heard / "out", "0", "doubtful must be 1 or more clips; got 0."),
    ):
        assert main(["data", "stats", str(folder), "--doubtful", n]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_embeddings_of_two_recognisers_are_not_compared(heard: Path, tmp_path: Path) -> None:
    copytree(heard / "out", tmp_path / "out", ignore=ignore_patterns("*.index"))
    shard = tmp_path / "out/features/own-00001.safetensors"
    tensors = load_file(shard)
    name = next(name for name in tensors if name.endswith(".embedding"))
    save_file(tensors | {name: np.ones(3, np.float16)}, shard)
    with pytest.raises(
        ValueError, match=f"{name.removesuffix('.embedding')} has an embedding of 3 numbers and other rows"
    ):
        find_doubts(open_rows(tmp_path / "out"), 3)
    shard.write_bytes(b"no shard")
    with pytest.raises(ValueError, match="own-00001.safetensors is not a shard of features"):
        find_doubts(open_rows(tmp_path / "out"), 3)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match="own-00001.safetensors is missing; prepare the corpus again"):
        find_doubts(open_rows(tmp_path / "out"), 3)


def by_hand(embedding: np.ndarray, label: np.ndarray, is_other: Callable[[int, int], bool]) -> np.ndarray:
    votes = np.zeros((len(label), len(LABELS)))
    for i in range(len(label)):
        near = sorted(
            (j for j in range(len(label)) if is_other(i, j)), key=lambda j: -float(embedding[i] @ embedding[j])
        )
        for j in near[:NEIGHBOURS]:
            votes[i, label[j]] += 1
    return votes


def test_neighbours_are_of_other_voices_and_sentences() -> None:
    random = np.random.default_rng(0)
    embedding = random.standard_normal((600, 8)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    label, voice = random.integers(0, 4, 600), random.integers(0, 3, 600)
    text = np.array([number_of(("", "a", "b")[k]) for k in random.integers(0, 3, 600)], np.uint64)
    silent = np.uint64(number_of(""))

    def says_else(i: int, j: int) -> bool:
        return i != j and (text[i] != text[j] or text[i] == silent)

    expected = by_hand(embedding, label, lambda i, j: says_else(i, j) and voice[i] != voice[j])
    assert (neighbour_votes(embedding, label, voice, text) == expected).all()
    alone = np.zeros(600, np.int64)
    assert (neighbour_votes(embedding, label, alone, text) == by_hand(embedding, label, says_else)).all()
    few = neighbour_votes(embedding[:3], label[:3], np.array([0, 0, 1]), np.array([1, 2, 3], np.uint64))
    assert few.sum(axis=1).tolist() == [1, 1, 2]
