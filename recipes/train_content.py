"""Train the speech encoder: python recipes/train_content.py corpora='[runs/corpus,runs/crowd]' max_minutes=60.

Its content is that of a frozen text encoder, whose output for the true phonemes is what it must hear in the mel. Run the same
command again to go on. The averaged weights are exported to <output>/export.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
import torch
import torch.nn.functional as F
from converter_training import fit, frames_hours, trainer_of
from facts import facts_of_run, facts_of_trainer
from held_out import load_train_and_valid
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from emotts.acoustic.model import AcousticModel
from emotts.checkpoint import load_checkpoint, save_checkpoint
from emotts.content.speech_encoder import SpeechEncoder
from emotts.data.content_batches import UNKNOWN, ContentBatch, ContentSource, Mixing
from emotts.emotion.augment import MelAugment, cut_band
from emotts.layers import lengths_to_mask
from emotts.training import Trainer

CUT_SHARE = 0.2  # of the clips lose their upper band wholly
PAUSE_WEIGHT = 0.2  # of the content loss where nothing is said
PAUSE_IDS = 11  # padding, silences and punctuation come first in the alphabet


def distorted(batch: ContentBatch, augment: MelAugment, generator: torch.Generator) -> ContentBatch:
    """Return the batch with its mels through other channels; on the CPU, where the noise is the same for every device."""
    features = torch.cat([batch.mel, torch.zeros_like(batch.mel[..., :1])], dim=-1)
    with torch.autocast("cpu", enabled=False):
        mel = augment(features, batch.lengths, torch.arange(len(features)), generator)[0][..., :-1]
        mel = cut_band(mel, CUT_SHARE, generator)
    return replace(batch, mel=F.pad(mel, (0, 0, 0, batch.mel.shape[1] - mel.shape[1])))


def losses_of(model: Any, text_encoder: torch.nn.Module, batch: ContentBatch) -> dict[str, Tensor]:
    """Return the losses of a batch that lies where the models do."""
    mel, mask = batch.mel, lengths_to_mask(batch.lengths, batch.mel.shape[1])
    token = batch.token.clamp_min(0)
    said = (batch.token >= 0) & mask
    with torch.no_grad():
        rows = text_encoder(
            batch.phonemes, batch.stresses, lengths_to_mask(batch.token_lengths, batch.phonemes.shape[1])
        )
        target = torch.gather(rows, 1, token[:, :, None].expand(-1, -1, rows.shape[-1])).float()
        phoneme = torch.gather(batch.phonemes, 1, token)
        stress = torch.gather(batch.stresses, 1, token)
    heard = model(mel, mask)
    weight = said.float() * torch.where(phoneme < PAUSE_IDS, PAUSE_WEIGHT, 1.0)
    units = 1.0 / model.content_scale
    error = F.smooth_l1_loss(heard.content * units, target * units, reduction="none").mean(dim=-1)
    open_phoneme = torch.where(said, phoneme, UNKNOWN)
    open_stress = torch.where(said & (phoneme >= PAUSE_IDS), stress, UNKNOWN)
    begins = F.binary_cross_entropy_with_logits(heard.begins.float(), batch.begins, reduction="none")
    return {
        "content": (error * weight).sum() / weight.sum().clamp_min(1.0),
        "phoneme": mean_cross_entropy(heard.phonemes, open_phoneme),
        "stress": mean_cross_entropy(heard.stresses, open_stress),
        "begins": (begins * said).sum() / said.sum().clamp_min(1.0),
        "activity": mean_cross_entropy(heard.activity, torch.where(mask, batch.activity, UNKNOWN)),
        "wrong": ((heard.phonemes.argmax(-1) != phoneme) & said & (phoneme >= PAUSE_IDS)).float().sum()
        / (said & (phoneme >= PAUSE_IDS)).float().sum().clamp_min(1.0),
    }


def mean_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean over what is known, 0 where nothing is; logits [B, T, C], target [B, T]."""
    summed = F.cross_entropy(logits.float().transpose(1, 2), target, ignore_index=UNKNOWN, reduction="sum")
    return summed / (target != UNKNOWN).sum().clamp_min(1)


def counts_of(batch: ContentBatch) -> dict[str, Tensor]:
    """Return what each loss is a mean over, so that batches in parts can be averaged rightly."""
    said = (batch.token >= 0) & lengths_to_mask(batch.lengths, batch.token.shape[1])
    phoneme = torch.gather(batch.phonemes, 1, batch.token.clamp_min(0))
    spoken = (said & (phoneme >= PAUSE_IDS)).sum()
    return {
        "content": spoken + PAUSE_WEIGHT * (said & (phoneme < PAUSE_IDS)).sum(), "phoneme": said.sum(), "stress": spoken,
        "begins": said.sum(), "activity": (batch.activity != UNKNOWN).sum(), "wrong": spoken,
    }  # fmt: skip


def set_statistics(model: SpeechEncoder, text_encoder: torch.nn.Module, source: ContentSource) -> None:
    """Set the mean and standard deviation of the text encoder's output over some utterances."""
    phonemes, stresses, lengths = source.tokens(range(0, len(source), max(1, len(source) // 200)))
    mask = lengths_to_mask(lengths, phonemes.shape[1])
    with torch.no_grad():
        rows = text_encoder(phonemes, stresses, mask)[mask]
    model.content_mean.copy_(rows.mean(dim=0))
    model.content_scale.copy_(rows.std(dim=0).clamp_min(1e-3))


def export(trainer: Trainer[ContentBatch], config: DictConfig) -> None:
    """Write the averaged weights and the configuration that rebuilds them to <output>/export."""
    with trainer.averaged() as model:
        metadata = facts_of_run(config, config.corpora, config.acoustic_folder) | facts_of_trainer(
            "train_content", trainer
        )
        modules = {"speech_encoder": (OmegaConf.to_container(config.speech_encoder, resolve=True), model)}
        save_checkpoint(Path(config.output) / "export", modules, metadata)


def main(config: DictConfig) -> None:
    acoustic = load_checkpoint(config.acoustic_folder)[0]["acoustic"]
    assert isinstance(acoustic, AcousticModel)
    text_encoder = acoustic.text_encoder.eval().requires_grad_(False)
    learnt, held_out = load_train_and_valid(config.corpora, config.longest, config.in_memory_gb)
    source = ContentSource(learnt, Mixing(**config.mixing), config.seed)
    valid = ContentSource(held_out, Mixing(overlap=0.0, other=0.0, gain_db=0.0), config.seed)
    torch.manual_seed(config.seed)
    model: SpeechEncoder = hydra.utils.instantiate(config.speech_encoder)
    set_statistics(model, text_encoder, source)
    told = {"utterances": len(source), "hours": frames_hours(source), "voices": len(source.voices)}
    print(json.dumps(told), flush=True)

    trainer = trainer_of(model, config)
    text_encoder.to(trainer.device)

    def losses(model: Any, batch: ContentBatch) -> dict[str, Tensor]:
        return losses_of(model, text_encoder, batch)

    fit(trainer, config, (source, valid), losses, distorted, counts_of, export, ("changed_",))


if __name__ == "__main__":
    from start import run

    run("train_content")
