"""The method of the closed loop: a way to render requests and judges come in; the rendering that fits best goes out.

Two judges: one steers, and what the other hears is told, since a judge that steers is soon pleased (Goodhart's law). Both should
know the voice, see emotts/reference.py.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from emotts.emotion.heard import Heard, Judge
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.spec import EmotionSpec
from emotts.request import emotion_input

if TYPE_CHECKING:
    from emotts.speech import Result

DAMPING = 0.8  # of a correction; 1 trusts the judge and the slope wholly
START_SLOPE = 0.8  # heard per asked before anything is known of the slope
SMALLEST_STEP = 0.02  # a correction below this changes nothing that is heard; another reading is tried instead
SOFTER = 0.75  # factor per try on the emotion where it pulls the voice away from itself
MAX_SOFTER_TRIES = 12

Place = tuple[float | None, ...]  # arousal, valence, dominance; None is open
Similarity = Callable[["Result"], float]


class Seeded(Protocol):
    """A request for synthesis or conversion."""

    @property
    def seed(self) -> int:
        """Of its noise."""
        ...


R = TypeVar("R", bound=Seeded)


@dataclass(frozen=True)
class Try(Generic[R]):
    """One rendering: the request that made it, the speech, what the judge that steers heard in it."""

    request: R
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

    def holds(self, min_speaker_sim: float | None) -> bool:
        """Say whether the voice is near enough, or need not be."""
        return min_speaker_sim is None or (self.speaker_sim is not None and self.speaker_sim >= min_speaker_sim)


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What the loop reached.

    Attributes:
        asked: arousal, valence, dominance as the user asked; None where nothing was asked.
        result, request: the speech chosen, and the request that made it.
        heard: what the reporting judge heard in it. judge: the name of that judge.
        tries: all renderings in their order, as the steering judge heard them; empty where nothing was steered.
        is_met: whether the steering judge heard all within the tolerance; None where none was given.
        speaker_sim: cosine with the voice as it should be; None where it was not asked for.
        is_voice_held: whether that is at least what was asked; None where it was not.
    """

    asked: Place
    result: "Result"
    request: R
    heard: Heard
    judge: str
    tries: tuple[Try[R], ...] = ()
    is_met: bool | None = None
    speaker_sim: float | None = None
    is_voice_held: bool | None = None


@dataclass(frozen=True)
class Way(Generic[R]):
    """How requests of one kind are rendered and changed.

    Attributes:
        speak: renders a request.
        place_of: arousal, valence, dominance that a request asks of the model [3]; nan is open.
        moved: returns the request for another place; open dimensions stay open.
        another: returns a request for a place that is read otherwise than all tries so far.
        reading: what decides besides the place how a request sounds.
        softer: returns a request nearer to the plain voice, or the same one where there is none.
    """

    speak: Callable[[R], "Result"]
    place_of: Callable[[R], np.ndarray]
    moved: Callable[[R, np.ndarray], R]
    another: Callable[[list[Try[R]], np.ndarray], R]
    reading: Callable[[R], Hashable]
    softer: Callable[[R], R]


def asked_place(emotion: EmotionSpec) -> Place:
    """Return the arousal, valence and dominance that a specification asks for, a label's usual ones included; None is open."""
    given = emotion_input(emotion, 1)
    return tuple(
        float(value) if known else None for value, known in zip(given.avd[0, 0], given.avd_known[0, 0], strict=True)
    )


def as_array(place: Place) -> np.ndarray:
    """Return a place as numbers [3], nan where it is open."""
    return np.array([np.nan if value is None else value for value in place], np.float64)


def as_numbers(place: np.ndarray) -> dict[str, float]:
    """Return a place [3] by dimension, without those that are open."""
    return {name: round(float(value), 4) for name, value in zip(DIMENSIONS, place, strict=True) if np.isfinite(value)}


def check_steering(steering: Judge, reporting: Judge, tolerance: float, max_tries: int) -> None:
    """Raise a ValueError where both judges are the same or a number is out of range."""
    if steering.name == reporting.name:
        raise ValueError(f"the judge that steers must not be the one that reports; got {steering.name!r} for both.")
    if not 0.0 < tolerance <= 2.0 or max_tries < 1:
        raise ValueError(
            f"tolerance must lie in (0, 2] and max_tries be 1 or more; got {tolerance!r} and {max_tries!r}."
        )


