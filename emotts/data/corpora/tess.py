"""TESS: Pichora-Fuller & Dupuis (2020), Toronto Emotional Speech Set. Two women say 200 words in one carrier phrase."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import check_fold, fold_split, validates

EMOTIONS = {
    "angry": "angry", "disgust": "disgusted", "fear": "fearful", "happy": "happy", "neutral": "neutral", "ps": "surprised",
    "sad": "sad",
}  # fmt: skip
PATTERN = r"(?P<name>(?P<spk>OAF|YAF|OA)_(?P<word>[A-Za-z]+)_(?P<emo>angry|disgust|fear|happy|neutral|ps|sad))\.wav$"
FOLDS = (("YAF",), ("OAF",))


@dataclass(frozen=True)
class TESS:
    """Loader of TESS, flat or in folders of any spelling.

    Attributes:
        fold: 1 tests the younger woman, 2 the older. Of the words of the other, a tenth validates: there is no third.
    """

    fold: int = 1

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="tess",
        title="TESS",
        language="en-us",
        licence="CC BY-NC-ND 4.0",
        example="OAF_fear/OAF_lid_fear.wav",
        split="one woman tests; of the other's words a tenth validates, the rest trains",
        clips=2_800,
        speakers=2,
        is_speaker_disjoint=False,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        check_fold(self.fold, len(FOLDS))
        folder = CorpusFolder(root, self.facts)
        rows = []
        for clip in folder.clips(PATTERN):
            speaker = {"OA": "OAF"}.get(
                clip.match["spk"], clip.match["spk"]
            )  # OA_bite_neutral.wav is of the older woman
            emotion = clip.match["emo"]
            rows.append(
                SourceRow(
                    id=f"tess-{speaker}_{clip.match['word']}_{emotion}",
                    audio=clip.path,
                    corpus="tess",
                    speaker=speaker,
                    language="en-us",
                    licence=self.facts.licence,
                    split=_split(speaker, clip.match["word"].lower(), self.fold),
                    text=f"Say the word {clip.match['word'].lower()}.",
                    gender="f",
                    raw_label=emotion,
                    label=EMOTIONS[emotion],
                )
            )
        words = sorted({row.id.split("_")[1] for row in rows})  # what one woman says in one emotion, all do
        groups = {
            f"{speaker} {emotion}": [f"{speaker}_{word}_{emotion}.wav" for word in words]
            for speaker in ("OAF", "YAF")
            for emotion in EMOTIONS
        }
        folder.report_missing(groups, (f"{row.id.removeprefix('tess-')}.wav" for row in rows), "group")
        return Listing(rows, folder.problems)


def _split(speaker: str, word: str, fold: int) -> str:
    split = fold_split(speaker, FOLDS, fold)
    return "valid" if split == "train" and validates(word) else split
