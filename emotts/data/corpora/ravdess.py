"""RAVDESS, speech part: Livingstone & Russo (2018), PLoS ONE 13(5). Everything stands in the name of the file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import check_fold, fold_split

EMOTIONS = {
    "01": ("neutral", "neutral"), "02": ("calm", "calm"), "03": ("happy", "happy"), "04": ("sad", "sad"),
    "05": ("angry", "angry"), "06": ("fearful", "fearful"), "07": ("disgust", "disgusted"), "08": ("surprised", "surprised"),
}  # fmt: skip
STATEMENTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
INTENSITIES = {"01": 0.5, "02": 1.0}  # normal, strong
PATTERN = (
    r"(?P<name>(?P<mod>0[123])-(?P<ch>0[12])-(?P<emo>0[1-8])-(?P<int>0[12])-"
    r"(?P<stm>0[12])-(?P<rep>0[12])-(?P<actor>\d{2}))\.wav$"
)
FOLDS = (  # EmoBox, test actors
    ("01", "11", "20", "21"), ("04", "10", "12", "14"), ("08", "09", "19", "23"),
    ("03", "05", "07", "24"), ("02", "15", "16", "18"), ("06", "13", "17", "22"),
)  # fmt: skip


@dataclass(frozen=True)
class RAVDESS:
    """Loader of the speech of RAVDESS; songs and videos are left out.

    Attributes:
        fold: 1 to 6.
    """

    fold: int = 1

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="ravdess",
        title="RAVDESS",
        language="en-us",
        licence="CC BY-NC-SA 4.0",
        example="Audio_Speech_Actors_01-24/Actor_18/03-01-05-01-02-01-18.wav",
        split="actors of an EmoBox fold; both sentences are in all splits",
        clips=1_440,
        speakers=24,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        check_fold(self.fold, len(FOLDS))
        folder = CorpusFolder(root, self.facts)
        clips = [clip for clip in folder.clips(PATTERN) if clip.match["mod"] == "03" and clip.match["ch"] == "01"]
        rows = []
        for clip in clips:
            raw, label = EMOTIONS[clip.match["emo"]]
            actor = clip.match["actor"]
            rows.append(
                SourceRow(
                    id=f"ravdess-{clip.match['name']}",
                    audio=clip.path,
                    corpus="ravdess",
                    speaker=actor,
                    language="en-us",
                    licence=self.facts.licence,
                    split=fold_split(actor, FOLDS, self.fold),
                    text=STATEMENTS[clip.match["stm"]],
                    gender="m" if int(actor) % 2 else "f",
                    raw_label=raw,
                    label=label,
                    intensity=0.0 if label == "neutral" else INTENSITIES[clip.match["int"]],
                )
            )
        actors = [f"{k:02d}" for k in range(1, 25)]
        folder.report_missing(
            {actor: _expected(actor) for actor in actors}, (f"{c.match['name']}.wav" for c in clips), "actor"
        )
        return Listing(rows, folder.problems)


def _expected(actor: str) -> list[str]:
    """Return the 60 files of an actor; there is no strong neutral."""
    parts = product(EMOTIONS, INTENSITIES, STATEMENTS, ("01", "02"))
    return [f"03-01-{'-'.join(part)}-{actor}.wav" for part in parts if part[:2] != ("01", "02")]
