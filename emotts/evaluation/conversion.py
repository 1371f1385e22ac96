"""Conversion in an evaluation: what there is to convert comes in, jobs for emotts.evaluation.run go out, and rows compared.

An original is spoken by the model, or a user's recording. It is measured as it is, as copy synthesis, in other emotions, halfway
to one of them and in another voice, with the same ears.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotts.audio import SPEC, load_audio
from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABELS
from emotts.evaluation.grid import TEXTS, Suite
from emotts.evaluation.listen import Listener, unpack

if TYPE_CHECKING:
    from emotts.evaluation.run import Job
    from emotts.pipeline import EmoTTS, Result

Row = dict[str, Any]
MADE, RECORDED = "made", "recorded"
SOURCE, COPY, EMOTION, HALFWAY, VOICE = (
    "convert source", "convert copy", "convert emotion", "convert halfway", "convert voice",
)  # fmt: skip
HALF = 0.5  # strength that the order of strengths is told by, besides 0 and 1
LONGEST_S = 30.0  # of a recording; what follows is not listened to
ASKED = tuple(name for name in LABELS if name != "neutral")


@dataclass(frozen=True)
class Original:
    """Something to convert.

    Attributes:
        kind: MADE or RECORDED.
        name: of a recording, or the text, voice and emotion of what is spoken; with `kind` it is unique.
        text: what is said; "" where it is not known.
        voice: of the model; the recording's name else.
        emotion: in which it is spoken; None where it is heard.
        wave: returns samples [L] at 24 kHz.
        tokens: returns what is said in phonemes, None to hear it.
    """

    kind: str
    name: str
    text: str
    voice: str
    emotion: str | None
    wave: Callable[[], np.ndarray]
    tokens: Callable[[], list[str] | None]


@dataclass(frozen=True)
class Change:
    """One conversion: its part of the grid, and what is asked of it."""

    part: str
    label: str | None = None
    strength: float = 1.0
    target: str | None = None

    def options(self, seed: int) -> dict[str, Any]:
        """Return the arguments of `EmoTTS.convert`."""
        wanted = {"emotion": self.label, "voice": self.target}
        return {"seed": seed, "strength": self.strength, **{k: v for k, v in wanted.items() if v is not None}}


def originals_of(
    tts: "EmoTTS", suite: Suite, voices: Sequence[str], seed: int, recordings: Sequence[Path] = ()
) -> list[Original]:
    """Return what a suite converts: every other one of the model's own is neutral, the others have a label in turn.

    Raises:
        ValueError: the text beside a recording is empty.
    """
    found = []
    for i in range(suite.n_sources if voices else 0):
        emotion = "neutral" if i % 2 == 0 else ASKED[(5 * (i // 2)) % len(ASKED)]
        found.append(_spoken(tts, TEXTS[i % len(TEXTS)], voices[(i + i // len(TEXTS)) % len(voices)], emotion, seed))
    return [*found, *(_recorded(path) for path in recordings)]


def changes_of(number: int, original: Original, suite: Suite, voices: Sequence[str]) -> list[Change]:
    """Return what is done with the original of a number; labels and target voices come in turn."""
    labels = [name for name in ASKED if name != original.emotion]
    n = min(suite.labels_per_source, len(labels))
    chosen = [labels[(number * n + k) % len(labels)] for k in range(n)]
    others = [name for name in voices if name != original.voice]
    targets = [others[(number + k * max(1, len(others) // 2)) % len(others)] for k in range(min(1, len(others)))]
    return [
        Change(SOURCE),
        Change(COPY, strength=0.0),
        *(Change(EMOTION, label) for label in chosen),
        *(Change(HALFWAY, label, HALF) for label in chosen[:1]),
        *(Change(VOICE, target=name) for name in targets),
    ]


def conversion_jobs(
    tts: "EmoTTS",
    listener: Listener,
    ears: Callable[[str], Listener],
    suite: Suite,
    voices: Sequence[str],
    system: str,
    seed: int = 0,
    recordings: Sequence[Path] = (),
) -> "list[Job]":
    """Return the jobs of all originals.

    Args:
        tts, suite, seed: the model, how large, of readings and noise.
        listener: knows no voice; for a recording its judges are told the recording itself, so that they hear what changed.
        ears: maps a voice of the model to a listener that knows it.
        voices: of the model.
        system: digest, see `emotts.evaluation.run.system_digest`.
        recordings: paths of a user's own.
    """
    jobs: list[Job] = []
    for i, original in enumerate(originals_of(tts, suite, voices, seed, recordings)):

        def heard_by(original: Original = original) -> Listener:
            if original.kind == MADE:
                return ears(original.voice)
            return listener.knowing([(original.wave(), SPEC.sample_rate)])

        know = lru_cache(maxsize=1)(heard_by)
        for change in changes_of(i, original, suite, voices):
            make = _maker(tts, know, original, change, seed)
            jobs.append((_key(original, change, seed, system), _asked(original, change, seed), make))
    return jobs


def converted(tts: "EmoTTS", original: Original, change: Change, seed: int) -> "Result":
    """Convert an original."""
    return tts.convert(original.wave(), SPEC.sample_rate, **change.options(seed))


def borders(tts: "EmoTTS", waveform: np.ndarray, tokens: Sequence[str] | None) -> tuple[list[str], np.ndarray]:
    """Return phonemes [N] and where each ends [N] in ms, as the speech encoder lays them; None hears them first.

    Raises:
        ValueError: they do not fit into the waveform.
    """
    from emotts.content.segments import fit_tokens, recognise

    heard = tts.converter.listener.hear(waveform)
    known = list(tokens) if tokens is not None else recognise(heard).tokens
    return known, np.cumsum(fit_tokens(heard, known).durations) * 1_000.0 / SPEC.frame_rate


def compared(rows: Sequence[Row], judges: Sequence[str]) -> list[Row]:
    """Return rows with what needs more than one of them; rows that are no conversions stay as they are.

    - source_similarity: cosine of a conversion's voice with its original's.
    - target_similarity, is_nearer: cosine with the wanted voice's mean neutral utterance of other texts, and whether that is more
      than the original has with the result. For copies the wanted voice is their own: the ceiling.
    - source_errors: wrong words of the original. dns_against_copy: DNSMOS overall less that of copy synthesis.
    - copy_<dimension>_<judge>: what is heard at strength 0.
    """
    whole = [dict(row) for row in rows]
    sound = [row for row in whole if "original" in row and "error" not in row]
    first = {(row["part"], row["kind"], row["original"]): row for row in sound if row["part"] in (SOURCE, COPY)}
    for row in sound:
        source, copy = (first.get((part, row["kind"], row["original"])) for part in (SOURCE, COPY))
        if source is None or copy is None or row is source:
            continue
        voice = unpack(row["speaker_embedding"])
        row["source_similarity"] = _cosine(voice, unpack(source["speaker_embedding"]))
        if "ref_text" in row and "ref_text" in source:
            row["source_errors"] = wrong_words(source)
        if None not in (row.get("dns_overall"), copy.get("dns_overall")):
            row["dns_against_copy"] = round(row["dns_overall"] - copy["dns_overall"], 5)
        for judge in judges:
            row |= {f"copy_{name}_{judge}": copy[f"{name}_{judge}"] for name in DIMENSIONS}
        wanted = {VOICE: row["target"], COPY: row["voice"]}.get(row["part"])
        if wanted is not None and (mean := _neutral_voice(whole, wanted, row["text"])) is not None:
            row["target_similarity"] = _cosine(voice, mean)
            row["is_nearer"] = float(row["target_similarity"] > row["source_similarity"])
    return whole


def wrong_words(row: Row) -> int:
    """Return how many words Whisper heard wrong, missed or added."""
    return sum(int(row[f"whisper_wer_{k}"]) for k in ("delete", "insert", "replace"))


def _spoken(tts: "EmoTTS", text: str, voice: str, emotion: str, seed: int) -> Original:
    @lru_cache(maxsize=1)
    def result() -> "Result":
        return tts.synthesize(text, voice=voice, emotion=emotion, seed=seed)

    name = f"{voice}, {emotion}: {text}"
    return Original(MADE, name, text, voice, emotion, lambda: result().waveform, lambda: result().tokens)


def _recorded(path: Path) -> Original:
    beside = path.with_suffix(".txt")
    text = " ".join(beside.read_text(encoding="utf-8").split()) if beside.is_file() else ""
    if beside.is_file() and not text:
        raise ValueError(f"{beside} is empty; write what {path.name} says, or remove it to leave out the words.")
    wave = lru_cache(maxsize=1)(lambda: load_audio(path)[: int(LONGEST_S * SPEC.sample_rate)])
    return Original(RECORDED, path.as_posix(), text, path.stem, None, wave, lambda: None)


def _maker(
    tts: "EmoTTS", know: Callable[[], Listener], original: Original, change: Change, seed: int
) -> Callable[[], Row]:
    def make() -> Row:
        try:
            if change.part == SOURCE:
                return _measured(know(), original, original.wave(), True)
            result = converted(tts, original, change, seed)
            facts = _timing(tts, original, result.waveform) if change.part != HALFWAY else {}
            measured = _measured(know(), original, result.waveform, change.part != HALFWAY)
        except ValueError as error:
            return {"error": str(error)}
        return {"convert_rtf": round(result.rtf, 5), **facts, **measured}

    return make


def _measured(ears: Listener, original: Original, waveform: np.ndarray, is_whole: bool) -> Row:
    """Measure with all ears; words only where they are known."""
    row = ears.measure(waveform, SPEC.sample_rate, original.text, is_transcribed=is_whole and bool(original.text))
    if is_whole and not original.text and "error" not in row:
        row |= {name: round(float(value), 5) for name, value in ears.quality(waveform, "").items()}
    return row


def _timing(tts: "EmoTTS", original: Original, waveform: np.ndarray) -> Row:
    """Return by how many frames the length moved, and the phonemes' borders in ms, as both are laid by the same ear."""
    row: Row = {"length_shift": round(abs(len(waveform) - len(original.wave())) / SPEC.hop_length, 5)}
    try:
        tokens, before = borders(tts, original.wave(), original.tokens())
        _, after = borders(tts, waveform, tokens)
        row["border_shift_ms"] = round(float(np.mean(np.abs(after[:-1] - before[:-1]))), 5)
    except ValueError:
        row["border_shift_ms"] = None  # the phonemes do not fit; the table leaves the row out
    return row


