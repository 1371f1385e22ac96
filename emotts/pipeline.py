"""The whole way from text and an emotion to a waveform: the only file that knows every room.

`EmoTTS.from_pretrained()` loads the bundled model; `synthesize` gives one `Result`, `stream` gives it in chunks.
"""

import math
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from emotts.acoustic.model import AcousticModel, Condition
from emotts.audio import SPEC
from emotts.checkpoint import CheckpointError, load_checkpoint
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.request import Request, VoiceCard, emotion_input, unknown_voice
from emotts.speech import Chunk, Result, fade, join, silence, silent_mel, soften, with_pause
from emotts.text import Segment, phonemize, text_to_segments
from emotts.text.symbols import encode, is_pause

PROSODY_STEPS = 6
FIRST_MAX_CHARS = 90  # a long first sentence is cut sooner, so that something is heard sooner


class EmoTTS:
    """Text and an emotion in, expressive speech out."""

    sample_rate = SPEC.sample_rate

    def __init__(
        self, acoustic: AcousticModel, vocoder: nn.Module, metadata: dict[str, Any], device: str = "cpu"
    ) -> None:
        self.device = torch.device(device)
        self.acoustic = acoustic.to(self.device).eval()
        self.vocoder = vocoder.to(self.device).eval()
        self.metadata = metadata
        cards = {card["name"]: VoiceCard(**card) for card in metadata.get("voices", [])}
        self.voices = [cards.get(name, VoiceCard(name)) for name in acoustic.voices.names]
        self.log_gain = {name: level * math.log(10.0) / 20.0 for name, level in metadata.get("level_db", {}).items()}
        self.default_voice = metadata.get("default_voice", self.voices[0].name)
        self.default_steps = int(metadata.get("default_steps", 4))
        self.default_temperature = float(metadata.get("default_temperature", 1.0))
        self.default_prosody_temperature = float(metadata.get("default_prosody_temperature", 1.0))

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
                f"{folder} must hold the modules acoustic and vocoder; it holds {', '.join(sorted(modules)) or 'none'}."
                " Point --checkpoint at a whole model."
            )
        phonemize("ready")  # reads the lexicon, so that the first sentence does not wait for it
        return cls(acoustic, vocoder, metadata, device)

    def describe(self) -> list[tuple[str, int]]:
        """Return the components and their parameter counts."""
        rows = [(f"acoustic.{name}", _count(child)) for name, child in self.acoustic.named_children()]
        return [*rows, ("vocoder", _count(self.vocoder)), ("all", _count(self.acoustic) + _count(self.vocoder))]

    def synthesize(
        self,
        text: str,
        *,
        emotion: str | EmotionSpec | None = None,
        voice: str | None = None,
        arousal: float | None = None,
        valence: float | None = None,
        dominance: float | None = None,
        speed: float = 1.0,
        pitch: float = 0.0,
        steps: int | None = None,
        prosody_steps: int = PROSODY_STEPS,
        guidance: float = 1.0,
        temperature: float | None = None,
        prosody_temperature: float | None = None,
        seed: int | None = None,
    ) -> Result:
        """Speak `text` with an emotion.

        Args:
            emotion: `label[:intensity]`, see `emotts emotions`; None is neutral, or open where a dimension is given.
            voice: a name of `voices`; None takes the default voice.
            arousal, valence, dominance: in [-1, 1], each optional.
            speed: above 1 is faster. pitch: semitones.
            steps: flow steps of the mel; 0 gives the prior alone. prosody_steps: flow steps of the reading.
            guidance: 1 is plain; above 1 exaggerates the emotion, at twice the cost.
            temperature: of the mel flow's noise; None takes the checkpoint's.
            prosody_temperature: of the reading's noise: how far readings differ; 0 is always the same one.
            seed: the same seed gives the same bytes; None draws one, and the result tells which.

        Raises:
            ValueError: an unknown voice or label, a number out of range, or a text with nothing speakable.
        """
        started = time.perf_counter()
        request = self.request(
            emotion, voice, arousal, valence, dominance, speed, pitch, steps, prosody_steps, guidance, temperature,
            prosody_temperature, seed,
        )  # fmt: skip
        chunks = list(self.speak(text, request))
        return join(chunks, text, request, time.perf_counter() - started)

    def stream(
        self,
        text: str,
        *,
        emotion: str | EmotionSpec | None = None,
        voice: str | None = None,
        arousal: float | None = None,
        valence: float | None = None,
        dominance: float | None = None,
        speed: float = 1.0,
        pitch: float = 0.0,
        steps: int | None = None,
        prosody_steps: int = PROSODY_STEPS,
        guidance: float = 1.0,
        temperature: float | None = None,
        prosody_temperature: float | None = None,
        seed: int | None = None,
    ) -> Iterator[Chunk]:
        """Yield the speech in chunks as they are ready, in bounded memory; joined, they equal `synthesize`.

        Arguments and errors are those of `synthesize`; the request is checked before the first chunk is asked for.
        """
        request = self.request(
            emotion, voice, arousal, valence, dominance, speed, pitch, steps, prosody_steps, guidance, temperature,
            prosody_temperature, seed,
        )  # fmt: skip
        return self.speak(text, request)

    def request(
        self,
        emotion: str | EmotionSpec | None = None,
        voice: str | None = None,
        arousal: float | None = None,
        valence: float | None = None,
        dominance: float | None = None,
        speed: float = 1.0,
        pitch: float = 0.0,
        steps: int | None = None,
        prosody_steps: int = PROSODY_STEPS,
        guidance: float = 1.0,
        temperature: float | None = None,
        prosody_temperature: float | None = None,
        seed: int | None = None,
    ) -> Request:
        """Check a request and fill in the defaults; arguments and errors are those of `synthesize`."""
        name = self.default_voice if voice is None else voice
        if name not in self.acoustic.voices.names:
            raise ValueError(unknown_voice(name, self.acoustic.voices.names))
        return Request(
            emotion=parse_emotion(emotion, arousal, valence, dominance),
            voice=name,
            speed=speed,
            pitch=pitch,
            steps=self.default_steps if steps is None else steps,
            prosody_steps=prosody_steps,
            guidance=guidance,
            temperature=self.default_temperature if temperature is None else temperature,
            prosody_temperature=(
                self.default_prosody_temperature if prosody_temperature is None else prosody_temperature
            ),
            seed=secrets.randbelow(2**31) if seed is None else seed,
        )

    def speak(self, text: str, request: Request) -> Iterator[Chunk]:
        """Yield the chunks of a checked request.

        Raises:
            ValueError: the text is no text, or nothing in it can be spoken.
        """
        if not isinstance(text, str):
            raise ValueError(f"text must be a string; got {type(text).__name__}.")
        for number, segment in enumerate(text_to_segments(text, first_max_chars=FIRST_MAX_CHARS)):
            yield self._speak_segment(segment, request, number)

    @torch.inference_mode()
    def _speak_segment(self, segment: Segment, request: Request, number: int) -> Chunk:
        """Speak one segment; its noise depends on the seed and its number alone."""
        n_pause = round((segment.pause_after_s or 0.0) * SPEC.frame_rate)
        if not segment.tokens:
            return with_pause(Chunk(silence(0), segment.text, [], [], silence(0), silent_mel(0)), n_pause)
        condition = self._condition(segment.tokens, request)
        minimum = torch.tensor([[0 if is_pause(token) else 1 for token in segment.tokens]], device=self.device)
        generator = torch.Generator().manual_seed((request.seed * 1_000_003 + number) % 2**63)
        prosody = self.acoustic.sample_prosody(
            condition,
            minimum,
            generator=generator,
            steps=request.prosody_steps,
            guidance_scale=request.guidance,
            temperature=request.prosody_temperature,
            speed=request.speed,
            pitch_st=request.pitch,
        )
        mel = self.acoustic.sample_mel(
            condition,
            prosody,
            generator=generator,
            steps=request.steps,
            guidance_scale=request.guidance,
            temperature=request.temperature,
        )
        mel = mel + self.log_gain.get(request.voice, 0.0)
        waveform = self.vocoder(mel, prosody.f0, generator=generator)[0].float().cpu().numpy()
        durations, f0 = prosody.durations[0].tolist(), prosody.f0[0].cpu().numpy()
        chunk = Chunk(soften(fade(waveform)), segment.text, [*segment.tokens], durations, f0, mel[0].cpu().numpy())
        return with_pause(chunk, n_pause)

    def _condition(self, tokens: list[str], request: Request) -> Condition:
        phonemes, stresses = encode(tokens)
        condition = Condition(
            phonemes=torch.tensor([phonemes]),
            stresses=torch.tensor([stresses]),
            lengths=torch.tensor([len(tokens)]),
            voice=torch.tensor([self.acoustic.voices.index(request.voice)]),
            emotion=emotion_input(request.emotion, len(tokens)),
        )
        return condition.to(self.device)


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


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
