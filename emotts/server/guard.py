"""What a stranger may ask: texts, emotions, time lines, voices and recordings come in from outside, checked ones go out.

Whoever asks over a network must neither make this machine open a file by its name nor learn one. Everything here raises
ValueError with one sentence; `sentence` makes of any error what may be told.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotts.emotion.grammar import EXAMPLE
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.spans import read_span
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.emotion.timeline import KINDS, PRESETS, Keyframe, Timeline, preset_timeline
from emotts.request import unknown_voice
from emotts.server.limits import Limits
from emotts.text import text_to_segments
from emotts.text.markup import Pause, SpanStart, parse_markup

MAX_EMOTION_CHARS = 500
MAX_KEYFRAMES = 1_000
MAX_PAUSES_S = 300.0  # of a whole text: silence costs memory too
MAX_SOUNDS_AT_ONCE = 1_000  # phoneme tokens of one segment, which is held in memory whole: about a minute
SOUNDS_PER_CHAR = 2  # of a whole text: lists of long numbers have ten times what prose has
RATES = (4_000, 192_000)  # Hz
MAX_CHANNELS = 8
BLOCK = 1 << 20  # samples of all channels that are decoded at once
MAX_SENTENCE_CHARS = 1_000
UNSAID = "something went wrong here; the server's log says what."

_NAMES_FILES = {"like": "like=", "directions": "direction=", "erase": "erase="}
_PART = r"[^\s'\"`,;:()<>|/\\\[\]{}=]+"
_QUOTED_PATH = re.compile(r"(['\"])((?:(?:~|\.{1,2})?/|[A-Za-z]:[/\\]|\\\\)[^'\"\n]*)\1")  # may hold spaces
_PATH = re.compile(
    rf"(?<![\w:/\\.~-])(?:(?!/v1/)(?:(?:~|\.{{1,2}})?/+|[A-Za-z]:[/\\]+|\\\\)(?:{_PART}[/\\]+)*({_PART})[/\\]*"  # absolute
    rf"|(?!/v1/)(?:{_PART}/){{2,}}({_PART})"  # a/b/c
    r"|(?:[\w.-]+/)+([\w.-]*\w\.\w{1,12}\b))"  # a/b.wav
)


@dataclass(frozen=True)
class RecordingFacts:
    """What is known of a recording that may be used."""

    duration_s: float
    sample_rate: int
    channels: int


def check_text(text: object, limits: Limits) -> str:
    """Return a text that can be spoken.

    Raises:
        ValueError: no text, nothing to be spoken, too long, not Unicode, markup that cannot be read or that names files, or far
            more sounds or silence than its length promises.
    """
    words = _unicode("text", text)
    if not words.strip():
        raise ValueError("text must not be empty; write what is to be spoken.")
    if len(words) > limits.max_text_chars:
        raise ValueError(
            f"text must have at most {limits.max_text_chars} characters; got {len(words)}. Send it in parts."
        )
    parts = parse_markup(words, read_span=read_span)
    for part in parts:
        if isinstance(part, SpanStart) and isinstance(part.spec, EmotionSpec):
            _refuse_files(part.spec, "a tag in the text")
    pauses_s = sum(part.seconds for part in parts if isinstance(part, Pause))
    if pauses_s > MAX_PAUSES_S:
        raise ValueError(f"pauses in a text must last at most {MAX_PAUSES_S:g} s in all; got {pauses_s:g} s. Cut it.")
    lengths = [len(segment.tokens) for segment in text_to_segments(words, read_span=read_span)]
    if max(lengths) > MAX_SOUNDS_AT_ONCE:
        raise ValueError(
            f"a sentence must have at most {MAX_SOUNDS_AT_ONCE} sounds; one has {max(lengths)}. Cut it by full stops."
        )
    most = SOUNDS_PER_CHAR * limits.max_text_chars
    if sum(lengths) > most:
        raise ValueError(
            f"text must have at most {most} sounds; it has {sum(lengths)}, as numbers are long to say. Send it in parts."
        )
    return words


def check_emotion(emotion: object) -> EmotionSpec:
    """Return what a specification asks for.

    Raises:
        ValueError: no specification, a longer one than anybody needs, or one that names files.
    """
    text = _unicode("emotion", emotion)
    if len(text) > MAX_EMOTION_CHARS:
        raise ValueError(
            f"emotion must have at most {MAX_EMOTION_CHARS} characters; got {len(text)}. Example: {EXAMPLE}."
        )
    spec = parse_emotion(text)
    _refuse_files(spec, "an emotion")
    return spec


def check_timeline(value: object) -> Timeline:
    """Return a time line of a preset such as "rise:angry", or of keyframes.

    Args:
        value: the preset, or a list of objects, each with one of t (seconds), word (number) and part (0 to 1), and an emotion or
            dimensions.

    Raises:
        ValueError: neither, or a keyframe that cannot be read; the message names it.
    """
    if isinstance(value, str):
        name, _, wanted = _unicode("timeline", value).partition(":")
        if name.strip().lower() not in PRESETS:
            raise ValueError(
                f"timeline must be a preset such as rise:angry ({', '.join(PRESETS)}) or a list of keyframes; "
                f"got {value!r:.60}."
            )
        check_emotion(wanted)
        return preset_timeline(name.strip().lower(), wanted)
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_KEYFRAMES:
        came = f"{len(value)}" if isinstance(value, list | tuple) else type(value).__name__
        raise ValueError(f"timeline must be a preset or a list of 1 to {MAX_KEYFRAMES} keyframes; got {came}.")
    kinds: list[str] = []
    keyframes: list[Keyframe] = []
    for number, row in enumerate(value, 1):
        kind, keyframe = _keyframe(row, f"keyframe {number}")
        if kinds and kind != kinds[0]:
            raise ValueError(f"keyframe {number}: places must be of one kind; got {kind} after {kinds[0]}.")
        kinds.append(kind)
        keyframes.append(keyframe)
    return Timeline(kinds[0], tuple(keyframes))


def check_voice(name: object, voices: Sequence[str]) -> str:
    """Return the name of a voice, which must be one of `voices`: neither a recording nor a kept voice."""
    if not isinstance(name, str) or name not in voices:
        message = unknown_voice(name if isinstance(name, str) else repr(name)[:60], [*voices])
        raise ValueError(_printable(message.removesuffix(" See `emotts voices`.")))
    return name


def check_recording(path: Path, limits: Limits) -> RecordingFacts:
    """Check that a file holds a recording of bounded length; what its header promises is looked at before anything is decoded.

    Raises:
        ValueError: no sound, not audio, too large, too long, of a strange rate, or with samples that are not finite.
    """
    import soundfile

    name = _printable(path.name[:80])
    if not path.is_file() or not (size := path.stat().st_size):
        raise ValueError(f"{name} is empty; upload a recording.")
    if size > limits.max_upload_bytes:
        raise ValueError(
            f"{name} must have at most {limits.max_upload_bytes / 1e6:g} MB; got {size / 1e6:.1f} MB. Cut or compress it."
        )
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate, channels = int(file.samplerate), int(file.channels)
            _check_header(name, rate, channels)
            longest = int(limits.max_recording_s * rate)
            told = int(file.frames)
            n = 0 if told <= longest else told
            while n <= longest and len(block := file.read(BLOCK // channels, dtype="float32", always_2d=True)):
                n += len(block)
                if not math.isfinite(float(block.min()) + float(block.max())):
                    raise ValueError(f"{name} has samples that are not finite; write it again as 16-bit wav.")
    except (soundfile.SoundFileError, TypeError, OSError):
        raise ValueError(f"{name} is not audio that can be read here; send wav, flac, ogg or mp3.") from None
    if n > longest:
        seconds = f"{n / rate:.0f} s" if n < 1e6 * rate else "more"
        raise ValueError(f"{name} must last at most {limits.max_recording_s:g} s; it lasts {seconds}. Cut it.")
    if not n:
        raise ValueError(f"{name} holds no sound; upload a recording.")
    return RecordingFacts(n / rate, rate, channels)


def sentence(error: BaseException) -> str:
    """Return what a stranger is told of an error: of a user's mistake its message without folders, else that one happened."""
    if not isinstance(error, ValueError | FileNotFoundError) or isinstance(error, UnicodeError):
        return UNSAID
    said = " ".join(str(error).split())
    said = re.sub(r"\bfile:/+", "/", said)
    said = _QUOTED_PATH.sub(lambda found: f"{found[1]}{_base(found[2])}{found[1]}", said)
    said = _PATH.sub(lambda found: found[1] or found[2] or found[3], said)
    said = _printable(said)
    return said if len(said) <= MAX_SENTENCE_CHARS else f"{said[: MAX_SENTENCE_CHARS - 2]} …"


