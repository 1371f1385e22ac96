"""Memory that runs out: how errors say it, and what can be given back."""

import torch

SIGNS = ("can't allocate memory", "not enough memory", "ALLOC_FAILED")  # of the CPU's allocator and of CUDA's libraries


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in SIGNS)


def free_cache() -> None:
    """Give back what torch keeps for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
