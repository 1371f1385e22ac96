"""How the time of synthesis divides among its stages: a clock is put around what each stage calls.

Comes in: an `EmoTTS`. Goes out: seconds by stage, each without those of the stages that it calls. What no stage covers is
`other`. A GPU is waited for at every border, so shares are honest there and totals are too long: totals are measured without.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import torch

OTHER = "other"
LARGEST_SHARE = 0.15  # of the time, for a stage outside the network


@dataclass(frozen=True)
class Stage:
    """A stage and what belongs to it.

    Attributes:
        name: in the table.
        is_network: whether learned layers spend the time.
        parts: paths from the pipeline object, such as `acoustic.encoded`, or names in a module, as `module:name`.
    """

    name: str
    is_network: bool
    parts: tuple[str, ...]


PIPELINE = "emotts.pipeline"
STAGES = (
    Stage("text to phonemes", False, (f"{PIPELINE}:text_to_segments", f"{PIPELINE}:word_texts")),
    Stage("request and plan", False, ("request", f"{PIPELINE}:plan_segments", "_branches_at")),
    Stage("encoders", True, ("acoustic.encoded",)),
    Stage("prosody: prior and flow", True, ("acoustic.sample_prosody", "acoustic.prosody.frames")),
    Stage("reading to frames", False, ("emotts.acoustic.model:finish_reading",)),
    Stage("mel trunk", True, ("acoustic.trunk.forward",)),
    Stage("mel flow", True, ("acoustic.sample_mel",)),
    Stage("vocoder: network", True, ("vocoder.predict_correction",)),
    Stage("vocoder: rendering", False, ("vocoder.render",)),
    Stage(
        "limiter, fades, sheets, joining",
        False,
        tuple(f"{PIPELINE}:{name}" for name in ("soften", "fade", "sheet_of", "with_pause", "join")),
    ),
    Stage("provenance", False, ("provenance",)),
)
WRITING = (
    "file writing"  # timed by the caller: it is not part of `synthesize`, and waits for the disk rather than computes
)


@dataclass
class StageClock:
    """Adds up seconds by stage; `enter` and `leave` may nest, and time counts for the innermost only."""

    synchronise: Callable[[], None] = lambda: None
    seconds: dict[str, float] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)
    _since: float = 0.0

    def enter(self, name: str) -> None:
        self._charge()
        self._open.append(name)

    def leave(self) -> None:
        self._charge()
        self._open.pop()

    @contextmanager
    def during(self, name: str) -> Iterator[None]:
        """Charge what happens inside to a stage."""
        self.enter(name)
        try:
            yield
        finally:
            self.leave()

    def timed(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return a function that does as `call` and charges its time, that of what it yields included, to a stage."""

        @wraps(call)
        def measured(*arguments: Any, **named: Any) -> Any:
            with self.during(name):
                result = call(*arguments, **named)
            return self._iterated(result, name) if isinstance(result, Iterator) else result

        return measured

    def _iterated(self, items: Iterator[Any], name: str) -> Iterator[Any]:
        while True:
            with self.during(name):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    def _charge(self) -> None:
        self.synchronise()
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now


@contextmanager
def clocked(tts: Any, clock: StageClock, stages: tuple[Stage, ...] = STAGES) -> Iterator[None]:
    """Put the clock around the parts of every stage, and take it off again.

    Raises:
        AttributeError: a part is not there; then STAGES is to be mended, or shares would be wrong in silence.
    """
    undo: list[Callable[[], None]] = []
    try:
        for stage in stages:
            for part in stage.parts:
                owner, name = _find(tts, part)
                undo.append(_replace(owner, name, clock.timed(getattr(owner, name), stage.name)))
        yield
    finally:
        for restore in reversed(undo):
            restore()


def shares(seconds: dict[str, float]) -> dict[str, float]:
    """Return each stage's part of the way from text to waveform, which file writing is not on."""
    spoken = {name: spent for name, spent in seconds.items() if name != WRITING}
    total = sum(spoken.values())
    return {name: spent / total for name, spent in spoken.items()}


def too_large(seconds: dict[str, float]) -> list[str]:
    """Return the stages outside the network that take more than their share."""
    networks = {stage.name for stage in STAGES if stage.is_network}
    return [name for name, share in shares(seconds).items() if name not in networks and share > LARGEST_SHARE]


def waits_for(device: torch.device) -> Callable[[], None]:
    """Return what waits until a device has done what it was told."""
    return (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else (lambda: None)


def _find(tts: Any, part: str) -> tuple[Any, str]:
    module, colon, name = part.partition(":")
    if colon:
        from importlib import import_module

        return import_module(module), name
    *path, name = part.split(".")
    owner = tts
    for step in path:
        owner = getattr(owner, step)
    return owner, name


def _replace(owner: Any, name: str, call: Callable[..., Any]) -> Callable[[], None]:
    """Set an attribute; return what undoes it. A method of a class comes back by itself when the instance's own one goes."""
    own = vars(owner)
    if name in own:
        before = own[name]
        own[name] = call
        return lambda: own.__setitem__(name, before)
    own[name] = call
    return lambda: own.__delitem__(name)
