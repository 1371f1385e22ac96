"""How well the recogniser hears: a network and the parts of its data come in, figures by name go out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from recognizer_data import Parts
from torch import Tensor

from emotts.audio import LogMel, extract_f0, load_audio
from emotts.data.clips import Clips
from emotts.data.manifest import ManifestRow, emotion_of
from emotts.data.rows import codes_of, column_of
from emotts.emotion import augment as distort
from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.emotion.objective import expected_calibration_error, fit_temperature, mixture_target
from emotts.emotion.recognizer import Recognizer, Statistics
from emotts.metrics.statistics import concordance, unweighted_average_recall

Condition = Callable[[np.ndarray], np.ndarray]
CONDITIONS: dict[str, Condition] = {
    "noise_10db": lambda waveform: distort.add_noise(waveform, 10.0),
    "telephone": distort.telephone,
    "room": lambda waveform: distort.reverberate(waveform, 0.5),
    "level_minus_12db": lambda waveform: waveform * np.float32(10.0 ** (-12.0 / 20.0)),
}
BATCH = 16  # clips that are measured at once
MOST_VOICES = 12  # of the test that have figures of their own
MOST_DISTORTED = 2_000  # clips that are measured under every distortion, spread over the test


class Measurement:
    """The answers of a network for whole clips, as they are or with their waveforms distorted first."""

    def __init__(self, model: Recognizer, n_references: int, clear_intensity: float) -> None:
        self.model, self.n_references, self.clear_intensity = model, n_references, clear_intensity
        self.log_mel = LogMel()
        self.device = model.temperature.device

    def features(self, clips: Clips, indices: Sequence[int], condition: Condition | None) -> tuple[Tensor, Tensor]:
        """Return features [B, T, F] and lengths [B], where the network is."""
        if condition is None:
            features, lengths = clips.padded(indices)
            return features.to(self.device), lengths.to(self.device)
        parts = []
        for i in indices:
            waveform = condition(load_audio(clips.audio_of(i)))
            mel = self.log_mel(torch.from_numpy(waveform)[None])[0]
            f0 = torch.from_numpy(extract_f0(waveform)).float()[: len(mel), None]
            parts.append(torch.cat([mel[: len(f0)], f0], dim=1))
        lengths = torch.tensor([len(part) for part in parts])
        return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True).to(self.device), lengths.to(self.device)

    @torch.inference_mode()
    def voices(self, clips: Clips, condition: Condition | None) -> dict[str, Statistics]:
        """Return the mean statistics of the first neutral clips of every voice that has some."""
        known = {}
        for voice, neutral in clips.neutral.items():
            if not neutral:
                continue
            found = self.model.describe(*self.features(clips, neutral[: self.n_references], condition))
            known[voice] = Statistics(*(x.mean(dim=0, keepdim=True) for x in vars(found).values()))
        return known

    @torch.inference_mode()
    def answers(
        self, clips: Clips, references: Clips | None = None, condition: Condition | None = None
    ) -> dict[str, Tensor]:
        """Return logits [N, K], avd and log_variance [N, 3] on the CPU; `references` are clips that the voices are known from."""
        voices = self.voices(references, condition) if references is not None else {}
        rows: dict[int, list[Tensor]] = {}
        codes, names = codes_of(clips.rows, "voice")
        order = np.argsort(column_of(clips.rows, "n_frames"), kind="stable")
        for voice in clips.voices:
            own = order[codes[order] == names.index(voice)].tolist()
            for indices in (own[k : k + BATCH] for k in range(0, len(own), BATCH)):
                weight = torch.ones(len(indices), 1, device=self.device) if voice in voices else None
                features, lengths = self.features(clips, indices, condition)
                heard = self.model(features, lengths, None, voices.get(voice), weight)
                for k, i in enumerate(indices):
                    rows[i] = [x[k, 0].float().cpu() for x in (heard.logits, heard.avd, heard.log_variance)]
        columns = zip(*(rows[i] for i in range(len(clips.rows))), strict=True)
        return dict(zip(("logits", "avd", "log_variance"), map(torch.stack, columns), strict=True))

    def figures(self, clips: Clips, answers: dict[str, Tensor], is_voice_known: bool) -> dict[str, Any]:
        """Return the figures of one condition for which there are labels or ratings.

        Categories count at clear intensities, each class alike; see `clear`.
        """
        everything = range(len(clips.rows))
        soft, _ = clips.labels(everything)
        true, rated = clips.points(everything)
        clear, (asked, known) = self.clear(clips), self.asked(clips)
        probability = self.model.probabilities(answers["logits"].to(self.device), is_voice_known).cpu()
        top = probability.topk(2, dim=-1).indices
        heard, sd = answers["avd"].clamp(-1.0, 1.0), torch.exp(0.5 * answers["log_variance"])
        one_hot = F.one_hot(asked, len(LABELS)).float()
        among_two = (top == asked[:, None]).any(dim=-1).float()
        classes = asked[clear].unique().tolist()
        figures: dict[str, Any] = {"n_clips": len(clips.rows), "n_clear": int(clear.sum())}
        if clear.any():
            figures |= {
                "uar": unweighted_average_recall(asked[clear].numpy(), top[clear, 0].numpy()),
                "top2": float(np.mean([float(among_two[clear & (asked == k)].mean()) for k in classes])),
                "ece": expected_calibration_error(probability[clear], one_hot[clear]),
            }
        if known.any():
            figures |= {
                "uar_all_intensities": unweighted_average_recall(asked[known].numpy(), top[known, 0].numpy()),
                "ece_soft_all_intensities": expected_calibration_error(probability[known], soft[known]),
            }
        for d, name in enumerate(DIMENSIONS):
            told = rated[:, d]
            if told.sum() > 1:
                figures[f"ccc_{name}"] = concordance(true[told, d].numpy(), heard[told, d].numpy())
                figures[f"within_1sd_{name}"] = float(((true - heard).abs() < sd)[told, d].float().mean())
        figures = {name: round(value, 4) for name, value in figures.items()}
        recall = {LABELS[k]: round(float((top[clear & (asked == k), 0] == k).float().mean()), 3) for k in classes}
        return figures | {"recall": recall}

    def asked(self, clips: Clips) -> tuple[Tensor, Tensor]:
        """Return the index of each row's label [N] and whether there is one [N]; votes on a recording are for the strongest."""
        names = [_called(row, is_made) for row, is_made in zip(clips.rows, clips.is_simulated.tolist(), strict=True)]
        return torch.tensor([LABELS.index(name or "neutral") for name in names]), torch.tensor([bool(n) for n in names])

    def clear(self, clips: Clips) -> Tensor:
        """Mark rows that one label describes [N].

        Of what was simulated: see `ManifestRow.is_clear`. Of recordings: neutral, `clear_intensity` or more, or most of the votes.
        """
        pairs = zip(clips.rows, clips.is_simulated.tolist(), strict=True)
        return torch.tensor(
            [row.is_clear(self.clear_intensity) if is_made else self._is_heard_clearly(row) for row, is_made in pairs]
        )

    def _is_heard_clearly(self, row: ManifestRow) -> bool:
        if row.mixture is not None:
            return float(mixture_target(row.mixture).max()) > 0.5
        return row.label is not None and (row.label == "neutral" or row.intensity >= self.clear_intensity)

    def told_apart(self, clips: Clips) -> tuple[Clips, Clips] | None:
        """Return clips and the neutral ones that tell their voices, `n_references` each at most and not among the former.

        None where that leaves nothing to measure.
        """
        telling = {i for neutral in clips.neutral.values() for i in neutral[: self.n_references]}
        codes, names = codes_of(clips.rows, "voice")
        rest = [i for i, code in enumerate(codes.tolist()) if clips.neutral[names[code]] and i not in telling]
        return (clips.taken(rest), clips.taken(sorted(telling))) if rest else None

    def calibrate(self, clips: Clips, known: tuple[Clips, Clips] | None) -> None:
        """Set both temperatures, for a voice that is not known and for one that is, from clear rows; 1 where there are none.

        Args:
            clips: for a voice that is not known.
            known: clips and those that tell their voices; None takes the temperature of a voice that is not known.
        """
        for k, (part, references) in enumerate(((clips, None), known or (None, None))):
            if part is None:
                self.model.temperature[k] = self.model.temperature[0]
            elif (clear := self.clear(part)).any():
                target = F.one_hot(self.asked(part)[0], len(LABELS)).float()[clear]
                self.model.temperature[k] = fit_temperature(self.answers(part, references)["logits"][clear], target)


