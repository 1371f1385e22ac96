"""The lines of the report's table about conversion: rows and the independent judge's name come in, `Line`s go out.

The column of copy synthesis is the ceiling: the same originals taken apart and put together again with nothing asked.
"""

from collections.abc import Callable, Sequence

import numpy as np

from emotts.emotion.labels import AVD_MEANS, DIMENSIONS
from emotts.evaluation.conversion import COPY, EMOTION, HALFWAY, MADE, RECORDED, VOICE, wrong_words
from emotts.evaluation.measures import along, neighbour_pairs
from emotts.evaluation.rows import Row, Select, column, heard_avd, only
from emotts.evaluation.table import Line, OfIndex

GROUPS = {MADE: "Conversion of the model's own speech", RECORDED: "Conversion of recordings"}
CONVERTED = (EMOTION, VOICE, COPY)


def conversion_lines(rows: Sequence[Row], judge: str) -> list[Line]:
    """Return the lines of the kinds of originals that there are rows of; `judge` is the independent one."""
    return [line for kind in GROUPS if any(row.get("kind") == kind for row in rows) for line in _of_kind(kind, judge)]


def _of_kind(kind: str, judge: str) -> list[Line]:
    group = GROUPS[kind]

    def mean(name: str, key: str, definition: str, *parts: str) -> Line:
        return Line(group, name, "", definition, _having(kind, key, *parts), _mean_of(key))

    def rise(name: str, part: str) -> Line:
        definition = "points of WER above the original's, Whisper tiny.en; all words together"
        return Line(group, name, "", definition, _having(kind, "source_errors", part, COPY), _word_rise)

    def rank(name: str, n_first: int) -> Line:
        definition = f"share of the conversions whose asked emotion is among the {n_first} most probable of 12"
        return Line(
            group, name, judge, definition, _having(kind, f"labels_{judge}", EMOTION), _among_first(judge, n_first)
        )

    order = "neighbours of the strengths 0, 0.5 and 1 of which the stronger lies further on the way to the label; chance 0.5"
    against = "P.835 overall, conversion less copy synthesis of the same original; above 0 is better"
    return [
        rise("WER rise, emotion (points)", EMOTION),
        rise("WER rise, voice (points)", VOICE),
        mean("similarity to the source, emotion", "source_similarity", "cosine of the voices (Resemblyzer)", EMOTION, COPY),
        rank("asked emotion is heard first", 1),
        rank("asked emotion is in the first two", 2),
        Line(group, "order of strengths", judge, order, _with_copies(kind, judge), _risen(judge)),
        mean("similarity to the target, voice", "target_similarity",
             "cosine with the wanted voice's neutral speech of other texts; copy synthesis: with the own voice's", VOICE, COPY),
        mean("target beats source, voice", "is_nearer", "share of results nearer to the target's voice than to the source's",
             VOICE),
        mean("DNSMOS against copy synthesis, emotion", "dns_against_copy", against, EMOTION),
        mean("DNSMOS against copy synthesis, voice", "dns_against_copy", against, VOICE),
        mean("shift of the length (frames)", "length_shift", "10.7 ms each; 0 by construction, timing being kept", *CONVERTED),
        mean("shift of phoneme borders (ms)", "border_shift_ms",
             "mean distance of borders that the speech encoder lays in the original and in the result", *CONVERTED),
        mean("real-time factor of converting", "convert_rtf", "seconds of work per second of speech", *CONVERTED),
    ]  # fmt: skip


def _having(kind: str, key: str, *parts: str) -> Select:
    return only(lambda row: row.get("kind") == kind and row["part"] in parts and row.get(key) is not None)


def _mean_of(key: str) -> Callable[[list[Row]], OfIndex]:
    def statistic(rows: list[Row]) -> OfIndex:
        values = column(rows, key)
        return lambda i: float(values[i].mean())

    return statistic


def _word_rise(rows: list[Row]) -> OfIndex:
    rise = np.array([wrong_words(row) - row["source_errors"] for row in rows])
    words = np.array([sum(row[f"whisper_wer_{k}"] for k in ("delete", "replace", "equal")) for row in rows])
    return lambda i: 100.0 * float(rise[i].sum()) / max(1, int(words[i].sum()))


def _among_first(judge: str, n_first: int) -> Callable[[list[Row]], OfIndex]:
    def is_heard(row: Row) -> bool:
        probable = row[f"labels_{judge}"]
        return row["label_asked"] in sorted(probable, key=probable.__getitem__, reverse=True)[:n_first]

    def statistic(rows: list[Row]) -> OfIndex:
        hits = np.array([is_heard(row) for row in rows], np.float64)
        return lambda i: float(hits[i].mean())

    return statistic


def _with_copies(kind: str, judge: str) -> Select:
    """Choose conversions that were asked at two strengths; before those of an original and label stands its copy, as strength 0."""

    def select(rows: Sequence[Row]) -> list[Row]:
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            if row.get("kind") == kind and row["part"] in (EMOTION, HALFWAY) and f"copy_arousal_{judge}" in row:
                groups.setdefault((row["original"], row["label_asked"]), []).append(row)
        found: list[Row] = []
        for members in groups.values():
            if len(members) > 1:
                copy = {f"{name}_{judge}": members[0][f"copy_{name}_{judge}"] for name in DIMENSIONS}
                found += [{**members[0], **copy, "intensity_asked": 0.0}, *members]
        return found

    return select


def _risen(judge: str) -> Callable[[list[Row]], OfIndex]:
    def statistic(rows: list[Row]) -> OfIndex:
        start = np.stack([column(rows, f"copy_{name}_{judge}") for name in DIMENSIONS], axis=-1)
        way = np.array([AVD_MEANS[row["label_asked"]] for row in rows]) - start
        groups = [(row["original"], row["label_asked"]) for row in rows]
        risen, weaker = neighbour_pairs(
            column(rows, "intensity_asked"), along(heard_avd(rows, judge), start, way), groups
        )
        share = np.full(len(rows), np.nan)
        share[weaker] = risen  # a pair goes with its weaker row

        def of(index: np.ndarray) -> float:
            kept = share[index][np.isfinite(share[index])]
            return float(kept.mean()) if len(kept) else float("nan")

        return of

    return statistic
