"""Recipes beside the trainers, started as programs: a mistake costs one line, and the options reach what they call."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def start(recipe: str, *given: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a recipe in a folder of its own."""
    command = [sys.executable, str(ROOT / f"recipes/{recipe}.py"), *given]
    return subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("recipe", "given", "message"),
    [
        ("calibrate_level", ["acoustic_folder=nope"], "nope"),
        ("calibrate_intensity", ["checkpoint=nope", "output=new/curves.json"], "nope"),
        ("calibrate_intensity", ["recognizer=small"], "recognizer"),
        ("evaluate", ["checkpoint=nope"], "nope"),
        ("evaluate", ["suite=long"], "long"),
        ("simulate_corpus", ["voices=[nobody]", "+hours.nobody=1"], "no teacher in the configuration speaks nobody"),
        ("simulate_crowd", ["voices=[nobody]"], "voices must be members of the crowd; got nobody"),
    ],
)
def test_a_mistake_costs_one_line(recipe: str, given: list[str], message: str, tmp_path: Path) -> None:
    if recipe.startswith("simulate"):
        pytest.importorskip("hibari", reason="the teachers are the extra simulate")
    done = start(recipe, *given, folder=tmp_path)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode == 1 and len(said) == 1 and said[0].startswith(f"{recipe}: error: "), done.stderr
    assert message in said[0]
    assert not (tmp_path / "new/curves.json").exists(), "where a file is to be, no folder is made"
