"""Preparing a corpus as jobs of Hydra's launchers, each with a part of the shards, and what its command line says of mistakes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from test_prepare import own_corpus

ROOT = Path(__file__).resolve().parent.parent
PREPARE = ROOT / "conf/prepare"
sys.path.insert(0, str(ROOT / "recipes"))

from start import CONF, options_of, told  # noqa: E402


def program(cwd: Path, *options: str, returncode: int = 0) -> str:
    """Run the recipe as a program; returns what it said beside its report."""
    command = [sys.executable, str(ROOT / "recipes/prepare_corpus.py"), *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == returncode, done.stderr[-3000:]
    return done.stderr


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_jobs_of_a_launcher_share_the_shards(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="the launcher is the extra slurm")
    own_corpus(tmp_path / "in", 6)
    options = ["corpus=folder", f"root={tmp_path}/in", "shard_size=2", "processes=2"]
    program(tmp_path, "-m", "hydra/launcher=submitit_local", *options, "output=out", "shard=1/2,2/2")
    shards = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out/shards").iterdir()}
    assert len(shards) == 3 and not (tmp_path / "out/manifest.jsonl").exists()
    program(tmp_path, *options, "output=out")
    assert shards == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out/shards").iterdir()}
    program(tmp_path, *options, "output=alone", "processes=1")
    assert content(tmp_path / "out") == content(tmp_path / "alone")


def test_jobs_of_slurm_compose_and_ask_for_no_gpu() -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="the launcher is the extra slurm")
    given = ["+launch=slurm", "corpus=esd", "root=/data/ESD", "output=/shared/esd", "shard=1/2,2/2"]
    assert options_of("prepare_corpus", list(given), PREPARE) == given
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(PREPARE), version_base="1.3"):
        config = compose("prepare_corpus", given[:-1], return_hydra_config=True)
    launcher = config.hydra.launcher
    assert launcher._target_.endswith("SlurmLauncher") and launcher.cpus_per_task == 16
    assert not launcher.gpus_per_node and launcher.timeout_min == 1440


def test_a_corpus_without_root_costs_one_line(tmp_path: Path) -> None:
    said = program(tmp_path, "corpus=esd", "output=x", returncode=1)
    assert said == "prepare_corpus: error: root is missing: give root=... See conf/prepare/prepare_corpus.yaml.\n"


def test_an_unknown_option_names_the_file_that_has_them() -> None:
    with pytest.raises(
        ValueError, match=r"no option rot; the nearest is root\. See conf/prepare/prepare_corpus\.yaml\."
    ):
        options_of("prepare_corpus", ["rot=x"], PREPARE)
    with pytest.raises(ValueError, match=r"See conf/train_vocoder\.yaml\."):
        options_of("train_vocoder", ["max_frame=3"])


def test_a_part_of_emotts_that_does_not_fit_costs_one_line() -> None:
    with pytest.raises(InstantiationException) as error:
        instantiate({"schedule": {"_target_": "emotts.training.states.read_state", "max_steps": 3}})
    assert str(error.value).count("\n") >= 1
    line = told(error.value, "train_acoustic", CONF)
    assert "\n" not in line and line.startswith("schedule cannot be made from its _target_") and "max_steps" in line
    assert line.endswith("See conf/train_acoustic.yaml.")
