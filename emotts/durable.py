"""Files that are whole or not there, also after a kill, a full disk or a loss of power.

Comes in: bytes, or a function that writes them. Goes out: a file flushed to the disk, under its name only once it is complete.
Beside them the user's cache, and locks for those who would make the same file at once.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

Content = bytes | Callable[[BinaryIO], object]


def user_cache(name: str) -> Path:
    """Return a folder of emotts in the user's cache: $XDG_CACHE_HOME or ~/.cache, then emotts/<name>. Nothing is created.

    Raises:
        RuntimeError: the account has no home folder.
    """
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "emotts" / name


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that a file stands for, once no other process does; where files cannot be locked, nobody waits.

    Raises:
        OSError: the file cannot be made.
    """
    import fcntl

    with path.open("w") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with suppress(OSError):  # closing would not do: a child of this process may hold the file as well
                fcntl.flock(file, fcntl.LOCK_UN)


def write_durably(path: Path, content: Content) -> None:
    """Write a file in place and flush it to the disk; for names that nobody reads yet.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            content(file)
        file.flush()
        os.fsync(file.fileno())


def replace_durably(path: Path, content: Content, previous: Path | None = None) -> None:
    """Write a file beside its place, then rename it; until then what stood there stays.

    Args:
        previous: what stood there takes this name.

    Raises:
        OSError: it cannot be written; nothing of it is left. What `content` raises passes through, likewise.
    """
    temporary = temporary_of(path)
    try:
        write_durably(temporary, content)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if previous is not None and path.is_file():
        path.replace(previous)
    temporary.replace(path)
    sync_folder(path.parent)


def temporary_of(path: Path) -> Path:
    """Name the file beside `path` in which it is written; a kill may leave it."""
    return path.with_name(f".{path.name}.tmp")


def sync_folder(folder: Path) -> None:
    """Make renaming in a folder last through a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
