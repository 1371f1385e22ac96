"""The acoustic model: phonemes, voice and emotion to prosody and mel.

Comes in: a Condition. Goes out: a sampled Prosody, then a mel [B, T, M]. A deterministic trunk predicts the mel's conditional
median; a residual flow (Matcha-TTS, Mehta et al. 2024, arXiv 2309.03199, but around that prior) adds the texture that varies.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from emotts.acoustic.blend import Branch, blend
from emotts.acoustic.condition import Condition, Keep
from emotts.acoustic.estimator import VelocityEstimator
from emotts.acoustic.flow import skip_scale, solve, time_grid
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

    def encode(self, condition: Condition, keep: Keep | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return content [B, N, C], speaker [B, D] and emotion [B, N, E]."""
        if condition.content is None:
            kept = keep.content if keep else None
            content = self.text_encoder(
                condition.phonemes, condition.stresses, condition.mask, kept, condition.language
            )
        else:
            content = condition.content if keep is None else self.text_encoder.drop(condition.content, keep.content)
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

    def _trunk(
        self, condition: Condition, keep: Keep | None, prosody: Prosody, frame_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the trunk gives, its prior corrected for a voice that is no named one."""
        content, speaker, emotion = self.encode(condition, keep)
        relative = self.relative_log_f0(prosody.f0, self.register_of(condition))
        token_condition = self.prosody.condition(speaker, emotion)
        mask = condition.mask
        rows, prior, summary = self.trunk(content, token_condition, emotion, prosody, relative, mask, frame_mask)
        if condition.speaker is not None:
            index = frame_to_token(prosody.durations, frame_mask.shape[1])
            prior = condition.speaker.correct(rows, prior, expand_tokens(content, index), frame_mask)
        return rows, prior, summary

    @staticmethod
    def relative_log_f0(f0: Tensor, mean_log_f0: Tensor) -> Tensor:
        """Return log2 F0 less the voice's mean [B, T]; meaningless where unvoiced."""
        return torch.log2(f0.clamp_min(1.0)) - mean_log_f0[:, None]

    @torch.inference_mode()
    def sample_prosody(
        self,
        request: Condition | Sequence[Branch],
        minimum: Tensor,
        *,
        generator: torch.Generator,
        steps: int = 8,
        temperature: float = 1.0,
        speed: float = 1.0,
        pitch_st: float = 0.0,
        edit: EditReading | None = None,
    ) -> Prosody:
        """Draw a reading.

        Args:
            request: one condition, or the branches of emotts/acoustic/blend.py; the first gives voice and voicing.
            minimum: least frames of each token [B, N].
            generator: source of the noise; the same state gives the same reading.
            steps: Euler steps; 0 returns the prior, the mean reading.
            temperature: scale of the noise.
            speed: above 1 is faster. pitch_st: semitones added.
            edit: changes durations, F0 and energy before they become frames; B = 1 only.
        """
        branches = _branches(request)
        condition = branches[0].condition
        mask = condition.mask
        encoded = [self.encode(branch.condition, branch.keep) for branch in branches]
        conditions = [self.prosody.condition(speaker, emotion) for _, speaker, emotion in encoded]
        priors = [self.prosody.prior(e[0], c, mask) for e, c in zip(encoded, conditions, strict=True)]
        hidden = priors[0][1]
        mean = blend([prior[0] for prior in priors], [branch.weight for branch in branches])
        x = torch.zeros_like(mean)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean.device)
        if steps > 0:

            def velocity(x_t: Tensor, t: Tensor) -> Tensor:
                weights = [branch.weight_at(float(t[0])) for branch in branches]
                outputs = [
                    self.prosody.velocity(x_t, t, p[1], c, mask) for p, c in zip(priors, conditions, strict=True)
                ]
                return skip_scale(t)[:, None, None] * x_t + blend(outputs, weights).float()

            x = solve(velocity, temperature * noise, time_grid(steps))
        features = mean.float() + self.prosody.residual_std * x
        speaker = encoded[0][1]
        mean_log_f0 = self.register_of(condition)
        return finish_reading(
            self.prosody, features, hidden, speaker, mean_log_f0, mask, minimum, speed, pitch_st, edit
        )

    @torch.inference_mode()
    def sample_mel(
        self,
        request: Condition | Sequence[Branch],
        prosody: Prosody,
        *,
        generator: torch.Generator,
        steps: int = 4,
        temperature: float = 1.0,
        push: Push | None = None,
    ) -> Tensor:
        """Draw a mel [B, T, M] (natural log magnitudes) for a reading; steps 0 returns the prior alone.

        Args:
            request: as in `sample_prosody`.
            prosody: the reading.
            generator: source of the noise.
            steps: Euler steps.
            temperature: scale of the noise.
            push: maps an estimate of the finished mel [B, T, M] and F0 [B, T] to gradients along which the velocity is bent, each
                with its strength as a part of the velocity's length; see emotts/emotion/classifier.py.
        """
        branches = _branches(request)
        frame_mask = lengths_to_mask(prosody.lengths, prosody.f0.shape[1])
        trunks = [self._trunk(branch.condition, branch.keep, prosody, frame_mask) for branch in branches]
        prior = blend([trunk[1].float() for trunk in trunks], [branch.weight for branch in branches])
        residual = torch.zeros_like(prior)
        noise = torch.randn(prior.shape, generator=generator, device=generator.device).to(prior.device)
        scale = self.residual_std * self.mel_std
        if steps > 0:

            def velocity(x_t: Tensor, t: Tensor) -> Tensor:
                weights = [branch.weight_at(float(t[0])) for branch in branches]
                outputs = [self.estimator(x_t, t, mu, rows, c, frame_mask) for rows, mu, c in trunks]
                plain = skip_scale(t)[:, None, None] * x_t + blend(outputs, weights).float()
                if push is None:
                    return plain
                estimate = (prior + self.residual_std * (x_t + (1.0 - t)[:, None, None] * plain)) * self.mel_std
                for strength, gradient in push(estimate + self.mel_mean, prosody.f0):
                    plain = plain + strength * _as_long_as(plain, gradient * scale, frame_mask)
                return plain

            residual = solve(velocity, temperature * noise, time_grid(steps))
        mel = prior + self.residual_std * residual
        return (mel * self.mel_std + self.mel_mean) * frame_mask[:, :, None]


def _branches(request: Condition | Sequence[Branch]) -> list[Branch]:
    return [Branch(request, 1.0)] if isinstance(request, Condition) else list(request)


def _as_long_as(velocity: Tensor, direction: Tensor, mask: Tensor) -> Tensor:
    """Scale a direction [B, T, M] to the length of the velocity over the real frames; where it is zero it stays so."""
    weight = mask[:, :, None].float()
    direction = direction * weight
    lengths = [(x * weight).flatten(1).norm(dim=1)[:, None, None] for x in (velocity, direction)]
    return direction * (lengths[0] / lengths[1].clamp_min(1e-12))
