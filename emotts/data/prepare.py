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
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from emotts.audio import save_audio
from emotts.data.alignment import EXPECTED
from emotts.data.corpora.rows import CorpusFacts, Listing, Problem, SourceRow
from emotts.data.faults import MachineFault, fault_at, is_of_machine
from emotts.data.manifest import SPLITS, ManifestRow, row_of, write_atomically, writing
from emotts.data.prepare_audio import speaker_gain_db
from emotts.data.prepare_clip import VOTES_FORMAT, MelJudge, Prepared, Settings, SpeechListener, prepare_clip
from emotts.data.prepare_listing import OTHERS, json_line
from emotts.data.prepare_needs import missing_readers


@dataclass(frozen=True)
class Job:
    """What a worker needs besides the shard: the folder of the corpus, where the result goes, and how."""

    root: Path
    output: Path
    settings: Settings
    judge: str | None = None  # a recogniser's folder, "bundled", or None; part of the fingerprint
    aligner: str = EXPECTED  # one of ALIGNERS; part of the fingerprint
    judge_weights: str | None = None  # tells it from another one in the same folder; part of the fingerprint


@dataclass(frozen=True)
class Shard:
    """Clips that are prepared and stored together, with the gain in dB of each."""

    name: str
    rows: tuple[SourceRow, ...]
    gains_db: tuple[float, ...]


def speakers(rows: Iterable[SourceRow]) -> dict[str, list[SourceRow]]:
    """Return the rows of every voice, in their order."""
    found: dict[str, list[SourceRow]] = {}
    for row in rows:
        found.setdefault(row.voice, []).append(row)
    return found


