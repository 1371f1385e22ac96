"""How much a stranger may ask for at once."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """Bounds of one request and of what waits.

    Attributes:
        max_text_chars: of a text that is to be spoken.
        max_upload_bytes: of an uploaded file.
        max_recording_s: of what an uploaded recording plays.
        max_rows: of a table or a script.
        max_waiting: requests that wait while one is worked on.
        timeout_s: how long a request may wait for its first sound, and then for each further piece.
    """

    max_text_chars: int = 4_096
    max_upload_bytes: int = 20_000_000
    max_recording_s: float = 120.0
    max_rows: int = 200
    max_waiting: int = 32
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{one.name} must be above 0 and finite; got {value!r:.40}.")
