"""Tables of lines to speak: a JSONL or CSV file comes in, rows and problems go out; nothing of it is trusted."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from emotts import strict_json
from emotts.batch.rows import MAX_ROWS, BatchProblems, Checker, Row

MAX_BYTES = 100_000_000
DELIMITERS = ",;\t"


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without a byte order mark.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a folder, too large, or not UTF-8.
    """
    if "\0" in str(path) or not path.exists():
        raise FileNotFoundError(f"batch file {str(path)!r} does not exist; give a .jsonl, .csv or .txt file.")
    if not path.is_file():
        raise ValueError(f"batch file {str(path)!r} is not a regular file; give a .jsonl, .csv or .txt file.")
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"batch file {path.name} has more than {MAX_BYTES} bytes; split it.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"batch file {path.name} is not UTF-8 (byte {error.start}); save it as UTF-8.") from None
    if "\0" in text:
        raise ValueError(f"batch file {path.name} holds NUL characters; save it as plain UTF-8 text.")
    return text


def read_table(path: Path, checker: Checker) -> list[Row]:
    """Read a table and check all its rows; what is wrong is collected in the checker.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it cannot be read at all, has no rows or too many.
    """
    text = read_text(path)
    rows = list(_csv_rows(text, checker) if path.suffix.lower() == ".csv" else _json_rows(text, checker))
    if len(rows) > MAX_ROWS:
        raise BatchProblems(path, [f"there are {len(rows)} rows; expected at most {MAX_ROWS}. Split the file."])
    if not rows and not checker.problems:
        raise BatchProblems(path, ['there are no rows. Example: {"text": "Hello there.", "emotion": "happy:0.8"}'])
    return [row for row in rows if row is not None]


def _json_rows(text: str, checker: Checker) -> Iterator[Row | None]:
    number = 0
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        number += 1
        if number > MAX_ROWS + 1:
            break
        place = f"row {number} (line {line})"
        try:
            columns = strict_json.loads(content)
        except (ValueError, RecursionError) as error:
            checker.complain(place, f"is not JSON ({error or type(error).__name__}).")
            columns = None
        else:
            if not isinstance(columns, dict):
                checker.complain(place, f"expected an object of columns; got {type(columns).__name__}.")
                columns = None
        is_sound = columns is not None and checker.columns(list(columns), place)
        yield checker.row(number, line, columns) if is_sound else None


def _csv_rows(text: str, checker: Checker) -> Iterator[Row | None]:
    heading = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    number, line = 0, 1
    try:
        for cells in reader:
            start, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if names is None:
                names = [cell.strip() for cell in cells]
                if not _are_names(names, checker):
                    return
                continue
            number += 1
            if number > MAX_ROWS + 1:
                return
            if len(cells) != len(names):
                place = f"row {number} (line {start})"
                checker.complain(
                    place, f"has {len(cells)} cells; the heading has {len(names)}. Quote texts with {delimiter!r}."
                )
                yield None
                continue
            columns = {name: cell if cell.strip() else None for name, cell in zip(names, cells, strict=True)}
            given = {name: cell for name, cell in columns.items() if cell is not None}
            yield checker.row(number, start, given, is_text=True)
    except csv.Error as error:
        checker.complain(f"row {number + 1} (line {line})", f"is not CSV ({error}).")


def _are_names(names: list[str], checker: Checker) -> bool:
    twice = sorted({name for name in names if names.count(name) > 1})
    for name in twice:
        checker.complain("heading", f"column {name!r} stands there twice.")
    if "text" not in names:
        checker.complain("heading", f'expected a column "text"; got {", ".join(names)[:80]!r}.')
    return checker.columns(names, "heading") and not twice and "text" in names
