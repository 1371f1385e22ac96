"""What a run tells: metrics.jsonl, a line per entry, and TensorBoard events beside it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emotts.durable import replace_durably

NAME = "metrics.jsonl"


class Log:
    """The record of one run in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / NAME
        self._writer: Any = None
        self._begin = 0  # the step that was resumed from
        self._told: set[str] = set()  # splits that already have a row of that step

    def resume(self, step: int) -> None:
        """Drop what was told after the state that is resumed from, for it will be told again, and lines that a kill cut short."""
        self._begin = step
        kept = self._keep(lambda row: row["step"] <= step)
        self._told = {str(row.get("split")) for row in kept if row["step"] == step}

    def write(self, step: int, minutes: float, values: Mapping[str, float], split: str) -> None:
        """Append values to metrics.jsonl and to TensorBoard."""
        row: dict[str, Any] = {"step": step, "minutes": round(minutes, 2), "split": split}
        row |= {name: round(float(value), 6) for name, value in values.items()}
        if step == self._begin and split in self._told:  # a run that had ended ends again
            self._told.discard(split)
            self._keep(lambda old: (old["step"], old.get("split")) != (step, split))
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in values.items():
            self.writer.add_scalar(f"{split}/{name}", value, step)

    @property
    def writer(self) -> Any:
        """The TensorBoard writer of this run."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=self._begin + 1)
        return self._writer

    def _keep(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Rewrite metrics.jsonl with the wanted rows, whole or not at all, if others are there; returns those that stay."""
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines() if self.path.is_file() else []
        rows = [(line, row) for line, row in zip(lines, map(_parsed, lines), strict=True) if row and wanted(row)]
        text = "".join(line + "\n" for line, _ in rows)
        if self.path.is_file() and text.encode() != self.path.read_bytes():
            replace_durably(self.path, text.encode())
        return [row for _, row in rows]


def _parsed(line: str) -> dict[str, Any] | None:
    """Return a row, None of a line that is none."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None
