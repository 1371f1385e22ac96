"""The lines of a table as cells. A line that is no row costs no other: a quote that nobody closes ends with its line.

CSV follows RFC 4180, https://www.rfc-editor.org/rfc/rfc4180. Between "|" quotes are text, as in LJSpeech and EMNS.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

MOST_LINES = 20  # that one row may run over, where a quoted cell has several
BAR = "|"


def table_lines(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Give number of the line, counted from 1, and cells of each row that is not blank; the first is the heading.

    A row whose quote is not closed is one cell.
    """
    lines = text.split("\n")
    place = n_cells = 0
    while place < len(lines):
        taken = 1
        if lines[place].strip():
            cells, taken = _row(lines, place, delimiter, n_cells)
            n_cells = n_cells or len(cells)
            yield place + 1, cells
        place += taken


def _row(lines: Sequence[str], place: int, delimiter: str, n_cells: int) -> tuple[list[str], int]:
    """Return the cells of the row that begins in a line, and how many lines it has."""
    line = lines[place]
    if delimiter == BAR:
        return [_without_doubles(cell) for cell in line.split(BAR)], 1
    if '"' not in line:
        return line.split(delimiter), 1
    for taken in range(1, MOST_LINES + 1):
        part = [f"{each}\n" for each in lines[place : place + taken]]
        try:
            cells = next(csv.reader(part, delimiter=delimiter, strict=True))
        except csv.Error as error:
            if "unexpected end" in str(error):  # within quotes
                continue
            return (_loosely(line, delimiter) if taken == 1 else [line]), 1
        return (cells, taken) if taken == 1 or len(cells) == n_cells else ([line], 1)
    return [line], 1


def _loosely(line: str, delimiter: str) -> list[str]:
    """Read a row with quotes in the middle of a cell."""
    try:
        return next(csv.reader([line], delimiter=delimiter))
    except csv.Error:
        return [line]


def _without_doubles(cell: str) -> str:
    """Undo the quoting of a cell that a CSV writer put into quotes: all quotes within it are doubled."""
    inner = cell[1:-1]
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '""' in inner and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return cell
