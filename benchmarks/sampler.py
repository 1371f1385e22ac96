"""Time the solver: a step and a whole run, as it is, recorded, compiled and with fused attention; and what fewer steps cost.

    python benchmarks/sampler.py --output sampler.json             # here: a GPU if there is one, else the CPU
    python benchmarks/sampler.py --quality 24 --output steps.json   # words, DNSMOS, judge and mel against steps
    python benchmarks/sampler.py --tiny                             # only to see that it runs

Speed needs torch and this repository alone: the sentence is read from sampler_tokens.json. Inputs of runs are random, ragged
batches have lengths from 30 % to all of the frames. Times are medians; the spread is that between quartiles as a part of it.
"""

import argparse
import copy
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tables import git_commit
from torch import Tensor, nn

from emotts.acceleration import load_networks
from emotts.acceleration.load import Networks
from emotts.acoustic.captured import VARIABLE as GRAPHS
from emotts.acoustic.captured import CapturedFlow, CudaCapturer
from emotts.acoustic.condition import Condition
from emotts.acoustic.flow import Sampling, evaluation_times
from emotts.acoustic.sampler import FlowInputs, eager
from emotts.audio import SPEC
from emotts.checkpoint.shipped import shipped_folder
from emotts.emotion.labels import LABEL_INDEX, LABELS
from emotts.emotion.space import EmotionInput
from emotts.kernels.dispatch import VARIABLE as ATTENTION
from emotts.layers import lengths_to_mask
from emotts.text.symbols import encode, is_pause

TOKENS = Path(__file__).parent / "sampler_tokens.json"
FRAMES, STEPS = 469, 4  # 5 s; steps of the flow
BATCHES = {"cuda": (1, 16, 32), "cpu": (1, 4)}
REPEATS = {"cuda": 60, "cpu": 7}


@dataclass(frozen=True)
class Row:
    """One measurement: what ran on how many rows of a batch, milliseconds, their spread, and how much speech it made."""

    what: str
    arm: str
    dtype: str
    batch: int
    milliseconds: float
    spread: float
    nfe: int
    speech_s: float

    @property
    def rtf(self) -> float:
        """Seconds of computing for a second of speech."""
        return self.milliseconds / 1e3 / self.speech_s


def random_inputs(estimator: nn.Module, batch: int, dtype: torch.dtype, device: str, frames: int) -> FlowInputs:
    """Inputs of the mel flow for a ragged batch, longest first."""
    network: Any = estimator
    n_mels = network.head.out_features // 2
    width = network.enter.in_features // 2 - 2 * n_mels
    condition = network.blocks.norms[0].modulation.in_features - network.time.channels
    draw = torch.Generator().manual_seed(0)
    shapes = ((batch, frames, n_mels), (batch, frames, n_mels), (batch, frames, width), (batch, 1, condition))
    noise, prior, rows, told = (torch.randn(shape, generator=draw) for shape in shapes)
    lengths = (torch.linspace(1.0, 0.3 if batch > 1 else 1.0, batch) * frames).long()
    times = evaluation_times(Sampling().grid(STEPS))
    inputs = FlowInputs(noise, (prior, rows), (told,), lengths, torch.ones(STEPS, 1), times).mapped(
        lambda x: x.to(device)
    )
    halves = tuple(x.to(dtype) for x in inputs.over_time)
    return FlowInputs(
        inputs.noise, halves, (inputs.constant[0].to(dtype),), inputs.lengths, inputs.weights, inputs.times
    )


def solver_rows(networks: Networks, device: str, frames: int, compiled: bool) -> Iterator[Row]:
    """Time whole runs of the mel flow in every way that this device has."""
    grid = Sampling().grid(STEPS)
    dtypes = (torch.float32, torch.bfloat16) if device == "cuda" else (torch.float32,)
    for dtype in dtypes:
        plain = copy.deepcopy(networks.acoustic.estimator).to(dtype)
        arms: list[tuple[str, nn.Module, str]] = [("eager", plain, "sdpa")]
        if compiled:
            faster = copy.deepcopy(plain)
            faster.blocks.run = torch.compile(faster.blocks.run, dynamic=False)  # type: ignore[method-assign]
            arms.append(("compile", faster, "sdpa"))
        if dtype != torch.float32:
            arms.append(("fused attention", plain, "fused"))
        for batch in BATCHES[device]:
            inputs = random_inputs(plain, batch, dtype, device, frames)
            speech_s = float(inputs.lengths.sum()) / SPEC.frame_rate
            for arm, network, attention in arms:
                for is_recorded in (False, True) if device == "cuda" else (False,):
                    flow = CapturedFlow(CudaCapturer(torch.device(device))) if is_recorded else None

                    def run(flow: Any = flow, network: Any = network, inputs: FlowInputs = inputs) -> Tensor:
                        return (
                            flow.run(network, inputs, grid, "euler") if flow else eager(network, inputs, grid, "euler")
                        )

                    with environment(ATTENTION, attention):
                        milliseconds, spread = timed(run, device)
                    name = f"{arm} + graph" if is_recorded else arm
                    kind = str(dtype).removeprefix("torch.")
                    yield Row("mel flow", name, kind, batch, milliseconds, spread, STEPS, speech_s)


