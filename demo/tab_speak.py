"""Speak: a text and a feeling come in; speech goes out, with a picture of it, and asked beside heard."""

import secrets
from collections.abc import Iterator
from typing import Any

import gradio as gr

from emotts.request import GUIDANCE_RANGE, PITCH_RANGE_ST, SPEED_RANGE, TEMPERATURE_RANGE
from emotts.server.guard import check_emotion, check_text, check_timeline, check_voice
from emotts.server.limits import Limits

from .components.emotion_pad import EmotionPad
from .components.speech_view import SpeechView
from .components.trajectory import TrajectoryEditor
from .downloads import download_files, download_row, ready
from .emotion_panel import EmotionPanel
from .picture_asked import asked_along
from .pictures import picture_of_result
from .preview import count_line, split_rows, words_of
from .room import Room
from .snippets import cli_line, python_lines
from .spoken import facts_html, marks_of
from .stopping import Stop, begin, end, heeding
from .tables import quiet
from .takes import Take, remembered
from .uploads import sent_back
from .widgets import HEAVY, LIGHT, MAX_SEED, player, recorder, told

MODES = ("pad", "mix", "time", "recording", "words", "text")
START_TEXT = "I can't believe you came. I have waited for this day for so long!"
WAITING = "Press Speak: here stands what was asked, and what a judge, who does not know what was asked, hears."
PICTURE = "Waveform, mel, F0, level and feeling are drawn here."
CODE: dict[str, Any] = {"wrap_lines": True, "show_line_numbers": False, "lines": 2}
OWN = "own"  # a voice from a recording
SHOW_ON_PHONE = (
    "() => { if (innerWidth < 700) document.getElementById('speak-audio').scrollIntoView({behavior: 'smooth'}); }"
)
DURATION_RANGE = (0.0, 60.0)  # seconds; 0 leaves it free


def build_speak_tab(room: Room) -> None:
    """Build the tab and its endpoint `/speak`."""
    engine = room.engine
    with gr.Row(elem_classes="emotts-stack"):
        with gr.Column(scale=6, min_width=320):
            text = gr.Textbox(
                START_TEXT, label="Text", lines=3, max_lines=12, max_length=engine.limits.max_text_chars, elem_id="speak-text",
                info="[sad:0.5]a span[/], [pause 300ms], [[phonemes]] and words between asterisks may stand in it",
            )  # fmt: skip
            count = gr.HTML(count_line(START_TEXT, engine.limits), elem_classes="emotts-quiet", elem_id="speak-count")
            with gr.Accordion("How it will be split and read", open=False) as split:
                rows = gr.Dataframe(
                    headers=["#", "piece", "pause after", "phonemes"], datatype=["number", "str", "str", "str"], interactive=False,
                    wrap=True, show_label=False, elem_id="speak-split", value=split_rows(START_TEXT, engine.limits),
                )  # fmt: skip
            voice = gr.Dropdown(_voices(room), value=engine.voices[0], label="Voice", elem_id="speak-voice")
            with gr.Column(visible=False) as own:
                reference = recorder("1 to 30 s of the voice", elem_id="speak-reference")
                consent = gr.Checkbox(
                    False, label="The person whose voice this is agrees that it speaks here.", elem_id="speak-consent"
                )
            panel = EmotionPanel(engine, MODES, "speak")
            with gr.Row():
                go = gr.Button("Speak", variant="primary", elem_id="speak-go", scale=3)
                stop = gr.Button("Stop", elem_id="speak-stop", scale=1, min_width=80)
            advanced = _build_advanced(room)
        with gr.Column(scale=7, min_width=320):
            audio = player("Speech", elem_id="speak-audio")
            with gr.Row(elem_classes="emotts-stack"):
                with gr.Column(min_width=240):
                    heard = EmotionPad(None, interactive=False, elem_id="speak-heard", label="Asked and heard")
                with gr.Column(min_width=240):
                    facts = gr.HTML(quiet(WAITING), elem_id="speak-facts", elem_classes="emotts-facts")
                    downloads = download_row("speak")
            view = SpeechView(None, elem_id="speak-view", player="speak-audio", placeholder=PICTURE)
            with gr.Accordion("The same without this page", open=False):
                cli = gr.Code(label="On the command line", language="shell", elem_id="speak-cli", **CODE)
                code = gr.Code(label="In Python", language="python", elem_id="speak-python", **CODE)

    seed, wish = advanced[0], gr.State(Stop())

    @told
    def on_speak(
        words: str, name: str, recorded: str | None, agreed: bool, takes: list[Take], wish: Stop, *values: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[dict[Any, Any]]:  # fmt: skip
        n = len(advanced)
        options = advanced_options(*values[:n])
        asked = panel.read(values[n:])
        options |= asked.options | {"voice": _voice(room, name, recorded, agreed)}
        take, result = engine.speak(words, options, heeding(wish, lambda part, what: progress(part, desc=what)))
        yield {
            audio: take.path, facts: facts_html(take), seed: take.seed, cli: cli_line(take), code: python_lines(take),
            view: None, heard: EmotionPad(marks=[]), **dict.fromkeys(downloads, gr.DownloadButton(interactive=False)),
        }  # fmt: skip
        take = engine.listened(take, result.waveform, result.sample_rate)
        yield {facts: facts_html(take), heard: EmotionPad(marks=marks_of(take)), room.takes: remembered(take, takes)}
        windows = engine.windows(take, result.waveform, result.sample_rate)
        timeline = options.get("timeline")
        along = take.asked if timeline is None else asked_along(result, timeline)
        yield {
            view: picture_of_result(result, windows, along),
            **dict(zip(downloads, ready(download_files(engine, take, result)), strict=True)),
        }  # fmt: skip

    given = [text, voice, reference, consent, room.takes, wish, *advanced, *panel.inputs]
    outputs = [audio, facts, view, heard, seed, cli, code, *downloads, room.takes]
    running = go.click(begin, None, wish, **LIGHT).then(on_speak, given, outputs, **HEAVY)
    running.success(None, None, None, js=SHOW_ON_PHONE, **LIGHT)
    stop.click(end, wish, wish, cancels=[running], **LIGHT)
    text.input(lambda words: count_line(words, engine.limits), text, count, trigger_mode="always_last", **LIGHT)
    for event in (split.expand, text.blur):
        event(lambda words: split_rows(words, engine.limits), text, rows, **LIGHT)
    for event in (text.blur, panel.mode.change):
        event(lambda words: _along(words, engine.limits), text, panel.trajectory, **LIGHT)
    voice.change(lambda name: gr.update(visible=name == OWN), voice, own, **LIGHT)
    _offer(room)


def _build_advanced(room: Room) -> list[Any]:
    """Build what few need, in the order of the arguments of `advanced_options`."""
    tts = room.engine.tts
    with gr.Accordion("Advanced: seed, speed, pitch, length, sampling", open=False, elem_id="speak-advanced"):
        with gr.Row():
            seed = gr.Number(1, label="Seed", precision=0, minimum=0, maximum=MAX_SEED, elem_id="speak-seed", min_width=120,
                             info="the same seed, the same reading")  # fmt: skip
            dice = gr.Button("🎲 Another reading", size="sm", elem_id="speak-dice", min_width=120)
        with gr.Row():
            speed = gr.Slider(*SPEED_RANGE, 1.0, step=0.05, label="Speed", min_width=140)
            pitch = gr.Slider(*PITCH_RANGE_ST, 0.0, step=0.5, label="Pitch (semitones)", min_width=140)
            duration = gr.Slider(
                *DURATION_RANGE, 0.0, step=0.1, label="Length (s)", info="0: as it comes", min_width=140
            )
        with gr.Row():
            steps = gr.Slider(0, 16, tts.default_steps, step=1, label="Steps of the mel flow", min_width=140)
            guidance = gr.Slider(*GUIDANCE_RANGE, 1.0, step=0.1, label="Guidance", info="above 1 exaggerates the feeling",
                                 min_width=140)  # fmt: skip
            variety = gr.Slider(
                *TEMPERATURE_RANGE,
                tts.default_prosody_temperature,
                step=0.05,
                label="Variety of readings",
                min_width=140,
            )
    dice.click(lambda: secrets.randbelow(MAX_SEED), None, seed, **LIGHT)
    return [seed, speed, pitch, duration, steps, guidance, variety]


def advanced_options(
    seed: float | None,
    speed: float,
    pitch: float,
    duration: float,
    steps: float,
    guidance: float,
    variety: float,
) -> dict[str, Any]:
    """Return options of the pipeline; those that are its defaults are left out.

    Raises:
        ValueError: a number that no such option takes.
    """
    numbers = {
        "speed": speed,
        "pitch": pitch,
        "duration": duration,
        "steps": steps,
        "guidance": guidance,
        "variety": variety,
    }
    for name, value in {**numbers, "seed": seed or 0}.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} must be a number; got {value!r:.40}.")
    options: dict[str, Any] = {"steps": int(steps), "prosody_temperature": float(variety)}
    if seed is not None:
        options["seed"] = int(seed)
    plain = {"speed": (speed, 1.0), "pitch": (pitch, 0.0), "guidance": (guidance, 1.0), "duration": (duration, 0.0)}
    return options | {name: float(value) for name, (value, default) in plain.items() if value != default}


