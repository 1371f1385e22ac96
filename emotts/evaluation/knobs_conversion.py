"""Conversion in the register of knobs: the model speaks a text of a place, converts that, and what changed is measured.

Importing this module registers them; see emotts/evaluation/knobs.py. Sources and conversions are kept for a whole verification.
"""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from emotts.audio import extract_f0
from emotts.emotion.labels import AVD_MEANS, DIMENSIONS
from emotts.evaluation.knobs import Knob, Take, register
from emotts.evaluation.knobs_steering import _file_of, _like_neutral, _norms, _towards
from emotts.evaluation.measures import along
from emotts.metrics.statistics import pearson

if TYPE_CHECKING:
    from emotts.pipeline import Result

STRONG = "excited"  # what is asked where any clear emotion will do
LEAST_MOVE = 0.1  # of the way to a label's place; with timing kept, half of what synthesis is asked for
NEARER = 1.0  # from the source's voice, -1, to the middle between both voices: the target is nearer


@dataclass(frozen=True)
class ConvertedTake(Take):
    """A conversion; `options` are arguments of `EmoTTS.convert`, `source` is what is converted."""

    source: Take | None = field(default=None, repr=False)

    @cached_property
    def result(self) -> "Result":
        heard = source_of(self).result
        return self.tts.convert(heard.waveform, heard.sample_rate, **self.options)


@dataclass(frozen=True)
class ConvertKnob(Knob):
    """A control of conversion; `request_of` gives arguments of `EmoTTS.convert`, and may ask for the source as well.

    Attributes:
        source: options of synthesis with which the source is spoken, besides text, voice and seed.
    """

    source: dict[str, Any] = field(default_factory=dict)

    def base_of(self, plain: Take) -> Take:
        """Return the source of a place."""
        wanted = {**plain.options, **self.source}
        return plain.kept.setdefault(_key(plain.text, wanted), replace(plain, options=wanted) if self.source else plain)

    def take_at(self, value: Any, start: Take) -> Take:
        """Return the conversion of the source of a place."""
        source = self.base_of(start)
        options = {"seed": source.options["seed"], **self.options_at(value, source)}
        parts = {part.name: getattr(source, part.name) for part in fields(Take)}
        made = ConvertedTake(**{**parts, "options": options}, source=source)
        return start.kept.setdefault(f"{_key(source.text, source.options)} to {sorted(options.items())}", made)


def source_of(take: Take) -> Take:
    """Return what was converted."""
    assert isinstance(take, ConvertedTake) and take.source is not None
    return take.source


def _key(text: str, options: dict[str, Any]) -> str:
    return f"{text} {sorted(options.items())}"


def _likeness_to_source(take: Take) -> float:
    """Return the correlation of the F0 contours of a conversion and its source, in the frames in which both are voiced."""
    contours = [extract_f0(each.result.waveform) for each in (source_of(take), take)]
    n = min(map(len, contours))
    first, second = (contour[:n] for contour in contours)
    both = (first > 0) & (second > 0)
    return pearson(np.log2(first[both]), np.log2(second[both])) if both.sum() > 2 else float("nan")


def _log_length(take: Take) -> float:
    """Return the natural log of how much longer a conversion is than its source."""
    return float(np.log(take.result.duration_s / source_of(take).result.duration_s))


def _change_of_length(take: Take) -> float:
    return abs(_log_length(take))


