"""One sentence at nine places of the pad: a text, a voice and a seed come in; one take after the other goes out.

Dominance is left open, and the seed is the same everywhere, so that only the feeling differs.
"""

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from emotts.server.guard import check_text, check_voice

from .engine import Engine, Tell, silent
from .stopping import Stop
from .takes import Take

STEP = 0.7
PLACES = tuple((arousal, valence) for arousal in (STEP, 0.0, -STEP) for valence in (-STEP, 0.0, STEP))  # row by row
NAMES = (
    "tense", "alert", "elated",
    "displeased", "middle", "pleased",
    "gloomy", "quiet", "serene",
)  # fmt: skip
LATTICE = (0, 1, 2, 5, 4, 3, 6, 7, 8, 5, 2, 1, 4, 7, 6, 3, 0)  # a walk along all its edges
MAX_CHARS = 300  # it is spoken nine times
MAX_SEED = 2**31 - 1


def check_grid(engine: Engine, text: object, voice: object, seed: object) -> tuple[str, str, int]:
    """Return a text, a voice and a seed that a grid can be made of; without a seed, one is drawn.

    Raises:
        ValueError: one of them cannot be.
    """
    words, name = check_text(text, engine.limits), check_voice(voice or engine.voices[0], engine.voices)
    if len(words) > MAX_CHARS:
        raise ValueError(f"the text of a grid must have at most {MAX_CHARS} characters; got {len(words)}. Shorten it.")
    if seed is None:
        return words, name, secrets.randbelow(MAX_SEED)
    if isinstance(seed, bool) or not isinstance(seed, int | float) or seed != seed // 1 or not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed must be a whole number from 0 to {MAX_SEED}; got {seed!r:.40}.")
    return words, name, int(seed)


def speak_grid(
    engine: Engine, text: str, voice: str, seed: int, tell: Tell = silent, stop: Stop | None = None
) -> Iterator[Take]:
    """Yield the takes of PLACES in order, listened to; after a wish to stop no other is begun."""
    for number, (arousal, valence) in enumerate(PLACES):
        if stop is not None and stop.is_wished:
            return
        tell(number / len(PLACES), f"{NAMES[number]}: {number + 1} of {len(PLACES)}")
        options: dict[str, Any] = {"voice": voice, "arousal": arousal, "valence": valence, "seed": seed}
        take, result = engine.speak(text, options)
        yield engine.listened(take, result.waveform, result.sample_rate)


def marks_of_grid(takes: Sequence[Take]) -> list[dict[str, Any]]:
    """Return the dots of a grid: where each take was asked to be, and where it was heard."""
    asked = [
        {"arousal": arousal, "valence": valence, "kind": "asked", "text": "asked"}
        for arousal, valence in PLACES[: len(takes)]
    ]
    heard = [
        {"arousal": take.heard.avd[0], "valence": take.heard.avd[1], "kind": "heard", "text": "heard"}
        for take in takes
        if take.heard is not None
    ]
    return [*asked, *heard]


def path_of_grid(takes: Sequence[Take]) -> list[list[float]]:
    """Return the lattice of the nine as one line through the places where they were heard; nothing while one is missing."""
    places = [[take.heard.avd[1], take.heard.avd[0]] for take in takes if take.heard is not None]
    return [places[number] for number in LATTICE] if len(places) == len(PLACES) else []
