"""Story: a script or a table is pasted or uploaded, checked whole, spoken row by row, and drawn as the way its moods take."""

import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from emotts.batch.rows import Row
from emotts.batch.script import GAP_S, INERTIA
from emotts.emotion.labels import DIMENSIONS

from .components.emotion_pad import EmotionPad
from .engine import Engine
from .room import Room
from .stopping import Stop, begin, end
from .story_examples import EXAMPLES
from .story_moods import Mood, marks_of_path, moods_of, moods_svg, path_of
from .story_read import HEADERS, KINDS, MAX_CHARS, MAX_INERTIA, Story, read_story, text_of_rows
from .story_run import Run, run_story
from .widgets import HEAVY, LIGHT, player, told

TITLES = {"script": "Script", "csv": "CSV", "jsonl": "JSONL"}
LONGEST_GAP_S = 3.0  # of the slider; /batch takes what a script takes
SHOWN_PROBLEMS = 3
DRAWN = 40  # times that table and picture of a long story are drawn anew
ROW_CHARS = 40  # of a text in the list of rows
STYLE = (Path(__file__).with_name("story_moods.css")).read_text("utf-8")
HELP = (
    "**Script**: `@NAME voice=heart emotion=calm:0.4` for each speaker, then `NAME: text` or `NAME (happy:0.8): text`; a blank "
    "line is a pause, and moods carry over. **CSV** and **JSONL**: a column `text`, and any of `voice`, `emotion`, `speed`, "
    "`pitch`, `seed`, `timeline`, `output` and whatever else `emotts batch` takes, except files."
)


