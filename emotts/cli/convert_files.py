"""Which recordings are converted to which files: what a user wrote comes in; pairs of paths that can be written go out."""

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotts.cli.synthesize import check_writable
from emotts.recordings import find_recordings

FORMATS = ("wav", "flac", "ogg", "mp3")
WRITABLE = tuple(f".{name}" for name in FORMATS)
GLOB_SIGNS = "*?["


@dataclass(frozen=True)
class Job:
    """A recording and the file that its conversion is written to."""

    source: Path
    output: Path


def plan_jobs(
    inputs: Sequence[str],
    output: str,
    kind: str | None = None,
    force: bool = False,
    sidecars: bool = True,
    kept: Collection[Path] = (),
) -> list[Job]:
    """Pair recordings with outputs and refuse, before anything slow, what could not or must not be written.

    One file gives a file, or a file in the folder `output` where that is one; folders, globs and several files give a folder, in
    which they keep their names and the folders below those named.

    Args:
        inputs: files, folders and globs. output: a file or a folder.
        kind: one of FORMATS; None is that of the source where it can be written, else wav.
        force: whether existing files are overwritten. sidecars: whether each gets one.
        kept: files that are never overwritten, besides the recordings.

    Raises:
        ValueError: no recording, an output that exists, is a recording or has a suffix nobody writes, or two for one output.
        FileNotFoundError: a folder that should be there is not.
    """
    if "\0" in output:
        raise ValueError(f"output must be a file or a folder; got {output!r}.")
    place = Path(output)
    if is_single(inputs) and not (output.endswith("/") or place.is_dir()):
        jobs = existing = [Job(Path(inputs[0]), place)]
        _check_suffix(place, kind)
    else:
        if place.suffix.lower() in WRITABLE and not place.is_dir():
            raise ValueError(f"output of several recordings must be a folder; got {output!r}. End its name with /.")
        jobs = [Job(source, place / _named(relative, kind)) for source, relative in _found(inputs, place)]
        existing = [job for job in jobs if job.output.parent.exists()]  # the other folders are created
        _check_folder(place)
    _check_distinct(jobs, kept)
    _check_existing(existing, force, sidecars)
    return jobs


def is_single(inputs: Sequence[str]) -> bool:
    """Say whether one file is named, which then need not exist."""
    return len(inputs) == 1 and not Path(inputs[0]).is_dir() and not _is_glob(inputs[0])


def _is_glob(name: str) -> bool:
    return "\0" not in name and any(sign in name for sign in GLOB_SIGNS) and not Path(name).exists()


def _found(inputs: Sequence[str], output: Path) -> list[tuple[Path, Path]]:
    """List recordings, each once, with their names below the folder that was named; what lies in the output folder is no input."""
    found: dict[Path, tuple[Path, Path]] = {}
    home = output.resolve()
    for name in inputs:
        start = _start_of(name)
        files = find_recordings([name])
        if not is_single([name]):
            files = [file for file in files if not file.resolve().is_relative_to(home) or home == start.resolve()]
            if not files:
                raise ValueError(f"all audio files of {name!r} lie in the output folder {str(output)!r}; name another.")
        for file in files:
            found.setdefault(file.resolve(), (file, file.relative_to(start)))
    return list(found.values())


def _start_of(name: str) -> Path:
    """Return the folder below which the files of an input keep their names."""
    path = Path(name)
    if path.is_dir():
        return path
    if not _is_glob(name):
        return path.parent
    fixed = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts[:-1]:
        if any(sign in part for sign in GLOB_SIGNS):
            break
        fixed /= part
    return fixed


def _named(relative: Path, kind: str | None) -> Path:
    suffix = relative.suffix.lower()
    if kind is not None:
        suffix = f".{kind}"
    elif suffix not in WRITABLE:
        suffix = ".wav"
    return relative.with_name(relative.stem + suffix)


def _check_suffix(output: Path, kind: str | None) -> None:
    suffix = output.suffix.lower()
    if suffix not in WRITABLE:
        raise ValueError(f"output must end in one of {', '.join(WRITABLE)}, or in / for a folder; got {str(output)!r}.")
    if kind is not None and suffix != f".{kind}":
        raise ValueError(f"output {str(output)!r} and --format {kind} do not agree; leave one of them out.")


def _check_folder(folder: Path) -> None:
    """Refuse a folder that can neither be written nor created."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ValueError(f"output {str(folder)!r} must be a folder; {str(there)!r} is a file.")
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise ValueError(
            f"output folder {str(folder)!r} cannot be written ({error.strerror}); choose another."
        ) from None


def _check_distinct(jobs: Sequence[Job], kept: Collection[Path]) -> None:
    """Refuse outputs that are two recordings' at once, or a recording themselves, which would be lost."""
    sources = {path.resolve() for path in (*(job.source for job in jobs), *kept)}
    seen: dict[str, Path] = {}
    for job in jobs:
        if job.output.resolve() in sources:
            raise ValueError(f"output {str(job.output)!r} is one of the recordings; give another name or folder.")
        name = str(job.output).casefold()  # some file systems hold A.wav and a.wav for one
        if name in seen:
            raise ValueError(
                f"{str(seen[name])!r} and {str(job.source)!r} would both be written to {str(job.output)!r}; convert them apart."
            )
        seen[name] = job.source


def _check_existing(jobs: Sequence[Job], force: bool, sidecars: bool) -> None:
    from emotts.provenance import sidecar_path

    for job in jobs:
        check_writable(job.output, "output", force)
        if sidecars:
            check_writable(sidecar_path(job.output), "sidecar", force, "--no-sidecar")
