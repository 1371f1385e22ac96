"""A visitor's wish to stop: work in pieces looks at it after each piece, and ends there."""

from dataclasses import dataclass

from .engine import Tell


class StoppedError(Exception):
    """The visitor wished to stop."""


@dataclass
class Stop:
    """A wish to stop one run."""

    is_wished: bool = False


def begin() -> Stop:
    """Return the wish of a new run; that of a run before it stays as it was."""
    return Stop()


def end(stop: Stop) -> Stop:
    """Wish that the run stops."""
    stop.is_wished = True
    return stop


def heeding(stop: Stop, tell: Tell) -> Tell:
    """Return a `Tell` that ends the work with a StoppedError once a stop is wished."""

    def told(part: float, what: str) -> None:
        if stop.is_wished:
            raise StoppedError
        tell(part, what)

    return told
