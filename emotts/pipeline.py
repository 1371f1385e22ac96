"""The whole way from text and an emotion to a waveform: the only file that knows every room.

`EmoTTS.from_pretrained()` loads the bundled model; `synthesize` gives one `Result`, `stream` gives it in chunks, sentence by sentence.
"""

import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emotts.acoustic.model import AcousticModel, Condition
from emotts.audio import SPEC, save_audio
from emotts.checkpoint import CheckpointError, load_checkpoint
from emotts.emotion.labels import DIMENSIONS, LABEL_INDEX, LABELS
from emotts.emotion.space import EmotionInput
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.text import Segment, text_to_segments
from emotts.text.symbols import encode, is_pause

SPEED_RANGE = (0.4, 2.5)
PITCH_RANGE_ST = (-12.0, 12.0)
GUIDANCE_RANGE = (0.0, 5.0)
STEPS_RANGE = (0, 64)
PROSODY_STEPS = 6
LIMIT_KNEE = 0.85  # waveforms above this amplitude are bent towards 1 in place of being clipped
FADE_S = 0.004
FIRST_MAX_CHARS = 90  # a long first sentence is cut sooner, so that something is heard sooner


@dataclass(frozen=True)
class VoiceCard:
    """A named voice and where it comes from."""

    name: str
    gender: str = ""
    accent: str = ""
    teacher: str = ""
    licence: str = ""
    description: str = ""


@dataclass
class Chunk:
    """A piece of speech: waveform [L] with what was said in it, frame by frame.

    Attributes:
        waveform: float32 [L] in [-1, 1], the pause after it included.
        text: the part of the text that it speaks.
        tokens: phoneme tokens [N]; durations: frames of each [N].
        f0: Hz per frame [T], 0 unvoiced; mel: natural log magnitudes [T, M].
    """

    waveform: np.ndarray
    text: str
    tokens: list[str]
    durations: list[int]
    f0: np.ndarray
    mel: np.ndarray


@dataclass
class Result:
    """Speech with everything that led to it; arrays as in Chunk, joined over all chunks."""

    waveform: np.ndarray
    sample_rate: int
    text: str
    voice: str
    emotion: EmotionSpec
    seed: int
    rtf: float
    tokens: list[str] = field(repr=False)
    durations: list[int] = field(repr=False)
    f0: np.ndarray = field(repr=False)
    mel: np.ndarray = field(repr=False)

    @property
    def duration_s(self) -> float:
        """Length of the waveform in seconds."""
        return len(self.waveform) / self.sample_rate

    def save(self, path: str | Path) -> None:
        """Write the waveform as wav, flac, ogg or mp3, by suffix."""
        save_audio(path, self.waveform, self.sample_rate)


@dataclass(frozen=True)
class Request:
    """A checked synthesis request without its text."""

    emotion: EmotionSpec
    voice: str
    speed: float
    pitch: float
    steps: int
    prosody_steps: int
    guidance: float
    temperature: float
    seed: int


