"""`emotts convert`: recordings come in; the same words in another emotion, another voice, or both, are written.

A recording is converted in pieces, so that memory stays small however long it is. Of several, one that cannot be converted costs a
line on stderr and the exit code 1 at the end; the others are converted. A file appears under its name only when it is complete.
"""

import argparse
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotts.cli.arguments import add_consent_option, add_sidecar_option, check_range, number, whole
from emotts.cli.check import add_check_options, wants_check
from emotts.cli.controls import asked_emotion
from emotts.cli.convert_files import FORMATS, Job, is_single, plan_jobs
from emotts.cli.convert_report import Converted, Progress, in_words, tell, tell_failure

if TYPE_CHECKING:
    from emotts.conversion.request import ConversionRequest
    from emotts.pipeline import EmoTTS
    from emotts.provenance import Provenance

DIMENSIONS = ("arousal", "valence", "dominance")
LONG_S = 600.0  # what listens or draws needs all of a recording at once; from here on that is worth a word

EXAMPLES = """examples:
  emotts convert talk.wav --emotion happy:0.8 -o happy.wav
  emotts convert talk.wav --arousal -0.5 -o calmer.flac --check
  emotts convert talk.wav --not angry -o kinder.wav
  emotts convert talk.wav --voice heart -o heart.wav
  emotts convert talk.wav --voice mira.wav --emotion sad --strength 0.7 -o sad.wav --i-have-consent
  emotts convert recordings/ 'more/*.mp3' --emotion tender -o converted/ --format flac
  emotts convert talk.wav --emotion excited --tolerance 0.15 --min-speaker-sim 0.8 -o heard.wav
"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the sub-parsers of `emotts` and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "convert",
        help="change the emotion or the voice of recordings",
        description="Change the emotion of recordings, their voice, or both; words and timing stay.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(command="convert")
    parser.add_argument("inputs", nargs="+", metavar="IN", help="audio files, folders or globs")
    how = parser.add_argument_group("how it shall sound")
    how.add_argument("--emotion", metavar="SPEC", help="such as happy:0.8, happy+sad:0.4; left out, it stays as it is")
    how.add_argument("--arousal", type=number, metavar="A", help="calm -1 to agitated 1; alone it moves what is there")
    how.add_argument("--valence", type=number, metavar="V", help="unpleasant -1 to pleasant 1")
    how.add_argument("--dominance", type=number, metavar="D", help="submissive -1 to dominant 1")
    how.add_argument("--not", dest="refused", metavar="SPEC", help="less of these labels, such as angry or sad:0.5")
    how.add_argument(
        "--voice", metavar="NAME|REF", help="a name that `emotts voices` lists, or a recording of 1 to 30 s"
    )
    how.add_argument("--strength", type=number, metavar="S", help="0 leaves the emotion, 1 moves it, up to 1.5")
    how.add_argument("--source-emotion", metavar="SPEC", help="how the recording feels; left out, it is heard")
    timing = how.add_mutually_exclusive_group()
    timing.add_argument("--retime", action="store_true", help="let durations move with the emotion")
    timing.add_argument("--keep-timing", action="store_true", help="keep every border where it is (default)")
    how.add_argument(
        "--keep-intonation", type=number, metavar="W", help="weight of the recording's own melody, 0 to 1 (default: 1)"
    )
    how.add_argument("--speed", type=number, metavar="S", help="tempo factor; needs --retime")
    how.add_argument("--pitch", type=number, metavar="ST", help="semitones up or down")
    how.add_argument("--seed", type=whole, metavar="N", help="the same seed gives the same bytes; drawn if left out")
    add_check_options(parser, "the strength")
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", required=True, metavar="OUT", help="a file; for several recordings a folder")
    output.add_argument("--format", choices=FORMATS, help="in a folder; default is that of the recording, else wav")
    output.add_argument("--plot", metavar="FILE.png", help="draw mel and F0 of one recording beside its result")
    output.add_argument("--json", action="store_true", help="print one line of JSON per recording on stdout")
    add_sidecar_option(output)
    output.add_argument("--force", action="store_true", help="overwrite existing files, but no recording")
    add_consent_option(output)
    return parser


def convert(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit code: 1 if some of several recordings could not be converted.

    Raises:
        ValueError: a mistake in the arguments, or the only recording cannot be converted.
        FileNotFoundError: the only recording, a voice or a model does not exist.
        OSError: the output could not be written.
    """
    options = asked_options(arguments)
    convert_one = _convert_whole if wants_check(arguments) or arguments.plot else _convert_pieces
    jobs = _plan(arguments)

    from emotts.cli.voice_consent import consents_of
    from emotts.pipeline import EmoTTS

    tts = EmoTTS.from_pretrained(arguments.checkpoint, arguments.device, arguments.backend)
    _ = tts.converter.listener, tts.converter.reference_voice  # what is missing is missed before the first recording
    request = tts.conversion(**options)
    if arguments.tolerance is not None:
        from emotts.loop.conversion import check_steerable

        check_steerable(request)
    consents = consents_of([job.source for job in jobs], arguments.voice, request.profile, arguments.i_have_consent)
    single = is_single(arguments.inputs)
    progress = Progress(len(jobs))
    failed: list[Path] = []
    for index, job in enumerate(jobs):
        progress.begin(index, job.source)
        try:
            with _collected() as caught:
                done = convert_one(tts, job, request, consents[index], arguments, progress)
        except Exception as error:
            progress.clear()
            if single:
                raise
            tell_failure(job, error, arguments.json)
            failed.append(job.source)
            continue
        progress.clear()
        tell(replace(done, warnings=[*dict.fromkeys([*done.warnings, *caught])]), arguments, single)
    if not single:
        progress.summarise(len(jobs), failed)
    return 1 if failed else 0


