"""Who speaks in a recording, how, and how loud: what a conversion knows of the whole before it hears the parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotts.acoustic.condition import Condition
from emotts.acoustic.model import AcousticModel
from emotts.audio import SPEC, speech_level_db
from emotts.content.listener import LEVEL_DB, Listener
from emotts.conversion.feeling import Feeling, feeling_of
from emotts.conversion.hearing import NEPERS_PER_DB, Hearing, hear
from emotts.emotion.place import Evenness
from emotts.emotion.space import EmotionInput
from emotts.emotion.spec import EmotionSpec
from emotts.layers import expand_tokens, frame_to_token
from emotts.prosody import Prosody, contour_from_anchors
from emotts.speaker.known import Speaker
from emotts.speaker.profile import VoiceProfile
from emotts.speaker.reference import ReferenceVoice
from emotts.text import phonemize
from emotts.text.symbols import encode, is_voiced

SENTENCES = (  # in which the model is asked how high and how wide an emotion speaks
    "The train to the coast leaves from platform four.",
    "There are three letters on the desk in the study.",
    "We keep the spare blankets in the tall cupboard.",
)
FLOW_STEPS = 2  # without noise; the flow knows what emotion does to the peaks, which the prior smooths over
NARROWEST, WIDEST = 0.4, 2.2  # of the range ratio
LEAST_SPEECH_S = 0.25
SHORTEST = 4 * SPEC.hop_length  # samples; the front end needs some
LEAST_CLARITY = 0.3  # mean probability of the phonemes; music and noise lie below it
RIDGE = 400.0  # frames' worth of doubt about what the residual owes to content
CONSTANT_RIDGE = 20.0  # frames' worth of doubt about its mean


class NoSpeechError(ValueError):
    """Nobody speaks in a recording, or in a part of it."""


@dataclass(frozen=True)
class SourceVoice:
    """What is known of a recording as a whole.

    Attributes:
        speaker: the voice as the model is told it; its mean_log_f0 is that of neutral speech.
        emotion: how the recording feels.
        level_db: of the speech, dB of full scale.
        clarity: how sure the listener is of the phonemes, mean probability.
        speech_s: seconds of speech it comes from. heard: what was heard in it.
    """

    speaker: Speaker
    emotion: EmotionSpec
    level_db: float
    clarity: float
    speech_s: float
    heard: Hearing = field(repr=False)

    @property
    def register(self) -> float:
        """Mean log2 F0 of neutral speech."""
        return float(self.speaker.mean_log_f0[0])


class Speaking:
    """The acoustic model, asked how a voice would say things in an emotion."""

    def __init__(self, model: AcousticModel, even: Evenness) -> None:
        self.model, self.even = model, even
        self._spreads: dict[Feeling, float] = {}

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.model.mel_mean.device

    def condition(self, content: Tensor, speaker: Speaker | int) -> Condition:
        """Return a request for content [1, N, C] by a speaker, or by a named voice's index."""
        n = content.shape[1]
        ids = torch.zeros(1, n, dtype=torch.int64)
        nothing = EmotionInput(*(torch.zeros(1, n, *shape) for shape in ((1,), (), (3,), (3,))))
        voice = torch.tensor([speaker if isinstance(speaker, int) else 0])
        known = None if isinstance(speaker, int) else speaker
        return Condition(ids, ids, torch.tensor([n]), voice, nothing, known, content)

    def expected(self, condition: Condition, feeling: Feeling) -> Tensor:
        """Return the mean reading [1, N, 4], see `AcousticModel.expected`."""
        n = condition.phonemes.shape[1]
        return feeling.predict(
            lambda emotion: self.model.expected(condition.feeling(emotion).to(self.device)).cpu(), n, self.even
        )

    def mel(self, condition: Condition, feeling: Feeling, durations: Tensor, f0: Tensor, energy: Tensor) -> Tensor:
        """Return the likeliest mel [1, T, M] of a reading, by the flow without noise.

        Args:
            durations: frames [1, N]. f0: Hz [1, T]. energy: natural log per token [1, N].
        """
        model, place = self.model, self.device
        normal = (energy.to(place) - model.prosody.mean[3]) / model.prosody.std[3]
        prosody = Prosody(durations.to(place), f0.to(place), normal)
        n = condition.phonemes.shape[1]
        return feeling.predict(
            lambda emotion: model.sample_mel(
                condition.feeling(emotion).to(place),
                prosody,
                generator=torch.Generator(),
                steps=FLOW_STEPS,
                temperature=0.0,
            ).cpu(),
            n,
            self.even,
        )

    def contour(self, condition: Condition, feeling: Feeling, durations: Tensor) -> NDArray[np.float64]:
        """Return the mean contour [T] in octaves above the voice's mean, for durations [1, N] in frames."""
        raw = self.expected(condition, feeling)[0]
        return contour_from_anchors(raw[:, 1:3], durations[0], int(durations.sum())).double().numpy()

    def spread(self, feeling: Feeling) -> float:
        """Return the standard deviation of F0 in octaves over the voiced sounds of some sentences in this emotion."""
        if feeling not in self._spreads:
            values, weights = [], []
            for content, tokens in self._sentences:
                raw = self.expected(self.condition(content, self.model.voices.unknown), feeling)[0]
                frames = torch.exp(raw[:, 0]) * torch.tensor([1.0 if is_voiced(token) else 0.0 for token in tokens])
                values += [raw[:, 1:3].flatten()]
                weights += [frames.repeat_interleave(2)]
            value, weight = torch.cat(values), torch.cat(weights)
            mean = (value * weight).sum() / weight.sum()
            spread = ((value - mean).square() * weight).sum() / weight.sum()
            self._spreads[feeling] = float(spread.sqrt())
        return self._spreads[feeling]

    def range_ratio(self, source: Feeling, target: Feeling) -> float:
        """Return how much wider contours are in the target emotion."""
        ratio = self.spread(target) / max(self.spread(source), 1e-6)
        return float(np.clip(ratio, NARROWEST, WIDEST))

    @cached_property
    @torch.inference_mode()
    def _sentences(self) -> list[tuple[Tensor, list[str]]]:
        """Content and tokens of SENTENCES."""
        found = []
        for text in SENTENCES:
            tokens = phonemize(text)
            phonemes, stresses = (torch.tensor([ids]) for ids in encode(tokens))
            mask = torch.ones(phonemes.shape, dtype=torch.bool)
            content = self.model.text_encoder(*(x.to(self.device) for x in (phonemes, stresses, mask)))
            found.append((content.cpu(), tokens))
        return found


