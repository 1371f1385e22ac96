"""THAI-SER, acted Thai speech in a studio and over video calls, 3 to 8 raters a clip; VISTEC/AIS, release v1.

Each rater may tick several emotions; a rater's vote is shared among them. Labels are of one microphone of each room.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from emotts.data.corpora.ratings import Votes, soft_votes
from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import check_fold

VOTES: dict[str, str | None] = {
    "Neutral": "neutral", "Angry": "angry", "Happy": "happy", "Sad": "sad", "Frustrated": None,
}  # fmt: skip
DROPPED = ("None", "Other")  # what a rater ticks who hears no emotion of the five
CLEAR = 0.71  # share of the votes that makes a label
PATTERN = (
    r"(?P<name>(?P<room>[sz]\d{3})_(?P<mic>[a-z]+)_actor(?P<actor>\d{3})_(?P<sess>script|impro)[^/]*)\.(?:flac|wav)$"
)
LABELLED = {"s": "con", "z": "mic"}  # microphone of studio and video call that was rated
GENDERS = {"female": "f", "male": "m", "f": "f", "m": "m"}


@dataclass(frozen=True)
class THAISER:
    """Loader of THAI-SER.

    Attributes:
        fold: 1 to 10; fold k tests the studio's recordings 10k-9 to 10k (9 and 10: the calls), the first five of them validate.
        microphone: Of the studio, "con" or "clip"; calls have "mic".
    """

    fold: int = 1
    microphone: str = "con"

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="thaiser",
        title="THAI-SER",
        language="th",
        licence="CC BY-SA 4.0",
        example="studio001/con/s001_con_actor001_impro1_1.flac",
        split="ten recordings test, five of them validate (the published folds)",
        clips=27_854,
        speakers=200,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        check_fold(self.fold, 10)
        if self.microphone not in ("con", "clip"):
            raise ValueError(f'microphone of THAI-SER must be "con" or "clip"; got {self.microphone!r}.')
        folder = CorpusFolder(root, self.facts)
        clips = folder.clips(PATTERN)
        ratings = _ratings(folder)
        genders = _genders(folder)
        rows, heard = [], set()
        for clip in clips:
            room, microphone = clip.match["room"], clip.match["mic"]
            if microphone != ("mic" if room[0] == "z" else self.microphone):
                continue
            name = clip.match["name"]
            key = name.replace(f"{room}_{microphone}_", f"{room}_{LABELLED[room[0]]}_", 1)
            heard.add(key)
            if key not in ratings:
                folder.problem(clip.path, "has no votes in emotion_label.json.")
                continue
            counts = ratings[key]
            raw = _clear(counts)
            rows.append(
                SourceRow(
                    id=f"thaiser-{name}",
                    audio=clip.path,
                    corpus="thaiser",
                    speaker=f"actor{clip.match['actor']}",
                    language="th",
                    licence=self.facts.licence,
                    split=_split(room, self.fold),
                    gender=genders.get(clip.match["actor"]),
                    raw_label=raw,
                    label=VOTES.get(raw) if raw else None,
                    votes=soft_votes(counts, VOTES),
                )
            )
        bad = {Path(problem.place).stem for problem in folder.problems}
        for name in sorted(set(ratings) - heard - bad):
            folder.problem(name, "is missing.")
        return Listing(rows, folder.problems)


def _split(room: str, fold: int) -> str:
    number = int(room[1:])
    own = (number - 1) // 10 + (9 if room[0] == "z" else 1)
    if own != fold:
        return "train"
    return "valid" if (number - 1) % 10 < 5 else "test"


def _ratings(folder: CorpusFolder) -> dict[str, dict[str, float]]:
    """Return the votes of each clip by emotion, one per rater; None and Other are dropped."""
    path = folder.table(r"emotion_label\.json$", "emotion_label.json")
    values = folder.json(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path} must be an object of clips; got {type(values).__name__}.")
    votes, found = Votes(folder, VOTES), {}
    for name, entries in values.items():
        raters = _raters(entries)
        if raters is None:
            folder.problem(f"{path}, {name}", "has no list `annotated` with a list of emotions per rater.")
            continue
        counts: dict[str, float] = defaultdict(float)
        for ticked in raters:
            known = votes.known(f"{path}, {name}", (emotion for emotion in ticked if emotion not in DROPPED))
            for emotion in known:
                counts[emotion] += 1.0 / len(known)
        found[re.sub(r"\.(wav|flac)$", "", name)] = dict(counts)  # not strip(), which eats letters of the name
    return found


def _raters(entries: Any) -> list[list[str]] | None:
    entry = entries[0] if isinstance(entries, list) and entries else entries
    annotated = entry.get("annotated") if isinstance(entry, dict) else None
    if not isinstance(annotated, list) or not all(isinstance(ticked, list) for ticked in annotated):
        return None
    return [[str(emotion) for emotion in ticked] for ticked in annotated]


def _clear(counts: Mapping[str, float]) -> str | None:
    """Return the emotion of a large majority, None otherwise."""
    total = sum(counts.values())
    best = [name for name, count in counts.items() if total and count / total >= CLEAR]
    return best[0] if len(best) == 1 else None


def _genders(folder: CorpusFolder) -> dict[str, str]:
    """Return the gender of each actor by the three digits of the number."""
    for clip in folder.matching(r"actor_demography\.json$")[:1]:
        entries = folder.json(clip.path)
        people = entries.get("data", []) if isinstance(entries, dict) else []
        found = {}
        for number, person in enumerate(people, start=1):
            sex = str(person.get("Sex", "")).strip().lower() if isinstance(person, dict) else ""
            if sex in GENDERS:
                found[re.sub(r"\D", "", str(person.get("Actor's ID", ""))).zfill(3)] = GENDERS[sex]
            else:
                folder.problem(f"{clip.path}, person {number}", 'has no "Sex" such as Female.')
        return found
    return {}
