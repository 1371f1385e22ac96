"""What can be asked of a conversion, and a checked request.

Comes in: loose arguments. Goes out: a `ConversionRequest`, or a ValueError: the argument, what was expected, what came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from emotts.emotion.spec import EmotionSpec
from emotts.request import PITCH_RANGE_ST, check_range, check_seed
from emotts.speaker.profile import VoiceProfile

STRENGTH_RANGE = (0.0, 1.5)
KEEP_RANGE = (0.0, 1.0)
SPEED_RANGE = (0.5, 2.0)
SOURCE = "source"  # name of the voice where the speaker is kept


class ConvertOptions(TypedDict, total=False):
    """What can be asked besides the recording; each is optional.

    Attributes:
        emotion: a specification, see docs/emotion_controls.md; None, with no dimension given, keeps the recording's own.
        arousal, valence, dominance: in [-1, 1]; alone, they move the recording's own emotion along these axes.
        voice: a name of `voices`, a recording of the wanted speaker, or a profile; None keeps the speaker.
        strength: 0 leaves the feeling as it is, 1 moves all the way, up to 1.5 goes beyond.
        source_emotion: how the recording feels; None lets the recogniser hear it.
        source_neutral: neutral recordings of the same speaker, with which the recogniser hears that better.
        retime: let durations move with the emotion; False keeps every border where it is.
        keep_intonation: weight of the recording's own contour against the model's, in [0, 1].
        speed: above 1 is faster; needs retime. pitch: semitones.
        like_neutral, norms: as in synthesis.
        seed: of the noise; None draws one.
    """

    emotion: str | EmotionSpec | None
    arousal: float | None
    valence: float | None
    dominance: float | None
    voice: str | Path | VoiceProfile | None
    strength: float
    source_emotion: str | EmotionSpec | None
    source_neutral: Sequence[str | Path] | None
    retime: bool
    keep_intonation: float
    speed: float
    pitch: float
    like_neutral: Sequence[str | Path] | None
    norms: str | Path | None
    seed: int | None


@dataclass(frozen=True)
class ConversionRequest:
    """A checked request without its recording.

    Attributes:
        emotion: what is asked, in labels and dimensions; None keeps the recording's own, moved by `moved`.
        moved: dimensions to which the recording's own emotion is moved.
        voice: name of the voice, SOURCE where the speaker is kept. profile: of a voice known from recordings.
        source_emotion: how the recording feels; None is heard.
        asked: the emotion as the user wrote it.
        strength, retime, keep_intonation, speed, pitch, seed, source_neutral: see ConvertOptions.
    """

    emotion: EmotionSpec | None
    moved: tuple[tuple[str, float], ...]
    voice: str
    profile: VoiceProfile | None
    source_emotion: EmotionSpec | None
    asked: EmotionSpec | None
    strength: float
    retime: bool
    keep_intonation: float
    speed: float
    pitch: float
    seed: int
    source_neutral: tuple[str | Path, ...] = ()

    def __post_init__(self) -> None:
        check_range("strength", self.strength, *STRENGTH_RANGE)
        check_range("keep_intonation", self.keep_intonation, *KEEP_RANGE)
        check_range("speed", self.speed, *SPEED_RANGE)
        check_range("pitch", self.pitch, *PITCH_RANGE_ST)
        check_seed(self.seed)
        if not isinstance(self.retime, bool):
            raise ValueError(f"retime must be True or False; got {self.retime!r:.60}.")
        if self.source_neutral and self.source_emotion is not None:
            raise ValueError("give either source_emotion or source_neutral; the second is for hearing the first.")
        if self.speed != 1.0 and not self.retime:
            raise ValueError(f"speed={self.speed:g} changes the timing; ask for retime with it.")

    @property
    def keeps_voice(self) -> bool:
        """Whether the speaker stays who it is."""
        return self.voice == SOURCE and self.profile is None
