"""The training loop: one step function of (batch, step), schedule, EMA, logs, and checkpoints that resume to the bit.

Comes in: a model, a function that gives the batch of a step, a loss. Goes out: trained weights (raw and averaged), metrics.jsonl
and TensorBoard events. Everything random is a function of (seed, step): a resumed run repeats an unbroken one exactly on a CPU.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

BatchT = TypeVar("BatchT")
MAX_BAD_STEPS = 20  # consecutive losses that are not finite before the run gives up


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


class Trainer(Generic[BatchT]):
    """Train one module on one device, or on several through accelerate."""

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
    ) -> None:
        """Prepare optimiser, average and logs.

        Args:
            output: folder of state.pt, metrics.jsonl and TensorBoard events; resumed from if it holds a state.
            precision: "bf16" runs the forward pass in bfloat16 where that is safe; "fp32" everywhere.
            ema_decay: of the averaged weights; reached after a warm-up.
            save_minutes: time between states on disk.
            device: "cpu" or "cuda"; by default CUDA where there is one.
        """
        from accelerate import Accelerator
        from diffusers.training_utils import EMAModel

        if precision not in ("bf16", "fp32"):
            raise ValueError(f'precision must be "bf16" or "fp32"; got {precision!r}.')
        self.accelerator = Accelerator(mixed_precision="bf16" if precision == "bf16" else "no", cpu=device == "cpu")
        self.output = Path(output)
        self.output.mkdir(parents=True, exist_ok=True)
        self.schedule, self.seed, self.clip_norm = schedule, seed, clip_norm
        self.log_every, self.save_minutes = log_every, save_minutes
        optimizer = torch.optim.AdamW(
            _decay_groups(model, weight_decay), lr=schedule.learning_rate, betas=(0.9, 0.98), fused=True
        )
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.ema = EMAModel(
            self._bare().parameters(), decay=ema_decay, use_ema_warmup=True, inv_gamma=1.0, power=0.75, foreach=True
        )
        self.ema.to(self.accelerator.device)
        self.step = 0
        self.seconds = 0.0
        self._writer: Any = None
        self._resume()

    def _bare(self) -> Any:
        return self.accelerator.unwrap_model(self.model)

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    def fit(
        self,
        batch_of: Callable[[int], BatchT],
        losses_of: Callable[[Any, BatchT, torch.Generator], dict[str, Tensor]],
        total: Callable[[dict[str, Tensor]], Tensor],
        max_minutes: float | None = None,
        on_save: Callable[["Trainer[BatchT]"], None] | None = None,
    ) -> bool:
        """Run until the schedule's last step or for `max_minutes`; returns whether the last step was reached.

        Args:
            batch_of: gives the batch of a step.
            losses_of: maps (model, batch, generator) to named scalar losses.
            total: joins them to the loss that is minimised.
            on_save: called after every state is written, with this trainer (for samples and milestones).
        """
        started, saved = time.monotonic(), time.monotonic()
        sums: dict[str, float] = {}
        counted, bad = 0, 0
        self.model.train()
        while self.step < self.schedule.max_steps:
            if max_minutes is not None and time.monotonic() - started > 60.0 * max_minutes:
                break
            clock = time.perf_counter()
            losses, gradient_norm = self._one_step(batch_of(self.step), losses_of, total)
            bad = 0 if losses is not None else bad + 1
            if bad >= MAX_BAD_STEPS:
                raise FloatingPointError(
                    f"{MAX_BAD_STEPS} steps in a row had a loss that is not finite; lower the learning rate."
                )
            if losses is not None:
                counted += 1
                for name, value in (losses | {"gradient_norm": gradient_norm}).items():
                    sums[name] = sums.get(name, 0.0) + value
            self.step += 1
            self.seconds += time.perf_counter() - clock
            if self.step % self.log_every == 0 and counted:
                self.log({name: value / counted for name, value in sums.items()} | {"lr": self.schedule(self.step - 1)})
                sums, counted = {}, 0
            if time.monotonic() - saved > 60.0 * self.save_minutes:
                self.save()
                saved = time.monotonic()
                if on_save is not None:
                    on_save(self)
                    self.model.train()
        self.save()
        if on_save is not None:
            on_save(self)
        return self.step >= self.schedule.max_steps

    def _one_step(
        self,
        batch: BatchT,
        losses_of: Callable[[Any, BatchT, torch.Generator], dict[str, Tensor]],
        total: Callable[[dict[str, Tensor]], Tensor],
    ) -> tuple[dict[str, float] | None, float]:
        """Take one optimiser step; None where the loss or its gradient is not finite and the step was left out."""
        state = self.seed * 1_000_003 + self.step
        torch.manual_seed(state)  # dropout
        generator = torch.Generator().manual_seed(state)
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule(self.step)
        with self.accelerator.autocast():
            losses = losses_of(self.model, batch, generator)
            loss = total(losses)
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        if not torch.isfinite(norm):
            return None, float("nan")
        self.optimizer.step()
        self.ema.step(self._bare().parameters())
        return {name: float(value.detach()) for name, value in losses.items()} | {"loss": float(loss.detach())}, float(
            norm
        )

    def log(self, values: Mapping[str, float], prefix: str = "train") -> None:
        """Append values to metrics.jsonl and to TensorBoard."""
        if not self.accelerator.is_main_process:
            return
        row = {"step": self.step, "minutes": round(self.seconds / 60.0, 2), "split": prefix}
        row |= {name: round(float(value), 6) for name, value in values.items()}
        with (self.output / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in values.items():
            self.writer.add_scalar(f"{prefix}/{name}", value, self.step)

    @property
    def writer(self) -> Any:
        """The TensorBoard writer of this run."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.output / "tensorboard"))
        return self._writer

    def averaged(self) -> "_Averaged":
        """Return a context in which the model carries its averaged weights and is in eval mode."""
        return _Averaged(self._bare(), self.ema)

    def save(self, name: str = "state.pt") -> None:
        """Write model, average, optimiser and step, to a temporary name first."""
        if not self.accelerator.is_main_process:
            return
        state = {
            "model": self._bare().state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": {k: v for k, v in self.ema.state_dict().items() if v is not None},
            "step": self.step,
            "seconds": self.seconds,
            "seed": self.seed,
        }
        temporary = self.output / f".{name}.tmp"
        torch.save(state, temporary)
        temporary.replace(self.output / name)

    def _resume(self, name: str = "state.pt") -> None:
        path = self.output / name
        if not path.is_file():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self._bare().load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema.load_state_dict(state["ema"])
        self.ema.to(self.device)
        self.step, self.seconds = int(state["step"]), float(state["seconds"])
        if state["seed"] != self.seed:
            raise ValueError(
                f"{path} was made with seed {state['seed']}, this run asks for {self.seed}; use another output folder."
            )


class _Averaged:
    """Swap averaged weights in and out."""

    def __init__(self, model: Any, ema: Any) -> None:
        self.model, self.ema = model, ema

    def __enter__(self) -> Any:
        self.ema.store(self.model.parameters())
        self.ema.copy_to(self.model.parameters())
        self.training = self.model.training
        return self.model.eval()

    def __exit__(self, *_: object) -> None:
        self.ema.restore(self.model.parameters())
        self.model.train(self.training)


def _decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices only; gains, biases and embeddings of a few rows stay free."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
