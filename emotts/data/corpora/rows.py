"""What a recorded corpus says of its clips, before anything is computed from the audio.

A folder comes in; a `Listing` goes out: a `SourceRow` for every clip, and a `Problem` for every one that could not be taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import ClassVar, Protocol

from emotts.data.manifest import SPLITS
from emotts.emotion.labels import DIMENSIONS, LABELS

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")  # ids become names of files


@dataclass(frozen=True)
class SourceRow:
    """One clip as its corpus describes it.

    Attributes:
        id: Unique name, begins with that of the corpus.
        audio: Path of the file below the corpus folder, with forward slashes.
        corpus: Name in the registry.
        speaker: The corpus' own name of the speaker.
        language: BCP 47 tag.
        licence: Of the audio.
        split: "train", "valid" or "test".
        text: What is said, or None.
        gender: "f", "m" or None.
        raw_label: The emotion in the corpus' own word, or None.
        label: One of LABELS, or None where the corpus' word has no counterpart.
        intensity: 0 to 1.5, or None where unknown.
        votes: Share of each label among the raters, or None; what is missing to one heard what no label of ours names.
        arousal: In [-1, 1], or None where it was not rated.
        valence: As arousal.
        dominance: As arousal.
        channel: Of a stereo file that holds a speaker per channel, counted from 0; None averages all.
        start_s: Where the clip begins in the file; None is its start.
        end_s: Where it ends; None is the end of the file.
    """

    id: str
    audio: str
    corpus: str
    speaker: str
    language: str
    licence: str
    split: str
    text: str | None = None
    gender: str | None = None
    raw_label: str | None = None
    label: str | None = None
    intensity: float | None = None
    votes: dict[str, float] | None = None
    arousal: float | None = None
    valence: float | None = None
    dominance: float | None = None
    channel: int | None = None
    start_s: float | None = None
    end_s: float | None = None

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise ValueError(f"{problem}; see SourceRow in emotts/data/corpora/rows.py.")

    @property
    def voice(self) -> str:
        """Name of the voice over all corpora, such as "esd-0011"."""
        return f"{self.corpus}-{re.sub(r'[^A-Za-z0-9._-]+', '_', self.speaker)}"

    def to_json(self) -> str:
        """Return the row as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True)
class Problem:
    """A clip, file, line or vote that was not taken.

    Attributes:
        place: Its id or its path below the corpus folder, and the line.
        reason: What is wrong, and the remedy if there is one.
    """

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place} {self.reason}"


@dataclass
class Listing:
    """All clips of a corpus folder, what was not taken, and remarks on the whole, in the order of the corpus.

    `published` is the number of clips and of speakers in the part that was asked for, None where it is the whole corpus.
    """

    rows: list[SourceRow]
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    published: tuple[int | None, int | None] | None = None


@dataclass(frozen=True)
class CorpusFacts:
    """What is published about a corpus.

    Attributes:
        name: In the registry and in the configuration.
        title: As people write it.
        language: BCP 47 tag of the speech; of the first language if there are several.
        licence: Of the audio.
        example: A path that shows the layout.
        split: How train, valid and test are told apart.
        clips: Published number of clips, or None if it depends on the version.
        speakers: Published number of speakers, or None.
        is_speaker_disjoint: Whether no speaker is in two splits.
    """

    name: str
    title: str
    language: str
    licence: str
    example: str
    split: str
    clips: int | None = None
    speakers: int | None = None
    is_speaker_disjoint: bool = True


class Corpus(Protocol):
    """A loader: options are its attributes, `read` does the work."""

    facts: ClassVar[CorpusFacts]

    def read(self, root: Path) -> Listing:
        """List the clips below `root`.

        Raises:
            FileNotFoundError: there is no such folder, or a table is missing.
            ValueError: the folder is not this corpus, or a table has other columns.
        """
        ...


def parse_source(line: str) -> SourceRow:
    """Read one line that `SourceRow.to_json` wrote.

    Raises:
        ValueError: it is not such a line.
    """
    values = json.loads(line)
    keys = {f.name for f in fields(SourceRow)}
    if not isinstance(values, dict) or set(values) != keys:
        raise ValueError(f"a source row must have the keys {', '.join(sorted(keys))}; got {line[:80]!r}.")
    return SourceRow(**values)


def without_repeats(rows: Iterable[SourceRow]) -> tuple[list[SourceRow], list[Problem]]:
    """Return the first row of every id, and a problem for each further one."""
    kept: dict[str, SourceRow] = {}
    problems = []
    for row in rows:
        first = kept.setdefault(row.id, row)
        if first is not row:
            problems.append(Problem(row.audio, f"has the id {row.id!r} of {first.audio}; rename one of them."))
    return list(kept.values()), problems


def _problem(row: SourceRow) -> str | None:
    if not ID.fullmatch(row.id):
        return f"id must be letters, digits, '.', '_' or '-'; got {row.id[:60]!r}"
    path = PurePosixPath(row.audio)
    if path.is_absolute() or ".." in path.parts or "\\" in row.audio or "\0" in row.audio:
        return f"audio must be a path below the corpus folder; got {row.audio[:80]!r}"
    if not row.speaker or not row.licence or not row.language:
        return f"row {row.id!r} must name its speaker, language and licence"
    if row.split not in SPLITS:
        return f"split must be one of {', '.join(SPLITS)}; got {row.split!r}"
    if row.label is not None and row.label not in LABELS:
        return f"label must be one of {', '.join(LABELS)}; got {row.label!r}"
    if row.votes is not None and not _are_shares(row.votes):
        return f"votes must be shares of labels that sum to at most 1; got {row.votes}"
    if row.intensity is not None and not 0.0 <= row.intensity <= 1.5:
        return f"intensity must lie in [0, 1.5]; got {row.intensity}"
    for name in DIMENSIONS:
        value = getattr(row, name)
        if value is not None and not -1.0 <= value <= 1.0:
            return f"{name} must lie in [-1, 1]; got {value}"
    return None


def _are_shares(votes: dict[str, float]) -> bool:
    return set(votes) <= set(LABELS) and min(votes.values(), default=-1.0) >= 0.0 and sum(votes.values()) <= 1.0 + 1e-3
