"""Prepare a recorded corpus: list and verify it, then audio, features, phonemes, durations. Options: conf/prepare.

python recipes/prepare_corpus.py corpus=esd root=/data/ESD output=runs/esd [processes=4] [listing_only=true]

Over a cluster, job i of n is given shard=i/n, all with the same output on a shared disk; -m +launch=slurm shard=1/2,2/2 starts two.
The same command without shard then joins what they made, and makes what is missing. The result is that of one machine, byte for
byte.
"""

from __future__ import annotations

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})  # before NumPy

import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator, Sequence  # noqa: E402
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed  # noqa: E402
from contextlib import AbstractContextManager, nullcontext  # noqa: E402
from dataclasses import fields, replace  # noqa: E402
from functools import lru_cache  # noqa: E402
from multiprocessing import get_context  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from omegaconf import DictConfig, OmegaConf  # noqa: E402
from tqdm import tqdm  # noqa: E402

from emotts.data.alignment import ALIGNERS, EXPECTED, LISTENED  # noqa: E402
from emotts.data.corpora.registry import corpus_class  # noqa: E402
from emotts.data.corpora.rows import Corpus, CorpusFacts, SourceRow, without_repeats  # noqa: E402
from emotts.data.faults import MachineFault, fault_at, is_of_machine  # noqa: E402
from emotts.data.prepare import (  # noqa: E402
    Job,
    Shard,
    check_shards,
    completeness,
    gain_of,
    merge_shards,
    plan_shards,
    prepare_shard,
    speakers,
)
from emotts.data.prepare_clip import Settings, SpeechListener  # noqa: E402
from emotts.data.prepare_listing import (  # noqa: E402
    check_apart,
    check_listing,
    is_begun,
    make_folder,
    relabelled,
    write_listing,
)
from emotts.data.prepare_needs import check_needs  # noqa: E402
from emotts.workers import end_with_parent  # noqa: E402

if TYPE_CHECKING:
    from emotts.emotion.listening import RecognizerJudge


def main(config: DictConfig) -> None:
    """List, verify, prepare, merge.

    Raises:
        ValueError: a mistake in the options, or a folder that is not this corpus.
        OSError: a file is missing, or the machine is at fault.
    """
    try:
        prepare(config)
    except BrokenExecutor:
        raise MachineFault(
            "a worker was ended by the system, perhaps for want of memory: run the same command again with fewer processes."
        ) from None
    except OSError as error:
        if isinstance(error, MachineFault) or not is_of_machine(error):
            raise
        raise fault_at(str(config.output), error) from error


def prepare(config: DictConfig) -> None:
    """Do the work of `main`."""
    # 1. List: what the corpus says of its clips. Nothing is written before all of it is known to be right.
    own = own_part(config.shard)
    processes = count("processes", config.processes)
    shard_size = count("shard_size", config.shard_size)
    corpus = build_corpus(config.corpus)
    settings = Settings(**checked("settings", config.settings, Settings))
    if config.aligner not in ALIGNERS:
        raise ValueError(f"aligner must be one of {', '.join(ALIGNERS)}; got {config.aligner!r}.")
    root, output = Path(str(config.root)), Path(str(config.output))
    check_apart(root, output)
    job = Job(root.resolve(), output, settings, config.judge, config.aligner, None)
    if not config.listing_only:
        job = heard_by(job)
    started = time.perf_counter()
    listing = corpus.read(root)
    labels: Any = OmegaConf.to_container(config.relabel) if config.relabel else {}
    rows, repeats = without_repeats(relabelled(listing.rows, labels))
    listing = replace(listing, rows=rows, problems=listing.problems + repeats)
    check_listing(output, listing)
    make_folder(output)
    if config.listing_only or not is_begun(output):
        write_listing(output, listing)
    print(completeness(listing, corpus.facts), *listing.notes, sep="\n", file=sys.stderr)
    print(f"listed {len(rows) / max(time.perf_counter() - started, 1e-9):.0f} clips a second", file=sys.stderr)
    if not rows:
        raise ValueError(f"{corpus.facts.title}: no clip can be used; {output / 'quarantine.jsonl'} says why.")
    if config.listing_only:
        return
    check_texts(rows, settings, corpus.facts)
    for line in check_needs(rows, settings):
        print(line, file=sys.stderr)

    # 2. Level: one gain per speaker. 3. Prepare: finished shards are skipped.
    with workers(processes) as pool:
        drafts = plan_shards(rows, dict.fromkeys(speakers(rows), 0.0), shard_size)[own]
        needed = {row.voice for shard in drafts for row in shard.rows}
        people = [(job, voice, part) for voice, part in speakers(rows).items() if voice in needed]
        gains = dict.fromkeys(speakers(rows), 0.0) | dict(run(pool, gain_of, people, "speaker"))
        shards = plan_shards(rows, gains, shard_size)[own]
        check_shards(job, shards)
        for _ in run(pool, work, [(job, shard) for shard in shards], "shard"):
            pass
    if config.shard is not None:
        print(f"{len(shards)} shards of part {config.shard} are done; without shard= they are joined.", file=sys.stderr)
        return

    # 4. Merge.
    report = merge_shards(job, shards, listing, corpus.facts)
    print(json.dumps(report, indent=2, ensure_ascii=False))
    if not report["utterances"]:
        raise ValueError(f"{corpus.facts.title}: no clip could be prepared; {output / 'quarantine.jsonl'} says why.")
    if unheard := report["alignment"].get(EXPECTED):
        print(expected_line(unheard, rows), file=sys.stderr)