def _asked(original: Original, change: Change, seed: int) -> Row:
    system = {SOURCE: "source", COPY: "copy synthesis"}.get(change.part, "emotts")
    place = (None, None, None) if change.label is None else AVD_MEANS[change.label]
    return {
        "system": system, "part": change.part, "text": original.text, "voice": original.voice, "seed": seed,
        "label_asked": change.label, "intensity_asked": change.strength,
        **{f"{name}_asked": value for name, value in zip(DIMENSIONS, place, strict=True)},
        "dimension": None, "words": None, "kind": original.kind, "original": original.name, "target": change.target,
    }  # fmt: skip


def _key(original: Original, change: Change, seed: int, system: str) -> str:
    content = hashlib.sha256(original.wave().tobytes()).hexdigest() if original.kind == RECORDED else ""
    asked = [original.kind, original.name, original.text, content, *_asked(original, change, seed).values(), system]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()[:20]


def _neutral_voice(rows: Sequence[Row], voice: str, text: str) -> np.ndarray | None:
    neutral = [
        unpack(row["speaker_embedding"])
        for row in rows
        if row["part"] == "category" and row["label_asked"] == "neutral" and row["system"] == "emotts"
        and row["voice"] == voice and row["text"] != text and "speaker_embedding" in row
    ]  # fmt: skip
    return np.mean(neutral, axis=0) if neutral else None


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return round(float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9)), 5)
