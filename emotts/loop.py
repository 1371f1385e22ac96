"""The closed loop at run time: a request and judges come in; speech goes out that was listened to, and corrected until it fits.

Two judges: one steers, and what the other hears is told, since a judge that steers is soon pleased (Goodhart's law). Both should
know the voice, see emotts/reference.py.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from emotts.emotion.heard import Heard, Judge
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.plan import has_spans
from emotts.request import Request, emotion_input

if TYPE_CHECKING:
    from emotts.pipeline import EmoTTS, Result

DAMPING = 0.8  # of a correction; 1 trusts the judge and the slope wholly
START_SLOPE = 0.8  # heard per asked before anything is known of the slope
SMALLEST_STEP = 0.02  # a correction below this changes nothing that is heard; the next reading is tried instead
SOFTER = 0.75  # factor per try on the emotion where it pulls the voice away from itself
SMALL_GUIDANCE = 1.3  # up to here guidance is dropped at once, above it halved first
MAX_SOFTER_TRIES = 12

Similarity = Callable[["Result"], float]


@dataclass(frozen=True)
class Try:
    """One rendering: the request that made it, the speech, what the judge that steers heard in it."""

    request: Request
    result: "Result" = field(repr=False)
    heard: Heard = field(repr=False)
    error: np.ndarray = field(repr=False)  # [3] asked minus heard; nan where nothing was asked
    speaker_sim: float | None = None

    @property
    def distance(self) -> float:
        """Root mean square of the error over the dimensions asked."""
        return float(np.sqrt(np.nanmean(self.error**2)))

    def is_within(self, tolerance: float) -> bool:
        """Say whether every dimension asked was heard within the tolerance."""
        return bool(np.nanmax(np.abs(self.error)) <= tolerance)


@dataclass(frozen=True)
class Outcome:
    """What the loop reached.

    Attributes:
        asked: arousal, valence, dominance as the user asked; None where nothing was asked.
        result, request: the speech chosen, and the request that made it.
        heard: what the reporting judge heard in it. judge: the name of that judge.
        tries: all renderings in their order, as the steering judge heard them; empty where nothing was steered.
        is_met: whether the steering judge heard all within the tolerance; None where none was given.
        speaker_sim: cosine with the neutral rendering of the voice; None where it was not asked for.
        is_voice_held: whether that is at least what was asked; None where it was not.
    """

    asked: tuple[float | None, ...]
    result: "Result"
    request: Request
    heard: Heard
    judge: str
    tries: tuple[Try, ...] = ()
    is_met: bool | None = None
    speaker_sim: float | None = None
    is_voice_held: bool | None = None


def asked_place(emotion: EmotionSpec) -> tuple[float | None, ...]:
    """Return the arousal, valence and dominance that a specification asks for, a label's usual ones included; None is open."""
    given = emotion_input(emotion, 1)
    return tuple(
        float(value) if known else None for value, known in zip(given.avd[0, 0], given.avd_known[0, 0], strict=True)
    )


