"""EmotionTalk, Mandarin dialogues: BAAI (2025), Hugging Face BAAI/Emotiontalk. Unpack audio/*.tar and Text/*.tar side by side.

Each utterance has a JSON per modality; the label is that of the audio. Valence is the sentiment, -2 to 2, where it was given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from emotts.data.corpora.ratings import Votes, scale
from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import ranked_split

EMOTIONS: dict[str, str | None] = {
    "neutral": "neutral", "happy": "happy", "surprised": "surprised", "angry": "angry", "sad": "sad", "disgusted": "disgusted",
    "fearful": "fearful",
}  # fmt: skip
NAME = r"(?P<name>(?P<dlg>G\d{5})_\d{2}_\d{2}_\d{3})"
# as published; the other recordings train
HELD_OUT = {"G00001": "valid", "G00012": "valid", "G00003": "test", "G00015": "test"}
CONTINUOUS = "Continuous label_result"
MARKUP = re.compile(
    r"\[/?(?:over/?|interrupted|laughing|sobbing|obbing|crying|screaming)\]"
)  # obbing is a misprint of the corpus


@dataclass(frozen=True)
class EmotionTalk:
    """Loader of EmotionTalk.

    Attributes:
        split: "published", where two recordings validate and two test (1,908 and 1,929 clips): their six speakers do not train,
            but two of them are in both parts; or "speakers", which puts no speaker into two parts.
    """

    split: str = "published"

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="emotiontalk",
        title="EmotionTalk",
        language="zh",
        licence="CC BY-NC-SA 4.0",
        example="audio/G00009/G00009_42/G00009_42_14/G00009_42_14_024.wav",
        split="the published recordings: six speakers are held out, two of them both validate and test; or by speakers",
        clips=19_250,
        speakers=19,
        is_speaker_disjoint=False,
    )

    def read(self, root: Path) -> Listing:
        """List the utterances; errors are those of `Corpus.read`."""
        if self.split not in ("published", "speakers"):
            raise ValueError(f'split of EmotionTalk must be "published" or "speakers"; got {self.split!r}.')
        folder = CorpusFolder(root, self.facts)
        clips = folder.clips(rf"{NAME}\.wav$")
        labels = _labels(folder)
        entries = {}
        for clip in clips:
            name = clip.match["name"]
            entry = folder.json_beside(labels[name][0]) if name in labels else None
            if entry is None or "speaker_id" not in entry or "emotion_result" not in entry:
                folder.problem(clip.path, "has no JSON of the audio with speaker_id and emotion_result.")
                continue
            entries[name] = entry
        by_speaker = ranked_split(_speaker(entry) for entry in entries.values())
        votes, rows = Votes(folder, EMOTIONS), []
        for clip in clips:
            name = clip.match["name"]
            if name not in entries:
                continue
            entry = entries[name]
            speaker, published = _speaker(entry), HELD_OUT.get(clip.match["dlg"], "train")
            raw = str(entry["emotion_result"]).strip().lower()
            if raw not in EMOTIONS:
                folder.problem(clip.path, f"has the emotion {raw[:40]!r}; expected one of {', '.join(EMOTIONS)}.")
                continue
            rows.append(
                SourceRow(
                    id=f"emotiontalk-{name}",
                    audio=clip.path,
                    corpus="emotiontalk",
                    speaker=speaker,
                    language="zh",
                    licence=self.facts.licence,
                    split=published if self.split == "published" else by_speaker[speaker],
                    text=MARKUP.sub("", str(entry.get("content") or "")).strip() or None,
                    raw_label=raw,
                    label=EMOTIONS[raw],
                    votes=votes.shares(clip.path, _votes(entry)),
                    valence=_valence(folder, labels[name]),
                )
            )
        bad = {Path(problem.place).stem for problem in folder.problems}
        for name in sorted(set(labels) - {clip.match["name"] for clip in clips} - bad):
            folder.problem(f"{name}.wav", "is missing.")
        return Listing(rows, folder.problems)


def _labels(folder: CorpusFolder) -> dict[str, list[str]]:
    """Return the JSON files of each utterance: of the audio first, then the multimodal one."""
    found: dict[str, dict[str, str]] = {}
    for clip in folder.matching(rf"{NAME}\.json$"):
        top = next(
            (part.lower() for part in clip.path.split("/") if part.lower() in ("audio", "multimodal", "text", "video")),
            "audio",
        )
        found.setdefault(clip.match["name"], {}).setdefault(top, clip.path)
    return {
        name: [paths[kind] for kind in ("audio", "multimodal") if kind in paths]
        for name, paths in found.items()
        if "audio" in paths
    }


def _speaker(entry: Mapping[str, Any]) -> str:
    return str(entry["speaker_id"]).strip() or "unknown"


def _votes(entry: Mapping[str, Any]) -> Counter[str]:
    """Count the labels of the raters, given as words or as objects with the key emotion."""
    data = entry.get("data")
    votes: Counter[str] = Counter()
    for rater in data if isinstance(data, list) else []:
        word = rater.get("emotion") if isinstance(rater, dict) else rater
        if isinstance(word, str):
            votes[word.strip().lower()] += 1
    return votes


def _valence(folder: CorpusFolder, paths: list[str]) -> float | None:
    """Return the sentiment of the multimodal JSON, or of the audio's; -10 says that there is none."""
    for path in reversed(paths):
        value = (folder.json_beside(path) or {}).get(CONTINUOUS)
        if (
            isinstance(value, int | float | str)
            and (valence := scale(value, -2, 2)) is not None
            and float(value) >= -2.0
        ):
            return valence
    return None
