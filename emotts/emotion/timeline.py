"""An emotion that moves while it is spoken: keyframes from a file or a preset, and the smooth line through them.

Comes in: CSV or JSON with a place (`t` seconds, `word` number, or `part` of the text) and an emotion each, or `rise:angry`.
Goes out: a `Timeline`, whose `coordinates_at` gives label weights and arousal, valence, dominance at any place.
"""

from __future__ import annotations

import csv
import io
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotts.emotion.coordinates import SIZE, coordinates_of_spec
from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.emotion.spec import EmotionSpec, parse_emotion

KINDS = ("t", "word", "part")
LATEST = {"t": 36_000.0, "word": 1_000_000.0, "part": 1.0}
MAX_KEYFRAMES = 10_000
LARGEST_FILE = 5_000_000  # bytes
PRESETS: dict[str, tuple[tuple[float, bool], ...]] = {  # part of the text, and whether the emotion is there
    "rise": ((0.0, False), (1.0, True)),
    "fall": ((0.0, True), (1.0, False)),
    "burst": ((0.25, False), (0.6, True), (0.95, False)),
}
EXAMPLE = "t,emotion / 0,calm / 2.5,angry:0.8"


@dataclass(frozen=True)
class Keyframe:
    """An emotion at a place: `emotion` a specification's text or a ready one, or dimensions, or both."""

    place: float
    emotion: str | EmotionSpec | None = None
    arousal: float | None = None
    valence: float | None = None
    dominance: float | None = None

    @property
    def spec(self) -> EmotionSpec:
        """What is asked here; dimensions are laid over the emotion.

        Raises:
            ValueError: nothing is asked, it cannot be read, or it needs more than labels and dimensions.
        """
        given = (self.arousal, self.valence, self.dominance)
        if self.emotion is None and all(value is None for value in given):
            raise ValueError(f"keyframe must have an emotion or one of {', '.join(DIMENSIONS)}; got neither.")
        spec = parse_emotion(self.emotion, *given)
        if spec.away or spec.sources:
            name = "away" if spec.away else next(iter(spec.sources))
            raise ValueError(
                f'keyframe must be of labels and dimensions only; got {name} in "{spec}". Example: angry:0.8.'
            )
        return spec


