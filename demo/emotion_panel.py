"""The emotion controls of a tab: a way to ask and its own fields, with a pad that shows the place that is asked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from emotts.emotion.labels import LABELS, MAX_INTENSITY
from emotts.emotion.timeline import PRESETS
from emotts.server.guard import check_recording, sentence

from .components.emotion_pad import EmotionPad
from .components.keyframes import preset
from .components.trajectory import TrajectoryEditor
from .engine import Engine
from .tables import quiet
from .widgets import HEAVY, LIGHT, recorder, told
from .wishes import BY_PLACE, MIXED, Asked, Wishes, place_of, read_wishes

MODES = {
    "keep": "Keep it", "pad": "Pad", "mix": "Mix", "time": "Over time", "recording": "Like a recording", "words": "In words",
    "text": "From the text",
}  # fmt: skip
PAD_MODES = ("keep", "pad", "mix", "words", "recording")  # those in which the pad shows the place that is asked
START_LABEL, START_INTENSITY = "happy", 0.8


class EmotionPanel:
    """Builds the controls where it is made, and reads their values.

    Attributes:
        inputs: components whose values `read` takes, in this order.
        pad: shows what is asked; in the mode "pad" it is what is dragged.
    """

    def __init__(self, engine: Engine, modes: Sequence[str], prefix: str) -> None:
        """Build the controls.

        Args:
            engine: understands words and recordings. modes: ways to ask, of MODES; the first one is shown.
            prefix: of the ids in the page.
        """
        self.engine, self.modes, self.prefix = engine, tuple(modes), prefix
        self._build()
        self.inputs: list[Any] = [
            self.mode, self.feeling, self.pad, self.dominance, self.intensity, self.trajectory, self.recording, self.neutral,
            self.strength, self.words, self.auto, self.refused, self.refusal, *self.mix,
        ]  # fmt: skip
        self._connect()

    def read(self, values: Sequence[Any]) -> Asked:
        """Return what values of `inputs` ask for.

        Raises:
            ValueError: a value out of range, or nothing is asked.
        """
        wishes = self.wishes(values)
        if wishes.mode == "recording":
            for recording in filter(None, (wishes.recording, wishes.neutral)):
                check_recording(Path(recording), self.engine.limits)
        return read_wishes(self.engine.tts, wishes)

    def wishes(self, values: Sequence[Any]) -> Wishes:
        """Return values of `inputs` by name."""
        mode, feeling, pad, dominance, intensity, trajectory, recording, neutral, strength, words, auto, *rest = values
        refused, refusal, *mix = rest
        if mode not in self.modes:
            raise ValueError(f"the way to ask must be one of {', '.join(self.modes)}; got {mode!r:.40}.")
        return Wishes(
            mode, feeling, pad or {}, dominance, intensity, dict(zip(MIXED, mix, strict=True)), trajectory or {}, recording,
            neutral, strength, str(words or ""), auto, tuple(refused or ()), refusal,
        )  # fmt: skip

    def _build(self) -> None:
        first, prefix = self.modes[0], self.prefix
        start = place_of(START_LABEL)
        choices = [(MODES[mode], mode) for mode in self.modes]
        self.mode = gr.Radio(choices, value=first, label="Which feeling", elem_id=f"{prefix}-mode")
        with gr.Row(elem_classes="emotts-stack"):
            with gr.Column(min_width=280, visible=first in PAD_MODES) as self._pad_column:
                self.pad = EmotionPad(
                    {"arousal": start[0], "valence": start[1]}, interactive=first == "pad", elem_id=f"{prefix}-pad",
                    label="Place of the feeling",
                )  # fmt: skip
            with gr.Column(min_width=220):
                self._build_modes(first, start)
                with gr.Row():
                    self.refused = gr.Dropdown(
                        MIXED, multiselect=True, value=[], label="Not this", elem_id=f"{prefix}-not", min_width=140,
                        info="stay away from these",
                    )  # fmt: skip
                    self.refusal = gr.Slider(
                        0.0, MAX_INTENSITY, 0.5, step=0.05, label="how strongly", visible=False, min_width=120
                    )
        self.note = gr.HTML(elem_classes="emotts-quiet", elem_id=f"{prefix}-note")

    def _build_modes(self, first: str, start: tuple[float, float, float]) -> None:
        """Build the fields of each mode, of which one group is seen."""
        prefix = self.prefix
        self._groups: dict[str, gr.Column] = {}
        with self._group("pad", first):
            self.feeling = gr.Dropdown(
                [BY_PLACE, *LABELS], value=START_LABEL, label="Feeling", elem_id=f"{prefix}-feeling",
                info="or drag the dot anywhere",
            )  # fmt: skip
            self.intensity = gr.Slider(
                0.0, MAX_INTENSITY, START_INTENSITY, step=0.05, label="Intensity", elem_id=f"{prefix}-intensity"
            )
            self.dominance = gr.Slider(
                -1.0, 1.0, start[2], step=0.01, label="Dominance", info="submissive to dominant",
                elem_id=f"{prefix}-dominance",
            )  # fmt: skip
        with self._group("mix", first), gr.Column(elem_classes="emotts-mix"):
            self.mix = [
                gr.Slider(0.0, MAX_INTENSITY, {"happy": 0.6, "sad": 0.4}.get(name, 0.0), step=0.05, label=name,
                          elem_id=f"{prefix}-mix-{name}")
                for name in MIXED
            ]  # fmt: skip
        with self._group("time", first):
            self.trajectory = TrajectoryEditor(
                preset("rise", "angry"), elem_id=f"{prefix}-trajectory", label="Feeling along the words"
            )
            with gr.Row():
                self.preset = gr.Dropdown([*PRESETS], value="rise", label="Shape", min_width=100)
                self.preset_label = gr.Dropdown([*MIXED], value="angry", label="Feeling", min_width=100)
            self.draw = gr.Button("Draw this shape", size="sm", elem_id=f"{prefix}-draw")
        with self._group("recording", first):
            self.recording = recorder("A recording that sounds as wanted", elem_id=f"{prefix}-like")
            self.neutral = recorder(
                "The same speaker, neutral (better understood with it)", elem_id=f"{prefix}-neutral"
            )
            self.strength = gr.Slider(0.0, MAX_INTENSITY, 1.0, step=0.05, label="Strength")
        with self._group("words", first):
            self.words = gr.Textbox(
                "relieved, but still shaking", label="How it should sound", max_lines=3, max_length=400, elem_id=f"{prefix}-words",
                info="a few words; those that decided are named below",
            )  # fmt: skip
        with self._group("text", first):
            self.auto = gr.Slider(
                0.0, MAX_INTENSITY, 1.0, step=0.05, label="Strength", info="each sentence gets the feeling of its words"
            )

    def _group(self, mode: str, first: str) -> gr.Column:
        self._groups[mode] = gr.Column(visible=mode == first)
        return self._groups[mode]

    def _connect(self) -> None:
        shown = [self.pad, self.note]
        groups = [self._pad_column, *self._groups.values()]
        self.mode.change(self._switch, self.mode, groups, **LIGHT).then(self._show, self.inputs, shown, **LIGHT)
        self.feeling.input(
            self._to_label, self.feeling, [self.pad, self.dominance], **LIGHT,
        ).then(self._show, self.inputs, shown, **LIGHT)  # fmt: skip
        self.draw.click(told(preset), [self.preset, self.preset_label], self.trajectory, **LIGHT).then(
            self._show, self.inputs, shown, **LIGHT
        )
        self.refused.change(lambda names: gr.update(visible=bool(names)), self.refused, self.refusal, **LIGHT)
        for event in (
            self.pad.release, self.trajectory.release, self.intensity.release, self.dominance.release, self.words.submit,
            self.words.blur, self.auto.release, self.refused.input, *(slider.release for slider in self.mix),
        ):  # fmt: skip
            event(self._show, self.inputs, shown, trigger_mode="always_last", **LIGHT)
        for component in (self.recording, self.neutral):
            component.change(
                self._show, self.inputs, shown, show_progress="minimal", show_progress_on=[self.note], **HEAVY
            )

    def _switch(self, mode: str) -> list[Any]:
        pad = gr.update(visible=mode in PAD_MODES)
        return [pad, *(gr.update(visible=mode == name) for name in self._groups)]

    def _to_label(self, feeling: str) -> tuple[Any, Any]:
        """Put the dot on a label."""
        if feeling == BY_PLACE:
            return gr.skip(), gr.skip()
        arousal, valence, dominance = place_of(feeling)
        return {"arousal": arousal, "valence": valence}, dominance

    def _show(self, *values: Any) -> tuple[Any, str]:
        """Show on the pad, and in words, what is asked; what cannot be asked is told in place of it."""
        mode = values[0]
        try:
            asked = self.read(values)
        except (ValueError, FileNotFoundError) as error:
            text = "" if mode == "recording" and not values[6] else sentence(error)
            return gr.update(marks=[], interactive=mode == "pad"), quiet(text)
        marks = []
        if asked.place is not None:
            marks = [{"arousal": asked.place[0], "valence": asked.place[1], "kind": "asked", "text": "asked"}]
        return gr.update(marks=marks, interactive=mode == "pad"), quiet(f"Asks for {asked.note}")
