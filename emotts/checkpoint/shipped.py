"""Where the checkpoints lie that come with emotts: a name comes in, a folder goes out."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def shipped_folder(name: str, remedy: str, variable: str | None = None) -> Path:
    """Return the folder of a checkpoint: inside the installed package, else in the repository.

    Args:
        name: of the folder in checkpoints/; in the package it has a leading underscore.
        remedy: what to do where there is none.
        variable: of the environment; where it is set, it names the folder.

    Raises:
        FileNotFoundError: there is none.
    """
    chosen = os.environ.get(variable) if variable else None
    places = [Path(chosen)] if chosen else [PACKAGE / f"_{name}", PACKAGE.parent / "checkpoints" / name]
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"no checkpoint in {' or '.join(str(p) for p in places)}; {remedy}")
