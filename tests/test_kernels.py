"""The attention op and its plain forms: float64, tracing, gradients, which backend runs, and where machine code is kept."""

import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from kernel_cases import TOLERANCE, Case, in_float64, largest_error, make_inputs

from emotts.kernels import attend_padded, attention, attention_qkv, choose_backend, dispatch, launch, ops
from emotts.kernels import cache as cubins
from emotts.kernels.driver import Driver
from emotts.kernels.launch import Device, Inputs, Launcher
from emotts.kernels.nvrtc import KernelError, Resources, read_resources
from emotts.kernels.reference import reference_attention, sdpa_attention
from emotts.kernels.variants import SHORT, Variant
from emotts.layers import HEAD_DIM, Attention, lengths_to_mask, rotary_tables

CASES = {
    "packed": Case((5, 0, 3, 1), dtype=torch.float64),
    "padded": Case((2, 7, 0), dtype=torch.float64, room=9),
    "rows apart, no norm": Case((4, 6), dtype=torch.float64, has_norm=False, spare_columns=16),
    "no rotation": Case((4, 6), dtype=torch.float64, has_rope=False),
    "nothing": Case((0,), dtype=torch.float64),
}
VARIANT = Variant(SHORT, torch.bfloat16, has_norm=True, has_rope=True)


@pytest.fixture(autouse=True)
def forget_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "_warned", set())
    monkeypatch.delenv(dispatch.VARIABLE, raising=False)


@pytest.mark.parametrize("attend", [reference_attention, sdpa_attention, attention_qkv])
@pytest.mark.parametrize("name", CASES)
def test_plain_forms_equal_float64(attend, name) -> None:
    inputs = make_inputs(CASES[name])
    # The rotation table is float32 by contract and read as it is, so both sides compute in float64 alone.
    assert largest_error(attend(*inputs), in_float64(inputs)) < 1e-12


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("attend", [reference_attention, sdpa_attention])
def test_plain_forms_in_half_precision(attend, dtype) -> None:
    inputs = make_inputs(Case((33, 0, 70), dtype=dtype))
    assert largest_error(attend(*inputs), in_float64(inputs)) < TOLERANCE[dtype]


def test_lengths_are_bounded_by_what_a_sequence_owns() -> None:
    inputs = make_inputs(Case((4, 5), dtype=torch.float64, spare_rows=0))
    claimed = inputs._replace(lengths=torch.tensor([9, 99]), max_length=5)
    torch.testing.assert_close(attention_qkv(*claimed), in_float64(inputs))


def test_the_op_keeps_torchs_rules() -> None:
    inputs = make_inputs(Case((5, 0, 3), room=6, dtype=torch.float32))
    clean = inputs._replace(qkv=torch.randn_like(inputs.qkv))
    learnt = clean._replace(
        qkv=clean.qkv.clone().requires_grad_(),
        query_weight=clean.query_weight.clone().requires_grad_(),
        key_weight=clean.key_weight.clone().requires_grad_(),
    )
    op = torch.ops.emotts.attention_qkv.default
    torch.library.opcheck(op, tuple(learnt))
    plain = clean._replace(query_weight=None, key_weight=None, rope=None)
    torch.library.opcheck(op, tuple(plain), test_utils=("test_schema", "test_faketensor"))


def test_gradients_equal_those_of_the_formula() -> None:
    inputs = make_inputs(Case((4, 0, 3), dtype=torch.float64, spare_rows=1))
    qkv = inputs.qkv.nan_to_num(0.0).requires_grad_()
    weights = [w.clone().requires_grad_() for w in (inputs.query_weight, inputs.key_weight)]

    def attend(qkv, query_weight, key_weight):
        return attention_qkv(
            *inputs._replace(qkv=qkv.unflatten(0, (8,)), query_weight=query_weight, key_weight=key_weight)
        )

    assert torch.autograd.gradcheck(attend, (qkv, *weights), fast_mode=True)


