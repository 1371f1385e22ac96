"""What the student of both flows is trained on: jumps of its teacher.

Comes in: a teacher with a Condition and a Target. Goes out: named losses. The teacher follows its path in small steps, guidance
included; the student, put down anywhere on that path, has to land where the path goes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from emotts.acoustic.condition import Condition
from emotts.acoustic.estimator import VelocityEstimator
from emotts.acoustic.flow import skip_scale
from emotts.acoustic.model import AcousticModel
from emotts.acoustic.objective import Target
from emotts.acoustic.student import MAX_STEPS, SCALES, FlowStudent, ProsodyJumps, growth
from emotts.layers import lengths_to_mask
from emotts.prosody import Prosody

FINE = 12  # steps of the teacher: a multiple of all numbers of jumps up to MAX_STEPS

Velocity = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Lessons:
    """What is asked of the student.

    Attributes:
        guided: share of rows with a scale of guidance other than 1, drawn evenly from SCALES.
        temperature: of the mel's noise in half of the rows; the other half has it drawn evenly from 0 to 1.2.
        prosody_temperature: likewise of the reading's.
        frames: longest stretch of an utterance on which the mel's jumps are learnt.
    """

    guided: float = 0.3
    temperature: float = 0.2
    prosody_temperature: float = 0.5
    frames: int = 256


def draw_jumps(batch: int, generator: torch.Generator) -> Tensor:
    """Draw jumps [B, 2] in teacher's steps, each number of jumps alike."""
    n = torch.randint(1, MAX_STEPS + 1, (batch,), generator=generator)
    k = (torch.rand(batch, generator=generator) * n).long()
    return torch.stack([k * FINE // n, (k + 1) * FINE // n], dim=1)


def follow(velocity: Velocity, x_0: Tensor) -> Tensor:
    """Return the path [FINE + 1, B, T, C] from x_0 [B, T, C]: one call a step, of second order (Adams-Bashforth)."""
    path, before = [x_0], None
    for k in range(FINE):
        t = torch.full((len(x_0),), k / FINE, device=x_0.device)
        slope = velocity(path[-1], t)
        ahead = slope if before is None else 1.5 * slope - 0.5 * before
        path.append(path[-1] + ahead / FINE)
        before = slope
    return torch.stack(path)


def student_losses(
    student: FlowStudent,
    teacher: AcousticModel,
    condition: Condition,
    target: Target,
    generator: torch.Generator,
    lessons: Lessons,
) -> dict[str, Tensor]:
    """Return the squared errors of average velocities, of "mel_jump" and of "prosody_jump".

    Args:
        teacher: in eval mode; it gets no gradient.
        condition, target: utterances of a corpus; of the target only durations, F0, energy and the length of the mel count.
    """
    device = target.mel.device
    n = len(condition.voice)
    is_guided = torch.rand(n, generator=generator) < lessons.guided
    drawn = SCALES[0] + (SCALES[1] - SCALES[0]) * torch.rand(n, generator=generator)
    scale = torch.where(is_guided, drawn, 1.0).to(device)
    with torch.no_grad():
        prosody = _ProsodyPath(student.prosody, teacher, condition, scale)
        mel = _MelPath(student.mel, teacher, condition, target, scale, lessons.frames, generator)
    losses = {}
    for name, path, temperature in (
        ("prosody_jump", prosody, lessons.prosody_temperature),
        ("mel_jump", mel, lessons.temperature),
    ):
        noise = torch.randn(path.shape, generator=generator).to(device)
        heat = torch.where(
            torch.rand(n, generator=generator) < 0.5, temperature, 1.2 * torch.rand(n, generator=generator)
        )
        places = draw_jumps(n, generator).to(device)
        with torch.no_grad():
            points = follow(path.velocity, heat.to(device)[:, None, None] * noise)
            rows = torch.arange(n, device=device)
            before, after = points[places[:, 0], rows], points[places[:, 1], rows]
        start, end = (places.float() / FINE).unbind(dim=1)
        given = path.ask(before, torch.stack([start, end, scale], dim=1)).float()
        start, end = start[:, None, None], end[:, None, None]
        wanted = (after - growth(start, end) * before) / (end - start)
        weight = path.mask.float()[:, :, None]
        losses[name] = ((given - wanted) ** 2 * weight).sum() / (weight.sum() * wanted.shape[-1]).clamp_min(1.0)
    return losses


def jump_counts(condition: Condition, target: Target, lessons: Lessons) -> dict[str, Tensor]:
    """Return what each loss of student_losses is a mean over, so that batches in parts can be averaged rightly."""
    frames = target.durations.sum(dim=1).clamp_max(lessons.frames).sum()
    return {"prosody_jump": condition.lengths.sum(), "mel_jump": frames}


class _Guided:
    """A velocity of the teacher: the whole request, and for the guided rows what nothing known of the emotion gives."""

    def __init__(self, scale: Tensor) -> None:
        self.scale = scale
        self.rows = torch.nonzero(scale != 1.0)[:, 0]

    def blend(self, whole: Tensor, bare: Tensor | None) -> Tensor:
        """Return bare + scale (whole - bare); `bare` holds the guided rows alone."""
        whole = whole.float()
        if bare is None:
            return whole
        bare = bare.float()
        extra = (self.scale[self.rows] - 1.0)[:, None, None] * (whole[self.rows] - bare)
        return whole.index_add(0, self.rows, extra)


class _ProsodyPath(_Guided):
    """The teacher's prosody flow of a batch."""

    def __init__(self, student: ProsodyJumps, teacher: AcousticModel, condition: Condition, scale: Tensor) -> None:
        super().__init__(scale)
        self.student = student
        self.teacher, self.mask = teacher, condition.mask
        self.told, self.hidden = self._prior(condition)
        self.bare = None
        if len(self.rows):
            told, hidden = self._prior(condition.without_emotion())
            self.bare = (told[self.rows], hidden[self.rows])
        self.shape = (*self.mask.shape, teacher.prosody.flow_head.out_features)

    def _prior(self, condition: Condition) -> tuple[Tensor, Tensor]:
        content, speaker, emotion = self.teacher.encode(condition)
        told = self.teacher.prosody.condition(speaker, emotion)
        return told, self.teacher.prosody.prior(content, told, condition.mask)[1]

    def velocity(self, x_t: Tensor, t: Tensor) -> Tensor:
        flow = self.teacher.prosody.velocity
        whole, bare = flow(x_t, t, self.hidden, self.told, self.mask), None
        if self.bare is not None:
            r = self.rows
            bare = flow(x_t[r], t[r], self.bare[1], self.bare[0], self.mask[r])
        return skip_scale(t)[:, None, None] * x_t + self.blend(whole, bare)

    def ask(self, x_t: Tensor, jump: Tensor) -> Tensor:
        return self.student.velocity(x_t, jump, self.hidden, self.told, self.mask)


class _MelPath(_Guided):
    """The teacher's mel flow on a stretch of each utterance of a batch, spoken with the recording's own prosody."""

    def __init__(
        self,
        student: VelocityEstimator,
        teacher: AcousticModel,
        condition: Condition,
        target: Target,
        scale: Tensor,
        frames: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__(scale)
        self.student, self.teacher = student, teacher
        lengths = target.durations.sum(dim=1)
        whole = lengths_to_mask(lengths, target.mel.shape[1])
        energy = teacher.prosody.normalise(target.features)[..., 3]
        prosody = Prosody(target.durations, target.f0, energy)
        relative = teacher.relative_log_f0(target.f0, teacher.register_of(condition))
        first = (torch.rand(len(lengths), generator=generator) * (lengths.cpu() - frames + 1).clamp_min(1)).long()
        size = min(frames, whole.shape[1])
        index = first.to(lengths.device)[:, None] + torch.arange(size, device=lengths.device)
        self.mask = index < lengths[:, None]
        self._index = index.clamp_max(whole.shape[1] - 1)

        def trunk(asked: Condition) -> tuple[Tensor, Tensor, Tensor]:
            content, speaker, emotion = teacher.encode(asked)
            told = teacher.prosody.condition(speaker, emotion)
            rows, prior, summary = teacher.trunk(content, told, emotion, prosody, relative, asked.mask, whole)
            return self._stretch(rows), self._stretch(prior).float(), summary

        self.told = trunk(condition)
        self.bare = None
        if len(self.rows):
            self.bare = tuple(x[self.rows] for x in trunk(condition.without_emotion()))
        self.prior = self.blend(self.told[1], None if self.bare is None else self.bare[1])
        self.shape = self.prior.shape

    def _stretch(self, x: Tensor) -> Tensor:
        return torch.gather(x, 1, self._index[:, :, None].expand(-1, -1, x.shape[-1]))

    def velocity(self, x_t: Tensor, t: Tensor) -> Tensor:
        rows, prior, summary = self.told
        whole, bare = self.teacher.estimator(x_t, t, prior, rows, summary, self.mask), None
        if self.bare is not None:
            r = self.rows
            bare = self.teacher.estimator(x_t[r], t[r], self.bare[1], self.bare[0], self.bare[2], self.mask[r])
        return skip_scale(t)[:, None, None] * x_t + self.blend(whole, bare)

    def ask(self, x_t: Tensor, jump: Tensor) -> Tensor:
        rows, _, summary = self.told
        found: Tensor = self.student(x_t, jump, self.prior, rows, summary, self.mask)
        return found
