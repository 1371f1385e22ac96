"""Measure the student of the flows against its teacher: words, DNSMOS and the judge, with readings of their own.

    python benchmarks/student.py               # 64 sentences, a quarter of an hour
    python benchmarks/student.py --sentences 8

Sentences, voices and emotions take turns, and all ways speak the same. Measures are kept under runs/bench, so that a run that was
stopped goes on. Results go to benchmarks/results/student.json and student.md.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_run, machine_line
from sampler_quality import SENTENCES, Quality
from speak_plan import count_errors, count_words
from speak_systems import Ask
from tables import ROOT

from emotts.emotion.labels import LABELS
from emotts.metrics.statistics import bootstrap_mean

RESULTS = ROOT / "benchmarks" / "results"
WAYS: dict[str, dict[str, Any]] = {
    "flows, 16 + 16 steps": {"sampler": "flow", "steps": 16, "prosody_steps": 16},
    "flows, 4 + 6 steps": {"sampler": "flow", "steps": 4, "prosody_steps": 6},
    "flows, 2 + 2 steps": {"sampler": "flow", "steps": 2, "prosody_steps": 2},
    "student, 4 + 4 steps": {"sampler": "student", "steps": 4, "prosody_steps": 4},
    "student, 2 + 2 steps": {"sampler": "student", "steps": 2, "prosody_steps": 2},
    "student, 1 + 1 steps": {"sampler": "student", "steps": 1, "prosody_steps": 1},
    "flows, 16 + 16 steps, guidance 2": {"sampler": "flow", "steps": 16, "prosody_steps": 16, "guidance": 2.0},
    "student, 2 + 2 steps, guidance 2": {"sampler": "student", "steps": 2, "prosody_steps": 2, "guidance": 2.0},
}
MOST_DNSMOS, MOST_WER = (
    0.1,
    1.0,
)  # what 2 steps of the student may lose against 16 of the flows: points, points of per cent
PACKAGES = ("torch", "numpy", "onnxruntime", "faster-whisper", "speechmos")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="folder of a model with a student; default: the bundled one")
    parser.add_argument("--sentences", type=int, default=64, metavar="N")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="where student.json and .md go")
    arguments = parser.parse_args(argv)
    bench = Quality(arguments.checkpoint)
    if bench.system.tts.student is None:
        print("the checkpoint has no student; recipes/distill_sampler.py makes one.", file=sys.stderr)
        return 1
    run = describe_run(PACKAGES) | {"sentences": arguments.sentences}
    rows = measure(bench, arguments.sentences)
    arguments.output.mkdir(parents=True, exist_ok=True)
    found = json.dumps({"run": run, "rows": rows}, indent=1) + "\n"
    (arguments.output / "student.json").write_text(found, encoding="utf-8")
    text = f"{table(rows)}\n\n{machine_line(run)}; {arguments.sentences} sentences.\n"
    (arguments.output / "student.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def measure(bench: Quality, n_sentences: int) -> list[dict[str, Any]]:
    """Measure every way on N sentences, voices and emotions in turn."""
    texts = [line.strip() for line in SENTENCES.read_text(encoding="utf-8").splitlines() if line.strip()]
    voices = bench.system.voices
    asks = [
        Ask(texts[i % len(texts)], voices[i % len(voices)], LABELS[i % len(LABELS)], seed=i) for i in range(n_sentences)
    ]
    found = {name: [bench.hear(ask, options) for ask in asks] for name, options in WAYS.items()}
    rows = []
    for name, heard in found.items():
        teacher = found[next(way for way in WAYS if way.endswith(name.partition("steps")[2]))]
        quality = np.array([one["dnsmos"]["dns_overall"] for one in heard])
        change = bootstrap_mean(quality - np.array([one["dnsmos"]["dns_overall"] for one in teacher]))
        rows.append(
            {
                "way": name,
                "wer": 100.0 * sum(count_errors(one["asr"]) for one in heard) / sum(count_words(one["asr"]) for one in heard),
                "dnsmos": float(quality.mean()),
                "dnsmos_change": [round(x, 3) for x in (change.value, change.low, change.high)],
                "agreement": float(np.mean([one["agrees"] for one in heard])),
            }
        )  # fmt: skip
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Return a Markdown table, and whether 2 steps of the student hold."""
    lines = ["| sampler | WER | DNSMOS | against 16 steps | judge agrees |", "|---" * 5 + "|"]
    for row in rows:
        change = "{:+.3f} ({:+.3f} to {:+.3f})".format(*row["dnsmos_change"])
        lines.append(f"| {row['way']} | {row['wer']:.1f} % | {row['dnsmos']:.3f} | {change} | {row['agreement']:.0%} |")
    by_name = {row["way"]: row for row in rows}
    student, teacher = by_name["student, 2 + 2 steps"], by_name["flows, 16 + 16 steps"]
    holds = student["dnsmos"] >= teacher["dnsmos"] - MOST_DNSMOS and student["wer"] <= teacher["wer"] + MOST_WER
    asked = f"Two steps of the student within {MOST_DNSMOS:g} DNSMOS and {MOST_WER:g} point of WER of 16 steps"
    verdict = f"{asked}: {'met' if holds else 'not met'}."
    return "\n".join([*lines, "", verdict])


if __name__ == "__main__":
    raise SystemExit(main())
