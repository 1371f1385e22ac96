"""What tests of fine-tuning share: corpora of a few rows, and the recipe as a function, where torch is imported already."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from test_dataset import write_corpus

from emotts.audio import save_audio

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "recipes"))


def rewritten(folder: Path, change: Callable[[int, dict[str, Any]], dict[str, Any]]) -> Path:
    """Change every row of a manifest."""
    path = folder / "manifest.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | change(i, row)) + "\n" for i, row in enumerate(rows)))
    return folder


def corpus_of(folder: Path, **facts: Any) -> Path:
    """Write a corpus of one voice with audio, a third of it held out; facts are of every row."""

    def change(i: int, row: dict[str, Any]) -> dict[str, Any]:
        noise = np.random.default_rng(i).normal(size=row["n_frames"] * 256).astype(np.float32)
        save_audio(folder / row["audio"], 0.1 * noise)
        return {"split": "valid" if i % 3 == 2 else "train", "voice": "mia", "licence": "CC-BY-4.0"} | facts

    folder.mkdir(parents=True, exist_ok=True)
    return rewritten(write_corpus(folder), change)


def finetune(*options: str) -> None:
    """Run the recipe with these options."""
    import finetune as recipe

    few = ("device=cpu", "precision=fp32", "max_frames=128")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("finetune", [*few, *options])
    recipe.main(config)
