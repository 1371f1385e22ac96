"""Read and write tiers of a Praat TextGrid, as the Montreal Forced Aligner and WebMAUS have it: a path in, intervals by tier out.

Praat itself reads only free-standing numbers, quoted texts and flags, and skips all else; so the long and the short form are one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

LARGEST_FILE = 10_000_000  # bytes
_ITEM = re.compile(
    r'"(?P<text>(?:[^"]|"")*)"|(?<!\S)(?P<flag><exists>|<absent>)|(?<!\S)(?P<number>[-+]?\d[\d.eE+-]*)(?!\S)'
)


@dataclass(frozen=True)
class Interval:
    """A stretch of a tier: when, in seconds, and what is written there."""

    start_s: float
    end_s: float
    text: str


def read_textgrid(path: Path) -> dict[str, list[Interval]]:
    """Return the interval tiers of a file by their names in lower case; tiers of points are left out.

    Raises:
        ValueError: it is no TextGrid, or its intervals run backwards.
    """
    items = _items(_decode(path))
    try:
        if [next(items), next(items)] != ["ooTextFile", "TextGrid"]:
            raise ValueError(f"{path.name} is no TextGrid: it must begin with ooTextFile and TextGrid.")
        _skip(items, 2)
        if next(items) != "<exists>":
            return {}
        tiers = [_tier(items) for _ in range(_count(items))]
    except (StopIteration, TypeError):
        raise ValueError(f"{path.name} is a TextGrid that breaks off; write it again.") from None
    return dict(tier for tier in tiers if tier is not None)


def format_textgrid(tiers: Mapping[str, Sequence[Interval]], end_s: float) -> str:
    """Return a TextGrid in Praat's long form, from 0 to `end_s`; what no interval covers becomes an interval without text.

    Raises:
        ValueError: the intervals of a tier overlap, or reach over the end.
    """
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end_s:.6f}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, intervals) in enumerate(tiers.items(), start=1):
        filled = _filled(name, intervals, end_s)
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(name)}"]
        lines += ["        xmin = 0", f"        xmax = {end_s:.6f}", f"        intervals: size = {len(filled)}"]
        for k, each in enumerate(filled, start=1):
            lines += [f"        intervals [{k}]:", f"            xmin = {each.start_s:.6f}"]
            lines += [f"            xmax = {each.end_s:.6f}", f"            text = {_quoted(each.text)}"]
    return "\n".join(lines) + "\n"


def _filled(name: str, intervals: Sequence[Interval], end_s: float) -> list[Interval]:
    filled: list[Interval] = []
    border_s = 0.0
    for given in [*intervals, Interval(end_s, end_s, "")]:
        each = given
        if each.start_s < border_s - 1e-6 or each.end_s > end_s + 1e-6:
            raise ValueError(
                f"tier {name!r}: intervals must follow each other up to {end_s:g} s; got {each.text!r} from {each.start_s:g} "
                f"to {each.end_s:g} s."
            )
        if each.start_s > border_s + 1e-6:
            filled.append(Interval(border_s, each.start_s, ""))
        else:
            each = replace(each, start_s=border_s)
        if each.end_s > each.start_s:
            filled.append(each)
        border_s = each.end_s
    return filled


def _quoted(text: str) -> str:
    return '"' + " ".join(text.split()).replace('"', '""') + '"'


def _decode(path: Path) -> str:
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path.name} has more than {LARGEST_FILE} bytes; expected a TextGrid of one clip.")
    data = path.read_bytes()
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeError:
        raise ValueError(f"{path.name} is not UTF-8 or UTF-16; save it in Praat as UTF-8.") from None


def _items(text: str) -> Iterator[str | float]:
    for match in _ITEM.finditer(text):
        if match["number"] is not None:
            try:
                yield float(match["number"])
            except ValueError:
                continue
        else:
            yield match["flag"] or match["text"].replace('""', '"')


def _tier(items: Iterator[str | float]) -> tuple[str, list[Interval]] | None:
    kind, name = next(items), str(next(items)).strip().lower()
    _skip(items, 2)
    intervals = []
    for _ in range(_count(items)):
        if kind == "TextTier":
            _skip(items, 2)
            continue
        start_s, end_s = float(next(items)), float(next(items))
        intervals.append(Interval(start_s, end_s, str(next(items)).strip()))
        is_finite = math.isfinite(start_s) and math.isfinite(end_s)
        if not is_finite or end_s < start_s or (len(intervals) > 1 and start_s < intervals[-2].end_s - 1e-3):
            raise ValueError(f"tier {name!r} of the TextGrid has an interval that runs backwards at {start_s:g} s.")
    return (name, intervals) if kind == "IntervalTier" else None


def _count(items: Iterator[str | float]) -> int:
    number = next(items)
    if not isinstance(number, float) or not 0 <= number < 1e6:
        raise TypeError
    return int(number)


def _skip(items: Iterator[str | float], n: int) -> None:
    for _ in range(n):
        next(items)
