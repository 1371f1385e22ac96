"""Build the kernel's own source for the CPU and run it on the emulator of tests/kernel_emulator, for tests of the kernel.

The emulator is also the driver library that the launcher gets, so what runs here is the real path from tensors to a launch.
"""

import ctypes
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from emotts.kernels.driver import Driver
from emotts.kernels.launch import Device, Inputs, Launcher
from emotts.kernels.nvrtc import KernelError
from emotts.kernels.variants import Tile, Variant, kernel_source

FOLDER = Path(__file__).parent / "kernel_emulator"
GXX = ("g++", "-std=c++17", "-w", "-shared", "-fPIC", f"-I{FOLDER}")
STREAM = 0x5EED  # any number: the emulator only remembers it


def attention_source() -> str:
    """Return attention.cu without its primitives."""
    source = kernel_source()
    return source[source.index("// Self-attention of short sequences") :]


@dataclass
class Emulator:
    """A folder with the emulator's library and the kernels built for it."""

    folder: Path

    def __post_init__(self) -> None:
        self.path = self.folder / "libemulator.so"
        subprocess.run([*GXX, "-O2", "-o", self.path, FOLDER / "emulator.cpp", "-ldl"], check=True)
        self.driver = Driver(str(self.path))
        self.library = self.driver.library
        self.library.emulator_error.restype = ctypes.c_char_p
        self.library.emulator_allow.argtypes = [ctypes.c_void_p, ctypes.c_longlong, ctypes.c_bool]

    def build(self, name: str, variant: Variant, source: str | None = None) -> bytes:
        """Compile a source (attention.cu as it is, if None) and return what stands for its machine code."""
        path = self.folder / f"{name}.so"
        code = f'#include "primitives.h"\n{source or attention_source()}\nENTRY(attention)\n'
        macros = [f"-D{key}={value}" for key, value in variant.macros.items()]
        command = [*GXX, "-O1", *macros, "-xc++", "-", "-xnone", "-o", path, self.path, f"-Wl,-rpath,{self.folder}"]
        done = subprocess.run(command, input=code, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        return bytes(path) + b"\0"

    def launcher(self, tile: Tile | None = None, source: str | None = None, name: str = "attention") -> Launcher:
        """Return a launcher whose driver is the emulator."""

        def get_cubin(variant: Variant, architecture: str) -> bytes:
            dtype = "half" if variant.dtype == torch.float16 else "bfloat"
            form = f"{name}-{variant.tile.name}-{dtype}-{variant.has_norm:d}{variant.has_rope:d}"
            return self.build(form, variant, source)

        return Launcher(self.driver, Device(lambda d: "sm_90", lambda d: STREAM, lambda: False), get_cubin, tile)

    def run(self, launcher: Launcher, inputs: Inputs, seed: int = 0) -> Tensor:
        """Run the kernel; its memory is the given tensors and an output that starts as NaN.

        Raises:
            KernelError: the emulator saw a fault; its words are in the message.
        """
        self.library.emulator_reset(seed)
        for tensor in (x for x in inputs if isinstance(x, Tensor)):
            self.library.emulator_allow(tensor.data_ptr(), tensor.untyped_storage().nbytes(), False)
        empty = torch.empty

        def poisoned(*shape: int, dtype: torch.dtype, device: torch.device) -> Tensor:
            out = empty(*shape, dtype=dtype, device=device).fill_(float("nan"))
            self.library.emulator_allow(out.data_ptr(), out.nbytes, True)
            return out

        torch.empty = poisoned  # type: ignore[assignment]
        try:
            return launcher.run(inputs)
        except KernelError as error:
            raise KernelError(f"{error}: {self.library.emulator_error().decode()}") from error
        finally:
            torch.empty = empty
