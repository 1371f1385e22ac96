"""A pasted story: a table or a script as text comes in; checked rows and a table of what is in it and what is wrong go out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotts.batch.outputs import check_outputs
from emotts.batch.rows import BatchProblems, Row
from emotts.batch.script import GAP_S, INERTIA, MAX_GAP_S, Script, read_script
from emotts.batch.tables import read_table
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.spec import parse_emotion
from emotts.request import check_range

from .engine import Engine
from .story_checker import FILE, StrangersChecker, make_checker, printable

KINDS = {"script": ".txt", "csv": ".csv", "jsonl": ".jsonl"}
MAX_CHARS = 200_000  # of the whole file
MAX_SPOKEN_CHARS = 30_000  # about half an hour of speech
MAX_INERTIA = 0.95
LEAST_WEIGHT = 0.05  # of a label in a mood, to be named
SHOWN_CHARS = 300  # of a cell that is not sound
JOINED = "story.wav"
HEADERS = ("row", "text", "voice", "emotion", "problem")


@dataclass(frozen=True)
class Line:
    """What a line of the table says; `row` is empty where a line is none. `problem` is empty where it is sound."""

    row: str
    text: str
    voice: str
    emotion: str
    problem: str

    @property
    def cells(self) -> list[str]:
        """The line in the order of HEADERS."""
        return [self.row, self.text, self.voice, self.emotion, self.problem]


@dataclass(frozen=True, eq=False)
class Story:
    """A story that was read.

    Attributes:
        source: the text itself. kind: of KINDS.
        rows: to be spoken, none if there is a problem. pauses_s: silence before each in the joined file.
        lines: for the table. problems: each with its place.
    """

    source: str
    kind: str
    rows: tuple[Row, ...]
    pauses_s: tuple[float, ...]
    lines: tuple[Line, ...]
    problems: tuple[str, ...]

    @property
    def speakers(self) -> list[str]:
        """Who speaks, in the order of appearance; the voice stands for a speaker of a table."""
        return list(dict.fromkeys(speaker_of(row) for row in self.rows))


def read_story(engine: Engine, text: object, kind: object, gap_s: float = GAP_S, inertia: float = INERTIA) -> Story:
    """Read and check a story; what is wrong in its lines is told by the story itself.

    Args:
        text: of the file. kind: one of KINDS.
        gap_s: silence between rows. inertia: share of the mood before, in a script.

    Raises:
        ValueError: nothing that could be a story, or a number out of range.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r:.40}.")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("the story must have at least one line; got nothing. Paste one, or press an example.")
    if len(text) > MAX_CHARS:
        raise ValueError(f"the story must have at most {MAX_CHARS} characters; got {len(text)}. Send it in parts.")
    check_range("gap", gap_s, 0.0, MAX_GAP_S)
    check_range("inertia", inertia, 0.0, MAX_INERTIA)
    path = engine.new_file(f"story{KINDS[kind]}")
    try:
        path.write_bytes(text.encode())
    except UnicodeEncodeError:
        raise ValueError("the story must be Unicode; it holds half of a surrogate pair. Write it as UTF-8.") from None
    checker = make_checker(engine.voices, engine.limits)
    rows: list[Row] = []
    pauses_s: list[float] = []
    try:
        script = None if kind != "script" else read_script(path, checker)
        rows = read_table(path, checker) if script is None else _rows(engine, script, checker, inertia)
        pauses_s = [gap_s * (i > 0) for i in range(len(rows))] if script is None else script.pauses_s(gap_s)
    except BatchProblems as problems:
        for problem in problems.lines:
            checker.complain(FILE, problem)
    except (ValueError, FileNotFoundError) as error:
        checker.complain(FILE, error)
    _check_whole(rows, path.parent / "spoken", checker)
    path.unlink()
    lines = _lines(text, rows, checker)
    if checker.problems:
        rows, pauses_s = [], []
    return Story(text, kind, tuple(rows), tuple(pauses_s), tuple(lines), tuple(checker.problems))


def text_of_rows(rows: object) -> str:
    """Return rows given as objects as the JSONL they would be in a file.

    Raises:
        ValueError: no list of objects.
    """
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError('rows must be a list of objects such as {"text": "Hello there."}; got something else.')
    return "\n".join(json.dumps(row) for row in rows)


def speaker_of(row: Row) -> str:
    """Return who speaks a row: the name in a script, else the voice."""
    return str(row.facts.get("speaker") or row.options.get("voice") or "default voice")


def emotion_of(row: Row) -> str:
    """Return what a row asks for, as one reads it."""
    if "timeline" in row.options:
        return str(row.options["timeline"])
    spec = parse_emotion(*(row.options.get(name) for name in ("emotion", *DIMENSIONS)))
    if "speaker" not in row.facts or spec.sources or not spec.weights:
        return str(spec)
    named = [f"{name}:{weight:.2f}" for name, weight in spec.weights if weight >= LEAST_WEIGHT]
    return " + ".join(named)  # a mood has all dimensions too


def _rows(engine: Engine, script: Script, checker: StrangersChecker, inertia: float) -> list[Row]:
    """Return the rows of a script; where something is wrong, moods are not followed."""
    return script.rows(0.0 if checker.problems else inertia, engine.tts.resolver)


def _check_whole(rows: Sequence[Row], folder: Path, checker: StrangersChecker) -> None:
    """Note what concerns more than one row."""
    checker.line_of |= {row.number: row.line for row in rows}
    check_outputs(rows, folder, checker, may_exist=True)
    for row in rows:
        if Path(row.output).name.casefold() == JOINED and "/" not in row.output:
            checker.complain(
                f"row {row.number}, column output", f"{JOINED} is the name of the whole story; give another."
            )
    if checker.n_texts > checker.limits.max_rows:
        checker.complain(FILE, f"has {checker.n_texts} rows; expected at most {checker.limits.max_rows}. Split it.")
    total = sum(len(row.text) for row in rows)
    if total > MAX_SPOKEN_CHARS:
        checker.complain(FILE, f"has {total} characters to speak; expected at most {MAX_SPOKEN_CHARS}. Split it.")


def _lines(source: str, rows: Sequence[Row], checker: StrangersChecker) -> list[Line]:
    """Return a line for each row and each problem, in the order of the file."""
    sources = source.splitlines()
    numbers = {line: number for number, line in checker.line_of.items()}
    ready = {row.line: row for row in rows}
    found = [Line("", "", "", "", problem) for problem in checker.found.get(0, ())]
    for line in sorted({*numbers, *ready, *checker.found} - {0}):
        problem = " ".join(checker.found.get(line, ()))
        number = str(numbers.get(line, ""))
        if (row := ready.get(line)) is not None:
            found.append(Line(number, row.text, _voice_of(row), emotion_of(row), problem))
        elif (columns := checker.seen.get(line)) is not None:
            text, voice, emotion = (_text(columns.get(name)) for name in ("text", "voice", "emotion"))
            found.append(Line(number, text, voice, emotion, problem))
        else:
            found.append(Line(number, sources[line - 1].strip() if line <= len(sources) else "", "", "", problem))
    return found


def _voice_of(row: Row) -> str:
    """Return who speaks, and with which voice where that is another name."""
    speaker, voice = speaker_of(row), row.options.get("voice")
    return speaker if voice in (None, speaker) else f"{speaker}, {voice}"


def _text(value: Any) -> str:
    return "" if value is None else printable(str(value)[:SHOWN_CHARS])
