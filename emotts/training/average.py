"""Averaged weights: what is exported, validated and heard, while training goes on with the raw ones.

The decay warms up as 1 - (1 + step) ** -0.75 to its value, as EMAModel of diffusers does; states of either are the same.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from emotts.training.memory import free_cache, is_out_of_memory
from emotts.training.ranks import like, whole

POWER = 0.75  # of the warm-up; 0.999 is reached after 10,000 steps


class Average:
    """The moving average of the parameters that are trained; frozen ones are their own average."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay, self.steps = model, decay, 0
        self.shadow: list[Tensor] = [parameter.detach().clone() for parameter in self.trained()]

    def trained(self) -> list[nn.Parameter]:
        """Return the parameters that are averaged."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    @torch.no_grad()
    def follow(self) -> None:
        """Take the weights of this step in; one tensor after the other where there is no memory for all differences."""
        rate, trained = 1.0 - min(self.decay, 1.0 - (1.0 + self.steps) ** -POWER), self.trained()
        try:
            differences = torch._foreach_sub(self.shadow, [value.detach() for value in trained])
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            free_cache()
            for shadow, value in zip(self.shadow, trained, strict=True):
                shadow.sub_(shadow - value, alpha=rate)
        else:
            torch._foreach_sub_(self.shadow, differences, alpha=rate)
        self.steps += 1

    def state(self) -> dict[str, Any]:
        """Return what `load` takes, gathered from all processes."""
        return {"decay": self.decay, "optimization_step": self.steps, "shadow_params": whole(self.shadow)}

    def load(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take up a state that `check_progress` has passed; the decay is this run's own."""
        kept = state["shadow_params"]
        self.shadow = [like(value.to(device), own) for value, own in zip(kept, self.shadow, strict=True)]
        self.steps = int(state["optimization_step"])

    def weights(self) -> dict[str, Tensor]:
        """Return the averaged weights by the names of the parameters, gathered from all processes."""
        names = [name for name, parameter in self.model.named_parameters() if parameter.requires_grad]
        return dict(zip(names, whole(self.shadow), strict=True))


class Averaged:
    """Swap averaged weights in and out: a context that gives the model in eval mode."""

    def __init__(self, average: Average) -> None:
        self.average = average

    @torch.no_grad()
    def __enter__(self) -> Any:
        self.raw = [parameter.detach().clone() for parameter in self.average.trained()]
        for parameter, value in zip(self.average.trained(), self.average.shadow, strict=True):
            parameter.copy_(value)
        self.training = self.average.model.training
        return self.average.model.eval()

    @torch.no_grad()
    def __exit__(self, *_: object) -> None:
        for parameter, value in zip(self.average.trained(), self.raw, strict=True):
            parameter.copy_(value)
        self.average.model.train(self.training)
