"""A whole experiment by one command: each step once, stopped and resumed, its time kept."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "recipes"))

import run_experiment  # noqa: E402
from run_experiment import commands_of, main, read_record  # noqa: E402

HEAD = """# @package _global_
# data:     none
# commands:
#   python recipes/once.py first
#   python recipes/twice.py \\
#     --long way
#   python recipes/once.py last
corpus: runs/corpus
"""
ONCE = "import sys; open('said', 'a').write(sys.argv[1] + '\\n'); print('said', sys.argv[1])\n"
TWICE = """import os, pathlib, signal, sys, time
if pathlib.Path('half').exists():
    open('said', 'a').write('twice\\n')
    sys.exit(0)
def save(*_):
    pathlib.Path('half').touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
pathlib.Path('waiting').touch()
time.sleep(600)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an experiment of three commands; the second waits until it is stopped."""
    (tmp_path / "conf/experiment").mkdir(parents=True)
    (tmp_path / "conf/experiment/toy.yaml").write_text(HEAD)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/once.py").write_text(ONCE)
    (tmp_path / "recipes/twice.py").write_text(TWICE)
    monkeypatch.setattr(run_experiment, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options(**more: object) -> OmegaConf:
    return OmegaConf.create(
        {"name": "toy", "output": "record", "max_minutes": None, "changed": False, "show": False, **more}
    )


def time_is_up(monkeypatch: pytest.MonkeyPatch, at: Path) -> list[float]:
    """End the time of an experiment once a file is there, not by the clock; gives the seconds that were asked for."""
    asked: list[float] = []

    class Timer(threading.Thread):
        def __init__(self, function: Callable[[], None]) -> None:
            super().__init__()
            self.function, self.cancelled = function, threading.Event()
            self.cancel = self.cancelled.set

        def run(self) -> None:
            end = time.monotonic() + 300
            while not at.exists() and time.monotonic() < end:
                if self.cancelled.wait(0.02):
                    return
            self.function()

    def timer(interval: float, function: Callable[..., None], args: Sequence[object] = ()) -> threading.Thread:
        if interval == run_experiment.GRACE_S:
            return threading.Timer(interval, function, args)
        asked.append(interval)
        return Timer(function)

    monkeypatch.setattr(run_experiment, "threading", SimpleNamespace(Timer=timer))
    return asked


def record(project: Path) -> list[dict]:
    return json.loads((project / "record/record.json").read_text())


def test_commands_stand_in_one_line(project: Path) -> None:
    assert commands_of("toy") == [
        "python recipes/once.py first", "python recipes/twice.py --long way", "python recipes/once.py last",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="name must be one of toy; got 'others'"):
        commands_of("others")
    (project / "conf/experiment/empty.yaml").write_text("corpus: x\n")
    with pytest.raises(ValueError, match="names no commands"):
        commands_of("empty")


def test_stopped_in_the_middle_and_gone_on(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = time_is_up(monkeypatch, at=project / "waiting")
    main(options(max_minutes=5))
    assert len(asked) == 2 and all(0.0 < seconds <= 300.0 for seconds in asked)
    steps = record(project)
    assert [step["is_finished"] for step in steps] == [True, False, False]
    assert (project / "half").exists(), "it was asked to stop, and saved"
    assert steps[1]["seconds"] > 0.0
    main(options())
    steps = record(project)
    assert all(step["is_finished"] for step in steps)
    assert [step["sessions"] for step in steps] == [1, 2, 1], "what was finished is not run again"
    assert (project / "said").read_text().split() == ["first", "twice", "last"]
    assert "said last" in (project / "record/03-once.log").read_text()


def test_told_to_end_from_outside(project: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'recipes')!r}); import run_experiment as r; from pathlib import Path\n"
        "from omegaconf import OmegaConf\n"
        "r.ROOT = Path('.').resolve()\n"
        "r.main(OmegaConf.create(dict(name='toy', output='record', max_minutes=None, changed=False, show=False)))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    running = subprocess.Popen([sys.executable, "-c", code], env=environment)
    try:
        end = time.monotonic() + 300
        while not (project / "waiting").exists() and time.monotonic() < end:
            assert running.poll() is None
            time.sleep(0.1)
        assert (project / "waiting").exists()
        running.send_signal(signal.SIGTERM)
        assert running.wait(120) == 0
    finally:
        running.kill()
    assert (project / "half").exists() and [step["sessions"] for step in record(project)] == [1, 1, 0]


def test_a_command_that_fails_ends_it(project: Path) -> None:
    (project / "half").touch()
    (project / "recipes/twice.py").write_text("raise SystemExit(3)")
    with pytest.raises(ValueError, match="command 2 of toy ended with exit status 3"):
        main(options())
    assert [step["is_finished"] for step in record(project)] == [True, False, False]
    (project / "recipes/twice.py").write_text(TWICE)
    main(options())
    assert [step["sessions"] for step in record(project)] == [1, 2, 1]


def test_a_command_that_changed_begins_anew_with_all_after_it(project: Path) -> None:
    (project / "half").touch()
    main(options())
    changed = HEAD.replace("--long way", "--short way")
    (project / "conf/experiment/toy.yaml").write_text(changed)
    with pytest.raises(ValueError, match="command 2 was 'python recipes/twice.py --long way' when it ran and is"):
        main(options())
    steps = read_record(project / "record/record.json", commands_of("toy"), changed=True)
    assert [step.is_finished for step in steps] == [True, False, False]
    main(options(changed=True))
    assert (project / "said").read_text().split() == ["first", "twice", "last", "twice", "last"]


def test_a_training_that_somebody_else_stopped_is_not_finished(project: Path) -> None:
    (project / "recipes/twice.py").write_text(
        "import os; raise SystemExit(int(os.environ['EMOTTS_STATUS_WHEN_STOPPED']))"
    )
    with pytest.raises(
        ValueError, match="command 2 of toy was stopped and saved its state; give the same command again"
    ):
        main(options())
    assert [step["is_finished"] for step in record(project)] == [True, False, False]


def test_workers_of_a_command_end_with_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold the pipe open to which it wrote."""
    worker = "import time, pathlib; pathlib.Path('worker').touch(); time.sleep(600)"
    (project / "recipes/twice.py").write_text(
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}])"
    )
    asked = time_is_up(monkeypatch, at=project / "worker")
    began = time.monotonic()
    main(options(max_minutes=5))
    assert (project / "worker").exists() and time.monotonic() - began < 300.0
    assert len(asked) == 2 and all(0.0 < seconds <= 300.0 for seconds in asked)
    assert [step["is_finished"] for step in record(project)] == [True, False, False]


def test_show_runs_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(options(show=True))
    assert "once.py first" in capsys.readouterr().out and not (project / "said").exists()


EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf/experiment").glob("*.yaml") if path.stem != "none")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_commands_of_every_experiment_are_taken(experiment: str) -> None:
    """As each would be started: the options are of the recipe, and Hydra composes them."""
    from hydra import compose, initialize_config_dir
    from start import options_of

    from emotts.cli import _parser

    for command in commands_of(experiment):
        words = command.split()
        if words[0] == "emotts":
            _parser().parse_args(words[1:])
            continue
        name = Path(words[1]).stem
        folder = ROOT / "conf" / ("prepare" if name == "prepare_corpus" else "")
        assert (ROOT / words[1]).is_file(), command
        given = options_of(name, words[2:], folder)
        with initialize_config_dir(str(folder), version_base="1.3"):
            compose(name, overrides=given)
