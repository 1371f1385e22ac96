"""The training loop of all recipes: schedule, loop over batches on one process or many, and states that resume to the bit."""

from emotts.training.schedule import Schedule
from emotts.training.states import StateError
from emotts.training.trainer import MAX_BAD_STEPS, Trainer

__all__ = ["MAX_BAD_STEPS", "Schedule", "StateError", "Trainer"]
