"""The index of a corpus: rows and columns of the manifest, to the bit; made once, found again, made anew where it does not fit."""

import json
import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from test_dataset import write_corpus
from test_features import same

from emotts.data import index, index_build
from emotts.data.balance import balanced_weights
from emotts.data.dataset import Corpus, collate
from emotts.data.index import open_index
from emotts.data.index_build import SHAPES, number_of
from emotts.data.joined import Joined
from emotts.data.manifest import SPLITS, read_manifest
from emotts.data.miniature import write_miniature
from emotts.data.readers import readers_of
from emotts.data.rows import codes_of, open_rows
from emotts.data.statistics import corpus_statistics
from emotts.emotion.labels import DIMENSIONS

OLD_NS = 10**15  # a time of change that is not young


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "corpus").mkdir()
    return aged(write_corpus(tmp_path / "corpus"))


@pytest.fixture
def built(monkeypatch):
    """Count how often an index is made."""
    times, build = [], index.build_index
    monkeypatch.setattr(index, "build_index", lambda *given, **more: times.append(1) or build(*given, **more))
    return times


def aged(folder):
    for path in (folder / "features.safetensors", folder / "manifest.jsonl"):
        os.utime(path, ns=(OLD_NS, OLD_NS))
    return folder


def change(folder, of, **values):
    """Change some rows of a manifest in place."""
    path = folder / "manifest.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for i in of:
        rows[i].update(values)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_rows_and_columns_are_those_of_the_manifest(tmp_path):
    write_miniature(tmp_path)
    listed, rows = read_manifest(tmp_path / "corpus/manifest.jsonl"), open_rows(tmp_path / "corpus")
    assert list(rows) == listed and len(rows) == 96
    for name in ("n_frames", "duration_s", *DIMENSIONS):
        np.testing.assert_array_equal(rows.column(name), [getattr(row, name) for row in listed])
    assert rows.column("split").tolist() == [SPLITS.index(row.split) for row in listed]
    assert rows.column("text").tolist() == [number_of(row.text) for row in listed]
    for name in ("voice", "language", "licence", "emotion", "read_by", "split", "label"):
        codes, names = rows.codes(name)
        expected, values = codes_of(listed, name)
        assert [names[k] for k in codes] == [values[k] for k in expected], name
        assert rows.names(name) == list(dict.fromkeys(values[k] for k in expected))
    assert corpus_statistics(rows) == corpus_statistics(listed)
    assert readers_of(rows) == readers_of(listed) == {}
    numbers = [hash(row.voice) % 3 for row in listed]
    assert np.array_equal(balanced_weights(rows, np.array(numbers)), balanced_weights(listed, numbers))


def test_parts_of_rows_know_where_they_are(tmp_path):
    folders = []
    for k in range(3):
        (tmp_path / str(k)).mkdir()
        folders.append(write_corpus(tmp_path / str(k), n=3 + 4 * k))
        change(folders[-1], [0], voice=f"only-{k}")
    listed = [row for folder in folders for row in read_manifest(folder / "manifest.jsonl")]
    rows = open_rows(folders)
    picks = [20, 3, 2, 9, 10, 0]
    for part, expected in ((rows.taken(picks), [listed[i] for i in picks]), (rows[4:9], listed[4:9]), (rows, listed)):
        assert list(part) == expected
        assert part.column("n_frames").tolist() == [row.n_frames for row in expected]
        codes, names = part.codes("voice")
        assert [names[k] for k in codes] == [row.voice for row in expected]
    assert [row.voice for row in rows.of("train", ["a", "only-2"])] == [
        row.voice for row in listed if row.voice in ("a", "only-2")
    ]
    called = rows.renamed({"a": "ada"})
    assert called[3 + 2].voice == "ada" and "ada" in called.names("voice") and "a" not in called.names("voice")


def test_the_file_is_one_of_safetensors(folder):
    found = open_index(folder / "manifest.jsonl")
    with safe_open(folder / "manifest.index", framework="numpy") as file:
        assert set(file.keys()) == {*SHAPES, "shards"}
        for name in file.keys():  # noqa: SIM118  (no mapping)
            np.testing.assert_array_equal(file.get_tensor(name), found.columns[name])


def test_an_index_is_made_once(folder, built):
    lines = list(open_rows(folder))
    before = (folder / "manifest.index").stat()
    assert list(open_rows(folder)) == lines and len(built) == 1
    assert (folder / "manifest.index").stat().st_mtime_ns == before.st_mtime_ns
    assert sorted(path.name for path in folder.iterdir()) == [
        "features.safetensors",
        "manifest.index",
        "manifest.jsonl",
    ]


