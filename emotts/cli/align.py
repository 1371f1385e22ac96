"""`emotts align`: recordings come in; which phonemes they say and when goes out, and with a text, when each word is said.

Times are those of the first sample of a frame, in seconds. Of several recordings, one that cannot be aligned costs a line on stderr
and the exit code 1 at the end; the others are aligned.
"""

import argparse
import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotts.data.textgrid import Interval, format_textgrid

if TYPE_CHECKING:
    import numpy as np

    from emotts.content.listener import Listener

SUFFIXES = {"textgrid": ".TextGrid", "json": ".json", "csv": ".csv"}
PIECE_S = 30.0  # what is read at once
LONGEST_S, SHORTEST_S = 1_800.0, 0.1
SHORTEST_SPEECH_S = 0.1
SILENCE = 1e-4  # amplitude, -80 dBFS
CSV_HEADING = ("tier", "start", "end", "text")


@dataclass(frozen=True)
class Aligned:
    """What a recording says, and when.

    Attributes:
        path: of the recording. duration_s: of the recording.
        words: of the text; None without one.
        phones: all but pauses.
        sureness: with a text, how far it agrees with what is heard; without, the mean posterior of the phones; 0 to 1.
    """

    path: Path
    duration_s: float
    words: list[Interval] | None
    phones: list[Interval]
    sureness: float

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON holds; times in seconds."""
        facts: dict[str, Any] = {"path": str(self.path), "duration_s": round(self.duration_s, 3)}
        facts["confidence" if self.words is None else "agreement"] = round(self.sureness, 3)
        for name, tier in self._tiers().items():
            facts[name] = [{"text": i.text, "start_s": round(i.start_s, 4), "end_s": round(i.end_s, 4)} for i in tier]
        return facts

    def format(self, name: str) -> str:
        """Return the content of a file; `name` is a key of SUFFIXES."""
        if name == "json":
            return json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n"
        if name == "textgrid":
            return format_textgrid(self._tiers(), self.duration_s)
        rows = [
            (tier, f"{i.start_s:.4f}", f"{i.end_s:.4f}", i.text) for tier, all_ in self._tiers().items() for i in all_
        ]
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([CSV_HEADING, *rows])
        return stream.getvalue()

    def _tiers(self) -> dict[str, list[Interval]]:
        return {"phones": self.phones} if self.words is None else {"words": self.words, "phones": self.phones}


def add_parser(commands: Any) -> None:
    """Add the command to the sub-parsers of `emotts`."""
    parser = commands.add_parser(
        "align",
        help="find when phonemes and words are said in recordings",
        description="Find when phonemes are said in recordings; with the text, when each of its words is said.",
    )
    parser.set_defaults(command="align")
    parser.add_argument("inputs", nargs="+", metavar="REC", help="audio files, folders or globs")
    text = parser.add_mutually_exclusive_group()
    text.add_argument("--text", metavar="T", help="what one recording says, in English; left out, phonemes are heard")
    text.add_argument("--text-file", metavar="F", help="read the text from a UTF-8 file, - for stdin")
    parser.add_argument("--format", choices=SUFFIXES, help="default: as the suffix of -o says, else textgrid")
    parser.add_argument("-o", "--output", metavar="OUT", help="a file, a folder for several recordings; default stdout")
    parser.add_argument("--converter", metavar="DIR", help="folder of the speech encoder; default is the bundled one")
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    parser.add_argument("--json", action="store_true", help="print one line of JSON per recording on stdout")


def align(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit code: 1 if some of several recordings could not be aligned.

    Raises:
        ValueError: a mistake in the arguments, or the only recording cannot be aligned.
        FileNotFoundError: the only recording, the text or the speech encoder does not exist.
    """
    from emotts.cli import say
    from emotts.data.manifest import write_atomically
    from emotts.listeners import load_listener
    from emotts.recordings import find_recordings

    paths = find_recordings(arguments.inputs)
    is_single = len(arguments.inputs) == 1 and paths == [Path(arguments.inputs[0])]
    text = _text(arguments)
    if text is not None and not is_single:
        raise ValueError(f"a text belongs to one recording; got {len(paths)}. Align them one by one.")
    kind, outputs = _outputs(arguments, paths, is_single)
    listener = load_listener(arguments.converter)
    failed: list[Path] = []
    for path, output in zip(paths, outputs, strict=True):
        try:
            found = align_file(listener, path, text)
        except (ValueError, OSError) as error:
            if is_single:
                raise
            say(f"emotts: {path}: {error}")
            failed.append(path)
            continue
        if output is not None:
            write_atomically(output, found.format(kind))
        if arguments.json:
            written = {} if output is None else {"output": str(output)}
            print(json.dumps(found.to_dict() | written, ensure_ascii=False), flush=True)
        elif output is None:
            print(found.format(kind), end="", flush=True)
    if failed:
        say(f"emotts: {len(failed)} of {len(paths)} recordings failed: {', '.join(map(str, failed))}")
    return 1 if failed else 0


