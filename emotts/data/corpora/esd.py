"""ESD, parallel emotional speech in English and Mandarin: Zhou et al. (2022), Speech Communication 137.

The number of a file says its emotion and its sentence; sentences are shared by all speakers of a language and all emotions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import ClassVar

from emotts.audio import extract_f0, load_audio
from emotts.data.corpora.reading import Clip, CorpusFolder, WrongLines
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
LINE = re.compile(r"(00\d\d_\d{6})(\s.*)$")  # of some speakers there are spaces in place of tabs
WORDS = (*EMOTIONS, "中立", "生气", "快乐", "伤心", "惊喜")  # the third column; for some speakers it is in Chinese
ENCODINGS = ("utf-8-sig", "gb18030", "utf-16")  # transcripts are not in one
FOLDS = (  # EmoBox, test speakers
    ("0005", "0011", "0016", "0018"), ("0012", "0014", "0015", "0019"), ("0003", "0004", "0006", "0009"),
    ("0007", "0008", "0013", "0020"), ("0001", "0002", "0010", "0017"),
)  # fmt: skip
WOMEN = ("0001", "0002", "0003", "0007", "0009", "0015", "0016", "0017", "0018")
UNCLEAR = ("0012", "0019")  # sources disagree on their gender, so their pitch decides
N_HEARD = 8  # neutral clips of each
WOMAN_F0 = 160.0  # Hz; men's median lies at 85 to 155, women's at 165 to 255


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
        heard = _genders_heard(folder, clips)
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
                    gender=heard.get(speaker) if speaker in UNCLEAR else "f" if speaker in WOMEN else "m",
                    raw_label=folder_emotion,
                    label=LABELS[folder_emotion],
                )
            )
        expected = {f"{k:04d}": [f"{k:04d}_{n:06d}.wav" for n in range(1, 1_751)] for k in range(1, 21)}
        expected = {name: clips for name, clips in expected.items() if _language(name) in self.languages}
        folder.report_missing(expected, (f"{clip.match['id']}.wav" for clip in clips), "speaker")
        published = None if len(self.languages) == 2 else (17_500, 10)
        return Listing(rows, folder.problems, published=published)

    def _split(self, speaker: str, sentence: int, folder: str | None) -> str:
        if self.split == "speakers":
            return fold_split(speaker, FOLDS, self.fold)
        if folder is not None:
            return {"train": "train", "evaluation": "valid", "test": "test"}[folder]
        return "valid" if sentence <= 20 else "test" if sentence <= 50 else "train"


def _language(speaker: str) -> str:
    return "zh" if speaker <= "0010" else "en-us"


def _genders_heard(folder: CorpusFolder, clips: list[Clip]) -> dict[str, str]:
    """Return the gender of the unclear speakers by the median F0 of some neutral clips."""
    found = {}
    for speaker in UNCLEAR:
        pitches: list[float] = []
        paths = [clip.path for clip in clips if clip.match["spk"] == speaker and clip.match["emo"] == "Neutral"]
        for path in paths[:N_HEARD]:
            try:
                f0 = extract_f0(load_audio(folder.root / path))
            except (ValueError, OSError):
                continue  # named when it is prepared
            pitches += f0[f0 > 0].tolist()
        if pitches:
            found[speaker] = "f" if median(pitches) > WOMAN_F0 else "m"
    return found


def _transcripts(folder: CorpusFolder) -> dict[str, str]:
    """Return the text of each clip."""
    texts: dict[str, str] = {}
    for clip in folder.matching(TRANSCRIPT):
        speaker = clip.match["spk"]
        wrong, n_before = WrongLines(folder, clip.path, "id, text and label with tabs between"), len(texts)
        for number, line in enumerate(folder.text(clip.path, ENCODINGS).split("\n"), start=1):
            match = LINE.match(line.strip())
            text = _without_label(match[2]) if match is not None else ""
            if match is not None and text and match[1].startswith(f"{speaker}_"):
                texts.setdefault(match[1], text)
            elif line.strip():
                wrong.add(number, f"must have {wrong.expected}; got {line[:60]!r}.", line)
        wrong.check(len(texts) - n_before)
    return texts


def _without_label(rest: str) -> str:
    """Return the text of what follows the id, "" if there is none; the label is not read.

    Where there is a tab, columns end at tabs, and a last word such as "Happy" is of the text.
    """
    first, *others = (cell.strip() for cell in rest.split("\t"))
    if others:
        return first or others[0]
    text, _, last = first.rpartition(" ")
    return text.strip() if last in WORDS else first
