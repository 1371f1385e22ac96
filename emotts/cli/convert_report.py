"""What `emotts convert` tells: rows or a line for each recording and how far it is on stderr, JSON on stdout."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotts.cli.convert_files import Job
from emotts.cli.inspect import escaped

if TYPE_CHECKING:
    from emotts.cli.convert_check import Checked
    from emotts.conversion.activity import Span
    from emotts.conversion.request import ConversionRequest
    from emotts.emotion.spec import EmotionSpec

N_LABELS = 2  # of a mixture that was heard, which people are told
NAME_CHARS = 40
SPOKEN = ("speech", "silence")


@dataclass(frozen=True)
class Converted:
    """What became of a recording.

    Attributes:
        job: what was read and written. request: as the user asked.
        felt, wanted: emotions of the recording and of the result. spans: what the recording holds.
        warnings: what may be wrong with it.
        duration_s, rtf: of the result.
        checked: of the closed loop, where it was asked for.
    """

    job: Job
    request: "ConversionRequest"
    felt: "EmotionSpec"
    wanted: "EmotionSpec"
    spans: "Sequence[Span]"
    warnings: Sequence[str]
    duration_s: float
    rtf: float
    checked: "Checked | None" = field(default=None, repr=False)


class Progress:
    """Shows on a terminal which recording is converted, and how far."""

    def __init__(self, n_jobs: int) -> None:
        self.n_jobs, self.number, self.name = n_jobs, 0, ""
        self.is_shown = sys.stderr.isatty()

    def begin(self, number: int, source: Path) -> None:
        """Show that a recording is begun; `number` counts from 0."""
        self.number, self.name = number, escaped(source.name)[:NAME_CHARS]
        self.tell(0.0)

    def tell(self, share: float) -> None:
        """Show how much of the recording is done, 0 to 1."""
        if self.is_shown:
            share = min(1.0, share)
            bar = "#" * int(20 * (self.number + share) / self.n_jobs)
            place = f"{self.number + 1}/{self.n_jobs} {self.name}"
            print(f"\r\x1b[K[{bar:<20}] {place}  {share:4.0%}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self.is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def summarise(self, n_jobs: int, failed: Sequence[Path]) -> None:
        """Say how many recordings were converted, and which were not."""
        from emotts.cli import say

        say(f"emotts: {n_jobs - len(failed)} of {n_jobs} recordings converted")
        if failed:
            say(f"emotts: {len(failed)} failed: {', '.join(map(str, failed))}")


def tell(done: Converted, arguments: argparse.Namespace, in_rows: bool) -> None:
    """Tell what was done: rows where there is one recording, else a line; warnings; and JSON where it is wanted."""
    from emotts.cli import say

    name = "" if in_rows else f"{done.job.source}: "
    for text in done.warnings:
        say(f"emotts: warning: {name}{text}")
    rows = rows_of(done, arguments)
    if in_rows:
        for title, value in rows.items():
            print(escaped(f"{title:<20}{value}"), file=sys.stderr)
    else:
        short = [rows["duration"], f"{rows['source emotion']} -> {rows['emotion asked']}"]
        short += [f"heard {rows['heard A V D']}"] if done.checked else []
        short += [f"similarity {rows['speaker similarity']}"] if "speaker similarity" in rows else []
        say(f"{done.job.source}: {', '.join(short)}, written {done.job.output}")
    if arguments.json:
        print(json.dumps(facts_of(done, arguments)), flush=True)


def tell_failure(job: Job, error: Exception, as_json: bool) -> None:
    """Tell in one line why a recording was not converted."""
    from emotts.cli import say

    kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
    say(f"emotts: {job.source}: {kind}{error}")
    if as_json:
        print(json.dumps({"source": str(job.source), "error": f"{kind}{error}"}), flush=True)


def rows_of(done: Converted, arguments: argparse.Namespace) -> dict[str, str]:
    """Return what people are told, line by line."""
    request = done.request
    voice = "of the recording" if request.keeps_voice else request.voice
    heard = "declared" if request.source_emotion is not None else "heard"
    asked = request.asked or request.emotion
    if asked is None and not request.moved:
        wanted = "as it is"
    else:
        wanted = str(asked) if asked is not None else ",".join(f"{name}={value:g}" for name, value in request.moved)
    rows = {
        "voice": voice,
        "source emotion": f"{in_words(done.felt)} ({heard})",
        "emotion asked": f"{wanted}, strength {request.strength:g}",
        "duration": f"{done.duration_s:.2f} s",
        "real-time factor": f"{done.rtf:.3f}",
        "seed": str(request.seed),
        "no speech": not_speech(done.spans),
    }
    rows |= done.checked.rows(arguments) if done.checked else {}
    rows["written"] = str(done.job.output)
    return rows | ({"plot": arguments.plot} if arguments.plot else {})


def facts_of(done: Converted, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what programs are told."""
    return {
        "source": str(done.job.source),
        "path": str(done.job.output),
        "plot": arguments.plot,
        "duration_s": round(done.duration_s, 4),
        "rtf": round(done.rtf, 4),
        "seed": done.request.seed,
        "voice": done.request.voice,
        "source_emotion": done.felt.to_dict(),
        "emotion": done.wanted.to_dict(),
        "strength": done.request.strength,
        "spans": [[round(span.start_s, 3), round(span.end_s, 3), span.kind] for span in done.spans],
        "warnings": list(done.warnings),
        **({"check": done.checked.facts()} if done.checked else {}),
    }


def in_words(emotion: "EmotionSpec") -> str:
    """Return an emotion without the smaller parts of a mixture; what is missing to 1 is neutral."""
    if not emotion.mixture:
        return str(emotion)
    neutral = 1.0 - sum(weight for _, weight in emotion.mixture)
    largest = sorted([*emotion.mixture, ("neutral", neutral)], key=lambda part: -part[1])[:N_LABELS]
    place = " ".join(f"{name[0].upper()} {value:+.2f}" for name, value in emotion.dimensions.items())
    return f"{' '.join(f'{name} {weight:.2f}' for name, weight in largest)}, {place}"


def not_speech(spans: "Sequence[Span]") -> str:
    """Return how many seconds of each kind are no plain speech, and where the first lies."""
    kinds: dict[str, list[Span]] = {}
    for span in spans:
        if span.kind not in SPOKEN:
            kinds.setdefault(span.kind, []).append(span)
    told = [
        f"{kind} {sum(s.end_s - s.start_s for s in found):.1f} s from {found[0].start_s:.1f} s"
        + (f" in {len(found)} places" if len(found) > 1 else "")
        for kind, found in kinds.items()
    ]
    return ", ".join(told) or "none"
