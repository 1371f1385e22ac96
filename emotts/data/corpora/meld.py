"""MELD, dialogues of a television series: Poria et al. (2019), ACL. Laughter, music and overlap: no corpus of voices.

The published audio is in mp4: it needs ffmpeg, or wav files of the same names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import Clip, CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow

EMOTIONS = {
    "neutral": "neutral", "surprise": "surprised", "fear": "fearful", "sadness": "sad", "joy": "happy",
    "disgust": "disgusted", "anger": "angry",
}  # fmt: skip
FOLDERS = {  # of the clips, and the table
    "train": ("train_splits", "train_sent_emo.csv"),
    "valid": ("dev_splits_complete", "dev_sent_emo.csv"),
    "test": ("output_repeated_splits_test", "test_sent_emo.csv"),
}
NAMES = {"train": "train", "valid": "dev", "test": "test"}
PATTERN = (
    r"(?P<part>train_splits|dev_splits_complete|output_repeated_splits_test)/"
    r"(?P<name>dia\d+_utt\d+)\.(?P<kind>mp4|wav|flac)$"
)
COLUMNS = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")
ENCODINGS = ("utf-8-sig", "cp1252")


@dataclass(frozen=True)
class MELD:
    """Loader of MELD; the published split. Dialogues are counted anew in every split."""

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="meld",
        title="MELD",
        language="en-us",
        licence="MELD: annotations GPL-3.0, audio of a television series",
        example="train/train_splits/dia0_utt0.mp4",
        split="the published one; the main speakers are in all splits",
        clips=13_708,
        speakers=304,
        is_speaker_disjoint=False,
    )

    def read(self, root: Path) -> Listing:
        """List the utterances; errors are those of `Corpus.read`."""
        folder = CorpusFolder(root, self.facts)
        clips: dict[tuple[str, str], Clip] = {}
        for clip in sorted(folder.clips(PATTERN), key=lambda clip: (clip.match["kind"] == "mp4", clip.path)):
            clips.setdefault((clip.match["part"], clip.match["name"]), clip)
        rows: list[SourceRow] = []
        for split in FOLDERS:
            rows += self._rows(folder, split, clips)
        return Listing(rows, folder.problems)

    def _rows(self, folder: CorpusFolder, split: str, clips: dict[tuple[str, str], Clip]) -> list[SourceRow]:
        part, table_name = FOLDERS[split]
        table = folder.table(table_name.replace(".", r"\.") + "$", table_name)
        rows, listed = [], set()
        for line, cells in folder.records(table, COLUMNS, encodings=ENCODINGS):
            name = f"dia{cells['Dialogue_ID']}_utt{cells['Utterance_ID']}"
            listed.add((part, name))
            clip = clips.get((part, name))
            if clip is None:
                folder.problem(f"{part}/{name}", f"is missing ({table}, line {line}).")
            elif cells["Emotion"] not in EMOTIONS:
                folder.problem(
                    f"{table}, line {line}",
                    f"has the emotion {cells['Emotion']!r}; expected one of {', '.join(EMOTIONS)}.",
                )
            else:
                rows.append(
                    SourceRow(
                        id=f"meld-{NAMES[split]}-{name}",
                        audio=clip.path,
                        corpus="meld",
                        speaker=cells["Speaker"] or "unknown",
                        language="en-us",
                        licence=self.facts.licence,
                        split=split,
                        text=cells["Utterance"] or None,
                        raw_label=cells["Emotion"],
                        label=EMOTIONS[cells["Emotion"]],
                    )
                )
        for key in sorted(key for key in clips if key[0] == part and key not in listed):
            folder.problem(clips[key].path, f"has no line in {table}.")
        return rows
