"""Let the vocoder learn a new voice beside the acoustic model, and say the old voices as before.

Recordings come in, and mels of the old voices as the model speaks them; a vocoder goes out, the best one on the held-out
recordings. A vocoder that has not heard a voice loses some of it even with the mels of its recordings.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from held_out import open_train_and_valid
from torch import Tensor
from train_vocoder import CONTEXT, Crops, Recordings, losses_of

from emotts.acoustic.condition import Condition
from emotts.acoustic.model import AcousticModel
from emotts.audio import SPEC, LogMel
from emotts.layers import lengths_to_mask
from emotts.vocoder.generator import HarmonicNoiseGenerator
from emotts.vocoder.losses import SpectralEnergyDistance

WEIGHTS = {"stft": 1.0, "convergence": 1.0, "fine": 1.0, "mel": 1.0, "level": 0.3}  # as conf/train_vocoder.yaml
BATCH, FRAMES, LEAST_FRAMES, GAIN_DB = 6, 96, 32, (-6.0, 3.0)
RATE, WARMUP, CLIP_NORM = 5e-4, 10, 1.0
VALID_EVERY, VALID_BATCHES = 20, 4


@torch.no_grad()
def old_mels(model: AcousticModel, conditions: Sequence[Condition]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Speak what old voices are asked to; returns mels [B, T, M], F0 [B, T] and masks [B, T]."""
    found = []
    for number, condition in enumerate(conditions):
        generator = torch.Generator().manual_seed(number)
        minimum = torch.zeros_like(condition.phonemes)
        prosody = model.sample_prosody(condition, minimum, generator=generator, temperature=0.5)
        mel = model.sample_mel(condition, prosody, generator=generator, temperature=0.2)
        mask = lengths_to_mask(prosody.lengths, prosody.f0.shape[1])
        found.append((mel.clone(), prosody.f0.clone(), mask.clone()))  # out of inference mode, to be trained with
    return found


def adapt_vocoder(
    old: HarmonicNoiseGenerator,
    corpus: Path,
    kept: Sequence[tuple[Tensor, Tensor, Tensor]],
    steps: int,
    keep: float,
    seed: int,
    log: Callable[[str], None],
) -> HarmonicNoiseGenerator:
    """Return a trained copy on the CPU.

    Args:
        kept: of `old_mels`, for which the corrections stay what they were. keep: weight of their squared error.
        log: takes a line per hearing of the held-out recordings.
    """
    vocoder = deepcopy(old).cpu().requires_grad_(True)
    train, valid = map(Recordings, open_train_and_valid(corpus))
    longest = min(int(part.rows.column("n_frames").max()) for part in (train, valid))
    n_frames = min(FRAMES, longest - 2 * CONTEXT)
    if n_frames < LEAST_FRAMES:
        log(
            f"vocoder: left as it is, for the longest recordings have {longest} frames; it needs {LEAST_FRAMES + 2 * CONTEXT}"
        )
        return vocoder.eval()
    log_mel, distance = LogMel(SPEC), SpectralEnergyDistance(SPEC)
    optimizer = torch.optim.AdamW(vocoder.parameters(), RATE, betas=(0.9, 0.98), weight_decay=0.0)
    with torch.no_grad():
        wanted = [old.cpu().predict_correction(*mel) for mel in kept]

    def distance_of(recordings: Recordings, number: int) -> Tensor:
        crops: Crops = recordings.crops(np.random.default_rng((seed, number)), BATCH, n_frames, GAIN_DB)
        losses = losses_of(vocoder, crops, torch.Generator().manual_seed(number), log_mel, distance)
        return torch.stack([WEIGHTS[name] * value for name, value in losses.items()]).sum()

    def hear() -> float:
        with torch.no_grad():
            return float(torch.stack([distance_of(valid, 10**6 + i) for i in range(VALID_BATCHES)]).mean())

    least, best = hear(), deepcopy(vocoder.state_dict())
    log(f"vocoder: held-out distance {least:.4f} as it was")
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / WARMUP)
        loss = distance_of(train, step)
        if kept:
            i = step % len(kept)
            weight = kept[i][2][..., None].float().expand_as(wanted[i])
            error = (vocoder.predict_correction(*kept[i]) - wanted[i]).square()
            loss = loss + keep * (error * weight).sum() / weight.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vocoder.parameters(), CLIP_NORM)
        optimizer.step()
        if (step + 1) % VALID_EVERY == 0 or step + 1 == steps:
            found = hear()
            log(f"vocoder: step {step + 1}, held-out distance {found:.4f}")
            if found < least:
                least, best = found, deepcopy(vocoder.state_dict())
    vocoder.load_state_dict(best)
    return vocoder.eval()
