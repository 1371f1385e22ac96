"""Draw what was said: waveform, mel and F0 over one time axis, with the phonemes and their boundaries.

Comes in: a Result. Goes out: a PNG file.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emotts.audio import SPEC

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from emotts.speech import Result

INK, ACCENT, FAINT = "#22303c", "#d1495b", "#9aa7b1"
WIDTH_PER_SECOND, MIN_WIDTH, MAX_WIDTH = 4.2, 8.0, 60.0  # inches; at this width the phonemes do not run into each other
MEL_FLOOR, MEL_CEILING = -9.0, 2.0  # natural log; fixed, so that the colours of two plots can be compared
MAX_PLOT_S = 60.0


def plot_result(result: "Result", path: str | Path) -> None:
    """Write a PNG of `result`, through a temporary file in the same folder.

    Args:
        result: speech of at most MAX_PLOT_S seconds is drawn; of longer speech, its beginning.
        path: a file that ends in .png.
    """
    shown_s = min(result.duration_s, MAX_PLOT_S)
    width = min(max(MIN_WIDTH, WIDTH_PER_SECOND * shown_s), MAX_WIDTH)
    figure = new_figure(width, 6.4)
    waveform, mel, pitch = figure.subplots(3, 1, sharex=True, height_ratios=[1.0, 2.2, 1.6])
    _draw_waveform(waveform, result)
    draw_mel(mel, result.mel)
    draw_f0(pitch, result.f0)
    _draw_phonemes(waveform, [mel, pitch], result, shown_s)
    cut = "" if shown_s == result.duration_s else f", first {MAX_PLOT_S:.0f} s"
    figure.suptitle(f"{shorten(result.text)}\n{result.voice}, {result.emotion}{cut}", color=INK, fontsize=11)
    pitch.set_xlim(0.0, shown_s)
    pitch.set_xlabel("time (s)")
    save_figure(figure, path)


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of this size in inches that draws without a screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write a PNG through a temporary file in the same folder."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}-{os.getpid()}.png")
    try:
        figure.savefig(temporary, facecolor="white")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _draw_waveform(axes: "Axes", result: "Result") -> None:
    """Draw the range of the samples in columns of 2 ms, as editors do; a line per sample would be a block of ink."""
    column = SPEC.sample_rate // 500
    samples = np.resize(result.waveform, -(-len(result.waveform) // column) * column).reshape(-1, column)
    time = (np.arange(len(samples)) + 0.5) * column / result.sample_rate
    axes.fill_between(time, samples.min(axis=1), samples.max(axis=1), color=INK, linewidth=0.3)
    axes.set_ylim(-1.0, 1.0)
    axes.set_yticks([-1, 0, 1])
    axes.set_ylabel("waveform")
    tidy(axes)


def draw_mel(axes: "Axes", values: np.ndarray) -> None:
    """Draw a natural-log mel [T, M]."""
    seconds = len(values) / SPEC.frame_rate
    axes.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        extent=(0.0, seconds, 0.0, float(values.shape[1])),
        cmap="magma",
        vmin=MEL_FLOOR,
        vmax=MEL_CEILING,
        interpolation="nearest",
    )
    kilohertz = np.array([0.25, 0.5, 1.0, 2.0, 4.0, 8.0])
    top = np.log10(1.0 + SPEC.sample_rate / 2 / 700.0)
    axes.set_yticks(np.log10(1.0 + 1_000.0 * kilohertz / 700.0) / top * values.shape[1], [f"{k:g}" for k in kilohertz])
    axes.set_ylabel("mel (kHz)")
    tidy(axes)


def draw_f0(axes: "Axes", f0: np.ndarray) -> None:
    """Draw a contour [T] in Hz, 0 where unvoiced."""
    time = (np.arange(len(f0)) + 0.5) / SPEC.frame_rate
    voiced = np.where(f0 > 0, f0, np.nan)
    axes.plot(time, voiced, color=ACCENT, linewidth=2.0, solid_capstyle="round")
    axes.set_yscale("log", base=2)  # equal steps are equal intervals
    if np.isfinite(voiced).any():
        low, high = np.nanmin(voiced) / 1.15, np.nanmax(voiced) * 1.15
        ticks = [tick for tick in (50, 75, 100, 125, 150, 200, 250, 300, 400, 500, 600) if low <= tick <= high]
        axes.set_ylim(low, high)
        axes.set_yticks(ticks, [str(tick) for tick in ticks])
        mean = float(np.exp2(np.nanmean(np.log2(voiced))))
        axes.axhline(mean, color=FAINT, linewidth=0.8, linestyle="--")
        axes.annotate(f"mean {mean:.0f} Hz", (1.0, mean), xycoords=("axes fraction", "data"), fontsize=8, color=FAINT,
                      ha="right", va="bottom")  # fmt: skip
    axes.minorticks_off()
    axes.set_ylabel("F0 (Hz)")
    tidy(axes)


def _draw_phonemes(top: "Axes", below: list["Axes"], result: "Result", shown_s: float) -> None:
    """Write each phoneme above its stretch of the waveform and draw the boundaries through all axes."""
    ends = np.cumsum(result.durations) / SPEC.frame_rate
    starts = np.concatenate([[0.0], ends[:-1]])
    for token, start, end in zip(result.tokens, starts, ends, strict=True):
        if end <= start or start >= shown_s:
            continue
        for axes in [top, *below]:
            axes.axvline(end, color=FAINT, linewidth=0.5, alpha=0.6)
        label = "" if token == "<sil>" or token.isspace() else token
        top.annotate(
            label, ((start + end) / 2, 1.02), xycoords=("data", "axes fraction"), ha="center", va="bottom", color=INK,
            fontsize=9, fontfamily="DejaVu Sans", annotation_clip=False, parse_math=False,
        )  # fmt: skip


def tidy(axes: "Axes") -> None:
    """Leave out what frames a plot without saying anything."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8)
    axes.yaxis.label.set_color(INK)


def shorten(text: str, length: int = 90) -> str:
    """Put a text on one line of a title."""
    line = " ".join(text.split()).replace("$", r"\$")  # a pair of dollars would be read as mathematics
    return line if len(line) <= length else line[: length - 1] + "…"