def _called(row: ManifestRow, is_simulated: bool) -> str | None:
    if row.label is not None or is_simulated:
        return row.label
    name = emotion_of(row)
    return name if name in LABELS else None


def known_by(measurement: Measurement, parts: Parts) -> dict[str, tuple[Clips, Clips] | None]:
    """Return the clips of every part that is measured, with those that their voices are known from."""
    if parts.own_voices is None:
        return {"test": measurement.told_apart(parts.test), "calibration": measurement.told_apart(parts.calibration)}
    return {
        "test": (parts.test, parts.calibration),
        "calibration": (parts.calibration, parts.calibration),
        "own_voices": (parts.own_voices, parts.train),
    }


def evaluate(measurement: Measurement, parts: Parts, config: DictConfig) -> dict[str, Any]:
    """Return the figures of every part, voice known and not, per voice, and of the test part under every distortion."""
    test, known = parts.test, known_by(measurement, parts)
    report: dict[str, Any] = {
        "parameters": sum(p.numel() for p in measurement.model.parameters()),
        "temperature": [round(float(t), 4) for t in measurement.model.temperature],
    }

    def add(name: str, clips: Clips, told: tuple[Clips, Clips] | None, condition: Condition | None = None) -> None:
        report[name] = measurement.figures(clips, measurement.answers(clips, None, condition), False)
        if told is not None:
            answers = measurement.answers(*told, condition)
            report[f"{name}_known"] = measurement.figures(told[0], answers, True)

    for name, told in known.items():
        add(name, dict(parts.items())[name], told)
    for voice in test.voices if len(test.voices) <= MOST_VOICES else []:
        add(f"test_{voice}", test.only(voice), _of_voice(known["test"], voice))
    if len(test.rows) > MOST_DISTORTED:
        test = test.taken(np.linspace(0, len(test.rows) - 1, MOST_DISTORTED).astype(int).tolist())
    told = measurement.told_apart(test) if parts.is_by_split else (test, parts.calibration)
    for name, condition in CONDITIONS.items() if config.backbone is None else []:
        add(name, test, told, condition)
    return report


def _of_voice(told: tuple[Clips, Clips] | None, voice: str) -> tuple[Clips, Clips] | None:
    """Return the clips of one voice, with the same references."""
    return (told[0].only(voice), told[1]) if told is not None and voice in told[0].voices else None