@dataclass(frozen=True)
class Timeline:
    """Keyframes in the order of their places.

    Attributes:
        kind: unit of the places: `t` seconds from the start, `word` number from 0, `part` of the whole from 0 to 1.
        keyframes: at least one, places strictly ascending.
    """

    kind: str
    keyframes: tuple[Keyframe, ...]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f'places must be one of {", ".join(KINDS)}; got "{self.kind}".')
        if not 1 <= len(self.keyframes) <= MAX_KEYFRAMES:
            raise ValueError(f"time line must have 1 to {MAX_KEYFRAMES} keyframes; got {len(self.keyframes)}.")
        before = -math.inf
        for number, keyframe in enumerate(self.keyframes, 1):
            _check_place(f"keyframe {number}", self.kind, keyframe.place)
            if keyframe.place <= before:
                raise ValueError(
                    f"keyframe {number} must come after {before:g}, the {self.kind} of the one before; got {keyframe.place:g}."
                    " Sort them, one for each place."
                )
            before = keyframe.place
            _ = keyframe.spec

    def warn_of_the_unreached(self, end_s: float) -> None:
        """Warn if places are in seconds and the last lies after the end of the speech."""
        last_s = self.keyframes[-1].place
        if self.kind == "t" and last_s > end_s:
            warnings.warn(
                f"the last keyframe, at {last_s:g} s, lies after the end of the speech, {end_s:.2f} s", stacklevel=3
            )

    def check(self, n_words: int | None = None, duration_s: float | None = None) -> None:
        """Raise a ValueError if a keyframe lies behind the last word, or the end, of the text."""
        last = self.keyframes[-1].place
        if self.kind == "word" and n_words is not None and last >= n_words:
            raise ValueError(
                f"word of a keyframe must be from 0 to {n_words - 1}, as the text has {n_words}; got {last:g}."
            )
        if self.kind == "t" and duration_s is not None and last > duration_s:
            raise ValueError(
                f"t of a keyframe must be from 0 to {duration_s:.2f} s, the end of the text; got {last:g}."
            )

    def coordinates_at(self, places: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return the emotion at each place [P]: label weights and A, V, D [P, K + 3], as coordinates.py orders them.

        Between neighbours each coordinate moves by a smoothstep: monotone, without a jump in value or slope. Before the first
        keyframe and after the last it rests.

        A label brings its usual dimensions. What a keyframe does not say (labels, where it has dimensions alone; a dimension,
        where it has neither it nor a label) passes through it undisturbed, from the keyframes that do say it; what no
        keyframe says is nan everywhere, for the caller to mask.
        """
        knots = np.array([keyframe.place for keyframe in self.keyframes], np.float64)
        values = np.stack([_said(keyframe.spec) for keyframe in self.keyframes])  # [keyframes, K + 3]
        places = np.asarray(places, np.float64)
        line = np.full((len(places), SIZE), np.nan)
        for column in range(SIZE):
            known = ~np.isnan(values[:, column])
            if known.any():
                line[:, column] = _smooth(places, knots[known], values[known, column])
        return line


def read_timeline(source: str | Path) -> Timeline:
    """Read a time line from a `.csv` or `.json` file, or make one of the presets.

    Args:
        source: a path; or `rise:label[:intensity]`, `fall:...`, `burst:...` (strongest at 60 % of the text).

    Raises:
        FileNotFoundError: no such file.
        ValueError: it cannot be read; the message names the keyframe, what was expected, and what came.
    """
    name, _, wanted = str(source).partition(":")
    if isinstance(source, str) and name.strip().lower() in PRESETS:
        return preset_timeline(name.strip().lower(), wanted)
    path = Path(source)
    if path.suffix.lower() not in (".csv", ".json"):
        raise ValueError(
            f"time line must be a .csv or .json file, or a preset such as rise:angry ({', '.join(PRESETS)}); "
            f"got {str(source)[:80]!r}."
        )
    if not path.is_file():
        raise FileNotFoundError(f"time line {str(path)!r} does not exist; give a .csv or .json file, or rise:angry.")
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path.name} is larger than {LARGEST_FILE // 1_000_000} MB; is it another file?")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} must be UTF-8; byte {error.start} is not. Save it as UTF-8.") from None
    rows = _csv_rows(text, path.name) if path.suffix.lower() == ".csv" else _json_rows(text, path.name)
    return _timeline(rows, path.name)


def preset_timeline(name: str, wanted: str) -> Timeline:
    """Return a preset of an emotion, for example `rise` and `angry:1.2`.

    The other end is neutral; for an emotion of dimensions alone it is their middle, and labels stay open.
    """
    if not wanted.strip():
        raise ValueError(f'time line preset must name an emotion, as "{name}:angry"; got "{name}:".')
    spec = parse_emotion(wanted)
    has_label = spec.label is not None or bool(spec.mixture)
    rest = EmotionSpec() if has_label else parse_emotion(None, **dict.fromkeys(spec.dimensions, 0.0))
    return Timeline("part", tuple(Keyframe(place, spec if is_there else rest) for place, is_there in PRESETS[name]))


def _smooth(places: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    right = np.clip(np.searchsorted(knots, places), 1, max(1, len(knots) - 1))
    if len(knots) == 1:
        return np.full(len(places), values[0])
    share = np.clip((places - knots[right - 1]) / (knots[right] - knots[right - 1]), 0.0, 1.0)
    return values[right - 1] + share**2 * (3.0 - 2.0 * share) * (values[right] - values[right - 1])


def _said(spec: EmotionSpec) -> np.ndarray:
    """Return coordinates [K + 3] with nan for what a specification does not say."""
    coordinates = coordinates_of_spec(spec)
    if spec.label is None and not spec.mixture:
        coordinates[: len(LABELS)] = np.nan
        for i, name in enumerate(DIMENSIONS):
            if name not in spec.dimensions:
                coordinates[len(LABELS) + i] = np.nan
    return coordinates


def _timeline(rows: list[tuple[str, Mapping[str, Any]]], name: str) -> Timeline:
    """Make a time line of (where it stands, cells by column); empty cells are left out already."""
    if not rows:
        raise ValueError(f"{name} has no keyframes; expected lines such as {EXAMPLE}.")
    kinds: list[str] = []
    keyframes: list[Keyframe] = []
    for where, row in rows:
        unknown = [key for key in row if key not in (*KINDS, *DIMENSIONS, "emotion")]
        if unknown:
            raise ValueError(
                f"{where}: {unknown[0]!r:.40} is unknown; a keyframe has one of {', '.join(KINDS)}, and emotion or "
                f"{', '.join(DIMENSIONS)}."
            )
        here = [kind for kind in KINDS if kind in row]
        if len(here) != 1:
            raise ValueError(
                f"{where}: must have one place, one of {', '.join(KINDS)}; got {' and '.join(here) or 'none'}."
            )
        if kinds and here[0] != kinds[0]:
            raise ValueError(
                f"{where}: all places must be of one kind; got {here[0]} after {kinds[0]}. Use one of them."
            )
        kinds += here
        place = _number(where, here[0], row[here[0]])
        _check_place(where, here[0], place)
        if keyframes and place <= keyframes[-1].place:
            raise ValueError(
                f"{where}: {here[0]} must be greater than {keyframes[-1].place:g}, that of the keyframe before; got {place:g}. "
                "Sort them, one for each place."
            )
        numbers = {key: _number(where, key, row[key]) for key in DIMENSIONS if key in row}
        emotion = row.get("emotion")
        if emotion is not None and not isinstance(emotion, str):
            raise ValueError(f"{where}: emotion must be a text such as angry:0.8; got {emotion!r:.40}.")
        keyframe = Keyframe(place, emotion, **numbers)
        try:
            _ = keyframe.spec
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        keyframes.append(keyframe)
    return Timeline(kinds[0], tuple(keyframes))


def _csv_rows(text: str, name: str) -> list[tuple[str, Mapping[str, Any]]]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text), delimiter=max("\t;,", key=first.count), strict=True, skipinitialspace=True)
    rows: list[tuple[str, Mapping[str, Any]]] = []
    header: list[str] = []
    try:
        for cells in reader:
            where = f"{name}, line {reader.line_num}"
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not header:
                header = [cell.lower() for cell in cells]
                if len(set(header)) != len(header):
                    raise ValueError(f"{where}: each column must be named once; got {header!r:.80}.")
                continue
            if len(cells) > len(header):
                raise ValueError(
                    f"{where}: expected {len(header)} cells, got {len(cells)}. Put an emotion with a comma in quotation marks."
                )
            rows.append((where, {key: cell for key, cell in zip(header, cells, strict=False) if cell}))
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.line_num}: not a table ({error}). Example: {EXAMPLE}.") from None
    return rows


def _json_rows(text: str, name: str) -> list[tuple[str, Mapping[str, Any]]]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is no JSON: {str(error)[:120]}.") from None
    if isinstance(data, dict) and set(data) == {"keyframes"}:
        data = data["keyframes"]
    if not isinstance(data, list):
        raise ValueError(f'{name} must be a list of keyframes such as [{{"t": 0, "emotion": "calm"}}], or hold one.')
    for number, row in enumerate(data, 1):
        if not isinstance(row, dict):
            raise ValueError(f"{name}, keyframe {number}: must be an object; got {row!r:.40}.")
    return [
        (f"{name}, keyframe {number}", {key: value for key, value in row.items() if value is not None})
        for number, row in enumerate(data, 1)
    ]


def _number(where: str, what: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{where}: {what} must be a number; got {value!r:.40}.")
    return number


def _check_place(where: str, kind: str, place: float) -> None:
    if not 0.0 <= place <= LATEST[kind] or (kind == "word" and place != int(place)):
        wanted = "whole number" if kind == "word" else "number"
        raise ValueError(f"{where}: {kind} must be a {wanted} from 0 to {LATEST[kind]:g}; got {place:g}.")
