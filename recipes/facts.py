"""What a recipe writes into the metadata of a checkpoint, for `emotts card`: command, commit, configuration, data."""

import copy
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from facts_data import corpora_of, voice_cards
from licences import licence_of, licences_of
from omegaconf import DictConfig, OmegaConf
from torch import nn

from emotts.acoustic.model import AcousticModel
from emotts.checkpoint.load import read_manifest as read_checkpoint_manifest
from emotts.data.manifest import ManifestRow
from emotts.data.rows import Rows, column_of, names_in, open_rows
from emotts.listeners import fingerprint
from emotts.training import Trainer

ABSOLUTE = re.compile(r"(?<![\w./~-])[/~][^\s,\]\['\"]+")
ROOT = Path(__file__).resolve().parent.parent


def facts_of_run(config: DictConfig, corpora: str | Sequence[str], base: str | None = None) -> dict[str, Any]:
    """Return the facts of a run that learns from whole corpora.

    Args:
        corpora: their folders.
        base: folder of a checkpoint that the run learns from as well, whose data's licences count too.
    """
    return licensed(facts_of(config, _rows_of(_places(corpora))), base)


def voices_of_run(corpora: str | Sequence[str], names: Sequence[str]) -> list[dict[str, str]]:
    """Return what is told of these voices of whole corpora, as the metadata of a model keeps it; see `voice_cards`."""
    return list(_cards_of(_places(corpora), tuple(names)))


def _places(corpora: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(str(Path(one).resolve()) for one in ([corpora] if isinstance(corpora, str) else corpora))


def licensed(facts: dict[str, Any], base: str | None = None) -> dict[str, Any]:
    """Return the facts with the licence that weights have which were learnt from their data, and from a base."""
    before = licences_of(read_checkpoint_manifest(Path(base))["metadata"]) if base is not None else []
    licences = sorted({*facts["licences"], *before})
    return facts | {"licences": licences, "licence": licence_of(licences)}


def flows_of(acoustic: AcousticModel) -> str:
    """Return a name that changes with the flows of an acoustic model, in the half precision in which bundles store them."""
    return fingerprint(nn.ModuleList(copy.deepcopy(part) for part in (acoustic.estimator, acoustic.prosody)).half())


def check_student(facts: Mapping[str, Any], acoustic: AcousticModel) -> None:
    """Refuse a student of other flows than those it is to speak for.

    Args:
        facts: of the student's export; one that does not say whose it is passes.

    Raises:
        ValueError: it learnt from another model.
    """
    if facts.get("flows", flows := flows_of(acoustic)) != flows:
        raise ValueError(
            "the student learnt from other flows than those of acoustic_folder; distil it from this model "
            "(recipes/distill_sampler.py teacher=...), or leave student_folder out."
        )


def facts_of_trainer(recipe: str, trainer: Trainer[Any]) -> dict[str, Any]:
    """Return how far a run has come."""
    return {"recipe": recipe, "steps": trainer.step, "minutes": round(trainer.seconds / 60.0, 1)}


@cache
def _rows_of(folders: tuple[str, ...]) -> Rows:
    return open_rows(folders)


@cache
def _cards_of(folders: tuple[str, ...], names: tuple[str, ...]) -> list[dict[str, str]]:
    return voice_cards(_rows_of(folders).of(voices=names))


def facts_of(config: DictConfig, *parts: Sequence[ManifestRow]) -> dict[str, Any]:
    """Return the facts of a run.

    Args:
        parts: rows that are learnt from, held-out ones included.
    """
    output = config.get("output")
    return {
        **({"name": Path(output).name} if output else {}),
        "command": shlex.join(["python", *(without_folders(word) for word in sys.argv)]),
        "commit": commit(),
        "seed": config.seed,
        "utterances": sum(map(len, parts)),
        "hours": round(sum(float(column_of(rows, "duration_s").sum()) for rows in parts) / 3_600.0, 4),
        "licences": sorted({name for rows in parts for name in names_in(rows, "licence")}),
        "languages": sorted({name for rows in parts for name in names_in(rows, "language")}),
        "corpora": corpora_of(config, parts),
        "config": _published(OmegaConf.to_container(config, resolve=True)),
    }


def commit() -> str:
    """Return the short name of the commit of this repository, "unknown" where there is none, or no git."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    try:
        told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return told.stdout.strip() or "unknown"


def without_folders(word: str) -> str:
    """Return a word of a command with absolute paths shortened to their last part: weights are published, folders are not."""
    return ABSOLUTE.sub(lambda found: Path(found.group()).name, word.replace(f"{ROOT}/", ""))


def _published(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _published(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_published(one) for one in value]
    return without_folders(value) if isinstance(value, str) else value
