"""Readers of numbers on the command line: what a user wrote comes in, a number or a message for the parser goes out."""

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
