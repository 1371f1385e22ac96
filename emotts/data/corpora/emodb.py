"""EmoDB, the Berlin database of emotional speech: Burkhardt et al. (2005), Interspeech. German; the file name says everything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import check_fold, fold_split

EMOTIONS = {  # German initials
    "W": ("anger", "angry"), "L": ("boredom", "bored"), "E": ("disgust", "disgusted"), "A": ("anxiety", "fearful"),
    "F": ("happiness", "happy"), "T": ("sadness", "sad"), "N": ("neutral", "neutral"),
}  # fmt: skip
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
WOMEN = ("08", "09", "13", "14", "16")
PATTERN = r"(?P<name>(?P<spk>03|08|09|1[0-6])(?P<text>[ab]\d{2})(?P<emo>[WLEAFTN])(?P<take>[a-z]))\.wav$"
FOLDS = (("03", "08"), ("10", "09"), ("11", "13"), ("12", "14"), ("15", "16"))  # a man and a woman each
COUNTS = {"W": 127, "L": 81, "E": 46, "A": 69, "F": 71, "T": 62, "N": 79}


@dataclass(frozen=True)
class EmoDB:
    """Loader of EmoDB, versions 1 and 2.

    Attributes:
        fold: 1 to 5; a man and a woman test. The folds of EmoBox share speakers and are not used.
    """

    fold: int = 1

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="emodb",
        title="EmoDB",
        language="de",
        licence="CC BY 4.0 (version 2.0)",
        example="wav/03a01Wa.wav",
        split="a man and a woman test; the ten sentences are in all splits",
        clips=535,
        speakers=10,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        check_fold(self.fold, len(FOLDS))
        folder = CorpusFolder(root, self.facts)
        rows = []
        for clip in folder.clips(PATTERN):
            raw, label = EMOTIONS[clip.match["emo"]]
            rows.append(
                SourceRow(
                    id=f"emodb-{clip.match['name']}",
                    audio=clip.path,
                    corpus="emodb",
                    speaker=clip.match["spk"],
                    language="de",
                    licence=self.facts.licence,
                    split=fold_split(clip.match["spk"], FOLDS, self.fold),
                    text=SENTENCES.get(clip.match["text"]),
                    gender="f" if clip.match["spk"] in WOMEN else "m",
                    raw_label=raw,
                    label=label,
                )
            )
        notes = []
        for letter, count in COUNTS.items():
            n = sum(row.raw_label == EMOTIONS[letter][0] for row in rows)
            if n != count:
                notes.append(f"{EMOTIONS[letter][0]}: {n} of {count} clips")
        return Listing(rows, folder.problems, notes)