def steer_requests(
    way: Way[R],
    request: R,
    asked: Place,
    steering: Judge,
    reporting: Judge,
    tolerance: float,
    max_tries: int,
    similarity: Similarity | None = None,
    min_speaker_sim: float | None = None,
) -> Outcome[R]:
    """Correct what is asked of the model until the steering judge hears what the user asked for.

    The first try renders the request as it is. Later ones follow Broyden's method on asked minus heard, damped and kept in [-1, 1];
    where that stands still or made things worse, another reading is tried. The same arguments give the same speech.

    Args:
        way: of rendering. request: the first. asked: by the user.
        steering: the judge that is listened to on the way. reporting: another, whose answer is told.
        tolerance: allowed distance per dimension. max_tries: renderings at most.
        similarity: of a result to the voice as it should be.
        min_speaker_sim: tries below it are taken only where no other was made.

    Raises:
        ValueError: as `check_steering`, or nothing that a judge can hear.

    Reference: Broyden, "A class of methods for solving nonlinear simultaneous equations" (1965), Math. Comp. 19, 577-593.
    """
    check_steering(steering, reporting, tolerance, max_tries)
    target = as_array(asked)
    slope = np.eye(3) * START_SLOPE
    tries: list[Try[R]] = []
    for _ in range(max_tries):
        last = tries[-1] if tries else None
        tries.append(_attempt(way, request, steering, target, similarity))
        if tries[-1].is_within(tolerance) and tries[-1].holds(min_speaker_sim):
            break
        if last is not None and way.reading(last.request) == way.reading(request):
            slope = _broyden(way, slope, last, tries[-1], target)
        request = _next_request(way, tries, target, slope)
    best = min(tries, key=lambda t: (not t.holds(min_speaker_sim), not t.is_within(tolerance), t.distance))
    return Outcome(
        asked,
        best.result,
        best.request,
        reporting.hear(best.result.waveform, best.result.sample_rate),
        reporting.name,
        tuple(tries),
        best.is_within(tolerance),
        best.speaker_sim,
        None if min_speaker_sim is None else best.holds(min_speaker_sim),
    )


def soften_until_held(way: Way[R], request: R, similarity: Similarity, min_speaker_sim: float) -> tuple[R, float]:
    """Return the first of ever softer requests that holds the voice, or else the one that came closest; and its similarity."""
    best: tuple[R, float] | None = None
    for _ in range(MAX_SOFTER_TRIES):
        reached = similarity(way.speak(request))
        if best is None or reached > best[1]:
            best = (request, reached)
        if reached >= min_speaker_sim:
            return request, reached
        softer = way.softer(request)
        if softer == request:
            break
        request = softer
    assert best is not None
    return best


def _attempt(way: Way[R], request: R, judge: Judge, target: np.ndarray, similarity: Similarity | None) -> Try[R]:
    result = way.speak(request)
    heard = judge.hear(result.waveform, result.sample_rate)
    return Try(request, result, heard, target - np.asarray(heard.avd), similarity(result) if similarity else None)


def _broyden(way: Way[R], slope: np.ndarray, before: Try[R], after: Try[R], target: np.ndarray) -> np.ndarray:
    """Correct the slope [3, 3] (heard per asked) by what the last step did: equation 4.5 of the paper, on the dimensions asked."""
    step = np.nan_to_num(way.place_of(after.request) - way.place_of(before.request))
    change = np.where(np.isfinite(target), np.asarray(after.heard.avd) - np.asarray(before.heard.avd), 0.0)
    length = float(step @ step)
    if length < 1e-9:
        return slope
    updated = slope + np.outer(change - slope @ step, step) / length
    # a slope that is nearly flat or turned round would throw the next step across the whole space
    return updated if np.linalg.svd(updated, compute_uv=False)[-1] > 0.2 and np.diag(updated).min() > 0.2 else slope


def _next_request(way: Way[R], tries: list[Try[R]], target: np.ndarray, slope: np.ndarray) -> R:
    best = min(tries, key=lambda t: t.distance)
    last = tries[-1]
    start = way.place_of(best.request)
    step = DAMPING * np.linalg.solve(slope, np.nan_to_num(best.error))
    place = np.clip(start + np.where(np.isfinite(target), step, np.nan), -1.0, 1.0)
    seen = [way.place_of(t.request) for t in tries if way.reading(t.request) == way.reading(best.request)]
    stands = any(np.nanmax(np.abs(place - old)) < SMALLEST_STEP for old in seen)
    if stands or best is not last:  # the correction leads nowhere new, or it did harm: another reading
        return way.another(tries, start if stands else place)
    return way.moved(last.request, place)
