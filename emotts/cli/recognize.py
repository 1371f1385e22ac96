"""`emotts recognize`: recordings come in; the emotion that a judge hears and an analysis of the voice go to stdout.

A recording is read and judged in pieces, so that memory stays small however long it is. Of several recordings, one that cannot be
judged costs a line on stderr and the exit code 1 at the end; the others are judged.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotts.emotion.labels import DIMENSIONS

if TYPE_CHECKING:
    import numpy as np

    from emotts.emotion.heard import Heard, Judge
    from emotts.metrics.voice import VoiceAnalysis

PIECE_S = 30.0  # what is judged at once
N_RIVALS = 2  # labels that are named after the best one
# name in VoiceAnalysis -> (heading of the table, words of the block, unit, decimals)
VOICE_COLUMNS: dict[str, tuple[str, str, str, int]] = {
    "f0_hz": ("F0", "F0, median", "Hz", 0),
    "f0_range_st": ("range", "F0 range", "st", 1),
    "f0_slope_st_per_s": ("slope", "F0 slope", "st/s", 1),
    "level_db": ("level", "level", "dBFS", 1),
    "level_sd_db": ("l.sd", "level, standard deviation", "dB", 1),
    "syllable_rate": ("syl/s", "syllables", "/s", 1),
    "pause_count": ("paus", "pauses", "", 0),
    "pause_share": ("p.sh", "share of pauses", "", 2),
    "pause_mean_s": ("p.mn", "pause, mean", "s", 2),
    "tilt_db_per_oct": ("tilt", "spectral tilt", "dB/oct", 1),
    "alpha_ratio_db": ("alpha", "alpha ratio", "dB", 1),
    "hammarberg_db": ("hamm", "Hammarberg index", "dB", 1),
    "hnr_db": ("HNR", "harmonics to noise", "dB", 1),
    "jitter_pct": ("jitt", "jitter", "%", 2),
    "shimmer_pct": ("shim", "shimmer", "%", 1),
}
ROW = "{label:<10} {p:>4}  {arousal:>12} {valence:>12} {dominance:>12} {duration:>8} "


@dataclass(frozen=True)
class Recognition:
    """What was found in one recording.

    Attributes:
        path: of the recording.
        duration_s: of the recording.
        heard: the judge's answer to the whole.
        windows: its answers to every half second, where they were asked for.
        voice: analysis of the voice.
    """

    path: Path
    duration_s: float
    heard: "Heard"
    windows: "list[Heard]"
    voice: "VoiceAnalysis"


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
    from emotts.cli.recordings import find_recordings
    from emotts.judges import load_judge

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


def recognize_file(judge: "Judge", path: Path, wants_windows: bool = False) -> Recognition:
    """Judge one recording piece by piece.

    Raises:
        ValueError: it cannot be read, or no piece of it can be judged.
        FileNotFoundError: it does not exist.
    """
    from emotts.audio import SPEC
    from emotts.cli.recordings import read_pieces
    from emotts.metrics.voice import summarise
    from emotts.metrics.voice_frames import join_frames, measure_frames

    rate, start_s = SPEC.sample_rate, 0.0
    frames, weights = [], []
    pieces: list[Heard] = []
    windows: list[Heard] = []
    refusal: ValueError | None = None
    for waveform in read_pieces(path, rate, PIECE_S):
        measured = measure_frames(waveform, rate)
        frames.append(replace(measured, bands_db=measured.bands_db[:, :0]))  # the largest part, needed no more
        try:
            pieces.append(_shift(judge.hear(waveform, rate), start_s))
            weights.append(max(1, int(measured.is_speech.sum())))
            if wants_windows:
                windows.extend(_shift(heard, start_s) for heard in judge.windows(waveform, rate))
        except ValueError as error:  # a silent half minute does not spoil the rest
            refusal = refusal or error
        start_s += len(waveform) / rate
    if not pieces:
        raise refusal or ValueError("the recording holds no samples.")
    return Recognition(path, start_s, join_heard(pieces, weights), windows, summarise(join_frames(frames)))


def join_heard(pieces: "Sequence[Heard]", weights: Sequence[float]) -> "Heard":
    """Average what was heard in consecutive pieces; the standard deviations then hold the change over time too.

    Args:
        pieces: at least one.
        weights: of each; seconds or frames of speech.
    """
    import numpy as np

    from emotts.emotion.heard import Heard

    if len(pieces) == 1:
        return pieces[0]
    share = np.asarray(weights, np.float64) / np.sum(weights)
    points = np.array([piece.avd for piece in pieces])
    mean = share @ points
    std = np.sqrt(share @ (np.array([piece.avd_std for piece in pieces]) ** 2 + (points - mean) ** 2))
    embedding = share @ np.array([piece.embedding for piece in pieces])
    norm = max(float(np.linalg.norm(embedding)), 1e-9)
    return Heard(
        start_s=pieces[0].start_s,
        end_s=pieces[-1].end_s,
        labels={name: float(share @ [piece.labels[name] for piece in pieces]) for name in pieces[0].labels},
        avd=(float(mean[0]), float(mean[1]), float(mean[2])),
        avd_std=(float(std[0]), float(std[1]), float(std[2])),
        embedding=(embedding / norm).astype(np.float32),
        is_uncertain=bool(share @ [piece.is_uncertain for piece in pieces] >= 0.5),
    )


def to_json(recognition: Recognition, judge: str, with_windows: bool) -> str:
    """Return one line of JSON."""
    facts: dict[str, Any] = {
        "path": str(recognition.path),
        "judge": judge,
        "duration_s": round(recognition.duration_s, 3),
        **recognition.heard.to_dict(),
        "voice": recognition.voice.to_dict(),
    }
    if with_windows:
        facts["windows"] = [heard.to_dict() for heard in recognition.windows]
    return json.dumps(facts)


def _recognize_many(judge: "Judge", paths: Sequence[Path], arguments: argparse.Namespace) -> int:
    """Judge one recording after the other; a bad one is named on stderr, at once and again at the end."""
    from emotts.cli import say

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
    from emotts.cli.recordings import read_pieces

    return next(read_pieces(path, SPEC.sample_rate, PIECE_S)), SPEC.sample_rate


def _shift(heard: "Heard", seconds: float) -> "Heard":
    return replace(heard, start_s=heard.start_s + seconds, end_s=heard.end_s + seconds)


def _block(recognition: Recognition, arguments: argparse.Namespace) -> str:
    """Return the table of one recording, a line per fact."""
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


def _row(recognition: Recognition, arguments: argparse.Namespace) -> str:
    """Return the line of one recording of several."""
    voice = recognition.voice.to_dict()
    facts = _facts(recognition.heard) | {"duration": f"{recognition.duration_s:.2f} s"}
    numbers = " ".join(f"{_decimals(voice[name], digits):>6}" for name, (_, _, _, digits) in VOICE_COLUMNS.items())
    row = f"{ROW.format(**facts)}{numbers}  {recognition.path}"
    return "\n".join([row, *_window_lines(recognition)]) if arguments.windows else row


def _window_lines(recognition: Recognition) -> list[str]:
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
