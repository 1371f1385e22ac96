"""The acoustic model: phonemes, voice and emotion to prosody and mel.

Comes in: a Condition. Goes out: a sampled Prosody, then a mel [B, T, M]. A deterministic trunk predicts the mel's conditional
median; a residual flow (Matcha-TTS, Mehta et al. 2024, arXiv 2309.03199, but around that prior) adds the texture that varies.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from emotts.acoustic.blend import Branch
from emotts.acoustic.captured import sample_flow
from emotts.acoustic.condition import Condition, Keep
from emotts.acoustic.estimator import VelocityEstimator
from emotts.acoustic.flow import PLAIN, Sampling, evaluation_times
from emotts.acoustic.sampler import JUMPS, Bend, FlowNetwork, flow_inputs, jump_inputs
from emotts.acoustic.stacked import Encoded, blended, stacked
from emotts.acoustic.student import FlowStudent
from emotts.content.text_encoder import TextEncoder
from emotts.emotion.space import EmotionSpace
from emotts.layers import BlockStack, expand_tokens, frame_to_token, lengths_to_mask, mean_over
from emotts.prosody import EditReading, Prosody, ProsodyModel, finish_reading, token_positions
from emotts.speaker import VoiceTable

Push = Callable[[Tensor, Tensor], Sequence[tuple[float, Tensor]]]


class MelTrunk(nn.Module):
    """Content, prosody, speaker and emotion to frame rows and the prior mel."""

    def __init__(
        self,
        content: int,
        speaker: int,
        emotion: int,
        n_mels: int,
        channels: int = 256,
        token_layout: str = "cc",
        frame_layout: str = "cccc",
        dropout: float = 0.05,
    ) -> None:
        super().__init__()
        self.token_enter = nn.Linear(content, channels)
        self.token_blocks = BlockStack(token_layout, channels, speaker + emotion, kernel_size=5, dropout=dropout)
        self.frame_enter = nn.Linear(channels + emotion + 6, channels)
        self.frame_blocks = BlockStack(frame_layout, channels, speaker + emotion, kernel_size=7, dropout=dropout)
        self.head = nn.Linear(channels, n_mels)

    def forward(
        self,
        content: Tensor,
        token_condition: Tensor,
        emotion: Tensor,
        prosody: Prosody,
        relative_log_f0: Tensor,
        token_mask: Tensor,
        frame_mask: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return frame rows [B, T, C], prior mel [B, T, M] (normalised) and the utterance's condition [B, 1, D + E]."""
        index = frame_to_token(prosody.durations, frame_mask.shape[1])
        tokens = self.token_blocks(self.token_enter(content), token_mask, token_condition)
        voiced = (prosody.f0 > 0).float()
        frame = [relative_log_f0 * voiced, voiced, torch.gather(prosody.energy, 1, index)]
        x = torch.cat(
            [
                expand_tokens(tokens, index),
                expand_tokens(emotion, index),
                torch.stack(frame, dim=-1),
                token_positions(prosody.durations, index),
            ],
            dim=-1,
        )
        condition = mean_over(token_condition, token_mask)[:, None, :]
        rows = self.frame_blocks(self.frame_enter(x), frame_mask, condition)
        return rows, self.head(rows), condition


