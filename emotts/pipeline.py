"""The whole way from text and an emotion to a waveform: the only file that knows every room.

`EmoTTS.from_pretrained()` loads the bundled model; `synthesize` gives one `Result`, `stream` gives it in chunks.
"""

import math
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from emotts.acceleration import PLAIN, Choice, load_networks
from emotts.acoustic.blend import Branch
from emotts.acoustic.condition import Condition
from emotts.acoustic.model import AcousticModel
from emotts.acoustic.stacked import Encoded
from emotts.acoustic.student import FlowStudent
from emotts.audio import SPEC
from emotts.batched import BatchedSpeech, noise_source
from emotts.checkpoint import FORMAT_VERSION, manifest_sha256
from emotts.checkpoint.shipped import shipped_folder
from emotts.conversion.converter import Converter
from emotts.conversion.methods import ConversionMethods
from emotts.emotion.labels import DIMENSIONS
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
from emotts.steps import choose_sampler, flow_options, steps_of
from emotts.telling import branches_of
from emotts.text import phonemize, text_to_segments
from emotts.text.languages import known_as
from emotts.text.phonemize import backend_of
from emotts.text.symbols import encode

if TYPE_CHECKING:
    from emotts.emotion.classifier import ClassifierGuidance
    from emotts.emotion.recognizer import Statistics

FIRST_MAX_CHARS = 90  # a long first sentence is cut sooner, so that something is heard sooner


