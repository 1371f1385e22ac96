"""What is measured of a control: requests and answers come in as arrays, one number or a small matrix goes out.

Pure NumPy. Correlation and concordance are those of emotts.metrics.statistics; here stands what a control needs beyond them.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from emotts.metrics.statistics import Interval

N_RESAMPLES = 1_000


def confusion(asked: Sequence[str], heard: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Count how often each name asked (rows) was heard as each name (columns): [K, K]."""
    index = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    for a, h in zip(asked, heard, strict=True):
        counts[index[a], index[h]] += 1
    return counts


def recalls(counts: np.ndarray) -> np.ndarray:
    """Return the recall of every class [K] of a confusion matrix [K, K]; nan for a class that was never asked."""
    asked = counts.sum(axis=1)
    return np.where(asked > 0, np.diag(counts) / np.maximum(asked, 1), np.nan)


def mean_recall(counts: np.ndarray) -> float:
    """Return the unweighted average recall of the classes that were asked."""
    return float(np.nanmean(recalls(counts)))


def macro_f1(counts: np.ndarray) -> float:
    """Return the unweighted mean of the F1 scores of the classes that were asked.

    F1 of a class is 2 hits / (asked + heard), as scikit-learn's f1_score with average="macro" over these classes.
    """
    asked, heard, hits = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    return float(np.mean(2.0 * hits[asked > 0] / (asked + heard)[asked > 0]))


def line_fit(asked: ArrayLike, heard: ArrayLike) -> tuple[float, float]:
    """Return slope and R^2 of the straight line from asked [N] to heard [N]; both 0 where asked is constant."""
    x, y = (values - values.mean() for values in (np.asarray(asked, np.float64), np.asarray(heard, np.float64)))
    if x @ x < 1e-12:
        return 0.0, 0.0
    slope = float(x @ y / (x @ x))
    return slope, float((x @ y) ** 2 / ((x @ x) * (y @ y))) if y @ y > 1e-12 else 0.0


def leak_matrix(asked: np.ndarray, heard: np.ndarray, groups: Sequence[object]) -> np.ndarray:
    """Return the slopes [3, 3]: row i, column j is what one unit of asked dimension i adds to heard dimension j.

    One linear regression of all three asked dimensions at once, after the mean of every group was taken away on both sides: a
    perfect control is the identity, what stands beside the diagonal leaks.

    Args:
        asked, heard: [N, 3].
        groups: N keys of text and voice.
    """
    x, y = _within(asked, groups), _within(heard, groups)
    return np.linalg.lstsq(x, y, rcond=None)[0]


def neighbour_pairs(
    intensity: ArrayLike, strength: ArrayLike, groups: Sequence[object]
) -> tuple[np.ndarray, np.ndarray]:
    """Say of all neighbouring intensities of a group whether the heard strength rises too; equal strengths have not risen.

    The mean of the first result is the intensity order accuracy; chance is 0.5.

    Args:
        intensity, strength: [N].
        groups: N keys of text, voice and label. A group of one has no neighbours.

    Returns:
        has_risen [P] boolean, and the row [P] of the weaker one of each pair.
    """
    asked, heard = np.asarray(intensity, np.float64), np.asarray(strength, np.float64)
    risen: list[bool] = []
    rows: list[int] = []
    for index in group_indices(groups):
        order = index[np.argsort(asked[index], kind="stable")]
        for a, b in zip(order[:-1], order[1:], strict=True):
            if asked[b] > asked[a]:
                risen.append(bool(heard[b] > heard[a]))
                rows.append(int(a))
    return np.asarray(risen, bool), np.asarray(rows, np.int64)


def direction_similarity(embedding: np.ndarray, neutral: np.ndarray, direction: np.ndarray) -> float:
    """Return the cosine of (embedding - neutral) [E] and a direction [E]; 0 where one of them has no length.

    `neutral` is of the same text and voice, so that neither takes part; a raw cosine of two utterances is mostly both of them
    ("The False Resonance", 2026, arXiv 2604.26347).
    """
    shift = np.asarray(embedding, np.float64) - neutral
    scale = float(np.linalg.norm(shift) * np.linalg.norm(direction))
    return float(shift @ direction) / scale if scale > 1e-9 else 0.0


def along(heard: np.ndarray, neutral: np.ndarray, place: ArrayLike) -> np.ndarray:
    """Return how far heard [N, 3] lies from neutral [N, 3] on the way to a label's place [N, 3] or [3]: 0 not at all, 1 there."""
    place = np.asarray(place, np.float64)
    return ((heard - neutral) * place).sum(axis=-1) / np.maximum((place * place).sum(axis=-1), 1e-12)


def group_indices(groups: Sequence[object]) -> list[np.ndarray]:
    """Return the positions of every distinct key, in order of first appearance."""
    places: dict[object, list[int]] = {}
    for i, key in enumerate(groups):
        places.setdefault(key, []).append(i)
    return [np.asarray(index) for index in places.values()]


def bootstrap_groups(
    statistic: Callable[[np.ndarray], float], groups: Sequence[object], seed: int = 0, coverage: float = 0.95
) -> Interval:
    """Return a statistic with its percentile interval over resampled groups; arguments and errors as in `bootstrap_arrays`."""
    value, low, high = bootstrap_arrays(statistic, groups, seed, coverage)
    return Interval(float(value), float(low), float(high))


def bootstrap_arrays(
    statistic: Callable[[np.ndarray], ArrayLike], groups: Sequence[object], seed: int = 0, coverage: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the values of a statistic and their percentile intervals: all rows of a group, such as a text, stay or go together.

    Args:
        statistic: maps row numbers [n], repeats included, to a number or an array; nan where these rows do not define it.
        groups: N keys, such as the text of every row. With one group the intervals are nan.
        seed: of the resampling.
        coverage: of the intervals, in (0, 1).

    Returns:
        Values, lower and upper bounds, in the statistic's shape.

    Raises:
        ValueError: no rows.

    Reference: Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 8.
    """
    if not len(groups):
        raise ValueError("a bootstrap needs at least one row; got none.")
    members = group_indices(groups)
    value = np.asarray(statistic(np.arange(len(groups))), np.float64)
    unknown = np.full(value.shape, np.nan)
    if len(members) < 2:
        return value, unknown, unknown
    draws = np.random.default_rng(seed).integers(0, len(members), (N_RESAMPLES, len(members)))
    values = np.array([statistic(np.concatenate([members[i] for i in draw])) for draw in draws], np.float64)
    if not np.isfinite(values).any():
        return value, unknown, unknown
    low, high = np.nanquantile(values, [(1.0 - coverage) / 2.0, (1.0 + coverage) / 2.0], axis=0)
    return value, low, high


def _within(values: np.ndarray, groups: Sequence[object]) -> np.ndarray:
    centred = np.array(values, np.float64)
    for index in group_indices(groups):
        centred[index] -= centred[index].mean(axis=0)
    return centred
