"""What of a trained network a fine-tuning moves: rows of a table, low-rank corrections of matrices, or whole parts.

A network comes in and is prepared in place; after training `merged_weights` gives plain weights, as if it had never been
prepared. Low-rank corrections follow Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021), arXiv 2106.09685.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

MODES = ("voice", "lora", "full")


class LowRank(nn.Module):
    """Add scale * up @ down to a matrix [out, in]; at first it adds nothing."""

    def __init__(self, weight: Tensor, rank: int, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        self.scale = scale
        noise = torch.randn((rank, weight.shape[1]), generator=generator)
        self.down = nn.Parameter(noise / weight.shape[1] ** 0.5)
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scale * (self.up @ self.down)


class MovedRows(nn.Module):
    """Add a learned step to some rows of a table [n, D]; the other rows stay what they are, to the bit."""

    rows: Tensor

    def __init__(self, rows: Sequence[int], dim: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("rows", torch.tensor(list(rows), dtype=torch.int64))
        self.step = nn.Parameter(torch.zeros(len(rows), dim))

    def forward(self, weight: Tensor) -> Tensor:
        return weight.index_add(0, self.rows, self.scale * self.step)


def move_rows(table: nn.Embedding, rows: Sequence[int], scale: float = 1.0) -> None:
    """Let only these rows of a table be trained.

    Args:
        scale: how much faster they move than plain weights at the same learning rate.
    """
    table.weight.requires_grad_(False)
    parametrize.register_parametrization(table, "weight", MovedRows(rows, table.embedding_dim, scale))


def add_low_rank(module: nn.Module, rank: int, scale: float, seed: int) -> int:
    """Freeze a module but for a low-rank correction of each of its matrices; returns how many there are.

    Raises:
        ValueError: the rank is not positive.
    """
    if rank < 1:
        raise ValueError(f"rank must be 1 or more; got {rank}.")
    module.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    matrices = [part for part in module.modules() if isinstance(part, nn.Linear)]
    for part in matrices:
        parametrize.register_parametrization(part, "weight", LowRank(part.weight, rank, scale, generator))
    return len(matrices)


def merged_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return the state of a prepared network under the names of an unprepared one, with all that was learned folded in."""
    found = {}
    for prefix, part in module.named_modules():
        if ".parametrizations" in f".{prefix}":
            continue
        own = f"{prefix}." if prefix else ""
        learned = list(part.parametrizations) if parametrize.is_parametrized(part) else []
        plain = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
        for name, value in [*plain, *((name, getattr(part, name)) for name in learned)]:
            found[own + name] = value.detach().clone()
    return found
