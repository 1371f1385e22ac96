"""A corpus of buzzing vowels, small enough that a recipe runs through in seconds: to see that everything works, not to learn from.

Goes out: <folder>/corpus, prepared as the recipes read it, and <folder>/recordings, as prepare_corpus.py reads it.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from emotts.audio import SPEC, LogMel, extract_f0, frame_energy, save_audio
from emotts.data.manifest import ManifestRow, write_manifest
from emotts.emotion.labels import AVD_MEANS

REGISTERS = {"a": 110.0, "b": 210.0, "c": 140.0, "d": 180.0}  # Hz of each voice
FEELINGS = ("neutral", "happy", "sad", None)
TEXTS = {  # of the train split two are the recogniser's and two the features judge's: a hash of the text decides
    "Hello there.": "train", "We wait.": "train", "The train leaves at seven.": "train", "Take the bus.": "train",
    "It is late.": "valid", "Go on.": "test",
}  # fmt: skip
TOKENS = ["<sil>", "h", "ə", "l", "ˈoʊ", " ", "ð", "ˈɛ", "ɹ", ".", "<sil>"]
DURATIONS = [6, 5, 6, 6, 14, 0, 5, 12, 8, 0, 8]
INTENSITY = 0.9
FORMANTS = ((500.0, 1_500.0), (350.0, 2_100.0), (700.0, 1_200.0))  # Hz, of vowels in turn


def write_miniature(folder: Path) -> None:
    """Write both folders unless they are there."""
    if (folder / "corpus" / "manifest.jsonl").is_file():
        return
    (folder / "corpus" / "audio").mkdir(parents=True, exist_ok=True)
    (folder / "recordings").mkdir(parents=True, exist_ok=True)
    log_mel, rows = LogMel(), []
    features: dict[str, torch.Tensor] = {}
    lines = ["path,text,speaker,emotion"]
    for number, (text, split) in enumerate(TEXTS.items()):
        for voice in REGISTERS:
            for feeling in FEELINGS:
                row = _row(f"{voice}-{feeling or 'free'}-{number}", text, voice, feeling, split)
                waveform = _speak(row, number)
                save_audio(folder / "corpus" / row.audio, waveform)
                mel = log_mel(torch.from_numpy(waveform)[None])[0, : row.n_frames]
                f0 = np.asarray(extract_f0(waveform), np.float32)[: row.n_frames]
                avd = [row.arousal or 0.0, row.valence or 0.0, row.dominance or 0.0]
                features |= {
                    f"{row.id}.mel": mel.half().clone(),
                    f"{row.id}.f0": torch.from_numpy(f0.copy()),
                    f"{row.id}.energy": frame_energy(mel).half().clone(),
                    f"{row.id}.avd": torch.tensor([avd] * len(TOKENS), dtype=torch.float16),
                }
                rows.append(row)
                if number == 0 and feeling is not None:
                    save_audio(folder / "recordings" / f"{row.id}.wav", waveform)
                    lines.append(f"{row.id}.wav,{text},{voice},{feeling}")
    save_file(features, folder / "corpus" / "features.safetensors")
    (folder / "recordings" / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_manifest(folder / "corpus" / "manifest.jsonl", rows)


def _row(name: str, text: str, voice: str, feeling: str | None, split: str) -> ManifestRow:
    intensity = 0.0 if feeling is None or feeling == "neutral" else INTENSITY
    a, v, d = (intensity * mean for mean in AVD_MEANS[feeling or "neutral"])
    n_frames = sum(DURATIONS)
    return ManifestRow(
        name, f"audio/{name}.flac", text, voice, "en-us", list(TOKENS), list(DURATIONS), feeling, intensity, a, v, d, split,
        "CC0-1.0", n_frames, n_frames / SPEC.frame_rate, "features.safetensors",
    )  # fmt: skip


def _speak(row: ManifestRow, number: int) -> np.ndarray:
    """Return a waveform [L]: harmonics under two formants, higher and louder the more aroused, silent at both ends."""
    generator = np.random.default_rng(number)
    arousal = row.arousal or 0.0
    n = row.n_frames * SPEC.hop_length
    times = np.arange(n) / SPEC.sample_rate
    f0 = REGISTERS[row.voice] * 2.0 ** (0.4 * arousal) * (1.0 + 0.1 * np.sin(2.0 * np.pi * 1.5 * times))
    phase = 2.0 * np.pi * np.cumsum(f0) / SPEC.sample_rate
    token = np.repeat(np.arange(len(TOKENS)), np.multiply(DURATIONS, SPEC.hop_length))
    formants = np.array([FORMANTS[i % len(FORMANTS)] for i in range(len(TOKENS))])[token]  # [L, 2]
    waveform = np.zeros(n)
    for harmonic in range(1, 20):
        gains = 1.0 / (1.0 + ((harmonic * f0[:, None] - formants) / 150.0) ** 2)
        waveform += gains.sum(axis=1) * np.sin(harmonic * phase)
    spoken = (token > 0) & (token < len(TOKENS) - 1)
    level = 0.05 * 2.0**arousal
    return (level * spoken * waveform + 1e-4 * generator.standard_normal(n)).astype(np.float32)
