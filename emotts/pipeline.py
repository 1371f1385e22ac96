"""The whole way from text and an emotion to a waveform: the only file that knows every room.

`EmoTTS.from_pretrained()` loads the bundled model; `synthesize` gives one `Result`, `stream` gives it in chunks.
"""

import math
import secrets
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import torch
from torch import nn

from emotts.acoustic.blend import Branch
from emotts.acoustic.condition import Condition
from emotts.acoustic.model import AcousticModel
from emotts.audio import SPEC
from emotts.checkpoint import FORMAT_VERSION, CheckpointError, load_checkpoint, manifest_sha256
from emotts.checkpoint.shipped import shipped_folder
from emotts.conversion.converter import Converter
from emotts.conversion.methods import ConversionMethods
from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.emotion.place import evenness, track_of
from emotts.emotion.spans import read_span, span_specs
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.plan import KeptEdit, Planned, check_span, plan_segments, with_duration, with_word_times, word_texts
from emotts.prosody import EditReading, Prosody, Reading
from emotts.prosody_edit import sheet_of
from emotts.provenance import Provenance, model_card, of_request
from emotts.reference import neutral_speech
from emotts.request import Options, Request, VoiceCard
from emotts.resolve import Resolver, check_used, read_files
from emotts.speech import Chunk, Result, fade, join, silence, silent_mel, soften, with_pause
from emotts.telling import branches_of
from emotts.text import phonemize, text_to_segments
from emotts.text.languages import known_as
from emotts.text.phonemize import backend_of
from emotts.text.symbols import encode, is_pause

if TYPE_CHECKING:
    from emotts.emotion.classifier import ClassifierGuidance
    from emotts.emotion.recognizer import Statistics

PROSODY_STEPS = 6
FIRST_MAX_CHARS = 90  # a long first sentence is cut sooner, so that something is heard sooner


