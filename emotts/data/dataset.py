"""Manifest rows to training batches, chosen by (seed, step) alone, so that a resumed run sees what an unbroken one would.

Comes in: corpus folders with manifest.jsonl, feature shards and maybe origins.jsonl. Goes out: padded tensors of whole utterances,
bucketed by length.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emotts.data.batch_plan import FRAME_STEP
from emotts.data.features import IN_MEMORY_GB, arrays_of, held_gb, load_features, taken
from emotts.data.manifest import ManifestRow
from emotts.data.rows import Rows, open_rows
from emotts.emotion.labels import LABEL_INDEX, LABELS
from emotts.text.symbols import N_MARKS, encode

TOKEN_STEP = 8  # numbers of tokens are rounded up to this, so that few tensor shapes occur
UNVOICED_F0_WEIGHT = 0.2
MAX_FRAMES = 1_000  # of an utterance that is learnt from
REGISTER_ROWS = 400  # of a voice, that tell how high it speaks
ROWS_AT_ONCE = 20_000  # whose F0 is held
ENERGY_FLOOR = -4.0  # natural log, 40 dB below vowels; or the depth of silences would hide how loud speech is


@dataclass
class Utterance:
    """One row, ready to be padded. Arrays per token [N] or per frame [T]; avd_trust [3] from 0, unknown, to 1, rated."""

    phonemes: np.ndarray
    stresses: np.ndarray
    durations: np.ndarray
    features: np.ndarray
    feature_weight: np.ndarray
    f0: np.ndarray
    contour: np.ndarray
    mel: np.ndarray
    labels: np.ndarray
    label_known: bool
    avd: np.ndarray
    avd_trust: np.ndarray
    voice: int


@dataclass
class Batch:
    """Padded utterances; attributes as in Utterance with a leading B axis, real lengths, and avd_known where trust is not 0."""

    phonemes: Tensor
    stresses: Tensor
    token_lengths: Tensor
    durations: Tensor
    features: Tensor
    feature_weight: Tensor
    f0: Tensor
    contour: Tensor
    mel: Tensor
    labels: Tensor
    label_known: Tensor
    avd: Tensor
    avd_known: Tensor
    avd_trust: Tensor
    voice: Tensor


def fill_unvoiced(f0: np.ndarray) -> np.ndarray:
    """Return log2 F0 [T] with unvoiced frames interpolated; nan everywhere if nothing is voiced."""
    voiced = np.flatnonzero(f0 > 0)
    if not len(voiced):
        return np.full(len(f0), np.nan)
    return np.interp(np.arange(len(f0)), voiced, np.log2(f0[voiced]))


def token_features(durations: np.ndarray, log_f0: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Return log frames, the mean log F0 of each half, and the mean log energy per token [N, 4]."""
    ends = np.cumsum(durations)
    starts = ends - durations
    middle = starts + durations / 2.0
    sums = {name: np.concatenate([[0.0], np.cumsum(values)]) for name, values in (("f0", log_f0), ("energy", energy))}
    grid = np.arange(len(log_f0) + 1)

    def mean(name: str, values: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        area = np.interp(right, grid, sums[name]) - np.interp(left, grid, sums[name])
        point = values[np.clip(left.astype(int), 0, len(values) - 1)]
        return np.where(right > left, area / np.maximum(right - left, 1e-9), point)

    return np.stack(
        [
            np.log(durations + 0.5),
            mean("f0", log_f0, starts, middle),
            mean("f0", log_f0, middle, ends),
            mean("energy", energy, starts, ends),
        ],
        axis=-1,
    )


def anchor_line(features: np.ndarray, durations: np.ndarray, n_frames: int) -> np.ndarray:
    """Return the line [T] through the anchors at a quarter and three quarters of each token."""
    spoken = durations > 0
    lasting = durations[spoken]
    start = np.cumsum(lasting) - lasting
    times = np.stack([start + 0.25 * lasting, start + 0.75 * lasting], axis=-1).ravel()
    return np.interp(np.arange(n_frames) + 0.5, times, features[spoken, 1:3].ravel())


def chosen_rows(
    folder: str | Path | Sequence[str | Path],
    split: str,
    voices: Sequence[str] | None = None,
    max_frames: int = MAX_FRAMES,
) -> tuple[Rows, dict[str, int]]:
    """Return the rows of a split, and of some voices, that speech can be learnt from, and how many were left out by reason."""
    rows = open_rows(folder, with_features=True).of(split, voices)
    is_long, is_silent = rows.column("n_frames") > max_frames, rows.column("n_tokens") <= 2
    left_out = {"long": int(is_long.sum()), "without a text": int(is_silent.sum())}
    return rows.taken(~is_long & ~is_silent), left_out


class Corpus:
    """All utterances of one split of one or several corpora; mels are float16.

    Rows are mapped, see index.py; features are in memory or read when needed.
    """

    def __init__(
        self,
        folder: str | Path | Sequence[str | Path],
        split: str,
        voices: Sequence[str],
        max_frames: int = MAX_FRAMES,
        in_memory_gb: float = IN_MEMORY_GB,
    ) -> None:
        """Read the rows of a split.

        Args:
            folder: of the corpus, or several; a voice that several have is one voice.
            split: "train", "valid" or "test".
            voices: names; their order gives the numbers of voices in batches.
            max_frames: longer utterances are left out, and so are those without a text; `left_out` counts both.
            in_memory_gb: features that are more than this are read from the disk whenever a batch needs them.

        Raises:
            ValueError: no row is left, or one of the manifest or of the features is wrong.
        """
        self.voices = list(voices)
        self.n_marks = N_MARKS  # how many a model knows that learns from it
        self.rows, self.left_out = chosen_rows(folder, split, voices, max_frames)
        if not len(self.rows):
            names = str(folder) if isinstance(folder, str | Path) else ", ".join(str(each) for each in folder)
            left_out = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
            raise ValueError(
                f"{names} has no rows of split {split!r} for voices {_some(voices)} that speech can be learnt from "
                f"(left out: {left_out}); prepare it with texts, shorter clips or another corpus.fold."
            )
        self.raw = load_features(self.rows, in_memory_gb)

    @cached_property
    def mean_log_f0(self) -> dict[str, float]:
        """Mean log2 F0 of each voice over its first neutral rows, or over its first rows where it has no neutral ones."""
        codes, names = self.rows.codes("voice")
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(names)))
        is_neutral = self.rows.column("label") == LABELS.index("neutral")
        picks: dict[str, np.ndarray] = {}
        for name, begin, end in zip(names, [0, *ends[:-1]], ends, strict=True):
            rows = order[begin:end]
            neutral = rows[is_neutral[rows]]
            picks[name] = (neutral if len(neutral) else rows)[:REGISTER_ROWS]
        means = dict.fromkeys(self.voices, 7.3)
        spoken = [voice for voice in means if len(picks.get(voice, ()))]
        while spoken:  # the voices together whose rows lie together, as many as fit
            ends = np.cumsum([len(picks[voice]) for voice in spoken])
            some = spoken[: max(1, int(np.searchsorted(ends, ROWS_AT_ONCE)))]
            spoken = spoken[len(some) :]
            f0 = iter(arrays_of(self.raw, np.concatenate([picks[voice] for voice in some]).tolist(), "f0"))
            for voice in some:
                values = [np.log2(f[f > 0]) for f in (next(f0) for _ in picks[voice]) if (f > 0).any()]
                if values:
                    means[voice] = float(np.concatenate(values).mean())
        return means

    @property
    def voices(self) -> list[str]:
        """Names; their order gives the numbers of voices in batches."""
        return self._voices

    @voices.setter
    def voices(self, names: Sequence[str]) -> None:
        self._voices = list(names)
        self._number = {name: k for k, name in reversed(list(enumerate(names)))}

    @property
    def lengths(self) -> np.ndarray:
        """Frames of every utterance [R]."""
        return self.rows.column("n_frames")

    def __len__(self) -> int:
        return len(self.rows)

    def taken(self, picks: Sequence[int]) -> "Corpus":
        """Return some of the utterances; registers of voices stay."""
        part = copy(self)
        part.rows, part.raw, part.mean_log_f0 = self.rows.taken(picks), taken(self.raw, picks), self.mean_log_f0
        return part

    def spread(self, n: int) -> "Corpus":
        """Return n of the utterances, spread over all; registers of voices stay."""
        return self.taken(np.linspace(0, len(self) - 1, min(n, len(self))).astype(int).tolist())

    def renamed(self, names: Mapping[str, str], voices: Sequence[str], mean_log_f0: Mapping[str, float]) -> "Corpus":
        """Return the utterances with other names of voices, numbered as in `voices`, at these registers."""
        part = copy(self)
        part.rows, part.voices, part.mean_log_f0 = self.rows.renamed(names), list(voices), dict(mean_log_f0)
        return part

    def utterance(self, i: int) -> Utterance:
        """Return row i with its token features."""
        row: ManifestRow = self.rows[i]
        raw = self.raw[i]
        durations = np.asarray(row.durations, np.int64)
        mean = self.mean_log_f0[row.voice]
        log_f0 = fill_unvoiced(raw["f0"])
        log_f0 = np.where(np.isnan(log_f0), 0.0, log_f0 - mean)
        features = token_features(durations, log_f0, np.maximum(raw["energy"].astype(np.float64), ENERGY_FLOOR))
        voiced_share = token_features(durations, (raw["f0"] > 0).astype(float), np.zeros(len(log_f0)))[:, 1:3]
        weight = np.ones_like(features)
        weight[:, 1:3] = np.where(voiced_share > 0.3, 1.0, UNVOICED_F0_WEIGHT)
        labels = np.zeros((len(durations), len(LABELS)), np.float32)
        if row.mixture is not None:
            labels[:] = raw["labels"]
        elif row.label is not None and row.label != "neutral":
            labels[:, LABEL_INDEX[row.label]] = row.intensity
        phonemes, stresses = encode(row.phonemes, self.n_marks)
        return Utterance(
            np.asarray(phonemes),
            np.asarray(stresses),
            durations,
            features.astype(np.float32),
            weight.astype(np.float32),
            raw["f0"],
            anchor_line(features, durations, row.n_frames).astype(np.float32),
            raw["mel"],
            labels,
            row.label is not None or row.mixture is not None,
            raw["avd"].astype(np.float32),
            self.rows.trust(i),
            self._number[row.voice],
        )


