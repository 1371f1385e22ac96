"""How a story feels, row by row: checked rows and what was heard come in; a picture of lines and points for the pad go out.

The picture is SVG with colours of the page; names that users gave are escaped.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotts.batch.rows import Row
from emotts.emotion.auto import read_emotions
from emotts.emotion.heard import Heard
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.spec import parse_emotion
from emotts.loop import asked_place
from emotts.plan import has_spans

from .engine import Engine
from .story_read import speaker_of
from .takes import Place

COLOURS = ("#e5632f", "#3f7fd6", "#12998a", "#b455c4", "#b88a10", "#7488a6")  # of speakers, in turn
DASHES = ("", "7 3", "2 3")  # once the colours are used up
LEFT, RIGHT, TOP, LANE, GAP, FOOT = 86, 14, 12, 92, 16, 24  # points
STEP, NARROWEST = 30, 552
MARGIN = 14  # between the edge of the plot and the first row
MOST_NUMBERS = 24  # under the plot
ENDS = {"arousal": ("agitated", "calm"), "valence": ("pleasant", "unpleasant"), "dominance": ("dominant", "submissive")}


@dataclass(frozen=True)
class Mood:
    """What one row asks for, and how it was heard; None where that is open or changes along the row."""

    number: int
    speaker: str
    asked: Place
    heard: Place | None


def moods_of(engine: Engine, rows: Sequence[Row], heard: Mapping[int, Heard] | None = None) -> list[Mood]:
    """Return the mood of each row; those of a script carry over already."""
    found = []
    for row in rows:
        judged = (heard or {}).get(row.number)
        arousal, valence, dominance = _asked(engine, row)
        found.append(
            Mood(row.number, speaker_of(row), (arousal, valence, dominance), None if judged is None else judged.avd)
        )
    return found


def moods_svg(moods: Sequence[Mood]) -> str:
    """Return a picture of arousal, valence and dominance along the rows: a line for each speaker, rings where it was heard."""
    if not moods:
        return ""
    speakers = list(dict.fromkeys(mood.speaker for mood in moods))
    width = max(NARROWEST, LEFT + RIGHT + 2 * MARGIN + STEP * (len(moods) - 1))
    height = TOP + 3 * LANE + 2 * GAP + FOOT
    xs = (
        np.linspace(LEFT + MARGIN, width - RIGHT - MARGIN, len(moods))
        if len(moods) > 1
        else np.array([(LEFT + width) / 2])
    )
    parts = [_numbers(moods, xs, height)]
    for i, name in enumerate(DIMENSIONS):
        top = TOP + i * (LANE + GAP)
        parts += [_lane(name, top, width), *(_line(moods, speakers, speaker, i, xs, top) for speaker in speakers)]
    label = f"Arousal, valence and dominance of {len(moods)} rows by {len(speakers)} speakers"
    return (
        f'<div class="story-legend">{"".join(_key(speakers, speaker) for speaker in speakers)}{_heard_key(moods)}</div>'
        f'<div class="story-scroll" tabindex="0" role="group" aria-label="{label}">'
        f'<svg class="story-moods" viewBox="0 0 {width} {height}" style="min-width:{width}px" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg></div>"
    )


def path_of(moods: Sequence[Mood], speaker: str) -> list[list[float]]:
    """Return the way of a speaker over the pad, as points [valence, arousal]."""
    return [[m.asked[1], m.asked[0]] for m in moods if m.speaker == speaker and None not in m.asked[:2]]  # type: ignore[list-item]


def marks_of_path(moods: Sequence[Mood], speaker: str) -> list[dict[str, Any]]:
    """Return the dots of a speaker: where the way begins and ends, and where each row was heard."""
    path = path_of(moods, speaker)
    ends = [("before", "first row", path[0]), ("result", "last row", path[-1])] if len(path) > 1 else []
    if len(path) == 1:
        ends = [("asked", "asked", path[0])]
    marks: list[dict[str, Any]] = [
        {"arousal": mood.heard[0], "valence": mood.heard[1], "kind": "heard", "text": "heard"}
        for mood in moods
        if mood.speaker == speaker and mood.heard is not None
    ]
    return [*marks, *({"arousal": at[1], "valence": at[0], "kind": kind, "text": text} for kind, text, at in ends)]


def _asked(engine: Engine, row: Row) -> tuple[float | None, ...]:
    """Return arousal, valence and dominance of a row."""
    if "timeline" in row.options or has_spans(row.text):
        return None, None, None
    spec = parse_emotion(*(row.options.get(name) for name in ("emotion", *DIMENSIONS)))
    if spec.auto is not None:
        spec = parse_emotion(read_emotions([row.text], spec.auto)[0], **spec.dimensions)
    return tuple(asked_place(engine.tts.resolver.plain(spec)))


def _y(value: float, top: float) -> float:
    return top + LANE * (0.5 - 0.46 * value)


def _lane(name: str, top: float, width: float) -> str:
    high, low = ENDS[name]
    middle = top + LANE / 2
    return (
        f'<rect class="lane" x="{LEFT}" y="{top}" width="{width - LEFT - RIGHT}" height="{LANE}" rx="6"/>'
        f'<line class="zero" x1="{LEFT}" x2="{width - RIGHT}" y1="{middle}" y2="{middle}"/>'
        f'<text class="name" x="{LEFT - 8}" y="{middle + 4}">{name}</text>'
        f'<text class="end" x="{LEFT - 8}" y="{top + 11}">{high}</text>'
        f'<text class="end" x="{LEFT - 8}" y="{top + LANE - 4}">{low}</text>'
    )


def _line(moods: Sequence[Mood], speakers: Sequence[str], speaker: str, i: int, xs: np.ndarray, top: float) -> str:
    """Return one speaker's line of a dimension, a dot for each row, and rings for what was heard."""
    colour, dash = _style(speakers, speaker)
    dots, rings, points = [], [], []
    for mood, x in zip(moods, xs, strict=True):
        asked, heard = mood.asked[i], None if mood.heard is None else mood.heard[i]
        if mood.speaker != speaker:
            continue
        said = f"row {mood.number}, {speaker}: {DIMENSIONS[i]} {_signed(asked)}, heard {_signed(heard)}"
        title = f"<title>{html.escape(said)}</title>"
        if heard is not None:
            rings.append(
                f'<circle class="heard" cx="{x:.1f}" cy="{_y(max(-1.0, min(1.0, heard)), top):.1f}" r="4.5">{title}</circle>'
            )
        if asked is not None:
            points.append(f"{x:.1f},{_y(asked, top):.1f}")
            dots.append(f'<circle class="asked" cx="{x:.1f}" cy="{_y(asked, top):.1f}" r="3.5">{title}</circle>')
    line = f'<polyline points="{" ".join(points)}" stroke-dasharray="{dash}"/>' if len(points) > 1 else ""
    return f'<g style="--speaker:{colour}">{line}{"".join(dots)}{"".join(rings)}</g>'


