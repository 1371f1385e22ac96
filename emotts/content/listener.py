"""The speech encoder as a listener: waveforms or mels of any length come in, what is said goes out, in bounded memory.

Pieces overlap by what a frame depends on, so that a recording heard in pieces is heard as it would be at once.
"""

from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from emotts.audio import SPEC, LogMel, resample, speech_level_db
from emotts.content.speech_encoder import Heard, SpeechEncoder

PIECE = 2_800  # frames, 30 s
LEVEL_DB = -25.0  # dB of full scale of the speech that the encoder learnt from


class Listener:
    """Hears what is said in recordings."""

    def __init__(self, model: SpeechEncoder) -> None:
        self.model = model.eval()
        self.log_mel = LogMel()

    @torch.inference_mode()
    def hear(self, waveform: np.ndarray, sample_rate: int = SPEC.sample_rate) -> Heard:
        """Hear a waveform [L], brought to the level of training; fields as [1, T, ...] with T = L // hop at 24 kHz.

        Raises:
            ValueError: the waveform is empty, silent or not finite.
        """
        audio = resample(np.asarray(waveform, np.float32), sample_rate, SPEC.sample_rate)
        if audio.ndim != 1 or len(audio) <= SPEC.n_fft // 2 or not np.isfinite(audio).all() or not audio.any():
            raise ValueError(
                f"a recording must be [L] finite samples, more than 21 ms and not all zero; got {list(audio.shape)}."
            )
        gain = 10.0 ** ((LEVEL_DB - speech_level_db(audio)) / 20.0)
        return self.hear_mel(self._mel(torch.from_numpy(audio * np.float32(gain))[None]))

    def _mel(self, audio: Tensor) -> Tensor:
        """Return the mel [1, T, M] of audio [1, L], piece by piece: a transform of all of it would fill the memory."""
        hop, n_frames = SPEC.hop_length, audio.shape[1] // SPEC.hop_length
        around = SPEC.n_fft // (2 * hop)  # frames that a window looks back and ahead
        parts = []
        for start in range(0, n_frames, PIECE):
            first = max(0, start - around)
            piece = self.log_mel(audio[:, first * hop : (start + PIECE + around) * hop])
            parts.append(piece[:, start - first :][:, : min(PIECE, n_frames - start)])
        return torch.cat(parts, dim=1)

    @torch.inference_mode()
    def hear_mel(self, mel: Tensor) -> Heard:
        """Hear log mels [1, T, M] whose speech is at LEVEL_DB."""
        n_frames, reach = mel.shape[1], self.model.reach
        parts = []
        for start in range(0, n_frames, PIECE):
            first, last = max(0, start - reach), min(n_frames, start + PIECE + reach)
            piece = mel[:, first:last]
            heard = self.model(piece, torch.ones(piece.shape[:2], dtype=torch.bool, device=mel.device))
            inner = slice(start - first, min(start + PIECE, n_frames) - first)
            parts.append([getattr(heard, field.name)[:, inner] for field in fields(Heard)])
        return Heard(*(torch.cat(column, dim=1) for column in zip(*parts, strict=True)))
