"""Measure the backends on the CPU: speed, time to load, memory, and whether words and quality stay as they are.

    python benchmarks/backends.py --quick        # two minutes: 4 sentences timed, 6 judged
    python benchmarks/backends.py                # 12 sentences timed with 1 and 2 threads, 64 judged

Times come from fresh processes that do nothing else, each backend in turn and the whole row several times over, so that what else
the machine does falls on all alike. The mel error is taken on the same readings as plain. `compile` is plain under torch.compile
with a warm cache on disk. Results go to benchmarks/results/backends.json and backends.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from instruments import Instruments
from machine import describe_run, machine_line
from speak_plan import count_errors, count_words
from tables import ROOT

from emotts.emotion.labels import LABELS
from emotts.metrics.statistics import bootstrap_mean, bootstrap_ratio

RESULTS = ROOT / "benchmarks" / "results"
SENTENCES = ROOT / "recipes" / "sentences" / "test.txt"
ARMS = ("plain", "bf16", "int8", "onnx", "compile")
PACKAGES = ("torch", "onnx", "onnxruntime", "numpy")
MOST_DNSMOS, MOST_WER = 0.02, 0.3  # what the default may lose against plain: points of DNSMOS, points of per cent
VOICES = 4
CHILD = """
import json, sys, time
started = time.perf_counter()
import torch
arm, threads, texts, repeats = json.loads(sys.argv[1])
torch.set_num_threads(threads)
from emotts.pipeline import EmoTTS
imported = time.perf_counter()
tts = EmoTTS.from_pretrained(backend="plain" if arm == "compile" else arm)
if arm == "compile":
    from emotts.layers import BlockStack
    for module in tts.acoustic.modules():
        if isinstance(module, BlockStack):
            module.run = torch.compile(module.run, dynamic=True)
loaded = time.perf_counter()
tts.synthesize(texts[0], seed=0, emotion="happy")
first = time.perf_counter()
for text in texts:
    tts.synthesize(text, seed=0, emotion="happy")
rtf, cpu = [], []
for seed in range(1, repeats + 1):
    for text in texts:
        start, used = time.perf_counter(), time.process_time()
        result = tts.synthesize(text, seed=seed, emotion="happy")
        rtf.append((time.perf_counter() - start) / result.duration_s)
        cpu.append((time.process_time() - used) / result.duration_s)
