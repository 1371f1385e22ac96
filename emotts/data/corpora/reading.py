"""Find and read the files of a corpus: a folder comes in; clips that can be audio, texts and tables with checked columns go out.

Nothing is executed: texts are decoded, tables are CSV or JSON. A file that is only a Git LFS pointer, or empty, is a `Problem`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotts.data.corpora.rows import CorpusFacts, Problem
from emotts.data.corpora.tables import table_lines

LFS_START = b"version https://git-lfs"
LARGEST_POINTER = 1_024  # bytes; a pointer has about 130
MAX_TABLE_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Clip:
    """A file whose path matched: its path below the root, and what the pattern found in it."""

    path: str
    match: re.Match[str]


class WrongLines:
    """Lines of one table that are not rows: a few are problems, most of them are another table."""

    def __init__(self, folder: CorpusFolder, path: str, expected: str) -> None:
        self.folder, self.path, self.expected = folder, path, expected
        self.n = 0
        self._first = ""

    def add(self, number: int, reason: str, line: str) -> None:
        """Name one line."""
        self.folder.problem(f"{self.path}, line {number}", reason)
        self.n += 1
        self._first = self._first or f"{self.path}, line {number}: expected {self.expected}; got {line[:60]!r}."

    def check(self, n_right: int) -> None:
        """Refuse the table if fewer lines are right than wrong.

        Raises:
            ValueError: they are.
        """
        if self.n > n_right:
            raise ValueError(f"{self._first} So are {self.n} of {self.n + n_right} lines.")


class CorpusFolder:
    """The files below one root, listed once; problems collect in `problems`."""

    def __init__(self, root: Path, facts: CorpusFacts) -> None:
        if not root.is_dir():
            raise FileNotFoundError(
                f"{facts.title}: root must be a folder; {str(root)!r} is none. Example: {facts.example}"
            )
        self.root, self.facts = root, facts
        self.problems: list[Problem] = []
        self._sizes = dict(sorted(_walk(root), key=lambda item: (item[0].count("/"), item[0])))

    @property
    def paths(self) -> Iterable[str]:
        """All paths below the root, the shallow ones first."""
        return self._sizes.keys()

    def clips(self, pattern: str) -> list[Clip]:
        """Return the files whose path ends as `pattern` says, sorted by path; unusable ones become problems.

        Raises:
            ValueError: no file matches, or all that match are Git LFS pointers.
        """
        search = re.compile(f"(?:^|/)(?:{pattern})").search
        found: dict[str, Clip] = {}
        n_pointers = 0
        for path in self.paths:
            match = search(path)
            if match is None:
                continue
            key = match.group().lstrip("/")
            if key in found:
                self.problems.append(Problem(path, f"is a second copy of {found[key].path}; the first is taken."))
                continue
            reason = self.unusable(path)
            n_pointers += reason.startswith("is a Git LFS")
            if reason:
                self.problems.append(Problem(path, reason))
            else:
                found[key] = Clip(path, match)
        if not found:
            raise ValueError(self._nothing(n_pointers))
        return sorted(found.values(), key=lambda clip: clip.path)

    def matching(self, pattern: str) -> list[Clip]:
        """Return the files, tables and texts too, whose path ends as `pattern` says; the shallow ones first."""
        search = re.compile(f"(?:^|/)(?:{pattern})").search
        return [Clip(path, match) for path in self.paths if (match := search(path))]

    def table(self, pattern: str, what: str) -> str:
        """Return the path of the one file that is needed to read the corpus.

        Raises:
            FileNotFoundError: there is none.
        """
        found = self.matching(pattern)
        if not found:
            raise FileNotFoundError(
                f"{self.facts.title}: {what} is missing below {str(self.root)!r}. Example: {self.facts.example}"
            )
        return found[0].path

    def text(self, path: str, encodings: Sequence[str] = ("utf-8-sig",)) -> str:
        """Decode a file with the first encoding that fits; line ends become one kind.

        Raises:
            ValueError: it is a Git LFS pointer, too large, or none fits.
        """
        if self._sizes[path] > MAX_TABLE_BYTES:
            raise ValueError(f"{path} has more than {MAX_TABLE_BYTES} bytes; it is no table of this corpus.")
        data = (self.root / path).read_bytes()
        if data.startswith(LFS_START):
            raise ValueError(f"{path} is a Git LFS pointer, not the file; run `git lfs pull` in {str(self.root)!r}.")
        for encoding in encodings:
            try:
                return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
            except UnicodeError:
                continue
        raise ValueError(f"{path} is not {' or '.join(encodings)}; save it as UTF-8.")

    def first_line(self, path: str, encodings: Sequence[str] = ("utf-8-sig", "cp1252")) -> str | None:
        """Return the first line of a small text beside a clip, or None if there is none; one that cannot be read is a problem."""
        if path not in self._sizes or not self._sizes[path]:
            return None
        try:
            return self.text(path, encodings).strip().split("\n")[0].strip() or None
        except ValueError as error:
            self.problem(path, str(error).removeprefix(f"{path} "))
            return None

    def records(
        self,
        path: str,
        columns: Sequence[str],
        delimiter: str = ",",
        encodings: Sequence[str] = ("utf-8-sig",),
    ) -> Iterator[tuple[int, dict[str, str]]]:
        """Give line number and cells of each row of a CSV file with a heading.

        Args:
            path: of the table. columns: that must be in the heading, in any order.
            delimiter: between cells. encodings: to try.

        Raises:
            ValueError: a column is missing, or most rows have not as many cells as the heading.
        """
        lines = table_lines(self.text(path, encodings), delimiter)
        heading = [name.strip() for name in next(lines, (1, [""]))[1]]
        missing = [name for name in columns if name not in heading]
        if missing:
            raise ValueError(
                f"{path}, line 1: the heading must have the columns {delimiter.join(columns)}; "
                f"{', '.join(missing)} not in {delimiter.join(heading)[:120]!r}."
            )
        wrong, n_right = WrongLines(self, path, f"{len(heading)} cells, as in the heading"), 0
        for number, cells in lines:
            if len(cells) == len(heading):
                n_right += 1
                if any(cell.strip() for cell in cells):
                    yield number, dict(zip(heading, (cell.strip() for cell in cells), strict=True))
            else:
                wrong.add(number, f"has {len(cells)} cells; the heading has {len(heading)}.", delimiter.join(cells))
        wrong.check(n_right)

    def json(self, path: str) -> Any:
        """Read a JSON file.

        Raises:
            ValueError: it is not JSON.
        """
        try:
            return json.loads(self.text(path))
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{path} is not JSON ({error}).") from error

    def json_beside(self, path: str) -> dict[str, Any] | None:
        """Return the JSON object beside a clip, or None if there is none; one that cannot be read is a problem."""
        if path not in self._sizes:
            return None
        try:
            values = self.json(path)
        except ValueError as error:
            self.problem(path, str(error).removeprefix(f"{path} "))
            return None
        return values if isinstance(values, dict) else None

    def problem(self, place: str, reason: str) -> None:
        """Note something that was not taken."""
        self.problems.append(Problem(place, reason))

    def report_missing(self, groups: dict[str, list[str]], present: Iterable[str], noun: str) -> None:
        """Name the clips that the corpus has and the folder lacks; a group that is wholly absent is one line.

        Args:
            groups: names of the clips by group. present: names that are there. noun: of a group, such as "speaker".
        """
        there = set(present) | {Path(problem.place).name for problem in self.problems}
        for group, names in groups.items():
            missing = [name for name in names if name not in there]
            if len(missing) == len(names):
                self.problem(f"{noun} {group}", f"is missing with all {len(names)} clips." if names else "is missing.")
            else:
                for name in missing:
                    self.problem(name, "is missing.")

    def unusable(self, path: str) -> str:
        """Return why a file cannot be audio, "" if it may be."""
        size = self._sizes[path]
        if size == 0:
            return "is empty; copy it again."
        if size <= LARGEST_POINTER and (self.root / path).read_bytes()[: len(LFS_START)] == LFS_START:
            return f"is a Git LFS pointer of {size} bytes, not audio; run `git lfs pull` where it came from."
        return ""

    def _nothing(self, n_pointers: int) -> str:
        title, root = self.facts.title, str(self.root)
        if n_pointers:
            return f"{title}: all {n_pointers} clips below {root!r} are Git LFS pointers, not audio; run `git lfs pull` there."
        some = ", ".join(list(self.paths)[:3]) or "nothing"
        expected = f"{title}: root must hold clips such as {self.facts.example}"
        return f"{expected}; found {some} below {root!r}. Give the folder of this corpus."


def _walk(root: Path) -> Iterator[tuple[str, int]]:
    """Give path below the root and size of every file; hidden ones, such as the ._ files of macOS, are left out."""
    stack = [("", os.fspath(root))]
    seen: set[tuple[int, int]] = set()  # a link upwards would have no end
    while stack:
        prefix, folder = stack.pop()
        place = Path(folder).stat()
        if (place.st_dev, place.st_ino) in seen:
            continue
        seen.add((place.st_dev, place.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    stack.append((f"{prefix}{entry.name}/", entry.path))
                elif entry.is_file():
                    yield f"{prefix}{entry.name}", entry.stat().st_size
