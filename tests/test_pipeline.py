"""The pipeline on a tiny random model: streaming, seeds, pauses, bounds of every number."""

import sys
from pathlib import Path

import numpy as np
import pytest

from emotts.pipeline import EmoTTS
from emotts.speech import LIMIT_KNEE, soften

TEXT = "Hello there. It rained all night [pause 300ms] and then it stopped! Did you hear it?"


@pytest.fixture(scope="module")
def tts(tiny_checkpoint: Path) -> EmoTTS:
    return EmoTTS.from_pretrained(tiny_checkpoint)


def test_streaming_equals_the_whole(tts: EmoTTS) -> None:
    whole = tts.synthesize(TEXT, emotion="happy", seed=5)
    chunks = list(tts.stream(TEXT, emotion="happy", seed=5))
    assert len(chunks) >= 3
    assert np.array_equal(whole.waveform, np.concatenate([chunk.waveform for chunk in chunks]))


def test_same_seed_same_bytes_and_another_seed_another_reading(tts: EmoTTS) -> None:
    first, again, other = (tts.synthesize("Good morning to you.", seed=seed) for seed in (1, 1, 2))
    assert first.waveform.tobytes() == again.waveform.tobytes()
    assert first.waveform.tobytes() != other.waveform.tobytes()


def test_frames_and_samples_agree_pauses_included(tts: EmoTTS) -> None:
    result = tts.synthesize(TEXT, seed=1)
    frames = sum(result.durations)
    assert len(result.tokens) == len(result.durations)
    assert frames == len(result.f0) == len(result.mel) and frames * 256 == len(result.waveform)


def test_a_pause_is_as_long_as_asked(tts: EmoTTS) -> None:
    (chunk,) = list(tts.stream("Hello. [pause 500ms]", seed=1))[:1]
    frames = round(0.5 * 24_000 / 256)
    assert chunk.tokens[-1] == "<sil>" and chunk.durations[-1] == frames
    assert np.abs(chunk.waveform[-frames * 256 :]).max() == 0.0


def test_intensity_zero_is_neutral(tts: EmoTTS) -> None:
    neutral, zero = (tts.synthesize("It is late.", emotion=e, seed=3).waveform for e in ("neutral", "angry:0"))
    assert np.array_equal(neutral, zero)


def test_every_option_has_an_effect(tts: EmoTTS) -> None:
    plain = tts.synthesize("It is very late.", seed=3)
    options = [
        {"speed": 0.7}, {"pitch": 4.0}, {"steps": 1}, {"prosody_steps": 0}, {"temperature": 0.1}, {"prosody_temperature": 0.1},
        {"schedule": "sway"}, {"schedule": "epss"}, {"solver": "midpoint"}, {"solver": "heun"},
        {"voice": tts.voices[-1].name},
        {"emotion": "angry"}, {"arousal": 0.9}, {"emotion": "angry", "guidance": 2.0},
    ]  # fmt: skip
    seen = {plain.waveform.tobytes()}
    for option in options:
        seen.add(tts.synthesize("It is very late.", seed=3, **option).waveform.tobytes())
    assert len(seen) == 1 + len(options)


@pytest.mark.parametrize(
    "option",
    [
        {"speed": 0.0}, {"speed": float("nan")}, {"pitch": 99.0}, {"steps": -1}, {"steps": 2.5}, {"guidance": 9.0}, {"seed": -1},
        {"seed": True}, {"temperature": 3.0}, {"prosody_temperature": -0.1},
        {"schedule": "linear"}, {"solver": "rk4"}, {"schedule": "sway", "steps": 0, "prosody_steps": 0},
        {"voice": "nobody"}, {"emotion": "hapy"}, {"arousal": 1.2}, {"valence": float("nan")},
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused_before_anything_is_spoken(tts: EmoTTS, option: dict) -> None:
    name = next(iter(option))
    with pytest.raises(ValueError, match=name):
        tts.stream("Hello.", **option)  # not even asked for a chunk


def test_only_text_is_spoken(tts: EmoTTS) -> None:
    with pytest.raises(ValueError, match="text must be a string"):
        tts.synthesize(None)  # type: ignore[arg-type]


def test_soft_limit_leaves_quiet_samples_and_never_clips() -> None:
    x = np.linspace(-3, 3, 1001).astype(np.float32)
    y = soften(x)
    quiet = np.abs(x) <= LIMIT_KNEE
    assert np.array_equal(x[quiet], y[quiet]) and np.abs(y).max() <= 1.0 and (np.diff(y) >= 0).all()


def test_speaking_works_without_torchaudio(tiny_checkpoint: Path, monkeypatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchaudio", None)  # importing it now raises
    with pytest.raises(ImportError):
        import torchaudio  # noqa: F401
    assert EmoTTS.from_pretrained(tiny_checkpoint).synthesize("Hello.", seed=1).duration_s > 0