def check_texts(rows: Sequence[SourceRow], settings: Settings, facts: CorpusFacts) -> None:
    """Refuse a corpus without texts where texts are needed, before any clip is decoded for nothing."""
    if settings.needs_text and all(row.text is None for row in rows):
        raise ValueError(
            f"{facts.title}: none of its {len(rows)} clips has a text, so no clip could be prepared; "
            "settings.needs_text=false keeps them, for recognisers and vocoders only."
        )


def expected_line(unheard: int, rows: Sequence[SourceRow]) -> str:
    """Say how many durations are guesses, and how to have them heard."""
    english = {row.language.partition("-")[0] for row in rows} == {"en"}
    remedy = "aligner=listened hears them" if english else "aligner=listened hears English"
    return (
        f"{unheard} clips have expected durations, each phoneme its usual share of the speech: nothing heard them. {remedy}, "
        "settings.textgrids=FOLDER takes those of an aligner such as MFA, both into another output. For recognisers it is enough."
    )


def heard_by(job: Job) -> Job:
    """Load what will hear the clips, so that it is told at once if there is none; return the job with the judge's weights named."""
    if job.aligner == LISTENED:
        load_listener_once()
    if job.judge is None:
        return job
    from emotts.listeners import fingerprint

    return replace(job, judge_weights=fingerprint(load(job.judge).model))


def own_part(shard: str | None) -> slice:
    """Return which shards this machine prepares: of "i/n" every n-th from the i-th, all if there is none.

    Raises:
        ValueError: it is not such a text.
    """
    if shard is None:
        return slice(None)
    number, _, count = str(shard).partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ValueError(f"shard must be i/n, such as 2/8 for the second of eight machines; got {shard!r}.")
    return slice(int(number) - 1, None, int(count))


def count(name: str, value: Any) -> int:
    """Return an option that counts something.

    Raises:
        ValueError: it is no whole number from 1 on.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be 1 or more; got {value!r}.")
    return value


def build_corpus(config: DictConfig) -> Corpus:
    """Return the loader that a file in conf/prepare/corpus describes; only those of the registry can be named."""
    name = str(config.name)
    loader: Any = corpus_class(name)
    values = checked("corpus", config, loader, "name")
    return loader(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def checked(group: str, config: DictConfig, target: Any, *others: str) -> dict[str, Any]:
    """Return the values of a group without `others`.

    Raises:
        ValueError: a key is unknown.
    """
    values: Any = OmegaConf.to_container(config, resolve=True)
    known = [field.name for field in fields(target)]
    for key in values:
        if key not in (*known, *others):
            raise ValueError(f"{group}.{key} is unknown; expected one of {', '.join(known) or 'nothing'}.")
    return {key: value for key, value in values.items() if key not in others}


def work(job: Job, shard: Shard) -> str:
    """Prepare one shard in a worker."""
    judge = None if job.judge is None else load(job.judge)
    return prepare_shard(job, shard, judge, load_listener_once() if job.aligner == LISTENED else None)


@lru_cache(maxsize=1)
def load(judge: str) -> RecognizerJudge:
    """Load the recogniser once per process.

    Raises:
        ValueError: the folder holds none, or one that does not read mels.
        FileNotFoundError: there is no such folder.
    """
    from emotts.emotion.listening import RecognizerJudge
    from emotts.judges import load_judge

    found = load_judge("recognizer", None if judge == "bundled" else judge)
    if not isinstance(found, RecognizerJudge) or found.encoder is not None:
        raise ValueError(
            f"judge {judge!r} reads a frozen encoder; clips are heard by one that reads mels, such as bundled."
        )
    return found


@lru_cache(maxsize=1)
def load_listener_once() -> SpeechListener:
    """Load what hears phonemes once per process."""
    from emotts.listeners import load_listener

    return load_listener()


def workers(processes: int) -> AbstractContextManager[Executor | None]:
    """Return a pool of processes, or None where this one does the work."""
    if processes <= 1:
        return nullcontext()
    return ProcessPoolExecutor(processes, get_context("spawn"), initializer=end_with_parent)


def run(
    pool: Executor | None, task: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], unit: str
) -> Iterator[Any]:
    """Give the results of a task as they are done, in the pool or in this process, with a progress bar."""
    with tqdm(total=len(arguments), unit=unit) as bar:
        if pool is None:
            for each in arguments:
                yield task(*each)
                bar.update()
            return
        jobs = [pool.submit(task, *each) for each in arguments]
        try:
            for done in as_completed(jobs):
                yield done.result()
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


if __name__ == "__main__":
    from start import CONF
    from start import run as start

    start("prepare_corpus", CONF / "prepare")
