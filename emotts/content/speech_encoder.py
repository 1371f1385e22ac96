"""Recordings at the door of the model: log mels [B, T, M] come in, what is said goes out, frame by frame.

Content [B, T, C] lies in the space of the text encoder's output, which knows neither voice nor emotion; beside it come the
phonemes, where they begin, and what kind of sound a frame is. Only convolutions: what a frame says depends on `reach` frames
on either side, so that a stream hears what a file does. The use of phonetic posteriors as content follows Sun et al.,
"Phonetic posteriorgrams for many-to-one voice conversion without parallel data training" (2016).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emotts.audio import SPEC
from emotts.layers import BlockStack
from emotts.text.symbols import PHONEMES, STRESSES

MEL_MEAN, MEL_SCALE = -2.0, 2.5  # bring log mels near zero mean and unit variance
MEL_FLOOR = -5.0  # what lies deeper is nothing, be it digital silence or the band that a telephone lacks
ACTIVITIES = ("silence", "speech", "other", "overlap")  # other: music, noise, laughter; overlap: two people at once
CONDITION = 8  # width of the blocks' condition, which is learned and the same for all


@dataclass(frozen=True)
class Heard:
    """What a recording says.

    Attributes:
        content: [B, T, C] in the space of the text encoder.
        phonemes: logits over the alphabet [B, T, P]. stresses: logits [B, T, 3].
        begins: logit that a frame is the first of its phoneme [B, T].
        activity: logits over ACTIVITIES [B, T, 4].
    """

    content: Tensor
    phonemes: Tensor
    stresses: Tensor
    begins: Tensor
    activity: Tensor


class SpeechEncoder(nn.Module):
    """Hear content, phonemes and activity in a mel.

    Attributes:
        content_mean, content_scale: of the text encoder's output [C]; the network speaks in units of these.
        kept: projection [C, C] of content about `centre` [C] by which the voice is taken out, see erasure.py.
    """

    content_mean: Tensor
    content_scale: Tensor
    kept: Tensor
    centre: Tensor

    def __init__(
        self,
        content: int = 192,
        n_mels: int = SPEC.n_mels,
        channels: int = 256,
        layout: str = "cccccccc",
        kernel_size: int = 5,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if set(layout) != {"c"}:
            raise ValueError(
                f"the speech encoder's layout must be convolutions alone, so that it streams; got {layout!r}."
            )
        self.reach = len(layout) * (kernel_size // 2)
        self.enter = nn.Linear(n_mels, channels)
        self.condition = nn.Parameter(torch.zeros(1, 1, CONDITION))
        self.blocks = BlockStack(layout, channels, CONDITION, kernel_size, dropout)
        self.norm = nn.LayerNorm(channels)
        self.content = nn.Linear(channels, content)
        self.register_buffer("content_mean", torch.zeros(content))
        self.register_buffer("content_scale", torch.ones(content))
        self.register_buffer("kept", torch.eye(content))
        self.register_buffer("centre", torch.zeros(content))
        self.sounds = nn.Linear(channels, len(PHONEMES) + len(STRESSES) + 1 + len(ACTIVITIES))

    def forward(self, mel: Tensor, mask: Tensor) -> Heard:
        """Hear a mel.

        Args:
            mel: natural-log magnitudes of the bundled front end [B, T, M].
            mask: real frames [B, T].
        """
        x = self.enter((mel.clamp_min(MEL_FLOOR) - MEL_MEAN) / MEL_SCALE)
        x = self.norm(self.blocks(x, mask, self.condition.expand(len(x), 1, -1)))
        sizes = [len(PHONEMES), len(STRESSES), 1, len(ACTIVITIES)]
        phonemes, stresses, begins, activity = self.sounds(x).split(sizes, dim=-1)
        content = self.centre + (self.content(x).float() - self.centre) @ self.kept
        content = self.content_mean + self.content_scale * content
        return Heard(content, phonemes, stresses, begins[..., 0], activity)
