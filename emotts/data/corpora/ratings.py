"""Numbers that raters gave: scales to [-1, 1], votes to shares, and the check that no column was swapped.

Soft labels keep every vote and are smoothed as in EMO-SUPERB (Wu et al., 2024, arXiv 2402.13018).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import SourceRow

SMOOTHING = 0.02  # of the number of votes, added to each label that could be chosen
FEWEST = 20  # clips of each emotion without which polarity is chance
_POLARITY = (("arousal", "angry", "sad"), ("valence", "happy", "angry"))


def scale(value: float | str | None, low: float, high: float) -> float | None:
    """Map a rating from [low, high] to [-1, 1], clipped; None for what is no number.

    Args:
        value: a number, its text, or None.
        low: the scale's least value.
        high: its greatest.
    """
    try:
        number = float(value) if value not in (None, "") else math.nan
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return round(min(1.0, max(-1.0, 2.0 * (number - low) / (high - low) - 1.0)), 4)


def soft_votes(counts: Mapping[str, float], table: Mapping[str, str | None]) -> dict[str, float] | None:
    """Turn raters' votes into shares of labels, lightly smoothed.

    Args:
        counts: votes per raw label. table: the label of each raw one, None for those without a counterpart.

    Returns:
        Shares over the labels of the table; votes without a counterpart keep theirs, which is missing to one. None if there are
        no votes, or as many agree on one word without a counterpart as on the strongest label: the votes name no label of ours.
        Words that are not in the table are not counted; `Votes` reports them.
    """
    votes: dict[str, float] = {label: 0.0 for label in table.values() if label is not None}
    others: dict[str, float] = {}
    for raw, count in counts.items():
        if (label := table.get(raw)) is not None:
            votes[label] += count
        elif raw in table:
            others[raw] = count
    strongest, beyond = max(votes.values(), default=0.0), max(others.values(), default=0.0)
    if beyond >= strongest:
        return None
    total = sum(votes.values()) + sum(others.values())
    floor = SMOOTHING * total
    whole = total + floor * len(votes)
    return {label: round((count + floor) / whole, 6) for label, count in votes.items()}


class Votes:
    """The words that the raters of a corpus chose: those that its table does not know are problems and are not counted."""

    def __init__(self, folder: CorpusFolder, table: Mapping[str, str | None]) -> None:
        self._folder, self._table = folder, table
        self._named: set[str] = set()

    def known(self, place: str, words: Iterable[str]) -> list[str]:
        """Return the words that the table knows, each as often as it comes; another one is named where it is first met."""
        found = []
        for word in words:
            if word in self._table:
                found.append(word)
            elif word not in self._named:
                self._named.add(word)
                self._folder.problem(
                    place,
                    f"has a vote for {word[:40]!r}, a word that is not counted, here and in other places; "
                    f"expected one of {', '.join(self._table)}.",
                )
        return found

    def shares(self, place: str, counts: Mapping[str, float]) -> dict[str, float] | None:
        """Return `soft_votes` of a clip or line of a table."""
        return soft_votes({word: counts[word] for word in self.known(place, counts)}, self._table)


def plurality(counts: Mapping[str, float]) -> str | None:
    """Return the raw label with the most votes, None for a tie or no votes."""
    best = sorted(counts.items(), key=lambda item: -item[1])[:2]
    if not best or best[0][1] <= 0 or (len(best) == 2 and best[0][1] == best[1][1]):
        return None
    return best[0][0]


def wrong_polarity(rows: Sequence[SourceRow], fewest: int = FEWEST) -> list[str]:
    """Name the dimensions that contradict the labels: anger must be more aroused than sadness, joy pleasanter than anger.

    Args:
        rows: with labels and ratings.
        fewest: clips of each emotion below which nothing is said.
    """
    wrong = []
    for dimension, higher, lower in _POLARITY:
        means = []
        for label in (higher, lower):
            names = (label, "excited") if label == "happy" else (label,)
            values = [v for r in rows if r.label in names and (v := getattr(r, dimension)) is not None]
            means.append(sum(values) / len(values) if len(values) >= fewest else math.nan)
        if means[0] <= means[1]:
            wrong.append(dimension)
    return wrong


def check_polarity(title: str, rows: Sequence[SourceRow]) -> None:
    """Refuse ratings whose columns are swapped or upside down.

    Raises:
        ValueError: see `wrong_polarity`.
    """
    wrong = wrong_polarity(rows)
    if wrong:
        raise ValueError(
            f"{title}: expected anger to be more aroused than sadness and joy pleasanter than anger; {' and '.join(wrong)} "
            "says the opposite, so columns are swapped or upside down. Compare the table with the corpus' readme."
        )