class EmoTTS:
    """Text and an emotion in, expressive speech out."""

    sample_rate = SPEC.sample_rate

    def __init__(self, acoustic: AcousticModel, vocoder: nn.Module, metadata: dict[str, Any], device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.acoustic = acoustic.to(self.device).eval()
        self.vocoder = vocoder.to(self.device).eval()
        self.metadata = metadata
        cards = {card["name"]: VoiceCard(**card) for card in metadata.get("voices", [])}
        self.voices = [cards.get(name, VoiceCard(name)) for name in acoustic.voices.names]
        self.default_voice = metadata.get("default_voice", self.voices[0].name)
        self.default_steps = int(metadata.get("default_steps", 4))
        self.default_temperature = float(metadata.get("default_temperature", 1.0))

    @classmethod
    def from_pretrained(cls, path: str | Path | None = None, device: str = "cpu") -> "EmoTTS":
        """Load a checkpoint folder; by default $EMOTTS_CHECKPOINT, then the bundled model.

        Raises:
            FileNotFoundError: no checkpoint there.
            ValueError: the checkpoint is corrupt or holds other modules.
        """
        folder = Path(path) if path is not None else bundled_checkpoint()
        modules, metadata = load_checkpoint(folder, device)
        acoustic, vocoder = modules.get("acoustic"), modules.get("vocoder")
        if not isinstance(acoustic, AcousticModel) or vocoder is None:
            raise CheckpointError(
                f"{folder} must hold the modules acoustic and vocoder; it holds {', '.join(sorted(modules)) or 'none'}. "
                "Point --checkpoint at a whole model."
            )
        return cls(acoustic, vocoder, metadata, device)

    def describe(self) -> list[tuple[str, int]]:
        """Return the components and their parameter counts."""
        rows = [(f"acoustic.{name}", _count(child)) for name, child in self.acoustic.named_children()]
        return [*rows, ("vocoder", _count(self.vocoder)), ("all", _count(self.acoustic) + _count(self.vocoder))]

    def synthesize(
        self, text: str, *, emotion: str | EmotionSpec | None = None, voice: str | None = None, arousal: float | None = None,
        valence: float | None = None, dominance: float | None = None, speed: float = 1.0, pitch: float = 0.0, steps: int | None = None,
        prosody_steps: int = PROSODY_STEPS, guidance: float = 1.0, temperature: float | None = None, seed: int | None = None,
    ) -> Result:  # fmt: skip
        """Speak `text` with an emotion.

        Args:
            emotion: `label[:intensity]`, see `emotts emotions`; None is neutral, or open where a dimension is given.
            voice: a name of `voices`; None takes the default voice.
            arousal, valence, dominance: in [-1, 1], each optional.
            speed: above 1 is faster. pitch: semitones.
            steps: flow steps of the mel; 0 gives the prior alone. prosody_steps: flow steps of the reading.
            guidance: 1 is plain; above 1 exaggerates the emotion, at twice the cost.
            temperature: of the mel flow's noise; None takes the checkpoint's.
            seed: the same seed gives the same bytes; None draws one, and the result tells which.

        Raises:
            ValueError: an unknown voice or label, a number out of range, or a text with nothing speakable.
        """
        started = time.perf_counter()
        request = self.check(
            emotion, voice, arousal, valence, dominance, speed, pitch, steps, prosody_steps, guidance, temperature, seed
        )
        chunks = list(self._chunks(text, request))
        waveform = np.concatenate([chunk.waveform for chunk in chunks])
        return Result(
            waveform=waveform,
            sample_rate=self.sample_rate,
            text=text,
            voice=request.voice,
            emotion=request.emotion,
            seed=request.seed,
            rtf=(time.perf_counter() - started) / (len(waveform) / self.sample_rate),
            tokens=[token for chunk in chunks for token in chunk.tokens],
            durations=[duration for chunk in chunks for duration in chunk.durations],
            f0=np.concatenate([chunk.f0 for chunk in chunks]),
            mel=np.concatenate([chunk.mel for chunk in chunks]),
        )

    def stream(
        self, text: str, *, emotion: str | EmotionSpec | None = None, voice: str | None = None, arousal: float | None = None,
        valence: float | None = None, dominance: float | None = None, speed: float = 1.0, pitch: float = 0.0, steps: int | None = None,
        prosody_steps: int = PROSODY_STEPS, guidance: float = 1.0, temperature: float | None = None, seed: int | None = None,
    ) -> Iterator[Chunk]:  # fmt: skip
        """Yield the speech in chunks as they are ready; joined, they equal `synthesize` with the same seed.

        Arguments and errors are those of `synthesize`; the request is checked before the first chunk is asked for.
        """
        request = self.check(
            emotion, voice, arousal, valence, dominance, speed, pitch, steps, prosody_steps, guidance, temperature, seed
        )
        return self._chunks(text, request)

    def check(
        self, emotion: str | EmotionSpec | None = None, voice: str | None = None, arousal: float | None = None,
        valence: float | None = None, dominance: float | None = None, speed: float = 1.0, pitch: float = 0.0, steps: int | None = None,
        prosody_steps: int = PROSODY_STEPS, guidance: float = 1.0, temperature: float | None = None, seed: int | None = None,
    ) -> Request:  # fmt: skip
        """Check a request and fill in the defaults.

        Raises:
            ValueError: naming the argument, what was expected, and what came.
        """
        spec = parse_emotion(emotion, arousal, valence, dominance)
        name = self.default_voice if voice is None else voice
        if name not in self.acoustic.voices.names:
            raise ValueError(unknown_voice(name, self.acoustic.voices.names))
        _in_range("speed", speed, *SPEED_RANGE)
        _in_range("pitch", pitch, *PITCH_RANGE_ST)
        _in_range("guidance", guidance, *GUIDANCE_RANGE)
        steps = self.default_steps if steps is None else steps
        _in_range("steps", steps, *STEPS_RANGE)
        _in_range("prosody_steps", prosody_steps, *STEPS_RANGE)
        temperature = self.default_temperature if temperature is None else temperature
        _in_range("temperature", temperature, 0.0, 2.0)
        seed = secrets.randbelow(2**31) if seed is None else seed
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise ValueError(f"seed must be a whole number from 0 to 2^63 - 1; got {seed!r}.")
        return Request(spec, name, speed, pitch, int(steps), int(prosody_steps), guidance, temperature, seed)

    def _chunks(self, text: str, request: Request) -> Iterator[Chunk]:
        for number, segment in enumerate(text_to_segments(text, first_max_chars=FIRST_MAX_CHARS)):
            yield self._speak(segment, request, number)

    @torch.inference_mode()
    def _speak(self, segment: Segment, request: Request, number: int) -> Chunk:
        """Speak one segment; its noise depends on the seed and its number alone."""
        pause = np.zeros(round((segment.pause_after_s or 0.0) * self.sample_rate), np.float32)
        if not segment.tokens:
            return Chunk(pause, segment.text, [], [], np.zeros(0, np.float32), np.zeros((0, SPEC.n_mels), np.float32))
        condition = self._condition(segment.tokens, request)
        minimum = torch.tensor([[0 if is_pause(token) else 1 for token in segment.tokens]], device=self.device)
        generator = torch.Generator().manual_seed(request.seed * 1_000_003 + number & (2**63 - 1))
        prosody = self.acoustic.sample_prosody(
            condition, minimum, generator=generator, steps=request.prosody_steps, guidance_scale=request.guidance,
            speed=request.speed, pitch_st=request.pitch,
        )  # fmt: skip
        mel = self.acoustic.sample_mel(
            condition, prosody, generator=generator, steps=request.steps, guidance_scale=request.guidance,
            temperature=request.temperature,
        )  # fmt: skip
        waveform = self.vocoder(mel, prosody.f0, generator=generator)
        speech = soften(_fade(waveform[0].float().cpu().numpy()))
        return Chunk(
            np.concatenate([speech, pause]), segment.text, list(segment.tokens), prosody.durations[0].tolist(),
            prosody.f0[0].cpu().numpy(), mel[0].cpu().numpy(),
        )  # fmt: skip

    def _condition(self, tokens: list[str], request: Request) -> Condition:
        phonemes, stresses = encode(tokens)
        voice = torch.tensor([self.acoustic.voices.index(request.voice)])
        condition = Condition(
            torch.tensor([phonemes]), torch.tensor([stresses]), torch.tensor([len(tokens)]), voice, emotion_input(request.emotion, len(tokens))
        )
        return condition.to(self.device)


def emotion_input(spec: EmotionSpec, n_tokens: int) -> EmotionInput:
    """Turn a specification into the model's input, the same for each of N tokens, with B = 1."""
    labels = torch.zeros(len(LABELS))
    if spec.label is not None and spec.label != "neutral":
        labels[LABEL_INDEX[spec.label]] = spec.intensity
    values = [getattr(spec, name) for name in DIMENSIONS]

    def per_token(value: Tensor) -> Tensor:
        return value.expand(1, n_tokens, *value.shape).contiguous()

    return EmotionInput(
        labels=per_token(labels),
        label_known=per_token(torch.tensor(spec.label is not None)),
        avd=per_token(torch.tensor([0.0 if value is None else float(value) for value in values])),
        avd_known=per_token(torch.tensor([value is not None for value in values])),
    )


def bundled_checkpoint() -> Path:
    """Return the folder of the model that `from_pretrained()` loads.

    Raises:
        FileNotFoundError: there is none.
    """
    chosen = os.environ.get("EMOTTS_CHECKPOINT")
    here = Path(__file__).resolve().parent
    places = [Path(chosen)] if chosen else [here / "_bundled", here.parent / "checkpoints" / "bundled"]
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f"no checkpoint in {' or '.join(str(p) for p in places)}; give a folder by --checkpoint or EMOTTS_CHECKPOINT."
    )


def unknown_voice(name: str, names: list[str]) -> str:
    """Return the message for a voice that does not exist, with the nearest one that does."""
    import difflib

    near = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.4)
    hint = f' Did you mean "{near[0]}"?' if near else " See `emotts voices`."
    return f"voice must be one of {', '.join(names)}; got {str(name)[:60]!r}.{hint}"


def soften(waveform: np.ndarray) -> np.ndarray:
    """Bend amplitudes above LIMIT_KNEE smoothly below 1; quieter samples pass unchanged."""
    room = 1.0 - LIMIT_KNEE
    over = np.abs(waveform) > LIMIT_KNEE
    bent = np.sign(waveform) * (LIMIT_KNEE + room * np.tanh((np.abs(waveform) - LIMIT_KNEE) / room))
    return np.where(over, bent, waveform).astype(np.float32)


def _fade(waveform: np.ndarray) -> np.ndarray:
    n = min(int(FADE_S * SPEC.sample_rate), len(waveform) // 2)
    ramp = np.linspace(0.0, 1.0, n, dtype=np.float32)
    faded = waveform.copy()
    faded[:n] *= ramp
    faded[len(faded) - n :] *= ramp[::-1]
    return faded


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _in_range(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}; got {value!r}.")
