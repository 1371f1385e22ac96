"""Conversion as a whole: recordings and options come in; pieces of speech, results and voices go out.

It holds what listens, loaded when first needed, and asks the acoustic model and the vocoder of the pipeline.
"""

import secrets
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from emotts.acoustic.model import AcousticModel
from emotts.audio import SPEC, LogMel
from emotts.checkpoint import FORMAT_VERSION, manifest_sha256
from emotts.conversion.engine import Engine, Frames
from emotts.conversion.feeling import wanted_emotion
from emotts.conversion.reading import Counted, check_samples, chunks_of, resampled, take
from emotts.conversion.request import ConversionRequest, ConvertOptions
from emotts.conversion.result import Conversion, Report
from emotts.conversion.speaker import NoSpeechError, SourceVoice, know_source
from emotts.conversion.voices import Voices
from emotts.conversion.windows import FILE, STREAM, converted
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.place import Evenness
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.listeners import bundled_converter
from emotts.provenance import ModelCard, Provenance, is_of_person, settings_of, source_of
from emotts.resolve import Resolver
from emotts.speaker.known import Speaker
from emotts.speech import Chunk
from emotts.vocoder.editing import Vocoder

if TYPE_CHECKING:
    pass

Wave = NDArray[np.float32]
Source = str | Path | np.ndarray

KNOWN_S = 40.0  # of the beginning of a recording tell its voice and its feeling
STREAM_LEARNS_S = 2.0  # likewise, of a stream
DEFAULTS: dict[str, Any] = {
    "strength": 1.0, "retime": False, "keep_intonation": 1.0, "speed": 1.0, "pitch": 0.0,
}  # fmt: skip


