"""Speaker embeddings: a waveform comes in, a unit vector [256] that tells voices apart goes out.

The weights are those inside the package resemblyzer, loaded without importing it; silences are cut by level, not by
webrtcvad. Reference: Wan et al., "Generalized end-to-end loss for speaker verification" (2018), arXiv 1710.10467.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from emotts.audio import SPEC, resample
from emotts.compiled import librosa_part

SPEAKER_RATE = 16_000
N_FFT, HOP_LENGTH, N_MELS = 400, 160, 40
PARTIAL_FRAMES = 160  # 1.6 s
PARTIALS_PER_S = 1.3
MIN_COVERAGE = 0.75  # of the last partial, else it is left out
LEVEL_DBFS = -30.0
SILENCE_BELOW_PEAK_DB = 40.0
VAD_WINDOW = 480  # 30 ms
MAX_SILENCE_WINDOWS = 6


class SpeakerEncoder(nn.Module):
    """Three LSTM layers over mel frames, then a rectified projection to the unit sphere."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(N_MELS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mels: Tensor) -> Tensor:
        """Map power mels [B, 160, 40] to embeddings [B, 256]."""
        _, (hidden, _) = self.lstm(mels)
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=-1)

    @torch.inference_mode()
    def embed(self, waveform: np.ndarray, sample_rate: int = SPEC.sample_rate) -> np.ndarray:
        """Embed a waveform [L]: the normalised mean over partial windows of 1.6 s.

        Raises:
            ValueError: the waveform is empty or silent.
        """
        audio = prepare(resample(np.asarray(waveform, np.float32), sample_rate, SPEAKER_RATE))
        starts = partial_starts(len(audio))
        needed = (starts[-1] + PARTIAL_FRAMES) * HOP_LENGTH
        mel = power_mel(np.pad(audio, (0, max(0, needed - len(audio)))))
        partials = self(torch.from_numpy(np.stack([mel[start : start + PARTIAL_FRAMES] for start in starts])))
        return nn.functional.normalize(partials.mean(dim=0), dim=0).numpy()


def load_speaker_encoder() -> SpeakerEncoder:
    """Load the public weights.

    Raises:
        FileNotFoundError: the package resemblyzer is not installed.
    """
    package = find_spec("resemblyzer")
    if package is None or package.origin is None:
        raise FileNotFoundError(
            "speaker similarity needs the weights of resemblyzer; run pip install --no-deps resemblyzer."
        )
    path = Path(package.origin).parent / "pretrained.pt"
    state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    encoder = SpeakerEncoder()
    encoder.load_state_dict({name: value for name, value in state.items() if name.startswith(("lstm.", "linear."))})
    return encoder.eval()


def prepare(audio: np.ndarray) -> np.ndarray:
    """Raise audio [L] at 16 kHz to -30 dBFS if it is below, and cut silences longer than 0.2 s."""
    rms = float(np.sqrt(np.mean(audio.astype(np.float64) ** 2))) if len(audio) else 0.0
    if rms <= 1e-7:
        raise ValueError("a speaker embedding needs speech; the waveform is empty or silent.")
    audio = audio * np.float32(max(1.0, 10.0 ** (LEVEL_DBFS / 20.0) / rms))
    n_windows = len(audio) // VAD_WINDOW
    if n_windows < 2:
        return audio
    audio = audio[: n_windows * VAD_WINDOW]
    power = (audio.reshape(n_windows, VAD_WINDOW).astype(np.float64) ** 2).mean(axis=1)
    is_speech = power > power.max() * 10.0 ** (-SILENCE_BELOW_PEAK_DB / 10.0)
    reach = np.ones(MAX_SILENCE_WINDOWS + 1)
    return (
        audio[np.repeat(np.convolve(is_speech, reach, mode="same") > 0.5, VAD_WINDOW)]
        if n_windows > len(reach)
        else audio
    )


def power_mel(audio: np.ndarray) -> np.ndarray:
    """Return power mels [frames, 40] of audio [L] at 16 kHz, Slaney scale and area, as librosa's default."""
    mel = librosa_part("feature.spectral").melspectrogram(
        y=audio, sr=SPEAKER_RATE, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=N_MELS
    )
    return mel.astype(np.float32).T


def partial_starts(n_samples: int) -> list[int]:
    """Return the first frames of the partial windows of `n_samples` at 16 kHz."""
    n_frames = int(np.ceil((n_samples + 1) / HOP_LENGTH))
    step = int(np.round(SPEAKER_RATE / PARTIALS_PER_S / HOP_LENGTH))
    starts = list(range(0, max(1, n_frames - PARTIAL_FRAMES + step + 1), step))
    coverage = (n_samples / HOP_LENGTH - starts[-1]) / PARTIAL_FRAMES
    return starts[:-1] if coverage < MIN_COVERAGE and len(starts) > 1 else starts
