"""Random but plausible variation of one reading: the same sentence never sounds exactly the same twice.

In: phoneme tokens and a NumPy generator. Out: a `Reading` of small offsets per token, drawn per word, smooth in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotts.text.symbols import is_pause

Array = NDArray[np.float64]

TEMPO_SD = 0.04  # natural log, one draw per utterance
WORD_DURATION_SD = 0.07  # natural log, per word
WORD_F0_SD_ST = 0.9
UNSTRESSED_F0_SCALE = 0.6  # words without a primary stress move less
DECLINATION_SD_ST = 1.0
WORD_GAIN_SD_DB = 0.8


@dataclass(frozen=True)
class Reading:
    """Offsets of one reading from the teacher's own; arrays are [N], one value per token.

    Attributes:
        log_duration: Added to the natural logarithm of the durations.
        f0_st: Added to F0, semitones.
        gain_db: Added to the level.
        declination_st: Change of F0 from start to end of the utterance, semitones, mean kept.
    """

    log_duration: Array
    f0_st: Array
    gain_db: Array
    declination_st: float


def plain_reading(tokens: list[str]) -> Reading:
    """Return the reading without variation."""
    zeros = np.zeros(len(tokens))
    return Reading(zeros, zeros, zeros, 0.0)


def sample_reading(tokens: list[str], generator: np.random.Generator) -> Reading:
    """Draw a reading.

    Args:
        tokens: Tokens of one utterance.
        generator: Source of all randomness; the number of draws depends on the tokens only.

    Returns:
        A reading of length N = len(tokens).
    """
    words = _words(tokens)
    draws = generator.standard_normal((3, len(words)))
    tempo, slope = generator.standard_normal(2)
    stressed = np.array([any(tokens[i].startswith("ˈ") for i in word) for word in words], dtype=bool)
    centres = np.array([_anchor(tokens, word) for word in words], dtype=np.float64)
    f0_words = WORD_F0_SD_ST * draws[1] * np.where(stressed, 1.0, UNSTRESSED_F0_SCALE)
    return Reading(
        log_duration=TEMPO_SD * tempo + _spread(WORD_DURATION_SD * draws[0], centres, len(tokens)),
        f0_st=_spread(f0_words, centres, len(tokens)),
        gain_db=_spread(WORD_GAIN_SD_DB * draws[2], centres, len(tokens)),
        declination_st=float(DECLINATION_SD_ST * slope),
    )


def _words(tokens: list[str]) -> list[list[int]]:
    """Group the positions of ordinary tokens by word; an utterance of pauses counts as one word."""
    words: list[list[int]] = [[]]
    for i, token in enumerate(tokens):
        if is_pause(token):
            words.append([])
        else:
            words[-1].append(i)
    return [word for word in words if word] or [list(range(len(tokens)))]


def _anchor(tokens: list[str], word: list[int]) -> float:
    """Place a word's value on its primary stress, or on its middle."""
    stressed = [i for i in word if tokens[i].startswith("ˈ")]
    return float(stressed[0] if stressed else np.mean(word))


def _spread(values: Array, centres: Array, n_tokens: int) -> Array:
    return np.interp(np.arange(n_tokens), centres, values)
