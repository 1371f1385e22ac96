"""Many requests in one pass: what `EmoTTS.synthesize` gives for each, several rows of a batch at a time.

Comes in: texts with options. Goes out: a result for each, or its error. Segments of all requests are sorted by length, so that rows
of a batch are nearly alike, and padding is masked in every layer. Every segment keeps its own noise: its result does not depend on
its neighbours, but for sums that are added in another order.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emotts.acoustic.blend import Branch
from emotts.acoustic.model import AcousticModel
from emotts.acoustic.stacked import fits_others, joined_requests, shape_of
from emotts.acoustic.student import FlowStudent
from emotts.plan import KeptEdit, Planned
from emotts.prosody import FEATURES, Prosody, Reading
from emotts.provenance import Provenance
from emotts.request import Options, Request
from emotts.speech import Chunk, Result, join
from emotts.steps import flow_options

if TYPE_CHECKING:
    from emotts.acceleration import Choice

MAX_FRAMES = 24_000  # of one pass, padding included
MAX_ROWS = 32
FRAMES_PER_TOKEN = 8  # on average, to guess lengths before they are read


@dataclass
class Job:
    """A segment to be spoken.

    Attributes:
        owner: place of its request. number: of the segment in it.
        part, request: what is asked. branches: what is blended, B = 1.
        generator: of its noise, not drawn from yet.
    """

    owner: int
    number: int
    part: Planned
    request: Request
    branches: list[Branch]
    generator: torch.Generator

    @property
    def n_tokens(self) -> int:
        return len(self.part.segment.tokens)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What all rows of a batch have in common."""
        r = self.request
        sampling = (r.steps, r.prosody_steps, r.sampler, r.sampling, r.temperature, r.prosody_temperature)
        return (*sampling, r.speed, r.pitch, shape_of(self.branches))


class BatchedSpeech(ABC):
    """What a pipeline can do with many requests at once."""

    acoustic: AcousticModel
    vocoder: nn.Module
    student: FlowStudent | None
    device: torch.device
    backend: "Choice"

    @property
    def gains_by_batches(self) -> bool:
        """Whether many texts are faster together: on a GPU. A CPU is as busy with one, and padding costs it time."""
        return self.device.type == "cuda"

    @abstractmethod
    def request(self, **options: Unpack[Options]) -> Request:
        """Check a request, as `EmoTTS.request`."""

    @abstractmethod
    def plan(self, text: str, request: Request) -> Iterable[Planned]:
        """Return the segments of a text, as `EmoTTS.plan`."""

    @abstractmethod
    def speak(self, text: str, request: Request) -> Iterator[Chunk]:
        """Yield the chunks of a checked request, as `EmoTTS.speak`."""

    @abstractmethod
    def provenance(self, text: str, request: Request) -> Provenance:
        """Return what a file says of how it was made."""

    @abstractmethod
    def _branches_at(self, part: Planned, request: Request, number: int, start_s: float) -> list[Branch]: ...

    @abstractmethod
    def _speak_segment(self, part: Planned, request: Request, number: int, start_s: float) -> Chunk: ...

    @abstractmethod
    def _voiced(
        self, part: Planned, request: Request, prosody: Prosody, mel: Tensor, read: Reading, generator: torch.Generator
    ) -> Chunk: ...

    def synthesize_batch(
        self,
        texts: Sequence[str],
        each: Sequence[Mapping[str, Any]] = (),
        *,
        max_frames: int = MAX_FRAMES,
        **options: Unpack[Options],
    ) -> list[Result | Exception]:
        """Speak many texts, several at a time.

        Args:
            texts: as in `synthesize`.
            each: options of each text, laid over `options`; none or as many as texts.
            max_frames: of mel in one pass, padding included; less takes less memory.
            options: of all.

        Returns:
            For each text its result, as `synthesize` gives it with the same seed, or the error that `synthesize` would raise.
            Time, `rtf`, is that of the whole, shared by duration. A request that cannot be joined with others, such as one with
            classifier guidance, a time line in seconds or a voice from a recording, is spoken alone; so is every one where a
            backend rounds, for there the others would change it.

        Raises:
            ValueError: `each` is not as long as `texts`, or max_frames is below 1.
        """
        if len(each) not in (0, len(texts)):
            raise ValueError(f"each must hold options for each of {len(texts)} texts; got {len(each)}.")
        if max_frames < 1:
            raise ValueError(f"max_frames must be 1 or more; got {max_frames}.")
        started = time.perf_counter()
        run = _Run(self, max_frames)
        for i, text in enumerate(texts):
            run.take(i, text, {**options, **(each[i] if each else {})})
        run.speak()
        return run.results(texts, time.perf_counter() - started)


def noise_source(request: Request, number: int) -> torch.Generator:
    """Return the source of all noise of a segment: it depends on the seed and the segment's number alone."""
    return torch.Generator().manual_seed((request.seed * 1_000_003 + number) % 2**63)


