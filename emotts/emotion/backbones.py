"""Frozen speech encoders that a user has the weights of, in place of the mel: wav2vec 2.0, HuBERT and WavLM.

Comes in: a folder with config.json and model.safetensors, and waveforms at any rate. Goes out: features [T, F], the mean of the
encoder's hidden layers (Yang et al., "SUPERB" (2021), arXiv 2105.01051, learns their weights). Nothing is downloaded here.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emotts.audio import resample

SAMPLE_RATE = 16_000
FRAME_RATE = 50.0  # of all encoders of this family: 320 samples to a frame
SHORTEST = 400  # samples that the first frame needs
CONFIG, WEIGHTS = "config.json", "model.safetensors"
TORCHAUDIO_FACTORIES = ("wav2vec2_model", "wavlm_model")  # HuBERT is a wav2vec2_model with other weights


class FrozenEncoder:
    """A self-supervised encoder that is never trained here; keeps `emotts.emotion.listening.Encoder`."""

    frame_rate = FRAME_RATE

    def __init__(self, network: nn.Module, layers_of: Callable[[Tensor], list[Tensor]], is_normalised: bool) -> None:
        """Freeze a network.

        Args:
            network: whose parameters are frozen.
            layers_of: maps waveforms [1, L] at 16 kHz to the hidden layers, each [1, T, F].
            is_normalised: whether the encoder expects waveforms of mean 0 and variance 1.
        """
        self.network = network.eval().requires_grad_(False)
        self.layers_of, self.is_normalised = layers_of, is_normalised

    @torch.inference_mode()
    def encode(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return features [T, F] float32, 50 a second, of waveform [L].

        Raises:
            ValueError: shorter than one frame.
        """
        mono = resample(np.asarray(waveform, np.float32), sample_rate, SAMPLE_RATE)
        if len(mono) < SHORTEST:
            raise ValueError(
                f"an encoder needs {SHORTEST / SAMPLE_RATE} s of audio; got {len(mono) / SAMPLE_RATE:.4f} s."
            )
        if self.is_normalised:
            mono = (mono - mono.mean()) / np.sqrt(mono.var() + 1e-7)
        layers = self.layers_of(torch.from_numpy(mono)[None])
        return torch.stack(layers).mean(dim=0)[0].float().numpy()


def load_backbone(folder: str | Path) -> FrozenEncoder:
    """Load an encoder from a folder: of transformers (`save_pretrained`), or of torchaudio.

    For torchaudio config.json holds {"torchaudio": "wav2vec2_model" or "wavlm_model", "is_normalised": bool, "arguments": {...}}
    and model.safetensors the state of that model. Pickled weights are never read.

    Raises:
        FileNotFoundError: no such folder or file.
        ValueError: a configuration or weights that do not fit.
        ImportError: the library that the folder belongs to is not installed.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"backbone folder {str(folder)!r} lacks {name}; save the model there with save_pretrained (safetensors)."
            )
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG} is not JSON ({error}).") from error
    if not isinstance(config, dict):
        raise ValueError(f"{folder / CONFIG} must hold a JSON object.")
    return _from_torchaudio(folder, config) if "torchaudio" in config else _from_transformers(folder, config)


def _from_torchaudio(folder: Path, config: dict[str, Any]) -> FrozenEncoder:
    if config["torchaudio"] not in TORCHAUDIO_FACTORIES:
        raise ValueError(
            f'"torchaudio" must be one of {", ".join(TORCHAUDIO_FACTORIES)}; got {config["torchaudio"]!r}.'
        )
    try:
        import torchaudio
    except ImportError as error:
        raise ImportError('this backbone needs torchaudio: pip install "emotts[train]".') from error
    from safetensors.torch import load_file

    try:
        network = getattr(torchaudio.models, config["torchaudio"])(**config["arguments"])
        network.load_state_dict(load_file(folder / WEIGHTS), strict=True)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{folder} does not hold a {config['torchaudio']} of torchaudio ({reason}).") from error

    def layers_of(waveform: Tensor) -> list[Tensor]:
        return list(network.extract_features(waveform)[0])

    return FrozenEncoder(network, layers_of, bool(config.get("is_normalised", False)))


def _from_transformers(folder: Path, config: dict[str, Any]) -> FrozenEncoder:
    try:
        import transformers
    except ImportError as error:
        raise ImportError(f"{folder} is a model of transformers: pip install transformers.") from error
    classes = {
        "wav2vec2": "Wav2Vec2Model",
        "hubert": "HubertModel",
        "wavlm": "WavLMModel",
        "data2vec-audio": "Data2VecAudioModel",
    }
    kind = config.get("model_type")
    if kind not in classes:
        raise ValueError(f"model_type in {folder / CONFIG} must be one of {', '.join(classes)}; got {kind!r}.")
    try:
        network = getattr(transformers, classes[kind]).from_pretrained(
            str(folder), use_safetensors=True, local_files_only=True
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"{folder} does not hold a {classes[kind]} of transformers ({error}).") from error

    def layers_of(waveform: Tensor) -> list[Tensor]:
        return list(network(waveform, output_hidden_states=True).hidden_states)

    return FrozenEncoder(network, layers_of, _is_normalised(folder))


def _is_normalised(folder: Path) -> bool:
    """Whether the feature extractor saved beside a model of transformers normalises waveforms; the base models do not."""
    path = folder / "preprocessor_config.json"
    return path.is_file() and bool(json.loads(path.read_text(encoding="utf-8")).get("do_normalize", False))
