"""The command line: arguments come in; data goes to stdout, everything else to stderr, and an exit code out.

Exit codes: 0 done, 1 failure, 2 a mistake in what was asked, 130 interrupted. A mistake costs one line; EMOTTS_DEBUG=1
adds the traceback. What is slow to import is imported by the command that needs it, so that `--help` answers at once.
"""

import argparse
import errno
import os
import sys
import warnings
from typing import Any, NoReturn

from emotts import __version__
from emotts.cli.arguments import add_consent_option, add_sidecar_option, number, whole

OK, FAILURE, MISTAKE, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141
LONGEST_MESSAGE = 2_000  # characters

EXAMPLES = """examples:
  emotts synthesize "I can't believe you came." --emotion happy:0.8 -o hello.wav
  emotts synthesize "Leave me alone." --arousal 0.7 --valence -0.6 --voice max -o alone.flac --plot alone.png
  emotts synthesize --text-file chapter.txt --emotion calm -o chapter.mp3 --json
  emotts synthesize "Good night." --emotion tender -o - | aplay
  emotts synthesize "You did it!" --emotion happy --tolerance 0.15 -o heard.wav
  emotts convert talk.wav --emotion tender -o tender.wav
  emotts recognize recordings/*.wav
  emotts inspect hello.wav
  emotts evaluate --suite quick
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code."""
    try:
        parser = _parser()
        arguments = parser.parse_args(argv)
        if not hasattr(arguments, "command"):
            parser.print_help(sys.stderr)
            return MISTAKE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", module=r"emotts")  # of others' warnings the user can mend none
            warnings.showwarning = lambda message, *rest, **more: say(f"emotts: warning: {message}")
            code = _run(arguments)
            if sys.stdout is not None:  # None if the caller closed it
                sys.stdout.flush()
    except KeyboardInterrupt:
        say("emotts: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more at exit
        return PIPE_CLOSED
    except Exception as error:
        return _explain(error)
    return code


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "synthesize":
        from emotts.cli.synthesize import synthesize

        synthesize(arguments)
    elif arguments.command == "recognize":
        from emotts.cli.recognize import recognize

        return recognize(arguments)
    elif arguments.command == "convert":
        from emotts.cli.convert import convert

        return convert(arguments)
    elif arguments.command == "voices":
        from emotts.cli.voices import voices

        voices(arguments)
    elif arguments.command == "align":
        from emotts.cli.align import align

        return align(arguments)
    elif arguments.command == "inspect":
        from emotts.cli.inspect import inspect

        return inspect(arguments)
    elif arguments.command == "direction":
        from emotts.cli.direction import direction

        direction(arguments)
    elif arguments.command == "data":
        from emotts.cli.data import data

        data(arguments)
    elif arguments.command == "card":
        from emotts.cli.card import card

        card(arguments)
    elif arguments.command == "export":
        from emotts.cli.export import export

        export(arguments)
    elif arguments.command == "demo":
        from emotts.cli.demo import demo

        demo(arguments)
    elif arguments.command == "doctor":
        from emotts.cli.doctor import doctor

        return doctor(arguments)
    elif arguments.command == "batch":
        from emotts.cli.batch import batch

        return batch(arguments)
    elif arguments.command == "serve":
        from emotts.cli.serve import serve

        serve(arguments)
    elif arguments.command in ("evaluate", "verify"):
        from emotts.cli import evaluate

        {"evaluate": evaluate.evaluate, "verify": evaluate.verify}[arguments.command](arguments)
    else:
        from emotts.cli import listing

        {"emotions": listing.emotions, "models": listing.models}[arguments.command](arguments)
    return OK


def _explain(error: Exception) -> int:
    if os.environ.get("EMOTTS_DEBUG"):
        import traceback

        traceback.print_exception(error)
    is_mistake = (
        isinstance(error, ValueError | FileNotFoundError) or getattr(error, "errno", None) == errno.ENAMETOOLONG
    )
    kind = "" if is_mistake or isinstance(error, OSError) else f"{type(error).__name__}: "
    remedy = "" if is_mistake else " (EMOTTS_DEBUG=1 shows where)"
    said = str(error)
    said = said if len(said) <= LONGEST_MESSAGE else f"{said[: LONGEST_MESSAGE // 2]} … {said[-LONGEST_MESSAGE // 2 :]}"
    say(f"emotts: error: {kind}{said}{remedy}")
    return MISTAKE if is_mistake else FAILURE


def say(message: str) -> None:
    """Print one line to stderr; what a terminal would obey is shown as an escape."""
    line = " ".join(message.split("\n"))
    print("".join(c if c.isprintable() else repr(c)[1:-1] for c in line), file=sys.stderr)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, max_help_position=28, **options)


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_HelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        say(f"{self.prog}: error: {message}. See `{self.prog} --help`.")
        sys.exit(MISTAKE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="emotts", description="Emotional speech, spoken and measured.", epilog=EXAMPLES)
    parser.add_argument("--version", action="version", version=f"emotts {__version__}")
    from emotts.cli import (
        align,
        batch,
        card,
        convert,
        data,
        demo,
        direction,
        doctor,
        evaluate,
        export,
        inspect,
        recognize,
        serve,
        voices,
    )
    from emotts.cli.check import add_check_options
    from emotts.cli.controls import add_control_options

    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)

    speak = commands.add_parser(
        "synthesize", help="speak a text with an emotion", description="Speak a text with an emotion."
    )
    speak.set_defaults(command="synthesize")
    _add_synthesis_options(speak)
    add_control_options(speak)
    add_check_options(speak)
    _add_model_options(speak)
    _add_model_options(batch.add_parser(commands))
    direction.add_parser(commands)
    _add_model_options(convert.add_parser(commands))
    voices.add_parser(commands, _add_model_options)
    recognize.add_parser(commands)
    align.add_parser(commands)
    inspect.add_parser(commands)
    data.add_parser(commands)
    card.add_parser(commands)
    export.add_parser(commands)
    doctor.add_parser(commands)
    _add_model_options(demo.add_parser(commands))
    _add_model_options(serve.add_parser(commands))
    for name, text, add_options in (
        ("evaluate", "speak a grid, let the judges hear it, write a report", evaluate.add_evaluate_options),
        ("verify", "show that every knob has its effect; exit code 1 where one has not", evaluate.add_verify_options),
    ):
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.set_defaults(command=name)
        add_options(command)
        _add_model_options(command)

    for name, text in {
        "emotions": "list the labels with their arousal, valence and dominance",
        "models": "show the model and the parameters of its components",
    }.items():
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.set_defaults(command=name)
        command.add_argument("--json", action="store_true", help="print JSON")
        if name != "emotions":
            _add_model_options(command)
    return parser


