"""The loop: resuming to the bit, schedule, averages, bad steps, memory that runs out, frozen parameters, prefetching."""

import json
import math
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from training_toy import batch_of, counts_of, losses_of, make, total, weights

from emotts.training import MAX_BAD_STEPS, Schedule, Trainer
from emotts.training.parts import NoiseOfTheWhole, n_rows, rows_of, split_rows
from emotts.training.pictures import f0_picture, mel_picture
from emotts.training.prefetch import Prefetch

HERE = Path(__file__).resolve().parent


class Killed(Exception):
    pass


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(tmp_path, pieces):
    whole = make(tmp_path / "whole", 20, pieces=pieces)
    assert whole.fit(batch_of, losses_of, total, counts_of=counts_of)
    first = make(tmp_path / "broken", 20, pieces=pieces)

    def dies(model, batch, generator):
        if first.step == 9:
            raise Killed
        return losses_of(model, batch, generator)

    with pytest.raises(Killed):
        first.fit(batch_of, dies, total, counts_of=counts_of)
    first.save()
    second = make(tmp_path / "broken", 20, pieces=pieces)
    assert second.step == 9
    assert second.fit(batch_of, losses_of, total, counts_of=counts_of)
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
    assert [row["step"] for row in rows] == [5, 10] and rows[0]["fit"] > 0
    assert {"gradient_norm", "wait_share", "skipped"} <= rows[0].keys() and 0.0 <= rows[0]["wait_share"] <= 1.0
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_loss_that_is_not_finite_is_left_out_then_ends_the_run(tmp_path):
    trainer = make(tmp_path, 200)
    before = weights(trainer)[0]

    def bad(model, batch, generator):
        return {"fit": losses_of(model, batch, generator)["fit"] * float("nan")}

    with pytest.raises(FloatingPointError, match=str(MAX_BAD_STEPS)):
        trainer.fit(batch_of, bad, total)
    assert torch.equal(before, weights(trainer)[0])


def test_steps_that_were_left_out_are_counted_and_the_count_is_kept(tmp_path):
    trainer = make(tmp_path, 10)

    def sometimes(model, batch, generator):
        factor = float("inf") if trainer.step in (2, 3, 7) else 1.0
        return {"fit": losses_of(model, batch, generator)["fit"] * factor}

    trainer.fit(batch_of, sometimes, total)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["skipped"] for row in rows] == [2, 3] and all(math.isfinite(row["fit"]) for row in rows)
    assert make(tmp_path, 10).skipped == 3


def test_another_seed_or_other_pieces_in_the_same_folder_are_refused(tmp_path):
    make(tmp_path, 2).fit(batch_of, losses_of, total)
    with pytest.raises(ValueError, match="seed 0"):
        make(tmp_path, 2, seed=1)
    with pytest.raises(ValueError, match="pieces 1"):
        make(tmp_path, 2, pieces=2)


def test_time_limit_stops_and_saves(tmp_path):
    trainer = make(tmp_path, 10_000)
    assert not trainer.fit(batch_of, losses_of, total, max_minutes=0.01)
    assert make(tmp_path, 10_000).step == trainer.step > 0


def test_several_pieces_are_one_step_over_their_rows(tmp_path):
    """Two pieces with different counts make the gradient of the mean over both, not the mean of their means."""
    trainer = make(tmp_path, 1, pieces=2, dropout=0.0)
    model = [p.detach().clone() for p in trainer.model.parameters()]
    x, y = (torch.cat(both) for both in zip(batch_of(0), batch_of(1), strict=True))
    assert len(batch_of(0)[0]) != len(batch_of(1)[0])

    def plain(model, batch, generator):
        return {"fit": ((model(batch[0]) - batch[1]) ** 2).mean()}

    trainer.clip_norm = 1e9
    trainer.fit(batch_of, plain, total, counts_of=counts_of)
    other = make(tmp_path / "other", 1, dropout=0.0)
    other.clip_norm = 1e9
    assert all(torch.equal(a, b) for a, b in zip(model, other.model.parameters(), strict=True))
    other.fit(lambda step: (x, y), plain, total)
    for p, q in zip(trainer.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, atol=1e-6, rtol=0)


def test_pieces_need_counts_and_a_multiple_of_the_processes(tmp_path):
    with pytest.raises(ValueError, match="pieces must be 1"):
        make(tmp_path / "a", 1, pieces=2).fit(batch_of, losses_of, total)
    with pytest.raises(ValueError, match="multiple of the 1 processes"):
        make(tmp_path / "b", 1, pieces=0)