memory = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({
    "runs": tts.backend.backend, "import_s": imported - started, "load_s": loaded - imported, "first_s": first - loaded,
    "memory_mb": memory, "rtf": rtf, "cpu": cpu,
}))
"""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    sentences = [line.strip() for line in SENTENCES.read_text(encoding="utf-8").splitlines() if line.strip()]
    arms = arguments.backends.split(",")
    unknown = sorted(set(arms) - set(ARMS))
    if unknown or "plain" not in arms:
        print(
            f"--backends must name some of {', '.join(ARMS)}, plain among them; got {arguments.backends}.",
            file=sys.stderr,
        )
        return 2
    facts = earlier(arguments.output)
    rows: dict[str, dict[str, Any]] = {row["backend"]: row for row in facts["rows"]}
    if arguments.timed:
        facts["timed"] = describe_run(PACKAGES) | {"sentences": arguments.timed}
        found = speeds(arms, arguments.threads, sentences[: arguments.timed], arguments.rounds)
        rows |= {arm: rows.get(arm, {"backend": arm}) | found[arm] for arm in arms}
    if arguments.judged:
        facts["judged"] = describe_run(PACKAGES) | {"sentences": arguments.judged}
        heard = qualities([arm for arm in arms if arm != "compile"], sentences[: arguments.judged])
        rows |= {arm: rows.get(arm, {"backend": arm}) | heard[arm] for arm in heard}
    facts["rows"] = [rows[arm] for arm in ARMS if arm in rows]
    facts["within_bounds"] = within_bounds(facts["rows"])
    table = markdown(facts)
    print(table)
    if arguments.output is not None:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        arguments.output.with_suffix(".md").write_text(table, encoding="utf-8")
    return 0


def earlier(path: Path | None) -> dict[str, Any]:
    """Return what an earlier run wrote: speed and quality may be measured apart, for only speed needs a quiet machine."""
    if path is None or not path.is_file():
        return {"timed": None, "judged": None, "rows": []}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="fewer sentences and rounds; not written unless --output is given"
    )
    parser.add_argument("--backends", default=",".join(ARMS), metavar="A,B", help=f"some of {', '.join(ARMS)}")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--timed", type=int, metavar="N", help="sentences that are timed; 0 leaves speed as it was")
    parser.add_argument("--judged", type=int, metavar="N", help="sentences that are judged; 0 leaves quality as it was")
    parser.add_argument("--rounds", type=int, metavar="N", help="fresh processes of each backend and number of threads")
    parser.add_argument("--output", type=Path, metavar="FILE.json")
    arguments = parser.parse_args(argv)
    quick, whole = {"timed": 4, "judged": 6, "rounds": 1}, {"timed": 12, "judged": 64, "rounds": 3}
    for name, value in (quick if arguments.quick else whole).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    if arguments.output is None and not arguments.quick:
        arguments.output = RESULTS / "backends.json"
    return arguments


def speeds(arms: Sequence[str], threads: Sequence[int], texts: list[str], rounds: int) -> dict[str, dict[str, Any]]:
    """Return time and memory of each backend: medians over all sentences and rounds, with quartiles."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {arm: {str(n): [] for n in threads} for arm in arms}
    with tempfile.TemporaryDirectory() as cache:
        for number in range(rounds):
            for n in threads:
                for arm in arms:
                    if arm == "compile" and number == 0:  # fills the cache
                        run_child("compile", n, texts[:2], 0, cache)
                    print(f"round {number + 1} of {rounds}: {arm}, {n} threads", file=sys.stderr)
                    found[arm][str(n)].append(run_child(arm, n, texts, 1, cache))
    return {arm: {"threads": {n: summary(runs) for n, runs in rows.items()}} for arm, rows in found.items()}


def run_child(arm: str, threads: int, texts: list[str], repeats: int, cache: str) -> dict[str, Any]:
    """Measure one backend in a fresh process."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TORCHINDUCTOR_CACHE_DIR": cache}
    command = [sys.executable, "-c", CHILD, json.dumps([arm, threads, texts, repeats])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode:
        raise RuntimeError(f"backend {arm} failed: {done.stderr.strip()[-2_000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of several processes."""
    rtf = [value for run in runs for value in run["rtf"]]
    low, middle, high = (float(value) for value in np.quantile(rtf, (0.25, 0.5, 0.75)))
    rest = {
        name: statistics.median(run[name] for run in runs) for name in ("import_s", "load_s", "first_s", "memory_mb")
    }
    cpu = statistics.median(value for run in runs for value in run["cpu"])
    return {"runs": runs[0]["runs"], "rtf": middle, "rtf_quartiles": [low, high], "cpu_s_per_s": cpu, **rest}


