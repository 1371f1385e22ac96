"""Losses of the emotion recogniser, targets from raters' votes, and calibration.

Comes in: a `Recognition` and what is known of the clips, missing parts masked. Goes out: named losses. CCC and weighted
cross-entropy as in MERaLiON-SER (2025), arXiv 2511.04914; soft targets of all votes as in Chou et al., "Embracing Ambiguity and
Subjectivity Using the All-Inclusive Aggregation Rule" (2024), IEEE Transactions on Affective Computing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from emotts.emotion.labels import ALIASES, LABEL_INDEX, LABELS
from emotts.emotion.recognizer import Recognition
from emotts.emotion.regions import LabelRegions
from emotts.emotion.rendering import controls_for

ADMITTED_SD = 2.0  # standard deviations from a label's mean that the penalty lets pass

# The acoustic controls that simulated emotion is made with, and about what they vary by; factors as natural logarithms.
CONTROL_SCALES: dict[str, float] = {
    "f0_shift_st": 2.5, "f0_range": 0.3, "rate": 0.14, "pause": 0.15, "tilt_db_per_oct": 0.8, "breathiness": 0.1,
    "formant": 0.02, "jitter_pct": 0.2, "tremor_st": 0.1, "accent": 0.08, "energy_range": 0.14, "final_slope_st": 1.4,
    "phrase_slope_st": 1.0,
}  # fmt: skip
FACTORS = ("f0_range", "rate", "pause", "formant", "energy_range")


@dataclass
class EmotionTarget:
    """What is known of B clips (or of W windows of each, then [B, W, ...]).

    Attributes:
        labels: share of each label [B, K], each row summing to one where known.
        label_known: [B], False where no label was given.
        avd: mean rating of arousal, valence, dominance in [-1, 1] [B, 3].
        avd_known: [B, 3].
        avd_std: disagreement of the raters, 0 for a single value [B, 3].
        controls: acoustic controls in units of CONTROL_SCALES [B, 13], for corpora that were simulated with them.
        controls_known: [B].
    """

    labels: Tensor
    label_known: Tensor
    avd: Tensor
    avd_known: Tensor
    avd_std: Tensor
    controls: Tensor
    controls_known: Tensor


@dataclass(frozen=True)
class LossWeights:
    """How much each term counts; 0 leaves it out."""

    labels: float = 1.0
    concordance: float = 1.0
    likelihood: float = 0.2
    impossible: float = 0.05
    controls: float = 0.5

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum of the terms that are there."""
        return torch.stack([getattr(self, name) * value for name, value in losses.items()]).sum()


def soft_target(votes: Mapping[str, float] | Sequence[str]) -> Tensor:
    """Turn raters' votes into a target [K] that keeps every vote: the all-inclusive rule.

    Args:
        votes: label names one per vote (a rater may give several, co-occurring emotions), or counts per label name.

    Raises:
        ValueError: no votes, a negative count, or a name that is neither a label nor an alias.
    """
    counts = votes if isinstance(votes, Mapping) else {name: float(list(votes).count(name)) for name in votes}
    target = torch.zeros(len(LABELS))
    for name, count in counts.items():
        label = ALIASES.get(name, name)
        if label not in LABEL_INDEX:
            raise ValueError(
                f"a vote must be one of {', '.join(LABELS)}; got {name!r}. Map the corpus' names to these."
            )
        if not count >= 0:
            raise ValueError(f"the count of votes for {name} must be at least 0; got {count}.")
        target[LABEL_INDEX[label]] += float(count)
    if target.sum() <= 0:
        raise ValueError("a target needs at least one vote; mark the label of this clip as unknown instead.")
    return target / target.sum()


def intensity_target(label: str, intensity: float) -> Tensor:
    """Return the target [K] of one label at an intensity: min(1, intensity) on the label and the rest on neutral."""
    share = 0.0 if label == "neutral" else min(1.0, max(0.0, intensity))
    target = torch.zeros(len(LABELS))
    target[LABEL_INDEX["neutral"]] = 1.0 - share
    target[LABEL_INDEX[label]] += share
    return target


def mixture_target(weights: Mapping[str, float]) -> Tensor:
    """Return the target [K] of several labels at once: their weights, the rest up to 1 neutral; a larger sum is scaled to 1."""
    target = torch.zeros(len(LABELS))
    for label, weight in weights.items():
        target[LABEL_INDEX[label]] += weight
    target /= max(1.0, float(target.sum()))
    target[LABEL_INDEX["neutral"]] += 1.0 - target.sum()
    return target


def control_target(label: str | None, intensity: float, avd: Sequence[float]) -> Tensor:
    """Return the acoustic controls [13] of emotts/emotion/rendering.py for one emotion, in units of CONTROL_SCALES."""
    weights = np.zeros((1, len(LABELS)))
    if label is not None:
        weights[0, LABEL_INDEX[label]] = intensity
    controls = controls_for(np.asarray([avd], np.float64), weights)
    values = [float(np.ravel(getattr(controls, name))[0]) for name in CONTROL_SCALES]
    values = [float(np.log(x)) if name in FACTORS else x for name, x in zip(CONTROL_SCALES, values, strict=True)]
    return torch.tensor(values) / torch.tensor(list(CONTROL_SCALES.values()))


