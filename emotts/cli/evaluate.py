"""`emotts evaluate` and `emotts verify`: speak a grid, judge it, write a report; prove that every knob works.

Tables and paths go to stdout, progress to stderr. `verify` exits 1 where a knob fails.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emotts.evaluation.listen import Listener
    from emotts.evaluation.verify import Verdict
    from emotts.pipeline import EmoTTS
    from emotts.reference import LearningJudge

DEFAULT_OUT = "runs/evaluation"
STEERING, INDEPENDENT = "recognizer", "features"


def add_evaluate_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `emotts evaluate`, besides those of the model."""
    parser.add_argument(
        "--suite",
        default="quick",
        choices=("quick", "full"),
        help="quick (default, 5 minutes) or full (hours; resumes)",
    )
    parser.add_argument("--out", metavar="DIR", help=f"folder of the report; default {DEFAULT_OUT}/SUITE")
    parser.add_argument(
        "--recordings",
        metavar="DIR",
        help="a folder of your own recordings, which are converted too; what x.wav says stands in x.txt, or nowhere",
    )
    parser.add_argument("--corpus", metavar="DIR", help="a simulated corpus; its test split is measured as the ceiling")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the readings and the free points; default 0"
    )
    parser.add_argument("--json", action="store_true", help="print report.json on stdout")


