"""Simulate the crowd, many voices with a few minutes each: plan, render, store. Options: conf/simulate_crowd.yaml.

python recipes/simulate_crowd.py [output=runs/crowd] [utterances=40] [processes=2]
"""

from __future__ import annotations

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})  # before NumPy

import json  # noqa: E402
from pathlib import Path  # noqa: E402

from omegaconf import DictConfig  # noqa: E402

from emotts.simulation.corpus import CorpusJob, merge_shards, render_shards  # noqa: E402
from emotts.simulation.crowd import CROWD  # noqa: E402
from emotts.simulation.plan import Shard, plan_shards, read_sentences  # noqa: E402

TEACHER = "emotts.simulation.crowd.CrowdTeacher"
LEAST_HOURS = 1e-6  # one shard


def plan(config: DictConfig) -> list[Shard]:
    """Return one shard per voice: training sentences for most, test sentences for those held out."""
    voices = list(config.voices or CROWD)
    unknown = sorted(set(voices) - set(CROWD))
    if unknown:
        raise ValueError(f"voices must be members of the crowd; got {', '.join(unknown)}")
    texts, tests = (
        read_sentences([Path(path) for path in paths]) for paths in (config.sentences, config.test_sentences)
    )
    n = config.utterances
    shards = plan_shards(texts, tests, dict.fromkeys(voices, LEAST_HOURS), config.seed, shard_size=n, test_per_voice=n)
    return [shard for shard in shards if CROWD[shard.utterances[0].voice].is_held_out == ("-test-" in shard.name)]


def main(config: DictConfig) -> None:
    """Run the recipe."""
    job = CorpusJob(
        Path(config.output), (TEACHER,), check_words=False
    )  # odd voices may be unclear; sounds lie where they lie
    shards = plan(config)
    render_shards(job, shards, config.processes)
    print(json.dumps(merge_shards(job.folder, shards), indent=2))


if __name__ == "__main__":
    from start import run

    run("simulate_crowd")
