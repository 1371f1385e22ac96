"""Read a provenance back: JSON that nobody vouches for comes in, a `Provenance` or one sentence of refusal goes out."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from emotts import strict_json
from emotts.provenance.record import (
    CONSENTS,
    FORMAT,
    HASHED,
    KEY,
    KINDS,
    MAX_CHARS,
    MAX_ITEMS,
    MAX_NAME_CHARS,
    MAX_TEXT_CHARS,
    ModelCard,
    Provenance,
    Setting,
    Source,
)

MAX_JSON_BYTES = 2_097_152
LARGEST = 10**18  # of a number among the settings


def parse(text: str | bytes, name: str = "the provenance") -> Provenance | None:
    """Read the JSON of a provenance; None where it does not claim to be one.

    Args:
        text: JSON. name: what to call it in messages.

    Raises:
        ValueError: it claims to be one and is not: too large, broken, of another format, with unknown or wrong values.
    """
    facts = read_object(text, name)
    return None if facts is None else provenance_of(facts, name)


def read_object(text: str | bytes, name: str) -> dict[str, Any] | None:
    """Return the object of a JSON text that claims to be a provenance, else None; errors are those of `parse`."""
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if f'"{KEY}"'.encode() not in data:
        return None
    if len(data) > MAX_JSON_BYTES:
        raise refusal(name, f"has {len(data)} bytes; at most {MAX_JSON_BYTES} are read")
    try:
        facts = strict_json.loads(data)
    except (ValueError, RecursionError):
        raise refusal(name, "is not JSON") from None
    return facts if isinstance(facts, dict) and KEY in facts else None


def provenance_of(facts: Mapping[str, Any], name: str = "the provenance") -> Provenance:
    """Return the provenance that `to_dict` wrote, each value checked; errors are those of `parse`."""
    version = facts.get(KEY)
    if version != FORMAT or not _is_whole(version):
        raise refusal(name, f"has format {version!r:.40}; this version of emotts reads {FORMAT}")
    if facts.get("synthetic") is not True or facts.get("tool") != "emotts":
        raise refusal(name, "must say that it is synthetic, by emotts")
    get = Getter(name, facts)
    get.refuse_others(Provenance, KEY, "synthetic", "tool", unless="found_in")
    return Provenance(
        kind=get.text("kind", one_of=KINDS),
        models=tuple(_model_of(Getter(name, card)) for card in get.items("models", dict)),
        seed=get.whole("seed") if "seed" in facts else None,
        settings=get.settings("settings"),
        source=_source_of(Getter(name, get.mapping("source"))) if "source" in facts else None,
        consent=get.text("consent", one_of=CONSENTS) if "consent" in facts else None,
        text=get.text("text", MAX_TEXT_CHARS) if "text" in facts else None,
        created=get.text("created") if "created" in facts else None,
        left_out=tuple(get.items("left_out", str)),
        version=get.text("version"),
    )


def refusal(name: str, problem: str) -> ValueError:
    """Return the error for a provenance that is none."""
    return ValueError(f"{name} {problem}; it was not written by emotts, or changed since.")


class Getter:
    """Takes values out of an object and refuses those of another kind."""

    def __init__(self, name: str, facts: Mapping[str, Any]) -> None:
        self.name, self.facts = name, facts

    def refuse_others(self, kind: type, *also: str, unless: str = "") -> None:
        """Refuse names that are no fields of a dataclass."""
        known = ({one.name for one in fields(kind)} | {*also}) - {unless}
        if unknown := sorted(set(self.facts) - known):
            raise refusal(self.name, f"has {unknown[0]!r:.60}, which is none of {', '.join(sorted(known))}")

    def text(self, key: str, longest: int = MAX_NAME_CHARS, one_of: Sequence[str] = ()) -> str:
        value = self.facts.get(key, "")
        if not isinstance(value, str) or len(value) > longest or (one_of and value not in one_of):
            expected = f"one of {', '.join(one_of)}" if one_of else f"a text of at most {longest} characters"
            raise self._refuse(key, expected)
        return value

    def whole(self, key: str) -> int:
        value = self.facts.get(key, 0)
        if not _is_whole(value) or not 0 <= value < 2**63:
            raise self._refuse(key, "a whole number from 0 to 2^63 - 1")
        return int(value)

    def sha256(self, key: str, may_be_empty: bool = False) -> str:
        value = self.text(key, 64)
        is_hash = len(value) == 64 and not set(value) - set("0123456789abcdef")
        if not is_hash and not (may_be_empty and value == ""):
            raise self._refuse(key, "64 hexadecimal digits")
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.facts.get(key, {})
        if not isinstance(value, dict) or len(value) > MAX_ITEMS or any(len(name) > MAX_NAME_CHARS for name in value):
            raise self._refuse(key, f"an object of at most {MAX_ITEMS} values")
        return value

    def items(self, key: str, kind: type[str] | type[dict]) -> list[Any]:
        value = self.facts.get(key, [])
        is_list = isinstance(value, list) and len(value) <= MAX_ITEMS
        if not is_list or not all(isinstance(item, kind) and len(item) <= MAX_NAME_CHARS for item in value):
            raise self._refuse(key, f"a list of at most {MAX_ITEMS} {'names' if kind is str else 'objects'}")
        return value

    def settings(self, key: str) -> dict[str, Setting]:
        found = self.mapping(key)
        for value in found.values():
            is_number = isinstance(value, int | float) and abs(value) <= LARGEST  # which infinity is not
            if not (value is None or is_number or (isinstance(value, str) and len(value) <= MAX_CHARS)):
                raise self._refuse(key, f"texts of at most {MAX_CHARS} characters, numbers, true and false")
        return found

    def _refuse(self, key: str, expected: str) -> ValueError:
        return refusal(self.name, f"must have as {key} {expected}; got {self.facts.get(key)!r:.60}")


def _model_of(get: Getter) -> ModelCard:
    get.refuse_others(ModelCard)
    steps = Getter(get.name, get.mapping("steps"))
    counts = {name: steps.whole(name) for name in steps.facts}
    manifest = get.sha256("manifest_sha256", may_be_empty=True)
    return ModelCard(get.text("name"), get.whole("format"), manifest, counts, get.text("backend"))


def _source_of(get: Getter) -> Source:
    get.refuse_others(Source)
    return Source(get.text("name"), get.sha256("sha256"), get.text("hashed", one_of=HASHED))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
