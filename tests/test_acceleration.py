"""Backends on the CPU: the same networks within a stated error, the same promises as plain, and plain where one cannot run."""

import copy
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from emotts.acceleration import Choice, accelerate, choice, choose_backend, onnx_blocks, warn
from emotts.acceleration.bf16 import Bf16Linear
from emotts.acceleration.fast_linear import FastLinear
from emotts.acceleration.int8 import Int8Linear
from emotts.acceleration.onnx_blocks import OnnxBlockStack, OnnxCorrectionBlock
from emotts.cli import main
from emotts.layers import BlockStack, part_of
from emotts.pipeline import EmoTTS
from emotts.provenance import read_provenance
from emotts.vocoder.generator import CorrectionBlock

TEXT = "Hello there. It rained all night [pause 300ms] and then it stopped!"
VNNI, NO_VNNI = {"avx512_vnni": True, "avx512_bf16": True}, {"avx512_vnni": False}
LINEAR_ERRORS = {Int8Linear: 0.02, Bf16Linear: 0.006}  # relative; 1 / 127 and 1 / 256 of the largest, spread evenly
ERRORS = {"bf16": 0.05, "int8": 0.2, "onnx": 0.2}  # of a mel in nepers, where readings are the same


def layer(inputs: int = 192, outputs: int = 256) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(inputs, outputs).eval()


