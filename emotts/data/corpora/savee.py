"""SAVEE: Haq & Jackson (2009), AVSP. Four British men; the sentences are of TIMIT and come without transcripts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import check_fold, fold_split

EMOTIONS = {
    "sa": ("sadness", "sad"), "su": ("surprise", "surprised"), "a": ("anger", "angry"), "d": ("disgust", "disgusted"),
    "f": ("fear", "fearful"), "h": ("happiness", "happy"), "n": ("neutral", "neutral"),
}  # fmt: skip
PATTERN = r"(?P<spk>DC|JE|JK|KL)[_/](?P<emo>sa|su|a|d|f|h|n)(?P<n>\d{2})\.wav$"  # sa and su before a
FOLDS = (("JE",), ("KL",), ("DC",), ("JK",))  # EmoBox


@dataclass(frozen=True)
class SAVEE:
    """Loader of SAVEE, in folders of speakers or flat.

    Attributes:
        fold: 1 to 4, the speaker that tests; the next one validates.
    """

    fold: int = 1

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="savee",
        title="SAVEE",
        language="en-gb",
        licence="SAVEE: research only",
        example="AudioData/DC/a01.wav",
        split="a speaker tests (as in EmoBox), the next one validates",
        clips=480,
        speakers=4,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        check_fold(self.fold, len(FOLDS))
        folder = CorpusFolder(root, self.facts)
        rows = []
        for clip in folder.clips(PATTERN):
            speaker = clip.match["spk"]
            raw, label = EMOTIONS[clip.match["emo"]]
            rows.append(
                SourceRow(
                    id=f"savee-{speaker}_{clip.match['emo']}{clip.match['n']}",
                    audio=clip.path,
                    corpus="savee",
                    speaker=speaker,
                    language="en-gb",
                    licence=self.facts.licence,
                    split=fold_split(speaker, FOLDS, self.fold),
                    gender="m",
                    raw_label=raw,
                    label=label,
                )
            )
        bad = {_id(problem.place) for problem in folder.problems}
        groups = {
            speaker: [f"savee-{speaker}_{e}{n:02d}" for e in EMOTIONS for n in range(1, 31 if e == "n" else 16)]
            for (speaker,) in FOLDS
        }
        folder.report_missing(groups, {row.id for row in rows} | bad, "speaker")
        return Listing(rows, folder.problems)


def _id(path: str) -> str:
    return f"savee-{'_'.join(path.removesuffix('.wav').replace('_', '/').split('/')[-2:])}"
