"""CUDA C++ source comes in; machine code for one architecture goes out, by the run-time compiler that CUDA builds of torch bring.

Neither nvcc, nor headers, nor a GPU are needed: only the library of the package nvidia-cuda-nvrtc, reached through ctypes.
"""

import ctypes
import importlib.util
import re
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_size_t, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SONAMES = ("libnvrtc.so.13", "libnvrtc.so.12")
FOLDERS = ("cu13/lib", "cuda_nvrtc/lib")  # inside the namespace package `nvidia`, for CUDA 13 and 12


class KernelError(RuntimeError):
    """The fused kernel cannot run here; the message says why, and the caller falls back."""


@dataclass(frozen=True)
class Resources:
    """What a kernel takes: registers per thread, and bytes that did not fit into them (stack and spills)."""

    registers: int
    stack_bytes: int
    spill_bytes: int
    shared_bytes: int


def find_nvrtc() -> Path | None:
    """Return the compiler's library in the installed `nvidia` packages, None if there is none."""
    spec = importlib.util.find_spec("nvidia")
    for root in spec.submodule_search_locations or () if spec else ():
        for folder in FOLDERS:
            for name in SONAMES:
                path = Path(root) / folder / name
                if path.is_file():
                    return path
    return None


def nvrtc_version() -> str:
    """Return the compiler's version, such as "13.0".

    Raises:
        KernelError: the library is missing or cannot be loaded.
    """
    major, minor = c_int(), c_int()
    _check(_library().nvrtcVersion(byref(major), byref(minor)), "nvrtcVersion")
    return f"{major.value}.{minor.value}"


def compile_source(source: str, architecture: str, macros: dict[str, int]) -> tuple[bytes, Resources]:
    """Compile CUDA C++ to machine code (a cubin).

    Args:
        source: the whole source; it includes nothing.
        architecture: such as "sm_90".
        macros: names and values defined before the first line.

    Raises:
        KernelError: the library is missing, does not know the architecture, or refuses the source; its log is in the message.
    """
    library = _library()
    program = c_void_p()
    _check(
        library.nvrtcCreateProgram(byref(program), source.encode(), b"emotts.cu", 0, None, None), "nvrtcCreateProgram"
    )
    try:
        options = [f"--gpu-architecture={architecture}", "--std=c++17", "--ptxas-options=-v"]
        options += [f"-D{name}={value}" for name, value in macros.items()]
        array = (c_char_p * len(options))(*(option.encode() for option in options))
        status = library.nvrtcCompileProgram(program, len(options), array)
        raw = _read(library.nvrtcGetProgramLogSize, library.nvrtcGetProgramLog, program)
        log = raw.decode(errors="replace").strip("\0 \n")
        if status:
            raise KernelError(f"NVRTC could not compile for {architecture}: {log or f'error {status}'}")
        cubin = _read(library.nvrtcGetCUBINSize, library.nvrtcGetCUBIN, program)
    finally:
        library.nvrtcDestroyProgram(byref(program))
    return cubin, read_resources(log)


def read_resources(log: str) -> Resources:
    """Read registers, stack, spills and shared memory of the one kernel in a compiler's log."""

    def number(pattern: str) -> int:
        return sum(int(found) for found in re.findall(pattern, log))

    if "registers" not in log:
        raise KernelError(f"the compiler's log names no registers; got {log[:200]!r}.")
    return Resources(
        registers=number(r"Used (\d+) registers"),
        stack_bytes=number(r"(\d+) bytes stack frame"),
        spill_bytes=number(r"(\d+) bytes spill (?:stores|loads)"),
        shared_bytes=number(r"(\d+) bytes smem"),
    )


@cache
def _library() -> ctypes.CDLL:
    path = find_nvrtc()
    if path is None:
        raise KernelError(
            "the CUDA run-time compiler is not installed; a CUDA build of torch brings nvidia-cuda-nvrtc."
        )
    try:
        for builtins in sorted(path.parent.glob("libnvrtc-builtins.so.*")):  # found by name only once it is loaded
            ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise KernelError(f"{path} cannot be loaded: {error}") from error
    size, text = POINTER(c_size_t), POINTER(c_char)
    library.nvrtcCreateProgram.argtypes = [POINTER(c_void_p), c_char_p, c_char_p, c_int, c_void_p, c_void_p]
    library.nvrtcCompileProgram.argtypes = [c_void_p, c_int, POINTER(c_char_p)]
    library.nvrtcGetProgramLogSize.argtypes = library.nvrtcGetCUBINSize.argtypes = [c_void_p, size]
    library.nvrtcGetProgramLog.argtypes = library.nvrtcGetCUBIN.argtypes = [c_void_p, text]
    library.nvrtcDestroyProgram.argtypes = [POINTER(c_void_p)]
    return library


def _read(get_size, get, program: c_void_p) -> bytes:  # type: ignore[no-untyped-def]  # ctypes functions have no type
    size = c_size_t()
    _check(get_size(program, byref(size)), "reading a size")
    buffer = ctypes.create_string_buffer(size.value)
    _check(get(program, buffer), "reading a result")
    return buffer.raw


def _check(status: int, what: str) -> None:
    if status:
        raise KernelError(f"NVRTC: {what} failed with error {status}.")
