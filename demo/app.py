"""The whole app: an engine comes in, Gradio blocks with all tabs go out; serving.py shows them to a browser."""

import os
from collections.abc import Sequence
from importlib import import_module

import gradio as gr

from .engine import KEEP_S, Engine
from .room import Room

TABS = ("speak", "convert", "compare", "listen", "story", "about")
HEAD = "# emotts\nSpeech that sounds the way it should feel. What is spoken here is synthetic, and every file of it says so."


def build_app(engine: Engine, tabs: Sequence[str] = TABS) -> gr.Blocks:
    """Return the app.

    Args:
        engine: does the work. tabs: names of those to build, of TABS.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(engine.folder / "gradio")  # read when components are made
    with gr.Blocks(title="emotts", analytics_enabled=False, delete_cache=(600, int(KEEP_S)), fill_width=False) as app:
        gr.Markdown(HEAD, elem_classes="emotts-head")
        room = Room(engine, gr.State([], time_to_live=KEEP_S))
        with gr.Tabs():
            for name in tabs:
                with gr.Tab(name.capitalize(), id=name, elem_id=f"tab-{name}"):
                    getattr(import_module(f".tab_{name}", __package__), f"build_{name}_tab")(room)
    app.queue(max_size=engine.limits.max_waiting, default_concurrency_limit=1)
    return app
