"""Recorded runs of flows without a GPU: what is recorded is written down operation by operation and done again on the same inputs.

`TapeCapturer` stands for CUDA graphs: it keeps operations on tensors alone, so that Python that looks into lengths while recording
fails, and what Python decided stays as it was, as in a graph.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from test_acoustic import condition, tiny_model
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from emotts.acoustic import captured
from emotts.acoustic.blend import Branch, Guidance, guided
from emotts.acoustic.captured import CapturedFlow, padded_inputs, sample_flow
from emotts.acoustic.flow import METHODS, Sampling, evaluation_times
from emotts.acoustic.sampler import JUMPS, FlowInputs, FlowNetwork, eager, flow_inputs, jump_inputs
from emotts.acoustic.student import JumpEmbedding
from emotts.layers import lengths_to_mask

# Sums over a padded bucket are added in another order: a few units in the last place of numbers of size 1 to 10.
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


class Tape(TorchDispatchMode):
    """Writes down every operation on tensors; one that tells Python a number fails, as it does while a graph is captured."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        found = func(*args, **(kwargs or {}))
        self.lines.append((func, (args, kwargs or {}), found))
        return found

    def played(self, wanted: Tensor) -> Tensor:
        """Do all operations again and return what `wanted` becomes; what came from no operation is read as it lies now."""
        now: dict[int, Any] = {}

        def renewed(old: Any) -> Any:
            return now.get(id(old), old)

        for func, given, found in self.lines:
            args, kwargs = tree_map(renewed, given)
            again = func(*args, **kwargs)
            now |= {id(old): new for old, new in zip(tree_leaves(found), tree_leaves(again), strict=True)}
        return now[id(wanted)]


class Taped:
    def __init__(self, tape: Tape, result: Tensor) -> None:
        self.tape, self.result = tape, result
        self.output = torch.full_like(result, torch.nan)

    def replay(self) -> None:
        self.output.copy_(self.tape.played(self.result))


class TapeCapturer:
    """Records on tape; counts, and refuses to record inside of a recording."""

    def __init__(self, error: RuntimeError | None = None) -> None:
        self.error, self.n_captured, self.n_ordered = error, 0, 0
        self.is_capturing = False

    def order(self) -> None:
        assert not self.is_capturing
        self.n_ordered += 1

    def capture(self, run: captured.Run, inputs: FlowInputs) -> Taped:
        assert not self.is_capturing, "a recording inside of a recording"
        if self.error is not None:
            raise self.error
        self.is_capturing = True
        self.n_captured += 1
        with Tape() as tape:
            result = run(inputs)
        self.is_capturing = False
        return Taped(tape, result)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


MODEL = tiny_model()


def mel_inputs(
    lengths: list[int], weights: tuple[float, ...] = (1.0,), times: Tensor | None = None, seed: int = 0
) -> FlowInputs:
    """Random inputs of the mel flow of `tiny_model`; padding is filled with what must not count."""
    generator = torch.Generator().manual_seed(seed)
    batch, n_frames, k = len(lengths), max(lengths), len(weights)
    times = evaluation_times(Sampling().grid(3)) if times is None else times
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    branches = [Branch(condition(), weight) for weight in weights]
    return flow_inputs(
        draw(batch, n_frames, 10), [draw(k * batch, n_frames, 10), draw(k * batch, n_frames, 64)],
        [draw(k * batch, 1, 16)], torch.tensor(lengths), branches, times,
    )  # fmt: skip


def prosody_inputs(lengths: list[int], weights: tuple[float, ...] = (1.0,), seed: int = 0) -> FlowInputs:
    generator = torch.Generator().manual_seed(seed)
    batch, n, k = len(lengths), max(lengths), len(weights)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    branches = [Branch(condition(), weight) for weight in weights]
    times = evaluation_times(Sampling().grid(3))
    return flow_inputs(
        draw(batch, n, 4), [draw(k * batch, n, 64), draw(k * batch, n, 16)], [], torch.tensor(lengths), branches, times
    )


