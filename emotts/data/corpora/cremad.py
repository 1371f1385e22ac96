"""CREMA-D, 91 actors heard by thousands of raters: Cao et al. (2014), IEEE Transactions on Affective Computing 5(4).

The voice alone is heard as the actor meant it in only 41.6 % of the clips, so the target is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.ratings import plurality, scale, soft_votes
from emotts.data.corpora.reading import CorpusFolder, WrongLines
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import check_fold, every_nth, fold_split

SENTENCES = {
    "IEO": "It's eleven o'clock.", "TIE": "That is exactly what happened.", "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.", "TAI": "The airplane is almost full.", "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.", "ITH": "I think I have a doctor's appointment.", "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.", "TSI": "The surface is slick.", "WSI": "We'll stop in a couple of minutes.",
}  # fmt: skip
EMOTIONS = {"ANG": "angry", "DIS": "disgusted", "FEA": "fearful", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
LETTERS = {"A": "angry", "D": "disgusted", "F": "fearful", "H": "happy", "N": "neutral", "S": "sad"}
MEANS = {
    "angry": "Anger",
    "disgusted": "Disgust",
    "fearful": "Fear",
    "happy": "Happy",
    "neutral": "Neutral",
    "sad": "Sad",
}
LEVELS = {"LO": 0.33, "MD": 0.67, "HI": 1.0}  # X and XX are unspecified
PATTERN = (
    r"(?P<name>(?P<actor>1\d{3})_(?P<sent>IEO|TIE|IOM|IWW|TAI|MTI|IWL|ITH|DFA|ITS|TSI|WSI)_"
    r"(?P<emo>ANG|DIS|FEA|HAP|NEU|SAD)_(?P<lvl>LO|MD|HI|XX|X))\.wav$"
)
TARGETS = ("acted", "acted_agreed", "voice_majority", "voice_votes")
VOICE_ONLY = 1  # the presentation mode in the first column of the votes; 2 is the face, 3 both
FOLDS = every_nth([str(actor) for actor in range(1001, 1092)], 5)
SILENT = ("1076_MTI_SAD_XX",)  # by the readme of the corpus, as what follows
HEARD_BROKEN = ("1076_MTI_NEU_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD")  # their mp3 was when they were rated: no votes


@dataclass(frozen=True)
class CREMAD:
    """Loader of CREMA-D.

    Attributes:
        target: "voice_votes" gives the shares of the raters who heard the voice alone, "voice_majority" their plurality as label;
            "acted" what the actor meant; "acted_agreed" the same, weighted by the share of the raters who heard it.
        fold: 1 to 5; every fifth actor tests. The fold of EmoBox has all actors in both parts and is not used.
    """

    target: str = "voice_votes"
    fold: int = 1

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="cremad",
        title="CREMA-D",
        language="en-us",
        licence="ODbL 1.0 (database), DbCL 1.0 (contents)",
        example="AudioWAV/1001_IEO_ANG_HI.wav",
        split="every fifth actor; the 12 sentences are in all splits",
        clips=7_442,
        speakers=91,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        if self.target not in TARGETS:
            raise ValueError(f"target of CREMA-D must be one of {', '.join(TARGETS)}; got {self.target!r}.")
        check_fold(self.fold, len(FOLDS))
        folder = CorpusFolder(root, self.facts)
        clips = folder.clips(PATTERN)
        ratings = {} if self.target == "acted" else _voice_ratings(folder)
        genders = _genders(folder)
        rows = []
        for clip in clips:
            name, actor = clip.match["name"], clip.match["actor"]
            if name in SILENT:
                folder.problem(clip.path, "is silent in the published corpus.")
                continue
            if self.target != "acted" and name not in ratings and name not in HEARD_BROKEN:
                folder.problem(clip.path, "has no voice-only votes in tabulatedVotes.csv.")
                continue
            label, intensity, votes = self._emotion(clip.match["emo"], clip.match["lvl"], ratings.get(name))
            rows.append(
                SourceRow(
                    id=f"cremad-{name}",
                    audio=clip.path,
                    corpus="cremad",
                    speaker=actor,
                    language="en-us",
                    licence=self.facts.licence,
                    split=fold_split(actor, FOLDS, self.fold),
                    text=SENTENCES[clip.match["sent"]],
                    gender=genders.get(actor),
                    raw_label=clip.match["emo"],
                    label=label,
                    intensity=intensity,
                    votes=votes,
                )
            )
        groups: dict[str, list[str]] = {}
        for name in _published(folder):
            groups.setdefault(name[:4], []).append(f"{name}.wav")
        folder.report_missing(groups, (f"{clip.match['name']}.wav" for clip in clips), "actor")
        return Listing(rows, folder.problems)

    def _emotion(
        self, emotion: str, level: str, rating: Mapping[str, str] | None
    ) -> tuple[str | None, float | None, dict[str, float] | None]:
        """Return label, intensity and votes of a clip as `target` wants them."""
        acted = EMOTIONS[emotion]
        if rating is None:  # not asked for, or not to be believed
            return None if self.target == "voice_majority" else acted, LEVELS.get(level), None
        counts = {letter: float(rating[letter]) for letter in LETTERS}
        total, winner = sum(counts.values()), plurality(counts)  # None is a tie
        heard = LETTERS[winner] if winner else None
        if self.target == "voice_majority":
            return heard, _rated_strength(rating, heard), None
        strengths = (LEVELS.get(level), *(_rated_strength(rating, label) for label in (acted, heard)))
        intensity = next((strength for strength in strengths if strength is not None), None)
        if self.target == "voice_votes":
            return acted, intensity, soft_votes(counts, LETTERS)
        agreement = sum(count for letter, count in counts.items() if LETTERS[letter] == acted) / max(total, 1.0)
        return (acted, intensity, {acted: round(agreement, 6)}) if agreement else (None, None, None)  # nobody heard it


def _rated_strength(rating: Mapping[str, str], label: str | None) -> float | None:
    """Return the mean rated strength of an emotion, 0 to 1; -1 in the table says that nobody chose it, neutral has none."""
    if label in (None, "neutral"):
        return None
    value = scale(rating[f"mean{MEANS[label]}Resp"], -100, 100)
    return value if value is not None and value >= 0.0 else None


def _voice_ratings(folder: CorpusFolder) -> dict[str, dict[str, str]]:
    """Return the rows of the votes for the voice alone by clip; the first column, which has no name, says the mode."""
    path = folder.table(
        r"processedResults/tabulatedVotes\.csv$",
        "processedResults/tabulatedVotes.csv with the votes (or set corpus.target=acted)",
    )
    columns = [*LETTERS, "fileName", "numResponses", *(f"mean{name}Resp" for name in MEANS.values())]
    found: dict[str, dict[str, str]] = {}
    wrong, n_right = WrongLines(folder, path, "a key and whole numbers of votes in A, D, F, H, N, S"), 0
    for line, cells in folder.records(path, columns):
        key = cells.get("", "")
        if not key.isdecimal() or not all(cells[letter].isdecimal() for letter in LETTERS):
            wrong.add(line, f"must have {wrong.expected}; got {key[:20]!r}.", ",".join(cells.values()))
            continue
        n_right += 1
        if int(key) // 100_000 == VOICE_ONLY and cells["fileName"] not in HEARD_BROKEN:
            found[cells["fileName"]] = cells
    wrong.check(n_right)
    return found


def _genders(folder: CorpusFolder) -> dict[str, str]:
    tables = folder.matching(r"VideoDemographics\.csv$")
    if not tables:
        return {}
    records = folder.records(tables[0].path, ["ActorID", "Sex"])
    return {cells["ActorID"]: cells["Sex"][:1].lower() for _, cells in records if cells["Sex"] in ("Male", "Female")}


def _published(folder: CorpusFolder) -> list[str]:
    """Return the names of all clips where the list of them lies in the folder."""
    tables = folder.matching(r"SentenceFilenames\.csv$")
    if not tables:
        return []
    return [cells["Filename"] for _, cells in folder.records(tables[0].path, ["Stimulus_Number", "Filename"])]
