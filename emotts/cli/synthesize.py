"""`emotts synthesize`: check every argument, then load the model, speak, write, report.

Nothing is written before the speech is whole, and a file appears under its name only when it is complete.
"""

import argparse
import io
import json
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from emotts.emotion.spec import parse_emotion

if TYPE_CHECKING:
    from emotts.pipeline import Result

STDOUT = "-"
MAX_TEXT_BYTES = 10_000_000


def synthesize(arguments: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        ValueError: a mistake in the arguments, the text or the checkpoint.
        FileNotFoundError: a file or folder that should be there is not.
        OSError: the output could not be written.
    """
    text = _read_text(arguments.text, arguments.text_file)
    emotion = parse_emotion(arguments.emotion, arguments.arousal, arguments.valence, arguments.dominance)
    _check_output(arguments)
    _check_ranges(arguments)

    from emotts.pipeline import EmoTTS

    tts = EmoTTS.from_pretrained(arguments.checkpoint, arguments.device)
    result = tts.synthesize(
        text,
        emotion=emotion,
        voice=arguments.voice,
        speed=arguments.speed,
        pitch=arguments.pitch,
        steps=arguments.steps,
        guidance=arguments.guidance,
        seed=arguments.seed,
    )
    if arguments.output == STDOUT:
        _write_to_stdout(result)
    else:
        result.save(arguments.output)
    if arguments.plot:
        from emotts.plotting import plot_result

        plot_result(result, arguments.plot)
    _report(result, arguments)


def _read_text(text: str | None, path: str | None) -> str:
    if (text is None) == (path is None):
        given = "neither" if text is None else "both"
        raise ValueError(f"give either TEXT or --text-file; got {given}. Example: emotts synthesize 'Hello there.'")
    if path is not None:
        text = _decode(_read_bytes(path), "stdin" if path == STDOUT else path)
    assert text is not None
    if not text.strip():
        raise ValueError(
            "text is empty; expected at least one word to speak. Example: emotts synthesize 'Hello there.'"
        )
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("text is not valid UTF-8; save it as UTF-8 and give it with --text-file.")
    return text


def _read_bytes(path: str) -> bytes:
    if path == STDOUT:
        data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
    elif Path(path).is_dir():
        raise ValueError(f"text file {path!r} is a folder; give a UTF-8 text file.")
    elif not Path(path).exists():
        raise FileNotFoundError(f"text file {path!r} does not exist; give a UTF-8 text file, or - for stdin.")
    else:
        with open(path, "rb") as file:
            data = file.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        raise ValueError(f"text file {path!r} has more than {MAX_TEXT_BYTES} bytes; split it.")
    return data


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"text file {name!r} is not UTF-8 (byte {error.start}); save it as UTF-8.") from None


def _check_output(arguments: argparse.Namespace) -> None:
    """Refuse, before anything slow, what could not be written later."""
    if arguments.output == STDOUT:
        if arguments.json:
            raise ValueError("--json and -o - both write to stdout; give -o a file name.")
        if sys.stdout.isatty():
            raise ValueError(
                "-o - writes WAV to stdout, which is a terminal here; redirect it, or give -o a file name."
            )
    else:
        _check_writable(Path(arguments.output), "output", arguments.force)
        from emotts.audio import FORMATS

        if Path(arguments.output).suffix.lower() not in FORMATS:
            raise ValueError(f"output must end in one of {', '.join(FORMATS)}, or be -; got {arguments.output!r}.")
    if arguments.plot:
        if Path(arguments.plot).suffix.lower() != ".png":
            raise ValueError(f"plot must end in .png; got {arguments.plot!r}.")
        _check_writable(Path(arguments.plot), "plot", arguments.force)
        if find_spec("matplotlib") is None:
            raise ValueError("--plot needs matplotlib; install it with: pip install 'emotts[plot]'.")


def _check_writable(path: Path, what: str, force: bool) -> None:
    if "\0" in str(path):
        raise ValueError(f"{what} must be a file name; got {str(path)!r}.")
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise ValueError(f"{what} {str(path)!r} is not a regular file; give a file name.")
    if path.exists() and not force:
        raise ValueError(f"{what} {str(path)!r} exists; give another name, or --force to overwrite it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{what} folder {str(path.parent)!r} does not exist; create it first.")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        problem = f"{what} folder {str(path.parent)!r} cannot be written ({os.strerror(error.errno or 0)})"
        raise ValueError(f"{problem}; choose another.") from None


def _check_ranges(arguments: argparse.Namespace) -> None:
    from emotts.pipeline import GUIDANCE_RANGE, PITCH_RANGE_ST, SPEED_RANGE, STEPS_RANGE

    ranges = {"speed": SPEED_RANGE, "pitch": PITCH_RANGE_ST, "guidance": GUIDANCE_RANGE, "steps": STEPS_RANGE}
    for name, (low, high) in ranges.items():
        value = getattr(arguments, name)
        if value is not None and not low <= value <= high:
            raise ValueError(f"--{name} must be from {low:g} to {high:g}; got {value:g}.")


def _write_to_stdout(result: "Result") -> None:
    import soundfile

    from emotts.audio import FORMATS

    container, subtype = FORMATS[".wav"]
    buffer = io.BytesIO()  # libsndfile seeks back to write the length, which a pipe cannot do
    soundfile.write(buffer, result.waveform, result.sample_rate, format=container, subtype=subtype)
    sys.stdout.buffer.write(buffer.getvalue())
    sys.stdout.buffer.flush()


def _report(result: "Result", arguments: argparse.Namespace) -> None:
    rows = {
        "voice": result.voice,
        "emotion asked": str(result.emotion),
        "duration": f"{result.duration_s:.2f} s",
        "real-time factor": f"{result.rtf:.3f}",
        "seed": str(result.seed),
        "written": "stdout" if arguments.output == STDOUT else arguments.output,
    }
    if arguments.plot:
        rows["plot"] = arguments.plot
    for name, value in rows.items():
        print(f"{name:<18}{value}", file=sys.stderr)
    if arguments.json:
        facts = {
            "path": arguments.output,
            "plot": arguments.plot,
            "duration_s": round(result.duration_s, 4),
            "rtf": round(result.rtf, 4),
            "seed": result.seed,
            "voice": result.voice,
            "emotion": result.emotion.to_dict(),
            "sample_rate": result.sample_rate,
        }
        print(json.dumps(facts))
