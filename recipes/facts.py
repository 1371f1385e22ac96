"""What a recipe writes into the metadata of a checkpoint, for `emotts card`: command, commit, configuration, data."""

import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from emotts.data.manifest import ManifestRow, read_manifest

ROOT = Path(__file__).resolve().parent.parent


def facts_of_run(config: DictConfig, corpora: str | Sequence[str]) -> dict[str, Any]:
    """Return the facts of a run that learns from whole corpora; `corpora`: their folders."""
    return facts_of(config, _rows_of((corpora,) if isinstance(corpora, str) else tuple(corpora)))


@cache
def _rows_of(folders: tuple[str, ...]) -> list[ManifestRow]:
    return [row for folder in folders for row in read_manifest(Path(folder) / "manifest.jsonl")]


def facts_of(config: DictConfig, rows: Sequence[ManifestRow]) -> dict[str, Any]:
    """Return the facts of a run.

    Args:
        rows: that are learnt from, held-out ones included.
    """
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "command": " ".join(["python", *sys.argv]),
        "commit": told.stdout.strip() or "unknown",
        "seed": config.seed,
        "utterances": len(rows),
        "hours": round(sum(row.duration_s for row in rows) / 3_600.0, 4),
        "licences": sorted({row.licence for row in rows}),
        "config": OmegaConf.to_container(config, resolve=True),
    }
