"""Which utterances are a batch: their lengths and a seed come in, the rows of batch s of like lengths go out, for any s.

What is held of an epoch is its rows in their order, four bytes each, and where its batches end.
"""

from collections.abc import Sequence

import numpy as np

FRAME_STEP = 32  # numbers of frames are rounded up to this, so that few tensor shapes occur


class BatchPlan:
    """Deterministic bucketed batches: the batch of step s is a pure function of (lengths, seed, s)."""

    def __init__(
        self, lengths: Sequence[int] | np.ndarray, max_frames: int, seed: int, shares: np.ndarray | None = None
    ) -> None:
        """Plan batches of at most `max_frames` frames, padding included.

        Args:
            lengths: frames of every row [R].
            max_frames: of a batch; a longer row is a batch of its own.
            seed: of the order.
            shares: how often each row is drawn [R], adding up to 1; None draws each once an epoch.
        """
        self.lengths = np.asarray(lengths)
        self.max_frames = max_frames
        self.seed = seed
        self.shares = shares
        self._epoch = -1
        self._order, self._ends = (
            np.empty(0, np.int64),
            np.zeros(1, np.int64),
        )  # rows of an epoch, and where batches end
        self._starts = [0]

    def _drawn(self, rng: np.random.Generator) -> np.ndarray:
        """Return the rows of an epoch, as many as there are rows.

        With shares, systematic sampling draws row i floor or ceil of R * share times: the expected number is exact in every epoch.
        """
        n = len(self.lengths)
        if self.shares is None:
            return np.arange(n)
        order = rng.permutation(n)
        ends = np.cumsum(self.shares[order])
        return order[np.minimum(np.searchsorted(ends / ends[-1], (np.arange(n) + rng.random()) / n), n - 1)]

    def _plan(self, epoch: int) -> None:
        """Set the rows of an epoch in their order, and where each batch ends among them: four bytes a row, not lists of numbers."""
        rng = np.random.default_rng([self.seed, epoch])
        rows = self._drawn(rng)
        jitter = self.lengths[rows] * np.exp(rng.normal(0.0, 0.08, len(rows)))
        rows = rows[np.argsort(jitter)]
        del jitter
        lengths = -(-self.lengths[rows] // FRAME_STEP) * FRAME_STEP
        ends = [0]
        while ends[-1] < len(rows):
            ends.append(ends[-1] + self._fitting(lengths[ends[-1] :]))
        borders = np.array(ends)
        order = rng.permutation(len(ends) - 1)
        sizes = np.diff(borders)[order]
        self._epoch, self._ends = epoch, np.concatenate([[0], np.cumsum(sizes)])
        kept = rows.astype(np.int32 if len(self.lengths) < 2**31 else np.int64)
        self._order = np.concatenate([kept[borders[k] : borders[k + 1]] for k in order])

    def _fitting(self, lengths: np.ndarray) -> int:
        """Return how many of the next rows make a batch, at least one."""
        few = lengths[: 1 + self.max_frames // max(int(lengths[0]), FRAME_STEP)]
        if not lengths[0]:  # rows without frames need no room
            few = lengths
        needed = np.maximum.accumulate(few) * np.arange(1, len(few) + 1)
        return max(1, int(np.searchsorted(needed, self.max_frames, side="right")))

    def indices(self, step: int) -> list[int]:
        """Return the rows of the batch of this step.

        Raises:
            ValueError: there are no rows.
        """
        if not len(self.lengths):
            raise ValueError("a plan of batches needs at least one utterance; got none.")
        while step >= self._starts[-1]:
            self._plan(len(self._starts) - 1)
            self._starts.append(self._starts[-1] + len(self._ends) - 1)
        epoch = int(np.searchsorted(self._starts, step, side="right")) - 1
        if epoch != self._epoch:
            self._plan(epoch)
        k = step - self._starts[epoch]
        return self._order[self._ends[k] : self._ends[k + 1]].tolist()
