"""librosa, whose universal functions numba compiles when they are imported: by one process at a time, into a folder of our own.

numba keeps such a function as two files. Processes that compile at once may leave one each, and these do not fit: every process
that later calls the function is ended by the system (https://github.com/numba/numba/issues/10128).
"""

import fcntl
from contextlib import suppress
from functools import cache
from importlib import import_module
from sys import modules
from types import ModuleType
from typing import Any

from emotts.durable import user_cache


@cache
def librosa_part(name: str) -> ModuleType:
    """Import a module of librosa, such as "core.pitch", with what it needs, while no other process of emotts does.

    Raises:
        ImportError: librosa is not installed.
    """
    try:
        folder = user_cache("numba")
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("w")
    except (OSError, RuntimeError):  # an account without a home: numba finds a place by itself
        return import_module(f"librosa.{name}")
    with file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if not any(module.startswith("librosa.") for module in modules):
            config: Any = import_module("numba").config
            config.CACHE_DIR = config.CACHE_DIR or str(folder)
        return import_module(f"librosa.{name}")
