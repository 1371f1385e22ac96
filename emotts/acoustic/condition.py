"""What the acoustic model is told about a batch of utterances, and which parts of it count."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from emotts.emotion.space import EmotionInput, EmotionSum
from emotts.layers import lengths_to_mask
from emotts.speaker.known import Speaker


@dataclass
class Condition:
    """Everything the acoustic model is told.

    Attributes:
        phonemes, stresses: token ids [B, N].
        lengths: real tokens [B].
        voice: voice indices [B].
        emotion: what is known of the emotion per token, or several of these whose embeddings are added.
        speaker: the voices where they are no named ones; `voice` does not count then.
        content: what is said [B, N, C] where it was heard and not read; the phonemes do not count then.
        language: places in the text encoder's languages [B]; None is the first, and without languages it does not count.
    """

    phonemes: Tensor
    stresses: Tensor
    lengths: Tensor
    voice: Tensor
    emotion: EmotionInput | EmotionSum
    speaker: Speaker | None = None
    content: Tensor | None = None
    language: Tensor | None = None

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
            None if self.speaker is None else self.speaker.to(device),
            None if self.content is None else self.content.to(device),
            None if self.language is None else self.language.to(device),
        )

    def without_emotion(self) -> "Condition":
        """Return the same request with nothing known of the emotion, for guidance."""
        return replace(self, emotion=self.emotion.forgotten())

    def feeling(self, emotion: EmotionInput | EmotionSum) -> "Condition":
        """Return the same request with another emotion."""
        return replace(self, emotion=emotion)


@dataclass
class Keep:
    """Which conditions a training row keeps (classifier-free dropout): content, voice and emotion, each [B] boolean."""

    content: Tensor
    voice: Tensor
