"""`emotts batch`: a table or a script is checked whole, then spoken line by line into a folder, where `--resume` goes on.

Results go to stdout with --json, everything else to stderr.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotts.cli.arguments import add_sidecar_option

if TYPE_CHECKING:
    from emotts.batch.rows import Checker
    from emotts.batch.run import Batch, Summary

TABLES, SCRIPTS = (".jsonl", ".csv"), (".txt",)
SHOWN_FAILURES = 20
FORMS = """forms of FILE:
  lines.jsonl   one object a line: {"text": "You came!", "voice": "heart", "emotion": "happy:0.8", "output": "a.wav"}
  lines.csv     the same as columns; an empty cell takes the default
  story.txt     a script; its turns are joined to one file, and moods carry over:
                  @ANNA voice=heart emotion=calm:0.5 speed=1.1
                  ANNA (happy:0.8): You came!
Every option of `EmoTTS.synthesize` may be a column. Files and results.jsonl are written to the folder of --out.
"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the sub-parsers of `emotts` and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "batch",
        help="speak the lines of a table or a script",
        description="Speak the lines of a table or a script. The whole file is checked before the model loads.",
        epilog=FORMS,
    )
    parser.set_defaults(command="batch")
    parser.add_argument("file", metavar="FILE", help="a .jsonl, .csv or .txt file in UTF-8")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to; created if there is none")
    parser.add_argument("--resume", action="store_true", help="leave alone what an earlier run has done")
    parser.add_argument("--continue-on-error", action="store_true", help="go on after a line that fails")
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    add_sidecar_option(parser)
    parser.add_argument("--json", action="store_true", help="print one line of JSON per line spoken")
    script = parser.add_argument_group("scripts")
    script.add_argument("--gap", type=float, metavar="S", help="seconds between turns; default 0.35")
    script.add_argument(
        "--inertia", type=float, metavar="I", help="share of the mood before, 0 to below 1; default 0.4"
    )
    return parser


