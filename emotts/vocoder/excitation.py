"""The source of the vocoder: F0 [B, T] comes in; pulse and noise spectra [B, T, bins] go out.

Every sample is a function of its absolute position, of a seed per row and of the phase carried in from the left: a
waveform made in chunks equals the waveform made at once.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emotts.audio import SPEC, AudioSpec

HARMONIC_LIMIT = 0.495  # highest harmonic as a share of the sample rate; just below Nyquist, so nothing folds back
MASK_32 = 0xFFFFFFFF
FRAMES_HEARD = 5  # a window touches the blocks between five frames; which are voiced says how far it is voiced


@dataclass(frozen=True)
class SourceState:
    """Where a piece of excitation begins."""

    seed: Tensor  # int64 [B], names the noise of a row
    phase: Tensor  # float64 [B], cycles of the fundamental at the first frame
    frame: int = 0  # absolute index of the first frame


@dataclass(frozen=True)
class SourceSpectra:
    """Short-time spectra of the two sources."""

    pulses: Tensor  # complex [B, T, bins], harmonics of unit amplitude
    noise: Tensor  # complex [B, T, bins], white with unit variance per sample
    voicing: Tensor  # [B, T] in [0, 1], share of the frame's window that is voiced
    pattern: Tensor  # int64 [B, T] in [0, 32), which of the frames t - 2 to t + 2 are voiced, bit by bit


def sample_source_state(batch: int, device: torch.device, generator: torch.Generator | None = None) -> SourceState:
    """Draw one seed per row from `generator` (the global one when None); the start phase follows from the seed."""
    origin = generator.device if generator is not None else torch.device("cpu")
    seed = torch.randint(2**31, (batch,), generator=generator, device=origin).to(device)
    return SourceState(seed, hash_32(seed).double() / 2.0**32)


def hash_32(x: Tensor) -> Tensor:
    """Mix int64 values (their low 32 bits) into uniform 32-bit values.

    Reference: Wellons, "Prospecting for Hash Functions" (2018), https://nullprogram.com/blog/2018/07/31/, `lowbias32`.
    """
    x = x & MASK_32
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & MASK_32
    x = ((x ^ (x >> 15)) * 0x846CA68B) & MASK_32
    return x ^ (x >> 16)


def white_noise(seed: Tensor, first_sample: int, length: int) -> Tensor:
    """Return uniform white noise [B, length] of unit variance; sample n depends on seed [B] and n alone.

    Uniform rather than Gaussian samples: every STFT bin sums a thousand of them, so the spectra are Gaussian anyway.
    """
    position = torch.arange(first_sample, first_sample + length, device=seed.device).to(torch.int32)
    bits = _hash_in_place(position[None, :] ^ hash_32(seed + 1).to(torch.int32)[:, None])  # [B, length]
    bits ^= -(2**31)  # the same bits less 2^31, as a signed number
    return bits.to(torch.float32) * (math.sqrt(3.0) * 2.0**-31)


def voicing_of_patterns(spec: AudioSpec = SPEC) -> Tensor:
    """Return the voicing of a frame for every pattern of voiced frames around it [32]."""
    voiced = (torch.arange(2**FRAMES_HEARD)[:, None] >> torch.arange(FRAMES_HEARD) & 1).float()  # [32, 5]
    blocks = 0.5 * (voiced[:, :-1] + voiced[:, 1:])
    weight = torch.hann_window(spec.n_fft).square().view(4, -1).sum(dim=1)
    return blocks @ (weight / weight.sum())


def advance_phase(f0: Tensor, phase: Tensor, spec: AudioSpec = SPEC) -> Tensor:
    """Return the fundamental's phase in cycles, float64 [B, T] in [0, 1), at every frame of f0, from phase [B].

    F0 runs linearly between voiced frames and is held over the edges of voicing; it stands still where unvoiced.
    """
    left, right = _held_edges(f0[:, :-1].double(), f0[:, 1:].double())
    cycles = 0.5 * (left + right) * (spec.hop_length / spec.sample_rate)  # [B, T - 1]
    return torch.cat([phase[:, None], phase[:, None] + cycles.cumsum(dim=1)], dim=1) % 1.0


def pulse_train(f0: Tensor, phase: Tensor, spec: AudioSpec = SPEC) -> Tensor:
    """Sum all harmonics of f0 [B, T + 1] below Nyquist with unit amplitude into a waveform [B, T * hop].

    Args:
        f0: Hz at frame centres, 0 unvoiced; block t runs from frame t to frame t + 1.
        phase: cycles at every frame [B, T + 1], from `advance_phase`.
    """
    left, right = _held_edges(f0[:, :-1], f0[:, 1:])
    ramp = torch.arange(spec.hop_length, device=f0.device, dtype=torch.float32) / spec.hop_length  # [hop]
    slope = (right - left)[:, :, None]
    f0_samples = left[:, :, None] + slope * ramp  # [B, T, hop]
    cycles = (left[:, :, None] * ramp + 0.5 * slope * ramp**2) * (spec.hop_length / spec.sample_rate)
    cycles = (cycles + phase[:, :-1, None].float()).frac()  # none is negative
    return (_dirichlet(cycles, f0_samples, spec) * _edge_gain(f0, ramp)).flatten(1)  # [B, T, hop] -> [B, T * hop]


class SourceSTFT(nn.Module):
    """Turns F0 into the short-time spectra of both sources, on the frames of the mel."""

    window: Tensor
    voicings: Tensor
    reach = 2  # frames of F0 that a spectrum sees on either side

    def __init__(self, spec: AudioSpec = SPEC) -> None:
        super().__init__()
        if spec.n_fft != 4 * spec.hop_length:
            raise ValueError(f"the vocoder needs n_fft = 4 * hop_length; got {spec.n_fft} and {spec.hop_length}.")
        self.spec = spec
        self.register_buffer("window", torch.hann_window(spec.n_fft), persistent=False)
        self.register_buffer("voicings", voicing_of_patterns(spec), persistent=False)

    def forward(self, f0: Tensor, state: SourceState) -> SourceSpectra:
        """Map f0 [B, T] (unvoiced beyond its ends) to spectra [B, T, bins]."""
        hop = self.spec.hop_length
        n_blocks = f0.shape[1] + 3  # frame t sees blocks t - 2 to t + 1
        f0 = F.pad(f0, (2, 2))  # [B, T] -> [B, T + 4]
        phase = advance_phase(f0[:, 2:], state.phase)  # [B, T + 2], from the first real frame
        before = state.phase[:, None] - f0[:, 2:3].double() * (hop / self.spec.sample_rate)
        phase = torch.cat([before.expand(-1, 2) % 1.0, phase], dim=1)  # [B, T + 4]
        pulses = pulse_train(f0, phase, self.spec)
        noise = white_noise(state.seed, (state.frame - 2) * hop, n_blocks * hop)
        pattern = voicing_pattern(f0)
        return SourceSpectra(self._stft(pulses), self._stft(noise), self.voicings[pattern], pattern)

    def _stft(self, blocks: Tensor) -> Tensor:
        frames = blocks.unfold(1, self.spec.n_fft, self.spec.hop_length)  # [B, T * hop] -> [B, T, n_fft]
        return torch.fft.rfft(frames * self.window)  # [B, T, n_fft] -> [B, T, bins]


def voicing_pattern(f0: Tensor) -> Tensor:
    """Return which of the frames t - 2 to t + 2 are voiced, as the bits of int64 [B, T], for f0 [B, T + 4]."""
    bits = 2 ** torch.arange(FRAMES_HEARD, device=f0.device)
    return ((f0 > 0).unfold(1, FRAMES_HEARD, 1) * bits).sum(dim=2)


def _hash_in_place(x: Tensor) -> Tensor:
    """Do as `hash_32` with int32 values, whose overflow wraps and whose shifts copy the sign: half the memory of int64."""
    x ^= (x >> 16) & 0xFFFF
    x *= 0x7FEB352D
    x ^= (x >> 15) & 0x1FFFF
    x *= 0x846CA68B - 2**32
    x ^= (x >> 16) & 0xFFFF
    return x


def _held_edges(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(left > 0, left, right), torch.where(right > 0, right, left)


def _edge_gain(f0: Tensor, ramp: Tensor) -> Tensor:
    """Fade pulses in and out over the block between a voiced and an unvoiced frame: [B, T + 1] -> [B, T, hop]."""
    voiced = (f0 > 0).float()
    smooth = 0.5 - 0.5 * torch.cos(math.pi * ramp)
    return torch.addcmul(voiced[:, :-1, None], voiced.diff(dim=1)[:, :, None], smooth)


def _dirichlet(cycles: Tensor, f0: Tensor, spec: AudioSpec) -> Tensor:
    """Sum cos(2 pi h cycles) over h = 1 to limit / f0; the topmost harmonic fades, so that a glide never clicks."""
    count = HARMONIC_LIMIT * spec.sample_rate / f0.clamp_min(20.0) - 1.0  # the fading one is below it
    whole = count.floor()
    half = torch.sin(math.pi * cycles)
    near_peak = (half.abs() < 1e-4).to(half.dtype)  # limit of 0 / 0; as a number, for choosing is slow
    total = torch.sin((2.0 * whole + 1.0) * math.pi * cycles) / (2.0 * (half + near_peak))
    total = total + near_peak * (whole + 0.5 - total) - 0.5
    return total + (count - whole) * torch.cos(2.0 * math.pi * (whole + 1.0) * cycles)
