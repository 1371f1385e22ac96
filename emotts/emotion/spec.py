"""What emotion is wanted: `EmotionSpec`, and the door through which every text, option and file comes, `parse_emotion`.

Comes in: what a user wrote, such as `happy:0.8` (grammar.py reads it; docs/emotion_controls.md tells all forms). Goes
out: an `EmotionSpec`, or a ValueError that names the position in the text, what was expected there, and an example.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from emotts.emotion.grammar import (
    EXAMPLE,
    MAX_DIRECTION,
    MAX_WORDS_CHARS,
    read_fields,
    unknown_label,
    write_items,
)
from emotts.emotion.labels import DIMENSIONS, LABELS, MAX_INTENSITY

Weighted = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class EmotionSpec:
    """What the user asked for; None and () are "not given", which the model masks.

    Attributes:
        label: one of `LABELS`; None if there is a mixture, or no label is given.
        intensity: 0 is neutral, 1 the typical strength of the label, at most `MAX_INTENSITY`; 1 where there is no label.
        arousal: calm -1 to agitated 1.
        valence: unpleasant -1 to pleasant 1.
        dominance: submissive -1 to dominant 1.
        mixture: two or more labels with their weights, whose sum is at most `MAX_INTENSITY`.
        away: labels to move away from, with strengths above 0, at most `MAX_INTENSITY`.
        like: recordings (paths) that sound as wanted, with strengths from 0 to `MAX_INTENSITY`.
        directions: direction files to add, with strengths from -3 to 3.
        erase: direction files whose axis is taken out.
        words: a free description.
        auto: strength from 0 to `MAX_INTENSITY` with which the text that is spoken decides.
    """

    label: str | None = "neutral"
    intensity: float = 1.0
    arousal: float | None = None
    valence: float | None = None
    dominance: float | None = None
    mixture: Weighted = ()
    away: Weighted = ()
    like: Weighted = ()
    directions: Weighted = ()
    erase: tuple[str, ...] = ()
    words: str | None = None
    auto: float | None = None

    def __post_init__(self) -> None:
        intensity = _in_range("intensity", self.intensity, 0.0, MAX_INTENSITY)
        self._set("mixture", _weighted("mixture", self.mixture, 0.0, MAX_INTENSITY))
        if self.mixture:
            self._check_mixture(intensity)
            self._set("label", None)
        elif self.label is not None and self.label not in LABELS:
            raise ValueError(unknown_label(self.label))
        self._set("intensity", 1.0 if self.label is None else intensity)
        for name in DIMENSIONS:
            value = getattr(self, name)
            if value is not None:
                self._set(name, _in_range(name, value, -1.0, 1.0))
        self._set("away", _weighted("away", self.away, math.ulp(0.0), MAX_INTENSITY))
        self._set("like", _weighted("like", self.like, 0.0, MAX_INTENSITY))
        self._set("directions", _weighted("directions", self.directions, -MAX_DIRECTION, MAX_DIRECTION))
        self._set("erase", _names("erase", self.erase))
        self._set("words", None if self.words is None else _description(self.words))
        self._set("auto", None if self.auto is None else _in_range("auto", self.auto, 0.0, MAX_INTENSITY))
        for name, _ in (*self.mixture, *self.away):
            if name not in LABELS:
                raise ValueError(unknown_label(name))
        if both := {name for name, _ in self.away} & {self.label, *(name for name, _ in self.mixture)}:
            raise ValueError(f'away must name other labels than those asked for; got "{both.pop()}" in both.')
        others = [name for name in self.sources if name != "auto"]
        if self.auto is not None and (self.weights or others):
            raise ValueError(
                f"auto lets the text decide; it stands with dimensions alone, got {others[0] if others else self.weights[0][0]} "
                "beside it. Example: auto:0.7,dominance=0.2."
            )
        if self.label is None and not (self.mixture or self.dimensions or self.sources):
            raise ValueError(f"emotion needs a label or one of {', '.join(DIMENSIONS)}; got nothing. Try {EXAMPLE}.")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_mixture(self, intensity: float) -> None:
        if self.label not in (None, "neutral") or intensity != 1.0:
            raise ValueError(f"emotion must be a label or a mixture; got {self.label!r}:{intensity:g} and a mixture.")
        total = sum(weight for _, weight in self.mixture)
        if len(self.mixture) < 2 or total > MAX_INTENSITY + 1e-9:
            raise ValueError(
                f"mixture must be of two or more labels whose weights sum to at most {MAX_INTENSITY:g}; "
                f"got {len(self.mixture)} with a sum of {total:g}. Example: happy:0.8+sad:0.4."
            )

    @property
    def dimensions(self) -> dict[str, float]:
        """The dimensions that were given, by name."""
        return {name: getattr(self, name) for name in DIMENSIONS if getattr(self, name) is not None}

    @property
    def weights(self) -> Weighted:
        """The label with its intensity, or the mixture, without neutral."""
        pairs = self.mixture or (() if self.label is None else ((self.label, self.intensity),))
        return tuple(pair for pair in pairs if pair[0] != "neutral")

    @property
    def sources(self) -> dict[str, Any]:
        """What has to be turned into labels and dimensions before the model can take it, by name."""
        return {name: value for name in _SOURCES if (value := getattr(self, name)) not in (None, ())}

    def __str__(self) -> str:
        """Write the specification as `parse_emotion` reads it."""
        return write_items(asdict(self))

    def to_dict(self) -> dict[str, Any]:
        """Return label, intensity, dimensions and what else was given, ready for JSON.

        `EmotionSpec(**spec.to_dict())` equals `spec`.
        """
        always = {
            "label": self.label,
            "intensity": self.intensity,
            **{name: getattr(self, name) for name in DIMENSIONS},
        }
        given = {
            name: value for name in ("mixture", "away", *_SOURCES) if (value := getattr(self, name)) not in (None, ())
        }
        return {**always, **{name: _as_lists(value) for name, value in given.items()}}


_SOURCES = ("like", "directions", "erase", "words", "auto")


def parse_emotion(
    text: str | EmotionSpec | None,
    arousal: float | None = None,
    valence: float | None = None,
    dominance: float | None = None,
) -> EmotionSpec:
    """Read an emotion specification.

    Args:
        text: `happy`, `happy:0.8`, `happy:0.6+sad:0.4`, `arousal=.7,valence=-.4` and more, see docs/emotion_controls.md;
            None is neutral, or "not given" where a dimension is given. A ready `EmotionSpec` keeps what it says. The
            dimensions given here are laid over either.
        arousal: in [-1, 1]; also valence and dominance.

    Raises:
        ValueError: unknown name, misplaced character, something given twice, or a number that is not finite or out of
            range.
    """
    numbers = {"arousal": arousal, "valence": valence, "dominance": dominance}
    given: dict[str, Any] = {name: value for name, value in numbers.items() if value is not None}
    if isinstance(text, EmotionSpec):
        return replace(text, **given) if given else text
    if text is None:
        return EmotionSpec(None, 1.0, **given) if given else EmotionSpec()
    if not isinstance(text, str):
        raise ValueError(f"emotion must be a text such as {EXAMPLE}; got {type(text).__name__}.")
    return EmotionSpec(**{**read_fields(text), **given})


def _as_lists(value: Any) -> Any:
    return [_as_lists(each) for each in value] if isinstance(value, tuple) else value


def _in_range(name: str, value: Any, low: float, high: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool | str) or not low <= number <= high:  # also refuses NaN
        above = "above 0 and at most" if 0.0 < low < 1e-300 else f"from {low:g} to"
        raise ValueError(f"{name} must be a number {above} {high:g}; got {value!r:.40}.")
    return number + 0.0  # -0.0 becomes 0.0


def _weighted(name: str, pairs: Iterable[Any], low: float, high: float) -> Weighted:
    """Check pairs of a name and a number, such as come back from JSON as lists."""
    try:
        read = [(key, value) for key, value in pairs]
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be pairs of a name and a number; got {pairs!r:.60}.") from None
    keys = _names(name, [key for key, _ in read])
    return tuple(
        (key, _in_range(f"{name} of {key}", value, low, high)) for key, (_, value) in zip(keys, read, strict=True)
    )


def _names(name: str, keys: Iterable[Any]) -> tuple[str, ...]:
    keys = [None] if isinstance(keys, str) else list(keys)  # one name is no list of its letters
    if any(not isinstance(key, str) or not key.strip() for key in keys):
        raise ValueError(f"{name} must hold names or paths; got {keys!r:.60}.")
    if twice := next((key for i, key in enumerate(keys) if key in keys[:i]), None):
        raise ValueError(f"{name} must name each thing once; got {twice!r:.60} twice.")
    return tuple(keys)


def _description(words: Any) -> str:
    if not isinstance(words, str) or len(words) > MAX_WORDS_CHARS or not any(c.isalpha() for c in words):
        raise ValueError(
            f"words must be a description with at least one letter and at most {MAX_WORDS_CHARS} characters; "
            f'got {words!r:.60}. Example: "relieved, but still shaking".'
        )
    return " ".join(words.split())
