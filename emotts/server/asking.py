"""From the body of a request to the options of the pipeline; whatever could name a file is refused on the way."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from emotts.emotion.labels import ALIASES, DIMENSIONS
from emotts.emotion.spec import EmotionSpec
from emotts.resolve import Resolver
from emotts.server.errors import ApiError, about
from emotts.server.fields import ConvertForm, Emotion, SpeechBody
from emotts.server.guard import check_emotion, check_timeline
from emotts.server.voices import known_voice

NOT_UNDERSTOOD = "no word is known; spoken neutrally"
HEADER_SAFE = " !#$&'()*+,-./:;<=>?@[]^_`{|}~\""
MAX_HEADER_CHARS = 600


@dataclass(frozen=True)
class Asked:
    """Options of the pipeline, and what the reply tells of how they were understood."""

    options: dict[str, Any]
    headers: dict[str, str]


def asked_of_speech(body: SpeechBody, voices: list[str], resolver: Resolver) -> Asked:
    """Return what a request for speech asks.

    Raises:
        ApiError: 400, a field that cannot be meant so.
    """
    options: dict[str, Any] = {"speed": body.speed, "guidance": body.guidance, "pitch": body.pitch}
    options |= {name: getattr(body, name) for name in ("seed", "steps", "duration")}
    headers = ignored_header(body.ignored)
    if body.voice is not None:
        with about("voice"):
            options["voice"] = known_voice(body.voice, voices)
    ways = [name for name in ("instructions", "emotion", "timeline") if getattr(body, name) not in (None, "")]
    if len(ways) > 1:
        raise ApiError(400, f"give one of instructions, emotion and timeline; got {' and '.join(ways)}.", ways[1])
    if body.emotion is not None:
        with about("emotion"):
            options["emotion"] = emotion_of(body.emotion)
    elif body.timeline is not None:
        with about("timeline"):
            options["timeline"] = check_timeline(body.timeline)
    elif body.instructions:
        options["emotion"], told = _understood(body.instructions, resolver)
        headers["X-Emotts-Instructions"] = header(told)
    return Asked(options, headers)


def asked_of_conversion(form: ConvertForm, voices: list[str]) -> Asked:
    """Return what a request for a conversion asks. Errors are those of `asked_of_speech`."""
    options: dict[str, Any] = {"strength": form.strength, "retime": form.retime, "pitch": form.pitch, "seed": form.seed}
    if form.voice:
        with about("voice"):
            options["voice"] = known_voice(form.voice, voices)
    for name in ("emotion", "source_emotion"):
        if getattr(form, name):
            with about(name):
                options[name] = check_emotion(getattr(form, name))
    options |= {name: getattr(form, name) for name in DIMENSIONS}
    if not form.emotion and not form.voice and not form.pitch and all(options[name] is None for name in DIMENSIONS):
        raise ApiError(400, "nothing to change; give emotion, arousal, valence, dominance, voice or pitch.", "emotion")
    return Asked(options, ignored_header(form.ignored))


def emotion_of(given: str | Emotion) -> EmotionSpec:
    """Return a specification that was given as a text or in parts.

    Raises:
        ValueError: it is none, or it names a file.
    """
    if isinstance(given, str):
        return check_emotion(given)
    label = None if given.label is None else ALIASES.get(given.label.lower(), given.label.lower())
    if given.intensity is not None and label is None:
        raise ValueError("emotion.intensity needs a label; the weights of a mixture stand beside its labels.")
    parts = {name: getattr(given, name) for name in (*DIMENSIONS, "words", "auto")}
    if not any(value is not None for value in (label, *parts.values())) and not (given.mixture or given.away):
        raise ValueError('emotion must have at least one part, such as {"label": "happy"}; got an empty object.')
    if label is None and given.away and not given.mixture and all(value is None for value in parts.values()):
        label = "neutral"
    return EmotionSpec(
        label,
        1.0 if given.intensity is None else given.intensity,
        mixture=_weights(given.mixture),
        away=_weights(given.away),
        **parts,
    )


def header(text: str) -> str:
    """Return text as a header may hold it: what is not printable ASCII is percent-encoded, and long texts are cut."""
    told = quote(text[:MAX_HEADER_CHARS], safe=HEADER_SAFE, errors="replace")
    return told[: 2 * MAX_HEADER_CHARS].strip()


def ignored_header(names: list[str]) -> dict[str, str]:
    """Return the header that names the fields which were passed over, if there are any."""
    return {"X-Emotts-Ignored": header(", ".join(name[:40] for name in names))} if names else {}


def _weights(pairs: dict[str, float] | None) -> tuple[tuple[str, float], ...]:
    return tuple((ALIASES.get(name.lower(), name.lower()), weight) for name, weight in (pairs or {}).items())


def _understood(words: str, resolver: Resolver) -> tuple[EmotionSpec, str]:
    """Return what instructions mean, and the words that decided; they are neutral where no word is known."""
    try:
        description = resolver.describe(words)
    except ValueError:
        return EmotionSpec(), NOT_UNDERSTOOD
    return description.spec, f"understood {', '.join(description.deciding)}"