def check(
    flow: CapturedFlow, inputs: FlowInputs, network: FlowNetwork = MODEL.estimator, method: str = "euler"
) -> None:
    """Compare a run with the plain one on the real frames."""
    grid = Sampling().grid(3)
    mask = lengths_to_mask(inputs.lengths, inputs.noise.shape[1])[:, :, None]
    got = flow.run(network, inputs, grid, method)
    torch.testing.assert_close(got * mask, eager(network, inputs, grid, method) * mask, **TOLERANCE)
    assert (got[~mask[..., 0]] == 0).all()


def recorded(lengths: list[int], **options: object) -> tuple[CapturedFlow, TapeCapturer]:
    """A flow that has recorded the bucket of these lengths."""
    capturer = TapeCapturer()
    flow = CapturedFlow(capturer)
    for _ in range(2):
        check(flow, mel_inputs(lengths, **options))  # type: ignore[arg-type]
    assert capturer.n_captured == 1
    return flow, capturer


def test_the_first_request_of_a_bucket_is_not_recorded_and_the_second_is() -> None:
    capturer = TapeCapturer()
    flow = CapturedFlow(capturer)
    check(flow, mel_inputs([20]))
    assert capturer.n_captured == 0
    check(flow, mel_inputs([25]))
    check(flow, mel_inputs([31]))
    assert capturer.n_captured == 1


@pytest.mark.parametrize("length", [17, 18, 23, 30, 31, 32])
def test_one_recording_serves_every_length_of_its_bucket(length: int) -> None:
    flow, capturer = recorded([21])
    for seed in (1, 2):
        check(flow, mel_inputs([length], seed=seed))
    assert capturer.n_captured == 1


def test_one_recording_serves_ragged_batches_of_fewer_rows() -> None:
    flow, capturer = recorded([20, 32, 17, 9])
    check(flow, mel_inputs([5, 24, 31], seed=3))
    check(flow, mel_inputs([1, 30, 2, 29], seed=4))
    assert capturer.n_captured == 1


@pytest.mark.parametrize("length", [3, 9, 16])
def test_the_reading_is_recorded_too(length: int) -> None:
    capturer = TapeCapturer()
    flow = CapturedFlow(capturer)
    for lengths in ([12], [7], [length]):
        check(flow, prosody_inputs(lengths, (1.5, -0.5)), MODEL.prosody)
    assert capturer.n_captured == 1


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_recorded(method: str) -> None:
    capturer = TapeCapturer()
    flow = CapturedFlow(capturer)
    times = evaluation_times(Sampling().grid(3), method)
    for length in (20, 28, 19):
        check(flow, mel_inputs([length], times=times), method=method)
    assert capturer.n_captured == 1


def test_other_weights_of_branches_need_no_other_recording_and_act() -> None:
    flow, capturer = recorded([20], weights=(1.5, -0.5))
    check(flow, mel_inputs([22], weights=(3.0, -2.0)))
    assert capturer.n_captured == 1
    grid = Sampling().grid(3)
    mild, strong = (flow.run(MODEL.estimator, mel_inputs([22], (w, 1 - w)), grid, "euler") for w in (1.2, 4.0))
    assert (mild - strong).abs().max() > 1e-2
    check(flow, mel_inputs([22], weights=(1.0,)))
    check(flow, mel_inputs([22], weights=(1.0,)))
    assert capturer.n_captured == 2  # another number of branches is another recording


def test_other_grids_methods_and_formats_are_other_recordings() -> None:
    flow, capturer = recorded([20])
    inputs = mel_inputs([20], times=evaluation_times(Sampling("sway").grid(3)))
    for _ in range(2):
        got = flow.run(MODEL.estimator, inputs, Sampling("sway").grid(3), "euler")
    expected = eager(MODEL.estimator, inputs, Sampling("sway").grid(3), "euler")
    torch.testing.assert_close(got, expected, **TOLERANCE)
    assert capturer.n_captured == 2