def speech_rows(networks: Networks, device: str) -> Iterator[Row]:
    """Time the way from phonemes to waveforms of the sentence, alone and as a ragged batch."""
    tokens = json.loads(TOKENS.read_text(encoding="utf-8"))["tokens"]
    acoustic, vocoder = networks.acoustic, networks.vocoder
    steps = networks.metadata.get("default_steps", STEPS)
    for batch in BATCHES[device]:
        condition, least = ragged_condition(tokens, batch, acoustic.text_encoder.n_stresses, device)
        frames = 0

        def speak(condition: Condition = condition, least: Tensor = least) -> Tensor:
            nonlocal frames
            draw = torch.Generator().manual_seed(0)
            encoded = acoustic.encoded(condition)
            student = networks.student
            options: dict[str, Any] = {"generator": draw, "student": student}
            prosody = acoustic.sample_prosody(encoded, least, steps=steps if student else 6, temperature=0.5, **options)
            mel = acoustic.sample_mel(encoded, prosody, steps=steps, temperature=0.2, **options)
            frames = int(prosody.lengths.sum())
            mask = lengths_to_mask(prosody.lengths, mel.shape[1]) if len(mel) > 1 else None
            return vocoder(mel, prosody.f0, mask, generator=draw).cpu()

        for is_recorded in (False, True) if device == "cuda" else (False,):
            with environment(GRAPHS, str(int(is_recorded))):
                milliseconds, spread = timed(speak, device)
            arm = "graph" if is_recorded else "eager"
            sampler = "student" if networks.student else "flow"
            speech_s = frames / SPEC.frame_rate
            yield Row(f"phonemes to waveform, {sampler}", arm, "float32", batch, milliseconds, spread, steps, speech_s)


def ragged_condition(tokens: list[str], batch: int, n_stresses: int, device: str) -> tuple[Condition, Tensor]:
    """Return a batch of beginnings of a sentence, the whole first, and the fewest frames of each token."""
    phonemes, stresses = (torch.tensor([row] * batch) for row in encode(tokens, n_stresses))
    n = len(tokens)
    lengths = (torch.linspace(1.0, 0.3 if batch > 1 else 1.0, batch) * n).long().clamp_min(2)
    labels = torch.zeros(batch, n, len(LABELS))
    labels[..., LABEL_INDEX["happy"]] = 0.8
    known = torch.ones(batch, n, dtype=torch.bool)
    emotion = EmotionInput(labels, known, torch.zeros(batch, n, 3), known[..., None].expand(-1, -1, 3) & False)
    condition = Condition(phonemes, stresses, lengths, torch.zeros(batch, dtype=torch.int64), emotion)
    least = torch.tensor([[0 if is_pause(token) else 1 for token in tokens]] * batch) * lengths_to_mask(lengths, n)
    return condition.to(torch.device(device)), least.to(device)


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name) if before is None else os.environ.__setitem__(name, before)


def timed(run: Callable[[], Tensor], device: str) -> tuple[float, float]:
    """Return the median milliseconds of a call and the distance of the quartiles as a share of it."""
    times = []
    with torch.inference_mode():
        for _ in range(3):  # compiles, and records on the second
            run()
        for _ in range(REPEATS[device]):
            if device == "cuda":
                torch.cuda.synchronize()
            start = time.perf_counter()
            run()
            if device == "cuda":
                torch.cuda.synchronize()
            times.append((time.perf_counter() - start) * 1e3)
    low, middle, high = statistics.quantiles(times, n=4)
    return middle, (high - low) / middle


def table(rows: list[Row]) -> str:
    """Return a Markdown table; gain is over the eager run of the same kind."""
    lines = ["| what | arm | dtype | batch | ms | ms per NFE | spread | RTF | gain |", "|---" * 9 + "|"]
    for row in rows:
        base = [r for r in rows if (r.what, r.arm, r.dtype, r.batch) == (row.what, "eager", row.dtype, row.batch)]
        gain = f"{base[0].milliseconds / row.milliseconds:.2f}" if base else ""
        lines.append(
            f"| {row.what} | {row.arm} | {row.dtype} | {row.batch} | {row.milliseconds:.2f} | "
            f"{row.milliseconds / row.nfe:.2f} | {row.spread:.0%} | {row.rtf:.5f} | {gain} |"
        )
    return "\n".join(lines)


def machine(device: str) -> dict[str, Any]:
    """Say on what the times were taken."""
    name = torch.cuda.get_device_name() if device == "cuda" else cpu_name()
    facts = {"torch": torch.__version__, "cuda": torch.version.cuda, "python": platform.python_version()}
    return {"device": name, "threads": torch.get_num_threads(), "commit": git_commit(), **facts}


def cpu_name() -> str:
    """Return what the system calls its processor."""
    place = Path("/proc/cpuinfo")
    lines = place.read_text(encoding="utf-8").splitlines() if place.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="folder of a model (default: the bundled one)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda if there is one")
    parser.add_argument("--tiny", action="store_true", help="few frames and repeats, only to see that it runs")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--quality", type=int, metavar="N", help="measure N sentences against steps instead")
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="write everything measured here")
    arguments = parser.parse_args(argv)
    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    facts: dict[str, Any] = {"machine": machine(device)}
    if arguments.quality:
        from sampler_quality import measure_quality, quality_table

        found = measure_quality(arguments.checkpoint, arguments.quality, arguments.tiny)
        facts["quality"] = [asdict(row) for row in found]
        text = quality_table(found)
    else:
        if arguments.tiny:
            BATCHES[device], REPEATS[device] = (1, 2), 2
        folder = arguments.checkpoint or shipped_folder("bundled", "give --checkpoint.", "EMOTTS_CHECKPOINT")
        networks = load_networks(folder, device, "plain" if device == "cuda" else None)
        networks.acoustic.eval(), networks.vocoder.eval()
        compiled = not (arguments.no_compile or arguments.tiny)
        rows = [*solver_rows(networks, device, 24 if arguments.tiny else FRAMES, compiled)]
        rows += speech_rows(networks, device)
        facts["rows"] = [{**asdict(row), "rtf": row.rtf} for row in rows]
        text = table(rows)
    print(f"{facts['machine']['device']}, torch {torch.__version__}\n\n{text}")
    if arguments.output:
        arguments.output.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