def test_the_op_compiles_whole_and_for_new_lengths() -> None:
    def attend(qkv, lengths, weight, rope):
        starts = torch.arange(len(lengths), device=qkv.device) * (qkv.shape[0] // len(lengths))
        return attention_qkv(qkv * 2, starts, lengths, rope.shape[0], weight, weight, rope) + 1

    compiled = torch.compile(attend, fullgraph=True, backend="aot_eager", dynamic=True)
    for room, lengths in ((6, [6, 2]), (9, [0, 8])):
        qkv = torch.randn(2 * room, 3, 2, HEAD_DIM)
        given = (
            qkv,
            torch.tensor(lengths),
            torch.ones(HEAD_DIM),
            torch.cat(rotary_tables(room, qkv.device, qkv.dtype), 1),
        )
        torch.testing.assert_close(compiled(*given), attend(*given))


def test_attention_layers_export_with_the_op(monkeypatch: pytest.MonkeyPatch) -> None:
    class Merged(torch.nn.Module):
        def forward(self, qkv, starts, lengths):
            return attention_qkv(qkv, starts, lengths, 4)

    qkv, starts, lengths = torch.randn(8, 3, 1, HEAD_DIM), torch.tensor([0, 4]), torch.tensor([4, 1])
    program = torch.export.export(Merged(), (qkv, starts, lengths))
    assert "emotts.attention_qkv" in str(program.graph)
    torch.testing.assert_close(program.module()(qkv, starts, lengths), Merged()(qkv, starts, lengths))


def test_the_padded_door_equals_the_layer() -> None:
    torch.manual_seed(0)
    layer, x = Attention(2 * HEAD_DIM), torch.randn(3, 7, 2 * HEAD_DIM)
    mask = lengths_to_mask(torch.tensor([7, 3, 1]), 7)
    rope = torch.cat(rotary_tables(7, x.device, torch.float32), dim=1)
    with torch.no_grad():
        merged = attend_padded(layer.qkv(x), mask, layer.norm_q.weight, layer.norm_k.weight, rope, layer.norm_q.eps)
        assert (merged[~mask] == 0).all()
        torch.testing.assert_close(layer.out(merged)[mask], layer(x, mask)[mask], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("asked", dispatch.BACKENDS)
def test_the_layer_obeys_the_switch_and_compiles_whole(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, x = Attention(HEAD_DIM), torch.randn(2, 7, HEAD_DIM)
    mask = lengths_to_mask(torch.tensor([7, 3]), 7)
    with torch.no_grad():
        expected = layer(x, mask)[mask]
        monkeypatch.setenv(dispatch.VARIABLE, asked)
        torch.testing.assert_close(layer(x, mask)[mask], expected, atol=1e-5, rtol=1e-4)
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x, mask)[mask], expected, atol=1e-5, rtol=1e-4)
        shared = lengths_to_mask(torch.tensor([5]), 7)
        torch.testing.assert_close(layer(x, shared)[0, :5], layer(x[:1], shared)[0, :5], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"qkv": torch.zeros(4, 3, 32)}, r"qkv must be \[tokens, 3, heads, 64\]; got \[4, 3, 32\]"),
        ({"lengths": torch.ones(2)}, r"lengths must be int64 \[sequences\], like starts; got torch.float32"),
        ({"key_weight": None}, "both be given or both be None"),
        ({"key_weight": torch.ones(64).half()}, "key_weight must be torch.float32"),
        ({"rope": torch.zeros(9, 32)}, "rope must be float32"),
        ({"max_length": 50}, "rope must have max_length = 50 positions or more; got 3"),
        ({"max_length": -1}, "max_length must be 0 or more"),
        ({"scale": 0.0}, "scale above 0"),
    ],
)
def test_wrong_inputs_are_refused(change, message) -> None:
    inputs = make_inputs(Case((3, 2), dtype=torch.float32))
    with pytest.raises(ValueError, match=message):
        attention_qkv(*inputs._replace(**change))


