"""A pad on which a dot is dragged: valence to the right, arousal upwards, with the emotions at their means.

Its value is `{"arousal": a, "valence": v}`, both in [-1, 1]. Beside the dot it shows marks, such as what was asked and what was
heard, and a path. `input` is triggered while the dot is dragged, `release` when it has come to rest.
"""

import math
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from emotts.emotion.labels import AVD_MEANS

from .colours import EMOTION_COLOURS
from .given import with_given

KINDS = ("asked", "heard", "before", "result")
MAX_MARKS = 200
MAX_PATH = 2_000
LONGEST_TEXT = 80
SIDES = {  # of the dot on which a name is written, so that no two overlap
    "fearful": "left", "disgusted": "below", "surprised": "left", "excited": "above", "happy": "below", "calm": "below",
    "tender": "above", "angry": "above",
}  # fmt: skip
ANCHORS = [
    {
        "name": name,
        "arousal": arousal,
        "valence": valence,
        "side": SIDES.get(name, "right"),
        "colour": EMOTION_COLOURS[name],
    }
    for name, (arousal, valence, _) in AVD_MEANS.items()
]
TEMPLATE, STYLE, SCRIPT = (Path(__file__).with_suffix(suffix).read_text("utf-8") for suffix in (".html", ".css", ".js"))


class EmotionPad(gr.HTML):
    """A pad of valence and arousal; events `input` (while dragging) and `release`."""

    def __init__(
        self,
        value: Mapping[str, float] | None = None,
        *,
        marks: Sequence[Mapping[str, Any]] = (),
        path: Sequence[Sequence[float]] = (),
        interactive: bool = True,
        label: str = "Emotion",
        **options: Any,  # of gr.HTML: Gradio makes components anew from any of them
    ) -> None:
        """Build the pad.

        Args:
            value: place of the dot, arousal and valence in [-1, 1]; the centre if there is none.
            marks: up to MAX_MARKS of `arousal`, `valence`, `kind` (one of KINDS), `text` for the legend, and for "heard" perhaps
                `std`, the standard deviations of arousal and valence.
            path: points [valence, arousal] that a line joins.
            interactive: with a dot to drag; without it only marks and path are shown.
            label: what it is called for those who cannot see it.

        Raises:
            ValueError: a number that is none, an unknown kind, or too many marks.
        """
        self.marks, self.path = check_marks(marks), check_path(path)
        shown = {"marks": self.marks, "path": self.path, "interactive": interactive, "anchors": ANCHORS}
        super().__init__(
            value=value, label=label, html_template=TEMPLATE, css_template=STYLE,
            js_on_load=with_given(SCRIPT, shown | {"label": label}), apply_default_css=False, **shown, **options,
        )  # fmt: skip
        self.interactive = interactive

    def preprocess(self, payload: Any) -> dict[str, float]:
        """Return the place of the dot; whatever a page sends is checked."""
        try:
            return check_point(payload)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def postprocess(self, value: Any) -> dict[str, float]:
        """Return the place that the page shows; None is the centre."""
        return check_point({"arousal": 0.0, "valence": 0.0} if value is None else value)

    def api_info(self) -> dict[str, Any]:
        """Return the schema of the value."""
        number = {"type": "number", "minimum": -1.0, "maximum": 1.0}
        names = ["arousal", "valence"]
        return {"type": "object", "properties": dict.fromkeys(names, number), "required": names}

    def example_payload(self) -> dict[str, float]:
        """Return a value as a page sends it."""
        return {"arousal": 0.5, "valence": 0.8}

    def example_value(self) -> dict[str, float]:
        """Return a value as a function gives it."""
        return self.example_payload()


def check_point(value: Any) -> dict[str, float]:
    """Return arousal and valence, kept in [-1, 1].

    Raises:
        ValueError: one is missing, or no finite number.
    """
    if not isinstance(value, Mapping):
        raise ValueError(
            f"place on the pad must be an object with arousal and valence; got {reprlib.repr(value)}. "
            'Example: {"arousal": 0.5, "valence": 0.8}.'
        )
    return {name: check_number(name, value.get(name)) for name in ("arousal", "valence")}


def check_number(name: str, value: Any) -> float:
    """Return a number kept in [-1, 1].

    Raises:
        ValueError: it is none, or not finite.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number from -1 to 1; got {reprlib.repr(value)}.")
    return float(max(-1, min(1, value))) + 0.0


def check_marks(marks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return marks with their numbers in range.

    Raises:
        ValueError: an unknown kind, a number that is none, or more than MAX_MARKS.
    """
    if len(marks) > MAX_MARKS:
        raise ValueError(f"pad must have at most {MAX_MARKS} marks; got {len(marks)}.")
    checked = []
    for mark in marks:
        if mark.get("kind") not in KINDS:
            raise ValueError(f"kind of a mark must be one of {', '.join(KINDS)}; got {reprlib.repr(mark.get('kind'))}.")
        one = {**check_point(mark), "kind": mark["kind"], "text": str(mark.get("text") or "")[:LONGEST_TEXT]}
        if (std := mark.get("std")) is not None:
            one["std"] = [abs(check_number("std of a mark", number)) for number in list(std)[:2]]
        checked.append(one)
    return checked


def check_path(path: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return the points [valence, arousal] of a path, in range.

    Raises:
        ValueError: a point that is not two numbers, or more than MAX_PATH of them.
    """
    if len(path) > MAX_PATH:
        raise ValueError(f"path on the pad must have at most {MAX_PATH} points; got {len(path)}.")
    for point in path:
        if len(point) != 2:
            raise ValueError(f"point of a path must be [valence, arousal]; got {reprlib.repr(point)}.")
    return [[check_number("valence", point[0]), check_number("arousal", point[1])] for point in path]