def _other_voice(source: Take) -> str:
    """Return a voice that is not the source's, from the other half of the list: neighbours may come from one teacher."""
    names = [card.name for card in source.tts.voices]
    return names[(names.index(source.options["voice"]) + max(1, len(names) // 2)) % len(names)]


def _target(source: Take) -> Take:
    """Return the source's words as the wanted voice speaks them."""
    wanted = {**source.options, "voice": _other_voice(source)}
    return source.kept.setdefault(_key(source.text, wanted), replace(source, options=wanted))


def _nearness_to_target(take: Take) -> float:
    """Return similarity to the target less that to the source: -1 where it is the source's voice, 1 where the target's."""
    source = source_of(take)
    own, other = source.speaker, _target(source).speaker
    distance = 1.0 - float(own @ other)
    return float(take.speaker @ other - take.speaker @ own) / max(distance, 1e-6)


def _by_recording(is_asked: bool, start: Take) -> dict[str, Any]:
    return {"voice": _file_of(start, voice=_other_voice(start))} if is_asked else {}


def _source_neutral(is_told: bool, source: Take) -> dict[str, Any]:
    """Ask an angry source to be neutral, with or without the speaker's neutral voice."""
    told = {"source_neutral": (str(_file_of(source, emotion="neutral")),)} if is_told else {}
    return {"emotion": "neutral", **told}


def _sound(take: Take) -> np.ndarray:
    """Return the start of the waveform, in units of its own level."""
    wave = take.result.waveform
    return wave / max(float(np.sqrt(np.mean(np.square(wave)))), 1e-6)


def _label(name: str) -> ConvertKnob:
    place = np.array(AVD_MEANS[name])
    return ConvertKnob(
        f"convert {name}", "heard arousal, valence, dominance move to the label's place", (0.0, 1.0),
        lambda value: {"emotion": name, "strength": value} if value else {},
        lambda take: float(along(np.array(take.heard.avd), np.zeros(3), place)), 1, LEAST_MOVE, parameter="convert emotion",
    )  # fmt: skip


def _dimension(name: str) -> ConvertKnob:
    index = DIMENSIONS.index(name)
    return ConvertKnob(
        f"convert {name}", f"heard {name} rises", (-0.7, 0.0, 0.7), lambda value: {name: value},
        lambda take: take.heard.avd[index], 1, 0.2,
    )  # fmt: skip


for _name in AVD_MEANS:
    if _name != "neutral":
        register(_label(_name))
for _name in DIMENSIONS:
    register(_dimension(_name))
for _knob in (
    ConvertKnob("convert strength", f"towards {STRONG}: the emotion moves further", (0.0, 0.5, 1.0, 1.5),
                lambda v: {"emotion": STRONG, "strength": v}, lambda take: _towards(STRONG, take), 1, 0.2),
    ConvertKnob("convert away", "an angry recording with anger refused: less of it is heard", (0.0, 0.5, 1.0),
                lambda v: {"emotion": f"-angry:{v:g}"} if v else {}, lambda take: _towards("angry", take), -1, LEAST_MOVE,
                parameter="convert emotion", source={"emotion": "angry"}),
    ConvertKnob("convert source_emotion", "neutral is asked: the calmer the source is said to be, the more arousal is added",
                ("sad", "neutral", "excited"), lambda v: {"emotion": "neutral", "source_emotion": v},
                lambda take: take.heard.avd[0], -1, 0.2),
    ConvertKnob("convert keep_intonation", "F0 follows the source's", (0.0, 0.5, 1.0), lambda v: {"keep_intonation": v},
                _likeness_to_source, 1, 0.02),
    ConvertKnob("convert retime", "durations move with the emotion", (False, True), lambda v: {"emotion": "sad", "retime": v},
                _change_of_length, 1, 0.02),
    ConvertKnob("convert speed", "it becomes shorter, log of the length", (0.75, 1.0, 1.35), lambda v: {"speed": v, "retime": True},
                _log_length, -1, 0.4),
    ConvertKnob("convert pitch", "mean F0 rises, in semitones", (-2.0, 0.0, 2.0), lambda v: {"pitch": v} if v else {},
                lambda take: take.prosody.f0_mean_st, 1, 3.0),
    ConvertKnob("convert voice", "the wanted voice is nearer than the source's", (False, True),
                lambda v, source: {"voice": _other_voice(source)} if v else {}, _nearness_to_target, 1, NEARER, keeps_voice=False),
    ConvertKnob("convert voice recorded", "likewise, the wanted voice being known from one recording", (False, True),
                _by_recording, _nearness_to_target, 1, NEARER, keeps_voice=False, parameter="convert voice"),
    ConvertKnob("convert seed", "the noise changes", (1, 2), lambda v: {"seed": v}, _sound, 0, 0.01),
    ConvertKnob("convert norms", "a user's norms decide what a word means", (-0.8, 0.8), _norms, lambda take: take.heard.avd[0],
                1, 0.2),
    ConvertKnob("convert like_neutral", "what is heard in the recording changes", (False, True), _like_neutral,
                lambda take: np.array(take.heard.avd), 0, 0.02),
    ConvertKnob("convert source_neutral", "what an angry recording is taken for changes", (False, True), _source_neutral,
                lambda take: np.array(take.heard.avd), 0, 0.02, source={"emotion": "angry"}),
):  # fmt: skip
    register(_knob)