def align_file(listener: "Listener", path: Path, text: str | None = None) -> Aligned:
    """Align one recording of up to half an hour.

    Raises:
        ValueError: it is not audio, too long, too short, silent or without speech, or the text is another one.
        FileNotFoundError: it does not exist.
    """
    from emotts.audio import SPEC
    from emotts.content.segments import fit_tokens, recognise, spoken
    from emotts.text.symbols import is_pause

    waveform = _read(path)
    duration_s = len(waveform) / SPEC.sample_rate
    heard = listener.hear(waveform)
    if (spoken(heard) > 0.5).sum() < SHORTEST_SPEECH_S * SPEC.frame_rate:
        raise ValueError(f"{path.name} holds no speech that could be aligned; give a recording of one person speaking.")
    if text is None:
        sounds = recognise(heard)
        tokens, durations = sounds.tokens, sounds.durations
        sure = [float(c) for token, c in zip(tokens, sounds.confidence, strict=True) if not is_pause(token)]
        return Aligned(path, duration_s, None, _intervals(tokens, durations), sum(sure) / max(1, len(sure)))
    tokens, numbers, words = phonemes_of(text)
    if not words:
        raise ValueError(f"there is nothing speakable in the text; got {text[:60]!r}.")
    fit = fit_tokens(heard, tokens)
    fit.check()
    phones = _intervals(tokens, fit.durations)
    of_phone = [number for token, number in zip(tokens, numbers, strict=True) if not is_pause(token)]
    spans = {n: [p for p, m in zip(phones, of_phone, strict=True) if m == n] for n in dict.fromkeys(of_phone)}
    tier = [Interval(part[0].start_s, part[-1].end_s, words[n]) for n, part in spans.items()]
    return Aligned(path, duration_s, tier, phones, fit.score)


def phonemes_of(text: str) -> tuple[list[str], list[int], list[str]]:
    """Return the tokens of a text of any length, the word of each (-1 for pauses), and its words as they are read out."""
    from emotts.text.phonemize import phonemize_marked, written_words
    from emotts.text.split import split_text
    from emotts.text.symbols import SIL

    tokens, numbers, words = [SIL], [-1], list[str]()
    for sentence in split_text(text):
        part, of_part = phonemize_marked(sentence, (), "en-us")
        tokens += part[1:]
        numbers += [n + len(words) if n >= 0 else -1 for n in of_part[1:]]
        words += written_words(sentence, "en-us") if part else []
    return tokens, numbers, words


def _intervals(tokens: Sequence[str], durations: Sequence[int]) -> list[Interval]:
    """Return when each sound is said; pauses are left out."""
    from emotts.audio import SPEC
    from emotts.text.symbols import is_pause

    intervals, frame = [], 0
    for token, n in zip(tokens, durations, strict=True):
        if not is_pause(token):
            intervals.append(Interval(frame / SPEC.frame_rate, (frame + n) / SPEC.frame_rate, token))
        frame += n
    return intervals


def _read(path: Path) -> "np.ndarray":
    import numpy as np

    from emotts.audio import SPEC
    from emotts.recordings import read_pieces

    pieces, seconds = [], 0.0
    for piece in read_pieces(path, SPEC.sample_rate, PIECE_S):
        pieces.append(piece)
        seconds += len(piece) / SPEC.sample_rate
        if seconds > LONGEST_S:
            raise ValueError(f"{path.name} lasts more than {LONGEST_S / 60:.0f} minutes; cut it.")
    if seconds < SHORTEST_S:
        raise ValueError(f"{path.name} lasts {seconds:.2f} s; at least {SHORTEST_S:g} s are needed.")
    waveform = np.concatenate(pieces)
    if float(np.abs(waveform).max()) < SILENCE:
        raise ValueError(f"{path.name} is silent; give a recording in which somebody speaks.")
    return waveform


def _text(arguments: argparse.Namespace) -> str | None:
    from emotts.cli.synthesize import _read_text

    if arguments.text is None and arguments.text_file is None:
        return None
    return _read_text(arguments.text, arguments.text_file)


def _outputs(arguments: argparse.Namespace, paths: Sequence[Path], is_single: bool) -> tuple[str, list[Path | None]]:
    """Return the format and the file of every recording, None for stdout; all of them can be written."""
    from emotts.cli.synthesize import check_writable

    by_suffix = {suffix.lower(): kind for kind, suffix in SUFFIXES.items()}
    if arguments.output is None:
        if not is_single and not arguments.json:
            raise ValueError("several recordings need -o FOLDER, or --json for a line of each on stdout.")
        return arguments.format or "textgrid", [None] * len(paths)
    output = Path(arguments.output)
    is_file = is_single and not output.is_dir()
    kind = arguments.format or (by_suffix.get(output.suffix.lower(), "") if is_file else "textgrid")
    if not kind:
        raise ValueError(f"output must end in {', '.join(SUFFIXES.values())}, or give --format; got {output.name!r}.")
    if is_file:
        check_writable(output, "output", arguments.force)
        return kind, [output]
    if output.exists() and not output.is_dir():
        raise ValueError(f"output of several recordings must be a folder; {str(output)!r} is a file.")
    output.mkdir(parents=True, exist_ok=True)
    names: dict[Path, Path] = {}
    for path in paths:
        target = output / (path.stem + SUFFIXES[kind])
        if target in names:
            raise ValueError(f"{str(names[target])!r} and {str(path)!r} would both be {target.name}; align them apart.")
        names[target] = path
        check_writable(target, "output", arguments.force)
    return kind, list(names)