def build_story_tab(room: Room) -> None:
    """Build the tab and its endpoint `/batch`."""
    engine = room.engine
    stop, run = gr.State(Stop()), gr.State(None, time_to_live=3_600)
    start = read_story(engine, EXAMPLES["script"], "script")
    moods = moods_of(engine, start.rows)
    with gr.Row(elem_classes="emotts-stack"):
        with gr.Column(scale=6, min_width=320):
            kind = gr.Radio(
                [(TITLES[name], name) for name in KINDS], value="script", label="What it is", elem_id="story-kind"
            )
            text = gr.Textbox(
                start.source, label="Story", lines=14, max_lines=24, max_length=MAX_CHARS, elem_id="story-text",
                placeholder="Paste a script, CSV or JSONL here.",
            )  # fmt: skip
            with gr.Row():
                example = gr.Button("Example", size="sm", elem_id="story-example", min_width=100)
                upload = gr.UploadButton(
                    "Upload .txt, .csv, .jsonl", file_types=[".txt", ".csv", ".jsonl"], size="sm", elem_id="story-upload",
                    min_width=160,
                )  # fmt: skip
            with gr.Row():
                gap = gr.Slider(0.0, LONGEST_GAP_S, GAP_S, step=0.05, label="Pause between rows (s)", min_width=150)
                inertia = gr.Slider(
                    0.0, MAX_INERTIA, INERTIA, step=0.05, label="Inertia of moods", min_width=150, elem_id="story-inertia",
                    info="how much of a mood stays; scripts only",
                )  # fmt: skip
            with gr.Row():
                go = gr.Button("Speak it", variant="primary", scale=3, elem_id="story-go", min_width=110)
                check = gr.Button("Check", scale=2, elem_id="story-check", min_width=95)
                halt = gr.Button("Stop", scale=1, elem_id="story-stop", min_width=60)
        with gr.Column(scale=7, min_width=320):
            note = gr.HTML(check_html(start), elem_id="story-note")
            whole = player("The whole story", elem_id="story-audio")
            archive = gr.DownloadButton("Download all (ZIP)", interactive=False, elem_id="story-zip")
            picked = gr.Dropdown([], label="Hear one row", elem_id="story-row")
            one = player("Row", elem_id="story-one", visible=False)
    with gr.Row(elem_classes="emotts-stack") as pictures:
        with gr.Column(scale=7, min_width=320):
            drawing = gr.HTML(moods_svg(moods), elem_id="story-moods", css_template=STYLE)
        with gr.Column(scale=5, min_width=300):
            who = gr.Radio(start.speakers, value=start.speakers[0], label="Whose way over the pad", elem_id="story-who")
            pad = EmotionPad(
                marks=marks_of_path(moods, start.speakers[0]), path=path_of(moods, start.speakers[0]), interactive=False,
                elem_id="story-pad", label="The way of a speaker over the pad",
            )  # fmt: skip
    table = gr.Dataframe(
        [line.cells for line in start.lines], headers=[*HEADERS], datatype=["str"] * 5, interactive=False, wrap=True, label="Rows",
        elem_id="story-table", column_widths=["56px", "430px", "130px", "240px", "340px"], max_height=420,
    )  # fmt: skip
    with gr.Accordion("How to write one", open=False):
        gr.Markdown(HELP)

    seen = [table, note, pictures, drawing, who, pad]
    given = [text, kind, gap, inertia]

    @told
    def look(words: str, name: str, gap_s: float, share: float) -> dict[Any, Any]:
        story = read_story(engine, words, name, gap_s, share)
        return _shown(story) | _emptied()

    def _emptied() -> dict[Any, Any]:
        """Return what there is before anything is spoken."""
        return {
            whole: None, run: None, archive: gr.update(value=None, interactive=False), picked: gr.update(choices=[], value=None),
            one: gr.update(value=None, visible=False),
        }  # fmt: skip

    def _shown(story: Story) -> dict[Any, Any]:
        moods = moods_of(engine, story.rows)
        first = story.speakers[0] if story.rows else ""
        return {
            table: gr.update(value=[line.cells for line in story.lines], headers=[*HEADERS]), note: check_html(story),
            drawing: moods_svg(moods), who: gr.update(choices=story.speakers, value=first or None, visible=len(story.speakers) > 1),
            pad: _pad(moods, first), pictures: gr.update(visible=bool(story.rows)),
        }  # fmt: skip

    @told
    def speak(words: str, name: str, gap_s: float, share: float, wish: Stop) -> Iterator[dict[Any, Any]]:
        story = read_story(engine, words, name, gap_s, share)
        yield _shown(story) | _emptied()
        if story.problems:
            return
        every = 1 + len(story.rows) // DRAWN
        for at in run_story(engine, story, wish):
            is_last = at.archive is not None or bool(at.note)
            yield {run: at, note: run_html(at)} | (_drawn(at) if is_last or len(at.results) % every == 0 else {})
        if at.archive is not None:
            yield {whole: at.joined, archive: gr.update(value=at.archive, interactive=True)}

    def _drawn(at: Run) -> dict[Any, Any]:
        return {
            table: gr.update(value=cells_of_run(at), headers=[*HEADERS[:-1], "result"]),
            drawing: moods_svg(moods_of(engine, at.story.rows, at.heard)),
            picked: gr.update(choices=[(_row_title(row), row.number) for row in at.spoken]),
        }

    @told
    def play(number: int | None, at: Run | None) -> Any:
        row = next((row for row in at.spoken if row.number == number), None) if at is not None else None
        if at is None or row is None:
            return gr.update(value=None, visible=False)
        return gr.update(value=at.path(row), visible=True, label=f"Row {row.number}")

    @told
    def walk(speaker: str, at: Run | None, words: str, name: str, gap_s: float, share: float) -> Any:
        story = at.story if at is not None else read_story(engine, words, name, gap_s, share)
        return _pad(moods_of(engine, story.rows, None if at is None else at.heard), speaker)

    shown = [*seen, run, whole, archive, picked, one]
    check.click(look, given, shown, **LIGHT)
    go.click(begin, None, stop, **LIGHT).then(speak, [*given, stop], shown, show_progress="hidden", **HEAVY).success(
        walk, [who, run, *given], pad, **LIGHT
    )
    halt.click(end, stop, stop, **LIGHT)
    example.click(lambda name: EXAMPLES.get(name, ""), kind, text, **LIGHT)
    upload.upload(told(uploaded), upload, [text, kind], **LIGHT).then(look, given, shown, **LIGHT)
    picked.input(play, [picked, run], one, **LIGHT)
    who.input(walk, [who, run, *given], pad, **LIGHT)
    _offer(engine)


