"""The register of knobs: every documented control of synthesis, what it should move in the speech, which way, and by how much.

A new control registers itself here with `register`; `emotts verify` (emotts/evaluation/verify.py) sweeps what stands in `KNOBS`.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from emotts.acoustic.flow import METHODS, SCHEDULES
from emotts.conversion.request import ConvertOptions
from emotts.emotion.heard import Heard, Judge
from emotts.emotion.labels import AVD_MEANS, DIMENSIONS
from emotts.evaluation.measures import along
from emotts.request import Options

if TYPE_CHECKING:
    from emotts.metrics.prosody import ProsodyFeatures
    from emotts.pipeline import EmoTTS, Result

MANY_STEPS = 32  # where both flows have settled
LEAST_MOVE = 0.15  # of the way to a label's place; weak ones such as disgust reach 0.2 to 0.3 on two texts
EMOTION = "excited:0.7"  # what guidance exaggerates
MARKS = re.compile(r"\[[^\]]*\]|\*")  # spans and emphasis are not spoken

CountWords = Callable[[np.ndarray, str], tuple[int, int]]  # waveform, text -> wrong words, words


@dataclass(frozen=True)
class Take:
    """One rendering of a sweep, and the means to look at it.

    Attributes:
        tts, judge: the model, and the independent judge.
        embed: maps a waveform [L] at 24 kHz to a unit vector of the speaker.
        text: what is said. options: arguments of `EmoTTS.synthesize`.
        made: other takes of the same sweep, so that none is made twice.
        kept: takes of a whole verification: conversions and what they start from.
        count_words: counts wrong words and words; None leaves words out.
    """

    tts: "EmoTTS" = field(repr=False)
    judge: Judge = field(repr=False)
    embed: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    text: str
    options: dict[str, Any]
    made: dict[str, "Take"] = field(default_factory=dict, repr=False)
    kept: dict[str, "Take"] = field(default_factory=dict, repr=False)
    count_words: CountWords | None = field(default=None, repr=False)

    @cached_property
    def result(self) -> "Result":
        return self.tts.synthesize(self.text, **self.options)

    @cached_property
    def heard(self) -> Heard:
        return self.judge.hear(self.result.waveform, self.result.sample_rate)

    @cached_property
    def prosody(self) -> "ProsodyFeatures":
        from emotts.metrics.prosody import measure_prosody

        return measure_prosody(self.result.waveform, self.result.tokens, np.asarray(self.result.durations))

    @cached_property
    def speaker(self) -> np.ndarray:
        return self.embed(self.result.waveform)

    @cached_property
    def words(self) -> tuple[int, int]:
        """Wrong words and words; none where they are not counted."""
        if self.count_words is None:
            return 0, 0
        return self.count_words(self.result.waveform, MARKS.sub("", self.text))

    def again(self, **options: Any) -> "Take":
        """Return the same take with other options."""
        wanted = {**self.options, **options}
        return self.made.setdefault(f"{self.text} {sorted(wanted.items())}", replace(self, options=wanted))


OF_THE_MODEL = ("voice", "language", "sampler")  # what there is to sweep the model says


@dataclass(frozen=True)
class Knob:
    """A control and what it promises.

    Attributes:
        name: as users know it. promise: what it should do, for the table.
        values: to sweep, in order.
        request_of: maps a value to arguments of `EmoTTS.synthesize`; one that needs a recording or a reading to start from
            takes a plain take as well.
        feature: what to look at in a take: a number, or for direction 0 an array.
        direction: 1 the feature rises with the value, -1 it falls, 0 any two values must differ.
        min_change: of the feature from the first value to the last; for direction 0, mean absolute difference of neighbours.
        keeps_voice: whether another voice would be a cost.
        parameter: the argument of `EmoTTS.synthesize` that must exist; "" for the name itself.
    """

    name: str
    promise: str
    values: tuple[Any, ...]
    request_of: Callable[[Any], dict[str, Any]] | Callable[[Any, Take], dict[str, Any]]
    feature: Callable[[Take], Any]
    direction: int
    min_change: float
    keeps_voice: bool = True
    parameter: str = ""

    def take_at(self, value: Any, start: Take) -> Take:
        """Return the take of a value; `start` is the plain one of the same text and voice."""
        options = self.options_at(value, start)
        text = options.pop("text", None)
        return start.again(**options) if text is None else replace(start, text=text).again(**options)

    def options_at(self, value: Any, start: Take) -> dict[str, Any]:
        """Return the arguments for a value."""
        n_arguments = len(inspect.signature(self.request_of).parameters)
        request_of: Callable[..., dict[str, Any]] = self.request_of
        return request_of(value) if n_arguments == 1 else request_of(value, start)

    def base_of(self, plain: Take) -> Take:
        """Return the take whose words and voice the others are compared with; `plain` is that of the place."""
        return plain

    def __post_init__(self) -> None:
        if self.direction not in (-1, 0, 1) or not self.min_change > 0.0:
            raise ValueError(f"knob {self.name!r}: direction must be -1, 0 or 1 and min_change above 0.")
        if len(self.values) < 2 and self.name not in OF_THE_MODEL:
            raise ValueError(f"knob {self.name!r}: give at least two values to sweep.")


KNOBS: dict[str, Knob] = {}


def register(knob: Knob) -> Knob:
    """Add a knob to what `emotts verify` sweeps.

    Raises:
        ValueError: the name is taken.
    """
    if knob.name in KNOBS:
        raise ValueError(f"a knob named {knob.name!r} is registered already; give another name.")
    KNOBS[knob.name] = knob
    return knob


def knobs_of(tts: "EmoTTS") -> list[Knob]:
    """Return the registered knobs that this model has; the voices to sweep are its own."""
    for module in ("knobs_steering", "knobs_conversion"):
        import_module(f"emotts.evaluation.{module}")  # registers its own
    names = tuple(card.name for card in tts.voices)
    known = {"text", *Options.__annotations__, *(f"convert {name}" for name in ConvertOptions.__annotations__)}
    if len(names) < 2:
        known.remove("convert voice")
    own = {"voice": names, "language": tuple(getattr(tts, "languages", ()))}
    own["sampler"] = ("flow", "student") if getattr(tts, "student", None) else ("flow",)
    knobs = [replace(knob, values=own[name]) if name in own else knob for name, knob in KNOBS.items()]
    return [knob for knob in knobs if (knob.parameter or knob.name) in known and len(knob.values) > 1]


def _dimension(name: str) -> Knob:
    still = dict.fromkeys(DIMENSIONS, 0.0)
    index = DIMENSIONS.index(name)
    return Knob(
        name, f"heard {name} rises", (-0.8, -0.4, 0.0, 0.4, 0.8), lambda value: {**still, name: value},
        lambda take: take.heard.avd[index], 1, 0.3,
    )  # fmt: skip


def _label(name: str) -> Knob:
    place = np.array(AVD_MEANS[name])
    return Knob(
        f"emotion {name}", "heard arousal, valence, dominance move to the label's place", (0.0, 0.5, 1.0),
        lambda value: {"emotion": f"{name}:{value:g}"},
        lambda take: float(along(np.array(take.heard.avd), np.zeros(3), place)), 1, LEAST_MOVE, parameter="emotion",
    )  # fmt: skip


def _guided_distance(take: Take) -> float:
    """Return how far the prosody of a guided take lies from the neutral one of its seed, in standard deviations of speech."""
    plain = take.again(emotion="neutral", guidance=1.0).prosody
    scales = {"f0_mean_st": 2.0, "level_db": 3.0, "alpha_ratio_db": 3.0}
    shifts = [(getattr(take.prosody, key) - getattr(plain, key)) / scale for key, scale in scales.items()]
    return float(np.sqrt(np.nanmean(np.square(shifts))))


def _unsettled_mel(take: Take) -> float:
    """Return the mean distance in nepers of the mel from the one that many steps reach."""
    settled = take.again(steps=MANY_STEPS, sampler="flow")
    return float(np.abs(take.result.mel - settled.result.mel).mean())


def _unsettled_reading(take: Take) -> float:
    """Return the mean distance in nepers of the token durations from those that many steps reach."""
    settled = take.again(prosody_steps=MANY_STEPS, sampler="flow")
    return float(np.abs(_log_durations(take) - _log_durations(settled)).mean())


def _reading(take: Take) -> np.ndarray:
    """Return log durations and per-token F0 in octaves [2 N]: what a listener would call the reading."""
    f0 = np.log2(np.maximum(take.result.f0, 55.0))
    ends = np.cumsum(take.result.durations)
    pitch = [f0[end - n : end].mean() if n else 0.0 for end, n in zip(ends, take.result.durations, strict=True)]
    return np.concatenate([_log_durations(take), np.array(pitch)])


def _log_durations(take: Take) -> np.ndarray:
    return np.log(np.asarray(take.result.durations) + 0.5)


def _mel_variety(take: Take) -> float:
    """Return the mean difference in nepers of two mels of the same reading; without steps of its flow a reading has no chance."""
    pair = [take.again(prosody_steps=0, seed=seed).result.mel for seed in (1, 2)]
    return float(np.abs(pair[0] - pair[1]).mean())


def _reading_variety(take: Take) -> float:
    """Return the mean difference of two readings of different seeds."""
    pair = [_reading(take.again(seed=seed)) for seed in (1, 2)]
    return float(np.abs(pair[0] - pair[1]).mean())


for _name in DIMENSIONS:
    register(_dimension(_name))
for _name in AVD_MEANS:
    if _name != "neutral":
        register(_label(_name))
register(
    Knob("speed", "syllables per second rise", (0.75, 1.0, 1.35), lambda value: {"speed": value},
         lambda take: take.prosody.syllable_rate, 1, 1.0)
)  # fmt: skip
register(
    Knob("pitch", "mean F0 rises, in semitones", (-2.0, 0.0, 2.0), lambda value: {"pitch": value},
         lambda take: take.prosody.f0_mean_st, 1, 3.0)
)  # fmt: skip
register(
    Knob("guidance", f"{EMOTION} lies further from neutral", (1.0, 1.5, 2.0),
         lambda value: {"guidance": value, "emotion": EMOTION}, _guided_distance, 1, 0.15)
)  # fmt: skip
register(
    Knob("steps", "the mel comes nearer to what many steps reach", (0, 2, 8), lambda value: {"steps": value, "prosody_steps": 0},
         _unsettled_mel, -1, 0.01)
)  # fmt: skip
register(
    Knob("prosody_steps", "the reading comes nearer to what many steps reach", (0, 3, 12),
         lambda value: {"prosody_steps": value}, _unsettled_reading, -1, 0.01)
)  # fmt: skip
register(
    Knob("schedule", "three steps lie elsewhere", SCHEDULES, 
         lambda value: {"schedule": value, "steps": 3, "prosody_steps": 0, "sampler": "flow"},
         lambda take: take.result.mel, 0, 0.01)
)  # fmt: skip
register(
    Knob("solver", "the mel comes nearer to what many steps reach", METHODS[:2],
         lambda value: {"solver": value, "steps": 2, "prosody_steps": 0, "sampler": "flow"}, _unsettled_mel, -1, 0.01)
)  # fmt: skip
register(
    Knob("sampler", "one step comes nearer to what many reach", ("flow", "student"),
         lambda value: {"sampler": value, "steps": 1, "prosody_steps": 0}, _unsettled_mel, -1, 0.01)
)  # fmt: skip
register(
    Knob("seed", "the reading changes", (1, 2, 3), lambda value: {"seed": value}, _reading, 0, 0.01)
)  # fmt: skip
register(
    Knob("temperature", "mels of two seeds differ more", (0.0, 0.5, 1.0), lambda value: {"temperature": value},
         _mel_variety, 1, 0.01)
)  # fmt: skip
register(
    Knob("prosody_temperature", "readings of two seeds differ more", (0.0, 0.5, 1.0),
         lambda value: {"prosody_temperature": value}, _reading_variety, 1, 0.01)
)  # fmt: skip
register(
    Knob("language", "the text is read otherwise", (), lambda value: {"language": value}, _reading, 0, 0.01)
)  # fmt: skip
register(
    Knob("voice", "another speaker is heard", (), lambda value: {"voice": value}, lambda take: take.speaker, 0, 0.005,
         keeps_voice=False)
)  # fmt: skip
