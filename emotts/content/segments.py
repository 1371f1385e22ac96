"""What the speech encoder hears, frame by frame, to phonemes and times: `Heard` comes in, tokens with their frames go out.

`recognise` is free to choose every sound, `fit_tokens` is told which sounds follow each other. Both weigh the phoneme posteriors of
the frames against the posterior that a sound begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from emotts.audio import SPEC
from emotts.content.speech_encoder import ACTIVITIES, Heard
from emotts.content.viterbi import lay, segment
from emotts.text.symbols import ENGLISH_NEAR_PHONES, PHONEMES, SIL, SPACE, STRESSES, encode, is_pause, is_vowel

Array = NDArray[np.float64]

FLOOR = 1e-5  # posterior of a sound that is not heard at all
BEGIN_WEIGHT = (
    1.5  # of the posterior that a sound begins against those of the phonemes; a higher one finds fewer sounds
)
LEAST_FRAMES, LEAST_PAUSE = 2, 4  # of what is recognised; a shorter silence is the closure of a plosive
NEAR_WEIGHT = 0.5  # how much of the posterior of a near phone counts for the one that was asked for
LOWEST_FIT = 0.33  # below this the text is another one; benchmarks/align.py tells right and wrong texts apart by it
LEFT_OUT, UNLIKELY = (
    0.1,
    1e-3,
)  # of a frame of speech that the text does not explain, and the least of one that it explains badly
NEAR = (  # sounds that speakers and accents, or the writer of a lexicon, put in each other's place
    "ə ʌ ɪ ʊ ɛ", "ə ɚ", "ɚ ɹ", "i ɪ", "u ʊ", "ɑ ɔ ʌ", "æ ɛ", "æ ɑ", "ɛ eɪ", "ɔ oʊ", "t d ɾ ʔ", "s z", "f v", "θ ð", "ð d", "ʃ ʒ",
    "t͡ʃ d͡ʒ", "p b", "k ɡ", "n ŋ", "n m",
)  # fmt: skip
_SPEECH, _OTHER, _OVERLAP = (ACTIVITIES.index(name) for name in ("speech", "other", "overlap"))
_PAUSES = np.array([is_pause(name) for name in PHONEMES])
_SIL, _SPACE = PHONEMES.index(SIL), PHONEMES.index(SPACE)
_HEARD = np.array([_SIL, _SPACE, *np.flatnonzero(~_PAUSES)])  # what can be recognised: all but punctuation


@dataclass(frozen=True)
class Sounds:
    """Phonemes and their times.

    Attributes:
        tokens: [N]; `<sil>` at both ends and in pauses, spaces where a word seems to end, stress marks on vowels.
        durations: frames [N], their sum is T; the silence at the ends may have none, all others at least one.
        confidence: mean posterior of each token [N], 0 to 1; 1 where it has no frames.
    """

    tokens: list[str]
    durations: list[int]
    confidence: NDArray[np.float32]


@dataclass(frozen=True)
class Fit:
    """Given tokens laid over a recording.

    Attributes:
        durations: frames of every token [N], their sum is T.
        score: how likely its sounds are against the likeliest ones, the geometric mean over the frames of speech, 0 to 1.
    """

    durations: list[int]
    score: float

    def check(self) -> None:
        """Raise ValueError if the recording says something else."""
        if self.score < LOWEST_FIT:
            raise ValueError(
                f"the text must be what the recording says; they agree by {self.score:.2f}, at least {LOWEST_FIT} is "
                "expected. Is it the text of another clip?"
            )


def posteriors(heard: Heard) -> Array:
    """Return the probability of every symbol of the alphabet in every frame [T, P]; rows sum to one.

    A frame holds a sound only as far as both the phonemes and the activity say so; music, noise and two voices at once are
    silence here.
    """
    phonemes = _softmax(heard.phonemes[0])
    activity = _softmax(heard.activity[0])
    sound = phonemes[:, ~_PAUSES].sum(axis=1)
    said = np.minimum(sound, activity[:, _SPEECH])
    strange = np.minimum(activity[:, _OTHER] + activity[:, _OVERLAP], 1.0 - said)
    found = np.empty_like(phonemes)
    found[:, ~_PAUSES] = phonemes[:, ~_PAUSES] * (said / np.maximum(sound, 1e-12))[:, None]
    pause = phonemes[:, _PAUSES] + 1e-9
    found[:, _PAUSES] = pause * ((1.0 - said - strange) / pause.sum(axis=1))[:, None]
    found[:, _SIL] += strange
    return found


def spoken(heard: Heard) -> Array:
    """Return the probability that a frame is a sound of one person's speech [T]."""
    return posteriors(heard)[:, ~_PAUSES].sum(axis=1)


def recognise(heard: Heard) -> Sounds:
    """Find the phonemes of a recording and how long each lasts.

    Args:
        heard: one recording, fields [1, T, ...], T at least 1.

    Raises:
        ValueError: no frames, or several recordings.
    """
    _check(heard)
    frames = posteriors(heard)
    heard_as = frames[:, _HEARD]
    heard_as[:, 0] = frames[:, _PAUSES].sum(axis=1) - frames[:, _SPACE]
    least = np.full(len(_HEARD), LEAST_FRAMES)
    least[0] = LEAST_PAUSE
    borders, kinds = segment(_log(heard_as), least, *_begins(heard))
    borders, kinds = _join_pauses(borders, kinds)
    stresses = _log(_softmax(heard.stresses[0]))
    tokens, confidence = [], []
    for start, end, kind in zip(borders, borders[1:], kinds, strict=False):
        name = PHONEMES[_HEARD[kind]]
        stress = int(stresses[start:end].sum(axis=0).argmax()) if is_vowel(name) else 0
        tokens.append(STRESSES[stress] + name)
        part = heard_as[start:end, kind] if kind else heard_as[start:end, :2].sum(axis=1)
        confidence.append(float(part.mean()))
    durations = [end - start for start, end in zip(borders, borders[1:], strict=False)]
    if tokens[0] != SIL:
        tokens, durations, confidence = [SIL, *tokens], [0, *durations], [1.0, *confidence]
    if tokens[-1] != SIL or len(tokens) == 1:
        tokens, durations, confidence = [*tokens, SIL], [*durations, 0], [*confidence, 1.0]
    return Sounds(tokens, durations, np.asarray(confidence, np.float32))


