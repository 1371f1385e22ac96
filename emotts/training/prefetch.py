"""Batches made in the background while the model learns from the ones before.

Comes in: a pure function from an index to a batch, and the indices in order. Goes out: the batches in that order, and how long
was waited for them.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch
from threadpoolctl import threadpool_limits

BatchT = TypeVar("BatchT")
AHEAD = 4  # batches that are made in advance


class Prefetch(Generic[BatchT]):
    """One thread makes batches ahead; one, so that what makes them need not be safe for several.

    A process would copy the corpus or pass tensors by pipes; making a batch is NumPy, which lets the training thread run.
    """

    def __init__(self, batch_of: Callable[[int], BatchT], indices: Iterator[int], ahead: int = AHEAD) -> None:
        self.batch_of, self.indices, self.ahead = batch_of, indices, ahead
        self.waited_s = 0.0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches", initializer=_compute_alone)
        self._coming: deque[Future[BatchT]] = deque()

    def __enter__(self) -> "Prefetch[BatchT]":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def next(self) -> BatchT:
        """Return the next batch; what went wrong in making it is raised here."""
        started = time.perf_counter()
        self._order()
        batch = self._coming.popleft().result()
        self.waited_s += time.perf_counter() - started
        self._order()
        return batch

    def _order(self) -> None:
        while len(self._coming) < self.ahead and (index := next(self.indices, None)) is not None:
            self._coming.append(self._pool.submit(self.batch_of, index))


def _compute_alone() -> None:
    """Let this thread compute without helpers of its own.

    With more helpers than cores, OpenMP no longer lets those of the training thread wait for work awake, and every operation of the
    model would begin with waking them.
    """
    torch.get_num_threads()  # or torch would set the number anew when it first needs it
    threadpool_limits(1, user_api="openmp")
