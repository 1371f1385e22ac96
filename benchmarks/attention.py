"""Time the fused attention against torch's, at the level of a block: projection, norm, rotation, attention, projection back.

    python benchmarks/attention.py --output attention.json    # on a CUDA GPU of sm_80 or later
    python benchmarks/attention.py --quick                     # anywhere: tiny sizes, only to see that it runs

The peers are SDPA's flash, cuDNN and efficient kernels behind a compiled norm and rotation. Flash takes no mask, so it runs on
equal lengths only. `fused` chooses its tile by shape; the columns short, middle and wide hold it fast, to correct that choice. A
GPU's times are of a captured graph that walks through several inputs, the median of its replays, taken twice.
"""

import argparse
import json
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from emotts.kernels import attention_qkv
from emotts.kernels.launch import TORCH_DEVICE, Inputs, Launcher, torch_launcher
from emotts.kernels.reference import prepare, reference_attention
from emotts.kernels.variants import HEAD_DIM, TILES, Tile
from emotts.layers import lengths_to_mask, rotary_tables

BATCHES, HEADS, FRAMES = (1, 2, 4), (4, 6), (100, 250, 500, 1000)
QUICK = ((1, 2), (1,), (9, 33))
BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
FUSED = {"fused": None, **{tile.name: tile for tile in TILES}}
INPUT_SETS, REPLAYS = 4, 100
WORTH = 1.05  # below this gain the table of emotts/kernels/dispatch.py leaves SDPA its place


@dataclass(frozen=True)
class Shape:
    """One size; ragged lengths are drawn between 30 % of the frames and all of them."""

    batch: int
    heads: int
    frames: int
    is_ragged: bool


@dataclass(frozen=True)
class Row:
    """One measurement: median microseconds of one block, how far two medians lay apart, relative error against float64."""

    shape: Shape
    arm: str
    microseconds: float
    spread: float
    error: float


