"""What the old model says for its voices, as losses: two models and a question come in, how far their answers differ goes out.

No recording of the old voices is needed. Sentences in the languages that the old model knows are given to old voices in other
feelings, and the new model should answer what the old one does, after Li & Hoiem, "Learning without Forgetting" (2016), arXiv
1606.09282. Where the sentences of the new corpus are not in these languages, others are spoken for it (finetune_rehearse.py), as
Robins, "Catastrophic Forgetting, Rehearsal and Pseudorehearsal" (1995), doi 10.1080/09540099550039318, does.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from emotts.acoustic.condition import Condition
from emotts.acoustic.flow import interpolate, sample_times
from emotts.acoustic.model import AcousticModel
from emotts.acoustic.objective import WEIGHTS
from emotts.data.batch_plan import BatchPlan
from emotts.data.dataset import Utterance, collate
from emotts.emotion.labels import AVD_MEANS, LABELS
from emotts.emotion.space import EmotionInput
from emotts.layers import frame_to_token, lengths_to_mask
from emotts.prosody import Prosody

NEUTRAL_SHARE = 0.25
MOST_INTENSITY = 1.2
PREFIX = "keep_"
WEIGHTS_OF = {name: WEIGHTS[name] for name in ("prosody", "prosody_flow", "contour", "mel", "mel_flow")}
PER_FRAME = ("contour", "mel", "mel_flow")  # the other answers are per token


@dataclass
class Question:
    """What both models are asked: R sentences for old voices, with readings and with places on the flows' paths.

    Attributes:
        phonemes, stresses, durations: [R, N]; lengths, language, voice: [R].
        labels, avd: of the feeling, [R, N, K] and [R, N, 3].
        features: raw, per token [R, N, 4]. f0: Hz [R, T], 0 unvoiced. relative: log2 F0 less the speaker's mean [R, T].
        contour: the line through the anchors [R, T].
        token_x, frame_x: between noise and white data [R, N, 4] and [R, T, M], at token_t and frame_t [R].
    """

    phonemes: Tensor
    stresses: Tensor
    lengths: Tensor
    language: Tensor
    voice: Tensor
    labels: Tensor
    avd: Tensor
    durations: Tensor
    features: Tensor
    f0: Tensor
    relative: Tensor
    contour: Tensor
    token_x: Tensor
    token_t: Tensor
    frame_x: Tensor
    frame_t: Tensor

    def to(self, device: torch.device) -> "Question":
        return Question(*(getattr(self, field.name).to(device) for field in fields(self)))

    @property
    def condition(self) -> Condition:
        """What the models are told."""
        known = torch.ones_like(self.phonemes, dtype=torch.bool)
        emotion = EmotionInput(self.labels, known, self.avd, known[..., None].expand_as(self.avd))
        return Condition(self.phonemes, self.stresses, self.lengths, self.voice, emotion, language=self.language)

    @property
    def frame_mask(self) -> Tensor:
        """Real frames [R, T]."""
        return lengths_to_mask(self.durations.sum(dim=1), self.f0.shape[1])


class Rehearsal:
    """Questions about sentences in languages that the old model knows, each a function of its number."""

    def __init__(
        self,
        sentences: Sequence[tuple[Utterance, int]],
        registers: Tensor,
        voices: Sequence[int],
        max_frames: int,
        seed: int,
    ) -> None:
        """Plan the questions.

        Args:
            sentences: with the place of their language.
            registers: mean log2 F0 of every voice that a sentence is of [V].
            voices: rows of the old voices, which are asked.
            max_frames: of a question, padding included.
        """
        self.sentences, self.registers, self.voices, self.seed = list(sentences), registers, list(voices), seed
        self.plan = BatchPlan([len(one.f0) for one, _ in sentences], max_frames, seed)

    def question(self, number: int, most: int) -> Question:
        """Return at most this many sentences, asked of old voices drawn at random in feelings drawn at random."""
        picked = [self.sentences[i] for i in self.plan.indices(number)[:most]]
        batch = collate([one for one, _ in picked])
        language = torch.tensor([place for _, place in picked])
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        voice, labels, avd = request_of(batch.phonemes.shape, self.voices, generator)
        relative = AcousticModel.relative_log_f0(batch.f0, self.registers[batch.voice])
        token_x, token_t = _on_the_path(batch.features.shape, generator)
        frame_x, frame_t = _on_the_path(batch.mel.shape, generator)
        return Question(
            batch.phonemes, batch.stresses, batch.token_lengths, language, voice, labels, avd, batch.durations,
            batch.features, batch.f0, relative, batch.contour, token_x, token_t, frame_x, frame_t,
        )  # fmt: skip


def keep_losses(model: AcousticModel, teacher: AcousticModel, question: Question) -> dict[str, Tensor]:
    """Return the mean squared differences between what both say, named keep_* after the losses that they hold.

    Both answer without dropout: the same weights give the same answer.
    """
    if len(question.voice) == 0:  # a part of a batch that has fewer questions than parts
        return {PREFIX + name: question.f0.new_zeros(()) for name in WEIGHTS_OF}
    with torch.no_grad():
        wanted = answers(teacher, question)
    with _answering(model):
        found = answers(model, question)
    masks = {name: question.frame_mask if name in PER_FRAME else question.condition.mask for name in wanted}
    return {PREFIX + name: _error(found[name], wanted[name], masks[name]) for name in wanted}


def keep_counts(question: Question) -> dict[str, Tensor]:
    """Return what each of `keep_losses` is a mean over: tokens or frames."""
    tokens, frames = question.lengths.sum(), question.durations.sum()
    return {PREFIX + name: frames if name in PER_FRAME else tokens for name in WEIGHTS_OF}


def keep_total(losses: dict[str, Tensor]) -> Tensor:
    """Return the weighted sum of those of the losses that are of `keep_losses`."""
    return torch.stack([WEIGHTS_OF[name.removeprefix(PREFIX)] * losses[name] for name in losses]).sum()


def request_of(shape: torch.Size, voices: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw an old voice for each row [R], and a label of any intensity with its usual arousal, valence and dominance."""
    n, n_tokens = shape
    voice = torch.tensor(voices)[torch.randint(len(voices), (n,), generator=generator)]
    label = torch.randint(1, len(LABELS), (n,), generator=generator)
    strength = MOST_INTENSITY * torch.rand(n, generator=generator)
    strength = strength * (torch.rand(n, generator=generator) >= NEUTRAL_SHARE)
    weights = torch.nn.functional.one_hot(label, len(LABELS)) * strength[:, None]
    avd = (torch.tensor([AVD_MEANS[name] for name in LABELS])[label] * strength[:, None]).clamp(-1.0, 1.0)
    return voice, weights[:, None].repeat(1, n_tokens, 1), avd[:, None].repeat(1, n_tokens, 1)


