"""The flow's path, solver and guidance against closed forms."""

import pytest
import torch

from emotts.acoustic.flow import (
    METHODS,
    SCHEDULES,
    Sampling,
    epss_grid,
    evaluation_times,
    evaluations,
    flow_loss,
    interpolate,
    sample_times,
    skip_scale,
    solve,
    time_grid,
)


def gaussian_velocity(mean: float, std: float):
    """Exact velocity of the straight path from N(0, 1) to N(mean, std^2)."""

    def velocity(x, t):
        t = t[:, None, None]
        variance = (1 - t) ** 2 + (std * t) ** 2
        expected_x_1 = mean + std**2 * t * (x - t * mean) / variance
        expected_x_0 = (1 - t) * (x - t * mean) / variance
        return expected_x_1 - expected_x_0

    return velocity


def test_solver_carries_noise_to_a_gaussian():
    x_0 = torch.randn(1, 20_000, 1, generator=torch.Generator().manual_seed(0))
    x_1 = solve(gaussian_velocity(2.0, 0.5), x_0, time_grid(200))
    # The flow of Gaussians is affine: x_1 = mean + std * x_0, up to the Euler error of 200 steps, largest in the tails.
    torch.testing.assert_close(x_1, 2.0 + 0.5 * x_0, atol=0.03, rtol=0.03)


def test_midpoint_is_closer_than_euler_at_the_same_number_of_calls():
    x_0 = torch.randn(1, 500, 1, generator=torch.Generator().manual_seed(0))
    exact = 2.0 + 0.5 * x_0
    euler = solve(gaussian_velocity(2.0, 0.5), x_0, time_grid(8))
    midpoint = solve(gaussian_velocity(2.0, 0.5), x_0, time_grid(4), "midpoint")
    assert (midpoint - exact).abs().max() < (euler - exact).abs().max()


def test_constant_velocity_is_integrated_exactly():
    x_0 = torch.randn(2, 5, 3)
    for steps in (1, 3, 7):
        torch.testing.assert_close(solve(lambda x, t: torch.ones_like(x), x_0, time_grid(steps)), x_0 + 1.0)


def test_skip_scale_is_the_exact_velocity_of_white_unit_data():
    x = torch.randn(4, 6, 2)
    t = torch.tensor([0.05, 0.3, 0.5, 0.95])
    torch.testing.assert_close(gaussian_velocity(0.0, 1.0)(x, t), skip_scale(t)[:, None, None] * x)


def test_velocity_is_the_path_derivative():
    x_0, x_1, t = torch.randn(2, 3, 4), torch.randn(2, 3, 4), torch.tensor([0.2, 0.7])
    derivative = (interpolate(x_0, x_1, t + 1e-3) - interpolate(x_0, x_1, t - 1e-3)) / 2e-3
    torch.testing.assert_close(derivative, x_1 - x_0, atol=1e-3, rtol=1e-3)


def test_schedulers_of_diffusers_run_the_other_way():
    from diffusers import FlowMatchEulerDiscreteScheduler

    x_0, x_1 = torch.randn(1, 4, 2), torch.randn(1, 4, 2)
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000)
    scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25])
    x = x_0
    for sigma_time in scheduler.timesteps:
        x = scheduler.step(-(x_1 - x_0), sigma_time, x).prev_sample  # their velocity is noise less data
    torch.testing.assert_close(x, x_1)
    torch.testing.assert_close(1.0 - scheduler.sigmas, time_grid(4))


def test_sway_moves_steps_towards_noise_and_keeps_the_ends():
    plain, swayed = time_grid(8), time_grid(8, sway=-1.0)
    assert swayed[0] == 0.0 and abs(float(swayed[-1]) - 1.0) < 1e-6
    assert (swayed[1:-1] < plain[1:-1]).all()
    assert (swayed.diff() > 0).all()


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
def test_methods_converge_in_their_order(method, order):
    """Half the step divides the error of dx/dt = x cos(4 t) by 2 to the order; the exact end is x_0 exp(sin(4) / 4)."""
    x_0 = torch.ones(1, 1, 1, dtype=torch.float64)
    exact = torch.exp(torch.sin(torch.tensor(4.0, dtype=torch.float64)) / 4)
    errors = []
    for steps in (128, 256, 512):
        # a grid of halves and sums of halves is exact in float32, so that the times add no error of their own
        end = solve(lambda x, t: x * torch.cos(4.0 * t.double())[:, None, None], x_0, time_grid(steps), method)
        errors.append(abs(float(end - exact)))
    measured = [float(torch.log2(torch.tensor(a / b))) for a, b in zip(errors[:-1], errors[1:], strict=True)]
    assert measured == pytest.approx([order, order], abs=0.15)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_network_is_called_as_often_and_at_the_times_that_are_told(schedule, method):
    called = []
    grid = Sampling(schedule, method).grid(5)
    solve(lambda x, t: called.append(float(t[0])) or x, torch.zeros(1, 2, 3), grid, method)
    assert len(called) == evaluations(5, method) == (5 if method == "euler" else 10)
    assert called == evaluation_times(grid, method).tolist()
    assert grid[0] == 0.0 and float(grid[-1]) == pytest.approx(1.0, abs=1e-6) and (grid.diff() > 0).all()


def test_epss_is_the_published_table():
    """Fast F5-TTS (arXiv 2505.19931), in 32nds; that of 10 steps follows from the rule alone."""
    published = {
        5: [0, 2, 4, 8, 16, 32],
        6: [0, 2, 4, 6, 8, 16, 32],
        7: [0, 2, 4, 6, 8, 16, 24, 32],
        10: [0, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32],
    }
    for steps, points in published.items():
        assert (32 * epss_grid(steps)).tolist() == points
    assert (32 * epss_grid(3)).tolist() == [0, 8, 16, 32] and (32 * epss_grid(1)).tolist() == [0, 32]
    assert (32 * epss_grid(8)).tolist() == [0, 2, 4, 6, 8, 12, 16, 24, 32]
    for steps in (1, 2, 4, 9, 11, 16, 64):
        grid = epss_grid(steps)
        assert len(grid) == steps + 1 and (grid.diff() > 0).all() and grid[-1] == 1.0


def test_loss_ignores_padding():
    velocity, x_0, x_1 = torch.randn(2, 6, 3), torch.randn(2, 6, 3), torch.randn(2, 6, 3)
    mask = torch.tensor([[True] * 6, [True] * 2 + [False] * 4])
    changed = velocity.clone()
    changed[1, 2:] = 1e6
    assert flow_loss(velocity, x_0, x_1, mask) == flow_loss(changed, x_0, x_1, mask)
    assert flow_loss(x_1 - x_0, x_0, x_1, mask) == 0.0


def test_times_lie_inside_and_follow_the_generator():
    first = sample_times(1000, torch.Generator().manual_seed(1))
    assert ((first > 0) & (first < 1)).all() and abs(float(first.mean()) - 0.5) < 0.05
    assert torch.equal(first, sample_times(1000, torch.Generator().manual_seed(1)))


@pytest.mark.parametrize(
    "call",
    [
        lambda: time_grid(0),
        lambda: time_grid(4, 2.0),
        lambda: epss_grid(0),
        lambda: evaluations(4, "rk9"),
        lambda: Sampling("linear"),
        lambda: Sampling("sway", "rk9"),
        lambda: solve(lambda x, t: x, torch.zeros(1, 1, 1), time_grid(1), "rk9"),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match="must"):
        call()
