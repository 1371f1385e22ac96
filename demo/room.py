"""What the tabs of one app share."""

from dataclasses import dataclass

import gradio as gr

from .engine import Engine


@dataclass(frozen=True)
class Room:
    """What the tabs of one app share.

    Attributes:
        engine: does the work.
        takes: of the session, list[Take], newest first.
    """

    engine: Engine
    takes: gr.State
