"""From what the emotion controls show to what the pipeline is asked: values of the page come in, an `Asked` goes out.

Every way of asking is checked here as if a stranger had sent it, for the page's events can be called without the page.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABELS, MAX_INTENSITY
from emotts.emotion.spec import EmotionSpec

from .components.keyframes import to_timeline

if TYPE_CHECKING:
    from emotts.pipeline import EmoTTS

BY_PLACE = "by its place alone"  # the pad without a label
MIXED = tuple(name for name in LABELS if name != "neutral")
AT_MEAN = 0.02  # a dot this near to the label's usual place was not moved
Place = tuple[float, float, float]


@dataclass(frozen=True)
class Asked:
    """What the emotion controls ask for.

    Attributes:
        options: arguments of the pipeline: `emotion`, or `timeline` and perhaps `emotion`, or nothing to keep what is there.
        note: what was understood, one sentence.
        place: arousal, valence, dominance that are asked; None where there is no one place.
    """

    options: dict[str, Any]
    note: str
    place: Place | None = None


@dataclass(frozen=True)
class Wishes:
    """The values of the controls, whatever the mode; those of other modes are not looked at.

    Attributes:
        mode: "pad", "mix", "time", "recording", "words", "text" or "keep".
        feeling: a label or BY_PLACE. pad: arousal and valence of the dot. dominance, intensity: beside it.
        mix: weight by label. trajectory: of the editor.
        recording, neutral: paths. strength: of what is heard in the recording. words: a description.
        auto: strength with which the text decides.
        refused: labels to stay away from. refusal: how strongly.
    """

    mode: str = "pad"
    feeling: str = BY_PLACE
    pad: Mapping[str, float] = field(default_factory=dict)
    dominance: float = 0.0
    intensity: float = 1.0
    mix: Mapping[str, float] = field(default_factory=dict)
    trajectory: Mapping[str, Any] = field(default_factory=dict)
    recording: str | None = None
    neutral: str | None = None
    strength: float = 1.0
    words: str = ""
    auto: float = 1.0
    refused: Sequence[str] = ()
    refusal: float = 0.5


def read_wishes(tts: "EmoTTS", wishes: Wishes) -> Asked:
    """Return what the controls ask for.

    Raises:
        ValueError: a value that is out of range, or nothing is asked.
    """
    readers = {
        "pad": lambda: _of_pad(wishes), "mix": lambda: _of_mix(wishes), "time": lambda: _of_time(wishes),
        "recording": lambda: _of_recording(tts, wishes), "words": lambda: _of_words(tts, wishes),
        "text": lambda: _of_text(wishes), "keep": lambda: _kept(wishes),
    }  # fmt: skip
    if wishes.mode not in readers:
        raise ValueError(f"the way to ask must be one of {', '.join(readers)}; got {wishes.mode!r:.40}.")
    return readers[wishes.mode]()


def place_of(feeling: str) -> Place:
    """Return the usual place of a label: arousal, valence, dominance; the centre for BY_PLACE.

    Raises:
        ValueError: no label.
    """
    if feeling == BY_PLACE:
        return (0.0, 0.0, 0.0)
    if feeling not in AVD_MEANS:
        raise ValueError(f"feeling must be one of {', '.join(LABELS)}; got {feeling!r:.40}.")
    return AVD_MEANS[feeling]


def nearest_label(place: Place) -> str:
    """Return the label whose usual place is nearest."""
    return min(AVD_MEANS, key=lambda name: math.dist(AVD_MEANS[name], place))


def _of_pad(wishes: Wishes) -> Asked:
    intensity = _number("intensity", wishes.intensity, 0.0, MAX_INTENSITY)
    dot = (
        _number("arousal", wishes.pad.get("arousal", 0.0), -1.0, 1.0),
        _number("valence", wishes.pad.get("valence", 0.0), -1.0, 1.0),
        _number("dominance", wishes.dominance, -1.0, 1.0),
    )
    mean, away = place_of(wishes.feeling), _away(wishes)
    arousal, valence, dominance = (round(max(-1.0, min(1.0, intensity * x)), 3) for x in dot)
    asked = (arousal, valence, dominance)
    if wishes.feeling == BY_PLACE:
        near = nearest_label(asked)
        note = f"arousal {arousal:+.2f}, valence {valence:+.2f}, dominance {dominance:+.2f}: near {near}."
        return Asked({"emotion": EmotionSpec(None, 1.0, *asked, away=away)}, note, asked)
    moved = {
        name: value
        for name, value, x, usual in zip(DIMENSIONS, asked, dot, mean, strict=True)
        if abs(x - usual) > AT_MEAN
    }
    spec = EmotionSpec(wishes.feeling, intensity, **moved, away=away)
    beside = f", moved in {' and '.join(moved)}" if moved else ""
    return Asked({"emotion": spec}, f"{wishes.feeling}, intensity {intensity:g}{beside}.", asked)


def _of_mix(wishes: Wishes) -> Asked:
    weights = {
        name: weight for name in MIXED if (weight := _number(name, wishes.mix.get(name, 0.0), 0.0, MAX_INTENSITY)) > 0.0
    }
    total, note = sum(weights.values()), ""
    if total > MAX_INTENSITY:
        shares = {name: math.floor(1e3 * weight * MAX_INTENSITY / total) / 1e3 for name, weight in weights.items()}
        note = f" The weights add up to {total:.2f}; more than {MAX_INTENSITY:g} is not asked, so they are scaled down."
        weights = {name: share for name, share in shares.items() if share > 0.0}
    away = _away(wishes)
    if len(weights) > 1:
        spec = EmotionSpec(None, 1.0, mixture=tuple(weights.items()), away=away)
    else:
        label, weight = next(iter(weights.items()), ("neutral", 1.0))
        spec = EmotionSpec(label, weight, away=away)
    return Asked({"emotion": spec}, f"{spec}.{note}", _place_of_spec(spec))


def _of_time(wishes: Wishes) -> Asked:
    timeline = to_timeline(dict(wishes.trajectory))
    options: dict[str, Any] = {"timeline": timeline}
    if away := _away(wishes):
        options["emotion"] = EmotionSpec(away=away)
    count = len(timeline.keyframes)
    return Asked(options, f"{count} keyframe{'s' if count > 1 else ''} along the words.")


def _of_recording(tts: "EmoTTS", wishes: Wishes) -> Asked:
    if not wishes.recording:
        raise ValueError("a recording is needed whose feeling is taken over; got none. Upload or record one.")
    strength = _number("strength", wishes.strength, 0.0, MAX_INTENSITY)
    neutral = (wishes.neutral,) if wishes.neutral else ()
    heard = EmotionSpec(None, 1.0, like=((wishes.recording, strength),), away=_away(wishes))
    spec = tts.resolver.plain(heard, neutral)  # the specification that goes on names no file
    return Asked({"emotion": spec}, f"the recording sounds like {spec}.", _place_of_spec(spec))


def _of_words(tts: "EmoTTS", wishes: Wishes) -> Asked:
    if not wishes.words.strip():
        raise ValueError("the words must say how it should sound, such as “relieved, but still shaking”; got nothing.")
    spec = EmotionSpec(None, 1.0, words=wishes.words.strip(), away=_away(wishes))
    found = tts.resolver.describe(wishes.words.strip())
    because = ", ".join(f"{word} ({share:.0%})" for word, share in zip(found.deciding, found.shares, strict=False))
    unknown = f" Not understood: {', '.join(found.unknown)}." if found.unknown else ""
    note = f"understood as {found.spec}, because of {because or 'the whole'}.{unknown}"
    return Asked({"emotion": spec}, note, _place_of_spec(found.spec))


def _of_text(wishes: Wishes) -> Asked:
    strength = _number("strength", wishes.auto, 0.0, MAX_INTENSITY)
    spec = EmotionSpec(None, 1.0, auto=strength, away=_away(wishes))
    return Asked({"emotion": spec}, "every sentence is read with the feeling of its words and signs.")


def _kept(wishes: Wishes) -> Asked:
    if away := _away(wishes):
        return Asked({"emotion": EmotionSpec(away=away)}, f"less {' and '.join(name for name, _ in away)}.")
    return Asked({}, "the feeling stays as it is.")


def _away(wishes: Wishes) -> tuple[tuple[str, float], ...]:
    """Return the labels to stay away from; those that are asked for are refused by EmotionSpec with a sentence."""
    strength = _number("how strongly", wishes.refusal, 0.0, MAX_INTENSITY)
    return tuple((name, strength) for name in wishes.refused) if strength > 0.0 else ()


def _place_of_spec(spec: EmotionSpec) -> Place | None:
    """Return arousal, valence and dominance of a plain specification, a label's usual ones included; None where one is open."""
    from emotts.loop import asked_place

    values = asked_place(spec)
    if any(value is None for value in values):
        return None
    arousal, valence, dominance = (float(value or 0.0) for value in values)
    return arousal, valence, dominance


def _number(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}; got {value!r:.40}.")
    return float(value)