def batch(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit code: 1 if a line failed, 2 if there is a mistake in the file.

    Raises:
        ValueError: a mistake in the arguments, or a file that cannot be read.
        FileNotFoundError: the file or the checkpoint does not exist.
        OSError: the folder cannot be written.
    """
    _check_arguments(arguments)
    from emotts.batch.rows import BatchProblems, Checker, option_kinds
    from emotts.cli import FAILURE, MISTAKE, OK, say
    from emotts.pipeline import EmoTTS, bundled_checkpoint
    from emotts.speaker.profile import kept_voices

    checkpoint = Path(arguments.checkpoint) if arguments.checkpoint else bundled_checkpoint()
    voices = _voices(checkpoint)
    checker = Checker(option_kinds(EmoTTS.synthesize), voices and [*voices, *kept_voices()])
    try:
        lines = _read(arguments, checker)
        if checker.problems:
            raise BatchProblems(Path(arguments.file), checker.problems)
    except BatchProblems as found:
        for problem in found.lines:
            say(f"emotts: {problem}")
        say(f"emotts: error: nothing was spoken; {arguments.file} has {len(found.problems)} of these.")
        return MISTAKE

    from emotts.acceleration import choose_backend
    from emotts.batch.run import run_batch

    tts = EmoTTS.from_pretrained(arguments.checkpoint, arguments.device, arguments.backend)
    progress = _Progress(len(lines.rows), arguments.json)
    summary = run_batch(
        tts,
        lines,
        Path(arguments.out),
        model=_name_of(checkpoint) + choose_backend(arguments.backend, arguments.device).told,
        resume=arguments.resume,
        keep_going=arguments.continue_on_error,
        sidecars=arguments.sidecar,
        tell=progress.tell,
    )
    _report(summary, lines, arguments)
    return FAILURE if summary.failed else OK


def _check_arguments(arguments: argparse.Namespace) -> None:
    from emotts.batch.outputs import RESULTS
    from emotts.batch.script import MAX_GAP_S

    if "\0" in arguments.file + arguments.out:
        raise ValueError("FILE and --out must be names; got a NUL character.")
    suffix = Path(arguments.file).suffix.lower()
    if suffix not in TABLES + SCRIPTS:
        raise ValueError(f"FILE must end in one of {', '.join(TABLES + SCRIPTS)}; got {arguments.file!r}.")
    if suffix in TABLES and (arguments.gap, arguments.inertia) != (None, None):
        raise ValueError("--gap and --inertia belong to scripts (.txt); a table has no turns.")
    if arguments.gap is not None and not 0.0 <= arguments.gap <= MAX_GAP_S:
        raise ValueError(f"--gap must be from 0 to {MAX_GAP_S:g} seconds; got {arguments.gap:g}.")
    if arguments.inertia is not None and not 0.0 <= arguments.inertia < 1.0:
        raise ValueError(f"--inertia must be from 0 to below 1; got {arguments.inertia:g}.")
    out = Path(arguments.out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {arguments.out!r} is not a folder; give another name.")
    if (out / RESULTS).exists() and not (arguments.resume or arguments.force):
        raise ValueError(
            f"--out {arguments.out!r} holds an earlier run; add --resume to go on, or --force to start over."
        )


def _read(arguments: argparse.Namespace, checker: "Checker") -> "Batch":
    from emotts.batch.outputs import check_joined, check_outputs
    from emotts.batch.run import Batch
    from emotts.batch.script import GAP_S, INERTIA, read_script
    from emotts.batch.tables import read_table

    path, out = Path(arguments.file), Path(arguments.out)
    may_exist = arguments.resume or arguments.force
    if path.suffix.lower() in TABLES:
        lines = Batch(read_table(path, checker))
    else:
        script = read_script(path, checker)
        if checker.problems:
            return Batch([])
        rows = script.rows(INERTIA if arguments.inertia is None else arguments.inertia)
        pauses_s = script.pauses_s(GAP_S if arguments.gap is None else arguments.gap)
        lines = Batch(rows, f"{path.stem}.wav", pauses_s)
        check_joined(out / f"{path.stem}.wav", checker, may_exist, arguments.sidecar)
    check_outputs(lines.rows, out, checker, may_exist, arguments.sidecar)
    return lines


def _voices(checkpoint: Path) -> list[str] | None:
    """Return the voices of a checkpoint without loading it; None if that fails, which loading it will explain."""
    from emotts.checkpoint.config import parse_config
    from emotts.checkpoint.layout import CONFIG, MAX_CONFIG_BYTES

    try:
        with open(checkpoint / CONFIG, "rb") as file:
            voices = parse_config(file.read(MAX_CONFIG_BYTES + 1)).get("acoustic", {}).get("voices")
    except (OSError, ValueError):
        return None
    return [str(name) for name in voices] if isinstance(voices, list) else None


def _name_of(checkpoint: Path) -> str:
    """Return a name that changes with any weight of a checkpoint: the hash of its manifest, which holds theirs."""
    from emotts.checkpoint.layout import MANIFEST, sha256_of

    path = checkpoint / MANIFEST
    return sha256_of(path.read_bytes()) if path.is_file() else str(checkpoint)


class _Progress:
    """Prints results as they come, and on a terminal how far it is."""

    def __init__(self, n_rows: int, as_json: bool) -> None:
        self.n_rows, self.as_json, self.n_told = n_rows, as_json, 0
        self.is_shown = sys.stderr.isatty()

    def tell(self, result: dict[str, Any], is_old: bool) -> None:
        from emotts.cli import say

        self.n_told += 1
        if self.is_shown:
            print("\r\x1b[K", end="", file=sys.stderr)
        if "error" in result:
            say(f"emotts: row {result['row']}, {result['output']}: {result['error']}")
        if self.as_json:
            print(json.dumps({**result, "skipped": is_old}), flush=True)
        if self.is_shown and self.n_told < self.n_rows:
            bar = "#" * (20 * self.n_told // self.n_rows)
            print(f"[{bar:<20}] {self.n_told} of {self.n_rows}", end="", file=sys.stderr, flush=True)


def _report(summary: "Summary", lines: "Batch", arguments: argparse.Namespace) -> None:
    from emotts.cli import say

    counts = f"{summary.n_spoken} of {summary.n_rows} lines spoken"
    if summary.n_skipped:
        counts += f", {summary.n_skipped} done before"
    say(f"emotts: {counts}, in {arguments.out}")
    if summary.joined_s is not None:
        say(f"emotts: joined {Path(arguments.out) / str(lines.joined)}, {summary.joined_s:.2f} s")
    if summary.failed:
        shown = ", ".join(map(str, list(summary.failed)[:SHOWN_FAILURES]))
        more = "" if len(summary.failed) <= SHOWN_FAILURES else ", ..."
        remedy = "mend them and go on with --resume" if arguments.continue_on_error else "stopped; go on with --resume"
        say(f"emotts: {len(summary.failed)} failed (row {shown}{more}); {remedy}.")
