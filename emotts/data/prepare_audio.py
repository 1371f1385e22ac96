"""A clip of a corpus as the model wants it: decoded, one channel, 24 kHz, trimmed, at the level of its speaker.

Loudness carries emotion, so clips are not made equally loud: one gain per speaker puts the middle of his or her clips at one level.
"""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotts.audio import SPEC, resample, speech_level_db
from emotts.data.corpora.rows import SourceRow
from emotts.data.faults import MachineFault, is_of_machine
from emotts.data.packed import packed_audio

WITH_FFMPEG = (".m4a", ".mp4", ".webm")  # what libsndfile cannot read
FFMPEG_SECONDS = 120
KILLED = (-signal.SIGKILL, -signal.SIGTERM)  # by the system, for memory, or by a person
LARGEST_SAMPLE = 16.0  # float files may go a little above 1; integers written as floats reach 32,768
FRAME = 240  # samples, 10 ms
TRIM_DB = 40.0  # below the loudest 10 ms
SILENCE_DB = -70.0
PEAK = 0.99
MISSING_SHARE = 0.02  # of the length in the header; an mp3 states its own only roughly
MAX_GAIN_DB = 40.0
CLIPS_PER_SPEAKER = 12


@dataclass(frozen=True)
class Trimmed:
    """Speech [L] and how many seconds were cut from its beginning."""

    waveform: np.ndarray
    offset_s: float


def decode(root: Path, row: SourceRow, max_duration_s: float) -> np.ndarray:
    """Read the clip of a row as mono float32 [L] at 24 kHz.

    Raises:
        ValueError: it is no audio, lasts too long, has no such channel or samples that are not finite.
        FileNotFoundError: there is no such file.
        MachineFault: it cannot be read here, for want of a program or by a fault of the disk.
    """
    import soundfile

    path, packed = root / row.audio, packed_audio(root, row.audio)
    if packed is None and not path.is_file():
        raise FileNotFoundError(f"audio {row.audio!r} is missing")
    if packed is None and is_for_ffmpeg(row.audio):
        packed = _through_ffmpeg(path)
    try:
        with soundfile.SoundFile(str(path) if packed is None else io.BytesIO(packed)) as file:
            rate, start = int(file.samplerate), round((row.start_s or 0.0) * file.samplerate)
            end = file.frames if row.end_s is None else min(file.frames, round(row.end_s * rate))
            if end - start > max_duration_s * rate:
                raise ValueError(f"lasts {(end - start) / rate:.0f} s; at most {max_duration_s:g} s are taken")
            file.seek(min(start, file.frames))
            samples = file.read(max(0, end - start), dtype="float32", always_2d=True)  # [L, channels]
    except soundfile.LibsndfileError as error:
        if packed is None:
            path.read_bytes()  # the library hides a fault of the disk, and too many open files
        raise ValueError(f"cannot be read as audio ({str(error).rpartition(': ')[2].rstrip('.')})") from error
    if len(samples) < (1.0 - MISSING_SHARE) * (end - start):
        if packed is None:
            path.read_bytes()  # as above
        raise ValueError(f"is truncated: it ends after {len(samples) / rate:.2f} of {(end - start) / rate:.2f} s")
    return _checked(samples, row.channel, rate)


def trim(waveform: np.ndarray, margin_s: float) -> Trimmed:
    """Cut the silence at both ends except for a margin.

    Raises:
        ValueError: there is nothing but silence.
    """
    n = len(waveform) // FRAME
    power = (waveform[: n * FRAME].astype(np.float64).reshape(n, FRAME) ** 2).mean(axis=1)
    loudest = 10.0 * np.log10(power.max(initial=0.0) + 1e-20)
    if loudest < SILENCE_DB:
        raise ValueError(f"is silent: its loudest 10 ms have {loudest:.0f} dBFS")
    loud = np.flatnonzero(power > power.max() * 10.0 ** (-TRIM_DB / 10.0))
    margin = round(margin_s * SPEC.sample_rate)
    start = max(0, int(loud[0]) * FRAME - margin)
    return Trimmed(waveform[start : (int(loud[-1]) + 1) * FRAME + margin], start / SPEC.sample_rate)


