"""How far arousal, valence and dominance of a row are to be believed: 1 rated, 0 unknown, between for what a recogniser filled in.

Comes in: a line of origins.jsonl, which lies beside a manifest. Goes out: the corpus of a row and the trust in its dimensions.
Corpora with labels, with ratings, with both or with neither train one model, as in UDDETTS (arXiv 2505.10599): what is missing is
masked. A guess is neither there nor missing; it is shown to the model as often as it is trusted (acoustic/objective.py). The loss
is not weighted, for the recording is true whatever is guessed of it: a doubtful guess should not cost its words, its voice and its
label.
"""

import json
from dataclasses import dataclass
from pathlib import Path

FILE = "origins.jsonl"


@dataclass(frozen=True)
class Source:
    """What training needs to know of where a row came from: its corpus and the trust in its A, V, D."""

    corpus: str
    avd_weight: tuple[float, float, float]


def parse_origin(path: Path, number: int, line: bytes) -> tuple[str, Source]:
    """Return the id and the source that a line of origins names.

    Raises:
        ValueError: it is wrong; the message names file and line.
    """
    try:
        values = json.loads(line.decode("utf-8"))
        a, v, d = (float(weight) for weight in values["avd_weight"])
        if not all(0.0 <= weight <= 1.0 for weight in (a, v, d)):
            raise ValueError(f"avd_weight must lie in [0, 1]; got {values['avd_weight']}")
        return str(values["id"]), Source(str(values["corpus"]), (a, v, d))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}, line {number}: not an origin ({error}); prepare the corpus again.") from error
