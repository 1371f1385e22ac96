"""Measure what it costs to read features from the disk in place of holding them in memory: memory, time of a batch, the same bytes.

    python benchmarks/lazy_features.py              # 20 hours made of copies of the miniature corpus, about 1.5 GB of disk
    python benchmarks/lazy_features.py --hours 1

Each way runs in a process of its own. Times are processor seconds of one core; those of a cold cache are seconds of the day, after
the system was told to forget the files. Results: benchmarks/results/lazy_features.json, lazy_features.md
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})  # before NumPy

import numpy as np  # noqa: E402
from tables import ROOT, Row, keep  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
TIMES = 4  # clips of the miniature are joined to clips of 3 seconds
SHARD = 200  # clips, as prepare_corpus.py stores them
FRAMES = (2_600, 20_000)  # of a batch: on two cores, on a GPU
BATCHES, COLD = 60, 12
WAYS = {"held": 1e9, "lazy": 0.0}  # in_memory_gb


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=20.0)
    parser.add_argument("--child", nargs=2, metavar=("WAY", "FOLDER"), help="measure one way and print JSON")
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(WAYS[arguments.child[0]], Path(arguments.child[1]))))
        return 0
    with tempfile.TemporaryDirectory() as place:
        corpus = multiply(Path(place), arguments.hours)
        found = {way: in_child(way, corpus) for way in WAYS}
    if any(found["held"]["hashes"][k] != found["lazy"]["hashes"][k] for k in found["held"]["hashes"]):
        sys.exit("the two ways gave different batches.")
    keep(RESULTS / "lazy_features", table(found), found)
    return 0


def multiply(place: Path, hours: float) -> Path:
    """Write a corpus of so many hours: copies of the miniature's clips under other names, with other F0 and mels."""
    from safetensors.numpy import load_file, save_file

    from emotts.data.manifest import read_manifest, write_manifest
    from emotts.data.miniature import write_miniature

    write_miniature(place)
    source, corpus = place / "corpus", place / "many"
    (corpus / "features").mkdir(parents=True)
    stored = load_file(source / "features.safetensors")
    originals = [row for row in read_manifest(source / "manifest.jsonl") if row.split == "train"]
    rows, shard, random = [], {}, np.random.default_rng(0)
    total_s = 0.0
    while total_s < hours * 3_600.0:
        number = len(rows)
        old, name = originals[number % len(originals)], f"clip-{number:07d}"
        features = f"features/{number // SHARD:05d}.safetensors"
        rows.append(
            replace(old, id=name, phonemes=old.phonemes * TIMES, durations=old.durations * TIMES, features=features,
                    n_frames=old.n_frames * TIMES, duration_s=old.duration_s * TIMES)
        )  # fmt: skip
        for key in ("mel", "f0", "energy", "avd"):
            value = np.concatenate([stored[f"{old.id}.{key}"]] * TIMES)
            factor = random.uniform(0.8, 1.2) if key == "f0" else 1.0
            shard[f"{name}.{key}"] = (value * factor + (random.normal() if key == "mel" else 0.0)).astype(value.dtype)
        total_s += rows[-1].duration_s
        if len(rows) % SHARD == 0 or total_s >= hours * 3_600.0:
            save_file(shard, corpus / features)
            shard = {}
    write_manifest(corpus / "manifest.jsonl", rows)
    return corpus


def in_child(way: str, corpus: Path) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).resolve()), "--child", way, str(corpus)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(in_memory_gb: float, folder: Path) -> dict[str, Any]:
    """Return the costs of one way in this process."""
    from emotts.data.dataset import Corpus
    from emotts.data.rows import open_rows

    voices = sorted(open_rows(folder, with_features=True).names("voice"))  # the first process makes the index
    before = memory_mb()
    started = time.process_time()
    corpus = Corpus(folder, "train", voices, in_memory_gb=in_memory_gb)
    found: dict[str, Any] = {
        "hours": int(corpus.lengths.sum()) / 93.75 / 3_600.0,
        "clips": len(corpus),
        "load_s": time.process_time() - started,
        "loaded_mb": memory_mb() - before,
        "hashes": {},
    }
    batches = {n_frames: batches_of(corpus, n_frames) for n_frames in FRAMES}
    for n_frames, batch in batches.items():
        digest = hashlib.sha256()
        for step in range(5):
            for value in vars(batch(step)).values():
                digest.update(value.numpy().tobytes())
        found["hashes"][str(n_frames)] = digest.hexdigest()
        found[f"batch_ms_{n_frames}"] = timed(batch, time.process_time, BATCHES)
    for n_frames, batch in batches.items() if in_memory_gb == 0.0 else ():
        found[f"cold_batch_ms_{n_frames}"] = timed(batch, time.perf_counter, COLD, lambda: forget(folder))
    return found | {"used_mb": memory_mb() - before, "disk_mb": size_mb(folder)}


def batches_of(corpus: Any, n_frames: int) -> Callable[[int], Any]:
    """Return the function from a number to a batch, its order planned."""
    from emotts.data.batch_plan import BatchPlan
    from emotts.data.dataset import collate

    plan = BatchPlan(corpus.lengths, n_frames, 0)
    plan.indices(0)
    return lambda step: collate([corpus.utterance(i) for i in plan.indices(step)])


def timed(
    batch: Callable[[int], Any], clock: Callable[[], float], n: int, prepare: Callable[[], None] = lambda: None
) -> float:
    """Return the median milliseconds of the first n batches."""
    times = []
    for step in range(n):
        prepare()
        started = clock()
        batch(step)
        times.append(clock() - started)
    return 1_000.0 * float(np.median(times))


def forget(folder: Path) -> None:
    """Let the system drop what it holds of the shards."""
    for path in (folder / "features").iterdir():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)


def memory_mb() -> float:
    """Return the memory of this process that is not pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("RssAnon"))) / 1e3


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in (folder / "features").iterdir()) / 1e6


def table(found: dict[str, dict[str, Any]]) -> list[Row]:
    held, lazy = found["held"], found["lazy"]
    each = {way: values["used_mb"] / values["hours"] for way, values in found.items()}
    rows = [
        Row("corpus", "-", f"{held['hours']:.1f} hours, {held['clips']:,} clips, {held['disk_mb']:,.0f} MB of features"),
        Row("memory, held", "-", f"{held['used_mb']:,.0f} MB ({each['held']:.1f} MB an hour)",
            numbers={"mb_per_hour": each["held"]}),
        Row("memory, read when needed", "-", f"{lazy['used_mb']:,.0f} MB ({each['lazy']:.2f} MB an hour)",
            lazy["used_mb"] < 0.5 * held["used_mb"], {"mb_per_hour": each["lazy"]}),
        Row("opening the corpus", "-", f"held {held['load_s']:.1f} s, read when needed {lazy['load_s']:.1f} s"),
    ]  # fmt: skip
    for n in FRAMES:
        a, b, cold = held[f"batch_ms_{n}"], lazy[f"batch_ms_{n}"], lazy[f"cold_batch_ms_{n}"]
        said = f"held {a:.1f} ms, read when needed {b:.1f} ms, from a cold cache {cold:.1f} ms"
        rows.append(Row(f"batch of {n:,} frames", "-", said, numbers={"held": a, "lazy": b, "cold": cold}))
    return [*rows, Row("batches", "the same bytes", "the same bytes", True)]


if __name__ == "__main__":
    sys.exit(main())
