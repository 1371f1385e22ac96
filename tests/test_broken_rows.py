"""Five of a hundred rows of every table and of all audio are spoilt: every loader names exactly those, and takes all others."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from forty_clips import FORTY, SPOILT, Shelf, Table, spoil
from miniatures import POINTER

from emotts.data.corpora.registry import CORPORA, corpus_class
from emotts.data.corpora.rows import Problem, SourceRow
from emotts.data.prepare_audio import decode

SHARE = 20  # one of so many


def drawn(draw: random.Random, places: list) -> list:
    return draw.sample(places, max(1, len(places) // SHARE))


def tells_of(problem: Problem, shelf: Shelf, keys: set[str]) -> bool:
    """Whether a problem is about one of these clips."""
    names = {name for key in keys for name in (key, shelf.clips[key], Path(shelf.clips[key]).stem) if len(name) > 4}
    return any(name in str(problem) for name in names)


def names_spoilt(problem: Problem, table: Table, place: int | str) -> bool:
    wanted = {"lines": f"{table.path}, line {place}", "entries": f"{table.path}, {place}", "files": str(place)}
    return problem.place == wanted[table.kind]


def by_key(shelf: Shelf, rows: list[SourceRow]) -> dict[str, SourceRow]:
    found = {key: [row for row in rows if row.id.endswith(key)] for key in shelf.clips}
    assert all(len(part) <= 1 for part in found.values()) and sum(map(len, found.values())) == len(rows)
    return {key: part[0] for key, part in found.items() if part}


@pytest.mark.parametrize("name", CORPORA)
def test_five_percent_spoilt_rows_and_clips_are_named_and_nothing_else(tmp_path: Path, name: str) -> None:
    FORTY[name](shelf := Shelf(tmp_path))
    loader, draw = corpus_class(name)(), random.Random(name)
    whole = loader.read(tmp_path)
    before = by_key(shelf, whole.rows)
    assert len(before) == len(shelf.clips) >= 40

    spoilt = {id(table): drawn(draw, list(table.clips)) for table in shelf.tables}
    for table in shelf.tables:
        spoil(shelf, table, spoilt[id(table)])
    told = {key for table in shelf.tables for place in spoilt[id(table)] if (key := table.clips[place]) is not None}
    sound = [key for key in shelf.clips if key not in told]
    (*unusable, one, other) = draw.sample(sound, 4)
    for key, content in zip(unusable, (b"", POINTER), strict=True):
        (tmp_path / shelf.clips[key]).write_bytes(content)
    for key in (one, other):
        (tmp_path / shelf.clips[key]).write_bytes(b"RIFF, they said, but it is text. " * 60)

    listing = loader.read(tmp_path)
    new = [problem for problem in listing.problems if problem not in whole.problems]
    for table in shelf.tables:
        for place in spoilt[id(table)]:
            named = [problem for problem in new if names_spoilt(problem, table, place)]
            assert named, f"{table.path} {place}: {list(map(str, new))}"
            new = [problem for problem in new if problem not in named]
    for key in unusable:
        assert [p for p in new if shelf.clips[key] in str(p) and ("is empty" in p.reason or "LFS" in p.reason)]
    assert [str(problem) for problem in new if not tells_of(problem, shelf, told | set(unusable))] == []

    after = by_key(shelf, listing.rows)
    touched = {key for key in before if key not in after or without_gender(after[key]) != without_gender(before[key])}
    assert set(unusable) <= touched, "an unusable clip was taken"
    if name != "folder":  # which may hold audio that its table does not name
        for key in set(before) - set(after):
            assert any(tells_of(problem, shelf, {key}) for problem in listing.problems), f"nothing is said of {key}"
    assert touched - told - set(unusable) == set()
    failed = {key for key, row in after.items() if not can_be_decoded(tmp_path, row)}
    assert failed == {one, other}


def without_gender(row: SourceRow) -> SourceRow:
    """Return the row without what a table of speakers says; a spoilt line of it is of no clip."""
    return replace(row, gender=None)


def can_be_decoded(root: Path, row: SourceRow) -> bool:
    try:
        return len(decode(root, row, 30.0)) > 0
    except ValueError as error:
        assert "cannot be read as audio" in str(error)
        return False


@pytest.mark.parametrize("name", ["esd", "cremad", "ljspeech", "emns", "msp_podcast", "meld", "folder"])
def test_a_table_that_is_mostly_wrong_is_refused(tmp_path: Path, name: str) -> None:
    FORTY[name](shelf := Shelf(tmp_path))
    table = max(shelf.tables, key=lambda table: len(table.clips) if table.kind == "lines" else 0)
    spoil(shelf, table, list(table.clips)[: len(table.clips) * 2 // 3])
    with pytest.raises(ValueError, match=f"{Path(table.path).name}, line .*: expected .*; got") as error:
        corpus_class(name)().read(tmp_path)
    assert SPOILT[1:] in str(error.value) and "\n" not in str(error.value)
