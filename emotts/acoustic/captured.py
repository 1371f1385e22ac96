"""Whole runs of a flow recorded once and replayed: CUDA graphs, one for each bucket of batch and length.

Comes in: a velocity network and `FlowInputs`. Goes out: what `run_flow` gives. A GPU computes a step of this model in less time
than Python needs to ask for it; a graph asks for all steps, the blending of the branches and the updates at once. Lengths lie on
the device and masks follow from them, so that one graph serves every length up to its bucket: buckets need not be exact shapes.
"""

import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor

from emotts.acoustic.sampler import Bend, FlowInputs, FlowNetwork, eager, run_flow
from emotts.layers import lengths_to_mask

VARIABLE = "EMOTTS_GRAPHS"
LENGTHS = (
    16,
    32,
    48,
    64,
    96,
    128,
    192,
    256,
    384,
    512,
    768,
    1024,
    1536,
    2048,
)  # positions; longer runs are not recorded
BATCHES = (1, 2, 4, 8, 16, 32)
MAX_GRAPHS = 24  # kept for one network
MAX_SEEN = 256  # buckets remembered to have come once

Run = Callable[[FlowInputs], Tensor]


class Replay(Protocol):
    """A recorded run: `replay` computes again from what lies in its inputs now, into `output`."""

    output: Tensor

    def replay(self) -> None: ...


class Capturer(Protocol):
    """What records runs.

    `order` is called before anything of a recording is touched. `capture` runs `run` on inputs that stay where they are and gives
    the recording; RuntimeError says that it cannot.
    """

    def order(self) -> None: ...

    def capture(self, run: Run, inputs: FlowInputs) -> Replay: ...


class CudaReplay:
    """A CUDA graph and where it leaves its result."""

    def __init__(self, graph: torch.cuda.CUDAGraph, output: Tensor) -> None:
        self.graph, self.output = graph, output

    def replay(self) -> None:
        """Ask for the whole run at once, on the current stream."""
        self.graph.replay()


