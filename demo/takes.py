"""One piece of sound of a session, with what was asked and what was heard: `Take`."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotts.emotion.heard import Heard
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.timeline import Keyframe, Timeline
from emotts.speaker.profile import VoiceProfile

OWN_VOICE = "reference.wav"  # stands for a recording of the user's
KEPT = 12  # takes that a session remembers
TITLE_CHARS = 44
_numbers = itertools.count(1)

Place = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, eq=False)  # Gradio hashes what it keeps for a session
class Take:
    """One piece of sound.

    Attributes:
        kind: "speech", "conversion" or "recording".
        path: of a 16-bit WAV file in a private temporary folder, with its provenance.
        text: that is spoken; of a recording and a conversion, the recording's name.
        voice, emotion, seed, rtf: as asked and measured; `emotion` is a specification, "as it is" for a recording.
        asked: arousal, valence, dominance; None where open, or where they change along the text.
        heard: by the judge; None where it could hear nothing.
        options: the arguments that would make it again.
        key: unique in this process.
    """

    kind: str
    path: str
    text: str
    voice: str
    emotion: str
    seed: int
    duration_s: float
    rtf: float
    asked: Place | None = None
    heard: Heard | None = field(default=None, repr=False)
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    key: str = field(default_factory=lambda: f"t{next(_numbers)}")

    @property
    def title(self) -> str:
        """One line for lists."""
        text = " ".join(self.text.split())
        text = text if len(text) <= TITLE_CHARS else text[: TITLE_CHARS - 1] + "…"
        return f"{self.key[1:]} · {text} · {self.voice}, {self.emotion[:40]}"

    @property
    def facts(self) -> dict[str, Any]:
        """Everything a user may want to keep, ready for JSON."""
        asked = None if self.asked is None else dict(zip(DIMENSIONS, self.asked, strict=True))
        return {
            "kind": self.kind, "text": self.text, "voice": self.voice, "emotion": self.emotion, "seed": self.seed,
            "duration_s": round(self.duration_s, 3), "rtf": round(self.rtf, 4), "asked": asked,
            "heard": None if self.heard is None else self.heard.to_dict(),
            "options": {name: _plain(value) for name, value in shown_options(self.options).items()},
        }  # fmt: skip


def remembered(take: Take, takes: Sequence[Take]) -> list[Take]:
    """Return the takes of a session with a new one in front; the oldest are forgotten."""
    return [take, *takes][:KEPT]


def find_take(key: str | None, takes: Sequence[Take]) -> Take:
    """Return the take of a key.

    Raises:
        ValueError: there is none.
    """
    for take in takes:
        if take.key == key:
            if not Path(take.path).is_file():
                raise ValueError("the sound of this result was kept for an hour and is gone; make it again.")
            return take
    raise ValueError("take must be one of the results that the page still lists; got none of them. Make one first.")


def shown_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as a user would write them: specifications as text, recordings by a name that stands for them."""
    shown = {name: value for name, value in options.items() if value is not None}
    voice = shown.get("voice")
    if isinstance(voice, VoiceProfile) or "/" in str(voice):
        shown["voice"] = OWN_VOICE
    for name in ("emotion", "source_emotion"):
        if name in shown:
            shown[name] = str(shown[name])
    return shown


def _plain(value: Any) -> Any:
    """Return an option ready for JSON."""
    if isinstance(value, Timeline):
        return {"kind": value.kind, "keyframes": [[frame.place, *_numbers_of(frame)] for frame in value.keyframes]}
    return value if isinstance(value, str | int | float | bool) else str(value)


def _numbers_of(frame: Keyframe) -> list[float | None]:
    return [getattr(frame, name) for name in DIMENSIONS]
