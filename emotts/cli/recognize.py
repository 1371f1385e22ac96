"""`emotts recognize`: recordings come in; the emotion that a judge hears and an analysis of the voice go to stdout.

A recording is read and judged in pieces, so that memory stays small however long it is. Of several recordings, one that cannot be
judged costs a line on stderr and the exit code 1 at the end; the others are judged.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotts.emotion.labels import DIMENSIONS

if TYPE_CHECKING:
    import numpy as np

    from emotts.emotion.heard import Heard, Judge
    from emotts.recognition import Recognition

N_RIVALS = 2  # labels that are named after the best one
ROW = "{label:<10} {p:>4}  {arousal:>12} {valence:>12} {dominance:>12} {duration:>8} "


def add_parser(commands: Any) -> None:
    """Add the command to the sub-parsers of `emotts`."""
    parser = commands.add_parser(
        "recognize",
        help="hear the emotion in recordings",
        description="Hear the emotion in recordings: label, arousal, valence, dominance, and an analysis of the voice.",
    )
    parser.set_defaults(command="recognize")
    parser.add_argument("inputs", nargs="+", metavar="IN", help="audio files, folders or globs")
    parser.add_argument("--judge", default="recognizer", metavar="NAME", help="recognizer (default) or features")
    parser.add_argument("--checkpoint", metavar="DIR", help="folder of the judge; default is the bundled one")
    parser.add_argument(
        "--reference",
        action="append",
        default=[],
        metavar="FILE",
        help="neutral speech of the same speaker and microphone, to be heard against; may be given several times",
    )
    parser.add_argument("--windows", action="store_true", help="judge every half second too")
    parser.add_argument("--json", action="store_true", help="print one line of JSON per recording")
    parser.add_argument("--plot", metavar="FILE.png", help="draw labels, A, V and D over time, of one recording")
    parser.add_argument("--force", action="store_true", help="overwrite an existing plot")


def recognize(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit code: 1 if some of several recordings could not be judged.

    Raises:
        ValueError: a mistake in the arguments, or the only recording cannot be judged.
        FileNotFoundError: the only recording or the judge does not exist.
    """
    from emotts.judges import load_judge
    from emotts.recognition import recognize_file, to_json
    from emotts.recordings import find_recordings

    paths = find_recordings(arguments.inputs)
    is_single = len(arguments.inputs) == 1 and paths == [Path(arguments.inputs[0])]
    _check_plot(arguments, is_single)
    judge = load_judge(arguments.judge, arguments.checkpoint)
    if arguments.reference:
        judge = judge.with_reference([_read_reference(Path(name)) for name in arguments.reference])
    wants_windows = arguments.windows or bool(arguments.plot)
    if is_single:
        recognition = recognize_file(judge, paths[0], wants_windows)
        if arguments.plot:
            from emotts.plotting_heard import plot_heard

            title = f"{paths[0].name}: {recognition.heard.label}, judge {judge.name}"
            plot_heard(recognition.windows, recognition.duration_s, title, arguments.plot)
        print(to_json(recognition, judge.name, arguments.windows) if arguments.json else _block(recognition, arguments))
        return 0
    return _recognize_many(judge, paths, arguments)


def _recognize_many(judge: "Judge", paths: Sequence[Path], arguments: argparse.Namespace) -> int:
    """Judge one recording after the other; a bad one is named on stderr, at once and again at the end."""
    from emotts.cli import say
    from emotts.recognition import VOICE_COLUMNS, recognize_file, to_json

    failed: list[Path] = []
    is_shown = sys.stderr.isatty()
    if not arguments.json:
        headings = {name: name for name in ("label", "p", *DIMENSIONS, "duration")}
        print(ROW.format(**headings) + " ".join(f"{c[0]:>6}" for c in VOICE_COLUMNS.values()) + "  file")
    for i, path in enumerate(paths):
        if is_shown:
            bar = "#" * (20 * i // len(paths))
            print(f"\r[{bar:<20}] {i} of {len(paths)}  {path.name[:40]:<40}", end="", file=sys.stderr, flush=True)
        try:
            recognition = recognize_file(judge, path, arguments.windows)
        except Exception as error:
            if is_shown:
                print("\r\x1b[K", end="", file=sys.stderr)
            kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
            say(f"emotts: {path}: {kind}{error}")
            failed.append(path)
            continue
        if is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        print(
            to_json(recognition, judge.name, arguments.windows) if arguments.json else _row(recognition, arguments),
            flush=True,
        )
    if failed:
        say(f"emotts: {len(failed)} of {len(paths)} recordings failed: {', '.join(map(str, failed))}")
    return 1 if failed else 0


def _check_plot(arguments: argparse.Namespace, is_single: bool) -> None:
    if not arguments.plot:
        return
    from emotts.cli.synthesize import check_plot

    if not is_single:
        raise ValueError("--plot draws one recording; give one file, without folders and globs.")
    check_plot(Path(arguments.plot), arguments.force)


def _read_reference(path: Path) -> "tuple[np.ndarray, int]":
    """Return the first piece of a recording and its sample rate."""
    from emotts.audio import SPEC
    from emotts.recognition import PIECE_S
    from emotts.recordings import read_pieces

    return next(read_pieces(path, SPEC.sample_rate, PIECE_S)), SPEC.sample_rate


def _block(recognition: "Recognition", arguments: argparse.Namespace) -> str:
    """Return the table of one recording, a line per fact."""
    from emotts.recognition import VOICE_COLUMNS

    heard, voice = recognition.heard, recognition.voice.to_dict()
    best = sorted(heard.labels.items(), key=lambda item: -item[1])[: 1 + N_RIVALS]
    lines = [
        ("file", str(recognition.path)),
        ("duration", f"{recognition.duration_s:.2f} s"),
        ("label", f"{heard.label}  ({', '.join(f'{name} {p:.2f}' for name, p in best)})"),
        *(
            (name, f"{value:+.2f} ± {std:.2f}")
            for name, value, std in zip(DIMENSIONS, heard.avd, heard.avd_std, strict=True)
        ),
        *(
            (words, f"{_decimals(voice[name], digits)} {unit}".rstrip())
            for name, (_, words, unit, digits) in VOICE_COLUMNS.items()
        ),
    ]
    text = "\n".join(f"{name:<28}{value}" for name, value in lines)
    return "\n".join([text, *_window_lines(recognition)]) if arguments.windows else text


def _row(recognition: "Recognition", arguments: argparse.Namespace) -> str:
    """Return the line of one recording of several."""
    from emotts.recognition import VOICE_COLUMNS

    voice = recognition.voice.to_dict()
    facts = _facts(recognition.heard) | {"duration": f"{recognition.duration_s:.2f} s"}
    numbers = " ".join(f"{_decimals(voice[name], digits):>6}" for name, (_, _, _, digits) in VOICE_COLUMNS.items())
    row = f"{ROW.format(**facts)}{numbers}  {recognition.path}"
    return "\n".join([row, *_window_lines(recognition)]) if arguments.windows else row


def _window_lines(recognition: "Recognition") -> list[str]:
    return [
        ROW.format(**_facts(heard), duration=f"{heard.start_s:.2f} s").rstrip() + f" to {heard.end_s:.2f} s"
        for heard in recognition.windows
    ]


def _facts(heard: "Heard") -> dict[str, str]:
    points = zip(DIMENSIONS, heard.avd, heard.avd_std, strict=True)
    return {
        "label": heard.label,
        "p": f"{max(heard.labels.values()):.2f}",
        **{name: f"{value:+.2f} ±{std:.2f}" for name, value, std in points},
    }


def _decimals(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
