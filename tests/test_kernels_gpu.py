"""The kernel on a GPU: float64, poisoned outputs, random lengths, graphs that outlive their lengths, streams. Skipped elsewhere."""

from collections.abc import Iterator

import pytest
import torch
from kernel_cases import TOLERANCE, Case, in_float64, largest_error, make_inputs

from emotts.kernels import attention_qkv, ops
from emotts.kernels.launch import OLDEST, TORCH_DEVICE, Inputs, Launcher, torch_launcher
from emotts.kernels.nvrtc import KernelError
from emotts.kernels.variants import TILES, Tile
from emotts.layers import Attention, lengths_to_mask

HALVES = (torch.bfloat16, torch.float16)


@pytest.fixture(autouse=True)
def needs_a_gpu(recwarn: pytest.WarningsRecorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < OLDEST:
        pytest.skip("needs a CUDA GPU of sm_80 or later")
    monkeypatch.setattr(ops, "_warned", set())
    yield
    fallbacks = [str(warning.message) for warning in recwarn if "fused kernel" in str(warning.message)]
    assert not fallbacks, "plain attention ran instead of the kernel"


def launcher_with(tile: Tile) -> Launcher:
    usual = torch_launcher()
    return Launcher(usual.driver, TORCH_DEVICE, usual.get_cubin, tile)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("tile", TILES, ids=lambda tile: tile.name)
def test_near_float64(tile: Tile, dtype: torch.dtype) -> None:
    launcher = launcher_with(tile)
    for case in (
        Case((1, 2, 6, 65), dtype=dtype, room=70),
        Case((130, 0, 64), dtype=dtype),
        Case((1000, 377), heads=6, dtype=dtype, spare_columns=8),
        Case((63, 64, 65), dtype=dtype, has_norm=False, has_rope=False),
    ):
        inputs = make_inputs(case, device="cuda")
        assert largest_error(launcher.run(inputs), in_float64(inputs)) < TOLERANCE[dtype], case


def test_every_output_is_written_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The output is a window of a buffer of NaN: inside none may stay, outside all must."""
    empty, guard = torch.empty, 4096

    for seed, tile in enumerate(TILES):
        inputs = make_inputs(Case((77, 0, 5), room=300), seed, "cuda")
        tokens, width = inputs.qkv.shape[0], inputs.qkv.shape[2] * 64
        buffer = torch.full((2 * guard + tokens * width,), float("nan"), dtype=inputs.qkv.dtype, device="cuda")

        def window(
            *shape: int, dtype: torch.dtype, device: torch.device, buffer: torch.Tensor = buffer
        ) -> torch.Tensor:
            return buffer[guard:-guard].view(shape)

        launcher = launcher_with(tile)
        monkeypatch.setattr(torch, "empty", window)
        out = launcher.run(inputs)
        monkeypatch.setattr(torch, "empty", empty)
        assert not out.isnan().any()
        assert buffer[:guard].isnan().all() and buffer[-guard:].isnan().all()


def test_random_lengths() -> None:
    draw = torch.Generator().manual_seed(0)
    for seed in range(20):
        lengths = torch.randint(0, 700, (int(torch.randint(1, 9, (1,), generator=draw)),), generator=draw)
        inputs = make_inputs(Case((1, *lengths.tolist()), heads=1 + seed % 4), seed, "cuda")
        assert largest_error(attention_qkv(*inputs), in_float64(inputs)) < TOLERANCE[inputs.qkv.dtype], lengths


def test_a_captured_graph_serves_new_lengths() -> None:
    inputs = make_inputs(Case((200, 150, 200), room=200), device="cuda")
    fresh = torch.randn(inputs.qkv.shape, device="cuda").to(inputs.qkv.dtype)
    inputs = inputs._replace(qkv=fresh)
    attention_qkv(*inputs)  # compiled and loaded before the capture
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = attention_qkv(*inputs)
    for lengths in ((200, 150, 200), (1, 0, 199), (64, 65, 3)):
        inputs.lengths.copy_(torch.tensor(lengths))
        captured.fill_(float("nan"))
        graph.replay()
        torch.cuda.synchronize()
        assert largest_error(captured, in_float64(inputs)) < TOLERANCE[inputs.qkv.dtype], lengths


def test_two_streams_at_once() -> None:
    streams = [torch.cuda.Stream() for _ in range(2)]
    work: list[tuple[Inputs, torch.Tensor]] = []
    torch.cuda.synchronize()
    for n in range(20):
        with torch.cuda.stream(streams[n % 2]):
            inputs = make_inputs(Case((300 + n, 40), heads=4), n, "cuda")
            work.append((inputs, attention_qkv(*inputs)))
    torch.cuda.synchronize()
    for inputs, out in work:
        assert largest_error(out, in_float64(inputs)) < TOLERANCE[inputs.qkv.dtype]


def test_compiled_whole() -> None:
    def attend(qkv: torch.Tensor, inputs: tuple) -> torch.Tensor:
        return attention_qkv(qkv * 1.0, *inputs) + 0.0

    compiled = torch.compile(attend, fullgraph=True)
    for case in (Case((90, 33), heads=2), Case((120, 1), heads=2)):
        inputs = make_inputs(case, device="cuda")
        assert largest_error(compiled(inputs.qkv, tuple(inputs[1:])), in_float64(inputs)) < TOLERANCE[case.dtype]


def test_the_layer_runs_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = Attention(256).to("cuda", torch.bfloat16)
    x, mask = (
        torch.randn(3, 150, 256, device="cuda").bfloat16(),
        lengths_to_mask(torch.tensor([150, 9, 70]), 150).cuda(),
    )
    with torch.no_grad():
        expected = layer(x, mask)[mask].float()
        monkeypatch.setenv("EMOTTS_ATTENTION", "fused")
        for attend in (layer, torch.compile(layer, fullgraph=True)):
            error = (attend(x, mask)[mask].float() - expected).norm() / expected.norm()
            assert error < TOLERANCE[torch.bfloat16]


def test_gradients_are_the_formulas() -> None:
    inputs = make_inputs(Case((40, 9), spare_rows=0), device="cuda")
    on_gpu, on_cpu = (inputs.qkv.to(device).clone().requires_grad_() for device in ("cuda", "cpu"))
    rest = [x.cpu() if isinstance(x, torch.Tensor) else x for x in inputs[1:]]
    attention_qkv(on_gpu, *inputs[1:]).float().square().sum().backward()
    attention_qkv(on_cpu, *rest).float().square().sum().backward()
    error = (on_gpu.grad.cpu().float() - on_cpu.grad.float()).norm() / on_cpu.grad.float().norm()
    assert error < TOLERANCE[torch.bfloat16]


def test_a_kernel_that_is_not_loaded_stays_out_of_a_capture() -> None:
    launcher = launcher_with(TILES[0])
    inputs = make_inputs(Case((5,)), device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        with pytest.raises(KernelError, match="not loaded yet"):
            launcher.run(inputs)
        torch.zeros(1, device="cuda")  # an empty graph cannot be made