def recognition_losses(
    heard: Recognition, target: EmotionTarget, class_weight: Tensor, regions: LabelRegions
) -> dict[str, Tensor]:
    """Return the named losses of whole clips (W = 1) or of windows; missing targets give neither value nor gradient.

    Args:
        heard: of B clips, W windows each.
        target: with the shapes [B, W, ...].
        class_weight: of the labels in the cross-entropy [K].
        regions: the Gaussians that say which pairs of label and A, V, D are possible.
    """
    weight = (target.labels * class_weight).sum(dim=-1) * target.label_known  # [B, W]
    entropy = -(target.labels * class_weight * heard.logits.log_softmax(dim=-1)).sum(dim=-1)
    labels = (entropy * target.label_known).sum() / weight.sum().clamp_min(1e-6)
    known = target.avd_known.float()
    return {
        "labels": labels,
        "concordance": concordance_loss(heard.avd, target.avd, target.avd_known),
        "likelihood": (distribution_loss(heard, target) * known).sum() / known.sum().clamp_min(1.0),
        "impossible": impossible_pairs(heard.logits.softmax(dim=-1), heard.avd, regions),
        "controls": control_loss(heard.controls, target.controls, target.controls_known),
    }


def concordance_loss(predicted: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """Return 1 - CCC, averaged over the dimensions with at least two known values: [..., D] each -> scalar.

    Reference: Lin, "A concordance correlation coefficient to evaluate reproducibility" (1989); population variances.
    """
    x, y, weight = (part.flatten(0, -2) for part in (predicted.float(), true.float(), known.float()))
    n = weight.sum(dim=0)  # [D]
    share = weight / n.clamp_min(1.0)
    y = torch.where(weight > 0, y, 0.0)
    mean_x, mean_y = (share * x).sum(dim=0), (share * y).sum(dim=0)
    variance_x, variance_y = (share * (x - mean_x).square()).sum(dim=0), (share * (y - mean_y).square()).sum(dim=0)
    covariance = (share * (x - mean_x) * (y - mean_y)).sum(dim=0)
    ccc = 2.0 * covariance / (variance_x + variance_y + (mean_x - mean_y).square()).clamp_min(1e-6)
    usable = (n >= 2).float()
    return ((1.0 - ccc) * usable).sum() / usable.sum().clamp_min(1.0)


def distribution_loss(heard: Recognition, target: EmotionTarget) -> Tensor:
    """Return the negative log likelihood of the raters' distribution N(avd, avd_std²) under the predicted Gaussian [B, W, 3]."""
    true = torch.where(target.avd_known, target.avd, 0.0)
    spread = (heard.avd - true).square() + target.avd_std.square()
    return 0.5 * (heard.log_variance + spread * torch.exp(-heard.log_variance))


def impossible_pairs(probability: Tensor, avd: Tensor, regions: LabelRegions) -> Tensor:
    """Return how much probability [..., K] lies on labels whose region in AVD the heard point [..., 3] is outside of: scalar.

    A label costs its probability times the standard deviations beyond ADMITTED_SD that lie between the point and its mean.
    """
    distance = regions.distance(avd)  # [..., K] in standard deviations
    return (probability * F.relu(distance - ADMITTED_SD)).sum(dim=-1).mean()


def control_loss(predicted: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """Return the mean squared error of the acoustic controls [..., 13] where they are known [...]: scalar.

    Emotion is heard through them; naming them teaches the network more from a clip than label and A, V, D do.
    """
    error = (predicted - torch.where(known[..., None], true, 0.0)).square().mean(dim=-1)
    return (error * known).sum() / known.sum().clamp_min(1)


def fit_temperature(logits: Tensor, target: Tensor) -> float:
    """Return the temperature that gives the targets [N, K] the highest likelihood under logits [N, K] / temperature.

    Reference: Guo et al., "On Calibration of Modern Neural Networks" (2017), arXiv 1706.04599.
    """
    candidates = torch.logspace(-1.0, 1.0, 401)  # 0.1 to 10 in steps of 1.2 %; the likelihood is unimodal in it
    losses = [-(target * (logits / t).log_softmax(dim=-1)).sum(dim=-1).mean() for t in candidates]
    return float(candidates[int(torch.stack(losses).argmin())])


def expected_calibration_error(probability: Tensor, target: Tensor, bins: int = 10) -> float:
    """Return the mean gap between confidence and the target's share of the chosen label, over bins of equally many clips.

    Args:
        probability: [N, K].
        target: [N, K]; with one-hot rows the share is the accuracy.
        bins: equal-mass bins of confidence, which do not leave bins of a few clips as equal-width ones do.
    """
    confidence, chosen = probability.max(dim=-1)
    hit = target.gather(1, chosen[:, None])[:, 0]
    order = confidence.argsort()
    gap = 0.0
    for part in order.tensor_split(min(bins, len(order))):
        gap += float((confidence[part].mean() - hit[part].mean()).abs()) * len(part) / len(order)
    return gap
