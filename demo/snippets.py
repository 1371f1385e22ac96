"""What would make a take again outside the page: a command line and lines of Python."""

import shlex
from typing import Any

from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.timeline import Timeline

from .takes import Take, shown_options

FLAGS = {
    "voice": "--voice", "seed": "--seed", "speed": "--speed", "pitch": "--pitch", "duration": "--duration", "steps": "--steps",
    "guidance": "--guidance", "prosody_temperature": "--prosody-temperature", "strength": "--strength",
    "keep_intonation": "--keep-intonation", "source_emotion": "--source-emotion",
}  # fmt: skip


def cli_line(take: Take) -> str:
    """Return the command that makes the take again; a time line is written to a file first."""
    options = shown_options(take.options)
    words = ["emotts", "convert" if take.kind == "conversion" else "synthesize"]
    before = ""
    if "emotion" in options:
        words.append(f"--emotion={options['emotion']}")
    if "timeline" in options:
        before = _timeline_file(options["timeline"])
        words += ["--timeline", "timeline.csv"]
    if options.get("retime"):
        words.append("--retime")
    for name, flag in FLAGS.items():
        if name in options:
            value = options[name]
            words.append(f"{flag}={value}" if str(value).startswith("-") else flag)
            words += [] if str(value).startswith("-") else [_number(value)]
    words += ["-o", "again.wav", "--", take.text]
    return before + shlex.join(words)


def python_lines(take: Take) -> str:
    """Return lines of Python that make the take again."""
    options = shown_options(take.options)
    timeline = options.get("timeline")
    imports = ["from emotts import EmoTTS"]
    if timeline is not None:
        imports.append("from emotts.emotion.timeline import Keyframe, Timeline")
    arguments = [repr(take.text), *(f"{name}={_code(value)}" for name, value in options.items())]
    call = "convert" if take.kind == "conversion" else "synthesize"
    inside = ",\n    ".join(arguments)
    return "\n".join(
        [*imports, "", "tts = EmoTTS.from_pretrained()", f'tts.{call}(\n    {inside},\n).save("again.wav")']
    )


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _code(value: Any) -> str:
    if not isinstance(value, Timeline):
        return repr(value)
    frames = ", ".join(
        "Keyframe("
        + ", ".join(
            [repr(frame.place), *(f"{name}={x!r}" for name in DIMENSIONS if (x := getattr(frame, name)) is not None)]
        )
        + ")"
        for frame in value.keyframes
    )
    return f'Timeline("{value.kind}", ({frames},))'


def _timeline_file(timeline: Timeline) -> str:
    """Return the shell's lines that write a time line of dimensions."""
    rows = [",".join([timeline.kind, *DIMENSIONS])]
    for frame in timeline.keyframes:
        cells = ["" if (x := getattr(frame, name)) is None else repr(x) for name in DIMENSIONS]
        rows.append(",".join([repr(frame.place), *cells]))
    lines = "\n".join(rows)
    return f"cat > timeline.csv <<'END'\n{lines}\nEND\n"