def add_verify_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `emotts verify`, besides those of the model."""
    parser.add_argument("--quick", action="store_true", help="two texts in place of eight")
    parser.add_argument("--knobs", metavar="NAMES", help="comma-separated; default all")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the readings; default 1")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")


def evaluate(arguments: argparse.Namespace) -> None:
    """Run `emotts evaluate`.

    Raises:
        ValueError: a mistake in the arguments, the checkpoint, a judge, the corpus or the recordings.
        FileNotFoundError: a checkpoint, a judge, a package, the corpus or the recordings are missing.
    """
    from emotts.pipeline import EmoTTS, bundled_checkpoint
    from emotts.recordings import find_recordings

    _check_seed(arguments.seed)
    out = Path(arguments.out or f"{DEFAULT_OUT}/{arguments.suite}")
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {str(out)!r} is a file; give a folder.")
    corpus = Path(arguments.corpus) if arguments.corpus else None
    if corpus is not None and not (corpus / "manifest.jsonl").is_file():
        raise FileNotFoundError(
            f"--corpus {str(corpus)!r} has no manifest.jsonl; make one with recipes/prepare_corpus.py from recordings, "
            "or recipes/simulate_corpus.py."
        )
    if arguments.recordings and not Path(arguments.recordings).is_dir():
        raise FileNotFoundError(f"--recordings {arguments.recordings!r} is no folder; give one that holds audio files.")
    recordings = find_recordings([arguments.recordings]) if arguments.recordings else []
    folder = Path(arguments.checkpoint) if arguments.checkpoint else bundled_checkpoint()
    tts = EmoTTS.from_pretrained(folder, arguments.device, arguments.backend)
    report = write_report(tts, folder, _judges(), arguments.suite, out, arguments.seed, corpus, recordings)
    if arguments.json:
        print(json.dumps(report))
        return
    _print_table(report)
    print(f"\n{out / 'report.html'}\n{out / 'report.json'}\n{out / 'results.jsonl'}")


def write_report(
    tts: Any,
    folder: Path,
    judges: list[Any],
    suite: str,
    out: Path,
    seed: int = 0,
    corpus: Path | None = None,
    recordings: Sequence[Path] = (),
) -> dict[str, Any]:
    """Evaluate a model and write results.jsonl, report.json and report.html.

    Args:
        tts: the model. folder: its checkpoint, whose digest names the rows.
        judges: the one that may steer, then the independent one.
        suite: "quick" or "full". out: a folder. seed: of the grid.
        corpus, recordings: see `emotts.evaluation.run.evaluate`.

    Returns:
        What report.json holds.

    Raises:
        ValueError: an unknown suite, a corpus without a test split, or an empty text beside a recording.
        FileNotFoundError: a package is missing, or what conversion listens with.
    """
    from emotts.data.manifest import write_atomically
    from emotts.evaluation.conversion_page import make_pairs
    from emotts.evaluation.grid import suite_named
    from emotts.evaluation.listen import load_listener
    from emotts.evaluation.report import encode_mp3, make_clips, render
    from emotts.evaluation.run import evaluate as run_grid
    from emotts.evaluation.run import show_progress, system_digest, voices_of
    from emotts.evaluation.summary import summarise
    from emotts.judges import bundled_judge
    from emotts.listeners import bundled_converter

    started = time.monotonic()
    size, listener = suite_named(suite), load_listener(judges)
    folders = [folder, *(bundled_judge(judge.name) for judge in judges)]
    if size.n_sources or recordings:
        folders.append(bundled_converter())
    system = system_digest(folders) + tts.card.backend
    rows = run_grid(tts, listener, size, out, system, seed, corpus, show_progress("evaluate"), recordings)
    names = [judge.name for judge in judges]
    report = {
        "suite": suite,
        "seed": seed,
        "checkpoint": str(folder),
        "system": system,
        "date": time.strftime("%Y-%m-%d"),
        "judges": names,
        "corpus": None if corpus is None else str(corpus),
        "recordings": [path.as_posix() for path in recordings],
        **summarise(rows, names),
        "controls": turn_controls(tts, judges[-1], listener, suite == "quick", seed),
    }
    clips = make_clips(tts, rows, names[-1])
    pairs = make_pairs(tts, rows, size, voices_of(tts)[: size.n_voices], seed, encode_mp3, recordings)
    report["seconds"] = round(time.monotonic() - started, 1)
    write_atomically(out / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    write_atomically(out / "report.html", render(report, rows, clips, pairs))
    return report


def turn_controls(
    tts: "EmoTTS", judge: "LearningJudge", listener: "Listener", is_quick: bool, seed: int
) -> list[dict[str, Any]]:
    """Turn every registered control and return its verdict, words left out; one place for a quick suite, eight else."""
    from emotts.evaluation.knobs import knobs_of
    from emotts.evaluation.run import show_progress
    from emotts.evaluation.verify import Bench, places_for
    from emotts.evaluation.verify import verify as run_knobs

    places = places_for([card.name for card in tts.voices], is_quick)
    bench = Bench(tts, judge, listener.speaker, None, places[:1] if is_quick else places, seed)
    verdicts = run_knobs(bench, knobs_of(tts), show_progress("controls"))
    return [{**asdict(verdict), "values": [str(value) for value in verdict.values]} for verdict in verdicts]


def verify(arguments: argparse.Namespace) -> None:
    """Run `emotts verify`; leave with exit code 1 where a knob fails.

    Raises:
        ValueError: an unknown knob, or a mistake in the checkpoint or a judge.
        FileNotFoundError: a checkpoint, a judge or a package is missing.
    """
    from emotts.cli import FAILURE
    from emotts.evaluation.knobs import knobs_of
    from emotts.evaluation.listen import load_listener
    from emotts.evaluation.run import show_progress
    from emotts.evaluation.verify import Bench, places_for
    from emotts.evaluation.verify import verify as run_knobs
    from emotts.judges import load_judge
    from emotts.pipeline import EmoTTS

    _check_seed(arguments.seed)
    tts = EmoTTS.from_pretrained(arguments.checkpoint, arguments.device, arguments.backend)
    knobs = knobs_of(tts)
    if arguments.knobs:
        known = {knob.name: knob for knob in knobs}
        wanted = [name.strip() for name in arguments.knobs.split(",")]
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise ValueError(f"--knobs must be of {', '.join(known)}; got {unknown[0][:40]!r}.")
        knobs = [known[name] for name in wanted]
    judge = load_judge(INDEPENDENT)
    listener = load_listener([judge])

    def count_words(waveform: Any, text: str) -> tuple[int, int]:
        heard = listener.words(waveform, text)
        wrong, replaced = heard["whisper_wer_delete"] + heard["whisper_wer_insert"], heard["whisper_wer_replace"]
        return wrong + replaced, heard["whisper_wer_delete"] + replaced + heard["whisper_wer_equal"]

    places = places_for([card.name for card in tts.voices], arguments.quick)
    bench = Bench(tts, judge, listener.speaker, count_words, places, arguments.seed)
    verdicts = run_knobs(bench, knobs, show_progress("verify"))
    if arguments.json:
        print(json.dumps([{**asdict(verdict), "is_passed": verdict.is_passed} for verdict in verdicts]))
    else:
        _print_verdicts(verdicts)
    if not all(verdict.is_passed for verdict in verdicts):
        sys.exit(FAILURE)


def _judges() -> list[Any]:
    from emotts.judges import load_judge

    return [load_judge(STEERING), load_judge(INDEPENDENT)]


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**63:
        raise ValueError(f"--seed must be a whole number from 0 to 2^63 - 1; got {seed}.")


def _print_table(report: dict[str, Any]) -> None:
    group = None
    for line in report["table"]:
        value = line["values"]["emotts"]
        if value is None:
            continue
        if line["group"] != group:
            group = line["group"]
            print(f"\n{group}")
        interval = "" if value["low"] is None else f"[{value['low']:.2f}, {value['high']:.2f}]"
        target = (
            ""
            if line["at_least"] is None
            else f"at least {line['at_least']:g}: {'met' if line['is_met'] else 'missed'}"
        )
        print(f"  {line['name']:<44}{line['judge']:<12}{value['value']:>8.3f}  {interval:<18}{target}".rstrip())


def _print_verdicts(verdicts: "list[Verdict]") -> None:
    for verdict in verdicts:
        state = "ok  " if verdict.is_passed else "FAIL"
        order = "" if verdict.order is None else f"order {verdict.order:+.2f}  "
        words = "" if verdict.word_errors is None else f"WER {verdict.word_errors:+.1f}  "
        voice = "" if verdict.speaker_sim is None else f"voice {verdict.speaker_sim:.2f}"
        change = f"{verdict.change:+.3f} (needs {verdict.needed:g})"
        print(f"{state} {verdict.name:<25}{change:<26}{order}{words}{voice}".rstrip())
        for problem in verdict.problems:
            print(f"     {problem} ({verdict.promise})")
    failed = sum(not verdict.is_passed for verdict in verdicts)
    print(f"{len(verdicts) - failed} of {len(verdicts)} knobs work")
