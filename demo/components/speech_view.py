"""A picture of sound on a page, `SpeechView`: the dict of a picture from demo/pictures.py in, lanes over one time axis out."""

from pathlib import Path
from typing import Any

import gradio as gr

from .colours import DIMENSION_COLOURS, EMOTION_COLOURS
from .given import with_given

HERE = Path(__file__).parent
TEMPLATE, STYLE = ((HERE / f"speech_view.{suffix}").read_text(encoding="utf-8") for suffix in ("html", "css"))
SCRIPT = "\n".join(
    (HERE / f"{name}.js").read_text(encoding="utf-8")
    for name in ("speech_view_draw", "speech_view_player", "speech_view")
)
LANES = ("duration_s", "total_s", "alt", "facts", "waveform", "mel", "f0", "level", "before", "tokens", "words", "feeling",
         "labels", "spans")  # fmt: skip


class SpeechView(gr.HTML):
    """Waveform, mel, F0, level, phonemes and words, what was asked and heard, and the spans of a recording.

    The value goes from Python to the page only. A click seeks in the player, whose playhead is shown.
    """

    def __init__(
        self,
        value: dict[str, Any] | None = None,
        *,
        player: str = "",
        placeholder: str = "Nothing to show yet.",
        label: str | None = None,
        **options: Any,
    ) -> None:
        """Make a view.

        Args:
            value: a picture of demo/pictures.py; None leaves the view empty.
            player: `elem_id` of the `gr.Audio` that plays what is shown; "" for none.
            placeholder: what stands there while the view is empty.
            label: a name that is read out before the picture's own description.
            options: of gr.HTML, such as elem_id and visible.
        """
        self.player, self.placeholder = player, placeholder  # gr.HTML takes what is no attribute for an event
        shown = {"player": player, "placeholder": placeholder, "colours": EMOTION_COLOURS | DIMENSION_COLOURS}
        super().__init__(
            value=value, label=label, html_template=TEMPLATE, css_template=STYLE,
            js_on_load=with_given(SCRIPT, shown | {"label": label}), apply_default_css=False, **shown, **options,
        )  # fmt: skip

    def preprocess(self, payload: Any) -> None:
        """Return None: a page has nothing to tell by a picture, and what it sends is not looked at."""

    def postprocess(self, value: dict[str, Any] | None) -> dict[str, Any] | None:
        """Check that a value is a picture.

        Raises:
            ValueError: it is not.
        """
        if value is None:
            return None
        missing = [name for name in LANES if not isinstance(value, dict) or name not in value]
        if missing:
            raise ValueError(f"value must be a picture of demo/pictures.py; it lacks {', '.join(missing)}.")
        return value

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}

    def example_payload(self) -> None:
        return None

    def example_value(self) -> None:
        return None
