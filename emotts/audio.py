"""Waveforms in and out, the log-mel front end, F0, energy and level.

Comes in: files or waveforms [L] / [B, L]. Goes out: mel [B, T, M], F0 [T] in Hz (0 = unvoiced), energy [B, T], all at
93.75 frames a second. The mel equals the public vocos-mel-24khz front end (HTK scale, magnitude, natural log).
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from soundfile import SoundFile

LOG_FLOOR = 1e-7


@dataclass(frozen=True)
class AudioSpec:
    """Numbers of the front end that travel together."""

    sample_rate: int = 24_000
    n_fft: int = 1_024
    hop_length: int = 256
    n_mels: int = 100

    @property
    def frame_rate(self) -> float:
        return self.sample_rate / self.hop_length


SPEC = AudioSpec()
WRITE_BLOCK = 1 << 16  # samples
FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}


def load_audio(path: str | Path, sample_rate: int = SPEC.sample_rate, max_duration_s: float = 3_600.0) -> np.ndarray:
    """Read any file that libsndfile knows as mono float32 [L] in [-1, 1] at `sample_rate`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not audio, longer than `max_duration_s`, or with samples that are not finite.
    """
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"audio file {str(path)!r} does not exist; give the path of a wav, flac, ogg or mp3 file."
        )
    try:
        info = soundfile.info(str(path))
        if info.frames > max_duration_s * info.samplerate:
            raise ValueError(
                f"{path.name} lasts {info.frames / info.samplerate:.0f} s; at most {max_duration_s:.0f} s are read at once. Cut it."
            )
        waveform, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(
            f"{path.name} is not audio that libsndfile can read ({error}); convert it to wav or flac."
        ) from error
    mono = waveform.mean(axis=1)
    if not np.isfinite(mono).all():
        raise ValueError(f"{path.name} has samples that are not finite; write it again as 16-bit wav.")
    return resample(mono, rate, sample_rate)


def resample(waveform: np.ndarray, source_rate: int, target_rate: int) -> np.ndarray:
    """Resample [L] from `source_rate` to `target_rate` (Hz) with soxr; equal rates return the input unchanged."""
    if source_rate == target_rate:
        return waveform
    import soxr

    return soxr.resample(waveform, source_rate, target_rate).astype(np.float32)


def open_to_write(
    target: str | BinaryIO, suffix: str, sample_rate: int, metadata: Mapping[str, str] | None = None
) -> "SoundFile":
    """Open a mono file of the format that belongs to `suffix`, one of FORMATS.

    Args:
        target: a path, or a binary file that can seek.
        metadata: what the file says of itself, by libsndfile's names, such as `comment` and `software`.
    """
    import soundfile

    container, subtype = FORMATS[suffix]
    file = soundfile.SoundFile(target, "w", sample_rate, 1, subtype, format=container)
    for name, value in (metadata or {}).items():  # before the first sample, or they are not written
        setattr(file, name, value)
    return file


class AudioWriter:
    """Write a file piece by piece; it appears under its name when the context closes well, and not at all otherwise.

    `metadata` as in `open_to_write`.

    Raises:
        ValueError: unknown suffix, or samples that are not finite.
        FileNotFoundError: the folder does not exist.
    """

    def __init__(
        self, path: str | Path, sample_rate: int = SPEC.sample_rate, metadata: Mapping[str, str] | None = None
    ) -> None:
        self.path = Path(path)
        self.sample_rate = sample_rate
        self.metadata = metadata
        if self.path.suffix.lower() not in FORMATS:
            raise ValueError(f"output must end in one of {', '.join(FORMATS)}; got {self.path.name!r}.")
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"output folder {str(self.path.parent)!r} does not exist; create it first.")

    def __enter__(self) -> "AudioWriter":
        suffix = self.path.suffix.lower()
        handle, name = tempfile.mkstemp(prefix=f".{self.path.stem[:40]}-", suffix=suffix, dir=self.path.parent)
        os.close(handle)
        self._temporary = Path(name)
        try:
            self._file = open_to_write(name, suffix, self.sample_rate, self.metadata)
        except BaseException:
            self._temporary.unlink()
            raise
        return self

    def write(self, waveform: np.ndarray) -> None:
        """Append [L] samples in [-1, 1]."""
        if not np.isfinite(waveform).all():
            raise ValueError("the waveform has samples that are not finite; nothing was written.")
        for start in range(0, len(waveform), WRITE_BLOCK):  # libsndfile's Vorbis encoder overflows on long blocks
            self._file.write(np.clip(waveform[start : start + WRITE_BLOCK], -1.0, 1.0))

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self._file.close()
            if kind is None:
                self._temporary.chmod(0o644)
                self._temporary.replace(self.path)
        finally:
            self._temporary.unlink(missing_ok=True)


def save_audio(
    path: str | Path,
    waveform: np.ndarray,
    sample_rate: int = SPEC.sample_rate,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write [L] in [-1, 1] as wav, flac, ogg or mp3 by suffix; arguments and errors are those of AudioWriter."""
    with AudioWriter(path, sample_rate, metadata) as file:
        file.write(waveform)