class EmoTTS(ConversionMethods, BatchedSpeech):
    """Text or a recording and an emotion in, expressive speech out."""

    sample_rate = SPEC.sample_rate

    def __init__(
        self,
        acoustic: AcousticModel,
        vocoder: nn.Module,
        metadata: dict[str, Any],
        device: str = "cpu",
        manifest: str = "",
        backend: Choice = PLAIN,
        student: FlowStudent | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.acoustic = acoustic.to(self.device).eval()
        self.read_by = acoustic.text_encoder.read_by
        self.vocoder = vocoder.to(self.device).eval()
        self.student = None if student is None else student.to(self.device).eval()
        self.metadata, self.backend = metadata, backend
        self.card = model_card(metadata, FORMAT_VERSION, manifest, backend.told)  # `manifest`: its hash
        cards = {card["name"]: VoiceCard(**card) for card in metadata.get("voices", [])}
        self.voices = [cards.get(name, VoiceCard(name)) for name in acoustic.voices.names]
        self.log_gain = {name: level * math.log(10.0) / 20.0 for name, level in metadata.get("level_db", {}).items()}
        self.default_voice = metadata.get("default_voice", self.voices[0].name)
        self.flow_steps, self.student_steps = steps_of(metadata, student is not None)
        self.default_steps = (self.student_steps or self.flow_steps).mel
        self.default_temperature = float(metadata.get("default_temperature", 1.0))
        self.default_prosody_temperature = float(metadata.get("default_prosody_temperature", 1.0))
        self.even = evenness(metadata.get("intensity_curves", {}))
        self.resolver = Resolver()
        self._known_voices: dict[str, Statistics] = {}

    @classmethod
    def from_pretrained(cls, path: str | Path | None = None, device: str = "cpu", backend: str | None = None) -> Self:
        """Load a checkpoint folder; by default $EMOTTS_CHECKPOINT, then the bundled model.

        Args:
            backend: how a CPU computes, one of `emotts.acceleration.BACKENDS`; None is $EMOTTS_BACKEND, then "auto".

        Raises:
            FileNotFoundError: no checkpoint there.
            ValueError: the checkpoint is corrupt or holds other modules, or no backend has that name.
        """
        folder = Path(path) if path is not None else bundled_checkpoint()
        nets = load_networks(folder, device, backend)
        phonemize("ready to read that")  # reads lexicon and tagger, so that the first sentence does not wait for them
        return cls(
            nets.acoustic, nets.vocoder, nets.metadata, device, manifest_sha256(folder), nets.backend, nets.student
        )

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
        rows += [("vocoder", _count(self.vocoder))] + ([("student", _count(self.student))] if self.student else [])
        return [*rows, ("all", sum(count for _, count in rows))]

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
        sampler = given.pop("sampler", "auto")
        request = Request(**self.defaults | read_files(given) | found)
        request = choose_sampler(request, sampler, given, self.flow_steps, self.student_steps)
        request.check_combinations()
        return request

    @property
    def languages(self) -> tuple[str, ...]:
        """What the checkpoint speaks; the first where nothing is said, and that is English if it is among them."""
        return tuple(sorted(self.acoustic.text_encoder.languages or ("en-us",), key=lambda name: name != "en-us"))

    @property
    def defaults(self) -> dict[str, Any]:
        """What a request says where nothing is asked; the seed is drawn."""
        steps = self.student_steps or self.flow_steps
        return {
            "speed": 1.0, "pitch": 0.0, "guidance": 1.0, "steps": steps.mel, "prosody_steps": steps.prosody,
            "sampler": "flow" if self.student is None else "student",
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
        start_s = 0.0
        for number, part in enumerate(self.plan(text, request)):
            chunk = self._speak_segment(part, request, number, start_s)
            start_s += len(chunk.waveform) / SPEC.sample_rate
            yield chunk
        if request.timeline is not None:
            request.timeline.warn_of_the_unreached(start_s)

    def plan(self, text: str, request: Request) -> Iterable[Planned]:
        """Return the segments of a text and what is asked of each; errors are those of `speak`."""
        if not isinstance(text, str):
            raise ValueError(f"text must be a string; got {type(text).__name__}.")
        spans = span_specs(text, request.language)
        for spec in spans:
            check_span(spec)
        check_used([request.asked or request.emotion, *spans], request.like_neutral, request.norms)
        plain = [self.resolver.plain(spec, request.like_neutral, request.norms) for spec in spans]
        segments = text_to_segments(
            text, request.language, first_max_chars=FIRST_MAX_CHARS, backend=backend_of(request.language, self.read_by),
            read_span=read_span,
        )  # fmt: skip
        planned: Iterable[Planned] = plan_segments(segments, request, plain)
        if request.word_times is not None:
            planned = with_word_times(list(planned), request.word_times, request.language, self.read_by)
        if request.duration is not None:
            planned = list(planned)
            planned = with_duration(planned, self._readings(planned, request), request.duration)
        return planned

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
            encoded = self.acoustic.encoded(self._branches_at(part, request, number, start_s))
            prosody = self._read(part, request, encoded, noise_source(request, number), kept)
            readings.append(kept.last)
            start_s += int(prosody.durations.sum()) / SPEC.frame_rate
        return readings

    def _branches_at(self, part: Planned, request: Request, number: int, start_s: float) -> list[Branch]:
        """Return the branches of a segment; for a time line in seconds, when its tokens come is known after a first reading."""
        branches = self._branches(part, request, start_s)
        if request.timeline is None or request.timeline.kind != "t":
            return branches
        encoded = self.acoustic.encoded(branches)
        first = self._read(part, request, encoded, noise_source(request, number), part.edit(request)).durations[0]
        frames = first.cpu().numpy()
        return self._branches(part, request, start_s, (np.cumsum(frames) - 0.5 * frames) / SPEC.frame_rate)

    @torch.inference_mode()
    def _speak_segment(self, part: Planned, request: Request, number: int, start_s: float) -> Chunk:
        """Speak one segment; its noise depends on the seed and its number alone."""
        if not part.segment.tokens:
            return with_pause(Chunk(silence(0), part.segment.text, [], [], silence(0), silent_mel(0)), part.n_pause)
        encoded = self.acoustic.encoded(self._branches_at(part, request, number, start_s))
        kept = KeptEdit(part.edit(request))
        generator = noise_source(request, number)
        prosody = self._read(part, request, encoded, generator, kept)
        mel = self.acoustic.sample_mel(
            encoded, prosody, generator=generator, temperature=request.temperature,
            push=self._push(part, request, start_s), **flow_options(request, request.steps, self.student),
        )  # fmt: skip
        return self._voiced(part, request, prosody, mel, kept.last, generator)

    def _voiced(
        self, part: Planned, request: Request, prosody: Prosody, mel: Tensor, read: Reading, generator: torch.Generator
    ) -> Chunk:
        """Return the chunk of a sampled mel [1, T, M]; `read` is its reading before frames were made of it."""
        segment = part.segment
        mel = mel + (self.log_gain.get(request.voice, 0.0) if request.profile is None else 0.0)
        waveform = self.vocoder(mel, prosody.f0, generator=generator)[0].float().cpu().numpy()
        durations, f0 = prosody.durations[0].tolist(), prosody.f0[0].cpu().numpy()
        chunk = Chunk(
            soften(fade(waveform)), segment.text, [*segment.tokens], durations, f0, mel[0].cpu().numpy(),
            [*segment.words], sheet_of(replace(read, durations=np.array(durations)), segment.tokens,
                                       word_texts(segment, request.language, self.read_by)),
        )  # fmt: skip
        return with_pause(chunk, part.n_pause)

    def _read(
        self, part: Planned, request: Request, encoded: Encoded, generator: torch.Generator, edit: EditReading
    ) -> Prosody:
        return self.acoustic.sample_prosody(
            encoded, torch.tensor([part.least_frames], device=self.device), generator=generator,
            temperature=request.prosody_temperature, speed=request.speed, pitch_st=request.pitch, edit=edit,
            **flow_options(request, request.prosody_steps, self.student),
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
        from emotts.emotion.classifier import ClassifierGuidance, labels_of

        towards, others = labels_of(part.track(request, start_s))
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
        phonemes, stresses = encode(tokens, (encoder := self.acoustic.text_encoder).n_stresses)
        speaker, voice = None, 0
        if request.profile is None:
            voice = self.acoustic.voices.index(request.voice)
        else:
            speaker = request.profile.to_speaker(self.converter.reference_voice.adapter)
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


def bundled_checkpoint() -> Path:
    """Return the folder of the model that `from_pretrained()` loads.

    Raises:
        FileNotFoundError: there is none.
    """
    return shipped_folder("bundled", "give a folder by --checkpoint or EMOTTS_CHECKPOINT.", "EMOTTS_CHECKPOINT")


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
