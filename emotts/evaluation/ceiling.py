"""The ceiling: recorded rows of the simulated corpus, and their copy through the vocoder, measured as the model's own speech is.

Comes in: a corpus folder with manifest.jsonl. Goes out: jobs for emotts.evaluation.run, two per row.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotts.audio import SPEC, load_audio
from emotts.data.manifest import ManifestRow, read_manifest
from emotts.evaluation.listen import Listener
from emotts.reference import Neutral

if TYPE_CHECKING:
    from emotts.evaluation.run import Job
    from emotts.pipeline import EmoTTS

N_REFERENCES = 4  # neutral rows that the judges know a voice by
FULL_STRENGTH = (0.8, 1.2)  # intensities that are compared with the model's 1.0
LABELLED_SHARE = 2 / 3

Speak = Callable[["EmoTTS", Path, ManifestRow], np.ndarray]


def ceiling_jobs(tts: "EmoTTS", listener: Listener, corpus: Path, n: int, system: str) -> "list[Job]":
    """Return the jobs of `n` rows of the test split, as they were recorded and after copy synthesis.

    Raises:
        FileNotFoundError: the corpus has no manifest.
        ValueError: its test split has no rows of a voice that also has neutral ones.
    """
    from emotts.evaluation.run import per_voice

    manifest = read_manifest(corpus / "manifest.jsonl")
    neutral = {voice: references(manifest, voice) for voice in sorted({row.voice for row in manifest})}
    known = {row.id for rows in neutral.values() for row in rows}
    rows = [row for row in manifest if row.split == "test" and neutral[row.voice] and row.id not in known]
    if not rows:
        raise ValueError(f"{corpus} has no rows in its test split; give a corpus made with test_per_voice above 0.")
    jobs: list[Job] = []
    for name, speak in (("teacher", _recorded), ("copy synthesis", _copied)):

        def neutral_of(voice: str, speak: Speak = speak) -> Neutral:
            return [(speak(tts, corpus, row), SPEC.sample_rate) for row in neutral[voice]]

        ears = per_voice(listener, neutral_of)
        for row in pick(rows, n):
            asked = _asked(row)
            key = hashlib.sha256(f"{name} {row.id} {row.audio} {system}".encode()).hexdigest()[:20]

            def make(row: ManifestRow = row, speak: Speak = speak, ears: Any = ears) -> dict[str, Any]:
                waveform = speak(tts, corpus, row)
                return ears(row.voice).measure(
                    waveform, SPEC.sample_rate, row.text, row.phonemes, np.asarray(row.durations), True
                )

            jobs.append((key, {"system": name, **asked}, make))
    return jobs


def references(rows: list[ManifestRow], voice: str) -> list[ManifestRow]:
    """Return the neutral rows of any split by which the judges know a voice, chosen by a stable hash."""
    neutral = [row for row in rows if row.voice == voice and row.label == "neutral"]
    return sorted(neutral, key=lambda row: hashlib.sha256(row.id.encode()).digest())[:N_REFERENCES]


def pick(rows: list[ManifestRow], n: int) -> list[ManifestRow]:
    """Choose rows by a stable hash: two thirds with a label near intensity 1, every label in turn, the rest without one."""
    rows = sorted(rows, key=lambda row: hashlib.sha256(row.id.encode()).digest())
    labelled: dict[str, list[ManifestRow]] = {}
    free = []
    for row in rows:
        if row.label is None:
            free.append(row)
        elif row.label == "neutral" or FULL_STRENGTH[0] <= row.intensity <= FULL_STRENGTH[1]:
            labelled.setdefault(row.label, []).append(row)
    in_turn = [
        group[i]
        for i in range(max((len(g) for g in labelled.values()), default=0))
        for _, group in sorted(labelled.items())
        if i < len(group)
    ]
    n_labelled = min(len(in_turn), round(n * LABELLED_SHARE))
    return [*in_turn[:n_labelled], *free[: n - n_labelled]]


def _asked(row: ManifestRow) -> dict[str, Any]:
    is_neutral = row.label == "neutral"
    return {
        "part": "point" if row.label is None else "category",
        "text": row.text,
        "voice": row.voice,
        "seed": None,
        "label_asked": row.label,
        "intensity_asked": 0.0 if is_neutral else row.intensity,
        "arousal_asked": row.arousal,
        "valence_asked": row.valence,
        "dominance_asked": row.dominance,
        "dimension": None,
        "words": None,
    }


def _recorded(tts: "EmoTTS", corpus: Path, row: ManifestRow) -> np.ndarray:
    return load_audio(corpus / row.audio)


def _copied(tts: "EmoTTS", corpus: Path, row: ManifestRow) -> np.ndarray:
    """Take the mel and F0 that were stored with the recording through the vocoder."""
    import torch
    from safetensors import safe_open

    with safe_open(corpus / row.features, framework="pt") as shard:
        mel = shard.get_tensor(f"{row.id}.mel").float()[None]
        f0 = shard.get_tensor(f"{row.id}.f0").float()[None]
    with torch.inference_mode():
        generator = torch.Generator().manual_seed(0)
        return tts.vocoder(mel.to(tts.device), f0.to(tts.device), generator=generator)[0].float().cpu().numpy()