def _add_synthesis_options(parser: argparse.ArgumentParser) -> None:
    text = parser.add_argument_group("text (one of the two)")
    text.add_argument(
        "text", nargs="?", metavar="TEXT", help="what to say; [[phonemes]] and [pause 300ms] may stand in it"
    )
    text.add_argument("--text-file", metavar="FILE", help="read the text from a UTF-8 file, - for stdin")

    how = parser.add_argument_group("how to say it")
    how.add_argument(
        "--voice", metavar="NAME|REF", help="a name that `emotts voices` lists, or a recording of 1 to 30 s"
    )
    how.add_argument("--emotion", metavar="SPEC", help="such as happy:0.8, happy+sad:0.4, 'weary but proud', auto")
    how.add_argument("--arousal", type=number, metavar="A", help="calm -1 to agitated 1")
    how.add_argument("--valence", type=number, metavar="V", help="unpleasant -1 to pleasant 1")
    how.add_argument("--dominance", type=number, metavar="D", help="submissive -1 to dominant 1")
    how.add_argument("--speed", type=number, default=1.0, metavar="S", help="tempo factor, above 1 is faster")
    how.add_argument("--pitch", type=number, default=0.0, metavar="ST", help="semitones up or down")
    how.add_argument("--steps", type=whole, metavar="N", help="steps of the flow; more is finer and slower")
    how.add_argument("--guidance", type=number, default=1.0, metavar="G", help="above 1 exaggerates the emotion")
    how.add_argument(
        "--prosody-temperature", type=number, metavar="T", help="how far readings differ; 0 is always the same one"
    )
    how.add_argument("--seed", type=whole, metavar="N", help="the same seed gives the same reading; drawn if left out")

    output = parser.add_argument_group("output")
    output.add_argument(
        "-o", "--output", default="out.wav", metavar="FILE", help="wav, flac, ogg or mp3; - is WAV on stdout"
    )
    output.add_argument("--plot", metavar="FILE.png", help="draw waveform, mel and F0 with the phonemes")
    output.add_argument("--json", action="store_true", help="print what was done as JSON on stdout")
    add_sidecar_option(output)
    output.add_argument("--force", action="store_true", help="overwrite existing files")
    add_consent_option(output)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model")
    model.add_argument(
        "--checkpoint", metavar="DIR", help="a checkpoint folder; default $EMOTTS_CHECKPOINT, then the bundled model"
    )
    model.add_argument("--device", default="cpu", metavar="DEVICE", help="cpu (default), cuda or cuda:N")
    model.add_argument(
        "--backend",
        metavar="NAME",
        help="how a CPU computes: auto (default), plain, bf16, int8 or onnx; see docs/performance.md",
    )
