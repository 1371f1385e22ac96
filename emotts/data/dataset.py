"""Manifest rows to training batches, chosen by (seed, step) alone, so that a resumed run sees what an unbroken one would.

Comes in: corpus folders with manifest.jsonl, feature shards and maybe origins.jsonl. Goes out: padded tensors of whole utterances,
bucketed by length.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emotts.data.features import IN_MEMORY_GB, held_gb, load_features, taken
from emotts.data.manifest import ManifestRow, read_manifest
from emotts.data.trust import read_origins, trust_of
from emotts.emotion.labels import LABEL_INDEX, LABELS
from emotts.text.symbols import N_MARKS, encode

FRAME_STEP, TOKEN_STEP = 32, 8  # lengths are rounded up to these, so that few tensor shapes occur
UNVOICED_F0_WEIGHT = 0.2
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


class Corpus:
    """All utterances of one split of one or several corpora, their features in memory or read when needed; mels are float16."""

    def __init__(
        self,
        folder: str | Path | Sequence[str | Path],
        split: str,
        voices: Sequence[str],
        max_frames: int = 1_000,
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
            ValueError: no row is left.
        """
        folders = [Path(folder)] if isinstance(folder, str | Path) else [Path(each) for each in folder]
        known = set(voices)
        self.voices = list(voices)
        self.rows: list[ManifestRow] = []
        self.trust: list[np.ndarray] = []
        self.corpora: list[str] = []  # of each row, as origins.jsonl says, or its folder's name
        self.n_marks = N_MARKS  # how many a model knows that learns from it
        self.left_out = {"long": 0, "without a text": 0}
        parts = []
        for each in folders:
            rows = [r for r in read_manifest(each / "manifest.jsonl") if r.split == split and r.voice in known]
            self.left_out["long"] += sum(r.n_frames > max_frames for r in rows)
            self.left_out["without a text"] += sum(len(r.phonemes) <= 2 for r in rows)
            rows = [r for r in rows if r.n_frames <= max_frames and len(r.phonemes) > 2]
            origins = read_origins(each)
            self.rows += rows
            parts.append((each, rows))
            self.trust += [trust_of(row, origins.get(row.id)) for row in rows]
            self.corpora += [origins[row.id].corpus if row.id in origins else each.name for row in rows]
        if not self.rows:
            names = ", ".join(str(each) for each in folders)
            raise ValueError(
                f"{names} has no rows of split {split!r} for voices {', '.join(voices)}; run recipes/simulate_corpus.py."
            )
        self.raw = load_features(parts, in_memory_gb)
        self.mean_log_f0 = self._mean_log_f0()

    def _mean_log_f0(self) -> dict[str, float]:
        """Mean log2 F0 of each voice over its neutral rows, or over all rows where it has no neutral ones."""
        means = {}
        for voice in self.voices:
            rows = [i for i, r in enumerate(self.rows) if r.voice == voice]
            neutral = [i for i in rows if self.rows[i].label == "neutral"] or rows
            values = [np.log2(f[f > 0]) for f in (self.raw[i]["f0"] for i in neutral[:400]) if (f > 0).any()]
            means[voice] = float(np.concatenate(values).mean()) if values else 7.3
        return means

    def __len__(self) -> int:
        return len(self.rows)

    def spread(self, n: int) -> "Corpus":
        """Return n of the utterances, spread over all; registers of voices stay."""
        part = copy(self)
        picks = np.linspace(0, len(self) - 1, min(n, len(self))).astype(int)
        part.rows, part.raw = [self.rows[i] for i in picks], taken(self.raw, picks.tolist())
        part.trust, part.corpora = [self.trust[i] for i in picks], [self.corpora[i] for i in picks]
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
            self.trust[i],
            self.voices.index(row.voice),
        )


def load_corpora(
    folders: Sequence[str | Path], split: str, max_frames: int, in_memory_gb: float = IN_MEMORY_GB
) -> list[Corpus]:
    """Load a split of every corpus that has it, with all its voices; `in_memory_gb` is for all of them, the first ones first."""
    found: list[Corpus] = []
    for folder in folders:
        voices = sorted({row.voice for row in read_manifest(Path(folder) / "manifest.jsonl") if row.split == split})
        if voices:
            left = max(0.0, in_memory_gb - sum(held_gb(corpus.raw) for corpus in found))
            found.append(Corpus(folder, split, voices, max_frames, left))
    return found


class BatchPlan:
    """Deterministic bucketed batches: batch of step s is a pure function of (corpus, seed, s)."""

    def __init__(self, lengths: Sequence[int], max_frames: int, seed: int, shares: np.ndarray | None = None) -> None:
        """Plan batches of at most `max_frames` frames, padding included.

        Args:
            lengths: frames of every row [R].
            max_frames: of a batch; a longer row is a batch of its own.
            seed: of the order.
            shares: how often each row is drawn [R], adding up to 1; None draws each once an epoch.
        """
        self.lengths = np.asarray(lengths)
        self.max_frames = max_frames
        self.seed = seed
        self.shares = shares
        self._epoch = -1
        self._batches: list[list[int]] = []
        self._starts = [0]

    def _drawn(self, rng: np.random.Generator) -> np.ndarray:
        """Return the rows of an epoch, as many as there are rows.

        With shares, systematic sampling draws row i floor or ceil of R * share times: the expected number is exact in every epoch.
        """
        n = len(self.lengths)
        if self.shares is None:
            return np.arange(n)
        order = rng.permutation(n)
        ends = np.cumsum(self.shares[order])
        return order[np.minimum(np.searchsorted(ends / ends[-1], (np.arange(n) + rng.random()) / n), n - 1)]

    def _plan(self, epoch: int) -> list[list[int]]:
        rng = np.random.default_rng([self.seed, epoch])
        rows = self._drawn(rng)
        jitter = self.lengths[rows] * np.exp(rng.normal(0.0, 0.08, len(rows)))
        batches: list[list[int]] = []
        current: list[int] = []
        longest = 0
        for i in rows[np.argsort(jitter)]:
            length = -(-int(self.lengths[i]) // FRAME_STEP) * FRAME_STEP
            if current and max(longest, length) * (len(current) + 1) > self.max_frames:
                batches.append(current)
                current, longest = [], 0
            current.append(int(i))
            longest = max(longest, length)
        batches.append(current)
        return [batches[k] for k in rng.permutation(len(batches))]

    def indices(self, step: int) -> list[int]:
        """Return the rows of the batch of this step."""
        while step >= self._starts[-1]:
            self._starts.append(self._starts[-1] + len(self._plan(len(self._starts) - 1)))
        epoch = int(np.searchsorted(self._starts, step, side="right")) - 1
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._plan(epoch)
        return self._batches[step - self._starts[epoch]]


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
