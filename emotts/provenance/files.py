"""Provenance in audio files and beside them: written after the audio, and read back with a check that the two belong together.

`hello.wav` says in its own metadata how it was made, and `hello.wav.json`, the sidecar, says it with the text and the time.
"""

import errno
import json
import os
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from emotts.provenance.parse import MAX_JSON_BYTES, Getter, parse, provenance_of, read_object, refusal
from emotts.provenance.record import HASHED, KEY, Provenance, Source

BLOCK = 1 << 18  # samples or bytes that are hashed at once
MAX_HOURS = 24.0
TAG_BYTES = 1 << 16  # at either end of a file
TAG_CHARS = 1 << 13


@dataclass(frozen=True)
class AudioHash:
    """What a file holds: `sha256` of its samples where they are stored without loss ("samples"), else of its bytes ("file")."""

    sha256: str
    hashed: str
    sample_rate: int
    n_samples: int


def sidecar_path(path: str | Path) -> Path:
    """Return the name of the sidecar of an audio file: hello.wav.json for hello.wav."""
    path = Path(path)
    return path.with_name(f"{path.name}.json")


def hash_audio(path: str | Path) -> AudioHash:
    """Hash an audio file; rewriting PCM as another lossless format, or changing its tags, keeps the hash.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not audio, or longer than MAX_HOURS.
    """
    import soundfile

    path = _regular(Path(path))
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate, n_samples = int(file.samplerate), int(file.frames)
            if not 0 <= n_samples <= MAX_HOURS * 3_600 * rate:
                raise ValueError(f"{path.name} lasts more than {MAX_HOURS:g} hours; cut it.")
            digest = sha256()
            if file.subtype.startswith("PCM_"):
                while len(block := file.read(BLOCK, dtype="int32", always_2d=True)):
                    digest.update(np.ascontiguousarray(block, dtype="<i4").tobytes())
                return AudioHash(digest.hexdigest(), "samples", rate, n_samples)
    except soundfile.LibsndfileError as error:
        raise _not_audio(path, error) from None
    with open(path, "rb") as raw:
        while data := raw.read(BLOCK):
            digest.update(data)
    return AudioHash(digest.hexdigest(), "file", rate, n_samples)


def source_of(source: str | Path | np.ndarray) -> Source:
    """Name a recording that is converted, by the bare name of its file and a hash, or by the hash of samples [L]."""
    if isinstance(source, np.ndarray):
        samples = np.ascontiguousarray(source, dtype="<f4")
        return Source("", sha256(samples.tobytes()).hexdigest(), "array")
    found = hash_audio(source)
    return Source(Path(source).name, found.sha256, found.hashed)


def write_sidecar(path: str | Path, provenance: Provenance) -> Path:
    """Write the sidecar of an audio file that is whole, at once; return its path.

    The time is now, or that of the environment's SOURCE_DATE_EPOCH.

    Raises:
        FileNotFoundError, ValueError: the audio file cannot be read.
        OSError: the sidecar cannot be written.
    """
    path = Path(path)
    found = hash_audio(path)
    audio = {"name": path.name, **found.__dict__}
    facts = {**replace(provenance, created=_now()).to_dict(), "audio": audio}
    handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}-", suffix=".json", dir=path.parent)
    try:
        with open(handle, "w", encoding="ascii") as file:
            file.write(json.dumps(facts, indent=1, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        return Path(name).replace(sidecar_path(path))
    finally:
        Path(name).unlink(missing_ok=True)


def read_provenance(path: str | Path) -> Provenance | None:
    """Read what an audio file says of itself, or else what its sidecar says; `found_in` tells which. None if neither does.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not audio; or what claims to be a provenance is broken, or belongs to other samples.
    """
    found = read_metadata(path)
    return found if found is not None else read_sidecar(path)


def is_of_person(path: str | Path) -> bool:
    """Say whether a recording has to be taken for that of a person.

    It is one unless it says that a model spoke it; what was converted from a person's voice still belongs to the person.
    A file that cannot be read counts as one too: reading it later tells why.
    """
    try:
        found = read_provenance(path)
    except (ValueError, OSError):
        return True
    return found is None or found.consent is not None


def read_metadata(path: str | Path) -> Provenance | None:
    """Read the provenance in the metadata of an audio file; errors are those of `read_provenance`."""
    import soundfile

    path = _regular(Path(path))
    try:
        with soundfile.SoundFile(str(path)) as file:
            comment = str(file.comment)
    except soundfile.LibsndfileError as error:
        raise _not_audio(path, error) from None
    name = f"the comment in {path.name}"
    found = parse(comment, name) or parse(_in_other_tags(path), name)
    return None if found is None else replace(found, found_in="file")


def _in_other_tags(path: Path) -> str:
    """Return the JSON of a provenance at either end of a file, where tags are; empty without one.

    Other programs move a comment to tags that libsndfile does not read: FFmpeg to DESCRIPTION in FLAC and Ogg, to TXXX in MP3.
    """
    with open(path, "rb") as file:
        data = file.read(TAG_BYTES)
        file.seek(max(file.tell(), path.stat().st_size - TAG_BYTES))
        data += file.read(TAG_BYTES)
    _, start, rest = data.decode("latin-1").partition(f'{{"{KEY}":')
    text = start + rest[:TAG_CHARS]
    try:
        _, end = json.JSONDecoder().raw_decode(text) if text else (None, 0)
    except (ValueError, RecursionError):
        return text  # which `parse` refuses
    return text[:end]


def read_sidecar(path: str | Path) -> Provenance | None:
    """Read the provenance beside an audio file, None where there is none; errors are those of `read_provenance`."""
    beside = sidecar_path(path)
    try:
        if not beside.is_file():
            return None
        with open(beside, "rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # then nobody can have written it
            return None
        raise
    facts = read_object(data, beside.name)
    if facts is None:
        return None
    audio = facts.pop("audio", None)
    found = provenance_of(facts, beside.name)
    if not isinstance(audio, dict):
        raise refusal(beside.name, "must tell of which audio it is")
    if _told(audio, beside.name) != hash_audio(path):
        raise ValueError(f"{beside.name} does not belong to {Path(path).name}: it tells of other samples. Remove it.")
    return replace(found, found_in="sidecar")


def _told(audio: dict[str, Any], name: str) -> AudioHash:
    get = Getter(name, audio)
    get.refuse_others(AudioHash, "name")
    get.text("name")
    return AudioHash(
        get.sha256("sha256"), get.text("hashed", one_of=HASHED), get.whole("sample_rate"), get.whole("n_samples")
    )


def _regular(path: Path) -> Path:
    if not path.is_file():
        problem = "is not a regular file" if path.exists() else "does not exist"
        raise FileNotFoundError(f"audio file {str(path)!r} {problem}; give the path of a wav, flac, ogg or mp3 file.")
    return path


def _not_audio(path: Path, error: Exception) -> ValueError:
    reason = str(error).rpartition(": ")[2].rstrip(". ")
    return ValueError(f"{path.name} is not audio that libsndfile can read ({reason}).")


def _now() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    is_set = epoch.isascii() and epoch.isdigit() and len(epoch) <= 11
    moment = datetime.fromtimestamp(int(epoch), UTC) if is_set else datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
