"""The acoustic model as a whole, on a tiny network with random weights."""

import pytest
import torch

from emotts.acoustic.blend import Guidance, guided
from emotts.acoustic.condition import Condition
from emotts.acoustic.estimator import VelocityEstimator
from emotts.acoustic.flow import Sampling
from emotts.acoustic.model import AcousticModel, MelTrunk
from emotts.acoustic.objective import WEIGHTS, Dropout, Target, acoustic_losses, draw_dropout, total
from emotts.content.text_encoder import TextEncoder
from emotts.emotion.labels import LABELS
from emotts.emotion.space import EmotionInput, EmotionSpace
from emotts.prosody import ProsodyModel, contour_from_anchors, log_to_duration


def tiny_model(seed: int = 0) -> AcousticModel:
    torch.manual_seed(seed)
    model = AcousticModel(
        ["one", "two"],
        TextEncoder(20, 3, 64, "ca", 0.0),
        EmotionSpace(8, 16),
        ProsodyModel(64, 8, 8, 64, "c", "ca", 16, 0.0),
        MelTrunk(64, 8, 8, 10, 64, "c", "c", 0.0),
        VelocityEstimator(10, 64, 16, 64, "ca"),
        speaker_dim=8,
        n_mels=10,
    )
    for parameter in model.parameters():  # zero-initialised heads would hide the paths under test
        torch.nn.init.normal_(parameter, std=0.05) if not parameter.any() else None
    model.prosody.mean.copy_(torch.tensor([1.2, 0.0, 0.0, -2.0]))
    return model.eval()


def condition(batch: int = 2, tokens: int = 6, seed: int = 0) -> Condition:
    generator = torch.Generator().manual_seed(seed)
    emotion = EmotionInput(
        torch.zeros(batch, tokens, len(LABELS)),
        torch.ones(batch, tokens, dtype=torch.bool),
        torch.zeros(batch, tokens, 3),
        torch.zeros(batch, tokens, 3, dtype=torch.bool),
    )
    ids = torch.randint(1, 20, (batch, tokens), generator=generator)
    return Condition(
        ids, torch.zeros_like(ids), torch.full((batch,), tokens), torch.zeros(batch, dtype=torch.int64), emotion
    )


def pad(c: Condition, extra: int) -> Condition:
    def more(x, value=0):
        filler = torch.full((len(x), extra, *x.shape[2:]), value, dtype=x.dtype)
        return torch.cat([x, filler], dim=1)

    e = c.emotion
    emotion = EmotionInput(more(e.labels, 1), more(e.label_known, True), more(e.avd, 1), more(e.avd_known, True))
    return Condition(more(c.phonemes, 5), more(c.stresses, 1), c.lengths, c.voice, emotion)


def read(model, c, seed=0, **options):
    minimum = torch.ones_like(c.phonemes)
    generator = torch.Generator().manual_seed(seed)
    prosody = model.sample_prosody(c, minimum, generator=generator, **options)
    return prosody, model.sample_mel(c, prosody, generator=generator, steps=2)


def test_padding_does_not_change_a_reading():
    model, c = tiny_model(), condition()
    minimum = torch.ones_like(c.phonemes)
    plain = model.sample_prosody(c, minimum, generator=torch.Generator(), steps=0)
    padded = model.sample_prosody(pad(c, 3), torch.ones(2, 9, dtype=torch.int64), generator=torch.Generator(), steps=0)
    assert torch.equal(plain.durations, padded.durations[:, :6]) and (padded.durations[:, 6:] == 0).all()
    torch.testing.assert_close(plain.f0, padded.f0, atol=1e-3, rtol=1e-4)
    first = model.sample_mel(c, plain, generator=torch.Generator(), steps=0)
    second = model.sample_mel(pad(c, 3), padded, generator=torch.Generator(), steps=0)
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


