"""Convert: a recording and a feeling come in; the same words with that feeling go out, and what a judge hears in both."""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from emotts.conversion.request import KEEP_RANGE, SPEED_RANGE, STRENGTH_RANGE
from emotts.emotion.labels import LABELS
from emotts.request import PITCH_RANGE_ST
from emotts.server.guard import check_emotion

from .components.emotion_pad import EmotionPad
from .components.speech_view import SpeechView
from .convert_view import around_html, asked_of, marks_of, result_html
from .convert_work import KEPT, Converted, Wish, converted, facts_of, heard_around
from .downloads import download_files, download_row, ready
from .emotion_panel import EmotionPanel
from .pictures import picture_of_conversion
from .room import Room
from .snippets import cli_line, python_lines
from .stopping import Stop, begin, end, heeding
from .takes import Take
from .uploads import FileDataDict, sent_back, uploaded
from .widgets import HEAVY, LIGHT, MAX_SEED, MODEL, player, recorder, told

MODES = ("pad", "mix", "words", "recording", "keep")
OWN = "recording"  # the voice of another recording
HEARD = "heard"  # the recording's own feeling is what is heard in it
CONSENT = "Everybody whose voice is in these recordings agrees to this conversion, and I will say that the result is synthetic."
CONSENT_WHY = "Needed for the voice of a person. Recordings that say of themselves that a model spoke them need none."


