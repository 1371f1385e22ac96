"""The checks of a table or a script that a stranger gave: those of `emotts batch`, and nothing in it may name a file here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emotts.batch.rows import Checker, Row, option_kinds
from emotts.emotion.spec import EmotionSpec
from emotts.pipeline import EmoTTS
from emotts.server.guard import check_emotion, check_text, check_timeline, check_voice, sentence
from emotts.server.limits import Limits

OF_FILES = ("word_times", "prosody", "intonation", "intonation_weight", "like_neutral", "norms")
LONGEST_ROW_S = 60.0
FILE = "file"  # the place of what concerns the whole
_LINE, _ROW = re.compile(r"\bline (\d+)"), re.compile(r"\brow (\d+)")


@dataclass
class StrangersChecker(Checker):
    """Collects what is wrong, by the line it stands in, before anything could be opened.

    Attributes:
        limits: of a text, and of how many there may be.
        seen: columns of each line of a table. line_of: the line of each row.
        found: problems by line; those of the whole under 0.
    """

    limits: Limits = field(default_factory=Limits)
    seen: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    line_of: dict[int, int] = field(default_factory=dict)
    found: dict[int, list[str]] = field(default_factory=dict)
    n_texts: int = 0

    def complain(self, place: str, error: object) -> None:
        """Note a problem under its line; where the place is FILE, paths are cut to their names."""
        said = sentence(ValueError(str(error))) if place == FILE else printable(str(error))
        line, row = _LINE.search(place), _ROW.search(place)
        if line and row:
            self.line_of.setdefault(int(row[1]), int(line[1]))
        number = int(line[1]) if line else self.line_of.get(int(row[1]), 0) if row else 0
        column = f"{place.rpartition('column ')[2]}: " if "column " in place else ""
        self.found.setdefault(number, []).append(column + said)
        super().complain(place, said)

    def columns(self, names: Sequence[str], place: str, also: Sequence[str] = ("text", "output")) -> bool:
        """Note columns that name files or do not exist."""
        closed = [name for name in names if name in OF_FILES]
        for name in closed:
            self.complain(place, f"column {name} reads files of this machine, which is closed here; leave it out.")
        return super().columns([name for name in names if name not in OF_FILES], place, also) and not closed

    def value(self, name: str, value: Any, place: str, is_text: bool) -> Any:
        """Return a value as the option takes it; one that could name a file is refused before it is looked at."""
        is_blank = value is None or (isinstance(value, str) and not value.strip())
        try:
            if name == "voice" and not is_blank:
                check_voice(value, list(self.voices or ()))
            elif name == "emotion" and not is_blank:
                check_emotion(value)
            elif name == "timeline" and not is_blank:
                check_timeline(value)
        except ValueError as error:
            self.complain(f"{place}, column {name}", error)
            return None
        checked = super().value(name, value, place, is_text)
        if name == "duration" and checked is not None and checked > LONGEST_ROW_S:
            self.complain(f"{place}, column {name}", f"must be at most {LONGEST_ROW_S:g} s here; got {checked:g}.")
            return None
        return checked

    def row(self, number: int, line: int, columns: Mapping[str, Any], is_text: bool = False) -> Row | None:
        """Return the row that some columns describe, and remember them."""
        self.seen[line], self.line_of[number] = columns, line
        return super().row(number, line, columns, is_text)

    def emotion(self, text: str, norms: str | None = None) -> EmotionSpec:
        """Return a specification that names no file."""
        check_emotion(text)
        return super().emotion(text, norms)

    def text(self, text: Any, place: str) -> None:
        """Note what is wrong with a text; beyond the most rows there may be, no more are read."""
        self.n_texts += 1
        if self.n_texts > self.limits.max_rows:
            return
        before = len(self.problems)
        super().text(text, place)
        if len(self.problems) == before:
            try:
                check_text(text, self.limits)
            except ValueError as error:
                self.complain(place, error)


def make_checker(voices: Sequence[str], limits: Limits) -> StrangersChecker:
    """Return a checker of all columns that a stranger may give."""
    kinds = option_kinds(EmoTTS.synthesize)
    return StrangersChecker({name: kinds[name] for name in kinds if name not in OF_FILES}, voices, limits=limits)


def printable(text: str) -> str:
    """Return a text that can be sent: halves of surrogate pairs become question marks, control characters spaces."""
    return "".join(c if c.isprintable() else " " for c in text.encode(errors="replace").decode())