class EmoTTS(ConversionMethods):
    """Text or a recording and an emotion in, expressive speech out."""

    sample_rate = SPEC.sample_rate

    def __init__(
        self,
        acoustic: AcousticModel,
        vocoder: nn.Module,
        metadata: dict[str, Any],
        device: str = "cpu",
        manifest: str = "",
    ) -> None:
        self.device = torch.device(device)
        self.acoustic = acoustic.to(self.device).eval()
        self.vocoder = vocoder.to(self.device).eval()
        self.metadata = metadata
        self.card = model_card(metadata, FORMAT_VERSION, manifest)  # `manifest`: the hash of the checkpoint's
        cards = {card["name"]: VoiceCard(**card) for card in metadata.get("voices", [])}
        self.voices = [cards.get(name, VoiceCard(name)) for name in acoustic.voices.names]
        self.log_gain = {name: level * math.log(10.0) / 20.0 for name, level in metadata.get("level_db", {}).items()}
        self.default_voice = metadata.get("default_voice", self.voices[0].name)
        self.default_steps = int(metadata.get("default_steps", 4))
        self.default_temperature = float(metadata.get("default_temperature", 1.0))
        self.default_prosody_temperature = float(metadata.get("default_prosody_temperature", 1.0))
        self.even = evenness(metadata.get("intensity_curves", {}))
        self.resolver = Resolver()
        self._known_voices: dict[str, Statistics] = {}

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
                " Join parts with recipes/bundle.py, or point --checkpoint at a whole model."
            )
        phonemize("ready")  # reads the lexicon, so that the first sentence does not wait for it
        return cls(acoustic, vocoder, metadata, device, manifest_sha256(folder))

    @cached_property
    def converter(self) -> Converter:
        """What converts recordings; its networks are loaded when first needed."""
        vocoder: Any = self.vocoder
        return Converter(
            self.acoustic, vocoder, self.resolver, self.even, lambda name: self.log_gain.get(name, 0.0), self.card
        )

    def describe(self) -> list[tuple[str, int]]:
        """Return the components and their parameter counts."""
        rows = [(f"acoustic.{name}", _count(child)) for name, child in self.acoustic.named_children()]
        return [*rows, ("vocoder", _count(self.vocoder)), ("all", _count(self.acoustic) + _count(self.vocoder))]

    def synthesize(self, text: str, **options: Unpack[Options]) -> Result:
        """Speak `text` with an emotion.

        Args:
            text: may hold markup: spans such as `[sad:0.3]...[/]`, `*emphasis*`, `[pause 300ms]`, `[[phonemes]]`.
            options: see `emotts.request.Options`.

        Raises:
            ValueError: an unknown voice or label, a number out of range, a wish that cannot be met, or nothing speakable.
            FileNotFoundError: a file of the options does not exist.
        """
        started = time.perf_counter()
        request = self.request(**options)
        chunks = list(self.speak(text, request))
        return join(chunks, text, request, time.perf_counter() - started, self.provenance(text, request))

    def stream(self, text: str, **options: Unpack[Options]) -> Iterator[Chunk]:
        """Yield the speech in chunks as they are ready, in bounded memory; joined, they equal `synthesize`.

        Arguments and errors are those of `synthesize`; the request is checked before the first chunk is asked for.
        """
        return self.speak(text, self.request(**options))

    def request(self, **options: Unpack[Options]) -> Request:
        """Check a request, read its files and fill in the defaults; arguments and errors are those of `synthesize`."""
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        unknown = sorted(set(given) - set(Options.__annotations__))
        if unknown:
            raise TypeError(f"{unknown[0]!r} is no option; see emotts.request.Options")
        voice, profile = given.pop("voice", self.default_voice), None
        if voice not in self.acoustic.voices.names:
            voice, profile = self.converter.voice(voice)
        asked = parse_emotion(given.pop("emotion", None), *(given.pop(name, None) for name in DIMENSIONS))
        neutral = given.pop("like_neutral", ())
        given["like_neutral"] = (neutral,) if isinstance(neutral, str | Path) else tuple(neutral)
        emotion = self.resolver.plain(asked, given["like_neutral"], given.get("norms"))
        found: dict[str, Any] = {"emotion": emotion, "asked": asked, "voice": voice, "profile": profile}
        found["language"] = known_as(given.get("language", self.languages[0]), self.languages)
        request = Request(**self.defaults | read_files(given) | found)
        request.check_combinations()
        return request

    @property
    def languages(self) -> tuple[str, ...]:
        """What the checkpoint speaks; the first where nothing is said, and that is English if it is among them."""
        return tuple(sorted(self.acoustic.text_encoder.languages or ("en-us",), key=lambda name: name != "en-us"))

    @property
    def defaults(self) -> dict[str, Any]:
        """What a request says where nothing is asked; the seed is drawn."""
        return {
            "speed": 1.0, "pitch": 0.0, "guidance": 1.0, "steps": self.default_steps, "prosody_steps": PROSODY_STEPS,
            "temperature": self.default_temperature, "prosody_temperature": self.default_prosody_temperature,
            "seed": secrets.randbelow(2**31), "language": self.languages[0],
        }  # fmt: skip

    def provenance(self, text: str, request: Request) -> Provenance:
        """Return what a file with this speech says of how it was made."""
        found = of_request(request, text, [self.card], self.defaults)
        return found if request.profile is None else replace(found, consent=request.profile.consent)

    def speak(self, text: str, request: Request) -> Iterator[Chunk]:
        """Yield the chunks of a checked request.

        Raises:
            ValueError: the text is no text, nothing in it can be spoken, or a wish cannot be met.
        """
        if not isinstance(text, str):
            raise ValueError(f"text must be a string; got {type(text).__name__}.")
        spans = span_specs(text, request.language)
        for spec in spans:
            check_span(spec)
        check_used([request.asked or request.emotion, *spans], request.like_neutral, request.norms)
        plain = [self.resolver.plain(spec, request.like_neutral, request.norms) for spec in spans]
        segments = text_to_segments(
            text, request.language, first_max_chars=FIRST_MAX_CHARS, backend=backend_of(request.language), read_span=read_span
        )  # fmt: skip
        planned: Iterable[Planned] = plan_segments(segments, request, plain)
        if request.word_times is not None:
            planned = with_word_times(list(planned), request.word_times, request.language)
        if request.duration is not None:
            planned = list(planned)
            planned = with_duration(planned, self._readings(planned, request), request.duration)
        start_s = 0.0
        for number, part in enumerate(planned):
            chunk = self._speak_segment(part, request, number, start_s)
            start_s += len(chunk.waveform) / SPEC.sample_rate
            yield chunk
        if request.timeline is not None and request.timeline.kind == "t":
            last_s = request.timeline.keyframes[-1].place
            if last_s > start_s:
                warnings.warn(
                    f"the last keyframe, at {last_s:g} s, lies after the end of the speech, {start_s:.2f} s",
                    stacklevel=2,
                )

    def _readings(self, planned: Iterable[Planned], request: Request) -> list[Reading | None]:
        """Return how each segment would be read if its length were free; None for a mere pause."""
        readings: list[Reading | None] = []
        start_s = 0.0
        for number, part in enumerate(planned):
            start_s += part.segment.pause_after_s or 0.0
            if not part.segment.tokens:
                readings.append(None)
                continue
            kept = KeptEdit(part.edit(request))
            branches = self._branches_at(part, request, number, start_s)
            prosody = self._read(part, request, branches, _noise_source(request, number), kept)
            readings.append(kept.last)
            start_s += int(prosody.durations.sum()) / SPEC.frame_rate
        return readings

    def _branches_at(self, part: Planned, request: Request, number: int, start_s: float) -> list[Branch]:
        """Return the branches of a segment; for a time line in seconds, when its tokens come is known after a first reading."""
        branches = self._branches(part, request, start_s)
        if request.timeline is None or request.timeline.kind != "t":
            return branches
        first = self._read(part, request, branches, _noise_source(request, number), part.edit(request)).durations[0]
        frames = first.cpu().numpy()
        return self._branches(part, request, start_s, (np.cumsum(frames) - 0.5 * frames) / SPEC.frame_rate)

    @torch.inference_mode()
    def _speak_segment(self, part: Planned, request: Request, number: int, start_s: float) -> Chunk:
        """Speak one segment; its noise depends on the seed and its number alone."""
        segment = part.segment
        n_pause = round((segment.pause_after_s or 0.0) * SPEC.frame_rate)
        if not segment.tokens:
            return with_pause(Chunk(silence(0), segment.text, [], [], silence(0), silent_mel(0)), n_pause)
        branches = self._branches_at(part, request, number, start_s)
        kept = KeptEdit(part.edit(request))
        generator = _noise_source(request, number)
        prosody = self._read(part, request, branches, generator, kept)
        mel = self.acoustic.sample_mel(
            branches, prosody, generator=generator, steps=request.steps, temperature=request.temperature,
            push=self._push(part, request, start_s),
        )  # fmt: skip
        mel = mel + (self.log_gain.get(request.voice, 0.0) if request.profile is None else 0.0)
        waveform = self.vocoder(mel, prosody.f0, generator=generator)[0].float().cpu().numpy()
        durations, f0 = prosody.durations[0].tolist(), prosody.f0[0].cpu().numpy()
        chunk = Chunk(
            soften(fade(waveform)), segment.text, [*segment.tokens], durations, f0, mel[0].cpu().numpy(),
            [*segment.words],
            sheet_of(replace(kept.last, durations=np.array(durations)), segment.tokens, word_texts(segment, request.language)),
        )  # fmt: skip
        return with_pause(chunk, n_pause)

    def _read(
        self,
        part: Planned,
        request: Request,
        branches: list[Branch],
        generator: torch.Generator,
        edit: EditReading,
    ) -> Prosody:
        tokens = part.segment.tokens
        minimum = torch.tensor([[0 if is_pause(token) else 1 for token in tokens]], device=self.device)
        return self.acoustic.sample_prosody(
            branches, minimum, generator=generator, steps=request.prosody_steps, temperature=request.prosody_temperature,
            speed=request.speed, pitch_st=request.pitch, edit=edit,
        )  # fmt: skip

    def _branches(
        self, part: Planned, request: Request, start_s: float, times_s: np.ndarray | None = None
    ) -> list[Branch]:
        """Return everything that is blended to speak one segment."""
        bare = self._condition(part.segment.tokens, request)
        return branches_of(part, request, bare, self.even, start_s, times_s)

    def _push(self, part: Planned, request: Request, start_s: float) -> "ClassifierGuidance | None":
        """Return the recogniser's push towards what this segment asks, if the request has one."""
        if not (request.classifier or request.classifier_away):
            return None
        from emotts.emotion.classifier import ClassifierGuidance

        track = part.track(request, start_s)
        weights = dict(zip(LABELS, track.labels.mean(axis=0).tolist(), strict=True))
        total = sum(weights.values())
        if total == 0.0 and not track.label_known.all():
            raise ValueError("classifier guidance goes towards labels; name one, such as angry:0.5,arousal=0.8.")
        weights["neutral"] = max(0.0, 1.0 - total)
        towards = tuple((name, weight) for name, weight in weights.items() if weight > 0.0)
        others = tuple((name, 1.0) for name in LABELS if weights[name] == 0.0)
        return ClassifierGuidance(
            self.resolver.recognizer.model, towards, request.emotion.away or others, request.classifier,
            request.classifier_away, self._neutral_voice(request),
        )  # fmt: skip

    def _neutral_voice(self, request: Request) -> "Statistics":
        """Return what the recogniser knows of a voice from its neutral sentences; those of named voices are spoken once."""
        if request.profile is not None or request.voice not in self._known_voices:
            known = self.resolver.recognizer.with_reference(neutral_speech(self, request.speaker)).voice
            assert known is not None
            if request.profile is not None:
                return known
            self._known_voices[request.voice] = known
        return self._known_voices[request.voice]

    def _condition(self, tokens: list[str], request: Request) -> Condition:
        """Return what is said and by whom; nothing is known of the emotion yet."""
        phonemes, stresses = encode(tokens)
        speaker, voice = None, 0
        if request.profile is None:
            voice = self.acoustic.voices.index(request.voice)
        else:
            speaker = request.profile.to_speaker(self.converter.reference_voice.adapter)
        encoder = self.acoustic.text_encoder
        if max(stresses) >= encoder.n_stresses:
            raise ValueError("the checkpoint knows no tones; leave them out, or train one with n_stresses=10.")
        condition = Condition(
            phonemes=torch.tensor([phonemes]),
            stresses=torch.tensor([stresses]),
            lengths=torch.tensor([len(tokens)]),
            voice=torch.tensor([voice]),
            emotion=track_of([EmotionSpec()] * len(tokens)).to_input(),
            speaker=speaker,
            language=torch.tensor([encoder.languages.index(request.language)]) if encoder.languages else None,
        )
        return condition.to(self.device)


def _noise_source(request: Request, number: int) -> torch.Generator:
    return torch.Generator().manual_seed((request.seed * 1_000_003 + number) % 2**63)


def bundled_checkpoint() -> Path:
    """Return the folder of the model that `from_pretrained()` loads.

    Raises:
        FileNotFoundError: there is none.
    """
    return shipped_folder("bundled", "give a folder by --checkpoint or EMOTTS_CHECKPOINT.", "EMOTTS_CHECKPOINT")


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
