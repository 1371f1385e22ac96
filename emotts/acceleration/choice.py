"""Which backend computes the networks, and why: a wish and a device come in, a `Choice` goes out.

$EMOTTS_BACKEND names one where nothing is asked; `auto` (the default) is what measures fastest on this processor without a loss of
quality (benchmarks/backends.py).
"""

import importlib.util
import os
from dataclasses import dataclass

import torch

VARIABLE = "EMOTTS_BACKEND"
BACKENDS = ("auto", "plain", "bf16", "int8", "onnx")
FASTEST_FIRST = ("onnx", "int8", "bf16")  # as measured
ONNX_PACKAGES = ("onnx", "onnxruntime")
BF16_FEATURES = ("avx512_bf16", "amx_bf16")  # any of them multiplies bfloat16
INT8_FEATURES = ("avx512_vnni",)  # torch's 8-bit kernels do not use AVX-VNNI of 256 bits


@dataclass(frozen=True)
class Choice:
    """What computes and the reason, for `emotts doctor`.

    Attributes:
        backend: one of BACKENDS but auto. reason: in words.
        refused: what was asked for by name and cannot run here; empty where nothing was.
    """

    backend: str
    reason: str
    refused: str = ""

    @property
    def linear(self) -> str:
        """The backend of linear layers: beside ONNX Runtime, which takes blocks, it is 8 bits where torch has them."""
        return self.backend if self.backend != "onnx" else "int8" if _features("int8") else "plain"

    @property
    def told(self) -> str:
        """What provenance says: the backend, or nothing for plain."""
        return "" if self.backend == "plain" else self.backend


PLAIN = Choice("plain", "the networks were not loaded by from_pretrained")


def choose_backend(asked: str | None = None, device: str | torch.device = "cpu") -> Choice:
    """Choose by what is asked for, then by device and processor.

    Args:
        asked: one of BACKENDS; None is $EMOTTS_BACKEND, then auto.

    Raises:
        ValueError: no backend has that name.
    """
    named = f"--backend {asked}" if asked else f"{VARIABLE}={os.environ.get(VARIABLE)}"
    wanted = asked or os.environ.get(VARIABLE) or "auto"
    if wanted not in BACKENDS:
        place = "backend" if asked else VARIABLE
        raise ValueError(f"{place} must be one of {', '.join(BACKENDS)}; got {wanted!r}.")
    if wanted == "plain":
        return Choice("plain", named)
    if wanted != "auto":
        problem = _problem(wanted, torch.device(device))
        return Choice("plain", problem, wanted) if problem else Choice(wanted, named)
    problems = {name: _problem(name, torch.device(device)) for name in FASTEST_FIRST}
    told = list(dict.fromkeys(filter(None, problems.values())))
    for name in FASTEST_FIRST:
        if not problems[name]:
            return Choice(name, "; ".join(["the fastest that runs here", *told]))
    return Choice("plain", "; ".join(told))


def has_fast_int8() -> bool:
    """Say whether ONNX Runtime multiplies 8-bit numbers exactly here; without VNNI its x86 kernels may saturate."""
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("avx512_vnni", "avx_vnni"))


def _problem(backend: str, device: torch.device) -> str:
    """Return why a backend cannot run on a device, or nothing."""
    if device.type != "cpu":
        return f"the other backends are for CPUs; this is {device.type}"
    if backend == "onnx":
        missing = [name for name in ONNX_PACKAGES if not _is_installed(name)]
        return f"onnx wants {' and '.join(missing)}: pip install 'emotts[onnx]'" if missing else _broken_package()
    wanted = INT8_FEATURES if backend == "int8" else BF16_FEATURES
    return "" if _features(backend) else f"{backend} wants a processor with {' or '.join(wanted)}"


def _features(backend: str) -> list[str]:
    found = torch.cpu.get_capabilities()
    return [name for name in (INT8_FEATURES if backend == "int8" else BF16_FEATURES) if found.get(name, False)]


def _broken_package() -> str:
    """Return what keeps the packages from being imported, or nothing."""
    for name in ONNX_PACKAGES:
        try:
            importlib.import_module(name)
        except Exception as error:  # of a package that does not fit this machine anything may come
            return f"{name} is installed and cannot be imported ({' '.join(str(error).split())[:120]})"
    return ""


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False
