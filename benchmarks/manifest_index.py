"""Measure what the rows of a large manifest cost: memory in a process, opening it first and later, planning an epoch, reading rows,
and merging the shards of a preparation.

    python benchmarks/manifest_index.py                     # 300,000 rows, 1.5 GB of disk for some minutes
    python benchmarks/manifest_index.py --rows 1200000      # 1,300 hours, 6 GB

The manifest is made of copies of the miniature corpus' rows under other names, four times as long; the index is laid beside it.
Every way runs in a process of its own. Times are processor seconds of one core.
Results: benchmarks/results/manifest_index.json, manifest_index.md
"""

import argparse
import filecmp
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from typing import Any

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})  # before NumPy

import numpy as np  # noqa: E402
from tables import ROOT, Row, keep  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
TIMES = 4  # clips of the miniature are joined to clips of 3 seconds
SHARD = 200  # clips, as prepare_corpus.py stores them
VOICES = 500
FRAMES = 20_000  # of a batch
TRIES, LISTED = 3, 60_000  # openings that are timed; rows that are held as objects to be weighed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--child", nargs=2, metavar=("WAY", "FOLDER"), help="measure one way and print JSON")
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(WAYS[arguments.child[0]](Path(arguments.child[1]))))
        return 0
    with tempfile.TemporaryDirectory() as place:
        folder = multiply(Path(place), arguments.rows)
        write_records(folder)
        found = {way: in_child(way, folder) for way in WAYS}
    keep(RESULTS / "manifest_index", table(found), found)
    return 0


def multiply(place: Path, n: int) -> Path:
    """Write a manifest of n rows whose lengths and voices differ, and headers of shards without their numbers."""
    from emotts.data.manifest import read_manifest
    from emotts.data.miniature import write_miniature

    write_miniature(place)
    originals = [row for row in read_manifest(place / "corpus" / "manifest.jsonl") if row.split == "train"]
    folder, lengths = place / "many", np.random.default_rng(0).integers(0, 200, n)
    (folder / "features").mkdir(parents=True)
    with (folder / "manifest.jsonl").open("w", encoding="utf-8") as file:
        shard: list[dict[str, Any]] = []
        for number in range(n):
            durations = originals[number % len(originals)].durations * TIMES
            durations[4] += int(lengths[number])
            t, features = sum(durations), f"features/{number // SHARD:06d}.safetensors"
            row = vars(originals[number % len(originals)]) | {
                "id": f"clip-{number:08d}", "voice": f"v{number * VOICES // n:03d}", "durations": durations, "n_frames": t,
                "phonemes": originals[number % len(originals)].phonemes * TIMES, "duration_s": t / 93.75, "features": features,
                "split": "valid" if number % 50 == 0 else "train",
            }  # fmt: skip
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            shard.append(row)
            if len(shard) == SHARD or number == n - 1:
                write_header(folder / features, shard)
                shard = []
    return folder


