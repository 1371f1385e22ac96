"""One vector for an emotion: label weights, then arousal, valence, dominance.

Comes in: what a judge heard, or what a user asked. Goes out: coordinates [K + 3], in which emotions are averaged, added and
projected, and a specification for the way back. The origin is neutral; the weight of the label neutral is always 0.
"""

import math
from collections.abc import Sequence

import numpy as np

from emotts.emotion.heard import Heard
from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABEL_INDEX, LABELS, MAX_INTENSITY
from emotts.emotion.spec import EmotionSpec

SIZE = len(LABELS) + len(DIMENSIONS)
SMALLEST = 0.02  # label weights below it are left out of a specification: nobody hears them, each costs a mixture one more part
DIGITS = 4


def coordinates_of(heard: Heard) -> np.ndarray:
    """Return what a judge heard as coordinates [K + 3]: probabilities as label weights, and A, V, D."""
    weights = [0.0 if name == "neutral" else heard.labels[name] for name in LABELS]
    return np.array([*weights, *heard.avd], np.float64)


def coordinates_of_spec(spec: EmotionSpec) -> np.ndarray:
    """Return the labels and dimensions of a specification as coordinates [K + 3]; its other parts are not looked at.

    A label brings its usual arousal, valence and dominance, scaled by its weight; a dimension that is given takes its place.
    """
    coordinates = np.zeros(SIZE)
    for name, weight in spec.weights:
        coordinates[LABEL_INDEX[name]] += weight
        coordinates[len(LABELS) :] += weight * np.array(AVD_MEANS[name])
    for i, name in enumerate(DIMENSIONS):
        given = getattr(spec, name)
        if given is not None:
            coordinates[len(LABELS) + i] = given
    return clipped(coordinates)


def spec_at(coordinates: np.ndarray) -> EmotionSpec:
    """Return the specification of a place [K + 3]: label or mixture, with all three dimensions.

    Weights below SMALLEST are left out; those of a mixture are scaled down where their sum exceeds MAX_INTENSITY. Without a label
    only the dimensions are asked, and at the origin neutral.

    Raises:
        ValueError: another shape, or numbers that are not finite.
    """
    place = clipped(checked(coordinates, "coordinates"))
    weights = place[: len(LABELS)] * min(1.0, MAX_INTENSITY / max(place[: len(LABELS)].sum(), MAX_INTENSITY))
    mixture = tuple((name, _rounded(w)) for name, w in zip(LABELS, weights, strict=True) if w >= SMALLEST)
    arousal, valence, dominance = (_rounded(value) for value in place[len(LABELS) :])
    if not mixture and not (arousal or valence or dominance):
        return EmotionSpec()
    if len(mixture) > 1:
        return EmotionSpec(None, 1.0, arousal, valence, dominance, mixture)
    label, intensity = mixture[0] if mixture else (None, 1.0)
    return EmotionSpec(label, intensity, arousal, valence, dominance)


def clipped(coordinates: np.ndarray) -> np.ndarray:
    """Keep label weights in [0, MAX_INTENSITY], neutral at 0, and dimensions in [-1, 1]."""
    weights = np.clip(coordinates[: len(LABELS)], 0.0, MAX_INTENSITY)
    weights[0] = 0.0
    return np.concatenate([weights, np.clip(coordinates[len(LABELS) :], -1.0, 1.0)])


def checked(values: np.ndarray | Sequence[float], what: str) -> np.ndarray:
    """Return [K + 3] float64.

    Raises:
        ValueError: another shape, or numbers that are not finite.
    """
    array = np.asarray(values, np.float64)
    if array.shape != (SIZE,):
        raise ValueError(
            f"{what} must have {len(LABELS)} label weights and A, V, D: [{SIZE}]; got {list(array.shape)}."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{what} must be finite numbers; got {array[~np.isfinite(array)][0]}.")
    return array


def _rounded(value: float) -> float:
    """Round towards zero, so that sums stay in their range."""
    return math.trunc(float(value) * 10**DIGITS + math.copysign(1e-6, value)) / 10**DIGITS + 0.0
