"""Draw what a judge heard: the probability of each label and arousal, valence, dominance over one time axis.

Comes in: windows of `Heard`. Goes out: a PNG file.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emotts.emotion.heard import Heard
from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.plotting import ACCENT, FAINT, INK, new_figure, save_figure, shorten, tidy

COLOURS = dict(zip(DIMENSIONS, (ACCENT, "#2a7f62", "#3d5a98"), strict=True))
WIDTH_PER_SECOND, MIN_WIDTH, MAX_WIDTH = 0.7, 8.0, 40.0  # inches
MIN_LABEL_WIDTH = 0.7  # inches; a run of one label that is narrower is drawn without its name


def plot_heard(windows: Sequence[Heard], duration_s: float, title: str, path: str | Path) -> None:
    """Write a PNG, through a temporary file in the same folder.

    Args:
        windows: answers in order of time; between them, where nothing was heard, the lines are broken.
        duration_s: of the recording.
        title: what stands above.
        path: a file that ends in .png.

    Raises:
        ValueError: there are no windows.
    """
    if not windows:
        raise ValueError("there is nothing to draw: no window of the recording holds speech.")
    width = min(max(MIN_WIDTH, WIDTH_PER_SECOND * duration_s), MAX_WIDTH)
    figure = new_figure(width, 5.6)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.2, 1.5])
    time, probability, avd, std = _series(windows)
    image = np.ma.masked_invalid(probability.T)
    top.pcolormesh(time, np.arange(len(LABELS) + 1), image[:, :-1], cmap="magma", vmin=0.0, vmax=1.0, shading="flat")
    top.set_yticks(np.arange(len(LABELS)) + 0.5, list(LABELS))
    top.invert_yaxis()
    for start_s, end_s, label in _runs(windows):
        if (end_s - start_s) * width / max(duration_s, 1e-9) >= MIN_LABEL_WIDTH:
            top.annotate(
                label, ((start_s + end_s) / 2.0, 1.02), xycoords=("data", "axes fraction"), ha="center", va="bottom",
                color=INK, fontsize=9, annotation_clip=False,
            )  # fmt: skip
    for i, name in enumerate(DIMENSIONS):
        bottom.stairs(avd[:-1, i], time, baseline=None, color=COLOURS[name], linewidth=2.0, label=name)
        low, high = (np.repeat(avd[:, i] + sign * std[:, i], 2)[:-2] for sign in (-1.0, 1.0))
        edges = np.repeat(time, 2)[1:-1]
        bottom.fill_between(edges, low, high, color=COLOURS[name], alpha=0.12, linewidth=0.0)
    bottom.axhline(0.0, color=FAINT, linewidth=0.8)
    bottom.set_ylim(-1.05, 1.05)
    bottom.set_yticks([-1, -0.5, 0, 0.5, 1])
    bottom.set_xlim(0.0, duration_s)
    bottom.set_xlabel("time (s)")
    bottom.legend(loc="upper left", ncols=3, frameon=False, fontsize=8)
    tidy(top)
    tidy(bottom)
    figure.suptitle(shorten(title), color=INK, fontsize=11)
    save_figure(figure, path)


def _series(windows: Sequence[Heard]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return edges [W + 1], probabilities [W + 1, K], A, V, D [W + 1, 3] and their deviations, nan where nothing was heard."""
    edges: list[float] = []
    rows: list[list[float]] = []
    nothing = [float("nan")] * (len(LABELS) + 6)
    for heard in windows:
        if edges and heard.start_s > edges[-1] + 1e-3:
            rows.append(nothing)
            edges.append(heard.start_s)
        if not edges:
            edges.append(heard.start_s)
        rows.append([*(heard.labels[name] for name in LABELS), *heard.avd, *heard.avd_std])
        edges.append(heard.end_s)
    values = np.array([*rows, nothing])
    n = len(LABELS)
    return np.array(edges), values[:, :n], values[:, n : n + 3], values[:, n + 3 :]


def _runs(windows: Sequence[Heard]) -> list[tuple[float, float, str]]:
    """Join neighbouring windows of one label into (start, end, label)."""
    runs: list[tuple[float, float, str]] = []
    for heard in windows:
        if runs and runs[-1][2] == heard.label and heard.start_s <= runs[-1][1] + 1e-3:
            runs[-1] = (runs[-1][0], heard.end_s, heard.label)
        else:
            runs.append((heard.start_s, heard.end_s, heard.label))
    return runs
