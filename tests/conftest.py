"""What several tests share: a whole checkpoint, tiny and with random weights, that speaks noise in milliseconds."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from emotts.checkpoint import save_checkpoint
from emotts.checkpoint.config import build

# What this user has set or kept is not seen. XDG_CACHE_HOME stays: others keep browsers and fonts there, emotts only what is
# found by its content.
for name in [name for name in os.environ if name.startswith("EMOTTS_")]:
    if name not in ("EMOTTS_CHROMIUM", "EMOTTS_SHOTS"):
        del os.environ[name]
HOME = tempfile.TemporaryDirectory(prefix="emotts-tests-")
os.environ |= {"EMOTTS_DATA": f"{HOME.name}/emotts", "XDG_DATA_HOME": HOME.name}

# The same examples on every run, however busy the machine is; pytest --hypothesis-profile=explore looks for new ones.
settings.register_profile(
    "emotts", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None)
settings.load_profile("emotts")

VOICES = [
    {
        "name": "ada",
        "gender": "female",
        "accent": "en-us",
        "teacher": "none",
        "licence": "CC0-1.0",
        "description": "random",
    },
    {
        "name": "max",
        "gender": "male",
        "accent": "en-us",
        "teacher": "none",
        "licence": "CC0-1.0",
        "description": "random",
    },
]


def tiny_configs() -> dict[str, dict]:
    """Return configs of all modules of the bundled model at the smallest size that they allow."""
    from emotts.text.symbols import PHONEMES, STRESSES

    room = "emotts.acoustic"
    acoustic = {
        "_target_": f"{room}.model.AcousticModel",
        "voices": [card["name"] for card in VOICES],
        "speaker_dim": 8,
        "text_encoder": {
            "_target_": "emotts.content.text_encoder.TextEncoder",
            "n_phonemes": len(PHONEMES),
            "n_stresses": len(STRESSES),
            "channels": 64,
            "layout": "c",
        },
        "emotion_space": {"_target_": "emotts.emotion.space.EmotionSpace", "dim": 8, "hidden": 16},
        "prosody": {
            "_target_": "emotts.prosody.ProsodyModel",
            **{
                "content": 64,
                "speaker": 8,
                "emotion": 8,
                "channels": 64,
                "prior": "c",
                "flow": "c",
                "frame_channels": 16,
            },
        },
        "trunk": {
            "_target_": f"{room}.model.MelTrunk",
            **{"content": 64, "speaker": 8, "emotion": 8, "n_mels": 100, "channels": 64},
            **{"token_layout": "c", "frame_layout": "c"},
        },
        "estimator": {
            "_target_": f"{room}.estimator.VelocityEstimator",
            **{"n_mels": 100, "trunk": 64, "condition": 16, "channels": 64, "layout": "c"},
        },
    }
    vocoder = {"_target_": "emotts.vocoder.generator.HarmonicNoiseGenerator", "channels": 16, "n_blocks": 1}
    return {"acoustic": acoustic, "vocoder": vocoder}


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder that `EmoTTS.from_pretrained` loads."""
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        modules = {name: (config, build(config, name)) for name, config in tiny_configs().items()}
    acoustic = modules["acoustic"][1]
    acoustic.voices.mean_log_f0.copy_(torch.tensor([7.6, 6.9]))  # 194 and 119 Hz
    acoustic.mel_mean.fill_(-5.0)  # quiet noise rather than a roar
    acoustic.prosody.mean.copy_(torch.tensor([1.8, 0.0, 0.0, -2.0]))  # six frames a token
    metadata = {"name": "tiny", "recipe": "tests/conftest.py", "licence": "CC0-1.0", "voices": VOICES}
    save_checkpoint(folder, modules, metadata)
    return folder


@pytest.fixture(autouse=True)
def same_dice() -> None:
    """Draw the same numbers in every run, whatever ran before."""
    torch.manual_seed(0)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute on one thread, where sums have one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
