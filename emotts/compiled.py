"""librosa, whose universal functions numba compiles when they are imported: by one process at a time, into a folder of our own.

numba keeps such a function as two files. Processes that compile at once may leave one each, and these do not fit: every process
that later calls the function is ended by the system (https://github.com/numba/numba/issues/10128).
"""

from contextlib import ExitStack
from functools import cache
from importlib import import_module
from sys import modules
from types import ModuleType
from typing import Any

from emotts.durable import locked, user_cache


@cache
def librosa_part(name: str) -> ModuleType:
    """Import a module of librosa, such as "core.pitch", with what it needs, while no other process of emotts does.

    Raises:
        ImportError: librosa is not installed.
    """
    with ExitStack() as held:
        try:
            folder = user_cache("numba")
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(folder / "lock"))
        except (OSError, RuntimeError):  # an account without a home: numba finds a place by itself
            return import_module(f"librosa.{name}")
        if not any(module.startswith("librosa.") for module in modules):
            config: Any = import_module("numba").config
            config.CACHE_DIR = config.CACHE_DIR or str(folder)
        return import_module(f"librosa.{name}")