def test_the_same_bytes_at_another_time_are_the_same_manifest(folder, built):
    open_rows(folder)
    os.utime(folder / "manifest.jsonl", ns=(OLD_NS + 7, OLD_NS + 7))
    digests = []
    digest, index.hashlib = index.hashlib, type("Hashes", (), {
        "sha256": index.hashlib.sha256,
        "file_digest": lambda *given: digests.append(1) or digest.file_digest(*given),
    })  # fmt: skip
    try:
        open_rows(folder)
        open_rows(folder)
    finally:
        index.hashlib = digest
    assert len(built) == 1 and len(digests) == 1, "the second time the new time is known"


@pytest.mark.parametrize("is_young", [False, True])
def test_other_bytes_of_the_same_size_are_another_manifest(folder, built, is_young):
    """At another time; or at the same, where the clock of files was too coarse to tell."""
    path = folder / "manifest.jsonl"
    time = path.stat().st_mtime_ns if not is_young else 2**62
    os.utime(path, ns=(time, time))
    open_rows(folder)
    size = path.stat().st_size
    change(folder, [3], voice="c")
    assert path.stat().st_size == size
    if is_young:
        os.utime(path, ns=(time, time))
    assert open_rows(folder)[3].voice == "c" and open_rows(folder).names("voice") == ["a", "b", "c"]
    assert len(built) >= 2


def test_a_line_that_changes_under_a_running_program_is_refused(folder):
    rows = open_rows(folder)
    path = folder / "manifest.jsonl"
    text = path.read_bytes()
    with path.open("r+b") as file:
        file.write(text.replace(b'"voice": "b"', b'"voice": "c"'))
    assert rows[0].voice == "a"
    with pytest.raises(
        ValueError, match=r"manifest.jsonl was changed since the program began to read it; start it again"
    ):
        rows[1]


def test_a_manifest_that_takes_the_place_of_one_that_is_read_harms_nobody(folder):
    rows = open_rows(folder)
    (folder / "new").write_text("")
    (folder / "new").replace(folder / "manifest.jsonl")
    assert rows[5].id == "utt-005"


def test_other_shards_and_origins_make_an_index_anew(folder, built):
    first = Corpus(folder, "train", ["a", "b"], in_memory_gb=0.0).utterance(4).mel
    tensors = load_file(folder / "features.safetensors")
    save_file(
        {name: 2 * tensors[name] for name in reversed(tensors)} | {"other": np.zeros(99)},
        folder / "features.safetensors",
    )
    again = Corpus(folder, "train", ["a", "b"], in_memory_gb=0.0).utterance(4).mel
    np.testing.assert_array_equal(again, 2 * first)
    n = len(built)
    aged(folder)
    open_rows(folder)
    assert len(built) == n, "rows alone ask nothing of the shards"
    line = json.dumps({"id": "utt-004", "corpus": "x", "avd_weight": [0.5, 0.0, 1.0]})
    (folder / "origins.jsonl").write_text(line + "\n")
    assert open_rows(folder).trust(4).tolist() == [0.5, 0.0, 1.0] and len(built) == n + 1
    (folder / "origins.jsonl").unlink()
    assert open_rows(folder).trust(4).tolist() == [1.0, 1.0, 1.0]


