"""What several commands ask in the same words: numbers, ranges, and options."""

import argparse
import math


def number(text: str) -> float:
    """Read a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number; got {text[:40]!r}")
    return value


def whole(text: str) -> int:
    """Read a whole number of 0 or more."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise argparse.ArgumentTypeError(f"expected a whole number of 0 or more; got {text[:40]!r}")
    return int(text)


def check_range(name: str, value: float | None, low: float, high: float) -> None:
    """Raise a ValueError where an option was given and is no number from low to high."""
    if value is not None and not low <= value <= high:  # which NaN is not
        raise ValueError(f"--{name} must be from {low:g} to {high:g}; got {value:g}.")


def add_consent_option(group: argparse._ActionsContainer) -> None:
    """Add --i-have-consent, which every command that takes a person's voice has."""
    group.add_argument("--i-have-consent", action="store_true", help="the speakers agreed; the files will say so")


def add_sidecar_option(group: argparse._ActionsContainer) -> None:
    """Add --no-sidecar, which every command that writes audio has; it is stored as `sidecar`."""
    group.add_argument(
        "--no-sidecar",
        dest="sidecar",
        action="store_false",
        help="do not write FILE.json, which says how FILE was made",
    )
