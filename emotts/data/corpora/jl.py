"""JL-Corpus: James, Tian & Watson (2018), Interspeech. New Zealand English, five primary and five secondary emotions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import check_fold, fold_split

EMOTIONS: dict[str, str | None] = {
    "angry": "angry", "happy": "happy", "sad": "sad", "neutral": "neutral", "excited": "excited",
    "anxious": None, "apologetic": None, "assertive": None, "concerned": None, "encouraging": None,
}  # fmt: skip
PATTERN = r"(?P<name>(?P<spk>(?P<g>female|male)[12])_(?P<emo>[a-z]+)_(?P<sent>\d{1,2}[ab])_(?P<rep>[12]))\.wav$"
FOLDS = (("male2",), ("female1",), ("male1",), ("female2",))  # EmoBox


@dataclass(frozen=True)
class JLCorpus:
    """Loader of the JL-Corpus.

    Attributes:
        fold: 1 to 4, the speaker that tests; the next one validates.
    """

    fold: int = 1

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="jl",
        title="JL-Corpus",
        language="en-nz",
        licence="JL-Corpus: CC0 or ODC-BY (sources disagree)",
        example="Raw JL corpus (unchecked and unannotated)/JL(wav+txt)/female1_apologetic_15b_2.wav",
        split="a speaker tests (as in EmoBox), the next one validates; sentences are in all splits",
        clips=2_400,
        speakers=4,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        check_fold(self.fold, len(FOLDS))
        folder = CorpusFolder(root, self.facts)
        clips = folder.clips(PATTERN)
        rows = []
        for clip in clips:
            speaker, emotion = clip.match["spk"], clip.match["emo"]
            if emotion not in EMOTIONS:
                folder.problem(clip.path, f"names the emotion {emotion!r}; expected one of {', '.join(EMOTIONS)}.")
                continue
            rows.append(
                SourceRow(
                    id=f"jl-{clip.match['name']}",
                    audio=clip.path,
                    corpus="jl",
                    speaker=speaker,
                    language="en-nz",
                    licence=self.facts.licence,
                    split=fold_split(speaker, FOLDS, self.fold),
                    text=folder.first_line(f"{clip.path.removesuffix('.wav')}.txt"),
                    gender=clip.match["g"][0],
                    raw_label=emotion,
                    label=EMOTIONS[emotion],
                )
            )
        sentences = [f"{n}{half}" for n in range(1, 16) for half in "ab"]
        groups = {
            speaker: [f"{speaker}_{'_'.join(part)}.wav" for part in product(EMOTIONS, sentences, "12")]
            for (speaker,) in FOLDS
        }
        folder.report_missing(groups, (f"{clip.match['name']}.wav" for clip in clips), "speaker")
        return Listing(rows, folder.problems)
