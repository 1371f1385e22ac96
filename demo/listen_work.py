"""The work of the tab Listen: a recording comes in; what a judge hears in it, its voice in numbers and where it is from go out."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from emotts.emotion.heard import Judge
from emotts.judges import FEATURES, JUDGES, RECOGNIZER
from emotts.provenance import Provenance, read_provenance
from emotts.recognition import PIECE_S, Recognition, recognize_file, to_json
from emotts.recordings import read_pieces
from emotts.reference import LearningJudge
from emotts.server.guard import check_recording, sentence

from .engine import Engine, Tell, silent
from .recorded import recording_take
from .takes import Take


@dataclass(frozen=True)
class Listened:
    """What was found in a recording.

    Attributes:
        take: for the list of the session. samples: [L] at 24 kHz.
        recognition: of the judge, whose name is `judge`; is_told: whether it knew a neutral recording of the speaker.
        provenance: of the file, None where it says nothing. problem: why what it says is not believed, else "".
    """

    take: Take
    samples: np.ndarray = field(repr=False)
    recognition: Recognition = field(repr=False)
    judge: str
    is_told: bool
    provenance: Provenance | None
    problem: str

    @property
    def facts(self) -> dict[str, Any]:
        """Everything that was found, ready for JSON."""
        found: dict[str, Any] = json.loads(to_json(self.recognition, self.judge, True))
        del found["path"]
        origin = {
            "provenance": self.provenance.to_dict() if self.provenance else None,
            "provenance_problem": self.problem or None,
        }
        return {"name": self.take.text, "judge_knew_the_speaker": self.is_told} | found | origin


def listen_to(
    engine: Engine, path: str | None, neutral: str | None, judge: str = RECOGNIZER, tell: Tell = silent
) -> Listened:
    """Judge and measure a recording.

    Args:
        engine: has the judges. path: of the recording. tell: is told how far it is.
        neutral: of neutral speech of the same speaker, which the judge then knows; None for none.
        judge: its name.

    Raises:
        ValueError: no recording, one that will not do, or a judge that there is not.
    """
    if not path:
        raise ValueError("a recording is needed; got none. Upload one or record yourself.")
    hears = judge_named(engine, judge)
    check_recording(Path(path), engine.limits)
    if neutral:
        check_recording(Path(neutral), engine.limits)
    with engine.working(tell):
        tell(0.1, "listening")
        knowing: Judge = hears
        if neutral:
            rate = engine.tts.sample_rate
            try:
                knowing = hears.with_reference([(next(read_pieces(Path(neutral), rate, PIECE_S)), rate)])
            except ValueError as error:
                raise ValueError(f"neutral recording: {error}") from None
        recognition = recognize_file(
            knowing, Path(path), True, lambda part: tell(0.1 + 0.85 * part, f"listening: {part:.0%}")
        )
    take, samples = recording_take(engine, path)
    provenance, problem = origin_of(Path(path))
    return Listened(
        replace(take, heard=recognition.heard), samples, recognition, judge, bool(neutral), provenance, problem
    )


def judge_named(engine: Engine, name: str) -> LearningJudge:
    """Return a judge.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in JUDGES:
        raise ValueError(f"judge must be one of {', '.join(JUDGES)}; got {name!r:.40}.")
    judge: Any = engine.judge if name == FEATURES else engine.tts.resolver.recognizer
    return judge  # type: ignore[no-any-return]


def origin_of(path: Path) -> tuple[Provenance | None, str]:
    """Return what a file says of how it was made, and why that is not believed."""
    try:
        return read_provenance(path), ""
    except ValueError as error:
        return None, sentence(error)