def _numbers(moods: Sequence[Mood], xs: np.ndarray, height: float) -> str:
    """Return the numbers of rows under the plot, every so many where they are dense."""
    every = -(-len(moods) // MOST_NUMBERS)
    return "".join(
        f'<text class="number" x="{x:.1f}" y="{height - 6}">{mood.number}</text>'
        for i, (mood, x) in enumerate(zip(moods, xs, strict=True))
        if i % every == 0
    )


def _style(speakers: Sequence[str], speaker: str) -> tuple[str, str]:
    at = speakers.index(speaker)
    return COLOURS[at % len(COLOURS)], DASHES[at // len(COLOURS) % len(DASHES)]


def _key(speakers: Sequence[str], speaker: str) -> str:
    colour, dash = _style(speakers, speaker)
    line = f'<polyline points="1,5 25,5" stroke-dasharray="{dash}"/>'
    picture = f'<svg width="26" height="10" style="--speaker:{colour}" aria-hidden="true">{line}</svg>'
    return f"<span>{picture}{html.escape(speaker)}</span>"


def _heard_key(moods: Sequence[Mood]) -> str:
    if all(mood.heard is None for mood in moods):
        return ""
    ring = '<svg width="12" height="12" aria-hidden="true"><circle class="heard" cx="6" cy="6" r="4.5"/></svg>'
    return f"<span>{ring}heard</span>"


def _signed(value: float | None) -> str:
    return "open" if value is None else f"{value:+.2f}"
