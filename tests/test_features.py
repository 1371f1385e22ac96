"""Features in memory or read when needed: the same bytes, the same batches, the same training; shards that are damaged."""

import json
import os
import struct
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest
import torch
from safetensors import safe_open
from test_dataset import write_corpus
from test_recipes import run

from emotts.data import open_files
from emotts.data.clips import Clips, Draw
from emotts.data.content_batches import ContentSource, Mixing
from emotts.data.dataset import Corpus, collate, load_corpora
from emotts.data.features import Lazy, Shards, held_gb, load_features
from emotts.data.manifest import FEATURES, read_manifest
from emotts.data.open_files import OPEN_FILES

VOICES = ["a", "b"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def both(folder):
    held, lazy = Corpus(folder, "train", VOICES), Corpus(folder, "train", VOICES, in_memory_gb=0.0)
    assert isinstance(lazy.raw, Lazy) and not isinstance(held.raw, Lazy)
    return held, lazy


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    return all(same(getattr(a, name), getattr(b, name)) for name in a.__dict__)


def test_both_ways_give_what_the_library_of_the_format_gives(folder):
    rows = read_manifest(folder / "manifest.jsonl")
    with safe_open(folder / "features.safetensors", framework="numpy") as store:
        for bound in (0.0, 1.0):
            for row, found in zip(rows, load_features([(folder, rows)], bound), strict=True):
                assert found.keys() == set(FEATURES)
                for key, value in found.items():
                    expected = store.get_tensor(f"{row.id}.{key}")
                    assert value.dtype == expected.dtype and np.array_equal(value, expected), (row.id, key)


def test_batches_are_the_same_bytes_in_the_same_order(both):
    held, lazy = both
    assert held.mean_log_f0 == lazy.mean_log_f0
    for picks in ([0, 5, 3], list(range(12))):
        assert same(collate([held.utterance(i) for i in picks]), collate([lazy.utterance(i) for i in picks]))
    a, b = held.spread(5), lazy.spread(5)
    assert isinstance(b.raw, Lazy) and [r.id for r in a.rows] == [r.id for r in b.rows]
    assert all(same(collate([a.utterance(i)]), collate([b.utterance(i)])) for i in range(5))


def test_batches_of_the_speech_encoder_and_the_recogniser_are_the_same(folder):
    batches = []
    for bound in (1.0, 0.0):
        source = ContentSource(load_corpora([folder], "train", 700, bound), Mixing(other=0.0), 0)
        batches.append(source.batch(range(6), np.random.default_rng(1)))
    assert same(*batches)
    rows = read_manifest(folder / "manifest.jsonl")
    clips = [Clips(folder, rows, in_memory_gb=bound) for bound in (1.0, 0.0)]
    assert isinstance(clips[1].features, Lazy) and clips[0].lengths.tolist() == clips[1].lengths.tolist() == [
        len(f) for f in clips[0].features
    ]
    for part in (clips, [each.only("a") for each in clips]):
        drawn = [each.batch(range(4), np.random.default_rng(2), Draw()) for each in part]
        assert same(*drawn)


def test_what_is_read_is_ones_own(both):
    _, lazy = both
    lazy.raw[0]["mel"][:] = 0.0
    assert lazy.raw[0]["mel"].any()


def test_the_bound_is_for_all_corpora_together(folder):
    size = sum(a.nbytes for arrays in Corpus(folder, "train", VOICES).raw for a in arrays.values()) / 1e9
    first, second = load_corpora([folder, folder], "train", 700, 1.5 * size)
    assert held_gb(first.raw) == pytest.approx(size) and isinstance(second.raw, Lazy)
    assert not isinstance(Corpus([folder, folder], "train", VOICES, in_memory_gb=2.1 * size).raw, Lazy)
    assert isinstance(Corpus([folder, folder], "train", VOICES, in_memory_gb=1.9 * size).raw, Lazy)
    with pytest.raises(ValueError, match="in_memory_gb must be 0 or more; got -1"):
        Corpus(folder, "train", VOICES, in_memory_gb=-1.0)


def test_many_shards_do_not_use_up_the_open_files(tmp_path, monkeypatch):
    """And several threads may ask at once."""
    monkeypatch.setattr(open_files, "MOST", 2)
    parts = []
    for k in range(5):
        (tmp_path / str(k)).mkdir()
        each = write_corpus(tmp_path / str(k), n=3 + k)
        parts.append((each, read_manifest(each / "manifest.jsonl")))
    lazy, held = load_features(parts, 0.0), load_features(parts, 1.0)
    shards = lazy._item_of.__self__
    assert isinstance(shards, Shards) and len(lazy) == len(held) == 25
    wrong = []

    def read(seed):
        for i in np.random.default_rng(seed).integers(len(held), size=300).tolist():
            if not all(np.array_equal(value, held[i][key]) for key, value in lazy[i].items()):
                wrong.append(i)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and 0 < len(OPEN_FILES) <= 2


OPENED = """
import os, resource, sys
from pathlib import Path
from emotts.data.features import load_features
from emotts.data.manifest import read_manifest
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]),) * 2)
folder = Path(sys.argv[1])
rows = read_manifest(folder / "manifest.jsonl")
corpora = [load_features([(folder, rows)], 0.0) for _ in range(5)]
for _ in range(2):
    for corpus in corpora:
        assert all(len(arrays["mel"]) for arrays in corpus)
held = len(os.listdir("/dev/fd"))
del corpus, corpora
print(held, len(os.listdir("/dev/fd")))
"""


@pytest.mark.parametrize(("limit", "held"), [(1024, 256), (64, 16)])
def test_several_corpora_of_many_shards_need_few_open_files(tmp_path, limit, held):
    """Five of 256 shards, in a process that may open 1,024 files, as most systems allow, or fewer."""
    folder = write_corpus(tmp_path, n=256)
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        row["features"] = f"{i}.safetensors"
        os.link(folder / "features.safetensors", folder / row["features"])
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = subprocess.run(
        [sys.executable, "-c", OPENED, str(folder), str(limit)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    most, left = map(int, done.stdout.split())
    assert held <= most <= held + 16 and left == most - held  # what nobody needs is closed


def test_what_is_asked_for_again_is_read_anew_by_a_new_owner(tmp_path):
    """A corpus that was prepared again is not read through the files of the one before."""
    folder = write_corpus(tmp_path)
    rows = read_manifest(folder / "manifest.jsonl")
    before = load_features([(folder, rows)], 0.0)
    first = before[0]["mel"].copy()
    data = (folder / "features.safetensors").read_bytes()
    (folder / "new").write_bytes(data[:-1_000] + bytes(1_000))
    (folder / "new").replace(folder / "features.safetensors")
    after = load_features([(folder, rows)], 0.0)
    last = max(range(len(rows)), key=lambda i: int(after.shards.place_of(i)[1].max()))
    assert np.array_equal(before[0]["mel"], first)
    assert any(not np.array_equal(before[last][key], value) for key, value in after[last].items())


def rewritten(folder, change):
    """Change the header of the shard."""
    path = folder / "features.safetensors"
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header: header.pop("utt-003.mel"), "lacks utt-003.mel"),
        (lambda header: header["utt-003.mel"].update(dtype="Q8"), "lacks utt-003.mel"),
        (lambda header: header["utt-003.f0"].update(shape=[7]), "utt-003.f0 has another kind or size"),
        (lambda header: header["utt-003.f0"].update(dtype="F16"), "utt-003.f0 has another kind or size"),
        (lambda header: header["utt-003.f0"].update(data_offsets=[0]), "lacks utt-003.f0"),
        (lambda header: header["utt-003.f0"].update(data_offsets=None), "lacks utt-003.f0"),
    ],
)
@pytest.mark.parametrize("bound", [0.0, 1.0])
def test_a_damaged_header_costs_a_sentence(tmp_path, change, message, bound):
    folder = write_corpus(tmp_path)
    rewritten(folder, change)
    with pytest.raises(
        ValueError, match=f"features.safetensors.*{message}.*prepare or simulate the corpus again"
    ) as told:
        Corpus(folder, "train", VOICES, in_memory_gb=bound)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "content", [b"", b"short", struct.pack("<Q", 1 << 60), struct.pack("<Q", 2) + b"[]", b"version https://git-lfs"]
)
def test_what_is_no_shard_says_so(tmp_path, content):
    folder = write_corpus(tmp_path)
    (folder / "features.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="is not a shard of features"):
        Corpus(folder, "train", VOICES)


def test_a_shard_that_was_cut_short_says_so(tmp_path):
    folder = write_corpus(tmp_path)
    path = folder / "features.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut short"):
        Corpus(folder, "train", VOICES)
    path.unlink()
    remedy = r"no shard of features at .*features\.safetensors; prepare or simulate the corpus again"
    with pytest.raises(FileNotFoundError, match=remedy):
        Corpus(folder, "train", VOICES)


