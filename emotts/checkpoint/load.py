"""Read a checkpoint: a folder comes in, its modules in eval mode and its metadata go out, or a CheckpointError.

Each file is read once, checked against the manifest, and only then parsed, from the bytes that were checked.
"""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from emotts.checkpoint.config import build, parse_config
from emotts.checkpoint.layout import (
    CARD,
    CONFIG,
    FORMAT_VERSION,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    SHARD_NAME,
    CheckpointError,
    damage,
    sha256_of,
    sibling,
)  # fmt: skip


def load_checkpoint(
    folder: str | Path, device: str | torch.device = "cpu"
) -> tuple[dict[str, nn.Module], dict[str, Any]]:
    """Rebuild the modules of a checkpoint, strictly.

    Returns:
        The modules by name in eval mode, and the metadata that was saved beside them.

    Raises:
        CheckpointError: missing, foreign, damaged or tampered files, or weights that do not fit the config.
        ValueError: the device does not exist here.
    """
    place = _device(device)
    folder = _existing(Path(folder))
    manifest = read_manifest(folder)
    contents = _read_files(folder, manifest["files"])
    configs = parse_config(contents.pop(CONFIG))
    shards: dict[str, list[str]] = {name: [] for name in configs}
    for name in sorted(contents):
        owner = str(_shard_match(name)["module"])
        if owner not in shards:
            raise damage(name, f"belongs to {owner!r}, which {CONFIG} does not build")
        shards[owner].append(name)
    modules = {}
    for name, config in configs.items():
        module = build(config, name)
        _fill(module, {shard: contents[shard] for shard in shards[name]}, name)
        modules[name] = module.to(place).eval()
    return modules, manifest["metadata"]


def manifest_sha256(folder: str | Path) -> str:
    """Return a name that changes with any weight of a checkpoint: the hash of its manifest, which holds those of its files.

    Raises:
        CheckpointError: there is no checkpoint.
    """
    return sha256_of(_read_regular(_existing(Path(folder)) / MANIFEST, MAX_MANIFEST_BYTES))


def _device(device: str | torch.device) -> torch.device:
    try:
        place = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device must be cpu, cuda or cuda:N; got {device!r}.") from None
    if place.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {str(device)!r} is not available here; use cpu.")
    return place


def _existing(folder: Path) -> Path:
    previous = sibling(folder, "previous")
    if not folder.exists() and previous.is_dir():
        warnings.warn(f"{folder} was being replaced when its writer died; reading the one before it.", stacklevel=3)
        return previous
    if not folder.is_dir():
        raise CheckpointError(f"checkpoint {str(folder)!r} is not a folder; give the folder that holds {MANIFEST}.")
    return folder


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return manifest.json of a checkpoint, checked; errors are those of `load_checkpoint`."""
    folder = _existing(folder)
    if not (folder / MANIFEST).is_file():
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
        raise CheckpointError(f"{str(folder)!r} is not an emotts checkpoint: expected {MANIFEST}; found {found}.")
    data = _read_regular(folder / MANIFEST, MAX_MANIFEST_BYTES)
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise damage(MANIFEST, f"is not JSON ({type(error).__name__})") from None
    if not isinstance(manifest, dict):
        raise damage(MANIFEST, "must be a JSON object")
    if manifest.get("format") != FORMAT_VERSION:
        problem = f"has format {manifest.get('format')!r:.40}; this version reads {FORMAT_VERSION}"
        raise damage(MANIFEST, problem, "Install the emotts version that wrote it")
    files, metadata = manifest.get("files"), manifest.get("metadata")
    if not isinstance(files, dict) or not isinstance(metadata, dict) or CONFIG not in files:
        raise damage(MANIFEST, f"must hold the objects 'files' (with {CONFIG}) and 'metadata'")
    return manifest


def _read_files(folder: Path, entries: dict[str, Any]) -> dict[str, bytes]:
    """Read every listed file once and return bytes that equal what the manifest says."""
    for name in entries:
        if name != CONFIG:
            _shard_match(name)  # also refuses paths
    for path in folder.iterdir():
        if path.name not in (MANIFEST, CARD) and path.name not in entries:
            raise damage(repr(path.name), f"is not listed in {MANIFEST}", "Remove it; only listed files may lie here")
    return {name: _read_listed(folder / name, entry) for name, entry in entries.items()}


def _shard_match(name: str) -> re.Match[str]:
    match = SHARD_NAME.fullmatch(name)
    if match is None:
        raise damage(MANIFEST, f"lists {name!r:.80}; expected {CONFIG} and names like acoustic-00001.safetensors")
    return match


def _read_listed(path: Path, entry: Any) -> bytes:
    size = entry.get("size") if isinstance(entry, dict) else None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0 or not isinstance(entry.get("sha256"), str):
        raise damage(MANIFEST, f"must give size and sha256 of {path.name}")
    data = _read_regular(path, size)
    if len(data) != size:
        raise damage(path.name, f"has {len(data)} bytes; {MANIFEST} says {size}")
    if sha256_of(data) != entry["sha256"]:
        raise damage(path.name, f"does not have the sha256 that {MANIFEST} says: it was damaged or changed")
    return data


def _read_regular(path: Path, max_bytes: int) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise damage(path.name, "is a link or a folder; expected a file" if path.exists() else "is missing")
    if path.stat().st_size > max_bytes:
        raise damage(path.name, f"has {path.stat().st_size} bytes; expected at most {max_bytes}")
    return path.read_bytes()


def _fill(module: nn.Module, shards: dict[str, bytes], name: str) -> None:
    """Copy the weights of `shards` into `module`; every tensor must be there, fit and be finite."""
    stored: dict[str, Tensor] = {}
    for shard, data in shards.items():
        try:
            tensors = load_tensors(data)
        except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
            raise damage(shard, f"is not safetensors ({error})") from None
        twice = sorted(stored.keys() & tensors.keys())
        if twice:
            raise damage(shard, f"repeats the weight {twice[0]}")
        stored.update(tensors)
    wanted = module.state_dict()
    place = ", ".join(shards) or f"{name}.safetensors"
    for key in sorted(wanted.keys() | stored.keys()):
        _check_weight(place, key, wanted.get(key), stored.get(key))
    module.load_state_dict(stored, strict=True)


def _check_weight(place: str, key: str, wanted: Tensor | None, stored: Tensor | None) -> None:
    remedy = "Weights and config.yaml belong to different models: use them as they were saved"
    if stored is None:
        raise damage(place, f"lacks the weight {key}", remedy)
    if wanted is None:
        raise damage(place, f"has the weight {key}, which the model does not", remedy)
    if stored.shape != wanted.shape:
        raise damage(place, f"weight {key} must have the shape {list(wanted.shape)}; got {list(stored.shape)}", remedy)
    if stored.is_floating_point() != wanted.is_floating_point() or stored.is_complex() != wanted.is_complex():
        raise damage(place, f"weight {key} must be of the kind {wanted.dtype}; got {stored.dtype}", remedy)
    if stored.is_floating_point() and not stored.isfinite().all():
        raise damage(place, f"weight {key} has values that are not finite", "Go back to an earlier checkpoint")