def relative(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("kind", LINEAR_ERRORS)
@torch.inference_mode()
def test_a_fast_layer_gives_nearly_the_same(kind: type[FastLinear]) -> None:
    plain, x = layer(), torch.randn(2, 40, 192)
    fast = kind.of(layer())
    assert 0.0 < relative(fast(x), plain(x)) < LINEAR_ERRORS[kind]
    parts = [
        part_of(fast, [slice(0, 100)], bias=True)(x[..., :100]),
        part_of(fast, [slice(100, None)], False)(x[..., 100:]),
    ]
    assert 0.0 < relative(parts[0] + parts[1], plain(x)) < LINEAR_ERRORS[kind]


@pytest.mark.parametrize("kind", LINEAR_ERRORS)
@torch.inference_mode()
def test_a_row_depends_on_itself_alone(kind: type[FastLinear]) -> None:
    fast, x = kind.of(layer()), torch.randn(2, 40, 192)
    among_loud = torch.cat([x, 1_000.0 * torch.randn(1, 40, 192)])
    assert torch.equal(fast(among_loud)[:2], fast(x))
    assert torch.equal(fast(x[:, :20]), fast(x)[:, :20])


@pytest.mark.parametrize("kind", LINEAR_ERRORS)
def test_gradients_are_those_of_float(kind: type[FastLinear]) -> None:
    plain, fast = layer(), kind.of(layer())
    x = torch.randn(30, 192, requires_grad=True)
    for network in (plain, fast):
        network(x).square().sum().backward()
    assert torch.equal(plain.weight.grad, fast.weight.grad)


@pytest.mark.parametrize("kind", LINEAR_ERRORS)
@torch.inference_mode()
def test_small_work_stays_exact(kind: type[FastLinear]) -> None:
    x = torch.randn(4, 192)
    assert torch.equal(kind.of(layer())(x), layer()(x))
    x = torch.randn(50, 192)
    assert torch.equal(kind.of(layer(192, 4))(x), layer(192, 4)(x))


@pytest.mark.parametrize("kind", LINEAR_ERRORS)
def test_changed_weights_and_copies_are_heeded(kind: type[FastLinear]) -> None:
    fast, x = kind.of(layer()), torch.randn(30, 192)
    with torch.no_grad():
        before = fast(x)
        twin = copy.deepcopy(fast)
        fast.weight.mul_(2.0)
        fast.bias.mul_(2.0)
        assert torch.allclose(fast(x), 2.0 * before, rtol=1e-4, atol=1e-4)
        assert torch.equal(twin(x), before)


@torch.inference_mode()
def test_zeros_and_silence_are_no_trap() -> None:
    fast = Int8Linear.of(layer())
    assert torch.equal(fast(torch.zeros(20, 192)), fast.bias.expand(20, -1))


def stack(layout: str) -> BlockStack:
    torch.manual_seed(1)
    made = BlockStack(layout, 64, 16, kernel_size=5)
    for weight in made.parameters():
        if weight.abs().sum() == 0:
            nn.init.normal_(weight, std=0.2)
    return made.eval()


@pytest.mark.parametrize("is_int8, error", [(False, 1e-5), (True, 0.05)])
@pytest.mark.parametrize("layout", ["c", "a", "cac"])
def test_onnx_blocks_give_what_torch_gives(
    layout: str, is_int8: bool, error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotts.acceleration.onnx_blocks.has_fast_int8", lambda: is_int8)
    plain, fast = stack(layout), OnnxBlockStack.of(stack(layout))
    with torch.inference_mode():
        for n_batch, length, moving in ((1, 1, 1), (1, 37, 1), (2, 50, 50), (3, 8, 1)):
            x, condition = torch.randn(n_batch, length, 64), torch.randn(n_batch, moving, 16)
            whole = torch.ones(n_batch, length, dtype=torch.bool)
            assert relative(fast(x, whole, condition), plain(x, whole, condition)) < error
            some = whole.clone()
            some[0, length // 2 + 1 :] = False
            if not some.all():
                assert torch.equal(fast(x, some, condition), plain(x, some, condition))


def test_onnx_blocks_keep_weights_gradients_and_copies() -> None:
    plain, fast = stack("ca"), OnnxBlockStack.of(stack("ca"))
    x, mask, condition = torch.randn(1, 20, 64), torch.ones(1, 20, dtype=torch.bool), torch.randn(1, 1, 16)
    assert {k: v.tolist() for k, v in plain.state_dict().items()} == {
        k: v.tolist() for k, v in fast.state_dict().items()
    }
    for network in (plain, fast):
        network(x, mask, condition).square().sum().backward()
    assert torch.equal(plain.blocks[0].expand.weight.grad, fast.blocks[0].expand.weight.grad)
    with torch.inference_mode():
        before = fast(x, mask, condition)
        assert torch.equal(copy.deepcopy(fast)(x, mask, condition), before)
    with torch.no_grad():
        for network in (plain, fast):
            network.blocks[0].contract.weight.mul_(-3.0)
    with torch.inference_mode():  # changed weights are heeded
        assert (
            relative(fast(x, mask, condition), plain(x, mask, condition))
            < 0.05
            < relative(before, plain(x, mask, condition))
        )


@torch.inference_mode()
def test_the_vocoders_blocks_run_in_onnx_too() -> None:
    torch.manual_seed(0)
    plain = CorrectionBlock(64, 5).eval()
    fast, x = OnnxCorrectionBlock.of(copy.deepcopy(plain)), torch.randn(1, 60, 64)
    assert 0.0 < relative(fast(x, None), plain(x, None)) < 0.02
    mask = torch.arange(60)[None] < 30
    assert torch.equal(fast(x, mask), plain(x, mask))


def test_the_choice_says_what_runs_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMOTTS_BACKEND", raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: VNNI)
    monkeypatch.setattr("emotts.acceleration.choice._is_installed", lambda name: True)
    assert choose_backend().backend == choose_backend("auto").backend == "onnx"
    assert choose_backend("auto", "cuda") == Choice("plain", "the other backends are for CPUs; this is cuda")
    assert choose_backend("bf16") == Choice("bf16", "--backend bf16")
    monkeypatch.setenv("EMOTTS_BACKEND", "int8")
    assert choose_backend() == Choice("int8", "EMOTTS_BACKEND=int8")
    assert choose_backend("auto").backend == "onnx"
    monkeypatch.setattr("emotts.acceleration.choice._is_installed", lambda name: name != "onnxruntime")
    assert choose_backend("auto").backend == "int8" and "emotts[onnx]" in choose_backend("auto").reason
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: NO_VNNI)
    assert choose_backend("auto").backend == "plain"
    assert choose_backend().refused == "int8" and "avx512_vnni" in choose_backend().reason


def test_a_wrong_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="backend must be one of auto, plain, bf16, int8, onnx; got 'fp8'"):
        choose_backend("fp8")
    monkeypatch.setenv("EMOTTS_BACKEND", "fast")
    with pytest.raises(ValueError, match="EMOTTS_BACKEND must be one of"):
        choose_backend()


def test_what_cannot_run_is_warned_of_once_and_plain_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: NO_VNNI)
    monkeypatch.setattr(warn, "_warned", set())
    network = nn.Sequential(layer())
    with pytest.warns(UserWarning, match="int8 cannot run here, plain takes its place: int8 wants a processor"):
        accelerate([network], choose_backend("int8"))
    assert type(network[0]) is nn.Linear
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        accelerate([network], choose_backend("int8"))


@pytest.fixture(scope="module")
def models(tiny_checkpoint: Path) -> Iterator[dict[str, EmoTTS]]:
    backends = [name for name in ("plain", "bf16", "int8", "onnx") if not choose_backend(name).refused]
    yield {name: EmoTTS.from_pretrained(tiny_checkpoint, backend=name) for name in backends}


