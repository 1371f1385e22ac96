"""The closed loop for conversions: a recording, a request and judges come in; a conversion goes out that was listened to.

A judge that knows the speaker's neutral voice hears emotions several times better. Whether it can be told one depends on the
recording, so `learn` says which one it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emotts.conversion.request import STRENGTH_RANGE, ConversionRequest
from emotts.emotion.coordinates import coordinates_of_spec
from emotts.emotion.heard import Judge
from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.emotion.spec import parse_emotion
from emotts.loop.correction import (
    DAMPING,
    SOFTER,
    Outcome,
    Place,
    Similarity,
    Try,
    Way,
    as_array,
    as_numbers,
    asked_place,
    soften_until_held,
    steer_requests,
)
from emotts.reference import LearningJudge, Neutral, neutral_speech

if TYPE_CHECKING:
    from emotts.conversion.result import Conversion
    from emotts.pipeline import EmoTTS

NEUTRAL_WITHIN = (
    0.25  # of arousal, which alone is heard well in an unknown voice: nearer to 0 a recording counts as neutral
)
WEAKEST = 0.05  # strength below which nothing but the voice is left
STEP_LIMITS = (0.5, 1.5)  # factor on the strength, per try

OF_SOURCE = "the recording itself, which is neutral"
OF_VOICE = "neutral speech of the wanted voice"
OF_NOBODY = "no neutral speech of the speaker"


@dataclass(frozen=True)
class Known:
    """What the loop knows of a recording before it listens to conversions.

    Attributes:
        source: a path, or samples [L] at 24 kHz. request: whose source emotion is settled.
        felt: arousal, valence, dominance of the recording [3].
        neutral: speech that a judge can be told; empty where there is none. told: which speech it is, in words.
    """

    source: str | Path | np.ndarray
    request: ConversionRequest
    felt: np.ndarray = field(repr=False)
    neutral: Neutral = field(repr=False)
    told: str

    @property
    def asked(self) -> Place:
        """What should be heard: as far on the way from the recording's place to the wanted one as the strength goes."""
        if not _names_a_place(self.request):
            return (None, None, None)
        place = np.clip(self.felt + self.request.strength * (_place_of(self.request) - self.felt), -1.0, 1.0)
        return tuple(float(value) if np.isfinite(value) else None for value in place)

    def acquaint(self, judge: LearningJudge) -> Judge:
        """Return the judge with the neutral speech in its ears, or as it is where there is none."""
        return judge.with_reference(self.neutral) if self.neutral else judge


def learn(tts: "EmoTTS", source: str | Path | np.ndarray, request: ConversionRequest) -> Known:
    """Hear a recording once, as copy synthesis in the voice of the result.

    Args:
        tts: the model. source: a path, or samples [L] at 24 kHz. request: how to convert it.

    Raises:
        ValueError, FileNotFoundError: as `EmoTTS.convert`.
    """
    converter = tts.converter
    plain = converter.convert(source, replace(request, strength=0.0), _rate_of(tts, source))
    felt = coordinates_of_spec(plain.source_emotion)[len(LABELS) :]
    neutral: Neutral = ()
    told = OF_NOBODY
    if _is_neutral(felt, request):
        felt, neutral, told = np.zeros(3), [(plain.waveform, plain.sample_rate)], OF_SOURCE
    elif not request.keeps_voice:
        neutral, told = neutral_speech(tts, request.profile or request.voice), OF_VOICE
    return Known(source, replace(request, source_emotion=plain.source_emotion), felt, neutral, told)


def check(tts: "EmoTTS", known: Known, judge: Judge, request: ConversionRequest | None = None) -> Outcome:
    """Convert once and listen.

    Args:
        tts: the model. known: the recording, see `learn`. judge: whose answer is told, see `Known.acquaint`.
        request: how, where it is less than was asked; None is `known.request`.

    Raises:
        ValueError: nothing that a judge can hear.
    """
    request = request or known.request
    result = _convert(tts, known, request)
    heard = judge.hear(result.waveform, result.sample_rate)
    return Outcome(known.asked, result, request, heard, judge.name)


def check_steerable(request: ConversionRequest) -> None:
    """Refuse what the loop cannot correct: that nothing is asked, or only what should not be heard.

    Raises:
        ValueError: no emotion is asked.
    """
    if not _names_a_place(request):
        raise ValueError("the loop corrects what is asked; ask for an emotion, or for arousal, valence or dominance.")


