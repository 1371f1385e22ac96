"""The few-step student of both flows: networks that jump along the teacher's path instead of following it.

Comes in: a point of the path x_t, where it stands and where it should land, and the scale of the emotion's guidance. Goes out: the
point where it lands. One call of a network stands for many steps of the teacher and for both passes of its guidance.

The average velocity over an interval as what is learnt follows MeanFlow (Geng et al. 2025, arXiv 2505.13447), distilled from the
teacher's own paths as in progressive distillation (Salimans & Ho 2022, arXiv 2202.00512); the scale as an input follows guidance
distillation (Meng et al. 2023, arXiv 2210.03142).
"""

from typing import TypeVar

import torch
from torch import Tensor, nn

from emotts.acoustic.estimator import VelocityEstimator
from emotts.layers import BlockStack, TimeEmbedding
from emotts.prosody_flow import FEATURES, ProsodyFlow

MAX_STEPS = 4  # jumps that the student was shown; more are the teacher's
SCALES = (0.0, 5.0)  # of guidance that it was shown
SCALE_UNIT = 2.0  # brings scales near unit size

Place = TypeVar("Place", float, Tensor)


def growth(start: Place, end: Place) -> Place:
    """Return by how much the exact flow from white noise to white data of unit variance scales a point between two times.

    It is the solution of dx/dt = c(t) x, with c of emotts/acoustic/flow.py: sqrt((s^2 + (1 - s)^2) / (t^2 + (1 - t)^2)).
    """
    return ((end**2 + (1.0 - end) ** 2) / (start**2 + (1.0 - start) ** 2)) ** 0.5


def land(x: Tensor, start: Place, end: Place, correction: Tensor) -> Tensor:
    """Return where a jump from x [B, T, C] lands.

    Args:
        start, end: times, numbers or [B, 1, 1]. correction: the network's [B, T, C].
    """
    return growth(start, end) * x + (end - start) * correction.float()


def jumps_to_data(n_jumps: int, scale: float = 1.0) -> Tensor:
    """Return equal jumps from noise to data, [start, end, scale] of each [S, 3].

    Args:
        n_jumps: from 1 to MAX_STEPS. scale: of the guidance, inside SCALES.

    Raises:
        ValueError: more jumps, or another scale, than a student learns.
    """
    if not 1 <= n_jumps <= MAX_STEPS:
        raise ValueError(f"the student takes 1 to {MAX_STEPS} steps; got {n_jumps}.")
    if not SCALES[0] <= scale <= SCALES[1]:
        raise ValueError(f"the student knows scales of guidance from {SCALES[0]:g} to {SCALES[1]:g}; got {scale:g}.")
    borders = torch.linspace(0.0, 1.0, n_jumps + 1)
    return torch.stack([borders[:-1], borders[1:], torch.full((n_jumps,), float(scale))], dim=1)


class JumpEmbedding(nn.Module):
    """Embed start, end and scale of a jump [B, 3], giving [B, C]; at first it tells of the start alone, as a teacher's does."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.start = TimeEmbedding(channels)
        self.span = TimeEmbedding(channels)
        self.scale = nn.Sequential(nn.Linear(1, channels), nn.SiLU(), nn.Linear(channels, channels))
        for network in (self.span.network, self.scale):
            for parameter in network[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, jump: Tensor) -> Tensor:
        start, end, scale = jump.unbind(dim=-1)
        return self.start(start) + self.span(end - start) + self.scale((scale[:, None] - 1.0) / SCALE_UNIT)


class ProsodyJumps(ProsodyFlow):
    """Jumps of the prosody flow; the same parts as the flow of emotts/prosody.py, which may be fewer."""

    def __init__(self, condition: int, channels: int = 192, layout: str = "cacc") -> None:
        super().__init__()
        self.flow_enter = nn.Linear(len(FEATURES) + channels, channels)
        self.time = JumpEmbedding(channels)
        self.flow_blocks = BlockStack(layout, channels, condition + channels, kernel_size=5)
        self.flow_head = nn.Linear(channels, len(FEATURES))


class FlowStudent(nn.Module):
    """What takes the place of both flows of an acoustic model for few steps.

    Attributes:
        mel: jumps of the mel flow; called as the teacher's estimator, with the jump [B, 3] in the place of the time.
        prosody: jumps of the prosody flow.
    """

    def __init__(self, mel: VelocityEstimator, prosody: ProsodyJumps) -> None:
        super().__init__()
        mel.time = JumpEmbedding(mel.time.channels)  # type: ignore[assignment]
        self.mel, self.prosody = mel, prosody


def adopt(student: nn.Module, teacher: nn.Module) -> list[str]:
    """Begin as the teacher: copy every tensor of the same name and shape, the time's embedding into that of the start.

    Returns the names of those that found none. Blocks are taken in order: a student of fewer blocks begins with the first.
    """
    known = teacher.state_dict()
    found, missing = {}, []
    for name, tensor in student.state_dict().items():
        source = known.get(name.replace("time.start.", "time."))
        if source is not None and source.shape == tensor.shape:
            found[name] = source
        else:
            missing.append(name)
    student.load_state_dict(found, strict=False)
    return missing
