"""librosa is imported while no other process compiles it, and what is compiled goes to a folder of our own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

STUB = """
import fcntl, numba, os, pathlib
place = pathlib.Path(os.environ["XDG_CACHE_HOME"]) / "emotts" / "numba"
print(numba.config.CACHE_DIR == str(place), flush=True)
try:
    fcntl.flock((place / "lock").open("w"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("free")
except BlockingIOError:
    print("held")
except OSError:
    print("none")
"""
IMPORT = "from emotts.compiled import librosa_part as part; print(part('core') is part('core'))"


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """librosa and numba of a few lines each."""
    for package in ("librosa", "numba"):
        (tmp_path / package).mkdir()
    (tmp_path / "librosa/__init__.py").touch()
    (tmp_path / "librosa/core.py").write_text(STUB)
    (tmp_path / "librosa/util.py").touch()
    (tmp_path / "numba/__init__.py").write_text("class config:\n    CACHE_DIR = ''\n")
    return tmp_path


def told(stubs: Path, cache: Path, code: str = IMPORT) -> list[str]:
    path = os.pathsep.join([str(stubs), str(Path(__file__).parent.parent)])
    environment = os.environ | {"PYTHONPATH": path, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_no_other_process_imports_meanwhile(stubs: Path, tmp_path: Path) -> None:
    assert told(stubs, tmp_path / "cache") == ["True", "held", "True"]
    lock = str(tmp_path / "cache/emotts/numba/lock")
    after = f"{IMPORT}; import fcntl; fcntl.flock(open({lock!r}), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    assert told(stubs, tmp_path / "cache", after) == ["True", "held", "True"]


def test_what_is_imported_already_keeps_its_folder(stubs: Path, tmp_path: Path) -> None:
    assert told(stubs, tmp_path / "cache", f"import librosa.util; {IMPORT}") == ["False", "held", "True"]


def test_a_cache_that_cannot_be_written_to_costs_nothing_else(stubs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert told(stubs, tmp_path / "file") == ["False", "none", "True"]
