"""What can be asked of the pipeline: voices, ranges, and a checked request.

Comes in: loose arguments. Goes out: a `Request`, or a ValueError that names the argument, what was expected, and what came.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from emotts.acoustic.flow import METHODS, PLAIN, SCHEDULES, Sampling
from emotts.emotion.place import track_of
from emotts.emotion.space import EmotionInput
from emotts.emotion.spec import EmotionSpec
from emotts.emotion.timeline import Timeline
from emotts.prosody_edit import Intonation, ProsodySheet
from emotts.speaker.profile import VoiceProfile
from emotts.word_times import WordTime

SPEED_RANGE = (0.4, 2.5)
PITCH_RANGE_ST = (-12.0, 12.0)
GUIDANCE_RANGE = (0.0, 5.0)
STEPS_RANGE = (0, 64)
TEMPERATURE_RANGE = (0.0, 2.0)
PUSH_RANGE = (0.0, 1.0)
WEIGHT_RANGE = (0.0, 1.5)
LONGEST_S = 3_600.0
MIXING = ("joint", "embedding", "velocity", "schedule")


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
        emotion: what is asked, in labels and dimensions; recordings, directions and words are resolved already.
        voice: name of the voice.
        speed: above 1 is faster. pitch: semitones.
        steps, prosody_steps: flow steps of mel and reading; 0 is the prior alone.
        schedule, solver: where the steps lie and how they are taken, see Options.
        sampler: who takes them, "flow" or "student".
        guidance: on the emotion, 1 is plain. speaker_guidance, content_guidance: likewise.
        temperature, prosody_temperature: noise of the mel flow and of the reading.
        seed: of the reading.
        asked: the emotion as the user wrote it, where `emotion` is what became of it.
        mixing: how a mixture is made, one of MIXING.
        classifier, classifier_away: strength of the recogniser's push towards what is asked, and away from the rest.
        timeline: emotion over time in place of `emotion`.
        duration: of the whole in seconds. word_times: of each word.
        profile: of a voice that is no named one.
        norms, like_neutral: for words and recordings in the text, see Options.
        sheets: an edited reading, segment by segment. intonation, intonation_weight: of another recording.
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
    asked: EmotionSpec | None = None
    speaker_guidance: float = 1.0
    content_guidance: float = 1.0
    mixing: str = "joint"
    schedule: str = PLAIN.schedule
    solver: str = PLAIN.method
    sampler: str = "flow"
    classifier: float = 0.0
    classifier_away: float = 0.0
    timeline: Timeline | None = None
    duration: float | None = None
    word_times: tuple[WordTime, ...] | None = None
    sheets: tuple[ProsodySheet, ...] | None = None
    intonation: Intonation | None = None
    intonation_weight: float = 1.0
    norms: str | Path | None = None
    like_neutral: tuple[str | Path, ...] = ()
    language: str = "en-us"
    profile: VoiceProfile | None = field(default=None, repr=False)

    @property
    def speaker(self) -> str | VoiceProfile:
        """Who speaks, as an option of the pipeline."""
        return self.voice if self.profile is None else self.profile

    @property
    def sampling(self) -> Sampling:
        """How the steps of both flows are laid and taken."""
        return Sampling(self.schedule, self.solver)

    def check_combinations(self) -> None:
        """Refuse options of which one would have no effect.

        Raises:
            ValueError: the message names both.
        """
        asked = self.asked or self.emotion
        if self.timeline is not None and (asked.weights or asked.dimensions or asked.sources):
            raise ValueError(f"give either a time line or an emotion; got both ({asked}).")
        if self.intonation is None and self.intonation_weight != 1.0:
            raise ValueError("intonation_weight needs intonation, a recording whose melody is taken over.")
        if self.mixing != "joint" and (self.timeline is not None or len(self.emotion.weights) < 2):
            raise ValueError(f"mixing={self.mixing} needs a mixture of labels, such as happy:0.6+sad:0.4.")
        if self.steps == self.prosody_steps == 0 and self.sampling != PLAIN:
            raise ValueError("schedule and solver act in the steps of the flows; they need steps of 1 or more.")
        if self.steps == 0 and (self.classifier or self.classifier_away):
            raise ValueError("classifier guidance acts in the steps of the flow; it needs steps of 1 or more.")
        if self.sheets is not None and (self.speed != 1.0 or self.pitch != 0.0):
            raise ValueError("prosody says how fast and how high it is spoken; leave speed and pitch alone beside it.")

    def __post_init__(self) -> None:
        check_range("speed", self.speed, *SPEED_RANGE)
        check_range("pitch", self.pitch, *PITCH_RANGE_ST)
        check_range("steps", self.steps, *STEPS_RANGE, whole=True)
        check_range("prosody_steps", self.prosody_steps, *STEPS_RANGE, whole=True)
        for name in ("guidance", "speaker_guidance", "content_guidance"):
            check_range(name, getattr(self, name), *GUIDANCE_RANGE)
        check_range("classifier", self.classifier, *PUSH_RANGE)
        check_range("classifier_away", self.classifier_away, *PUSH_RANGE)
        check_range("intonation_weight", self.intonation_weight, *WEIGHT_RANGE)
        for name, value, known in (("schedule", self.schedule, SCHEDULES), ("solver", self.solver, METHODS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r:.60}.")
        if self.mixing not in MIXING:
            raise ValueError(f"mixing must be one of {', '.join(MIXING)}; got {self.mixing!r:.60}.")
        if self.duration is not None:
            check_range("duration", self.duration, 0.05, LONGEST_S)
            if self.word_times is not None:
                raise ValueError("give either duration or word_times; got both.")
        check_range("temperature", self.temperature, *TEMPERATURE_RANGE)
        check_range("prosody_temperature", self.prosody_temperature, *TEMPERATURE_RANGE)
        check_seed(self.seed)


class Options(TypedDict, total=False):
    """What can be asked besides the text; each is optional.

    Attributes:
        emotion: a specification, see docs/emotion_controls.md; None is neutral, or open where a dimension is given.
        voice: a name of `voices`, a recording of 1 to 30 s of the wanted speaker, or a profile of `voice_of`; None takes the
            default voice.
        arousal, valence, dominance: in [-1, 1], laid over the emotion.
        speed: above 1 is faster. pitch: semitones.
        duration: of the whole in seconds, pauses included.
        word_times: when each word is spoken: a CSV, SRT or TextGrid file, or the times themselves.
        timeline: emotion over time: a CSV or JSON file, a preset such as "rise:angry", or a Timeline.
        prosody: an edited reading: a file or text of JSON, or sheets as a result has them, one per segment.
        intonation: a recording whose melody is taken over, or an Intonation; intonation_weight: how far, 1 wholly.
        like_neutral: neutral recordings of the speaker of `like=` recordings, without which less is heard in them.
        norms: a file of NRC-VAD or of Warriner et al., which tells what described words mean before the own list does.
        mixing: "joint" tells the model all labels at once, "embedding" adds their embeddings, "velocity" their velocities,
            "schedule" as that, the first label shaping the beginning of the sampling and the others its end.
        guidance: above 1 exaggerates the emotion, at twice the cost. speaker_guidance, content_guidance: likewise.
        classifier: strength of the recogniser's push towards the labels asked; classifier_away: away from those refused, or else
            from all others. Useful up to about 0.5.
        steps: flow steps of the mel; 0 gives the prior alone. prosody_steps: flow steps of the reading.
        schedule: where the steps lie: "uniform", "sway" or "epss", which put more of them near noise.
        solver: how they are taken: "euler", or "midpoint" or "heun", which call the network twice a step and err less.
        sampler: who takes them: "flow", the flows themselves; "student", their student of 1 to 4 steps, which knows guidance on the
            emotion too; None takes the student wherever there is one that does what is asked as well.
        temperature: of the mel flow's noise; None takes the checkpoint's.
        prosody_temperature: of the reading's noise: how far readings differ; 0 is always the same one.
        language: of the text, one that the checkpoint knows; None takes its first, which is en-us for the bundled one.
        seed: the same seed gives the same bytes; None draws one, and the result tells which.
    """

    emotion: str | EmotionSpec | None
    voice: str | Path | VoiceProfile | None
    arousal: float | None
    valence: float | None
    dominance: float | None
    speed: float
    pitch: float
    duration: float | None
    word_times: str | Path | Sequence[WordTime] | None
    timeline: str | Path | Timeline | None
    prosody: str | Path | Sequence[ProsodySheet] | None
    intonation: str | Path | Intonation | None
    intonation_weight: float
    like_neutral: Sequence[str | Path] | None
    norms: str | Path | None
    mixing: str
    guidance: float
    speaker_guidance: float
    content_guidance: float
    classifier: float
    classifier_away: float
    steps: int | None
    prosody_steps: int
    schedule: str
    solver: str
    sampler: str | None
    temperature: float | None
    prosody_temperature: float | None
    language: str | None
    seed: int | None


def check_range(name: str, value: float, low: float, high: float, whole: bool = False) -> None:
    """Raise a ValueError unless value is a number (a whole one if asked) in [low, high]; NaN is none."""
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        kind = "whole number" if whole else "number"
        raise ValueError(f"{name} must be a {kind} from {low:g} to {high:g}; got {value!r:.60}.")


def check_seed(seed: int) -> None:
    """Raise a ValueError unless a seed is a whole number that fits."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be a whole number from 0 to 2^63 - 1; got {seed!r:.60}.")


def unknown_voice(name: str, names: list[str]) -> str:
    """Return the message for a voice that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.4)
    hint = f' Did you mean "{near[0]}"?' if near else " See `emotts voices`."
    return f"voice must be one of {', '.join(names)}; got {str(name)[:60]!r}.{hint}"


def emotion_input(spec: EmotionSpec, n_tokens: int) -> EmotionInput:
    """Turn a plain specification into the model's input, the same for each of N tokens, with B = 1; see `track_of`."""
    return track_of([spec] * n_tokens).to_input()
