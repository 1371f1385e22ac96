"""Pictures as inline SVG: numbers come in, markup goes out whose colours are the page's CSS variables, light or dark.

Classes: `axis`, `grid`, `name` for frame and text; `a`, `v`, `d` for arousal, valence and dominance.
"""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from emotts.emotion.labels import DIMENSIONS
from emotts.evaluation.measures import line_fit

LEFT, RIGHT, TOP, BOTTOM, SIZE = 30.0, 8.0, 8.0, 30.0, 200.0  # of a square plot, in its own units
TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)
CELL, NAME_WIDTH, NAME_HEIGHT, NAME_OVERHANG = 26.0, 74.0, 66.0, 26.0  # of a confusion matrix


def scatter(
    asked: Sequence[float], heard: Sequence[float], kinds: Sequence[str], notes: Sequence[str], what: str
) -> str:
    """Draw heard against asked, both in [-1, 1], with the diagonal and the fitted line.

    Args:
        asked, heard: N numbers.
        kinds: N classes of points, such as "labelled" or "numeric". notes: N texts shown by a pointer that rests on one.
        what: said to who cannot see the picture.
    """
    points = "".join(
        f'<circle class="{html.escape(kind)}" cx="{_x(a):.1f}" cy="{_y(h):.1f}" r="3"><title>{html.escape(note)}</title></circle>'
        for a, h, kind, note in zip(asked, heard, kinds, notes, strict=True)
    )
    lines = _segment(-1.0, -1.0, 1.0, 1.0, "ideal")
    if len(asked) > 2:
        slope, _ = line_fit(asked, heard)
        middle = float(np.mean(heard)) - slope * float(np.mean(asked))
        lines += _segment(-1.0, middle - slope, 1.0, middle + slope, "fit")
    return _plot(lines + points, what)


def curves(points: Sequence[dict[str, Any]], swept: str) -> str:
    """Draw what is heard of all three dimensions while one is swept; the band is the interval of the swept one.

    Args:
        points: as in report.json under `curves`: asked, and heard with value, low and high per dimension.
        swept: its name.
    """
    inside = _segment(-1.0, -1.0, 1.0, 1.0, "ideal")
    band = [(p["asked"], p["heard"][swept]["low"], p["heard"][swept]["high"]) for p in points]
    if len(band) > 1 and all(low is not None and high is not None for _, low, high in band):
        corners = [(x, low) for x, low, _ in band] + [(x, high) for x, _, high in reversed(band)]
        shape = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in corners)
        inside += f'<polygon class="band {swept[0]}" points="{shape}"/>'
    for name in sorted(DIMENSIONS, key=lambda name: name == swept):  # the swept one lies on top
        path = " ".join(f"{_x(p['asked']):.1f},{_y(p['heard'][name]['value']):.1f}" for p in points)
        inside += f'<polyline class="{name[0]}{" swept" if name == swept else ""}" points="{path}"/>'
    return _plot(inside, f"heard arousal, valence and dominance while {swept} is swept")


def confusion_matrix(counts: Sequence[Sequence[int]], names: Sequence[str], what: str) -> str:
    """Draw a confusion matrix [K][K], asked in rows, heard in columns; the colour is the share of the row."""
    n = len(names)
    width, height = NAME_WIDTH + n * CELL + NAME_OVERHANG, NAME_HEIGHT + n * CELL
    parts = []
    for i, name in enumerate(names):
        y, x = NAME_HEIGHT + (i + 0.5) * CELL, NAME_WIDTH + (i + 0.5) * CELL
        parts.append(f'<text class="name end" x="{NAME_WIDTH - 6:.0f}" y="{y + 4:.1f}">{html.escape(name)}</text>')
        parts.append(
            f'<text class="name" transform="translate({x + 4:.1f},{NAME_HEIGHT - 6:.0f}) rotate(-55)">{html.escape(name)}</text>'
        )
        total = max(1, sum(counts[i]))
        for j in range(n):
            left, top = NAME_WIDTH + j * CELL + 1, NAME_HEIGHT + i * CELL + 1
            share = counts[i][j] / total
            parts.append(
                f'<rect class="cell{" hit" if i == j else ""}" x="{left:.0f}" y="{top:.0f}" width="{CELL - 2:.0f}" '
                f'height="{CELL - 2:.0f}" rx="3" fill-opacity="{0.06 + 0.94 * share:.2f}"/>'
            )
            if counts[i][j]:
                style = "count strong" if share > 0.5 else "count"
                parts.append(f'<text class="{style}" x="{left + 12:.0f}" y="{top + 16:.0f}">{counts[i][j]}</text>')
    return _svg("".join(parts), width, height, what)


def _x(value: float) -> float:
    return LEFT + (np.clip(value, -1.1, 1.1) + 1.1) / 2.2 * SIZE


def _y(value: float) -> float:
    return TOP + (1.1 - np.clip(value, -1.1, 1.1)) / 2.2 * SIZE


def _segment(x_1: float, y_1: float, x_2: float, y_2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{_x(x_1):.1f}" y1="{_y(y_1):.1f}" x2="{_x(x_2):.1f}" y2="{_y(y_2):.1f}"/>'


def _plot(inside: str, what: str) -> str:
    """Put marks into a frame from -1.1 to 1.1 with ticks and names of the axes."""
    parts = []
    for tick in TICKS:
        x, y, text = _x(tick), _y(tick), f"{tick:g}".replace("-", "\N{MINUS SIGN}")
        parts.append(
            f'<line class="grid" x1="{x:.1f}" y1="{TOP:.0f}" x2="{x:.1f}" y2="{TOP + SIZE:.0f}"/>'
            f'<line class="grid" x1="{LEFT:.0f}" y1="{y:.1f}" x2="{LEFT + SIZE:.0f}" y2="{y:.1f}"/>'
        )
        if tick in (-1.0, 0.0, 1.0):
            parts.append(
                f'<text class="name mid" x="{x:.1f}" y="{TOP + SIZE + 12:.0f}">{text}</text>'
                f'<text class="name end" x="{LEFT - 4:.0f}" y="{y + 3.5:.1f}">{text}</text>'
            )
    middle = TOP + SIZE / 2
    parts.append(f'<text class="name mid" x="{LEFT + SIZE / 2:.0f}" y="{TOP + SIZE + 25:.0f}">asked</text>')
    parts.append(f'<text class="name mid" transform="translate(10,{middle:.0f}) rotate(-90)">heard</text>')
    return _svg("".join(parts) + inside, LEFT + SIZE + RIGHT, TOP + SIZE + BOTTOM, what)


def _svg(inside: str, width: float, height: float, what: str) -> str:
    label = html.escape(what, quote=True)
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{label}">{inside}</svg>'


def rising(means: Sequence[float], values: Sequence[str], what: str) -> str:
    """Draw what a control moves against its values, each at an equal distance, the lowest mean at the bottom.

    Args:
        means: N numbers. values: N texts. what: said to who cannot see the picture.
    """
    width, height, edge = 180.0, 64.0, 8.0
    low, high = min(means), max(means)
    x = np.linspace(edge, width - edge, len(means))
    y = height - edge - (np.asarray(means) - low) / max(high - low, 1e-9) * (height - 2 * edge)
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    dots = "".join(
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="4"><title>{html.escape(value)}: {mean:.3g}</title></circle>'
        for a, b, mean, value in zip(x, y, means, values, strict=True)
    )
    return _svg(f'<polyline class="v" points="{line}"/>{dots}', width, height, what)