class CudaCapturer:
    """Records CUDA graphs of one device that share one pool of memory, so that no two may run at once."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.pool: Any = None
        self.last: torch.cuda.Stream | None = None

    def order(self) -> None:
        """Let the current stream wait for the one that replayed last."""
        stream = torch.cuda.current_stream(self.device)
        if self.last is not None and self.last != stream:
            stream.wait_stream(self.last)
        self.last = stream

    def capture(self, run: Run, inputs: FlowInputs) -> CudaReplay:
        """Run twice on a stream beside, so that kernels are compiled and libraries have their workspaces, then record."""
        with torch.cuda.device(self.device):
            self.pool = torch.cuda.graph_pool_handle() if self.pool is None else self.pool
            side = torch.cuda.Stream(self.device)
            side.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(side):
                for _ in range(2):
                    run(inputs)
            torch.cuda.synchronize(self.device)
            graph = torch.cuda.CUDAGraph()
            # Other threads may go on using the GPU meanwhile, such as those of a server.
            with torch.cuda.graph(graph, pool=self.pool, stream=side, capture_error_mode="thread_local"):
                output = run(inputs)
        return CudaReplay(graph, output)


@dataclass
class Graph:
    """A recording and the inputs that it reads."""

    inputs: FlowInputs
    recorded: Replay


class CapturedFlow:
    """Runs the flows of one network, from the second request of a bucket on by replay.

    The first request of a bucket is computed plainly: a bucket that never comes again costs no recording, and nothing is compiled
    while one runs. What cannot be recorded is computed plainly from then on, with a warning.
    """

    def __init__(self, capturer: Capturer, max_graphs: int = MAX_GRAPHS) -> None:
        self.capturer, self.max_graphs = capturer, max_graphs
        self.graphs: OrderedDict[Any, Graph] = OrderedDict()  # the one unused for the longest comes first
        self.is_broken = False
        self._seen: OrderedDict[Any, None] = OrderedDict()  # buckets that came once
        self._lock = threading.Lock()

    def run(self, network: FlowNetwork, inputs: FlowInputs, grid: Tensor, method: str) -> Tensor:
        """Return what `run_flow` gives [B, T, M].

        Args:
            network: always the same one. inputs: of the run.
            grid: times of the steps, on the CPU. method: one of flow.METHODS.
        """
        batch, length = inputs.noise.shape[:2]
        if self.is_broken or batch > BATCHES[-1] or length > LENGTHS[-1]:
            return eager(network, inputs, grid, method)
        bucket = (_up_to(batch, BATCHES), _up_to(length, LENGTHS))
        key = (*bucket, method, tuple(grid.tolist()), _formats(inputs), _whereabouts(network))
        with self._lock:
            graph = self._graph(key, network, inputs, grid, method)
            if graph is None:
                return eager(network, inputs, grid, method)
            self.capturer.order()
            refresh(graph.inputs, padded_inputs(inputs, *bucket))
            graph.recorded.replay()
            return graph.recorded.output[:batch, :length].clone()

    def _graph(self, key: Any, network: FlowNetwork, inputs: FlowInputs, grid: Tensor, method: str) -> Graph | None:
        """Return the recording of a bucket, made now if it comes for the second time; None where there is none."""
        if key not in self.graphs:
            if key not in self._seen:
                _keep(self._seen, key, None, MAX_SEEN)
                return None
            with torch.inference_mode(False), torch.no_grad():  # so that they can be refreshed in any mode
                static = padded_inputs(inputs, *key[:2]).mapped(torch.clone)
            try:
                self.capturer.order()
                recorded = self.capturer.capture(_recordable(network, grid, method), static)
            except RuntimeError as error:
                self.is_broken = True
                warnings.warn(
                    f"flows are not recorded as CUDA graphs: {error}. {VARIABLE}=0 asks for none.", stacklevel=5
                )
                return None
            _keep(self.graphs, key, Graph(static, recorded), self.max_graphs)
        self.graphs.move_to_end(key)
        return self.graphs[key]


def padded_inputs(inputs: FlowInputs, batch: int, length: int) -> FlowInputs:
    """Fill up inputs with zeros to a batch and a length; added rows are one position long, so that attention has a key."""
    rows, positions = inputs.noise.shape[:2]
    copies = inputs.weights.shape[1]

    def fill(x: Tensor, is_over_time: bool, n_copies: int) -> Tensor:
        x = x.unflatten(0, (n_copies, rows))  # [K * B, T, C] -> [K, B, T, C]
        missing = length - positions if is_over_time else 0
        return F.pad(x, (0, 0, 0, missing, 0, batch - rows)).flatten(0, 1)

    return replace(
        inputs,
        noise=fill(inputs.noise, True, 1),
        over_time=tuple(fill(x, True, copies) for x in inputs.over_time),
        constant=tuple(fill(x, False, copies) for x in inputs.constant),
        lengths=F.pad(inputs.lengths, (0, batch - rows), value=1),
    )


def refresh(static: FlowInputs, inputs: FlowInputs) -> None:
    """Copy inputs into those that a recording reads."""
    for old, new in zip(static.tensors, inputs.tensors, strict=True):
        old.copy_(new)


def graphs_wanted(device: torch.device) -> bool:
    """Whether runs on a device are recorded: on CUDA, unless $EMOTTS_GRAPHS is 0.

    Raises:
        ValueError: it is neither 0 nor 1.
    """
    asked = os.environ.get(VARIABLE) or "1"
    if asked not in ("0", "1"):
        raise ValueError(f"{VARIABLE} must be 0 or 1; got {asked!r:.60}. Unset it for 1.")
    return asked == "1" and device.type == "cuda"


_flows: WeakKeyDictionary[FlowNetwork, CapturedFlow] = WeakKeyDictionary()
_flows_lock = threading.Lock()


def sample_flow(
    network: FlowNetwork, inputs: FlowInputs, grid: Tensor, method: str, bend: Bend | None = None
) -> Tensor:
    """Run a flow, by a recording where there can be one; arguments as in `run_flow`.

    The plain way is taken by what is bent or wants gradients, under autocast, inside of another recording or compilation, and
    everywhere but on CUDA.
    """
    device = inputs.noise.device
    if bend is not None or torch.is_grad_enabled() or not graphs_wanted(device):
        return eager(network, inputs, grid, method, bend)
    if torch.is_autocast_enabled(device.type) or torch.compiler.is_compiling() or _is_capturing():
        return eager(network, inputs, grid, method)
    with _flows_lock:
        flow = _flows.setdefault(network, CapturedFlow(CudaCapturer(device)))
    return flow.run(network, inputs, grid, method)


def _recordable(network: FlowNetwork, grid: Tensor, method: str) -> Run:
    """Return a run whose every operation is on the device and the same for all lengths."""

    def run(inputs: FlowInputs) -> Tensor:
        mask = lengths_to_mask(inputs.lengths, inputs.noise.shape[1])
        return run_flow(network, inputs, grid, method, mask)

    return run


def _is_capturing() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


def _up_to(size: int, buckets: tuple[int, ...]) -> int:
    return next(bucket for bucket in buckets if size <= bucket)


def _formats(inputs: FlowInputs) -> tuple[Any, ...]:
    """Return what of the inputs a recording is bound to besides its bucket: channels, branches, calls and number formats."""
    copies = inputs.weights.shape
    return (*copies, *((x.shape[2:], x.dtype) for x in (inputs.noise, *inputs.over_time, *inputs.constant)))


def _whereabouts(network: FlowNetwork) -> tuple[int, ...]:
    """Return where weights lie: a network moved to other memory or another format needs new recordings."""
    parameters = getattr(network, "parameters", None)
    return () if parameters is None else tuple(parameter.data_ptr() for parameter in parameters())


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any, at_most: int) -> None:
    """Put in a value as the newest and drop the oldest above a number."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > at_most:
        kept.popitem(last=False)
