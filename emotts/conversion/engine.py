"""The heart of a conversion: a stretch of a recording comes in, the frames of its core go out, moved.

The acoustic model says what was heard twice, as it is felt and as it should feel; the difference of the two, in envelopes and F0,
moves the recording's own. So what the model does not know of a voice stays: at strength 0 nothing is left but copy synthesis.
It is the difference of two predictions at the same point that edits, as in FlowEdit (Kulikov et al. 2024, arXiv 2412.08629), here
between the ends of two flows without noise. For another voice the model speaks, and the recording adds what it has beyond the
model's idea of it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotts.acoustic.model import AcousticModel
from emotts.content.listener import LEVEL_DB
from emotts.conversion.activity import Span, passing_weights, spans_of
from emotts.conversion.contour import ContourMove, stretched, stretched_f0
from emotts.conversion.feeling import Feeling, feeling_of
from emotts.conversion.hearing import NEPERS_PER_DB, Hearing
from emotts.conversion.request import ConversionRequest
from emotts.conversion.speaker import SourceVoice, Speaking
from emotts.emotion.spec import EmotionSpec
from emotts.prosody import contour_from_anchors
from emotts.speaker.known import Speaker
from emotts.text.symbols import is_pause
from emotts.vocoder.baseline import Envelopes
from emotts.vocoder.editing import Vocoder, take_apart

# What is heard is less sure than what is written, so expectations differ less: F0 moves 13 % less than in synthesis.
REACH, BEYOND = 1.15, 0.3  # of the difference that strength 1 takes; what each unit of strength above 1 adds
RETIME_LIMITS = (0.5, 2.0)  # of the length of one phoneme, before speed


@dataclass(frozen=True)
class Frames:
    """Frames of a result, n of them.

    Attributes:
        envelopes: [1, n, M]. f0: Hz [n].
        positions: which place of the recording each frame comes from, in frames from its start [n].
        passing: weight of the recording's own samples [n].
        tokens, durations: phonemes of the core and their frames in the result.
        spans: what the core holds, in seconds of the recording.
        clarity: of the phonemes, mean probability. overlap: of two people at once.
    """

    envelopes: Envelopes
    f0: NDArray[np.float32]
    positions: NDArray[np.float64]
    passing: NDArray[np.float32]
    tokens: list[str]
    durations: list[int]
    spans: list[Span]
    clarity: float
    overlap: float


class Engine:
    """Converts stretches of one recording."""

    def __init__(
        self,
        vocoder: Vocoder,
        speaking: Speaking,
        source: SourceVoice,
        request: ConversionRequest,
        emotion: EmotionSpec,
        target: Speaker | int | None,
        target_gain: float = 0.0,
    ) -> None:
        """Prepare what is the same all along.

        Args:
            source: what is known of the recording.
            request: what is asked.
            emotion: in which it shall feel.
            target: the wanted voice; None keeps the speaker.
            target_gain: natural log of a gain of the wanted voice's mels.
        """
        self.vocoder, self.speaking, self.source, self.request = vocoder, speaking, source, request
        self.felt, self.wanted = feeling_of(source.emotion), feeling_of(emotion)
        self.target, self.target_gain = target, target_gain
        register = source.register
        if target is not None:
            register = _register(speaking.model, target)
        self.move = ContourMove(
            source.register, register, speaking.range_ratio(self.felt, self.wanted),
            _reach(request.strength) if self.felt != self.wanted else 0.0, request.keep_intonation, request.pitch / 12.0,
        )  # fmt: skip
        self._offset = None if target is None else self._voice_offset(source.heard)
        self._made = 0.0  # frames of the result before the next core, not rounded

    @torch.inference_mode()
    def convert(self, heard: Hearing, first_frame: int, core: tuple[int, int]) -> Frames:
        """Return the frames of a core.

        Args:
            heard: the stretch, with what is around the core.
            first_frame: of the stretch, in the recording.
            core: first frame and the one after the last, in the stretch.
        """
        condition = self.speaking.condition(heard.content, self.source.speaker)
        as_felt = self.speaking.expected(condition, self.felt)
        as_wanted = self.speaking.expected(condition, self.wanted) if self.move.strength else as_felt
        f0 = self._contour(heard, as_felt, as_wanted)
        envelopes = self._envelopes(heard, as_felt, as_wanted, f0)
        positions = self._positions(heard, as_felt, as_wanted, core)
        kinds = heard.kinds
        cut, cut_durations = _cut(heard.sounds.tokens, heard.sounds.durations, core, positions)
        return Frames(
            Envelopes(*(_read(x, positions) for x in (envelopes.harmonic, envelopes.noise))),
            stretched_f0(f0, positions),
            positions + first_frame,
            stretched(passing_weights(kinds, heard.quiet).astype(np.float64), positions).astype(np.float32),
            cut, cut_durations, spans_of(kinds[core[0] : core[1]], first_frame + core[0]), heard.clarity, heard.overlap,
        )  # fmt: skip

    def _contour(self, heard: Hearing, as_felt: Tensor, as_wanted: Tensor) -> NDArray[np.float32]:
        durations, n = heard.durations[0], len(heard.f0)
        lines = [contour_from_anchors(raw[0, :, 1:3], durations, n).numpy() for raw in (as_felt, as_wanted)]
        return self.move(heard.f0, lines[0].astype(np.float64), lines[1].astype(np.float64))

    def _envelopes(self, heard: Hearing, as_felt: Tensor, as_wanted: Tensor, new_f0: NDArray[np.float32]) -> Envelopes:
        """Return the envelopes of the whole stretch at its own timing."""
        own = take_apart(self.vocoder, heard.mel, torch.from_numpy(heard.f0)[None])
        strength = self.move.strength
        louder = as_wanted[..., 3] - as_felt[..., 3]
        if self.target is None:
            if not strength:
                return own
            felt = self._spoken(heard, self.source.speaker, self.felt, heard.f0, heard.energy)
            wanted = self._spoken(heard, self.source.speaker, self.wanted, new_f0, heard.energy + louder)
            return _sum(own, (strength, wanted), (-strength, felt))
        felt = self._spoken(heard, self.source.speaker, self.felt, heard.f0, heard.energy)
        plain = self._spoken(heard, self.target, self.felt, new_f0, heard.energy)
        texture = _sum(own, (-1.0, felt))
        gain = self.target_gain + (self.source.level_db - LEVEL_DB) * NEPERS_PER_DB
        parts = [(1.0, plain), (1.0, texture)]
        if self._offset is not None:
            parts.append((-1.0, self._offset))
        if strength:
            wanted = self._spoken(heard, self.target, self.wanted, new_f0, heard.energy + louder)
            parts += [(strength, wanted), (-strength, plain)]
        total = _sum(*parts)
        return Envelopes(total.harmonic + gain, total.noise + gain)

    @torch.inference_mode()
    def _voice_offset(self, heard: Hearing) -> Envelopes:
        """Return what the recording has beyond the model's idea of it on average [1, 1, M]: the speaker's, and the channel's."""
        own = take_apart(self.vocoder, heard.mel, torch.from_numpy(heard.f0)[None])
        texture = _sum(own, (-1.0, self._spoken(heard, self.source.speaker, self.felt, heard.f0, heard.energy)))
        spoken = torch.from_numpy(heard.is_spoken)
        return Envelopes(*(x[:, spoken].mean(dim=1, keepdim=True) for x in (texture.harmonic, texture.noise)))

    def _spoken(
        self, heard: Hearing, speaker: Speaker | int, feeling: Feeling, f0: NDArray[np.float32], energy: Tensor
    ) -> Envelopes:
        """Return the envelopes of what was heard as the model says it, at the recording's timing."""
        condition = self.speaking.condition(heard.content, speaker)
        own_f0 = torch.from_numpy(f0)[None]
        mel = self.speaking.mel(condition, feeling, heard.durations, own_f0, energy)
        return take_apart(self.vocoder, mel, own_f0)

    def _positions(
        self, heard: Hearing, as_felt: Tensor, as_wanted: Tensor, core: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Return the places in the stretch from which the frames of the core's result come."""
        if not self.request.retime:
            return np.arange(*core, dtype=np.float64)
        longer = torch.exp(self.move.strength * (as_wanted - as_felt)[0, :, 0]).numpy().clip(*RETIME_LIMITS)
        factors = np.repeat(longer / self.request.speed, heard.sounds.durations).astype(np.float64)
        factors = np.where(passing_weights(heard.kinds) > 0.0, 1.0, factors)
        ends = np.concatenate([[0.0], np.cumsum(factors[core[0] : core[1]])])
        first, last = round(self._made), round(self._made + ends[-1])
        offset = first - self._made
        self._made += ends[-1]
        wanted = np.arange(last - first) + offset
        return core[0] + np.interp(wanted, ends, np.arange(len(ends), dtype=np.float64))


def _reach(strength: float) -> float:
    """Return which part of the difference is taken; above 1 less is added: far beyond what is expected, other things are heard."""
    return REACH * min(strength, 1.0) + BEYOND * max(strength - 1.0, 0.0)


def _register(model: AcousticModel, voice: Speaker | int) -> float:
    return float(model.voices.mean_log_f0[voice] if isinstance(voice, int) else voice.mean_log_f0[0])


def _sum(first: Envelopes | tuple[float, Envelopes], *others: tuple[float, Envelopes]) -> Envelopes:
    weight, start = (1.0, first) if isinstance(first, Envelopes) else first
    harmonic, noise = weight * start.harmonic, weight * start.noise
    for factor, part in others:
        harmonic, noise = harmonic + factor * part.harmonic, noise + factor * part.noise
    return Envelopes(harmonic, noise)


def _read(values: Tensor, positions: NDArray[np.float64]) -> Tensor:
    """Read frames [1, T, M] at positions [n]."""
    return torch.from_numpy(stretched(values[0].numpy().astype(np.float64), positions)).float()[None]


def _cut(
    tokens: list[str], durations: list[int], core: tuple[int, int], positions: NDArray[np.float64]
) -> tuple[list[str], list[int]]:
    """Return the phonemes that fall into the core, with how many frames of the result each has."""
    edges = np.concatenate([[0], np.cumsum(durations)])
    counts = np.diff(np.searchsorted(positions, edges))
    counts[(edges[1:] <= core[0]) | (edges[:-1] >= core[1])] = 0
    kept = [(token, int(count)) for token, count in zip(tokens, counts, strict=True) if count or is_pause(token)]
    return [token for token, count in kept if count], [count for _, count in kept if count]
