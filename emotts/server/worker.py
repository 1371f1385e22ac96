"""One thread computes for all requests, a piece of each in turn: a request is given a place or refused, and its steps are queued.

The steps wait in one row, so that a short text need not wait until a long one is done, and the event loop is never held up.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from emotts.server.errors import LOG, ApiError
from emotts.server.limits import Limits

T = TypeVar("T")
MEMORY = 0.8  # of the mean length of requests, by which the wait is estimated
LONGEST_RETRY_S = 120


@dataclass(frozen=True)
class Piece:
    """Bytes of a reply; the last piece says that it is, so that nobody has to ask for another."""

    data: bytes
    is_last: bool = False


class Worker:
    """The thread, and how many requests it works for."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.n_jobs = 0
        self.mean_s = 1.0  # of computing for one request
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="emotts-worker")

    @property
    def queue_length(self) -> int:
        """Requests that wait behind the one that is worked on."""
        return max(0, self.n_jobs - 1)

    def check_room(self) -> None:
        """Refuse what would wait too long.

        Raises:
            ApiError: 429, with the seconds after which to come again.
        """
        if self.n_jobs > self.limits.max_waiting:
            wait_s = min(LONGEST_RETRY_S, max(1, round(self.mean_s * self.n_jobs / 2)))
            raise ApiError(
                429,
                f"{self.limits.max_waiting} requests are waiting already; come again in {wait_s} s.",
                headers={"Retry-After": str(wait_s)},
            )

    def admit(self) -> "Job":
        """Give a request its place, until its job is closed. Errors are those of `check_room`."""
        self.check_room()
        self.n_jobs += 1
        return Job(self)

    async def run(self, step: Callable[[], T]) -> T:
        """Run one step on the thread after those before it; cancelled, a step that has not begun never does."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, step)

    def submit(self, step: Callable[[], object]) -> None:
        """Run a step after those before it, and do not wait."""
        self._pool.submit(_logged, step)

    def close(self) -> None:
        """End the thread; steps that have not begun are dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Job:
    """What one admitted request computes, piece by piece."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._pieces: Iterator[Piece] = iter(())
        self._last: list[Callable[[], object]] = []
        self._is_open = True
        self._spent_s = 0.0

    async def run(self, step: Callable[[], T]) -> T:
        """Run one step."""

        def timed() -> T:
            start = time.perf_counter()
            try:
                return step()
            finally:
                self._spent_s += time.perf_counter() - start

        return await self._worker.run(timed)

    def begin(self, pieces: Iterator[Piece]) -> Piece:
        """Compute the first piece, within a step; `next_piece` goes on, and with the job the iterator is closed."""
        self._pieces = pieces
        return next(pieces)

    async def next_piece(self) -> Piece:
        """Compute one more piece, in a step of its own."""
        pieces = self._pieces
        return await self.run(lambda: next(pieces))

    async def whole(self, piece: Piece) -> bytes:
        """Return the data of a piece and of all that come after it."""
        data = piece.data
        while not piece.is_last:
            piece = await self.next_piece()
            data += piece.data
        return data

    def at_end(self, step: Callable[[], object]) -> None:
        """Have a step run when the job is closed, after everything else."""
        self._last.append(step)

    def close(self) -> None:
        """Leave the place to the next one; may be called twice."""
        if not self._is_open:
            return
        self._is_open = False
        worker = self._worker
        worker.n_jobs -= 1
        worker.mean_s = MEMORY * worker.mean_s + (1.0 - MEMORY) * self._spent_s
        end = getattr(self._pieces, "close", None)  # on the thread: a step of it may still be running
        for step in [*([end] if end else []), *self._last]:
            worker.submit(step)


def _logged(step: Callable[[], object]) -> None:
    try:
        step()
    except Exception:
        LOG.exception("cleaning up failed")
