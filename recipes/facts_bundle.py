"""What a bundle says of itself beside its weights: the facts of its parts come in, its name, data and languages go out.

Nothing is said that no part recorded; `name` and `data` of conf/bundle.yaml and conf/bundle_converter.yaml say something else.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from facts import commit
from licences import bundled_licence
from omegaconf import DictConfig
from torch import nn

from emotts.checkpoint import load_checkpoint
from emotts.checkpoint.described import METRICS, corpora_in, corpora_text, last_rows

MOST_CHARS = 80


def read_part(name: str, folder: Path) -> tuple[tuple[dict[str, Any], nn.Module], dict[str, Any]]:
    """Read what a bundle is made of: configuration and module of this name in a checkpoint, and what the checkpoint says of itself.

    Raises:
        FileNotFoundError: no checkpoint is there. ValueError: it does not hold such a module.
    """
    loaded, metadata = load_checkpoint(folder)
    if name not in loaded:
        raise ValueError(f"{name} must come from a folder that holds it; {folder} holds {', '.join(sorted(loaded))}.")
    return (yaml.safe_load((folder / "config.yaml").read_text())[name], loaded[name]), metadata


def part_of(name: str, metadata: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the facts of a part, with the last row of each split of the metrics that lie beside its export.

    Args:
        name: of the module. metadata: of the export, or of an older bundle that holds it. folder: where it lies.
    """
    inner = metadata.get("training")
    if isinstance(inner, dict) and inner.get(name):
        return dict(inner[name])
    facts = {key: fact for key, fact in metadata.items() if key != "voices"}  # the bundle tells them once
    rows = last_rows(folder.parent / METRICS)
    return facts | ({"metrics": rows} if rows else {})


def facts_in(parts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the facts of all trainings that parts record: of an export its own, of a bundle those of what it was made of."""
    found: list[Mapping[str, Any]] = []
    for metadata in parts:
        inner = metadata.get("training")
        found += [facts for facts in inner.values() if isinstance(facts, dict)] if isinstance(inner, dict) else []
        found.append(metadata)
    return found


def data_of(parts: Iterable[Mapping[str, Any]]) -> str | None:
    """Return which corpora parts learnt from, with licences, hours, voices and languages; None where no part says.

    Args:
        parts: metadata of each.
    """
    parts = list(parts)
    texts = list(dict.fromkeys(str(part["data"]) for part in parts if part.get("data")))
    corpora = [one for one in corpora_in(facts_in(parts)) if not any(str(one.get("title")) in text for text in texts)]
    return "; ".join(filter(None, [*texts, corpora_text(corpora)])) or None


def languages_in(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the languages of what parts learnt from."""
    return sorted({str(one) for facts in facts_in(parts) for one in facts.get("languages") or []})


def name_of(kind: str, parts: Iterable[Mapping[str, Any]], languages: Iterable[str], output: str) -> str:
    """Return a name such as emotts-esd-en: the corpora and the languages; or that of the folder where no part names a corpus.

    Args:
        kind: what the name begins with.
    """
    corpora = [str(one.get("name")) for one in corpora_in(facts_in(parts))]
    if not corpora:
        return Path(output).name
    return "-".join([kind, *corpora, *dict.fromkeys(one.partition("-")[0] for one in languages)])[:MOST_CHARS]


def said_of(
    kind: str,
    config: DictConfig,
    parts: Mapping[str, Mapping[str, Any]],
    trained: Mapping[str, Any],
    languages: list[str],
) -> dict[str, Any]:
    """Return what every bundle says of itself, as its options `name`, `data` and `licence` or as its parts have it.

    Args:
        kind: with which a name begins that is not given.
        parts: metadata of the exports, by module.
        trained: facts of the trainings.
    """
    return {
        "name": config.name or name_of(kind, parts.values(), languages, config.output),
        "licence": bundled_licence(config.licence, trained),
        "data": config.data or data_of(parts.values()),
        "languages": languages,
        "commit": commit(),
        "training": trained,
    }