def test_the_backend_is_chosen_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu, half = torch.device("cpu"), torch.device("cuda", 0), torch.bfloat16
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(major=9, minor=0))
    assert choose_backend(cpu, half, 1, 100).backend == "sdpa"
    assert "not measured" in choose_backend(gpu, half, 1, 100).reason
    monkeypatch.setattr(dispatch, "FUSED_WINS", (dispatch.Win((9, 0), max_sequences=4, max_length=1000),))
    assert choose_backend(gpu, half, 4, 1000).backend == "fused"
    assert choose_backend(gpu, half, 5, 1000).backend == choose_backend(gpu, half, 1, 1001).backend == "sdpa"
    assert choose_backend(gpu, half, 1, 100, needs_grad=True).reason == "a backward pass follows"
    assert choose_backend(gpu, torch.float32, 1, 100).backend == "sdpa"
    for asked in ("reference", "sdpa", "fused"):
        monkeypatch.setenv(dispatch.VARIABLE, asked)
        assert choose_backend(gpu, half, 99, 9999).backend == asked
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(major=7, minor=5))
    with pytest.warns(UserWarning, match="needs sm_80 or later; this GPU is sm_75"):
        assert choose_backend(gpu, half, 1, 100).backend == "sdpa"
    monkeypatch.setenv(dispatch.VARIABLE, "flash")
    with pytest.raises(ValueError, match="EMOTTS_ATTENTION must be one of auto, fused, sdpa, reference; got 'flash'"):
        choose_backend(cpu, half, 1, 100)


def test_the_choice_can_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dispatch.VARIABLE, "fused")
    gpu = torch.device("cuda", 0)

    def double(x):
        return x * 2 if choose_backend(gpu, x.dtype, 1, 100).backend == "sdpa" else x

    assert torch.compile(double, fullgraph=True, backend="eager")(torch.ones(1)) == 2
    assert not ops._warned  # tracing stays silent


@pytest.mark.parametrize("asked", dispatch.BACKENDS)
def test_every_backend_attends(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dispatch.VARIABLE, asked)
    inputs = make_inputs(Case((5, 0, 3), dtype=torch.float64))
    assert largest_error(attention(*inputs), in_float64(inputs)) < 1e-12


def test_what_keeps_the_kernel_from_running_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> Launcher:
        raise KernelError("the CUDA driver cannot be loaded: gone")

    monkeypatch.setattr(ops, "torch_launcher", no_driver)
    monkeypatch.setattr(torch.cuda, "device", lambda device: torch.no_grad())
    inputs = make_inputs(Case((6, 2)))
    with pytest.warns(UserWarning, match="plain attention is used instead of the fused kernel: .*gone"):
        out = ops._forward_cuda(*inputs)
    torch.testing.assert_close(out, reference_attention(*inputs))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ops._forward_cuda(*inputs)
    with pytest.warns(UserWarning, match="bfloat16 or float16; got torch.float32"):
        ops._forward_cuda(*make_inputs(Case((6, 2), dtype=torch.float32)))


class FakeDriver(Driver):
    """A driver that loads what it is given and launches nothing."""

    def __init__(self) -> None:
        self.loaded: list[bytes] = []
        self.launched: list[tuple] = []

    def ensure_context(self, device: int) -> None:
        pass

    def load(self, cubin: bytes, name: str):
        self.loaded.append(cubin)
        return len(self.loaded)

    def launch(self, function, grid, threads, stream, arguments) -> None:
        self.launched.append((function, grid, threads, stream, [argument.value for argument in arguments]))


def make_launcher(
    driver: FakeDriver, streams: list[int], get_cubin=lambda variant, arch: b"code", capturing=False
) -> Launcher:
    return Launcher(driver, Device(lambda d: "sm_90", lambda d: streams.pop(0), lambda: capturing), get_cubin)


def test_the_launcher_loads_once_and_asks_for_the_stream_every_time() -> None:
    driver = FakeDriver()
    launcher = make_launcher(driver, [11, 22])
    inputs = make_inputs(Case((40, 3), heads=3, room=48, spare_columns=8))
    launcher.run(inputs)
    launcher.run(inputs)
    assert len(driver.loaded) == 1 and [call[3] for call in driver.launched] == [11, 22]
    _, grid, threads, _, values = driver.launched[0]
    assert grid == (2, 3, 2) and threads == 128  # 40 rows in tiles of 32; heads; sequences
    assert values[0] == inputs.qkv.data_ptr() and values[2] == inputs.starts.data_ptr()
    assert values[7:12] == [96, 3 * 3 * 64 + 8, 3, 2, 40]