def steer(
    tts: "EmoTTS",
    known: Known,
    steering: Judge,
    reporting: Judge,
    tolerance: float = 0.15,
    max_tries: int = 4,
    similarity: Similarity | None = None,
    min_speaker_sim: float | None = None,
    request: ConversionRequest | None = None,
) -> Outcome[ConversionRequest]:
    """Correct what is asked of the model until the steering judge hears what the user asked for, see `steer_requests`.

    The place asked moves; where that leads nowhere, the strength does.

    Args:
        tts: the model. known: the recording with what is asked, see `learn`.
        steering, reporting, tolerance, max_tries, min_speaker_sim: see `steer_requests`.
        similarity: of a result to the voice as it should be, see `similarity_to`.
        request: the first try, where it is less than was asked to hold the voice; None is `known.request`.

    Raises:
        ValueError: nothing is asked, both judges are the same, a number out of range, or nothing that a judge can hear.
    """
    check_steerable(known.request)
    first, way = request or known.request, _way(tts, known)
    return steer_requests(
        way, first, known.asked, steering, reporting, tolerance, max_tries, similarity, min_speaker_sim
    )


def hold_voice(
    tts: "EmoTTS", known: Known, similarity: Similarity, min_speaker_sim: float
) -> tuple[ConversionRequest, float]:
    """Lower the strength until the voice is as it should be.

    Args:
        tts: the model. known: the recording with what is asked.
        similarity: see `similarity_to`.
        min_speaker_sim: cosine to reach.

    Returns:
        The strongest request tried that holds the voice, or else the one that came closest; and its similarity.
    """
    return soften_until_held(_way(tts, known), known.request, similarity, min_speaker_sim)


def similarity_to(speech: Sequence[np.ndarray], embed: Callable[[np.ndarray], np.ndarray]) -> Similarity:
    """Return a function that compares results with speech of the voice that they should have.

    Args:
        speech: waveforms [L] at 24 kHz: the recording itself where the speaker is kept, else the wanted voice.
        embed: maps a waveform [L] at 24 kHz to a unit vector of the speaker.

    Raises:
        ValueError: no speech, or silence.
    """
    if not len(speech):
        raise ValueError("speaker similarity needs speech of the voice to compare with; got none.")
    mean = np.mean([embed(waveform) for waveform in speech], axis=0)
    unit = mean / np.linalg.norm(mean)
    return lambda result: float(embed(result.waveform) @ unit)


def soften_request(request: ConversionRequest) -> ConversionRequest:
    """Return the request with less strength; 0 stays as it is."""
    weaker = round(SOFTER * request.strength, 4)
    return replace(request, strength=weaker if weaker >= WEAKEST else 0.0)


def _way(tts: "EmoTTS", known: Known) -> Way[ConversionRequest]:
    felt = known.felt
    return Way(
        speak=lambda request: _convert(tts, known, request),
        place_of=_place_of,
        moved=_moved,
        another=lambda tries, _: _other_strength(tries, felt, as_array(known.asked)),
        reading=lambda request: request.strength,
        softer=soften_request,
    )


def _convert(tts: "EmoTTS", known: Known, request: ConversionRequest) -> "Conversion":
    return tts.converter.convert(known.source, request, _rate_of(tts, known.source))


def _rate_of(tts: "EmoTTS", source: str | Path | np.ndarray) -> int | None:
    return tts.sample_rate if isinstance(source, np.ndarray) else None


def _is_neutral(felt: np.ndarray, request: ConversionRequest) -> bool:
    """Say whether a recording is declared neutral, or heard so where nothing is declared."""
    looked_at = felt if request.source_emotion is not None else felt[:1]
    return bool(np.abs(looked_at).max() <= NEUTRAL_WITHIN)


def _names_a_place(request: ConversionRequest) -> bool:
    """Say whether an emotion is asked for, and not only one refused."""
    emotion = request.emotion
    if emotion is None:
        return bool(request.moved)
    return not (emotion.away and emotion.label == "neutral" and not emotion.dimensions)


def _place_of(request: ConversionRequest) -> np.ndarray:
    if request.emotion is not None:
        return as_array(asked_place(request.emotion))
    moved = dict(request.moved)
    return as_array(tuple(moved.get(name) for name in DIMENSIONS))


def _moved(request: ConversionRequest, place: np.ndarray) -> ConversionRequest:
    """Ask for a place in the emotion space beside the label."""
    numbers = as_numbers(place)
    if request.emotion is None:
        return replace(request, moved=tuple(numbers.items()))
    return replace(request, emotion=parse_emotion(request.emotion, **numbers))


def _other_strength(tries: list[Try[ConversionRequest]], felt: np.ndarray, target: np.ndarray) -> ConversionRequest:
    """Return the best request so far with the strength that its effect calls for, or half the way to one that was tried."""
    best = min(tries, key=lambda t: t.distance)
    way = np.nan_to_num(target - felt)
    gone = float(np.nan_to_num(np.asarray(best.heard.avd) - felt) @ way) / max(float(way @ way), 1e-9)
    factor = 1.0 + DAMPING * (1.0 / gone - 1.0) if gone > 0.0 else STEP_LIMITS[1]
    strength = best.request.strength * float(np.clip(factor, *STEP_LIMITS))
    strength = round(float(np.clip(strength, *STRENGTH_RANGE)), 4)
    if any(t.request.strength == strength for t in tries):  # at the end of the range
        strength = round(0.5 * (strength + best.request.strength), 4)
    return replace(best.request, strength=strength)
