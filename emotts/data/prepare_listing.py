"""Where a preparation goes and what its corpus said: a listing and a folder come in, sources.jsonl and quarantine.jsonl go out.

Everything that makes a folder the wrong one is found before a byte of it is changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from emotts.data.corpora.rows import Listing, SourceRow, parse_source
from emotts.data.manifest import writing
from emotts.emotion.labels import LABELS

OTHERS = (
    "was made from other clips or settings, or by an older version; choose another output folder, or delete this one."
)


def relabelled(rows: Iterable[SourceRow], labels: Mapping[str, str | None]) -> list[SourceRow]:
    """Give raw labels another label of ours, or none.

    Raises:
        ValueError: a label is not ours, or no row has the raw one.
    """
    rows = list(rows)
    raw = {row.raw_label for row in rows}
    for name, label in labels.items():
        if label is not None and label not in LABELS:
            raise ValueError(f"relabel.{name} must be null or one of {', '.join(LABELS)}; got {label!r}.")
        if name not in raw:
            raise ValueError(f"relabel.{name}: no clip has this label; there are {', '.join(sorted(map(str, raw)))}.")
    return [replace(row, label=labels[name]) if (name := row.raw_label or "") in labels else row for row in rows]


def check_apart(root: Path, output: Path) -> None:
    """Refuse an output inside the corpus, into which nothing is written.

    Raises:
        ValueError: it is.
    """
    if output.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"output {str(output)!r} lies inside root {str(root)!r}; choose a folder outside the corpus.")


def make_folder(output: Path) -> None:
    """Make the folder, and see that it can be written to.

    Raises:
        OSError: it cannot.
    """
    probe = output / ".emotts-probe"
    try:
        output.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)  # several machines may try at once
    except OSError as error:
        raise OSError(
            f"output {str(output)!r} cannot be written to ({error.strerror}); choose another folder."
        ) from error


def is_begun(output: Path) -> bool:
    """Whether shards in the folder are finished."""
    return any((output / "shards").glob("*.json"))


def check_listing(output: Path, listing: Listing) -> None:
    """Refuse a folder that holds another corpus, or shards of other clips than these; nothing is written.

    Raises:
        ValueError: it does.
    """
    sources = output / "sources.jsonl"
    if not sources.is_file():
        return
    with open(sources, encoding="utf-8") as file:
        line = file.readline()
    if line.strip() and listing.rows and (owner := parse_source(line).corpus) != listing.rows[0].corpus:
        raise ValueError(
            f"output {str(output)!r} holds the corpus {owner!r}; choose another folder for {listing.rows[0].corpus!r}."
        )
    if not is_begun(output):
        return
    with open(sources, encoding="utf-8", newline="\n") as file:
        if any(old != new for old, new in zip_longest(file, _lines(listing))):
            raise ValueError(f"output {str(output)!r} {OTHERS}")


def write_listing(output: Path, listing: Listing) -> None:
    """Write sources.jsonl, a line per clip that was listed, and the clips that were not taken to quarantine.jsonl.

    What a preparation of these clips has put into quarantine stays there.
    """
    with writing(output / "sources.jsonl") as file:
        file.writelines(_lines(listing))
    problems = [{"stage": "listing", **asdict(problem)} for problem in listing.problems]
    kept = output / "quarantine.jsonl"
    if kept.is_file() and is_begun(output):
        lines = [json.loads(line) for line in kept.read_text(encoding="utf-8").split("\n") if line]
        problems += [line for line in lines if line["stage"] != "listing"]
    write_lines(kept, problems)


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write lines of JSON to a temporary file beside `path`, then rename it."""
    with writing(path) as file:
        file.writelines(map(json_line, lines))


def json_line(values: Mapping[str, Any]) -> str:
    """Return one line of JSON with its end."""
    return json.dumps(values, ensure_ascii=False) + "\n"


def _lines(listing: Listing) -> Iterator[str]:
    return (row.to_json() + "\n" for row in listing.rows)
