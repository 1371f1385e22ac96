"""Rows of a manifest to batches for the emotion recogniser: whole clips and windows of them, with soft labels and A, V, D.

Comes in: corpora and some of their rows. Goes out: padded features, windows and an `EmotionTarget`; distorted on request. A label
at intensity w is min(1, w) of that label and the rest neutral; a row without label teaches A, V, D alone, and what a recogniser has
guessed teaches nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor

from emotts.audio import SPEC, extract_f0, load_audio
from emotts.data.features import IN_MEMORY_GB, Lazy, fits, stored_features, taken
from emotts.data.manifest import ManifestRow
from emotts.data.rows import Rows, codes_of, column_of, names_in, taken_rows
from emotts.emotion.augment import MelAugment
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.listening import Encoder
from emotts.emotion.objective import EmotionTarget, control_target, intensity_target, mixture_target


@dataclass
class ClipBatch:
    """Padded clips and their targets; index 0 of the axis W is the whole clip, the others are windows.

    The last R of the B clips are neutral ones of the same voices, there to be compared with; targets are of the first B - R.
    """

    features: Tensor  # [B, T, F]
    lengths: Tensor  # [B]
    windows: Tensor  # [B, W, 2]
    target: EmotionTarget  # [B - R, W, ...]
    voice: Tensor  # [B], equal numbers are equal voices
    reference_weight: Tensor  # [B, B], see Recognizer.forward

    def to(self, device: torch.device) -> "ClipBatch":
        target = EmotionTarget(**{name: value.to(device) for name, value in vars(self.target).items()})
        moved = {name: value.to(device) for name, value in vars(self).items() if name != "target"}
        return ClipBatch(**moved, target=target)


class Clips:
    """Rows of a manifest with their features and A, V, D per frame, in memory or read when needed."""

    def __init__(
        self,
        folder: str | Path,
        rows: Sequence[ManifestRow],
        f0: Mapping[str, np.ndarray] | None = None,
        encoder: Encoder | None = None,
        is_simulated: bool | np.ndarray = True,
        in_memory_gb: float = IN_MEMORY_GB,
    ) -> None:
        """Read the features of rows: log mel and F0, or those of a frozen encoder.

        Args:
            folder: of the corpus, for listed rows; indexed ones know theirs.
            rows: some of its manifest, indexed or listed.
            f0: F0 [T] in Hz per row id as a tracker hears it, see `tracked_f0`; of other rows what the shards hold is taken.
            encoder: gives the features in place of mel and F0.
            is_simulated: whether the acoustic controls of a row follow from its emotion, of all or of each [R].
            in_memory_gb: features that are more than this are read from the disk whenever they are needed; those of an encoder
                are held in any case, for they would have to be computed again.
        """
        self.folder = Path(folder)
        self.rows: Sequence[ManifestRow] = rows if isinstance(rows, Rows) else list(rows)
        rows = self.rows
        self.is_simulated = np.broadcast_to(np.asarray(is_simulated, bool), len(rows))
        self.is_rated = (
            rows.column("trust") >= 1.0 if isinstance(rows, Rows) else np.ones((len(rows), len(DIMENSIONS)), bool)
        )
        self.voices = sorted(names_in(rows, "voice"))
        self.neutral = self._neutral()
        raw = stored_features(rows if isinstance(rows, Rows) else [(self.folder, rows)])
        is_held = fits(raw, in_memory_gb)

        def avd_of(i: int, arrays: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
            stored = raw.shards.read_one(i, "avd") if arrays is None else arrays["avd"]
            return np.repeat(stored, rows[i].durations, axis=0)

        def features_of(i: int, arrays: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
            stored = raw[i] if arrays is None else arrays
            pitch = (
                stored["f0"] if f0 is None or (tracked := f0.get(rows[i].id)) is None else tracked[: len(stored["mel"])]
            )
            return np.concatenate([stored["mel"], pitch[:, None]], axis=1).astype(np.float16)

        def encoded(i: int, encoder: Encoder) -> np.ndarray:
            return encoder.encode(load_audio(self.audio_of(i)), SPEC.sample_rate).astype(np.float16)

        everything = range(len(rows))
        self.avd: Sequence[np.ndarray] = Lazy(avd_of, everything)
        self.features: Sequence[np.ndarray] = Lazy(features_of, everything)
        if is_held:  # one row after the other, so that what is stored and what is made of it are not both there
            avd, features = ([np.empty(0)] * len(rows) for _ in range(2))
            for i in raw.shards.in_order(everything):
                arrays = raw[i]
                avd[i] = avd_of(i, arrays)
                if encoder is None:
                    features[i] = features_of(i, arrays)
            self.avd, self.features = avd, features
        if encoder is not None:
            self.features = [encoded(i, encoder) for i in everything]
            self.lengths = np.array([len(each) for each in self.features])
        else:
            self.lengths = column_of(rows, "n_frames")

    def audio_of(self, i: int) -> Path:
        """Return the file of row i."""
        folder = self.rows.folder_of(i) if isinstance(self.rows, Rows) else self.folder
        return folder / self.rows[i].audio

    def _neutral(self) -> dict[str, list[int]]:
        """Return the neutral clips of every voice: by their label, in recordings also by most votes."""
        codes, names = codes_of(self.rows, "voice")
        is_neutral = self._is_called("label") | (self._is_called("emotion") & ~self.is_simulated)
        calm = np.flatnonzero(is_neutral)
        found: dict[str, list[int]] = {voice: [] for voice in self.voices}
        for i, code in zip(calm.tolist(), codes[calm].tolist(), strict=True):
            found[names[code]].append(i)
        return found

    def _is_called(self, kind: str, name: str = "neutral") -> np.ndarray:
        codes, names = codes_of(self.rows, kind)
        return codes == names.index(name) if name in names else np.zeros(len(codes), bool)

    def only(self, voice: str) -> "Clips":
        """Return the clips of one voice; features are shared, not copied."""
        codes, names = codes_of(self.rows, "voice")
        return self.taken(np.flatnonzero(codes == names.index(voice)).tolist())

    def taken(self, picks: Sequence[int]) -> "Clips":
        """Return some clips by number; features are shared, not copied."""
        part, picks = copy(self), list(picks)
        part.rows = taken_rows(self.rows, picks)
        part.voices = sorted(names_in(part.rows, "voice"))
        part.features, part.avd = taken(self.features, picks), taken(self.avd, picks)
        part.lengths, part.is_simulated, part.is_rated = (
            each[picks] for each in (self.lengths, self.is_simulated, self.is_rated)
        )
        part.neutral = part._neutral()
        return part

    def padded(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return features [B, T, F] and lengths [B]."""
        parts = [torch.from_numpy(self.features[i]).float() for i in indices]
        lengths = torch.tensor([len(part) for part in parts])
        return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True), lengths

    def labels(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return soft targets [B, K] and whether they are known [B]."""
        rows = [self.rows[i] for i in indices]
        known = torch.tensor([row.label is not None or row.mixture is not None for row in rows])
        return torch.stack([_label_target(row) for row in rows]), known

    def points(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return A, V, D [B, 3] and whether each is known and not a guess [B, 3]; unknown values are 0."""
        values = [[getattr(self.rows[i], name) for name in DIMENSIONS] for i in indices]
        known = torch.tensor([[value is not None for value in row] for row in values])
        known &= torch.from_numpy(self.is_rated[list(indices)])
        return torch.tensor([[value or 0.0 for value in row] for row in values]), known

    def controls(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return acoustic controls [B, 13] and whether they are known [B]."""
        points, known = self.points(indices)
        rows = [self.rows[i] for i in indices]
        targets = [control_target(r.label, r.intensity, p) for r, p in zip(rows, points.tolist(), strict=True)]
        is_one = torch.tensor([row.mixture is None for row in rows])
        return torch.stack(targets), known.all(dim=1) & is_one & torch.from_numpy(self.is_simulated[list(indices)])

    def batch(self, indices: Sequence[int], random: np.random.Generator, draw: "Draw") -> ClipBatch:
        """Collect clips, windows of each whose A, V, D are the means over their frames, and neutral clips of their voices."""
        labels, label_known = self.labels(indices)
        whole, known = self.points(indices)
        windows, points = [], []
        for row, i in enumerate(indices):
            spans = draw.spans(random, self.rows[i].duration_s)
            windows.append(_scaled(spans, int(self.lengths[i])))
            frames = self.avd[i].astype(np.float32)
            means = [torch.from_numpy(frames[a:b].mean(axis=0)) for a, b in _scaled(spans[1:], len(frames))]
            points.append(torch.stack([whole[row], *means]))
        w = 1 + draw.n_windows
        controls, controls_known = self.controls(indices)
        target = EmotionTarget(
            labels[:, None].expand(-1, w, -1), label_known[:, None].expand(-1, w),
            torch.stack(points), known[:, None].expand(-1, w, -1), torch.zeros(len(labels), w, 3),
            controls[:, None].expand(-1, w, -1), controls_known[:, None].expand(-1, w),
        )  # fmt: skip
        references = self._references(indices, random, draw.n_references)
        everything = [*indices, *references]
        features, lengths = self.padded(everything)
        windows += [[(0, int(self.lengths[i]))] * w for i in references]
        voice = torch.tensor([self.voices.index(self.rows[i].voice) for i in everything])
        same = (voice[:, None] == voice[None, :]).float()
        same[:, : len(indices)] = 0.0
        same[torch.from_numpy(random.random(len(everything)) < draw.unknown)] = 0.0
        weight = same / same.sum(dim=1, keepdim=True).clamp_min(1.0)
        return ClipBatch(features, lengths, torch.tensor(windows), target, voice, weight)

    def _references(self, indices: Sequence[int], random: np.random.Generator, n: int) -> list[int]:
        """Draw up to n neutral clips of every voice among the indices, none of them itself among the indices."""
        drawn: list[int] = []
        for voice in sorted({self.rows[i].voice for i in indices}):
            left = sorted(set(self.neutral[voice]) - set(indices))
            drawn += random.permutation(left)[:n].tolist()
        return drawn


def tracked_f0(folder: str | Path, rows: Iterable[ManifestRow], cache: str | Path) -> dict[str, np.ndarray]:
    """Return F0 [T] in Hz per row id as the tracker hears it in the audio; kept in the file `cache`.

    The shards hold the F0 that a teacher was given, which is smoother than what can be heard.
    """
    cache = Path(cache)
    known = load_file(cache) if cache.is_file() else {}
    n_before = len(known)
    for row in rows:
        if row.id in known:
            continue
        f0 = np.asarray(extract_f0(load_audio(Path(folder) / row.audio)), np.float32)
        known[row.id] = np.pad(f0, (0, max(0, row.n_frames - len(f0))))[: row.n_frames]
    if len(known) > n_before:
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary = cache.with_name(f".{cache.name}.tmp")
        save_file(known, temporary)
        temporary.replace(cache)
    return known


@dataclass(frozen=True)
class Draw:
    """What is drawn beside each clip in training.

    Attributes:
        n_windows: windows of each clip.
        window_s: shortest and longest of them, seconds.
        n_references: neutral clips of each voice in the batch.
        unknown: share of clips whose voice the network is not told.
    """

    n_windows: int = 2
    window_s: tuple[float, float] = (0.5, 1.5)
    n_references: int = 3
    unknown: float = 0.35

    def spans(self, random: np.random.Generator, duration_s: float) -> list[tuple[float, float]]:
        """Return start and end of the whole clip and of random windows, as shares of it."""
        share = np.minimum(random.uniform(self.window_s[0], self.window_s[1], self.n_windows) / duration_s, 1.0)
        start = random.uniform(0.0, 1.0 - share)
        return [(0.0, 1.0), *zip(start.tolist(), (start + share).tolist(), strict=True)]


def _label_target(row: ManifestRow) -> Tensor:
    if row.mixture is not None:
        return mixture_target(row.mixture)
    return intensity_target(row.label or "neutral", row.intensity)


def _scaled(spans: Sequence[tuple[float, float]], n: int) -> list[tuple[int, int]]:
    """Turn shares of a clip to frames, at least one each."""
    return [(min(int(a * n), n - 1), max(int(b * n), min(int(a * n), n - 1) + 1)) for a, b in spans]


def distorted(batch: ClipBatch, augment: MelAugment, generator: torch.Generator) -> ClipBatch:
    """Return the batch with its features distorted, equally within a voice, and windows moved along."""
    features, lengths = augment(batch.features, batch.lengths, batch.voice, generator)
    ratio = batch.lengths / lengths  # [B]
    windows = (batch.windows / ratio[:, None, None]).round().long()
    windows[..., 1] = torch.maximum(windows[..., 1], windows[..., 0] + 1)
    return replace(batch, features=features, lengths=lengths, windows=windows)
