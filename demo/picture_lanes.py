"""What stands in the lanes of a picture, each as plain lists: outline, F0, level, phonemes, words, and what was heard.

Comes in: samples, frames, tokens and windows of a judge. Goes out: parts of the value of `SpeechView`, see pictures.py.
"""

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from emotts.audio import SPEC
from emotts.emotion.heard import UNCERTAIN, Heard
from emotts.speech import Result

COLUMN_S = 0.002
MAX_COLUMNS = 12_000
LEVEL_FLOOR_DB = -80.0
LEVEL_WINDOW = 960  # samples, 40 ms: two periods of the lowest voice, so that the level does not follow single pulses
LEVEL_STEP = 2  # frames; half of the window, so that nothing is lost between two values

Asked = Sequence[float | None] | Sequence[Sequence[float | None]]


def outline(waveform: np.ndarray, sample_rate: int) -> dict[str, Any]:
    """Return lowest and highest sample of columns of about 2 ms as int8 in base64, full scale 127.

    Of what is too long for that many columns, the columns are wider.
    """
    width = max(1, round(COLUMN_S * sample_rate), -(-len(waveform) // MAX_COLUMNS))
    n_columns = -(-len(waveform) // width)
    samples = np.pad(waveform, (0, n_columns * width - len(waveform)), mode="edge").reshape(n_columns, width)
    low, high = (np.rint(np.clip(side, -1.0, 1.0) * 127.0) for side in (samples.min(axis=1), samples.max(axis=1)))
    return {"step_s": width / sample_rate, "low": _packed(low), "high": _packed(high)}


def contour(f0: np.ndarray, start_s: float) -> dict[str, Any]:
    """Return F0 [T] in Hz, 0 unvoiced, as numbers and None; `start_s` is when the first frame is."""
    values = [round(float(value), 1) if value > 0 else None for value in f0]
    return {"start_s": round(start_s, 5), "step_s": 1.0 / SPEC.frame_rate, "values": values}


def levels(waveform: np.ndarray) -> dict[str, Any]:
    """Return the level in dB below full scale at every second frame of samples [L] at 24 kHz, not below LEVEL_FLOOR_DB."""
    power = np.concatenate([[0.0], np.cumsum(np.asarray(waveform, np.float64) ** 2)])
    step = LEVEL_STEP * SPEC.hop_length
    centres = np.arange(step // 2, len(waveform), step)
    first = np.maximum(0, centres - LEVEL_WINDOW // 2)
    last = np.minimum(len(waveform), centres + LEVEL_WINDOW // 2)
    mean = (power[last] - power[first]) / (last - first)
    decibels = 10.0 * np.log10(np.maximum(mean, 10.0 ** (LEVEL_FLOOR_DB / 10.0)))
    values = [round(float(value), 1) for value in decibels]
    return {"start_s": round(step / 2 / SPEC.sample_rate, 5), "step_s": step / SPEC.sample_rate, "values": values}


def token_times(tokens: Sequence[str], durations: Sequence[int], shown_s: float) -> list[list[Any]]:
    """Return [token, start_s, end_s] of everything that lasts and begins before `shown_s`."""
    ends = np.cumsum(durations) / SPEC.frame_rate
    starts = ends - np.asarray(durations) / SPEC.frame_rate
    return [
        [token, round(float(start), 4), round(min(float(end), shown_s), 4)]
        for token, start, end in zip(tokens, starts, ends, strict=True)
        if end > start and start < shown_s
    ]


def word_times(result: Result, shown_s: float) -> list[list[Any]]:
    """Return [word, start_s, end_s] of everything that begins before `shown_s`; the word is "" where it is not known."""
    texts: dict[int, str] = {}
    for place, text in sheet_places(result):
        number = result.words[place]
        if number >= 0 and text:
            texts.setdefault(number, text)
    return [
        [texts.get(number, ""), round(time.start_s, 4), round(min(time.end_s, shown_s), 4)]
        for number, time in enumerate(result.word_times)
        if time.end_s > time.start_s and time.start_s < shown_s
    ]


def sheet_places(result: Result) -> list[tuple[int, str]]:
    """Return which tokens of a result stand in its sheets, and the word of each; pauses between segments stand in none."""
    places: list[tuple[int, str]] = []
    at = 0
    for sheet in result.prosody:
        n = len(sheet.tokens)
        while at + n <= len(result.tokens) and tuple(result.tokens[at : at + n]) != sheet.tokens:
            at += 1
        if at + n > len(result.tokens):
            return places
        places += [(at + i, word) for i, word in enumerate(sheet.words)]
        at += n
    return places


def feeling(windows: Sequence[Heard], asked: Asked | None, shown_s: float) -> dict[str, Any]:
    """Return what was asked as rows [time, A, V, D], and heard as [start, end, A, V, D, and the deviation of each].

    Args:
        windows: in order of time.
        asked: arousal, valence, dominance for the whole, or rows of a time in seconds and these three; None leaves one free.
        shown_s: where the picture ends.
    """
    heard = [
        [_rounded(heard.start_s), _rounded(min(heard.end_s, shown_s)), *map(_rounded, (*heard.avd, *heard.avd_std))]
        for heard in windows
        if heard.start_s < shown_s
    ]
    return {"asked": _asked_rows(asked, shown_s), "heard": heard}


def label_runs(windows: Sequence[Heard], shown_s: float) -> list[list[Any]]:
    """Join neighbouring windows of one label into [start_s, end_s, label, mean probability of the likeliest label]."""
    runs: list[list[Any]] = []
    shares: list[list[float]] = []
    for heard in windows:
        if heard.start_s >= shown_s:
            break
        share = max(heard.labels.values()) if heard.label == UNCERTAIN else heard.labels[heard.label]
        if runs and runs[-1][2] == heard.label and heard.start_s <= runs[-1][1] + 1e-3:
            runs[-1][1] = _rounded(min(heard.end_s, shown_s))
            shares[-1].append(share)
        else:
            runs.append([_rounded(heard.start_s), _rounded(min(heard.end_s, shown_s)), heard.label, 0.0])
            shares.append([share])
    for run, values in zip(runs, shares, strict=True):
        run[3] = _rounded(float(np.mean(values)))
    return runs


def _asked_rows(asked: Asked | None, shown_s: float) -> list[list[float | None]]:
    if asked is None or not len(asked):
        return []
    if isinstance(asked[0], Sequence | np.ndarray):
        rows = [list(row) for row in asked if isinstance(row, Sequence | np.ndarray)]
    else:
        rows = [[time, *asked] for time in (0.0, shown_s)]
    if any(len(row) != 4 for row in rows):
        raise ValueError(f"asked must be arousal, valence, dominance, or rows of time and these; got {rows[0]!r:.80}.")
    kept = [row for row in rows if row[0] is not None and row[0] <= shown_s]
    if all(value is None or math.isnan(value) for row in kept for value in row[1:]):
        return []
    return [[None if value is None or math.isnan(value) else _rounded(value) for value in row] for row in kept]


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(values.astype(np.int8).tobytes()).decode("ascii")


def _rounded(value: float) -> float:
    return round(float(value), 3)
