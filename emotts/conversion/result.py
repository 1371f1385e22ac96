"""What a conversion hands out, and what it has to say about the recording."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from emotts.conversion.activity import Span, joined_spans
from emotts.conversion.engine import Frames
from emotts.conversion.speaker import SourceVoice
from emotts.emotion.spec import EmotionSpec
from emotts.speech import Result

UNCLEAR_BELOW = (
    0.6  # mean probability of the phonemes; English of any voice lies above it, other languages mostly below
)
TWO_ABOVE = 0.08  # mean probability of two people at once; of one it is about 0.02


@dataclass
class Conversion(Result):
    """Converted speech; fields as in Result, text empty.

    Attributes:
        source_emotion: how the recording feels. emotion: how the result was asked to feel.
        spans: what in the recording is speech, silence, something else, or two people at once; in seconds of the recording.
        warnings: what may be wrong with it, in sentences.
        strength: how far it was moved.
    """

    source_emotion: EmotionSpec = field(default_factory=EmotionSpec)
    spans: list[Span] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    strength: float = 1.0


def doubts(source: SourceVoice, spans: Sequence[Span], clarity: float, overlap: float) -> list[str]:
    """Return what a user should know about a recording that was converted.

    Args:
        source: what was known of it beforehand.
        spans: of the whole recording.
        clarity: mean probability of the phonemes over it. overlap: of two people at once.
    """
    others_s = sum(span.end_s - span.start_s for span in spans if span.kind == "other")
    found = []
    if clarity < UNCLEAR_BELOW:
        found.append(
            f"the phonemes are unclear (mean probability {clarity:.2f}): another language than English, or a poor recording; "
            "listen to the words of the result."
        )
    if overlap > TWO_ABOVE:
        found.append(
            f"it sounds like two people at once (mean probability {overlap:.2f}); one voice comes out: convert them one by one."
        )
    if others_s:
        found.append(f"{others_s:.1f} s are no speech (music, noise, laughter) and were left as they are.")
    if source.speech_s < 1.0:
        found.append(f"only {source.speech_s:.1f} s of speech tell the voice and the feeling; more tells them better.")
    return found


@dataclass
class Report:
    """What becomes known while a recording is converted."""

    source: SourceVoice | None = None
    emotion: EmotionSpec = field(default_factory=EmotionSpec)
    spans: list[Span] = field(default_factory=list)
    clarity: list[float] = field(default_factory=list)
    overlap: list[float] = field(default_factory=list)

    def add(self, frames: Frames) -> None:
        self.spans = joined_spans([*self.spans, *frames.spans])
        if np.isfinite(frames.clarity):
            self.clarity.append(frames.clarity)
            self.overlap.append(frames.overlap)

    @property
    def warnings(self) -> list[str]:
        assert self.source is not None
        if not self.clarity:
            return doubts(self.source, self.spans, self.source.clarity, 0.0)
        return doubts(self.source, self.spans, float(np.mean(self.clarity)), float(np.mean(self.overlap)))
