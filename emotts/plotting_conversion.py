"""Draw a recording beside what became of it: mel and F0 of both over their own time, on the same scales.

Comes in: samples and a conversion. Goes out: a PNG file.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from emotts.audio import SPEC, LogMel, extract_f0
from emotts.plotting import ACCENT, FAINT, MAX_PLOT_S, MAX_WIDTH, draw_f0, draw_mel, new_figure, save_figure, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emotts.conversion.result import Conversion

WIDTH_PER_SECOND, MIN_WIDTH = 2.0, 6.0  # inches, of each half


def plot_conversion(source: np.ndarray, result: "Conversion", title: str, path: str | Path) -> None:
    """Write a PNG, through a temporary file in the same folder; what the listener took for no speech is shaded.

    Args:
        source: the recording [L] at 24 kHz; of what is longer than MAX_PLOT_S, the beginning is drawn.
        result: the conversion.
        title: what stands above.
        path: a file that ends in .png.
    """
    longest = int(MAX_PLOT_S * SPEC.sample_rate)
    halves = {"recording": source[:longest], "result": result.waveform[:longest]}
    seconds = max(len(waveform) for waveform in halves.values()) / SPEC.sample_rate
    width = min(max(MIN_WIDTH, WIDTH_PER_SECOND * seconds), 0.5 * MAX_WIDTH)
    figure = new_figure(2.0 * width, 5.6)
    grid = figure.subplots(2, 2, sharex="col", sharey="row", height_ratios=[2.0, 1.4])
    lines = {name: extract_f0(waveform) for name, waveform in halves.items()}
    for column, (name, waveform) in enumerate(halves.items()):
        with torch.inference_mode():
            draw_mel(grid[0, column], LogMel()(torch.from_numpy(waveform)[None])[0].numpy())
        grid[0, column].set_title(name, fontsize=10)
        draw_f0(grid[1, column], lines[name])
        grid[1, column].set_xlim(0.0, len(waveform) / SPEC.sample_rate)
        grid[1, column].set_xlabel("time (s)")
    _show_both(grid[1], np.concatenate(list(lines.values())))
    for span in result.spans:
        if span.kind in ("other", "overlap"):
            colour = FAINT if span.kind == "other" else ACCENT
            grid[1, 0].axvspan(span.start_s, min(span.end_s, MAX_PLOT_S), color=colour, alpha=0.3, linewidth=0.0)
    figure.suptitle(shorten(title), fontsize=11)
    save_figure(figure, path)


def _show_both(axes: "np.ndarray[tuple[int], np.dtype[np.object_]]", f0: np.ndarray) -> None:
    """Give both contours the scale that holds them."""
    voiced = f0[f0 > 0]
    if len(voiced):
        for one in axes:
            panel: Axes = one
            panel.set_ylim(float(voiced.min()) / 1.15, float(voiced.max()) * 1.15)
