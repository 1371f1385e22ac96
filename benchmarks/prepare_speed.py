"""Measure what an hour of recordings costs: to list, to prepare, to store and to train on, in processor seconds of one core.

    python benchmarks/prepare_speed.py                       # clips of runs/crowd, a minute or two
    python benchmarks/prepare_speed.py --clips 400 --source runs/crowd

Processor time is told and not time of day, so that other work on the machine changes little. Results:
benchmarks/results/prepare_speed.json, prepare_speed.md
"""

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})  # before NumPy

import numpy as np  # noqa: E402
import torch  # noqa: E402
from tables import ROOT, Row, git_commit, markdown  # noqa: E402

from emotts.data.manifest import ManifestRow, read_manifest  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
LISTED = 20_000  # names in the table of the listing
LEAST_LISTED = 100  # clips a second and core, to be reached
PLANNED = 400_000  # rows of an epoch
STEP_FRAMES = (1_000, 2_600)
HOURS = (10, 1_000, 100_000)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--source", type=Path, default=ROOT / "runs" / "crowd", help="a prepared corpus, for its recordings"
    )
    parser.add_argument("--clips", type=int, default=120)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = read_manifest(arguments.source / "manifest.jsonl")
    picks = np.random.default_rng(0).permutation(len(rows))[: arguments.clips]
    chosen = [rows[i] for i in picks]
    recipe = load_recipe("prepare_corpus")
    with tempfile.TemporaryDirectory() as place:
        table = [listing(recipe, Path(place), arguments.source, chosen)]
        costs = {}
        for aligner in ("expected", "listened"):
            costs[aligner] = preparing(recipe, Path(place), arguments.source, chosen, aligner)
        table += prepared_rows(costs)
    table += training(arguments.source, chosen)
    table += extrapolated(costs)
    run = {
        "command": " ".join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%d"),
        "commit": git_commit(),
        "processor": processor(),
    }
    (RESULTS / "prepare_speed.json").write_text(
        json.dumps({"rows": [asdict(row) for row in table], "run": run}, indent=1) + "\n"
    )
    (RESULTS / "prepare_speed.md").write_text(markdown(table), encoding="utf-8")
    print(markdown(table))
    return 0


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def load_recipe(name: str) -> ModuleType:
    if (folder := str(ROOT / "recipes")) not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


def prepare(recipe: ModuleType, *options: str) -> float:
    """Run the recipe in this process and return its processor seconds."""
    start = load_recipe("start")
    with start.initialize_config_dir(str(ROOT / "conf" / "prepare"), version_base=None):
        config = start.compose("prepare_corpus", ["corpus=folder", "processes=1", "corpus.licence=CC0-1.0", *options])
    started = time.process_time()
    recipe.prepare(config)
    return time.process_time() - started


