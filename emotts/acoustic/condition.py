"""What the acoustic model is told about a batch of utterances, and which parts of it count."""

from dataclasses import dataclass

import torch
from torch import Tensor

from emotts.emotion.space import EmotionInput, EmotionSum
from emotts.layers import lengths_to_mask


@dataclass
class Condition:
    """Everything the acoustic model is told.

    Attributes:
        phonemes, stresses: token ids [B, N].
        lengths: real tokens [B].
        voice: voice indices [B].
        emotion: what is known of the emotion per token, or several of these whose embeddings are added.
    """

    phonemes: Tensor
    stresses: Tensor
    lengths: Tensor
    voice: Tensor
    emotion: EmotionInput | EmotionSum

    @property
    def mask(self) -> Tensor:
        """Real tokens [B, N]."""
        return lengths_to_mask(self.lengths, self.phonemes.shape[1])

    def to(self, device: torch.device) -> "Condition":
        return Condition(
            self.phonemes.to(device),
            self.stresses.to(device),
            self.lengths.to(device),
            self.voice.to(device),
            self.emotion.to(device),
        )

    def without_emotion(self) -> "Condition":
        """Return the same request with nothing known of the emotion, for guidance."""
        return Condition(self.phonemes, self.stresses, self.lengths, self.voice, self.emotion.forgotten())


@dataclass
class Keep:
    """Which conditions a training row keeps (classifier-free dropout): content, voice and emotion, each [B] boolean."""

    content: Tensor
    voice: Tensor
