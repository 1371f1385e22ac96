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
from omegaconf import DictConfig, OmegaConf
from safetensors import safe_open
from torch import Tensor

from emotts.audio import SPEC, LogMel, load_audio, save_audio
from emotts.data.manifest import ManifestRow, read_manifest
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
    """The audio and F0 of one split of a manifest."""

    def __init__(self, folder: str | Path, split: str) -> None:
        self.folder = Path(folder)
        self.rows = [row for row in read_manifest(self.folder / "manifest.jsonl") if row.split == split]
        if not self.rows:
            raise ValueError(f"{self.folder / 'manifest.jsonl'} has no rows of the split {split!r}.")
        self._f0 = self._read_f0()
        self._usable: dict[int, tuple[list[ManifestRow], np.ndarray]] = {}  # and their shares of all moments, by frames

    def _read_f0(self) -> dict[str, np.ndarray]:
        f0 = {}
        for shard in sorted({row.features for row in self.rows}):
            with safe_open(str(self.folder / shard), framework="np") as file:
                f0.update({row.id: file.get_tensor(f"{row.id}.f0") for row in self.rows if row.features == shard})
        return f0

    def whole(self, row: ManifestRow) -> tuple[np.ndarray, np.ndarray]:
        """Return waveform [T * hop] and f0 [T] of a row."""
        waveform = load_audio(self.folder / row.audio)
        return waveform[: row.n_frames * SPEC.hop_length], self._f0[row.id]

    def crops(self, random: np.random.Generator, size: int, n_frames: int, gain_db: Sequence[float]) -> Crops:
        """Draw `size` pieces of `n_frames` frames; every moment of the split that has its context is equally likely."""
        if n_frames not in self._usable:
            long = [row for row in self.rows if row.n_frames >= n_frames + 2 * CONTEXT]
            if not long:
                raise ValueError(f"no utterance has {n_frames + 2 * CONTEXT} frames; lower crop_frames.")
            starts = np.array([row.n_frames - n_frames - 2 * CONTEXT + 1 for row in long], dtype=np.float64)
            self._usable[n_frames] = long, starts / starts.sum()
        usable, shares = self._usable[n_frames]
        picks = random.choice(len(usable), size, p=shares)
        waveforms, f0 = zip(*(self._crop(usable[i], random, n_frames, gain_db) for i in picks), strict=True)
        return Crops(torch.from_numpy(np.stack(waveforms)), torch.from_numpy(np.stack(f0)))

    def _crop(
        self, row: ManifestRow, random: np.random.Generator, n_frames: int, gain_db: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        import soundfile

        start = int(random.integers(row.n_frames - n_frames - 2 * CONTEXT + 1))
        length = (n_frames + 2 * CONTEXT) * SPEC.hop_length
        waveform, rate = soundfile.read(str(self.folder / row.audio), length, start * SPEC.hop_length, dtype="float32")
        if rate != SPEC.sample_rate or waveform.shape != (length,):
            raise ValueError(
                f"{row.audio} must be mono, {SPEC.sample_rate} Hz, {row.n_frames} frames; make the corpus again."
            )
        gain = 10.0 ** (random.uniform(*gain_db) / 20.0)
        return waveform * np.float32(gain), self._f0[row.id][start + CONTEXT : start + CONTEXT + n_frames]


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
    rows = recordings.rows[:: max(1, len(recordings.rows) // n_valid)][:n_valid]
    with trainer.averaged() as model, torch.inference_mode():
        for name, vocoder in (("valid", model), ("baseline", BaselineVocoder().to(trainer.device))):
            measures = []
            for row in rows:
                waveform, f0 = recordings.whole(row)
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
    recordings, held_out = Recordings(config.corpus, "train"), Recordings(config.corpus, "valid")
    torch.manual_seed(config.seed)
    model: HarmonicNoiseGenerator = hydra.utils.instantiate(config.vocoder)
    hours = sum(row.n_frames for row in recordings.rows) / SPEC.frame_rate / 3_600.0
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
