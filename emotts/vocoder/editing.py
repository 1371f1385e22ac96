"""Speech taken apart into envelopes and put together again: mel [B, T, M] and F0 [B, T] in, `Envelopes`; these in, a waveform.

Envelopes have no trace of the harmonics, so that they can be moved, mixed and stretched apart from F0. Unchanged, they give
what the vocoder makes of the mel.
"""

import torch
from torch import Tensor

from emotts.vocoder.baseline import BaselineVocoder, Envelopes
from emotts.vocoder.excitation import SourceState, advance_phase, sample_source_state
from emotts.vocoder.generator import HarmonicNoiseGenerator

Vocoder = HarmonicNoiseGenerator | BaselineVocoder
REACH = 4  # frames on either side whose source or window reaches into a frame's samples


@torch.inference_mode()
def take_apart(vocoder: Vocoder, mel: Tensor, f0: Tensor) -> Envelopes:
    """Return the envelopes that the vocoder reads off a mel, on the device of the mel.

    Args:
        mel: natural-log mel magnitudes [B, T, M].
        f0: Hz [B, T], 0 where unvoiced.
    """
    origin, place = mel.device, vocoder.renderer.window.device
    mel, f0 = mel.to(place), f0.to(place)
    state = SourceState(
        torch.zeros(len(mel), dtype=torch.int64, device=place), torch.zeros(len(mel), dtype=torch.float64, device=place)
    )
    found = vocoder.estimator(mel.float(), vocoder.source(f0, state))
    if isinstance(vocoder, HarmonicNoiseGenerator):
        correction = vocoder.predict_correction(mel, f0, torch.ones_like(f0, dtype=torch.bool)).float()
        harmonic, noise = correction.chunk(2, dim=-1)
        found = Envelopes(found.harmonic + harmonic, found.noise + noise)
    return Envelopes(found.harmonic.to(origin), found.noise.to(origin))


class EnvelopeStream:
    """Makes one waveform from envelopes and F0 in pieces; the pieces joined equal the waveform made at once.

    Samples come REACH frames after their frame.
    """

    def __init__(self, vocoder: Vocoder, generator: torch.Generator | None = None) -> None:
        self.vocoder = vocoder
        device = vocoder.renderer.window.device
        n_mels = vocoder.renderer.spec.n_mels
        self._state = sample_source_state(1, device, generator)
        self._harmonic = torch.zeros(1, 0, n_mels, device=device)
        self._noise = torch.zeros(1, 0, n_mels, device=device)
        self._f0 = torch.zeros(1, 0, device=device)
        self._made = 0  # frames of the buffer whose samples were given out

    def push(self, envelopes: Envelopes, f0: Tensor) -> Tensor:
        """Take frames, envelopes [1, n, M] and f0 [1, n] in Hz; return the samples [m * hop] that are now certain."""
        self._harmonic = torch.cat([self._harmonic, envelopes.harmonic.to(self._harmonic)], dim=1)
        self._noise = torch.cat([self._noise, envelopes.noise.to(self._noise)], dim=1)
        self._f0 = torch.cat([self._f0, f0.to(self._f0)], dim=1)
        return self._make(max(self._made, self._f0.shape[1] - REACH))

    def finish(self) -> Tensor:
        """Return the samples of the frames that were still waiting for their future."""
        return self._make(self._f0.shape[1])

    @torch.inference_mode()
    def _make(self, end: int) -> Tensor:
        if end == self._made:
            return self._f0.new_zeros(0)
        sources = self.vocoder.source(self._f0, self._state)
        waveform = self.vocoder.renderer(Envelopes(self._harmonic, self._noise), sources)[0]
        hop = self.vocoder.renderer.spec.hop_length
        chunk = waveform[self._made * hop : end * hop]
        self._made = end
        self._forget(max(0, end - REACH))
        return chunk

    def _forget(self, n_frames: int) -> None:
        """Drop frames that no later sample depends on, carrying the phase over them."""
        if n_frames == 0:
            return
        spec = self.vocoder.renderer.spec
        phase = advance_phase(self._f0[:, : n_frames + 1], self._state.phase, spec)[:, -1]
        self._state = SourceState(self._state.seed, phase, self._state.frame + n_frames)
        self._harmonic, self._noise = self._harmonic[:, n_frames:], self._noise[:, n_frames:]
        self._f0 = self._f0[:, n_frames:]
        self._made -= n_frames
