"""Measure how fast the model speaks: real-time factor, stages, first audio, start-up and memory, batch 1.

    python benchmarks/rtf.py                  # CPU: 24 sentences at 1 and 2 threads, five long texts, `make say`
    python benchmarks/rtf.py --quick          # 8 sentences, one minute
    python benchmarks/rtf.py --device cuda    # on a GPU; where gruut is missing, tokens come from benchmarks/speed_tokens.json

Each configuration runs in a fresh process. Prints tables, and writes them with all figures to benchmarks/results/rtf.json and
rtf.md; a run on one device leaves the figures of the other alone.
"""

import argparse
import json
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from machine import describe_run, machine_line
from speed_texts import long_texts, sentences, write_tokens
from stages import LARGEST_SHARE, OTHER, STAGES, WRITING, shares, too_large
from startup import COMMAND_LIMIT_S, measure_startup
from tables import ROOT, Row, markdown

RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("torch", "numpy", "gruut", "soundfile")
CPU_THREADS = (1, 2)
NETWORKS = {stage.name for stage in STAGES if stage.is_network}
DEVICES = ("cpu", "cuda")


def main(argv: list[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    texts, long = sentences(arguments.sentences), long_texts(arguments.long)
    if arguments.write_tokens:
        from emotts.pipeline import FIRST_MAX_CHARS

        write_tokens([*texts, *long], FIRST_MAX_CHARS)
        return 0
    facts: dict[str, Any] = {"run": describe_run(PACKAGES), "threads": {}}
    for threads in CPU_THREADS if arguments.device == "cpu" else (1,):
        facts["threads"][str(threads)] = run_child(
            {
                "threads": threads,
                "device": arguments.device,
                "checkpoint": arguments.checkpoint,
                "sentences": texts,
                "long_texts": long,
                "rounds": arguments.rounds,
                "tokens_from_file": find_spec("gruut") is None,
            }  # fmt: skip
        )
    if arguments.device == "cpu" and arguments.startups:
        facts["startup"] = measure_startup(arguments.startups)
    results = {**load_results(arguments.output), arguments.device: facts}
    table = report(results)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "rtf.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (arguments.output / "rtf.md").write_text(table, encoding="utf-8")
    print(table)
    return 0


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--checkpoint", help="a checkpoint folder; default: the bundled model")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="where rtf.json and rtf.md go")
    parser.add_argument("--write-tokens", action="store_true", help="write benchmarks/speed_tokens.json and end")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_const", dest="size", const=(8, 2, 2, 2), help="a minute")
    size.add_argument("--tiny", action="store_const", dest="size", const=(2, 1, 1, 0), help="seconds; for the tests")
    arguments = parser.parse_args(argv)
    arguments.sentences, arguments.long, arguments.rounds, arguments.startups = arguments.size or (24, 5, 3, 5)
    return arguments


def run_child(job: dict[str, Any]) -> dict[str, Any]:
    """Measure one configuration in a fresh process.

    Raises:
        RuntimeError: the process fails.
    """
    script = str(Path(__file__).with_name("rtf_child.py"))
    found = subprocess.run([sys.executable, script, json.dumps(job)], cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        raise RuntimeError(f"rtf_child.py must measure; it ended with {found.returncode}: {found.stderr[-800:]}")
    figures: dict[str, Any] = json.loads(found.stdout.strip().splitlines()[-1])
    return figures


def load_results(folder: Path) -> dict[str, Any]:
    """Return what was measured before."""
    path = folder / "rtf.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def factors(figures: dict[str, Any]) -> list[float]:
    """Return the real-time factor of each sentence, the median of its rounds."""
    return [
        statistics.median(s / d for s, d in zip(found["seconds"], found["durations_s"], strict=True))
        for found in figures["sentences"]
    ]


def summed(stages: list[dict[str, float]]) -> dict[str, float]:
    """Add up the seconds of stages over sentences."""
    return {name: sum(found.get(name, 0.0) for found in stages) for name in {n for found in stages for n in found}}


def quantile(values: list[float], share: float) -> float:
    """Return the value that a share of the values does not exceed, interpolated."""
    place = share * (len(values) - 1)
    low, ordered = int(place), sorted(values)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(values) - 1)] - ordered[low])


def report(results: dict[str, Any]) -> str:
    """Return the tables of everything measured; what was not says so."""
    parts = []
    for device in DEVICES:
        if device not in results:
            parts.append(f"On {device}: not measured.\n")
            continue
        facts = results[device]
        parts += [machine_line(facts["run"]) + "\n", markdown(speed_rows(device, facts)), stage_table(device, facts)]
        if "startup" in facts:
            parts += [startup_table(facts["startup"])]
    return "\n".join(parts)


