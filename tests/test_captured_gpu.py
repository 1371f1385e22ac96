"""CUDA graphs of whole runs: replay equals the plain run after lengths changed, in both flows, and memory stays bounded."""

import random

import pytest
import torch
from test_acoustic import condition, tiny_model
from test_captured import check, mel_inputs, prosody_inputs

from emotts.acoustic import captured
from emotts.acoustic.blend import Guidance, guided
from emotts.acoustic.captured import CapturedFlow, CudaCapturer


@pytest.fixture(autouse=True)
def needs_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")


def on_gpu(inputs):
    return inputs.mapped(lambda x: x.cuda())


@torch.no_grad()
def test_replay_equals_the_plain_run_after_lengths_changed() -> None:
    model = tiny_model().cuda()
    torch.backends.cuda.matmul.allow_tf32 = False
    flow = CapturedFlow(CudaCapturer(torch.device("cuda")))
    for seed, lengths in enumerate(([20], [31], [17], [32], [25, 9], [18, 31], [32, 1], [40, 40, 3], [64, 33, 50])):
        check(flow, on_gpu(mel_inputs(lengths, (1.5, -0.5), seed=seed)), model.estimator)
    assert len(flow.graphs) == 3 and not flow.is_broken


@torch.no_grad()
def test_readings_are_replayed_too() -> None:
    model = tiny_model().cuda()
    flow = CapturedFlow(CudaCapturer(torch.device("cuda")))
    for seed, lengths in enumerate(([12], [7], [16], [3, 9], [16, 2], [11, 11])):
        check(flow, on_gpu(prosody_inputs(lengths, seed=seed)), model.prosody)
    assert len(flow.graphs) == 2 and not flow.is_broken


@torch.no_grad()
def test_two_streams_take_turns() -> None:
    model = tiny_model().cuda()
    flow = CapturedFlow(CudaCapturer(torch.device("cuda")))
    streams = [torch.cuda.Stream() for _ in range(2)]
    for seed in range(12):
        with torch.cuda.stream(streams[seed % 2]):
            inputs = on_gpu(mel_inputs([17 + seed], seed=seed))
            check(flow, inputs, model.estimator)


@torch.no_grad()
def test_memory_is_bounded_over_many_requests() -> None:
    model = tiny_model().cuda()
    flow = CapturedFlow(CudaCapturer(torch.device("cuda")), max_graphs=8)
    draw = random.Random(0)
    used = []
    for seed in range(200):
        lengths = [draw.randint(1, 600) for _ in range(draw.choice((1, 1, 2, 4)))]
        check(flow, on_gpu(mel_inputs(lengths, seed=seed)), model.estimator)
        used.append(torch.cuda.memory_reserved())
    assert len(flow.graphs) <= 8
    assert used[-1] <= 1.5 * max(used[:100])


@torch.no_grad()
def test_a_compiled_network_is_recorded() -> None:
    model = tiny_model().cuda()
    plain = tiny_model().cuda()
    model.estimator.blocks.run = torch.compile(model.estimator.blocks.run)  # type: ignore[method-assign]
    flow = CapturedFlow(CudaCapturer(torch.device("cuda")))
    grid = torch.linspace(0.0, 1.0, 4)
    for seed in range(4):
        inputs = on_gpu(mel_inputs([20 + seed], seed=seed))
        got = flow.run(model.estimator, inputs, grid, "euler")
        expected = captured.eager(plain.estimator, inputs, grid, "euler")
        torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-3)
    assert len(flow.graphs) == 1 and not flow.is_broken


def test_a_whole_model_speaks_the_same_with_and_without_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    model, c = tiny_model().cuda(), condition().to(torch.device("cuda"))
    request = guided(c, Guidance(2.0), c.without_emotion())

    def mel(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        encoded = model.encoded(request)
        prosody = model.sample_prosody(encoded, torch.ones_like(c.phonemes), generator=generator)
        return model.sample_mel(encoded, prosody, generator=generator, steps=3)

    monkeypatch.setenv(captured.VARIABLE, "0")
    plain = [mel(seed) for seed in range(4)]
    monkeypatch.setenv(captured.VARIABLE, "1")
    for seed in range(4):
        torch.testing.assert_close(mel(seed), plain[seed], atol=1e-3, rtol=1e-3)
