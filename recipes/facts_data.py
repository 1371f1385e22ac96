"""What rows tell of the corpora and the voices that something was learnt from, for the facts of an export and for its card.

Comes in: rows of manifests, with origins.jsonl of recorded corpora beside them. Goes out: a mapping per corpus, a card per voice.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from emotts.data.corpora.registry import CORPORA
from emotts.data.manifest import ManifestRow
from emotts.data.rows import Rows, column_of, names_in, open_rows
from emotts.data.trust import FILE as ORIGINS

# name and title of what the recipes simulate_* make
SIMULATED = "simulated", "simulated emotion, recipes/simulate_corpus.py"
CROWD = "crowd", "many simulated voices, recipes/simulate_crowd.py"
CROWD_VOICES = "crowd-"  # how the voices of emotts/simulation/crowd.py begin
GENDERS = {"f": "female", "m": "male"}  # as origins.jsonl says it and as cards do


def corpora_of(config: DictConfig, parts: Sequence[Sequence[ManifestRow]]) -> list[dict[str, Any]]:
    """Return a mapping for each corpus that rows are of: name, title, licences, hours, number of voices, languages.

    Args:
        config: of the recipe; its corpus or corpora are the folders of rows that are a list.
    """
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    sets: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for rows in parts:
        for corpus, some in _by_corpus(config, rows):
            seconds[corpus] += float(column_of(some, "duration_s").sum())
            for kind in ("licence", "voice", "language"):
                sets[corpus][kind] |= set(names_in(some, kind))
    return [
        {
            "name": corpus[0],
            "title": corpus[1],
            "licences": sorted(sets[corpus]["licence"]),
            "hours": round(seconds[corpus] / 3_600.0, 2),
            "voices": len(sets[corpus]["voice"]),
            "languages": sorted(sets[corpus]["language"]),
        }
        for corpus in seconds
    ]


def title_of(name: str) -> str:
    """Return how people call a corpus that an origin names; the name itself of one's own."""
    published = CORPORA.get(name)
    return published.facts.title if published and name != "folder" else name


def voice_cards(rows: Rows) -> list[dict[str, str]]:
    """Return what manifest and origins tell of each voice, as `emotts.request.VoiceCard` has it.

    A voice of recordings is described by its corpus; one that no origin is told of has no description.
    """
    if not len(rows):
        return []
    names, first = _firsts(rows)
    wanted: dict[Path, dict[str, str]] = defaultdict(dict)
    for name, i in zip(names, first, strict=True):
        wanted[rows.indexes[rows.place_of(i)[0]].manifest.parent][rows[i].id] = name
    origins: dict[str, Mapping[str, Any]] = {}
    for folder, ids in wanted.items():
        origins |= _origins(folder, ids)
    licences, languages = _pairs(rows, "licence"), _pairs(rows, "language")
    cards = []
    for name in names:
        origin = origins.get(name)
        cards.append({
            "name": name,
            "gender": GENDERS.get(str(origin["gender"]), "") if origin else "",
            "accent": ", ".join(languages[name]),
            "licence": "; ".join(licences[name]),
            "description": f"recordings of {title_of(str(origin['corpus']))}" if origin else "",
        })  # fmt: skip
    return cards


def _firsts(rows: Rows) -> tuple[list[str], list[int]]:
    """Return the voices and the first row of each."""
    codes, names = rows.codes("voice")
    numbers, first = np.unique(codes, return_index=True)
    return [names[k] for k in numbers], first.tolist()


def _origins(folder: Path, ids: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Return the origins of some rows by the names that `ids` gives them."""
    if not (folder / ORIGINS).is_file():
        return {}
    with (folder / ORIGINS).open(encoding="utf-8") as file:
        told = (json.loads(line) for line in file if line.strip())
        return {ids[one["id"]]: one for one in told if one["id"] in ids}


def _pairs(rows: Rows, kind: str) -> dict[str, list[str]]:
    """Return the names of a kind that the rows of each voice have."""
    voices, voice_names = rows.codes("voice")
    codes, names = rows.codes(kind)
    found: dict[str, list[str]] = defaultdict(list)
    for voice, code in np.unique(np.stack([voices, codes], axis=1), axis=0).tolist():
        found[voice_names[voice]].append(str(names[code]))
    return {voice: sorted(some) for voice, some in found.items()}


def _by_corpus(config: DictConfig, rows: Sequence[ManifestRow]) -> list[tuple[tuple[str, str], Sequence[ManifestRow]]]:
    """Return rows by name and title of their corpora."""
    if not len(rows):
        return []
    if not isinstance(rows, Rows):
        given = config.get("corpora") or config.corpus
        whole = [
            corpus for corpus, _ in _by_corpus(config, open_rows(given if isinstance(given, str) else list(given)))
        ]
        return [(("-".join(name for name, _ in whole), " and ".join(title for _, title in whole)), rows)]
    codes, names = rows.codes("corpus")
    made = {index.manifest.parent.name: index.manifest.parent for index in rows.indexes if not index.stamps["origins"]}
    found = []
    for k in np.unique(codes).tolist():
        name, some = names[k], rows.taken(codes == k)
        found.append((_made(made[name], some) if name in made else (name, title_of(name)), some))
    return found


def _made(folder: Path, rows: Rows) -> tuple[str, str]:
    """Name a corpus without origins: by the recipe that simulated it, which keeps its processor time, or by its folder."""
    plain = folder.name, folder.name
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return plain
    if not isinstance(report, dict) or "processor_seconds" not in report:
        return plain
    return CROWD if all(name.startswith(CROWD_VOICES) for name in rows.names("voice")) else SIMULATED
