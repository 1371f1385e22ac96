"""ESD, parallel emotional speech in English and Mandarin: Zhou et al. (2022), Speech Communication 137.

The number of a file says its emotion and its sentence; sentences are shared by all speakers of a language and all emotions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import check_fold, fold_split

EMOTIONS = ("Neutral", "Angry", "Happy", "Sad", "Surprise")  # in the order of the file numbers, 350 each
LABELS = dict(zip(EMOTIONS, ("neutral", "angry", "happy", "sad", "surprised"), strict=True))
SENTENCES = 350
PATTERN = (
    r"(?P<spk>00(?:0[1-9]|1\d|20))/(?P<emo>Neutral|Angry|Happy|Sad|Surprise)/"
    r"(?:(?P<split>train|evaluation|test)/)?(?P<id>(?P=spk)_(?P<n>\d{6}))\.wav$"
)
TRANSCRIPT = r"(?P<spk>00\d\d)/(?P=spk)\.txt$"
ENCODINGS = ("utf-8-sig", "gb18030", "utf-16")  # transcripts are not in one
FOLDS = (  # EmoBox, test speakers
    ("0005", "0011", "0016", "0018"), ("0012", "0014", "0015", "0019"), ("0003", "0004", "0006", "0009"),
    ("0007", "0008", "0013", "0020"), ("0001", "0002", "0010", "0017"),
)  # fmt: skip
WOMEN = ("0001", "0002", "0003", "0007", "0009", "0015", "0016", "0017", "0018")
UNCLEAR = ("0012", "0019")  # sources disagree on their gender


@dataclass(frozen=True)
class ESD:
    """Loader of ESD, flat or with train, evaluation and test folders.

    Attributes:
        split: "speakers" for the folds of EmoBox, "sentences" for the published 300 / 20 / 30 sentences of every speaker.
        fold: 1 to 5, for split "speakers".
        languages: Of the speakers that are taken, "en-us" and "zh".
    """

    split: str = "speakers"
    fold: int = 1
    languages: tuple[str, ...] = ("en-us", "zh")

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="esd",
        title="ESD",
        language="en-us",
        licence="ESD: research only, signed form",
        example="0011/Angry/0011_000351.wav",
        split="speakers of an EmoBox fold, or the published sentences",
        clips=35_000,
        speakers=20,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        if self.split not in ("speakers", "sentences"):
            raise ValueError(f'split of ESD must be "speakers" or "sentences"; got {self.split!r}.')
        check_fold(self.fold, len(FOLDS))
        unknown = set(self.languages) - {"en-us", "zh"}
        if unknown or not self.languages:
            raise ValueError(f"languages of ESD must be of en-us and zh; got {', '.join(self.languages) or 'none'}.")
        folder = CorpusFolder(root, self.facts)
        clips = folder.clips(PATTERN)
        texts = _transcripts(folder)
        rows = []
        for clip in clips:
            speaker, folder_emotion, number = clip.match["spk"], clip.match["emo"], int(clip.match["n"])
            block, sentence = divmod(number - 1, SENTENCES)
            if block >= len(EMOTIONS) or EMOTIONS[block] != folder_emotion:
                folder.problem(clip.path, f"has a number of another emotion than its folder {folder_emotion}.")
                continue
            if _language(speaker) not in self.languages:
                continue
            rows.append(
                SourceRow(
                    id=f"esd-{clip.match['id']}",
                    audio=clip.path,
                    corpus="esd",
                    speaker=speaker,
                    language=_language(speaker),
                    licence=self.facts.licence,
                    split=self._split(speaker, sentence + 1, clip.match["split"]),
                    text=texts.get(clip.match["id"]),
                    gender=None if speaker in UNCLEAR else "f" if speaker in WOMEN else "m",
                    raw_label=folder_emotion,
                    label=LABELS[folder_emotion],
                )
            )
        expected = {f"{k:04d}": [f"{k:04d}_{n:06d}.wav" for n in range(1, 1_751)] for k in range(1, 21)}
        expected = {name: clips for name, clips in expected.items() if _language(name) in self.languages}
        folder.report_missing(expected, (f"{clip.match['id']}.wav" for clip in clips), "speaker")
        return Listing(rows, folder.problems)

    def _split(self, speaker: str, sentence: int, folder: str | None) -> str:
        if self.split == "speakers":
            return fold_split(speaker, FOLDS, self.fold)
        if folder is not None:
            return {"train": "train", "evaluation": "valid", "test": "test"}[folder]
        return "valid" if sentence <= 20 else "test" if sentence <= 50 else "train"


def _language(speaker: str) -> str:
    return "zh" if speaker <= "0010" else "en-us"


def _transcripts(folder: CorpusFolder) -> dict[str, str]:
    """Return the text of each clip; the third column is not read, for some speakers it is in Chinese."""
    texts: dict[str, str] = {}
    for clip in folder.matching(TRANSCRIPT):
        speaker = clip.match["spk"]
        for number, line in enumerate(folder.text(clip.path, ENCODINGS).split("\n"), start=1):
            if not line.strip():
                continue
            cells = [cell.strip() for cell in (line.split("\t") if "\t" in line else line.split(None, 1))]
            if not cells[0].startswith(f"{speaker}_") or len(cells) < 2:
                raise ValueError(
                    f"{clip.path}, line {number}: expected id, text and label with tabs between; got {line[:60]!r}."
                )
            texts.setdefault(cells[0], cells[1])
    return texts
