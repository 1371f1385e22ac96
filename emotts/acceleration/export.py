"""Write the networks as ONNX files: a checkpoint folder comes in; a folder that speaks without torch goes out, whole or not at all.

folder/
  <graph>.onnx        the graphs of emotts/acceleration/graphs.py, in float32
  <graph>.int8.onnx   the same with 8-bit weights, if asked for
  emotts.json         inputs, outputs, axes, constants, voices, licence, hash of the checkpoint; written last
  speak.py            speaks from these files with numpy and ONNX Runtime alone
"""

import hashlib
import json
import logging
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emotts import __version__
from emotts.acceleration.graphs import Graph, Port, graphs_of
from emotts.acceleration.load import load_networks
from emotts.acoustic.model import AcousticModel
from emotts.audio import SPEC
from emotts.checkpoint import manifest_sha256
from emotts.checkpoint.layout import sibling
from emotts.emotion.labels import AVD_MEANS, LABELS
from emotts.prosody import DURATION_OFFSET, F0_MAX, F0_MIN
from emotts.steps import steps_of
from emotts.text.symbols import MARKS, PHONEMES, is_pause
from emotts.vocoder.generator import HarmonicNoiseGenerator

OPSET, FORMAT = 20, 1
INDEX, SCRIPT = "emotts.json", "speak.py"
NOT_INT8 = (
    "voice",
    "emotion",
    "vocoder",
)  # tables and spectra: 8 bits would save nothing or break the Fourier transforms
TRIED = (2, 13, 101)  # B, N, T with which a graph is traced; none is a size that a network has


