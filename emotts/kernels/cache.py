"""Machine code by content: a variant and an architecture come in, a cubin goes out, compiled once and kept in the user's cache."""

import hashlib
import os
import tempfile
import warnings
from pathlib import Path

from emotts.durable import user_cache
from emotts.kernels.nvrtc import KernelError, compile_source, nvrtc_version
from emotts.kernels.variants import Variant, kernel_source

ELF = b"\x7fELF"  # how a cubin begins


def cache_folder() -> Path:
    """Return where cubins are kept: $XDG_CACHE_HOME or ~/.cache, then emotts/kernels. Nothing is created."""
    try:
        return user_cache("kernels")
    except RuntimeError as error:  # an account without a home
        raise KernelError("no home folder to cache the kernel in; set XDG_CACHE_HOME to a folder.") from error


def cubin_path(variant: Variant, architecture: str) -> Path:
    """Return the file of one compiled form; its name is a hash of all that the machine code depends on."""
    parts = (kernel_source(), repr(sorted(variant.macros.items())), architecture, nvrtc_version())
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return cache_folder() / f"{digest}.cubin"


def load_or_compile(variant: Variant, architecture: str) -> bytes:
    """Return the machine code of a variant for an architecture such as "sm_90".

    Raises:
        KernelError: there is no compiler, or it refuses.
    """
    path = cubin_path(variant, architecture)
    try:
        cubin = path.read_bytes()
        if cubin.startswith(ELF):
            return cubin
    except OSError:
        pass  # not there, or not readable: compiled again
    cubin, _ = compile_source(kernel_source(), architecture, variant.macros)
    try:
        _write(path, cubin)
    except OSError as error:
        warnings.warn(f"the attention kernel is compiled anew by every process: {path.parent}: {error}", stacklevel=2)
    return cubin


def _write(path: Path, content: bytes) -> None:
    """Write under another name, then rename: two processes at once both leave a whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem[:16], suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
