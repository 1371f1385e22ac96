"""Several processes do what one does with as many batches a step; the first alone writes; weights may be spread."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_toy import batch_of, counts_of, losses_of, make, total, weights

HERE = Path(__file__).resolve().parent
STEPS = 12


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process with two batches a step; the second is not finite in step 4."""
    folder = tmp_path_factory.mktemp("alone")
    trainer = make(folder, STEPS, pieces=2)

    def watched(model, batch, generator):
        factor = float("nan") if trainer.step == 4 and len(batch[0]) == 5 else 1.0
        return {"fit": losses_of(model, batch, generator)["fit"] * factor}

    trainer.fit(batch_of, watched, total, counts_of=counts_of)
    return trainer, folder


@pytest.mark.parametrize("way", ["pieces", "shard", "sum"])
def test_two_processes_equal_one_on_the_same_batches(alone, tmp_path, way):
    """With a step that is not finite in one process, and steps in which memory runs out in one: for a batch, for all gradients."""
    trainer, folder = alone
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc_per_node", "2",
         str(HERE / "training_toy.py"), str(tmp_path), str(STEPS), way],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    again = make(tmp_path, STEPS, pieces=2)  # one process takes up the state of two
    assert again.step == STEPS and again.skipped == trainer.skipped == 1
    for a, b in zip(weights(trainer), weights(again), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
    a, b = ([json.loads(line) for line in (f / "metrics.jsonl").read_text().splitlines()] for f in (folder, tmp_path))
    assert [row["fit"] for row in a] == pytest.approx([row["fit"] for row in b], abs=1e-5)
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1, "the first process alone writes"
    assert ("in 2 parts" in done.stdout) == (way == "pieces")
    if way != "shard" and sys.platform == "linux":
        assert len(re.findall(r"(?<!\d)0 threads of connections are left", done.stdout)) == 2, done.stdout