def uploaded(path: str) -> tuple[str, str]:
    """Return the text of an uploaded file and its kind, which its suffix tells.

    Raises:
        ValueError: another suffix, too large, or not UTF-8.
    """
    file = Path(path)
    kinds = {suffix: kind for kind, suffix in KINDS.items()}
    kind = kinds.get(file.suffix.lower())
    if kind is None:
        raise ValueError(
            f"the file must end in one of {', '.join(kinds)}; got {file.name[:80]!r}. Save it as one of these."
        )
    if file.stat().st_size > 4 * MAX_CHARS:
        raise ValueError(f"{file.name[:80]!r} must have at most {MAX_CHARS} characters; it has more. Send it in parts.")
    try:
        return file.read_bytes().decode("utf-8-sig"), kind
    except UnicodeDecodeError as error:
        raise ValueError(f"{file.name[:80]!r} must be UTF-8; byte {error.start} is not. Save it as UTF-8.") from None


def check_html(story: Story) -> str:
    """Return what the check found."""
    if not story.problems:
        return f"<p><strong>{len(story.rows)} rows, nothing wrong.</strong></p>"
    count = f"{len(story.problems)} problem{'s' if len(story.problems) > 1 else ''}"
    first = "".join(f"<li>{html.escape(problem)}</li>" for problem in story.problems[:SHOWN_PROBLEMS])
    return f"<p><strong>{count}; nothing was spoken.</strong> The table of rows says where.</p><ul>{first}</ul>"


def run_html(run: Run) -> str:
    """Return how far a run is, or what came of it."""
    n, total = len(run.results), len(run.story.rows)
    failed = [result for result in run.results.values() if "error" in result]
    said = f"{n - len(failed)} of {total} rows spoken"
    said += f", {len(failed)} failed" if failed else ""
    said += f"; together {run.joined_s:.1f} s" if run.joined else ""
    bar = (
        f'<progress value="{n}" max="{total}" aria-label="rows spoken"></progress>'
        if n < total and not run.note
        else ""
    )
    return f"<p><strong>{said}.</strong> {html.escape(run.note)}</p>{bar}"


def cells_of_run(run: Run) -> list[list[str]]:
    """Return the table with what came of each row."""
    cells = [[*line.cells] for line in run.story.lines]
    for row, line in zip(run.story.rows, cells, strict=True):
        result = run.results.get(row.number)
        line[-1] = "" if result is None else _result(run, row, result)
    return cells


def _result(run: Run, row: Row, result: dict[str, Any]) -> str:
    if "error" in result:
        return f"✗ {result['error']}"
    heard = run.heard.get(row.number)
    sounds = "" if heard is None or heard.is_uncertain else f", sounds {heard.label}"
    return f"✓ {result['duration_s']:.2f} s{sounds}"


def _row_title(row: Row) -> str:
    text = " ".join(row.text.split())
    return f"{row.number} · {text if len(text) <= ROW_CHARS else text[: ROW_CHARS - 1] + '…'}"


def _pad(moods: Sequence[Mood], speaker: str) -> EmotionPad:
    return EmotionPad(marks=marks_of_path(moods, speaker), path=path_of(moods, speaker))


def _offer(engine: Engine) -> None:
    """Offer the endpoint."""

    def batch(
        text: str = "",
        kind: str = "script",
        rows: list[dict[str, Any]] | None = None,
        gap_s: float = GAP_S,
        inertia: float = INERTIA,
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Speak a script or a table, given as text, or rows given as objects; returns a ZIP, and what came of each row.

        `kind` is script, csv or jsonl; `gap_s` is the silence between rows, `inertia` how much of a mood stays in a script.
        """
        given = (text, kind) if rows is None else (text_of_rows(rows), "jsonl")
        story = read_story(engine, *given, gap_s, inertia)
        *_, run = run_story(engine, story, Stop())
        if run.archive is None:
            raise ValueError(
                f"no row could be spoken; the first one said: {run.results[story.rows[0].number]['error']}"
            )
        moods = moods_of(engine, story.rows, run.heard)
        results = [
            {**run.results[mood.number], "asked": dict(zip(DIMENSIONS, mood.asked, strict=True))}
            for mood in moods
            if mood.number in run.results
        ]
        return {"path": run.archive, "orig_name": "story.zip", "meta": {"_type": "gradio.FileData"}}, results

    gr.api(told(batch), api_name="batch", concurrency_id="model", concurrency_limit=1)
