"""Directions in the emotion space, learnt from a few recordings: what leads from a neutral voice to a wanted one.

Comes in: what a judge heard in neutral and in emotional recordings. Goes out: a `Direction` [K + 3] to add, scale, negate or
erase, and a small file of it. From pairs after EmoKnob (arXiv 2410.00316), from groups after EmoReg (arXiv 2412.20359).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from emotts.emotion.coordinates import SIZE, checked, clipped, coordinates_of
from emotts.emotion.heard import Heard
from emotts.emotion.labels import DIMENSIONS, LABELS

KINDS = ("pairs", "groups")
VERSION = 1
MAX_BYTES = 65_536
SUFFIX = ".safetensors"
MAX_MEANS = 4  # local means of a group
CLEAR_CLUSTERS = (
    0.5  # silhouette from which groups count as several: "a reasonable structure" (Kaufman & Rousseeuw 1990)
)
SHORTEST = 1e-3  # distances below it have no direction
KEY = "emotts.direction"  # one entry: the order of several would differ from file to file


@dataclass(frozen=True, eq=False)  # arrays have no plain equality
class Direction:
    """A step in the emotion space.

    Attributes:
        vector: [K + 3] label weights in the order of LABELS, then arousal, valence, dominance; its length is the mean distance
            from neutral to the target, so that a strength of 1 goes as far as the recordings did.
        pairs: how many pairs it was fitted to, or recordings of the target.
        kind: "pairs" or "groups".
        metadata: anything JSON can hold, such as the judge that heard.

    Raises:
        ValueError: another shape or kind, numbers that are not finite, or no direction at all.
    """

    vector: np.ndarray
    pairs: int
    kind: str = "pairs"
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        vector = checked(self.vector, "direction")
        if vector[0] != 0.0:
            raise ValueError(f"direction must not move neutral, which is the origin; got {vector[0]:g} for it.")
        if np.linalg.norm(vector) < SHORTEST:
            raise ValueError("direction is zero: neutral and target sound alike. Give recordings that differ.")
        if isinstance(self.pairs, bool) or not isinstance(self.pairs, int) or self.pairs < 1:
            raise ValueError(f"pairs must be a whole number of 1 or more; got {self.pairs!r:.40}.")
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {self.kind!r:.40}.")
        object.__setattr__(self, "vector", vector)

    @property
    def distance(self) -> float:
        """Length of the vector: how far a strength of 1 goes."""
        return float(np.linalg.norm(self.vector))

    def to_dict(self) -> dict[str, Any]:
        """Return the vector by name and where it comes from, JSON-ready."""
        names = (*LABELS[1:], *DIMENSIONS)
        vector = {name: round(float(value), 4) for name, value in zip(names, self.vector[1:], strict=True)}
        facts = {"kind": self.kind, "pairs": self.pairs, "distance": round(self.distance, 4)}
        return {**facts, "metadata": dict(self.metadata), "vector": vector}


def fit_pairs(
    neutral: Sequence[Heard], target: Sequence[Heard], metadata: Mapping[str, Any] | None = None
) -> Direction:
    """Fit a direction to pairs: the mean of the normalised differences, scaled to their mean length.

    Args:
        neutral: what was heard in neutral recordings. target: in recordings of the same speaker, in the same order.
        metadata: kept with the direction.

    Raises:
        ValueError: no pair, not as many of one as of the other, or pairs that sound alike or contradict each other.

    Reference: Chen et al., "EmoKnob: Enhance Voice Cloning with Fine-Grained Emotion Control" (2024), arXiv 2410.00316,
    section 3. They scale by hand; here 1 is the distance of the recordings.
    """
    if not neutral or len(neutral) != len(target):
        raise ValueError(f"pairs need as many neutral as target recordings; got {len(neutral)} and {len(target)}.")
    steps = _places(target) - _places(neutral)
    lengths = np.linalg.norm(steps, axis=1)
    if lengths.min() < SHORTEST:
        raise ValueError(f"pair {int(lengths.argmin()) + 1} sounds alike to the judge; give recordings that differ.")
    mean = (steps / lengths[:, None]).mean(axis=0)
    if np.linalg.norm(mean) < SHORTEST:
        raise ValueError("the pairs point in opposite directions; give pairs of one emotion, neutral first.")
    return Direction(_scaled(mean, lengths.mean()), len(neutral), "pairs", dict(metadata or {}))


def fit_groups(
    neutral: Sequence[Heard], target: Sequence[Heard], metadata: Mapping[str, Any] | None = None
) -> Direction:
    """Fit a direction to two groups that need not be pairs: the principal axis of the steps between nearest local means.

    Args:
        neutral: what was heard in neutral recordings. target: in others, of the same speakers.
        metadata: kept with the direction.

    Raises:
        ValueError: fewer than two recordings in a group, or groups that sound alike.

    Reference: Gudmalwar et al., "EmoReg: Directional Latent Vector Modeling for Emotional Intensity Regularization" (2024),
    arXiv 2412.20359, section 3.2. Local means are those of k-means in place of a Gaussian mixture: a folder has few recordings.
    """
    if min(len(neutral), len(target)) < 2:
        raise ValueError(
            f"groups need two recordings each; got {len(neutral)} neutral and {len(target)} of the target. Use --pairs."
        )
    start, _ = local_means(_places(neutral))
    end, sizes = local_means(_places(target))
    all_steps = end[:, None] - start[None]  # [targets, neutrals, K + 3]
    nearest = np.linalg.norm(all_steps, axis=-1).argmin(axis=1)
    steps = all_steps[np.arange(len(end)), nearest]
    share = sizes / sizes.sum()
    mean, length = share @ steps, float(share @ np.linalg.norm(steps, axis=1))
    if np.linalg.norm(mean) < SHORTEST:
        raise ValueError("the two groups sound alike to the judge; give recordings that differ.")
    axis = np.linalg.svd(np.sqrt(share)[:, None] * steps)[2][0]
    axis = axis if axis @ mean >= 0.0 else -axis
    axis[0] = 0.0  # up to rounding it is
    return Direction(_scaled(axis, length), len(target), "groups", dict(metadata or {}))


def local_means(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split points [n, d] into up to MAX_MEANS clusters, more than one where the silhouette says so.

    Returns:
        Means [k, d], and how many points each stands for [k].
    """
    best = (CLEAR_CLUSTERS, np.zeros(len(points), np.int64))
    for k in range(2, min(MAX_MEANS, len(points) - 1) + 1):
        labels = _k_means(points, k)
        score = silhouette(points, labels)
        if score > best[0]:
            best = (score, labels)
    labels = best[1]
    names, sizes = np.unique(labels, return_counts=True)
    return np.array([points[labels == name].mean(axis=0) for name in names]), sizes.astype(np.float64)