@pytest.mark.parametrize("forgotten", range(6))
def test_every_input_is_refreshed(forgotten: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(static: FlowInputs, inputs: FlowInputs) -> None:
        for i, (old, new) in enumerate(zip(static.tensors, inputs.tensors, strict=True)):
            if i != forgotten:
                old.copy_(new)

    flow, _ = recorded([20], weights=(1.5, -0.5))
    other = mel_inputs([29], weights=(2.5, -1.5), seed=9)
    check(flow, other)
    monkeypatch.setattr(captured, "refresh", forgetful)
    flow, _ = recorded([20], weights=(1.5, -0.5))
    with pytest.raises(AssertionError):
        check(flow, other)
    assert len(other.tensors) == 7  # the seventh are the times, which are the grid's: bound to the recording


def test_a_students_scale_of_guidance_is_an_input_of_its_recording() -> None:
    student = tiny_model().estimator
    student.time = JumpEmbedding(64)  # type: ignore[assignment]
    for parameter in student.parameters():
        torch.nn.init.normal_(parameter, std=0.05) if not parameter.any() else None
    capturer, grid = TapeCapturer(), Sampling().grid(2)
    flow = CapturedFlow(capturer)
    ends = []
    for scale in (1.0, 1.0, 2.0, 4.0):
        plain = mel_inputs([20])
        inputs = jump_inputs(plain.noise, plain.over_time, plain.constant, plain.lengths, 2, scale)
        ends.append(flow.run(student, inputs, grid, JUMPS))
        torch.testing.assert_close(ends[-1], eager(student, inputs, grid, JUMPS), **TOLERANCE)
    assert capturer.n_captured == 1 and (ends[-1] - ends[0]).abs().max() > 1e-3


def test_results_are_copies_and_two_buckets_do_not_disturb_each_other() -> None:
    flow, capturer = recorded([20])
    for _ in range(2):
        check(flow, mel_inputs([40]))
    assert capturer.n_captured == 2
    grid = Sampling().grid(3)
    first = flow.run(MODEL.estimator, mel_inputs([20], seed=1), grid, "euler")
    kept = first.clone()
    flow.run(MODEL.estimator, mel_inputs([20], seed=2), grid, "euler")
    assert torch.equal(first, kept)
    for seed in range(3):
        check(flow, mel_inputs([18 + seed], seed=seed))
        check(flow, mel_inputs([35 + seed], seed=seed))
    assert capturer.n_captured == 2


def test_recordings_are_bounded_and_the_one_unused_for_the_longest_goes() -> None:
    capturer = TapeCapturer()
    flow = CapturedFlow(capturer, max_graphs=2)
    for length in (10, 10, 20, 20, 10, 40, 40):  # the last takes the place of 20
        check(flow, mel_inputs([length]))
    assert len(flow.graphs) == 2 and capturer.n_captured == 3
    check(flow, mel_inputs([12]))
    assert capturer.n_captured == 3
    check(flow, mel_inputs([20]))
    assert capturer.n_captured == 4 and len(flow.graphs) == 2


def test_what_exceeds_the_buckets_is_computed_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured, "LENGTHS", (16,))
    monkeypatch.setattr(captured, "BATCHES", (1, 2))
    capturer = TapeCapturer()
    flow = CapturedFlow(capturer)
    for lengths in ([17], [17], [5, 6, 7], [5, 6, 7]):
        check(flow, mel_inputs(lengths))
    assert capturer.n_captured == 0


