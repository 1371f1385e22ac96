"""A folder that rebuilds itself: config.yaml, safetensors shards, and manifest.json with size and sha256 of each."""

from emotts.checkpoint.layout import CheckpointError
from emotts.checkpoint.load import load_checkpoint
from emotts.checkpoint.save import save_checkpoint

__all__ = ["CheckpointError", "load_checkpoint", "save_checkpoint"]