def write_header(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a shard whose numbers are a hole in the file: it takes no room and reads as zeros."""
    header, place = {}, 0
    for row in rows:
        n, t = len(row["phonemes"]), row["n_frames"]
        for key, kind, shape, size in (
            ("mel", "F16", [t, 100], 200 * t), ("f0", "F32", [t], 4 * t), ("energy", "F16", [t], 2 * t),
            ("avd", "F16", [n, 3], 6 * n),
        ):  # fmt: skip
            header[f"{row['id']}.{key}"] = {"dtype": kind, "shape": shape, "data_offsets": [place, place + size]}
            place += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + place)


def in_child(way: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).resolve()), "--child", way, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{way}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def first(folder: Path) -> dict[str, Any]:
    """Make the index."""
    from emotts.data.rows import open_rows

    before, started, wall = memory_mb(), time.process_time(), time.perf_counter()
    rows = open_rows(folder, with_features=True)
    return {
        "rows": len(rows),
        "hours": float(rows.column("duration_s").sum()) / 3_600.0,
        "open_s": time.process_time() - started,
        "open_wall_s": time.perf_counter() - wall,
        "peak_mb": peak_mb() - before["RssAnon"] - before["RssFile"],
        "manifest_mb": (folder / "manifest.jsonl").stat().st_size / 1e6,
        "index_mb": (folder / "manifest.index").stat().st_size / 1e6,
    }


def later(folder: Path) -> dict[str, Any]:
    """Open the corpus as training does, plan an epoch, read rows; return times and what the process holds."""
    from emotts.data.batch_plan import BatchPlan
    from emotts.data.dataset import Corpus
    from emotts.data.rows import open_rows

    opened = timed(lambda: open_rows(folder, with_features=True))
    voices = sorted(open_rows(folder).names("voice"))
    before, started = memory_mb(), time.process_time()
    corpus = Corpus(folder, "train", voices, in_memory_gb=0.0)
    found: dict[str, Any] = {"open_s": opened, "corpus_s": time.process_time() - started}
    found |= {"corpus_mb": memory_mb()["RssAnon"] - before["RssAnon"]}
    started = time.process_time()
    plan = BatchPlan(corpus.lengths, FRAMES, 0)
    picks = plan.indices(0)
    found["plan_s"] = time.process_time() - started
    found["held_mb"] = memory_mb()["RssAnon"] - before["RssAnon"]
    found["mapped_mb"] = memory_mb()["RssFile"] - before["RssFile"]
    found["peak_mb"] = peak_mb() - before["RssAnon"] - before["RssFile"]
    found["batch_rows"] = len(picks)
    found["rows_ms"] = 1e3 * timed(lambda: [corpus.rows[i] for i in picks])
    started = time.process_time()
    registers = corpus.mean_log_f0
    found |= {"registers_s": time.process_time() - started, "registers": len(registers)}
    return found


def listed(folder: Path) -> dict[str, Any]:
    """Weigh rows that are held as objects."""
    from emotts.data.manifest import parse_numbered

    before, rows = memory_mb(), []
    path = folder / "manifest.jsonl"
    started = time.process_time()
    with path.open("rb") as file:
        for number, line in zip(range(1, LISTED + 1), file, strict=False):
            rows.append(parse_numbered(path, number, line))
    seconds = time.process_time() - started
    hours = sum(row.duration_s for row in rows) / 3_600.0
    return {"rows": len(rows), "mb_per_hour": (memory_mb()["RssAnon"] - before["RssAnon"]) / hours, "seconds": seconds}


def write_records(folder: Path) -> None:
    """Write the rows of the manifest as the records of finished shards."""
    (folder / "merged" / "shards").mkdir(parents=True)
    with (folder / "manifest.jsonl").open(encoding="utf-8") as file:
        for number in count():
            rows = [json.loads(line) for line in islice(file, SHARD)]
            if not rows:
                return
            origins = [
                {"id": row["id"], "corpus": "many", "source": row["audio"], "raw_label": row["label"], "gender": None,
                 "alignment": "expected", "avd_weight": [0.4, 0.4, 0.4]} for row in rows
            ]  # fmt: skip
            record = {"fingerprint": "", "rows": rows, "origins": origins, "problems": []}
            path = folder / "merged" / "shards" / f"many-{number:05d}.json"
            path.write_text(json.dumps(record), encoding="utf-8")


def merged(folder: Path) -> dict[str, Any]:
    """Merge the records of shards, as prepare_corpus.py does at its end."""
    from emotts.data.corpora.registry import corpus_facts
    from emotts.data.corpora.rows import Listing
    from emotts.data.prepare import Job, Shard, merge_shards
    from emotts.data.prepare_clip import Settings

    output = folder / "merged"
    shards = [Shard(path.stem, (), ()) for path in sorted((output / "shards").iterdir())]
    job, facts = Job(folder, output, Settings()), corpus_facts()["folder"]
    before, started = memory_mb(), time.process_time()
    merge_shards(job, shards, Listing([]), facts)
    found = {"seconds": time.process_time() - started, "peak_mb": peak_mb() - before["RssAnon"] - before["RssFile"]}
    if not filecmp.cmp(output / "manifest.jsonl", folder / "manifest.jsonl", shallow=False):
        sys.exit("the merged manifest is another one")
    return found


def timed(action: Callable[[], Any]) -> float:
    """Return the least processor seconds of some tries."""
    times = []
    for _ in range(TRIES):
        started = time.process_time()
        action()
        times.append(time.process_time() - started)
    return min(times)


def memory_mb() -> dict[str, float]:
    """Return the memory of this process: its own (RssAnon), and pages of files that it looked at (RssFile)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = {line.split(":")[0]: float(line.split()[1]) / 1e3 for line in lines if line.startswith("Rss")}
    return {name: found[name] for name in ("RssAnon", "RssFile")}


def peak_mb() -> float:
    """Return the most memory that this process has had, pages of files included."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1e3


WAYS: dict[str, Callable[[Path], dict[str, Any]]] = {"first": first, "later": later, "listed": listed, "merged": merged}


def table(found: dict[str, dict[str, Any]]) -> list[Row]:
    first, later, listed, merged = (found[way] for way in WAYS)
    hours, n = first["hours"], first["rows"]
    each = {name: later[name] / hours for name in ("corpus_mb", "held_mb", "mapped_mb", "peak_mb")}
    return [
        Row("manifest", "-", f"{n:,} rows, {hours:,.0f} hours, {first['manifest_mb']:,.0f} MB; index {first['index_mb']:,.0f} MB"),
        Row("opening, first time", "-", f"{first['open_s']:.0f} s ({n / first['open_s']:,.0f} rows a second), at most "
            f"{first['peak_mb']:,.0f} MB", numbers={"seconds": first["open_s"], "peak_mb": first["peak_mb"]}),
        Row("opening, later", "below 1 s", f"{later['open_s']:.2f} s", later["open_s"] < 1.0, {"seconds": later["open_s"]}),
        Row("the corpus of a split, features on the disk", "-", f"{later['corpus_s']:.2f} s, {each['corpus_mb']:.3f} MB an hour",
            numbers={"seconds": later["corpus_s"], "mb_per_hour": each["corpus_mb"]}),
        Row("memory with an epoch planned", "below 0.2 MB an hour", f"{each['held_mb']:.3f} MB an hour; pages of the index "
            f"{each['mapped_mb']:.3f}, shared by all processes; at most {each['peak_mb']:.3f}", each["held_mb"] < 0.2,
            {"mb_per_hour": each["held_mb"], "mapped": each["mapped_mb"], "peak": each["peak_mb"]}),
        Row("rows as objects", "-", f"{listed['mb_per_hour']:.1f} MB an hour", numbers={"mb_per_hour": listed["mb_per_hour"]}),
        Row("planning an epoch", "-", f"{later['plan_s']:.1f} s ({n / later['plan_s']:,.0f} rows a second)",
            numbers={"seconds": later["plan_s"]}),
        Row(f"rows of a batch of {FRAMES:,} frames", "below 5 ms", f"{later['rows_ms']:.1f} ms for {later['batch_rows']} rows",
            later["rows_ms"] < 5.0, {"ms": later["rows_ms"]}),
        Row("merging the records of shards", "-", f"{merged['seconds']:.0f} s ({n / merged['seconds']:,.0f} rows a second), "
            f"at most {merged['peak_mb']:,.0f} MB", numbers=merged),
        Row("registers of all voices", "-", f"{later['registers_s']:.0f} s for {later['registers']} voices", numbers={
            "seconds": later["registers_s"]}),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
