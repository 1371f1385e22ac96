"""Conversion as a whole: recordings and options come in; pieces of speech, results and voices go out.

It holds what listens, loaded when first needed, and asks the acoustic model and the vocoder of the pipeline.
"""

import secrets
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from emotts.acoustic.model import AcousticModel
from emotts.audio import SPEC, LogMel, load_audio
from emotts.checkpoint import FORMAT_VERSION, manifest_sha256
from emotts.conversion.engine import Engine, Frames
from emotts.conversion.feeling import wanted_emotion
from emotts.conversion.reading import Counted, beginning_of, check_samples, chunks_of, resampled
from emotts.conversion.request import SOURCE, ConversionRequest, ConvertOptions
from emotts.conversion.result import Conversion, Report
from emotts.conversion.speaker import SourceVoice, Speaking, fit_profile, know_source
from emotts.conversion.windows import FILE, STREAM, converted
from emotts.emotion.coordinates import coordinates_of, spec_at
from emotts.emotion.labels import DIMENSIONS
from emotts.emotion.place import Evenness
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.listeners import bundled_converter, check_belongs, load_listener, load_reference_voice
from emotts.provenance import ModelCard, Provenance, settings_of, source_of
from emotts.request import unknown_voice
from emotts.resolve import Resolver
from emotts.speaker.known import Speaker
from emotts.speaker.profile import SUFFIX, VoiceProfile, kept_voices, load_profile, voices_folder
from emotts.speech import Chunk
from emotts.vocoder.editing import Vocoder

if TYPE_CHECKING:
    from emotts.content.listener import Listener
    from emotts.speaker.reference import ReferenceVoice

Wave = NDArray[np.float32]
Source = str | Path | np.ndarray

# Of neutral recordings of voices never heard 74 % (simulated) and 98 % (people) are taken for neutral by this, of emotional ones
# 28 % (benchmarks/convert.py, rows "a neutral source" and "source emotional").
NEUTRAL_WITHIN, NEUTRAL_WITHIN_KNOWN = 0.4, 0.25  # weighted length of (arousal, valence, dominance)
NEUTRAL_WEIGHTS = np.array([1.0, 0.6, 0.6])  # arousal is heard best
TRUST = 0.75  # of what is heard in a voice that is not known: the least square error
LONGEST_NAME = 1_000  # characters of a voice's name or path
KNOWN_S = 40.0  # of the beginning of a recording tell its voice and its feeling
STREAM_LEARNS_S = 2.0  # likewise, of a stream
REFERENCE_S = (1.0, 30.0)  # of a wanted voice: what is needed, and what is listened to
DEFAULTS: dict[str, Any] = {
    "strength": 1.0, "retime": False, "keep_intonation": 1.0, "speed": 1.0, "pitch": 0.0,
}  # fmt: skip


