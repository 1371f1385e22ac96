"""Where a figure was measured: processor, threads, versions, commit and what else kept the machine busy."""

import os
import platform
import sys
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tables import git_commit


def describe_run(packages: Iterable[str]) -> dict[str, Any]:
    """Return what has to stand beside figures of speed; call it before the work, for the load is what it finds."""
    return {
        "command": " ".join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%d"),
        "commit": git_commit(),
        "device": f"{cpu_name()}, {os.cpu_count()} cores",
        "load_before": round(os.getloadavg()[0], 2),  # processes that wanted a core in the minute before
        "python": platform.python_version(),
        "versions": {name: package_version(name) for name in packages},
    }


def machine_line(run: dict[str, Any]) -> str:
    """Return one line of Markdown that says what `describe_run` found."""
    versions = ", ".join(f"{name} {found}" for name, found in run["versions"].items() if found != "not installed")
    return (
        f"{run['device']}, {run['date']}, commit {run['commit']}, Python {run['python']}, {versions}; "
        f"load before the run {run['load_before']:g}."
    )


def cpu_name() -> str:
    """Return the processor's name as Linux or Python tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def package_version(name: str) -> str:
    """Return the version of an installed package, or say that it is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def peak_memory_mb(process: int | str = "self") -> float:
    """Return the most memory that a process, this one by default, has held so far, in MB (1e6 bytes).

    ru_maxrss would start from what the parent held when it forked.
    """
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