def fit_tokens(heard: Heard, tokens: Sequence[str]) -> Fit:
    """Lay given tokens over a recording.

    Every sound lasts at least one frame; spaces, punctuation and `<sil>` last none or any number, and take what is not speech.
    The search is exact and takes O(T N) time; its memory is O(T + N sqrt(T)) for long recordings, so that ten minutes need
    some ten megabytes.

    Args:
        heard: one recording, fields [1, T, ...].
        tokens: of the alphabet [N].

    Raises:
        ValueError: the sounds are more than the frames, there are none, or a token is not in the alphabet.
    """
    _check(heard)
    ids = np.array(encode(tokens)[0], np.int64)
    n_frames, n_sounds = heard.begins.shape[1], int((~_PAUSES[ids]).sum())
    if not len(ids) or n_sounds > n_frames:
        raise ValueError(
            f"{n_sounds} phonemes must fit into {n_frames} frames ({n_frames / SPEC.frame_rate:.2f} s), one frame for each at "
            "least; is the text of another clip?"
        )
    frames = posteriors(heard)
    pooled = np.minimum(frames @ _pooling(), 1.0)
    path = lay(_log(pooled), ids, _PAUSES[ids], *_begins(heard))
    return Fit([int(n) for n in np.bincount(path, minlength=len(ids))], _agreement(frames, pooled, ids[path]))


def align_tokens(heard: Heard, tokens: Sequence[str]) -> list[int]:
    """Return the frames of every token [N] as `fit_tokens` lays them.

    Raises:
        ValueError: they do not fit into the recording, or it says something else.
    """
    fit = fit_tokens(heard, tokens)
    fit.check()
    return fit.durations


def _agreement(frames: Array, pooled: Array, said: NDArray[np.int64]) -> float:
    """Return the score of a path that says `said` [T]; 1 where there is no speech."""
    is_sound = ~_PAUSES[said]
    weight = np.where(is_sound, 1.0, frames[:, ~_PAUSES].sum(axis=1))
    ratio = pooled[np.arange(len(said)), said] / np.maximum(pooled[:, ~_PAUSES].max(axis=1), UNLIKELY)
    ratio = np.where(is_sound, np.clip(ratio, UNLIKELY, 1.0), LEFT_OUT)
    return float(np.exp((weight * np.log(ratio)).sum() / max(weight.sum(), 1e-9)))


def _join_pauses(borders: list[int], kinds: list[int]) -> tuple[list[int], list[int]]:
    """Make one silence of neighbouring pauses, and of a space at an end."""
    starts, joined = [0], kinds[:1] if kinds[0] > 1 else [0]
    for start, kind in zip(borders[1:-1], kinds[1:], strict=True):
        if kind <= 1 and joined[-1] <= 1:
            joined[-1] = 0
            continue
        starts.append(start)
        joined.append(kind)
    if joined[-1] == 1:
        joined[-1] = 0
    return [*starts, borders[-1]], joined


@lru_cache(maxsize=1)
def _pooling() -> Array:
    """Return the weights [P heard, P asked for]: itself and its near phones; a pause is heard as any pause."""
    weights = np.eye(len(PHONEMES))
    pairs = [set(group.split()) for group in NEAR] + [{a, *b} for a, b in ENGLISH_NEAR_PHONES.items()]
    index = {name: i for i, name in enumerate(PHONEMES)}
    for group in pairs:
        for a in group:
            for b in group - {a}:
                weights[index[a], index[b]] = NEAR_WEIGHT
    pauses = np.flatnonzero(_PAUSES)
    weights[np.ix_(pauses, pauses)] = np.maximum(weights[np.ix_(pauses, pauses)], NEAR_WEIGHT)
    return weights


def _begins(heard: Heard) -> tuple[Array, Array]:
    """Return the log probability that a sound begins in a frame [T], and that it goes on [T]; one begins with the recording."""
    logit = heard.begins[0].double().cpu().numpy()
    begins, goes_on = -np.logaddexp(0.0, -logit), -np.logaddexp(0.0, logit)
    begins[0] = 0.0
    return BEGIN_WEIGHT * np.maximum(begins, np.log(FLOOR)), BEGIN_WEIGHT * np.maximum(goes_on, np.log(FLOOR))


def _softmax(logits: Tensor) -> Array:
    values: Array = logits.double().softmax(dim=-1).cpu().numpy()
    return values


def _log(values: Array) -> Array:
    return np.log(np.maximum(values, FLOOR))


def _check(heard: Heard) -> None:
    shape = list(heard.begins.shape)
    if len(shape) != 2 or shape[0] != 1 or shape[1] < 1:
        raise ValueError(f"what was heard must be one recording, [1, T] with T at least 1; got {shape}.")
