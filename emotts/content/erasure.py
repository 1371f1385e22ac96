"""Taking the voice out of content: what was heard of many voices comes in, a projection that hides who spoke goes out.

Of the directions in which the means of voices differ, those that differ most for how much content itself varies there are taken
out, by the smallest change of the frames: Belrose et al., "LEACE: perfect linear concept erasure in closed form" (2023), arXiv
2306.03819, with a limited rank, since the means of many voices span everything.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
JITTER = 1e-4  # of the variance; keeps roots finite


def voice_projection(frames: Array, means: Array, voices: Sequence[str], rank: int) -> Array:
    """Return the projection [C, C] that is applied to centred rows from the right.

    Args:
        frames: content of frames [T, C], which tell how content varies.
        means: mean content of utterances [U, C]. voices: who spoke them [U].
        rank: directions that are taken out.

    Raises:
        ValueError: fewer than two voices, or a rank that leaves nothing.
    """
    width = frames.shape[1]
    names = sorted(set(voices))
    if len(names) < 2 or not 0 <= rank < width:
        raise ValueError(
            f"erasure needs two voices or more and a rank from 0 to {width - 1}; got {len(names)} and {rank}."
        )
    labels = np.array([names.index(voice) for voice in voices])
    covariance = np.cov(frames.T) + JITTER * np.eye(width)
    values, vectors = np.linalg.eigh(covariance)
    root, inverse = ((vectors * values**power) @ vectors.T for power in (0.5, -0.5))
    centred = means - means.mean(axis=0)
    between = np.zeros((width, width))
    for k in range(len(names)):
        own = centred[labels == k]
        between += len(own) * np.outer(own.mean(axis=0), own.mean(axis=0))
    found = np.linalg.eigh(inverse @ (between / len(means)) @ inverse)[1][:, ::-1][:, :rank]
    return (np.eye(width) - root @ found @ found.T @ inverse).T