def asked_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options of `EmoTTS.conversion` that were given.

    Raises:
        ValueError: a number out of range, no specification of an emotion, or nothing that would change anything.
    """
    given = {
        name: value
        for name in ("voice", "strength", "source_emotion", "keep_intonation", "speed", "pitch", "seed")
        if (value := getattr(arguments, name)) is not None
    }
    from emotts.conversion.request import KEEP_RANGE, SPEED_RANGE, STRENGTH_RANGE
    from emotts.request import PITCH_RANGE_ST

    ranges = {"strength": STRENGTH_RANGE, "keep-intonation": KEEP_RANGE, "speed": SPEED_RANGE, "pitch": PITCH_RANGE_ST}
    for name, (low, high) in ranges.items():
        check_range(name, given.get(name.replace("-", "_")), low, high)
    if arguments.retime:
        given["retime"] = True
    asked = asked_emotion(arguments)
    dimensions = {name: value for name in DIMENSIONS if (value := getattr(arguments, name)) is not None}
    if arguments.emotion is not None or arguments.refused is not None:
        given["emotion"] = asked
    given |= {} if "emotion" in given else dimensions
    if not given.keys() - {"seed", "source_emotion"}:
        raise ValueError("nothing to change; give --emotion, --arousal, --valence, --dominance, --not, or --voice.")
    return given


def _plan(arguments: argparse.Namespace) -> list[Job]:
    kept = [Path(arguments.voice)] if arguments.voice and Path(arguments.voice).is_file() else []
    jobs = plan_jobs(arguments.inputs, arguments.output, arguments.format, arguments.force, arguments.sidecar, kept)
    if arguments.plot:
        from emotts.cli.synthesize import check_plot

        if not is_single(arguments.inputs):
            raise ValueError("--plot draws one recording; give one file, without folders and globs.")
        check_plot(Path(arguments.plot), arguments.force)
    return jobs


def _convert_pieces(
    tts: "EmoTTS",
    job: Job,
    request: "ConversionRequest",
    consent: str | None,
    arguments: argparse.Namespace,
    progress: Progress,
) -> Converted:
    """Convert a recording piece by piece, in bounded memory."""
    from emotts.audio import AudioWriter
    from emotts.conversion.result import Report
    from emotts.recordings import check_whole, duration_of

    told_s = duration_of(job.source)
    started, report, n_samples = time.perf_counter(), Report(), 0
    pieces = tts.converter.pieces(job.source, request, report=report)
    first = next(pieces)  # what cannot be converted mostly fails here, before a folder is made for it
    provenance = tts.converter.provenance(request, job.source, consent)
    job.output.parent.mkdir(parents=True, exist_ok=True)
    with AudioWriter(job.output, metadata=provenance.to_metadata()) as file:
        for piece in chain([first], pieces):
            file.write(piece.waveform)
            n_samples += len(piece.waveform)
            progress.tell(n_samples / tts.sample_rate / told_s)
        check_whole(job.source, report.spans[-1].end_s if report.spans else 0.0, told_s)
    seconds = time.perf_counter() - started
    _write_beside(job, provenance, arguments)
    duration_s = n_samples / tts.sample_rate
    assert report.source is not None
    felt, wanted, spans = report.source.emotion, report.emotion, report.spans
    return Converted(job, request, felt, wanted, spans, report.warnings, duration_s, seconds / duration_s)


def _convert_whole(
    tts: "EmoTTS",
    job: Job,
    request: "ConversionRequest",
    consent: str | None,
    arguments: argparse.Namespace,
    progress: Progress,
) -> Converted:
    """Convert a recording at once, with the closed loop and the picture that the options ask for."""
    from emotts.audio import AudioWriter
    from emotts.cli import say
    from emotts.cli.convert_check import listened
    from emotts.recordings import check_whole, duration_of

    told_s = duration_of(job.source)
    if told_s > LONG_S:
        say(f"emotts: {job.source.name} lasts {told_s / 60:.0f} min; --check and --plot hold all of it in memory.")
    checked = listened(tts, job.source, request, arguments) if wants_check(arguments) else None
    result = checked.result if checked else tts.converter.convert(job.source, request)
    check_whole(job.source, result.spans[-1].end_s if result.spans else 0.0, told_s)
    used = replace(checked.outcome.request, source_emotion=request.source_emotion) if checked else request
    provenance = tts.converter.provenance(used, job.source, consent)
    job.output.parent.mkdir(parents=True, exist_ok=True)
    with AudioWriter(job.output, metadata=provenance.to_metadata()) as file:
        file.write(result.waveform)
    _write_beside(job, provenance, arguments)
    if arguments.plot:
        from emotts.audio import load_audio
        from emotts.plotting_conversion import plot_conversion

        title = f"{job.source.name}, {in_words(result.source_emotion)}, as {in_words(result.emotion)} by {result.voice}"
        plot_conversion(load_audio(job.source, max_duration_s=1e9), result, title, arguments.plot)
    return Converted(
        job, request, result.source_emotion, result.emotion, result.spans, result.warnings, result.duration_s,
        result.rtf, checked,
    )  # fmt: skip


def _write_beside(job: Job, provenance: "Provenance", arguments: argparse.Namespace) -> None:
    from emotts.provenance import write_sidecar

    if arguments.sidecar:
        write_sidecar(job.output, provenance)


@contextmanager
def _collected() -> Iterator[list[str]]:
    """Collect what emotts warns of, every time it does."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", module=r"emotts")
        yield texts
        texts += [str(warning.message) for warning in caught]
