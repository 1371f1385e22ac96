"""A folder that rebuilds itself: config.yaml, safetensors shards, and manifest.json with size and sha256 of each."""

from emotts.checkpoint.layout import FORMAT_VERSION, CheckpointError
from emotts.checkpoint.load import load_checkpoint, manifest_sha256
from emotts.checkpoint.save import save_checkpoint

__all__ = ["FORMAT_VERSION", "CheckpointError", "load_checkpoint", "manifest_sha256", "save_checkpoint"]
