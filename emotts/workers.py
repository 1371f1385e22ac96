"""Worker processes that do not outlive the process that they work for."""

import os
from multiprocessing import parent_process
from threading import Thread


def end_with_parent() -> None:
    """Let a worker end when the main process was killed; it would wait for ever for its next task. An initializer of a pool."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()