class Block(nn.Module):
    """The attention of one block with random weights, in the ways that are compared."""

    def __init__(self, shape: Shape, dtype: torch.dtype, device: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shape, channels = shape, shape.heads * HEAD_DIM
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.gain_q, self.gain_k = (nn.Parameter(1.0 + 0.3 * torch.randn(HEAD_DIM)) for _ in range(2))
        self.requires_grad_(False).to(device, dtype)
        spread = torch.linspace(0.3, 1.0, shape.batch) if shape.is_ragged else torch.ones(shape.batch)
        self.lengths = (spread * shape.frames).long().clamp_min(1).to(device)
        self.starts = torch.arange(shape.batch, device=device) * shape.frames
        self.mask = lengths_to_mask(self.lengths, shape.frames) if shape.is_ragged else None
        self.rope = torch.cat(rotary_tables(shape.frames, torch.device(device), torch.float32), dim=1)

    def fused(self, x: Tensor) -> Tensor:
        """Run the op; x is [B, T, C], and so is the result."""
        return self._by_op(attention_qkv, x)

    def tiled(self, tile: Tile) -> Callable[[Tensor], Tensor]:
        """Return `fused` with one tile, straight to the launcher."""
        usual = torch_launcher()
        launcher = Launcher(usual.driver, TORCH_DEVICE, usual.get_cubin, tile)
        return lambda x: self._by_op(lambda *inputs: launcher.run(Inputs(*inputs)), x)

    def exact(self, x: Tensor) -> Tensor:
        """Run the plain formula in float64."""
        twin = Block(self.shape, torch.float64, str(x.device))
        twin.load_state_dict(self.state_dict())
        return twin._by_op(reference_attention, x.double())

    def separate(self, x: Tensor, split: Callable[..., tuple[Tensor, ...]]) -> Tensor:
        """Run SDPA behind `split`, which makes normed and rotated heads."""
        query, key, value = split(self.qkv(x), self.gain_q, self.gain_k, self.rope)
        mask = None if self.mask is None else self.mask[:, None, None, :]
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(attended.transpose(1, 2).flatten(2))  # [B, H, T, 64] -> [B, T, C]

    def _by_op(self, attend: Callable[..., Tensor], x: Tensor) -> Tensor:
        rows = self.qkv(x).reshape(-1, 3, self.shape.heads, HEAD_DIM)
        gains, scale = (self.gain_q, self.gain_k), HEAD_DIM**-0.5
        return self.out(
            attend(rows, self.starts, self.lengths, self.shape.frames, *gains, self.rope, 1e-6, scale).view_as(x)
        )


def split_heads(qkv: Tensor, gain_q: Tensor, gain_k: Tensor, rope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split [B, T, 3 C] into queries, keys and values [B, H, T, 64], the first two normed and rotated in float32."""
    query, key, value = qkv.unflatten(-1, (3, -1, HEAD_DIM)).permute(2, 0, 3, 1, 4).unbind(0)
    query, key = (prepare(x.float(), gain, rope, 1e-6) for x, gain in ((query, gain_q), (key, gain_k)))
    return query.to(qkv.dtype), key.to(qkv.dtype), value


def measure(shape: Shape, arms: tuple[str, ...], dtype: torch.dtype, device: str) -> list[Row]:
    """Time every arm that runs at this shape; what SDPA refuses is left out."""
    block = Block(shape, dtype, device)
    draw = torch.Generator().manual_seed(1)
    size = (INPUT_SETS, shape.batch, shape.frames, shape.heads * HEAD_DIM)
    inputs = list(torch.randn(size, generator=draw).to(device, dtype))
    real = lengths_to_mask(block.lengths, shape.frames)
    exact = block.exact(inputs[0])[real]
    torch.compiler.reset()  # or after eight shapes the peers would silently run uncompiled
    split = torch.compile(split_heads, dynamic=False) if device == "cuda" else split_heads
    rows = []
    for arm in arms:
        run = runner(block, arm, split)
        with torch.no_grad(), sdpa_kernel([BACKENDS.get(arm, SDPBackend.MATH)]):
            try:
                error = float((run(inputs[0])[real].double() - exact).norm() / exact.norm())
                medians = [time_one(run, inputs, device) for _ in range(2)]
            except RuntimeError as refusal:
                print(f"{arm} does not run at {shape}: {str(refusal).splitlines()[0]}", file=sys.stderr)
                continue
        middle = statistics.mean(medians)
        rows.append(Row(shape, arm, middle, abs(medians[0] - medians[1]) / middle, error))
    return rows


def runner(block: Block, arm: str, split: Callable[..., tuple[Tensor, ...]]) -> Callable[[Tensor], Tensor]:
    """Return what an arm runs."""
    if arm not in FUSED:
        return lambda x: block.separate(x, split)
    tile = FUSED[arm]
    return block.fused if tile is None else block.tiled(tile)


def time_one(run: Callable[[Tensor], Tensor], inputs: list[Tensor], device: str) -> float:
    """Return the median time of one call in microseconds."""
    if device != "cuda":
        return statistics.median(_seconds(run, x) for x in inputs) * 1e6
    for x in inputs:
        run(x)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for x in inputs * 5:
            run(x)
    times = []
    for _ in range(REPLAYS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e3 / (5 * len(inputs)))
    return statistics.median(times)


def table(rows: list[Row]) -> str:
    """Return a Markdown table, a line per shape: microseconds per arm, and the gain of fused over the best other."""
    arms = list(dict.fromkeys(row.arm for row in rows))
    lines = [f"| batch | heads | frames | lengths | {' | '.join(f'{arm} us' for arm in arms)} | gain | error |"]
    lines.append("|---" * (6 + len(arms)) + "|")
    for shape in dict.fromkeys(row.shape for row in rows):
        found = {row.arm: row for row in rows if row.shape == shape}
        cells = [f"{found[arm].microseconds:.1f}" if arm in found else "" for arm in arms]
        lengths = "ragged" if shape.is_ragged else "equal"
        error = f"{found['fused'].error:.1e}" if "fused" in found else ""
        gain = f"{gain_of(found):.2f}" if gain_of(found) else ""
        lines.append(
            f"| {shape.batch} | {shape.heads} | {shape.frames} | {lengths} | {' | '.join(cells)} | {gain} | {error} |"
        )
    return "\n".join(lines)


def gain_of(found: dict[str, Row]) -> float:
    """Return the best other arm's time over the fused one's, 0 where one is missing."""
    others = [row.microseconds for arm, row in found.items() if arm not in FUSED]
    return min(others) / found["fused"].microseconds if others and "fused" in found else 0.0


def wins(rows: list[Row]) -> list[tuple[int, int]]:
    """Return (batch, frames) up to which fused wins at every measured size, for FUSED_WINS; none that another one includes."""
    gains: dict[tuple[int, int], float] = {}
    for shape in dict.fromkeys(row.shape for row in rows):
        size = (shape.batch, shape.frames)
        gain = gain_of({row.arm: row for row in rows if row.shape == shape})
        gains[size] = min(gain, gains.get(size, gain))
    good = [s for s in gains if all(g >= WORTH for t, g in gains.items() if t[0] <= s[0] and t[1] <= s[1])]
    return [s for s in good if not any(t != s and t[0] >= s[0] and t[1] >= s[1] for t in good)]


def machine(device: str) -> dict[str, Any]:
    """Say on what the times were taken."""
    facts = {"torch": torch.__version__, "cuda": torch.version.cuda, "python": platform.python_version()}
    if device != "cuda":
        return {"device": platform.processor() or platform.machine(), **facts}
    capability = torch.cuda.get_device_capability()
    return {
        "device": torch.cuda.get_device_name(),
        "capability": capability,
        "cudnn": torch.backends.cudnn.version(),
        **facts,
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes on the CPU: the op's plain form against SDPA's"
    )
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="write everything measured here")
    arguments = parser.parse_args(argv)
    device = "cpu" if arguments.quick else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        print("no CUDA GPU here; --quick shows that the benchmark runs, its times mean nothing.", file=sys.stderr)
        return 2
    arms = (*FUSED, "flash", "cudnn", "efficient") if device == "cuda" else ("fused", "math")
    warnings.filterwarnings("error", message="plain attention is used")  # or its times would pass for the kernel's
    sizes = QUICK if arguments.quick else (BATCHES, HEADS, FRAMES)
    shapes = [Shape(*size, is_ragged) for size in product(*sizes) for is_ragged in (False, True)]
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    rows = [row for shape in shapes for row in measure(shape, arms, dtype, device)]
    facts = {"machine": machine(device), "dtype": str(dtype), "rows": [asdict(row) for row in rows]}
    print(f"{facts['machine']['device']}, torch {torch.__version__}, {dtype}\n\n{table(rows)}")
    if device == "cuda":
        capability = torch.cuda.get_device_capability()
        print(
            "\nFUSED_WINS:",
            *(f"Win({capability}, max_sequences={b}, max_length={t})" for b, t in wins(rows)),
            sep="\n  ",
        )
    if arguments.output:
        arguments.output.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return 0


def _seconds(run: Callable[[Tensor], Tensor], x: Tensor) -> float:
    start = time.perf_counter()
    run(x)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
