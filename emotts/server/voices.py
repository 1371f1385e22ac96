"""Names of voices and of models: OpenAI's come in, so that unchanged clients are served, the bundled ones go out."""

from collections.abc import Sequence

from emotts.server.errors import ApiError
from emotts.server.guard import check_voice

MODEL = "emotts"
OPENAI_MODELS = ("gpt-4o-mini-tts", "tts-1", "tts-1-hd")
# OpenAI's voices and the bundled ones nearest to them in sex, height and character
OPENAI_VOICES = {
    "alloy": "ada", "ash": "otto", "ballad": "leo", "coral": "heart", "echo": "max", "fable": "kumo", "nova": "heart",
    "onyx": "leo", "sage": "ada", "shimmer": "pip", "verse": "joe",
}  # fmt: skip


def aliases(voices: Sequence[str]) -> dict[str, str]:
    """Return the voice that answers to each of OpenAI's names; where the bundled one is missing, they are dealt out in turn."""
    return {
        name: ours if ours in voices else voices[number % len(voices)]
        for number, (name, ours) in enumerate(OPENAI_VOICES.items())
        if name not in voices
    }


def known_voice(name: str, voices: Sequence[str]) -> str:
    """Return the voice of a name, ours or OpenAI's.

    Raises:
        ValueError: there is none.
    """
    return check_voice(aliases(voices).get(name, name), voices)


def check_model(name: str) -> None:
    """Refuse the name of a model that is neither ours nor one that ours stands in for.

    Raises:
        ApiError: 404, as OpenAI answers.
    """
    known = (MODEL, *OPENAI_MODELS)
    if name not in known and not name.startswith("gpt-4o-mini-tts-"):
        shown = "".join(c if c.isprintable() else "?" for c in name[:60])
        raise ApiError(404, f'model must be one of {", ".join(known)}; got "{shown}".', "model", "model_not_found")