def test_rows_that_the_kernel_cannot_read_are_copied() -> None:
    driver = FakeDriver()
    inputs = make_inputs(Case((4,), heads=1, spare_columns=3))
    make_launcher(driver, [0]).run(inputs)
    assert driver.launched[0][4][8] == 3 * 64 and driver.launched[0][4][0] != inputs.qkv.data_ptr()
    shifted = torch.ones(HEAD_DIM + 1, dtype=torch.bfloat16)[1:]
    make_launcher(driver, [0]).run(inputs._replace(query_weight=shifted, key_weight=shifted))
    assert driver.launched[1][4][4] % 16 == driver.launched[1][4][5] % 16 == 0


def test_empty_batches_launch_nothing() -> None:
    driver = FakeDriver()
    none = torch.zeros(0, dtype=torch.int64)
    inputs = make_inputs(Case((3,)))._replace(starts=none, lengths=none)
    assert (make_launcher(driver, []).run(inputs) == 0).all() and not driver.launched
    assert attention_qkv(*inputs).shape == (6, 128)


def test_nothing_is_loaded_during_a_capture() -> None:
    with pytest.raises(KernelError, match="not loaded yet"):
        make_launcher(FakeDriver(), [0], capturing=True).run(make_inputs(Case((3,))))


def test_a_compilation_that_failed_is_not_tried_again() -> None:
    tries = []

    def refuse(variant: Variant, architecture: str) -> bytes:
        tries.append(architecture)
        raise KernelError("no compiler")

    launcher = make_launcher(FakeDriver(), [], refuse)
    for _ in range(2):
        with pytest.raises(KernelError, match="no compiler"):
            launcher.run(make_inputs(Case((3,))))
    assert tries == ["sm_90"]


def test_old_gpus_and_missing_drivers_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    with pytest.raises(KernelError, match="needs sm_80 or later; this GPU is sm_70"):
        launch.architecture_of(torch.device("cuda"))
    with pytest.raises(KernelError, match="the CUDA driver cannot be loaded"):
        Driver("libnowhere.so.1")


def test_machine_code_is_kept_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def compile_source(source: str, architecture: str, macros: dict[str, int]) -> tuple[bytes, Resources]:
        compiled.append(architecture)
        return cubins.ELF + architecture.encode(), Resources(1, 0, 0, 0)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cubins, "compile_source", compile_source)
    monkeypatch.setattr(cubins, "nvrtc_version", lambda: "13.0")
    first = cubins.load_or_compile(VARIANT, "sm_90")
    assert cubins.load_or_compile(VARIANT, "sm_90") == first == b"\x7fELFsm_90" and compiled == ["sm_90"]
    path = cubins.cubin_path(VARIANT, "sm_90")
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing half-written beside it
    path.write_bytes(b"broken")
    assert cubins.load_or_compile(VARIANT, "sm_90") == first and len(compiled) == 2
    cubins.load_or_compile(VARIANT, "sm_80")
    monkeypatch.setattr(cubins, "nvrtc_version", lambda: "13.1")
    cubins.load_or_compile(VARIANT, "sm_90")
    assert compiled[2:] == ["sm_80", "sm_90"]
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="compiled anew by every process"):
        assert cubins.load_or_compile(VARIANT, "sm_90") == first


def test_the_compilers_report_is_read() -> None:
    log = (
        "ptxas info    : Compiling entry function 'attention' for 'sm_90'\n"
        "    8 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads\n"
        "ptxas info    : Used 124 registers, used 1 barriers, 8 bytes cumulative stack size, 40960 bytes smem\n"
    )
    assert read_resources(log) == Resources(registers=124, stack_bytes=8, spill_bytes=28, shared_bytes=40960)
    with pytest.raises(KernelError, match="names no registers"):
        read_resources("")


def test_inputs_follow_the_schema() -> None:
    schema = torch.ops.emotts.attention_qkv.default._schema
    assert [argument.name for argument in schema.arguments] == list(Inputs._fields)
