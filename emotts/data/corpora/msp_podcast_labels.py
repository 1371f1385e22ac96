"""The label files of MSP-Podcast: its releases say the same in CSV, in JSON and in labels.txt; any one of them is enough."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from emotts.data.corpora.reading import CorpusFolder

COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
PRIMARY, SECONDARY = "EmoClass_Major", "EmoClass_Second"
CLIP = re.compile(r"MSP-PODCAST_\d{4}_\d{4}(?:_\d{4})?(?=\.wav\b)")
MEAN = re.compile(
    r"(?P<name>MSP-PODCAST_[\d_]+)\.wav;\s*(?P<code>\w);\s*A:(?P<a>[^;]*);\s*V:(?P<v>[^;]*);\s*D:(?P<d>[^;]*);?\s*$"
)
DETAIL = re.compile(r"[^;]+;\s*([A-Za-z]+)[^;]*(?:;([^;]*))?")  # "WORKER01; Neutral; Concerned,; A:4; V:4; D:4;"
SPLITS = "Partitions.txt"
SPEAKERS = "Speaker_ids.txt"


def consensus(folder: CorpusFolder) -> Iterator[tuple[str, dict[str, str]]]:
    """Give the place of each clip's line, as an error names it, and its cells by COLUMNS.

    Raises:
        FileNotFoundError: no label file is there. ValueError: it cannot be read.
    """
    if tables := folder.matching(r"labels_con[sc]ensus\.csv$"):
        path = tables[0].path
        for line, cells in folder.records(path, COLUMNS):
            yield f"{path}, line {line}", cells
    elif objects := folder.matching(r"labels_con[sc]ensus\.json$"):
        yield from _consensus_json(folder, objects[0].path)
    else:
        yield from _consensus_text(folder, folder.table(r"[Ll]abels\.txt$", "Labels/labels_consensus.csv"))


def raters_votes(folder: CorpusFolder, secondary: float) -> dict[str, dict[str, float]]:
    """Return the classes that raters chose, by clip, where the release has them.

    Args:
        secondary: what a class counts that a rater heard beside the primary one, which counts 1.
    """
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for name, first, others in _ratings(folder):
        primary, votes = _class(first), found[name.removesuffix(".wav")]
        votes[primary] += 1.0
        if secondary > 0.0:
            for vote in {_class(word) for word in others.split(",") if word.strip()} - {primary}:
                votes[vote] += secondary
    return found


def _class(word: str) -> str:
    """Return a class without what some releases write behind "Other"."""
    return "Other" if word.strip().startswith("Other") else word.strip()


def _ratings(folder: CorpusFolder) -> Iterator[tuple[str, str, str]]:
    """Give clip, primary class and secondary classes, with commas, of each rating."""
    if tables := folder.matching(r"labels_detailed\.csv$"):
        yield from _ratings_csv(folder, tables[0].path)
    elif objects := folder.matching(r"labels_detailed\.json$"):
        yield from _ratings_json(folder, objects[0].path)
    elif texts := folder.matching(r"[Ll]abels\.txt$"):
        yield from _ratings_text(folder, texts[0].path)


def _ratings_csv(folder: CorpusFolder, path: str) -> Iterator[tuple[str, str, str]]:
    """Read the form with a column per question, or with all in EmoDetail."""
    if "EmoDetail" in folder.text(path).split("\n", 1)[0]:
        for line, cells in folder.records(path, ["FileName", "EmoDetail"]):
            if votes := _votes(folder, f"{path}, line {line}", cells["EmoDetail"]):
                yield cells["FileName"], *votes
    else:
        for _, cells in folder.records(path, ["FileName", PRIMARY]):
            yield cells["FileName"], cells[PRIMARY], cells.get(SECONDARY, "")


def _ratings_json(folder: CorpusFolder, path: str) -> Iterator[tuple[str, str, str]]:
    """Read clips of raters: an object by rater, or a list under Workers."""
    for name, raters in _clips_of(folder, path):
        given = raters.get("Workers", raters) if isinstance(raters, dict) else raters
        for rating in given.values() if isinstance(given, dict) else given if isinstance(given, list) else [None]:
            if isinstance(rating, dict) and isinstance(rating.get(PRIMARY), str):
                yield name, rating[PRIMARY], _cell(rating.get(SECONDARY))
            else:
                folder.problem(f"{path}, {name}", f"has a rating without {PRIMARY}.")


def _ratings_text(folder: CorpusFolder, path: str) -> Iterator[tuple[str, str, str]]:
    """Read the raters' lines of labels.txt, which follow that of their clip."""
    name = ""
    for number, line in enumerate(folder.text(path).split("\n"), 1):
        if line.startswith("MSP-PODCAST_"):
            name = line.split(";")[0].strip()
        elif line.strip() and name and (votes := _votes(folder, f"{path}, line {number}", line)):
            yield name, *votes


def _votes(folder: CorpusFolder, place: str, text: str) -> tuple[str, str] | None:
    match = DETAIL.match(text)
    if match is None:
        folder.problem(place, f"is no rating: {text[:60]!r}.")
        return None
    return match[1], match[2] or ""


def _consensus_json(folder: CorpusFolder, path: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Read an object by clip, or a list with one."""
    needed = COLUMNS[1:]
    for name, found in _clips_of(folder, path):
        entry = found[0] if isinstance(found, list) and len(found) == 1 else found
        if isinstance(entry, dict) and PRIMARY in entry:
            entry = {"EmoClass": entry[PRIMARY], **entry}
        missing = [key for key in needed if not isinstance(entry, dict) or key not in entry]
        if missing:
            folder.problem(f"{path}, {name}", f"lacks {', '.join(missing)}.")
            continue
        yield f"{path}, {name}", {"FileName": name} | {key: _cell(entry[key]) for key in needed}


def _clips_of(folder: CorpusFolder, path: str) -> Iterator[tuple[str, Any]]:
    values = folder.json(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold an object with a key for each clip.")
    yield from values.items()


def _cell(value: object) -> str:
    return "" if value is None else str(value).strip()


def _consensus_text(folder: CorpusFolder, path: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Read the means of labels.txt; splits and speakers lie in files of their own."""
    where = folder.table(r"Partitions?\.txt$", f"{SPLITS}, which tells the splits that {path} lacks,")
    splits = _by_clip(folder, where)
    voices = folder.matching(r"Speaker_ids\.txt$")
    speakers: Mapping[str, str] = _by_clip(folder, voices[0].path) if voices else {}
    for number, line in enumerate(folder.text(path).split("\n"), 1):
        if not line.startswith("MSP-PODCAST_"):
            continue
        match = MEAN.match(line)
        if match is None:
            folder.problem(
                f"{path}, line {number}", f"is no label line: expected name.wav; code; A:, V:, D:; got {line[:60]!r}."
            )
            continue
        cells = (match["code"], match["a"], match["v"], match["d"])
        name = match["name"]
        yield (
            f"{path}, line {number}",
            {"FileName": f"{name}.wav"}
            | {key: cell.strip() for key, cell in zip(COLUMNS[1:5], cells, strict=True)}
            | {"SpkrID": speakers.get(name, ""), "Gender": "", "Split_Set": splits.get(name, "")},
        )


def _by_clip(folder: CorpusFolder, path: str) -> dict[str, str]:
    """Return what each line says of its clip, before or behind the name, such as `Test1; MSP-PODCAST_0001_0008.wav`."""
    found = {}
    for line in folder.text(path).split("\n"):
        if match := CLIP.search(line):
            rest = line[: match.start()] + line[match.end() :].removeprefix(".wav")
            found[match[0]] = rest.strip(" \t;,:")
    return found
