"""What a run tells: metrics.jsonl, a line per entry, and TensorBoard events beside it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Log:
    """The record of one run in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def write(self, step: int, minutes: float, values: Mapping[str, float], split: str) -> None:
        """Append values to metrics.jsonl and to TensorBoard."""
        row: dict[str, Any] = {"step": step, "minutes": round(minutes, 2), "split": split}
        row |= {name: round(float(value), 6) for name, value in values.items()}
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in values.items():
            self.writer.add_scalar(f"{split}/{name}", value, step)

    @property
    def writer(self) -> Any:
        """The TensorBoard writer of this run."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder / "tensorboard"))
        return self._writer
