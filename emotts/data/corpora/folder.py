"""A folder of one's own: a CSV or JSONL table with a heading, in the columns of Hugging Face's audio folders or plainer ones.

Example: path,text,speaker,emotion,intensity,arousal,valence,dominance. Only the path is needed; the order of columns is free.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from emotts.data.corpora.ratings import check_polarity, scale
from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow, without_repeats
from emotts.data.corpora.splits import FEWEST_SPEAKERS, hash_split, ranked_split
from emotts.emotion.labels import ALIASES, DIMENSIONS, LABELS

NAMES: dict[str, tuple[str, ...]] = {  # our column, and what others call it
    "path": ("path", "file_name", "audio", "audio_path", "wav", "file"),
    "id": ("id", "utt_id", "key"),
    "text": ("text", "transcription", "transcript", "sentence", "utterance"),
    "speaker": ("speaker", "speaker_id", "voice", "spk"),
    "emotion": ("emotion", "label", "style"),
    "split": ("split",),
    "language": ("language", "lang", "locale"),
    "gender": ("gender", "sex"),
    "licence": ("licence", "license"),
    "intensity": ("intensity",),
    **{name: (name,) for name in DIMENSIONS},
}
SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "test": "test"}
GENDERS = {"f": "f", "female": "f", "m": "m", "male": "m"}
TABLE = r"(?:(?P<split>train|valid|validation|dev|test)/)?metadata\.(?:csv|jsonl)$"
EXAMPLE = "metadata.csv with the heading path,text,speaker,emotion"


@dataclass(frozen=True)
class OwnFolder:
    """Loader of a table with audio files beside it.

    Attributes:
        table: Path of the table below the root; None takes every metadata.csv and metadata.jsonl.
        corpus: Name of the corpus, part of ids and voices.
        language: Of rows that name none.
        licence: Of rows that name none; it must be said.
        scale: Least and greatest value of the ratings, mapped to [-1, 1].
    """

    table: str | None = None
    corpus: str = "own"
    language: str = "en-us"
    licence: str = "unknown"
    scale: tuple[float, float] = (-1.0, 1.0)

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="folder",
        title="own folder",
        language="en-us",
        licence="as its table or corpus.licence says",
        example=EXAMPLE,
        split="the column split or folders train, valid, test; else a tenth of the speakers tests, another validates; "
        "of one or two speakers, sentences do",
        is_speaker_disjoint=False,
    )

    def read(self, root: Path) -> Listing:
        """List the rows of the tables; errors are those of `Corpus.read`."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_]*", self.corpus):
            raise ValueError(f"corpus.corpus must be letters, digits or '_'; got {self.corpus!r}. Example: mine")
        if not _is_range(self.scale):
            raise ValueError(
                f"corpus.scale must be the least and the greatest rating; got {list(self.scale)}. Example: [1,5]"
            )
        folder = CorpusFolder(root, self.facts)
        rows: list[SourceRow] = []
        unsplit: list[tuple[str, str, dict[str, Any]]] = []
        for path, folder_split in self._tables(folder):
            for place, cells in _records(folder, path):
                cells.setdefault("split", folder_split)
                unsplit.append((place, path.rpartition("/")[0], cells))
        splits = ranked_split(str(cells.get("speaker") or "unknown") for _, _, cells in unsplit)
        if len(splits) < FEWEST_SPEAKERS:
            splits = {}
        for place, base, cells in unsplit:
            try:
                rows.append(self._row(folder, base, cells, splits))
            except ValueError as error:
                folder.problem(place, f"is not taken: {error}")
        rows, repeats = without_repeats(rows)
        if not rows and not folder.problems:
            raise ValueError(f"own folder: the table has no rows. Example: {EXAMPLE}")
        check_polarity("own folder", rows)
        unknown = sorted({row.raw_label for row in rows if row.raw_label and row.label is None})
        notes = [f"without a label of ours (see relabel): {', '.join(unknown)}"] if unknown else []
        if any(row.licence == "unknown" for row in rows):
            notes.append("the licence is unknown; say it in corpus.licence or in a column licence")
        return Listing(rows, [*folder.problems, *repeats], notes)

    def _tables(self, folder: CorpusFolder) -> list[tuple[str, str | None]]:
        if self.table is not None:
            if self.table not in folder.paths:
                raise FileNotFoundError(
                    f"own folder: table {self.table!r} is not below {str(folder.root)!r}. Example: metadata.csv"
                )
            return [(self.table, None)]
        found = folder.matching(TABLE)
        if not found:
            raise FileNotFoundError(
                f"own folder: no metadata.csv or metadata.jsonl below {str(folder.root)!r}. Example: {EXAMPLE}"
            )
        return [(clip.path, clip.match["split"]) for clip in found]

    def _row(self, folder: CorpusFolder, base: str, cells: Mapping[str, Any], splits: Mapping[str, str]) -> SourceRow:
        """Turn the cells of one line into a row.

        Raises:
            ValueError: a value is wrong or the audio is no audio.
        """
        audio = _audio(folder, base, str(cells.get("path") or ""))
        speaker = str(cells.get("speaker") or "unknown")
        raw = str(cells["emotion"]).strip() if cells.get("emotion") else None
        name = str(cells.get("id") or audio.rpartition(".")[0])
        split = str(cells.get("split") or splits.get(speaker) or hash_split(str(cells.get("text") or name)))
        if split.lower() not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}")
        return SourceRow(
            id=f"{self.corpus}-{re.sub(r'[^A-Za-z0-9._-]+', '_', name)[:140]}",
            audio=audio,
            corpus=self.corpus,
            speaker=speaker,
            language=str(cells.get("language") or self.language),
            licence=str(cells.get("licence") or self.licence),
            split=SPLITS[split.lower()],
            text=str(cells.get("text") or "").strip() or None,
            gender=GENDERS.get(str(cells.get("gender") or "").lower()),
            raw_label=raw,
            label=canonical(raw),
            intensity=_number("intensity", cells.get("intensity")),
            arousal=self._rating("arousal", cells.get("arousal")),
            valence=self._rating("valence", cells.get("valence")),
            dominance=self._rating("dominance", cells.get("dominance")),
        )

    def _rating(self, name: str, value: Any) -> float | None:
        number = _number(name, value)
        low, high = self.scale
        if number is not None and not low <= number <= high:
            raise ValueError(f"{name} must lie in [{low:g}, {high:g}]; got {number:g}. Set corpus.scale")
        return scale(number, low, high)