@pytest.mark.parametrize("limit", [3, 1])
def test_a_batch_that_does_not_fit_is_computed_in_parts_with_the_same_result(tmp_path, limit):
    whole = make(tmp_path / "whole", 12, dropout=0.3)
    whole.fit(batch_of, losses_of, total, counts_of=counts_of)

    def small_memory(model, batch, generator):
        if len(batch[0]) > limit:
            raise torch.OutOfMemoryError("out of memory")
        return losses_of(model, batch, generator)

    parts = make(tmp_path / "parts", 12, dropout=0.3)
    parts.fit(batch_of, small_memory, total, counts_of=counts_of)
    for a, b in zip(weights(whole), weights(parts), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_memory_that_is_too_small_for_anything_says_so(tmp_path):
    def none(model, batch, generator):
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(MemoryError, match="single utterance"):
        make(tmp_path / "a", 2).fit(batch_of, none, total, counts_of=counts_of)
    with pytest.raises(MemoryError, match="lower max_frames"):
        make(tmp_path / "b", 2).fit(batch_of, none, total)


def test_rows_in_parts_get_the_noise_of_the_whole():
    x = torch.randn(6, 5, 4).transpose(1, 2)  # memory in another order than the axes

    def draw(x):
        torch.manual_seed(3)
        g = torch.Generator().manual_seed(4)
        return [
            torch.nn.functional.dropout(x, 0.5),
            torch.randn((len(x), 7), generator=g),
            torch.rand(len(x), 2, generator=g),
            torch.randn(size=(2 * len(x), 3), generator=g),
            torch.randint(1, 9, (len(x),), generator=g),
            torch.randint(9, size=(len(x), 2), generator=g),
            torch.randint(2, high=9, size=(len(x),), generator=g),
            torch.randint(low=2, high=9, size=(len(x),), generator=g),
            torch.rand((), generator=g).expand(len(x)),
        ]

    drawn = draw(x)
    for rows in split_rows(6, 4):
        with NoiseOfTheWhole(rows, 6):
            part = draw(x[rows])
        for i, (a, b) in enumerate(zip(drawn, part, strict=True)):
            where = slice(2 * rows.start, 2 * rows.stop) if i == 3 else rows
            torch.testing.assert_close(a[where], b, atol=0, rtol=0)


def test_rows_of_nested_batches():
    batch = {"a": torch.arange(5), "b": (torch.arange(10).view(5, 2), [torch.ones(5)])}
    part = rows_of(batch, slice(1, 3))
    assert n_rows(batch) == 5 and part["a"].tolist() == [1, 2] and part["b"][1][0].shape == (2,)
    assert [(s.start, s.stop) for s in split_rows(5, 2)] == [(0, 2), (2, 5)] and len(split_rows(2, 8)) == 2
    with pytest.raises(TypeError, match="must be made of tensors"):
        rows_of({"a": "text"}, slice(0, 1))


def test_frozen_parameters_stay_and_only_trained_ones_are_averaged_and_kept(tmp_path):
    def build():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 16), nn.Linear(16, 1))
        model[0].requires_grad_(False)
        return Trainer(model, tmp_path, Schedule(1e-2, 5, 1, 1), precision="fp32", device="cpu")

    trainer = build()
    frozen = trainer.model[0].weight.clone()
    trainer.fit(batch_of, losses_of, total)
    assert torch.equal(trainer.model[0].weight, frozen)
    assert len(trainer.average.shadow) == 2
    again = build()
    assert again.step == 5
    with again.averaged() as a, trainer.averaged() as b:
        assert torch.equal(a[1].weight, b[1].weight)
    free = nn.Sequential(nn.Linear(4, 16), nn.Linear(16, 1))
    with pytest.raises(ValueError, match="trains other parameters"):
        Trainer(free, tmp_path, Schedule(1e-2, 5, 1, 1), precision="fp32", device="cpu")


def test_batches_are_made_ahead_in_order_and_errors_arrive():
    begun, go_on = [], threading.Event()

    def make(i):
        begun.append(i)
        assert i < 4 or go_on.wait(30)
        if i == 7:
            raise ValueError("batch 7")
        return i

    with Prefetch(make, iter(range(9)), ahead=3) as batches:
        assert batches.next() == 0
        assert [batches.next() for _ in range(3)] == [1, 2, 3]  # the fourth is still being made
        assert begun in ([0, 1, 2, 3], [0, 1, 2, 3, 4])
        go_on.set()
        assert [batches.next() for _ in range(3)] == [4, 5, 6]
        with pytest.raises(ValueError, match="batch 7"):
            batches.next()


def test_batches_are_made_by_one_thread_and_the_model_keeps_all_of_its_own():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with Prefetch(lambda i: torch.get_num_threads(), iter(range(3))) as batches:
            assert [batches.next() for _ in range(3)] == [1, 1, 1]
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_saves_and_ends_well_and_the_run_goes_on(tmp_path, name):
    whole = make(tmp_path / "whole", 300)
    whole.fit(batch_of, losses_of, total)
    command = [sys.executable, str(HERE / "training_toy.py"), str(tmp_path / "broken"), "300", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert f"stopped by {name}; the same command resumes from step 40" in done.stderr
    second = make(tmp_path / "broken", 300)
    assert second.step == 40
    second.fit(batch_of, losses_of, total)
    for a, b in zip(weights(whole), weights(second), strict=True):
        assert torch.equal(a, b)


def test_pictures_show_what_they_are_given():
    mel = np.full((50, 100), -9.0)
    mel[:, :10] = 0.0  # low bands
    picture = mel_picture(mel)
    assert picture.shape == (200, 50, 3) and picture[-1].min() == 255 and picture[0].max() == 0
    line = f0_picture(np.array([0.0, 60.0, 600.0]))
    assert (line[:, 0] == 255).all(), "unvoiced"
    low, high = (np.flatnonzero((line[:, t] != 255).any(axis=1)).mean() for t in (1, 2))
    assert low > 190 and high < 5
