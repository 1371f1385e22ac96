"""Who read the texts of a corpus: rows of a manifest come in, the backend of emotts/text/phonemize.py of each language goes out.

English by gruut and English by espeak are two inventories of sounds. A model speaks with the one that it learnt from, so that it
is told, keeps it (`read_by` of its text encoder), and learns from one alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from emotts.data.manifest import ManifestRow
from emotts.data.rows import codes_of
from emotts.text.phonemize import backend_of

REMEDY = "Prepare them alike by settings.phonemizer of recipes/prepare_corpus.py"


def readers_of(*parts: Sequence[ManifestRow]) -> dict[str, str]:
    """Return the backend of every language of which some row names one; rows that name none were read by `backend_of`.

    Raises:
        ValueError: two backends read one language.
    """
    found: dict[str, set[str | None]] = {}
    for rows in parts:
        (spoken, languages), (by, names_by) = (codes_of(rows, name) for name in ("language", "read_by"))
        for k, r in np.unique(np.stack([spoken, by], axis=1), axis=0).tolist():
            found.setdefault(languages[k].lower(), set()).add(names_by[r])
    readers = {}
    for language, names in sorted(found.items()):
        backends = sorted({name or backend_of(language) for name in names})
        if len(backends) > 1:
            raise ValueError(
                f"{language} must be read by one backend in all corpora; got {' and '.join(backends)}. {REMEDY}."
            )
        if names != {None}:
            readers[language] = backends[0]
    return readers


def check_readers(rows: Sequence[ManifestRow], names: Mapping[str, str], read_by: Mapping[str, str]) -> None:
    """Check that a corpus was read as a model reads.

    Args:
        rows: of the corpus. names: what the model calls each language of the rows. read_by: of the model.

    Raises:
        ValueError: another backend read a language.
    """
    for language, backend in readers_of(rows).items():
        own = backend_of(names.get(language, language), read_by)
        if backend != own:
            raise ValueError(
                f"the corpus' {language} was read by {backend}, the model reads it by {own}, with other sounds. "
                f"Prepare the corpus with settings.phonemizer={own}."
            )
