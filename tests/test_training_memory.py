"""Memory that runs out in the update of the weights: tried again, or the run ends with a whole state; never half a step."""

import pytest
import torch
from training_toy import batch_of, losses_of, make, total, weights

from emotts.training.update import _counts, _make_moments

STEPS, BAD = 9, 5


def no_memory():
    raise torch.OutOfMemoryError("CUDA out of memory")


def fails(trainer, action, times, step=BAD):
    """Let an action fail the first so many times in a step."""
    left = [times]

    def failing(*arguments, **options):
        if trainer.step == step and left[0]:
            left[0] -= 1
            no_memory()
        return action(*arguments, **options)

    return failing


@pytest.fixture
def whole(tmp_path):
    trainer = make(tmp_path / "whole", STEPS)
    trainer.fit(batch_of, losses_of, total)
    return weights(trainer)


def equal(trainer, expected):
    return all(torch.equal(a, b) for a, b in zip(weights(trainer), expected, strict=True))


@pytest.mark.parametrize("place", ["step", "clip", "average"])
def test_an_update_that_had_no_memory_once_is_repeated_with_the_same_result(tmp_path, monkeypatch, whole, place):
    trainer = make(tmp_path / "run", STEPS)
    if place == "step":
        trainer.optimizer.step = fails(trainer, trainer.optimizer.step, 1)
    elif place == "clip":
        clip = torch.nn.utils.clip_grad_norm_
        monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", fails(trainer, clip, 1))
    else:
        monkeypatch.setattr(torch, "_foreach_sub", fails(trainer, torch._foreach_sub, 1))
    trainer.fit(batch_of, losses_of, total)
    assert equal(trainer, whole)


@pytest.mark.parametrize("place", ["step", "clip"])
def test_an_update_without_memory_ends_with_the_state_before_it(tmp_path, monkeypatch, whole, place):
    trainer = make(tmp_path / "run", STEPS)
    with monkeypatch.context() as patch:
        if place == "step":
            trainer.optimizer.step = fails(trainer, trainer.optimizer.step, 2)
        else:
            patch.setattr(torch.nn.utils, "clip_grad_norm_", fails(trainer, torch.nn.utils.clip_grad_norm_, 2))
        with pytest.raises(MemoryError, match=f"out of memory .*shard=true.*The state of step {BAD} is saved.") as told:
            trainer.fit(batch_of, losses_of, total)
    assert "\n" not in str(told.value)
    again = make(tmp_path / "run", STEPS)
    assert again.step == BAD
    again.fit(batch_of, losses_of, total)
    assert equal(again, whole), "nothing of the step was done twice"


@pytest.mark.parametrize("place", ["step", "average"])
def test_half_an_update_is_never_saved(tmp_path, whole, place):
    """The optimiser fails after weights have moved, or the average after all of them have."""
    make(tmp_path / "run", 3).fit(batch_of, losses_of, total)
    trainer = make(tmp_path / "run", STEPS)
    step = trainer.optimizer.step
    is_half = place == "step"

    def half(*arguments):
        if trainer.step == BAD:
            step(*arguments)
            no_memory()
        return step(*arguments)

    if is_half:
        trainer.optimizer.step = half
    else:
        trainer.average.follow = fails(trainer, trainer.average.follow, 1)
    with pytest.raises(MemoryError, match="The last state in .*, if any was saved, is whole"):
        trainer.fit(batch_of, losses_of, total)
    assert make(tmp_path / "run", STEPS).step == 3


@pytest.mark.parametrize("fused", [True, False])
def test_both_forms_of_the_optimiser_count_the_step_before_they_change_a_weight(monkeypatch, fused):
    """By which an update that was begun is told from one that was not; versions of the weights do not grow in the fused form."""
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([parameter], 0.1, fused=fused)
    _make_moments(optimizer)
    before = _counts(optimizer)
    name = "_fused_adamw_" if fused else "_foreach_lerp_"
    monkeypatch.setattr(torch, name, lambda *_, **__: no_memory())
    parameter.grad = torch.ones(3)
    if not fused:
        optimizer.param_groups[0]["foreach"] = True
    with pytest.raises(torch.OutOfMemoryError):
        optimizer.step()
    assert _counts(optimizer) != before


def test_moments_are_there_before_the_first_step_and_change_nothing(tmp_path):
    trainer = make(tmp_path, STEPS)
    states = list(trainer.optimizer.state.values())
    assert len(states) == 4 and all(float(entry["step"]) == 0.0 for entry in states)
    assert all(not entry[name].any() for entry in states for name in ("exp_avg", "exp_avg_sq"))
    torch.manual_seed(1)
    fresh = [torch.nn.Linear(4, 16), torch.nn.Linear(16, 1)]
    own = [parameter for layer in fresh for parameter in layer.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(own, trainer.model.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in trainer.model.parameters())


def test_moments_that_do_not_fit_say_so_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: no_memory())
    with pytest.raises(MemoryError, match="moments of the optimiser; smaller batches do not help"):
        make(tmp_path, STEPS)
