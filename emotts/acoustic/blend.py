"""Several requests blended in one sampling run: guidance, mixtures, and what to stay away from, all as weighted velocities.

Comes in: a `Condition`, or several. Goes out: `Branch`es whose weights add up to 1; the model's prior and velocity are their
weighted sums. Guidance in steps over content, speaker and emotion extends Ho & Salimans (2022), arXiv 2207.12598; mixing with a
schedule follows EmoMix (Tang et al. 2023), arXiv 2306.00648, with velocities in place of noise estimates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from emotts.acoustic.condition import Condition, Keep

BASE_UNTIL, MIXED_UNTIL = 0.2, 0.7  # of t, where a scheduled mixture begins and ends


@dataclass(frozen=True)
class Branch:
    """One of the requests that are blended.

    Attributes:
        condition: what the model is told.
        weight: of its prediction; may be negative.
        keep: which parts of the condition are known; None is all.
        early, late: weight at times before BASE_UNTIL and after MIXED_UNTIL; None is `weight`.
    """

    condition: Condition
    weight: float
    keep: Keep | None = None
    early: float | None = None
    late: float | None = None

    def weight_at(self, t: float) -> float:
        """Return the weight at time t of the flow, 0 noise to 1 data."""
        chosen = self.early if t < BASE_UNTIL else self.late if t >= MIXED_UNTIL else self.weight
        return self.weight if chosen is None else chosen

    def times(self, outer: "Branch") -> "Branch":
        """Return this branch, whose weight is the same at all times, with its weight multiplied by those of another."""
        early, late = (None if x is None else x * self.weight for x in (outer.early, outer.late))
        return replace(self, weight=outer.weight * self.weight, early=early, late=late)


@dataclass(frozen=True)
class Guidance:
    """How far predictions are extrapolated along each part of the condition; 1 is plain.

    With predictions v() of nothing, v(c) of content, v(c,s) with the speaker and v(c,s,e) with the emotion, the guided one is
    v() + content (v(c) - v()) + speaker (v(c,s) - v(c)) + emotion (v(c,s,e) - v(c,s)).
    """

    emotion: float = 1.0
    speaker: float = 1.0
    content: float = 1.0


def guided(condition: Condition, guidance: Guidance, bare: Condition) -> list[Branch]:
    """Return the branches of a guided request; those of weight 0 are left out, the request itself comes first.

    Args:
        condition: the request. guidance: its scales.
        bare: the same with nothing known of the emotion.
    """
    steps = [guidance.emotion, guidance.speaker, guidance.content, 1.0]
    branches = [Branch(condition, steps[0])]
    known = torch.ones_like(condition.voice, dtype=torch.bool)
    for higher, lower, content in ((1, 0, True), (2, 1, True), (3, 2, False)):
        weight = steps[higher] - steps[lower]
        keep = None if higher == 1 else Keep(known if content else ~known, ~known)
        if weight != 0.0:
            branches.append(Branch(bare, weight, keep))
    return branches


def mixed(conditions: Sequence[Condition], weights: Sequence[float], is_scheduled: bool = False) -> list[Branch]:
    """Return branches that mix velocities by weight.

    Args:
        conditions: the base emotion first.
        weights: of each, above 0; scaled to add up to 1.
        is_scheduled: the base alone shapes the beginning and the others, by weight, the end, as in EmoMix.

    Raises:
        ValueError: as many weights as conditions are needed, all above 0.
    """
    if len(conditions) != len(weights) or not conditions or min(weights) <= 0.0:
        raise ValueError(f"a mixture needs a weight above 0 for each of its parts; got {list(weights)}.")
    shares = [weight / sum(weights) for weight in weights]
    if not is_scheduled or len(shares) == 1:
        return [Branch(condition, share) for condition, share in zip(conditions, shares, strict=True)]
    rest = sum(shares[1:])
    late = [0.0, *(share / rest for share in shares[1:])]
    return [
        Branch(condition, share, early=float(i == 0), late=late[i])
        for i, (condition, share) in enumerate(zip(conditions, shares, strict=True))
    ]


def away_from(refused: Condition, neutral: Condition, strength: float) -> list[Branch]:
    """Return branches that take away what the refused emotion adds to neutral; their weights add up to 0."""
    return [Branch(neutral, strength), Branch(refused, -strength)]


def joined(branches: Sequence[Branch]) -> list[Branch]:
    """Add up the weights of branches that share one condition and what is kept of it."""
    found: dict[tuple[int, int], Branch] = {}
    for branch in branches:
        key = (id(branch.condition), id(branch.keep))
        same = found.get(key)
        found[key] = branch if same is None else _added(same, branch)
    return list(found.values())


def _added(one: Branch, other: Branch) -> Branch:
    if one.early is None and one.late is None and other.early is None and other.late is None:
        return replace(one, weight=one.weight + other.weight)
    return replace(
        one,
        weight=one.weight + other.weight,
        early=one.weight_at(0.0) + other.weight_at(0.0),
        late=one.weight_at(1.0) + other.weight_at(1.0),
    )


def blend(predictions: Sequence[Tensor], weights: Sequence[float] | Tensor) -> Tensor:
    """Return the weighted sum; one prediction passes unchanged.

    Args:
        weights: of each, numbers or a tensor [K].
    """
    if len(predictions) == 1:
        return predictions[0]
    total = predictions[0].float() * weights[0]
    for prediction, weight in zip(predictions[1:], weights[1:], strict=True):
        total = total + prediction.float() * weight
    return total
