"""What the benchmarks share in reporting: the commit that was measured, and the table of rows against their targets."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Row:
    """One line of the table; `is_met` None is a figure without a target, `numbers` is what the JSON file keeps."""

    measure: str
    target: str
    value: str
    is_met: bool | None = None
    numbers: dict[str, Any] = field(default_factory=dict)


def git_commit() -> str:
    """Return the short name of the commit that is checked out."""
    output = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return output.stdout.strip() or "none"


def markdown(rows: Sequence[Row]) -> str:
    """Return the table: measure, target, value, whether it is met."""
    marks = {True: "met", False: "**missed**", None: ""}
    lines = ["| measure | at least | reached | |", "|---|---|---|---|"]
    lines += [f"| {row.measure} | {row.target} | {row.value} | {marks[row.is_met]} |" for row in rows]
    return "\n".join(lines) + "\n"


def keep(path: Path, rows: Sequence[Row], measured: Mapping[str, Any]) -> None:
    """Write <path>.json, with what ran and all that was measured, and <path>.md; print the table."""
    run = {"command": " ".join(["python", *sys.argv]), "date": time.strftime("%Y-%m-%d"), "commit": git_commit()}
    path.parent.mkdir(exist_ok=True)
    told = {"rows": [asdict(row) for row in rows], "run": run | {"measured": measured}}
    path.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(markdown(rows), encoding="utf-8")
    print(markdown(rows))
