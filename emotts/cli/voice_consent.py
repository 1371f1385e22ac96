"""Whose voices a command takes: recordings and a voice come in, the word for each file's provenance goes out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emotts.cli.consent import consent_line
from emotts.provenance import is_of_person

if TYPE_CHECKING:
    from emotts.speaker.profile import VoiceProfile

CONSENT = "consent"  # among the facts of a kept voice


def consents_of(
    sources: Sequence[Path], voice: str | None, profile: "VoiceProfile | None", has_consent: bool
) -> list[str | None]:
    """Remind of consent at most once, and return for each recording what its result says of it.

    Args:
        sources: that are converted. voice: as the user named it. profile: of that voice, if it is no named one of the model.
        has_consent: whether the user said so.
    """
    recordings, kept = _origin(voice, profile)
    word = consent_line([*recordings, *sources], has_consent, kept == "not stated")
    of_voice = word if any(map(is_of_person, recordings)) or kept == "not stated" else kept
    if of_voice is not None:
        return [word or of_voice] * len(sources)
    return [word if word and is_of_person(source) else None for source in sources]


def consent_of_voice(voice: str | None, profile: "VoiceProfile | None", has_consent: bool) -> str | None:
    """Remind of consent where speech takes a person's voice, and return what the speech says of it; arguments as above."""
    recordings, kept = _origin(voice, profile)
    return consent_line(recordings, has_consent, kept == "not stated") or kept


def _origin(voice: str | None, profile: "VoiceProfile | None") -> tuple[list[Path], str | None]:
    """Return the recordings that a voice is taken from, or else what was said when it was kept."""
    if voice is None or profile is None:
        return [], None
    from emotts.speaker.profile import SUFFIX

    is_recording = Path(voice).is_file() and Path(voice).suffix != SUFFIX
    return ([Path(voice)], None) if is_recording else ([], profile.consent)
