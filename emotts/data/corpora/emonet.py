"""EmoNet-Voice, synthetic speech with 40 emotions rated by experts: Schuhmann et al. (2025), arXiv 2506.09827.

Comes as parquet, which is read as it is, or as tar files, which are unpacked first: then a JSON with a number per emotion, 0 absent
to 2 intense, lies beside each audio file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from emotts.data.corpora.ratings import plurality, scale
from emotts.data.corpora.reading import CorpusFolder
from emotts.data.corpora.rows import CorpusFacts, Listing, SourceRow
from emotts.data.corpora.splits import ranked_split
from emotts.data.packed import SUFFIX, packed_entries, packed_name

CATEGORIES: dict[str, str | None] = {
    "amusement": None, "elation": "happy", "pleasure ecstasy": None, "contentment": None, "thankfulness gratitude": None,
    "affection": "tender", "infatuation": None, "hope enthusiasm optimism": "excited", "triumph": None, "pride": None,
    "interest": None, "awe": None, "astonishment surprise": "surprised", "concentration": None, "contemplation": None,
    "relief": None, "longing": None, "teasing": None, "impatience and irritability": None, "sexual lust": None, "doubt": None,
    "fear": "fearful", "distress": None, "confusion": None, "embarrassment": None, "shame": None, "disappointment": None,
    "sadness": "sad", "bitterness": None, "contempt": "contempt", "disgust": "disgusted", "anger": "angry",
    "malevolence malice": None, "sourness": None, "pain": None, "helplessness": None, "fatigue exhaustion": None,
    "emotional numbness": None, "intoxication altered states of consciousness": None, "jealousy envy": None,
}  # fmt: skip
SCALES = {"arousal": ("arousal", 0, 4), "valence": ("valence", -3, 3), "dominance": ("submissive vs dominant", -3, 3)}
PATTERN = r"(?P<name>[^/]+)\.(?:mp3|wav|flac|ogg)$"
SPEAKER, TEXT, LANGUAGE = (
    ("speaker_id", "speaker", "voice"),
    ("transcription", "transcript", "text"),
    ("language", "lang"),
)
STRONGEST = 2.0


@dataclass(frozen=True)
class EmoNetVoice:
    """Loader of EmoNet-Voice, in parquet or as unpacked shards.

    Attributes:
        language: Of clips whose JSON names none.
        licence: As the card of the downloaded set says.
    """

    language: str = "en-us"
    licence: str = "EmoNet-Voice: see the card of the set"

    facts: ClassVar[CorpusFacts] = CorpusFacts(
        name="emonet",
        title="EmoNet-Voice",
        language="en-us",
        licence="EmoNet-Voice: see the card of the set",
        example="000001.mp3 beside 000001.json",
        split="a tenth of the voices tests, another validates",
    )

    def read(self, root: Path) -> Listing:
        """List the clips; errors are those of `Corpus.read`."""
        folder = CorpusFolder(root, self.facts)
        entries = _packed(folder)
        loose = folder.matching(PATTERN)
        packed = [path for path in folder.paths if path.endswith(".tar")]
        if packed and not loose and not entries:
            raise ValueError(
                f"EmoNet-Voice: {packed[0]} is packed; unpack it first (tar xf), so that 000001.json lies beside 000001.mp3."
            )
        for clip in folder.clips(PATTERN) if loose or not entries else []:
            beside = f"{clip.path.rpartition('.')[0]}.json"
            entry = folder.json_beside(beside)
            if entry is None:
                folder.problem(clip.path, f"has no {Path(beside).name} with its ratings beside it.")
                continue
            entries[clip.path] = {_plain(name): value for name, value in entry.items()}
        splits = ranked_split(_first(entry, SPEAKER) or "unknown" for entry in entries.values())
        rows = []
        for path, entry in entries.items():
            ratings = {name: value for name in CATEGORIES if (value := _mean(entry.get(name))) is not None}
            if not ratings:
                folder.problem(path, "is rated in none of the 40 categories.")
                continue
            raw = plurality(ratings)
            speaker = _first(entry, SPEAKER) or "unknown"
            rows.append(
                SourceRow(
                    id=f"emonet-{_id(path)}",
                    audio=path,
                    corpus="emonet",
                    speaker=speaker,
                    language=_first(entry, LANGUAGE) or self.language,
                    licence=self.licence,
                    split=splits[speaker],
                    text=_first(entry, TEXT),
                    raw_label=raw,
                    label=CATEGORIES[raw] if raw else None,
                    intensity=round(min(1.0, ratings[raw] / STRONGEST), 4) if raw else None,
                    arousal=_dimension(entry, "arousal"),
                    valence=_dimension(entry, "valence"),
                    dominance=_dimension(entry, "dominance"),
                )
            )
        return Listing(rows, folder.problems)


def _packed(folder: CorpusFolder) -> dict[str, dict[str, Any]]:
    """Return the ratings of the clips within parquet files.

    Raises:
        ValueError: none of the files can be read.
        OSError: pyarrow is missing.
    """
    entries: dict[str, dict[str, Any]] = {}
    paths = [path for path in folder.paths if path.endswith(SUFFIX)]
    for path in paths:
        try:
            found = packed_entries(folder.root / path)
        except ValueError as error:
            folder.problem(path, f"is not taken: {' '.join(str(error).split())}.")
            continue
        for row, entry in enumerate(found):
            entries[packed_name(path, row)] = {_plain(name): value for name, value in entry.items()}
    if paths and len(folder.problems) == len(paths):
        raise ValueError(f"{folder.facts.title}: {folder.problems[0]}")
    return entries


def _id(path: str) -> str:
    stem = path.replace(SUFFIX, "") if f"{SUFFIX}/" in path else path.rpartition(".")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem)[:140]


def _plain(name: str) -> str:
    """Write a category without the signs that differ between releases: Fatigue/Exhaustion, fatigue_exhaustion."""
    return re.sub(r"[^a-z]+", " ", name.lower().replace("&", " ")).strip()


def _first(entry: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((str(entry[_plain(n)]).strip() for n in names if str(entry.get(_plain(n)) or "").strip()), None)


def _mean(value: Any) -> float | None:
    """Return a rating, or the mean of those of several experts."""
    values = value if isinstance(value, list) else [value]
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return sum(numbers) / len(numbers) if numbers else None


def _dimension(entry: Mapping[str, Any], dimension: str) -> float | None:
    name, low, high = SCALES[dimension]
    value = next((entry[key] for key in (name, dimension) if key in entry), None)
    return scale(_mean(value), low, high)
