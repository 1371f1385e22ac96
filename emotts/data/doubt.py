"""Labels that the recogniser's space contradicts: rows of a prepared corpus come in, the most doubtful of them go out.

Near clips mostly feel alike, so the labels of a clip's neighbours vote on its own. The recogniser need not have learnt from the
corpus, nor be right about it: only nearness counts, and what it calls the clip merely breaks ties.

Reference: Zhu, Dong, Liu, "Detecting Corrupted Labels Without Training a Model to Predict", ICML 2022, arXiv 2110.06283: its local
voting (a plurality of neighbours has another label) and its ranking by the cosine between the votes and the label. Departures: no
neighbour has the voice or the sentence of the clip, for what is near by these says nothing of emotion; and no share of the clips is
called wrong, they are ranked for people to hear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from emotts.data.index_build import number_of
from emotts.data.manifest import EMBEDDING, HEARD
from emotts.data.rows import Rows
from emotts.emotion.labels import LABELS

NEIGHBOURS = 10  # as in the paper
MOST_COMPARED = 50_000  # clips among which neighbours are sought, spread over the corpus
AT_ONCE = 256  # clips whose distances are held
REMEDY = "prepare the corpus with judge=bundled, or the folder of a recogniser, into a new output folder"


@dataclass(frozen=True)
class Doubt:
    """A clip whose label is in doubt.

    Attributes:
        id: Of the row. audio: Its file, relative to the manifest. voice: Its name. text: What is said.
        label: What the corpus calls it.
        heard: What the recogniser takes for most probable.
        neighbours: How many of its neighbours have each label, most first.
        doubt: 1 minus the cosine between these numbers and the label: 0 where all agree with it, 1 where none does.
    """

    id: str
    audio: str
    voice: str
    text: str
    label: str
    heard: str
    neighbours: dict[str, int]
    doubt: float


@dataclass(frozen=True)
class Doubts:
    """What neighbours say of a corpus.

    Attributes:
        clips: The most doubtful, the first one most.
        contradicted: By label, the clips of which more neighbours have another label than have it.
        judged: By label, the clips that have neighbours.
        left_out: Clips without one label of ours, without an embedding, or without a neighbour.
    """

    clips: list[Doubt]
    contradicted: dict[str, int]
    judged: dict[str, int]
    left_out: int

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON-ready values."""
        return asdict(self)


def find_doubts(rows: Rows, n: int) -> Doubts:
    """Rank the clips of a corpus by how much their neighbours contradict their labels.

    Args:
        rows: of one or several corpora that one recogniser heard.
        n: how many clips to return.

    Raises:
        ValueError: n is not positive, no row has an embedding, or they are of several recognisers.
        FileNotFoundError: a shard is missing.
    """
    if n < 1:
        raise ValueError(f"doubtful must be 1 or more clips; got {n}.")
    codes, names = rows.codes("emotion")
    label = np.array([LABELS.index(name) if name in LABELS else -1 for name in names])[codes]  # [R]
    embedding, heard = _stored(rows)
    usable = np.flatnonzero((label >= 0) & (embedding != 0.0).any(axis=1))
    label, heard = label[usable], heard[usable]
    votes = neighbour_votes(embedding[usable], label, rows.codes("voice")[0][usable], rows.column("text")[usable])
    own = votes[np.arange(len(votes)), label]
    length = np.linalg.norm(votes, axis=1)
    is_judged = length > 0.0
    doubt = 1.0 - own / np.maximum(length, 1e-9)
    sure_of_it = heard[np.arange(len(heard)), label]
    order = [i for i in np.lexsort((sure_of_it, -doubt)).tolist() if is_judged[i]]
    contradicted = np.bincount(label[is_judged & (votes.max(axis=1, initial=0.0) > own)], minlength=len(LABELS))
    judged = np.bincount(label[is_judged], minlength=len(LABELS))
    return Doubts(
        [_doubt(rows, int(usable[i]), LABELS[label[i]], heard[i], votes[i], float(doubt[i])) for i in order[:n]],
        _by_label(contradicted, judged),
        _by_label(judged, judged),
        len(rows) - int(is_judged.sum()),
    )


