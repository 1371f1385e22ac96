"""A blind test: is X the same as A, or as B? Two takes come in; three files that do not tell, a score and its p-value go out.

A forced choice after Munson & Gardner (1950), "Standardizing auditory tests", JASA 22, 675. Which one X is stays on the server
until it is answered. All three files are made anew with a noise of their own below the last bit that speech uses, one length,
one rate and one description, so that neither name nor size nor address of X says what it is.
"""

import math
import secrets
from dataclasses import dataclass, replace

import numpy as np

from emotts.audio import resample, save_audio
from emotts.provenance import joined_provenance

from .compare_pair import Sound, amplified, gains_db, read_sound
from .engine import Engine
from .takes import Take

STEP = 1.0 / 32_768  # of 16-bit samples


@dataclass(frozen=True, eq=False)
class Abx:
    """A running test of two takes.

    Attributes:
        a, b: keys of the takes.
        sounds: both, ready to be written: equally long, at one rate.
        x_is_a: what X is now.
        n: trials answered. n_correct: rightly.
    """

    a: str
    b: str
    sounds: tuple[Sound, Sound]
    x_is_a: bool
    n: int = 0
    n_correct: int = 0

    @property
    def p_value(self) -> float:
        """Probability of at least as many right answers by guessing."""
        return binomial_p(self.n, self.n_correct)


def start_abx(a: Take, b: Take, match: bool) -> Abx:
    """Begin a test; with `match` the louder one is lowered to the other's loudness.

    Raises:
        ValueError: both are the same take.
    """
    if a.key == b.key:
        raise ValueError("A and B must be two different takes; got one twice. Pick another.")
    sounds = read_sound(a.path), read_sound(b.path)
    gains = gains_db(*sounds) if match else (0.0, 0.0)
    rate = max(sound.sample_rate for sound in sounds)
    waves = [resample(amplified(s, gain), s.sample_rate, rate) for s, gain in zip(sounds, gains, strict=True)]
    length = max(map(len, waves))
    both = joined_provenance([sound.provenance for sound in sounds], "")
    first, second = (Sound(np.pad(wave, (0, length - len(wave))), rate, both) for wave in waves)
    return Abx(a.key, b.key, (first, second), _drawn())


def answer(test: Abx, says_a: bool) -> Abx:
    """Return the test with one more trial answered and a new X drawn."""
    is_right = says_a == test.x_is_a
    return replace(test, n=test.n + 1, n_correct=test.n_correct + is_right, x_is_a=_drawn())


def write_abx(engine: Engine, test: Abx) -> tuple[str, str, str]:
    """Write A, B and X and return their paths."""
    x = test.sounds[0] if test.x_is_a else test.sounds[1]
    first, second, third = (_write(engine, sound) for sound in (*test.sounds, x))
    return first, second, third


def binomial_p(n: int, n_correct: int) -> float:
    """Return the probability of at least `n_correct` right answers in `n` guesses between two."""
    return sum(math.comb(n, k) for k in range(n_correct, n + 1)) / 2**n


def _write(engine: Engine, sound: Sound) -> str:
    """Write a sound with noise of two steps, triangularly distributed (dither), drawn anew."""
    random = np.random.default_rng(secrets.randbits(64))
    shape = len(sound.waveform)
    noise = STEP * (random.random(shape, np.float32) - random.random(shape, np.float32))
    place = engine.new_file("listen.wav")
    metadata = sound.provenance.to_metadata() if sound.provenance else None
    save_audio(place, sound.waveform + noise, sound.sample_rate, metadata)
    return str(place)


def _drawn() -> bool:
    return bool(secrets.randbits(1))
