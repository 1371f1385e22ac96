"""Period by period: a waveform [L] and its F0 [T] come in; lengths, amplitudes and likeness of glottal periods go out.

Periods are found by matching each with the next, after Boersma, "Should jitter be measured by peak picking or by waveform
matching?" (2009), Folia Phoniatrica et Logopaedica 61, 305-308; jitter and shimmer are the "local" ones of Praat.
"""

from dataclasses import dataclass

import numpy as np

LAG_RANGE = (0.75, 1.3)  # of the expected period; wider finds the wrong period, narrower cuts off a rough voice
MAX_PERIOD_FACTOR = 1.3  # neighbours that differ by more are an error of the search or a break of the voice (Praat)
MAX_AMPLITUDE_FACTOR = 1.6
MIN_LIKENESS = 0.4  # of neighbouring periods; below, the search has lost them
MIN_RUN_FRAMES = 3


@dataclass(frozen=True)
class Periods:
    """P glottal periods in order of time.

    Attributes:
        length_s: [P] float64, with a fraction of a sample.
        amplitude: [P] root mean square.
        follows: [P] bool, whether the period before is its neighbour; False at the start of each voiced run.
    """

    length_s: np.ndarray
    amplitude: np.ndarray
    follows: np.ndarray

    def jitter_pct(self) -> float:
        """Return the mean difference of neighbouring lengths over the mean length, per cent; nan below 3 pairs."""
        return _mean_change(self.length_s, self._pairs())

    def shimmer_pct(self) -> float:
        """Return the mean difference of neighbouring amplitudes over the mean amplitude, per cent; nan below 3 pairs."""
        is_pair = self._pairs() & (_factor(self.amplitude) < MAX_AMPLITUDE_FACTOR)
        return _mean_change(self.amplitude, is_pair)

    def _pairs(self) -> np.ndarray:
        """Say of each period [P - 1] but the first whether it and the one before are neighbours and much alike."""
        return self.follows[1:] & (_factor(self.length_s) < MAX_PERIOD_FACTOR)


def join_periods(parts: list[Periods]) -> Periods:
    """Join the periods of consecutive pieces; a run does not reach over a cut."""
    return Periods(
        np.concatenate([part.length_s for part in parts]),
        np.concatenate([part.amplitude for part in parts]),
        np.concatenate([part.follows for part in parts]),
    )


def find_periods(waveform: np.ndarray, f0: np.ndarray, sample_rate: int, hop: int) -> Periods:
    """Walk through each voiced run from one period to the next.

    Args:
        waveform: [L], free of a constant part.
        f0: [T] Hz at multiples of `hop` samples, 0 unvoiced.
        sample_rate: Hz.
        hop: samples between frames.
    """
    samples = np.asarray(waveform, np.float64)
    found: list[tuple[float, float, bool]] = []
    voiced = np.concatenate([[False], np.asarray(f0) > 0, [False]])
    edges = np.flatnonzero(voiced[1:] != voiced[:-1])
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if end - first >= MIN_RUN_FRAMES:
            centres = np.arange(first, end) * hop
            found.extend(_walk(samples, centres, sample_rate / f0[first:end]))
    columns = np.array(found, np.float64).reshape(-1, 3)
    return Periods(columns[:, 0] / sample_rate, columns[:, 1], columns[:, 2] > 0)


def _walk(samples: np.ndarray, centres: np.ndarray, expected: np.ndarray) -> list[tuple[float, float, bool]]:
    """Return (length in samples, amplitude, follows) of the periods of one voiced run.

    A step compares the samples around a mark, one period of them, with those around each possible next mark.
    """
    start, hop = int(centres[0]), int(centres[1] - centres[0])
    peak = np.abs(samples[start : start + int(expected[0]) + 1])
    if not len(peak):
        return []
    mark, follows, found = start + int(peak.argmax()), False, []
    while mark < centres[-1]:
        period = float(expected[(mark - start + hop // 2) // hop])
        half, low, high = int(period / 2), int(LAG_RANGE[0] * period) - 1, int(LAG_RANGE[1] * period) + 2
        left, right = mark - half, mark + half + 1
        if right + high > len(samples):
            break
        if left < 0:
            mark += int(round(period))
            continue
        here = samples[left:right]
        there = samples[left + low : right + high]
        power = np.concatenate([[0.0], np.cumsum(there * there)])
        energy = power[len(here) :] - power[: -len(here)]
        likeness = np.correlate(there, here, "valid") / np.sqrt(np.maximum(energy * (here @ here), 1e-20))
        best = int(likeness[1:-1].argmax()) + 1
        if likeness[best] < MIN_LIKENESS:
            mark, follows = mark + int(round(period)), False
            continue
        before, top, after = likeness[best - 1 : best + 2]
        bend = before - 2.0 * top + after
        shift = 0.5 * (before - after) / bend if bend < -1e-12 else 0.0
        found.append((low + best + float(np.clip(shift, -0.5, 0.5)), float(np.sqrt(here @ here / len(here))), follows))
        mark, follows = mark + low + best, True
    return found


def _factor(values: np.ndarray) -> np.ndarray:
    """Return by which factor, at least 1, neighbours [P - 1] differ."""
    ratio = np.maximum(values[1:], 1e-12) / np.maximum(values[:-1], 1e-12)
    return np.maximum(ratio, 1.0 / ratio)


def _mean_change(values: np.ndarray, is_pair: np.ndarray) -> float:
    if is_pair.sum() < 3:
        return float("nan")
    change = np.abs(np.diff(values))[is_pair]
    mean = 0.5 * (values[1:] + values[:-1])[is_pair].mean()
    return float(100.0 * change.mean() / mean) if mean > 0 else float("nan")
