"""What is drawn in the trajectory editor and what it means: lists of points by dimension to a time line, and back.

A drawing is `{"arousal": [[x, y], ...], "valence": [...], "dominance": [...]}`: x is the part of the text from 0 to 1, y the
dimension in [-1, 1]. Each list has up to MAX_POINTS points in the order of x; an empty one leaves its dimension free.
"""

import reprlib
from collections.abc import Mapping
from typing import Any

from emotts.emotion.coordinates import coordinates_of_spec
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.timeline import PRESETS, Keyframe, Timeline, preset_timeline

from .emotion_pad import check_number

MAX_POINTS = 12
DIGITS = 3  # places nearer to each other than that are one

Drawing = dict[str, list[list[float]]]


def check_drawing(value: Any) -> Drawing:
    """Return a drawing with its numbers in range and its points in order; a dimension that is missing is free.

    Raises:
        ValueError: another form, a number that is none or not finite, too many points, or two at one place.
    """
    if not isinstance(value, Mapping) or not set(value) <= set(DIMENSIONS):
        raise ValueError(
            f"trajectory must be an object with {', '.join(DIMENSIONS)}; got {reprlib.repr(value)}. "
            'Example: {"arousal": [[0, -0.5], [1, 0.8]]}.'
        )
    return {name: _check_line(name, value.get(name)) for name in DIMENSIONS}


def to_timeline(value: Any) -> Timeline:
    """Return the time line of a drawing; its places are parts of the text.

    Points of several dimensions at one place are one keyframe. A keyframe says nothing of the dimensions that have no point
    there: they pass through it.

    Raises:
        ValueError: not a drawing, or nothing is drawn.
    """
    drawing = check_drawing(value)
    said: dict[float, dict[str, float]] = {}
    for name, line in drawing.items():
        for place, height in line:
            said.setdefault(place, {})[name] = height
    if not said:
        raise ValueError(
            f"trajectory must have at least one point; got none for {', '.join(DIMENSIONS)}. Add one by a double click."
        )
    return Timeline("part", tuple(Keyframe(place, None, **said[place]) for place in sorted(said)))


def from_timeline(timeline: Timeline) -> Drawing:
    """Return the drawing of a time line; of its labels only their usual dimensions are left.

    Raises:
        ValueError: its places are not parts of the text, or it has more keyframes than a line can have points.
    """
    if timeline.kind != "part":
        raise ValueError(f'time line must give places as "part" to be drawn; got "{timeline.kind}".')
    drawing: Drawing = {name: [] for name in DIMENSIONS}
    for keyframe in timeline.keyframes:
        spec = keyframe.spec
        means = coordinates_of_spec(spec)[-len(DIMENSIONS) :]
        for name, mean in zip(DIMENSIONS, means, strict=True):
            if name in spec.dimensions or spec.label is not None or spec.mixture:
                drawing[name].append([keyframe.place, float(mean)])
    return check_drawing(drawing)


def preset(name: str, label: str) -> Drawing:
    """Return a preset: "rise", "fall" or "burst" of an emotion such as "angry" or "angry:0.8".

    Raises:
        ValueError: an unknown preset or emotion.
    """
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {reprlib.repr(name)}.")
    return from_timeline(preset_timeline(name, label))


def _check_line(name: str, line: Any) -> list[list[float]]:
    if line is None:
        return []
    if not isinstance(line, list | tuple) or len(line) > MAX_POINTS:
        got = f"{len(line)} points" if isinstance(line, list | tuple) else reprlib.repr(line)
        raise ValueError(f"{name} must be a list of up to {MAX_POINTS} points [x, y]; got {got}.")
    points = []
    for point in line:
        if not isinstance(point, list | tuple) or len(point) != 2:
            raise ValueError(
                f"point of {name} must be [x, y], x from 0 to 1 and y from -1 to 1; got {reprlib.repr(point)}."
            )
        place = max(0.0, check_number(f"x of {name}", point[0]))
        points.append([round(place, DIGITS), check_number(name, point[1])])
    points.sort()
    for before, after in zip(points, points[1:], strict=False):
        if before[0] == after[0]:
            raise ValueError(f"{name} must have one point at a place; got two at {after[0]:g}. Move one of them.")
    return points
