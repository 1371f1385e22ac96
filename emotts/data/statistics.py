"""What a prepared corpus holds: rows of a manifest come in; hours, speakers, emotions and histograms of A, V, D go out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from emotts.data.balance import emotion_of
from emotts.data.manifest import ManifestRow
from emotts.emotion.labels import DIMENSIONS

BINS = 10  # of a histogram over [-1, 1]


@dataclass(frozen=True)
class CorpusStatistics:
    """What a manifest holds.

    Attributes:
        utterances: Number of rows.
        hours: Of speech.
        seconds: 5 %, 50 % and 95 % of the lengths of utterances.
        hours_by: "split", "voice", "emotion", "language" and "licence" to hours by name, largest first.
        rated: Rows with a value of each dimension.
        histograms: Rows by value of each dimension, BINS equal parts of [-1, 1].
        means: Mean of each dimension, None where nothing is rated.
        texts: Number of different texts.
    """

    utterances: int
    hours: float
    seconds: tuple[float, float, float]
    hours_by: dict[str, dict[str, float]]
    rated: dict[str, int]
    histograms: dict[str, list[int]]
    means: dict[str, float | None]
    texts: int

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON-ready values."""
        return asdict(self)


def corpus_statistics(rows: Sequence[ManifestRow]) -> CorpusStatistics:
    """Count a manifest.

    Raises:
        ValueError: it has no rows.
    """
    if not rows:
        raise ValueError("the manifest has no rows; prepare a corpus with recipes/prepare_corpus.py.")
    lengths = np.array([row.duration_s for row in rows])
    values = {name: np.array([v for row in rows if (v := getattr(row, name)) is not None]) for name in DIMENSIONS}
    low, middle, high = (round(float(x), 2) for x in np.quantile(lengths, (0.05, 0.5, 0.95)))
    return CorpusStatistics(
        utterances=len(rows),
        hours=round(float(lengths.sum()) / 3_600.0, 4),
        seconds=(low, middle, high),
        hours_by={
            "split": _hours(rows, lambda row: row.split),
            "voice": _hours(rows, lambda row: row.voice),
            "emotion": _hours(rows, emotion_of),
            "language": _hours(rows, lambda row: row.language),
            "licence": _hours(rows, lambda row: row.licence),
        },
        rated={name: len(found) for name, found in values.items()},
        histograms={
            name: np.histogram(found, bins=BINS, range=(-1.0, 1.0))[0].tolist() for name, found in values.items()
        },
        means={name: round(float(found.mean()), 4) if len(found) else None for name, found in values.items()},
        texts=len({row.text for row in rows if row.text}),
    )


def _hours(rows: Sequence[ManifestRow], name_of: Callable[[ManifestRow], str]) -> dict[str, float]:
    totals: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        totals[name_of(row)] += row.duration_s / 3_600.0
    return {name: round(value, 4) for name, value in sorted(totals.items(), key=lambda item: (-item[1], item[0]))}