def know_source(
    waveform: NDArray[np.float32],
    emotion: EmotionSpec,
    listener: Listener,
    voice: ReferenceVoice,
    speaking: Speaking,
    needs_residual: bool = False,
) -> SourceVoice:
    """Learn what a conversion must know of a recording [L] at 24 kHz before it hears the parts.

    Args:
        waveform: of the recording or its beginning. emotion: how it feels.
        listener, voice, speaking: what hears and what speaks.
        needs_residual: learn also what the model's idea of the voice lacks, as a profile does.

    Raises:
        ValueError: no speech in it.
    """
    if len(waveform) < SHORTEST:
        raise NoSpeechError(
            f"the recording lasts {len(waveform) / SPEC.sample_rate:.3f} s; give one in which somebody speaks."
        )
    level_db = speech_level_db(waveform)
    heard = hear(listener, waveform[: len(waveform) // SPEC.hop_length * SPEC.hop_length], level_db)
    speech_s = float(heard.is_spoken.sum()) / SPEC.frame_rate
    if speech_s < LEAST_SPEECH_S:
        raise NoSpeechError(
            f"the recording holds no speech that can be heard ({speech_s:.2f} s of {len(waveform) / SPEC.sample_rate:.1f} s); "
            "give one in which somebody speaks."
        )
    if heard.clarity < LEAST_CLARITY:
        raise NoSpeechError(
            f"what sounds in the recording is hardly speech (phonemes heard with a mean probability of {heard.clarity:.2f}; at "
            f"least {LEAST_CLARITY:g} is needed); give one in which somebody speaks."
        )
    level_db = speech_level_db(waveform[_samples(heard.is_spoken, len(waveform))])
    voiced = (heard.f0 > 0) & heard.is_spoken
    if not voiced.any():
        raise NoSpeechError("the speech in the recording is not voiced anywhere (a whisper?); it has no pitch to move.")
    log_f0 = np.log2(heard.f0[voiced])
    speaker = known_by(heard, level_db, float(log_f0.mean()), voice)
    contour = speaking.contour(speaking.condition(heard.content, speaker), feeling_of(emotion), heard.durations)
    speaker = replace(speaker, mean_log_f0=torch.tensor([float((log_f0 - contour[voiced]).mean())]))
    if needs_residual:
        row, target = _lacking(heard, emotion, level_db, speaker, speaking)
        speaker = replace(speaker, residual=_ridge(row, target)[None])
    return SourceVoice(speaker, emotion, level_db, heard.clarity, speech_s, heard)


def known_by(heard: Hearing, level_db: float, mean_log_f0: float, voice: ReferenceVoice) -> Speaker:
    """Return the speaker of what was heard, B = 1."""
    mel = heard.mel + (LEVEL_DB - level_db) * NEPERS_PER_DB
    with torch.inference_mode():
        embedding, timbre = voice.encoder(mel, torch.from_numpy(heard.is_spoken)[None])
    return Speaker(embedding, torch.tensor([mean_log_f0]), timbre, voice.adapter)


def fit_profile(
    name: str,
    recordings: Sequence[tuple[NDArray[np.float32], EmotionSpec]],
    listener: Listener,
    voice: ReferenceVoice,
    speaking: Speaking,
) -> VoiceProfile:
    """Make a profile of a voice: vectors by the encoder, and by ridge regression on content what the model's mel still lacks.

    Args:
        recordings: waveforms [L] at 24 kHz with how they feel.

    Raises:
        ValueError: no recording with speech.
    """
    known, spoken, problem = [], [], NoSpeechError("a voice needs at least one recording; got none.")
    for waveform, emotion in recordings:
        try:
            known.append(know_source(waveform, emotion, listener, voice, speaking))
            spoken.append((waveform, emotion))
        except NoSpeechError as error:
            problem = error
    if not known:
        raise problem
    seconds = torch.tensor([source.speech_s for source in known])
    share = seconds / seconds.sum()

    def mean(values: list[Tensor]) -> Tensor:
        return (torch.cat(values) * share.reshape(-1, *([1] * (values[0].ndim - 1)))).sum(dim=0, keepdim=True)

    timbre = mean([source.speaker.timbre for source in known if source.speaker.timbre is not None])
    register = mean([source.speaker.mean_log_f0 for source in known])
    speaker = Speaker(mean([source.speaker.embedding for source in known]), register, timbre, voice.adapter)
    rows, targets = [], []
    for (_, emotion), source in zip(spoken, known, strict=True):
        row, target = _lacking(source.heard, emotion, source.level_db, speaker, speaking)
        rows.append(row)
        targets.append(target)
    residual = _ridge(torch.cat(rows), torch.cat(targets))
    facts = {"seconds": round(sum(source.speech_s for source in known), 2), "recordings": len(known)}
    return VoiceProfile(name, speaker.embedding[0], timbre[0], residual, float(register[0]), facts)


def _lacking(
    heard: Hearing, emotion: EmotionSpec, level_db: float, speaker: Speaker, speaking: Speaking
) -> tuple[Tensor, Tensor]:
    """Return content [T, C] and what the model's mel lacks there [T, M], in its normalised units, over the frames of speech."""
    feeling = feeling_of(emotion)
    condition = speaking.condition(heard.content, speaker)
    f0 = torch.from_numpy(heard.f0)[None]
    mel = speaking.mel(condition, feeling, heard.durations, f0, heard.energy)
    lacking = (heard.mel + (LEVEL_DB - level_db) * NEPERS_PER_DB - mel) / speaking.model.mel_std.cpu()
    index = frame_to_token(heard.durations, lacking.shape[1])
    rows = expand_tokens(heard.content, index)
    spoken = torch.from_numpy(heard.is_spoken)
    return rows[0, spoken], lacking[0, spoken]


def _ridge(content: Tensor, target: Tensor) -> Tensor:
    """Return [C + 1, M]: weights of centred content folded with the mean, each shrunk by its doubt."""
    mean = content.mean(dim=0)
    centred = (content - mean).double()
    scale = centred.square().mean().clamp_min(1e-8)
    offset = target.double().sum(dim=0) / (len(target) + CONSTANT_RIDGE)
    gram = centred.T @ centred + RIDGE * scale * torch.eye(centred.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, centred.T @ (target.double() - offset))
    constant = offset - mean.double() @ weights
    return torch.cat([weights, constant[None]]).float()


def _samples(frames: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    mask = np.zeros(length, bool)
    repeated = np.repeat(frames, SPEC.hop_length)[:length]
    mask[: len(repeated)] = repeated
    return mask