class Converter:
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
        self.acoustic, self.vocoder, self.resolver, self.log_gain = acoustic, vocoder, resolver, log_gain
        self.card = card
        self.speaking = Speaking(acoustic, even)
        self.log_mel = LogMel()

    @cached_property
    def listener(self) -> "Listener":
        """The speech encoder."""
        model = self.acoustic
        check_belongs(model, model.text_encoder.channels, model.voices.embedding.embedding_dim)
        return load_listener()

    @cached_property
    def reference_voice(self) -> "ReferenceVoice":
        """What hears who speaks."""
        return load_reference_voice()

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

    def voice(self, voice: str | Path | VoiceProfile | None) -> tuple[str, VoiceProfile | None]:
        """Return the name of a voice, and its profile where it is no named one.

        Args:
            voice: a name, a kept name, a recording, or a profile; None keeps the speaker.

        Raises:
            ValueError, FileNotFoundError: there is no such voice, or the recording will not do.
        """
        if voice is None:
            return SOURCE, None
        if isinstance(voice, VoiceProfile):
            return voice.name, voice
        name = str(voice)
        if name in self.acoustic.voices.names:
            return name, None
        if name in kept_voices():
            return name, load_profile(voices_folder() / f"{name}{SUFFIX}")
        path = Path(name)
        if len(name) > LONGEST_NAME:
            raise ValueError(unknown_voice(name, [*self.acoustic.voices.names, *kept_voices()]))
        if path.suffix == SUFFIX:
            profile = load_profile(path)
            return profile.name, profile
        if path.is_file():
            return path.stem, self.voice_of([path])
        if path.suffix or "/" in name:
            raise FileNotFoundError(f"voice {name[:200]!r} is neither a voice nor a recording that exists.")
        raise ValueError(unknown_voice(name, [*self.acoustic.voices.names, *kept_voices()]))

    def voice_of(self, recordings: Sequence[str | Path], name: str | None = None) -> VoiceProfile:
        """Learn a voice from neutral recordings of 1 to 30 s in all; more is not listened to.

        Raises:
            ValueError: less than a second of speech, or no recording.
            FileNotFoundError: a recording that does not exist.
        """
        if not recordings:
            raise ValueError("a voice needs at least one recording; got none.")
        left, heard = REFERENCE_S[1], []
        for path in recordings:
            if left > 0.0:
                waveform = beginning_of(chunks_of(path), left)[0]
                left -= len(waveform) / SPEC.sample_rate
                heard.append((waveform, EmotionSpec()))
        profile = fit_profile(
            name or Path(recordings[0]).stem, heard, self.listener, self.reference_voice, self.speaking
        )
        if profile.facts["seconds"] < REFERENCE_S[0]:
            raise ValueError(
                f"a voice needs at least {REFERENCE_S[0]:g} s of speech; the recording holds {profile.facts['seconds']:g} s."
            )
        return profile

    def emotion_of(self, waveform: Wave, neutral: Sequence[str | Path] = ()) -> EmotionSpec:
        """Return how a recording [L] at 24 kHz feels, as far as the recogniser can tell.

        Of a voice that it does not know it hears arousal, valence and dominance with an error of 0.3 to 0.4, and labels badly. So
        what lies near neutral is taken for neutral, and the rest is told without labels, a quarter nearer to neutral.

        Args:
            neutral: neutral recordings of the same speaker, with which it hears better.

        Raises:
            ValueError: it is too short or silent.
            FileNotFoundError: a neutral recording does not exist.
        """
        judge = self.resolver.recognizer
        if neutral:
            judge = judge.with_reference([(load_audio(path), SPEC.sample_rate) for path in neutral])
        heard = judge.hear(waveform, SPEC.sample_rate)
        distance = float(np.linalg.norm(np.array(heard.avd) * NEUTRAL_WEIGHTS))
        if distance < (NEUTRAL_WITHIN_KNOWN if neutral else NEUTRAL_WITHIN):
            return EmotionSpec()
        if neutral:
            return spec_at(coordinates_of(heard))
        arousal, valence, dominance = (round(TRUST * value, 4) for value in heard.avd)
        return EmotionSpec(None, 1.0, arousal, valence, dominance)

    def know(self, beginning: Wave, request: ConversionRequest) -> SourceVoice:
        """Learn what must be known of a recording [L] at 24 kHz beforehand.

        Raises:
            ValueError: nobody speaks in it.
        """
        if not beginning.any():
            raise ValueError("the recording is silent; give one in which somebody speaks.")
        emotion = request.source_emotion or self.emotion_of(beginning, request.source_neutral)
        has_other_voice = not request.keeps_voice
        return know_source(
            beginning, emotion, self.listener, self.reference_voice, self.speaking, needs_residual=has_other_voice
        )

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
        beginning, chunks = beginning_of(chunks_of(source, sample_rate), KNOWN_S)
        report = Report() if report is None else report
        report.source = self.know(beginning, request)
        engine, report.emotion = self.engine(report.source, request)
        counted = Counted(chunks)
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

    def convert(self, source: Source, request: ConversionRequest, sample_rate: int | None = None) -> Conversion:
        """Convert a whole recording; arguments and errors are those of `pieces`."""
        started, report = time.perf_counter(), Report()
        chunks = list(self.pieces(source, request, sample_rate, report))
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
            provenance=self.provenance(request, source), spans=report.spans, warnings=report.warnings,
            strength=request.strength,
        )  # fmt: skip

    def provenance(self, request: ConversionRequest, source: Source, consent: str | None = None) -> Provenance:
        """Return what a file says of how it was converted.

        Args:
            request: checked. source: the path or the samples that were converted.
            consent: "stated" or "not stated" where a person's voice is in it; None takes what the wanted voice says of it.
        """
        if consent is None and request.profile is not None:
            consent = request.profile.consent
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
    ) -> Iterator[Wave]:
        """Convert speech while it is spoken, with STREAM.latency_s of algorithmic latency; samples at 24 kHz come out.

        Args:
            chunks: samples [L] of any lengths, as they come.
            source: what is known of the speaker, see `know`; None learns it from the first STREAM_LEARNS_S seconds,
                which then come out at once.

        Raises:
            ValueError: retiming, which a stream cannot do; samples that are not finite; nobody speaks.
        """
        if request.retime:
            raise ValueError("a stream keeps its timing; leave retime out, or convert a file.")
        audio: Iterable[Wave] = resampled((check_samples(chunk, sample_rate)[0] for chunk in chunks), sample_rate)
        if source is None:
            beginning, audio = beginning_of(iter(audio), STREAM_LEARNS_S)
            source = self.know(beginning, request)
        engine, _ = self.engine(source, request)
        counted, made = Counted(audio), 0
        generator = torch.Generator().manual_seed(request.seed)
        for samples, frames in converted(counted, STREAM, engine, self.listener, generator):
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