def silhouette(points: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean silhouette of a clustering, from -1 to 1; a point alone in its cluster counts 0.

    Reference: Rousseeuw, "Silhouettes" (1987), J. Computational and Applied Mathematics 20, 53-65.
    """
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    names = np.unique(labels)
    if len(names) < 2:
        return 0.0
    scores = np.zeros(len(points))
    for i, own in enumerate(labels):
        mates = labels == own
        if mates.sum() < 2:
            continue
        within = distance[i, mates].sum() / (mates.sum() - 1)
        between = min(distance[i, labels == name].mean() for name in names if name != own)
        scores[i] = (between - within) / max(within, between, 1e-12)
    return float(scores.mean())


def add(coordinates: np.ndarray, direction: Direction, strength: float) -> np.ndarray:
    """Go along a direction; label weights stay in [0, 1.5] and dimensions in [-1, 1].

    Args:
        coordinates: [K + 3]. strength: 1 goes as far as the recordings did; negative numbers go the other way.

    Raises:
        ValueError: coordinates or strength are not such numbers.
    """
    if isinstance(strength, bool) or not isinstance(strength, int | float) or not math.isfinite(strength):
        raise ValueError(f"strength of a direction must be a number; got {strength!r:.40}. Example: 0.8.")
    return clipped(checked(coordinates, "coordinates") + strength * direction.vector)


def erase(coordinates: np.ndarray, direction: Direction) -> np.ndarray:
    """Take away what lies along a direction, on either side of neutral, by projection: c - (c.u) u; then keep the ranges."""
    axis = direction.vector / direction.distance
    place = checked(coordinates, "coordinates")
    return clipped(place - (place @ axis) * axis)


def like_recordings(heards: Sequence[Heard], strengths: Sequence[float]) -> np.ndarray:
    """Return the emotion of recordings as coordinates [K + 3]: their sum by strength, scaled down where strengths exceed 1 in all.

    Raises:
        ValueError: no recording, or not one strength for each.
    """
    if not heards or len(heards) != len(strengths):
        raise ValueError(f"reference needs a strength for each recording; got {len(strengths)} for {len(heards)}.")
    weights = np.asarray(strengths, np.float64)
    if len(weights) > 1:
        weights = weights / max(1.0, float(weights.sum()))
    return clipped(weights @ _places(heards))


def save_direction(path: str | Path, direction: Direction) -> None:
    """Write a direction; the file is there whole or not at all.

    Raises:
        ValueError: the name does not end in .safetensors, or metadata that JSON cannot hold.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"direction file must end in {SUFFIX}; got {path.name!r}.")
    facts = {
        "version": VERSION,
        "labels": LABELS,
        "dimensions": DIMENSIONS,
        "kind": direction.kind,
        "pairs": direction.pairs,
        "distance": direction.distance,
        "metadata": dict(direction.metadata),
    }
    data = save({"vector": direction.vector.astype(np.float32)}, {KEY: json.dumps(facts, allow_nan=False)})
    temporary = path.with_name(f".{path.name}.saving")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_direction(path: str | Path) -> Direction:
    """Read a direction, strictly.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a direction of this version, for other labels, or numbers that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"direction file {str(path)!r} does not exist; make one with `emotts direction fit`.")
    if path.stat().st_size > MAX_BYTES:
        raise _refusal(path, f"has {path.stat().st_size} bytes; expected at most {MAX_BYTES}")
    data = path.read_bytes()
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        facts = json.loads(header["__metadata__"][KEY])
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refusal(path, f"is not a direction in safetensors ({type(error).__name__})") from None
    if not isinstance(facts, dict) or facts.get("version") != VERSION:
        raise _refusal(path, f"is not of version {VERSION}, which this emotts reads")
    for name, wanted in (("labels", LABELS), ("dimensions", DIMENSIONS)):
        if facts.get(name) != list(wanted):
            raise _refusal(path, f"has other {name} than {', '.join(wanted)}")
    if list(tensors) != ["vector"] or tensors["vector"].dtype != np.float32 or tensors["vector"].shape != (SIZE,):
        raise _refusal(path, f"must hold one vector [{SIZE}] of float32")
    metadata = facts.get("metadata")
    if not isinstance(metadata, dict):
        raise _refusal(path, "has no metadata")
    try:
        return Direction(tensors["vector"], facts.get("pairs", 0), facts.get("kind", ""), metadata)
    except ValueError as error:
        raise _refusal(path, str(error).rstrip(".")) from None


def _places(heards: Sequence[Heard]) -> np.ndarray:
    return np.array([coordinates_of(heard) for heard in heards])


def _scaled(axis: np.ndarray, length: float) -> np.ndarray:
    return axis / np.linalg.norm(axis) * length


def _k_means(points: np.ndarray, k: int) -> np.ndarray:
    """Return cluster numbers [n] by Lloyd's method from the farthest points; the same points give the same clusters."""
    first = int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmax())
    chosen = [first]
    while len(chosen) < k:
        chosen.append(int(np.linalg.norm(points[:, None] - points[chosen][None], axis=-1).min(axis=1).argmax()))
    centres = points[chosen]
    labels = np.full(len(points), -1)
    for _ in range(100):
        fresh = np.linalg.norm(points[:, None] - centres[None], axis=-1).argmin(axis=1)
        if (fresh == labels).all():
            break
        labels = fresh
        centres = np.array([points[labels == i].mean(axis=0) if (labels == i).any() else centres[i] for i in range(k)])
    return labels


def _refusal(path: Path, problem: str) -> ValueError:
    return ValueError(f"direction file {path.name}: {problem}. Make it anew with `emotts direction fit`.")
