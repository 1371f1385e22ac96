"""The branches of a request, or of many requests, as one batch: encoded once, stacked, and their predictions blended again.

Comes in: `Branch`es and what the encoders made of each. Goes out: rows [K * B, ...], where the B rows of one of the K branches lie
together, so that one call of a network predicts for all of them; and the weighted sum of what it predicted [B, ...].
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from emotts.acoustic.blend import Branch, blend
from emotts.acoustic.condition import Condition, Keep
from emotts.emotion.space import EmotionInput


@dataclass
class Encoded:
    """An encoded request, for the reading and for the mel.

    Attributes:
        branches: the K branches of the request.
        content: [K * B, N, C]. speaker: [K * B, D]. emotion: [K * B, N, E].
    """

    branches: list[Branch]
    content: Tensor
    speaker: Tensor
    emotion: Tensor

    @property
    def mask(self) -> Tensor:
        """Real tokens [B, N], the same in all branches."""
        return self.branches[0].condition.mask

    @property
    def weights(self) -> list[float]:
        """The weight of each branch in what is no flow."""
        return [branch.weight for branch in self.branches]

    def rows(self, rows: Sequence[int]) -> "Encoded":
        """Return the request of some of the B utterances."""
        k = len(self.branches)
        kept = [x.unflatten(0, (k, -1))[:, rows].flatten(0, 1) for x in (self.content, self.speaker, self.emotion)]
        branches = [replace(branch, condition=_rows_of(branch.condition, rows)) for branch in self.branches]
        return Encoded(branches, *kept)


def fits_others(branches: Sequence[Branch]) -> bool:
    """Whether `joined_requests` takes a request: one that is read and told as `EmotionInput`, by a named voice."""
    conditions = [branch.condition for branch in branches]
    plain = all(c.speaker is None and c.content is None for c in conditions)
    return plain and all(isinstance(c.emotion, EmotionInput) for c in conditions)


def shape_of(branches: Sequence[Branch]) -> tuple[Any, ...]:
    """Return what requests must have in common to be joined: the weights of their branches and what these know."""
    return tuple((b.weight, b.early, b.late, b.keep is None, b.condition.language is None) for b in branches)


def joined_requests(requests: Sequence[Sequence[Branch]]) -> list[Branch]:
    """Join the branches of requests of one `shape_of`, B = 1 each, to branches of B utterances, filled up with padding."""
    lengths = torch.cat([branches[0].condition.lengths for branches in requests])
    size = int(lengths.max())

    def filled(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([F.pad(x, (0, 0) * (x.ndim - 2) + (0, size - x.shape[1])) for x in parts])  # [1, N, ...]

    joined: list[Branch] = []
    texts: tuple[Tensor, Tensor] | None = None
    for parts in zip(*requests, strict=True):
        told = [part.condition for part in parts]
        if texts is None or any(t.phonemes is not b[0].condition.phonemes for t, b in zip(told, requests, strict=True)):
            texts = (filled([c.phonemes for c in told]), filled([c.stresses for c in told]))
        emotions = [c.emotion for c in told]
        emotion = EmotionInput(
            *(filled([getattr(e, name) for e in emotions]) for name in ("labels", "label_known", "avd", "avd_known"))
        )
        languages = [c.language for c in told if c.language is not None]
        voice, language = torch.cat([c.voice for c in told]), torch.cat(languages) if languages else None
        if joined and language is not None:
            language = joined[0].condition.language
        keeps = [part.keep for part in parts if part.keep is not None]
        keep = Keep(torch.cat([k.content for k in keeps]), torch.cat([k.voice for k in keeps])) if keeps else None
        condition = Condition(*texts, lengths, voice, emotion, language=language)
        joined.append(replace(parts[0], condition=condition, keep=keep))
    return joined


def stacked(branches: Sequence[Branch], encoded: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Encoded:
    """Stack content [B, N, C], speaker [B, D] and emotion [B, N, E] of each branch."""
    content, speaker, emotion = (torch.cat(parts) for parts in zip(*encoded, strict=True))
    return Encoded(list(branches), content, speaker, emotion)


def blended(predictions: Tensor, weights: Sequence[float] | Tensor) -> Tensor:
    """Return the weighted sum [B, ...] of the predictions of K branches [K * B, ...]; one branch passes unchanged.

    Args:
        weights: K numbers, or a tensor [K] of them on the device.
    """
    return blend(predictions.chunk(len(weights)), weights)


def weights_at(branches: Sequence[Branch], times: Sequence[float]) -> list[list[float]]:
    """Return the weight of each branch at each of the times, S rows of K."""
    return [[branch.weight_at(t) for branch in branches] for t in times]


def _rows_of(condition: Condition, rows: Sequence[int]) -> Condition:
    """Return some utterances of a condition made by `joined_requests`."""
    index = list(rows)
    emotion = condition.emotion
    assert isinstance(emotion, EmotionInput)
    told = EmotionInput(emotion.labels[index], emotion.label_known[index], emotion.avd[index], emotion.avd_known[index])
    language = None if condition.language is None else condition.language[index]
    said = (condition.phonemes[index], condition.stresses[index], condition.lengths[index], condition.voice[index])
    return Condition(*said, told, language=language)