def test_the_longer_neighbour_in_a_batch_changes_nothing():
    model, c = tiny_model(), condition()
    durations = torch.tensor([[3, 1, 4, 1, 5, 2], [2, 2, 2, 1, 1, 1]])
    from emotts.prosody import Prosody

    f0 = torch.full((2, 16), 150.0)
    both = model.sample_mel(c, Prosody(durations, f0, torch.zeros(2, 6)), generator=torch.Generator(), steps=0)
    one = Condition(
        c.phonemes[1:],
        c.stresses[1:],
        c.lengths[1:],
        c.voice[1:],
        EmotionInput(c.emotion.labels[1:], c.emotion.label_known[1:], c.emotion.avd[1:], c.emotion.avd_known[1:]),
    )
    alone = model.sample_mel(
        one, Prosody(durations[1:], f0[1:, :9], torch.zeros(1, 6)), generator=torch.Generator(), steps=0
    )
    torch.testing.assert_close(both[1:, :9], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("lengths", [(6, 6), (6, 3)])
def test_prepared_steps_are_the_velocities_of_training(lengths):
    """Two requests in one batch, at each time of a grid; within the rounding of sums added in another order."""
    model = tiny_model()
    n, times = 7, torch.tensor([0.0, 0.3, 0.8])
    mask = torch.arange(n)[None, :] < torch.tensor(lengths)[:, None] + 1
    hidden_mask = None if mask.all() else mask
    draw = lambda *shape: torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))  # noqa: E731
    hidden, told, x = draw(4, n, 64), draw(4, n, 16), draw(2, n, 4)
    prior, rows, summary, x_mel = draw(4, n, 10), draw(4, n, 64), draw(4, 1, 16), draw(2, n, 10)
    twice, both = mask.repeat(2, 1), lambda y: y.repeat(2, 1, 1)
    reading = model.prosody.prepare(hidden, told, hidden_mask, times)
    mel = model.estimator.prepare(prior, rows, summary, hidden_mask, times)
    for call, t in enumerate(times.tolist()):
        t = torch.full((4,), t)
        velocity = model.prosody.velocity(both(x), t, hidden, told, twice)
        got = model.prosody.step(reading, x, call)
        torch.testing.assert_close(got[twice], velocity[twice], atol=1e-5, rtol=1e-5)
        velocity = model.estimator(both(x_mel), t, prior, rows, summary, twice)
        got = model.estimator.step(mel, x_mel, call)
        torch.testing.assert_close(got[twice], velocity[twice], atol=1e-5, rtol=1e-5)


def test_a_request_is_encoded_once_and_its_text_once_for_all_branches():
    model, c = tiny_model(), condition()
    bare = c.without_emotion()
    branches = guided(c, Guidance(2.0, 1.5, 1.2), bare)
    assert len(branches) == 4
    counts = {"text": 0, "prior": 0, "trunk": 0}

    def counting(name):
        def hook(*_):
            counts[name] += 1

        return hook

    model.text_encoder.register_forward_hook(counting("text"))
    model.prosody.prior_head.register_forward_hook(counting("prior"))
    model.trunk.register_forward_hook(counting("trunk"))
    encoded = model.encoded(branches)
    generator = torch.Generator().manual_seed(0)
    prosody = model.sample_prosody(encoded, torch.ones_like(c.phonemes), generator=generator)
    mel = model.sample_mel(encoded, prosody, generator=generator)
    assert counts == {"text": 1, "prior": 1, "trunk": 1}
    again = torch.Generator().manual_seed(0)
    same = model.sample_prosody(branches, torch.ones_like(c.phonemes), generator=again)
    assert torch.equal(mel, model.sample_mel(branches, same, generator=again))
    one = model.encode(c)
    for got, expected in zip((encoded.content, encoded.speaker, encoded.emotion), one, strict=True):
        torch.testing.assert_close(got[:2], expected, atol=1e-6, rtol=1e-6)


def test_schedules_and_methods_reach_the_same_end():
    """With many steps all of them have settled; with few they differ."""
    model, c = tiny_model(), condition()
    prosody, _ = read(model, c)

    def mel(steps, *sampling):
        generator = torch.Generator().manual_seed(1)
        return model.sample_mel(c, prosody, generator=generator, steps=steps, sampling=Sampling(*sampling))

    settled = mel(64, "uniform", "heun")
    few = mel(2, "uniform", "euler")
    for sampling in (("sway", "midpoint"), ("epss", "heun"), ("uniform", "midpoint")):
        assert (mel(64, *sampling) - settled).abs().max() < 0.02 * (few - settled).abs().max()
        assert (mel(2, *sampling) - few).abs().max() > 1e-3


def test_same_seed_same_bytes_other_seed_other_reading():
    model, c = tiny_model(), condition()
    first, mel = read(model, c, seed=3)
    again, mel_again = read(model, c, seed=3)
    other, _ = read(model, c, seed=4)
    assert torch.equal(mel, mel_again) and torch.equal(first.f0, again.f0)
    assert not torch.equal(first.energy, other.energy)