def build_convert_tab(room: Room) -> None:
    """Build the tab and its endpoint `/convert`."""
    engine = room.engine
    longest = engine.limits.max_recording_s
    with gr.Row(elem_classes="emotts-stack"):
        with gr.Column(scale=6, min_width=320):
            recording = recorder(f"Recording (English, up to {longest:g} s)", elem_id="convert-recording")
            consent = gr.Checkbox(False, label=CONSENT, info=CONSENT_WHY, elem_id="convert-consent")
            panel = EmotionPanel(engine, MODES, "convert")
            voice = gr.Dropdown(_voices(room), value=KEPT, label="Voice", elem_id="convert-voice")
            reference = recorder(
                "The wanted speaker; 1 to 30 s are listened to", visible=False, elem_id="convert-reference"
            )
            strength = gr.Slider(
                *STRENGTH_RANGE, 1.0, step=0.05, label="Strength", elem_id="convert-strength",
                info="0 changes nothing but the voice, 1 goes all the way, more goes beyond",
            )  # fmt: skip
            timing = gr.Checkbox(
                True, label="Keep the timing", info="each sound stays where it is; untick it and the tempo follows the feeling",
                elem_id="convert-timing",
            )  # fmt: skip
            advanced = _build_advanced()
            with gr.Row():
                go = gr.Button("Convert", variant="primary", elem_id="convert-go", scale=3)
                stop = gr.Button("Stop", elem_id="convert-stop", scale=1, min_width=80)
        with gr.Column(scale=7, min_width=320):
            with gr.Row(elem_classes="emotts-stack"):
                before = player("Before", elem_id="convert-before", min_width=240)
                after = player("After", elem_id="convert-after", min_width=240)
            said = gr.HTML(elem_id="convert-said")
            downloads = download_row("convert")
            view = SpeechView(
                None, elem_id="convert-view", player="convert-after", label="Before and after",
                placeholder="Convert a recording, and its pitch before and after stands here.",
            )  # fmt: skip
            with gr.Row(elem_classes="emotts-stack"):
                pad = EmotionPad(
                    interactive=False,
                    elem_id="convert-heard",
                    label="Where it was heard before and after",
                    min_width=260,
                )
                with gr.Column(min_width=260):
                    table = gr.HTML(elem_id="convert-table")
            with gr.Accordion("The same without this page", open=False, elem_id="convert-snippets"):
                cli = gr.Code(label="Command line", language="shell", wrap_lines=True, show_line_numbers=False,
                              lines=2, elem_id="convert-cli")  # fmt: skip
                code = gr.Code(label="Python", language="python", wrap_lines=True, show_line_numbers=False,
                               lines=2, elem_id="convert-python")  # fmt: skip

    halt = gr.State(Stop())

    @told
    def on_convert(
        path: str | None, agreed: bool, name: str, of_other: str | None, degree: float, keeps_timing: bool, takes: list[Take],
        halt: Stop, *values: Any, progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[dict[Any, Any]]:  # fmt: skip
        tell = heeding(halt, lambda part, what: progress(part, desc=what))

        n = len(advanced)
        seed, keep_intonation, pitch, speed, felt = values[:n]
        wish = Wish(
            path, agreed, panel.read(values[n:]).options, of_other if name == OWN else name, name == OWN, degree, keeps_timing,
            keep_intonation, pitch, speed, None if felt == HEARD else felt, None if seed is None else int(seed),
        )  # fmt: skip
        done = converted(engine, wish, tell)
        yield {
            before: done.before.path, after: done.take.path, said: result_html(done), room.takes: done.kept(takes),
            cli: cli_line(done.take), code: python_lines(done.take), view: None, pad: EmotionPad(marks=[]), table: "",
        }  # fmt: skip
        tell(0.6, "drawing")
        yield {view: picture_of_conversion(done.source, engine.tts.sample_rate, done.result)}
        around = heard_around(engine, done, tell)
        windows, asked = around.windows, asked_of(around)
        done = replace(done, take=replace(done.take, heard=around.after, asked=asked))
        files = download_files(engine, done.take, done.result)
        Path(files[-1]).write_text(
            json.dumps(facts_of(done, around), indent=2), encoding="utf-8"
        )  # more than a take knows
        yield {
            view: picture_of_conversion(done.source, engine.tts.sample_rate, done.result, windows, asked),
            pad: EmotionPad(marks=marks_of(around)), table: around_html(around), room.takes: done.kept(takes),
            **dict(zip(downloads, ready(files), strict=True)),
        }  # fmt: skip

    given = [recording, consent, voice, reference, strength, timing, room.takes, halt, *advanced, *panel.inputs]
    outputs = [before, after, said, view, pad, table, cli, code, *downloads, room.takes]
    running = go.click(begin, None, halt, **LIGHT).then(on_convert, given, outputs, show_progress_on=[after], **HEAVY)
    stop.click(end, halt, halt, cancels=[running], **LIGHT)
    voice.change(lambda name: gr.update(visible=name == OWN), voice, reference, **LIGHT)
    gr.api(told(convert_endpoint(room)), api_name="convert", concurrency_id=MODEL, concurrency_limit=1)


def _build_advanced() -> list[Any]:
    """Build what few need: seed, intonation, pitch, speed, and how the recording feels."""
    with gr.Accordion("Advanced: seed, intonation, pitch, speed", open=False, elem_id="convert-advanced"):
        with gr.Row():
            seed = gr.Number(
                None, label="Seed", precision=0, minimum=0, maximum=MAX_SEED, info="empty: drawn", min_width=120,
                elem_id="convert-seed", placeholder="drawn",
            )  # fmt: skip
            dice = gr.Button("🎲 Draw one", size="sm", min_width=120)
        with gr.Row():
            intonation = gr.Slider(
                *KEEP_RANGE,
                1.0,
                step=0.05,
                label="Keep the intonation",
                info="0: the model's own melody",
                min_width=140,
            )
            pitch = gr.Slider(*PITCH_RANGE_ST, 0.0, step=0.5, label="Pitch (semitones)", min_width=140)
        with gr.Row():
            speed = gr.Slider(
                *SPEED_RANGE, 1.0, step=0.05, label="Speed", info="needs the timing to move", min_width=140
            )
            felt = gr.Dropdown(
                [("as it is heard", HEARD), *LABELS], value=HEARD, label="The recording feels", min_width=140,
                info="say it where you know it better", elem_id="convert-felt",
            )  # fmt: skip
    dice.click(lambda: secrets.randbelow(MAX_SEED), None, seed, **LIGHT)
    return [seed, intonation, pitch, speed, felt]


def _voices(room: Room) -> list[tuple[str, str]]:
    return [("keep the speaker", KEPT), *room.engine.voice_choices, ("another speaker, from a recording", OWN)]


def convert_endpoint(room: Room) -> Callable[..., Any]:
    """Return the function of the endpoint."""

    def convert(
        recording: FileDataDict, emotion: str = "", voice: FileDataDict | str = KEPT, strength: float = 1.0,
        keep_timing: bool = True, consent: bool = False, seed: int | None = None,
    ) -> tuple[FileDataDict, dict[str, Any]]:  # fmt: skip
        """Say the words of a recording with another feeling or in another voice.

        Returns a WAV file and everything known of it: what was asked, and what a judge heard before and after. `emotion` is a
        specification such as angry:0.8, empty to keep the feeling; `voice` is "keep", a bundled name, or a recording of the
        wanted speaker; `consent` says that the people agree whose voices are in the recordings.
        """
        path = uploaded(recording, "recording")
        is_recorded = not isinstance(voice, str)
        asked = {} if emotion == "" else {"emotion": check_emotion(emotion)}
        wanted = uploaded(voice, "voice") if is_recorded else str(voice)
        wish = Wish(
            path, consent, asked, wanted, is_recorded, number("strength", strength), keep_timing,
            seed=None if seed is None else int(number("seed", seed)),
        )  # fmt: skip
        done: Converted = converted(room.engine, wish)
        return sent_back(done.take.path), facts_of(done, heard_around(room.engine, done))

    return convert


def number(name: str, value: object) -> float:
    """Return a number that a client sent.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number; got {value!r:.40}.")
    return float(value)
