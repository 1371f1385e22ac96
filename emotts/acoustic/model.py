"""The acoustic model: phonemes, voice and emotion to prosody and mel.

Comes in: a Condition. Goes out: a sampled Prosody, then a mel [B, T, M]. A deterministic trunk predicts the mel's conditional
median; a residual flow (Matcha-TTS, Mehta et al. 2024, arXiv 2309.03199, but around that prior) adds the texture that varies.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emotts.acoustic.estimator import VelocityEstimator
from emotts.acoustic.flow import guide, skip_scale, solve, time_grid
from emotts.content.text_encoder import TextEncoder
from emotts.emotion.space import EmotionInput, EmotionSpace
from emotts.layers import BlockStack, expand_tokens, frame_to_token, lengths_to_mask, mean_over
from emotts.prosody import Prosody, ProsodyModel, finish_reading, token_positions
from emotts.speaker import VoiceTable


@dataclass
class Condition:
    """Everything the acoustic model is told.

    Attributes:
        phonemes, stresses: token ids [B, N].
        lengths: real tokens [B].
        voice: voice indices [B].
        emotion: what is known of the emotion per token.
    """

    phonemes: Tensor
    stresses: Tensor
    lengths: Tensor
    voice: Tensor
    emotion: EmotionInput

    @property
    def mask(self) -> Tensor:
        """Real tokens [B, N]."""
        return lengths_to_mask(self.lengths, self.phonemes.shape[1])

    def to(self, device: torch.device) -> "Condition":
        return Condition(
            self.phonemes.to(device),
            self.stresses.to(device),
            self.lengths.to(device),
            self.voice.to(device),
            self.emotion.to(device),
        )

    def without_emotion(self) -> "Condition":
        """Return the same request with nothing known of the emotion, for guidance."""
        return Condition(self.phonemes, self.stresses, self.lengths, self.voice, self.emotion.forgotten())


@dataclass
class Keep:
    """Which conditions a training row keeps (classifier-free dropout): content, voice and emotion, each [B] boolean."""

    content: Tensor
    voice: Tensor


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
        content = self.text_encoder(
            condition.phonemes, condition.stresses, condition.mask, keep.content if keep else None
        )
        voice = condition.voice
        if keep is not None:
            voice = torch.where(keep.voice, voice, torch.full_like(voice, self.voices.unknown))
        return content, self.voices(voice), self.emotion_space(condition.emotion)

    def relative_log_f0(self, f0: Tensor, voice: Tensor) -> Tensor:
        """Return log2 F0 less the voice's mean [B, T]; meaningless where unvoiced."""
        return torch.log2(f0.clamp_min(1.0)) - self.voices.mean_log_f0[voice][:, None]

    @torch.inference_mode()
    def sample_prosody(
        self,
        condition: Condition,
        minimum: Tensor,
        *,
        generator: torch.Generator,
        steps: int = 8,
        guidance_scale: float = 1.0,
        temperature: float = 1.0,
        speed: float = 1.0,
        pitch_st: float = 0.0,
    ) -> Prosody:
        """Draw a reading.

        Args:
            minimum: least frames of each token [B, N].
            generator: source of the noise; the same state gives the same reading.
            steps: Euler steps; 0 returns the prior, the mean reading.
            guidance_scale: 1 is plain; above 1 exaggerates what the emotion does.
            temperature: scale of the noise.
            speed: above 1 is faster. pitch_st: semitones added.
        """
        branches = [condition] if guidance_scale == 1.0 else [condition, condition.without_emotion()]
        mask = condition.mask
        encoded = [self.encode(branch) for branch in branches]
        conditions = [self.prosody.condition(speaker, emotion) for _, speaker, emotion in encoded]
        priors = [self.prosody.prior(e[0], c, mask) for e, c in zip(encoded, conditions, strict=True)]
        mean, hidden = priors[0]
        if len(branches) > 1:
            mean = guide(mean, priors[1][0], guidance_scale)
        x = torch.zeros_like(mean)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean.device)
        if steps > 0:

            def velocity(x_t: Tensor, t: Tensor) -> Tensor:
                outputs = [
                    self.prosody.velocity(x_t, t, p[1], c, mask) for p, c in zip(priors, conditions, strict=True)
                ]
                output = outputs[0] if len(outputs) == 1 else guide(outputs[0], outputs[1], guidance_scale)
                return skip_scale(t)[:, None, None] * x_t + output.float()

            x = solve(velocity, temperature * noise, time_grid(steps))
        features = mean.float() + self.prosody.residual_std * x
        speaker = encoded[0][1]
        mean_log_f0 = self.voices.mean_log_f0[condition.voice]
        return finish_reading(self.prosody, features, hidden, speaker, mean_log_f0, mask, minimum, speed, pitch_st)

    @torch.inference_mode()
    def sample_mel(
        self,
        condition: Condition,
        prosody: Prosody,
        *,
        generator: torch.Generator,
        steps: int = 4,
        guidance_scale: float = 1.0,
        temperature: float = 1.0,
    ) -> Tensor:
        """Draw a mel [B, T, M] (natural log magnitudes) for a reading; steps 0 returns the prior alone."""
        branches = [condition] if guidance_scale == 1.0 else [condition, condition.without_emotion()]
        frame_mask = lengths_to_mask(prosody.lengths, prosody.f0.shape[1])
        relative = self.relative_log_f0(prosody.f0, condition.voice)
        encoded = [self.encode(branch) for branch in branches]
        trunks = [
            self.trunk(
                content,
                self.prosody.condition(speaker, emotion),
                emotion,
                prosody,
                relative,
                condition.mask,
                frame_mask,
            )
            for content, speaker, emotion in encoded
        ]
        prior = trunks[0][1].float()
        if len(branches) > 1:
            prior = guide(prior, trunks[1][1].float(), guidance_scale)
        residual = torch.zeros_like(prior)
        noise = torch.randn(prior.shape, generator=generator, device=generator.device).to(prior.device)
        if steps > 0:

            def velocity(x_t: Tensor, t: Tensor) -> Tensor:
                outputs = [self.estimator(x_t, t, mu, rows, c, frame_mask) for rows, mu, c in trunks]
                output = outputs[0] if len(outputs) == 1 else guide(outputs[0], outputs[1], guidance_scale)
                return skip_scale(t)[:, None, None] * x_t + output.float()

            residual = solve(velocity, temperature * noise, time_grid(steps))
        mel = prior + self.residual_std * residual
        return (mel * self.mel_std + self.mel_mean) * frame_mask[:, :, None]
