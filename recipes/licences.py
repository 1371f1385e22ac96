"""Under which licence weights may stand: that of the data they were learnt from decides, in all recipes alike.

Comes in: licences of rows of a corpus, or what checkpoints record of theirs. Goes out: the licence of the weights, or a refusal.
"""

from collections.abc import Iterable, Mapping
from typing import Any

OPEN = ("Apache-2.0", "CC0-1.0", "MIT", "BSD-like", "public domain")
OWN = "Apache-2.0"  # of weights that learnt from open data only
NOT_RECORDED = "not recorded"


def licence_of(licences: Iterable[str]) -> str:
    """Return the licence of weights that were learnt from data under these: ours if all are open, else those that are not."""
    found = sorted(set(licences))
    if not found or NOT_RECORDED in found:
        return NOT_RECORDED
    return "; ".join(one for one in found if one not in OPEN) or OWN


def licences_of(metadata: Mapping[str, Any]) -> list[str]:
    """Return the licences of the data of a checkpoint, its parts and what they began from, `NOT_RECORDED` if nothing tells."""
    own = metadata.get("licences")
    found = set(own) if isinstance(own, list) else set()
    parts = metadata.get("training")
    told = list(parts.values()) if isinstance(parts, dict) else []
    for facts in (*told, metadata.get("base")):
        found |= set(licences_of(facts)) if isinstance(facts, dict) else set()
    stated = metadata.get("licence")
    if stated and stated != NOT_RECORDED:  # of the whole; it stands for parts that record none
        found = (found - {NOT_RECORDED}) | set(str(stated).split("; "))
    return sorted(found or {NOT_RECORDED})


def sounds_open(licence: str) -> bool:
    """Say whether a name is that of a licence under which anybody may use weights for anything."""
    words = licence.lower().replace(" ", "-")
    return words.startswith(("apache", "mit", "bsd", "cc0", "cc-by", "public")) and not {"nc", "nd"} & {
        *words.split("-")
    }


def check_licence(licence: str, trained: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse to publish weights under an open licence that were learnt from data under another.

    Args:
        licence: that the bundle is to have. trained: facts of each part.

    Raises:
        ValueError: a part learnt from data whose licence is none of OPEN, and that is not the one asked for.
    """
    known = [name.lower() for name in OPEN]
    for part, facts in trained.items():
        for one in licences_of(facts):
            is_open = one == NOT_RECORDED or one.lower() in known
            if sounds_open(licence) and not is_open and one.lower() not in licence.lower().split("; "):
                raise ValueError(
                    f"licence of the bundle is {licence}, but {part} learnt from data under {one!r}; "
                    "leave licence= out to take that of the data, and say what else is not as in the configuration."
                )


def bundled_licence(asked: str | None, trained: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the licence of a bundle: the one asked for, if its data allow it, else that of its data.

    Raises:
        ValueError: the data do not allow it, or none is asked for and a part does not record its data's.
    """
    if asked is not None:
        check_licence(asked, trained)
        return asked
    silent = [part for part, facts in trained.items() if licence_of(licences_of(facts)) == NOT_RECORDED]
    if silent:
        raise ValueError(
            f"the licence of the data of {' and '.join(silent)} was not recorded; say licence= of the bundle."
        )
    return licence_of(one for facts in trained.values() for one in licences_of(facts))