def gain_of(job: Job, voice: str, rows: Sequence[SourceRow]) -> tuple[str, float]:
    """Return a voice and the gain in dB of its clips; 0 if levels are left alone.

    Raises:
        MachineFault: a clip cannot be read, and the machine is at fault.
    """
    settings = job.settings
    if settings.loudness == "none":
        return voice, 0.0
    try:
        return voice, speaker_gain_db(job.root, rows, settings.level_db, settings.max_duration_s)
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        if is_of_machine(error):
            raise fault_at(voice, error) from error
        raise


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
        MachineFault: a clip could not be prepared and the machine is at fault, or the disk is full; the shard is not finished.
    """
    unread = sorted(_unread(job, shard))
    if _is_finished(job, shard, unread):
        return shard.name
    torch.set_num_threads(1)
    prepared: list[Prepared] = []
    problems: list[Problem] = []
    for row, gain_db in zip(shard.rows, shard.gains_db, strict=True):
        try:
            prepared.append(prepare_clip(job.root, row, job.settings, gain_db, shard.name, judge, listener))
        except (ValueError, OSError, RuntimeError, MemoryError) as error:  # of reading; writing comes below
            if is_of_machine(error):
                raise fault_at(row.id, error) from error
            if isinstance(error, RuntimeError):
                raise
            problems.append(Problem(row.id, " ".join(str(error).split())))
    _store(job.output, shard.name, prepared)
    record = {
        "fingerprint": _fingerprint(job, shard),
        "rows": [asdict(one.row) for one in prepared],
        "origins": [asdict(one.origin) for one in prepared],
        "problems": [asdict(problem) for problem in problems],
        **({"unread": unread} if unread else {}),
    }
    write_atomically(_record(job, shard), json.dumps(record, ensure_ascii=False))
    return shard.name


def check_shards(job: Job, shards: Iterable[Shard]) -> None:
    """Refuse to go on where finished shards were made from other clips or settings, before any is made.

    Raises:
        ValueError: one was.
    """
    for shard in shards:
        if _record(job, shard).is_file():
            _check_fingerprint(job, shard)


def merge_shards(job: Job, shards: Sequence[Shard], listing: Listing, facts: CorpusFacts) -> dict[str, Any]:
    """Write manifest.jsonl, origins.jsonl, quarantine.jsonl and report.json from finished shards; return the report.

    One shard is in memory at a time.
    """
    tally = _Tally(quarantined=Counter(["listing"] * len(listing.problems)))
    with ExitStack() as files:  # the manifest takes its place last
        manifest, origins, quarantine = (
            files.enter_context(writing(job.output / f"{name}.jsonl")) for name in ("manifest", "origins", "quarantine")
        )
        for problem in listing.problems:
            quarantine.write(json_line({"stage": "listing", **asdict(problem)}))
        for shard in shards:
            record = json.loads(_record(job, shard).read_text(encoding="utf-8"))
            rows = [row_of(row) for row in record["rows"]]
            manifest.writelines(row.to_json() + "\n" for row in rows)
            origins.writelines(map(json_line, record["origins"]))
            quarantine.writelines(json_line({"stage": "preparation", **problem}) for problem in record["problems"])
            tally.add(rows, record["origins"], len(record["problems"]))
        report = tally.report(listing, facts)
        write_atomically(job.output / "report.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return report


def completeness(listing: Listing, facts: CorpusFacts) -> str:
    """Say in one line how much of the published corpus was found, and which splits have nothing."""
    clips, people = listing.published or (facts.clips, facts.speakers)
    found = _of(len(listing.rows), clips, "clips", "published clips", "missing or not usable")
    heard = _of(len({row.speaker for row in listing.rows}), people, "speakers", "speakers", "missing")
    bare = [split for split in SPLITS if all(row.split != split for row in listing.rows)] if listing.rows else []
    without = f"; no clips in the split {' and '.join(bare)}" if bare else ""
    n = len(listing.problems)
    return f"{facts.title}: {found}, {heard}{without}; {f'{n} problems, see quarantine.jsonl' if n else 'no problems'}"


def _of(n: int, published: int | None, counted: str, expected: str, lack: str) -> str:
    if published is None:
        return f"{n} {counted}"
    return f"{n} of {published} {expected}{f' ({published - n} {lack})' if n < published else ''}"


def _store(output: Path, name: str, prepared: Sequence[Prepared]) -> None:
    """Store a shard; what libraries say of a full disk is said in one line.

    Raises:
        MachineFault: it cannot be written.
    """
    import soundfile

    try:
        _write(output, name, prepared)
    except (soundfile.LibsndfileError, SafetensorError, OSError) as error:
        raise MachineFault(
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
    if job.judge_weights is not None:
        content.append(job.judge_weights)
    if any(row.votes is not None for row in shard.rows):
        content.append({"votes": VOTES_FORMAT})
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _record(job: Job, shard: Shard) -> Path:
    return job.output / "shards" / f"{shard.name}.json"


def _check_fingerprint(job: Job, shard: Shard) -> dict[str, Any]:
    """Return the record of a finished shard."""
    record: dict[str, Any] = json.loads(_record(job, shard).read_text(encoding="utf-8"))
    if record["fingerprint"] != _fingerprint(job, shard):
        raise ValueError(f"{_record(job, shard)} {OTHERS}")
    return record


def _unread(job: Job, shard: Shard) -> set[str]:
    """Return languages whose texts have silence for phonemes, as nothing on this machine reads them."""
    return set() if job.settings.needs_text else set(missing_readers(shard.rows, job.settings))


def _is_finished(job: Job, shard: Shard, unread: Sequence[str]) -> bool:
    """Whether the shard need not be made, as it is there and could not be made with more readers now."""
    if not _record(job, shard).is_file():
        return False
    return not set(unread) < set(_check_fingerprint(job, shard).get("unread", ()))


@dataclass
class _Tally:
    """What the report counts, shard by shard."""

    n: int = 0
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))  # by split
    alignment: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    licences: set[str] = field(default_factory=set)
    filled: int = 0

    def add(self, rows: Sequence[ManifestRow], origins: Sequence[Mapping[str, Any]], n_problems: int) -> None:
        """Count a shard."""
        self.n += len(rows)
        for row in rows:
            self.seconds[row.split] += row.duration_s
        self.alignment.update(origin["alignment"] for origin in origins)
        self.filled += sum(any(0.0 < weight < 1.0 for weight in origin["avd_weight"]) for origin in origins)
        self.licences.update(row.licence for row in rows)
        if n_problems:
            self.quarantined["preparation"] += n_problems

    def report(self, listing: Listing, facts: CorpusFacts) -> dict[str, Any]:
        """Return what stands in report.json."""
        return {
            "corpus": facts.title,
            "found": completeness(listing, facts),
            "notes": listing.notes,
            "split_by": facts.split,
            "utterances": self.n,
            "listed": len(listing.rows),
            "quarantined": dict(self.quarantined),
            "hours": {split: round(value / 3_600.0, 3) for split, value in sorted(self.seconds.items())},
            "alignment": dict(sorted(self.alignment.items())),
            "filled_by_recogniser": self.filled,
            "licences": sorted(self.licences),
        }
