"""The one reader of emotion specifications: `label[:intensity]` and optional arousal, valence, dominance.

Comes in: what a user wrote, such as `happy:0.8`. Goes out: an `EmotionSpec`, or a ValueError that names the position in
the text, what was expected there, and an example.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import asdict, dataclass

from emotts.emotion.labels import ALIASES, DIMENSIONS, LABELS, MAX_INTENSITY

EXAMPLE = "happy:0.8"
_TOKEN = re.compile(r"(?P<name>[^\W\d_]+)|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)|(?P<mark>[:+-])")


@dataclass(frozen=True)
class EmotionSpec:
    """What the user asked for; None is "not given", which the model masks.

    Attributes:
        label: one of `LABELS`, or None if only dimensions were given.
        intensity: 0 is neutral, 1 the typical strength of the label, at most `MAX_INTENSITY`.
        arousal: calm -1 to agitated 1.
        valence: unpleasant -1 to pleasant 1.
        dominance: submissive -1 to dominant 1.
    """

    label: str | None = "neutral"
    intensity: float = 1.0
    arousal: float | None = None
    valence: float | None = None
    dominance: float | None = None

    def __post_init__(self) -> None:
        if self.label is not None and self.label not in LABELS:
            raise ValueError(unknown_label(self.label))
        object.__setattr__(self, "intensity", _in_range("intensity", self.intensity, 0.0, MAX_INTENSITY))
        for name in DIMENSIONS:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _in_range(name, value, -1.0, 1.0))
        if self.label is None and not self.dimensions:
            raise ValueError(f"emotion needs a label or one of {', '.join(DIMENSIONS)}; got nothing. Try {EXAMPLE}.")

    @property
    def dimensions(self) -> dict[str, float]:
        """The dimensions that were given, by name."""
        return {name: getattr(self, name) for name in DIMENSIONS if getattr(self, name) is not None}

    def __str__(self) -> str:
        """Write the label part as `parse_emotion` reads it, then the dimensions as `name=value`."""
        intensity = "" if self.intensity == 1.0 else f":{_short(self.intensity)}"
        label = [] if self.label is None else [self.label + intensity]
        return " ".join(label + [f"{name}={_short(value)}" for name, value in self.dimensions.items()])

    def to_dict(self) -> dict[str, str | float | None]:
        """Return all fields by name; `EmotionSpec(**spec.to_dict())` equals `spec`."""
        return asdict(self)


def parse_emotion(
    text: str | EmotionSpec | None,
    arousal: float | None = None,
    valence: float | None = None,
    dominance: float | None = None,
) -> EmotionSpec:
    """Read an emotion specification.

    Args:
        text: `label` or `label:intensity`; None is neutral, or "not given" where a dimension is given. A ready
            `EmotionSpec` keeps what it says, and the dimensions given here are laid over it.
        arousal: in [-1, 1]; also valence and dominance.

    Raises:
        ValueError: unknown label, misplaced character, or a number that is not finite or out of range.
    """
    given = {"arousal": arousal, "valence": valence, "dominance": dominance}
    if isinstance(text, EmotionSpec):
        return EmotionSpec(**{**asdict(text), **{name: value for name, value in given.items() if value is not None}})
    if text is None:
        label = "neutral" if all(value is None for value in given.values()) else None
        return EmotionSpec(label, 1.0, **given)
    if not isinstance(text, str):
        raise ValueError(f"emotion must be a text such as {EXAMPLE}; got {type(text).__name__}.")
    label, intensity = _Reader(text).label_and_intensity()
    return EmotionSpec(label, intensity, **given)


def unknown_label(name: str, where: str = "") -> str:
    """Return the message for a label that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(name.lower(), [*LABELS, *ALIASES], n=1, cutoff=0.5)
    hint = f' Did you mean "{ALIASES.get(near[0], near[0])}"?' if near else f" Example: {EXAMPLE}."
    return f"emotion must be one of {', '.join(LABELS)}; got {_quoted(name)}{where}.{hint}"


@dataclass(frozen=True)
class _Token:
    kind: str  # "name", "number", "mark" or "end"
    text: str
    position: int  # of its first character, counted from 1

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else _quoted(self.text)


class _Reader:
    """Reads one specification token by token, left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokenize(text)
        self.next = 0

    def label_and_intensity(self) -> tuple[str, float]:
        """Read `label [":" number]` up to the end."""
        label = self.label()
        intensity = self.intensity() if self.accept(":") else 1.0
        if self.peek().kind != "end":
            raise self.error("the end" if intensity != 1.0 else '":" and an intensity, or the end')
        return label, intensity

    def label(self) -> str:
        token = self.peek()
        if token.kind != "name":
            raise self.error("a label")
        self.next += 1
        name = token.text.lower()
        name = ALIASES.get(name, name)
        if name not in LABELS:
            raise ValueError(unknown_label(token.text, f" at position {token.position}"))
        return name

    def intensity(self) -> float:
        position = self.peek().position
        sign = -1.0 if self.accept("-") else 1.0
        if self.peek().kind != "number":
            raise self.error(f"an intensity from 0 to {MAX_INTENSITY:g}")
        value = sign * float(self.peek().text)
        if not 0.0 <= value <= MAX_INTENSITY:
            raise ValueError(
                f"emotion {_quoted(self.text)}, position {position}: intensity must be from 0 to {MAX_INTENSITY:g}; "
                f"got {_short(value)}. Example: {EXAMPLE}."
            )
        self.next += 1
        return abs(value)

    def peek(self) -> _Token:
        return self.tokens[self.next]

    def accept(self, mark: str) -> bool:
        found = self.peek().kind == "mark" and self.peek().text == mark
        self.next += found
        return found

    def error(self, expected: str) -> ValueError:
        token = self.peek()
        place = f"emotion {_quoted(self.text)}, position {token.position}"
        return ValueError(f"{place}: expected {expected}; got {token}. Example: {EXAMPLE}.")


def _tokenize(text: str) -> list[_Token]:
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match:
            tokens.append(_Token(str(match.lastgroup), match.group(), position + 1))
        elif not text[position].isspace():
            tokens.append(_Token("unknown", text[position], position + 1))
        position = match.end() if match else position + 1
    return [*tokens, _Token("end", "", len(text) + 1)]


def _in_range(name: str, value: float, low: float, high: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool | str) or not low <= number <= high:  # also refuses NaN
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}; got {value!r:.40}.")
    return number + 0.0  # -0.0 becomes 0.0


def _short(value: float) -> str:
    """Write a number with all the digits that reading it back needs, and no trailing `.0`."""
    return repr(float(value)).removesuffix(".0")


def _quoted(text: str) -> str:
    return '"' + repr(text if len(text) <= 40 else text[:39] + "…")[1:-1] + '"'
