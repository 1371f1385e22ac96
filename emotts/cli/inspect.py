"""`emotts inspect`: audio files come in; what they are and what they say of how they were made goes to stdout.

Exit code 0 if every file has a provenance, 1 if one has none, 2 if one cannot be read.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emotts.provenance import ModelCard, Provenance

WIDTH = 20


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the sub-parsers of `emotts` and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "inspect",
        help="show how an audio file was made, if it says so",
        description="Show what audio files are, and what they say of how they were made. They may have been changed since: "
        "this is a statement, not a proof. Exit code 1 if a file says nothing.",
    )
    parser.set_defaults(command="inspect")
    parser.add_argument("files", nargs="+", metavar="FILE", help="wav, flac, ogg or mp3")
    parser.add_argument("--json", action="store_true", help="print one line of JSON per file")
    return parser


@dataclass(frozen=True)
class Inspected:
    """A file and what it says of itself.

    Attributes:
        path: of the file. container, coding: names by libsndfile. sample_rate: Hz. channels: number of them.
        duration_s: length.
        provenance: of the file or its sidecar; None if neither has one.
        beside: of the sidecar, where there is one that belongs to the file. beside_problem: why it does not.
    """

    path: Path
    container: str
    coding: str
    sample_rate: int
    channels: int
    duration_s: float
    provenance: "Provenance | None"
    beside: "Provenance | None"
    beside_problem: str


def inspect(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit code; a file that cannot be read costs one line."""
    from emotts.cli import FAILURE, MISTAKE, OK, say

    code = OK
    for number, name in enumerate(arguments.files):
        try:
            found = inspect_file(Path(name))
        except (ValueError, OSError) as error:
            say(f"emotts: error: {error}")
            code = MISTAKE
            continue
        if arguments.json:
            print(json.dumps(_facts(found)))
        else:
            print("\n" * (number > 0) + "\n".join(_lines(found)))
        if found.provenance is None:
            code = max(code, FAILURE)
    return code


def inspect_file(path: Path) -> Inspected:
    """Read a file, its metadata and its sidecar.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not audio; or what claims to be a provenance is broken, or belongs to other samples.
    """
    import soundfile

    from emotts.provenance import read_provenance
    from emotts.provenance.files import read_sidecar

    provenance = read_provenance(path)
    beside, problem = provenance, ""
    if provenance is None or provenance.found_in == "file":
        try:
            beside = read_sidecar(path)
        except ValueError as error:
            beside, problem = None, str(error)
    info = soundfile.info(str(path))
    return Inspected(
        path, info.format, info.subtype_info, info.samplerate, info.channels, info.duration, provenance, beside, problem
    )


def escaped(text: str) -> str:
    """Return a text of which a terminal obeys nothing."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _facts(found: Inspected) -> dict[str, Any]:
    """Return what --json prints."""
    provenance, beside = found.provenance, found.beside
    return {
        "path": str(found.path),
        "format": found.container,
        "coding": found.coding,
        "sample_rate": found.sample_rate,
        "channels": found.channels,
        "duration_s": round(found.duration_s, 4),
        "provenance": provenance.to_dict() if provenance else None,
        "found_in": provenance.found_in if provenance else None,
        "sidecar": beside.to_dict() if beside else None,
        "sidecar_problem": found.beside_problem or None,
    }


def _lines(found: Inspected) -> list[str]:
    channels = "mono" if found.channels == 1 else f"{found.channels} channels"
    rows = [
        ("format", f"{found.container}, {found.coding}, {channels}"),
        ("duration", f"{found.duration_s:.2f} s"),
        ("sample rate", f"{found.sample_rate} Hz"),
        *(_provenance_rows(found.provenance) if found.provenance else [("provenance", "no provenance")]),
    ]
    if found.beside:
        rows += [("text", found.beside.text)] if found.beside.text is not None else []
        rows += [("created", found.beside.created)] if found.beside.created else []
        rows += [("sidecar", f"{found.path.name}.json, belongs to this audio")]
    elif found.beside_problem:
        rows += [("sidecar", f"refused: {found.beside_problem}")]
    return [escaped(str(found.path)), *(f"  {escaped(name):<{WIDTH}}{escaped(value)}" for name, value in rows)]


def _provenance_rows(provenance: "Provenance") -> list[tuple[str, str]]:
    made = {"speech": "synthetic speech", "conversion": "a conversion by a model"}[provenance.kind]
    place = "the file itself" if provenance.found_in == "file" else "its sidecar"
    rows = [("provenance", f"{made}, emotts {provenance.version}; says {place}")]
    rows += [("model", _model_text(card)) for card in provenance.models]
    if provenance.seed is not None:
        rows.append(("seed", str(provenance.seed)))
    rows += [(name.replace("_", " "), str(value)) for name, value in provenance.settings.items()]
    if provenance.source:
        rows.append(("source", f"{provenance.source.name or 'samples'}, sha256 {provenance.source.sha256}"))
    if provenance.consent:
        rows.append(("consent", provenance.consent))
    if provenance.left_out:
        rows.append(("left out", ", ".join(provenance.left_out)))
    if provenance.found_in == "file" and provenance.text is not None:
        rows.append(("text inside", provenance.text))
    return rows


def _model_text(card: "ModelCard") -> str:
    steps = ", ".join(f"{name} {count} steps" for name, count in card.steps.items())
    manifest = f"manifest sha256 {card.manifest_sha256}" if card.manifest_sha256 else ""
    computed = f"computed by {card.backend}" if card.backend else ""
    return "; ".join(filter(None, [card.name or "unnamed", steps, computed, manifest]))
