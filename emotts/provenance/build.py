"""Make a provenance: a checked request and the model that answered it come in, a `Provenance` goes out."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotts.provenance.record import MAX_CHARS, MAX_ITEMS, MAX_TEXT_CHARS, ModelCard, Provenance, Setting

if TYPE_CHECKING:
    from emotts.request import Request

ALWAYS_TOLD = ("voice", "emotion")
RENAMED = {"asked": "emotion_asked"}
NOT_SETTINGS = ("seed",)  # it stands by itself
SIMPLE = (str, int, float, tuple, Path)
HASH_CHARS = 16


def of_request(
    request: "Request", text: str, models: Sequence[ModelCard] = (), defaults: Mapping[str, Any] | None = None
) -> Provenance:
    """Return the provenance of speech.

    Args:
        request: what was asked of the pipeline. text: what is spoken. models: that speak.
        defaults: of the request where its class has none; what equals them is not told.
    """
    return _with_text("speech", tuple(models), request.seed, settings_of(request, defaults or {}), text)


def settings_of(request: Any, defaults: Mapping[str, Any]) -> dict[str, Setting]:
    """Return what a request (a dataclass) asks for: voice, emotion, and all that is not a default.

    Files are named without their folders; what is neither text nor number, such as an edited reading, becomes a hash.
    """
    found: dict[str, Setting] = {}
    for one in fields(request):
        value, default = getattr(request, one.name), defaults.get(one.name, one.default)
        if one.name in NOT_SETTINGS or value is None:
            continue
        is_default = value is default or (
            isinstance(value, SIMPLE) and isinstance(default, SIMPLE) and value == default
        )
        if one.name in ALWAYS_TOLD or not is_default:
            found[RENAMED.get(one.name, one.name)] = _plain(value)
    return found


def model_card(
    metadata: Mapping[str, Any], format_version: int, manifest_sha256: str = "", backend: str = ""
) -> ModelCard:
    """Return the card of a checkpoint from its metadata, of which nothing is trusted; `backend` is empty for plain."""
    training = metadata.get("training")
    modules = training.items() if isinstance(training, dict) else ()
    steps = {name: facts.get("steps") for name, facts in modules if isinstance(facts, dict)}
    counts = {str(name)[:40]: n for name, n in steps.items() if type(n) is int and 0 <= n < 2**63}
    return ModelCard(str(metadata.get("name", ""))[:80], format_version, manifest_sha256, counts, backend)


def joined_provenance(parts: Iterable[Provenance | None], text: str) -> Provenance | None:
    """Return the provenance of pieces joined to one file; None where no piece has one.

    Voices and models are told, and how many pieces say nothing of themselves; the weakest
    consent counts; seeds and emotions are left to the pieces.
    """
    n_pieces, n_unknown, models, voices = 0, 0, dict[ModelCard, None](), dict[str, None]()
    consents: set[str | None] = set()
    for part in parts:
        n_pieces += 1
        if part is None:
            n_unknown += 1
            continue
        models |= dict.fromkeys(part.models)
        consents.add(part.consent)
        voices |= dict.fromkeys([str(part.settings.get("voice", "not told"))])
    if n_unknown == n_pieces:
        return None
    settings: dict[str, Setting] = {"pieces": n_pieces, "voice": ", ".join(voices)[:MAX_CHARS]}
    if n_unknown:
        settings["pieces_without_provenance"] = n_unknown
    whole = _with_text("speech", tuple(models)[:MAX_ITEMS], None, settings, text)
    weakest = next((word for word in ("not stated", "stated") if word in consents), None)
    return replace(whole, consent=weakest)


def _with_text(
    kind: str, models: tuple[ModelCard, ...], seed: int | None, settings: dict[str, Setting], text: str
) -> Provenance:
    if len(text) > MAX_TEXT_CHARS:
        return Provenance(kind, models, seed, settings, left_out=("text",))
    return Provenance(kind, models, seed, settings, text=text)


def _plain(value: Any) -> Setting:
    """Return a value as text or number, without the folders of files."""
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, str | Path):
        return Path(value).name[:MAX_CHARS] if "/" in str(value) else str(value)[:MAX_CHARS]
    if is_dataclass(value) and {"like", "directions", "erase"} <= {one.name for one in fields(value)}:
        return str(_without_folders(value))[:MAX_CHARS]
    if isinstance(value, tuple | list) and value and all(isinstance(item, str | Path) for item in value):
        return ", ".join(Path(item).name for item in value)[:MAX_CHARS]
    name = getattr(value, "name", None)
    if isinstance(name, str) and name:
        return Path(name).name[:MAX_CHARS]
    return f"sha256:{_hash_of(value)}"


def _without_folders(emotion: Any) -> Any:
    """Return an EmotionSpec with the bare names of its files."""
    pairs = {
        key: tuple((Path(path).name, weight) for path, weight in getattr(emotion, key))
        for key in ("like", "directions")
    }
    return replace(emotion, **pairs, erase=tuple(Path(path).name for path in emotion.erase))


def _hash_of(value: Any) -> str:
    """Return the first HASH_CHARS digits of a hash of nested dataclasses, sequences, arrays and plain values."""
    digest = sha256()

    def add(part: Any) -> None:
        if is_dataclass(part) and not isinstance(part, type):
            digest.update(f"{type(part).__name__}(".encode())
            for one in fields(part):
                digest.update(f"{one.name}=".encode())
                add(getattr(part, one.name))
        elif isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        elif isinstance(part, tuple | list):
            digest.update(f"[{len(part)}]".encode())
            for item in part:
                add(item)
        else:
            digest.update(f"{part!r};".encode("utf-8", "backslashreplace"))

    add(value)
    return digest.hexdigest()[:HASH_CHARS]
