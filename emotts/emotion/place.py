"""What is asked of the emotion in plain numbers, token by token: the form in which every way of asking reaches the model.

Comes in: specifications, one per token, or coordinates [N, K + 3] (label weights, then arousal, valence, dominance). Goes out: a
`Track`, and from it an EmotionInput.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABEL_INDEX, LABELS, MAX_INTENSITY
from emotts.emotion.space import EmotionInput
from emotts.emotion.spec import EmotionSpec

Array = NDArray[np.float64]
Evenness = Callable[[str, float], float]  # (label, intensity asked) -> intensity that the model is told

MEANS = np.array([AVD_MEANS[name] for name in LABELS])  # [K, 3]


def as_asked(label: str, intensity: float) -> float:
    """Tell the model the intensity that was asked for."""
    return intensity


def evenness(curves: Mapping[str, Sequence[Sequence[float]]]) -> Evenness:
    """Return the map from intensities asked to those told, by which equal steps are heard as equal steps.

    Args:
        curves: of each label, points (asked, told), rising from (0, 0); a label without a curve is told what was asked. After
            RSET (2024), arXiv 2405.17028: intensity is mapped inside each class by rank.
    """
    points = {label: np.array(curve, np.float64).T for label, curve in curves.items()}

    def even(label: str, intensity: float) -> float:
        return float(np.interp(intensity, *points[label])) if label in points else intensity

    return even


@dataclass(frozen=True)
class Track:
    """Arrays over N tokens, as the attributes of EmotionInput without the batch axis."""

    labels: Array  # [N, K]
    label_known: NDArray[np.bool_]  # [N]
    avd: Array  # [N, 3]
    avd_known: NDArray[np.bool_]  # [N, 3]

    def to_input(self) -> EmotionInput:
        """Return the model's input with B = 1."""
        return EmotionInput(
            torch.from_numpy(self.labels).float()[None],
            torch.from_numpy(self.label_known)[None],
            torch.from_numpy(self.avd).float()[None],
            torch.from_numpy(self.avd_known)[None],
        )


def track_of(specs: Sequence[EmotionSpec], even: Evenness = as_asked) -> Track:
    """Return the track of plain specifications, one per token.

    A label brings its usual arousal, valence and dominance, scaled by its intensity; a dimension that is given takes its place.
    Measured against the label alone, this comes closer to the teachers in F0 range and level. Without a label, what is not given
    stays open.
    """
    rows = {spec: _row(spec, even) for spec in set(specs)}
    columns = zip(*(rows[spec] for spec in specs), strict=True)
    return Track(*(np.stack(column) for column in columns))


def track_along(coordinates: Array, even: Evenness = as_asked) -> Track:
    """Return the track of coordinates [N, K + 3]; nan is not known."""
    is_known = np.isfinite(coordinates)
    given = np.where(is_known, coordinates, 0.0)
    weights = np.stack([_even(row, even) for row in np.clip(given[:, : len(LABELS)], 0.0, MAX_INTENSITY)])
    asked = np.clip(given[:, : len(LABELS)], 0.0, MAX_INTENSITY)
    avd = np.clip(given[:, len(LABELS) :] + (weights - asked) @ MEANS, -1.0, 1.0)  # a label's dimensions go with it
    return Track(
        weights, np.all(is_known[:, : len(LABELS)], axis=1, keepdims=True)[:, 0], avd, is_known[:, len(LABELS) :]
    )


def _weights(spec: EmotionSpec) -> Array:
    weights = np.zeros(len(LABELS))
    for label, weight in spec.weights:
        weights[LABEL_INDEX[label]] += weight
    weights[0] = 0.0  # neutral is the absence of weight
    return weights


def _even(weights: Array, even: Evenness) -> Array:
    """Apply the evenness of each label at the intensity of the whole mixture, then share it out as before."""
    total = float(weights.sum())
    if total < 1e-9:
        return weights
    return np.array([w * even(name, total) / total if w else 0.0 for name, w in zip(LABELS, weights, strict=True)])


def _row(spec: EmotionSpec, even: Evenness) -> tuple[Array, NDArray[np.bool_], Array, NDArray[np.bool_]]:
    weights = _even(_weights(spec), even)
    has_label = spec.label is not None or bool(spec.mixture)
    usual = weights @ MEANS if has_label else np.zeros(3)
    given = [getattr(spec, name) for name in DIMENSIONS]
    values = [u if g is None else g for g, u in zip(given, usual, strict=True)]
    known = [g is not None or has_label for g in given]
    return weights, np.array(has_label), np.clip(np.array(values, np.float64), -1.0, 1.0), np.array(known)
