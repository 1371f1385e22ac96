"""What in a recording is speech: posteriors of the listener in, spans for people and weights for the mixer out."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from emotts.audio import SPEC
from emotts.content.speech_encoder import ACTIVITIES

SMOOTHING = 9  # frames over which posteriors are averaged
SHORTEST = 14  # frames, 150 ms: shorter stretches take the kind of what is around them
RAMP = 3  # frames over which speech and what passes are cross-faded
SPOKEN = ("speech", "overlap")


@dataclass(frozen=True)
class Span:
    """A stretch of a recording in seconds; kind is one of ACTIVITIES."""

    start_s: float
    end_s: float
    kind: str


def activity_of(logits: torch.Tensor) -> NDArray[np.int64]:
    """Return the kind of each frame [T] as an index into ACTIVITIES, from logits [T, 4]; short stretches are absorbed."""
    probability = logits.float().softmax(dim=-1).cpu().numpy()
    kernel = np.full(SMOOTHING, 1.0 / SMOOTHING)
    padded = np.pad(probability, ((SMOOTHING // 2, SMOOTHING // 2), (0, 0)), mode="edge")
    smooth = np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)
    return _absorbed(smooth.argmax(axis=1))


def spans_of(kinds: NDArray[np.int64], first_frame: int = 0) -> list[Span]:
    """Return the stretches of equal kind of frames [T], the first of which is `first_frame` of the recording."""
    edges = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)]
    return [
        Span((first_frame + a) / SPEC.frame_rate, (first_frame + b) / SPEC.frame_rate, ACTIVITIES[kinds[a]])
        for a, b in zip(edges, edges[1:], strict=False)
        if b > a
    ]


def joined_spans(spans: list[Span]) -> list[Span]:
    """Join neighbours of equal kind."""
    found: list[Span] = []
    for span in spans:
        if found and found[-1].kind == span.kind and abs(found[-1].end_s - span.start_s) < 1e-6:
            found[-1] = Span(found[-1].start_s, span.end_s, span.kind)
        else:
            found.append(span)
    return found


def passing_weights(kinds: NDArray[np.int64], quiet: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Return how much of the recording itself is heard in each frame [T]: 1 where nothing is spoken, with ramps inside that.

    Args:
        kinds: activity of each frame [T].
        quiet: frames in which next to nothing is heard [T]; they pass, too.
    """
    passes = ~np.isin(kinds, [ACTIVITIES.index(name) for name in SPOKEN])
    inner = np.pad(passes, RAMP, mode="edge")
    weight = np.convolve(inner, np.full(2 * RAMP + 1, 1.0 / (2 * RAMP + 1)), mode="valid")
    found = np.where(passes, np.clip(2.0 * weight - 1.0, 0.0, 1.0), 0.0).astype(np.float32)
    return found if quiet is None else np.maximum(found, quiet.astype(np.float32))


def _absorbed(kinds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give stretches shorter than SHORTEST to their longer neighbour."""
    kinds = kinds.copy()
    while True:
        edges = np.array([0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)])
        lengths = np.diff(edges)
        if len(lengths) < 2 or lengths.min() >= SHORTEST:
            return kinds
        k = int(lengths.argmin())
        left = lengths[k - 1] if k else -1
        right = lengths[k + 1] if k + 1 < len(lengths) else -1
        kinds[edges[k] : edges[k + 1]] = kinds[edges[k] - 1] if left >= right else kinds[edges[k + 1]]
