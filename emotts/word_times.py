"""When each word is spoken, read from a file: CSV, SRT subtitles, or a Praat TextGrid.

Comes in: a path. Goes out: a list of `WordTime`, or a ValueError of one line that names the file, the line and the remedy.
An entry of several words is spread over them by their letters; entries without words are pauses.
"""

from __future__ import annotations

import bisect
import csv
import io
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emotts.text.normalise import normalise

LARGEST_FILE = 10_000_000  # bytes
LATEST_S = 36_000.0
OVERLAP_S = 0.0005  # aligners write milliseconds; less than half of one is their rounding
WINDOW = 16  # words; at most so many of one side make up a word of the other
CSV_EXAMPLE = "word,start,end / hello,0.12,0.45"
TIERS = ("words", "word", "wörter", "woerter", "ort-mau")
_SILENCES = frozenset(("sil", "<sil>", "sp", "<sp>", "<eps>", "<p:>", "<p>", "#"))
_COLUMNS = {"word": "word", "text": "word", "start": "start", "start_s": "start", "end": "end", "end_s": "end"}
_SRT_TIME = re.compile(r"(\d{1,3}):([0-5]?\d):([0-5]?\d)[,.](\d{1,3})")
_SRT_TAG = re.compile(r"<[^<>\n]{0,80}>|\{\\[^{}\n]{0,80}\}")
# Praat reads free-standing numbers, texts and flags, and skips all else; so the long and the short form are one
_GRID = re.compile(
    r'"(?P<text>(?:[^"]|"")*)"|(?<!\S)(?P<flag><exists>|<absent>)|(?<!\S)(?P<number>[-+]?\d[\d.eE+-]*)(?!\S)'
)


@dataclass(frozen=True)
class WordTime:
    """One word and when it is spoken, in seconds."""

    word: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class _Entry:
    text: str
    start_s: float
    end_s: float
    line: int


def read_word_times(path: str | Path) -> list[WordTime]:
    """Read the times of words.

    - CSV (`.csv`, `.tsv`): word, start, end in seconds, separated by comma, semicolon or tab; a header may name and order them.
    - SRT (`.srt`): one cue for each word or phrase; the time of a phrase is spread over its words by their letters.
    - TextGrid (`.TextGrid`): long or short form, UTF-8 or UTF-16; the tier named words, or else the first interval tier.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it cannot be read as what its suffix says; or times are not finite, out of order, or overlap.
    """
    path = Path(path)
    readers = {".csv": _read_csv, ".tsv": _read_csv, ".srt": _read_srt, ".textgrid": _read_textgrid}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"word times must be a .csv, .tsv, .srt or .TextGrid file; got {path.name[:80]!r}.")
    entries = reader(_decoded(path), path.name)
    _check_order(entries, path.name)
    times: list[WordTime] = []
    for entry in entries:
        start_s = max(entry.start_s, times[-1].end_s) if times else entry.start_s  # an overlap within OVERLAP_S
        times += spread_words([word for word in entry.text.split() if plain(word)], start_s, entry.end_s)
    if not times:
        raise ValueError(f"{path.name} holds no words; expected lines such as {CSV_EXAMPLE}.")
    return times


def spread_words(words: Sequence[str], start_s: float, end_s: float) -> list[WordTime]:
    """Share the time of a phrase among its words by the number of their letters, plus one for each word."""
    weights = [len(plain(word)) + 1 for word in words]
    starts = [start_s + (end_s - start_s) * sum(weights[:n]) / sum(weights) for n in range(len(words))]
    return [WordTime(*row) for row in zip(words, starts, [*starts[1:], end_s], strict=False)]


def match_words(times: Sequence[WordTime], spoken_words: Sequence[str]) -> list[WordTime]:
    """Check that a file's words are those of the text, and return one time for each word of the text.

    Case, accents, punctuation and apostrophes do not matter. What one side writes together and the other apart
    ("twenty-one", "twenty one"), and numbers and abbreviations, are matched: times are joined, or spread by letters.

    Raises:
        ValueError: another word, one too few or one too many; the message names the first difference.
    """
    matched: list[WordTime] = []
    at = 0
    spoken = list(spoken_words)
    given = [time for time in times if plain(time.word)]
    while len(matched) < len(spoken) and at < len(given):
        n_done = len(matched)
        words = [time.word for time in given[at : at + WINDOW]]
        n_given, n_spoken = _same_words(words, spoken[n_done : n_done + WINDOW])
        if not n_given:
            raise ValueError(
                f"word {at + 1} of the word times must be {quoted(spoken[n_done])}, as in the text; got "
                f"{quoted(given[at].word)} at {given[at].start_s:.3f} s. {_context(spoken, n_done)}"
            )
        matched += spread_words(spoken[n_done : n_done + n_spoken], given[at].start_s, given[at + n_given - 1].end_s)
        at += n_given
    if len(matched) < len(spoken):
        raise ValueError(
            f"word times must go on to the last word of the text; they end before word {len(matched) + 1} "
            f"{quoted(spoken[len(matched)])}. {_context(spoken, len(matched))}"
        )
    if at < len(given):
        raise ValueError(
            f"word times must end with the text, after {len(spoken)} words; got one more: {quoted(given[at].word)} at "
            f"{given[at].start_s:.3f} s. Take it out, or add it to the text."
        )
    return matched


