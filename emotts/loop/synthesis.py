"""The closed loop for synthesis: a text, a request and judges come in; speech goes out that was listened to and corrected."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from emotts.emotion.heard import Judge
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.loop.correction import (
    SOFTER,
    Outcome,
    Similarity,
    Try,
    Way,
    as_array,
    as_numbers,
    asked_place,
    soften_until_held,
    steer_requests,
)
from emotts.plan import has_spans
from emotts.request import Request

if TYPE_CHECKING:
    from emotts.pipeline import EmoTTS, Result

SMALL_GUIDANCE = 1.3  # up to here guidance is dropped at once, above it halved first


def check(
    tts: "EmoTTS", text: str, request: Request, judge: Judge, asked: EmotionSpec | None = None
) -> Outcome[Request]:
    """Speak once and listen.

    Args:
        tts: the model. text: what to say. request: how. judge: whose answer is told.
        asked: what should be heard; None is what `request` asks.

    Raises:
        ValueError: nothing speakable, or nothing that a judge can hear.
    """
    result = _speak(tts, text, request)
    heard = judge.hear(result.waveform, result.sample_rate)
    is_one = request.timeline is None and not has_spans(text)
    place = asked_place(asked or request.emotion) if is_one else (None, None, None)
    return Outcome(place, result, request, heard, judge.name)


def check_steerable(text: str, request: Request) -> None:
    """Refuse what the loop cannot correct: emotions that differ along the text.

    Raises:
        ValueError: a time line, spans in the text, or auto.
    """
    if request.timeline is not None or request.emotion.auto is not None or has_spans(text):
        raise ValueError(
            "the loop corrects one emotion for the whole; leave out time line, auto, and spans in the text."
        )


def steer(
    tts: "EmoTTS",
    text: str,
    request: Request,
    steering: Judge,
    reporting: Judge,
    tolerance: float = 0.15,
    max_tries: int = 4,
    similarity: Similarity | None = None,
    min_speaker_sim: float | None = None,
    asked: EmotionSpec | None = None,
) -> Outcome[Request]:
    """Correct what is asked of the model until the steering judge hears what the user asked for, see `steer_requests`.

    Where a correction leads nowhere, the next seed reads instead.

    Args:
        tts: the model. text: what to say. request: how; a label stays and gets corrected numbers beside it.
        steering, reporting, tolerance, max_tries, min_speaker_sim: see `steer_requests`.
        similarity: speaker similarity of a result to the voice's neutral rendering, see `voice_similarity`.
        asked: what should be heard, where `request` asks for less of it already to hold the voice; None is what `request` asks.

    Raises:
        ValueError: both judges are the same, a number out of range, nothing speakable, or nothing that a judge can hear.
    """
    check_steerable(text, request)
    place = asked_place(asked or request.emotion)
    return steer_requests(
        _way(tts, text), request, place, steering, reporting, tolerance, max_tries, similarity, min_speaker_sim
    )


def hold_voice(
    tts: "EmoTTS", text: str, request: Request, similarity: Similarity, min_speaker_sim: float
) -> tuple[Request, float]:
    """Lower guidance, then the emotion, until the voice is its own again.

    Args:
        tts: the model. text: what to say. request: how.
        similarity: see `voice_similarity`.
        min_speaker_sim: cosine to reach.

    Returns:
        The request nearest to what was asked that holds the voice, or else the one that came closest; and its similarity.

    Raises:
        ValueError: nothing speakable.
    """
    check_steerable(text, request)
    return soften_until_held(_way(tts, text), request, similarity, min_speaker_sim)


def soften_request(request: Request) -> Request:
    """Return the request with guidance nearer to 1, or, where it is there, with a weaker emotion; neutral stays as it is."""
    if request.guidance > 1.0:
        halved = round(0.5 + 0.5 * request.guidance, 4)
        return replace(request, guidance=halved if request.guidance > SMALL_GUIDANCE else 1.0)
    emotion = request.emotion
    weaker = {name: round(SOFTER * value, 4) for name, value in emotion.dimensions.items()}
    intensity = emotion.intensity if emotion.label is None else round(SOFTER * emotion.intensity, 4)
    mixture = tuple((name, round(SOFTER * weight, 4)) for name, weight in emotion.mixture)
    away = tuple((name, max(0.001, round(SOFTER * strength, 4))) for name, strength in emotion.away)
    softer = replace(emotion, intensity=intensity, mixture=mixture, away=away)
    return replace(request, emotion=parse_emotion(softer, **weaker))


def voice_similarity(
    tts: "EmoTTS", text: str, request: Request, embed: Callable[[np.ndarray], np.ndarray]
) -> Similarity:
    """Return a function that compares speech with the neutral rendering of the same text, voice and seed.

    Args:
        tts, text, request: as in `steer`.
        embed: maps a waveform [L] at 24 kHz to a unit vector of the speaker.

    Raises:
        ValueError: nothing speakable.
    """
    neutral = embed(_speak(tts, text, replace(request, emotion=EmotionSpec(), guidance=1.0)).waveform)
    return lambda result: float(embed(result.waveform) @ neutral)


def _way(tts: "EmoTTS", text: str) -> Way[Request]:
    return Way(
        speak=lambda request: _speak(tts, text, request),
        place_of=lambda request: as_array(asked_place(request.emotion)),
        moved=_moved,
        another=_next_seed,
        reading=lambda request: request.seed,
        softer=soften_request,
    )


def _speak(tts: "EmoTTS", text: str, request: Request) -> "Result":
    from emotts.speech import join

    started = time.perf_counter()
    chunks = list(tts.speak(text, request))
    return join(chunks, text, request, time.perf_counter() - started, tts.provenance(text, request))


def _moved(request: Request, place: np.ndarray) -> Request:
    """Ask for a place in the emotion space beside the label."""
    return replace(request, emotion=parse_emotion(request.emotion, **as_numbers(place)))


def _next_seed(tries: list[Try[Request]], place: np.ndarray) -> Request:
    seed = (1 + max(t.request.seed for t in tries)) % 2**63
    return replace(_moved(tries[-1].request, place), seed=seed)
