"""How often each row is drawn so that emotions, speakers and corpora are heard alike: rows come in, shares of draws go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from emotts.data.manifest import ManifestRow
from emotts.data.rows import codes_among, codes_of


def balanced_weights(
    rows: Sequence[ManifestRow],
    corpora: Mapping[str, str] | Sequence[str] | np.ndarray,
    power: float = 1.0,
    most: float = 20.0,
) -> np.ndarray:
    """Return the share of draws of each row [R].

    Args:
        rows: of one or several manifests.
        corpora: corpus of each id, as origins.jsonl says; ids that are not there are of one corpus. Or the corpus of each row [R],
            by name or number.
        power: 0 draws every row alike, 1 every cell of emotion, speaker and corpus alike.
        most: a row is drawn at most this many times as often as with power 0.

    Raises:
        ValueError: there are no rows, or a number is out of range.
    """
    if not len(rows):
        raise ValueError("weights need at least one row; got none.")
    if not 0.0 <= power <= 1.0 or most < 1.0:
        raise ValueError(f"power must lie in [0, 1] and most be 1 or more; got {power} and {most}.")
    if not isinstance(corpora, np.ndarray):
        names = [corpora.get(row.id) for row in rows] if isinstance(corpora, Mapping) else list(corpora)
        corpora = codes_among(names)[0]
    cells = np.zeros(len(rows), np.int64)
    for codes in (codes_of(rows, "emotion")[0], codes_of(rows, "voice")[0], corpora):
        cells = cells * (1 + int(codes.max())) + codes
    _, cell, counts = np.unique(cells, return_inverse=True, return_counts=True)
    weights = np.array([int(count) ** -power for count in counts])[cell]
    return _limited(weights / weights.sum(), most / len(rows))


def _limited(weights: np.ndarray, limit: float) -> np.ndarray:
    """Lower what lies above the limit and give it to the others in proportion; the sum stays one."""
    at_limit = np.zeros(len(weights), bool)
    while (above := (weights > limit * (1.0 + 1e-9)) & ~at_limit).any():
        at_limit |= above
        rest = weights[~at_limit].sum()
        if rest <= 0.0:
            return np.full(len(weights), 1.0 / len(weights))
        scaled = weights * ((1.0 - limit * at_limit.sum()) / rest)
        weights = np.where(at_limit, limit, scaled)
    return weights
