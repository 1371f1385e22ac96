"""MSP-Podcast: Lotfian & Busso (2019), IEEE Transactions on Affective Computing 10(4). Found speech, five or more raters a clip.

Names of files and folders changed between releases; both spellings are read. Speakers of the test sets overlap with each other.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.ratings import Votes, check_polarity, scale
from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow

CODES: dict[str, str | None] = {
    "A": "angry", "S": "sad", "H": "happy", "U": "surprised", "F": "fearful", "D": "disgusted", "C": "contempt", "N": "neutral",
    "O": None, "X": None,
}  # fmt: skip
VOTES: dict[str, str | None] = {
    "Angry": "angry", "Sad": "sad", "Happy": "happy", "Surprise": "surprised", "Fear": "fearful", "Disgust": "disgusted",
    "Contempt": "contempt", "Neutral": "neutral", "Other": None,
}  # fmt: skip
PATTERN = r"(?P<name>MSP-PODCAST_(?P<pod>\d{4})_\d{4}(?:_\d{4})?)\.wav$"
CONSENSUS = r"labels_con[sc]ensus\.csv$"
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
SPLITS = {
    "train": "train", "development": "valid", "validation": "valid",
    "test": "test", "test1": "test", "test2": "test", "test3": "test",
}  # fmt: skip
DETAIL = re.compile(r"[^;]+;\s*([A-Za-z]+)")  # "WORKER01; Neutral; Concerned,; A:4; V:4; D:4;"
RATINGS = ("EmoAct", "EmoVal", "EmoDom")
GENDERS = {"Female": "f", "Male": "m"}


@dataclass(frozen=True)
class MSPPodcast:
    """Loader of MSP-Podcast, releases with labels_consensus.csv; votes are read where labels_detailed.csv lies beside it.

    Unknown speakers of a podcast in one split are one voice, so that they share a gain and no voice is in two splits.
    """

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="msp_podcast",
        title="MSP-Podcast",
        language="en-us",
        licence="MSP-Podcast: academic licence of UT Dallas",
        example="Audios/MSP-PODCAST_0001_0008.wav",
        split="the published Split_Set; labels of Test3 are hidden",
    )

    def read(self, root: Path) -> Listing:
        """List the turns; errors are those of `Corpus.read`."""
        folder = CorpusFolder(root, self.facts)
        clips = {clip.match["name"]: clip for clip in folder.clips(PATTERN)}
        table = folder.table(CONSENSUS, "Labels/labels_consensus.csv")
        votes = _votes(folder)
        transcripts = {clip.match["name"]: clip.path for clip in folder.matching(PATTERN.replace(".wav", ".txt"))}
        words, rows, listed = Votes(folder, VOTES), [], set()
        for line, cells in folder.records(table, COLUMNS):
            name = cells["FileName"].removesuffix(".wav")
            listed.add(name)
            if name not in clips:
                folder.problem(f"{name}.wav", f"is missing ({table}, line {line}).")
                continue
            split = SPLITS.get(cells["Split_Set"].lower().replace(" ", ""))
            if split is None or cells["EmoClass"] not in (*CODES, ""):
                what = f"Split_Set {cells['Split_Set']!r}" if split is None else f"EmoClass {cells['EmoClass']!r}"
                folder.problem(f"{table}, line {line}", f"has an unknown {what}.")
                continue
            if bad := [column for column in RATINGS if not _is_rating(cells[column])]:
                folder.problem(f"{table}, line {line}", f"has {bad[0]} {cells[bad[0]][:20]!r}; expected 1 to 7.")
                continue
            rows.append(
                SourceRow(
                    id=name,
                    audio=clips[name].path,
                    corpus="msp_podcast",
                    speaker=_speaker(cells["SpkrID"], clips[name].match["pod"], split),
                    language="en-us",
                    licence=self.facts.licence,
                    split=split,
                    text=folder.first_line(transcripts[name]) if name in transcripts else None,
                    gender=GENDERS.get(cells["Gender"]),
                    raw_label=cells["EmoClass"] or None,
                    label=CODES.get(cells["EmoClass"]),
                    votes=words.shares(clips[name].path, votes.get(name, {})),
                    arousal=scale(cells["EmoAct"], 1, 7),
                    valence=scale(cells["EmoVal"], 1, 7),
                    dominance=scale(cells["EmoDom"], 1, 7),
                )
            )
        for name in sorted(set(clips) - listed):
            folder.problem(clips[name].path, f"has no line in {table}.")
        check_polarity(self.facts.title, rows)
        return Listing(rows, folder.problems)


def _speaker(name: str, podcast: str, split: str) -> str:
    return f"Unknown-{podcast}-{split}" if name.lower() in ("", "unknown") else name


def _is_rating(cell: str) -> bool:
    """Whether a cell is a number or says that there is none, as those of Test3."""
    return cell.lower() in ("", "nan") or scale(cell, 1, 7) is not None


def _votes(folder: CorpusFolder) -> dict[str, dict[str, float]]:
    """Return the raters' primary classes by clip; secondary ones are not counted."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for clip in folder.matching(r"labels_detailed\.csv$")[:1]:
        for name, vote in _primary(folder, clip.path):
            found[name.removesuffix(".wav")]["Other" if vote.startswith("Other") else vote] += 1.0
    return found


def _primary(folder: CorpusFolder, path: str) -> Iterator[tuple[str, str]]:
    """Give clip and primary class of each rating, in the form with a column per question or with all in EmoDetail."""
    heading = folder.text(path).split("\n", 1)[0]
    if "EmoDetail" in heading:
        for line, cells in folder.records(path, ["FileName", "EmoDetail"]):
            match = DETAIL.match(cells["EmoDetail"])
            if match is None:
                folder.problem(f"{path}, line {line}", f"is no rating: {cells['EmoDetail'][:60]!r}.")
            else:
                yield cells["FileName"], match[1]
    else:
        for _, cells in folder.records(path, ["FileName", "EmoClass_Major"]):
            yield cells["FileName"], cells["EmoClass_Major"]