def check(tts: "EmoTTS", text: str, request: Request, judge: Judge, asked: EmotionSpec | None = None) -> Outcome:
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
) -> Outcome:
    """Correct what is asked of the model until the steering judge hears what the user asked for.

    The first try asks for it plainly. Later ones follow Broyden's method on asked minus heard, damped and kept in [-1, 1]; where
    that stands still or made things worse, the next seed reads instead. The same arguments give the same speech.

    Args:
        tts: the model. text: what to say. request: how; a label stays and gets corrected numbers beside it.
        steering: the judge that is listened to on the way. reporting: another, whose answer is told.
        tolerance: allowed distance per dimension.
        max_tries: renderings at most.
        similarity: speaker similarity of a result to the voice's neutral rendering, see `voice_similarity`.
        min_speaker_sim: tries below it are taken only where no other was made.
        asked: what should be heard, where `request` asks for less of it already to hold the voice; None is what `request` asks.

    Raises:
        ValueError: both judges are the same, a number out of range, nothing speakable, or nothing that a judge can hear.

    Reference: Broyden, "A class of methods for solving nonlinear simultaneous equations" (1965), Math. Comp. 19, 577-593.
    """
    if steering.name == reporting.name:
        raise ValueError(f"the judge that steers must not be the one that reports; got {steering.name!r} for both.")
    if not 0.0 < tolerance <= 2.0 or max_tries < 1:
        raise ValueError(
            f"tolerance must lie in (0, 2] and max_tries be 1 or more; got {tolerance!r} and {max_tries!r}."
        )
    check_steerable(text, request)
    target = _as_array(asked_place(asked or request.emotion))
    slope = np.eye(3) * START_SLOPE
    tries: list[Try] = []
    place, seed = target, request.seed  # the first try takes the request as it is
    for _ in range(max_tries):
        last = tries[-1] if tries else None
        tries.append(_attempt(tts, text, _moved(request, place, seed, last is None), steering, target, similarity))
        if tries[-1].is_within(tolerance) and _holds(tries[-1], min_speaker_sim):
            break
        if last is not None and last.request.seed == tries[-1].request.seed:
            slope = _broyden(slope, last, tries[-1], target)
        place, seed = _next_place(tries, target, slope)
    best = min(tries, key=lambda t: (not _holds(t, min_speaker_sim), not t.is_within(tolerance), t.distance))
    return Outcome(
        tuple(float(value) if np.isfinite(value) else None for value in target),
        best.result,
        best.request,
        reporting.hear(best.result.waveform, best.result.sample_rate),
        reporting.name,
        tuple(tries),
        best.is_within(tolerance),
        best.speaker_sim,
        None if min_speaker_sim is None else _holds(best, min_speaker_sim),
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
    best: tuple[Request, float] | None = None
    for _ in range(MAX_SOFTER_TRIES):
        reached = similarity(_speak(tts, text, request))
        if best is None or reached > best[1]:
            best = (request, reached)
        if reached >= min_speaker_sim:
            return request, reached
        softer = soften_request(request)
        if softer == request:
            break
        request = softer
    assert best is not None
    return best


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


def _speak(tts: "EmoTTS", text: str, request: Request) -> "Result":
    from emotts.speech import join

    started = time.perf_counter()
    return join(list(tts.speak(text, request)), text, request, time.perf_counter() - started)


def _attempt(
    tts: "EmoTTS", text: str, request: Request, judge: Judge, target: np.ndarray, similarity: Similarity | None
) -> Try:
    result = _speak(tts, text, request)
    heard = judge.hear(result.waveform, result.sample_rate)
    return Try(request, result, heard, target - np.asarray(heard.avd), similarity(result) if similarity else None)


def _moved(request: Request, place: np.ndarray, seed: int, is_first: bool) -> Request:
    """Ask for a place in the emotion space; open dimensions stay open, and the first request stays as the user wrote it."""
    if is_first:
        return request
    numbers = {
        name: round(float(value), 4) for name, value in zip(DIMENSIONS, place, strict=True) if np.isfinite(value)
    }
    return replace(request, emotion=parse_emotion(request.emotion, **numbers), seed=seed)


def _place_of(attempt: Try) -> np.ndarray:
    return _as_array(asked_place(attempt.request.emotion))


def _as_array(place: tuple[float | None, ...]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in place], np.float64)


def _holds(attempt: Try, min_speaker_sim: float | None) -> bool:
    return min_speaker_sim is None or (attempt.speaker_sim is not None and attempt.speaker_sim >= min_speaker_sim)


def _broyden(slope: np.ndarray, before: Try, after: Try, target: np.ndarray) -> np.ndarray:
    """Correct the slope [3, 3] (heard per asked) by what the last step did: equation 4.5 of the paper, on the dimensions asked."""
    step = np.nan_to_num(_place_of(after) - _place_of(before))
    change = np.where(np.isfinite(target), np.asarray(after.heard.avd) - np.asarray(before.heard.avd), 0.0)
    length = float(step @ step)
    if length < 1e-9:
        return slope
    updated = slope + np.outer(change - slope @ step, step) / length
    # a slope that is nearly flat or turned round would throw the next step across the whole space
    return updated if np.linalg.svd(updated, compute_uv=False)[-1] > 0.2 and np.diag(updated).min() > 0.2 else slope


def _next_place(tries: list[Try], target: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, int]:
    """Return where to ask next and with which seed."""
    best = min(tries, key=lambda t: t.distance)
    last = tries[-1]
    start = _place_of(best)
    step = DAMPING * np.linalg.solve(slope, np.nan_to_num(best.error))
    place = np.clip(start + np.where(np.isfinite(target), step, np.nan), -1.0, 1.0)
    seen = [_place_of(t) for t in tries if t.request.seed == best.request.seed]
    stands = any(np.nanmax(np.abs(place - old)) < SMALLEST_STEP for old in seen)
    if stands or best is not last:  # the correction leads nowhere new, or it did harm: another reading
        next_seed = 1 + max(t.request.seed for t in tries)
        return (start if stands else place), next_seed % 2**63
    return place, last.request.seed
