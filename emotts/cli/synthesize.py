"""`emotts synthesize`: check every argument, then load the model, speak chunk by chunk, write, report.

A file appears under its name only when it is complete, and memory does not grow with the text (a plot needs all of it).
"""

import argparse
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotts.cli.arguments import check_range
from emotts.cli.check import check_facts, check_rows, speak_checked, wants_check
from emotts.cli.controls import asked_emotion, control_options, write_prosody

if TYPE_CHECKING:
    import numpy as np

    from emotts.audio import AudioWriter
    from emotts.pipeline import EmoTTS
    from emotts.provenance import Provenance
    from emotts.request import Request
    from emotts.speech import Chunk, Result

STDOUT = "-"
MAX_TEXT_BYTES = 10_000_000
LONG_TEXT_CHARS = 400  # from here on progress is worth showing


def synthesize(arguments: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        ValueError: a mistake in the arguments, the text or the checkpoint.
        FileNotFoundError: a file or folder that should be there is not.
        OSError: the output could not be written.
    """
    text = _read_text(arguments.text, arguments.text_file)
    emotion = asked_emotion(arguments)
    _check_output(arguments)
    _check_ranges(arguments)
    is_checked = wants_check(arguments)

    from emotts.pipeline import EmoTTS
    from emotts.speech import join

    tts = EmoTTS.from_pretrained(arguments.checkpoint, arguments.device, arguments.backend)
    request = tts.request(
        emotion=emotion,
        voice=arguments.voice,
        speed=arguments.speed,
        pitch=arguments.pitch,
        steps=arguments.steps,
        guidance=arguments.guidance,
        prosody_temperature=arguments.prosody_temperature,
        seed=arguments.seed,
        **control_options(arguments),
    )
    if arguments.tolerance is not None or arguments.min_speaker_sim is not None:
        from emotts.loop import check_steerable

        check_steerable(text, request)
    if is_checked:
        _synthesize_checked(tts, text, request, arguments)
        return
    started = time.perf_counter()
    kept: list[Chunk] = []
    n_samples = 0
    provenance = _provenance(tts, text, request, arguments)
    with _writer(arguments.output, provenance) as output:
        for chunk in _show_progress(tts.speak(text, request), len(text)):
            output.write(chunk.waveform)
            n_samples += len(chunk.waveform)
            if arguments.plot or arguments.prosody_out:
                kept.append(chunk)
    seconds = time.perf_counter() - started
    _write_beside(provenance, arguments)
    if kept:
        _write_extras(join(kept, text, request, seconds), arguments)
    duration_s = n_samples / tts.sample_rate
    meant = understood(tts, request, arguments.norms)
    _report(Spoken(request, duration_s, seconds / duration_s, tts.sample_rate, meant), arguments)


def _synthesize_checked(tts: "EmoTTS", text: str, request: "Request", arguments: argparse.Namespace) -> None:
    """Speak, listen, correct as the options ask, then write."""
    outcome = speak_checked(tts, text, request, arguments)
    result = outcome.result
    provenance = _provenance(tts, text, outcome.request, arguments)
    with _writer(arguments.output, provenance) as output:
        output.write(result.waveform)
    _write_beside(provenance, arguments)
    _write_extras(result, arguments)
    spoken = Spoken(
        request,
        result.duration_s,
        result.rtf,
        result.sample_rate,
        understood(tts, request, arguments.norms),
        check_rows(outcome, arguments),
        check_facts(outcome),
    )
    _report(spoken, arguments)


def _provenance(tts: "EmoTTS", text: str, request: "Request", arguments: argparse.Namespace) -> "Provenance":
    """Return what the file says of itself, with consent where the voice is a person's."""
    from emotts.cli.voice_consent import consent_of_voice

    consent = consent_of_voice(arguments.voice, request.profile, arguments.i_have_consent)
    return replace(tts.provenance(text, request), consent=consent)


def _write_beside(provenance: "Provenance", arguments: argparse.Namespace) -> None:
    """Write the sidecar of a file, unless it is not wanted."""
    from emotts.provenance import write_sidecar

    if arguments.sidecar and arguments.output != STDOUT:
        write_sidecar(arguments.output, provenance)


def _write_extras(result: "Result", arguments: argparse.Namespace) -> None:
    """Draw the picture and write the reading, if they are wanted."""
    if arguments.plot:
        from emotts.plotting import plot_result

        plot_result(result, arguments.plot)
    if arguments.prosody_out:
        write_prosody(arguments.prosody_out, result)


@dataclass(frozen=True)
class Spoken:
    """What the report tells; `understood` of the emotion, rows and facts of the closed loop, for people and for --json."""

    request: "Request"
    duration_s: float
    rtf: float
    sample_rate: int
    understood: dict[str, str] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def _show_progress(chunks: "Iterator[Chunk]", n_chars: int) -> "Iterator[Chunk]":
    """Pass chunks on; on a terminal, say on stderr how much of a text of several chunks is done."""
    done, spoken_s = 0, 0.0
    is_shown = sys.stderr.isatty() and n_chars > LONG_TEXT_CHARS
    for chunk in chunks:
        yield chunk
        done += len(chunk.text) + 1
        spoken_s += len(chunk.waveform) / 24_000
        if is_shown:
            print(f"\r{min(100, 100 * done // n_chars):3d} %  {spoken_s:.0f} s spoken ", end="", file=sys.stderr)
    if is_shown:
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)


def _writer(output: str, provenance: "Provenance") -> "AudioWriter | _StdoutWriter":
    from emotts.audio import AudioWriter

    metadata = provenance.to_metadata()
    return _StdoutWriter(metadata) if output == STDOUT else AudioWriter(output, metadata=metadata)


