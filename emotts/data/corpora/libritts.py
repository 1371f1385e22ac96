"""LibriTTS and LibriTTS-R, audio books by many readers: Zen et al. (2019), Interspeech. Read, so all of it counts as neutral."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow

PATTERN = (
    r"(?P<subset>(?P<part>train|dev|test)-[a-z]+(?:-\d+)?)/(?P<spk>\d+)/(?P<chap>\d+)/"
    r"(?P<name>(?P=spk)_(?P=chap)_\d{6}_\d{6})\.wav$"
)
SPLITS = {"train": "train", "dev": "valid", "test": "test"}


@dataclass(frozen=True)
class LibriTTS:
    """Loader of LibriTTS with any of its subsets; LibriTTS-R has the same names."""

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="libritts",
        title="LibriTTS",
        language="en-us",
        licence="CC BY 4.0",
        example="LibriTTS/train-clean-100/103/1241/103_1241_000000_000001.wav",
        split="the published subsets",
        speakers=2_456,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        folder = CorpusFolder(root, self.facts)
        genders = _genders(folder)
        rows = []
        for clip in folder.clips(PATTERN):
            stem = clip.path.removesuffix(".wav")
            text = folder.first_line(f"{stem}.normalized.txt") or folder.first_line(f"{stem}.original.txt")
            if text is None:
                folder.problem(clip.path, "has no .normalized.txt beside it.")
                continue
            rows.append(
                SourceRow(
                    id=f"libritts-{clip.match['name']}",
                    audio=clip.path,
                    corpus="libritts",
                    speaker=clip.match["spk"],
                    language="en-us",
                    licence=self.facts.licence,
                    split=SPLITS[clip.match["part"]],
                    text=text,
                    gender=genders.get(clip.match["spk"]),
                    label="neutral",
                    intensity=0.0,
                )
            )
        return Listing(rows, folder.problems)


def _genders(folder: CorpusFolder) -> dict[str, str]:
    """Return the gender of each reader from speakers.tsv: READER, GENDER, SUBSET, NAME."""
    found = {}
    for clip in folder.matching(r"speakers\.tsv$")[:1]:
        for number, line in enumerate(folder.text(clip.path).split("\n"), start=1):
            cells = [cell.strip() for cell in line.split("\t")]
            if len(cells) > 1 and cells[0].isdecimal() and cells[1] in ("F", "M"):
                found[cells[0]] = cells[1].lower()
            elif line.strip() and cells[0] != "READER":
                folder.problem(f"{clip.path}, line {number}", "has no reader and gender with a tab between.")
    return found
