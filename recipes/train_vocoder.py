"""Train the vocoder on a manifest: python recipes/train_vocoder.py corpus=runs/corpus max_minutes=60.

Run the same command again to go on from the last state. The averaged weights are exported to <output>/export as
checkpoint parts; synthesised held-out sentences and their recordings lie in <output>/samples.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import hydra
import numpy as np
import torch
from facts import facts_of_run, facts_of_trainer
from held_out import open_train_and_valid
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from emotts.audio import SPEC, LogMel, load_audio, save_audio
from emotts.data.features import Shards
from emotts.data.rows import Rows
from emotts.training import Trainer
from emotts.training.parts import on_device
from emotts.vocoder.baseline import BaselineVocoder
from emotts.vocoder.excitation import sample_source_state
from emotts.vocoder.generator import HarmonicNoiseGenerator
from emotts.vocoder.losses import SpectralEnergyDistance, copy_synthesis_measures

CONTEXT = 2  # frames on either side of a crop that its mel windows see
EDGE = 4  # frames at either end of a crop whose sound lacks its neighbours, left out of the loss


@dataclass(frozen=True)
class Crops:
    """A batch of pieces of recordings."""

    waveform: Tensor  # [B, (T + 2 * CONTEXT) * hop]
    f0: Tensor  # [B, T] Hz


class Recordings:
    """The audio and F0 of some rows of one or several manifests."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._shards = Shards(self.rows)
        self._usable: dict[
            int, tuple[np.ndarray, np.ndarray]
        ] = {}  # rows, and up to which share of all moments, by frames

    def whole(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Return waveform [T * hop] and f0 [T] of row i."""
        row = self.rows[i]
        waveform = load_audio(self.rows.folder_of(i) / row.audio)
        return waveform[: row.n_frames * SPEC.hop_length], self._shards.read_one(i, "f0")

    def crops(self, random: np.random.Generator, size: int, n_frames: int, gain_db: Sequence[float]) -> Crops:
        """Draw `size` pieces of `n_frames` frames; every moment of the split that has its context is equally likely."""
        if n_frames not in self._usable:
            lengths = self.rows.column("n_frames")
            long = np.flatnonzero(lengths >= n_frames + 2 * CONTEXT)
            if not len(long):
                raise ValueError(f"no utterance has {n_frames + 2 * CONTEXT} frames; lower crop_frames.")
            starts = (lengths[long] - n_frames - 2 * CONTEXT + 1).astype(np.float64)
            ends = np.cumsum(starts / starts.sum())
            self._usable[n_frames] = long, ends / ends[-1]
        usable, ends = self._usable[n_frames]
        picks = usable[np.searchsorted(ends, random.random(size), side="right")]  # as random.choice draws with shares
        waveforms, f0 = zip(*(self._crop(i, random, n_frames, gain_db) for i in picks.tolist()), strict=True)
        return Crops(torch.from_numpy(np.stack(waveforms)), torch.from_numpy(np.stack(f0)))

    def _crop(
        self, i: int, random: np.random.Generator, n_frames: int, gain_db: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        import soundfile

        row = self.rows[i]
        start = int(random.integers(row.n_frames - n_frames - 2 * CONTEXT + 1))
        length = (n_frames + 2 * CONTEXT) * SPEC.hop_length
        path = self.rows.folder_of(i) / row.audio
        waveform, rate = soundfile.read(str(path), length, start * SPEC.hop_length, dtype="float32")
        if rate != SPEC.sample_rate or waveform.shape != (length,):
            raise ValueError(
                f"{row.audio} must be mono, {SPEC.sample_rate} Hz, {row.n_frames} frames; make the corpus again."
            )
        gain = 10.0 ** (random.uniform(*gain_db) / 20.0)
        return waveform * np.float32(gain), self._shards.read_one(i, "f0")[start + CONTEXT : start + CONTEXT + n_frames]


def losses_of(
    model: HarmonicNoiseGenerator,
    crops: Crops,
    generator: torch.Generator,
    log_mel: LogMel,
    distance: SpectralEnergyDistance,
) -> dict[str, Tensor]:
    """Synthesise every crop twice, with two draws of noise and start phase, and compare with the recording."""
    with torch.autocast(crops.f0.device.type, enabled=False):
        mel = log_mel(crops.waveform)[:, CONTEXT : CONTEXT + crops.f0.shape[1]]
    correction = model.predict_correction(mel, crops.f0, torch.ones_like(crops.f0, dtype=torch.bool))
    first, second = (
        model.render(correction, mel, crops.f0, sample_source_state(len(mel), mel.device, generator)) for _ in range(2)
    )
    inner = slice(EDGE * SPEC.hop_length, -EDGE * SPEC.hop_length)
    target = crops.waveform[:, CONTEXT * SPEC.hop_length : -CONTEXT * SPEC.hop_length]
    with torch.autocast(mel.device.type, enabled=False):
        return distance(first[:, inner], second[:, inner], target[:, inner])


def validate(trainer: Trainer[Crops], recordings: Recordings, n_valid: int, log_mel: LogMel) -> None:
    """Synthesise held-out utterances with the trained and the untrained vocoder; save and measure them."""
    samples = trainer.output / "samples"
    samples.mkdir(exist_ok=True)
    picks = range(0, len(recordings.rows), max(1, len(recordings.rows) // n_valid))[:n_valid]
    with trainer.averaged() as model, torch.inference_mode():
        for name, vocoder in (("valid", model), ("baseline", BaselineVocoder().to(trainer.device))):
            measures = []
            for i in picks:
                row, (waveform, f0) = recordings.rows[i], recordings.whole(i)
                mel = log_mel(torch.from_numpy(waveform)[None].to(trainer.device))[:, : len(f0)]
                generator = torch.Generator().manual_seed(0)
                synthesis = (
                    vocoder(mel, torch.from_numpy(f0)[None].to(trainer.device), generator=generator)[0].cpu().numpy()
                )
                measures.append(copy_synthesis_measures(synthesis, waveform, f0))
                save_audio(samples / f"{row.id}-{name}.wav", synthesis)
                save_audio(samples / f"{row.id}-recording.wav", waveform)
            means = {key: float(np.nanmean([m[key] for m in measures])) for key in measures[0]}
            trainer.log(means, prefix=name)
            print(trainer.step, name, {key: round(value, 3) for key, value in means.items()}, flush=True)


def export(trainer: Trainer[Crops], config: DictConfig) -> None:
    """Write the averaged weights and the configuration that rebuilds them."""
    from emotts.checkpoint import save_checkpoint

    with trainer.averaged() as model:
        metadata = facts_of_run(config, config.corpus) | facts_of_trainer("train_vocoder", trainer)
        modules = {"vocoder": (OmegaConf.to_container(config.vocoder, resolve=True), model)}
        save_checkpoint(Path(config.output) / "export", modules, metadata)


def main(config: DictConfig) -> None:
    folders = config.corpus if isinstance(config.corpus, str) else list(config.corpus)
    recordings, held_out = map(Recordings, open_train_and_valid(folders))
    torch.manual_seed(config.seed)
    model: HarmonicNoiseGenerator = hydra.utils.instantiate(config.vocoder)
    hours = int(recordings.rows.column("n_frames").sum(dtype=np.int64)) / SPEC.frame_rate / 3_600.0
    print(json.dumps({"hours": round(hours, 2), "parameters": sum(p.numel() for p in model.parameters())}), flush=True)

    trainer: Trainer[Crops] = Trainer(
        model, config.output, hydra.utils.instantiate(config.schedule), config.seed, precision=config.precision,
        log_every=config.log_every, save_minutes=config.save_minutes, device=config.device, pieces=config.pieces,
        shard=config.shard,
    )  # fmt: skip
    log_mel = LogMel(SPEC).to(trainer.device)
    distance = SpectralEnergyDistance(SPEC, tuple(config.resolutions)).to(trainer.device)

    def batch_of(step: int) -> Crops:
        random = np.random.default_rng((config.seed, step))
        return recordings.crops(random, config.batch_size, config.crop_frames, config.gain_db)

    def step_losses(model: HarmonicNoiseGenerator, crops: Crops, generator: torch.Generator) -> dict[str, Tensor]:
        return losses_of(model, on_device(crops, trainer.device), generator, log_mel, distance)

    def total(losses: dict[str, Tensor]) -> Tensor:
        return torch.stack([weight * losses[name] for name, weight in config.weights.items()]).sum()

    def on_save(trainer: Trainer[Crops]) -> None:
        validate(trainer, held_out, config.n_valid, log_mel)
        export(trainer, config)

    def counts_of(crops: Crops) -> dict[str, Tensor]:
        return dict.fromkeys(config.weights, torch.tensor(len(crops.f0)))  # all crops are of one length

    trainer.fit(batch_of, step_losses, total, config.max_minutes, on_save, counts_of)


if __name__ == "__main__":
    from start import run

    run("train_vocoder")
