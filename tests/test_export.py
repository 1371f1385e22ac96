"""`emotts export --onnx`: graphs that give what torch gives, a folder that is whole or not there, and speech without torch."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from emotts.acceleration import export, load_networks
from emotts.acceleration.export import INDEX, NOT_INT8, SCRIPT, example_inputs, export_onnx
from emotts.acceleration.graphs import Graph, graphs_of
from emotts.acceleration.speak_onnx import Voice
from emotts.checkpoint import manifest_sha256
from emotts.cli import main
from emotts.emotion.place import track_of
from emotts.emotion.spec import parse_emotion
from emotts.pipeline import EmoTTS

SIZES = ((1, 5, 64), (2, 13, 101), (3, 7, 33), (1, 60, 420))  # B, N, T
FLOAT_ERROR, INT8_ERROR = 1e-5, 0.05  # relative: float32 rounding; 8 bits of weights and inputs
SPECTRUM_ERROR = 1e-3  # of the vocoder: phases and noise pass through sines and divisions near zero
WITHOUT_TORCH = """
import runpy, sys
from importlib.abc import MetaPathFinder
class Block(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "emotts", "onnx"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def exported(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "tiny"
    assert main(["export", "--onnx", str(folder), "--int8", "--checkpoint", str(tiny_checkpoint)]) == 0
    return folder


@pytest.fixture(scope="module")
def graphs(tiny_checkpoint: Path) -> list[Graph]:
    networks = load_networks(tiny_checkpoint, "cpu", "plain")
    return graphs_of(networks.acoustic, networks.vocoder)


def run(path: Path, graph: Graph, inputs: tuple[torch.Tensor, ...]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {port.name: x.numpy() for port, x in zip(graph.inputs, inputs, strict=True)})


@torch.inference_mode()
def test_every_graph_gives_what_torch_gives(exported: Path, graphs: list[Graph]) -> None:
    index = {graph["name"]: graph for graph in json.loads((exported / INDEX).read_text())["graphs"]}
    assert list(index) == [graph.name for graph in graphs]
    for graph in graphs:
        for kind, file in index[graph.name]["files"].items():
            bound = INT8_ERROR if kind == "int8" else SPECTRUM_ERROR if graph.name == "vocoder" else FLOAT_ERROR
            for size in SIZES:
                inputs = example_inputs(graph, *size, seed=1)
                wanted = graph.network(*inputs)
                outputs = run(exported / file["file"], graph, inputs)
                for got, want in zip(outputs, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
                    assert got.shape == want.shape, (graph.name, size)
                    error = np.linalg.norm(got - want.numpy()) / max(np.linalg.norm(want.numpy()), 1e-6)
                    assert error < bound, (graph.name, kind, size, error)


def test_the_index_names_everything(exported: Path, tiny_checkpoint: Path, graphs: list[Graph]) -> None:
    index = json.loads((exported / INDEX).read_text())
    assert index["checkpoint_sha256"] == manifest_sha256(tiny_checkpoint) and index["opset"] == 20
    assert index["licence"] and {voice["name"] for voice in index["voices"]} == {"ada", "max"}
    named = {file["file"]: file["sha256"] for graph in index["graphs"] for file in graph["files"].values()}
    assert {path.name for path in exported.iterdir()} == {*named, INDEX, SCRIPT}
    for name, sha256 in named.items():
        assert hashlib.sha256((exported / name).read_bytes()).hexdigest() == sha256
    for graph, told in zip(graphs, index["graphs"], strict=True):
        assert ("int8" in told["files"]) == (graph.name not in NOT_INT8)
        session = onnxruntime.InferenceSession(exported / told["files"]["float32"]["file"])
        for ports, values in ((told["inputs"], session.get_inputs()), (told["outputs"], session.get_outputs())):
            assert [port["name"] for port in ports] == [value.name for value in values]
            assert [len(port["axes"]) for port in ports] == [len(value.shape) for value in values]
            for port, value in zip(ports, values, strict=True):
                fixed = [(axis, n) for axis, n in zip(port["axes"], value.shape, strict=True) if isinstance(axis, int)]
                assert all(axis == n for axis, n in fixed), (graph.name, port, value.shape)


def test_the_script_speaks_what_the_pipeline_speaks(exported: Path, tiny_checkpoint: Path) -> None:
    tts = EmoTTS.from_pretrained(tiny_checkpoint, backend="plain")
    spec = parse_emotion("happy:0.8")
    result = tts.synthesize("Hello there.", seed=7, emotion=spec, voice="max")
    chance = torch.Generator().manual_seed(7 * 1_000_003)  # the noise of the first segment, as the pipeline draws it
    track = track_of([spec] * len(result.tokens), tts.even)

    def noise(shape: tuple[int, ...]) -> np.ndarray:
        return torch.randn(shape, generator=chance).numpy()

    voice = Voice(exported)
    emotion = {
        "labels": track.labels.astype(np.float32)[None],
        "label_known": track.label_known[None],
        "avd": track.avd.astype(np.float32)[None],
        "avd_known": track.avd_known[None],
    }
    for name, value in voice.asked("happy", 0.8, len(result.tokens)).items():
        np.testing.assert_allclose(value, emotion[name], atol=1e-6)
    drawn = torch.Generator().manual_seed(0)
    _, mel = voice.speak(
        result.tokens, "max", emotion, noise=noise, vocoder_seed=int(torch.randint(9, (1,), generator=drawn))
    )
    assert mel.shape == result.mel.shape
    assert np.abs(mel - result.mel).mean() < 1e-3  # nepers


def test_the_script_needs_no_torch(exported: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, str(exported / SCRIPT)]
    sizes = {}
    for options in ((), ("--int8",)):
        output = tmp_path / "out.wav"
        arguments = ["h ə l ˈoʊ | ð ˈɛ ɹ", "--emotion", "happy:0.8", "-o", str(output), *options]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        sizes[options] = output.stat().st_size
    assert min(sizes.values()) > 2_000


def test_a_folder_is_not_overwritten_by_chance(exported: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give --force to replace it"):
        export_onnx(tiny_checkpoint, exported)
    (tmp_path / "diary.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(ValueError, match="holds other files than an export"):
            export_onnx(tiny_checkpoint, tmp_path, force=force)
    mine = shutil.copytree(exported, tmp_path / "exported")
    (mine / "hello.wav").write_bytes(b"mine")
    with pytest.raises(ValueError, match="such as hello.wav"):
        export_onnx(tiny_checkpoint, mine, force=True)
    with pytest.raises(FileNotFoundError, match="does not exist; make it"):
        export_onnx(tiny_checkpoint, tmp_path / "no" / "where")
    with pytest.raises(ValueError, match="is a file; give a folder"):
        export_onnx(tiny_checkpoint, tmp_path / "diary.txt")


def test_a_broken_export_leaves_the_old_one(
    exported: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(graph: Graph, folder: Path, with_int8: bool) -> dict[str, dict[str, str]]:
        (folder / f"{graph.name}.onnx").write_bytes(b"half")
        if graph.name == "trunk":
            raise OSError("no space left")
        return {"float32": {"file": f"{graph.name}.onnx", "sha256": ""}}

    monkeypatch.setattr(export, "_write_graph", write)
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    for folder in (exported, tmp_path / "new"):
        with pytest.raises(OSError, match="no space left"):
            export_onnx(tiny_checkpoint, folder, force=True)
    assert {path.name: path.read_bytes() for path in exported.iterdir()} == before
    assert list(tmp_path.iterdir()) == [] and [path.name for path in exported.parent.iterdir()] == ["tiny"]


def test_missing_packages_are_named(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> Any:
        return None if name == "onnxscript" else object()

    monkeypatch.setattr("importlib.util.find_spec", find)
    with pytest.raises(ValueError, match=r"needs onnxscript: pip install 'emotts\[onnx\]'"):
        export_onnx(tiny_checkpoint, tmp_path / "new")
