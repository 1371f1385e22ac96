"""What the benchmarks share in reporting: the commit that was measured, and the table of rows against their targets."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
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
