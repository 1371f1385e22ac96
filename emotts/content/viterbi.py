"""Viterbi searches over frames: scores come in, the likeliest run of sounds or path along given tokens goes out.

After Viterbi, "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm" (1967). A sound begins at a
frame with log probability `begins` [T] and goes on into it with `goes_on` [T].
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]

MEMORY = 20_000_000  # cells of a path that are kept at once; above it, it is searched in blocks and twice
LONGEST_SKIP = 254  # what a byte holds


def segment(score: Array, least: Indices, begins: Array, goes_on: Array) -> tuple[list[int], list[int]]:
    """Cut frames into the likeliest run of sounds.

    Args:
        score: log probability of every kind of sound [T, K]. least: frames that each kind lasts at least [K].

    Returns:
        Borders [S + 1], from 0 to T, and which kind lies between them [S].
    """
    n_frames, n_kinds = score.shape
    least = np.minimum(least, n_frames)
    stays = score + goes_on[:, None]
    total = np.concatenate([np.zeros((1, n_kinds)), np.cumsum(stays, axis=0)])
    enters = np.full((n_frames, n_kinds), -np.inf)  # score of a sound's first `least` frames, by the last of them
    for n in set(least.tolist()):
        columns = least == n
        first = np.arange(n_frames - n + 1)
        enters[n - 1 :, columns] = (total[n:] - total[: n_frames - n + 1])[:, columns] + (begins - goes_on)[first, None]
    best = np.zeros(n_frames + 1)  # of what ends before a frame; where an index would be below 0, `enters` forbids it
    state = np.full(n_kinds, -np.inf)
    entered = np.zeros((n_frames, n_kinds), bool)
    last = np.zeros(n_frames, np.int64)
    before = np.arange(1, n_frames + 1)[:, None] - least
    for t in range(n_frames):
        enter = best[before[t]] + enters[t]
        state += stays[t]
        np.greater(enter, state, out=entered[t])
        np.maximum(state, enter, out=state)
        last[t] = k = state.argmax()
        best[t + 1] = state[k]
    borders: list[int] = [n_frames]
    kinds: list[int] = []
    while borders[0] > 0:
        end = borders[0] - 1
        kind = int(last[end])
        while not entered[end, kind]:
            end -= 1
        borders.insert(0, end + 1 - int(least[kind]))
        kinds.insert(0, kind)
    return borders, kinds


def lay(score: Array, ids: Indices, optional: Flags, begins: Array, goes_on: Array) -> Indices:
    """Return the token of every frame [T] on the likeliest path through tokens [N].

    The search is exact and takes O(T N) time; beyond MEMORY cells it keeps O(N sqrt(T)) of them.

    Args:
        score: log probability of every symbol [T, P]. ids: symbol of each token [N]. optional: which may be left out [N].
    """
    n_frames, n = len(score), len(ids)
    skips = _skips(optional)
    state = np.full(n + 1, -np.inf)  # the first is the place before the first token
    state[0] = 0.0
    block = n_frames if n_frames * n <= MEMORY else max(1, int(np.sqrt(n_frames)))
    starts = list(range(0, n_frames, block))
    states = []
    for first in starts[:-1]:
        states.append(state)
        state = _advance(state, score[first : first + block], ids, begins[first:], goes_on[first:], skips)
    states.append(state)
    path = np.zeros(n_frames, np.int64)
    at = -1
    for first, state in zip(reversed(starts), reversed(states), strict=True):
        length = min(block, n_frames - first)
        steps = np.zeros((length, n), np.uint8)
        state = _advance(state, score[first : first + length], ids, begins[first:], goes_on[first:], skips, steps)
        if at < 0:  # only optional ones may follow the last
            sounds = np.flatnonzero(~optional)
            lowest = int(sounds[-1]) if len(sounds) else 0
            at = lowest + int(state[1 + lowest :].argmax())
        for t in range(length - 1, -1, -1):
            path[first + t] = at
            at -= int(steps[t, at])
    return path


def _advance(
    state: Array, score: Array, ids: Indices, begins: Array, goes_on: Array, skips: list[Array],
    steps: NDArray[np.uint8] | None = None,
) -> Array:  # fmt: skip
    """Go through frames; `steps` [t, N] keeps how many tokens back each came from."""
    for t, row in enumerate(score):
        best = state[1:] + goes_on[t]
        for back, cost in enumerate(skips, start=1):
            come = state[:-back] + (cost + begins[t])
            rest = best[back - 1 :]
            if steps is not None:
                steps[t, back - 1 :][come > rest] = back
            np.maximum(rest, come, out=rest)
        state = np.concatenate([[-np.inf], best + row[ids]])
    return state


def _skips(optional: Flags) -> list[Array]:
    """Return for every number of steps forward what it costs to reach each token: nothing if only optional ones are passed over."""
    costs = [np.zeros(len(optional))]
    open_to = np.concatenate([[False], optional[:-1]])  # whether the token before may be passed over
    reachable = open_to.copy()
    while reachable.any() and len(costs) < LONGEST_SKIP:
        back = len(costs)
        costs.append(np.where(reachable, 0.0, -np.inf)[back:])
        reachable[back:] &= open_to[: len(open_to) - back]
        reachable[:back] = False
    return costs