def _unicode(name: str, text: object) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{name} must be a text; got {type(text).__name__}.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} must be Unicode; character {error.start} is half of a surrogate pair. Send it as UTF-8."
        ) from None
    return text


def _refuse_files(spec: EmotionSpec, what: str) -> None:
    for name, key in _NAMES_FILES.items():
        if getattr(spec, name):
            raise ValueError(
                f"{what} must not name files here; got {key}. Use labels, dimensions or words. Example: {EXAMPLE}."
            )


def _keyframe(row: Any, where: str) -> tuple[str, Keyframe]:
    """Read one keyframe; return the kind of its place too."""
    if not isinstance(row, dict):
        raise ValueError(f"{where} must be an object with a place and an emotion; got {type(row).__name__}.")
    known = (*KINDS, *DIMENSIONS, "emotion")
    given = {key: value for key, value in row.items() if value is not None}
    if unknown := [key for key in given if key not in known]:
        raise ValueError(_printable(f"{where}: {unknown[0]!r:.40} is unknown; expected {', '.join(known)}."))
    here = [kind for kind in KINDS if kind in given]
    if len(here) != 1:
        raise ValueError(f"{where} must have one place, one of {', '.join(KINDS)}; got {' and '.join(here) or 'none'}.")
    numbers = {key: _number(where, key, given[key]) for key in (*here, *DIMENSIONS) if key in given}
    place = numbers.pop(here[0])
    try:
        emotion = check_emotion(given["emotion"]) if "emotion" in given else None
        keyframe = Keyframe(place, emotion, **numbers)
        _ = keyframe.spec
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return here[0], keyframe


def _number(where: str, name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(_printable(f"{where}: {name} must be a finite number; got {value!r:.40}."))
    return number


def _check_header(name: str, rate: int, channels: int) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        raise ValueError(f"{name} must have from {RATES[0]} to {RATES[1]} samples a second; got {rate}.")
    if not 1 <= channels <= MAX_CHANNELS:
        raise ValueError(f"{name} must have 1 to {MAX_CHANNELS} channels; got {channels}.")


def _base(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _printable(text: str) -> str:
    """Return text that can be encoded and printed: halves of surrogate pairs and control characters become escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
