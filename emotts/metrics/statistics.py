"""Rank correlation, agreement, recall and bootstrap intervals: numbers in, one number or an interval out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

N_RESAMPLES = 2_000


@dataclass(frozen=True)
class Interval:
    """A statistic with its bootstrap percentile interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Return the rank correlation of x [N] and y [N], ties sharing their mean rank; 0 where one of them is constant."""
    return pearson(ranks(x), ranks(y))


def pearson(x: ArrayLike, y: ArrayLike) -> float:
    """Return the linear correlation of x [N] and y [N]; 0 where one of them is constant.

    Raises:
        ValueError: the lengths differ or are below 2.
    """
    first, second = (values - values.mean() for values in _paired(x, y))
    scale = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / scale if scale > 1e-12 else 0.0


def ranks(x: ArrayLike) -> np.ndarray:
    """Return the ranks of x [N] from 1, ties sharing the mean of theirs."""
    values = np.asarray(x, np.float64)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[inverse]


def concordance(x: ArrayLike, y: ArrayLike) -> float:
    """Return Lin's concordance correlation of x [N] and y [N] with population variances; 0 where both are constant.

    Reference: Lin, "A concordance correlation coefficient to evaluate reproducibility" (1989), Biometrics 45, 255-268.
    """
    first, second = _paired(x, y)
    covariance = float(np.mean((first - first.mean()) * (second - second.mean())))
    scale = float(first.var() + second.var() + (first.mean() - second.mean()) ** 2)
    return 2.0 * covariance / scale if scale > 1e-12 else 0.0


def unweighted_average_recall(true: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mean of the recalls of the classes that occur in `true` [N]."""
    asked, given = np.asarray(true), np.asarray(predicted)
    if asked.shape != given.shape or asked.size == 0:
        raise ValueError(f"true and predicted must have one length of at least 1; got {asked.shape} and {given.shape}.")
    return float(np.mean([np.mean(given[asked == name] == name) for name in np.unique(asked)]))


def bootstrap_mean(values: ArrayLike, seed: int = 0, coverage: float = 0.95) -> Interval:
    """Return the mean of values [N] with its percentile interval over resampled items."""
    items = np.asarray(values, np.float64)
    return bootstrap(lambda index: items[index].mean(axis=-1), len(items), seed, coverage)


def bootstrap_ratio(numerators: ArrayLike, denominators: ArrayLike, seed: int = 0, coverage: float = 0.95) -> Interval:
    """Return sum(numerators) / sum(denominators), such as a corpus word error rate, with its interval."""
    top, bottom = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    return bootstrap(
        lambda i: top[i].sum(axis=-1) / np.maximum(bottom[i].sum(axis=-1), 1e-12), len(top), seed, coverage
    )


def bootstrap(statistic: Callable[[np.ndarray], np.ndarray], n_items: int, seed: int, coverage: float) -> Interval:
    """Resample items with replacement.

    Args:
        statistic: maps indices [..., n_items] to values [...].
        n_items: number of items, at least 1.
        seed: of the resampling.
        coverage: of the interval, in (0, 1).

    Reference: Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    if n_items < 1:
        raise ValueError("a bootstrap needs at least one item; got none.")
    indices = np.random.default_rng(seed).integers(0, n_items, (N_RESAMPLES, n_items))
    low, high = np.quantile(statistic(indices), [(1.0 - coverage) / 2.0, (1.0 + coverage) / 2.0])
    return Interval(float(statistic(np.arange(n_items))), float(low), float(high))


def _paired(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise ValueError(f"x and y must be rows of one length of at least 2; got {first.shape} and {second.shape}.")
    return first, second
