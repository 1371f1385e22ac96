"""A script of several speakers: `NAME (emotion): text`, line by line; turns whose mood carries over come out, and one joined file.

A mood has inertia: what a turn asks for is mixed with what its speaker felt before, and without a request it falls back to the
speaker's own mood, as in models of emotion dynamics (Kuppens, Allen & Sheeber, 2010, Psychological Science 21, 984-991).
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from emotts.audio import SPEC, AudioWriter, load_audio
from emotts.batch.outputs import PARTIAL, put_in_place
from emotts.batch.rows import MAX_ROWS, BatchProblems, Checker, Row
from emotts.batch.tables import read_text
from emotts.emotion.coordinates import coordinates_of_spec, spec_at
from emotts.emotion.labels import DIMENSIONS, LABEL_INDEX
from emotts.emotion.spans import span_specs
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.provenance import Provenance, joined_provenance, read_provenance
from emotts.resolve import Resolver

INERTIA = 0.4
GAP_S = 0.35
MAX_GAP_S = 10.0
CONTEXT_TURNS = 8  # around one, where the text itself decides
MAX_BLANK_LINES = 100
TURNS = "turns"
EXAMPLE = "ANNA (happy:0.8): You came!"

_NAME = r"[^\W\d_][\w .'’-]{0,39}?"
_CAST = re.compile(rf'@(?P<name>{_NAME})(?P<options>(?:\s+\w+=(?:"[^"]*"|[^\s"])+)*)\s*')
_OPTION = re.compile(r'(\w+)=((?:"[^"]*"|[^\s"])+)')
_TURN = re.compile(rf'(?P<name>{_NAME})\s*(?:\((?P<emotion>(?:"[^"]*"|[^()"])*)\)\s*)?:(?P<text>.*)')


@dataclass(frozen=True)
class Speaker:
    """One of the cast: arguments of `EmoTTS.synthesize`, and the mood that is the speaker's own."""

    options: dict[str, Any]
    mood: EmotionSpec = field(default_factory=EmotionSpec)


@dataclass(frozen=True)
class Turn:
    """What one speaker says at once.

    Attributes:
        line: of the file. speaker: a name of the cast. text: what is said.
        emotion: what is asked for; None leaves it to the mood.
        blank_lines: before it.
    """

    line: int
    speaker: str
    text: str
    emotion: EmotionSpec | None
    blank_lines: int = 0


@dataclass(frozen=True)
class Script:
    """Cast and turns."""

    cast: dict[str, Speaker]
    turns: list[Turn]

    def rows(self, inertia: float = INERTIA, resolver: Resolver | None = None) -> list[Row]:
        """Return a row for each turn, with its mood as the emotion.

        Args:
            inertia: share of the mood before, from 0 (none) to below 1.
            resolver: turns what is asked into labels and dimensions; None makes one.
        """
        rows = []
        for number, (turn, mood) in enumerate(zip(self.turns, moods(self, inertia, resolver), strict=True), start=1):
            name = re.sub(r"\W+", "-", turn.speaker).strip("-")
            options = {**self.cast[turn.speaker].options, "emotion": mood}
            for option in ("like_neutral", "norms"):  # the mood is in labels and dimensions by now
                if not span_specs(turn.text):
                    options.pop(option, None)
            output = f"{TURNS}/{number:04d}-{name}.wav"
            rows.append(Row(number, turn.line, turn.text, output, options, {"speaker": turn.speaker}))
        return rows

    def pauses_s(self, gap_s: float = GAP_S) -> list[float]:
        """Return the silence before each turn: a gap between turns, and one more for every blank line."""
        return [0.0 if i == 0 else gap_s * (1 + turn.blank_lines) for i, turn in enumerate(self.turns)]


def read_script(path: Path, checker: Checker) -> Script:
    """Read a script and check all its lines; what is wrong is collected in the checker.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it cannot be read at all, has no turns or too many.
    """
    cast: dict[str, Speaker] = {}
    turns: list[Turn] = []
    blank_lines = 0
    for number, raw in enumerate(read_text(path).splitlines(), start=1):
        line, place = raw.strip(), f"line {number}"
        if not line:
            blank_lines += 1
            continue
        if line.startswith("#"):
            continue
        if line.startswith("@"):
            _read_cast(line, place, cast, checker)
            continue
        turn = _read_turn(line, number, cast, checker)
        if turn is not None:
            turns.append(replace(turn, blank_lines=blank_lines))
        if blank_lines > MAX_BLANK_LINES:
            checker.complain(place, f"stands after {blank_lines} blank lines; at most {MAX_BLANK_LINES} are a pause.")
        blank_lines = 0
    if len(turns) > MAX_ROWS:
        raise BatchProblems(path, [f"there are {len(turns)} turns; expected at most {MAX_ROWS}. Split the file."])
    if not turns and not checker.problems:
        raise BatchProblems(path, [f"there are no turns. Example: {EXAMPLE}"])
    return Script(cast, turns)