def speed_rows(device: str, facts: dict[str, Any]) -> list[Row]:
    """Return the rows of speed and memory of one device."""
    rows = []
    for threads, figures in facts["threads"].items():
        where = f"{threads} thread{'s' if threads != '1' else ''}" if device == "cpu" else figures["gpu"]
        found, first = factors(figures), [1_000 * s for s in figures["first_audio_s"]]
        spoken = sum(statistics.mean(row["durations_s"]) for row in figures["sentences"])
        cold = figures["cold"]["seconds"] / figures["cold"]["duration_s"]
        target = 0.04 if device == "cpu" and threads == "2" else None
        middle = statistics.median(found)
        rows += [
            Row(
                f"real-time factor of a sentence, {where}: median (p5 to p95 of {len(found)} sentences, {spoken:.0f} s)",
                f"<= {target}" if target else "",
                f"{middle:.4f} ({quantile(found, 0.05):.4f} to {quantile(found, 0.95):.4f})",
                middle <= target if target else None,
            ),
            Row(f"the first sentence of a process, cold, {where}", "", f"{cold:.3f}"),
            Row(
                f"a long text of {figures['long']['duration_s']:.0f} s, {where}",
                "",
                f"{figures['long']['rtf']:.4f}; {gaps(figures['long']['late_s'])}",
            ),
            Row(
                f"first audio of a long text, {where}: median (worst of {len(first)})",
                "<= 250 ms" if target else "",
                f"{statistics.median(first):.0f} ms ({max(first):.0f})",
                statistics.median(first) <= 250 if target else None,
            ),
            Row(f"loading the model, imports included, {where}", "", f"{figures['load_s']:.2f} s"),
            Row(f"peak memory, {where}", "", memory(figures)),
        ]
    return rows


def gaps(late_s: float) -> str:
    """Say whether a text played from its first chunk on would have run dry."""
    return "plays without a gap" if late_s <= 0.0 else f"the player waits {late_s:.2f} s"


def memory(figures: dict[str, Any]) -> str:
    """Return the peak memory of process and GPU in words."""
    gpu = figures["gpu_memory_mb"]
    return f"{figures['memory_mb']:.0f} MB" + (f", on the GPU {gpu:.0f} MB" if gpu is not None else "")


def stage_table(device: str, facts: dict[str, Any]) -> str:
    """Return milliseconds per sentence and share of each stage, networks first."""
    by_threads = {threads: summed(figures["stages"]) for threads, figures in facts["threads"].items()}
    by_threads_long = {threads: figures["stages_long"] for threads, figures in facts["threads"].items()}
    heads = [f"{t} thread{'s' if t != '1' else ''}" if device == "cpu" else device for t in by_threads]
    columns = [f"ms, {head}" for head in heads] + [f"share, {head}" for head in heads] + [f"long, {h}" for h in heads]
    lines = [f"| stage | kind | {' | '.join(columns)} |", f"|---|---|{'---|' * len(columns)}"]
    names = [stage.name for stage in STAGES if stage.is_network]
    names += [stage.name for stage in STAGES if not stage.is_network] + [OTHER, WRITING]
    for name in names:
        milliseconds = [
            f"{1_000 * seconds[name] / len(facts['threads'][t]['stages']):.2f}" if name in seconds else "not measured"
            for t, seconds in by_threads.items()
        ]
        parts = [
            "" if name == WRITING else f"{100 * shares(seconds).get(name, 0.0):.1f} %"
            for seconds in (*by_threads.values(), *by_threads_long.values())
        ]
        kind = "network" if name in NETWORKS else "disk" if name == WRITING else ""
        lines.append(f"| {name} | {kind} | {' | '.join([*milliseconds, *parts])} |")
    verdicts = [
        f"{head}: {', '.join(large)}"
        for head, seconds in zip(heads, by_threads.values(), strict=True)
        if (large := too_large(seconds))
    ]
    limit = f"No stage outside the network may take more than {LARGEST_SHARE:.0%}"
    lines += [
        "",
        f"{limit}: {'missed by ' + '; '.join(verdicts) if verdicts else 'met'}. Shares are of the way from text to ",
    ]
    lines[-1] += "waveform; a file and its sidecar are each flushed to the disk, which takes the time of writing.\n"
    return "\n".join(lines)


def startup_table(startup: dict[str, Any]) -> str:
    """Return what `make say` takes on its second run."""
    runs = startup["make_say_s"]
    whole = f"{statistics.median(runs):.2f} s ({min(runs):.2f} to {max(runs):.2f})" if runs else "not measured"
    first = statistics.median(startup["first_sample_s"])
    rows = [
        Row("`make say`, second run: time to the first sample", f"<= {COMMAND_LIMIT_S:g} s", f"{first:.2f} s", first <= 4.0),
        Row("`make say`, second run: the whole command, file written", "", whole),
    ]  # fmt: skip
    rows += [
        Row(f"- {name}", "", f"{seconds:.3f} s")
        for name, seconds in startup["parts_s"].items()
        if name != "to the first sample"
    ]
    return markdown(rows)


if __name__ == "__main__":
    raise SystemExit(main())