class _Run:
    """One call of `synthesize_batch`."""

    def __init__(self, tts: BatchedSpeech, max_frames: int) -> None:
        self.tts, self.max_frames = tts, max_frames
        self.jobs: list[Job] = []
        self.requests: dict[int, Request] = {}
        self.chunks: dict[int, dict[int, Chunk]] = {}
        self.errors: dict[int, Exception] = {}

    def take(self, owner: int, text: str, options: dict[str, Any]) -> None:
        """Plan a request; what cannot be joined is spoken at once."""
        try:
            request = self.tts.request(**options)
            chunks: dict[int, Chunk] = {}
            jobs = []
            follows_time = request.timeline is not None and request.timeline.kind == "t"
            if request.classifier or request.classifier_away or follows_time or self.tts.backend.told:
                chunks = dict(enumerate(self.tts.speak(text, request)))
            else:
                for number, part in enumerate(self.tts.plan(text, request)):
                    branches = self.tts._branches_at(part, request, number, 0.0) if part.segment.tokens else []
                    if branches and fits_others(branches):
                        jobs.append(Job(owner, number, part, request, branches, noise_source(request, number)))
                    else:
                        chunks[number] = self.tts._speak_segment(part, request, number, 0.0)
        except Exception as error:
            self.errors[owner] = error
            return
        self.requests[owner], self.chunks[owner] = request, chunks
        self.jobs += jobs

    @torch.inference_mode()
    def speak(self) -> None:
        """Speak all jobs, those of a kind together."""
        kinds: dict[tuple[Any, ...], list[Job]] = {}
        for job in self.jobs:
            kinds.setdefault(job.kind, []).append(job)
        for jobs in kinds.values():
            jobs.sort(key=lambda job: job.n_tokens)
            for group in in_passes(jobs, [FRAMES_PER_TOKEN * job.n_tokens for job in jobs], self.max_frames):
                try:
                    self._speak_together(group)
                except Exception:  # of one of them, which must not sink the others
                    self._speak_apart(group)

    def _speak_together(self, jobs: Sequence[Job]) -> None:
        acoustic, request, device = self.tts.acoustic, jobs[0].request, self.tts.device
        edits = [KeptEdit(job.part.edit(job.request)) for job in jobs]
        encoded = acoustic.encoded(joined_requests([job.branches for job in jobs]))
        width = encoded.mask.shape[1]
        least = torch.tensor([job.part.least_frames + [0] * (width - job.n_tokens) for job in jobs], device=device)
        prosody = acoustic.sample_prosody(
            encoded, least, generator=jobs[0].generator, noise=_noise(jobs, [job.n_tokens for job in jobs], len(FEATURES)),
            temperature=request.prosody_temperature, speed=request.speed, pitch_st=request.pitch, edit=edits,
            **flow_options(request, request.prosody_steps, self.tts.student),
        )  # fmt: skip
        lengths = prosody.lengths.tolist()
        order = sorted(range(len(jobs)), key=lambda row: lengths[row])
        for rows in in_passes(order, [lengths[row] for row in order], self.max_frames):
            frames = max(lengths[row] for row in rows)
            read = Prosody(prosody.durations[rows], prosody.f0[rows, :frames], prosody.energy[rows])
            some = [jobs[row] for row in rows]
            mel = acoustic.sample_mel(
                encoded.rows(rows), read, generator=jobs[0].generator, temperature=request.temperature,
                noise=_noise(some, [lengths[row] for row in rows], len(acoustic.mel_mean)),
                **flow_options(request, request.steps, self.tts.student),
            )  # fmt: skip
            for i, (row, job) in enumerate(zip(rows, some, strict=True)):
                n, t = job.n_tokens, lengths[row]
                alone = Prosody(read.durations[i : i + 1, :n], read.f0[i : i + 1, :t], read.energy[i : i + 1, :n])
                own = (job.part, job.request, alone, mel[i : i + 1, :t], edits[row].last, job.generator)
                self.chunks[job.owner][job.number] = self.tts._voiced(*own)

    def _speak_apart(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            try:
                chunk = self.tts._speak_segment(job.part, job.request, job.number, 0.0)
                self.chunks[job.owner][job.number] = chunk
            except Exception as error:
                self.errors.setdefault(job.owner, error)

    def results(self, texts: Sequence[str], seconds: float) -> list[Result | Exception]:
        """Join the chunks of each request."""
        spoken = {owner: chunks for owner, chunks in self.chunks.items() if owner not in self.errors}
        n_samples = sum(len(chunk.waveform) for chunks in spoken.values() for chunk in chunks.values())
        found: list[Result | Exception] = []
        for owner, text in enumerate(texts):
            if owner in self.errors:
                found.append(self.errors[owner])
                continue
            chunks, request = [spoken[owner][number] for number in sorted(spoken[owner])], self.requests[owner]
            share = sum(len(chunk.waveform) for chunk in chunks) / max(1, n_samples)
            found.append(join(chunks, text, request, share * seconds, self.tts.provenance(text, request)))
        return found


def in_passes(items: Sequence[Any], lengths: Sequence[int], max_frames: int) -> Iterator[list[Any]]:
    """Cut items, sorted by length, into passes of at most MAX_ROWS rows whose padded size stays within max_frames.

    One that is longer alone is a pass of its own.
    """
    group: list[Any] = []
    for item, length in zip(items, lengths, strict=True):
        if group and (len(group) == MAX_ROWS or (len(group) + 1) * length > max_frames):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _noise(jobs: Sequence[Job], lengths: Sequence[int], channels: int) -> Tensor:
    """Draw the noise of each job [1, T, channels] from its own generator and fill up to [B, T, channels]."""
    longest = max(lengths)
    drawn = [torch.randn((1, n, channels), generator=job.generator) for job, n in zip(jobs, lengths, strict=True)]
    return torch.cat([F.pad(x, (0, 0, 0, longest - x.shape[1])) for x in drawn])
