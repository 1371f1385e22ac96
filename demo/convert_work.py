"""The work of the tab Convert: wishes of the page come in; a conversion, its recording, and what a judge hears in both go out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from emotts.conversion.result import Conversion
from emotts.emotion.heard import Heard
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.spec import parse_emotion
from emotts.loop.conversion import OF_NOBODY, OF_SOURCE, learn
from emotts.server.guard import check_recording, check_voice

from .engine import Engine, Tell, silent
from .recorded import AS_IT_IS, recording_take
from .takes import Place, Take, remembered

KEPT = "keep"  # the voice of the recording, or its feeling


@dataclass(frozen=True)
class Wish:
    """What is asked of a conversion.

    Attributes:
        recording: path. consent: whether the user says that the people agree whose voices are in it.
        emotion: options that name it, see `Asked.options`; none keeps it.
        voice: KEPT, a bundled one, or, with `is_recorded`, the path of a recording of the wanted speaker.
        strength, keep_timing, keep_intonation, pitch, speed, source_emotion, seed: as in ConvertOptions.
    """

    recording: str | None
    consent: object = False
    emotion: Mapping[str, Any] = field(default_factory=dict)
    voice: str | None = KEPT
    is_recorded: bool = False
    strength: float = 1.0
    keep_timing: bool = True
    keep_intonation: float = 1.0
    pitch: float = 0.0
    speed: float = 1.0
    source_emotion: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Converted:
    """A conversion and where it comes from.

    Attributes:
        path: of the recording. source: its samples [L] at 24 kHz. options: that were asked.
        before, take: the recording and what became of it. result: the same with everything known.
    """

    path: str
    source: np.ndarray = field(repr=False)
    options: dict[str, Any]
    before: Take
    take: Take
    result: Conversion = field(repr=False)

    def kept(self, takes: list[Take]) -> list[Take]:
        """Return the takes of a session with both in front; a recording that is there already is not added again."""
        is_there = any(take.options == self.before.options for take in takes)
        return remembered(self.take, takes if is_there else remembered(self.before, takes))


@dataclass(frozen=True)
class Around:
    """What the judge hears before and after.

    Attributes:
        before, after: None where it can hear nothing. windows: of the result, in order of time.
        asked: the place that should be heard, None in what is open; told: whose neutral speech the judge knew.
    """

    before: Heard | None
    after: Heard | None
    windows: list[Heard]
    asked: Place
    told: str

    @property
    def share(self) -> float | None:
        """How much of the way that was asked is heard; None where nothing or next to nothing was asked."""
        if self.before is None or self.after is None:
            return None
        known = [i for i, value in enumerate(self.asked) if value is not None]
        start, end = np.take(self.before.avd, known), np.take(self.after.avd, known)
        way = np.array([self.asked[i] for i in known], float) - start
        length = float(way @ way)
        return float((end - start) @ way) / length if length >= 0.01 else None


def options_of(engine: Engine, wish: Wish) -> dict[str, Any]:
    """Return the options of `EmoTTS.convert`.

    Raises:
        ValueError: a voice or a feeling that there is not, or a speed without retiming.
    """
    voice: str | None = None
    if wish.is_recorded:
        if not wish.voice:
            raise ValueError("the voice needs a recording of the wanted speaker; got none. Upload or record 1 to 30 s.")
        voice = wish.voice
    elif wish.voice != KEPT:
        voice = check_voice(wish.voice, engine.voices)
    if not isinstance(wish.keep_timing, bool):
        raise ValueError(f"keep_timing must be true or false; got {wish.keep_timing!r:.40}.")
    felt = None if wish.source_emotion is None else parse_emotion(wish.source_emotion)
    if not wish.emotion and voice is None and wish.pitch == 0.0 and wish.speed == 1.0:
        raise ValueError("a conversion needs a feeling or a voice to go to; both are to be kept. Choose one of them.")
    if wish.speed != 1.0 and wish.keep_timing:
        raise ValueError(f"speed must be 1 while the timing is kept; got {wish.speed:g}. Untick “keep the timing”.")
    return {
        **wish.emotion, "voice": voice, "strength": wish.strength, "retime": not wish.keep_timing,
        "keep_intonation": wish.keep_intonation, "pitch": wish.pitch, "speed": wish.speed, "source_emotion": felt,
        "seed": wish.seed,
    }  # fmt: skip


def converted(engine: Engine, wish: Wish, tell: Tell = silent) -> Converted:
    """Convert a recording.

    Raises:
        ValueError: no recording, one that will not do, no consent, or options that cannot be met.
    """
    if not wish.recording:
        raise ValueError("a recording is needed; got none. Upload one or record yourself.")
    options = options_of(engine, wish)
    check_recording(Path(wish.recording), engine.limits)
    tell(0.05, "reading the recording")
    take, result = engine.convert(wish.recording, options, wish.consent is True, tell)
    before, source = recording_take(engine, wish.recording)
    emotion = str(options["emotion"]) if "emotion" in options else AS_IT_IS
    take = replace(take, options=asked_only(options | {"seed": result.seed}), emotion=emotion)
    return Converted(wish.recording, source, options, before, take, result)


def heard_around(engine: Engine, done: Converted, tell: Tell = silent) -> Around:
    """Listen to a recording and its conversion, with the best neutral speech of the speaker that there is in the judge's ears."""
    rate, judge = engine.tts.sample_rate, engine.judge
    with engine.working(tell):
        request = engine.tts.conversion(**done.options | {"seed": done.result.seed})
        tell(0.7, "learning how the speaker sounds")
        known = learn(engine.tts, done.path, request)
        knowing: Any = judge if known.told == OF_NOBODY else known.acquaint(judge)
        own: Any = judge
        tell(0.8, "listening to the recording")
        try:
            if known.told == OF_SOURCE:  # which is neutral: told itself, the judge hears what little is not
                own = judge.with_reference([(done.source, rate)])
            before = own.hear(done.source, rate)
        except ValueError:  # too short
            before = None
        tell(0.9, "listening to the result")
        try:
            after = knowing.hear(done.result.waveform, rate)
            windows = knowing.windows(done.result.waveform, rate)
        except ValueError:
            after, windows = None, []
    return Around(before, after, windows, known.asked, known.told)


def asked_only(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options without those that nobody asked for."""
    usual = {"strength": 1.0, "pitch": 0.0, "speed": 1.0, "keep_intonation": 1.0, "retime": False}
    return {name: value for name, value in options.items() if value is not None and usual.get(name) != value}


def facts_of(done: Converted, around: Around | None) -> dict[str, Any]:
    """Return everything that is known of a conversion, ready for JSON."""
    result = done.result
    facts = done.take.facts | {
        "source_emotion": result.source_emotion.to_dict(), "result_emotion": result.emotion.to_dict(),
        "spans": [[round(span.start_s, 3), round(span.end_s, 3), span.kind] for span in result.spans],
        "warnings": list(result.warnings), "provenance": result.provenance.to_dict() if result.provenance else None,
    }  # fmt: skip
    if around is not None:
        facts |= {
            "asked": dict(zip(DIMENSIONS, around.asked, strict=True)),
            "before": around.before.to_dict() if around.before else None,
            "heard": around.after.to_dict() if around.after else None,
            "judge_knew": around.told, "share_of_the_way": None if around.share is None else round(around.share, 3),
        }  # fmt: skip
    return facts
