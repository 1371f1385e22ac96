"""The loop: resuming to the bit, schedule, averages, bad steps."""

import json

import pytest
import torch
from torch import nn

from emotts.training import MAX_BAD_STEPS, Schedule, Trainer


def make(folder, steps, seed=0):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.2), nn.Linear(16, 1))
    return Trainer(model, folder, Schedule(1e-2, steps, 3, 5), seed=seed, precision="fp32", log_every=5, device="cpu")


def batch_of(step):
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(8, 4, generator=generator)
    return x, x.sum(dim=1, keepdim=True)


def losses_of(model, batch, generator):
    x, y = batch
    noise = 0.1 * torch.randn(x.shape, generator=generator)
    return {"fit": ((model(x + noise) - y) ** 2).mean()}


def total(losses):
    return losses["fit"]


def weights(trainer):
    with trainer.averaged() as model:
        averaged = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()]), averaged


def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(tmp_path):
    whole = make(tmp_path / "whole", 20)
    assert whole.fit(batch_of, losses_of, total)
    first = make(tmp_path / "broken", 20)
    first.schedule = Schedule(1e-2, 20, 3, 5)
    while first.step < 9:  # stop as a kill after a save would
        first._one_step(batch_of(first.step), losses_of, total)
        first.step += 1
    first.save()
    second = make(tmp_path / "broken", 20)
    assert second.step == 9
    assert second.fit(batch_of, losses_of, total)
    for a, b in zip(weights(whole), weights(second), strict=True):
        assert torch.equal(a, b)


def test_schedule_rises_holds_and_falls():
    schedule = Schedule(1.0, 100, 10, 20, final_ratio=0.1)
    assert schedule(0) == pytest.approx(0.1) and schedule(9) == 1.0 and schedule(79) == 1.0
    assert schedule(90) == pytest.approx(0.5) and schedule(99) == pytest.approx(0.1)


def test_averaged_weights_are_put_back(tmp_path):
    trainer = make(tmp_path, 10)
    trainer.fit(batch_of, losses_of, total)
    before, averaged = weights(trainer)
    after, _ = weights(trainer)
    assert torch.equal(before, after) and not torch.equal(before, averaged)


def test_metrics_are_written(tmp_path):
    make(tmp_path, 10).fit(batch_of, losses_of, total)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [5, 10] and rows[0]["fit"] > 0 and "gradient_norm" in rows[0]
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_loss_that_is_not_finite_is_left_out_then_ends_the_run(tmp_path):
    trainer = make(tmp_path, 200)
    before = weights(trainer)[0]

    def bad(model, batch, generator):
        return {"fit": losses_of(model, batch, generator)["fit"] * float("nan")}

    with pytest.raises(FloatingPointError, match=str(MAX_BAD_STEPS)):
        trainer.fit(batch_of, bad, total)
    assert torch.equal(before, weights(trainer)[0])


def test_another_seed_in_the_same_folder_is_refused(tmp_path):
    make(tmp_path, 2).fit(batch_of, losses_of, total)
    with pytest.raises(ValueError, match="seed 0"):
        make(tmp_path, 2, seed=1)


def test_time_limit_stops_and_saves(tmp_path):
    trainer = make(tmp_path, 10_000)
    assert not trainer.fit(batch_of, losses_of, total, max_minutes=0.01)
    assert make(tmp_path, 10_000).step == trainer.step > 0
