"""MSP-Podcast: Lotfian & Busso (2019), IEEE Transactions on Affective Computing 10(4). Found speech, five or more raters a clip.

Names of files and folders changed between releases; both spellings are read. Speakers of the test sets overlap with each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.msp_podcast_labels import consensus, raters_votes
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
SECONDARY_VOTES: dict[str, str | None] = VOTES | {  # of which more could be chosen
    "Excited": "excited", "Amused": None, "Annoyed": None, "Concerned": None, "Confused": None, "Depressed": None,
    "Disappointed": None, "Frustrated": None,
}  # fmt: skip
PATTERN = r"(?P<name>MSP-PODCAST_(?P<pod>\d{4})_\d{4}(?:_\d{4})?)\.wav$"
SPLITS = {
    "train": "train", "development": "valid", "validation": "valid",
    "test": "test", "test1": "test", "test2": "test", "test3": "test",
}  # fmt: skip
RATINGS = ("EmoAct", "EmoVal", "EmoDom")
GENDERS = {"Female": "f", "Male": "m"}


@dataclass(frozen=True)
class MSPPodcast:
    """Loader of MSP-Podcast: labels_consensus.csv, or else .json, or else labels.txt with Partitions.txt and Speaker_ids.txt.

    Votes are read where labels_detailed.csv, .json or labels.txt lies beside them.
    Unknown speakers of a podcast in one split are one voice, so that they share a gain and no voice is in two splits.

    Attributes:
        secondary: 0 to 1, what a class counts in the votes that a rater heard beside the primary one; 0 leaves them out.
    """

    secondary: float = 0.0

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
        if not 0.0 <= self.secondary <= 1.0:
            raise ValueError(f"secondary must be 0 to 1; got {self.secondary!r}. Example: corpus.secondary=0.5")
        folder = CorpusFolder(root, self.facts)
        clips = {clip.match["name"]: clip for clip in folder.clips(PATTERN)}
        votes = raters_votes(folder, self.secondary)
        transcripts = {clip.match["name"]: clip.path for clip in folder.matching(PATTERN.replace(".wav", ".txt"))}
        words, rows, listed = Votes(folder, SECONDARY_VOTES if self.secondary else VOTES), [], set()
        for place, cells in consensus(folder):
            name = cells["FileName"].removesuffix(".wav")
            listed.add(name)
            if name not in clips:
                folder.problem(f"{name}.wav", f"is missing ({place}).")
                continue
            split = SPLITS.get(cells["Split_Set"].lower().replace(" ", ""))
            if split is None or cells["EmoClass"] not in (*CODES, ""):
                what = f"Split_Set {cells['Split_Set']!r}" if split is None else f"EmoClass {cells['EmoClass']!r}"
                folder.problem(place, f"has an unknown {what}.")
                continue
            if bad := [column for column in RATINGS if not _is_rating(cells[column])]:
                folder.problem(place, f"has {bad[0]} {cells[bad[0]][:20]!r}; expected 1 to 7.")
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
            folder.problem(clips[name].path, "has no line in the labels.")
        check_polarity(self.facts.title, rows)
        return Listing(rows, folder.problems)


def _speaker(name: str, podcast: str, split: str) -> str:
    return f"Unknown-{podcast}-{split}" if name.lower() in ("", "unknown") else name


def _is_rating(cell: str) -> bool:
    """Whether a cell is a number or says that there is none, as those of Test3."""
    return cell.lower() in ("", "nan") or scale(cell, 1, 7) is not None