def _on_the_path(shape: torch.Size, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return places between noise and white data, and t [R]."""
    x_0, x_1 = (torch.randn(shape, generator=generator) for _ in range(2))
    t = sample_times(shape[0], generator)
    return interpolate(x_0, x_1, t), t


@contextmanager
def _answering(model: AcousticModel) -> Iterator[None]:
    was = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was)


def answers(model: AcousticModel, asked: Question) -> dict[str, Tensor]:
    """Return what a model says at every place of its figure, named as its losses."""
    condition = asked.condition
    mask, frame_mask = condition.mask, asked.frame_mask
    content, speaker, emotion = model.encode(condition)
    prosody = model.prosody
    told = prosody.condition(speaker, emotion)
    prior, hidden = prosody.prior(content, told, mask)
    index = frame_to_token(asked.durations, frame_mask.shape[1])
    fine = prosody.frames(hidden, speaker, asked.durations, index, asked.contour, frame_mask)
    energy = prosody.normalise(asked.features)[..., 3]
    given = Prosody(asked.durations, asked.f0, energy)
    rows, mel, summary = model.trunk(content, told, emotion, given, asked.relative, mask, frame_mask)
    return {
        "prosody": prior,
        "prosody_flow": prosody.velocity(asked.token_x, asked.token_t, hidden, told, mask),
        "contour": fine,
        "mel": mel,
        "mel_flow": model.estimator(asked.frame_x, asked.frame_t, mel, rows, summary, frame_mask),
    }


def _error(found: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error over what counts [R, X]."""
    weight = mask[:, :, None].float().expand_as(wanted)
    return ((found.float() - wanted.float()).square() * weight).sum() / weight.sum().clamp_min(1.0)
