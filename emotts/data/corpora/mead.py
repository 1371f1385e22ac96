"""MEAD, the audio part: Wang et al. (2020), ECCV. Eight emotions at three levels; sentences come without transcripts.

The published audio is AAC: it needs ffmpeg, or wav files of the same names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import Clip, CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import check_fold, fold_split

EMOTIONS = {
    "angry": "angry", "contempt": "contempt", "disgusted": "disgusted", "fear": "fearful", "happy": "happy",
    "neutral": "neutral", "sad": "sad", "surprised": "surprised",
}  # fmt: skip
LEVELS = {"1": 0.33, "2": 0.67, "3": 1.0}
PATTERN = (
    r"(?P<spk>[MW]\d{3})/audio/(?P<emo>angry|contempt|disgusted|fear|happy|neutral|sad|surprised)/"
    r"level_(?P<lvl>[123])/(?P<n>\d{3})\.(?P<kind>m4a|wav|flac)$"
)
N_FOLDS = 5
LAST = {"neutral": 10, "others": 6}  # sentences that test
SPEAKERS = (  # those that can be downloaded, by the file list of EmoBox
    "M003", "M005", "M007", "M009", "M011", "M012", "M013", "M019", "M022", "M023", "M024", "M025", "M026", "M027", "M028",
    "M029", "M030", "M031", "M032", "M033", "M034", "M035", "M037", "M039", "M040", "M041", "M042",
    "W009", "W011", "W014", "W015", "W016", "W017", "W018", "W019", "W021", "W023", "W024", "W025", "W026", "W028", "W029",
    "W033", "W035", "W036", "W037", "W038", "W040",
)  # fmt: skip


@dataclass(frozen=True)
class MEAD:
    """Loader of the audio of MEAD.

    Attributes:
        split: "speakers", or "sentences" for the authors' test part: the last 10 neutral, the last 6 of other emotions and levels.
            Those before them, half as many, validate; the authors have no such part.
        fold: 1 to 5, for split "speakers"; numbers alike after division by 5 test. EmoBox has all speakers in both parts.
    """

    split: str = "speakers"
    fold: int = 1

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="mead",
        title="MEAD",
        language="en-us",
        licence="MEAD: terms of use, research only",
        example="M003/audio/angry/level_1/001.m4a",
        split="speakers by their numbers, or the authors' last sentences with those before them to validate",
        clips=31_729,
        speakers=48,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        if self.split not in ("speakers", "sentences"):
            raise ValueError(f'split of MEAD must be "speakers" or "sentences"; got {self.split!r}.')
        check_fold(self.fold, N_FOLDS)
        folder = CorpusFolder(root, self.facts)
        clips = _converted_first(folder.clips(PATTERN))
        speakers = sorted({clip.match["spk"] for clip in clips})
        folds = [[name for name in speakers if int(name[1:]) % N_FOLDS == k] for k in range(N_FOLDS)]
        splits = _sentence_splits(clips)
        rows = []
        for clip in clips:
            speaker, emotion, level = clip.match["spk"], clip.match["emo"], clip.match["lvl"]
            if emotion == "neutral" and level != "1":
                folder.problem(clip.path, "is neutral; it exists at level_1 only.")
                continue
            rows.append(
                SourceRow(
                    id=f"mead-{speaker}-{emotion}-{level}-{clip.match['n']}",
                    audio=clip.path,
                    corpus="mead",
                    speaker=speaker,
                    language="en-us",
                    licence=self.facts.licence,
                    split=splits[clip.path] if self.split == "sentences" else fold_split(speaker, folds, self.fold),
                    gender="m" if speaker[0] == "M" else "f",
                    raw_label=emotion,
                    label=EMOTIONS[emotion],
                    intensity=0.0 if emotion == "neutral" else LEVELS[level],
                )
            )
        for speaker in sorted(set(SPEAKERS) - set(speakers)):
            folder.problem(f"speaker {speaker}", "is missing with all clips.")
        return Listing(rows, folder.problems)


def _converted_first(clips: list[Clip]) -> list[Clip]:
    """Return one file of each clip, converted before m4a."""
    found: dict[str, Clip] = {}
    for clip in sorted(clips, key=lambda clip: (clip.match["kind"] == "m4a", clip.path)):
        found.setdefault(clip.match.group().rpartition(".")[0], clip)
    return sorted(found.values(), key=lambda clip: clip.path)


def _sentence_splits(clips: list[Clip]) -> dict[str, str]:
    """Return the split of each path: of each speaker, emotion and level the last sentences test, half as many before validate."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for clip in clips:
        groups.setdefault((clip.match["spk"], clip.match["emo"], clip.match["lvl"]), []).append(clip.path)
    splits = {}
    for key, paths in groups.items():
        n_test = LAST.get(key[1], LAST["others"])
        n_valid = min(n_test, max(0, len(paths) - n_test)) // 2
        for place, path in enumerate(sorted(paths, reverse=True)):
            splits[path] = "test" if place < n_test else "valid" if place < n_test + n_valid else "train"
    return splits
