"""A model that trains in milliseconds; as a program, one of the processes of a run, or one that is asked to stop.

python tests/training_toy.py OUTPUT STEPS [SIGTERM | SIGINT | SIGKILL | pieces | shard | sum]
"""

import atexit
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

from emotts.training import Schedule, Trainer


def make(folder, steps, seed=0, pieces=None, dropout=0.2, shard=False, device="cpu", start=1, save_minutes=5.0):
    torch.manual_seed(start)
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(dropout), nn.Linear(16, 1))
    return Trainer(
        model, folder, Schedule(1e-2, steps, 3, 5), seed=seed, precision="fp32", log_every=5, device=device,
        pieces=pieces, shard=shard, save_minutes=save_minutes,
    )  # fmt: skip


def batch_of(number):
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(8 - 3 * (number % 2), 4, generator=generator)
    return x, x.sum(dim=1, keepdim=True)


def losses_of(model, batch, generator):
    x, y = batch
    noise = 0.1 * torch.randn(x.shape, generator=generator)
    return {"fit": ((model(x + noise) - y) ** 2).mean()}


def counts_of(batch):
    return {"fit": torch.tensor(len(batch[0]))}


def total(losses):
    return losses["fit"]


def weights(trainer):
    with trainer.averaged() as model:
        averaged = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()]), averaged


def connections() -> int:
    """Count the threads of connections, where the system tells."""
    return [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")].count("pt_gloo_runloop")


def tell_connections() -> None:
    print(f"{connections()} threads of connections are left", flush=True)


def main() -> None:
    output, steps, way = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    rank = int(os.environ.get("RANK", "0"))
    several = way in ("pieces", "shard", "sum")
    if several:
        sys.setswitchinterval(10)  # no other thread gets a turn unless it is given one, as on a busy machine
        atexit.register(tell_connections)  # after what the trainer registers
    is_killed = way == "SIGKILL"
    trainer = make(
        output, steps, pieces=2 if several else None, shard=way == "shard", start=1 + rank,
        save_minutes=0.0 if is_killed else 5.0,
    )  # fmt: skip
    if is_killed:  # states come at every 8th step
        save, trainer.save = trainer.save, lambda: save() if trainer.step % 8 == 0 else None

    def watched(model, batch, generator):
        if not several and trainer.step == 39 and not (output / "lived").exists():
            (output / "lived").touch()
            os.kill(os.getpid(), getattr(signal, way))
        if several and trainer.step == 4 and rank == 1 or (several and trainer.step == 6 and len(batch[0]) == 8):
            factor = float("nan") if trainer.step == 4 else 1.0
            if trainer.step == 6 and way == "pieces":
                raise torch.OutOfMemoryError("one process has no memory left")
            return {"fit": losses_of(model, batch, generator)["fit"] * factor}
        return losses_of(model, batch, generator)

    join, joined = torch.cat, []

    def short_of_memory(tensors, *rest, **options):
        if trainer.step == 7:
            joined.append(len(tensors))
            raise torch.OutOfMemoryError("no memory for a copy of all gradients")
        return join(tensors, *rest, **options)

    if way == "sum" and rank == 1:
        torch.cat = short_of_memory
    shown = []
    assert not several or sys.platform != "linux" or connections()
    trainer.fit(batch_of, watched, total, on_save=shown.append, counts_of=counts_of if several else None)
    assert bool(shown) == (rank == 0) and bool(joined) == (way == "sum" and rank == 1)


if __name__ == "__main__":
    main()
