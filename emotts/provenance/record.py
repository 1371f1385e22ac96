"""`Provenance`: that a piece of audio is synthetic and how it was made. Goes out as JSON; parse.py reads it back."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from emotts import __version__

FORMAT = 1
KEY = "emotts_provenance"  # holds the format; JSON without it is not ours
KINDS = ("speech", "conversion")
CONSENTS = ("stated", "not stated")
HASHED = ("samples", "file", "array")
MAX_COMMENT_BYTES = 1_900  # libsndfile reads no comment of more than 2,045 bytes in WAV
MAX_TEXT_CHARS = 200_000  # a longer text is left out
MAX_CHARS, MAX_NAME_CHARS, MAX_ITEMS = 2_000, 255, 64

Setting = str | int | float | bool | None


@dataclass(frozen=True)
class ModelCard:
    """Which weights were at work.

    Attributes:
        name: of the model, as its checkpoint says. format: version of the checkpoint's format.
        manifest_sha256: hash of its manifest, which holds those of all its files; empty where it came from no folder.
        steps: of training, by module.
        backend: how the networks were computed (emotts/acceleration), which the bytes depend on; empty is plain.
    """

    name: str = ""
    format: int = 0
    manifest_sha256: str = ""
    steps: Mapping[str, int] = field(default_factory=dict, hash=False)
    backend: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it ready for JSON; what is empty is left out."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class Source:
    """A recording that was converted.

    Attributes:
        name: of the file without its folder; empty for samples that came from no file.
        sha256: of what `hashed` says: "samples", as integers, "file", all its bytes, or "array", 32-bit floats.
    """

    name: str
    sha256: str
    hashed: str = "samples"


@dataclass(frozen=True)
class Provenance:
    """How a piece of synthetic audio was made.

    Attributes:
        kind: one of KINDS.
        models: whose weights were at work, the speaking one first.
        seed: of the reading; None where there is not one alone.
        settings: of the request, by name: voice, emotion, and what is not a default.
        source: what was converted; None for speech from text.
        consent: of the person whose voice it is, one of CONSENTS; None where there is no such person.
        text: that is spoken. created: ISO 8601, UTC. Both stand in the sidecar alone, so that equal speech has equal bytes.
        left_out: names of what had no room.
        version: of emotts.
        found_in: "file" or "sidecar" where it was read, empty where it was made.
    """

    kind: str
    models: tuple[ModelCard, ...] = ()
    seed: int | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict, hash=False)
    source: Source | None = None
    consent: str | None = None
    text: str | None = None
    created: str | None = None
    left_out: tuple[str, ...] = ()
    version: str = __version__
    found_in: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {self.kind!r:.60}.")
        if self.consent is not None and self.consent not in CONSENTS:
            raise ValueError(f"consent must be None or one of {', '.join(CONSENTS)}; got {self.consent!r:.60}.")

    def to_dict(self) -> dict[str, Any]:
        """Return it ready for JSON; `provenance_of` reads it back. What is None or empty is left out."""
        given: dict[str, Any] = {
            "kind": self.kind,
            "models": [card.to_dict() for card in self.models],
            "seed": self.seed,
            "settings": dict(self.settings),
            "source": asdict(self.source) if self.source else None,
            "consent": self.consent,
            "text": self.text,
            "created": self.created,
            "left_out": list(self.left_out),
        }
        always = {KEY: FORMAT, "synthetic": True, "tool": "emotts", "version": self.version}
        return always | {name: value for name, value in given.items() if value not in (None, [], {})}

    def to_json(self) -> str:
        """Return compact JSON in ASCII, on one line."""
        return json.dumps(self.to_dict(), separators=(",", ":"), allow_nan=False)

    def to_metadata(self, with_text: bool = False) -> dict[str, str]:
        """Return what an audio file says of itself: `software`, and `comment` with JSON of at most MAX_COMMENT_BYTES.

        The text, which may be personal, is left out unless asked for; what has no room is left out too, and named.
        """
        told = replace(self, created=None, text=self.text if with_text else None)
        comments = (shorter.to_json() for shorter in _ever_shorter(told))
        return {
            "comment": next(comment for comment in comments if len(comment) <= MAX_COMMENT_BYTES),
            "software": f"emotts {self.version}",
        }


def _ever_shorter(whole: Provenance) -> Iterator[Provenance]:
    """Yield a provenance with less and less in it: the text goes first, then the longest settings, then names."""
    yield whole
    left_out = whole.left_out
    if whole.text is not None:
        left_out = (*left_out, "text")
        yield (whole := replace(whole, text=None, left_out=left_out))
    settings = dict(whole.settings)
    for name in sorted(settings, key=lambda name: (-len(json.dumps(settings[name])), name)):
        del settings[name]
        left_out = (*left_out, name)
        yield replace(whole, settings=dict(settings), left_out=left_out)
    models = tuple(ModelCard(format=card.format, manifest_sha256=card.manifest_sha256) for card in whole.models[:2])
    source = replace(whole.source, name="") if whole.source else None
    yield Provenance(whole.kind, models, whole.seed, {}, source, whole.consent, left_out=("settings", "names"))
