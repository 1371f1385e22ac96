"""The student of few steps: jumps that compose, a teacher's path that is followed, and lessons that are learnt."""

import pytest
import torch
from test_acoustic import condition, tiny_model

from emotts.acoustic.distillation import FINE, Lessons, draw_jumps, follow, student_losses
from emotts.acoustic.estimator import VelocityEstimator
from emotts.acoustic.flow import skip_scale, solve, time_grid
from emotts.acoustic.objective import Target
from emotts.acoustic.student import MAX_STEPS, FlowStudent, ProsodyJumps, adopt, growth, jumps_to_data, land

N_MELS = 10
EVEN = torch.Generator().manual_seed(0)


def tiny_student(channels: int = 64, layout: str = "ca") -> FlowStudent:
    torch.manual_seed(0)
    mel = VelocityEstimator(N_MELS, 64, 16, channels, layout)
    return FlowStudent(mel, ProsodyJumps(16, 64, layout))


def target_of(model) -> Target:
    c = condition()
    generator = torch.Generator().manual_seed(5)
    durations = torch.randint(2, 6, c.phonemes.shape, generator=generator) * c.mask
    frames = int(durations.sum(dim=1).max())
    n = len(durations)
    f0 = 100.0 + 50.0 * torch.rand(n, frames, generator=generator)
    features = torch.randn(*durations.shape, 4, generator=generator)
    mel = torch.randn(n, frames, N_MELS, generator=generator)
    return Target(durations, features, torch.ones_like(features), f0, torch.zeros_like(f0), mel)


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (0.0, 0.5), (0.25, 0.75), (0.75, 1.0)])
def test_growth_is_the_flow_from_white_to_white(start: float, end: float) -> None:
    x_0 = torch.ones(1, 1, 1, dtype=torch.float64)
    grid = start + (end - start) * time_grid(4_000).double()
    exact = solve(lambda x, t: skip_scale(t.double())[:, None, None] * x, x_0, grid, "midpoint")
    told = growth(start, end)
    assert told == pytest.approx(float(exact), abs=1e-5)


@pytest.mark.parametrize("n", range(1, MAX_STEPS + 1))
def test_jumps_without_corrections_land_where_white_data_lie(n: int) -> None:
    told = jumps_to_data(n, 2.0)
    x_0 = x = torch.randn(2, 5, 3, generator=EVEN)
    for start, end, scale in told.tolist():
        x = land(x, start, end, torch.zeros_like(x))
        assert scale == 2.0
    assert torch.allclose(x, x_0, atol=1e-6)  # both ends have unit variance
    assert told[0, 0] == 0.0 and told[-1, 1] == 1.0 and torch.equal(told[1:, 0], told[:-1, 1])


def test_what_it_never_learnt_is_refused() -> None:
    for n, scale in ((0, 1.0), (MAX_STEPS + 1, 1.0), (2, -0.1), (2, 5.1)):
        with pytest.raises(ValueError, match="the student"):
            jumps_to_data(n, scale)


def test_jumps_drawn_are_those_that_are_taken() -> None:
    drawn = draw_jumps(4_000, torch.Generator().manual_seed(1)).tolist()
    taken = {(k * FINE // n, (k + 1) * FINE // n) for n in range(1, MAX_STEPS + 1) for k in range(n)}
    assert {tuple(jump) for jump in drawn} == taken
    assert 0.2 < sum(jump == [0, FINE] for jump in drawn) / len(drawn) < 0.3


def test_the_path_is_of_second_order() -> None:
    x_0 = torch.ones(1, 1, 1)
    end = float(torch.exp(torch.tensor(1.0)))  # of dx/dt = x
    path = follow(lambda x, t: x, x_0)
    euler = solve(lambda x, t: x, x_0, time_grid(FINE))
    assert abs(float(path[-1]) - end) < 0.2 * abs(float(euler) - end)
    assert path.shape == (FINE + 1, 1, 1, 1)


def test_a_student_begins_as_its_teacher() -> None:
    model = tiny_model()
    student = tiny_student()
    missing = adopt(student.mel, model.estimator)
    assert missing and all("span" in name or "scale" in name for name in missing)
    adopt(student.prosody, model.prosody)
    x, prior, rows = (torch.randn(2, 9, n, generator=EVEN) for n in (N_MELS, N_MELS, 64))
    told, mask = torch.randn(2, 1, 16, generator=EVEN), torch.ones(2, 9, dtype=torch.bool)
    t = torch.tensor([0.0, 0.5])
    jump = torch.stack([t, t + 0.25, torch.tensor([1.0, 3.0])], dim=1)
    assert torch.allclose(student.mel(x, jump, prior, rows, told, mask), model.estimator(x, t, prior, rows, told, mask))
    reading, hidden, told = (torch.randn(2, 9, n, generator=EVEN) for n in (4, 64, 16))
    teacher = model.prosody.velocity(reading, t, hidden, told, mask)
    assert torch.allclose(student.prosody.velocity(reading, jump, hidden, told, mask), teacher)


def test_it_learns_where_the_guided_teacher_lands() -> None:
    """A network told the scale comes near all jumps of one batch, guided and not; without the teacher it is far off."""
    model = tiny_model().requires_grad_(False)
    student, target = tiny_student(), target_of(model)
    adopt(student.mel, model.estimator)
    adopt(student.prosody, model.prosody)
    optimizer = torch.optim.Adam(student.parameters(), 3e-3)
    told: list[dict[str, float]] = []
    for step in range(90):
        generator = torch.Generator().manual_seed(step)
        losses = student_losses(student, model, condition(), target, generator, Lessons(guided=0.5, frames=12))
        optimizer.zero_grad()
        sum(losses.values()).backward()  # type: ignore[union-attr]
        optimizer.step()
        told.append({name: value.item() for name, value in losses.items()})
    for name in ("mel_jump", "prosody_jump"):
        first, last = (sum(row[name] for row in rows) for rows in (told[:15], told[-15:]))
        assert last < 0.5 * first, (name, first, last)
    assert all(p.grad is None for p in model.parameters())


def test_the_landing_is_linear_in_the_correction() -> None:
    x, correction = torch.randn(2, 3, 4, generator=EVEN), torch.randn(2, 3, 4, generator=EVEN)
    start, end = (torch.tensor(each)[:, None, None] for each in ([0.0, 0.5], [0.5, 0.75]))
    moved = land(x, start, end, correction) - land(x, start, end, torch.zeros_like(x))
    assert torch.allclose(moved, (end - start) * correction, atol=1e-6)