def test_a_shard_that_goes_while_it_is_needed_says_what_to_do(tmp_path):
    folder = write_corpus(tmp_path)
    lazy = load_features([(folder, read_manifest(folder / "manifest.jsonl"))], 0.0)
    (folder / "features.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="no shard of features at .*; prepare or simulate the corpus again"):
        lazy[0]


def test_training_from_the_disk_is_training_from_memory(tmp_path):
    """To the bit, through the recipe."""
    folder = write_corpus(tmp_path)
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        row["split"] = "valid" if i % 3 == 2 else "train"
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, bound in (("held", 4), ("lazy", 0)):
        run("train_acoustic", f"corpus={folder}", f"output={tmp_path}/{name}", "acoustic=tiny", "schedule.max_steps=3",
            "schedule.decay_steps=0", "max_frames=128", "precision=fp32", "device=cpu", f"in_memory_gb={bound}")  # fmt: skip
    states = [torch.load(tmp_path / name / "state.pt", weights_only=True)["model"] for name in ("held", "lazy")]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_clips_are_loaded_without_a_second_copy(tmp_path):
    """What is stored and what is made of it are not both held: 4.9 MB of clips may not need 10."""
    folder = write_corpus(tmp_path, n=200)
    rows = read_manifest(folder / "manifest.jsonl")
    tracemalloc.start()
    try:
        clips = Clips(folder, rows)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not isinstance(clips.features, Lazy) and held > 4.5e6
    assert peak < 1.3 * held
