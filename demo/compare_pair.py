"""Two takes side by side: two files come in; two that are equally loud go out, and a line that says by how much one was lowered."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotts.audio import save_audio
from emotts.provenance import Provenance, read_provenance

from .compare_loudness import loudness_lufs
from .engine import Engine
from .takes import Take

LEAST_DB = 0.05  # a smaller difference is none


@dataclass(frozen=True)
class Sound:
    """Samples [L] of a file in [-1, 1], with what the file says of itself."""

    waveform: np.ndarray
    sample_rate: int
    provenance: Provenance | None

    @property
    def lufs(self) -> float:
        """How loud it is; -inf for silence."""
        return loudness_lufs(self.waveform, self.sample_rate)


@dataclass(frozen=True)
class Pair:
    """Paths of two files to be played in turn, and what was done for it."""

    a: str
    b: str
    note: str


def read_sound(path: str | Path) -> Sound:
    """Read a file as it is, its channels mixed to one."""
    import soundfile

    waveform, sample_rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    return Sound(waveform.mean(axis=1), sample_rate, _provenance(Path(path)))


def gains_db(a: Sound, b: Sound) -> tuple[float, float]:
    """Return the gains that make two sounds equally loud: the louder one is lowered, so that neither can clip."""
    loudness = (a.lufs, b.lufs)
    if not np.isfinite(loudness).all():
        return 0.0, 0.0
    target = min(loudness)
    lowered = [target - own for own in loudness]
    return (lowered[0] if lowered[0] < -LEAST_DB else 0.0), (lowered[1] if lowered[1] < -LEAST_DB else 0.0)


def make_pair(engine: Engine, a: Take, b: Take, match: bool) -> Pair:
    """Return the files of two takes, the louder one lowered to the other's loudness if `match`.

    What is not changed is the take's own file; a lowered copy keeps what its file says of itself.
    """
    if not match:
        return Pair(a.path, b.path, "Each as loud as it was spoken: loudness is part of arousal.")
    sounds = read_sound(a.path), read_sound(b.path)
    gains = gains_db(*sounds)
    paths = [
        _lowered(engine, sound, gain) if gain else take.path
        for take, sound, gain in zip((a, b), sounds, gains, strict=True)
    ]
    if not any(gains):
        return Pair(paths[0], paths[1], "Both are equally loud by themselves.")
    name = "A" if gains[0] else "B"
    note = f"{name} was lowered by {-min(gains):.1f} dB, so that both are at {min(s.lufs for s in sounds):.1f} LUFS (BS.1770)."
    return Pair(paths[0], paths[1], note)


def amplified(sound: Sound, gain_db: float) -> np.ndarray:
    """Return the samples with a gain."""
    return sound.waveform * np.float32(10.0 ** (gain_db / 20.0))


def _lowered(engine: Engine, sound: Sound, gain_db: float) -> str:
    place = engine.new_file("emotts.wav")
    metadata = sound.provenance.to_metadata() if sound.provenance else None
    save_audio(place, amplified(sound, gain_db), sound.sample_rate, metadata)
    return str(place)


def _provenance(path: Path) -> Provenance | None:
    """Return what a file says of itself; nothing where somebody changed it since."""
    try:
        return read_provenance(path)
    except ValueError:
        return None
