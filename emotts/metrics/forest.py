"""A forest of regression trees in plain arrays: features [F] come in, the mean over trees of their leaves [K] goes out.

After Geurts, Ernst & Wehenkel, "Extremely randomized trees" (2006), Machine Learning 63, 3-42. Trained by scikit-learn, kept as
arrays and asked with NumPy alone, so that nothing is unpickled and scikit-learn is not needed to judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

LEAF = -1
ARRAYS = ("roots", "feature", "threshold", "right", "leaves")


@dataclass(frozen=True)
class Forest:
    """Trees whose nodes stand in the order of a walk that goes left first; the left child of a node follows it.

    Attributes:
        roots: [trees] first node of each.
        feature: [nodes] column that a node compares; LEAF marks a leaf.
        threshold: [nodes] float32; values at most this go left.
        right: [nodes] the right child; of a leaf, its row in `leaves`, which stand in the order of the nodes.
        leaves: [leaves, K] float32.
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    right: np.ndarray
    leaves: np.ndarray

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the mean over trees [K] for features [F]."""
        node = self.roots.astype(np.int64)
        while True:
            inner = self.feature[node] != LEAF
            if not inner.any():
                return self.leaves[self.right[node]].mean(axis=0)
            goes_left = features[self.feature[node]] <= self.threshold[node]
            node = np.where(inner, np.where(goes_left, node + 1, self.right[node]), node)

    def to_tensors(self, prefix: str) -> dict[str, np.ndarray]:
        """Return arrays by name, small: distances to right children as uint16, thresholds and leaves as float16.

        Raises:
            ValueError: more than 127 features, or a tree of more than 65,535 nodes.
        """
        distance = np.where(self.feature == LEAF, 0, self.right - np.arange(len(self.right)))
        if self.feature.max() > np.iinfo(np.int8).max or distance.max() > np.iinfo(np.uint16).max:
            raise ValueError(
                "a forest is stored with at most 127 features and 65,535 nodes a tree; train a smaller one."
            )
        return {
            f"{prefix}.roots": self.roots.astype(np.int32),
            f"{prefix}.feature": self.feature.astype(np.int8),
            f"{prefix}.threshold": self.threshold.astype(np.float16),
            f"{prefix}.right": distance.astype(np.uint16),
            f"{prefix}.leaves": self.leaves.astype(np.float16),
        }

    @staticmethod
    def from_tensors(tensors: Mapping[str, np.ndarray], prefix: str, n_features: int, n_outputs: int) -> "Forest":
        """Rebuild a forest and check that every walk ends within it.

        Raises:
            ValueError: an array is missing or does not fit.
        """
        missing = [name for name in ARRAYS if f"{prefix}.{name}" not in tensors]
        if missing:
            raise ValueError(f"the forest {prefix!r} lacks {', '.join(missing)}.")
        roots, feature, threshold, distance, leaves = (tensors[f"{prefix}.{name}"] for name in ARRAYS)
        n = len(feature) if feature.ndim == 1 else 0
        fits = (
            n > 0
            and roots.ndim == 1
            and len(roots) > 0
            and threshold.shape == distance.shape == (n,)
            and [array.dtype.kind for array in (roots, feature, threshold, distance, leaves)]
            == ["i", "i", "f", "u", "f"]
            and bool(((roots >= 0) & (roots < n)).all())
            and bool(((feature >= LEAF) & (feature < n_features)).all())
            and leaves.shape == (int((feature == LEAF).sum()), n_outputs)
            and bool(np.isfinite(threshold).all() and np.isfinite(leaves).all())
        )
        if fits:
            is_leaf, nodes = feature == LEAF, np.arange(n)
            right = np.where(is_leaf, np.cumsum(is_leaf) - 1, nodes + distance.astype(np.int64))
            fits = bool(is_leaf[-1] and ((distance > 0) | is_leaf).all() and (right[~is_leaf] < n).all())
        if not fits:
            raise ValueError(f"the arrays of the forest {prefix!r} contradict each other.")
        return Forest(roots, feature, threshold.astype(np.float32), right, leaves.astype(np.float32))
