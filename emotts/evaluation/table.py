"""The lines of the report's table: names of judges come in, `Line`s go out that say what is measured, on which rows, and how."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABELS
from emotts.evaluation.measures import along, line_fit, macro_f1, mean_recall, neighbour_pairs
from emotts.evaluation.rows import (
    Row,
    Select,
    against_words,
    column,
    heard_avd,
    is_conflict,
    is_emotional,
    is_full,
    is_loop,
    is_neutral,
    is_numeric,
    is_placed,
    only,
    with_neutrals,
)
from emotts.metrics.statistics import concordance, spearman

MIN_ROWS = 3  # below this a correlation says nothing
SPEARMAN_TARGETS = dict(zip(DIMENSIONS, (0.85, 0.7, 0.7), strict=True))
ORDER_TARGET = 0.9
LOOP_TARGET = 2.0  # the closed loop halves the error

OfIndex = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Line:
    """One line of the table before it is computed.

    Attributes:
        group: heading. name: of the measure.
        judge: whose answer, "" where no judge takes part. definition: for people.
        select: the rows of a system that take part.
        statistic: maps these rows to a function from row numbers to a number.
        target: the value to reach at least, or None.
    """

    group: str
    name: str
    judge: str
    definition: str
    select: Select
    statistic: Callable[[list[Row]], OfIndex]
    target: float | None = None


def lines(judges: Sequence[str]) -> list[Line]:
    """Return the lines; the last judge is the independent one, which the targets are about."""
    table: list[Line] = []
    for judge in judges:
        for name, definition, measure in (
            ("recall", "unweighted average over the categories", mean_recall),
            ("macro-F1", "unweighted mean of the categories' F1", macro_f1),
        ):
            table.append(Line("Categories", name, judge, definition, only(is_full), _of_confusion(judge, measure)))
    if len(judges) > 1:
        table.append(_gap(judges[0], judges[-1]))
    for i, judge in enumerate(judges):
        key = "emotion_similarity" if i == 0 else f"emotion_similarity_{judge}"
        what = "cosine of the shift from neutral (same text and voice) and the label's mean shift in other texts"
        table.append(_mean("Categories", "emotion similarity", key, what, judge=judge))
    for judge in judges:
        table += _dimension_lines(judge, is_target=judge == judges[-1])
    for judge in judges:
        table += _intensity_lines(judge, is_target=judge == judges[-1])
    table += [_conflict_line(judge) for judge in judges]
    if len(judges) > 1:
        for judge in judges:
            table += _loop_lines(judge, is_target=judge == judges[-1])
    return [*table, *_signal_lines()]


def counted(rows: Sequence[Row], judge: str, measure: Callable[[np.ndarray], float]) -> OfIndex:
    """Return a statistic of the confusion matrix of the rows chosen."""
    n = len(LABELS)
    index = {name: i for i, name in enumerate(LABELS)}
    pairs = np.array([index[row["label_asked"]] * n + index[row[f"label_{judge}"]] for row in rows])
    return lambda i: measure(np.bincount(pairs[i], minlength=n * n).reshape(n, n))


def _of_confusion(judge: str, measure: Callable[[np.ndarray], float]) -> Callable[[list[Row]], OfIndex]:
    return lambda rows: counted(rows, judge, measure)


def _gap(first: str, last: str) -> Line:
    def statistic(rows: list[Row]) -> OfIndex:
        one, other = (counted(rows, judge, mean_recall) for judge in (first, last))
        return lambda i: one(i) - other(i)

    definition = f"{first} minus {last}; what only the judge that may steer hears"
    select = only(lambda row: is_full(row) and f"label_{first}" in row)
    return Line("Categories", "recall, gap between the judges", last, definition, select, statistic)


def _dimension_lines(judge: str, is_target: bool) -> list[Line]:
    everything, numbers = "all rows but the conflicts", "rows asked by numbers, without a label"
    kinds: tuple[tuple[str, str, Callable[[np.ndarray, np.ndarray], float], Select], ...] = (
        ("Spearman", f"rank correlation of asked and heard; {everything}", spearman, only(is_placed)),
        ("CCC", f"concordance of asked and heard; {everything}", concordance, only(is_placed)),
        ("linearity", f"R^2 of the straight line; {everything}", lambda x, y: line_fit(x, y)[1], only(is_placed)),
        ("slope", f"heard units per unit asked; {everything}", lambda x, y: line_fit(x, y)[0], only(is_placed)),
        ("Spearman, numbers", f"rank correlation; {numbers}", spearman, only(is_numeric)),
    )

    def make(dimension: str, function: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[list[Row]], OfIndex]:
        def statistic(rows: list[Row]) -> OfIndex:
            asked, heard = column(rows, f"{dimension}_asked"), column(rows, f"{dimension}_{judge}")
            return lambda i: function(asked[i], heard[i]) if len(i) >= MIN_ROWS else math.nan

        return statistic

    return [
        Line(
            "Dimensions", f"{dimension}: {kind}", judge, definition, select, make(dimension, function),
            SPEARMAN_TARGETS[dimension] if is_target and kind == "Spearman" else None,
        )
        for dimension in DIMENSIONS
        for kind, definition, function, select in kinds
    ]  # fmt: skip


def _intensity_lines(judge: str, is_target: bool) -> list[Line]:
    def by_probability(rows: list[Row]) -> np.ndarray:
        return np.array([row[f"labels_{judge}"][row["_label"]] for row in rows])

    def by_place(rows: list[Row]) -> np.ndarray:
        return along(heard_avd(rows, judge), np.zeros(3), np.array([AVD_MEANS[row["_label"]] for row in rows]))

    def make(strength: Callable[[list[Row]], np.ndarray]) -> Callable[[list[Row]], OfIndex]:
        def statistic(rows: list[Row]) -> OfIndex:
            groups = [(row["text"], row["voice"], row["_label"]) for row in rows]
            risen, weaker = neighbour_pairs(column(rows, "intensity_asked"), strength(rows), groups)
            share = np.full(len(rows), math.nan)
            share[weaker] = risen  # a pair goes with its weaker row
            return lambda i: _nanmean(share[i])

        return statistic

    place = (
        "neighbouring intensities (neutral is 0) whose heard A, V, D lies further on the way to the label's; chance 0.5"
    )
    probable = "neighbouring intensities (neutral is 0) whose label grows more probable; chance 0.5"
    target = ORDER_TARGET if is_target else None
    return [
        Line("Intensity", "order by place", judge, place, with_neutrals, make(by_place), target),
        Line("Intensity", "order by probability", judge, probable, with_neutrals, make(by_probability)),
    ]


def _conflict_line(judge: str) -> Line:
    def statistic(rows: list[Row]) -> OfIndex:
        follows = np.array(
            [
                (row[f"valence_{judge}"] > row["_other"][f"valence_{judge}"]) == (row["label_asked"] == "happy")
                for row in rows
            ],
            np.float64,
        )
        return lambda i: float(follows[i].mean())

    definition = "cheerful words asked sadly sound less pleasant than asked happily; mournful words the reverse"
    return Line("Conflict", "valence follows the request, not the words", judge, definition, against_words, statistic)


def _loop_lines(judge: str, is_target: bool) -> list[Line]:
    opened, closed = f"open_error_{judge}", f"closed_error_{judge}"

    def gain(rows: list[Row]) -> OfIndex:
        before, after = column(rows, opened), column(rows, closed)
        return lambda i: float(before[i].sum() / max(after[i].sum(), 1e-9))

    error = "mean absolute error of A, V, D over free places"
    definition = "open-loop error over closed-loop error; the first judge steers"
    target = LOOP_TARGET if is_target else None
    return [
        _mean("Closed loop", "error, open loop", opened, error, is_loop, judge),
        _mean("Closed loop", "error, closed loop", closed, error, is_loop, judge),
        Line("Closed loop", "closed loop: error divided by", judge, definition, only(is_loop), gain, target),
    ]


def _signal_lines() -> list[Line]:
    neutral_or_not = (("neutral", is_neutral), ("emotional", is_emotional))
    table = [_word_line(name, chosen) for name, chosen in (*neutral_or_not, ("conflict", is_conflict))]
    means = (
        (
            "Voice",
            "spk_similarity",
            "speaker similarity",
            "cosine with the voice's mean neutral utterance (Resemblyzer)",
        ),
        ("Quality", "dns_overall", "DNSMOS overall", "P.835, 1 to 5"),
        ("Quality", "dns_sig", "DNSMOS speech", "P.835, 1 to 5"),
        ("Quality", "dns_bak", "DNSMOS background", "P.835, 1 to 5"),
        ("Prosody", "f0_mean_st", "F0 mean (st)", "semitones above 27.5 Hz"),
        ("Prosody", "f0_sd_st", "F0 standard deviation (st)", "over voiced frames"),
        ("Prosody", "level_db", "level (dBFS)", "over frames of speech"),
        ("Prosody", "alpha_ratio_db", "alpha ratio (dB)", "1-5 kHz over 50 Hz-1 kHz"),
        ("Prosody", "syllable_rate", "syllables per second", "of speech, pauses left out"),
        ("Prosody", "pause_share", "share of pauses", "between first and last sound"),
    )
    for group, key, what, definition in means:
        table += [_mean(group, f"{what}, {name}", key, definition, chosen) for name, chosen in neutral_or_not]
    return [*table, _mean("Speed", "real-time factor", "rtf", "seconds of work per second of speech")]


def _word_line(name: str, chosen: Callable[[Row], bool]) -> Line:
    select = only(lambda row: chosen(row) and "ref_text" in row)
    definition = "Whisper tiny.en; all words of all texts together"
    return Line("Words", f"WER, {name} (%)", "", definition, select, _word_error_rate)


def _mean(
    group: str,
    name: str,
    key: str,
    definition: str,
    chosen: Callable[[Row], bool] = lambda row: True,
    judge: str = "",
) -> Line:
    def statistic(rows: list[Row]) -> OfIndex:
        values = column(rows, key)
        return lambda i: float(values[i].mean())

    select = only(lambda row: row.get(key) is not None and chosen(row))
    return Line(group, name, judge, definition, select, statistic)


def _word_error_rate(rows: list[Row]) -> OfIndex:
    errors = np.array([sum(row[f"whisper_wer_{k}"] for k in ("delete", "insert", "replace")) for row in rows])
    words = np.array([sum(row[f"whisper_wer_{k}"] for k in ("delete", "replace", "equal")) for row in rows])
    return lambda i: 100.0 * float(errors[i].sum()) / max(1, int(words[i].sum()))


def _nanmean(values: np.ndarray) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else math.nan
