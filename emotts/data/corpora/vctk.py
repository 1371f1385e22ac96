"""VCTK, 110 speakers of English read: Yamagishi et al. (2019), University of Edinburgh. All of it counts as neutral.

Version 0.92 has flac files of two microphones; version 0.80 has wav files of one, and 109 speakers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import ranked_split

PATTERN = r"(?P<name>(?P<spk>[ps]\d+)_(?P<utt>\d{3}))(?:_mic(?P<mic>[12])\.flac|\.wav)$"
OLD_SPEAKERS = 109  # of version 0.80
TEXT = r"txt/(?P<spk>[ps]\d+)/(?P<name>(?P=spk)_\d{3})\.txt$"


@dataclass(frozen=True)
class VCTK:
    """Loader of VCTK.

    Attributes:
        microphone: 1 or 2; a speaker without it (p280 has no second) is left out, so that all sound alike. Version 0.80
            has one.
    """

    microphone: int = 2

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="vctk",
        title="VCTK",
        language="en-gb",
        licence="CC BY 4.0",
        example="wav48_silence_trimmed/p225/p225_001_mic2.flac",
        split="a tenth of the speakers tests, another validates; some sentences are in all splits",
        speakers=110,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        if self.microphone not in (1, 2):
            raise ValueError(f"microphone of VCTK must be 1 or 2; got {self.microphone!r}.")
        folder = CorpusFolder(root, self.facts)
        found = folder.clips(PATTERN)
        is_old = all(clip.match["mic"] is None for clip in found)
        clips = [clip for clip in found if is_old or clip.match["mic"]]
        n_old = len(found) - len(clips)
        note = f"{n_old} wav files, as of version 0.80, are not read beside flac files of version 0.92"
        chosen = [clip for clip in clips if clip.match["mic"] == (None if is_old else str(self.microphone))]
        for speaker in sorted({c.match["spk"] for c in clips} - {c.match["spk"] for c in chosen}):
            folder.problem(f"speaker {speaker}", f"has no microphone {self.microphone} and is left out.")
        texts = {clip.match["name"]: clip.path for clip in folder.matching(TEXT)}
        genders = _genders(folder)
        splits = ranked_split(clip.match["spk"] for clip in chosen)
        rows = []
        for clip in chosen:
            name, speaker = clip.match["name"], clip.match["spk"]
            text = folder.first_line(texts[name]) if name in texts else None
            if text is None:
                folder.problem(clip.path, "has no text in txt/ (p315 has none in the published corpus).")
                continue
            rows.append(
                SourceRow(
                    id=f"vctk-{name}",
                    audio=clip.path,
                    corpus="vctk",
                    speaker=speaker,
                    language="en-gb",
                    licence=self.facts.licence,
                    split=splits[speaker],
                    text=text,
                    gender=genders.get(speaker),
                    label="neutral",
                    intensity=0.0,
                )
            )
        present = {row.id for row in rows}
        bad = {Path(problem.place).stem.partition("_mic")[0] for problem in folder.problems}
        speakers = {row.speaker for row in rows}
        for name in sorted(texts):
            if name.partition("_")[0] in speakers and f"vctk-{name}" not in present and name not in bad:
                folder.problem(f"{name}.wav" if is_old else f"{name}_mic{self.microphone}.flac", "is missing.")
        return Listing(
            rows, folder.problems, [note] if n_old else [], published=(None, OLD_SPEAKERS) if is_old else None
        )


def _genders(folder: CorpusFolder) -> dict[str, str]:
    """Return the gender of each speaker from speaker-info.txt, columns between spaces: ID, AGE, GENDER, ACCENTS."""
    found = {}
    for clip in folder.matching(r"speaker-info\.txt$")[:1]:
        for number, line in enumerate(folder.text(clip.path, ("utf-8-sig", "cp1252")).split("\n"), start=1):
            cells = line.split()
            if len(cells) > 2 and cells[2] in ("F", "M"):
                name = cells[0] if cells[0][0] in "ps" else f"p{cells[0]}"  # version 0.80 writes 225 for p225
                found[name] = cells[2].lower()
            elif cells and cells[0] != "ID":
                folder.problem(f"{clip.path}, line {number}", "has no speaker, age and gender.")
    return found
