"""How far arousal, valence and dominance of a row are to be believed: 1 rated, 0 unknown, between for what a recogniser filled in.

Comes in: origins.jsonl beside a manifest. Goes out: trust [3] per row. Corpora with labels, with ratings, with both or with neither
train one model, as in UDDETTS (arXiv 2505.10599): what is missing is masked. A guess is neither there nor missing; it is shown to
the model as often as it is trusted (acoustic/objective.py). The loss is not weighted, for the recording is true whatever is
guessed of it: a doubtful guess should not cost its words, its voice and its label.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotts.data.manifest import ManifestRow
from emotts.emotion.labels import DIMENSIONS

FILE = "origins.jsonl"


@dataclass(frozen=True)
class Source:
    """What training needs to know of where a row came from: its corpus and the trust in its A, V, D."""

    corpus: str
    avd_weight: tuple[float, float, float]


def read_origins(folder: Path) -> dict[str, Source]:
    """Return the source of each id; none where a corpus has no origins, as simulated ones have not.

    Raises:
        ValueError: a line is wrong; the message names it.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            values = json.loads(line)
            a, v, d = (float(weight) for weight in values["avd_weight"])
            if not all(0.0 <= weight <= 1.0 for weight in (a, v, d)):
                raise ValueError(f"avd_weight must lie in [0, 1]; got {values['avd_weight']}")
            found[str(values["id"])] = Source(str(values["corpus"]), (a, v, d))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}, line {number}: not an origin ({error}); prepare the corpus again.") from error
    return found


def trust_of(row: ManifestRow, source: Source | None) -> np.ndarray:
    """Return the trust [3] in a row's dimensions; one that the row lacks has none, whatever its source says."""
    has = np.array([getattr(row, name) is not None for name in DIMENSIONS], np.float32)
    return has if source is None else has * np.array(source.avd_weight, np.float32)
