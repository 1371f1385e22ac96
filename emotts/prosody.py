"""Durations, F0 and energy given content, speaker and emotion: a prior per token and a flow of what varies between readings.

Comes in: content [B, N, C], speaker [B, D], emotion [B, N, E]. Goes out: per token a log duration, two F0 anchors (the means of
its halves) and an energy, and per frame an F0 contour with voicing. The prior is the conditional mean; a residual flow samples
readings around it, so that a seed is a reading. Durations are explicit, as in FastSpeech 2 (Ren et al. 2021, arXiv 2006.04558).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emotts.layers import BlockStack, TimeEmbedding, expand_tokens, frame_to_token
from emotts.prosody_flow import FEATURES, ProsodyFlow

DURATION_OFFSET = 0.5  # frames; keeps the logarithm finite for tokens without frames
F0_MIN, F0_MAX = 50.0, 620.0  # Hz; contours are kept inside what the vocoder's pulses can follow


@dataclass
class Prosody:
    """A reading of one batch.

    Attributes:
        durations: whole frames per token [B, N].
        f0: Hz per frame [B, T], 0 where unvoiced.
        energy: log energy per token, normalised [B, N].
    """

    durations: Tensor
    f0: Tensor
    energy: Tensor

    @property
    def lengths(self) -> Tensor:
        """Frames of each utterance [B]."""
        return self.durations.sum(dim=1)


@dataclass
class Reading:
    """How N tokens are read, before that becomes frames: what a user may edit.

    Attributes:
        durations: frames [N], 93.75 per second; whole numbers are kept, others are rounded at their borders.
        log_f0: log2 Hz at a quarter and three quarters of each token [N, 2].
        energy: natural log of the mean mel magnitude [N].
    """

    durations: np.ndarray
    log_f0: np.ndarray
    energy: np.ndarray


EditReading = Callable[[Reading], Reading]


def duration_to_log(durations: Tensor) -> Tensor:
    """Map frames to the log scale of the model, finite at 0."""
    return torch.log(durations.float() + DURATION_OFFSET)


def log_to_duration(log_durations: Tensor, mask: Tensor, minimum: Tensor, speed: float = 1.0) -> Tensor:
    """Turn log durations [B, N] into whole frames, rounding the token borders so that the total tempo is kept.

    Args:
        log_durations: as `duration_to_log` gives them.
        mask: real tokens [B, N].
        minimum: least frames of each token [B, N].
        speed: above 1 is faster.
    """
    return whole_frames(log_to_frames(log_durations, mask, minimum, speed), mask, minimum)


def log_to_frames(log_durations: Tensor, mask: Tensor, minimum: Tensor, speed: float = 1.0) -> Tensor:
    """Turn log durations [B, N] into frames that need not be whole; arguments as in `log_to_duration`."""
    frames = ((log_durations.exp() - DURATION_OFFSET) / speed).clamp_min(0.0)
    return torch.maximum(frames, minimum.float()) * mask


def whole_frames(frames: Tensor, mask: Tensor, minimum: Tensor) -> Tensor:
    """Round the borders of tokens that last `frames` [B, N] to whole frames; whole numbers stay as they are."""
    borders = torch.round(frames.cumsum(dim=1))
    durations = torch.diff(borders, prepend=torch.zeros_like(borders[:, :1]), dim=1).long()
    return torch.maximum(durations, minimum.long()) * mask


def token_positions(durations: Tensor, index: Tensor) -> Tensor:
    """Return where each frame lies in its token: features [B, T, 3] of place from the start, from the end, and log duration."""
    frames = torch.arange(index.shape[1], device=index.device)[None, :]
    start = torch.gather(durations.cumsum(1) - durations, 1, index)
    length = torch.gather(durations, 1, index).clamp_min(1)
    place = ((frames - start).float() + 0.5) / length
    place = place.clamp(0.0, 1.0)
    return torch.stack([place, 1.0 - place, length.float().log() * 0.5], dim=-1)


def contour_from_anchors(anchors: Tensor, durations: Tensor, n_frames: int) -> Tensor:
    """Join the anchors of one utterance [N, 2], at a quarter and three quarters of each token, into a line [T]."""
    spoken = durations > 0
    anchors, durations = anchors[spoken], durations[spoken].to(anchors.dtype)
    start = durations.cumsum(0) - durations
    times = torch.stack([start + 0.25 * durations, start + 0.75 * durations], dim=-1).flatten()
    values = anchors.flatten()
    frames = torch.arange(n_frames, device=anchors.device, dtype=anchors.dtype) + 0.5
    right = torch.searchsorted(times, frames).clamp(1, len(times) - 1)
    weight = ((frames - times[right - 1]) / (times[right] - times[right - 1]).clamp_min(1e-6)).clamp(0.0, 1.0)
    return values[right - 1] + weight * (values[right] - values[right - 1])


class ProsodyModel(ProsodyFlow):
    """Prior and residual flow over token features; voicing and fine contour per frame."""

    mean: Tensor
    std: Tensor
    residual_std: Tensor

    def __init__(
        self,
        content: int,
        speaker: int,
        emotion: int,
        channels: int = 192,
        prior: str = "ccacc",
        flow: str = "cacc",
        frame_channels: int = 96,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        n = len(FEATURES)
        condition = speaker + emotion
        self.enter = nn.Linear(content, channels)
        self.prior_blocks = BlockStack(prior, channels, condition, kernel_size=5, dropout=dropout)
        self.prior_head = nn.Linear(channels, n)
        self.flow_enter = nn.Linear(n + channels, channels)
        self.time = TimeEmbedding(channels)
        self.flow_blocks = BlockStack(flow, channels, condition + channels, kernel_size=5)
        self.flow_head = nn.Linear(channels, n)
        nn.init.zeros_(self.flow_head.weight)
        nn.init.zeros_(self.flow_head.bias)
        self.frame_enter = nn.Linear(channels + 4, frame_channels)
        self.frame_blocks = BlockStack("cc", frame_channels, speaker, kernel_size=7)
        self.frame_head = nn.Linear(frame_channels, 2)
        self.register_buffer("mean", torch.zeros(n))
        self.register_buffer("std", torch.ones(n))
        self.register_buffer("residual_std", torch.ones(n))

    def condition(self, speaker: Tensor, emotion: Tensor) -> Tensor:
        """Join speaker [B, D] and emotion [B, N, E] to the condition of every token [B, N, D + E]."""
        return torch.cat([speaker[:, None, :].expand(-1, emotion.shape[1], -1), emotion], dim=-1)

    def prior(self, content: Tensor, condition: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the conditional mean of the normalised token features [B, N, F] and the hidden rows [B, N, C]."""
        hidden = self.prior_blocks(self.enter(content), mask, condition)
        return self.prior_head(hidden), hidden

    def frames(
        self, hidden: Tensor, speaker: Tensor, durations: Tensor, index: Tensor, contour: Tensor, mask: Tensor
    ) -> Tensor:
        """Return voicing logit and contour correction (units of 0.1 octave) per frame [B, T, 2].

        Args:
            hidden: token rows [B, N, C].
            contour: log2 F0 from the anchors, less the voice's mean [B, T].
            index: token of each frame [B, T]; mask: real frames [B, T].
        """
        x = torch.cat([expand_tokens(hidden, index), token_positions(durations, index), contour[..., None]], dim=-1)
        x = self.frame_blocks(self.frame_enter(x), mask, speaker[:, None, :])
        return self.frame_head(x)

    def normalise(self, features: Tensor) -> Tensor:
        """Scale raw features [B, N, F] (log frames, log2 F0 less the voice's mean, log energy) to zero mean and unit variance."""
        return (features - self.mean) / self.std

    def denormalise(self, features: Tensor) -> Tensor:
        """Undo `normalise`."""
        return features * self.std + self.mean