def write_table(root: Path, source: Path, rows: list[ManifestRow], repeats: int = 1) -> None:
    """Write metadata.csv with links to the recordings; a repeat has its own name."""
    root.mkdir()
    lines = ["path,text,speaker,emotion"]
    for k in range(repeats):
        for row in rows:
            name = f"{k:04d}-{row.id}.flac"
            (root / name).symlink_to((source / row.audio).resolve())
            text = row.text.replace('"', "'")
            lines.append(f'{name},"{text}",{row.voice},{row.label or ""}')
    (root / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def listing(recipe: ModuleType, place: Path, source: Path, rows: list[ManifestRow]) -> Row:
    repeats = -(-LISTED // len(rows))
    write_table(place / "many", source, rows, repeats)
    seconds = prepare(recipe, f"root={place}/many", f"output={place}/listed", "listing_only=true")
    speed = repeats * len(rows) / seconds
    return Row(
        "listing and verifying a table",
        f">= {LEAST_LISTED} clips/s/core",
        f"{speed:,.0f} clips/s/core",
        speed >= LEAST_LISTED,
    )


def preparing(recipe: ModuleType, place: Path, source: Path, rows: list[ManifestRow], aligner: str) -> dict[str, float]:
    """Return processor seconds and bytes per hour of recordings."""
    if not (place / "few").is_dir():
        write_table(place / "few", source, rows)
    output = place / aligner
    seconds = prepare(recipe, f"root={place}/few", f"output={output}", f"aligner={aligner}", "shard_size=1000")
    hours = sum(row.duration_s for row in read_manifest(output / "manifest.jsonl")) / 3_600.0
    sizes = {
        part: sum(p.stat().st_size for p in (output / part).rglob("*") if p.is_file())
        for part in ("audio", "features", "shards")
    }
    text = sum((output / name).stat().st_size for name in ("manifest.jsonl", "origins.jsonl", "sources.jsonl"))
    kept = len(read_manifest(output / "manifest.jsonl"))
    return {
        "seconds": seconds / hours,
        "clips": kept / seconds,
        **{k: v / hours for k, v in sizes.items()},
        "text": text / hours,
    }


def prepared_rows(costs: dict[str, dict[str, float]]) -> list[Row]:
    table = [
        Row(f"preparing, aligner={name}", "-", f"{cost['seconds']:.0f} s/hour/core ({3_600 / cost['seconds']:.0f} times real time, "
            f"{cost['clips']:.1f} clips/s/core)", numbers=cost)
        for name, cost in costs.items()
    ]  # fmt: skip
    cost = costs["expected"]
    whole = sum(cost[name] for name in ("audio", "features", "shards", "text"))
    each = ", ".join(f"{name} {cost[name] / 1e6:.1f}" for name in ("audio", "features", "shards", "text"))
    return [*table, Row("stored", "-", f"{whole / 1e6:.0f} MB/hour ({each})", numbers={"bytes_per_hour": whole})]


def training(source: Path, rows: list[ManifestRow]) -> list[Row]:
    """Time steps of the bundled sizes, forward, backward and optimiser, per 1,000 mel frames."""
    from emotts.acoustic.condition import Condition
    from emotts.acoustic.objective import Dropout, Target, acoustic_losses, total
    from emotts.checkpoint import load_checkpoint
    from emotts.data.batch_plan import BatchPlan
    from emotts.data.dataset import Corpus, collate
    from emotts.emotion.space import EmotionInput
    from emotts.pipeline import bundled_checkpoint

    modules: Any = load_checkpoint(bundled_checkpoint())[0]
    model = modules["acoustic"].train().requires_grad_(True)
    voices = sorted({row.voice for row in rows if row.split == "train"})[:8]
    corpus = Corpus(source, "train", voices)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-6, fused=True)
    table = []
    for frames in STEP_FRAMES:
        plan = BatchPlan(corpus.lengths, frames, 0)
        waits, costs, n_frames = 0.0, 0.0, 0
        for step in range(6):
            started = time.process_time()
            batch = collate([corpus.utterance(i) for i in plan.indices(step)])
            loaded = time.process_time()
            batch.voice.remainder_(len(model.voices.names))
            emotion = EmotionInput(batch.labels, batch.label_known, batch.avd, batch.avd_known)
            told = Condition(batch.phonemes, batch.stresses, batch.token_lengths, batch.voice, emotion)
            target = Target(batch.durations, batch.features, batch.feature_weight, batch.f0, batch.contour, batch.mel)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                losses = acoustic_losses(model, told, target, torch.Generator().manual_seed(step), Dropout())
                loss = total(losses)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step:  # the first one warms up
                waits += loaded - started
                costs += time.process_time() - loaded
                n_frames += int(batch.durations.sum())
        value = f"{1_000 * costs / n_frames:.2f} s per 1,000 frames and core, reading {1_000 * waits / n_frames * 1_000:.1f} ms"
        table.append(
            Row(
                f"training step, acoustic small, batches of {frames} frames",
                "-",
                value,
                numbers={"s": 1_000 * costs / n_frames},
            )
        )
    table.append(Row("training step on an H200", "-", "not measured"))
    return [*table, memory(corpus), bookkeeping(source, rows)]


def memory(corpus: Any) -> Row:
    """Return what a loaded corpus takes: all features of a split lie in memory."""
    held = sum(array.nbytes for raw in corpus.raw for array in raw.values())
    hours = sum(row.n_frames for row in corpus.rows) / 93.75 / 3_600.0
    return Row("features in memory", "-", f"{held / hours / 1e6:.0f} MB/hour", numbers={"bytes_per_hour": held / hours})


def bookkeeping(source: Path, rows: list[ManifestRow]) -> Row:
    """Return how fast a manifest is read, and the batches of an epoch are planned."""
    from emotts.data.batch_plan import BatchPlan

    started = time.process_time()
    n_rows = len(read_manifest(source / "manifest.jsonl"))
    reading = n_rows / (time.process_time() - started)
    lengths = [row.n_frames for row in rows] * (PLANNED // len(rows))
    started = time.process_time()
    BatchPlan(lengths, 10 * STEP_FRAMES[1], 0).indices(0)
    planning = len(lengths) / (time.process_time() - started)
    return Row(
        "manifest read, epoch planned",
        "-",
        f"{reading:,.0f} and {planning:,.0f} rows/s",
        numbers={"read": reading, "plan": planning},
    )


def extrapolated(costs: dict[str, dict[str, float]]) -> list[Row]:
    cost = costs["expected"]
    whole = sum(cost[name] for name in ("audio", "features", "shards", "text"))
    return [
        Row(f"{hours:,} hours, computed from these", "-", f"prepared in {hours * cost['seconds'] / 3_600:,.1f} core hours "
            f"({hours * costs['listened']['seconds'] / 3_600:,.1f} listened), {hours * whole / 1e9:,.0f} GB")
        for hours in HOURS
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
