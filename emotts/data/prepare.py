"""A listed corpus to a corpus that can be trained on: shards of audio, features and rows, then the manifest of them all.

In: `SourceRow`s. Out: `audio/<shard>/<id>.flac`, `features/<shard>.safetensors` as emotts/simulation/corpus.py stores them,
`shards/<shard>.json`, and at the end manifest.jsonl, origins.jsonl, quarantine.jsonl and report.json. A shard is finished when its
JSON exists; everything is renamed into place, so a run that was stopped goes on where it was and ends with the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from emotts.audio import save_audio
from emotts.data.alignment import EXPECTED
from emotts.data.corpora.rows import CorpusFacts, Listing, Problem, SourceRow, parse_source
from emotts.data.manifest import ManifestRow, parse_row, write_atomically, write_manifest
from emotts.data.prepare_audio import speaker_gain_db
from emotts.data.prepare_clip import MelJudge, Prepared, Settings, SpeechListener, prepare_clip
from emotts.emotion.labels import LABELS


@dataclass(frozen=True)
class Job:
    """What a worker needs besides the shard: the folder of the corpus, where the result goes, and how."""

    root: Path
    output: Path
    settings: Settings
    judge: str | None = None  # a recogniser's folder, "bundled", or None; part of the fingerprint
    aligner: str = EXPECTED  # one of ALIGNERS; part of the fingerprint


@dataclass(frozen=True)
class Shard:
    """Clips that are prepared and stored together, with the gain in dB of each."""

    name: str
    rows: tuple[SourceRow, ...]
    gains_db: tuple[float, ...]


def relabelled(rows: Iterable[SourceRow], labels: Mapping[str, str | None]) -> list[SourceRow]:
    """Give raw labels another label of ours, or none.

    Raises:
        ValueError: a label is not ours, or no row has the raw one.
    """
    rows = list(rows)
    raw = {row.raw_label for row in rows}
    for name, label in labels.items():
        if label is not None and label not in LABELS:
            raise ValueError(f"relabel.{name} must be null or one of {', '.join(LABELS)}; got {label!r}.")
        if name not in raw:
            raise ValueError(f"relabel.{name}: no clip has this label; there are {', '.join(sorted(map(str, raw)))}.")
    return [replace(row, label=labels[name]) if (name := row.raw_label or "") in labels else row for row in rows]


def speakers(rows: Iterable[SourceRow]) -> dict[str, list[SourceRow]]:
    """Return the rows of every voice, in their order."""
    found: dict[str, list[SourceRow]] = {}
    for row in rows:
        found.setdefault(row.voice, []).append(row)
    return found


def gain_of(job: Job, voice: str, rows: Sequence[SourceRow]) -> tuple[str, float]:
    """Return a voice and the gain in dB of its clips; 0 if levels are left alone."""
    settings = job.settings
    if settings.loudness == "none":
        return voice, 0.0
    return voice, speaker_gain_db(job.root, rows, settings.level_db, settings.max_duration_s)


def plan_shards(rows: Sequence[SourceRow], gains_db: Mapping[str, float], shard_size: int) -> list[Shard]:
    """Cut the rows, in their order, into shards.

    Raises:
        ValueError: the size is not positive.
    """
    if shard_size < 1:
        raise ValueError(f"shard_size must be 1 or more; got {shard_size}.")
    shards = []
    for number, start in enumerate(range(0, len(rows), shard_size)):
        part = tuple(rows[start : start + shard_size])
        shards.append(Shard(f"{part[0].corpus}-{number:05d}", part, tuple(gains_db[row.voice] for row in part)))
    return shards


def prepare_shard(job: Job, shard: Shard, judge: MelJudge | None = None, listener: SpeechListener | None = None) -> str:
    """Prepare one shard unless it is finished; clips that cannot be used are named in its record.

    Returns:
        The name of the shard.

    Raises:
        ValueError: a finished shard of this name was made from other clips or settings.
        OSError: the disk is full, or not to be written on.
    """
    record_path = job.output / "shards" / f"{shard.name}.json"
    if record_path.is_file():
        _check_fingerprint(record_path, job, shard)
        return shard.name
    torch.set_num_threads(1)
    prepared: list[Prepared] = []
    problems: list[Problem] = []
    for row, gain_db in zip(shard.rows, shard.gains_db, strict=True):
        try:
            prepared.append(prepare_clip(job.root, row, job.settings, gain_db, shard.name, judge, listener))
        except (ValueError, OSError) as error:  # of reading; writing comes below
            problems.append(Problem(row.id, " ".join(str(error).split())))
    _store(job.output, shard.name, prepared)
    record = {
        "fingerprint": _fingerprint(job, shard),
        "rows": [asdict(one.row) for one in prepared],
        "origins": [asdict(one.origin) for one in prepared],
        "problems": [asdict(problem) for problem in problems],
    }
    write_atomically(record_path, json.dumps(record, ensure_ascii=False))
    return shard.name


def merge_shards(job: Job, shards: Sequence[Shard], listing: Listing, facts: CorpusFacts) -> dict[str, Any]:
    """Write manifest.jsonl, origins.jsonl, quarantine.jsonl and report.json from finished shards; return the report."""
    rows: list[ManifestRow] = []
    origins: list[dict[str, Any]] = []
    problems = [{"stage": "listing", **asdict(problem)} for problem in listing.problems]
    for shard in shards:
        record = json.loads((job.output / "shards" / f"{shard.name}.json").read_text(encoding="utf-8"))
        rows += [parse_row(json.dumps(row)) for row in record["rows"]]
        origins += record["origins"]
        problems += [{"stage": "preparation", **problem} for problem in record["problems"]]
    _write_lines(job.output / "origins.jsonl", origins)
    _write_lines(job.output / "quarantine.jsonl", problems)
    report = _report(rows, origins, problems, listing, facts)
    write_atomically(job.output / "report.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    write_manifest(job.output / "manifest.jsonl", rows)
    return report


def write_listing(output: Path, listing: Listing) -> None:
    """Write sources.jsonl, a line per clip that was listed, and the clips that were not taken to quarantine.jsonl.

    Raises:
        ValueError: another corpus lies in the folder.
    """
    _check_owner(output, listing)
    write_atomically(output / "sources.jsonl", "".join(row.to_json() + "\n" for row in listing.rows))
    _write_lines(output / "quarantine.jsonl", [{"stage": "listing", **asdict(problem)} for problem in listing.problems])


def completeness(listing: Listing, facts: CorpusFacts) -> str:
    """Say in one line how much of the published corpus was found."""
    n, n_speakers = len(listing.rows), len({row.speaker for row in listing.rows})
    clips = f"{n} clips" if facts.clips is None else f"{n} of {facts.clips} published clips"
    people = f"{n_speakers} speakers" if facts.speakers is None else f"{n_speakers} of {facts.speakers} speakers"
    problems = len(listing.problems)
    return f"{facts.title}: {clips}, {people}; {f'{problems} problems, see quarantine.jsonl' if problems else 'no problems'}"


def _check_owner(output: Path, listing: Listing) -> None:
    """Refuse a folder that holds another corpus; its manifest would be lost."""
    sources = output / "sources.jsonl"
    if not sources.is_file() or not listing.rows:
        return
    with open(sources, encoding="utf-8") as file:
        line = file.readline()
    owner = parse_source(line).corpus if line.strip() else listing.rows[0].corpus
    if owner != listing.rows[0].corpus:
        raise ValueError(
            f"output {str(output)!r} holds the corpus {owner!r}; choose another folder for {listing.rows[0].corpus!r}."
        )


def _store(output: Path, name: str, prepared: Sequence[Prepared]) -> None:
    """Store a shard; what libraries say of a full disk is said in one line.

    Raises:
        OSError: it cannot be written.
    """
    import soundfile

    try:
        _write(output, name, prepared)
    except (soundfile.LibsndfileError, SafetensorError) as error:
        raise OSError(
            f"shard {name} cannot be written to {str(output)!r} ({error}); free the disk and run the same command again."
        ) from error


def _write(output: Path, name: str, prepared: Sequence[Prepared]) -> None:
    """Write audio and features of a shard beside their final places, then rename both."""
    audio, features = output / "audio" / name, output / "features" / f"{name}.safetensors"
    unfinished = output / "audio" / f".{name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    features.parent.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for one in prepared:
        save_audio(unfinished / f"{one.row.id}.flac", one.waveform)
        tensors.update(one.tensors)
    temporary = features.with_suffix(".unfinished")
    save_file(tensors, temporary)
    temporary.replace(features)
    shutil.rmtree(audio, ignore_errors=True)
    unfinished.replace(audio)


def _fingerprint(job: Job, shard: Shard) -> str:
    content = [[row.to_json() for row in shard.rows], list(shard.gains_db), asdict(job.settings), job.judge]
    if job.aligner != EXPECTED:  # what was prepared before there was a choice stays valid
        content.append(job.aligner)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _check_fingerprint(path: Path, job: Job, shard: Shard) -> None:
    if json.loads(path.read_text(encoding="utf-8"))["fingerprint"] != _fingerprint(job, shard):
        raise ValueError(
            f"{path} was made from other clips or settings; choose another output folder, or delete this one."
        )


def _write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    write_atomically(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _report(
    rows: Sequence[ManifestRow],
    origins: Sequence[Mapping[str, Any]],
    problems: Sequence[Mapping[str, Any]],
    listing: Listing,
    facts: CorpusFacts,
) -> dict[str, Any]:
    seconds: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        seconds[row.split] += row.duration_s
    return {
        "corpus": facts.title,
        "found": completeness(listing, facts),
        "notes": listing.notes,
        "split_by": facts.split,
        "utterances": len(rows),
        "listed": len(listing.rows),
        "quarantined": dict(Counter(problem["stage"] for problem in problems)),
        "hours": {split: round(value / 3_600.0, 3) for split, value in sorted(seconds.items())},
        "alignment": dict(sorted(Counter(origin["alignment"] for origin in origins).items())),
        "filled_by_recogniser": sum(any(0.0 < w < 1.0 for w in origin["avd_weight"]) for origin in origins),
        "licences": sorted({row.licence for row in rows}),
    }
