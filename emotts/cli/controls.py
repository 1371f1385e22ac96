"""Options of `emotts synthesize` for the finer ways of asking: mixing, guidance, time line, timing, and the reading itself."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotts.cli.arguments import number
from emotts.emotion.spec import EmotionSpec, parse_emotion

if TYPE_CHECKING:
    from emotts.speech import Result

NAMES = (
    "norms", "timeline", "duration", "word_times", "prosody", "intonation", "intonation_weight", "like_neutral", "mixing",
    "speaker_guidance", "content_guidance", "classifier", "classifier_away", "language", "schedule", "solver", "sampler",
)  # fmt: skip


def add_control_options(parser: argparse.ArgumentParser) -> None:
    """Add the options; each is left out where it is not given, so that the pipeline's default holds."""
    feeling = parser.add_argument_group("finer ways to say which emotion (docs/emotion_controls.md)")
    feeling.add_argument(
        "--not", dest="refused", metavar="SPEC", help="stay away from labels, such as angry or angry:0.5,sad"
    )
    feeling.add_argument(
        "--timeline", metavar="FILE|PRESET", help="emotion over time: CSV, JSON, or rise:angry, fall:sad, burst:excited"
    )
    feeling.add_argument(
        "--like-neutral",
        action="append",
        metavar="FILE",
        help="a neutral recording of the speaker of like=; may be repeated",
    )
    feeling.add_argument("--norms", metavar="FILE", help="NRC-VAD or Warriner norms for described words")
    feeling.add_argument("--mixing", metavar="HOW", help="joint (default), embedding, velocity or schedule")
    feeling.add_argument("--speaker-guidance", type=number, metavar="G", help="above 1 exaggerates the voice")
    feeling.add_argument("--content-guidance", type=number, metavar="G", help="above 1 exaggerates the articulation")
    feeling.add_argument("--classifier", type=number, metavar="S", help="push by the recogniser, 0 to 1, such as 0.4")
    feeling.add_argument(
        "--classifier-away", type=number, metavar="S", help="push away from --not labels, or from all others"
    )
    timing = parser.add_argument_group("timing and intonation")
    timing.add_argument("--duration", type=number, metavar="S", help="length of the whole in seconds")
    timing.add_argument("--word-times", metavar="FILE", help="when each word is spoken: CSV, SRT or TextGrid")
    timing.add_argument("--intonation", metavar="FILE", help="take over the melody of a recording")
    timing.add_argument("--intonation-weight", type=number, metavar="W", help="how far, 0 to 1.5 (default: 1)")
    timing.add_argument("--prosody-out", metavar="FILE", help="write durations, F0 and energy of every token as JSON")
    timing.add_argument("--prosody", metavar="FILE", help="speak with such a file, edited")
    sampling = parser.add_argument_group("sampling (docs/performance.md)")
    sampling.add_argument(
        "--sampler",
        metavar="WHO",
        help="flow, or its student of 1 to 4 steps; default: the student where it does as well",
    )
    sampling.add_argument("--schedule", metavar="HOW", help="where the steps lie: uniform (default), sway or epss")
    sampling.add_argument("--solver", metavar="HOW", help="how they are taken: euler (default), midpoint or heun")
    text = parser.add_argument_group("language")
    text.add_argument("--language", metavar="TAG", help="of the text, such as de, if the checkpoint knows several")


def asked_emotion(arguments: argparse.Namespace) -> EmotionSpec:
    """Return what --emotion, --arousal, --valence, --dominance and --not ask for together.

    Raises:
        ValueError: one of them is not a specification, or --not asks for more than labels.
    """
    emotion = parse_emotion(arguments.emotion, arguments.arousal, arguments.valence, arguments.dominance)
    if arguments.refused is None:
        return emotion
    away = list(emotion.away)
    for part in filter(None, map(str.strip, re.split(r"[,+]", arguments.refused))):
        refused = parse_emotion(part)
        if not refused.weights or refused.dimensions or refused.sources or refused.away:
            raise ValueError(f"--not must name labels, such as angry or angry:0.5,sad; got {arguments.refused!r:.60}.")
        away += refused.weights
    return EmotionSpec(**{**emotion.to_dict(), "away": tuple(away)})


def control_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given, by the names of `emotts.request.Options`."""
    return {name: getattr(arguments, name) for name in NAMES if getattr(arguments, name) is not None}


def write_prosody(path: str, result: "Result") -> None:
    """Write the reading of a result as JSON."""
    from emotts.prosody_edit import to_json

    Path(path).write_text(to_json(result.prosody), encoding="utf-8")
