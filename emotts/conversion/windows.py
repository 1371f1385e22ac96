"""A recording of any length in pieces, and the pieces back in one: bounded memory, and the same code for files and streams.

Each window has a core, whose frames are given out, and what is around it, which only is listened to.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from emotts.audio import SPEC
from emotts.content.listener import Listener
from emotts.conversion.engine import Engine, Frames
from emotts.conversion.hearing import hear
from emotts.vocoder.editing import REACH, EnvelopeStream, Vocoder

Wave = NDArray[np.float32]
HOP = SPEC.hop_length
RESAMPLER_S = 0.045  # at 8 kHz; less at higher rates
LEAST_FRAMES = 4  # of a stretch
PEAK, RELEASE = 0.97, 0.03  # of full scale; how much gain comes back per block of 11 ms


@dataclass(frozen=True)
class Shape:
    """Frames of a window: its core, and how much before and after it is listened to."""

    core: int
    before: int
    after: int

    @property
    def latency_s(self) -> float:
        """From a sample at 24 kHz to the moment at which what became of it is certain, processing not counted.

        Other rates are resampled, which holds back up to RESAMPLER_S more.
        """
        return (self.core + self.after + REACH + 1) / SPEC.frame_rate  # 1: the limiter's


FILE = Shape(core=1_000, before=150, after=150)
STREAM = Shape(core=12, before=64, after=16)


@dataclass(frozen=True)
class Window:
    """Samples of a stretch, the number of its first frame, and its core in frames of the stretch."""

    samples: Wave
    first_frame: int
    core: tuple[int, int]


def windows_of(chunks: Iterable[Wave], shape: Shape) -> Iterator[Window]:
    """Cut chunks of samples at 24 kHz into windows; the last one is filled with zeros to a whole frame."""
    buffer, first, done = (
        np.zeros(0, np.float32),
        0,
        0,
    )  # the buffer starts at frame `first`; frames before `done` are given
    for chunk in chunks:
        buffer = np.concatenate([buffer, chunk])
        while first + len(buffer) // HOP >= done + shape.core + shape.after:
            end = done + shape.core + shape.after
            yield Window(buffer[: (end - first) * HOP], first, (done - first, done + shape.core - first))
            done += shape.core
            keep = max(first, done - shape.before)
            buffer, first = buffer[(keep - first) * HOP :], keep
    buffer = np.pad(buffer, (0, -len(buffer) % HOP))
    last = first + len(buffer) // HOP
    if last > done:
        buffer = np.pad(buffer, (0, max(0, LEAST_FRAMES * HOP - len(buffer))))  # what the front end needs
        yield Window(buffer, first, (done - first, last - first))


class Limiter:
    """Turns loud blocks down in time, so that nothing exceeds PEAK; what is quieter passes unchanged.

    A block's gain is known when the next block is: samples come one block late. Gain falls within a block and rises by RELEASE.
    """

    def __init__(self) -> None:
        self._held = np.zeros(0, np.float32)  # the block that waits
        self._edge, self._needed = 1.0, 1.0  # gain at its beginning, and what it needs

    def push(self, samples: Wave) -> Wave:
        """Take whole blocks [n * hop]; return those whose gain is certain."""
        made = []
        for block in samples.reshape(-1, HOP):
            needed = min(1.0, PEAK / max(float(np.abs(block).max()), 1e-9))
            if len(self._held):
                made.append(self._release(min(self._needed, needed)))
            else:
                self._edge = needed
            self._held, self._needed = block.copy(), needed
        return np.concatenate(made) if made else np.zeros(0, np.float32)

    def finish(self) -> Wave:
        """Return the last block."""
        return self._release(self._needed) if len(self._held) else self._held

    def _release(self, most: float) -> Wave:
        """Give out the waiting block, its gain moving to at most `most` at its end."""
        end = min(most, self._edge + RELEASE)
        gain = np.linspace(self._edge, end, HOP, endpoint=False, dtype=np.float32)
        self._edge = end
        return self._held * gain


class Mixer:
    """Speaks frames and mixes in the recording where it passes; the samples joined do not depend on how frames were grouped."""

    def __init__(self, vocoder: Vocoder, generator: torch.Generator) -> None:
        self._voice = EnvelopeStream(vocoder, generator)
        self._limiter = Limiter()
        self._original = np.zeros(0, np.float32)
        self._weight = np.zeros(0, np.float32)

    def push(self, frames: Frames, window: Window) -> Wave:
        """Return the samples that are now certain, those of all frames but the last REACH and one."""
        starts = np.rint((frames.positions - window.first_frame) * HOP).astype(np.int64)
        places = np.clip(starts[:, None] + np.arange(HOP), 0, len(window.samples) - 1)
        self._original = np.concatenate([self._original, window.samples[places].ravel()])
        self._weight = np.concatenate([self._weight, frames.passing])
        spoken = self._voice.push(frames.envelopes, torch.from_numpy(frames.f0)[None]).cpu().numpy()
        return self._mixed(self._limiter.push(spoken))

    def finish(self) -> Wave:
        """Return the rest."""
        spoken = self._limiter.push(self._voice.finish().cpu().numpy())
        return self._mixed(np.concatenate([spoken, self._limiter.finish()]))

    def _mixed(self, spoken: Wave) -> Wave:
        n = len(spoken) // HOP
        if not n:
            return spoken
        following = self._weight[1 : n + 1]
        following = np.append(following, self._weight[-1]) if len(following) < n else following
        ramp = np.arange(HOP, dtype=np.float32) / HOP
        weight = (self._weight[:n, None] * (1.0 - ramp) + following[:, None] * ramp).ravel()
        mixed = spoken * (1.0 - weight) + self._original[: n * HOP] * weight
        self._original, self._weight = self._original[n * HOP :], self._weight[n:]
        return mixed.astype(np.float32)


def converted(
    chunks: Iterable[Wave], shape: Shape, engine: Engine, listener: Listener, generator: torch.Generator
) -> Iterator[tuple[Wave, Frames | None]]:
    """Yield the samples of a result with the frames of each core; the last samples come without frames."""
    mixer = Mixer(engine.vocoder, generator)
    for window in windows_of(chunks, shape):
        heard = hear(listener, window.samples, engine.source.level_db)
        frames = engine.convert(heard, window.first_frame, window.core)
        yield mixer.push(frames, window), frames
    yield mixer.finish(), None
