"""One clip of a corpus to one utterance of a manifest: audio, features, phonemes with durations, and where each came from.

Comes in: a `SourceRow`. Goes out: a `Prepared`, or a ValueError that says why not.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from emotts.audio import SPEC, LogMel, extract_f0, frame_energy
from emotts.content import speech_encoder
from emotts.data.alignment import Alignment, align
from emotts.data.corpora.rows import SourceRow
from emotts.data.manifest import EMBEDDING, HEARD, ManifestRow
from emotts.data.prepare_audio import at_gain, decode, trim
from emotts.data.textgrid import Interval, read_textgrid
from emotts.emotion.heard import Heard
from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.text.languages import NotInstalled
from emotts.text.phonemize import BACKENDS, backend_of, check_backend, phonemize_marked
from emotts.text.symbols import SIL

RATING_STD = 0.3  # of the mean of a few raters; a guess as sure as this weighs half as much as their rating
SHORTEST_S = 0.3
AUTO = "auto"
VOTES_FORMAT = 2  # of what is made of votes; a preparation that began with another number is refused


@dataclass(frozen=True)
class Settings:
    """How clips are prepared.

    Attributes:
        needs_text: Whether clips without a text are refused; else they have silence for phonemes and teach recognisers only.
        phonemizer: "auto" reads each language by `backend_of`: English by gruut, which needs nothing else; one of `BACKENDS`
            reads all rows, and refuses languages that it does not read.
        loudness: "speaker" for one gain per speaker, "none" to leave levels alone.
        level_db: Middle level of a speaker's clips, dBFS over speech.
        margin_s: Silence that stays at both ends.
        max_duration_s: Longer clips are refused.
        unknown_intensity: Of labelled clips whose corpus gives none.
        textgrids: Folder of TextGrids named as the clips, None without.
    """

    needs_text: bool = True
    phonemizer: str = "auto"
    loudness: str = "speaker"
    level_db: float = -25.0
    margin_s: float = 0.1
    max_duration_s: float = 30.0
    unknown_intensity: float = 1.0
    textgrids: str | None = None

    def __post_init__(self) -> None:
        for name in ("level_db", "margin_s", "max_duration_s", "unknown_intensity"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"settings.{name} must be a number; got {value!r}.")
        if not isinstance(self.needs_text, bool):
            raise ValueError(f"settings.needs_text must be true or false; got {self.needs_text!r}.")
        if self.max_duration_s <= SHORTEST_S:
            raise ValueError(
                f"settings.max_duration_s must be more than {SHORTEST_S} s, the shortest clip that is taken; "
                f"got {self.max_duration_s}."
            )
        if self.margin_s < 0.0:
            raise ValueError(f"settings.margin_s must be 0 or more; got {self.margin_s}.")
        if self.loudness not in ("speaker", "none"):
            raise ValueError(f'loudness must be "speaker" or "none"; got {self.loudness!r}.')
        if self.phonemizer not in (AUTO, *BACKENDS):
            raise ValueError(f"phonemizer must be one of {', '.join((AUTO, *BACKENDS))}; got {self.phonemizer!r}.")
        if not 0.0 <= self.unknown_intensity <= 1.5:
            raise ValueError(f"unknown_intensity must lie in [0, 1.5]; got {self.unknown_intensity}.")
        if self.textgrids is not None and not Path(self.textgrids).is_dir():
            raise FileNotFoundError(f"textgrids must be a folder; {self.textgrids!r} is none.")


@dataclass(frozen=True)
class Origin:
    """Where an utterance of the manifest came from; a line of origins.jsonl.

    Attributes:
        id: As in the manifest. corpus: Its name. source: The file in the corpus. raw_label: The corpus' own word. gender: Or None.
        alignment: "textgrid", "listened" (heard by the speech encoder), "expected" (in proportion, not heard) or "none" (no text).
        avd_weight: Trust in arousal, valence, dominance: 1 rated, 0 unknown, between for what the recogniser filled in.
    """

    id: str
    corpus: str
    source: str
    raw_label: str | None
    gender: str | None
    alignment: str
    avd_weight: list[float]


@dataclass(frozen=True)
class Prepared:
    """An utterance: its row, its waveform [L] at 24 kHz, its tensors by name, and its origin."""

    row: ManifestRow
    waveform: np.ndarray
    tensors: dict[str, torch.Tensor]
    origin: Origin


class MelJudge(Protocol):
    """What fills in missing ratings and places a clip among others; the recogniser keeps this."""

    def hear_mel(self, mel: np.ndarray | torch.Tensor, f0: np.ndarray | torch.Tensor) -> Heard:
        """Judge a log mel [T, M] with its F0 [T] in Hz."""
        ...


class SpeechListener(Protocol):
    """What hears phonemes and their times; emotts/content/listener.py keeps this."""

    def hear(self, waveform: np.ndarray) -> speech_encoder.Heard:
        """Hear a waveform [L] at 24 kHz; fields [1, T, ...] with T = L // hop."""
        ...


