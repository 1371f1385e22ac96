"""What a time line asked of speech, over the time of that speech: a result and its `Timeline` in, rows for a picture out."""

import numpy as np

from emotts.audio import SPEC
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.timeline import Timeline
from emotts.speech import Result

from .picture_lanes import sheet_places


def asked_along(result: Result, timeline: Timeline) -> list[list[float | None]]:
    """Return [time_s, arousal, valence, dominance] at the middle of every token; None where nothing is asked.

    Args:
        result: what was spoken with this time line.
        timeline: keyframes by seconds, words, or part of the text.
    """
    index = np.array([place for place, _ in sheet_places(result)], int)
    if not len(index):
        return []
    ends = np.cumsum(result.durations) / SPEC.frame_rate
    times_s = (ends - 0.5 * np.asarray(result.durations) / SPEC.frame_rate)[index]
    places = {"t": times_s, "part": (np.arange(len(index)) + 0.5) / len(index), "word": _word_places(result, index)}
    asked = timeline.coordinates_at(places[timeline.kind])[:, -len(DIMENSIONS) :]
    return [
        [round(float(time), 3), *(None if np.isnan(value) else round(float(value), 3) for value in row)]
        for time, row in zip(times_s, asked, strict=True)
    ]


def _word_places(result: Result, index: np.ndarray) -> np.ndarray:
    """Return the number of the word of each token, between its neighbours for a pause."""
    words = np.asarray(result.words)[index]
    known = words >= 0
    return np.interp(index, index[known], words[known]) if known.any() else np.zeros(len(index))
