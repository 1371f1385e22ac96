"""The networks of a loaded model as graphs of plain tensors: what `emotts export` writes, in the order in which they speak.

A `Graph` names inputs, outputs and axes. B batch, N phoneme tokens, T mel frames, L samples; the rest is fixed by the weights.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from emotts.acoustic.flow import skip_scale
from emotts.acoustic.model import AcousticModel
from emotts.emotion.labels import LABELS
from emotts.emotion.space import EmotionInput
from emotts.layers import frame_to_token
from emotts.prosody import FEATURES, Prosody
from emotts.vocoder.excitation import SourceState, hash_32
from emotts.vocoder.generator import HarmonicNoiseGenerator

Axes = tuple[str | int, ...]


@dataclass(frozen=True)
class Port:
    """An input or output: its name, what it is, its axes (names are free, numbers fixed) and its number format."""

    name: str
    meaning: str
    axes: Axes
    dtype: str = "float32"


@dataclass(frozen=True)
class Graph:
    """A network with what goes in and comes out."""

    name: str
    meaning: str
    network: nn.Module
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


class TextGraph(nn.Module):
    """Phonemes to content."""

    def __init__(self, acoustic: AcousticModel) -> None:
        super().__init__()
        self.encoder = acoustic.text_encoder

    def forward(self, phonemes: Tensor, stresses: Tensor, token_mask: Tensor, language: Tensor | None = None) -> Tensor:
        return self.encoder(phonemes, stresses, token_mask, None, language)


class VoiceGraph(nn.Module):
    """A voice's number to its embedding and register."""

    def __init__(self, acoustic: AcousticModel) -> None:
        super().__init__()
        self.voices = acoustic.voices

    def forward(self, voice: Tensor) -> tuple[Tensor, Tensor]:
        return self.voices(voice), self.voices.mean_log_f0[voice]


class EmotionGraph(nn.Module):
    """Label weights and arousal, valence, dominance to the emotion's embedding."""

    def __init__(self, acoustic: AcousticModel) -> None:
        super().__init__()
        self.space = acoustic.emotion_space

    def forward(self, labels: Tensor, label_known: Tensor, avd: Tensor, avd_known: Tensor) -> Tensor:
        return self.space(EmotionInput(labels, label_known, avd, avd_known))


