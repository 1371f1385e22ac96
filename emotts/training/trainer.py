"""The training loop: one step function of (batches, step), schedule, average, logs, and states that resume to the bit.

Comes in: a model, a function that gives batches by number, a loss. Goes out: trained weights (raw and averaged), metrics.jsonl
and TensorBoard events. Everything random is a function of the seed and the number of the batch: a resumed run repeats an unbroken
one exactly on a CPU, and several processes do what one does with as many batches a step.
"""

import copy
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from emotts.training.average import Average, Averaged
from emotts.training.gradient import Gathered, Gradient, Losses
from emotts.training.logs import Log
from emotts.training.prefetch import Prefetch
from emotts.training.ranks import Ranks, like, spread, whole
from emotts.training.schedule import Schedule
from emotts.training.signals import StopWish
from emotts.training.states import StateError, check_model, check_progress, read_state, write_state
from emotts.training.update import Update

BatchT = TypeVar("BatchT")
STOPPED = "EMOTTS_STATUS_WHEN_STOPPED"  # variable: exit status of a run that was told to stop, 0 where it is not set
MAX_BAD_STEPS = 20  # consecutive losses that are not finite before the run gives up


class Trainer(Generic[BatchT]):
    """Train one module on one device, or on several processes that `accelerate launch` starts."""

    def __init__(
        self,
        model: nn.Module,
        output: str | Path,
        schedule: Schedule,
        seed: int = 0,
        weight_decay: float = 0.01,
        clip_norm: float = 1.0,
        ema_decay: float = 0.999,
        precision: str = "bf16",
        log_every: int = 50,
        save_minutes: float = 5.0,
        device: str | None = None,
        pieces: int | None = None,
        shard: bool = False,
    ) -> None:
        """Prepare optimiser, average and logs.

        Args:
            model: parameters that need no gradient stay as they are and are not averaged.
            output: folder of state.pt, metrics.jsonl and TensorBoard events; resumed from if it holds a state.
            precision: "bf16" runs the forward pass in bfloat16 where that is safe; "fp32" everywhere.
            ema_decay: of the averaged weights; reached after a warm-up.
            save_minutes: time between states on disk.
            device: "cpu" or "cuda"; by default CUDA where there is one.
            pieces: batches that make one step, over all processes; None takes one for each process.
            shard: keep only a part of the weights in each process; so does `accelerate launch --use_fsdp`.

        Raises:
            ValueError: an option is out of range, or the folder's state is of another run.
            OSError: the folder cannot be written to.
            MemoryError: there is none for the optimiser.
        """
        from accelerate import Accelerator

        if precision not in ("bf16", "fp32"):
            raise ValueError(f'precision must be "bf16" or "fp32"; got {precision!r}.')
        self.accelerator = Accelerator(mixed_precision="bf16" if precision == "bf16" else "no", cpu=device == "cpu")
        self.ranks = Ranks(self.accelerator.process_index, self.accelerator.num_processes, self.accelerator.device)
        self.pieces = self.ranks.count if pieces is None else pieces
        if self.pieces < 1 or self.pieces % self.ranks.count:
            raise ValueError(f"pieces must be a multiple of the {self.ranks.count} processes; got {self.pieces}.")
        is_asked = shard or self.accelerator.distributed_type.value == "FSDP"
        self.is_sharded = is_asked and self.ranks.count > 1
        self.output = Path(output)
        self._log = Log(self.output)
        _make_folder(self.output)
        self.schedule, self.seed, self.clip_norm = schedule, seed, clip_norm
        self.log_every, self.save_minutes = log_every, save_minutes
        self.step, self.skipped, self.seconds = 0, 0, 0.0

        state = self._checked_state(model)
        if state is not None:
            model.load_state_dict(state["model"])
        model.to(self.device)
        self.ranks.share_weights(model)
        self._copy = copy.deepcopy(model) if self.is_sharded else None  # whole, to be validated and exported
        self.model = self.accelerator.prepare_model(model, evaluation_mode=True)  # autocast only; see Ranks
        self.losses = Losses(self.model)
        if self.is_sharded:
            spread(self.losses, self.ranks)
        self.optimizer = torch.optim.AdamW(
            _decay_groups(self.model, weight_decay),
            schedule.learning_rate,
            betas=(0.9, 0.98),
            fused=not self.is_sharded,
        )
        self.average = Average(self.model, ema_decay)
        self._update = Update(self.optimizer, self.average, self.ranks)
        if state is not None:
            self._resume(state)
        if self.is_first:
            self._log.resume(self.step)

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files; alone, it is."""
        return self.ranks.is_first

    def fit(
        self,
        batch_of: Callable[[int], BatchT],
        losses_of: Callable[[Any, BatchT, torch.Generator], dict[str, Tensor]],
        total: Callable[[dict[str, Tensor]], Tensor],
        max_minutes: float | None = None,
        on_save: Callable[["Trainer[BatchT]"], None] | None = None,
        counts_of: Callable[[BatchT], Mapping[str, Tensor]] | None = None,
        gathered: Gathered | None = None,
    ) -> bool:
        """Run until the schedule's last step or for `max_minutes`; returns whether the last step was reached.

        Asked by SIGTERM or Ctrl-C, it saves and ends the program with exit status 0. Where memory runs out, batches are computed in
        parts; where that does not help, it saves and raises a MemoryError.

        Args:
            batch_of: gives a batch by its number, a pure function; it is called in another thread, ahead of time. Step s takes the
                batches s * pieces to (s + 1) * pieces - 1.
            losses_of: maps (model, batch, generator) to named scalar losses.
            total: joins them to the loss that is minimised, linearly.
            on_save: called after every state is written, with this trainer (for samples and milestones), in the first process.
            counts_of: says what each named loss is a mean over (frames, tokens, rows); needed where a step has several batches, and
                to split batches when memory runs out.
            gathered: what the losses leave behind beside gradients.
        """
        if counts_of is None and self.pieces > 1:
            raise ValueError(
                f"the losses of this recipe are of a batch as a whole: pieces must be 1, on one process; got {self.pieces}."
            )
        gradient = Gradient(losses_of, total, counts_of, gathered, self.ranks)
        started, saved = time.monotonic(), time.monotonic()
        sums: dict[str, float] = {}
        counted, bad, logged, waited = 0, 0, time.perf_counter(), 0.0
        self.model.train()
        with StopWish() as wish, Prefetch(batch_of, self._numbers()) as batches:
            while self.step < self.schedule.max_steps:
                minutes = (time.monotonic() - started) / 60.0
                is_over, is_stopped, is_due = self.ranks.agree(
                    max_minutes is not None and minutes > max_minutes,
                    wish.name is not None,
                    time.monotonic() - saved > 60.0 * self.save_minutes,
                )
                if is_stopped:
                    self._stop(wish.name or "the signal of another process")
                if is_over:
                    break
                if is_due:
                    self._save_and_show(on_save)
                    saved = time.monotonic()
                clock = time.perf_counter()
                own = [(self.seed_of(k), batches.next()) for k in self._own(self.step)]
                try:
                    losses, norm = self._one_step(own, gradient)
                except MemoryError as error:
                    raise MemoryError(f"{error} {self._keep()}") from None
                bad = 0 if losses is not None else bad + 1
                if bad >= MAX_BAD_STEPS:
                    raise FloatingPointError(
                        f"{MAX_BAD_STEPS} steps in a row had a loss that is not finite; lower the learning rate."
                    )
                if losses is None:
                    self.skipped += 1
                else:
                    counted += 1
                    for name, value in (losses | {"gradient_norm": norm}).items():
                        sums[name] = sums.get(name, 0.0) + value
                self.step += 1
                self.seconds += time.perf_counter() - clock
                if self.step % self.log_every == 0 and counted:
                    share = (batches.waited_s - waited) / (time.perf_counter() - logged)
                    told = {name: value / counted for name, value in sums.items()}
                    told |= {"lr": self.schedule(self.step - 1), "wait_share": share, "skipped": float(self.skipped)}
                    self.log(told)
                    sums, counted, logged, waited = {}, 0, time.perf_counter(), batches.waited_s
        self._save_and_show(on_save)
        return self.step >= self.schedule.max_steps

    def _own(self, step: int) -> range:
        """Return the numbers of this process' batches of a step."""
        return range(step * self.pieces + self.ranks.rank, (step + 1) * self.pieces, self.ranks.count)

    def _numbers(self) -> Iterator[int]:
        return (number for step in range(self.step, self.schedule.max_steps) for number in self._own(step))

    def seed_of(self, number: int) -> int:
        """Return the seed of all noise of a batch."""
        return self.seed * 1_000_003 + number

    def _one_step(self, batches: list[tuple[int, BatchT]], gradient: Gradient) -> tuple[dict[str, float] | None, float]:
        """Take one optimiser step; None where the loss or its gradient is not finite and the step was left out."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule(self.step)
        losses = gradient(self.losses, batches, self.optimizer.zero_grad, self.accelerator.autocast, self.is_sharded)
        if not self.is_sharded:
            self.ranks.sum_gradients(self._update.parameters)
        norm = self._update.clip(self.clip_norm)
        if not math.isfinite(norm + losses["loss"]):  # both are of all processes, which therefore agree
            return None, float("nan")
        self._update.apply()
        if gradient.gathered is not None:
            gradient.gathered.settle(self.model, self.ranks.sum)
        return losses, norm

    def _save_and_show(self, on_save: Callable[["Trainer[BatchT]"], None] | None) -> None:
        self.save()
        if self._copy is not None:
            self._copy.load_state_dict(whole(self.model.state_dict()) | self.average.weights())
        if on_save is not None and self.is_first:
            on_save(self)
        self.model.train()
        self.ranks.wait()

    def _keep(self) -> str:
        """Save what an error left whole, and say where the run can go on."""
        if self.is_sharded or not self._update.is_whole:  # spread weights are gathered by all, of whom some may be gone
            return f"The last state in {self.output}, if any was saved, is whole."
        self.save()
        return f"The state of step {self.step} is saved."

    def _stop(self, name: str) -> None:
        self.save()
        if self.is_first:
            print(f"stopped by {name}; the same command resumes from step {self.step}", file=sys.stderr, flush=True)
        raise SystemExit(int(os.environ.get(STOPPED, "0")))

    def log(self, values: Mapping[str, float], prefix: str = "train") -> None:
        """Append values to metrics.jsonl and to TensorBoard."""
        if self.is_first:
            self._log.write(self.step, self.seconds / 60.0, values, prefix)

    @property
    def writer(self) -> Any:
        """The TensorBoard writer of this run."""
        return self._log.writer

    def averaged(self) -> Any:
        """Return a context in which the model carries its averaged weights and is in eval mode."""
        return Averaged(self.average) if self._copy is None else _Ready(self._copy)

    def save(self, name: str = "state.pt") -> None:
        """Write model, average, optimiser and step; a kill at any moment leaves this state or the one before."""
        if not self.is_first and not self.is_sharded:
            return
        state = {
            "model": whole(self.model.state_dict()),
            "optimizer": whole(self.optimizer.state_dict()),
            "ema": self.average.state(),
            "step": self.step,
            "skipped": self.skipped,
            "seconds": self.seconds,
            "seed": self.seed,
            "pieces": self.pieces,
        }
        if self.is_first:
            write_state(self.output / name, state)

    def _checked_state(self, model: nn.Module, name: str = "state.pt") -> dict[str, Any] | None:
        path = self.output / name
        state = read_state(path)
        if state is None:
            return None
        check_model(state, model, path)
        for key, own, default in (("seed", self.seed, None), ("pieces", self.pieces, 1)):
            if state.get(key, default) != own:
                raise StateError(
                    f"{path} was made with {key} {state.get(key, default)}, this run asks for {own}; use another output folder."
                )
        return state

    def _resume(self, state: dict[str, Any]) -> None:
        groups, parameters = [group["params"] for group in self.optimizer.param_groups], self._update.parameters
        check_progress(state, groups, self.average.shadow, self.output / "state.pt")
        moments = {
            k: {name: like(value, parameters[k]) for name, value in entry.items()}
            for k, entry in state["optimizer"]["state"].items()
        }
        own = self.optimizer.state_dict()  # its settings are this run's
        self.optimizer.load_state_dict(own | {"state": own["state"] | moments})
        self.average.load(state["ema"], self.device)
        self.step, self.seconds, self.skipped = (
            int(state["step"]),
            float(state["seconds"]),
            int(state.get("skipped", 0)),
        )


class _Ready:
    """A context for a model that is as it should be."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __enter__(self) -> Any:
        return self.model.eval()

    def __exit__(self, *_: object) -> None:
        pass


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metrics.jsonl").open("a").close()
    except OSError as error:
        raise OSError(f"{folder} cannot be written to ({error.strerror}); choose another one with output=.") from error


def _decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices only; gains, biases and embeddings of a few rows stay free."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