class Converter(Voices):
    """Recordings in, the same words in another feeling or voice out."""

    def __init__(
        self,
        acoustic: AcousticModel,
        vocoder: Vocoder,
        resolver: Resolver,
        even: Evenness,
        log_gain: Callable[[str], float],
        card: ModelCard,
    ) -> None:
        """Prepare; nothing is loaded yet.

        Args:
            card: of the checkpoint, for the provenance of results.
            log_gain: natural log of the gain of a named voice's mels.
        """
        super().__init__(acoustic, resolver, even)
        self.vocoder, self.log_gain, self.card = vocoder, log_gain, card
        self.log_mel = LogMel()

    def request(self, **options: Any) -> ConversionRequest:
        """Check options, see ConvertOptions, read their files and fill in the defaults.

        Raises:
            ValueError: a label or a voice that is not known, or a number out of range.
            FileNotFoundError: a file that does not exist.
        """
        given = {name: value for name, value in options.items() if value is not None}
        unknown = sorted(set(given) - set(ConvertOptions.__annotations__))
        if unknown:
            raise TypeError(f"{unknown[0]!r} is no option; see emotts.conversion.request.ConvertOptions")
        dimensions = {name: float(given.pop(name)) for name in DIMENSIONS if name in given}
        neutral, norms = given.pop("like_neutral", ()), given.pop("norms", None)
        neutral = (neutral,) if isinstance(neutral, str | Path) else tuple(neutral)
        emotion, asked = given.pop("emotion", None), None
        moved: tuple[tuple[str, float], ...] = ()
        if emotion is not None:
            asked = parse_emotion(emotion, **dimensions)
            if asked.auto is not None:
                raise ValueError("auto lets a text decide, and a recording has none; name the emotion.")
            emotion = self.resolver.plain(asked, neutral, norms)
        elif dimensions:
            parse_emotion(None, **dimensions)  # refuses what is out of range
            moved = tuple(dimensions.items())
        felt = given.pop("source_emotion", None)
        felt = None if felt is None else self._source_emotion(felt, norms)
        own = given.pop("source_neutral", ())
        given["source_neutral"] = (own,) if isinstance(own, str | Path) else tuple(own)
        voice, profile = self.voice(given.pop("voice", None))
        settings = {**DEFAULTS, "seed": secrets.randbelow(2**31), **given}
        return ConversionRequest(emotion, moved, voice, profile, felt, asked, **settings)

    def _source_emotion(self, emotion: str | EmotionSpec, norms: str | Path | None) -> EmotionSpec:
        try:
            return self.resolver.plain(parse_emotion(emotion), (), norms)
        except ValueError as error:
            raise ValueError(f"source_emotion: {error}") from None

    def know(self, beginning: Wave, request: ConversionRequest) -> SourceVoice:
        """Learn what must be known of a recording [L] at 24 kHz beforehand.

        Raises:
            ValueError: nobody speaks in it.
        """
        if not beginning.any():
            raise NoSpeechError("the recording is silent; give one in which somebody speaks.")
        emotion = request.source_emotion or self.emotion_of(beginning, request.source_neutral)
        has_other_voice = not request.keeps_voice
        return know_source(
            beginning, emotion, self.listener, self.reference_voice, self.speaking, needs_residual=has_other_voice
        )

    def _find(self, chunks: Iterator[Wave], request: ConversionRequest) -> SourceVoice:
        """Know a recording from the first KNOWN_S seconds in which somebody speaks."""
        problem = NoSpeechError("the recording is empty; give one in which somebody speaks.")
        while len(part := take(chunks, KNOWN_S)):
            try:
                return self.know(part[: int(KNOWN_S * SPEC.sample_rate)], request)
            except NoSpeechError as error:
                problem = error
        raise problem

    def engine(self, source: SourceVoice, request: ConversionRequest) -> tuple[Engine, EmotionSpec]:
        """Return what converts this recording, and the emotion that it shall have."""
        emotion = wanted_emotion(source.emotion, request.emotion, dict(request.moved))
        target: Speaker | int | None = None
        if request.profile is not None:
            target = request.profile.to_speaker(self.reference_voice.adapter)
        elif not request.keeps_voice:
            target = self.acoustic.voices.index(request.voice)
        gain = 0.0 if target is None or request.profile is not None else self.log_gain(request.voice)
        return Engine(self.vocoder, self.speaking, source, request, emotion, target, gain), emotion

    def pieces(
        self, source: Source, request: ConversionRequest, sample_rate: int | None = None, report: Report | None = None
    ) -> Iterator[Chunk]:
        """Yield the result in pieces, in bounded memory; timing kept, they hold as many samples as the recording.

        Args:
            source: a path, or samples with their rate. request: checked.
            report: is filled as it goes.

        Raises:
            ValueError: no audio, or nobody speaks in it.
            FileNotFoundError: no such file.
        """
        report = Report() if report is None else report
        report.source = self._find(chunks_of(source, sample_rate), request)
        engine, report.emotion = self.engine(report.source, request)
        counted = Counted(chunks_of(source, sample_rate))
        generator = torch.Generator().manual_seed(request.seed)
        made = 0
        for samples, frames in converted(counted, FILE, engine, self.listener, generator):
            if frames is not None:
                report.add(frames)
            elif not request.retime:
                samples = samples[: max(0, counted.length - made)]  # the last frame was filled up
            made += len(samples)
            yield _chunk(samples, frames)
        for warning in report.warnings:
            warnings.warn(warning, stacklevel=2)

    def convert(
        self,
        source: Source,
        request: ConversionRequest,
        sample_rate: int | None = None,
        told: Callable[[float], None] | None = None,
    ) -> Conversion:
        """Convert a whole recording; arguments and errors are those of `pieces`; `told` gets the seconds made after each piece."""
        started, report = time.perf_counter(), Report()
        chunks, made_s = [], 0.0
        for chunk in self.pieces(source, request, sample_rate, report):
            chunks.append(chunk)
            made_s += len(chunk.waveform) / SPEC.sample_rate
            if told is not None:
                told(made_s)
        seconds = time.perf_counter() - started
        assert report.source is not None
        waveform = np.concatenate([chunk.waveform for chunk in chunks])
        with torch.inference_mode():
            mel = self.log_mel(torch.from_numpy(waveform)[None])[0].numpy()
        f0 = np.concatenate([chunk.f0 for chunk in chunks])
        return Conversion(
            waveform, SPEC.sample_rate, "", request.voice, report.emotion, request.seed,
            seconds * SPEC.sample_rate / max(1, len(waveform)), [t for chunk in chunks for t in chunk.tokens],
            [d for chunk in chunks for d in chunk.durations], f0, mel[: len(f0)], source_emotion=report.source.emotion,
            provenance=self.provenance(request, source, self.consent_of(request, source)), spans=report.spans,
            warnings=report.warnings,
            strength=request.strength,
        )  # fmt: skip

    @staticmethod
    def consent_of(request: ConversionRequest, source: Source) -> str | None:
        """Return what is known of consent: "not stated" unless models spoke source and voice, or it was stated for the voice."""
        is_person = not isinstance(source, str | Path) or is_of_person(source)
        voice = None if request.profile is None else request.profile.consent
        return "not stated" if is_person else voice

    def provenance(self, request: ConversionRequest, source: Source, consent: str | None = None) -> Provenance:
        """Return what a file says of how it was converted.

        Args:
            request: checked. source: the path or the samples that were converted.
            consent: "stated" or "not stated" where a person's voice is in it; see `consent_of`.
        """
        plain = replace(request, moved=(), profile=None)  # the profile is told by its name, which is that of the voice
        models = (self.card, ModelCard("converter", FORMAT_VERSION, manifest_sha256(bundled_converter())))
        settings = settings_of(plain, {**DEFAULTS, "moved": (), "source_neutral": ()}) | dict(request.moved)
        return Provenance("conversion", models, request.seed, settings, source_of(source), consent)

    def stream(
        self,
        chunks: Iterable[np.ndarray],
        sample_rate: int,
        request: ConversionRequest,
        source: SourceVoice | None = None,
        report: Report | None = None,
    ) -> Iterator[Wave]:
        """Convert speech while it is spoken, with STREAM.latency_s of algorithmic latency; samples at 24 kHz come out.

        Args:
            chunks: samples [L] of any lengths, as they come.
            source: what is known of the speaker, see `know`; None learns it from the first STREAM_LEARNS_S seconds in which
                somebody speaks, which then come out at once. Until somebody does, samples pass as they are.
            report: is filled as it goes: spans, and what may be wrong.

        Raises:
            ValueError: retiming, which a stream cannot do, or samples that are not finite.
        """
        if request.retime:
            raise ValueError("a stream keeps its timing; leave retime out, or convert a file.")
        audio = iter(
            resampled((check_samples(chunk, sample_rate)[0] for chunk in chunks if np.size(chunk)), sample_rate)
        )
        while source is None:
            beginning = take(audio, STREAM_LEARNS_S)
            if not len(beginning):
                return
            try:
                source = self.know(beginning, request)
                audio = chain([beginning], audio)
            except NoSpeechError:
                yield beginning  # nobody has spoken yet
        report = Report() if report is None else report
        report.source = source
        engine, report.emotion = self.engine(source, request)
        counted, made = Counted(audio), 0
        generator = torch.Generator().manual_seed(request.seed)
        for samples, frames in converted(counted, STREAM, engine, self.listener, generator):
            if frames is not None:
                report.add(frames)
            rest = samples if frames is not None else samples[: max(0, counted.length - made)]
            made += len(rest)
            if len(rest):
                yield rest


def _chunk(samples: Wave, frames: Frames | None) -> Chunk:
    if frames is None:
        empty = np.zeros(0, np.float32)
        return Chunk(samples, "", [], [], empty, np.zeros((0, SPEC.n_mels), np.float32))
    mel = np.zeros((0, SPEC.n_mels), np.float32)
    return Chunk(samples, "", frames.tokens, frames.durations, frames.f0, mel)
