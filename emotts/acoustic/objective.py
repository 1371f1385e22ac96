"""What the acoustic model is trained on: named losses of prosody prior, prosody flow, frame contour, mel prior and mel flow.

Comes in: a Condition and a Target. Goes out: a dict of scalar losses. Each flow learns the residual around its own prior, with
the prior's gradient stopped, so that the prior stays the conditional mean or median and the flow learns only what varies.

The terms `*_mean` are squared errors of averages over the utterance. Emotion moves level, tilt and register of a whole utterance by
little against what varies from sound to sound; there the averages see it clearly. The conditional mean minimises them too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from emotts.acoustic.condition import Condition, Keep
from emotts.acoustic.flow import flow_loss, interpolate, sample_times, skip_scale
from emotts.acoustic.model import AcousticModel
from emotts.emotion.space import EmotionInput
from emotts.layers import frame_to_token, lengths_to_mask
from emotts.prosody import Prosody

WEIGHTS = {
    "prosody": 1.0,
    "prosody_mean": 4.0,
    "prosody_flow": 0.5,
    "prosody_flow_mean": 2.0,
    "voicing": 0.5,
    "contour": 0.5,
    "mel": 2.0,
    "mel_mean": 4.0,
    "mel_flow": 1.0,
    "mel_flow_mean": 4.0,
}
RESIDUAL_MOMENTUM = 0.02  # how fast the residual scales follow the training; small is steady


@dataclass
class Target:
    """The recording that a Condition should become.

    Attributes:
        durations: frames per token [B, N].
        features: raw token features [B, N, 4]: log frames, two F0 anchors (log2 Hz less the voice's mean), log energy.
        feature_weight: how much each counts [B, N, 4]; F0 counts less where nothing is voiced.
        f0: Hz per frame [B, T], 0 unvoiced.
        contour: the line through the anchors [B, T], log2 Hz less the voice's mean.
        mel: natural log magnitudes [B, T, M].
    """

    durations: Tensor
    features: Tensor
    feature_weight: Tensor
    f0: Tensor
    contour: Tensor
    mel: Tensor

    def to(self, device: torch.device) -> "Target":
        return Target(
            *(
                x.to(device)
                for x in (self.durations, self.features, self.feature_weight, self.f0, self.contour, self.mel)
            )
        )


@dataclass(frozen=True)
class Dropout:
    """How often a training row forgets a condition, each for guidance or for requests that leave it open.

    `dimension` is how often a row knows only some of arousal, valence, dominance; each is then forgotten or not by a coin.
    """

    emotion: float = 0.08
    label: float = 0.2
    dimension: float = 0.3
    voice: float = 0.03
    content: float = 0.03


def draw_dropout(
    condition: Condition, dropout: Dropout, generator: torch.Generator, trust: Tensor | None = None
) -> tuple[Condition, Keep]:
    """Forget parts of the condition at random, each row for itself; a dimension is shown as often as it is trusted [B, 3]."""
    n = len(condition.voice)

    def kept(probability: float, *shape: int) -> Tensor:
        return (torch.rand((n, *shape), generator=generator) >= probability).to(condition.voice.device)

    assert isinstance(condition.emotion, EmotionInput), "sums are for sampling"
    whole, label = kept(dropout.emotion), kept(dropout.label)
    dimensions = kept(dropout.dimension)[:, None] | kept(0.5, 3)
    if trust is not None:
        dimensions &= torch.rand(trust.shape, generator=generator).to(trust.device) < trust
    emotion = condition.emotion.masked(whole & label, whole[:, None] & dimensions)
    return condition.feeling(emotion), Keep(kept(dropout.content), kept(dropout.voice))


class Residuals:
    """Second moments of the residuals of a step, whose parts may be of several batches and processes; see Gathered in training.

    The flows see residuals in units of scales that follow these moments once the step is done.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def clear(self) -> None:
        """Forget; the step begins, or begins anew."""
        self._sums = {}

    @torch.no_grad()
    def add(self, name: str, residual: Tensor, weight: Tensor) -> None:
        """Take in the residual [B, N, F] of "prosody" or "mel"."""
        both = torch.stack([(residual**2 * weight).sum(dim=(0, 1)), weight.sum(dim=(0, 1))])
        self._sums[name] = self._sums[name] + both if name in self._sums else both

    @torch.no_grad()
    def settle(self, model: AcousticModel, sum_over_ranks: Callable[[Tensor], Tensor]) -> None:
        """Move the scales of the model."""
        for name, scale in (("prosody", model.prosody.residual_std), ("mel", model.residual_std)):
            if name in self._sums:
                squares, weight = sum_over_ranks(self._sums[name])
                _move(scale, squares / weight.clamp_min(1.0))


def loss_counts(condition: Condition, target: Target) -> dict[str, Tensor]:
    """Return what each loss of acoustic_losses is a mean over, so that batches in parts can be averaged rightly."""
    frames = target.durations.sum()
    voiced, rows = (target.f0 > 0).sum(), torch.tensor(len(condition.voice))
    tokens = (target.feature_weight * condition.mask[:, :, None]).sum()
    mel = frames * target.mel.shape[-1]
    return {
        "prosody": tokens, "prosody_mean": rows, "prosody_flow": tokens, "prosody_flow_mean": rows, "voicing": frames,
        "contour": voiced, "mel": mel, "mel_mean": rows, "mel_flow": mel, "mel_flow_mean": rows,
    }  # fmt: skip


def acoustic_losses(
    model: AcousticModel,
    condition: Condition,
    target: Target,
    generator: torch.Generator,
    dropout: Dropout,
    residuals: Residuals | None = None,
    trust: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return the named losses of one batch; their weights are in WEIGHTS.

    Args:
        residuals: takes in what the scales of residuals follow, to settle them after the step; None moves them at once.
        trust: in arousal, valence and dominance [B, 3], from 0 to 1; None trusts what is known.
    """
    device = target.mel.device
    condition, keep = draw_dropout(condition, dropout, generator, trust)
    mask = condition.mask
    lengths = target.durations.sum(dim=1)
    frame_mask = lengths_to_mask(lengths, target.mel.shape[1])
    content, speaker, emotion = model.encode(condition, keep)
    prosody = model.prosody
    token_condition = prosody.condition(speaker, emotion)

    prior, hidden = prosody.prior(content, token_condition, mask)
    wanted = prosody.normalise(target.features)
    weight = target.feature_weight * mask[:, :, None]
    error = prior.float() - wanted
    losses = {"prosody": _weighted(error**2, weight), "prosody_mean": _mean_error(error, weight)}

    residual = wanted - prior.float().detach()
    _follow(model, "prosody", residual, weight, residuals)
    x_1 = residual / prosody.residual_std
    x_0, t = _noise(x_1, generator, device)
    x_t = interpolate(x_0, x_1, t)
    velocity = skip_scale(t)[:, None, None] * x_t + prosody.velocity(x_t, t, hidden, token_condition, mask).float()
    error = velocity - (x_1 - x_0)
    losses |= {"prosody_flow": _weighted(error**2, weight), "prosody_flow_mean": _mean_error(error, weight)}

    relative = model.relative_log_f0(target.f0, model.register_of(condition))
    index = frame_to_token(target.durations, target.mel.shape[1])
    fine = prosody.frames(hidden, speaker, target.durations, index, target.contour, frame_mask).float()
    voiced = (target.f0 > 0) & frame_mask
    losses["voicing"] = _weighted(
        F.binary_cross_entropy_with_logits(fine[..., 0], voiced.float(), reduction="none"), frame_mask.float()
    )
    losses["contour"] = _weighted((fine[..., 1] - 10.0 * (relative - target.contour)).abs(), voiced.float())

    given = Prosody(target.durations, target.f0, wanted[..., 3])
    rows, mu, summary = model.trunk(content, token_condition, emotion, given, relative, mask, frame_mask)
    mel = (target.mel - model.mel_mean) / model.mel_std
    frames = frame_mask.float()[:, :, None].expand_as(mel)
    error = mu.float() - mel
    losses |= {"mel": _weighted(error.abs(), frames), "mel_mean": _mean_error(error, frames)}

    residual = mel - mu.float().detach()
    _follow(model, "mel", residual, frames, residuals)
    x_1 = residual / model.residual_std
    x_0, t = _noise(x_1, generator, device)
    x_t = interpolate(x_0, x_1, t)
    output = model.estimator(x_t, t, mu.detach(), rows, summary, frame_mask)
    velocity = skip_scale(t)[:, None, None] * x_t + output.float()
    return losses | {
        "mel_flow": flow_loss(velocity, x_0, x_1, frame_mask),
        "mel_flow_mean": _mean_error(velocity - (x_1 - x_0), frames),
    }


def total(losses: dict[str, Tensor]) -> Tensor:
    """Return the weighted sum."""
    return torch.stack([WEIGHTS[name] * value for name, value in losses.items()]).sum()


def _noise(x_1: Tensor, generator: torch.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
    x_0 = torch.randn(x_1.shape, generator=generator).to(device)
    return x_0, sample_times(len(x_1), generator).to(device)


def _weighted(value: Tensor, weight: Tensor) -> Tensor:
    return (value * weight).sum() / weight.sum().clamp_min(1.0)


def _mean_error(error: Tensor, weight: Tensor) -> Tensor:
    """Return the squared average over each utterance of error [B, T, C], averaged over utterances and channels."""
    return ((error * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1.0)).square().mean()


def _follow(model: AcousticModel, name: str, residual: Tensor, weight: Tensor, residuals: Residuals | None) -> None:
    """Let the running residual scales follow a batch in training."""
    if not model.training:
        return
    taking = Residuals() if residuals is None else residuals
    taking.add(name, residual, weight)
    if residuals is None:
        taking.settle(model, lambda value: value)


def _move(scale: Tensor, variance: Tensor) -> None:
    """Move the running residual scale [F] towards the standard deviation of this step."""
    scale.lerp_(variance.sqrt().clamp(0.02, 3.0), RESIDUAL_MOMENTUM)