def _along(text: str, limits: Limits) -> Any:
    """Put the words of the text under the editor."""
    words, ends = words_of(text, limits)
    return TrajectoryEditor(words=words, ends=ends)


def _voices(room: Room) -> list[tuple[str, str]]:
    return [*room.engine.voice_choices, ("somebody, from a recording", OWN)]


def _voice(room: Room, name: str, recorded: str | None, agreed: bool) -> Any:
    """Return the voice to speak with: a bundled name, or what a recording tells of somebody."""
    if name != OWN:
        return check_voice(name, room.engine.voices)
    if not recorded:
        raise ValueError("a recording of the voice is needed; got none. Upload or record 1 to 30 s of it.")
    return room.engine.voice_of(recorded, agreed)


def _offer(room: Room) -> None:
    """Offer the endpoint."""

    def speak(
        text: str,
        voice: str = "",
        emotion: str = "neutral",
        timeline: str = "",
        seed: int | None = None,
        speed: float = 1.0,
        pitch: float = 0.0,
        guidance: float = 1.0,
        steps: int | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Speak a text with a feeling; returns a WAV file and what was asked, done and heard.

        `emotion` is a specification such as happy:0.8 or arousal=0.5,valence=-0.3; `timeline` a preset such as rise:angry.
        """
        engine = room.engine
        options: dict[str, Any] = {
            "voice": check_voice(voice or engine.voices[0], engine.voices), "seed": seed, "speed": speed, "pitch": pitch,
            "guidance": guidance, "steps": steps,
        }  # fmt: skip
        if timeline:
            options["timeline"] = check_timeline(timeline)
        else:
            options["emotion"] = check_emotion(emotion)
        take, result = engine.speak(check_text(text, engine.limits), options)
        take = engine.listened(take, result.waveform, result.sample_rate)
        return sent_back(take.path), take.facts

    gr.api(told(speak), api_name="speak", concurrency_id="model", concurrency_limit=1)
