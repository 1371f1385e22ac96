"""EMNS, one British narrator with a level of expressiveness: Noriy et al. (2023), arXiv 2305.13137; OpenSLR 136.

The published audio is Opus in WebM: it needs ffmpeg, or wav files of the same names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import Clip, CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import hash_split

EMOTIONS: dict[str, str | None] = {
    "Happy": "happy", "Sad": "sad", "Angry": "angry", "Excited": "excited", "Sarcastic": None, "Neutral": "neutral",
    "Disgust": "disgusted", "Surprised": "surprised",
}  # fmt: skip
PATTERN = (
    r"(?P<folder>raw_webm|cleaned_webm|wavs?)/(?P<name>recorded_audio(?:_[A-Za-z0-9]{7})?)\.(?P<kind>webm|wav|flac)$"
)
COLUMNS = ("id", "utterance", "emotion", "status", "gender", "level", "audio_recording")
BEST = ("cleaned_webm", "wav", "wavs", "raw_webm")


@dataclass(frozen=True)
class EMNS:
    """Loader of EMNS; rows whose status is not Complete are left out."""

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="emns",
        title="EMNS",
        language="en-gb",
        licence="EMNS: Apache-2.0 or CC BY 4.0 (sources disagree)",
        example="cleaned_webm/recorded_audio_3aCYrjz.webm",
        split="by sentence; there is one speaker",
        clips=1_181,
        speakers=1,
        is_speaker_disjoint=False,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        folder = CorpusFolder(root, self.facts)
        clips = _best(folder.clips(PATTERN))
        table = folder.table(r"metadata\.csv$", "metadata.csv")
        rows, listed = [], set()
        for line, cells in folder.records(table, COLUMNS, "|"):
            place, name = f"{table}, line {line}", Path(cells["audio_recording"]).stem
            listed.add(name)
            if cells["status"] != "Complete":
                folder.problem(place, f"has the status {cells['status']!r}; only Complete rows are taken.")
            elif name not in clips:
                folder.problem(place, f"names {cells['audio_recording']}, which is missing.")
            elif cells["emotion"] not in EMOTIONS:
                folder.problem(place, f"has the emotion {cells['emotion']!r}; expected one of {', '.join(EMOTIONS)}.")
            elif not cells["level"].isdecimal() or int(cells["level"]) > 10:
                folder.problem(place, f"has the level {cells['level']!r}; expected 0 to 10.")
            else:
                rows.append(
                    SourceRow(
                        id=f"emns-{name}",
                        audio=clips[name].path,
                        corpus="emns",
                        speaker="emns",
                        language="en-gb",
                        licence=self.facts.licence,
                        split=hash_split(cells["utterance"]),
                        text=cells["utterance"] or None,
                        gender="f",
                        raw_label=cells["emotion"],
                        label=EMOTIONS[cells["emotion"]],
                        intensity=int(cells["level"]) / 10.0,
                    )
                )
        for name in sorted(set(clips) - listed):
            folder.problem(clips[name].path, f"has no line in {table}.")
        return Listing(rows, folder.problems)


def _best(clips: list[Clip]) -> dict[str, Clip]:
    """Return one file of each recording: converted before webm, cleaned before raw."""
    ranked = sorted(clips, key=lambda clip: (clip.match["kind"] == "webm", BEST.index(clip.match["folder"])))
    found: dict[str, Clip] = {}
    for clip in ranked:
        found.setdefault(clip.match["name"], clip)
    return found