class PriorGraph(nn.Module):
    """The mean reading and the rows that its flow needs."""

    def __init__(self, acoustic: AcousticModel) -> None:
        super().__init__()
        self.prosody = acoustic.prosody

    def forward(self, content: Tensor, speaker: Tensor, emotion: Tensor, token_mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.prosody.prior(content, self.prosody.condition(speaker, emotion), token_mask)


class ProsodyStepGraph(nn.Module):
    """The velocity of the prosody flow."""

    def __init__(self, acoustic: AcousticModel) -> None:
        super().__init__()
        self.prosody = acoustic.prosody

    def forward(
        self, x_t: Tensor, t: Tensor, hidden: Tensor, speaker: Tensor, emotion: Tensor, token_mask: Tensor
    ) -> Tensor:
        condition = self.prosody.condition(speaker, emotion)
        return skip_scale(t)[:, None, None] * x_t + self.prosody.velocity(x_t, t, hidden, condition, token_mask)


class FramesGraph(nn.Module):
    """Voicing and the fine part of F0 per frame."""

    def __init__(self, acoustic: AcousticModel) -> None:
        super().__init__()
        self.prosody = acoustic.prosody

    def forward(
        self, hidden: Tensor, speaker: Tensor, durations: Tensor, contour: Tensor, frame_mask: Tensor
    ) -> Tensor:
        index = frame_to_token(durations, contour.shape[1])
        return self.prosody.frames(hidden, speaker, durations, index, contour, frame_mask)


class TrunkGraph(nn.Module):
    """Content and a reading to frame rows and the prior mel."""

    def __init__(self, acoustic: AcousticModel) -> None:
        super().__init__()
        self.trunk, self.prosody = acoustic.trunk, acoustic.prosody

    def forward(
        self, content: Tensor, speaker: Tensor, emotion: Tensor, durations: Tensor, f0: Tensor, energy: Tensor,
        mean_log_f0: Tensor, token_mask: Tensor, frame_mask: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        relative = AcousticModel.relative_log_f0(f0, mean_log_f0)
        condition, reading = self.prosody.condition(speaker, emotion), Prosody(durations, f0, energy)
        return self.trunk(content, condition, emotion, reading, relative, token_mask, frame_mask)


class MelStepGraph(nn.Module):
    """The velocity of the mel flow."""

    def __init__(self, acoustic: AcousticModel) -> None:
        super().__init__()
        self.estimator = acoustic.estimator

    def forward(
        self, x_t: Tensor, t: Tensor, prior: Tensor, rows: Tensor, condition: Tensor, frame_mask: Tensor
    ) -> Tensor:
        return skip_scale(t)[:, None, None] * x_t + self.estimator(x_t, t, prior, rows, condition, frame_mask)


class VocoderGraph(nn.Module):
    """Mel and F0 to a waveform; the seed draws noise and phase."""

    def __init__(self, vocoder: HarmonicNoiseGenerator) -> None:
        super().__init__()
        self.vocoder = vocoder

    def forward(self, mel: Tensor, f0: Tensor, seed: Tensor) -> Tensor:
        return self.vocoder.synthesise(mel, f0, SourceState(seed, hash_32(seed).double() / 2.0**32))


_TOKENS, _FRAMES = ("B", "N"), ("B", "T")
_TOKEN_MASK = Port("token_mask", "True where a token is real", _TOKENS, "bool")
_FRAME_MASK = Port("frame_mask", "True where a frame is real", _FRAMES, "bool")
_TIME = Port("t", "time of the flow, 0 noise to 1 data", ("B",))


def graphs_of(acoustic: AcousticModel, vocoder: HarmonicNoiseGenerator) -> list[Graph]:
    """Return the graphs of a model, in the order in which they speak."""
    n_features, n_mels = len(FEATURES), len(acoustic.mel_mean)
    content = Port("content", "what is said", (*_TOKENS, acoustic.text_encoder.channels))
    speaker = Port("speaker", "the voice's embedding", ("B", acoustic.voices.embedding.embedding_dim))
    register = Port("mean_log_f0", "mean log2 F0 of the voice", ("B",))
    emotion = Port("emotion", "the emotion's embedding", (*_TOKENS, acoustic.emotion_space.dim))
    hidden = Port("hidden", "rows of the reading", (*_TOKENS, acoustic.prosody.enter.out_features))
    reading = Port("x_t", "point of the flow", (*_TOKENS, n_features))
    durations = Port("durations", "frames of each token", _TOKENS, "int64")
    f0 = Port("f0", "Hz per frame, 0 unvoiced", _FRAMES)
    mel = Port("mel", "natural log magnitudes", (*_FRAMES, n_mels))
    point = Port("x_t", "point of the flow", mel.axes)
    rows = Port("rows", "rows of the trunk", (*_FRAMES, acoustic.trunk.frame_enter.out_features))
    prior = Port("prior", "likeliest mel, normalised", mel.axes)
    summary = Port("condition", "voice and mean emotion", ("B", 1, int(speaker.axes[1]) + int(emotion.axes[2])))
    text: tuple[Port, ...] = (
        Port("phonemes", "ids", _TOKENS, "int64"),
        Port("stresses", "ids", _TOKENS, "int64"),
        _TOKEN_MASK,
    )
    if acoustic.text_encoder.languages:
        text = (*text, Port("language", "place in the list of languages", ("B",), "int64"))
    asked = (
        Port("labels", "weight times intensity of each label", (*_TOKENS, len(LABELS))),
        Port("label_known", "False where no label is given", _TOKENS, "bool"),
        Port("avd", "arousal, valence, dominance in [-1, 1]", (*_TOKENS, 3)),
        Port("avd_known", "False where a dimension is not given", (*_TOKENS, 3), "bool"),
    )
    told = (content, speaker, emotion)
    return [
        Graph("text_encoder", "what is said", TextGraph(acoustic), text, (content,)),
        Graph("voice", "who speaks", VoiceGraph(acoustic), (Port("voice", "number in the list of voices", ("B",), "int64"),),
              (speaker, register)),
        Graph("emotion", "how it feels", EmotionGraph(acoustic), asked, (emotion,)),
        Graph("prosody_prior", "the mean reading", PriorGraph(acoustic), (*told, _TOKEN_MASK),
              (Port("expected", "mean of the normalised token features", reading.axes), hidden)),
        Graph("prosody_step", "velocity of the reading's flow", ProsodyStepGraph(acoustic),
              (reading, _TIME, hidden, speaker, emotion, _TOKEN_MASK), (Port("velocity", "dx/dt", reading.axes),)),
        Graph("frames", "voicing and fine F0", FramesGraph(acoustic),
              (hidden, speaker, durations, Port("contour", "log2 F0 less the voice's mean", _FRAMES), _FRAME_MASK),
              (Port("fine", "voicing logit, and correction in tenths of an octave", (*_FRAMES, 2)),)),
        Graph("trunk", "the likeliest mel", TrunkGraph(acoustic),
              (*told, durations, f0, Port("energy", "log energy, normalised", _TOKENS), register, _TOKEN_MASK, _FRAME_MASK),
              (rows, prior, summary)),
        Graph("mel_step", "velocity of the mel's flow", MelStepGraph(acoustic), (point, _TIME, prior, rows, summary, _FRAME_MASK),
              (Port("velocity", "dx/dt", mel.axes),)),
        Graph("vocoder", "the waveform", VocoderGraph(vocoder), (mel, f0, Port("seed", "draws noise and phase", ("B",), "int64")),
              (Port("waveform", "samples", ("B", "L")),)),
    ]  # fmt: skip