def neighbour_votes(embedding: np.ndarray, label: np.ndarray, voice: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Count the labels of the nearest neighbours of every clip, of other voices and sentences.

    In a corpus of one voice, neighbours are of other sentences alone. Clips without a text share no sentence.

    Args:
        embedding: unit vectors [R, E].
        label: place in LABELS [R].
        voice: number of the voice [R].
        text: number of the sentence [R], see `number_of`.

    Returns:
        [R, K], at most NEIGHBOURS in a row.
    """
    votes = np.zeros((len(label), len(LABELS)))
    compared = np.unique(np.linspace(0, len(label) - 1, min(len(label), MOST_COMPARED)).astype(np.int64))
    others = embedding[compared].astype(np.float32)  # [M, E]
    no_text = text[compared] == np.uint64(number_of(""))
    has_voices = len(np.unique(voice)) > 1
    for start in range(0, len(label), AT_ONCE):
        part = np.arange(start, min(start + AT_ONCE, len(label)))
        near = embedding[part].astype(np.float32) @ others.T  # [P, M]
        near[(text[part, None] == text[compared]) & ~no_text] = -np.inf
        near[part[:, None] == compared] = -np.inf
        if has_voices:
            near[voice[part, None] == voice[compared]] = -np.inf
        k = min(NEIGHBOURS, len(compared))
        nearest = np.argpartition(-near, k - 1, axis=1)[:, :k]  # [P, k]
        is_one = np.isfinite(np.take_along_axis(near, nearest, axis=1))
        named = label[compared][nearest]
        for place in range(len(LABELS)):
            votes[part, place] = ((named == place) & is_one).sum(axis=1)
    return votes


def _stored(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings [R, E] and heard probabilities [R, K], zeros for rows without; nothing else of the shards is read."""
    embedding: np.ndarray | None = None
    heard = np.zeros((len(rows), len(LABELS)), np.float16)
    shard, last = np.array([rows.place_of(i)[0] for i in range(len(rows))]), Path()
    for i in np.lexsort((rows.column("shard"), shard)).tolist():
        row = rows[i]
        path = rows.indexes[shard[i]].manifest.parent / row.features
        if path != last:
            store, last = _opened(path), path
            keys = set(store.keys())
        if f"{row.id}.{EMBEDDING}" not in keys:
            continue
        found = store.get_tensor(f"{row.id}.{EMBEDDING}")
        if embedding is None:
            embedding = np.zeros((len(rows), len(found)), np.float16)
        if found.shape != embedding.shape[1:]:
            raise ValueError(
                f"{path}: {row.id} has an embedding of {found.size} numbers and other rows have "
                f"{embedding.shape[1]}; one recogniser must hear all of them: {REMEDY}."
            )
        embedding[i], heard[i] = found, store.get_tensor(f"{row.id}.{HEARD}")
    if embedding is None:
        raise ValueError(f"no clip has the embedding of a recogniser; {REMEDY}.")
    return embedding, heard


def _opened(path: Path) -> safe_open:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; prepare the corpus again.")
    try:
        return safe_open(path, "numpy")
    except SafetensorError as error:
        raise ValueError(f"{path} is not a shard of features ({error}); prepare the corpus again.") from None


def _doubt(rows: Rows, i: int, label: str, heard: np.ndarray, votes: np.ndarray, doubt: float) -> Doubt:
    row = rows[i]
    counts = Counter({name: int(count) for name, count in zip(LABELS, votes, strict=True) if count})
    most = LABELS[int(heard.argmax())]
    return Doubt(row.id, row.audio, row.voice, row.text, label, most, dict(counts.most_common()), round(doubt, 4))


def _by_label(counts: np.ndarray, judged: np.ndarray) -> dict[str, int]:
    found: Mapping[str, int] = dict(zip(LABELS, counts.tolist(), strict=True))
    return {name: found[name] for name, n in zip(LABELS, judged.tolist(), strict=True) if n}