def prepare_clip(
    root: Path,
    row: SourceRow,
    settings: Settings,
    gain_db: float,
    shard: str,
    judge: MelJudge | None = None,
    listener: SpeechListener | None = None,
) -> Prepared:
    """Prepare one clip.

    Args:
        root: folder of the corpus. row: the clip. settings: how. gain_db: of its speaker. shard: name of the shard it goes to.
        judge: hears each clip: what it hears is stored, and is arousal, valence and dominance where they are not rated. None
            leaves them unknown.
        listener: hears when each phoneme is said where no TextGrid tells; None takes the durations that are expected.

    Raises:
        ValueError: it cannot be used, and why; `is_of_machine` of faults.py tells whether the clip is at fault.
        OSError: it cannot be read; as above.
    """
    backend = reader_of(row, settings)
    tokens, words = _tokens(row, settings.needs_text, backend)
    trimmed = trim(decode(root, row, settings.max_duration_s), settings.margin_s)
    waveform = at_gain(trimmed.waveform, gain_db)
    if len(waveform) < SHORTEST_S * SPEC.sample_rate:
        raise ValueError(
            f"lasts {len(waveform) / SPEC.sample_rate:.2f} s without its silence; at least {SHORTEST_S} s are taken"
        )
    n_frames = len(waveform) // SPEC.hop_length
    with torch.inference_mode():
        mel = _log_mel()(torch.from_numpy(waveform)[None])[0, :n_frames]  # [T, M]
        energy = frame_energy(mel)  # [T]
    f0 = np.asarray(extract_f0(waveform), np.float32)[:n_frames]
    tiers = _tiers(row, settings, trimmed.offset_s)
    sounds = listener.hear(waveform) if listener is not None and tiers is None and len(tokens) > 2 else None
    alignment = align(tokens, words, energy.numpy(), tiers, sounds)
    heard = None if judge is None else judge.hear_mel(mel, f0)
    rated, weight = _ratings(row, heard)
    read_by = backend if len(tokens) > 2 else None
    manifest_row = _manifest_row(rated, settings, tokens, alignment, len(waveform), shard, read_by)
    name = row.id
    tensors = {
        f"{name}.mel": mel.half().clone(),
        f"{name}.f0": torch.from_numpy(f0.copy()),
        f"{name}.energy": energy.half().clone(),
        f"{name}.avd": torch.tensor(
            [[getattr(rated, d) or 0.0 for d in DIMENSIONS]] * len(tokens), dtype=torch.float16
        ),
    }
    if manifest_row.mixture is not None:
        shares = [manifest_row.mixture.get(label, 0.0) for label in LABELS]
        tensors[f"{name}.labels"] = torch.tensor([shares] * len(tokens), dtype=torch.float16)
    if heard is not None:  # [E] of unit length, [K] in the order of LABELS
        tensors[f"{name}.{EMBEDDING}"] = torch.from_numpy(np.asarray(heard.embedding)).half()
        tensors[f"{name}.{HEARD}"] = torch.tensor([heard.labels[label] for label in LABELS], dtype=torch.float16)
    origin = Origin(name, row.corpus, row.audio, row.raw_label, row.gender, alignment.method, weight)
    return Prepared(manifest_row, waveform, tensors, origin)


