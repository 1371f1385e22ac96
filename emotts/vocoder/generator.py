"""The trained vocoder: mel [B, T, M] and F0 [B, T] come in, a waveform [B, T * hop] goes out, at once or in chunks.

A small ConvNeXt network corrects the two envelopes of the untrained vocoder (`baseline.py`). Its last layer starts at
zero: before training the generator is the baseline. In low bands, narrower than the spacing of harmonics, corrections would
follow single harmonics and roughen the voice: there they are smoothed over frequency and halved. On 26 copies of two low
voices WER / DNSMOS are 3.1 % / 2.90 with all corrections, 6.6 % / 3.04 with none in low bands, 2.6 % / 2.98 with these.
"""

import math

import torch
from torch import Tensor, nn

from emotts.audio import SPEC, AudioSpec
from emotts.depthwise import over_time
from emotts.layers import gelu, masked
from emotts.vocoder.baseline import EnvelopeEstimator, Envelopes, SpectrumRenderer, band_centres
from emotts.vocoder.excitation import SourceState, SourceSTFT, advance_phase, sample_source_state

MEL_MEAN, MEL_SCALE = -3.0, 3.0  # brings log mels of speech near zero mean and unit variance
F0_CENTRE = 180.0  # Hz
LARGEST_CORRECTION = 4.0  # nepers (35 dB); keeps an odd mel from blowing up
CORRECTED_HZ = (600.0, 1_400.0)  # corrections fade in from the first to the second
LOW_SHARE, LOW_SMOOTHING_HZ = 0.5, 200.0  # what is left of them below, and over how much frequency they are averaged


