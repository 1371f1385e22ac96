"""Warnings of which one is enough."""

import warnings

_warned: set[str] = set()


def warn_once(message: str) -> None:
    """Warn of something once in a process, however often it is met."""
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, stacklevel=3)