def test_this_machine_has_more_than_plain(models: dict[str, EmoTTS]) -> None:
    assert "onnx" in models  # the packages are among those of the tests
    kinds = {
        name: {type(part) for part in [*tts.acoustic.modules(), *tts.vocoder.modules()]} for name, tts in models.items()
    }
    assert OnnxBlockStack in kinds["onnx"] and OnnxCorrectionBlock in kinds["onnx"] and BlockStack not in kinds["onnx"]
    assert not {OnnxBlockStack, Int8Linear, Bf16Linear} & kinds["plain"]
    assert all(Int8Linear in kinds[name] for name in ("int8",) if name in models)


def test_every_backend_speaks_nearly_the_same(models: dict[str, EmoTTS]) -> None:
    kept = {"seed": 4, "emotion": "happy:0.8", "prosody_steps": 0, "duration": 1.5}
    plain = models["plain"].synthesize("Good morning to you.", **kept)
    for name, tts in models.items():
        result = tts.synthesize("Good morning to you.", **kept)
        assert len(result.mel) == len(plain.mel)
        assert np.abs(result.mel - plain.mel).mean() < ERRORS.get(name, 1e-6), name


def test_every_backend_keeps_its_promises(models: dict[str, EmoTTS]) -> None:
    for name, tts in models.items():
        whole, again = (tts.synthesize(TEXT, emotion="happy", seed=5).waveform for _ in range(2))
        assert whole.tobytes() == again.tobytes(), name
        chunks = [chunk.waveform for chunk in tts.stream(TEXT, emotion="happy", seed=5)]
        assert np.array_equal(whole, np.concatenate(chunks)), name
        neutral, zero = (tts.synthesize("It is late.", emotion=e, seed=3).waveform for e in ("neutral", "angry:0"))
        assert np.array_equal(neutral, zero), name
        assert not np.array_equal(neutral, tts.synthesize("It is late.", emotion="angry", seed=3).waveform), name


def test_what_is_saved_is_exact(models: dict[str, EmoTTS]) -> None:
    wanted = models["plain"].acoustic.state_dict() | models["plain"].vocoder.state_dict()
    for name, tts in models.items():
        found = tts.acoustic.state_dict() | tts.vocoder.state_dict()
        assert found.keys() == wanted.keys() and all(torch.equal(found[key], wanted[key]) for key in wanted), name


def test_files_say_what_computed_them(models: dict[str, EmoTTS], tmp_path: Path) -> None:
    for name, tts in models.items():
        path = tmp_path / f"{name}.wav"
        tts.synthesize("Hello.", seed=1).save(path)
        found = read_provenance(path)
        assert found is not None and found.models[0].backend == ("" if name == "plain" else name)


def test_doctor_and_the_option_say_what_runs(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTTS_BACKEND", "plain")
    assert main(["doctor", "--checkpoint", str(tiny_checkpoint)]) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert rows["backend on the CPU"].strip() == "plain: EMOTTS_BACKEND=plain"
    output = tmp_path / "hello.wav"
    model = ["--checkpoint", str(tiny_checkpoint), "--backend", "onnx"]
    assert main(["synthesize", "Hello.", "--seed", "1", "-o", str(output), *model]) == 0
    assert main(["inspect", str(output)]) == 0
    assert "computed by onnx" in capsys.readouterr().out
    assert main(["synthesize", "Hello.", "-o", str(tmp_path / "no.wav"), "--backend", "fp8"]) == 2
    assert "backend must be one of auto, plain, bf16, int8, onnx; got 'fp8'" in capsys.readouterr().err


def test_a_runtime_that_cannot_be_imported_or_fails_leaves_the_work_to_torch(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warn, "_warned", set())
    tts = EmoTTS.from_pretrained(tiny_checkpoint, backend="onnx")

    def fail(*_: object) -> None:
        raise RuntimeError("no kernel for this machine")

    monkeypatch.setattr(onnx_blocks, "_session", fail)
    with pytest.warns(UserWarning, match="torch does: no kernel for this machine") as told:
        assert tts.synthesize("Hello.", seed=1).duration_s > 0.0
    assert len([one for one in told if "no kernel" in str(one.message)]) == 1
    monkeypatch.setattr(choice, "ONNX_PACKAGES", ("onnx", "broken_onnxruntime"))
    monkeypatch.setattr(choice, "_is_installed", lambda name: True)
    found = choose_backend("auto")
    assert found.backend != "onnx" and "broken_onnxruntime is installed and cannot be imported" in found.reason
