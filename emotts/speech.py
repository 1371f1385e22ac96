"""What the pipeline hands out: pieces of speech and whole results, and the last touches to their samples.

Comes in: waveforms [L] with tokens, durations, F0 and mel. Goes out: `Chunk` and `Result`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emotts.audio import LOG_FLOOR, SPEC, save_audio
from emotts.emotion.spec import EmotionSpec
from emotts.prosody_edit import ProsodySheet
from emotts.provenance import Provenance, write_sidecar
from emotts.request import Request
from emotts.word_times import WordTime

LIMIT_KNEE = 0.85  # waveforms above this amplitude are bent towards 1 in place of being clipped
FADE_S = 0.004


@dataclass
class Chunk:
    """A piece of speech: waveform [L] with what was said in it, frame by frame.

    Attributes:
        waveform: float32 [T * hop] in [-1, 1], the pause after it included.
        text: the part of the text that it speaks.
        tokens: phoneme tokens [N]; durations: frames of each [N].
        f0: Hz per frame [T], 0 unvoiced; mel: natural log magnitudes [T, M].
        words: number of the word of each token in this piece [N], -1 for what belongs to none.
        sheet: its reading, to be edited and given back; None where nothing is spoken.
    """

    waveform: np.ndarray
    text: str
    tokens: list[str]
    durations: list[int]
    f0: np.ndarray
    mel: np.ndarray
    words: list[int] = field(default_factory=list)
    sheet: ProsodySheet | None = None


@dataclass
class Result:
    """Speech with everything that led to it; arrays as in Chunk, joined over all chunks. `prosody` holds the sheet of each.

    `provenance` says how it was made; None where it is not known, and then a saved file does not say either.
    """

    waveform: np.ndarray
    sample_rate: int
    text: str
    voice: str
    emotion: EmotionSpec
    seed: int
    rtf: float
    tokens: list[str] = field(repr=False)
    durations: list[int] = field(repr=False)
    f0: np.ndarray = field(repr=False)
    mel: np.ndarray = field(repr=False)
    words: list[int] = field(repr=False, default_factory=list)
    prosody: tuple[ProsodySheet, ...] = field(repr=False, default=())
    provenance: Provenance | None = field(repr=False, default=None)

    @property
    def duration_s(self) -> float:
        """Length of the waveform in seconds."""
        return len(self.waveform) / self.sample_rate

    @property
    def word_times(self) -> list[WordTime]:
        """When each word is spoken, in seconds; what `word_times` of a request takes. The words themselves are left empty."""
        ends = np.cumsum(self.durations) / SPEC.frame_rate
        starts = ends - np.asarray(self.durations) / SPEC.frame_rate
        words = np.asarray(self.words)
        return [
            WordTime("", float(starts[words == n][0]), float(ends[words == n][-1]))
            for n in range(1 + max(self.words, default=-1))
        ]

    def save(self, path: str | Path, sidecar: bool = True, text_inside: bool = False) -> None:
        """Write the waveform as wav, flac, ogg or mp3, by suffix; what is there already is overwritten.

        The file says in its metadata that it is synthetic and how it was made, see docs/provenance.md.

        Args:
            path: of the file.
            sidecar: whether to say it beside the file too, with the text, in `<name>.json`.
            text_inside: whether the metadata holds the text, where there is room.

        Raises:
            ValueError: unknown suffix, or samples that are not finite.
            FileNotFoundError: the folder does not exist.
            OSError: it cannot be written.
        """
        metadata = self.provenance.to_metadata(text_inside) if self.provenance else None
        save_audio(path, self.waveform, self.sample_rate, metadata)
        if sidecar and self.provenance:
            write_sidecar(path, self.provenance)


def join(
    chunks: Sequence[Chunk], text: str, request: Request, seconds: float, provenance: Provenance | None = None
) -> Result:
    """Join the chunks of one request, which took `seconds` to make; `provenance` as `EmoTTS.provenance` tells it."""
    waveform = np.concatenate([chunk.waveform for chunk in chunks])
    return Result(
        waveform=waveform,
        sample_rate=SPEC.sample_rate,
        text=text,
        voice=request.voice,
        emotion=request.emotion,
        seed=request.seed,
        rtf=seconds * SPEC.sample_rate / max(1, len(waveform)),
        tokens=[token for chunk in chunks for token in chunk.tokens],
        durations=[duration for chunk in chunks for duration in chunk.durations],
        f0=np.concatenate([chunk.f0 for chunk in chunks]),
        mel=np.concatenate([chunk.mel for chunk in chunks]),
        words=_joined_words(chunks),
        prosody=tuple(chunk.sheet for chunk in chunks if chunk.sheet is not None),
        provenance=provenance,
    )


def _joined_words(chunks: Sequence[Chunk]) -> list[int]:
    """Number the words of all chunks through."""
    words: list[int] = []
    for chunk in chunks:
        first = 1 + max(words, default=-1)
        words += [word if word < 0 else first + word for word in chunk.words]
    return words


def soften(waveform: np.ndarray) -> np.ndarray:
    """Bend amplitudes above LIMIT_KNEE smoothly below 1; quieter samples pass unchanged."""
    room = 1.0 - LIMIT_KNEE
    over = np.abs(waveform) > LIMIT_KNEE  # few samples, often none: a tangent of all would be the slowest touch of all
    loud = waveform[over]
    softened = waveform.astype(np.float32)
    softened[over] = np.sign(loud) * (LIMIT_KNEE + room * np.tanh((np.abs(loud) - LIMIT_KNEE) / room))
    return softened


def with_pause(chunk: Chunk, n_frames: int) -> Chunk:
    """Add whole frames of silence at the end, as one more token `<sil>`."""
    if n_frames == 0:
        return chunk
    return Chunk(
        np.concatenate([chunk.waveform, silence(n_frames * SPEC.hop_length)]),
        chunk.text,
        [*chunk.tokens, "<sil>"],
        [*chunk.durations, n_frames],
        np.concatenate([chunk.f0, silence(n_frames)]),
        np.concatenate([chunk.mel, silent_mel(n_frames)]),
        [*chunk.words, -1],
        chunk.sheet,
    )


def silence(length: int) -> np.ndarray:
    """Return zeros [length]."""
    return np.zeros(length, np.float32)


def silent_mel(n_frames: int) -> np.ndarray:
    """Return the mel of silence [n_frames, M]."""
    return np.full((n_frames, SPEC.n_mels), np.log(LOG_FLOOR), np.float32)


def fade(waveform: np.ndarray) -> np.ndarray:
    """Fade both ends of a waveform over FADE_S, so that it never clicks."""
    n = min(int(FADE_S * SPEC.sample_rate), len(waveform) // 2)
    ramp = np.linspace(0.0, 1.0, n, dtype=np.float32)
    faded = waveform.copy()
    faded[:n] *= ramp
    faded[len(faded) - n :] *= ramp[::-1]
    return faded
