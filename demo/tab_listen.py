"""Listen: any recording comes in; the feeling that a judge hears in it, as a whole and over time, and its voice go out."""

import json
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from emotts.judges import FEATURES, RECOGNIZER

from .components.emotion_pad import EmotionPad
from .components.speech_view import SpeechView
from .listen_view import dimensions_html, labels_html, mark_of, origin_html, path_of, summary_html, voice_html
from .listen_work import Listened, listen_to
from .pictures import picture_of_recording
from .room import Room
from .stopping import Stop, begin, end, heeding
from .tables import quiet
from .takes import Take, remembered
from .uploads import FileDataDict, uploaded
from .widgets import HEAVY, LIGHT, MODEL, recorder, told

JUDGES = [
    ("the recogniser, a network on the mel spectrogram", RECOGNIZER),
    ("the features judge, trees on measurements of the voice", FEATURES),
]


def build_listen_tab(room: Room) -> None:
    """Build the tab and its endpoint `/listen`."""
    engine = room.engine
    with gr.Row(elem_classes="emotts-stack"):
        with gr.Column(scale=5, min_width=320):
            recording = recorder(f"Recording (up to {engine.limits.max_recording_s:g} s)", elem_id="listen-recording")
            with gr.Accordion("Neutral speech of the same speaker", open=False, elem_id="listen-known"):
                neutral = recorder("Same microphone; it is heard better against this", elem_id="listen-neutral")
            judge = gr.Radio(
                JUDGES, value=RECOGNIZER, label="Judge", elem_id="listen-judge",
                info="they learnt from other voices and sentences; where they differ, believe neither",
            )  # fmt: skip
            with gr.Row():
                go = gr.Button("Listen", variant="primary", elem_id="listen-go", scale=3)
                stop = gr.Button("Stop", elem_id="listen-stop", scale=1, min_width=80)
        with gr.Column(scale=4, min_width=300):
            summary = gr.HTML(elem_id="listen-summary")
            labels = gr.HTML(quiet("How likely each feeling is stands here."), elem_id="listen-labels")
            dimensions = gr.HTML(elem_id="listen-dimensions")
            origin = gr.HTML(elem_id="listen-origin")
        with gr.Column(scale=4, min_width=300):
            pad = EmotionPad(interactive=False, elem_id="listen-pad", label="The way of the feeling")
    view = SpeechView(
        None, elem_id="listen-view", player="listen-recording", label="The recording",
        placeholder="Listen to a recording, and its sound and feeling over time stand here.",
    )  # fmt: skip
    with gr.Row(elem_classes="emotts-stack"):
        with gr.Column(scale=7, min_width=320):
            voice = gr.HTML(elem_id="listen-voice")
        with gr.Column(scale=5, min_width=280):
            cli = gr.Code(
                label="Command line", language="shell", wrap_lines=True, show_line_numbers=False, lines=2,
                elem_id="listen-cli",
            )  # fmt: skip
            download = gr.DownloadButton("JSON", size="sm", interactive=False, elem_id="listen-json")

    halt = gr.State(Stop())

    @told
    def on_listen(
        path: str | None, reference: str | None, name: str, takes: list[Take], halt: Stop,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[dict[Any, Any]]:  # fmt: skip
        found = listen_to(engine, path, reference, name, heeding(halt, lambda part, what: progress(part, desc=what)))
        heard, windows = found.recognition.heard, found.recognition.windows
        yield {
            summary: summary_html(found), origin: origin_html(found), labels: labels_html(heard),
            dimensions: dimensions_html(heard), pad: EmotionPad(marks=mark_of(heard), path=path_of(windows)),
            voice: voice_html(found.recognition.voice), cli: cli_line(found), view: None,
            download: gr.DownloadButton(value=facts_file(room, found), interactive=True), room.takes: kept(found.take, takes),
        }  # fmt: skip
        progress(0.8, desc="drawing")
        yield {view: picture_of_recording(found.samples, engine.tts.sample_rate, windows)}

    outputs = [summary, origin, labels, dimensions, pad, voice, cli, view, download, room.takes]
    running = go.click(begin, None, halt, **LIGHT).then(
        on_listen, [recording, neutral, judge, room.takes, halt], outputs, show_progress_on=[labels], **HEAVY
    )
    stop.click(end, halt, halt, cancels=[running], **LIGHT)
    gr.api(told(listen_endpoint(room)), api_name="listen", concurrency_id=MODEL, concurrency_limit=1)


def listen_endpoint(room: Room) -> Callable[..., Any]:
    """Return the function of the endpoint."""

    def listen(recording: FileDataDict, neutral: FileDataDict | None = None, judge: str = RECOGNIZER) -> dict[str, Any]:
        """Hear the feeling in a recording, as a whole and over time, and measure its voice.

        `neutral` is neutral speech of the same speaker, against which feelings are heard better; `judge` is "recognizer" or
        "features".
        """
        known = None if neutral is None else uploaded(neutral, "neutral")
        return listen_to(room.engine, uploaded(recording, "recording"), known, judge).facts

    return listen


def kept(take: Take, takes: list[Take]) -> list[Take]:
    """Return the takes of a session with a recording in front; as it was heard last where it is there already."""
    return remembered(take, [other for other in takes if other.options != take.options])


def cli_line(found: Listened) -> str:
    """Return the command that finds the same."""
    words = ["emotts", "recognize", "--windows", "--judge", found.judge]
    words += ["--reference", "neutral.wav"] if found.is_told else []
    return shlex.join([*words, "--", found.take.text])


def facts_file(room: Room, found: Listened) -> str:
    """Write what was found as JSON; return the path."""
    place = room.engine.new_file("recording.json")
    place.write_text(json.dumps(found.facts, indent=2), encoding="utf-8")
    return str(place)