def canonical(raw: str | None) -> str | None:
    """Return the label of a common word for an emotion, or None."""
    word = (raw or "").strip().lower()
    return word if word in LABELS else ALIASES.get(word)


def _records(folder: CorpusFolder, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give place and cells, under our names of columns, of each line of a table."""
    if path.endswith(".csv"):
        for line, cells in folder.records(path, []):
            _check_heading(path, list(cells))
            yield f"{path}, line {line}", _renamed(cells)
        return
    for line, text in enumerate(folder.text(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            values = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            folder.problem(f"{path}, line {line}", f"is not JSON ({error}).")
            continue
        if not isinstance(values, dict):
            folder.problem(f"{path}, line {line}", "is no JSON object.")
            continue
        _check_heading(path, list(values))
        yield f"{path}, line {line}", _renamed(values)


def _check_heading(path: str, names: list[str]) -> None:
    if not set(NAMES["path"]) & {name.lower() for name in names}:
        raise ValueError(
            f"{path}: a column {' or '.join(NAMES['path'][:3])} must be in the heading; got {', '.join(names)[:100]!r}. "
            f"Example: {EXAMPLE}"
        )


def _renamed(cells: Mapping[str, Any]) -> dict[str, Any]:
    lower = {name.lower(): value for name, value in cells.items()}
    return {
        ours: lower[name]
        for ours, names in NAMES.items()
        for name in reversed(names)
        if lower.get(name) not in (None, "")
    }


def _audio(folder: CorpusFolder, base: str, name: str) -> str:
    """Return the path of the audio below the root: it may be given from the table or from the root."""
    parts = name.replace("\\", "/").split("/")
    if not name or name.startswith(("/", "~")) or ".." in parts or ":" in parts[0]:
        raise ValueError(f"path must be a file below the folder of the table; got {name[:80]!r}")
    plain = "/".join(part for part in parts if part not in ("", "."))
    for path in (f"{base}/{plain}" if base else plain, plain):
        if path in folder.paths:
            if reason := folder.unusable(path):
                raise ValueError(f"{path} {reason.rstrip('.')}")
            return path
    raise ValueError(f"audio {plain!r} is missing")


def _is_range(scale: Sequence[object]) -> bool:
    low, high = scale if len(scale) == 2 else (None, None)
    return isinstance(low, int | float) and isinstance(high, int | float) and low < high


def _number(name: str, value: Any) -> float | None:
    if value in (None, ""):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number; got {str(value)[:40]!r}") from None