def export_onnx(
    checkpoint: Path,
    folder: Path,
    *,
    with_int8: bool = False,
    force: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Write the networks of a checkpoint into a folder and return what its index says.

    Args:
        with_int8: also write graphs with 8-bit weights. force: replace a folder that an export wrote.
        tell: told of each graph.

    Raises:
        FileNotFoundError: no checkpoint there.
        ValueError: the folder is in the way, a package is missing, or the checkpoint holds another vocoder.
    """
    _check_packages()
    folder = folder.resolve()
    _check_folder(folder, force)
    networks = load_networks(checkpoint, "cpu", "plain")
    if not isinstance(networks.vocoder, HarmonicNoiseGenerator):
        raise ValueError(
            f"only a HarmonicNoiseGenerator is exported; {checkpoint} holds {type(networks.vocoder).__name__}."
        )
    graphs = graphs_of(networks.acoustic, networks.vocoder)
    fresh = sibling(folder, "exporting")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        files = {}
        for graph in graphs:
            tell(graph.name)
            files[graph.name] = _write_graph(graph, fresh, with_int8)
        index = _index(graphs, files, networks.acoustic, networks.metadata, manifest_sha256(checkpoint))
        shutil.copyfile(Path(__file__).with_name("speak_onnx.py"), fresh / SCRIPT)
        (fresh / INDEX).write_text(json.dumps(index, indent=1, allow_nan=False), encoding="utf-8")
        old = sibling(folder, "replaced")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.replace(old)
        fresh.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return index


def example_inputs(graph: Graph, n_batch: int, n_tokens: int, n_frames: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Return inputs of a graph that fit together: all rows but the first are shorter, durations add up to the frames.

    Args:
        n_batch: B. n_tokens: N, at least 3. n_frames: T, at least N. seed: of the numbers.
    """
    chance = torch.Generator().manual_seed(seed)
    token_mask = torch.ones(n_batch, n_tokens, dtype=torch.bool)
    token_mask[1:, -2:] = False
    durations = torch.full((n_batch, n_tokens), n_frames // n_tokens) * token_mask
    durations[0, 0] += n_frames - durations[0].sum()
    frame_mask = torch.arange(n_frames)[None] < durations.sum(dim=1, keepdim=True)
    sizes = {"B": n_batch, "N": n_tokens, "T": n_frames}

    def example(port: Port) -> Tensor:
        shape = [sizes[axis] if isinstance(axis, str) else axis for axis in port.axes]
        noise = torch.randn(shape, generator=chance)
        known = {
            "token_mask": lambda: token_mask,
            "frame_mask": lambda: frame_mask,
            "durations": lambda: durations,
            "f0": lambda: (130.0 + 30.0 * noise).clamp(60.0, 400.0) * frame_mask * (noise > -1.0),
            "t": lambda: torch.rand(shape, generator=chance),
            "mel": lambda: 2.0 * noise - 4.0,
            "mean_log_f0": lambda: 7.0 + 0.2 * noise,
            "seed": lambda: torch.randint(2**31, shape, generator=chance),
        }
        if port.name in known:
            return known[port.name]()
        if port.dtype == "int64":
            return torch.randint(2, shape, generator=chance)
        return noise > 0.0 if port.dtype == "bool" else noise

    return tuple(example(port) for port in graph.inputs)


def _write_graph(graph: Graph, folder: Path, with_int8: bool) -> dict[str, dict[str, str]]:
    """Write one graph and return its files with their hashes, by number format."""
    path = folder / f"{graph.name}.onnx"
    names = [[port.name for port in ports] for ports in (graph.inputs, graph.outputs)]
    free = tuple(
        {i: torch.export.Dim.DYNAMIC for i, axis in enumerate(port.axes) if isinstance(axis, str)}
        for port in graph.inputs
    )
    network = graph.network.eval().requires_grad_(False)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter, about its own insides
        program = torch.onnx.export(
            network, example_inputs(graph, *TRIED), input_names=names[0], output_names=names[1], dynamic_shapes=free,
            dynamo=True, opset_version=OPSET, optimize=True, verbose=False,
        )  # fmt: skip
    assert program is not None
    program.save(str(path), external_data=False)
    files = {"float32": _file(path)}
    if with_int8 and graph.name not in NOT_INT8:
        files["int8"] = _file(_quantise(path))
    return files


def _quantise(path: Path) -> Path:
    """Write a graph beside its float32 form with 8-bit weights, a scale per output channel; inputs are scaled on the way."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = path.with_suffix(".int8.onnx")
    logging.getLogger().addFilter(_without_advice)
    try:
        quantize_dynamic(
            path, target, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"]
        )
    finally:
        logging.getLogger().removeFilter(_without_advice)
    return target


def _without_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()


def _file(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _index(
    graphs: Sequence[Graph],
    files: dict[str, dict[str, dict[str, str]]],
    acoustic: AcousticModel,
    metadata: dict[str, Any],
    manifest: str,
) -> dict[str, Any]:
    prosody, voices = acoustic.prosody, acoustic.voices.names
    steps, _ = steps_of(metadata, has_student=False)  # the flows are exported
    return {
        "format": FORMAT,
        "tool": f"emotts {__version__}",
        "name": str(metadata.get("name", "")),
        "licence": str(metadata.get("licence", "unknown")),
        "checkpoint_sha256": manifest,
        "opset": OPSET,
        "axes": {"B": "batch", "N": "phoneme tokens", "T": "mel frames", "L": "samples, T times hop_length"},
        "graphs": [
            {
                "name": graph.name,
                "meaning": graph.meaning,
                "files": files[graph.name],
                "inputs": [asdict(port) for port in graph.inputs],
                "outputs": [asdict(port) for port in graph.outputs],
            }
            for graph in graphs
        ],
        "audio": {"sample_rate": SPEC.sample_rate, "hop_length": SPEC.hop_length, "n_mels": SPEC.n_mels},
        "phonemes": list(PHONEMES),
        "stresses": list(MARKS[: acoustic.text_encoder.n_stresses]),
        "pauses": [sound for sound in PHONEMES if is_pause(sound)],
        "languages": list(acoustic.text_encoder.languages),
        "intensity_curves": metadata.get("intensity_curves", {}),
        "labels": {name: list(AVD_MEANS[name]) for name in LABELS},
        "voices": [{"name": name, "level_db": float(metadata.get("level_db", {}).get(name, 0.0))} for name in voices],
        "constants": {
            "feature_mean": prosody.mean.tolist(),
            "feature_std": prosody.std.tolist(),
            "feature_residual_std": prosody.residual_std.tolist(),
            "mel_mean": acoustic.mel_mean.tolist(),
            "mel_std": acoustic.mel_std.tolist(),
            "mel_residual_std": acoustic.residual_std.tolist(),
            "duration_offset": DURATION_OFFSET,
            "f0_min": F0_MIN,
            "f0_max": F0_MAX,
        },
        "defaults": {
            "voice": metadata.get("default_voice", voices[0]),
            "steps": steps.mel,
            "prosody_steps": steps.prosody,
            "temperature": float(metadata.get("default_temperature", 1.0)),
            "prosody_temperature": float(metadata.get("default_prosody_temperature", 1.0)),
        },
    }


def _check_packages() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ValueError(f"the export needs {', '.join(missing)}: pip install 'emotts[onnx]'.")


def _own_files(folder: Path) -> set[str]:
    """Return the names that an export in this folder has written; none where there is no export."""
    try:
        graphs = json.loads((folder / INDEX).read_text(encoding="utf-8"))["graphs"]
        files = {str(file["file"]) for graph in graphs for file in graph["files"].values()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return set()
    return {INDEX, SCRIPT, *files}


def _check_folder(folder: Path, force: bool) -> None:
    if not folder.exists():
        if not folder.parent.is_dir():
            raise FileNotFoundError(f"folder {str(folder.parent)!r} does not exist; make it, or choose another.")
        return
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is a file; give a folder.")
    others = {path.name for path in folder.iterdir()} - _own_files(folder)
    if others:
        raise ValueError(f"{str(folder)!r} holds other files than an export, such as {min(others)}; give a new folder.")
    if any(folder.iterdir()) and not force:
        raise ValueError(f"{str(folder)!r} holds an export; give --force to replace it.")
