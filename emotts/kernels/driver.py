"""The part of the CUDA driver that starts a kernel, through ctypes: machine code and arguments come in, a launch goes out."""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_uint, c_void_p
from functools import cache
from typing import Any

from emotts.kernels.nvrtc import KernelError

DRIVER = "libcuda.so.1"


class Driver:
    """A loaded driver library. Streams, memory and the context are torch's; only modules are this class's own."""

    def __init__(self, path: str = DRIVER) -> None:
        """Load the library.

        Raises:
            KernelError: it is missing, or says that there is no device.
        """
        try:
            self.library = ctypes.CDLL(path)
        except OSError as error:
            raise KernelError(f"the CUDA driver cannot be loaded: {error}") from error
        self.library.cuModuleLoadData.argtypes = [POINTER(c_void_p), c_char_p]
        self.library.cuModuleGetFunction.argtypes = [POINTER(c_void_p), c_void_p, c_char_p]
        self.library.cuLaunchKernel.argtypes = [c_void_p, *[c_uint] * 7, c_void_p, c_void_p, c_void_p]
        self.library.cuCtxSetCurrent.argtypes = [c_void_p]
        self.library.cuGetErrorString.argtypes = [c_int, POINTER(c_char_p)]
        self._check(self.library.cuInit(0), "cuInit")

    def ensure_context(self, device: int) -> None:
        """Make torch's context current in this thread if none is; a new thread starts without one."""
        context = c_void_p()
        self._check(self.library.cuCtxGetCurrent(byref(context)), "cuCtxGetCurrent")
        if context.value is None:
            self._check(self.library.cuDevicePrimaryCtxRetain(byref(context), device), "cuDevicePrimaryCtxRetain")
            self._check(self.library.cuCtxSetCurrent(context), "cuCtxSetCurrent")

    def load(self, cubin: bytes, name: str) -> c_void_p:
        """Load machine code into the current context and return its kernel `name`; it stays loaded."""
        module, function = c_void_p(), c_void_p()
        self._check(self.library.cuModuleLoadData(byref(module), cubin), "cuModuleLoadData")
        self._check(self.library.cuModuleGetFunction(byref(function), module, name.encode()), "cuModuleGetFunction")
        return function

    def launch(
        self, function: c_void_p, grid: tuple[int, int, int], threads: int, stream: int, arguments: Sequence[Any]
    ) -> None:
        """Start a kernel on a stream; it runs in the background.

        Args:
            function: from `load`. grid: blocks in x, y, z. threads: per block. stream: a CUDA stream's address.
            arguments: ctypes values in the kernel's order and of its types.
        """
        pointers = (c_void_p * len(arguments))(*(ctypes.addressof(argument) for argument in arguments))
        status = self.library.cuLaunchKernel(function, *grid, threads, 1, 1, 0, stream, pointers, None)
        self._check(status, "cuLaunchKernel")

    def _check(self, status: int, what: str) -> None:
        if status:
            text = c_char_p()
            self.library.cuGetErrorString(status, byref(text))
            raise KernelError(f"the CUDA driver: {what} failed with {status}, {(text.value or b'unknown').decode()}")


@cache
def load_driver() -> Driver:
    """Return the machine's driver, loaded once."""
    return Driver()
