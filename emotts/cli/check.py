"""`synthesize --check`, `--tolerance`, `--min-speaker-sim`: speech is listened to before it is written; what was heard goes out.

The options and what is told of an outcome are those of `emotts convert` too, see convert_check.py.
"""

import argparse
from typing import TYPE_CHECKING, Any

from emotts.cli.arguments import check_range
from emotts.emotion.labels import DIMENSIONS

if TYPE_CHECKING:
    from emotts.loop import Outcome
    from emotts.pipeline import EmoTTS
    from emotts.request import Request

STEERING, REPORTING = "recognizer", "features"
TOLERANCE, MAX_TRIES = 0.15, 4


def add_check_options(parser: argparse.ArgumentParser, softened: str = "guidance or emotion") -> None:
    """Add the options of the closed loop to a command; `softened` names what is weakened to hold the voice."""
    loop = parser.add_argument_group("listen to it (nothing is streamed then)")
    loop.add_argument("--check", action="store_true", help="print what was asked and what a judge heard")
    loop.add_argument(
        "--tolerance", type=float, metavar="T", help=f"correct until A, V, D are heard within T, such as {TOLERANCE}"
    )
    loop.add_argument(
        "--max-tries", type=int, metavar="N", help=f"renderings at most for --tolerance; default {MAX_TRIES}"
    )
    loop.add_argument(
        "--min-speaker-sim",
        type=float,
        metavar="S",
        help=f"weaken {softened} until the voice is itself, such as 0.8",
    )


def wants_check(arguments: argparse.Namespace) -> bool:
    """Say whether an option of the closed loop was given.

    Raises:
        ValueError: one of them is out of range, or --max-tries stands alone.
    """
    check_range("tolerance", arguments.tolerance, 0.01, 2.0)
    check_range("max-tries", arguments.max_tries, 1, 50)
    check_range("min-speaker-sim", arguments.min_speaker_sim, 0.0, 1.0)
    if arguments.max_tries is not None and arguments.tolerance is None:
        raise ValueError("--max-tries needs --tolerance; give both, such as --tolerance 0.15 --max-tries 4.")
    return arguments.check or arguments.tolerance is not None or arguments.min_speaker_sim is not None


def speak_checked(tts: "EmoTTS", text: str, request: "Request", arguments: argparse.Namespace) -> "Outcome[Request]":
    """Speak with the closed loop that the options ask for.

    Args:
        tts: the model. text: what to say. request: how. arguments: those of `add_check_options`.

    Raises:
        ValueError: nothing speakable, or nothing that a judge can hear.
        FileNotFoundError: a judge or the speaker encoder is missing.
    """
    from dataclasses import replace

    from emotts.judges import load_judge
    from emotts.loop import check, hold_voice, steer, voice_similarity
    from emotts.reference import neutral_speech

    neutral = neutral_speech(tts, request.speaker)
    reporting = load_judge(REPORTING).with_reference(neutral)
    similarity, minimum, held = None, arguments.min_speaker_sim, request
    if minimum is not None:
        from emotts.metrics.speaker import load_speaker_encoder

        similarity = voice_similarity(tts, text, request, load_speaker_encoder().embed)
        held, reached = hold_voice(tts, text, request, similarity, minimum)
    if arguments.tolerance is not None:
        tries = arguments.max_tries or MAX_TRIES
        steering = load_judge(STEERING).with_reference(neutral)
        return steer(
            tts, text, held, steering, reporting, arguments.tolerance, tries, similarity, minimum, request.emotion
        )
    outcome = check(tts, text, held, reporting, request.emotion)
    if minimum is None:
        return outcome
    return replace(outcome, speaker_sim=reached, is_voice_held=reached >= minimum)


def check_rows(outcome: "Outcome[Request]", arguments: argparse.Namespace) -> dict[str, str]:
    """Return what to tell people, line by line: name to text."""
    rows = heard_rows(outcome, arguments)
    if outcome.tries or outcome.is_voice_held is not None:
        rows["emotion used"] = (
            f"{outcome.request.emotion}, guidance {outcome.request.guidance:g}, seed {outcome.request.seed}"
        )
    return rows


def check_facts(outcome: "Outcome[Request]") -> dict[str, Any]:
    """Return the same for --json, under one key."""
    used = {
        "emotion_used": outcome.request.emotion.to_dict(),
        "guidance_used": outcome.request.guidance,
        "seed_used": outcome.request.seed,
    }
    tries = [
        {"emotion": t.request.emotion.to_dict(), "seed": t.request.seed, "error": round(t.distance, 4)}
        for t in outcome.tries
    ]
    return {"check": heard_facts(outcome) | used | {"tries": tries}}


def heard_rows(outcome: "Outcome[Any]", arguments: argparse.Namespace) -> dict[str, str]:
    """Return what was asked, heard and reached, whatever was rendered."""
    heard = outcome.heard
    rows = {
        "asked A V D": " ".join("  open" if value is None else f"{value:+.2f}" for value in outcome.asked),
        "heard A V D": f"{' '.join(f'{value:+.2f}' for value in heard.avd)}  by {outcome.judge}, which did not steer",
        "heard label": f"{heard.label} ({max(heard.labels.values()):.0%})",
    }
    if outcome.is_met is not None:
        n = len(outcome.tries)
        state = "met" if outcome.is_met else "NOT met; this is the nearest"
        best = min(attempt.distance for attempt in outcome.tries if attempt.result is outcome.result)
        rows["tolerance"] = (
            f"{arguments.tolerance:g} {state}, {n} {'try' if n == 1 else 'tries'}, error {best:.2f} by {STEERING}, which steered"
        )
    if outcome.speaker_sim is not None:
        rows["speaker similarity"] = f"{outcome.speaker_sim:.2f}"
    if outcome.is_voice_held is not None:
        state = "held" if outcome.is_voice_held else "NOT held; this is the nearest"
        rows["speaker similarity"] += f", at least {arguments.min_speaker_sim:g} {state}"
    return rows


def heard_facts(outcome: "Outcome[Any]") -> dict[str, Any]:
    """Return the same for JSON."""
    return {
        "asked": dict(zip(DIMENSIONS, outcome.asked, strict=True)),
        "heard": outcome.heard.to_dict(),
        "judge": outcome.judge,
        "tolerance_met": outcome.is_met,
        "speaker_sim": outcome.speaker_sim,
        "voice_held": outcome.is_voice_held,
    }