def at_gain(waveform: np.ndarray, gain_db: float) -> np.ndarray:
    """Change the level, by less where it would clip, and round to the 16 bits of the stored file."""
    peak = float(np.abs(waveform).max(initial=0.0))
    factor = min(10.0 ** (gain_db / 20.0), PEAK / max(peak, 1e-9))
    return (np.rint(waveform * factor * 32_768.0) / 32_768.0).astype(np.float32)


def speaker_gain_db(root: Path, rows: Sequence[SourceRow], level_db: float, max_duration_s: float) -> float:
    """Return the gain in dB that puts the median level of a speaker at `level_db`.

    Neutral clips count if there are some, else all; CLIPS_PER_SPEAKER of them are heard, spread over the list. A speaker without a
    clip that can be read has the gain 0.

    Raises:
        OSError: a fault of the machine.
    """
    chosen = [row for row in rows if row.label == "neutral"] or list(rows)
    picks = np.unique(np.linspace(0, len(chosen) - 1, min(CLIPS_PER_SPEAKER, len(chosen))).round().astype(int))
    levels = []
    for i in picks:
        try:
            level = speech_level_db(decode(root, chosen[int(i)], max_duration_s))
        except (ValueError, OSError) as error:
            if is_of_machine(error):  # the gain of all clips would be another one
                raise
            continue  # named when its own turn comes
        if level > SILENCE_DB:
            levels.append(level)
    return round(min(MAX_GAIN_DB, level_db - float(np.median(levels))), 2) if levels else 0.0


def _checked(samples: np.ndarray, channel: int | None, rate: int) -> np.ndarray:
    if not len(samples):
        raise ValueError("holds no samples")
    if not np.isfinite(samples).all():
        raise ValueError("has samples that are not finite")
    if np.abs(samples).max() > LARGEST_SAMPLE:
        raise ValueError(f"has samples up to {np.abs(samples).max():.0f}; expected at most 1, write it as 16-bit wav")
    if channel is not None and channel >= samples.shape[1]:
        raise ValueError(f"has {samples.shape[1]} channels; the speaker is on channel {channel + 1}")
    mono = samples.mean(axis=1) if channel is None else samples[:, channel]
    return resample(np.ascontiguousarray(mono), rate, SPEC.sample_rate)


def is_for_ffmpeg(audio: str) -> bool:
    """Whether a file is of a kind that only ffmpeg decodes."""
    return Path(audio).suffix.lower() in WITH_FFMPEG


def check_ffmpeg(what: str) -> str:
    """Return the program ffmpeg, which `what` needs, after it has run once.

    Raises:
        MachineFault: there is none, or it does not run.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise MachineFault(f"{what}: install ffmpeg, or convert to wav files of the same names")
    try:
        subprocess.run([program, "-version"], capture_output=True, timeout=FFMPEG_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise MachineFault(f"{what}: ffmpeg is installed and does not run ({error}); install it anew") from error
    return program


def _through_ffmpeg(path: Path) -> bytes:
    """Return a file as wav, decoded by the program ffmpeg.

    Raises:
        ValueError: it cannot decode the file.
        MachineFault: there is no such program, or the system ended it.
    """
    program = shutil.which("ffmpeg") or check_ffmpeg(f"is {path.suffix[1:]}")
    command = [program, "-nostdin", "-v", "error", "-i", f"file:{path}", "-vn", "-f", "wav", "-c:a", "pcm_s16le", "-"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=FFMPEG_SECONDS)
    except subprocess.TimeoutExpired:
        raise ValueError(f"was not decoded by ffmpeg within {FFMPEG_SECONDS} s") from None
    except OSError as error:
        raise MachineFault(f"ffmpeg cannot be run ({error})") from error
    if done.returncode in KILLED:
        raise MachineFault("ffmpeg was ended by the system, perhaps for want of memory; fewer processes need less")
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1][:120]
        raise ValueError(f"cannot be decoded by ffmpeg ({said})")
    return _with_length(done.stdout)


def _with_length(data: bytes) -> bytes:
    """Write the sizes into a wav header that came through a pipe, where ffmpeg could not know them."""
    place = data.find(b"data")
    if place < 0:
        return data
    sizes = ((4, len(data) - 8), (place + 4, len(data) - place - 8))
    out = bytearray(data)
    for at, size in sizes:
        out[at : at + 4] = size.to_bytes(4, "little")
    return bytes(out)
