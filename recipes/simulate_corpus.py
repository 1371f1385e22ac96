"""Simulate an emotional corpus: plan, render, check, store. Options: conf/simulate_corpus.yaml.

python recipes/simulate_corpus.py [output=runs/corpus] [hours.heart=3.0] [processes=2]
"""

from __future__ import annotations

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})  # before NumPy

import json  # noqa: E402
from pathlib import Path  # noqa: E402

from omegaconf import DictConfig  # noqa: E402

from emotts.simulation.corpus import CorpusJob, merge_shards, render_shards, voice_teachers  # noqa: E402
from emotts.simulation.plan import plan_shards, read_sentences  # noqa: E402


def main(config: DictConfig) -> None:
    """Run the recipe."""
    # 1. Plan: what is said, by whom, how.
    hours = {voice: float(config.hours[voice]) for voice in config.voices}
    job = CorpusJob(Path(config.output), tuple(config.teachers), check_words=config.check_words)
    unknown = set(hours) - set(voice_teachers(job.teachers))
    if unknown:
        raise ValueError(f"no teacher in the configuration speaks {', '.join(sorted(unknown))}; add it to `teachers`")
    shards = plan_shards(
        read_sentences([Path(path) for path in config.sentences]),
        read_sentences([Path(path) for path in config.test_sentences]),
        hours,
        seed=config.seed,
        shard_size=config.shard_size,
        test_per_voice=config.test_per_voice,
    )

    # 2. Render: finished shards are skipped.
    render_shards(job, shards, config.processes)

    # 3. Merge.
    print(json.dumps(merge_shards(job.folder, shards), indent=2))


if __name__ == "__main__":
    from start import run

    run("simulate_corpus")
