"""Expresso, read and improvised styles: Nguyen et al. (2023), Interspeech, arXiv 2308.05725.

Read clips are mono with texts. Dialogues, a speaker per channel, and long readings come as the stretches of speech that
VAD_segments.txt names, cut as in https://github.com/facebookresearch/textlesslib, examples/expresso/dataset/processing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from operator import itemgetter
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
SECONDS = r"\d+(?:\.\d*)?"
SPLIT_LINE = re.compile(rf"^((?:\S*/)?ex0\S+?)(?:\.wav)?(?:\s+\(\s*({SECONDS})?s?\s*,\s*({SECONDS})?s?\s*\))?$")
SEGMENT = re.compile(rf"\(\s*({SECONDS})\s*,\s*({SECONDS})\s*\)")
VAD_LINE = re.compile(r"^(?:[^\t]*/)?(ex0[^/\t]+?)(?:\.wav)?(?:/channel([12]))?\t(.*)$")
WHOLE = (0.0, float("inf"))
LONGEST_S, SHORTEST_S = 15.0, 0.5  # of the pieces of long recordings, as the authors cut them for their experiments
Window = tuple[str, float, float]  # split, start and end in seconds


@dataclass(frozen=True)
class Expresso:
    """Loader of Expresso.

    Attributes:
        with_dialogues: Whether the improvised dialogues are taken beside the read part; like long readings they have no texts.
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
        splits, texts, spoken = _splits(folder), _texts(folder), _segments(folder)
        rows: list[SourceRow] = []
        seconds = 0.0
        for clip in clips:
            name = clip.match["name"] or clip.match["dialogue"]
            windows, segments = splits.get(name), spoken.get(name, {})
            if clip.match["dialogue"] and not self.with_dialogues:
                continue
            if not windows:
                folder.problem(clip.path, "is in none of splits/train.txt, dev.txt, test.txt.")
            elif segments:
                seconds += sum(end_s - start_s for part in segments.values() for start_s, end_s in part)
                rows += self._pieces(folder, clip, windows, segments)
            elif clip.match["dialogue"] or len(windows) > 1 or windows[0][1:] != WHOLE:
                folder.problem(clip.path, "has no line in VAD_segments.txt.")
            else:
                rows.append(
                    self._row(clip, name, clip.match["spk"], clip.match["style"], windows[0][0], texts.get(name))
                )
        present = {clip.match["name"] or clip.match["dialogue"] for clip in clips}
        bad = {Path(problem.place).stem for problem in folder.problems}
        for name in sorted(set(splits) - present - bad):
            folder.problem(f"{name}.wav", "is missing.")
        return Listing(rows, folder.problems, _remark(rows, seconds))

    def _pieces(
        self, folder: CorpusFolder, clip: Clip, windows: list[Window], segments: dict[int, list[tuple[float, float]]]
    ) -> list[SourceRow]:
        """Return the stretches of speech, cut at the borders of splits and into pieces; what no split has is named."""
        name = clip.match["name"] or clip.match["dialogue"]
        if clip.match["name"]:
            people, styles = [clip.match["spk"]], [clip.match["style"]]
        else:  # one style is of both speakers
            people, styles = [clip.match["l"], clip.match["r"]], clip.match["st"].split("-") * 2
        rows = []
        for channel in set(range(len(people))) - set(segments):
            folder.problem(f"{name}/channel{channel + 1}", "has no line in VAD_segments.txt.")
        for channel, stretches in sorted(segments.items()):
            if channel >= len(people):
                folder.problem(clip.path, "has one speaker; VAD_segments.txt names a second channel.")
                continue
            for k, stretch in enumerate(stretches):
                place = f"{name}-{channel + 1}-{k:03d}"
                found = [
                    (s, *piece) for s, *window in sorted(windows, key=itemgetter(1)) for piece in _cut(stretch, *window)
                ]
                if not found:
                    reason = f"lies in no split for {SHORTEST_S:g} s or more ({stretch[0]:g} to {stretch[1]:g} s)."
                    folder.problem(place, reason)
                for number, (split, start_s, end_s) in enumerate(found):
                    one = f"{place}-{number:02d}" if len(found) > 1 else place
                    row = self._row(clip, one, people[channel], styles[channel], split, None)
                    rows.append(
                        replace(row, channel=channel if len(people) > 1 else None, start_s=start_s, end_s=end_s)
                    )
        return rows

    def _row(self, clip: Clip, name: str, speaker: str, style: str, split: str, text: str | None) -> SourceRow:
        return SourceRow(
            id=f"expresso-{name}",
            audio=clip.path,
            corpus="expresso",
            speaker=speaker,
            language="en-us",
            licence=self.facts.licence,
            split=split,
            text=text,
            raw_label=style,
            label=STYLES.get(style),
        )


def _cut(stretch: tuple[float, float], start_s: float, end_s: float) -> list[tuple[float, float]]:
    """Return the part of a stretch of speech that lies in a window, in pieces that are neither too long nor too short."""
    start, end = max(stretch[0], start_s), min(stretch[1], end_s)
    pieces = []
    while end - start >= SHORTEST_S:
        pieces.append((round(start, 3), round(min(end, start + LONGEST_S), 3)))
        start += LONGEST_S
    return pieces


def _remark(rows: list[SourceRow], spoken_s: float) -> list[str]:
    """Say how much of the long recordings is taken."""
    taken = [row.end_s - row.start_s for row in rows if row.start_s is not None and row.end_s is not None]
    if not taken:
        return []
    share = f"{sum(taken) / 3_600:.2f} of {spoken_s / 3_600:.2f} h of speech in long recordings"
    return [f"{share} are taken, in {len(taken)} pieces of at most {LONGEST_S:g} s without texts"]


def _splits(folder: CorpusFolder) -> dict[str, list[Window]]:
    """Return the splits of each file; a long one may be cut between them at a time."""
    found: dict[str, list[Window]] = {}
    for clip in folder.matching(r"splits/(?P<split>train|dev|test)\.txt$"):
        for number, line in enumerate(folder.text(clip.path).split("\n"), start=1):
            if not line.strip() or line.startswith("#"):
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
        for number, line in enumerate(folder.text(clip.path).split("\n"), start=1):
            name, _, text = line.partition("\t")
            if text.strip():
                texts[name.strip().removesuffix(".wav")] = text.replace("*", "").strip()
            elif line.strip():
                folder.problem(f"{clip.path}, line {number}", "has no name and text with a tab between.")
    return texts


def _segments(folder: CorpusFolder) -> dict[str, dict[int, list[tuple[float, float]]]]:
    """Return the stretches of speech of long recordings by file and channel, counted from 0."""
    found: dict[str, dict[int, list[tuple[float, float]]]] = {}
    for clip in folder.matching(r"VAD_segments\.txt$")[:1]:
        for number, line in enumerate(folder.text(clip.path).split("\n"), start=1):
            match = VAD_LINE.match(line)
            stretches = [(float(a), float(b)) for a, b in SEGMENT.findall(match[3])] if match else []
            if match and stretches:
                found.setdefault(match[1], {})[int(match[2] or 1) - 1] = stretches
            elif line.strip() and not line.startswith("#"):
                folder.problem(
                    f"{clip.path}, line {number}", "is no line such as 'ex01-ex02_calm_001/channel1', tab, (0.5, 2.5)."
                )
    return found