class _StdoutWriter:
    """Collect 16-bit WAV and hand it to stdout when it is whole: its header needs the length, a pipe cannot seek back."""

    def __init__(self, metadata: dict[str, str]) -> None:
        self.metadata = metadata

    def __enter__(self) -> "_StdoutWriter":
        from emotts.audio import SPEC, open_to_write

        self._buffer = io.BytesIO()
        self._file = open_to_write(self._buffer, ".wav", SPEC.sample_rate, self.metadata)
        return self

    def write(self, waveform: "np.ndarray") -> None:
        self._file.write(waveform)

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()
        if kind is None:
            sys.stdout.buffer.write(self._buffer.getvalue())
            sys.stdout.buffer.flush()


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
        check_writable(Path(arguments.output), "output", arguments.force)
        from emotts.audio import FORMATS

        if Path(arguments.output).suffix.lower() not in FORMATS:
            raise ValueError(f"output must end in one of {', '.join(FORMATS)}, or be -; got {arguments.output!r}.")
        from emotts.provenance import sidecar_path

        beside = sidecar_path(arguments.output)
        if arguments.sidecar:
            check_writable(beside, "sidecar", arguments.force, "--no-sidecar")
            if arguments.prosody_out and Path(arguments.prosody_out) == beside:
                raise ValueError(f"prosody-out {str(beside)!r} is the name of the sidecar; give another name.")
    if arguments.prosody_out:
        if Path(arguments.prosody_out) == Path(arguments.output):
            raise ValueError(f"output and prosody-out must be two files; got {arguments.output!r} for both.")
        check_writable(Path(arguments.prosody_out), "prosody-out", arguments.force)
    if arguments.plot:
        check_plot(Path(arguments.plot), arguments.force)


def check_plot(path: Path, force: bool) -> None:
    """Refuse a picture that could not be drawn or written."""
    if path.suffix.lower() != ".png":
        raise ValueError(f"plot must end in .png; got {str(path)!r}.")
    check_writable(path, "plot", force)
    if find_spec("matplotlib") is None:
        raise ValueError("--plot needs matplotlib; install it with: pip install 'emotts[plot]'.")


def check_writable(path: Path, what: str, force: bool, or_else: str = "") -> None:
    """Refuse what is no file, exists without `force`, or lies where nothing can be written; `or_else` is one more remedy."""
    if "\0" in str(path):
        raise ValueError(f"{what} must be a file name; got {str(path)!r}.")
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise ValueError(f"{what} {str(path)!r} is not a regular file; give a file name.")
    if path.exists() and not force:
        remedies = ", ".join(["give another name", *([or_else] if or_else else []), "or --force to overwrite it"])
        raise ValueError(f"{what} {str(path)!r} exists; {remedies}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{what} folder {str(path.parent)!r} does not exist; create it first.")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        problem = f"{what} folder {str(path.parent)!r} cannot be written ({os.strerror(error.errno or 0)})"
        raise ValueError(f"{problem}; choose another.") from None


def _check_ranges(arguments: argparse.Namespace) -> None:
    from emotts.request import GUIDANCE_RANGE, PITCH_RANGE_ST, SPEED_RANGE, STEPS_RANGE, TEMPERATURE_RANGE

    ranges = {
        "speed": SPEED_RANGE, "pitch": PITCH_RANGE_ST, "guidance": GUIDANCE_RANGE, "steps": STEPS_RANGE,
        "prosody-temperature": TEMPERATURE_RANGE,
    }  # fmt: skip
    for name, (low, high) in ranges.items():
        check_range(name, getattr(arguments, name.replace("-", "_")), low, high)


def _asked(request: "Request", arguments: argparse.Namespace) -> dict[str, str]:
    if request.timeline is not None:
        return {"emotion asked": f"time line {arguments.timeline}"}
    return {"emotion asked": str(request.asked or request.emotion)}


def understood(tts: "EmoTTS", request: "Request", norms: str | None) -> dict[str, str]:
    """Return what recordings, directions and words became, and which words decided."""
    asked = request.asked
    if asked is None or not asked.sources or asked.auto is not None:
        return {}
    rows = {"understood as": str(request.emotion)}
    if asked.words:
        rows["deciding words"] = ", ".join(tts.resolver.describe(asked.words, norms).deciding)
    return rows


def _report(spoken: Spoken, arguments: argparse.Namespace) -> None:
    rows = {
        "voice": spoken.request.voice,
        **_asked(spoken.request, arguments),
        **spoken.understood,
        "duration": f"{spoken.duration_s:.2f} s",
        "real-time factor": f"{spoken.rtf:.3f}",
        "seed": str(spoken.request.seed),
        **spoken.rows,
        "written": "stdout" if arguments.output == STDOUT else arguments.output,
    }
    if arguments.plot:
        rows["plot"] = arguments.plot
    if arguments.prosody_out:
        rows["reading"] = arguments.prosody_out
    for name, value in rows.items():
        print(f"{name:<20}{value}", file=sys.stderr)
    if arguments.json:
        facts = {
            "path": arguments.output,
            "plot": arguments.plot,
            "duration_s": round(spoken.duration_s, 4),
            "rtf": round(spoken.rtf, 4),
            "seed": spoken.request.seed,
            "voice": spoken.request.voice,
            "emotion": spoken.request.emotion.to_dict(),
            **({} if arguments.timeline is None else {"timeline": arguments.timeline}),
            "sample_rate": spoken.sample_rate,
            **spoken.facts,
        }
        print(json.dumps(facts))
