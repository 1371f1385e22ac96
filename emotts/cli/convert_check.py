"""`convert --check`, `--tolerance`, `--min-speaker-sim`: a conversion is listened to before it is written."""

import argparse
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotts.cli.check import MAX_TRIES, REPORTING, STEERING, heard_facts, heard_rows

if TYPE_CHECKING:
    import numpy as np

    from emotts.conversion.request import ConversionRequest
    from emotts.conversion.result import Conversion
    from emotts.loop import Outcome
    from emotts.pipeline import EmoTTS

REFERENCE_S = 30.0  # of a recording, to compare a voice with


@dataclass(frozen=True)
class Checked:
    """What the loop reached, and what the judge knew of the voice."""

    outcome: "Outcome[ConversionRequest]" = field(repr=False)
    told: str

    @property
    def result(self) -> "Conversion":
        """The conversion chosen."""
        result: Any = self.outcome.result
        return result

    def rows(self, arguments: argparse.Namespace) -> dict[str, str]:
        """Return what to tell people, line by line."""
        rows = heard_rows(self.outcome, arguments) | {"the judge knew": self.told}
        request = self.outcome.request
        if self.outcome.tries or self.outcome.is_voice_held is not None:
            emotion = request.emotion or ",".join(f"{name}={value:g}" for name, value in request.moved) or "as it is"
            rows["emotion used"] = f"{emotion}, strength {request.strength:g}"
        return rows

    def facts(self) -> dict[str, Any]:
        """Return the same for JSON."""
        tries = [
            {**_used(t.request), "error": round(t.distance, 4), "speaker_sim": t.speaker_sim}
            for t in self.outcome.tries
        ]
        return {**heard_facts(self.outcome), "told": self.told, "used": _used(self.outcome.request), "tries": tries}


def listened(tts: "EmoTTS", source: Path, request: "ConversionRequest", arguments: argparse.Namespace) -> Checked:
    """Convert with the closed loop that the options ask for.

    Args:
        tts: the model. source: the recording. request: how. arguments: those of `add_check_options`, and the voice.

    Raises:
        ValueError: the recording cannot be converted, or nothing that a judge can hear.
        FileNotFoundError: a judge or the speaker encoder is missing.
    """
    from emotts.judges import load_judge
    from emotts.loop.conversion import check, hold_voice, learn, similarity_to, steer

    known = learn(tts, source, request)
    reporting = known.acquaint(load_judge(REPORTING))
    similarity, minimum, held = None, arguments.min_speaker_sim, known.request
    if minimum is not None or find_spec("resemblyzer") is not None:
        from emotts.metrics.speaker import load_speaker_encoder

        similarity = similarity_to(speech_of_voice(tts, source, request, arguments.voice), load_speaker_encoder().embed)
    if minimum is not None and similarity is not None:
        held, _ = hold_voice(tts, known, similarity, minimum)
    if arguments.tolerance is not None:
        steering, tries = known.acquaint(load_judge(STEERING)), arguments.max_tries or MAX_TRIES
        outcome = steer(tts, known, steering, reporting, arguments.tolerance, tries, similarity, minimum, held)
    else:
        outcome = check(tts, known, reporting, held)
        if similarity is not None:
            reached = similarity(outcome.result)
            is_held = None if minimum is None else reached >= minimum
            outcome = replace(outcome, speaker_sim=reached, is_voice_held=is_held)
    return Checked(outcome, known.told)


def speech_of_voice(tts: "EmoTTS", source: Path, request: "ConversionRequest", voice: str | None) -> "list[np.ndarray]":
    """Return speech of the voice that a conversion should have: waveforms [L] at 24 kHz."""
    from emotts.recordings import read_pieces
    from emotts.reference import neutral_speech

    recording = source if request.keeps_voice else Path(voice or "")
    if request.keeps_voice or (request.profile is not None and recording.is_file()):
        return [next(read_pieces(recording, tts.sample_rate, REFERENCE_S))]
    return [waveform for waveform, _ in neutral_speech(tts, request.profile or request.voice)]


def _used(request: "ConversionRequest") -> dict[str, Any]:
    emotion = request.emotion.to_dict() if request.emotion else dict(request.moved)
    return {"emotion": emotion, "strength": request.strength, "seed": request.seed}
