"""Shards are merged and corpora joined row by row: memory does not grow with the shards, and what fails leaves all as it was."""

import json
import sys
import tracemalloc
from importlib import import_module
from pathlib import Path

import pytest
from test_dataset import write_corpus

from emotts.data.corpora.registry import corpus_facts
from emotts.data.corpora.rows import Listing, Problem
from emotts.data.manifest import read_manifest, writing
from emotts.data.prepare import Job, Shard, merge_shards
from emotts.data.prepare_clip import Settings

sys.path.insert(0, str(Path(__file__).parent.parent / "recipes"))

FILES = ("manifest.jsonl", "origins.jsonl", "quarantine.jsonl", "report.json")
SHARD = 100


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = write_corpus(tmp_path_factory.mktemp("made"), n=1)
    return json.loads((Path(folder) / "manifest.jsonl").read_text(encoding="utf-8").splitlines()[0])


def shards_of(output: Path, row: dict[str, object], n_shards: int) -> list[Shard]:
    """Write the records of shards as `prepare_shard` does; the first clip of each was not taken."""
    (output / "shards").mkdir(parents=True)
    shards = [Shard(f"own-{number:05d}", (), ()) for number in range(n_shards)]
    for shard in shards:
        names = [f"{shard.name}-{k}" for k in range(SHARD)]
        origins = [
            {"id": name, "corpus": "own", "alignment": "expected", "avd_weight": [0.4, 1.0, 0.0]} for name in names[1:]
        ]
        record = {"fingerprint": "", "rows": [row | {"id": name} for name in names[1:]], "origins": origins}
        record["problems"] = [{"place": names[0], "reason": "is silent."}]
        (output / "shards" / f"{shard.name}.json").write_text(json.dumps(record), encoding="utf-8")
    return shards


def merge(output: Path, shards: list[Shard]) -> dict[str, object]:
    listing = Listing([], [Problem("b.wav", "is missing.")])
    return merge_shards(Job(output, output, Settings()), shards, listing, corpus_facts()["folder"])


def test_what_is_merged_is_counted(row: dict[str, object], tmp_path: Path) -> None:
    report = merge(tmp_path, shards_of(tmp_path, row, 3))
    assert report["utterances"] == report["filled_by_recogniser"] == 3 * (SHARD - 1)
    assert report["quarantined"] == {"listing": 1, "preparation": 3} and report["alignment"] == {
        "expected": 3 * (SHARD - 1)
    }
    assert [r.id for r in read_manifest(tmp_path / FILES[0])][:2] == ["own-00000-1", "own-00000-2"]
    assert len((tmp_path / FILES[1]).read_text().splitlines()) == 3 * (SHARD - 1)
    assert [json.loads(line)["place"] for line in (tmp_path / FILES[2]).read_text().splitlines()] == [
        "b.wav", "own-00000-0", "own-00001-0", "own-00002-0",
    ]  # fmt: skip


def test_memory_does_not_grow_with_the_number_of_shards(row: dict[str, object], tmp_path: Path) -> None:
    peaks = []
    for n in (2, 40):
        shards = shards_of(tmp_path / str(n), row, n)
        tracemalloc.start()
        merge(tmp_path / str(n), shards)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 3 * peaks[0]  # rows that are held take 20 times as much


def test_a_record_that_cannot_be_read_leaves_what_was_merged_before(row: dict[str, object], tmp_path: Path) -> None:
    shards = shards_of(tmp_path, row, 3)
    merge(tmp_path, shards[:2])
    before = {name: (tmp_path / name).read_bytes() for name in FILES}
    (tmp_path / "shards" / "own-00002.json").write_text('{"rows": [{"id": "x"}]}', encoding="utf-8")
    with pytest.raises(ValueError, match="manifest row: missing keys"):
        merge(tmp_path, shards)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((*FILES, "shards"))


def test_a_broken_manifest_leaves_what_was_joined_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        write_corpus(folder, n=2)
    (first / "origins.jsonl").write_text("{}\n")

    def join(*parts: Path) -> None:
        monkeypatch.setattr(sys, "argv", ["join_corpora.py", str(tmp_path / "joined"), *map(str, parts)])
        import_module("join_corpora").main()

    join(first, second)
    before = {name: (tmp_path / "joined" / name).read_bytes() for name in FILES[:2]}
    with (second / "manifest.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(ValueError, match="line 3: manifest row: missing keys"):
        join(first, second)
    assert {name: (tmp_path / "joined" / name).read_bytes() for name in FILES[:2]} == before
    (second / "manifest.jsonl").write_bytes((first / "manifest.jsonl").read_bytes())
    (second / "origins.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(UnicodeDecodeError):
        join(first, second)
    assert {name: (tmp_path / "joined" / name).read_bytes() for name in FILES[:2]} == before
    assert not list((tmp_path / "joined").glob(".*"))


def test_what_stops_the_writing_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt), writing(tmp_path / "a.txt") as file:
        file.write("new")
        raise KeyboardInterrupt
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
