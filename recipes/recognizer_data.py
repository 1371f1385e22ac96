"""What the recogniser learns from and what it is measured on: one or several corpora come in, their parts go out as clips.

A recorded corpus is split as its manifest says. A simulated one, and any whose voices are named, is split by voice and sentence, so
that the judge of features (train_judge.py) has other voices and other sentences.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from held_out import SILENT, hold_out, tell
from omegaconf import DictConfig

from emotts.data.clips import Clips, tracked_f0
from emotts.data.index_build import number_of
from emotts.data.manifest import SPLITS, UNLABELLED
from emotts.data.rows import Rows, open_rows

CALIBRATED = 10  # one clip of so many of train calibrates where no row has the split valid
WANTED = {  # what a part takes when voices are named
    "train": "the recogniser's half of the sentences of the split train, said by `voices`",
    "calibration": "the other half of them, said by `held_out`",
    "test": "rows of valid or test, said by `held_out`",
    "own_voices": "rows of valid or test, said by `voices`",
}


@dataclass(frozen=True)
class Parts:
    """The clips of a run, by what they are for.

    Attributes:
        train: learnt from.
        calibration: sets the temperatures.
        test: measured; its neutral clips of `calibration` tell the voice, or in a recorded corpus some of its own do.
        own_voices: other sentences of the voices of train, where voices are named; else None.
    """

    train: Clips
    calibration: Clips
    test: Clips
    own_voices: Clips | None = None

    @property
    def is_by_split(self) -> bool:
        """Whether the manifest's own split counts."""
        return self.own_voices is None

    def items(self) -> Iterator[tuple[str, Clips]]:
        """Give the names of the parts that there are, and their clips."""
        for field in fields(self):
            if (part := getattr(self, field.name)) is not None:
                yield field.name, part


def is_recognizer_text(text: str) -> bool:
    """Whether a sentence is the recogniser's to train on; the others are the features judge's."""
    return bool(is_recognizer_number(np.array(number_of(text), np.uint64)))


def is_recognizer_number(numbers: np.ndarray) -> np.ndarray:
    """As is_recognizer_text, of the numbers that sentences have in the index of a corpus."""
    return numbers % np.uint64(2) == 0


def parts_of(config: DictConfig) -> Parts:
    """Read and split the corpora of a configuration.

    Raises:
        ValueError: a part would be empty; the message says which and what it takes.
    """
    from emotts.emotion.backbones import load_backbone

    folders = [config.corpus] if isinstance(config.corpus, str) else list(config.corpus)
    rows = open_rows(folders, with_features=True)
    is_simulated = simulated(rows) if config.is_simulated is None else np.full(len(rows), bool(config.is_simulated))
    named = named_voices(config, bool(is_simulated.all()))
    picks = by_split(rows, folders) if named is None else by_voice(rows, folders, *named)
    encoder = None if config.backbone is None else load_backbone(config.backbone)
    f0 = simulated_f0(rows, np.concatenate([picks[name] for name in picks]), Path(config.output))
    return Parts(
        **{
            name: Clips(folders[0], rows.taken(some), f0, encoder, is_simulated[some], config.in_memory_gb)
            for name, some in picks.items()
        }
    )


def simulated(rows: Rows) -> np.ndarray:
    """Mark rows that no recording is known of [R]: prepare_corpus.py writes an origin for every one, simulate_corpus.py none."""
    return rows.column("corpus") < 0


def named_voices(config: DictConfig, is_simulated: bool) -> tuple[list[str], list[str]] | None:
    """Return the patterns of the voices to train on and to measure on, None where the manifest's split counts.

    Raises:
        ValueError: only one of the two is given.
    """
    given = [name for name in ("voices", "held_out") if config[name] is not None]
    if len(given) == 1:
        raise ValueError(f"voices and held_out belong together; only {given[0]} is given.")
    source = config if given else config.simulated if is_simulated else None
    return None if source is None else (list(source.voices), list(source.held_out))


