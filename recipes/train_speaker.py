"""Train the encoder of voices known from a recording: python recipes/train_speaker.py corpora='[runs/corpus,runs/crowd]'.

An utterance is spoken by the frozen acoustic model from its own phonemes, durations, F0 and emotion, in the voice heard in another
utterance; what the mel then lacks is the loss. Run the same command again to go on. Weights go to <output>/export.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import torch
import torch.nn.functional as F
from converter_training import fit, frames_hours, trainer_of
from facts import facts_of_run, facts_of_trainer
from held_out import load_train_and_valid
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from emotts.acoustic.model import AcousticModel
from emotts.checkpoint import load_checkpoint, save_checkpoint
from emotts.data.dataset import Batch, Corpus, collate
from emotts.data.joined import Joined
from emotts.emotion.augment import MelAugment, cut_band
from emotts.emotion.space import EmotionInput
from emotts.layers import lengths_to_mask
from emotts.prosody import Prosody
from emotts.training import Trainer

CUT_SHARE = 0.2  # of the references lose their upper band wholly; the utterances do not


@dataclass
class VoiceBatch:
    """Utterances, the reference of each (mel and F0 [B, R, M + 1]), mean log2 F0 and named voice (-1: none) [B]."""

    batch: Batch
    reference: Tensor
    reference_lengths: Tensor
    register: Tensor
    named: Tensor


class VoiceSource:
    """Utterances of several corpora, each with the others of its voice."""

    def __init__(self, config: DictConfig, corpora: Sequence[Corpus], named: list[str]) -> None:
        self.corpora = list(corpora)
        self.named, self.most = named, int(config.reference_frames)
        self.all = Joined(self.corpora)
        self.order = np.argsort(self.all.voice, kind="stable")  # the utterances of a voice, then those of the next
        self.ends = np.cumsum(np.bincount(self.all.voice))
        self.balanced = self._balanced()

    def of_voice(self, code: int) -> np.ndarray:
        """Return the utterances of a voice, by its place among `all.names`."""
        return self.order[self.ends[code - 1] if code else 0 : self.ends[code]]

    def _balanced(self) -> np.ndarray:
        """Return utterances so that no voice has more than 3 times the median voice's."""
        counts = np.diff(self.ends, prepend=0)
        stride = np.maximum(1, counts // (3 * int(np.median(counts))))
        voice = self.all.voice[self.order]
        rank = np.arange(len(self.order)) - (self.ends - counts)[voice]
        return np.sort(self.order[rank % stride[voice] == 0])

    @property
    def lengths(self) -> np.ndarray:
        """Frames of every balanced utterance."""
        return self.all.lengths[self.balanced]

    def batch(self, picks: list[int], generator: np.random.Generator) -> VoiceBatch:
        items, references, registers, named = [], [], [], []
        for k in (int(self.balanced[p]) for p in picks):
            c, i = self.all.place(k)
            corpus, voice = self.corpora[c], self.all.names[self.all.voice[k]]
            items.append(corpus.utterance(i))
            oc, oi = self.all.place(self._another(k, generator))
            raw = self.corpora[oc].raw[oi]
            references.append(np.concatenate([raw["mel"], raw["f0"][:, None]], axis=1)[: self.most].astype(np.float32))
            registers.append(corpus.mean_log_f0[voice])
            named.append(self.named.index(voice) if voice in self.named else -1)
        parts = [torch.from_numpy(reference) for reference in references]
        return VoiceBatch(
            collate(items), torch.nn.utils.rnn.pad_sequence(parts, batch_first=True),
            torch.tensor([len(part) for part in parts]), torch.tensor(registers), torch.tensor(named),
        )  # fmt: skip

    def _another(self, k: int, generator: np.random.Generator) -> int:
        """Draw another utterance of the voice of utterance k, or itself where it is alone."""
        own = self.of_voice(int(self.all.voice[k]))
        drawn = int(generator.integers(max(1, len(own) - 1)))
        return int(own[drawn + (len(own) > 1 and own[drawn] >= k)])


def distorted(found: VoiceBatch, augment: MelAugment, generator: torch.Generator) -> VoiceBatch:
    """Return utterances and their references in other bodies and channels, alike; a voice whose pitch was moved has no name.

    On the CPU, where the noise is the same for every device.
    """
    batch, reference, n = found.batch, found.reference, len(found.batch.mel)
    with torch.autocast("cpu", enabled=False):
        utterances = torch.cat([batch.mel, batch.f0[..., None]], dim=-1)
        both, sizes = _stacked(utterances, batch.durations.sum(dim=1), reference, found.reference_lengths)
        changed, _ = augment(both, sizes, torch.arange(n).repeat(2), generator)
        changed = F.pad(changed, (0, 0, 0, both.shape[1] - changed.shape[1]))
        ratio = _pitch_ratio(both, changed)
    own, other = changed[:n, : batch.mel.shape[1]], changed[n:, : reference.shape[1]]
    other = torch.cat([cut_band(other[..., :-1], CUT_SHARE, generator), other[..., -1:]], dim=-1)
    return VoiceBatch(
        replace(batch, mel=own[..., :-1], f0=own[..., -1]), other, found.reference_lengths,
        found.register.float() + ratio, torch.where(ratio.abs() < 1e-6, found.named, -1),
    )  # fmt: skip


def losses_of(model: Any, acoustic: AcousticModel, found: VoiceBatch) -> dict[str, Tensor]:
    """Return the losses of a batch that lies where the models do."""
    batch, reference, is_named = found.batch, found.reference, found.named >= 0
    mel, f0, register = batch.mel, batch.f0, found.register.float()
    lengths = batch.durations.sum(dim=1)
    mask = lengths_to_mask(lengths, mel.shape[1])
    token_mask = lengths_to_mask(batch.token_lengths, batch.phonemes.shape[1])
    with torch.no_grad():
        content = acoustic.text_encoder(batch.phonemes, batch.stresses, token_mask)
        emotion = acoustic.emotion_space(EmotionInput(batch.labels, batch.label_known, batch.avd, batch.avd_known))
    speaker, timbre = model.encoder(reference[..., :-1], lengths_to_mask(found.reference_lengths, reference.shape[1]))
    condition = acoustic.prosody.condition(speaker, emotion)
    given = Prosody(batch.durations, f0, acoustic.prosody.normalise(batch.features)[..., 3])
    relative = torch.log2(f0.clamp_min(1.0)) - register[:, None]
    rows, prior, _ = acoustic.trunk(content, condition, emotion, given, relative, token_mask, mask)
    whole = prior.float() + model.adapter(rows, prior, timbre, mask).float()
    target = (mel - acoustic.mel_mean) / acoustic.mel_std
    weight = mask.float()[:, :, None]
    total = weight.sum() * target.shape[-1]
    losses = {
        "mel": ((whole - target).abs() * weight).sum() / total,
        "prior": ((prior.float() - target).abs() * weight).sum() / total,
    }
    table = acoustic.voices(found.named.clamp_min(0)).detach()
    off = F.mse_loss(speaker, table, reduction="none").mean(dim=-1)
    losses["named"] = (off * is_named).sum() / is_named.sum().clamp_min(1)
    return losses


def counts_of(found: VoiceBatch) -> dict[str, Tensor]:
    """Return what each loss is a mean over, so that batches in parts can be averaged rightly."""
    frames = found.batch.durations.sum()
    return {"mel": frames, "prior": frames, "named": (found.named >= 0).sum()}


def _stacked(one: Tensor, n_one: Tensor, other: Tensor, n_other: Tensor) -> tuple[Tensor, Tensor]:
    longest = max(one.shape[1], other.shape[1])
    parts = [F.pad(x, (0, 0, 0, longest - x.shape[1])) for x in (one, other)]
    return torch.cat(parts), torch.cat([n_one, n_other])


def _pitch_ratio(before: Tensor, after: Tensor) -> Tensor:
    """Return by how many octaves F0, the last column, was shifted in the first half of the rows [B]."""
    half = len(before) // 2
    voiced = before[:half, :, -1] > 0
    shift = torch.log2(after[:half, :, -1].clamp_min(1.0)) - torch.log2(before[:half, :, -1].clamp_min(1.0))
    return (shift * voiced).sum(dim=1) / voiced.sum(dim=1).clamp_min(1)


def export(trainer: Trainer[VoiceBatch], config: DictConfig) -> None:
    """Write the averaged weights and the configuration that rebuilds them to <output>/export."""
    with trainer.averaged() as model:
        metadata = facts_of_run(config, config.corpora, config.acoustic_folder) | facts_of_trainer(
            "train_speaker", trainer
        )
        modules = {"reference_voice": (OmegaConf.to_container(config.reference_voice, resolve=True), model)}
        save_checkpoint(Path(config.output) / "export", modules, metadata)


def main(config: DictConfig) -> None:
    acoustic = load_checkpoint(config.acoustic_folder)[0]["acoustic"]
    assert isinstance(acoustic, AcousticModel)
    acoustic.eval().requires_grad_(False)
    parts = load_train_and_valid(config.corpora, config.longest, config.in_memory_gb, config.valid_split)
    source, valid = (VoiceSource(config, part, acoustic.voices.names) for part in parts)
    for corpus in (*source.corpora, *valid.corpora):
        corpus.n_marks = acoustic.text_encoder.n_stresses
    torch.manual_seed(config.seed)
    model = hydra.utils.instantiate(config.reference_voice)
    told = {"utterances": len(source.balanced), "hours": frames_hours(source), "voices": len(source.all.names)}
    print(json.dumps(told), flush=True)

    trainer = trainer_of(model, config)
    acoustic.to(trainer.device)

    def losses(model: Any, found: VoiceBatch) -> dict[str, Tensor]:
        return losses_of(model, acoustic, found)

    fit(trainer, config, (source, valid), losses, distorted, counts_of, export)


if __name__ == "__main__":
    from start import run

    run("train_speaker")
