"""The affect word list: words and phrases in, places in arousal-valence-dominance space out, with light lemmatisation.

The list is the project's own, anchored on the term means of Russell & Mehrabian (1977). A user who has NRC-VAD (Mohammad
2018) or the norms of Warriner et al. (2013) can load their file with `load_norms`; neither is shipped.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

Place = tuple[float, float, float]  # arousal, valence, dominance, each in [-1, 1]

WORDS_PATH = Path(__file__).with_name("affect_words.tsv")
LONGEST_PHRASE = 6  # words
SHORTEST_STEM = 3  # letters; shorter stems meet unrelated words
WARRINER_COLUMNS = ("Word", "A.Mean.Sum", "V.Mean.Sum", "D.Mean.Sum")
OWNERS = {"my", "her", "your", "their", "our", "its"}  # "at my wit's end" is found as "at his wit's end"

# ending -> what may stand in its place in the listed form; "=" undoes a doubled consonant: "sobbed" -> "sob"
ENDINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("iness", ("y",)),
    ("ness", ("",)),
    ("ically", ("ic", "ical")),
    ("ily", ("y",)),
    ("edly", ("ed",)),
    ("ably", ("able",)),
    ("ibly", ("ible",)),
    ("ly", ("", "le")),
    ("iest", ("y",)),
    ("ier", ("y",)),
    ("est", ("", "e", "=")),
    ("ing", ("", "e", "ed", "=")),
    ("ied", ("y",)),
    ("ies", ("y",)),
    ("ed", ("", "e", "ing", "=")),
    ("er", ("", "e", "ing", "=")),
    ("es", ("", "e")),
    ("s", ("",)),
)


@dataclass(frozen=True)
class Entry:
    """What the list says of a word.

    Attributes:
        place: arousal, valence, dominance.
        labels: label names with how much of the word they are, 0 to 1.
        use: "feeling"; "description", a feeling of a voice, but of other things in running text ("cold"); "manner" of a
            voice; or "event", something that happened.
    """

    place: Place
    labels: tuple[tuple[str, float], ...] = ()
    use: str = "feeling"


@cache
def own_words() -> dict[str, Entry]:
    """Return the project's list, by word or phrase."""
    rows = [line for line in WORDS_PATH.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    entries = {}
    for row in csv.DictReader(rows, delimiter="\t"):
        labels = tuple(
            (name, float(weight)) for name, _, weight in (x.partition(":") for x in row["labels"].split(",") if x)
        )
        place = (float(row["arousal"]), float(row["valence"]), float(row["dominance"]))
        entries[key(row["word"].split())] = Entry(place, labels, row["use"])
    return entries


def key(words: Sequence[str]) -> str:
    """Return how a phrase is filed: owners all read "his"."""
    return " ".join("his" if len(words) > 1 and word in OWNERS else word for word in words)


def find(words: Sequence[str], start: int, entries: Mapping[str, Entry]) -> tuple[Entry, int] | None:
    """Return the entry of the longest phrase that begins at `start`, and its length in words."""
    for length in range(min(LONGEST_PHRASE, len(words) - start), 1, -1):
        entry = entries.get(key(words[start : start + length]))
        if entry:
            return entry, length
    for form in listed_forms(words[start]):
        if form in entries:
            return entries[form], 1
    return None


def listed_forms(word: str) -> Iterator[str]:
    """Yield a word, then the forms under which a list may hold it: "furiously" -> "furious", "scares" -> "scare"."""
    yield word
    for ending, replacements in ENDINGS:
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < SHORTEST_STEM:
            continue
        for replacement in replacements:
            if replacement != "=":
                yield stem + replacement
            elif stem[-1] == stem[-2]:
                yield stem[:-1]


def scale(place: Sequence[float], factor: float) -> Place:
    """Move a place away from neutral, or towards it, without leaving [-1, 1]: the order of strengths is kept to the border."""
    if factor <= 1.0:
        arousal, valence, dominance = (factor * x for x in place)
    else:
        arousal, valence, dominance = (math.copysign(1.0 - (1.0 - min(abs(x), 1.0)) ** factor, x) for x in place)
    return arousal, valence, dominance


def load_norms(path: str | Path) -> dict[str, Place]:
    """Read a user's NRC-VAD file or Warriner et al.'s table.

    Args:
        path: NRC-VAD, tab-separated `word valence arousal dominance` in 0..1; or a CSV with the columns Word, V.Mean.Sum,
            A.Mean.Sum and D.Mean.Sum in 1..9.

    Returns:
        By word in lower case: (arousal, valence, dominance) in [-1, 1].

    Raises:
        FileNotFoundError: no such file.
        ValueError: neither of the two forms, or a number that is missing or out of range.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"norms: there is no file {path}. Give an NRC-VAD text file or Warriner's CSV.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"norms {path}: expected text in UTF-8; byte {error.start} is not. {_expected_norms()}"
        ) from error
    if lines and "\t" in lines[0]:
        norms = _read_nrc(path, lines)
    elif lines and "V.Mean.Sum" in lines[0]:
        norms = _read_warriner(path, lines)
    else:
        raise ValueError(f"norms {path}: the first line is {lines[0][:60] if lines else ''!r}. {_expected_norms()}")
    if not norms:
        raise ValueError(f"norms {path}: expected at least one word; got none. {_expected_norms()}")
    return norms


def _read_nrc(path: Path, lines: Sequence[str]) -> dict[str, Place]:
    norms = {}
    for number, line in enumerate(lines, 1):
        cells = line.rstrip().split("\t")
        if number == 1 and [cell.lower() for cell in cells[1:]] == ["valence", "arousal", "dominance"]:
            continue
        if line.strip():
            valence, arousal, dominance = _numbers(path, number, cells[1:], 0.0, 1.0)
            norms[cells[0].lower()] = (2 * arousal - 1, 2 * valence - 1, 2 * dominance - 1)
    return norms


def _read_warriner(path: Path, lines: Sequence[str]) -> dict[str, Place]:
    reader = csv.DictReader(lines)
    missing = [name for name in WARRINER_COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"norms {path}: the columns {', '.join(missing)} are missing. {_expected_norms()}")
    norms = {}
    for row in reader:
        cells = [row[name] or "" for name in WARRINER_COLUMNS[1:]]
        arousal, valence, dominance = _numbers(path, reader.line_num, cells, 1.0, 9.0)
        norms[row["Word"].lower()] = ((arousal - 5) / 4, (valence - 5) / 4, (dominance - 5) / 4)
    return norms


def _numbers(path: Path, line: int, cells: Sequence[str], low: float, high: float) -> list[float]:
    good = [float(cell) for cell in cells if re.fullmatch(r"\s*[0-9]*\.?[0-9]+(?:[eE]-?[0-9]+)?\s*", cell)]
    if len(good) != 3 or len(cells) != 3 or not all(low <= number <= high for number in good):
        raise ValueError(
            f"norms {path}, line {line}: expected three numbers from {low:g} to {high:g}; got {list(cells)!r:.80}. "
            + _expected_norms()
        )
    return good


def _expected_norms() -> str:
    return (
        "Expected NRC-VAD (tab-separated: word, valence, arousal, dominance, 0 to 1; example: happy\\t0.96\\t0.73\\t0.85) "
        f"or a CSV with the columns {', '.join(WARRINER_COLUMNS)} (1 to 9)."
    )
