"""The manifest of a corpus: one JSON line per utterance, with paths relative to the manifest's folder.

In and out: `ManifestRow` objects. Features lie beside it in safetensors shards under the names `<id>.mel`, `.f0`,
`.energy`, `.avd`, `.labels` where a row has a mixture, and `.embedding` and `.heard` where a recogniser heard it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TextIO

from emotts.audio import SPEC
from emotts.emotion.labels import AVD_MEANS, LABELS, MAX_INTENSITY

FAR = 0.4  # of a dimension from its label's place; five standard deviations of the simulated scatter
TIE = 1e-4  # between shares that were rounded
SPLITS = ("train", "valid", "test")
REMEDY = "make one with recipes/prepare_corpus.py from recordings, or recipes/simulate_corpus.py"
UNLABELLED, MIXED = "unlabelled", "mixed"  # emotions of rows
# [T, M] float16, [T] float32 Hz, [T] float16, [N, 3] float16; beside them labels [N, K] float16 of a mixture
FEATURES = ("mel", "f0", "energy", "avd")
EMBEDDING, HEARD = "embedding", "heard"  # [E] and [K] float16 of a recogniser, where one heard the clips; see doubt.py


@dataclass(frozen=True)
class ManifestRow:
    """One utterance.

    Attributes:
        id: Unique name.
        audio: Path of the flac file, relative to the manifest.
        text: What is said.
        voice: Name of the voice.
        language: BCP 47 tag, for example "en-us".
        phonemes: N tokens, `<sil>` at both ends.
        durations: N numbers of mel frames; their sum is `n_frames`.
        label: One of `LABELS`, or None where no category was asked for.
        intensity: Strength of the label, or that by which the votes of a mixture were multiplied, 0 to 1.5.
        arousal: Mean over the utterance in [-1, 1], or None where unknown.
        valence: As arousal.
        dominance: As arousal.
        split: "train", "valid" or "test".
        licence: Licence of the audio.
        n_frames: Number T of mel frames.
        duration_s: Length of the audio in seconds.
        features: Path of the safetensors shard, relative to the manifest.
        mixture: Mean weight times intensity of each label where more than one is meant; `label` is None then. What is missing to 1
            is neutral: votes for it, votes for what no label of ours names, and what the intensity lacks.
        read_by: Backend of emotts/text/phonemize.py that made the phonemes of the text; None is that of `backend_of`.
    """

    id: str
    audio: str
    text: str
    voice: str
    language: str
    phonemes: list[str]
    durations: list[int]
    label: str | None
    intensity: float
    arousal: float | None
    valence: float | None
    dominance: float | None
    split: str
    licence: str
    n_frames: int
    duration_s: float
    features: str
    mixture: dict[str, float] | None = None
    read_by: str | None = None

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise ValueError(f"manifest row {self.id!r}: {problem}")

    def is_clear(self, intensity: float) -> bool:
        """Whether one label says it: neutral, or at least this intensity with no dimension far from the label's own place."""
        if self.label is None or (self.label != "neutral" and self.intensity < intensity):
            return False
        strength = 0.0 if self.label == "neutral" else self.intensity
        usual = (max(-1.0, min(1.0, strength * mean)) for mean in AVD_MEANS[self.label])
        given = (self.arousal, self.valence, self.dominance)
        return all(g is None or abs(g - u) <= FAR for g, u in zip(given, usual, strict=True))

    def to_json(self) -> str:
        """Return the row as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def emotion_of(row: ManifestRow) -> str:
    """Name the emotion of a row: its label, the strongest of its votes, or "unlabelled"."""
    if row.label is not None:
        return row.label
    if row.mixture is None:
        return UNLABELLED
    votes = {name: weight / (row.intensity or 1.0) for name, weight in row.mixture.items()}  # weak anger is anger
    shares = {"neutral": max(0.0, 1.0 - sum(votes.values())), **votes}
    best = max(shares.values())
    names = [name for name, share in shares.items() if share >= best - TIE]
    return names[0] if len(names) == 1 else MIXED


def parse_row(line: str) -> ManifestRow:
    """Read one line of a manifest.

    Raises:
        ValueError: If it is not JSON, a key is missing or unknown, or the values contradict each other.
    """
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"a manifest line must be a JSON object; got {line[:80]!r}") from error
    return row_of(values)


def row_of(values: object) -> ManifestRow:
    """Return the row that an object of JSON describes.

    Raises:
        ValueError: A key is missing or unknown, or the values contradict each other.
    """
    if not isinstance(values, dict) or not _NEEDED <= values.keys() <= _KEYS:
        keys = set(values) if isinstance(values, dict) else set()
        raise ValueError(f"manifest row: missing keys {sorted(_NEEDED - keys)}, unknown keys {sorted(keys - _KEYS)}")
    return ManifestRow(**values)


def read_manifest(path: str | Path) -> list[ManifestRow]:
    """Read all rows of a manifest into memory, 3.3 MB an hour (benchmarks/manifest_index.py); `open_rows` of rows.py maps them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a row is wrong or an id appears twice; the message names the line.
    """
    return list(iterate_manifest(path))


def iterate_manifest(path: str | Path) -> Iterator[ManifestRow]:
    """Give the rows of a manifest one by one; of those before, only the ids are kept. Errors are those of `read_manifest`."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no manifest at {path}; {REMEDY}")
    seen: set[str] = set()
    with path.open("rb") as file:  # lines end where JSON's do, not at what else Unicode takes for the end of one
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            row = parse_numbered(path, number, line)
            if row.id in seen:
                raise ValueError(f"{path}, line {number}: id {row.id!r} appears twice")
            seen.add(row.id)
            yield row


