"""Choosing among rows of results.jsonl: rows come in, those that a measure is about go out, or columns of them as arrays."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from emotts.emotion.labels import DIMENSIONS

Row = dict[str, Any]
Select = Callable[[Sequence[Row]], list[Row]]
FULL_STRENGTH = 0.8  # labels at least this intense count for recall; the model's stand at 1.0


def only(predicate: Callable[[Row], bool]) -> Select:
    """Return a choice of the rows for which the predicate holds."""
    return lambda rows: [row for row in rows if predicate(row)]


def is_neutral(row: Row) -> bool:
    return row["part"] == "category" and row["label_asked"] == "neutral"


def is_emotional(row: Row) -> bool:
    """Say whether a label was asked at its usual strength."""
    return row["part"] == "category" and not is_neutral(row) and row["intensity_asked"] >= FULL_STRENGTH


def is_full(row: Row) -> bool:
    """Say whether the row counts for recall: neutral, or a label at its usual strength."""
    return is_neutral(row) or is_emotional(row)


def is_conflict(row: Row) -> bool:
    return row["part"] == "conflict"


def is_numeric(row: Row) -> bool:
    """Say whether arousal, valence and dominance were asked as numbers, without a label."""
    return row["part"] in ("sweep", "point") and row["arousal_asked"] is not None


def is_placed(row: Row) -> bool:
    """Say whether the place asked in the emotion space is known and the words do not argue with it."""
    return row["part"] in ("category", "sweep", "point") and row["arousal_asked"] is not None


def is_loop(row: Row) -> bool:
    return row["part"] == "loop"


def has_judge(row: Row, judge: str) -> bool:
    """Say whether the judge has heard the row; "" is no judge, and always has."""
    return not judge or f"label_{judge}" in row


def with_neutrals(rows: Sequence[Row]) -> list[Row]:
    """Return category rows with `_label`; before those of a text, voice and label stands its neutral row, as intensity 0."""
    neutral = {(row["text"], row["voice"]): row for row in rows if is_neutral(row)}
    result: list[Row] = []
    seen = set()
    for row in rows:
        place = (row["text"], row["voice"])
        if row["part"] != "category" or is_neutral(row) or place not in neutral:
            continue
        label = row["label_asked"]
        if (*place, label) not in seen:
            seen.add((*place, label))
            result.append({**neutral[place], "_label": label})
        result.append({**row, "_label": label})
    return result


def against_words(rows: Sequence[Row]) -> list[Row]:
    """Return the conflict rows whose words say the opposite, with the row of the other label as `_other`."""
    found = {(row["text"], row["voice"], row["label_asked"]): row for row in rows if is_conflict(row)}
    other = {"happy": "sad", "sad": "happy"}
    result = []
    for (text, voice, label), row in found.items():
        partner = found.get((text, voice, other[label]))
        if partner is not None and (row["words"] == "cheerful") == (label == "sad"):
            result.append({**row, "_other": partner})
    return result


def column(rows: Sequence[Row], key: str) -> np.ndarray:
    """Return the values under a key [N]."""
    return np.array([row[key] for row in rows], np.float64)


def asked_avd(rows: Sequence[Row]) -> np.ndarray:
    """Return arousal, valence and dominance asked [N, 3]."""
    return np.stack([column(rows, f"{name}_asked") for name in DIMENSIONS], axis=-1)


def heard_avd(rows: Sequence[Row], judge: str) -> np.ndarray:
    """Return arousal, valence and dominance that a judge heard [N, 3]."""
    return np.stack([column(rows, f"{name}_{judge}") for name in DIMENSIONS], axis=-1)
