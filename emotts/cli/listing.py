"""`emotts emotions`, `emotts models`: tables for people, JSON for programs, both on stdout."""

import argparse
import json
from typing import Any

from emotts.emotion.dyads import DYADS
from emotts.emotion.labels import ALIASES, AVD_MEANS, DIMENSIONS


def emotions(arguments: argparse.Namespace) -> None:
    """List the labels, their place in the emotion space, and their other names; for people the blends with a name too."""
    rows: list[dict[str, Any]] = []
    for label, place in AVD_MEANS.items():
        also = sorted(alias for alias, name in ALIASES.items() if name == label)
        rows.append({"label": label, **dict(zip(DIMENSIONS, place, strict=True)), "also": also})
    print_table(rows, arguments.json)
    if not arguments.json:
        print(f"\nblends of two: {', '.join(sorted(DYADS))}\nall ways to ask: docs/emotion_controls.md")


def models(arguments: argparse.Namespace) -> None:
    """Show the parameters of each component, and what the checkpoint says of itself."""
    from emotts.pipeline import EmoTTS

    tts = EmoTTS.from_pretrained(arguments.checkpoint, arguments.device, arguments.backend)
    rows = [{"component": component, "parameters": parameters} for component, parameters in tts.describe()]
    if arguments.json:
        print(json.dumps({"components": rows, "metadata": tts.metadata}))
        return
    print_table(rows, as_json=False)
    facts = {key: value for key, value in tts.metadata.items() if isinstance(value, str | int | float)}
    if facts:
        print()
    for key, value in facts.items():
        print(f"{key:<22}{value}")


def print_table(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print rows with the same columns, for people or as JSON."""
    if as_json:
        print(json.dumps(rows))
        return
    columns = list(rows[0])
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    is_number = [isinstance(rows[0][column], int | float) for column in columns]
    for line in [columns, *cells]:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, is_number, strict=True)
        ]
        print("  ".join(padded).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:+.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(value) if isinstance(value, list) else str(value)