def plain(word: str) -> str:
    """Return the letters and digits of a word, without case and accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if c.isalnum())


def _same_words(given: Sequence[str], spoken: Sequence[str]) -> tuple[int, int]:
    """Return how many words of each side say the same, as written or as read out; (0, 0) where they differ."""
    counts = _same_letters([plain(word) for word in given], [plain(word) for word in spoken])
    if counts[0]:
        return counts
    return _same_letters([plain(normalise(word)) for word in given], [plain(normalise(word)) for word in spoken])


def _same_letters(given: Sequence[str], spoken: Sequence[str]) -> tuple[int, int]:
    left, right, n_left, n_right = given[0], spoken[0], 1, 1
    while left != right:
        if right.startswith(left) and n_left < len(given):
            left, n_left = left + given[n_left], n_left + 1
        elif left.startswith(right) and n_right < len(spoken):
            right, n_right = right + spoken[n_right], n_right + 1
        else:
            return 0, 0
    return n_left, n_right


def _context(spoken: Sequence[str], at: int) -> str:
    return f"The text there: {quoted(' '.join(spoken[max(0, at - 2) : at + 3]))}."


def _decoded(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"word times file {str(path)!r} does not exist; give a .csv, .srt or .TextGrid file.")
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(
            f"{path.name} is larger than {LARGEST_FILE // 1_000_000} MB; word times are small. Is it another file?"
        )
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif b"\0" in data[:4]:
        encoding = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    else:
        encoding = "utf-8-sig"
    try:
        return data.decode(encoding).removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} must be UTF-8 or UTF-16; byte {error.start} is not. Save it as UTF-8.") from None


def _check_order(entries: Sequence[_Entry], name: str) -> None:
    before: _Entry | None = None
    for entry in entries:
        place = f"{name}, line {entry.line}"
        if not 0.0 <= entry.start_s <= LATEST_S or not 0.0 <= entry.end_s <= LATEST_S:  # also refuses nan
            raise ValueError(
                f"{place}: times must be from 0 to {LATEST_S:g} s; got {entry.start_s:g} to {entry.end_s:g}. Times are in seconds."
            )
        if entry.end_s <= entry.start_s:
            raise ValueError(
                f"{place}: the end must come after the start; got {entry.start_s:g} to {entry.end_s:g} s"
                f" for {quoted(entry.text)}. Correct one of them."
            )
        if before is not None and entry.start_s < before.end_s - OVERLAP_S:
            fault = "starts before" if entry.start_s < before.start_s else "overlaps with"
            raise ValueError(
                f"{place}: {quoted(entry.text)} at {entry.start_s:g} s {fault} {quoted(before.text)} of line {before.line}, "
                f"which lasts from {before.start_s:g} to {before.end_s:g} s. Words must follow each other."
            )
        before = entry


def _read_csv(text: str, name: str) -> list[_Entry]:
    first = next((line for line in text.split("\n") if line.strip()), "")
    delimiter = max("\t;,", key=first.count)
    order, entries = ["word", "start", "end"], []
    rows = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        for number, row in enumerate(row for row in rows if any(cell.strip() for cell in row)):
            cells = [cell.strip() for cell in row]
            names = [_COLUMNS.get(cell.lower(), "") for cell in cells]
            if number == 0 and "start" in names and "end" in names:
                if sorted(filter(None, names)) != ["end", "start", "word"]:
                    raise ValueError(
                        f"{name}, line {rows.line_num}: the header must name word, start and end once each."
                    )
                order = names
                continue
            place = f"{name}, line {rows.line_num}"
            if len(cells) != len(order):
                raise ValueError(
                    f"{place}: expected {len(order)} cells, got {len(cells)}. Example: {CSV_EXAMPLE}. Numbers have a decimal point."
                )
            cell = dict(zip(order, cells, strict=True))
            start_s, end_s = _seconds(cell["start"], "start", place), _seconds(cell["end"], "end", place)
            entries.append(_Entry(_spoken(cell["word"]), start_s, end_s, rows.line_num))
    except csv.Error as error:
        why = str(error).encode("unicode_escape").decode()  # it may name a tab
        raise ValueError(f"{name}, line {rows.line_num}: not a table ({why}). Example: {CSV_EXAMPLE}.") from None
    return entries


def _seconds(cell: str, what: str, place: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{place}: {what} must be a number of seconds such as 0.45; got {quoted(cell)}.")
    return value


def _read_srt(text: str, name: str) -> list[_Entry]:
    entries: list[_Entry] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        if lines[at].strip().isdigit() and at + 1 < len(lines) and "-->" in lines[at + 1]:
            at += 1
        place, cue = f"{name}, line {at + 1}", lines[at].split("-->")
        found = [_SRT_TIME.match(part.strip()) for part in cue]
        if len(cue) != 2 or found[0] is None or found[1] is None:
            raise ValueError(
                f"{place}: expected the times of a cue, as 00:00:01,250 --> 00:00:01,600; got {quoted(lines[at].strip())}."
            )
        hours = [[int(part) for part in match.groups()[:3]] for match in found if match]
        parts = [float(f"0.{match[4]}") for match in found if match]
        start_s, end_s = (3600.0 * h + 60.0 * m + s + f for (h, m, s), f in zip(hours, parts, strict=True))
        line, at = at + 1, at + 1
        said: list[str] = []
        while at < len(lines) and lines[at].strip():
            said.append(_SRT_TAG.sub("", lines[at]).strip())
            at += 1
        entries.append(_Entry(_spoken(" ".join(said)), start_s, end_s, line))
    return entries


class _Grid:
    """The values of a TextGrid, one after the other."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.matches = list(_GRID.finditer(text))
        self.starts = [match.start() for match in re.finditer("\n", text)]
        self.next = 0

    @property
    def line(self) -> int:
        """Line of the value read last."""
        return 1 + bisect.bisect_left(self.starts, self.matches[self.next - 1].start()) if self.next else 1

    def take(self, kind: str, what: str) -> str:
        match = self.matches[self.next] if self.next < len(self.matches) else None
        self.next += match is not None
        if match is None or match.lastgroup != kind:
            got = "the end of the file" if match is None else quoted(match.group())
            raise ValueError(
                f"{self.name}, line {self.line}: not a TextGrid: expected {what}, got {got}. Save it again from Praat."
            )
        return match[kind]

    def text(self, what: str) -> str:
        return self.take("text", what).replace('""', '"')

    def number(self, what: str) -> float:
        value = self.take("number", what)
        return _seconds(value, what, f"{self.name}, line {self.line}")

    def count(self, what: str) -> int:
        value = self.number(what)
        if value != int(value) or not 0 <= value <= len(self.matches):
            raise ValueError(
                f"{self.name}, line {self.line}: {what} must be a number that the file holds; got {value:g}."
            )
        return int(value)