def test_what_cannot_be_recorded_is_computed_plainly_with_one_warning() -> None:
    flow = CapturedFlow(TapeCapturer(RuntimeError("operation not permitted when stream is capturing")))
    check(flow, mel_inputs([20]))
    with pytest.warns(UserWarning, match="not permitted.*EMOTTS_GRAPHS=0"):
        check(flow, mel_inputs([20]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(flow, mel_inputs([20]))
        check(flow, mel_inputs([50]))
        check(flow, mel_inputs([50]))


def test_weights_that_moved_are_recorded_again() -> None:
    model = tiny_model()
    flow, capturer = CapturedFlow(TapeCapturer()), TapeCapturer()
    flow.capturer = capturer
    for _ in range(2):
        check(flow, mel_inputs([20]), model.estimator)
    with torch.no_grad():
        model.estimator.head.weight = torch.nn.Parameter(model.estimator.head.weight * 2.0)
    for _ in range(2):
        check(flow, mel_inputs([20]), model.estimator)
    assert capturer.n_captured == 2


def test_a_bucket_is_filled_with_rows_that_attend_to_something() -> None:
    filled = padded_inputs(mel_inputs([5, 7], (2.0, -1.0)), 4, 16)
    assert filled.lengths.tolist() == [5, 7, 1, 1] and filled.noise.shape == (4, 16, 10)
    assert [x.shape[:2] for x in filled.over_time] == [(8, 16)] * 2 and filled.constant[0].shape == (8, 1, 16)
    plain = mel_inputs([5, 7], (2.0, -1.0))
    assert torch.equal(filled.over_time[0].unflatten(0, (2, 4))[:, :2, :7], plain.over_time[0].unflatten(0, (2, 2)))


def test_the_plain_way_is_taken_without_cuda_when_bent_and_with_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, grid = mel_inputs([20]), Sampling().grid(3)

    def refuse(*_: object) -> None:
        raise AssertionError("a recording was asked for")

    monkeypatch.setattr(captured, "CudaCapturer", refuse)
    expected = eager(MODEL.estimator, inputs, grid, "euler")
    assert torch.equal(sample_flow(MODEL.estimator, inputs, grid, "euler"), expected)
    monkeypatch.setattr(captured, "graphs_wanted", lambda device: True)
    with pytest.raises(AssertionError, match="asked for"):
        sample_flow(MODEL.estimator, inputs, grid, "euler")
    sample_flow(MODEL.estimator, inputs, grid, "euler", bend=lambda x_t, t, plain: plain)
    with torch.enable_grad():
        sample_flow(MODEL.estimator, inputs, grid, "euler")
    monkeypatch.setattr(captured, "_is_capturing", lambda: True)
    sample_flow(MODEL.estimator, inputs, grid, "euler")


@pytest.mark.parametrize(("asked", "wanted"), [(None, True), ("1", True), ("0", False), ("", True)])
def test_the_environment_turns_recording_off(asked: str | None, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(captured.VARIABLE, raising=False)
    if asked is not None:
        monkeypatch.setenv(captured.VARIABLE, asked)
    assert captured.graphs_wanted(torch.device("cuda")) is wanted and not captured.graphs_wanted(torch.device("cpu"))
    monkeypatch.setenv(captured.VARIABLE, "maybe")
    with pytest.raises(ValueError, match="must be 0 or 1"):
        captured.graphs_wanted(torch.device("cuda"))


def test_a_whole_model_speaks_by_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    model, c = tiny_model(), condition()
    request = guided(c, Guidance(2.0, 1.5, 1.2), c.without_emotion())
    minimum = torch.ones_like(c.phonemes)

    def mel(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        encoded = model.encoded(request)
        prosody = model.sample_prosody(encoded, minimum, generator=generator)
        return model.sample_mel(encoded, prosody, generator=generator, steps=3)

    plain = [mel(seed) for seed in range(4)]
    capturer = TapeCapturer()
    monkeypatch.setattr(captured, "graphs_wanted", lambda device: True)
    monkeypatch.setattr(captured, "CudaCapturer", lambda device: capturer)
    for seed in range(4):
        torch.testing.assert_close(mel(seed), plain[seed], atol=1e-4, rtol=1e-4)
    assert capturer.n_captured >= 2 and capturer.n_ordered >= 4


def test_a_compiled_network_is_recorded() -> None:
    """Without a break in the graph: what dynamo cannot follow could not be fused either."""
    model = tiny_model()
    model.estimator.blocks.run = torch.compile(  # type: ignore[method-assign]
        model.estimator.blocks.run, backend="eager", fullgraph=True
    )
    inputs, grid = mel_inputs([20, 12]), Sampling().grid(3)
    got = eager(model.estimator, inputs, grid, "euler")
    torch.testing.assert_close(got, eager(MODEL.estimator, inputs, grid, "euler"), **TOLERANCE)
