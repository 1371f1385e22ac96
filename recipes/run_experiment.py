"""Run a named experiment whole: python recipes/run_experiment.py name=simulated_cpu max_minutes=170.

The commands are those in the head of conf/experiment/<name>.yaml, in their order. What each costs is kept in
<output>/record.json and what it prints in <output>/<number>-<recipe>.log. A command that has finished is not run again; one that
was stopped, by max_minutes, Ctrl-C or a kill, is given again and goes on where it was. Options: conf/run_experiment.yaml.
"""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from facts import commit
from omegaconf import DictConfig

from emotts.data.manifest import write_atomically
from emotts.training.trainer import STOPPED

ROOT = Path(__file__).resolve().parent.parent
SAVED = 75  # exit status of a training that somebody else told to stop
GRACE_S = 120.0  # for a state to be saved, after which a command is killed
BEGINNINGS = ("python recipes/", "emotts ")


@dataclass
class Step:
    """A command of an experiment and what it has cost so far.

    Attributes:
        command: As it stands in the head, in one line.
        seconds: Of wall-clock time, over all sessions.
        sessions: How often it was started.
        commit: Of this project, when it was last started.
        is_finished: Whether it ended with exit status 0 by itself.
    """

    command: str
    seconds: float = 0.0
    sessions: int = 0
    commit: str | None = None
    is_finished: bool = False


def commands_of(experiment: str) -> list[str]:
    """Return the commands in the head of an experiment, a line each.

    Raises:
        ValueError: there is no such experiment, or its head names no commands.
    """
    folder = ROOT / "conf/experiment"
    path = folder / f"{experiment}.yaml"
    known = sorted(file.stem for file in folder.glob("*.yaml") if file.stem != "none")
    if experiment not in known:
        raise ValueError(f"name must be one of {', '.join(known)}; got {experiment!r}.")
    lines = []
    for line in path.read_text(encoding="utf-8").replace("\\\n#", " ").splitlines():
        line = " ".join(line.removeprefix("#").split())
        if line.startswith(BEGINNINGS):
            lines.append(line)
    if not lines:
        raise ValueError(f"the head of {path.name} names no commands; one begins with {' or '.join(BEGINNINGS)}.")
    return lines


def read_record(path: Path, commands: list[str], changed: bool = False) -> list[Step]:
    """Return the steps with what the record knows of them.

    Args:
        changed: commands may have changed since they ran; they, and all after them, begin anew on what lies there.

    Raises:
        ValueError: one has changed and may not: what it wrote is of the old one, and a training would go on with it.
    """
    known = [Step(**step) for step in json.loads(path.read_text(encoding="utf-8"))] if path.is_file() else []
    steps = [Step(command) for command in commands]
    for k, step in enumerate(known[: len(steps)]):
        if step.command == steps[k].command:
            steps[k] = step
        elif changed or not any(later.sessions for later in known[k:]):
            break
        else:
            raise ValueError(
                f"command {k + 1} was {step.command!r} when it ran and is {steps[k].command!r} now. Delete what it and later ones "
                "have written, for a training goes on with the state that it finds, and give changed=true."
            )
    return steps


def keep(path: Path, steps: list[Step]) -> None:
    """Write the record, whole or not at all."""
    write_atomically(path, json.dumps([asdict(step) for step in steps], indent=1) + "\n")


def arguments_of(command: str) -> list[str]:
    """Return a command as this Python starts it, with every path below this project."""
    words = shlex.split(command)
    if words[0] == "emotts":
        return [sys.executable, "-c", "from emotts.cli import main; raise SystemExit(main())", *words[1:]]
    return [sys.executable, str(ROOT / words[1]), *words[2:]]


class Stopper:
    """Ends the command that runs when the time is up or this process is told to end; it may save its state first."""

    def __init__(self, deadline: float | None) -> None:
        self.deadline = deadline
        self.was_asked = False
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more is to be started."""
        return self.was_asked or (self.deadline is not None and time.monotonic() >= self.deadline)

    def stop(self, *_: object) -> None:
        """Ask the command to end, and kill it if it has not after the grace."""
        self.was_asked = True
        if self.process is not None and self.process.poll() is None:
            self._signal(signal.SIGTERM)
            killer = threading.Timer(GRACE_S, self._signal, [signal.SIGKILL])
            killer.daemon = True
            killer.start()

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the command and to the workers that it has started; they hold its output open."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def run(self, arguments: list[str], log: Path) -> int:
        """Run a command, showing what it prints and keeping it; returns its exit status."""
        timer = None
        if self.deadline is not None:
            timer = threading.Timer(max(0.0, self.deadline - time.monotonic()), self.stop)
            timer.daemon = True
            timer.start()
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path, STOPPED: str(SAVED)}
        with log.open("ab") as kept:
            self.process = subprocess.Popen(  # a group of its own: Ctrl-C reaches it once, through stop
                arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )
            if self.was_asked:  # while it started, when there was nothing to ask yet
                self.stop()
            assert self.process.stdout is not None
            while piece := os.read(self.process.stdout.fileno(), 65_536):
                kept.write(piece)
                kept.flush()
                sys.stdout.buffer.write(piece)
                sys.stdout.flush()
            status = self.process.wait()
        if timer is not None:
            timer.cancel()
        return status


def table(steps: list[Step]) -> str:
    """Return what the steps have cost, a line each."""
    rows = [
        f"{'done' if step.is_finished else 'open':4s} {step.seconds / 60.0:8.1f} min {step.sessions:3d} sessions  {step.command}"
        for step in steps
    ]
    return "\n".join([*rows, f"     {sum(step.seconds for step in steps) / 60.0:8.1f} min in all"])


def main(config: DictConfig) -> None:
    commands = commands_of(config.name)
    output = Path(config.output)
    record = output / "record.json"
    steps = read_record(record, commands, config.changed)
    if config.show:
        print(table(steps))
        return
    output.mkdir(parents=True, exist_ok=True)
    stopper = Stopper(None if config.max_minutes is None else time.monotonic() + 60.0 * float(config.max_minutes))
    before = {kind: signal.signal(kind, stopper.stop) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number, step in enumerate(steps, start=1):
            if step.is_finished or stopper.is_stopped:
                continue
            print(f"[{number}/{len(steps)}] {step.command}", flush=True)
            began, spent = time.monotonic(), step.seconds
            step.sessions, step.commit = step.sessions + 1, commit()
            keep(record, steps)
            status = stopper.run(arguments_of(step.command), output / f"{number:02d}-{name_of(step.command)}.log")
            step.seconds = spent + time.monotonic() - began
            step.is_finished = status == 0 and not stopper.was_asked
            keep(record, steps)
            if status == SAVED and not stopper.was_asked:
                raise ValueError(
                    f"command {number} of {config.name} was stopped and saved its state; give the same command again."
                )
            if status != 0 and not stopper.was_asked:
                raise ValueError(
                    f"command {number} of {config.name} ended with exit status {status}; see the log in {output}, "
                    "then give the same command again."
                )
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
    print(table(steps))


def name_of(command: str) -> str:
    """Return the recipe of a command, or the word after emotts."""
    words = command.split()
    return Path(words[1]).stem


if __name__ == "__main__":
    from start import run

    run("run_experiment")