class AcousticModel(nn.Module):
    """Text encoder, emotion space, voices, prosody, mel trunk and flow in one module."""

    mel_mean: Tensor
    mel_std: Tensor
    residual_std: Tensor

    def __init__(
        self,
        voices: list[str],
        text_encoder: TextEncoder,
        emotion_space: EmotionSpace,
        prosody: ProsodyModel,
        trunk: MelTrunk,
        estimator: VelocityEstimator,
        speaker_dim: int = 96,
        n_mels: int = 100,
    ) -> None:
        super().__init__()
        self.voices = VoiceTable(voices, speaker_dim)
        self.text_encoder = text_encoder
        self.emotion_space = emotion_space
        self.prosody = prosody
        self.trunk = trunk
        self.estimator = estimator
        self.register_buffer("mel_mean", torch.zeros(n_mels))
        self.register_buffer("mel_std", torch.ones(n_mels))
        self.register_buffer("residual_std", torch.ones(n_mels))

    def encode(
        self, condition: Condition, keep: Keep | None = None, text: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return content [B, N, C], speaker [B, D] and emotion [B, N, E]; `text` [B, N, C] is the encoded text, if at hand."""
        if condition.content is None and text is None:
            kept = keep.content if keep else None
            content = self.text_encoder(
                condition.phonemes, condition.stresses, condition.mask, kept, condition.language
            )
        else:
            content = condition.content if text is None else text
            assert content is not None
            content = content if keep is None else self.text_encoder.drop(content, keep.content)
            content = content * condition.mask[:, :, None]
        speaker = self.voices(condition.voice) if condition.speaker is None else condition.speaker.embedding
        if keep is not None:
            unknown = self.voices(torch.full_like(condition.voice, self.voices.unknown))
            speaker = torch.where(keep.voice[:, None], speaker, unknown)
        return content, speaker, self.emotion_space(condition.emotion)

    def register_of(self, condition: Condition) -> Tensor:
        """Return the mean log2 F0 of the voices [B]."""
        if condition.speaker is not None:
            return condition.speaker.mean_log_f0
        return self.voices.mean_log_f0[condition.voice]

    @torch.inference_mode()
    def expected(self, condition: Condition) -> Tensor:
        """Return the mean reading: log frames, log2 F0 less the voice's mean (two anchors), log energy per token [B, N, 4]."""
        content, speaker, emotion = self.encode(condition)
        prior, _ = self.prosody.prior(content, self.prosody.condition(speaker, emotion), condition.mask)
        return self.prosody.denormalise(prior.float())

    @torch.inference_mode()
    def encoded(self, request: Condition | Sequence[Branch]) -> Encoded:
        """Encode a request once, for `sample_prosody` and `sample_mel`; a text that several branches share is read once.

        Args:
            request: one condition, or the branches of emotts/acoustic/blend.py; the first gives voice and voicing.
        """
        branches = [Branch(request, 1.0)] if isinstance(request, Condition) else list(request)
        texts: dict[tuple[int, ...], Tensor] = {}
        found = []
        for condition, keep in ((branch.condition, branch.keep) for branch in branches):
            said = (condition.phonemes, condition.stresses, condition.lengths, condition.language)
            key = tuple(id(part) for part in said)
            if condition.content is None and key not in texts:
                texts[key] = self.text_encoder(*said[:2], condition.mask, None, condition.language)
            found.append(self.encode(condition, keep, texts.get(key)))
        return stacked(branches, found)

    def _trunk(self, encoded: Encoded, prosody: Prosody, frame_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the trunk gives for all branches, [K * B, ...]; priors are corrected for voices that are no named ones."""
        k, branches = len(encoded.branches), encoded.branches
        relative = [self.relative_log_f0(prosody.f0, self.register_of(branch.condition)) for branch in branches]
        every = Prosody(prosody.durations.repeat(k, 1), prosody.f0.repeat(k, 1), prosody.energy.repeat(k, 1))
        rows, prior, summary = self.trunk(
            encoded.content,
            self.prosody.condition(encoded.speaker, encoded.emotion),
            encoded.emotion,
            every,
            torch.cat(relative),
            encoded.mask.repeat(k, 1),
            frame_mask.repeat(k, 1),
        )
        if all(branch.condition.speaker is None for branch in branches):
            return rows, prior, summary
        index = frame_to_token(prosody.durations, frame_mask.shape[1])
        parts = zip(branches, *(x.chunk(k) for x in (rows, prior, encoded.content)), strict=True)
        corrected = [
            p if b.condition.speaker is None else b.condition.speaker.correct(r, p, expand_tokens(c, index), frame_mask)
            for b, r, p, c in parts
        ]
        return rows, torch.cat(corrected), summary

    @staticmethod
    def relative_log_f0(f0: Tensor, mean_log_f0: Tensor) -> Tensor:
        """Return log2 F0 less the voice's mean [B, T]; meaningless where unvoiced."""
        return torch.log2(f0.clamp_min(1.0)) - mean_log_f0[:, None]

    @torch.inference_mode()
    def sample_prosody(
        self,
        request: Condition | Sequence[Branch] | Encoded,
        minimum: Tensor,
        *,
        generator: torch.Generator,
        steps: int = 8,
        temperature: float = 1.0,
        speed: float = 1.0,
        pitch_st: float = 0.0,
        edit: EditReading | Sequence[EditReading] | None = None,
        sampling: Sampling = PLAIN,
        noise: Tensor | None = None,
        student: FlowStudent | None = None,
    ) -> Prosody:
        """Draw a reading.

        Args:
            request: one condition or branches, or what `encoded` made of them.
            minimum: least frames of each token [B, N].
            generator: source of the noise; the same state gives the same reading.
            steps: of the flow; 0 returns the prior, the mean reading.
            temperature: scale of the noise.
            speed: above 1 is faster. pitch_st: semitones added.
            edit: changes durations, F0 and energy before they become frames; one for each of the B utterances.
            sampling: schedule and method of the steps.
            noise: [B, N, 4] in place of what the generator would give.
            student: takes the steps in the place of the flow; of the branches it knows guidance on the emotion alone.
        """
        encoded = request if isinstance(request, Encoded) else self.encoded(request)
        mask, network = encoded.mask, self.prosody
        token_condition = network.condition(encoded.speaker, encoded.emotion)
        k = len(encoded.branches)
        priors, hidden = network.prior(encoded.content, token_condition, mask.repeat(k, 1))
        mean = blended(priors, encoded.weights)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device) if noise is None else noise
        x = torch.zeros_like(mean)
        if steps > 0 and student is not None:
            given = [hidden[: len(mask)], token_condition[: len(mask)]]
            x = self._jumps(
                student.prosody, temperature * noise.to(mean.device), given, [], mask.sum(dim=1), encoded, steps
            )
        elif steps > 0:
            x = self._flow(
                network, temperature * noise.to(mean.device), [hidden, token_condition], [], mask.sum(dim=1), encoded,
                sampling, steps,
            )  # fmt: skip
        features = mean.float() + network.residual_std * x
        register = self.register_of(encoded.branches[0].condition)
        return finish_reading(
            network, features, hidden[: len(mask)], encoded.speaker[: len(mask)], register, mask, minimum, speed,
            pitch_st, edit,
        )  # fmt: skip

    @torch.inference_mode()
    def sample_mel(
        self,
        request: Condition | Sequence[Branch] | Encoded,
        prosody: Prosody,
        *,
        generator: torch.Generator,
        steps: int = 4,
        temperature: float = 1.0,
        push: Push | None = None,
        sampling: Sampling = PLAIN,
        noise: Tensor | None = None,
        student: FlowStudent | None = None,
    ) -> Tensor:
        """Draw a mel [B, T, M] (natural log magnitudes) for a reading; steps 0 returns the prior alone.

        Args:
            request: as in `sample_prosody`.
            prosody: the reading.
            generator: source of the noise.
            steps: of the flow.
            temperature: scale of the noise.
            push: maps an estimate of the finished mel [B, T, M] and F0 [B, T] to gradients along which the velocity is bent, each
                with its strength as a part of the velocity's length; see emotts/emotion/classifier.py.
            sampling: schedule and method of the steps.
            noise: [B, T, M] in place of what the generator would give.
            student: as in `sample_prosody`.
        """
        encoded = request if isinstance(request, Encoded) else self.encoded(request)
        frame_mask = lengths_to_mask(prosody.lengths, prosody.f0.shape[1])
        rows, priors, summary = self._trunk(encoded, prosody, frame_mask)
        prior = blended(priors.float(), encoded.weights)
        noise = torch.randn(prior.shape, generator=generator, device=generator.device) if noise is None else noise
        residual = torch.zeros_like(prior)
        if steps > 0 and student is not None:
            given = [prior, rows[: len(prior)]]
            residual = self._jumps(
                student.mel, temperature * noise.to(prior.device), given, [summary[: len(prior)]], prosody.lengths, encoded, steps
            )  # fmt: skip
        elif steps > 0:
            bend = None if push is None else self._bend(push, prior, prosody.f0, frame_mask)
            residual = self._flow(
                self.estimator, temperature * noise.to(prior.device), [priors, rows], [summary], prosody.lengths, encoded,
                sampling, steps, bend,
            )  # fmt: skip
        mel = prior + self.residual_std * residual
        return (mel * self.mel_std + self.mel_mean) * frame_mask[:, :, None]

    @staticmethod
    def _flow(
        network: FlowNetwork,
        noise: Tensor,
        over_time: list[Tensor],
        constant: list[Tensor],
        lengths: Tensor,
        encoded: Encoded,
        sampling: Sampling,
        steps: int,
        bend: Bend | None = None,
    ) -> Tensor:
        """Run a residual flow from noise [B, T, M]; arguments as in `FlowInputs`."""
        grid = sampling.grid(steps)
        times = evaluation_times(grid, sampling.method)
        inputs = flow_inputs(noise, over_time, constant, lengths, encoded.branches, times)
        return sample_flow(network, inputs, grid, sampling.method, bend)

    @staticmethod
    def _jumps(
        network: FlowNetwork,
        noise: Tensor,
        over_time: list[Tensor],
        constant: list[Tensor],
        lengths: Tensor,
        encoded: Encoded,
        steps: int,
    ) -> Tensor:
        """Let a student run from noise [B, T, M]; it is told the scale of the guidance, which is the first branch's weight."""
        inputs = jump_inputs(noise, over_time, constant, lengths, steps, encoded.branches[0].weight)
        return sample_flow(network, inputs, PLAIN.grid(steps), JUMPS)

    def _bend(self, push: Push, prior: Tensor, f0: Tensor, frame_mask: Tensor) -> Bend:
        """Return what a push [see `sample_mel`] does to the velocity of the mel."""
        scale = self.residual_std * self.mel_std

        def bend(x_t: Tensor, t: float, plain: Tensor) -> Tensor:
            estimate = (prior + self.residual_std * (x_t + (1.0 - t) * plain)) * self.mel_std
            for strength, gradient in push(estimate + self.mel_mean, f0):
                plain = plain + strength * _as_long_as(plain, gradient * scale, frame_mask)
            return plain

        return bend


def _as_long_as(velocity: Tensor, direction: Tensor, mask: Tensor) -> Tensor:
    """Scale a direction [B, T, M] to the length of the velocity over the real frames; where it is zero it stays so."""
    weight = mask[:, :, None].float()
    direction = direction * weight
    lengths = [(x * weight).flatten(1).norm(dim=1)[:, None, None] for x in (velocity, direction)]
    return direction * (lengths[0] / lengths[1].clamp_min(1e-12))