def reader_of(row: SourceRow, settings: Settings) -> str:
    """Return the backend that reads the text of a clip."""
    return backend_of(row.language) if settings.phonemizer == AUTO else settings.phonemizer


@lru_cache(maxsize=1)
def _log_mel() -> LogMel:
    return LogMel(SPEC)


def _tokens(row: SourceRow, needs_text: bool, backend: str) -> tuple[list[str], list[int]]:
    """Return phonemes and the word of each; silence where there is no text, or nothing that reads it, and none is needed."""
    silence = [SIL, SIL], [-1, -1]
    if row.text is None:
        if needs_text:
            raise ValueError("has no text; settings.needs_text=false keeps such clips for recognisers")
        return silence
    try:
        check_backend(row.language, backend)
    except ValueError as error:
        if not needs_text:
            return silence
        raise ValueError(f"is in {row.language}, which settings.phonemizer={backend} does not read. {error}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a word that cannot be read would shift all that follow it
        try:
            tokens, words = phonemize_marked(row.text, (), row.language, backend)
        except NotInstalled:
            if needs_text:
                raise
            return silence
        except UserWarning as warning:
            raise ValueError(f"has a text that cannot be spoken: {warning}") from None
    if not tokens:
        raise ValueError(f"has a text without a word: {row.text[:60]!r}")
    return tokens, words


def _tiers(row: SourceRow, settings: Settings, offset_s: float) -> dict[str, list[Interval]] | None:
    """Return the tiers of the clip's TextGrid with times from the first frame that is kept, None if it has none."""
    if settings.textgrids is None:
        return None
    stem = Path(row.audio).with_suffix(".TextGrid")
    places = (
        Path(settings.textgrids) / stem,
        Path(settings.textgrids) / row.speaker / stem.name,
        Path(settings.textgrids) / stem.name,
    )
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return None
    shift = offset_s + (row.start_s or 0.0)
    return {
        name: [Interval(max(0.0, i.start_s - shift), max(0.0, i.end_s - shift), i.text) for i in tier]
        for name, tier in read_textgrid(path).items()
    }


def _ratings(row: SourceRow, heard: Heard | None) -> tuple[SourceRow, list[float]]:
    """Return the row with its missing dimensions filled in, and the trust in each of the three."""
    weight = [0.0 if getattr(row, name) is None else 1.0 for name in DIMENSIONS]
    if heard is None or all(weight):
        return row, weight
    values: dict[str, float | None] = {}
    for i, name in enumerate(DIMENSIONS):
        values[name] = getattr(row, name)
        if values[name] is None:
            values[name] = round(min(1.0, max(-1.0, float(heard.avd[i]))), 4)
            weight[i] = round(RATING_STD**2 / (RATING_STD**2 + float(heard.avd_std[i]) ** 2), 4)
    return replace(row, arousal=values["arousal"], valence=values["valence"], dominance=values["dominance"]), weight


def _manifest_row(
    row: SourceRow,
    settings: Settings,
    tokens: list[str],
    alignment: Alignment,
    n_samples: int,
    shard: str,
    read_by: str | None,
) -> ManifestRow:
    """Return the line of the manifest.

    Votes, each times the intensity, become a mixture, whose rest up to one is neutral; then there is no single label.
    """
    known = settings.unknown_intensity if row.intensity is None else row.intensity
    votes = None if row.votes is None else {k: v for k, v in row.votes.items() if k != "neutral" and v > 0.0}
    mixture = None if votes is None else {k: round(v * known, 6) for k, v in votes.items()}
    label = row.label if mixture is None else None
    return ManifestRow(
        id=row.id,
        audio=f"audio/{shard}/{row.id}.flac",
        text=row.text or "",
        voice=row.voice,
        language=row.language,
        phonemes=tokens,
        durations=alignment.durations,
        label=label,
        intensity=0.0 if label == "neutral" or (label is None and not mixture) else known,
        arousal=row.arousal,
        valence=row.valence,
        dominance=row.dominance,
        split=row.split,
        licence=row.licence,
        n_frames=n_samples // SPEC.hop_length,
        duration_s=round(n_samples / SPEC.sample_rate, 4),
        features=f"features/{shard}.safetensors",
        mixture=mixture,
        read_by=read_by,
    )
