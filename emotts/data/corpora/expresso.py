"""Expresso, read and improvised styles: Nguyen et al. (2023), Interspeech, arXiv 2308.05725.

Read clips are mono with texts. Dialogues have a speaker per channel: each stretch of speech in VAD_segments.txt is a clip.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emotts.data.corpora.reading import Clip, CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow

STYLES: dict[str, str] = {  # the other styles have no label of ours
    "default": "neutral", "happy": "happy", "sad": "sad", "angry": "angry", "bored": "bored", "calm": "calm",
    "disgusted": "disgusted", "fearful": "fearful",
}  # fmt: skip
READ = r"(?P<name>(?P<spk>ex0[1-4])_(?P<style>[a-z]+)(?:_(?P<sub>longform|emphasis|essentials))?_(?P<id>\d{5}))\.wav$"
DIALOGUE = r"(?P<name>(?P<l>ex0[1-4])-(?P<r>ex0[1-4])_(?P<st>[a-z_]+(?:-[a-z_]+)?)_(?P<id>\d{3}))\.wav$"
SPLITS = {"train": "train", "dev": "valid", "test": "test"}
SPLIT_LINE = re.compile(r"^(\S+?)(?:\.wav)?(?:\s+\(\s*([\d.]*)s?\s*,\s*([\d.]*)s?\s*\))?$")
SEGMENT = re.compile(r"\(\s*([\d.]+)\s*,\s*([\d.]+)\s*\)")
VAD_LINE = re.compile(r"^(?:\S*/)?(\S+?)(?:\.wav)?/channel([12])\t(.*)$")
Window = tuple[str, float, float]  # split, start and end in seconds


@dataclass(frozen=True)
class Expresso:
    """Loader of Expresso.

    Attributes:
        with_dialogues: Whether the improvised dialogues are taken beside the read part; they have no texts.
    """

    with_dialogues: bool = True

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="expresso",
        title="Expresso",
        language="en-us",
        licence="CC BY-NC 4.0",
        example="audio_48khz/read/ex01/happy/base/ex01_happy_00001.wav",
        split="the published lists; the four speakers are in all splits",
        speakers=4,
        is_speaker_disjoint=False,
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        folder = CorpusFolder(root, self.facts)
        clips = folder.clips(f"{READ}|{DIALOGUE.replace('name', 'dialogue').replace('<id>', '<number>')}")
        splits, texts = _splits(folder), _texts(folder)
        segments = _segments(folder) if self.with_dialogues else {}
        rows: list[SourceRow] = []
        for clip in clips:
            name = clip.match["name"] or clip.match["dialogue"]
            if clip.match["name"]:
                rows += self._sentence(folder, clip, splits.get(name), texts.get(name))
            elif self.with_dialogues:
                rows += self._turns(folder, clip, splits.get(name), segments)
        present = {clip.match["name"] or clip.match["dialogue"] for clip in clips}
        bad = {Path(problem.place).stem for problem in folder.problems}
        for name in sorted(set(splits) - present - bad):
            folder.problem(f"{name}.wav", "is missing.")
        return Listing(rows, folder.problems)

    def _sentence(
        self, folder: CorpusFolder, clip: Clip, windows: list[Window] | None, text: str | None
    ) -> list[SourceRow]:
        if not windows:
            folder.problem(clip.path, "is in none of splits/train.txt, dev.txt, test.txt.")
            return []
        style = clip.match["style"]
        return [
            SourceRow(
                id=f"expresso-{clip.match['name']}",
                audio=clip.path,
                corpus="expresso",
                speaker=clip.match["spk"],
                language="en-us",
                licence=self.facts.licence,
                split=windows[0][0],
                text=text,
                raw_label=style,
                label=STYLES.get(style),
            )
        ]

    def _turns(
        self,
        folder: CorpusFolder,
        clip: Clip,
        windows: list[Window] | None,
        segments: dict[tuple[str, int], list[tuple[float, float]]],
    ) -> list[SourceRow]:
        """Return the stretches of speech of both channels; one that no split holds whole is left out and named."""
        name = clip.match["dialogue"]
        styles = clip.match["st"].split("-") * 2  # without a hyphen both speakers have the same
        rows = []
        for channel, speaker in enumerate((clip.match["l"], clip.match["r"])):
            for k, (start_s, end_s) in enumerate(segments.get((name, channel), [])):
                split = next((s for s, a, b in windows or [] if a <= start_s and end_s <= b), None)
                if split is None:
                    folder.problem(f"{name}-{channel + 1}-{k:03d}", f"lies in no split ({start_s:g} to {end_s:g} s).")
                    continue
                rows.append(
                    SourceRow(
                        id=f"expresso-{name}-{channel + 1}-{k:03d}",
                        audio=clip.path,
                        corpus="expresso",
                        speaker=speaker,
                        language="en-us",
                        licence=self.facts.licence,
                        split=split,
                        raw_label=styles[channel],
                        label=STYLES.get(styles[channel]),
                        channel=channel,
                        start_s=start_s,
                        end_s=end_s,
                    )
                )
        return rows


def _splits(folder: CorpusFolder) -> dict[str, list[Window]]:
    """Return the splits of each file; a dialogue may be cut between them at a time."""
    found: dict[str, list[Window]] = {}
    for clip in folder.matching(r"splits/(?P<split>train|dev|test)\.txt$"):
        for number, line in enumerate(folder.text(clip.path).split("\n"), start=1):
            if not line.strip():
                continue
            match = SPLIT_LINE.match(line.strip())
            if match is None:
                folder.problem(
                    f"{clip.path}, line {number}", f"is no entry such as 'ex03-ex01_angry_005 (,60.0s)': {line[:60]!r}."
                )
                continue
            window = (SPLITS[clip.match["split"]], float(match[2] or 0.0), float(match[3] or "inf"))
            found.setdefault(match[1].rpartition("/")[2], []).append(window)
    if not found:
        raise FileNotFoundError(
            f"Expresso: splits/train.txt, dev.txt and test.txt are missing below {str(folder.root)!r}."
        )
    return found


def _texts(folder: CorpusFolder) -> dict[str, str]:
    """Return the texts of the read part; the asterisks around stressed words are taken off."""
    texts = {}
    for clip in folder.matching(r"read_transcriptions\.txt$")[:1]:
        for line in folder.text(clip.path).split("\n"):
            name, _, text = line.partition("\t")
            if text.strip():
                texts[name.strip().removesuffix(".wav")] = text.replace("*", "").strip()
    return texts


def _segments(folder: CorpusFolder) -> dict[tuple[str, int], list[tuple[float, float]]]:
    """Return the stretches of speech by dialogue and channel, counted from 0."""
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for clip in folder.matching(r"VAD_segments\.txt$")[:1]:
        for line in folder.text(clip.path).split("\n"):
            match = VAD_LINE.match(line)
            if match:
                found[match[1], int(match[2]) - 1] = [(float(a), float(b)) for a, b in SEGMENT.findall(match[3])]
    return found
