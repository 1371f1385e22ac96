"""What benchmarks/convert.py converts: folders come in, speakers with their recordings go out, always the same ones.

Simulated speakers are the held-out members of a crowd of recipes/simulate_crowd.py, human ones the telephone prompts of
Debian's asterisk-core-sounds-*-wav; which prompts, and what is said in them, stands in convert_prompts.txt.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emotts.data.manifest import ManifestRow, read_manifest

PROMPTS = Path(__file__).resolve().parent / "convert_prompts.txt"
LANGUAGES = ("en", "fr", "es", "it", "ru")
N_TOLD = 3  # recordings of a speaker that judges are told, and that are the reference of a zero-shot target
CALM = 0.4  # length of (arousal, valence, dominance) up to which a recording may stand in for a neutral one
LEAST_INTENSITY = 0.6  # of a label that counts as heard in a source


@dataclass(frozen=True)
class Source:
    """One recording: `text` is empty where the words are not known, `label` None where nobody says how it feels."""

    path: Path
    speaker: str
    text: str
    label: str | None = "neutral"


@dataclass(frozen=True)
class Speaker:
    """One speaker: `told` are neutral recordings for judges and references, no one of them is ever a source."""

    name: str
    told: tuple[Source, ...]
    neutral: tuple[Source, ...]
    emotional: tuple[Source, ...] = ()

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.neutral + self.emotional


@dataclass(frozen=True)
class Limits:
    """What is to be reached; None where the table draws no line."""

    wer_rise: float  # points
    likeness: float
    quality_loss: float
    order: float
    shift_ms: float
    target_likeness: float | None
    target_share: float
    first: float | None = None
    first_two: float | None = None
    arousal: float | None = None
    valence: float | None = None


@dataclass(frozen=True)
class Recordings:
    """One kind of recordings, with its limits and how many labels are asked of each source.

    Attributes:
        foreign: speakers of languages that the model does not know, by language.
        targets: speakers to whose voices all are converted, as far as these are known from recordings.
    """

    name: str
    speakers: tuple[Speaker, ...]
    limits: Limits
    labels_per_source: int
    strengths_per_source: int
    foreign: Mapping[str, Speaker] = field(default_factory=dict)
    targets: tuple[Speaker, ...] = ()

    def pairs(self, kind: str = "neutral") -> list[tuple[Speaker, Source]]:
        """Return the "neutral" or "emotional" sources with their speakers, the speakers in turn."""
        rows = [[(s, source) for source in getattr(s, kind)] for s in self.speakers]
        return [row[i] for i in range(max(map(len, rows), default=0)) for row in rows if i < len(row)]


SIMULATED = Limits(4.0, 0.80, 0.2, 0.90, 30.0, 0.80, 0.95, first=0.70, first_two=0.85)
HUMAN = Limits(10.0, 0.70, 0.3, 0.80, 50.0, None, 0.90, arousal=0.85, valence=0.70)


def crowd_recordings(folder: Path, quick: bool = False) -> Recordings:
    """Read the held-out voices of a crowd.

    Raises:
        FileNotFoundError: no manifest there.
        ValueError: no recording of the split "test" in it.
    """
    rows = [row for row in read_manifest(folder / "manifest.jsonl") if row.split == "test"]
    if not rows:
        raise ValueError(f"{folder / 'manifest.jsonl'} must hold held-out voices; no row has the split test.")
    voices = sorted({row.voice for row in rows})
    most = (1, 1) if quick else (4, 6)
    speakers = [_crowd_speaker(folder, name, [r for r in rows if r.voice == name], *most) for name in voices]
    return Recordings("simulated", tuple(speakers), SIMULATED, 4 if quick else 11, 3)


def prompt_recordings(folder: Path, quick: bool = False) -> Recordings:
    """Read the English prompts and the same ones in other languages, as far as the folder has them.

    Raises:
        FileNotFoundError: no English prompts, or one of the list is missing.
    """
    lines = read_prompts(PROMPTS)
    folders = {name: path for name in LANGUAGES if (path := sounds_folder(folder, name)) is not None}
    if "en" not in folders:
        raise FileNotFoundError(
            f"no English prompts below {str(folder)!r}; fill it with apt-get download asterisk-core-sounds-en-wav and dpkg -x."
        )
    wanted = list(lines)[: N_TOLD + (6 if quick else len(lines))]
    english = _prompt_speaker("en", folders.pop("en"), lines, wanted)
    few = wanted[: N_TOLD + (2 if quick else 10)]
    foreign = {name: _prompt_speaker(name, place, {}, few) for name, place in folders.items()}
    return Recordings("human", (english,), HUMAN, 3, 2, foreign)


def read_prompts(path: Path) -> dict[str, str]:
    """Read the list of prompts: name and words, a colon between them; lines with # are remarks."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = [line.partition(":") for line in lines if line and not line.startswith("#")]
    return {name.strip(): words.strip() for name, _, words in pairs}


def sounds_folder(folder: Path, language: str) -> Path | None:
    """Find the folder of a language, such as en_US_f_Allison, below an unpacked package."""
    found = sorted(path for path in folder.rglob(f"{language}_*") if path.is_dir())
    return found[0] if found else None


def calmness(row: ManifestRow) -> float:
    """Return how far a row lies from neutral; infinite where that is not known."""
    place = (row.arousal, row.valence, row.dominance)
    return math.sqrt(sum(x * x for x in place if x is not None)) if None not in place else math.inf


def _crowd_speaker(
    folder: Path, name: str, rows: Sequence[ManifestRow], most_neutral: int, most_emotional: int
) -> Speaker:
    """Tell the judges the calmest recordings, as a rule neutral ones; what else is neutral or clearly felt is a source."""
    calm = [row for row in sorted(rows, key=calmness) if calmness(row) <= CALM]
    told = calm[:N_TOLD]
    if not told:
        raise ValueError(f"{name} has no calm recording that a judge could be told; simulate more utterances of it.")
    rest = [row for row in rows if row not in told]
    neutral = [row for row in rest if row.label == "neutral"][:most_neutral]
    felt = [row for row in rest if row.label not in (None, "neutral") and row.is_clear(LEAST_INTENSITY)]

    def sources(found: Iterable[ManifestRow]) -> tuple[Source, ...]:
        return tuple(Source(folder / row.audio, name, row.text, row.label) for row in found)

    return Speaker(name, sources(told), sources(neutral), sources(_varied(felt)[:most_emotional]))


def _varied(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """Order rows so that no label comes again before every other one has come."""
    seen: dict[str | None, int] = {}
    turns = []
    for row in rows:
        turns.append(seen.get(row.label, 0))
        seen[row.label] = turns[-1] + 1
    return [rows[i] for i in sorted(range(len(rows)), key=lambda i: (turns[i], i))]


def _prompt_speaker(name: str, folder: Path, words: Mapping[str, str], prompts: Sequence[str]) -> Speaker:
    missing = [prompt for prompt in prompts if not (folder / f"{prompt}.wav").is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} must hold the prompts of {PROMPTS.name}; {missing[0]}.wav is missing.")
    found = tuple(Source(folder / f"{prompt}.wav", f"prompts-{name}", words.get(prompt, "")) for prompt in prompts)
    return Speaker(f"prompts-{name}", found[:N_TOLD], found[N_TOLD:])
