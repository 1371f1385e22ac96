"""Measure every way of saying which emotion, by the judge that never steers, and print the table.

    python benchmarks/steer.py                                   # 52 texts, 4 voices: about half an hour on 2 cores
    python benchmarks/steer.py --texts 8 --parts intensity,away  # some rows only; the others stay as they were

The texts are the test sentences, which no model has learnt. Results go to benchmarks/results/steer.json and steer.md.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from steer_bench import Bench, Figure
from steer_parts import PARTS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SENTENCES = ROOT / "recipes" / "sentences" / "test.txt"
VOICES = ("heart", "otto", "joe", "kumo")  # of three teachers


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint folder; default: the bundled model")
    parser.add_argument("--texts", type=int, default=52, metavar="N", help="test sentences (default: 52)")
    parser.add_argument("--voices", default=",".join(VOICES), help="comma-separated names")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"comma-separated, of {', '.join(PARTS)}")
    arguments = parser.parse_args()
    wanted = arguments.parts.split(",")
    if unknown := sorted(set(wanted) - set(PARTS)):
        parser.error(f"parts must be of {', '.join(PARTS)}; got {', '.join(unknown)}")
    bench = Bench(arguments.checkpoint, arguments.voices.split(","), read_texts(arguments.texts))
    path = RESULTS / "steer.json"
    for name in wanted:
        started = time.perf_counter()
        figures = [asdict(figure) for figure in PARTS[name](bench)]
        results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": {}, "runs": {}}
        results["rows"][name] = figures
        seconds = round(time.perf_counter() - started)
        results["runs"][name] = bench.describe() | {"seconds": seconds, "texts": arguments.texts}
        print(f"{name}: {seconds} s", file=sys.stderr, flush=True)
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    table = markdown([Figure(**row) for name in PARTS for row in results["rows"].get(name, [])])
    (RESULTS / "steer.md").write_text(table, encoding="utf-8")
    print(table)
    return 0


def read_texts(n: int) -> list[str]:
    """Return n test sentences of a length that carries an emotion, spread over the file."""
    lines = [line.strip() for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    fit = [line for line in lines if line and not line.startswith("#") and 5 <= len(line.split()) <= 14]
    step = max(1, len(fit) // n)
    return fit[::step][:n]


def markdown(figures: list[Figure]) -> str:
    """Return the table; a missed target is marked."""
    rows = ["| control | measure | target | reached | n |", "|---|---|---|---|---|"]
    for figure in figures:
        missed = "" if figure.is_met is None or figure.is_met else " **missed**"
        rows.append(f"| {figure.control} | {figure.measure} | {figure.target} | {figure.value}{missed} | {figure.n} |")
    return "\n".join(rows) + "\n"


Part = Callable[[Bench], list[Figure]]

if __name__ == "__main__":
    raise SystemExit(main())
