"""An emotion as the model is asked for it in a conversion: a specification in, weighted emotion inputs out.

What is refused is taken away from the prediction as in synthesis: `-angry` adds what neutral has and takes what anger adds.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from emotts.emotion.coordinates import coordinates_of_spec
from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.emotion.place import Evenness, track_of
from emotts.emotion.space import EmotionInput
from emotts.emotion.spec import EmotionSpec

AWAY_SCALE = 1.0  # of what a refused emotion adds to neutral, for each unit of strength


@dataclass(frozen=True)
class Feeling:
    """Specifications whose predictions are added up by weight; the weights add up to 1."""

    parts: tuple[tuple[float, EmotionSpec], ...]

    def predict(self, predicted: Callable[[EmotionInput], Tensor], n_tokens: int, even: Evenness) -> Tensor:
        """Return the weighted sum of what is predicted for each part over N tokens."""
        found = [weight * predicted(track_of([spec] * n_tokens, even).to_input()) for weight, spec in self.parts]
        return torch.stack(found).sum(dim=0)


def feeling_of(spec: EmotionSpec) -> Feeling:
    """Return what a plain specification asks for."""
    parts = [(1.0, replace(spec, away=()))]
    for label, strength in spec.away:
        parts += [(AWAY_SCALE * strength, EmotionSpec()), (-AWAY_SCALE * strength, EmotionSpec(label))]
    return Feeling(tuple(parts))


def moved_along(source: EmotionSpec, dimensions: dict[str, float]) -> EmotionSpec:
    """Return the emotion of a recording with some dimensions set; the others stay where they were heard."""
    place = coordinates_of_spec(source)[len(LABELS) :]
    a, v, d = (dimensions.get(name, float(value)) for name, value in zip(DIMENSIONS, place, strict=True))
    return EmotionSpec(None, 1.0, a, v, d)


def wanted_emotion(felt: EmotionSpec, asked: EmotionSpec | None, moved: dict[str, float]) -> EmotionSpec:
    """Return the emotion that a result shall have.

    Args:
        felt: how the recording feels. asked: plain; None keeps that.
        moved: dimensions that are set where nothing is asked.
    """
    if asked is None:
        return moved_along(felt, moved) if moved else felt
    if (
        asked.away and asked.label == "neutral" and not asked.dimensions
    ):  # "-angry" alone: the recording's own, less anger
        refused = {name for name, _ in asked.away}
        own = tuple((name, weight) for name, weight in felt.weights if name not in refused)
        if not own and not felt.dimensions:
            return EmotionSpec(away=asked.away)
        if len(own) == 1:
            return replace(felt, label=own[0][0], intensity=own[0][1], mixture=(), away=asked.away)
        return replace(felt, label=None, intensity=1.0, mixture=own, away=asked.away)
    return asked
