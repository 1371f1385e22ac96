"""A stand-in for a trained model and its judges that can be computed by hand.

The model writes arousal, valence and dominance as the levels of three tones, a judge reads them back. What lies between, such as a
slope or a leak, is chosen by the test.
"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from emotts.audio import SPEC
from emotts.emotion.heard import Heard
from emotts.emotion.labels import AVD_MEANS, LABELS
from emotts.evaluation.listen import Listener
from emotts.loop import asked_place
from emotts.pipeline import EmoTTS
from emotts.provenance import ModelCard
from emotts.reference import REFERENCE_TEXTS
from emotts.request import Request, VoiceCard
from emotts.resolve import Resolver
from emotts.speech import Chunk
from emotts.steps import FLOW

TONES_HZ = (1_500.0, 2_000.0, 2_500.0)  # arousal, valence, dominance; multiples of the frame rate times 16
TOKENS = ["<sil>", "h", "ə", "l", "ˈoʊ", ".", "<sil>"]
F0_HZ = {"ada": 200.0, "max": 110.0, "joe": 140.0}
VOICE_TONES_HZ = {"ada": 3_500.0, "max": 3_800.0, "joe": 4_100.0}
HARMONICS_TO_HZ = 1_200.0
SPREAD = 0.35  # standard deviation of a label in the emotion space


class EchoTTS(EmoTTS):
    """Speaks tones. `slope` [3, 3] maps the place asked to the place rendered; `bias` [3] is added."""

    def __init__(self, slope: Any = None, bias: Any = (0.0, 0.0, 0.0), names: tuple[str, ...] = ("ada", "max")) -> None:
        own, text = SimpleNamespace(names=list(names)), SimpleNamespace(languages=())
        self.acoustic = SimpleNamespace(voices=own, text_encoder=text)  # type: ignore[assignment]
        self.voices = [VoiceCard(name, teacher="f" if name == "ada" else "m") for name in names]
        self.default_voice, self.default_steps, self.default_temperature = names[0], 4, 1.0
        self.student, self.flow_steps, self.student_steps = None, FLOW, None
        self.default_prosody_temperature = 1.0
        self.device = None  # type: ignore[assignment]
        self.resolver = Resolver()
        self.card = ModelCard("echo")
        self.slope = np.eye(3) if slope is None else np.asarray(slope)
        self.bias = np.asarray(bias)
        self.n_spoken = 0

    def place_of(self, request: Request) -> np.ndarray:
        asked = np.array([value or 0.0 for value in asked_place(request.emotion)])
        return np.clip(request.guidance * (asked @ self.slope) + self.bias, -1.2, 1.2)

    def speak(self, text: str, request: Request) -> Iterator[Chunk]:
        self.n_spoken += text not in REFERENCE_TEXTS
        random = np.random.default_rng([request.seed, sum(map(ord, text))])
        durations = np.array([4, 8, 12, 8, 20, 0, 4]) + random.integers(0, 4, 7) * np.array([0, 1, 1, 1, 1, 0, 0])
        durations[1:5] = np.maximum(1, np.round(durations[1:5] / request.speed))
        n_frames = int(durations.sum())
        time = np.arange(n_frames * SPEC.hop_length) / SPEC.sample_rate
        f0_hz = F0_HZ[request.voice] * 2.0 ** (request.pitch / 12.0)
        orders = np.arange(1, int(HARMONICS_TO_HZ / f0_hz) + 1)
        wave = 0.05 * np.sin(2 * np.pi * f0_hz * orders[:, None] * time).sum(axis=0)
        wave += 0.05 * np.sin(2 * np.pi * VOICE_TONES_HZ[request.voice] * time)
        for value, hz in zip(self.place_of(request), TONES_HZ, strict=True):
            wave += 0.02 * (value + 1.5) * np.sin(2 * np.pi * hz * time)
        f0 = np.full(n_frames, f0_hz, np.float32)
        mel = np.full((n_frames, SPEC.n_mels), -5.0, np.float32)
        yield Chunk(wave.astype(np.float32), text, [*TOKENS], durations.tolist(), f0, mel)


class EchoJudge:
    """Reads the three tones, against those of the neutral voice where it knows that; `slope` bends what it hears."""

    def __init__(self, name: str = "features", slope: float = 1.0, origin: Any = 0.0) -> None:
        self.name, self.slope, self.origin, self.n_heard = name, slope, origin, 0

    def with_reference(self, neutral: Any) -> "EchoJudge":
        places = [levels_of(waveform, rate, TONES_HZ) / 0.02 - 1.5 for waveform, rate in neutral]
        if not all(np.any(waveform) for waveform, _ in neutral):
            raise ValueError("a neutral recording is silent; give speech.")
        return EchoJudge(self.name, self.slope, np.mean(places, axis=0))

    def hear(self, waveform: np.ndarray, sample_rate: int) -> Heard:
        self.n_heard += 1
        if not np.any(waveform):
            raise ValueError("the clip is silent; give speech.")
        levels = levels_of(waveform, sample_rate, TONES_HZ)
        place = np.clip(self.slope * (levels / 0.02 - 1.5 - self.origin), -1.0, 1.0)
        closeness = np.array([-np.sum((place - AVD_MEANS[name]) ** 2) / (2 * SPREAD**2) for name in LABELS])
        weights = np.exp(closeness - closeness.max())
        a, v, d = (float(x) for x in place)
        embedding = np.array([a, v, d, 1.0]) / np.linalg.norm([a, v, d, 1.0])
        labels = {name: float(p) for name, p in zip(LABELS, weights / weights.sum(), strict=True)}
        return Heard(0.0, len(waveform) / sample_rate, labels, (a, v, d), (0.1, 0.1, 0.1), embedding, False)

    def windows(self, waveform: np.ndarray, sample_rate: int, window_s: float = 0.5) -> list[Heard]:
        raise NotImplementedError("a tone has one place")


def speaker_of(waveform: np.ndarray) -> np.ndarray:
    """Embed a voice by the level of its own tone, and of the emotion's, which pull it away: a unit vector [6]."""
    levels = levels_of(waveform, SPEC.sample_rate, (*VOICE_TONES_HZ.values(), *TONES_HZ))
    if not levels.any():
        raise ValueError("the clip is silent; a speaker embedding needs speech.")
    return levels / np.linalg.norm(levels)


def levels_of(waveform: np.ndarray, sample_rate: int, tones_hz: tuple[float, ...]) -> np.ndarray:
    """Return the amplitudes of some tones."""
    window = np.hanning(len(waveform))
    carriers = np.exp(-2j * np.pi * np.array(tones_hz)[:, None] * np.arange(len(waveform)) / sample_rate)
    return 2.0 * np.abs((carriers * window) @ waveform) / window.sum()


def echo_listener(judges: list[EchoJudge] | None = None, wrong_words: int = 0) -> Listener:
    """Return ears that need no weights: all words are heard but the first `wrong_words`."""

    def words(waveform: np.ndarray, text: str) -> dict[str, Any]:
        n = len(text.split())
        counts = {"delete": 0, "insert": 0, "replace": wrong_words, "equal": n - wrong_words}
        return {"ref_text": text, "whisper_hyp_text": text, **{f"whisper_wer_{k}": v for k, v in counts.items()}}

    def quality(waveform: np.ndarray, text: str) -> dict[str, Any]:
        return {"dns_overall": 3.0, "dns_sig": 3.2, "dns_bak": 4.0}

    return Listener(judges or [EchoJudge("recognizer", 0.9), EchoJudge()], words, quality, speaker_of)
