"""What a saved model says of itself without being built: a folder comes in, `Described` goes out, for its card."""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from emotts.checkpoint.config import parse_config
from emotts.checkpoint.layout import CONFIG, SHARD_NAME
from emotts.checkpoint.load import manifest_sha256, read_manifest

MAX_HEADER_BYTES = 10_000_000
METRICS = "metrics.jsonl"  # beside an export


@dataclass(frozen=True)
class Described:
    """A saved model.

    Attributes:
        folder: in which its files lie.
        identity: sha256 that changes with any of its weights. format: version of its files.
        configs: `_target_` and arguments of each part, by name.
        parameters: how many numbers each part has.
        metadata: what its recipe recorded.
    """

    folder: Path
    identity: str
    format: int
    configs: Mapping[str, Mapping[str, Any]]
    parameters: Mapping[str, int]
    metadata: Mapping[str, Any]


def describe_checkpoint(folder: str | Path) -> Described:
    """Read manifest, config and the headers of the shards.

    Raises:
        CheckpointError: the folder is no checkpoint.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    configs = parse_config((folder / CONFIG).read_bytes())
    counts = _parameters(folder, manifest["files"])
    return Described(folder, manifest_sha256(folder), manifest["format"], configs, counts, manifest["metadata"])


def count_tensors(path: Path) -> int:
    """Count the numbers in a file of safetensors from its header alone."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(min(size, MAX_HEADER_BYTES)))
    return sum(prod(entry["shape"]) for key, entry in header.items() if key != "__metadata__")


def last_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Return the last row of each split of metrics.jsonl, none without the file; a line cut short by a kill is left out."""
    rows: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows[str(row.pop("split", "all"))] = row
    return rows


def corpora_text(corpora: Sequence[Any]) -> str:
    """Return in words which corpora the facts of exports name: title, hours, voices, languages and licences of each."""
    told = []
    for one in corpora:
        if not isinstance(one, dict) or not one.get("title"):
            continue
        about = []
        if (hours := _hours(one)) > 0:
            about.append(f"{hours:g} hours")
        if n := one.get("voices"):
            about.append(f"{n} {'voice' if n == 1 else 'voices'}")
        lists = [one.get(key) for key in ("languages", "licences")]
        about += [", ".join(map(str, some)) for some in lists if isinstance(some, list) and some]
        told.append(f"{one['title']} ({'; '.join(about)})" if about else str(one["title"]))
    return "; ".join(told)


def corpora_in(trainings: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return what trainings record of their corpora; of one that several learnt from, what most hours of it were learnt from."""
    found: dict[str, Any] = {}
    for facts in trainings:
        corpora = facts.get("corpora")
        for one in corpora if isinstance(corpora, list) else []:
            if not isinstance(one, dict):
                continue
            name = str(one.get("name"))
            if name not in found or _hours(one) > _hours(found[name]):
                found[name] = one
    return list(found.values())


def _hours(corpus: Mapping[str, Any]) -> float:
    hours = corpus.get("hours")
    return float(hours) if isinstance(hours, int | float) else 0.0


def _parameters(folder: Path, files: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in files:
        match = SHARD_NAME.fullmatch(name)
        if match is not None:
            counts[match["module"]] = counts.get(match["module"], 0) + count_tensors(folder / name)
    return counts
