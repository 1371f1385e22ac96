"""Write a checkpoint: modules and their configs come in, a folder that rebuilds them goes out, whole or not at all."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as dump_tensors
from torch import Tensor, nn

from emotts.checkpoint.config import dump_config
from emotts.checkpoint.layout import (
    CARD,
    CONFIG,
    FORMAT_VERSION,
    MANIFEST,
    MAX_SHARD_BYTES,
    MODULE_NAME,
    sha256_of,
    sibling,
)
from emotts.durable import sync_folder, write_durably


def save_checkpoint(
    folder: str | Path,
    modules: Mapping[str, tuple[Mapping[str, Any], nn.Module]],
    metadata: Mapping[str, Any] | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Write modules so that a reader finds the old checkpoint or the new one, whenever the process dies.

    One process writes a folder at a time. A card (README.md) in the folder is kept.

    Args:
        modules: name -> (config, module); the config is `_target_` and that constructor's arguments, nested as needed.
        metadata: anything JSON can hold.
        dtype: of floating-point weights in the files, float32 or float16; they are read back as float32.
        max_shard_bytes: larger modules are split over numbered files.

    Raises:
        ValueError: a bad name, target or metadata, or weights that are not finite in `dtype`.
        OSError: it cannot be written. What stood there stays.
    """
    folder = Path(folder)
    files = _render(modules, dtype, max_shard_bytes)
    entries = {name: {"size": len(data), "sha256": sha256_of(data)} for name, data in files.items()}
    manifest = {"format": FORMAT_VERSION, "files": entries, "metadata": dict(metadata or {})}
    files[MANIFEST] = json.dumps(manifest, indent=1, allow_nan=False).encode()

    fresh, previous = sibling(folder, "saving"), sibling(folder, "previous")
    folder.parent.mkdir(parents=True, exist_ok=True)
    if previous.exists() and not folder.exists():
        previous.replace(folder)
    for stale in (fresh, previous):
        if stale.exists():
            shutil.rmtree(stale)
    fresh.mkdir()
    if (folder / CARD).is_file():
        files = {CARD: (folder / CARD).read_bytes(), **files}
    try:
        for name, data in files.items():  # the manifest is the last: a folder without one is not a checkpoint
            write_durably(fresh / name, data)
        sync_folder(fresh)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        stays = "The checkpoint before it is whole" if folder.exists() else "There is no checkpoint yet"
        raise OSError(
            f"{folder} could not be written: {error.strerror}. {stays}; make room and run the same command again."
        ) from error
    if folder.exists():
        folder.replace(previous)  # between this line and the next a reader takes `previous`
    fresh.replace(folder)
    sync_folder(folder.parent)
    shutil.rmtree(previous, ignore_errors=True)


def _render(
    modules: Mapping[str, tuple[Mapping[str, Any], nn.Module]], dtype: torch.dtype, max_shard_bytes: int
) -> dict[str, bytes]:
    if dtype not in (torch.float32, torch.float16):
        raise ValueError(f"dtype must be torch.float32 or torch.float16; got {dtype}.")
    configs: dict[str, Mapping[str, Any]] = {}
    files: dict[str, bytes] = {}
    for name, (config, module) in modules.items():
        if not MODULE_NAME.fullmatch(name):
            raise ValueError(f"module name must be lower-case letters, digits and _; got {name!r}.")
        configs[name] = config
        shards = _shards(_storable(module, dtype), max_shard_bytes)
        for i, shard in enumerate(shards, start=1):
            suffix = "" if len(shards) == 1 else f"-{i:05d}"
            files[f"{name}{suffix}.safetensors"] = dump_tensors(shard)
    return {CONFIG: dump_config(configs), **files}


def _storable(module: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    tensors = {}
    for key, value in module.state_dict().items():
        tensor = value.detach().cpu().clone().contiguous()
        tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"weight {key} is not finite in {dtype}; the checkpoint was not written.")
        tensors[key] = tensor
    return tensors


def _shards(tensors: dict[str, Tensor], max_bytes: int) -> list[dict[str, Tensor]]:
    """Fill shards in order; a tensor larger than `max_bytes` gets one of its own."""
    shards: list[dict[str, Tensor]] = [{}]
    used = 0
    for key, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size() + 200  # 200 bytes bound its entry in the header
        if shards[-1] and used + size > max_bytes:
            shards.append({})
            used = 0
        shards[-1][key] = tensor
        used += size
    return shards