def _read_textgrid(text: str, name: str) -> list[_Entry]:
    grid = _Grid(text, name)
    if grid.text('"ooTextFile"') != "ooTextFile" or grid.text('"TextGrid"') != "TextGrid":
        raise ValueError(
            f'{name} must begin with "ooTextFile" and "TextGrid"; it is another kind of file. Save it from Praat.'
        )
    grid.number("the start of the grid"), grid.number("the end of the grid")
    tiers: list[tuple[str, list[_Entry]]] = []
    if grid.take("flag", "<exists>") == "<exists>":
        for _ in range(grid.count("the number of tiers")):
            kind, title = grid.text("the class of a tier"), grid.text("the name of a tier")
            grid.number("the start of the tier"), grid.number("the end of the tier")
            entries = [_grid_entry(grid, kind) for _ in range(grid.count("the number of intervals"))]
            if kind == "IntervalTier":
                tiers.append((title.strip().casefold(), entries))
    if not tiers:
        raise ValueError(f"{name} has no interval tier; name one words, with an interval for each word.")
    return next((entries for title, entries in tiers if title in TIERS or title.endswith("- words")), tiers[0][1])


def _grid_entry(grid: _Grid, kind: str) -> _Entry:
    if kind not in ("IntervalTier", "TextTier"):
        raise ValueError(f'{grid.name}, line {grid.line}: expected "IntervalTier" or "TextTier"; got {quoted(kind)}.')
    start_s = grid.number("the start of an interval")
    end_s = grid.number("the end of an interval") if kind == "IntervalTier" else start_s
    return _Entry(_spoken(grid.text("the text of an interval")), start_s, end_s, grid.line)


def _spoken(text: str) -> str:
    text = " ".join(text.split())
    return "" if text.lower() in _SILENCES else text


def quoted(text: str) -> str:
    """Write a text of a user in an error message: short, in one line, in quotation marks."""
    return '"' + repr(text if len(text) <= 40 else text[:39] + "…")[1:-1] + '"'
