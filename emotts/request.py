"""What can be asked of the pipeline: voices, ranges, and a checked request.

Comes in: loose arguments. Goes out: a `Request`, or a ValueError that names the argument, what was expected, and what came.
"""

import difflib
from dataclasses import dataclass

import torch
from torch import Tensor

from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABEL_INDEX, LABELS
from emotts.emotion.space import EmotionInput
from emotts.emotion.spec import EmotionSpec

SPEED_RANGE = (0.4, 2.5)
PITCH_RANGE_ST = (-12.0, 12.0)
GUIDANCE_RANGE = (0.0, 5.0)
STEPS_RANGE = (0, 64)
TEMPERATURE_RANGE = (0.0, 2.0)


@dataclass(frozen=True)
class VoiceCard:
    """A named voice and where it comes from."""

    name: str
    gender: str = ""
    accent: str = ""
    teacher: str = ""
    licence: str = ""
    description: str = ""


@dataclass(frozen=True)
class Request:
    """A checked synthesis request without its text.

    Attributes:
        emotion, voice: what is asked.
        speed: above 1 is faster. pitch: semitones.
        steps, prosody_steps: flow steps of mel and reading; 0 is the prior alone.
        guidance: 1 is plain. temperature, prosody_temperature: noise of the mel flow and of the reading.
        seed: of the reading.
    """

    emotion: EmotionSpec
    voice: str
    speed: float
    pitch: float
    steps: int
    prosody_steps: int
    guidance: float
    temperature: float
    prosody_temperature: float
    seed: int

    def __post_init__(self) -> None:
        check_range("speed", self.speed, *SPEED_RANGE)
        check_range("pitch", self.pitch, *PITCH_RANGE_ST)
        check_range("steps", self.steps, *STEPS_RANGE, whole=True)
        check_range("prosody_steps", self.prosody_steps, *STEPS_RANGE, whole=True)
        check_range("guidance", self.guidance, *GUIDANCE_RANGE)
        check_range("temperature", self.temperature, *TEMPERATURE_RANGE)
        check_range("prosody_temperature", self.prosody_temperature, *TEMPERATURE_RANGE)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be a whole number from 0 to 2^63 - 1; got {self.seed!r:.60}.")


def check_range(name: str, value: float, low: float, high: float, whole: bool = False) -> None:
    """Raise a ValueError unless value is a number (a whole one if asked) in [low, high]; NaN is none."""
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        kind = "whole number" if whole else "number"
        raise ValueError(f"{name} must be a {kind} from {low:g} to {high:g}; got {value!r:.60}.")


def unknown_voice(name: str, names: list[str]) -> str:
    """Return the message for a voice that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.4)
    hint = f' Did you mean "{near[0]}"?' if near else " See `emotts voices`."
    return f"voice must be one of {', '.join(names)}; got {str(name)[:60]!r}.{hint}"


def emotion_input(spec: EmotionSpec, n_tokens: int) -> EmotionInput:
    """Turn a specification into the model's input, the same for each of N tokens, with B = 1.

    A label brings its usual arousal, valence and dominance, scaled by its intensity; a dimension that is given takes its place.
    Measured against the label alone, this comes closer to the teachers in F0 range and level. Without a label, what is not given
    stays open.
    """
    labels = torch.zeros(len(LABELS))
    if spec.label is not None and spec.label != "neutral":
        labels[LABEL_INDEX[spec.label]] = spec.intensity
    usual = [None] * 3 if spec.label is None else [m * spec.intensity for m in AVD_MEANS[spec.label]]
    given = [getattr(spec, name) for name in DIMENSIONS]
    values = [u if g is None else g for g, u in zip(given, usual, strict=True)]

    def per_token(value: Tensor) -> Tensor:
        return value.expand(1, n_tokens, *value.shape).contiguous()

    return EmotionInput(
        labels=per_token(labels),
        label_known=per_token(torch.tensor(spec.label is not None)),
        avd=per_token(torch.tensor([0.0 if value is None else float(value) for value in values]).clamp(-1.0, 1.0)),
        avd_known=per_token(torch.tensor([value is not None for value in values])),
    )
