"""Samples in, bytes of an audio file out, piece by piece while they come or as one whole file; no ffmpeg is needed."""

import io
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from emotts.audio import SPEC, WRITE_BLOCK

# format -> (container, subtype, media type, further arguments of SoundFile)
_FORMATS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "mp3": ("MP3", "MPEG_LAYER_III", "audio/mpeg", {"bitrate_mode": "CONSTANT", "compression_level": 0.5}),  # 80 kbit/s
    "opus": ("OGG", "OPUS", "audio/ogg", {}),
    "flac": ("FLAC", "PCM_16", "audio/flac", {}),
    "wav": ("WAV", "PCM_16", "audio/wav", {}),
    "pcm": ("RAW", "PCM_16", "audio/pcm", {"endian": "LITTLE"}),
}
FORMATS = tuple(_FORMATS)
STREAMED = tuple(
    name for name in FORMATS if name != "flac"
)  # FLAC tells its length at the beginning, or players refuse it
UNTAGGED = ("pcm",)
UNKNOWN_LENGTH = struct.pack("<I", 0xFFFFFFFF)


def media_type(name: str) -> str:
    """Return the media type of a format, one of FORMATS."""
    return _FORMATS[name][2]


class Encoder:
    """Writes one file of mono sound at 24 kHz.

    A whole file comes out at the end. A stream comes out as it is written; a WAV stream says that its length is not known.
    """

    def __init__(self, name: str, metadata: Mapping[str, str], is_stream: bool) -> None:
        """Begin.

        Args:
            name: one of FORMATS; a stream, one of STREAMED.
            metadata: what the file says of itself, by libsndfile's names; `pcm` cannot hold it.
        """
        import soundfile

        container, subtype, _, more = _FORMATS[name]
        self._is_stream, self._has_length = is_stream, name == "wav"
        self._sink = _Pipe() if is_stream else io.BytesIO()
        self._file = soundfile.SoundFile(self._sink, "w", SPEC.sample_rate, 1, subtype, format=container, **more)
        if name not in UNTAGGED:
            for key, value in metadata.items():
                setattr(self._file, key, value)

    def add(self, waveform: np.ndarray) -> bytes:
        """Write samples [L] in [-1, 1] and return the bytes that are ready, none unless it is a stream.

        Raises:
            ArithmeticError: samples that are not finite.
        """
        if not np.isfinite(waveform).all():
            raise ArithmeticError("the waveform has samples that are not finite.")
        for start in range(0, len(waveform), WRITE_BLOCK):  # libsndfile's encoders overflow on long blocks
            self._file.write(np.clip(waveform[start : start + WRITE_BLOCK], -1.0, 1.0))
        self._file.flush()
        return self._taken()

    def close(self) -> bytes:
        """End the file and return the rest of it, or all of a whole one."""
        self._file.close()
        return self._taken() if isinstance(self._sink, _Pipe) else self._sink.getvalue()

    def _taken(self) -> bytes:
        if not isinstance(self._sink, _Pipe):
            return b""
        data = self._sink.take()
        if self._has_length and data:
            self._has_length = False
            data = _of_unknown_length(data)
        return data


class _Pipe(io.RawIOBase):
    """A file of which what was taken is gone: what is written over it afterwards, such as a length at its beginning, is dropped."""

    def __init__(self) -> None:
        self._start, self._place = 0, 0  # of what is kept; of the next write
        self._kept = bytearray()

    def take(self) -> bytes:
        data = bytes(self._kept)
        self._start += len(data)
        self._kept.clear()
        return data

    def write(self, data: Any) -> int:
        piece = bytes(data)
        first = self._place - self._start
        if first >= 0:
            self._kept[first : first + len(piece)] = piece
        self._place += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._start + len(self._kept)}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        return 0

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _of_unknown_length(header: bytes) -> bytes:
    """Return the beginning of a WAV file with the lengths that mean "until the end"."""
    place = 12
    while header[place : place + 4] != b"data":  # chunks: name, length, content
        place += 8 + struct.unpack("<I", header[place + 4 : place + 8])[0]
    return header[:4] + UNKNOWN_LENGTH + header[8 : place + 4] + UNKNOWN_LENGTH + header[place + 8 :]
