"""Train, valid and test by speaker: folds as published, or by the order of hashes, which no later clip changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

Folds = Sequence[Sequence[str]]
FEWEST_SPEAKERS = 3  # of which one tests and another validates


def fold_split(group: str, folds: Folds, fold: int) -> str:
    """Return the split of a speaker or session: fold k tests, the next one validates, the others train.

    With two folds there is none left to validate.

    Raises:
        ValueError: there is no such fold.
    """
    check_fold(fold, len(folds))
    if group in folds[fold - 1]:
        return "test"
    return "valid" if len(folds) > 2 and group in folds[fold % len(folds)] else "train"


def check_fold(fold: int, n_folds: int) -> None:
    """Refuse a fold that does not exist."""
    if not isinstance(fold, int) or not 1 <= fold <= n_folds:
        raise ValueError(f"fold must be 1 to {n_folds}; got {fold!r}. Example: corpus.fold=1")


def every_nth(names: Sequence[str], n: int) -> list[list[str]]:
    """Deal names into n folds in turn."""
    return [list(names[i::n]) for i in range(n)]


def ranked_split(names: Iterable[str], test: float = 0.1, valid: float = 0.1) -> dict[str, str]:
    """Split speakers by the order of their hashes: the first share tests, the next validates.

    Args:
        names: of all speakers. test: share that tests. valid: share that validates; of three or more, at least one each.
    """
    order = sorted(set(names), key=_hash)
    n_test, n_valid = (
        max(1, round(share * len(order))) if len(order) >= FEWEST_SPEAKERS else 0 for share in (test, valid)
    )
    return {
        name: "test" if i < n_test else "valid" if i < n_test + n_valid else "train" for i, name in enumerate(order)
    }


def hash_split(sentence: str) -> str:
    """Split by sentence where there is one speaker: 5 % test, 5 % valid."""
    place = int(_hash(sentence), 16) % 100
    return "test" if place < 5 else "valid" if place < 10 else "train"


def validates(sentence: str) -> bool:
    """Whether a sentence of a speaker who trains is held out to validate; a tenth of them are."""
    return int(_hash(sentence), 16) % 10 == 0


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
