"""Files that are read again and again, held open by the whole process: not more of them at once than the system allows.

Comes in: a path, the owner of its number and the number. Goes out: the open file, which stays open as long as anyone holds it.
"""

import itertools
import os
import resource
from collections import OrderedDict
from threading import RLock

MOST = 256  # files that are held open at once by all owners together
SHARE = 4  # of the files that the process may open, one in so many is held here


class OpenFile:
    """A file that is closed when nobody holds it."""

    def __init__(self, path: str) -> None:
        self.handle = -1  # if it cannot be opened, there is nothing to close
        self.handle = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)

    def read(self, first: int, n_bytes: int) -> bytearray:
        """Return `n_bytes` from place `first`, or fewer where the file ends; several threads may read at once."""
        data = bytearray(n_bytes)
        n_read = os.preadv(self.handle, [data], first)
        return data if n_read == n_bytes else data[:n_read]


class OpenFiles:
    """The files that were asked for last, whoever asked; several threads may ask at once."""

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[int, int], OpenFile] = OrderedDict()  # by owner and number, the latest last
        self._lock = RLock()  # an owner may be forgotten by the garbage collector while this thread opens a file
        self._owners = itertools.count()

    def __len__(self) -> int:
        return len(self._files)

    def owner(self) -> int:
        """Return a new owner: two of them never share a file, so that one made later sees a file that was replaced."""
        return next(self._owners)

    def get(self, owner: int, number: int, path: str) -> OpenFile:
        """Return a file, opened unless it is; the one that was not asked for longest makes room.

        Raises:
            OSError: it cannot be opened.
        """
        with self._lock:
            if (owner, number) in self._files:
                self._files.move_to_end((owner, number))
                return self._files[owner, number]
            most = most_open()
            while len(self._files) >= most:
                self._files.popitem(last=False)
            self._files[owner, number] = file = OpenFile(path)
            return file

    def forget(self, owner: int) -> None:
        """Let go of the files of an owner."""
        with self._lock:
            for key in [key for key in self._files if key[0] == owner]:
                del self._files[key]


def most_open() -> int:
    """Return how many files may be held: MOST, or a share of what the process may open, whichever is less."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(1, min(MOST, soft // SHARE))


OPEN_FILES = OpenFiles()
