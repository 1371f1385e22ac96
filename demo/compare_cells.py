"""Nine small players placed as on the pad, `CellGrid`: takes in the order of PLACES come in; a page plays the pressed one."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from emotts.emotion.labels import AVD_MEANS

from .compare_grid import NAMES, PLACES
from .components.colours import EMOTION_COLOURS
from .components.given import with_given
from .takes import Take

_FILES = {suffix: Path(__file__).with_suffix(suffix).read_text("utf-8") for suffix in (".html", ".css", ".js")}
WIDTH = 0.3  # of the colours' influence, in units of the pad


class CellGrid(gr.HTML):
    """Nine cells, each with its place, its name, how it was heard, and a button that plays it.

    The value goes from Python to the page only; see `cells_of`.
    """

    def __init__(self, value: dict[str, Any] | None = None, *, label: str | None = None, **options: Any) -> None:
        """Make the grid.

        Args:
            value: of `cells_of`; None is nine cells that wait. label: what it is called for those who cannot see it.
            options: of gr.HTML.
        """
        shown = {"places": _places()}
        super().__init__(
            value=value, label=label, html_template=_FILES[".html"], css_template=_FILES[".css"],
            js_on_load=with_given(_FILES[".js"], shown | {"label": label}), apply_default_css=False, **shown, **options,
        )  # fmt: skip

    def preprocess(self, payload: Any) -> None:
        """Return None: a page has nothing to tell by these players, and what it sends is not looked at."""

    def postprocess(self, value: dict[str, Any] | None) -> dict[str, Any]:
        """Return the value that the page shows."""
        return cells_of([]) if value is None else value

    def api_info(self) -> dict[str, Any]:
        """Return the schema of the value."""
        return {"type": "object"}

    def example_payload(self) -> None:
        """Return what a page sends: nothing."""
        return

    def example_value(self) -> None:
        """Return a value as a function gives it."""
        return


def cells_of(takes: Sequence[Take], is_working: bool = False) -> dict[str, Any]:
    """Return what a page shows of the takes that are there, and which cell is being worked on.

    Args:
        takes: the first of PLACES, in order. is_working: whether the next one is on its way.
    """
    cells = [
        {"file": _file(take.path), "heard": None if take.heard is None else [round(x, 2) for x in take.heard.avd[:2]]}
        for take in takes
    ]
    return {"cells": cells, "at": len(takes) if is_working and len(takes) < len(PLACES) else -1}


def _places() -> list[dict[str, Any]]:
    return [
        {"arousal": arousal, "valence": valence, "name": name, "colour": _colour(arousal, valence)}
        for (arousal, valence), name in zip(PLACES, NAMES, strict=True)
    ]


def _colour(arousal: float, valence: float) -> str:
    """Return the colour of a place: those of the emotions around it, the nearer the more."""
    sums, total = [0.0, 0.0, 0.0], 0.0
    for name, (a, v, _) in AVD_MEANS.items():
        weight = math.exp(-((a - arousal) ** 2 + (v - valence) ** 2) / WIDTH)
        total += weight
        for i in range(3):
            sums[i] += weight * int(EMOTION_COLOURS[name][1 + 2 * i : 3 + 2 * i], 16)
    return "#" + "".join(f"{round(channel / total):02x}" for channel in sums)


def _file(path: str) -> dict[str, Any]:
    return {"path": path, "orig_name": "emotts.wav", "meta": {"_type": "gradio.FileData"}}
