"""What a recipe is judged on: corpora come in; what is trained on and what is held out go out.

That is the split valid. Where a corpus has none, or where a model of named voices would know none of them, a part of train is held
out instead, the same one every time, and a line says so.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotts.data.dataset import Corpus, chosen_rows, load_corpora
from emotts.data.features import IN_MEMORY_GB
from emotts.data.rows import Rows, open_rows

SHARE = 20  # one row of so many is held out
MOST = 5  # where sentences of one share more than a row of so many, clips are held out in place of sentences
SILENT = 2  # tokens of a row without a text: silence at both ends


@dataclass(frozen=True)
class HeldOut:
    """A part of some rows: which [R], and whether it is whole sentences, which no other row says, or clips."""

    mask: np.ndarray
    unit: str


def hold_out(rows: Rows, share: int = SHARE) -> HeldOut:
    """Choose one of `share` rows by the order of hashes, whole sentences if there are enough; every voice keeps a row.

    Args:
        rows: [R], of the split train.

    Raises:
        ValueError: no voice has two rows.
    """
    codes, names = rows.codes("voice")
    n = max(1, len(rows) // share)
    mask = _sentences(rows, n)
    mask &= (np.bincount(codes[~mask], minlength=len(names)) > 0)[codes]  # a voice that would have nothing left
    texts = rows.column("text")
    mask &= ~np.isin(texts, texts[~mask])  # what such a voice says
    if mask.any() and mask.sum() * MOST <= len(rows):
        return HeldOut(mask, "sentences")
    order = np.argsort(rows.column("checksum"), kind="stable")  # of the lines of the manifest
    last = {code: i for i, code in enumerate(codes[order].tolist())}
    mask = np.zeros(len(rows), bool)
    mask[np.delete(order, list(last.values()))[:n]] = True
    if not mask.any():
        raise ValueError(
            "every voice of train has one clip, so none can be held out; give some rows the split 'valid'."
        )
    return HeldOut(mask, "clips")


def _sentences(rows: Rows, n: int) -> np.ndarray:
    """Choose the first sentences by their hashes that n rows or more say [R]; rows without a text are of no sentence."""
    mask = np.zeros(len(rows), bool)
    said = np.flatnonzero(rows.column("n_tokens") > SILENT)
    _, place, counts = np.unique(rows.column("text")[said], return_inverse=True, return_counts=True)
    mask[said] = place <= np.searchsorted(np.cumsum(counts), n)
    return mask


def read_train_and_valid(
    folder: str | Path | Sequence[str | Path], voices: Sequence[str] | None = None, in_memory_gb: float = IN_MEMORY_GB
) -> tuple[Corpus, Corpus]:
    """Read what a model with named voices learns from and what it is judged on: other utterances of the same voices.

    Args:
        folder: of the corpus, or several.
        voices: names; None takes those of the split train, in alphabetical order.

    Raises:
        ValueError: nothing can be learnt from.
    """
    there = chosen_rows(folder, "train")[0] if voices is None else None
    names = list(voices or sorted((there or open_rows(folder).of("train")).names("voice")))
    train = Corpus(folder, "train", names, in_memory_gb=in_memory_gb)
    heard = train.rows.names("voice")
    if len(chosen_rows(folder, "valid", heard)[0]):
        valid = Corpus(folder, "valid", heard, in_memory_gb=in_memory_gb)
        valid.voices = names
        return train, valid
    part = hold_out(train.rows)
    why = "has the voices of train" if len(open_rows(folder).of("valid")) else "is there"
    tell(_named(folder), part, f"none of the split valid {why}")
    return train.taken(np.flatnonzero(~part.mask).tolist()), train.taken(np.flatnonzero(part.mask).tolist())


def load_train_and_valid(
    folders: Sequence[str | Path], max_frames: int, in_memory_gb: float, split: str = "valid"
) -> tuple[list[Corpus], list[Corpus]]:
    """Load the corpora that a model of any voice learns from, and those that it is judged on: `split`, else valid, whoever speaks.

    Raises:
        ValueError: nothing can be learnt from.
    """
    train = load_corpora(folders, "train", max_frames, in_memory_gb)
    if not train:
        raise ValueError(f"{_named(folders)} has no rows of the split 'train'; prepare it with another corpus.fold.")
    for each in dict.fromkeys((split, "valid")):
        if valid := load_corpora(folders, each, max_frames, in_memory_gb):
            return train, valid
    parts = [hold_out(corpus.rows) for corpus in train]
    for corpus, part in zip(train, parts, strict=True):
        tell(_named([index.manifest.parent for index in corpus.rows.indexes]), part, "none of the split valid is there")
    held = [corpus.taken(np.flatnonzero(part.mask).tolist()) for corpus, part in zip(train, parts, strict=True)]
    return [c.taken(np.flatnonzero(~p.mask).tolist()) for c, p in zip(train, parts, strict=True)], held


def open_train_and_valid(folder: str | Path | Sequence[str | Path]) -> tuple[Rows, Rows]:
    """Return the rows that a vocoder learns from and those that it is judged on, with or without a text.

    Raises:
        ValueError: there is nothing to learn from.
    """
    rows = open_rows(folder, with_features=True)
    train, valid = rows.of("train"), rows.of("valid")
    if not len(train):
        raise ValueError(f"{_named(folder)} has no rows of the split 'train'; prepare it with another corpus.fold.")
    if len(valid):
        return train, valid
    part = hold_out(train)
    tell(_named(folder), part, "none of the split valid is there")
    return train.taken(~part.mask), train.taken(part.mask)


def tell(name: str, part: HeldOut, why: str) -> None:
    """Print what was held out, once in a run of several processes."""
    if os.environ.get("RANK", "0") == "0":
        print(
            f"{name}: {why}; {int(part.mask.sum())} of {len(part.mask)} rows of train are held out, by {part.unit}.",
            flush=True,
        )


def _named(folder: str | Path | Sequence[str | Path]) -> str:
    return str(folder) if isinstance(folder, str | Path) else ", ".join(str(each) for each in folder)
