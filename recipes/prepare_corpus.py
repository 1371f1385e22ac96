"""Prepare a recorded corpus: list and verify it, then audio, features, phonemes, durations. Options: conf/prepare.

python recipes/prepare_corpus.py corpus=esd root=/data/ESD output=runs/esd [processes=4] [listing_only=true]

Over a cluster, machine i of n is given shard=i/n, all with the same output on a shared disk; the same command without shard
then joins what they made, and makes what is missing. The result is that of one machine, byte for byte.
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
from dataclasses import fields  # noqa: E402
from functools import lru_cache  # noqa: E402
from multiprocessing import get_context, parent_process  # noqa: E402
from pathlib import Path  # noqa: E402
from threading import Thread  # noqa: E402
from typing import Any  # noqa: E402

import hydra  # noqa: E402
from omegaconf import DictConfig, OmegaConf  # noqa: E402
from tqdm import tqdm  # noqa: E402

from emotts.data.alignment import ALIGNERS, LISTENED  # noqa: E402
from emotts.data.corpora.registry import corpus_class  # noqa: E402
from emotts.data.corpora.rows import Corpus, Listing, without_repeats  # noqa: E402
from emotts.data.prepare import (  # noqa: E402
    Job,
    Shard,
    completeness,
    gain_of,
    merge_shards,
    plan_shards,
    prepare_shard,
    relabelled,
    speakers,
    write_listing,
)
from emotts.data.prepare_clip import MelJudge, Settings, SpeechListener  # noqa: E402


@hydra.main(version_base=None, config_path="../conf/prepare", config_name="prepare_corpus")
def main(config: DictConfig) -> None:
    """Run the recipe; a mistake costs one line."""
    try:
        prepare(config)
    except (ValueError, OSError, BrokenExecutor) as error:
        sys.exit(f"prepare_corpus: error: {' '.join(str(error).split())}")


def prepare(config: DictConfig) -> None:
    """List, verify, prepare, merge."""
    # 1. List: what the corpus says of its clips.
    own = own_part(config.shard)
    corpus = build_corpus(config.corpus)
    settings = Settings(**checked("settings", config.settings, Settings))
    if config.aligner not in ALIGNERS:
        raise ValueError(f"aligner must be one of {', '.join(ALIGNERS)}; got {config.aligner!r}.")
    if config.aligner == LISTENED and not config.listing_only:
        load_listener_once()  # says at once if there is none
    root, output = Path(str(config.root)), Path(str(config.output))
    job = Job(root.resolve(), output, settings, config.judge, config.aligner)
    started = time.perf_counter()
    listing = corpus.read(root)
    labels: Any = OmegaConf.to_container(config.relabel) if config.relabel else {}
    rows, repeats = without_repeats(relabelled(listing.rows, labels))
    listing = Listing(rows, listing.problems + repeats, listing.notes)
    write_listing(output, listing)
    print(completeness(listing, corpus.facts), *listing.notes, sep="\n", file=sys.stderr)
    print(f"listed {len(rows) / max(time.perf_counter() - started, 1e-9):.0f} clips a second", file=sys.stderr)
    if not rows:
        raise ValueError(f"{corpus.facts.title}: no clip can be used; {output / 'quarantine.jsonl'} says why.")
    if config.listing_only:
        return

    # 2. Level: one gain per speaker. 3. Prepare: finished shards are skipped.
    with workers(config.processes) as pool:
        drafts = plan_shards(rows, dict.fromkeys(speakers(rows), 0.0), config.shard_size)[own]
        needed = {row.voice for shard in drafts for row in shard.rows}
        people = [(job, voice, part) for voice, part in speakers(rows).items() if voice in needed]
        gains = dict.fromkeys(speakers(rows), 0.0) | dict(run(pool, gain_of, people, "speaker"))
        shards = plan_shards(rows, gains, config.shard_size)[own]
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
def load(judge: str) -> MelJudge:
    """Load the recogniser once per process."""
    from emotts.judges import load_judge

    return load_judge("recognizer", None if judge == "bundled" else judge)  # type: ignore[return-value]


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


def end_with_parent() -> None:
    """Let a worker end when the main process was killed; it would wait for ever for the next shard."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


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
    from start import CONF, spell_out

    spell_out("prepare_corpus", CONF / "prepare")
    main()