def mel_filterbank(spec: AudioSpec = SPEC) -> Tensor:
    """Return triangular HTK mel filters [n_fft // 2 + 1, M] with peak 1 (no area normalisation)."""

    def hz_to_mel(hz: float) -> float:
        return 2_595.0 * float(np.log10(1.0 + hz / 700.0))

    points = np.linspace(0.0, hz_to_mel(spec.sample_rate / 2), spec.n_mels + 2)
    edges = 700.0 * (10.0 ** (points / 2_595.0) - 1.0)  # [M + 2] Hz
    bins = np.linspace(0.0, spec.sample_rate / 2, spec.n_fft // 2 + 1)
    width = np.diff(edges)
    slopes = edges[None, :] - bins[:, None]  # [bins, M + 2]
    falling = -slopes[:, :-2] / width[:-1]
    rising = slopes[:, 2:] / width[1:]
    return torch.from_numpy(np.maximum(0.0, np.minimum(falling, rising)).astype(np.float32))


class LogMel(nn.Module):
    """Log-mel magnitudes of waveforms, centred with reflection padding."""

    filters: Tensor
    window: Tensor

    def __init__(self, spec: AudioSpec = SPEC) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("filters", mel_filterbank(spec), persistent=False)
        self.register_buffer("window", torch.hann_window(spec.n_fft), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Map waveform [B, L] to natural-log mel magnitudes [B, 1 + L // hop, M]."""
        spec = self.spec
        magnitude = torch.stft(
            waveform,
            spec.n_fft,
            spec.hop_length,
            window=self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        ).abs()  # [B, bins, T]
        mel = magnitude.transpose(1, 2) @ self.filters  # [B, bins, T] -> [B, T, M]
        return torch.log(mel.clamp_min(LOG_FLOOR))


def frame_energy(mel: Tensor) -> Tensor:
    """Return the natural log of the root mean square of the mel magnitudes per frame: [..., T, M] -> [..., T]."""
    return 0.5 * torch.logsumexp(2.0 * mel.float(), dim=-1) - 0.5 * float(np.log(mel.shape[-1]))


def speech_level_db(waveform: np.ndarray, frame_length: int = 480) -> float:
    """Return the RMS level in dBFS over the frames of speech (those within 30 dB of the loudest); -inf for silence."""
    frames = waveform[: len(waveform) // frame_length * frame_length].reshape(-1, frame_length)
    if not len(frames):
        return float("-inf")
    power = (frames.astype(np.float64) ** 2).mean(axis=1)
    if power.max() <= 1e-12:
        return float("-inf")
    return float(10.0 * np.log10(power[power > power.max() * 1e-3].mean()))


def extract_f0(
    waveform: np.ndarray, sample_rate: int = SPEC.sample_rate, hop_length: int = SPEC.hop_length
) -> np.ndarray:
    """Estimate F0 [1 + L // hop] in Hz, 0 where unvoiced, at frame centres `hop_length` samples apart.

    Method: normalised cross-correlation candidates at 8 kHz and a Viterbi path over (candidate or unvoiced), after Talkin,
    "A robust algorithm for pitch tracking (RAPT)" (1995). Range 55 to 620 Hz.
    """
    from emotts.pitch import track_f0

    return track_f0(waveform, sample_rate, hop_length)
