"""The learning rate of a step."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Warm-up, constant, then a linear fall over the last `decay_steps`; a run is prolonged by resuming from before the fall.

    Reference: Hu et al., "MiniCPM" (2024), arXiv 2404.06395, section 4 (warmup-stable-decay).
    """

    learning_rate: float
    max_steps: int
    warmup_steps: int
    decay_steps: int
    final_ratio: float = 0.05

    def __call__(self, step: int) -> float:
        """Return the learning rate of this step."""
        rise = min(1.0, (step + 1) / max(1, self.warmup_steps))
        left = (self.max_steps - step) / max(1, self.decay_steps)
        return self.learning_rate * rise * max(self.final_ratio, min(1.0, left))
