"""What a fine-tuned checkpoint says of itself: who speaks in it, from what, how loud, and how it was made."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from facts import facts_of
from facts_data import voice_cards
from omegaconf import DictConfig
from torch import nn

from emotts.acoustic.condition import Condition
from emotts.acoustic.model import AcousticModel
from emotts.audio import load_audio, speech_level_db
from emotts.checkpoint.described import corpora_text
from emotts.data.dataset import Corpus
from emotts.data.manifest import ManifestRow
from emotts.text.symbols import is_pause

# What a checkpoint says of how it was made and what it is worth, which is not so of a model made from it.
CLAIMS = (
    "licence", "data", "figures", "recipe", "command", "commit", "seed", "steps", "minutes", "utterances", "hours", "licences",
    "languages", "corpora", "config",
)  # fmt: skip
RECORDINGS, SEPARATOR = "; recordings: ", "; "
LEVEL_UTTERANCES = 6  # that tell how loud a voice is; their mean is known to 0.5 dB


@torch.inference_mode()
def level_db(
    model: AcousticModel,
    vocoder: nn.Module,
    metadata: Mapping[str, Any],
    corpus: Corpus,
    folder: Path,
    condition_of: Callable[[int], Condition],
) -> dict[str, float]:
    """Return by how many dB each voice of the corpus is spoken too softly, as recipes/calibrate_level.py measures it.

    Args:
        folder: of the corpus. condition_of: gives what the model is told for a row of it.
    """
    missing: dict[str, list[float]] = {}
    for i in np.random.default_rng(0).permutation(len(corpus)).tolist():
        row = corpus.rows[i]
        found = missing.setdefault(row.voice, [])
        if len(found) == LEVEL_UTTERANCES or not (folder / row.audio).is_file():
            continue
        condition = condition_of(i)
        minimum = torch.zeros_like(condition.phonemes)
        minimum[0, : len(row.phonemes)] = torch.tensor([0 if is_pause(token) else 1 for token in row.phonemes])
        generator = torch.Generator().manual_seed(i)
        temperature = float(metadata.get("default_prosody_temperature", 1.0))
        prosody = model.sample_prosody(condition, minimum, generator=generator, temperature=temperature)
        temperature = float(metadata.get("default_temperature", 1.0))
        mel = model.sample_mel(condition, prosody, generator=generator, temperature=temperature)
        spoken = vocoder(mel, prosody.f0, generator=generator)[0].numpy()
        found.append(speech_level_db(load_audio(folder / row.audio)) - speech_level_db(spoken))
    return {voice: round(float(np.mean(found)), 2) for voice, found in missing.items() if found}


def new_metadata(
    metadata: Mapping[str, Any],
    config: DictConfig,
    corpora: Sequence[Corpus],
    levels: Mapping[str, float],
    facts: Mapping[str, Any],
    base: str,
) -> dict[str, Any]:
    """Return the metadata of a fine-tuned model: how the base speaks, the voices that were learnt, and one step more.

    What the base says of itself beside that, such as figures, was found out about the base; it stays in the step, as the base's.

    Args:
        metadata: of the base. base: sha256 of its manifest.
    """
    rows = [row for corpus in corpora for row in corpus.rows]
    names = sorted({row.voice for row in rows})
    told = {card["name"]: card for card in metadata.get("voices", [])}
    # a student is of the flows that it learnt from, and these stay in mode=voice alone
    gone = () if config.mode == "voice" else ("student", "student_steps", "student_prosody_steps")
    training = {name: made for name, made in (metadata.get("training") or {}).items() if name not in gone}
    own = {key: fact for key, fact in facts_of(config, rows).items() if key != "name"}
    cards = {card["name"]: card for corpus in reversed(corpora) for card in voice_cards(corpus.rows)}
    claims = {key: metadata[key] for key in CLAIMS if key in metadata}
    made = {
        "recipe": "finetune",
        "steps": facts["step"],
        **{name: facts[name] for name in ("minutes", "loss")},
        "mode": config.mode,
        "voices": names,
        "languages": sorted({row.language for row in rows}),
        **own,
        "base": {"name": metadata.get("name") or "unnamed", "manifest": base, **claims},
    }
    heard = f"{own['utterances']} utterances of {', '.join(names)} from {corpora_text(own['corpora'])}"
    return {
        **{key: value for key, value in metadata.items() if key not in (*CLAIMS, *gone)},
        "name": f"{metadata.get('name') or 'unnamed'}+{'+'.join(names)}"[:80],
        "licence": joined_licence(metadata.get("licence"), own["licences"]),
        "data": f"{metadata.get('data') or 'unknown'}; then {heard}",
        "level_db": {**metadata.get("level_db", {}), **levels},
        "training": training | {step_name(training): made},
        "voices": [
            *(card for name, card in told.items() if name not in names),
            *(_card(name, rows, told, cards[name]) for name in names),
        ],
    }


def step_name(training: Mapping[str, Any]) -> str:
    """Name the next step: finetune, finetune_2, finetune_3; the earlier ones stay in the record, in this order."""
    n = sum(name.split("_")[0] == "finetune" for name in training)
    return f"finetune_{n + 1}" if n else "finetune"


def joined_licence(base: str | None, recordings: Sequence[str]) -> str:
    """Name the licence of the first model and, where they differ from it, those of all recordings since, each once."""
    first, _, before = (base or "unknown").partition(RECORDINGS)
    listed = f"{SEPARATOR}{before}{SEPARATOR}"  # names may hold commas, so that they are looked for and not split
    new = [
        name for name in dict.fromkeys(recordings) if name != first and f"{SEPARATOR}{name}{SEPARATOR}" not in listed
    ]
    said = SEPARATOR.join([*([before] if before else []), *new])
    return f"{first}{RECORDINGS}{said}" if said else first


def _card(
    name: str, rows: Sequence[ManifestRow], told: Mapping[str, Mapping[str, Any]], found: Mapping[str, str]
) -> dict[str, Any]:
    """Return what is told of a voice; of one that was there before, what was told of it stays. `found`: by manifest and origins."""
    own = [row for row in rows if row.voice == name]
    old = told.get(name, {})
    before = str(old.get("licence") or "")
    new = [one for one in sorted({row.licence for row in own}) if f" and {one} and " not in f" and {before} and "]
    description = f"fine-tuned from {sum(row.duration_s for row in own) / 60.0:.1f} minutes"
    return {
        **{key: value for key in ("gender", "accent") if (value := found[key])},
        **old,
        "name": name,
        "licence": " and ".join([*([before] if before else []), *new]),
        "description": "; ".join(filter(None, [old.get("description"), description])),
    }
