"""Classifier guidance: gradients of the emotion recogniser on the estimate of the finished mel, towards and away from labels.

Comes in: label weights to go towards and to avoid. Goes out: a function from mel [B, T, M] and F0 [B, T] to gradients with their
strengths, for `AcousticModel.sample_mel`. After EmoDubber's flow-based user emotion controlling (Cong et al. 2025), arXiv
2412.08988, with two departures: the recogniser reads the one-step estimate of x_1, so that it need not know noise; and each
gradient is scaled to the velocity's length, so that a strength means the same at every time and in every model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from emotts.emotion.labels import LABEL_INDEX, LABELS
from emotts.emotion.place import Track
from emotts.emotion.recognizer import Recognizer, Statistics

Shares = tuple[tuple[str, float], ...]


def labels_of(track: Track) -> tuple[Shares, Shares]:
    """Return the labels that a track asks for with their weights, and all others with weight 1.

    Raises:
        ValueError: it asks for dimensions alone, of which the recogniser's labels know nothing.
    """
    weights = dict(zip(LABELS, track.labels.mean(axis=0).tolist(), strict=True))
    total = sum(weights.values())
    if total == 0.0 and not track.label_known.all():
        raise ValueError("classifier guidance goes towards labels; name one, such as angry:0.5,arousal=0.8.")
    weights["neutral"] = max(0.0, 1.0 - total)
    towards = tuple((name, weight) for name, weight in weights.items() if weight > 0.0)
    return towards, tuple((name, 1.0) for name in LABELS if weights[name] == 0.0)


@dataclass(frozen=True)
class ClassifierGuidance:
    """Push mels towards some labels and away from others, as the recogniser hears them.

    Attributes:
        model: reads mels; its weights take no gradient.
        towards, away: labels with their weight.
        strength: of the push towards, as a part of the velocity's length (alpha); strength_away: of the other (beta).
        voice: statistics of the speaker's neutral voice, with which the recogniser compares; None where it is not known.
    """

    model: Recognizer
    towards: Shares
    away: Shares = ()
    strength: float = 0.3
    strength_away: float = 0.0
    voice: Statistics | None = None

    def __call__(self, mel: Tensor, f0: Tensor) -> Sequence[tuple[float, Tensor]]:
        """Return (strength, gradient [B, T, M]) pairs; a strength of 0 is left out."""
        with torch.inference_mode(False), torch.enable_grad():
            leaf = mel.detach().clone().requires_grad_(True)
            probability = self._probabilities(leaf, f0.detach().clone())  # [B, K]
            wishes = [(self.strength, self.towards, 1.0), (self.strength_away, self.away, -1.0)]
            pushes = []
            for strength, labels, sign in wishes:
                if strength == 0.0 or not labels:
                    continue
                goal = torch.log((probability * _shares(labels).to(probability)).sum(dim=-1) + 1e-8).sum()
                (gradient,) = torch.autograd.grad(goal, leaf, retain_graph=True)
                pushes.append((strength, sign * gradient.detach()))
        return pushes

    def _probabilities(self, mel: Tensor, f0: Tensor) -> Tensor:
        n = len(mel)
        lengths = torch.full((n,), mel.shape[1], device=mel.device)
        weight = None if self.voice is None else torch.ones(n, 1, device=mel.device)
        features = torch.cat([mel, f0[..., None]], dim=-1)
        voice = None if self.voice is None else Statistics(*(x.detach().clone() for x in vars(self.voice).values()))
        heard = self.model(features, lengths, None, voice, weight)
        return self.model.probabilities(heard.logits, self.voice is not None)[:, 0]


def _shares(labels: Sequence[tuple[str, float]]) -> Tensor:
    """Return weights [K] that add up to 1."""
    weights = torch.zeros(len(LABELS))
    for name, weight in labels:
        weights[LABEL_INDEX[name]] += weight
    return weights / weights.sum()