def finish_reading(
    model: ProsodyModel,
    features: Tensor,
    hidden: Tensor,
    speaker: Tensor,
    mean_log_f0: Tensor,
    mask: Tensor,
    minimum: Tensor,
    speed: float = 1.0,
    pitch_st: float = 0.0,
    edit: EditReading | Sequence[EditReading] | None = None,
) -> Prosody:
    """Turn normalised token features [B, N, F] into durations, F0 and energy.

    Args:
        mean_log_f0: log2 of the voices' mean F0 [B].
        minimum: least frames of each token [B, N].
        speed: above 1 is faster. pitch_st: semitones added to the contour.
        edit: of each utterance, applied to its reading of real tokens, speed and pitch included.
    """
    raw = model.denormalise(features.float())
    raw[..., 1:3] += mean_log_f0[:, None, None] + pitch_st / 12.0
    frames = log_to_frames(raw[..., 0], mask, minimum, speed)
    if edit is not None:
        frames, raw = _edited([edit] if callable(edit) else edit, frames, raw, mask)
    durations = whole_frames(frames, mask, minimum)
    lengths = durations.sum(dim=1)
    n_frames = int(lengths.max())
    index = frame_to_token(durations, n_frames)
    frame_mask = torch.arange(n_frames, device=mask.device)[None, :] < lengths[:, None]
    contour = torch.stack(
        [
            F.pad(contour_from_anchors(anchors, d, int(n)), (0, n_frames - int(n)))
            for anchors, d, n in zip(raw[..., 1:3], durations, lengths, strict=True)
        ]
    )
    relative = contour - mean_log_f0[:, None] - pitch_st / 12.0
    fine = model.frames(hidden, speaker, durations, index, relative, frame_mask).float()
    log_f0 = contour + 0.1 * fine[..., 1].clamp(-3.0, 3.0)
    voiced = (fine[..., 0] > 0.0) & frame_mask
    f0 = torch.where(voiced, torch.exp2(log_f0).clamp(F0_MIN, F0_MAX), torch.zeros_like(log_f0))
    return Prosody(durations, f0, model.normalise(raw)[..., 3])


def _edited(edits: Sequence[EditReading], frames: Tensor, raw: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return frames [B, N] and raw features [B, N, 4] as edited, each utterance by its own edit."""
    frames, raw = frames.clone(), raw.clone()
    for row, (edit, n) in enumerate(zip(edits, mask.sum(dim=1).tolist(), strict=True)):
        told = raw[row, :n].cpu().numpy()
        edited = edit(Reading(frames[row, :n].cpu().numpy(), told[:, 1:3], told[:, 3]))
        raw[row, :n, 1:3] = torch.as_tensor(edited.log_f0).to(raw)
        raw[row, :n, 3] = torch.as_tensor(edited.energy).to(raw)
        frames[row, :n] = torch.as_tensor(edited.durations).to(frames)
    return frames, raw
