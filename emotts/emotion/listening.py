"""The network of emotts/emotion/recognizer.py as a judge: waveforms of any rate and length come in, `Heard` goes out.

Long recordings are judged in pieces, in bounded memory. A judge can be told a speaker's neutral voice, and then hears what
differs from it: arousal lies in the recording, but valence and dominance move a voice less than voices differ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from emotts.audio import SPEC, LogMel, extract_f0, resample, speech_level_db
from emotts.emotion.heard import WINDOW_S, Heard
from emotts.emotion.labels import LABELS
from emotts.emotion.recognizer import Recognizer, Statistics
from emotts.emotion.stems import FeatureStem

PIECE_S = 30.0  # longer recordings are judged in pieces of this length
SHORTEST_S = 0.25
SILENCE_DB = -75.0  # dB of full scale
UNCERTAIN_BELOW = 0.4  # calibrated probability of the best label
RATES = (4_000, 384_000)  # Hz
PEAK = 0.5  # of what the front end is given, full scale is 1


class Encoder(Protocol):
    """A frozen network of emotts/emotion/backbones.py."""

    frame_rate: float

    def encode(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return features [T, F] of waveform [L]."""
        ...


class RecognizerJudge:
    """The network as a judge of waveforms; keeps `emotts.emotion.heard.Judge`.

    Recordings longer than PIECE_S are judged piece by piece; a piece knows the loudness of its own speech only.
    """

    name = "recognizer"

    def __init__(
        self, model: Recognizer, uncertain_below: float = UNCERTAIN_BELOW, encoder: Encoder | None = None
    ) -> None:
        """Prepare the judge.

        Args:
            model: trained; it is put into eval mode.
            uncertain_below: the answer is "uncertain" where the best label's probability lies below this.
            encoder: what gives the features that a model with a FeatureStem was trained on; None for the mel.

        Raises:
            ValueError: an encoder with a model of mels, or the reverse.
        """
        if isinstance(model.stem, FeatureStem) != (encoder is not None):
            raise ValueError(
                "this recogniser reads " + ("mels; give no encoder." if encoder else "an encoder's features; give it.")
            )
        self.model, self.uncertain_below, self.encoder = model.eval(), uncertain_below, encoder
        self.log_mel = LogMel()
        self.frame_rate = SPEC.frame_rate if encoder is None else encoder.frame_rate
        self.voice: Statistics | None = None

    def with_reference(self, neutral: Sequence[tuple[np.ndarray, int]]) -> "RecognizerJudge":
        """Return a judge that compares with this speaker's neutral voice.

        Args:
            neutral: recordings of the speaker, waveform and sample rate, spoken without emotion in the channel of what will be
                judged; about ten seconds in all are enough. Of each the first PIECE_S seconds count.

        Raises:
            ValueError: no recording, or one that `hear` would refuse.
        """
        if not neutral:
            raise ValueError("a reference needs at least one neutral recording of the speaker; got none.")
        found = []
        for waveform, sample_rate in neutral:
            piece = next(_pieces(waveform, sample_rate, PIECE_S))[1]
            if speech_level_db(piece) <= SILENCE_DB:
                raise ValueError("a neutral recording of the speaker is silent; give one with speech.")
            features = self._features(piece)
            with torch.inference_mode():
                found.append(self.model.describe(features[None], torch.tensor([len(features)])))
        judge = RecognizerJudge(self.model, self.uncertain_below, self.encoder)
        judge.voice = Statistics(
            *(torch.stack(x).mean(dim=0) for x in zip(*(vars(f).values() for f in found), strict=True))
        )
        return judge

    def hear(self, waveform: np.ndarray, sample_rate: int) -> Heard:
        """Judge a whole recording; pieces of a long one count by their length. Errors are those of `Judge.hear`."""
        parts = [
            self._piece(piece, start_s, None)[0]
            for start_s, piece in _pieces(waveform, sample_rate, PIECE_S)
            if speech_level_db(piece) > SILENCE_DB
        ]
        if not parts:
            raise ValueError("the recording is silent; give one with speech.")
        return parts[0] if len(parts) == 1 else self._joined(parts)

    def windows(self, waveform: np.ndarray, sample_rate: int, window_s: float = WINDOW_S) -> list[Heard]:
        """Judge consecutive windows; those 30 dB below the speech around them are left out. Errors as `Judge.windows`."""
        if not SHORTEST_S <= window_s <= PIECE_S:
            raise ValueError(f"window_s must lie in [{SHORTEST_S}, {PIECE_S:g}] seconds; got {window_s}.")
        heard: list[Heard] = []
        for start_s, piece in _pieces(waveform, sample_rate, PIECE_S // window_s * window_s):
            if speech_level_db(piece) > SILENCE_DB:
                heard += self._piece(piece, start_s, window_s)
        if not heard:
            raise ValueError("the recording is silent; give one with speech.")
        return heard

    def hear_mel(self, mel: np.ndarray | Tensor, f0: np.ndarray | Tensor) -> Heard:
        """Judge a log mel [T, M] of the bundled front end (emotts.audio.LogMel) with its F0 [T] in Hz, 0 where unvoiced.

        Raises:
            ValueError: another shape, too short, not finite, or a recogniser that does not read mels.
        """
        if self.encoder is not None:
            raise ValueError("this recogniser reads an encoder's features; use hear with a waveform.")
        frames = torch.as_tensor(np.asarray(mel), dtype=torch.float32)
        pitch = torch.as_tensor(np.asarray(f0), dtype=torch.float32)
        shortest = int(SHORTEST_S * SPEC.frame_rate)
        if (
            frames.ndim != 2
            or frames.shape[1] != SPEC.n_mels
            or len(frames) < shortest
            or pitch.shape != frames.shape[:1]
        ):
            expected = f"[T >= {shortest}, {SPEC.n_mels}] and [T]"
            raise ValueError(
                f"mel and f0 must have the shapes {expected}; got {list(frames.shape)} and {list(pitch.shape)}."
            )
        if not (torch.isfinite(frames).all() and torch.isfinite(pitch).all()):
            raise ValueError("the mel or F0 has values that are not finite.")
        features = torch.cat([frames, pitch[:, None]], dim=1)
        return self._judge(features, 0.0, [(0, len(features))], len(features) / SPEC.frame_rate)[0]

    def _features(self, waveform: np.ndarray) -> Tensor:
        """Return what the network reads [T, F] of waveform [L] at the bundled rate."""
        if self.encoder is not None:
            return torch.from_numpy(self.encoder.encode(waveform, SPEC.sample_rate)).float()
        with torch.inference_mode():
            mel = self.log_mel(torch.from_numpy(waveform)[None])[0]
        f0 = torch.from_numpy(np.asarray(extract_f0(waveform), np.float32))[: len(mel), None]
        return torch.cat([mel[: len(f0)], f0], dim=1)

    def _piece(self, waveform: np.ndarray, start_s: float, window_s: float | None) -> list[Heard]:
        """Judge one piece [L] at the bundled rate, whole or in windows that hold speech."""
        duration_s = len(waveform) / SPEC.sample_rate
        features = self._features(waveform)
        if window_s is None:
            return self._judge(features, start_s, [(0, len(features))], duration_s)
        n = max(1, int(duration_s / window_s + 0.5))  # a rest of half a window is a window
        edges = [min(i * window_s, duration_s) for i in range(n + 1)]
        spoken = [(a, b) for a, b in zip(edges, edges[1:], strict=False) if _is_spoken(waveform, a, b)]
        rate = self.frame_rate
        spans = [(int(a * rate), max(int(b * rate), int(a * rate) + 1)) for a, b in spoken]
        heard = self._judge(features, start_s, spans, duration_s) if spans else []
        return [replace(h, start_s=start_s + a, end_s=start_s + b) for h, (a, b) in zip(heard, spoken, strict=True)]

    @torch.inference_mode()
    def _judge(self, features: Tensor, start_s: float, spans: list[tuple[int, int]], duration_s: float) -> list[Heard]:
        """Recognise spans in frames of features [T, F]."""
        weight = None if self.voice is None else torch.ones(1, 1)
        length = torch.tensor([len(features)])
        heard = self.model(features[None], length, torch.tensor([spans]), self.voice, weight)
        probability = self.model.probabilities(heard.logits, self.voice is not None)[0].double()
        avd = heard.avd[0].clamp(-1.0, 1.0).double()
        std = torch.exp(0.5 * heard.log_variance[0]).double()
        columns = [x.numpy() for x in (probability, avd, std, heard.embedding[0])]
        return [self._answer(start_s, start_s + duration_s, *(x[w] for x in columns)) for w in range(len(spans))]

    def _answer(
        self, start_s: float, end_s: float, labels: np.ndarray, avd: np.ndarray, std: np.ndarray, embedding: np.ndarray
    ) -> Heard:
        share = labels / labels.sum()
        return Heard(
            start_s, end_s, dict(zip(LABELS, share.tolist(), strict=True)), _triple(avd), _triple(std),
            embedding.astype(np.float32), bool(share.max() < self.uncertain_below),
        )  # fmt: skip

    def _joined(self, parts: list[Heard]) -> Heard:
        """Join the pieces of a long recording: mixture of their distributions, weighted by duration."""
        weight = np.array([part.end_s - part.start_s for part in parts])
        weight /= weight.sum()
        labels = weight @ np.array([[part.labels[name] for name in LABELS] for part in parts])
        avd, std = np.array([part.avd for part in parts]), np.array([part.avd_std for part in parts])
        mean = weight @ avd
        spread = np.sqrt(weight @ (std**2 + (avd - mean) ** 2))
        embedding = weight @ np.array([part.embedding for part in parts])
        embedding /= max(float(np.linalg.norm(embedding)), 1e-9)
        return self._answer(parts[0].start_s, parts[-1].end_s, labels, mean, spread, embedding)


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    a, v, d = values.tolist()
    return a, v, d


def _is_spoken(waveform: np.ndarray, start_s: float, end_s: float) -> bool:
    """Whether a stretch reaches to within 30 dB of the level of the speech in waveform [L]."""
    part = waveform[int(start_s * SPEC.sample_rate) : int(end_s * SPEC.sample_rate)]
    return speech_level_db(part) > speech_level_db(waveform) - 30.0


def _pieces(waveform: np.ndarray, sample_rate: int, piece_s: float) -> Iterator[tuple[float, np.ndarray]]:
    """Give start in seconds and samples [L] at 24 kHz of every piece; the last takes a short rest along, the loudest has peak PEAK.

    Raises:
        ValueError: wrong shape, type or rate, too short, or samples that are not finite.
    """
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise ValueError(f"sample_rate must lie in [{RATES[0]}, {RATES[1]}] Hz; got {sample_rate}.")
    channels = np.atleast_2d(np.asarray(waveform))
    if channels.ndim != 2 or channels.dtype.kind not in "fiu":
        raise ValueError(
            f"waveform must be [L] or [channels, L] numbers; got {np.shape(waveform)} of {channels.dtype}."
        )
    if channels.shape[0] > channels.shape[1]:
        channels = channels.T  # [L, channels], as soundfile reads it
    n = channels.shape[1]
    if n < SHORTEST_S * sample_rate:
        raise ValueError(f"the recording lasts {n / sample_rate:.3f} s; at least {SHORTEST_S} s are needed.")
    size = int(piece_s * sample_rate)
    starts = list(range(0, max(n - sample_rate, 1), size))
    peak = max(float(np.abs(_mono(channels[:, start : start + size])).max()) for start in range(0, n, size))
    if not np.isfinite(peak):
        raise ValueError("the recording has samples that are not finite (NaN or infinity); write it again.")
    for start, end in zip(starts, [*starts[1:], n], strict=True):
        mono = _mono(channels[:, start:end]) * (PEAK / max(peak, 1e-9))
        yield start / sample_rate, resample(mono.astype(np.float32), sample_rate, SPEC.sample_rate)


def _mono(channels: np.ndarray) -> np.ndarray:
    """Average [channels, L] of floats or of PCM integers to [L] in [-1, 1]."""
    if channels.dtype.kind == "f":
        return channels.mean(axis=0, dtype=np.float64)
    full = 2.0 ** (8 * channels.dtype.itemsize - 1)
    return channels.mean(axis=0, dtype=np.float64) / full - (1.0 if channels.dtype.kind == "u" else 0.0)
