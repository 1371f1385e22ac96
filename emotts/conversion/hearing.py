"""What is heard in a stretch of a recording: samples in, mel, F0, phonemes with their content, and activity out."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotts.audio import SPEC, extract_f0, frame_energy
from emotts.content.listener import LEVEL_DB, Listener
from emotts.content.segments import Sounds, recognise
from emotts.content.speech_encoder import ACTIVITIES
from emotts.conversion.activity import SPOKEN, activity_of
from emotts.layers import frame_to_token

NEPERS_PER_DB = float(np.log(10.0)) / 20.0
CERTAIN = 20.0  # logit of silence where next to nothing sounds: no mel of the training is silent for long
ENERGY_FLOOR = -4.0  # natural log; as in the data of training


@dataclass(frozen=True)
class Hearing:
    """A stretch of T frames.

    Attributes:
        mel: log magnitudes as recorded [1, T, M].
        f0: Hz [T], 0 where unvoiced.
        sounds: N phonemes with their frames.
        content: of each phoneme, the mean over its frames [1, N, C].
        energy: natural log, mean over the frames of each phoneme, of the speech at the level of training [1, N].
        kinds: activity of each frame [T], index into ACTIVITIES.
        quiet: frames at least 40 dB below vowels [T], closures of plosives among them.
        clarity: probability of the phoneme that was recognised, mean over frames of speech; nan without speech.
        overlap: probability that two people speak, likewise.
    """

    mel: Tensor
    f0: NDArray[np.float32]
    sounds: Sounds
    content: Tensor
    energy: Tensor
    kinds: NDArray[np.int64]
    quiet: NDArray[np.bool_]
    clarity: float
    overlap: float

    @property
    def durations(self) -> Tensor:
        """Frames of each phoneme [1, N]."""
        return torch.tensor([self.sounds.durations])

    @property
    def is_spoken(self) -> NDArray[np.bool_]:
        """Frames of speech [T]."""
        return np.isin(self.kinds, [ACTIVITIES.index(name) for name in SPOKEN])


def hear(listener: Listener, waveform: NDArray[np.float32], level_db: float) -> Hearing:
    """Hear a stretch.

    Args:
        listener: the speech encoder.
        waveform: [T * hop] at 24 kHz.
        level_db: of the speech in the whole recording, dB of full scale; the encoder is given speech at its own level.
    """
    n_frames = len(waveform) // SPEC.hop_length
    with torch.inference_mode():
        mel = listener.log_mel(torch.from_numpy(waveform)[None])[:, :n_frames]
    at_level = mel + (LEVEL_DB - level_db) * NEPERS_PER_DB
    heard = listener.hear_mel(at_level)
    f0 = np.asarray(extract_f0(waveform), np.float32)[:n_frames]
    sounds = recognise(heard)
    durations = torch.tensor([sounds.durations])
    index = frame_to_token(durations, n_frames)
    content = _mean_per_token(heard.content.float(), durations, index)
    loudness = frame_energy(at_level)
    energy = _mean_per_token(loudness.clamp_min(ENERGY_FLOOR)[..., None], durations, index)[..., 0]
    quiet = (loudness[0] < ENERGY_FLOOR).numpy()
    is_silence = torch.from_numpy(quiet)[:, None] * torch.eye(len(ACTIVITIES))[ACTIVITIES.index("silence")]
    kinds = activity_of(heard.activity[0].float() + CERTAIN * is_silence)
    spoken = np.isin(kinds, [ACTIVITIES.index(name) for name in SPOKEN])
    best = heard.phonemes[0].float().softmax(dim=-1).amax(dim=-1).numpy()
    both = heard.activity[0].float().softmax(dim=-1)[:, ACTIVITIES.index("overlap")].numpy()
    clarity, overlap = (float(x[spoken].mean()) if spoken.any() else float("nan") for x in (best, both))
    return Hearing(mel, f0, sounds, content, energy, kinds, quiet, clarity, overlap)


def _mean_per_token(values: Tensor, durations: Tensor, index: Tensor) -> Tensor:
    """Average values [1, T, C] over the frames of each of N tokens, giving [1, N, C]; 0 where a token has none."""
    total = torch.zeros(1, durations.shape[1], values.shape[-1])
    total.index_add_(1, index[0], values)
    return total / durations.clamp_min(1)[:, :, None]
