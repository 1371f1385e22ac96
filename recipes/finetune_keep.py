"""What the old model says for its voices, as a loss: two models and a batch come in, how far they differ goes out.

No recording of the old voices is needed: the sentences of the new corpus are given to old voices in other feelings, and the new
model should answer what the old one does, after Li & Hoiem, "Learning without Forgetting" (2016), arXiv 1606.09282.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from emotts.acoustic.condition import Condition
from emotts.acoustic.flow import interpolate, sample_times
from emotts.acoustic.model import AcousticModel
from emotts.acoustic.objective import WEIGHTS, Target
from emotts.emotion.labels import AVD_MEANS, LABELS
from emotts.emotion.space import EmotionInput
from emotts.layers import frame_to_token, lengths_to_mask
from emotts.prosody import Prosody

NEUTRAL_SHARE = 0.25
MOST_INTENSITY = 1.2
EVERY = 2  # rows of the batch; half of them say enough and cost half


def keep_losses(
    model: AcousticModel,
    teacher: AcousticModel,
    condition: Condition,
    target: Target,
    voices: Sequence[int],
    generator: torch.Generator,
) -> Tensor:
    """Return the weighted difference between what both say for old voices.

    Args:
        voices: rows of the old voices, the same in both models.
        generator: draws voices, feelings and noise.
    """
    told, given = _half(condition, target)
    relative = model.relative_log_f0(given.f0, model.register_of(told))
    asked = as_old_voices(told, voices, generator)
    noise = _noise(given, generator)
    with torch.no_grad():
        wanted = _answers(teacher, asked, given, relative, noise)
    found = _answers(model, asked, given, relative, noise)
    losses = [WEIGHTS[name] * _error(found[name], *wanted[name]) for name in wanted]
    return torch.stack(losses).sum()


def _half(condition: Condition, target: Target) -> tuple[Condition, Target]:
    """Return every second row."""
    emotion = condition.emotion
    assert isinstance(emotion, EmotionInput)
    tensors = (emotion.labels, emotion.label_known, emotion.avd, emotion.avd_known)
    few = replace(
        condition,
        phonemes=condition.phonemes[::EVERY],
        stresses=condition.stresses[::EVERY],
        lengths=condition.lengths[::EVERY],
        voice=condition.voice[::EVERY],
        language=None if condition.language is None else condition.language[::EVERY],
        emotion=EmotionInput(*(x[::EVERY] for x in tensors)),
    )
    return few, Target(
        *(
            x[::EVERY]
            for x in (target.durations, target.features, target.feature_weight, target.f0, target.contour, target.mel)
        )
    )


def as_old_voices(condition: Condition, voices: Sequence[int], generator: torch.Generator) -> Condition:
    """Give each row an old voice and a label of any intensity with its usual arousal, valence and dominance."""
    n, n_tokens = condition.phonemes.shape
    device = condition.voice.device
    picks = torch.randint(len(voices), (n,), generator=generator)
    voice = torch.tensor(list(voices))[picks].to(device)
    label = torch.randint(1, len(LABELS), (n,), generator=generator)
    strength = MOST_INTENSITY * torch.rand(n, generator=generator)
    strength = strength * (torch.rand(n, generator=generator) >= NEUTRAL_SHARE)
    weights = torch.nn.functional.one_hot(label, len(LABELS)) * strength[:, None]
    avd = (torch.tensor([AVD_MEANS[name] for name in LABELS])[label] * strength[:, None]).clamp(-1.0, 1.0)
    known = torch.ones((n, n_tokens), dtype=torch.bool, device=device)
    emotion = EmotionInput(
        weights[:, None].expand(-1, n_tokens, -1).to(device),
        known,
        avd[:, None].expand(-1, n_tokens, -1).to(device),
        known[..., None].expand(-1, -1, 3),
    )
    return replace(condition, voice=voice, emotion=emotion)


def _noise(target: Target, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return places on the flows' paths, between noise and white data: x_t and t of the tokens, x_t and t of the frames."""
    found: list[Tensor] = []
    for like in (target.features, target.mel):
        x_0, x_1 = (torch.randn(like.shape, generator=generator) for _ in range(2))
        t = sample_times(len(like), generator)
        found += [interpolate(x_0, x_1, t).to(like.device), t.to(like.device)]
    return found[0], found[1], found[2], found[3]


def _answers(
    model: AcousticModel, condition: Condition, target: Target, relative: Tensor, noise: tuple[Tensor, ...]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return what a model says at every place of its figure, named as its losses, each with the mask of what counts."""
    mask = condition.mask
    frame_mask = lengths_to_mask(target.durations.sum(dim=1), target.mel.shape[1])
    content, speaker, emotion = model.encode(condition)
    prosody = model.prosody
    told = prosody.condition(speaker, emotion)
    prior, hidden = prosody.prior(content, told, mask)
    index = frame_to_token(target.durations, target.mel.shape[1])
    fine = prosody.frames(hidden, speaker, target.durations, index, target.contour, frame_mask)
    energy = prosody.normalise(target.features)[..., 3]
    given = Prosody(target.durations, target.f0, energy)
    rows, mel, summary = model.trunk(content, told, emotion, given, relative, mask, frame_mask)
    return {
        "prosody": (prior, mask),
        "prosody_flow": (prosody.velocity(noise[0], noise[1], hidden, told, mask), mask),
        "contour": (fine, frame_mask),
        "mel": (mel, frame_mask),
        "mel_flow": (model.estimator(noise[2], noise[3], mel, rows, summary, frame_mask), frame_mask),
    }


def _error(found: tuple[Tensor, Tensor], wanted: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error over what counts."""
    weight = mask[:, :, None].float().expand_as(wanted)
    return ((found[0].float() - wanted.float()).square() * weight).sum() / weight.sum().clamp_min(1.0)