def qualities(arms: Sequence[str], texts: list[str]) -> dict[str, dict[str, Any]]:
    """Return mel error, word error rate and DNSMOS of each backend on the same requests."""
    if not texts:
        return {}
    from emotts.pipeline import EmoTTS

    instruments = Instruments()
    instruments.threads = os.cpu_count() or 1
    found, plain = {}, EmoTTS.from_pretrained(backend="plain")
    voices = [voice.name for voice in plain.voices][:VOICES]
    asks = [(text, voices[i % len(voices)], LABELS[i % len(LABELS)], i) for i, text in enumerate(texts)]
    readings = [plain.synthesize(text, voice=voice, emotion=label, seed=seed) for text, voice, label, seed in asks]
    again = [
        plain.synthesize(text, voice=voice, emotion=label, seed=seed, prosody=reading.prosody)
        for (text, voice, label, seed), reading in zip(asks, readings, strict=True)
    ]
    quality_again = [overall(instruments, result) for result in again]
    for arm in arms:
        print(f"judging {arm}", file=sys.stderr)
        tts = plain if arm == "plain" else EmoTTS.from_pretrained(backend=arm)
        spoken = [tts.synthesize(text, voice=voice, emotion=label, seed=seed) for text, voice, label, seed in asks]
        same = [
            tts.synthesize(text, voice=voice, emotion=label, seed=seed, prosody=reading.prosody)
            for (text, voice, label, seed), reading in zip(asks, readings, strict=True)
        ]
        heard = [
            instruments.recogniser.word_errors([result.waveform], [text])[0].to_dict()
            for result, text in zip(spoken, texts, strict=True)
        ]
        errors, words = [count_errors(one) for one in heard], [count_words(one) for one in heard]
        quality = [overall(instruments, result) for result in spoken]
        changes = [overall(instruments, result) - before for result, before in zip(same, quality_again, strict=True)]
        found[arm] = {
            "mel_error_nepers": float(np.mean([mel_error(a.mel, b.mel) for a, b in zip(same, again, strict=True)])),
            "same_durations": float(
                np.mean([a.durations == b.durations for a, b in zip(spoken, readings, strict=True)])
            ),
            "wer_percent": scaled(bootstrap_ratio(errors, words), 100.0),
            "dnsmos_change_same_reading": scaled(bootstrap_mean(changes), 1.0),
            "dnsmos": scaled(bootstrap_mean(quality), 1.0),
            "errors": errors,
            "dnsmos_each": [round(value, 4) for value in quality],
        }
    return found


def overall(instruments: Instruments, result: Any) -> float:
    """Return DNSMOS OVRL of a result."""
    return float(instruments.dnsmos(result.waveform).to_dict()["dns_overall"])


def mel_error(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean absolute difference of two mels [T, M]."""
    return float(np.abs(one - other).mean())


def scaled(interval: Any, factor: float) -> list[float]:
    """Return value, low and high."""
    return [round(factor * value, 4) for value in (interval.value, interval.low, interval.high)]


def within_bounds(rows: Iterable[dict[str, Any]]) -> dict[str, bool]:
    """Say of each judged backend whether it loses at most MOST_DNSMOS and MOST_WER against plain."""
    judged = {row["backend"]: row for row in rows if "dnsmos" in row}
    if "plain" not in judged:
        return {}
    plain = judged["plain"]
    return {
        name: plain["dnsmos"][0] - row["dnsmos"][0] <= MOST_DNSMOS
        and row["wer_percent"][0] - plain["wer_percent"][0] <= MOST_WER
        for name, row in judged.items()
    }


def markdown(facts: dict[str, Any]) -> str:
    """Return the table of all backends."""
    threads = sorted({n for row in facts["rows"] for n in row.get("threads", {})})
    head = [f"RTF, {n} thread{'s' * (n != '1')} (quartiles)" for n in threads]
    names = ["backend", *head, "load s", "first sentence s", "memory MB", "mel error", "WER %", "DNSMOS"]
    names += ["DNSMOS against plain, same readings", "no loss"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in facts["rows"]:
        times = [row["threads"][n] for n in threads] if "threads" in row else []
        rtf = [f"{t['rtf']:.4f} ({t['rtf_quartiles'][0]:.4f}-{t['rtf_quartiles'][1]:.4f})" for t in times]
        cost = [f"{t['load_s']:.2f} | {t['first_s']:.2f} | {t['memory_mb']:.0f}" for t in times[-1:]]
        told = [""] * 5
        if "dnsmos" in row:
            verdict = {True: "yes", False: "**no**"}[facts["within_bounds"][row["backend"]]]
            change = "{:+.3f} ({:+.3f} to {:+.3f})".format(*row["dnsmos_change_same_reading"])
            words, quality = f"{row['wer_percent'][0]:.2f}", f"{row['dnsmos'][0]:.3f}"
            told = [f"{row['mel_error_nepers']:.4f}", words, quality, change, verdict]
        timed = [*rtf, *cost] if times else ["-"] * (len(threads) + 3)
        lines.append(f"| {' | '.join([row['backend'], *timed, *told])} |")
    runs = [(part, facts[part]) for part in ("timed", "judged") if facts[part]]
    lines += [f"\n{part}: {run['sentences']} sentences; {machine_line(run)}" for part, run in runs]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
