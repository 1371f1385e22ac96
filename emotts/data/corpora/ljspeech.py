"""LJSpeech 1.1, one woman reads: Ito & Johnson (2017). Not acted, so all of it counts as neutral."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import CorpusFolder, WrongLines
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import hash_split

PATTERN = r"(?P<name>LJ\d{3}-\d{4})\.wav$"


@dataclass(frozen=True)
class LJSpeech:
    """Loader of LJSpeech."""

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="ljspeech",
        title="LJSpeech",
        language="en-us",
        licence="public domain",
        example="LJSpeech-1.1/wavs/LJ001-0001.wav",
        split="by sentence; there is one speaker",
        clips=13_100,
        speakers=1,
        is_speaker_disjoint=False,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        folder = CorpusFolder(root, self.facts)
        clips = {clip.match["name"]: clip for clip in folder.clips(PATTERN)}
        table = folder.table(r"metadata\.csv$", "metadata.csv")
        rows, listed = [], set()
        wrong = WrongLines(folder, table, "id|text|normalised text")
        for number, line in enumerate(folder.text(table).split("\n"), start=1):
            if not line.strip():
                continue
            cells = line.split("|")  # quotes in it are text
            if len(cells) != 3 or not re.fullmatch(r"LJ\d{3}-\d{4}", cells[0]):
                wrong.add(number, f"must be {wrong.expected}; got {line[:60]!r}.", line)
                continue
            listed.add(cells[0])
            if cells[0] not in clips:
                folder.problem(f"{cells[0]}.wav", f"is missing ({table}, line {number}).")
                continue
            rows.append(
                SourceRow(
                    id=cells[0],
                    audio=clips[cells[0]].path,
                    corpus="ljspeech",
                    speaker="lj",
                    language="en-us",
                    licence=self.facts.licence,
                    split=hash_split(cells[0]),
                    text=cells[2].strip() or cells[1].strip() or None,
                    gender="f",
                    label="neutral",
                    intensity=0.0,
                )
            )
        wrong.check(len(listed))
        for name in sorted(set(clips) - listed):
            folder.problem(clips[name].path, f"has no line in {table}.")
        return Listing(rows, folder.problems)
