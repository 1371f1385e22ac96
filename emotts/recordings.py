"""Find and read recordings: paths, folders and globs come in; files, then mono pieces of bounded length, go out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from soundfile import SoundFile

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64", ".rf64", ".caf")
MAX_HOURS = 6.0
RATE_RANGE = (2_000, 768_000)  # Hz
BLOCK_SAMPLES = 1 << 18  # over all channels; what is decoded at once
SHORTEST_REST_S = 3.0  # a shorter rest is read with the piece before it
UNKNOWN_LENGTH = 1 << 60  # frames; what libsndfile says of a stream without an end
MISSING_SHARE = 0.02  # of the length in the header; an mp3 states its own only roughly


def find_recordings(inputs: Sequence[str]) -> list[Path]:
    """List the files that paths, folders and globs name, each once, in order; folders are searched to their depth.

    A plain path is listed even where nothing is there: reading it tells why.

    Raises:
        ValueError: a folder or a glob holds no audio file.
    """
    found: dict[Path, Path] = {}
    for name in inputs:
        if "\0" in name:
            raise ValueError(f"input must be a file, a folder or a glob; got {name!r}.")
        path = Path(name)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        elif path.exists() or not any(sign in name for sign in "*?["):
            files = [path]
        else:
            start = Path(path.anchor or ".")
            files = sorted(file for file in start.glob(str(path.relative_to(path.anchor))) if file.is_file())
        if not files:
            what = f"folder {name!r} holds" if path.is_dir() else f"glob {name!r} finds"
            raise ValueError(f"{what} no audio file ({', '.join(SUFFIXES)}).")
        for file in files:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def duration_of(path: Path) -> float:
    """Return the length of a recording in seconds as its header tells, which for a stream without an end is far too much.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not audio, empty, longer than MAX_HOURS, or an impossible rate.
    """
    with _opened(path) as file:
        rate, n_frames = int(file.samplerate), int(file.frames)
    _check_header(path, rate, n_frames)
    if n_frames == 0:
        raise ValueError(f"{path.name} holds no samples.")
    return n_frames / rate


def read_pieces(path: Path, sample_rate: int, piece_s: float) -> Iterator["np.ndarray"]:
    """Read a recording as mono float32 pieces [L] of `piece_s` seconds at `sample_rate` Hz, the last up to 3 s longer.

    Only one piece is in memory, however much the file holds when it is unpacked.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not audio, truncated, longer than MAX_HOURS, an impossible rate, or samples that are not finite.
    """
    import numpy as np
    import soxr

    blocks = _read_blocks(path)
    rate = next(blocks)
    assert isinstance(rate, int)
    stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32") if rate != sample_rate else None
    size, rest = int(piece_s * sample_rate), int(SHORTEST_REST_S * sample_rate)
    kept: list[np.ndarray] = []
    n_kept = 0
    for block in blocks:
        assert not isinstance(block, int)
        kept.append(stream.resample_chunk(block) if stream else block)
        n_kept += len(kept[-1])
        while n_kept >= size + rest:
            joined = np.concatenate(kept)
            yield joined[:size]
            kept, n_kept = [joined[size:]], n_kept - size
    if stream:
        kept.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    if sum(map(len, kept)):
        yield np.concatenate(kept)


def _read_blocks(path: Path) -> Iterator["np.ndarray | int"]:
    """Give the rate of a file in Hz, then its samples as mono blocks."""
    import numpy as np

    with _opened(path) as file:
        rate, n_frames = int(file.samplerate), int(file.frames)
        _check_header(path, rate, n_frames)
        yield rate
        n_read = 0
        while len(block := file.read(max(1, BLOCK_SAMPLES // file.channels), dtype="float32", always_2d=True)):
            n_read += len(block)
            if n_read > MAX_HOURS * 3_600 * rate:
                raise ValueError(f"{path.name} goes on after {MAX_HOURS:g} hours; cut it.")
            if not np.isfinite(block).all():
                raise ValueError(f"{path.name} has samples that are not finite; write it again as 16-bit wav.")
            yield block.mean(axis=1)
    if n_read == 0:
        raise ValueError(f"{path.name} holds no samples.")
    check_whole(path, n_read / rate, n_frames / rate)


def check_whole(path: Path, read_s: float, told_s: float) -> None:
    """Raise a ValueError where less of a recording could be read than its header tells of, in seconds."""
    if told_s < UNKNOWN_LENGTH / RATE_RANGE[1] and read_s < (1.0 - MISSING_SHARE) * told_s:
        raise ValueError(f"{path.name} is truncated: it ends after {read_s:.1f} of {told_s:.1f} s.")


@contextmanager
def _opened(path: Path) -> Iterator["SoundFile"]:
    import soundfile

    if not path.is_file():
        problem = "is not a regular file" if path.exists() else "does not exist"
        raise FileNotFoundError(f"{str(path)!r} {problem}; give a wav, flac, ogg or mp3 file.")
    try:
        with soundfile.SoundFile(str(path)) as file:
            yield file
    except soundfile.LibsndfileError as error:
        reason = str(error).removeprefix(f"Error opening {str(path)!r}: ").rstrip(". ")
        raise ValueError(
            f"{path.name} is not audio that libsndfile can read ({reason}); convert it to wav or flac."
        ) from error


def _check_header(path: Path, rate: int, n_frames: int) -> None:
    low, high = RATE_RANGE
    if not low <= rate <= high:
        raise ValueError(f"{path.name} has a sample rate of {rate} Hz; expected {low} to {high}. Write it again.")
    if n_frames < UNKNOWN_LENGTH and n_frames > MAX_HOURS * 3_600 * rate:
        raise ValueError(
            f"{path.name} lasts {n_frames / rate / 3_600:.1f} hours; at most {MAX_HOURS:g} are read. Cut it."
        )
