"""Blended requests: weights that add up, guidance as a closed form, mixtures with a schedule, and what an away branch does."""

import pytest
import torch
from test_acoustic import condition, tiny_model

from emotts.acoustic.blend import Branch, Guidance, away_from, blend, guided, joined, mixed
from emotts.acoustic.condition import Condition
from emotts.emotion.labels import LABEL_INDEX
from emotts.emotion.space import EmotionSum

TIMES = (0.0, 0.5, 0.9)


def with_label(c: Condition, label: str, weight: float = 1.0) -> Condition:
    emotion = c.emotion.masked(
        torch.ones(len(c.voice), dtype=torch.bool), torch.ones(len(c.voice), 3, dtype=torch.bool)
    )
    labels = emotion.labels.clone()
    labels[..., LABEL_INDEX[label]] = weight
    emotion.labels = labels
    return Condition(c.phonemes, c.stresses, c.lengths, c.voice, emotion)


def total(branches: list[Branch], t: float) -> float:
    return sum(branch.weight_at(t) for branch in branches)


def mel_of(model, request, steps: int = 3, **options) -> torch.Tensor:
    c = request if isinstance(request, Condition) else request[0].condition
    minimum = torch.ones_like(c.phonemes)
    generator = torch.Generator().manual_seed(3)
    prosody = model.sample_prosody(request, minimum, generator=generator)
    return model.sample_mel(request, prosody, generator=generator, steps=steps, **options)


def test_plain_guidance_is_one_branch_and_changes_nothing():
    c = condition()
    (branch,) = guided(c, Guidance(), c.without_emotion())
    assert branch.weight == 1.0 and branch.condition is c
    model = tiny_model()
    assert torch.equal(mel_of(model, c), mel_of(model, [branch]))


@pytest.mark.parametrize("scales", [(2.0, 1.0, 1.0), (1.0, 1.5, 1.0), (1.5, 1.2, 0.8), (0.0, 1.0, 1.0)])
def test_guidance_is_the_sum_of_its_steps(scales):
    c = condition()
    emotion, speaker, content = scales
    branches = guided(c, Guidance(*scales), c.without_emotion())
    assert total(branches, 0.5) == pytest.approx(1.0)
    names = []
    for branch in branches:
        if branch.keep is None:
            names.append("cse" if branch.condition is c else "cs")
        else:
            names.append("c" if branch.keep.content.all() else "")
    value = {"": 1.0, "c": 10.0, "cs": 100.0, "cse": 1_000.0}
    reached = float(blend([torch.tensor(value[name]) for name in names], [b.weight for b in branches]))
    assert reached == pytest.approx(1.0 + content * 9.0 + speaker * 90.0 + emotion * 900.0)


def test_every_scale_acts_on_the_mel():
    model, c = tiny_model(), with_label(condition(), "angry")
    mels = [
        mel_of(model, guided(c, Guidance(*scales), c.without_emotion()))
        for scales in ((1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (1.0, 2.0, 1.0), (1.0, 1.0, 2.0))
    ]
    for i, mel in enumerate(mels):
        assert torch.isfinite(mel).all()
        for other in mels[:i]:
            assert mel.shape != other.shape or not torch.equal(mel, other)


def test_a_mixture_adds_up_at_all_times_and_the_schedule_has_its_ends():
    parts = [condition(seed=0), condition(seed=1), condition(seed=2)]
    plain, scheduled = mixed(parts, [1.0, 2.0, 1.0]), mixed(parts, [1.0, 2.0, 1.0], is_scheduled=True)
    for t in TIMES:
        assert total(plain, t) == pytest.approx(1.0) and total(scheduled, t) == pytest.approx(1.0)
    assert [b.weight for b in plain] == [0.25, 0.5, 0.25]
    assert [b.weight_at(0.0) for b in scheduled] == [1.0, 0.0, 0.0]
    assert [b.weight_at(0.5) for b in scheduled] == [0.25, 0.5, 0.25]
    assert [b.weight_at(0.9) for b in scheduled] == pytest.approx([0.0, 2 / 3, 1 / 3])
    with pytest.raises(ValueError, match="weight above 0"):
        mixed(parts, [1.0, 0.0, 1.0])


def test_a_mixture_of_one_emotion_with_itself_is_that_emotion():
    model, c = tiny_model(), with_label(condition(), "happy")
    twice = mixed([c, with_label(condition(), "happy")], [0.3, 0.7])
    torch.testing.assert_close(mel_of(model, twice), mel_of(model, c), atol=1e-4, rtol=1e-4)


def test_embeddings_add_up():
    model, c = tiny_model(), condition()
    one, other = with_label(c, "happy").emotion, with_label(c, "sad").emotion
    both = model.emotion_space(EmotionSum([one, other], [0.25, 0.75]))
    torch.testing.assert_close(both, 0.25 * model.emotion_space(one) + 0.75 * model.emotion_space(other))


def test_away_adds_nothing_in_sum_and_undoes_its_own_label():
    model = tiny_model()
    neutral, angry = condition(), with_label(condition(), "angry")
    branches = away_from(angry, neutral, 1.0)
    assert sum(b.weight for b in branches) == 0.0
    undone = joined([Branch(angry, 1.0), *branches])  # angry - (angry - neutral)
    assert undone[0].weight == 0.0
    generator = torch.Generator().manual_seed(3)
    minimum = torch.ones_like(neutral.phonemes)
    plain = model.sample_prosody(neutral, minimum, generator=generator)
    again = model.sample_prosody(undone, minimum, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(plain.energy, again.energy, atol=1e-4, rtol=1e-4)


def test_joining_keeps_the_sum_at_all_times():
    one, other = condition(seed=0), condition(seed=1)
    branches = [*mixed([one, other], [0.5, 0.5], is_scheduled=True), Branch(other, 0.3), Branch(other, -0.3)]
    both = joined(branches)
    assert len(both) == 2
    for t in TIMES:
        assert total(both, t) == pytest.approx(1.0)


def test_a_push_bends_the_mel_along_its_gradient():
    model, c = tiny_model(), condition()
    model.residual_std.fill_(1.0)
    plain = mel_of(model, c)
    direction = torch.zeros(model.mel_mean.shape)
    direction[2] = 1.0
    pushed = mel_of(model, c, push=lambda mel, f0: [(0.5, direction.expand_as(mel))])
    moved = (pushed - plain).mean(dim=(0, 1))
    assert moved[2] > 0.05 and moved[2] > 5 * moved.abs()[3:].max()
    nothing = mel_of(model, c, push=lambda mel, f0: [(0.5, torch.zeros_like(mel))])
    assert torch.equal(plain, nothing)
