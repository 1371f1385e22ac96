"""Sum rows up: rows of results.jsonl come in, the contents of report.json go out, with 95 % intervals over texts."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.evaluation.conversion_table import conversion_lines
from emotts.evaluation.measures import bootstrap_arrays, bootstrap_groups, confusion, leak_matrix, recalls
from emotts.evaluation.rows import Row, asked_avd, has_judge, heard_avd, is_full, is_neutral, is_numeric
from emotts.evaluation.table import Line, lines
from emotts.metrics.statistics import Interval

SYSTEMS = ("emotts", "teacher", "copy synthesis")
MIN_LEAK_ROWS = 12  # nine slopes and a mean per group have to be found


def summarise(rows: Sequence[Row], judges: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Return the measures of all systems, and what the pictures of the report show.

    Args:
        rows: as `emotts.evaluation.run.evaluate` returns them.
        judges: their names; the last is the independent one, and the targets are its.
        seed: of the bootstrap.

    Returns:
        n_utterances; failed (those that no judge could hear); table (lines with value, interval and n per system, None where not
        measured); per judge confusion [K, K], leak [3][3] and curves; and labels, one line each.
    """
    whole = [row for row in rows if "error" not in row]
    model = [row for row in whole if row["system"] == "emotts"]
    failed = [{k: row[k] for k in ("key", "system", "text", "voice", "error")} for row in rows if "error" in row]
    return {
        "n_utterances": {name: sum(row["system"] == name for row in rows) for name in SYSTEMS},
        "failed": failed,
        "table": [_measured(line, whole, seed) for line in [*lines(judges), *conversion_lines(rows, judges[-1])]],
        "confusion": {judge: _confusion(model, judge).tolist() for judge in judges},
        "leak": {judge: _leak(model, judge, seed) for judge in judges},
        "curves": {judge: _curves(model, judge, seed) for judge in judges},
        "labels": [_label_line(model, label, judges) for label in LABELS],
    }


def _measured(line: Line, rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """Compute a line for every system; None where a system has no rows for it."""
    values: dict[str, Any] = {}
    for system in SYSTEMS:
        part = line.select([row for row in rows if row["system"] == system and has_judge(row, line.judge)])
        statistic = line.statistic(part) if part else None
        values[system] = None
        if statistic is not None and math.isfinite(statistic(np.arange(len(part)))):
            interval = bootstrap_groups(statistic, [row.get("original", row["text"]) for row in part], seed)
            values[system] = {**as_dict(interval), "n": len(part)}
    reached = None if values["emotts"] is None else values["emotts"]["value"]
    return {
        "group": line.group,
        "name": line.name,
        "judge": line.judge,
        "definition": line.definition,
        "values": values,
        "at_least": line.target,
        "is_met": None if line.target is None or reached is None else reached >= line.target,
    }


def _confusion(rows: Sequence[Row], judge: str) -> np.ndarray:
    chosen = [row for row in rows if is_full(row) and has_judge(row, judge)]
    return confusion([row["label_asked"] for row in chosen], [row[f"label_{judge}"] for row in chosen], LABELS)


def _leak(rows: Sequence[Row], judge: str, seed: int) -> list[list[dict[str, Any]]] | None:
    """Return slopes with intervals, asked dimensions as rows; None where too little was asked by numbers."""
    chosen = [row for row in rows if is_numeric(row) and has_judge(row, judge)]
    if len(chosen) < MIN_LEAK_ROWS:
        return None
    asked, heard = asked_avd(chosen), heard_avd(chosen, judge)
    groups = [(row["text"], row["voice"]) for row in chosen]

    def slopes(index: np.ndarray) -> np.ndarray:
        return leak_matrix(asked[index], heard[index], [groups[n] for n in index])

    value, low, high = bootstrap_arrays(slopes, [row["text"] for row in chosen], seed)
    return [[as_dict(Interval(value[i, j], low[i, j], high[i, j])) for j in range(3)] for i in range(3)]


def _curves(rows: Sequence[Row], judge: str, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Return for every dimension swept what is heard of all three at each value asked."""
    curves: dict[str, list[dict[str, Any]]] = {}
    for name in DIMENSIONS:
        swept = [r for r in rows if r["part"] == "sweep" and r["dimension"] in (name, None) and has_judge(r, judge)]
        curves[name] = []
        for value in sorted({row[f"{name}_asked"] for row in swept}):
            here = [row for row in swept if row[f"{name}_asked"] == value]
            heard = heard_avd(here, judge)
            mean = bootstrap_arrays(
                lambda index, heard=heard: heard[index].mean(axis=0),  # type: ignore[misc]
                [row["text"] for row in here],
                seed,
            )
            answers = {other: as_dict(Interval(*(part[j] for part in mean))) for j, other in enumerate(DIMENSIONS)}
            curves[name].append({"asked": value, "heard": answers})
    return curves


def _label_line(rows: Sequence[Row], label: str, judges: Sequence[str]) -> dict[str, Any]:
    """Return a label's recall per judge, and what it does to voice, quality, F0 and level against neutral."""
    chosen = [row for row in rows if is_full(row) and row["label_asked"] == label]
    neutral = {(row["text"], row["voice"]): row for row in rows if is_neutral(row)}
    pairs = [(row, neutral[row["text"], row["voice"]]) for row in chosen if (row["text"], row["voice"]) in neutral]

    def mean(values: list[float]) -> float | None:
        return round(float(np.mean(values)), 3) if values else None

    line: dict[str, Any] = {"label": label, "n": len(chosen)}
    for judge in judges:
        value = float(recalls(_confusion(chosen, judge))[LABELS.index(label)])
        line[f"recall_{judge}"] = round(value, 3) if math.isfinite(value) else None
    line["spk_similarity"] = mean([r["spk_similarity"] for r in chosen if r.get("spk_similarity") is not None])
    for key in ("f0_mean_st", "f0_sd_st", "level_db", "dns_overall"):
        shifts = [row[key] - base[key] for row, base in pairs if None not in (row.get(key), base.get(key))]
        line[f"{key}_shift"] = mean(shifts)
    return line


def as_dict(interval: Interval) -> dict[str, float | None]:
    """Return value, low and high for JSON, rounded; None where one is no number."""
    parts = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {name: round(number, 4) if math.isfinite(number) else None for name, number in parts.items()}
