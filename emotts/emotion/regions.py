"""Labels as Gaussian regions of arousal-valence-dominance space, both ways, and the trees that group labels.

Comes in: AVD points or label distributions. Goes out: the other one; and distributions over the terms of Parrott's tree or the
40 categories of EmoNet-Voice. Means are those of Russell & Mehrabian (1977) in emotts/emotion/labels.py; the spread is learnt
from labelled data. Parrott, "Emotions in Social Psychology" (2001), after Shaver et al. (1987); EmoNet-Voice (2025), arXiv
2506.09827.
"""

import re

import torch
from torch import Tensor, nn

from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABELS

DEFAULT_STD = 0.25  # Russell & Mehrabian print standard deviations of 0.2 to 0.4 between raters
SMALLEST_STD = 0.1

# label -> (primary, secondary) term of Parrott's tree; neutral and bored have no place in it.
PARROTT: dict[str, tuple[str, str]] = {
    "happy": ("joy", "cheerfulness"),
    "excited": ("joy", "zest"),
    "calm": ("joy", "contentment"),
    "tender": ("love", "affection"),
    "surprised": ("surprise", "surprise"),
    "angry": ("anger", "rage"),
    "disgusted": ("anger", "disgust"),
    "contempt": ("anger", "disgust"),  # contempt is a tertiary term below disgust
    "sad": ("sadness", "sadness"),
    "fearful": ("fear", "horror"),
}
OUTSIDE = "other"

# EmoNet-Voice category -> (arousal, valence, dominance): the nearest term of Russell & Mehrabian, or the mean of two.
EMONET: dict[str, tuple[float, float, float]] = {
    "Amusement": (0.44, 0.77, 0.42),  # enjoyment
    "Elation": (0.45, 0.63, 0.29),  # elated, joyful
    "Pleasure/Ecstasy": (0.48, 0.76, 0.35),  # joyful
    "Contentment": (-0.13, 0.77, 0.34),  # relaxed, self-satisfied
    "Thankfulness/Gratitude": (0.16, 0.64, -0.18),  # grateful
    "Affection": (0.35, 0.64, 0.24),  # affectionate
    "Infatuation": (0.65, 0.82, -0.05),  # in love
    "Hope/Enthusiasm/Optimism": (0.43, 0.61, 0.24),  # hopeful, inspired
    "Triumph": (0.57, 0.69, 0.63),  # triumphant
    "Pride": (0.38, 0.77, 0.65),  # proud
    "Interest": (0.51, 0.64, 0.17),  # interested
    "Awe": (0.40, 0.18, -0.38),  # awed
    "Astonishment/Surprise": (0.88, 0.16, -0.15),  # astonished
    "Concentration": (0.28, 0.42, 0.39),  # concentrating
    "Contemplation": (-0.08, 0.23, 0.19),  # quiet, serious
    "Relief": (-0.33, 0.49, -0.11),  # relaxed, consoled
    "Longing": (0.06, 0.11, -0.25),  # lonely, loved
    "Teasing": (0.28, 0.22, 0.25),  # friendly, insolent
    "Impatience and Irritability": (0.38, -0.31, -0.04),  # mildly annoyed, tense
    "Sexual Lust": (0.62, 0.58, -0.01),  # sexually excited
    "Doubt": (0.21, -0.22, 0.03),  # skeptical
    "Fear": (0.60, -0.64, -0.43),  # fearful
    "Distress": (0.28, -0.61, -0.36),  # distressed
    "Confusion": (0.27, -0.53, -0.32),  # confused
    "Embarrassment": (0.54, -0.46, -0.24),  # embarrassed
    "Shame": (0.01, -0.57, -0.34),  # shamed
    "Disappointment": (-0.07, -0.57, -0.25),  # regretful, discouraged
    "Sadness": (-0.27, -0.63, -0.33),  # sad
    "Bitterness": (0.35, -0.35, 0.29),  # scornful
    "Contempt": (0.31, -0.23, 0.18),  # contempt
    "Disgust": (0.35, -0.60, 0.11),  # disgusted
    "Anger": (0.59, -0.51, 0.25),  # angry
    "Malevolence/Malice": (0.53, -0.42, 0.30),  # hostile
    "Sourness": (0.16, -0.55, -0.05),  # displeased
    "Pain": (0.41, -0.58, -0.34),  # pain
    "Helplessness": (0.42, -0.71, -0.51),  # helpless
    "Fatigue/Exhaustion": (-0.57, -0.18, -0.29),  # fatigued
    "Emotional Numbness": (-0.55, -0.37, -0.20),  # blasé, listless
    "Intoxication/Altered States of Consciousness": (-0.10, 0.10, -0.40),
    "Jealousy & Envy": (0.52, -0.60, -0.11),  # hate, frustrated
}
EMONET_SHORT = {  # spellings of the category names in use
    "Hope/Optimism": "Hope/Enthusiasm/Optimism",
    "Intoxication/Altered States": "Intoxication/Altered States of Consciousness",
}