def test_speed_and_pitch_act():
    model, c = tiny_model(), condition()
    slow, _ = read(model, c, steps=0, speed=0.5)
    fast, _ = read(model, c, steps=0, speed=1.5)
    assert slow.durations.sum() > fast.durations.sum()
    plain, _ = read(model, c, steps=0)
    raised, _ = read(model, c, steps=0, pitch_st=3.0)
    both = (plain.f0 > 60) & (raised.f0 > 60) & (raised.f0 < 600)
    if both.any():
        torch.testing.assert_close(raised.f0[both] / plain.f0[both], torch.full_like(plain.f0[both], 2 ** (3 / 12)))


def test_intensity_zero_equals_neutral_bit_for_bit():
    model, neutral, happy = tiny_model(), condition(), condition()
    happy.emotion.labels[..., 2] = 0.0 * 0.8
    assert torch.equal(read(model, neutral)[1], read(model, happy)[1])


def test_unknown_values_are_not_read():
    space = EmotionSpace(8, 16)
    c = condition()
    before = space(c.emotion.forgotten())
    c.emotion.labels[:] = 0.7
    c.emotion.avd[:] = -0.4
    torch.testing.assert_close(space(c.emotion.forgotten()), before)


def test_contour_passes_through_its_anchors():
    durations = torch.tensor([4, 0, 8])
    anchors = torch.tensor([[1.0, 2.0], [99.0, 99.0], [4.0, 0.0]])
    line = contour_from_anchors(anchors, durations, 12)
    # Anchors stand at frames 1, 3 (token 0) and 6, 10 (token 2); frame centres lie at k + 0.5.
    assert abs(float(line[1]) - 1.25) < 1e-5 and abs(float(line[0]) - 1.0) < 1e-5 and abs(float(line[11])) < 1e-5
    assert line.max() < 5.0, "a token without frames must not pull the contour"


def test_durations_keep_the_total_and_the_least_frames():
    log_durations = torch.full((1, 10), float(torch.log(torch.tensor(2.9 + 0.5))))
    mask = torch.ones(1, 10, dtype=torch.bool)
    durations = log_to_duration(log_durations, mask, torch.ones(1, 10, dtype=torch.int64))
    assert int(durations.sum()) == 29
    silent = log_to_duration(torch.full((1, 10), -3.0), mask, torch.ones(1, 10, dtype=torch.int64))
    assert silent.tolist() == [[1] * 10]


def target(c: Condition) -> Target:
    b, n = c.phonemes.shape
    durations = torch.full((b, n), 4)
    t = 4 * n
    return Target(
        durations,
        torch.randn(b, n, 4),
        torch.ones(b, n, 4),
        torch.full((b, t), 120.0),
        torch.zeros(b, t),
        torch.randn(b, t, 10),
    )


def test_training_lowers_every_loss_on_one_batch():
    torch.manual_seed(0)
    model, c = tiny_model().train(), condition()
    wanted = target(c)
    wanted.f0[:, ::3] = 0.0
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    none = Dropout(0.0, 0.0, 0.0, 0.0, 0.0)
    history = []
    for step in range(120):
        losses = acoustic_losses(model, c, wanted, torch.Generator().manual_seed(step), none)
        assert set(losses) == set(WEIGHTS)
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
        history.append({k: float(v.detach()) for k, v in losses.items()})
    for name in ("prosody", "voicing", "contour", "mel"):
        assert history[-1][name] < 0.8 * history[0][name], name


def test_every_parameter_gets_a_gradient():
    model, c = tiny_model().train(), condition()
    total(
        acoustic_losses(model, c, target(c), torch.Generator().manual_seed(0), Dropout(0.5, 0.5, 0.5, 0.5, 0.5))
    ).backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert not missing


def test_dropout_forgets_at_the_stated_rates():
    c = condition(batch=4000, tokens=1)
    c.emotion.avd_known[:] = True
    dropped, keep = draw_dropout(
        c, Dropout(emotion=0.1, label=0.3, dimension=0.2, voice=0.05, content=0.15), torch.Generator().manual_seed(0)
    )
    whole = dropped.emotion.avd_known.all(dim=-1).float().mean()
    rates = {
        "all dimensions": (1 - float(whole), 1 - 0.9 * (0.8 + 0.2 * 0.125)),
        "label": (1 - float(dropped.emotion.label_known.float().mean()), 1 - 0.9 * 0.7),
        "dimension": (1 - float(dropped.emotion.avd_known.float().mean()), 1 - 0.9 * 0.9),  # a coin after 0.2
        "voice": (1 - float(keep.voice.float().mean()), 0.05),
        "content": (1 - float(keep.content.float().mean()), 0.15),
    }
    for name, (got, wanted) in rates.items():
        assert got == pytest.approx(wanted, abs=0.03), name  # 4000 draws: 3 standard deviations are 0.023
