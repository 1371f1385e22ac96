"""IEMOCAP, dyads of actors: Busso et al. (2008), Language Resources and Evaluation 42. Labels, votes and A, V, D per utterance.

The speaker is the letter after the last underscore of an utterance, not the one after the session: that one wore the markers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.ratings import Votes, check_polarity, scale
from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import check_fold, fold_split

CODES: dict[str, str | None] = {
    "neu": "neutral", "hap": "happy", "sad": "sad", "ang": "angry", "sur": "surprised", "fea": "fearful", "dis": "disgusted",
    "exc": "excited", "fru": None, "oth": None, "xxx": None,
}  # fmt: skip
VOTES: dict[str, str | None] = {
    "Neutral": "neutral", "Happiness": "happy", "Sadness": "sad", "Anger": "angry", "Surprise": "surprised", "Fear": "fearful",
    "Disgust": "disgusted", "Excited": "excited", "Frustration": None, "Other": None,
}  # fmt: skip
UTTERANCE = r"Ses(?P<ses>0[1-5])[FM]_(?:impro\d{2}[ab]?|script\d{2}_\d[ab]?)_(?P<spk>[FM])\d{3}"
PATTERN = rf"Session[1-5]/sentences/wav/[^/]+/(?P<name>{UTTERANCE})\.wav$"
LABELS = r"Session[1-5]/dialog/EmoEvaluation/Ses[^/]+\.txt$"  # those below Categorical, Attribute and Self-evaluation have no means
TRANSCRIPTS = r"Session[1-5]/dialog/transcriptions/Ses[^/]+\.txt$"
LINE = re.compile(r"^\[(\d+\.\d+) - (\d+\.\d+)\]\t(\w+)\t(\w{3})\t\[(\d+\.\d+), (\d+\.\d+), (\d+\.\d+)\]")
RATER = re.compile(r"^C-E\d+:\t([^\t(]*)")  # C-F1 and C-M1 are the actors' own
SPOKEN = re.compile(r"^(Ses0[1-5][MF]_\S+) \[\d+\.\d+-\d+\.\d+\]:\s*(.*)$")
OTHER_SPEECH = re.compile(r"^[A-Z]+:")  # "F: (short turn)", which has no clip
NOISES = re.compile(r"\[[A-Z]+\]\s*")  # [LAUGHTER], [BREATHING]
FOLDS = tuple((f"0{session}",) for session in range(1, 6))


@dataclass
class _Label:
    code: str
    valence: str
    arousal: str
    dominance: str
    votes: dict[str, float] = field(default_factory=lambda: defaultdict(float))


@dataclass(frozen=True)
class IEMOCAP:
    """Loader of IEMOCAP.

    Attributes:
        fold: 1 to 5, the session that tests; the next one validates.
    """

    fold: int = 5

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="iemocap",
        title="IEMOCAP",
        language="en-us",
        licence="IEMOCAP: USC release form, non-commercial",
        example="Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
        split="a session tests, the next one validates (as in EmoBox); scripted text repeats across sessions",
        clips=10_039,
        speakers=10,
    )

    def read(self, root: Path) -> Listing:
        """List the utterances; errors are those of `Corpus.read`."""
        check_fold(self.fold, len(FOLDS))
        folder = CorpusFolder(root, self.facts)
        clips = folder.clips(PATTERN)
        labels, texts = _labels(folder), _texts(folder)
        votes, rows = Votes(folder, VOTES), []
        for clip in clips:
            name, label = clip.match["name"], labels.get(clip.match["name"])
            if label is None:
                folder.problem(clip.path, "has no line in dialog/EmoEvaluation.")
                continue
            rows.append(
                SourceRow(
                    id=f"iemocap-{name}",
                    audio=clip.path,
                    corpus="iemocap",
                    speaker=f"Ses{clip.match['ses']}{clip.match['spk']}",
                    language="en-us",
                    licence=self.facts.licence,
                    split=fold_split(clip.match["ses"], FOLDS, self.fold),
                    text=texts.get(name),
                    gender=clip.match["spk"].lower(),
                    raw_label=label.code,
                    label=CODES.get(label.code),
                    votes=votes.shares(clip.path, label.votes),
                    arousal=scale(label.arousal, 1, 5),
                    valence=scale(label.valence, 1, 5),
                    dominance=scale(label.dominance, 1, 5),
                )
            )
        sessions: dict[str, list[str]] = {f"{k}": [] for k in range(1, 6)}
        for name in labels:
            sessions[name[4]].append(f"{name}.wav")
        folder.report_missing(sessions, (f"{clip.match['name']}.wav" for clip in clips), "session")
        check_polarity(self.facts.title, rows)
        return Listing(rows, folder.problems)


def _labels(folder: CorpusFolder) -> dict[str, _Label]:
    """Return label, means and votes of each utterance; in the file the means stand as valence, activation, dominance."""
    found: dict[str, _Label] = {}
    for clip in folder.matching(LABELS):
        current: _Label | None = None
        for number, line in enumerate(folder.text(clip.path, ("utf-8-sig", "cp1252")).split("\n"), start=1):
            match = LINE.match(line)
            if match:
                current = _Label(match[4], match[5], match[6], match[7])
                found[match[3]] = current
            elif line.strip() and not line.startswith(("%", "C-", "A-")):
                current = None
                folder.problem(
                    f"{clip.path}, line {number}",
                    "is no label line: expected [start - end], id, code, [v, a, d] with tabs.",
                )
            elif current is not None and (rater := RATER.match(line)):
                names = [name.strip() for name in rater[1].split(";") if name.strip()]
                for name in names:
                    current.votes[name] += 1.0 / len(names)
    if not found:
        raise FileNotFoundError(
            f"IEMOCAP: no labels below {str(folder.root)!r}. Example: Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
        )
    return found


def _texts(folder: CorpusFolder) -> dict[str, str]:
    texts = {}
    for clip in folder.matching(TRANSCRIPTS):
        for number, line in enumerate(folder.text(clip.path, ("utf-8-sig", "cp1252")).split("\n"), start=1):
            match = SPOKEN.match(line)
            text = NOISES.sub("", match[2]).strip() if match else ""
            if match and text:
                texts[match[1]] = text
            elif line.strip() and not match and not OTHER_SPEECH.match(line):
                folder.problem(
                    f"{clip.path}, line {number}", "is no line such as 'Ses01F_impro01_F000 [0.1-1.2]: Text'."
                )
    return texts
