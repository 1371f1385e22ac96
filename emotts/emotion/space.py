"""The learned emotion space: label weights and arousal, valence, dominance, each optional, to an embedding per token.

Comes in: label weights [B, N, K] and AVD [B, N, 3] with what is known of them. Goes out: emotion [B, N, E]. Discrete and
dimensional input share one space as in UDDETTS (arXiv 2505.10599); what is missing is masked, not guessed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emotts.emotion.labels import DIMENSIONS, LABELS

N_FREQUENCIES = 4


@dataclass
class EmotionInput:
    """What is known of the emotion, per token.

    Attributes:
        labels: weight times intensity of each label [B, N, K]; the neutral label carries no weight, so all zeros is neutral.
        label_known: [B, N], False where no label was given.
        avd: arousal, valence, dominance in [-1, 1], [B, N, 3].
        avd_known: [B, N, 3], False where a dimension was not given.
    """

    labels: Tensor
    label_known: Tensor
    avd: Tensor
    avd_known: Tensor

    def to(self, device: torch.device) -> "EmotionInput":
        return EmotionInput(*(x.to(device) for x in (self.labels, self.label_known, self.avd, self.avd_known)))

    def masked(self, keep_label: Tensor, keep_avd: Tensor) -> "EmotionInput":
        """Forget labels where keep_label [B] is False and dimensions where keep_avd [B, 3] is False."""
        return EmotionInput(
            self.labels, self.label_known & keep_label[:, None], self.avd, self.avd_known & keep_avd[:, None, :]
        )

    def forgotten(self) -> "EmotionInput":
        """Return the same shape with nothing known: the unconditional emotion."""
        return EmotionInput(self.labels, torch.zeros_like(self.label_known), self.avd, torch.zeros_like(self.avd_known))


@dataclass
class EmotionSum:
    """Several emotions whose embeddings are added, each times its weight."""

    parts: list[EmotionInput]
    weights: list[float]

    def to(self, device: torch.device) -> "EmotionSum":
        return EmotionSum([part.to(device) for part in self.parts], self.weights)

    def forgotten(self) -> EmotionInput:
        """Return the same shape with nothing known."""
        return self.parts[0].forgotten()


class EmotionSpace(nn.Module):
    """Map an EmotionInput to embeddings of the emotion space."""

    def __init__(self, dim: int = 96, hidden: int = 192) -> None:
        super().__init__()
        n_features = len(LABELS) + 1 + len(DIMENSIONS) * (2 + 2 * N_FREQUENCIES)
        self.dim = dim
        self.network = nn.Sequential(
            nn.Linear(n_features, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, dim)
        )

    def forward(self, emotion: EmotionInput | EmotionSum) -> Tensor:
        """Return the emotion embedding [B, N, E]."""
        if isinstance(emotion, EmotionSum):
            return torch.stack([w * self(x) for x, w in zip(emotion.parts, emotion.weights, strict=True)]).sum(dim=0)
        return self.network(self.features(emotion))

    def features(self, emotion: EmotionInput) -> Tensor:
        """Return masked label weights and AVD Fourier features with their known flags [B, N, features]."""
        label_known = emotion.label_known[..., None].float()
        known = emotion.avd_known.float()  # [B, N, 3]
        order = torch.arange(1, N_FREQUENCIES + 1, device=known.device)
        angle = emotion.avd[..., None] * order * (torch.pi / 2)  # [B, N, 3, F]
        waves = torch.cat([angle.sin(), angle.cos()], dim=-1) * known[..., None]
        return torch.cat(
            [emotion.labels * label_known, label_known, emotion.avd * known, known, waves.flatten(-2)], dim=-1
        )