def _some(names: Sequence[str], most: int = 8) -> str:
    """Return the first names of a list in words."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} others" if len(names) > most else "") or "of any name"


def load_corpora(
    folders: Sequence[str | Path], split: str, max_frames: int, in_memory_gb: float = IN_MEMORY_GB
) -> list[Corpus]:
    """Load a split of every corpus that has it, with all its voices; `in_memory_gb` is for all of them, the first ones first."""
    found: list[Corpus] = []
    for folder in folders:
        voices = sorted(open_rows(folder).of(split).names("voice"))
        if voices:
            left = max(0.0, in_memory_gb - sum(held_gb(corpus.raw) for corpus in found))
            found.append(Corpus(folder, split, voices, max_frames, left))
    return found


def collate(items: Sequence[Utterance]) -> Batch:
    """Pad utterances to common lengths, rounded up to FRAME_STEP and TOKEN_STEP."""
    n_tokens = -(-max(len(u.phonemes) for u in items) // TOKEN_STEP) * TOKEN_STEP
    n_frames = -(-max(len(u.f0) for u in items) // FRAME_STEP) * FRAME_STEP

    def pad(name: str, length: int, dtype: torch.dtype) -> Tensor:
        first = getattr(items[0], name)
        out = torch.zeros((len(items), length, *first.shape[1:]), dtype=dtype)
        for row, item in zip(out, items, strict=True):
            value = torch.from_numpy(np.ascontiguousarray(getattr(item, name)))
            row[: len(value)] = value
        return out

    def per_token(value: Tensor) -> Tensor:
        return value[:, None].expand(-1, n_tokens, *value.shape[1:]).contiguous()

    trust = torch.from_numpy(np.stack([u.avd_trust for u in items])).float()
    return Batch(
        phonemes=pad("phonemes", n_tokens, torch.int64),
        stresses=pad("stresses", n_tokens, torch.int64),
        token_lengths=torch.tensor([len(u.phonemes) for u in items]),
        durations=pad("durations", n_tokens, torch.int64),
        features=pad("features", n_tokens, torch.float32),
        feature_weight=pad("feature_weight", n_tokens, torch.float32),
        f0=pad("f0", n_frames, torch.float32),
        contour=pad("contour", n_frames, torch.float32),
        mel=pad("mel", n_frames, torch.float32),
        labels=pad("labels", n_tokens, torch.float32),
        label_known=per_token(torch.tensor([u.label_known for u in items])),
        avd=pad("avd", n_tokens, torch.float32),
        avd_known=per_token(trust > 0.0),
        avd_trust=trust,
        voice=torch.tensor([u.voice for u in items]),
    )
