"""What a fine-tuned checkpoint says of itself: who speaks in it, from what, how loud, and how it was made."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from facts import facts_of
from omegaconf import DictConfig
from torch import nn

from emotts.acoustic.condition import Condition
from emotts.acoustic.model import AcousticModel
from emotts.audio import load_audio, speech_level_db
from emotts.data.dataset import Corpus
from emotts.text.symbols import is_pause

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
) -> dict[str, Any]:
    """Return the metadata of the base with the new voices and how they came to be."""
    rows = [row for corpus in corpora for row in corpus.rows]
    names = sorted({row.voice for row in rows})
    cards = [card for card in metadata.get("voices", []) if card["name"] not in names]
    for name in names:
        own = [row for row in rows if row.voice == name]
        minutes = sum(row.duration_s for row in own) / 60.0
        told = f"fine-tuned from {minutes:.1f} minutes"
        licence = " and ".join(sorted({row.licence for row in own}))
        cards.append({"name": name, "accent": own[0].language, "licence": licence, "description": told})
    made = {
        "recipe": "finetune",
        "steps": facts["step"],
        **{name: facts[name] for name in ("minutes", "mode", "base", "loss")},
        **facts_of(config, rows),
    }
    return {
        **metadata,
        "licence": joined_licence(metadata.get("licence"), made["licences"]),
        "name": f"{metadata.get('name') or 'unnamed'}+{'+'.join(names)}"[:80],
        "level_db": {**metadata.get("level_db", {}), **levels},
        "training": {**metadata.get("training", {}), "finetune": made},
        "voices": cards,
    }


def joined_licence(base: str | None, recordings: Sequence[str]) -> str:
    """Name the licence of the model that was fine-tuned and, where they differ, those of the recordings."""
    others = [name for name in recordings if name != base]
    return "; ".join([base or "unknown", *(["recordings: " + ", ".join(others)] if others else [])])