def moods(script: Script, inertia: float = INERTIA, resolver: Resolver | None = None) -> list[EmotionSpec]:
    """Return the emotion of each turn: inertia * the mood before + (1 - inertia) * what is asked, per speaker.

    A speaker begins in his own mood, which is also what a turn without emotion asks for. What a turn moves away from holds for
    that turn. With an inertia of 0 every turn is spoken as it is written.

    Raises:
        ValueError: inertia out of range, or a file or words that say no emotion.
        FileNotFoundError: a file that a specification names does not exist.
    """
    if isinstance(inertia, bool) or not 0.0 <= inertia < 1.0:
        raise ValueError(f"inertia must be from 0 to below 1; got {inertia!r:.40}.")
    asked = [script.cast[turn.speaker].mood if turn.emotion is None else turn.emotion for turn in script.turns]
    if inertia == 0.0:
        return asked
    resolver = resolver or Resolver()
    texts = [turn.text for turn in script.turns]
    state = {name: _place(_steady(speaker.mood), speaker, resolver) for name, speaker in script.cast.items()}
    found = []
    for i, (turn, spec) in enumerate(zip(script.turns, asked, strict=True)):
        speaker = script.cast[turn.speaker]
        place = _place(spec, speaker, resolver) if spec.auto is None else _read_text(texts, i, spec)
        mood = inertia * state[turn.speaker] + (1.0 - inertia) * place
        state[turn.speaker] = mood
        for label, _ in spec.away:  # what is refused now is not asked for because it was felt before
            mood = np.where(np.arange(len(mood)) == LABEL_INDEX[label], 0.0, mood)
        found.append(replace(spec_at(mood), away=spec.away))
    return found


def _read_text(texts: Sequence[str], at: int, asked: EmotionSpec) -> np.ndarray:
    """Return what a turn says of its emotion, with the turns around it."""
    from emotts.emotion.auto import read_emotions

    around = slice(max(0, at - CONTEXT_TURNS), at + CONTEXT_TURNS + 1)
    strength = 1.0 if asked.auto is None else asked.auto
    reading = read_emotions(texts[around], strength)[at - around.start]
    return coordinates_of_spec(parse_emotion(reading, **asked.dimensions))


def _place(spec: EmotionSpec, speaker: Speaker, resolver: Resolver) -> np.ndarray:
    neutral = speaker.options.get("like_neutral", ()) if spec.like else ()
    return coordinates_of_spec(resolver.plain(spec, neutral, speaker.options.get("norms")))


def join_turns(
    folder: Path, rows: Sequence[Row], pauses_s: Sequence[float], output: str, sidecar: bool = True
) -> float:
    """Join the files of all turns to one, 24 kHz, one turn in memory at a time; return its length in seconds.

    Raises:
        OSError: it cannot be written.
    """
    temporary = folder / PARTIAL / output
    n_samples = 0
    text = "\n".join(f"{row.facts['speaker']}: {row.text}" if "speaker" in row.facts else row.text for row in rows)
    provenance = joined_provenance((_provenance(folder / row.output) for row in rows), text)
    with AudioWriter(temporary, metadata=provenance.to_metadata() if provenance else None) as file:
        for row, pause_s in zip(rows, pauses_s, strict=True):
            pause = np.zeros(round(pause_s * SPEC.sample_rate), np.float32)
            for part in (pause, load_audio(folder / row.output, max_duration_s=float("inf"))):
                file.write(part)
                n_samples += len(part)
    put_in_place(temporary, folder / output, provenance if sidecar else None)
    return n_samples / SPEC.sample_rate


def _provenance(path: Path) -> Provenance | None:
    """Return what a turn says of itself; nothing where somebody changed it since."""
    try:
        return read_provenance(path)
    except ValueError:
        return None


def _steady(mood: EmotionSpec) -> EmotionSpec:
    """Return a speaker's own mood; where every text decides for itself, that is neutral."""
    return EmotionSpec() if mood.auto is not None else mood


def _read_cast(line: str, place: str, cast: dict[str, Speaker], checker: Checker) -> None:
    match = _CAST.fullmatch(line)
    if match is None:
        checker.complain(place, f"expected such as @ANNA voice=heart emotion=calm:0.5 speed=1.1; got {line[:60]!r}.")
        return
    name, pairs = match["name"], _OPTION.findall(match["options"])
    if name in cast:
        checker.complain(place, f"{name} has a voice already; give each speaker one line.")
    cast[name] = Speaker({})
    if not checker.columns([key for key, _ in pairs], place, also=()):
        return
    given = {
        key: checker.value(key, value if key == "emotion" else value.strip('"'), place, is_text=True)
        for key, value in pairs
    }
    options = {key: value for key, value in given.items() if value is not None}
    if len(given) < len(pairs):
        checker.complain(place, "an option stands twice; give each once.")
    if "timeline" in options:
        checker.complain(place, "a time line leaves no room for the moods of turns; give it in a table.")
    rest = {key: value for key, value in options.items() if key not in ("like_neutral", "norms")}
    checker.combination("", rest, place)
    emotion = [options.pop(key, None) for key in ("emotion", *DIMENSIONS)]
    cast[name] = Speaker(options, parse_emotion(*emotion))


def _read_turn(line: str, number: int, cast: dict[str, Speaker], checker: Checker) -> Turn | None:
    place = f"line {number}"
    match = _TURN.fullmatch(line)
    if match is None:
        checker.complain(place, f"expected NAME: text, or NAME (emotion): text; got {line[:60]!r}. Example: {EXAMPLE}")
        return None
    name, text, before = match["name"], match["text"].strip(), len(checker.problems)
    if name not in cast:
        near = difflib.get_close_matches(name, list(cast), n=1)
        remedy = f'Did you mean "{near[0]}"?' if near else f"Write a line before it, such as @{name} voice=heart."
        checker.complain(place, f"{name!r} has no voice. {remedy}")
        cast[name] = Speaker({})  # told once
    checker.text(text, place)
    emotion = None
    if match["emotion"] is not None:
        try:
            emotion = checker.emotion(match["emotion"], cast[name].options.get("norms"))
        except (ValueError, FileNotFoundError) as error:
            checker.complain(place, error)
    return Turn(number, name, text, emotion) if len(checker.problems) == before else None
