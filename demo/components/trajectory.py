"""An editor of arousal, valence and dominance along the words of a text: three lines through points that are dragged.

Its value is a drawing as keyframes.py describes it; the lines between the points are those of emotts/emotion/timeline.py.
`release` is triggered when a point has come to rest, was added or was deleted.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from emotts.emotion.labels import DIMENSIONS

from .colours import DIMENSION_COLOURS
from .given import with_given
from .keyframes import MAX_POINTS, Drawing, check_drawing

MAX_WORDS = 1_000
LONGEST_WORD = 40
ENDS = {"arousal": ("agitated", "calm"), "valence": ("pleasant", "unpleasant"), "dominance": ("dominant", "submissive")}
LINES = [
    {"name": name, "colour": DIMENSION_COLOURS[name], "high": ENDS[name][0], "low": ENDS[name][1]}
    for name in DIMENSIONS
]
_HERE = Path(__file__).parent
TEMPLATE, STYLE, DRAWING, SCRIPT = (
    (_HERE / name).read_text("utf-8")
    for name in ("trajectory.html", "trajectory.css", "trajectory_draw.js", "trajectory.js")
)


class TrajectoryEditor(gr.HTML):
    """Three lines over the words of a text; event `release`."""

    def __init__(
        self,
        value: Mapping[str, Any] | None = None,
        *,
        words: Sequence[str] = (),
        ends: Sequence[float] = (),
        label: str = "Emotion over time",
        **options: Any,  # of gr.HTML: Gradio makes components anew from any of them
    ) -> None:
        """Build the editor.

        Args:
            value: the drawing; nothing is drawn if there is none.
            words: of the text, shown under the plot; those behind MAX_WORDS are not.
            ends: where each word ends, as part of the text; without them all words are drawn alike.
            label: what it is called for those who cannot see it.

        Raises:
            ValueError: not a drawing, or ends that are not those of the words.
        """
        if ends and (
            len(ends) != len(words) or any(not 0.0 <= end <= 1.0 for end in ends) or list(ends) != sorted(ends)
        ):
            raise ValueError(
                f"ends must be one rising number from 0 to 1 for each of {len(words)} words; got {len(ends)}."
            )
        self.words = [str(word)[:LONGEST_WORD] for word in list(words)[:MAX_WORDS]]
        self.ends = list(ends)[:MAX_WORDS]  # gr.HTML takes what is no attribute for an event
        shown = {"words": self.words, "ends": self.ends, "lines": LINES, "most": MAX_POINTS}
        super().__init__(
            value=value, label=label, html_template=TEMPLATE, css_template=STYLE,
            js_on_load=with_given(DRAWING + SCRIPT, shown | {"label": label}), apply_default_css=False, **shown, **options,
        )  # fmt: skip

    def preprocess(self, payload: Any) -> Drawing:
        """Return the drawing; whatever a page sends is checked."""
        try:
            return check_drawing(payload)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def postprocess(self, value: Any) -> Drawing:
        """Return the drawing that the page shows; None is an empty one."""
        return check_drawing({} if value is None else value)

    def api_info(self) -> dict[str, Any]:
        """Return the schema of the value."""
        point = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
        line = {"type": "array", "items": point, "maxItems": MAX_POINTS}
        return {"type": "object", "properties": dict.fromkeys(DIMENSIONS, line)}

    def example_payload(self) -> Drawing:
        """Return a value as a page sends it."""
        return {"arousal": [[0.0, -0.3], [1.0, 0.7]], "valence": [], "dominance": []}

    def example_value(self) -> Drawing:
        """Return a value as a function gives it."""
        return self.example_payload()
