"""MSP-IMPROV: Busso et al. (2017), IEEE Transactions on Affective Computing 8(1). Dyads of actors; one text file holds all ratings.

The letter in a file name is the emotion that the scene was written for; what was heard stands in Evaluation.txt.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.ratings import Votes, check_polarity, scale, soft_votes, wrong_polarity
from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import check_fold, fold_split

CODES: dict[str, str | None] = {"A": "angry", "H": "happy", "S": "sad", "N": "neutral", "O": None, "X": None}
PATTERN = r"(?P<name>MSP-IMPROV-S\d{2}[AHNS]-(?P<spk>[FM]0(?P<session>[1-6]))-(?P<type>[PRST])-[FM][FM]\d{2})\.wav$"
TABLE = r"Evalu?a?tion\.txt$"  # some releases spell it Evalution.txt
NUMBER = r"(\d+(?:\.\d+)?|NaN)"
LINE = re.compile(
    rf"^UTD-(IMPROV-[A-Z0-9-]+)\.avi;\s*([A-Z]);\s*A:{NUMBER}\s*;\s*V:{NUMBER}\s*;\s*D:{NUMBER}\s*;\s*N:{NUMBER}\s*;"
)
RATER = re.compile(r"^[^;]+;\s*([A-Z])[a-z]*")
FOLDS = tuple((str(session),) for session in range(1, 7))


@dataclass
class _Rating:
    code: str
    arousal: str
    valence: str
    dominance: str
    votes: dict[str, float] = field(default_factory=lambda: defaultdict(float))


@dataclass(frozen=True)
class MSPImprov:
    """Loader of MSP-IMPROV.

    Attributes:
        fold: 1 to 6, the session that tests; the next one validates.
    """

    fold: int = 1

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="msp_improv",
        title="MSP-IMPROV",
        language="en-us",
        licence="MSP-IMPROV: academic licence of UT Dallas",
        example="session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav",
        split="a session tests, the next one validates; the 20 target sentences are in all sessions",
        clips=8_438,
        speakers=12,
    )

    def read(self, root: Path) -> Listing:
        """List the turns; errors are those of `Corpus.read`."""
        check_fold(self.fold, len(FOLDS))
        folder = CorpusFolder(root, self.facts)
        clips = folder.clips(PATTERN)
        ratings = _ratings(folder)
        transcripts = {clip.match["name"]: clip.path for clip in folder.matching(PATTERN.replace(".wav", ".txt"))}
        rows = []
        for clip in clips:
            name, rating = clip.match["name"], ratings.get(clip.match["name"])
            if rating is None:
                folder.problem(clip.path, "has no line in Evaluation.txt.")
                continue
            rows.append(
                SourceRow(
                    id=name,
                    audio=clip.path,
                    corpus="msp_improv",
                    speaker=clip.match["spk"],
                    language="en-us",
                    licence=self.facts.licence,
                    split=fold_split(clip.match["session"], FOLDS, self.fold),
                    text=folder.first_line(transcripts[name]) if name in transcripts else None,
                    gender=clip.match["spk"][0].lower(),
                    raw_label=rating.code,
                    label=CODES.get(rating.code),
                    votes=soft_votes(rating.votes, CODES),
                    arousal=scale(rating.arousal, 1, 5),
                    valence=scale(rating.valence, 1, 5),
                    dominance=scale(rating.dominance, 1, 5),
                )
            )
        present = {clip.match["name"] for clip in clips}
        bad = {Path(problem.place).stem for problem in folder.problems}
        for name in sorted(set(ratings) - present - bad):
            folder.problem(f"{name}.wav", "is missing.")
        rows, notes = _with_arousal_up(rows)
        check_polarity(self.facts.title, rows)
        return Listing(rows, folder.problems, notes)


def _with_arousal_up(rows: list[SourceRow]) -> tuple[list[SourceRow], list[str]]:
    """Turn arousal around if the release has the original sheet, which runs from excited to calm."""
    if wrong_polarity(rows) != ["arousal"]:
        return rows, []
    turned = [row if row.arousal is None else replace(row, arousal=-row.arousal) for row in rows]
    return turned, ["arousal was turned around: this release runs from excited to calm"]


def _ratings(folder: CorpusFolder) -> dict[str, _Rating]:
    """Return means and votes of each turn; raters follow their turn up to an empty line."""
    path = folder.table(TABLE, "Evaluation.txt")
    found: dict[str, _Rating] = {}
    current: _Rating | None = None
    words = Votes(folder, CODES)
    is_first = True  # of the lines about a turn
    for number, line in enumerate(folder.text(path, ("utf-8-sig", "cp1252")).split("\n"), start=1):
        match = LINE.match(line)
        if match:
            current = _Rating(match[2], match[3], match[4], match[5])
            found[f"MSP-{match[1]}"] = current
        elif line.strip() and (is_first or line.startswith("UTD-")):
            current = None
            folder.problem(
                f"{path}, line {number}", "is no label line: expected name.avi; code; A:, V:, D:, N: in this order."
            )
        elif current is not None and (rater := RATER.match(line)):
            for letter in words.known(f"{path}, line {number}", (rater[1],)):
                current.votes[letter] += 1.0
        elif current is not None and line.strip():
            folder.problem(f"{path}, line {number}", "is no rating: expected rater; emotion; and A:, V:, D:.")
        is_first = not line.strip()
    if not found:
        raise ValueError(
            f"{path}: no label line such as 'UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:2.4; V:3.0; D:3.0 ; N:4.0;'."
        )
    return found