class LabelRegions(nn.Module):
    """One axis-parallel Gaussian per label in A, V, D: fixed means, learnt standard deviations."""

    std: Tensor
    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([AVD_MEANS[name] for name in LABELS]), persistent=False)
        self.register_buffer("std", torch.full((len(LABELS), len(DIMENSIONS)), DEFAULT_STD))

    @torch.no_grad()
    def fit(self, avd: Tensor, labels: Tensor) -> None:
        """Set the standard deviations to those of maximum likelihood around the means, at least SMALLEST_STD.

        Args:
            avd: points [N, 3].
            labels: share of each label [N, K]; a label without any share keeps its spread.
        """
        weight = labels.sum(dim=0)[:, None]  # [K, 1]
        square = (avd[:, None, :] - self.mean).square()  # [N, K, 3]
        variance = (labels[:, :, None] * square).sum(dim=0) / weight.clamp_min(1e-6)
        self.std.copy_(torch.where(weight > 0, variance.sqrt().clamp_min(SMALLEST_STD), self.std))

    def distance(self, avd: Tensor) -> Tensor:
        """Return how many standard deviations points [..., 3] lie from the mean of each label [..., K]."""
        scaled = (avd[..., None, :] - self.mean) / self.std
        return scaled.square().sum(dim=-1).clamp_min(1e-12).sqrt()

    def labels_of(self, avd: Tensor, avd_std: Tensor | None = None) -> Tensor:
        """Return the label distribution [..., K] of points [..., 3], all labels being equally likely beforehand.

        Args:
            avd_std: uncertainty of the points [..., 3], which widens every region; None is none.
        """
        variance = self.std.square()
        if avd_std is not None:
            variance = variance + avd_std[..., None, :].square()
        square = (avd[..., None, :] - self.mean).square() / variance
        return (-0.5 * (square + variance.log()).sum(dim=-1)).softmax(dim=-1)

    def avd_of(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation [..., 3] of the mixture of regions that a distribution [..., K] describes."""
        mean = labels @ self.mean
        square = labels @ (self.std.square() + self.mean.square())
        return mean, (square - mean.square()).clamp_min(0.0).sqrt()


def parrott_of(labels: dict[str, float], tier: int = 1) -> dict[str, float]:
    """Add up label probabilities by the terms of Parrott's tree.

    Args:
        labels: probability per name of LABELS.
        tier: 1 for the primary terms (love, joy, surprise, anger, sadness, fear), 2 for the secondary ones.

    Returns:
        Probability per term, "other" for the labels without a place in the tree (neutral, bored).

    Raises:
        ValueError: another tier, or a name that is not a label.
    """
    if tier not in (1, 2):
        raise ValueError(f"tier must be 1 (primary) or 2 (secondary); got {tier}.")
    unknown = sorted(set(labels) - set(LABELS))
    if unknown:
        raise ValueError(f"labels must be names of {', '.join(LABELS)}; got {unknown[0]!r}.")
    sums: dict[str, float] = {}
    for name, share in labels.items():
        term = PARROTT[name][tier - 1] if name in PARROTT else OUTSIDE
        sums[term] = sums.get(term, 0.0) + share
    return sums


def emonet_of(avd: tuple[float, float, float], std: float = DEFAULT_STD) -> dict[str, float]:
    """Return a distribution over the 40 categories of EmoNet-Voice for a point of AVD space.

    Args:
        avd: arousal, valence, dominance in [-1, 1].
        std: spread of every category; smaller is sharper.
    """
    points = torch.tensor(list(EMONET.values()))
    square = (points - torch.tensor(avd)).square().sum(dim=-1) / std**2
    return dict(zip(EMONET, (-0.5 * square).softmax(dim=0).tolist(), strict=True))


def emonet_labels(name: str, regions: LabelRegions) -> dict[str, float]:
    """Return the label distribution of a category of EmoNet-Voice through its place in AVD.

    Raises:
        ValueError: no such category; spelling matters only in letters and digits.
    """
    known = {_plain(key): key for key in EMONET} | {_plain(key): value for key, value in EMONET_SHORT.items()}
    if _plain(name) not in known:
        raise ValueError(f"{name!r} is no category of EmoNet-Voice; the 40 are {', '.join(EMONET)}.")
    share = regions.labels_of(torch.tensor(EMONET[known[_plain(name)]]))
    return dict(zip(LABELS, share.tolist(), strict=True))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
