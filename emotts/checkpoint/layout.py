"""What writer and reader of a checkpoint agree on: names, limits, the error.

folder/
  config.yaml                  module name -> `_target_` and its constructor's arguments
  acoustic-00001.safetensors   one or more files per module
  manifest.json                format, size and sha256 of each file, metadata; written last
  README.md                    the card for people; kept, never read
"""

import hashlib
import re
from pathlib import Path

FORMAT_VERSION = 1
MANIFEST, CONFIG, CARD = "manifest.json", "config.yaml", "README.md"
MAX_SHARD_BYTES = 19_000_000  # code hosts and mail gateways start to complain above 20 MB
MAX_CONFIG_BYTES = 65_536
MAX_MANIFEST_BYTES = 1_048_576

MODULE_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}", re.ASCII)
SHARD_NAME = re.compile(r"(?P<module>[a-z][a-z0-9_]{0,40})(?:-\d{5})?\.safetensors", re.ASCII)


class CheckpointError(ValueError):
    """The folder is not a checkpoint that this version can trust and rebuild."""


def damage(
    name: str, problem: str, remedy: str = "Copy the checkpoint again, whole, from where it came"
) -> CheckpointError:
    """Return the error for one file of a checkpoint."""
    return CheckpointError(f"checkpoint file {name}: {problem}. {remedy}.")


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sibling(folder: Path, purpose: str) -> Path:
    """Name the hidden folder beside `folder` that serves `purpose` while a checkpoint is replaced."""
    return folder.parent / f".{folder.name}.{purpose}"
