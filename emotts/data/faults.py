"""Faults of the machine, told apart from faults of a clip: a full disk or a reader that is not installed is no clip's fault.

Comes in: what was raised while a clip was prepared. Goes out: whether the run must end, for the same command makes the clip once
the machine is put right; a clip that is itself at fault is named, and the run goes on.
"""

from __future__ import annotations

import errno

from emotts.text.languages import NotInstalled

OF_MACHINE = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EMFILE,
        errno.ENFILE,
        errno.EIO,
        errno.ENOMEM,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ENOTCONN,
    }
)
NO_MEMORY = "can't allocate memory"  # what torch says of it in a RuntimeError


class MachineFault(OSError):
    """Something is wrong with this machine, or missing on it; the message says what, and the remedy."""


def is_of_machine(error: BaseException) -> bool:
    """Whether an error, or what caused it, is the machine's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MachineFault | NotInstalled | MemoryError):
            return True
        if isinstance(cause, OSError) and cause.errno in OF_MACHINE:
            return True
        if isinstance(cause, RuntimeError) and NO_MEMORY in str(cause):
            return True
        cause = cause.__cause__
    return False


def fault_at(place: str, error: BaseException) -> MachineFault:
    """Return the fault in one line, with the clip or file at which it was met."""
    told = " ".join(str(error).split()).rstrip(".") or "the memory is full; fewer processes need less"
    return MachineFault(
        f"{place}: {told}. The machine is at fault and not the clip, and no shard was finished with it; "
        "put it right and run the same command again."
    )
