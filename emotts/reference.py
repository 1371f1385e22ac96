"""What a judge should know of a voice before it judges: a model and a voice come in, a few neutral sentences of it go out.

Valence and dominance are small changes of a voice: told what neutral sounds like, a judge hears them several times better.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from emotts.emotion.heard import Judge

if TYPE_CHECKING:
    from emotts.pipeline import EmoTTS
    from emotts.speaker.profile import VoiceProfile

REFERENCE_TEXTS = (
    "The train to the coast leaves from platform four.",
    "We keep the spare blankets in the tall cupboard.",
    "There are three letters on the desk in the study.",
    "The road turns left after the wooden bridge.",
)
REFERENCE_SEED = 1

Neutral = Sequence[tuple[np.ndarray, int]]  # waveforms [L] and their sample rates in Hz


class LearningJudge(Judge, Protocol):
    """A judge that can be told a speaker's neutral voice, as both of emotts can."""

    def with_reference(self, neutral: Neutral) -> Judge:
        """Return a judge that hears changes against this voice.

        Raises:
            ValueError: no recording, or one that `hear` would refuse.
        """
        ...


def neutral_speech(tts: "EmoTTS", voice: "str | VoiceProfile") -> Neutral:
    """Speak some neutral sentences, always the same ones.

    Raises:
        ValueError: an unknown voice.
    """
    results = [tts.synthesize(text, voice=voice, seed=REFERENCE_SEED) for text in REFERENCE_TEXTS]
    return [(result.waveform, result.sample_rate) for result in results]


def acquaint(judge: LearningJudge, tts: "EmoTTS", voice: "str | VoiceProfile") -> Judge:
    """Return the judge with the neutral voice of a model in its ears.

    Raises:
        ValueError: an unknown voice, or one that says nothing that can be heard.
    """
    return judge.with_reference(neutral_speech(tts, voice))
