"""Recordings as chunks at 24 kHz: a path or samples of any rate come in, mono float32 chunks go out, in bounded memory."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotts.audio import SPEC

Wave = NDArray[np.float32]
BLOCK_S = 10.0
RATES = (4_000, 384_000)  # Hz


def check_samples(samples: np.ndarray, sample_rate: int | None) -> tuple[Wave, int]:
    """Return samples [L] or [channels, L] as mono float32 [L], with their rate.

    Raises:
        ValueError: no rate, an odd one, another shape, or samples that are not finite.
    """
    if sample_rate is None or not RATES[0] <= sample_rate <= RATES[1]:
        raise ValueError(
            f"sample_rate must come with samples and lie in [{RATES[0]}, {RATES[1]}] Hz; got {sample_rate}."
        )
    array = np.atleast_2d(np.asarray(samples))
    if array.dtype.kind in "iu" and array.dtype.itemsize > 4:
        raise ValueError(f"samples must be floats in [-1, 1] or PCM integers of at most 32 bits; got {array.dtype}.")
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not array.size:
        raise ValueError(f"samples must be [L] or [channels, L] numbers; got {np.shape(samples)} of {array.dtype}.")
    if array.shape[0] > array.shape[1]:
        array = array.T
    scale = 1.0 if array.dtype.kind == "f" else 2.0 ** (8 * array.dtype.itemsize - 1)
    mono = (array.mean(axis=0, dtype=np.float64) / scale - (1.0 if array.dtype.kind == "u" else 0.0)).astype(np.float32)
    if not np.isfinite(mono).all():
        raise ValueError("the recording has samples that are not finite (NaN or infinity); write it again.")
    return mono, int(sample_rate)


def chunks_of(source: str | Path | np.ndarray, sample_rate: int | None = None) -> Iterator[Wave]:
    """Yield a recording at 24 kHz.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not audio, or samples that are not finite or have no rate.
    """
    if isinstance(source, str | Path):
        yield from _of_file(Path(source))
        return
    mono, rate = check_samples(source, sample_rate)
    yield from resampled((mono[i : i + int(BLOCK_S * rate)] for i in range(0, len(mono), int(BLOCK_S * rate))), rate)


def resampled(chunks: Iterable[Wave], sample_rate: int) -> Iterator[Wave]:
    """Yield chunks at 24 kHz."""
    if sample_rate == SPEC.sample_rate:
        yield from chunks
        return
    import soxr

    stream = soxr.ResampleStream(sample_rate, SPEC.sample_rate, 1, dtype="float32")
    for chunk in chunks:
        yield stream.resample_chunk(np.ascontiguousarray(chunk, np.float32))
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _of_file(path: Path) -> Iterator[Wave]:
    import soundfile

    if not path.is_file():
        raise FileNotFoundError(
            f"audio file {str(path)!r} does not exist; give the path of a wav, flac, ogg or mp3 file."
        )
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate = file.samplerate
            yield from resampled((check_samples(block.mean(axis=1), rate)[0] for block in _blocks(file)), rate)
    except soundfile.LibsndfileError as error:
        raise ValueError(
            f"{path.name} is not audio that libsndfile can read ({error}); convert it to wav or flac."
        ) from error


class Counted:
    """Chunks that are counted as they pass."""

    def __init__(self, chunks: Iterable[Wave]) -> None:
        self.chunks, self.length = chunks, 0

    def __iter__(self) -> Iterator[Wave]:
        for chunk in self.chunks:
            self.length += len(chunk)
            yield chunk


def take(chunks: Iterator[Wave], seconds: float) -> Wave:
    """Take chunks at 24 kHz until they last so long, or there are no more; empty then."""
    parts: list[Wave] = []
    n = 0
    while n < seconds * SPEC.sample_rate:
        chunk = next(chunks, None)
        if chunk is None:
            break
        parts.append(chunk)
        n += len(chunk)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _blocks(file: Any) -> Iterator[np.ndarray]:
    """Read blocks [n, channels] until nothing comes: a truncated file holds less than its header says."""
    while len(block := file.read(int(BLOCK_S * file.samplerate), dtype="float32", always_2d=True)):
        yield block
