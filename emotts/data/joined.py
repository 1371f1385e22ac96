"""Several corpora under one numbering: corpora come in; places, lengths and voices of all utterances go out as arrays."""

from collections.abc import Sequence

import numpy as np

from emotts.data.dataset import Corpus


class Joined:
    """The utterances of corpora, one corpus after the other.

    Attributes:
        names: the different voices, in the order of their first utterances.
        voice: place among them of every utterance [R].
        lengths: frames of every utterance [R].
    """

    def __init__(self, corpora: Sequence[Corpus]) -> None:
        self.corpora = list(corpora)
        self._starts = np.cumsum([0, *(len(corpus) for corpus in self.corpora)])
        self.lengths = np.concatenate([np.empty(0, np.int32), *(corpus.lengths for corpus in self.corpora)])
        number: dict[str, int] = {}
        found = [np.empty(0, np.int32)]
        for corpus in self.corpora:
            codes, names = corpus.rows.codes("voice")
            for name in corpus.rows.names("voice"):
                number.setdefault(name, len(number))
            found.append(np.array([number.get(name, -1) for name in names], np.int32)[codes])
        self.names, self.voice = list(number), np.concatenate(found)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def place(self, k: int) -> tuple[int, int]:
        """Return the corpus of utterance k and its number there."""
        c = int(np.searchsorted(self._starts, k, side="right")) - 1
        return c, int(k - self._starts[c])
