"""Att-HACK, social attitudes in French: Le Moine & Obin (2020), Speech Prosody; OpenSLR 88. Attitudes have no label of ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import check_fold, every_nth, fold_split

ATTITUDES = {"1": "friendly", "2": "distant", "3": "dominant", "4": "seductive"}  # in the order of the corpus page
PATTERN = r"(?P<name>(?P<spk>[FM]\d{2})_a(?P<att>[1-4])_s(?P<sent>\d{3})_v(?P<take>\d{2}))\.wav$"
SPEAKERS = (
    "F01", "F02", "F03", "F05", "F06", "F08", "F10", "F14", "F15", "F18", "F20",
    "M04", "M07", "M09", "M11", "M12", "M13", "M16", "M17", "M19",
)  # fmt: skip
FOLDS = every_nth(SPEAKERS, 5)


@dataclass(frozen=True)
class AttHACK:
    """Loader of Att-HACK.

    Attributes:
        fold: 1 to 5; every fifth speaker tests. Speakers that the readme does not list train.
    """

    fold: int = 1

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="atthack",
        title="Att-HACK",
        language="fr-fr",
        licence="CC BY-NC-ND 4.0",
        example="wav/F01_a1_s001_v01.wav",
        split="every fifth speaker tests; sentences are in all splits",
        speakers=20,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        check_fold(self.fold, len(FOLDS))
        folder = CorpusFolder(root, self.facts)
        texts = {clip.match["name"]: clip.path for clip in folder.matching(PATTERN.replace(".wav", ".txt"))}
        rows = []
        for clip in folder.clips(PATTERN):
            name, speaker = clip.match["name"], clip.match["spk"]
            rows.append(
                SourceRow(
                    id=f"atthack-{name}",
                    audio=clip.path,
                    corpus="atthack",
                    speaker=speaker,
                    language="fr-fr",
                    licence=self.facts.licence,
                    split=fold_split(speaker, FOLDS, self.fold),
                    text=folder.first_line(texts[name]) if name in texts else None,
                    gender=speaker[0].lower(),
                    raw_label=ATTITUDES[clip.match["att"]],
                )
            )
        for speaker in sorted(set(SPEAKERS) - {row.speaker for row in rows}):
            folder.problem(f"speaker {speaker}", "is missing with all clips.")
        return Listing(rows, folder.problems)
