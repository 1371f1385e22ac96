"""Who speaks: named voices, and voices known from a recording."""

from emotts.speaker.table import VoiceTable

__all__ = ["VoiceTable"]
