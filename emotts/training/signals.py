"""Being asked to stop: Slurm sends SIGTERM before it kills, people press Ctrl-C.

The run saves and ends; asked twice, it ends at once.
"""

import signal
import threading
from types import FrameType
from typing import Any

ASKED = (signal.SIGTERM, signal.SIGINT)


class StopWish:
    """A context that notes the wish to stop in place of obeying at once."""

    def __init__(self) -> None:
        self.name: str | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopWish":
        if threading.current_thread() is threading.main_thread():  # nobody else may listen
            self._before = {number: signal.signal(number, self._note) for number in ASKED}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.name is not None:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name
