"""Compare: one sentence at nine places of the pad, two takes side by side, and a blind test whether they can be told apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from .compare_abx import Abx, answer, start_abx, write_abx
from .compare_cells import CellGrid, cells_of
from .compare_grid import MAX_CHARS, MAX_SEED, PLACES, check_grid, marks_of_grid, path_of_grid, speak_grid
from .compare_pair import make_pair
from .components.emotion_pad import EmotionPad
from .engine import Engine
from .room import Room
from .spoken import facts_html, marks_of
from .stopping import Stop, begin, end
from .tables import quiet
from .takes import Take, find_take
from .uploads import sent_back
from .widgets import HEAVY, LIGHT, player, told

START_TEXT = "You came back after all."
NO_TAKES = "Nothing to compare yet. Speak something, or the nine feelings above."
LABEL_CHARS = 28  # of an emotion in the label of a player
KINDS = {"asked": ("asked", "before"), "heard": ("heard", "result")}  # of a mark, for A and for B


@dataclass
class Pickers:
    """What the two takes are chosen with, and the takes of the grid, which can be chosen too."""

    a: gr.Dropdown
    b: gr.Dropdown
    match: gr.Checkbox
    grid: gr.State


def build_compare_tab(room: Room) -> None:
    """Build the tab and its endpoint `/compare`."""
    grid = gr.State([], time_to_live=3_600)
    _build_grid(room, grid)
    pickers = _build_pair(room, grid)
    _build_abx(room, pickers)
    _offer(room.engine)


def _build_grid(room: Room, grid: gr.State) -> None:
    """Build the nine players, the fields they are made from, and the pad that shows asked against heard."""
    engine = room.engine
    stop = gr.State(Stop())
    gr.Markdown("### Nine feelings of one sentence", elem_classes="emotts-section")
    with gr.Row(elem_classes="emotts-stack"):
        text = gr.Textbox(
            START_TEXT, label="Text", max_length=MAX_CHARS, scale=5, min_width=260, elem_id="compare-text"
        )
        voice = gr.Dropdown(
            engine.voices, value=engine.voices[0], label="Voice", scale=2, min_width=120, elem_id="compare-voice"
        )
        seed = gr.Number(
            1, label="Seed", precision=0, minimum=0, maximum=MAX_SEED, scale=1, min_width=100, elem_id="compare-seed"
        )
    with gr.Row():
        go = gr.Button("Speak all nine", variant="primary", scale=3, elem_id="compare-go")
        halt = gr.Button("Stop", scale=1, min_width=80, elem_id="compare-stop")
    note = gr.HTML(elem_classes="emotts-quiet", elem_id="compare-note")
    with gr.Row(elem_classes="emotts-stack"):
        with gr.Column(min_width=300):
            cells = CellGrid(elem_id="compare-cells", label="Nine feelings of one sentence")
        with gr.Column(min_width=280):
            pad = EmotionPad(interactive=False, elem_id="compare-grid-pad", label="Nine places, asked and heard")

    @told
    def speak(words: str, name: str, number: float | None, wish: Stop) -> Iterator[dict[Any, Any]]:
        words, name, whole = check_grid(engine, words, name, number)
        takes: list[Take] = []
        yield {
            cells: cells_of([], True),
            pad: EmotionPad(marks=[], path=[]),
            note: quiet(f"0 of {len(PLACES)}"),
            seed: whole,
        }
        try:
            for take in speak_grid(engine, words, name, whole, stop=wish):
                takes = [*takes, take]
                yield {
                    cells: cells_of(takes, not wish.is_wished), note: quiet(f"{len(takes)} of {len(PLACES)}"),
                    pad: EmotionPad(marks=marks_of_grid(takes), path=path_of_grid(takes)),
                }  # fmt: skip
        except Exception:
            yield {cells: cells_of(takes), note: "", grid: takes}
            raise
        yield {cells: cells_of(takes), note: quiet(_grid_note(takes)), grid: takes}

    outputs = [cells, pad, note, seed, grid]
    given = [text, voice, seed, stop]
    for event in (go.click, text.submit):
        event(begin, None, stop, **LIGHT).then(speak, given, outputs, show_progress="hidden", **HEAVY)
    halt.click(end, stop, stop, **LIGHT)


def _build_pair(room: Room, grid: gr.State) -> Pickers:
    """Build two players and the pad that shows both takes."""
    gr.Markdown("### Side by side", elem_classes="emotts-section")
    with gr.Row(elem_classes="emotts-stack"):
        a = gr.Dropdown([], label="A", elem_id="compare-a", min_width=200, info=NO_TAKES)
        b = gr.Dropdown([], label="B", elem_id="compare-b", min_width=200, info=NO_TAKES)
    match = gr.Checkbox(
        True,
        label="Equally loud",
        elem_id="compare-match",
        info="the louder one is lowered, by loudness as BS.1770 measures it",
    )
    note = gr.HTML(elem_classes="emotts-quiet", elem_id="compare-pair-note")
    with gr.Row(elem_classes="emotts-stack"):
        with gr.Column(min_width=280):
            first = player("A", elem_id="compare-player-a")
            about_a = gr.HTML(elem_classes="emotts-facts", elem_id="compare-facts-a")
        with gr.Column(min_width=280):
            second = player("B", elem_id="compare-player-b")
            about_b = gr.HTML(elem_classes="emotts-facts", elem_id="compare-facts-b")
        with gr.Column(min_width=260):
            pad = EmotionPad(interactive=False, elem_id="compare-pad", label="A and B, asked and heard")

    @told
    def show(
        key_a: str | None, key_b: str | None, is_matched: bool, last: list[Take], nine: list[Take]
    ) -> dict[Any, Any]:
        if key_a is None or key_b is None:
            return {note: ""}
        takes = [*last, *nine]
        one, two = find_take(key_a, takes), find_take(key_b, takes)
        pair = make_pair(room.engine, one, two, bool(is_matched))
        return {
            first: gr.update(value=pair.a, label=_label("A", one)), second: gr.update(value=pair.b, label=_label("B", two)),
            about_a: facts_html(one), about_b: facts_html(two), note: quiet(pair.note),
            pad: EmotionPad(marks=marks_of_pair(one, two)),
        }  # fmt: skip

    shown = [first, second, about_a, about_b, note, pad]
    given = [a, b, match, room.takes, grid]
    for state in (room.takes, grid):
        state.change(offered, [a, b, room.takes, grid], [a, b], **LIGHT)
    for component in (a, b, match):
        component.change(show, given, shown, trigger_mode="always_last", **LIGHT)
    return Pickers(a, b, match, grid)


def _build_abx(room: Room, pickers: Pickers) -> None:
    """Build the blind test of the two takes that are chosen."""
    test = gr.State(None, time_to_live=3_600)
    with gr.Accordion("Blind test: can you tell them apart?", open=False, elem_id="compare-abx"):
        gr.Markdown(
            "X is secretly A or B. Say which, as often as you like; decide how often before you begin. The score tells how likely "
            "guessing would do as well.", elem_classes="emotts-quiet",
        )  # fmt: skip
        begin = gr.Button("Start", variant="secondary", elem_id="abx-start")
        blind: dict[str, Any] = {"waveform_options": {"show_recording_waveform": False}, "buttons": []}
        with gr.Row(elem_classes="emotts-stack"):
            players = [player(name, elem_id=f"abx-{name.lower()}", min_width=150, **blind) for name in ("A", "X", "B")]
        with gr.Row():
            is_a = gr.Button("X is A", interactive=False, elem_id="abx-is-a")
            is_b = gr.Button("X is B", interactive=False, elem_id="abx-is-b")
        score = gr.HTML(elem_id="abx-score")
    outputs = [test, *players, is_a, is_b, begin, score]

    def shown(running: Abx, said: str) -> list[Any]:
        a, b, x = write_abx(room.engine, running)
        ready = gr.update(interactive=True)
        return [running, a, x, b, ready, ready, gr.update(value="Start again"), said]

    @told
    def start(key_a: str | None, key_b: str | None, match: bool, last: list[Take], nine: list[Take]) -> list[Any]:
        takes = [*last, *nine]
        return shown(start_abx(find_take(key_a, takes), find_take(key_b, takes), bool(match)), score_html(None, None))

    def judged(says_a: bool) -> Any:
        @told
        def judge(running: Abx | None) -> list[Any]:
            if running is None:
                raise ValueError("a test must be started first; none is running. Press Start.")
            return shown(after := answer(running, says_a), score_html(running, after))

        return judge

    def reset(running: Abx | None) -> list[Any]:
        """End the test, as other takes were chosen."""
        if running is None:
            return [gr.skip()] * len(outputs)
        rest = gr.update(interactive=False)
        return [None, None, None, None, rest, rest, gr.update(value="Start"), score_html(None, None)]

    begin.click(start, [pickers.a, pickers.b, pickers.match, room.takes, pickers.grid], outputs, **LIGHT)
    is_a.click(judged(True), test, outputs, **LIGHT)
    is_b.click(judged(False), test, outputs, **LIGHT)
    for component in (pickers.a, pickers.b, pickers.match):
        component.change(reset, test, outputs, **LIGHT)


def offered(key_a: str | None, key_b: str | None, last: Sequence[Take], nine: Sequence[Take]) -> tuple[Any, Any]:
    """Return both pickers with the takes there are now; what is chosen stays chosen while it is there."""
    choices = [(take.title, take.key) for take in (*last, *nine)]
    keys = [key for _, key in choices]
    spare = [key for key in keys if key not in (key_a, key_b)]
    a = key_a if key_a in keys else (spare.pop(0) if spare else None)
    b = key_b if key_b in keys else (spare.pop(0 if last else -1) if spare else None)  # of a grid, the opposite corners
    info = "" if keys else NO_TAKES
    return gr.update(choices=choices, value=a, info=info), gr.update(choices=choices, value=b, info=info)


def marks_of_pair(a: Take, b: Take) -> list[dict[str, Any]]:
    """Return the dots of two takes, told apart by their shapes."""
    return [
        {**mark, "kind": KINDS[mark["kind"]][number], "text": f"{name} {mark['text']}"}
        for number, (name, take) in enumerate((("A", a), ("B", b)))
        for mark in marks_of(take)
    ]


def score_html(before: Abx | None, after: Abx | None) -> str:
    """Return the last answer and the score; empty without an answer."""
    if before is None or after is None:
        return ""
    was = "A" if before.x_is_a else "B"
    word = "Right" if after.n_correct > before.n_correct else "Wrong"
    return (
        f"<p><strong>{word}: X was {was}.</strong> {after.n_correct} of {after.n} right, p = {after.p_value:.3f}. "
        '<span class="emotts-quiet">A new X is ready.</span></p>'
    )


def _grid_note(takes: Sequence[Take]) -> str:
    if len(takes) < len(PLACES):
        return f"Stopped after {len(takes)} of {len(PLACES)}."
    return "Rings are what was asked, dots what the judge heard; the line is the same lattice as it was heard."


def _label(name: str, take: Take) -> str:
    return f"{name} · {take.key[1:]} · {take.voice}, {take.emotion[:LABEL_CHARS]}"


def _offer(engine: Engine) -> None:
    """Offer the endpoint."""

    def compare(text: str, voice: str = "", seed: int | None = None) -> list[dict[str, Any]]:
        """Speak one sentence at nine places of arousal and valence; returns for each a WAV file and what was asked and heard."""
        words, name, whole = check_grid(engine, text, voice, seed)
        return [{"file": sent_back(take.path), **take.facts} for take in speak_grid(engine, words, name, whole)]

    gr.api(told(compare), api_name="compare", concurrency_id="model", concurrency_limit=1)