def parse_numbered(path: Path, number: int, line: bytes) -> ManifestRow:
    """Read one line of a file.

    Raises:
        ValueError: it is wrong; the message names file and line.
    """
    try:
        return parse_row(line.decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}") from error


def write_manifest(path: str | Path, rows: Iterable[ManifestRow]) -> None:
    """Write rows to a temporary file and rename it, so that a manifest is whole or absent."""
    with writing(path) as file:
        file.writelines(row.to_json() + "\n" for row in rows)


def write_atomically(path: str | Path, text: str) -> None:
    """Write text to a temporary file beside `path`, then rename it."""
    with writing(path) as file:
        file.write(text)


@contextmanager
def writing(path: str | Path) -> Iterator[TextIO]:
    """Open a temporary file beside `path` for text; it takes that name where all went well, and is gone else."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield file
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


_KEYS = {field.name for field in fields(ManifestRow)}
_NEEDED = _KEYS - {"mixture", "read_by"}


def _problem(row: ManifestRow) -> str | None:
    if row.split not in SPLITS:
        return f"split must be one of {', '.join(SPLITS)}; got {row.split!r}"
    if row.label is not None and row.label not in LABELS:
        return f"label must be null or one of {', '.join(LABELS)}; got {row.label!r}"
    if row.mixture is not None:
        if row.label is not None:
            return f"label must be null beside a mixture; got {row.label!r}"
        unknown = sorted(set(row.mixture) - set(LABELS))
        if unknown or not all(0.0 <= weight <= MAX_INTENSITY for weight in row.mixture.values()):
            return f"mixture must give labels weights in [0, {MAX_INTENSITY}]; got {row.mixture}"
    if len(row.phonemes) != len(row.durations):
        return f"{len(row.phonemes)} phonemes but {len(row.durations)} durations"
    if any(duration < 0 for duration in row.durations) or sum(row.durations) != row.n_frames:
        return f"durations must be >= 0 and add up to n_frames = {row.n_frames}; got {sum(row.durations)}"
    if abs(row.duration_s * SPEC.frame_rate - row.n_frames) > 1.0:
        return f"duration_s {row.duration_s} does not fit n_frames {row.n_frames}"
    if not 0.0 <= row.intensity <= MAX_INTENSITY:
        return f"intensity must lie in [0, {MAX_INTENSITY}]; got {row.intensity}"
    for name in ("arousal", "valence", "dominance"):
        value = getattr(row, name)
        if value is not None and not -1.0 <= value <= 1.0:
            return f"{name} must be null or lie in [-1, 1]; got {value}"
    if any(path.startswith("/") or ".." in path.split("/") for path in (row.audio, row.features)):
        return "audio and features must be paths below the manifest's folder"
    return None