class HarmonicNoiseGenerator(nn.Module):
    """Harmonic-plus-noise vocoder with explicit F0 and two controls of voice quality.

    Attributes:
        shares: maps the corrections that the network asks for to those that are made [M, M].
        look_back, look_ahead: frames to the left and right of a frame that its `hop` samples depend on.

    Reference: a network on mel frames and one inverse STFT as in Siuzdak, "Vocos" (2023), arXiv 2306.00814; pulses and
        noise as in Wang et al., "Neural source-filter waveform models" (2019), arXiv 1904.12088.
    """

    shares: Tensor

    def __init__(self, spec: AudioSpec = SPEC, channels: int = 256, n_blocks: int = 5, kernel_size: int = 5) -> None:
        super().__init__()
        self.spec = spec
        self.source = SourceSTFT(spec)
        self.estimator = EnvelopeEstimator(spec)
        self.renderer = SpectrumRenderer(spec)
        self.register_buffer("shares", _shares(spec), persistent=False)
        self.embed = nn.Conv1d(spec.n_mels + 2, channels, kernel_size, padding=kernel_size // 2)
        self.blocks = nn.ModuleList(CorrectionBlock(channels, kernel_size) for _ in range(n_blocks))
        self.norm = nn.LayerNorm(channels)
        self.correction = nn.Linear(channels, 2 * spec.n_mels)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)
        network_reach = (kernel_size // 2) * (n_blocks + 1)
        self.look_back = SpectrumRenderer.look_back + max(network_reach, SourceSTFT.reach)
        self.look_ahead = SpectrumRenderer.look_ahead + max(network_reach, SourceSTFT.reach)

    def forward(
        self,
        mel: Tensor,
        f0: Tensor,
        mask: Tensor | None = None,
        *,
        breath_db: float | Tensor = 0.0,
        effort_db_per_oct: float | Tensor = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Synthesise a waveform [B, T * hop].

        Args:
            mel: natural-log mel magnitudes [B, T, M].
            f0: Hz [B, T], 0 where unvoiced.
            mask: [B, T], True = real frame; all real when None.
            breath_db: gain of the noise in voiced frames, a number or [B, T].
            effort_db_per_oct: tilt of the harmonics about 1 kHz (positive is brighter), a number or [B, T].
            generator: draws the noise and the start phase; PyTorch's global one when None.
        """
        state = sample_source_state(len(mel), mel.device, generator)
        return self.synthesise(mel, f0, state, mask, breath_db=breath_db, effort_db_per_oct=effort_db_per_oct)

    def synthesise(
        self,
        mel: Tensor,
        f0: Tensor,
        state: SourceState,
        mask: Tensor | None = None,
        *,
        breath_db: float | Tensor = 0.0,
        effort_db_per_oct: float | Tensor = 0.0,
    ) -> Tensor:
        """Do as `forward`, with the excitation continuing from `state`."""
        f0 = f0 if mask is None else f0 * mask
        correction = self.predict_correction(mel, f0, mask)
        return self.render(correction, mel, f0, state, mask, breath_db=breath_db, effort_db_per_oct=effort_db_per_oct)

    def predict_correction(self, mel: Tensor, f0: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return log-gain corrections [B, T, 2 M] in nepers: harmonic bands, then noise bands; without a mask all is real."""
        voiced = f0 > 0
        log_f0 = torch.where(voiced, torch.log(f0.clamp_min(20.0) / F0_CENTRE), 0.0)
        x = torch.cat([(mel - MEL_MEAN) / MEL_SCALE, log_f0[:, :, None], voiced[:, :, None].to(mel.dtype)], dim=-1)
        x = masked(x, mask).transpose(1, 2)  # [B, T, C] -> [B, C, T]
        x = self.embed(x).transpose(1, 2)  # [B, C, T] -> [B, T, C]
        for block in self.blocks:
            x = block(x, mask)
        raw = self.correction(self.norm(x))
        limited = LARGEST_CORRECTION * torch.tanh(raw.float() / LARGEST_CORRECTION)
        return (limited.unflatten(-1, (2, -1)) @ self.shares).flatten(-2)  # [B, T, 2 M] -> [B, T, 2, M] and back

    def render(
        self,
        correction: Tensor,
        mel: Tensor,
        f0: Tensor,
        state: SourceState,
        mask: Tensor | None = None,
        *,
        breath_db: float | Tensor = 0.0,
        effort_db_per_oct: float | Tensor = 0.0,
    ) -> Tensor:
        """Synthesise a waveform [B, T * hop] from the corrections [B, T, 2 M]; spectra are always float32."""
        harmonic, noise = correction.float().chunk(2, dim=-1)
        with torch.autocast(mel.device.type, enabled=False):
            with torch.no_grad():
                sources = self.source(f0, state)
                envelopes = self.estimator(mel.float(), sources)
            corrected = Envelopes(envelopes.harmonic + harmonic, envelopes.noise + noise)
            return self.renderer(corrected, sources, mask, breath_db=breath_db, effort_db_per_oct=effort_db_per_oct)


def _shares(spec: AudioSpec) -> Tensor:
    low, high = CORRECTED_HZ
    centres = band_centres(spec)
    fade_in = 0.5 - 0.5 * torch.cos(math.pi * ((centres - low) / (high - low)).clamp(0.0, 1.0))  # [M]
    smooth = torch.exp(-0.5 * ((centres[:, None] - centres[None, :]) / LOW_SMOOTHING_HZ).square())
    smooth = smooth / smooth.sum(dim=0, keepdim=True)
    return torch.diag(fade_in) + LOW_SHARE * smooth * (1.0 - fade_in)[None, :]


class CorrectionBlock(nn.Module):
    """A ConvNeXt block over time."""

    def __init__(self, channels: int, kernel_size: int, expansion: int = 2) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, expansion * channels)
        self.contract = nn.Linear(expansion * channels, channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map x [B, T, C] with mask [B, T] (None hides nothing) to [B, T, C]."""
        hidden = over_time(self.depthwise, masked(x, mask))
        return x + self.contract(gelu(self.expand(self.norm(hidden))))


class VocoderStream:
    """Makes one waveform in chunks; the chunks joined equal the waveform made at once with the same generator state.

    Samples come `vocoder.look_ahead` frames after their mel frame. Every push computes that context anew, so chunks of
    about its length or longer are the efficient ones.
    """

    def __init__(
        self,
        vocoder: HarmonicNoiseGenerator,
        *,
        breath_db: float = 0.0,
        effort_db_per_oct: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        device = next(vocoder.parameters()).device
        self.vocoder = vocoder
        self.breath_db = breath_db
        self.effort_db_per_oct = effort_db_per_oct
        self._state = sample_source_state(1, device, generator)
        self._mel = torch.zeros(1, 0, vocoder.spec.n_mels, device=device)
        self._f0 = torch.zeros(1, 0, device=device)
        self._made = 0  # frames of the buffer whose samples were given out

    def push(self, mel: Tensor, f0: Tensor) -> Tensor:
        """Take frames mel [1, n, M], f0 [1, n]; return the samples [1, m * hop] that are now certain (m may be 0)."""
        self._mel = torch.cat([self._mel, mel], dim=1)
        self._f0 = torch.cat([self._f0, f0], dim=1)
        return self._make(max(self._made, self._f0.shape[1] - self.vocoder.look_ahead))

    def finish(self) -> Tensor:
        """Return the samples of the frames that were still waiting for their future."""
        return self._make(self._f0.shape[1])

    @torch.no_grad()
    def _make(self, end: int) -> Tensor:
        if end == self._made:
            return self._mel.new_zeros(1, 0)
        waveform = self.vocoder.synthesise(
            self._mel, self._f0, self._state, breath_db=self.breath_db, effort_db_per_oct=self.effort_db_per_oct
        )
        hop = self.vocoder.spec.hop_length
        chunk = waveform[:, self._made * hop : end * hop]
        self._made = end
        self._forget(max(0, end - self.vocoder.look_back))
        return chunk

    def _forget(self, n_frames: int) -> None:
        """Drop frames that no later sample depends on, carrying the phase over them."""
        if n_frames == 0:
            return
        phase = advance_phase(self._f0[:, : n_frames + 1], self._state.phase, self.vocoder.spec)[:, -1]
        self._state = SourceState(self._state.seed, phase, self._state.frame + n_frames)
        self._mel, self._f0 = self._mel[:, n_frames:], self._f0[:, n_frames:]
        self._made -= n_frames