def by_voice(
    rows: Rows, folders: Sequence[str], voices: Sequence[str], held_out: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return the numbers of the rows of every part, by voices and sentences; a row without a text is of both halves.

    Raises:
        ValueError: a part would be empty.
    """
    everybody = sorted(rows.of("train").names("voice"))
    codes, names = rows.codes("voice")
    own, strange = (
        np.array([name in everybody and any(fnmatch(name, one) for one in some) for name in names], bool)[codes]
        for some in (voices, held_out)
    )
    is_train = rows.column("split") == SPLITS.index("train")
    is_mine, is_silent = is_recognizer_number(rows.column("text")), rows.column("n_tokens") <= SILENT
    chosen = {
        "train": own & is_train & (is_mine | is_silent),
        "calibration": strange & is_train & (~is_mine | is_silent),
        "test": strange & ~is_train,
        "own_voices": own & ~is_train,
    }
    if empty := [f"{name} ({WANTED[name]})" for name, mask in chosen.items() if not mask.any()]:
        raise ValueError(
            f"{_named(folders)} has no rows for {', '.join(empty)}. The voices of its split train are {_some(everybody)}: name "
            "some of them by voices= and others by held_out=; or of recordings leave voices and held_out out, or give "
            "is_simulated=false: then the split itself counts."
        )
    return {name: np.flatnonzero(mask) for name, mask in chosen.items()}


def by_split(rows: Rows, folders: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the numbers of the rows of every part by the manifest's split, without those that say nothing of emotion.

    Raises:
        ValueError: a part would be empty.
    """
    codes, names = rows.codes("emotion")
    is_labelled = codes != (names.index(UNLABELLED) if UNLABELLED in names else -1)
    is_told = is_labelled | (rows.column("trust") >= 1.0).any(axis=1)
    split = rows.column("split")
    train, valid, test = (np.flatnonzero(is_told & (split == SPLITS.index(name))) for name in SPLITS)
    if empty := [name for name, part in (("train", train), ("test", test)) if not len(part)]:
        raise ValueError(
            f"{_named(folders)} has no rows of the split {' or '.join(empty)} that have a label, votes or ratings. The recogniser "
            "learns from train, is calibrated on valid and measured on test; prepare with another corpus.fold, corpus.split or "
            "column split, or name voices and held_out."
        )
    if not len(valid):
        part = hold_out(rows.taken(train), CALIBRATED)
        tell(_named(folders), part, "none of the split valid is there to calibrate on")
        train, valid = train[~part.mask], train[part.mask]
    shared = set(rows.taken(train).names("voice")) & set(rows.taken(test).names("voice"))
    if shared and os.environ.get("RANK", "0") == "0":
        print(
            f"{_named(folders)}: {len(shared)} voices of test are voices of train; figures say less of strangers.",
            flush=True,
        )
    return {"train": train, "calibration": valid, "test": test}


def simulated_f0(rows: Rows, picks: np.ndarray, output: Path) -> Mapping[str, np.ndarray]:
    """Return the F0 that a tracker hears in those rows whose shards hold the F0 that a teacher was told, kept in `output`.

    Raises:
        ValueError: two corpora have a row of one name.
    """
    f0: dict[str, np.ndarray] = {}
    is_told = simulated(rows)
    for k, index in enumerate(rows.indexes):
        some = [int(i) for i in picks if is_told[i] and rows.place_of(int(i))[0] == k]
        if not some:
            continue
        name = "f0.safetensors" if len(rows.indexes) == 1 else f"f0-{k}.safetensors"
        found = tracked_f0(index.manifest.parent, (rows[i] for i in some), output / name)
        if twice := f0.keys() & found.keys():
            raise ValueError(f"two simulated corpora have a row {min(twice)!r}; make one of them with other voices.")
        f0 |= found
    return f0


def _named(folders: Sequence[str]) -> str:
    return ", ".join(folders)


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} others" if len(names) > most else "")