def test_origins_are_found_by_id_whatever_their_order_and_number(tmp_path, monkeypatch):
    monkeypatch.setattr(index_build, "TOGETHER", 5)  # so that ids are compared in several parts
    monkeypatch.setattr(index_build, "CHUNK", 7)
    folder = write_corpus(tmp_path, n=60)
    random = np.random.default_rng(0)
    told = {f"utt-{i:03d}": (f"c{i % 4}", random.random(3).tolist()) for i in random.permutation(60)[:40].tolist()}
    lines = [{"id": name, "corpus": corpus, "avd_weight": weight} for name, (corpus, weight) in told.items()]
    lines.append({**lines[3], "corpus": "last"})
    written = [json.dumps(line) + "\n" for line in lines]
    written[5:5] = ["\n"] * 9 + ["  \n"] * 9  # whole pieces without an origin
    (folder / "origins.jsonl").write_text("".join(written))
    rows = open_rows(folder)
    codes, names = rows.codes("corpus")
    for i, row in enumerate(rows):
        corpus, weight = told.get(row.id, (folder.name, [1.0, 1.0, 1.0]))
        assert names[codes[i]] == ("last" if row.id == lines[3]["id"] else corpus)
        np.testing.assert_array_equal(rows.trust(i), np.array(weight, np.float32))


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}"])
def test_an_index_that_is_damaged_is_made_anew(folder, built, content):
    lines = list(open_rows(folder))
    whole = (folder / "manifest.index").read_bytes()
    for damaged in (content, whole[: len(whole) // 2], whole.replace(b'"version": "1"', b'"version": "0"')):
        (folder / "manifest.index").write_bytes(damaged)
        assert list(open_rows(folder)) == lines
    assert len(built) == 4 and (folder / "manifest.index").read_bytes()[:200] != content


def test_bad_rows_and_repeated_ids_name_their_line(folder, monkeypatch):
    path = folder / "manifest.jsonl"
    lines = path.read_text().splitlines()
    for bad, told in (
        (lines[:4] + ["", "nonsense"], "line 6: a manifest line must be a JSON object"),
        ([*lines[:3], lines[3].replace('"train"', '"trial"')], "line 4: manifest row 'utt-003': split must be one of"),
        ([*lines[:7], "", lines[2], *lines[7:], lines[1]], "line 9: id 'utt-002' appears twice"),
        ([*lines, lines[0], lines[0]], "line 13: id 'utt-000' appears twice"),
    ):
        path.write_text("\n".join(bad) + "\n")
        with pytest.raises(ValueError, match=told) as indexed:
            open_rows(folder)
        with pytest.raises(ValueError, match=told) as read:
            read_manifest(path)
        assert str(indexed.value) == str(read.value)
        assert [each.name for each in folder.iterdir() if "index" in each.name] == [], "nothing is left behind"
    path.write_text("\n".join([*lines, lines[2]]) + "\n")
    monkeypatch.setattr(index_build, "TOGETHER", 3)
    with pytest.raises(ValueError, match="line 13: id 'utt-002' appears twice"):
        open_rows(folder)
    path.write_text("\n".join(lines))
    monkeypatch.setattr(index_build, "number_of", lambda text: 7)
    with pytest.raises(ValueError, match="line 2: id 'utt-001' has the 64 bits of another one; give it another name"):
        open_rows(folder)


def test_a_line_may_hold_what_unicode_takes_for_the_end_of_one(folder):
    path = folder / "manifest.jsonl"
    path.write_text(path.read_text().replace('"Hi."', '"Hi\u2028there\x85."'))
    assert read_manifest(path)[3].text == open_rows(folder)[3].text == "Hi\u2028there\x85."


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no manifest at .*manifest.jsonl; make one with"):
        open_rows(tmp_path)


@pytest.mark.parametrize("is_cache_there", [True, False])
def test_a_folder_that_cannot_be_written_to(folder, tmp_path, built, monkeypatch, is_cache_there):
    """Then the index lies in the user's cache, or nowhere."""
    alone = index._alone

    def refused(place):
        if place.parent == folder:
            raise PermissionError("Read-only file system")
        return alone(place)

    monkeypatch.setattr(index, "_alone", refused)
    if not is_cache_there:
        (tmp_path / "cache").write_text("")
    lines = read_manifest(folder / "manifest.jsonl")
    assert list(open_rows(folder)) == lines and list(open_rows(folder)) == lines
    assert len(built) == (1 if is_cache_there else 2)
    kept = list((tmp_path / "cache").rglob("*.index"))
    assert len(kept) == is_cache_there
    n = len(built)
    corpus = Corpus(folder, "train", ["a", "b"], in_memory_gb=0.0)
    assert len(built) == n + (not is_cache_there) and corpus.utterance(2).mel.shape[1] == 100


def test_a_read_only_folder_that_was_indexed_is_not_indexed_again(folder, built):
    open_rows(folder)
    os.utime(folder / "manifest.jsonl", ns=(OLD_NS + 7, OLD_NS + 7))
    written, index._written = index._written, lambda *_: (_ for _ in ()).throw(OSError("read-only"))
    try:
        assert len(open_rows(folder)) == 12
    finally:
        index._written = written
    assert len(built) == 1


def rows_in_a_process(folder):
    return [row.id for row in open_rows(folder)]


def test_several_processes_may_make_it_at_once(folder):
    context = multiprocessing.get_context("fork")
    with context.Pool(6) as pool:
        found = pool.map_async(rows_in_a_process, [folder] * 12).get(300)
    assert all(ids == [f"utt-{i:03d}" for i in range(12)] for ids in found)
    assert sorted(path.name for path in folder.iterdir()) == [
        "features.safetensors",
        "manifest.index",
        "manifest.jsonl",
    ]


def test_a_process_waits_for_another_that_makes_the_index(folder, built):
    """And takes what the other one made."""
    place = folder / "manifest.index"
    context = multiprocessing.get_context("fork")
    with index._alone(place):
        other = context.Process(target=_opened, args=(folder, len(built)), daemon=True)
        other.start()
        other.join(1.0)
        assert other.is_alive()
        shutil.copy(_elsewhere(folder), place)
    other.join(120.0)
    assert other.exitcode == 0


def _elsewhere(folder):
    """Make the index of a folder without a lock."""
    place = folder.parent / "made"
    with place.open("w+b") as file:
        index_build.build_index(folder / "manifest.jsonl", file, folder.parent)
    return place


def _opened(folder, before):
    counted, build = [], index.build_index
    index.build_index = lambda *given, **more: counted.append(1) or build(*given, **more)
    assert len(open_rows(folder)) == 12 and before == 0
    os._exit(len(counted))


def test_only_rows_without_features_are_told_and_only_to_those_who_need_them(folder):
    change(folder, [4, 5], features="gone.safetensors", split="valid")
    train = Corpus(folder, "train", ["a", "b"])
    assert len(train) == 10
    with pytest.raises(FileNotFoundError, match=r"gone.safetensors"):
        Corpus(folder, "valid", ["a", "b"])
    shutil.copy(folder / "features.safetensors", folder / "gone.safetensors")
    assert len(Corpus(folder, "valid", ["a", "b"])) == 2, "what has come since is seen"


def test_the_kind_that_the_rows_of_a_shard_share_is_checked(folder):
    tensors = load_file(folder / "features.safetensors")
    tensors["utt-007.f0"] = tensors["utt-007.f0"].astype(np.float64)
    save_file(tensors, folder / "features.safetensors")
    with pytest.raises(ValueError, match=r"utt-0\d\d.f0 has another kind or size than its header or the other rows"):
        Corpus(folder, "train", ["a", "b"])


def test_registers_are_those_of_a_loop_over_rows(tmp_path, monkeypatch):
    from emotts.data import dataset

    monkeypatch.setattr(dataset, "REGISTER_ROWS", 5)
    monkeypatch.setattr(dataset, "ROWS_AT_ONCE", 7)
    folder = write_corpus(tmp_path, n=40)
    change(folder, range(0, 40, 7), voice="c")
    for bound in (0.0, 1.0):
        corpus = Corpus(folder, "train", ["c", "b", "a", "nobody"], in_memory_gb=bound)
        assert corpus.mean_log_f0["nobody"] == 7.3
        for voice in "abc":
            rows = [i for i, row in enumerate(corpus.rows) if row.voice == voice]
            neutral = [i for i in rows if corpus.rows[i].label == "neutral"] or rows
            values = [np.log2(f[f > 0]) for f in (corpus.raw[i]["f0"] for i in neutral[:5])]
            assert corpus.mean_log_f0[voice] == float(np.concatenate(values).mean()), (bound, voice)


def test_registers_read_f0_and_nothing_else(folder):
    corpus = Corpus(folder, "train", ["a", "b"], in_memory_gb=0.0)
    keys = set()
    read, corpus.raw.shards._read = corpus.raw.shards._read, lambda i, some: keys.update(some) or read(i, some)
    assert corpus.mean_log_f0 and keys == {"f0"}


def test_corpora_of_one_index_are_what_several_are_together(folder):
    one, two = (Corpus(folder, "train", [voice]) for voice in "ba")
    joined = Joined([one, two])
    assert len(joined) == 12 and joined.names == ["b", "a"]
    for k in range(12):
        c, i = joined.place(k)
        row = (one, two)[c].rows[i]
        assert joined.lengths[k] == row.n_frames and joined.names[joined.voice[k]] == row.voice
    everything = Corpus(folder, "train", ["b", "a"])
    assert same(collate([one.taken([2]).utterance(0)]), collate([everything.utterance(5)]))


def test_reading_needs_no_more_memory_for_more_rows(tmp_path):
    """The pass holds CHUNK rows and no more: the columns of 40,000 rows take 8 MB, the rows as objects 100."""
    import tracemalloc

    folder = write_corpus(tmp_path, n=1)
    row = json.loads((folder / "manifest.jsonl").read_text())
    peaks = {}
    for n in (2_000, 12_000):
        with Path(folder / "manifest.jsonl").open("w") as file:
            file.writelines(json.dumps({**row, "id": f"u{i}"}) + "\n" for i in range(n))
        old, index_build.CHUNK = index_build.CHUNK, 1_000
        tracemalloc.start()
        try:
            assert len(open_rows(folder)) == n
            peaks[n] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            index_build.CHUNK = old
    assert peaks[12_000] < peaks[2_000] + 2e6
