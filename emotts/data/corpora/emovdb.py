"""EmoV-DB: Adigwe et al. (2018), arXiv 1806.09514. Four voices, CMU ARCTIC sentences; one emotion is one recording session."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import check_fold, fold_split

EMOTIONS: dict[str, str | None] = {
    "Amused": None, "Angry": "angry", "Disgusted": "disgusted", "Neutral": "neutral", "Sleepy": None,
}  # fmt: skip
GENDERS = {"bea": "f", "jenie": "f", "josh": "m", "sam": "m"}
PATTERN = (
    r"(?P<spk>bea|jenie|josh|sam)_(?P<emo>Amused|Angry|Disgusted|Neutral|Sleepy)/"
    r"[A-Za-z]+_\d+[-_]\d+_(?P<sent>\d{4})\.wav$"  # the word before the range varies; the folder says the emotion
)
PROMPT = re.compile(r'^\(\s*arctic_([ab]\d{4})\s+"(.*)"\s*\)')
FOLDS = tuple((name,) for name in GENDERS)


@dataclass(frozen=True)
class EmoVDB:
    """Loader of the sorted EmoV-DB; put cmuarctic.data beside the folders to have the texts.

    Attributes:
        fold: 1 to 4, the voice that tests; the next one validates. The fold of EmoBox shares voices and is not used.
    """

    fold: int = 1

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="emovdb",
        title="EmoV-DB",
        language="en-us",
        licence="EmoV-DB: non-commercial research",
        example="jenie_Amused/amused_57-84_0057.wav",
        split="a voice tests, the next one validates; sentences are in all splits",
        clips=6_887,
        speakers=4,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        check_fold(self.fold, len(FOLDS))
        folder = CorpusFolder(root, self.facts)
        clips = folder.clips(PATTERN)
        prompts = _prompts(folder)
        rows = []
        for clip in clips:
            speaker, emotion = clip.match["spk"], clip.match["emo"]
            rows.append(
                SourceRow(
                    id=f"emovdb-{speaker}_{emotion}_{Path(clip.path).stem}",
                    audio=clip.path,
                    corpus="emovdb",
                    speaker=speaker,
                    language="en-us",
                    licence=self.facts.licence,
                    split=fold_split(speaker, FOLDS, self.fold),
                    text=prompts.get(f"a{clip.match['sent']}"),
                    gender=GENDERS[speaker],
                    raw_label=emotion,
                    label=EMOTIONS[emotion],
                )
            )
        present = {(clip.match["spk"], clip.match["emo"]) for clip in clips}
        for speaker in GENDERS:
            for emotion in EMOTIONS:
                is_recorded = speaker != "josh" or emotion in ("Amused", "Neutral", "Sleepy")
                if is_recorded and (speaker, emotion) not in present:
                    folder.problem(f"{speaker}_{emotion}", "is missing with all its clips.")
        notes = [] if prompts else ["no texts: put cmuarctic.data of CMU ARCTIC into the folder"]
        return Listing(rows, folder.problems, notes)


def _prompts(folder: CorpusFolder) -> dict[str, str]:
    """Return the sentences of the half A of CMU ARCTIC by number."""
    found = {}
    for clip in folder.matching(r"cmuarctic\.data$")[:1]:
        for number, line in enumerate(folder.text(clip.path, ("utf-8-sig", "cp1252")).split("\n"), start=1):
            match = PROMPT.match(line.strip())
            if match and match[1][0] == "a":
                found[match[1]] = match[2]
            elif line.strip() and not match:
                folder.problem(f"{clip.path}, line {number}", 'is no prompt such as ( arctic_a0001 "Text." ).')
    return found
