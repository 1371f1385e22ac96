"""Whose voice it is: recordings come in; one line on stderr and the word for the provenance go out."""

from collections.abc import Sequence
from pathlib import Path

from emotts.provenance import is_of_person

CONSENT_LINE = (
    "The voice in this recording belongs to a person: convert it only with their consent, and say that the result is synthetic "
    "(--i-have-consent silences this line)."
)


def consent_line(recordings: Sequence[str | Path], has_consent: bool, kept_voice: bool = False) -> str | None:
    """Remind of consent once, where a person's voice is converted or taken over, and return the word for the provenance.

    Args:
        recordings: that are converted, and those whose voice is taken.
        has_consent: whether the user said so; then nothing is printed.
        kept_voice: whether a voice is taken that was kept from recordings, which are not here to look at.

    Returns:
        "stated" or "not stated"; None where every recording says of itself that a model spoke it.
    """
    from emotts.cli import say

    if not kept_voice and not any(is_of_person(path) for path in recordings):
        return None
    if has_consent:
        return "stated"
    say(CONSENT_LINE)
    return "not stated"
