"""Speak a batch: checked rows come in; files and a log of results go out, and a run that was stopped goes on where it was."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from emotts.batch.outputs import append_result, held, read_results, write_results, write_speech
from emotts.batch.rows import Row
from emotts.batch.script import join_turns
from emotts.provenance import sidecar_path

if TYPE_CHECKING:
    from emotts.speech import Result

TOGETHER = 64  # rows that are given to the model at once, where it gains by that
Tell = Callable[[dict[str, Any], bool], None]


class Speaks(Protocol):
    """A model, as `EmoTTS`."""

    @property
    def synthesize(self) -> "Callable[..., Result]": ...


@dataclass(frozen=True)
class Batch:
    """Checked rows.

    Attributes:
        rows: to speak, in order.
        joined: name of a file that all of them are joined to; None joins nothing.
        pauses_s: silence before each row in that file.
    """

    rows: Sequence[Row]
    joined: str | None = None
    pauses_s: Sequence[float] = ()


@dataclass
class Summary:
    """What came of a batch.

    Attributes:
        n_rows: all there are. n_spoken: in this run. n_skipped: done before.
        failed: error by number of the row.
        joined_s: length of the joined file in seconds; None where there is none.
    """

    n_rows: int
    n_spoken: int = 0
    n_skipped: int = 0
    failed: dict[int, str] = field(default_factory=dict)
    joined_s: float | None = None


def run_batch(
    tts: Speaks,
    batch: Batch,
    folder: Path,
    *,
    model: str = "",
    resume: bool = False,
    keep_going: bool = False,
    sidecars: bool = True,
    tell: Tell | None = None,
) -> Summary:
    """Speak the rows one after the other, or several at a time where that is faster, on a GPU.

    Killed at any moment, it leaves whole files and a log that names them; the next run with `resume` does what is missing, and
    the files are the same as if nothing had happened, but for the last digits of samples where rows are spoken together.

    Args:
        tts: the model. batch: what to say. folder: to write to; created if it does not exist.
        model: names the checkpoint: what another one spoke is spoken again.
        resume: leave rows alone whose file exists and whose request stands in the log.
        keep_going: go on after a row that failed.
        sidecars: write beside each file how it was made; with `resume`, a row without one is spoken again.
        tell: is given each result, and whether it was there before.

    Raises:
        ValueError: another batch writes to the folder.
        OSError: it cannot be written to.
    """
    summary = Summary(len(batch.rows))
    tell = tell or (lambda result, is_old: None)
    with held(folder):
        done = _done_before(batch.rows, folder, model, sidecars) if resume else {}
        write_results(folder, done.values())
        ahead: dict[int, Result | Exception] = {}
        for i, row in enumerate(batch.rows):
            if row.number in done:
                summary.n_skipped += 1
                tell(done[row.number], True)
                continue
            if row.number not in ahead:
                ahead = _spoken_together(tts, [r for r in batch.rows[i:] if r.number not in done][:TOGETHER])
            result = _speak(tts, row, folder, model, sidecars, ahead.get(row.number))
            append_result(folder, result)
            tell(result, False)
            if "error" not in result:
                summary.n_spoken += 1
                continue
            summary.failed[row.number] = result["error"]
            if not keep_going:
                break
        if batch.joined is not None and summary.n_spoken + summary.n_skipped == len(batch.rows):
            summary.joined_s = join_turns(folder, batch.rows, batch.pauses_s, batch.joined, sidecars)
    return summary


def _done_before(rows: Sequence[Row], folder: Path, model: str, sidecars: bool) -> dict[int, dict[str, Any]]:
    results = read_results(folder)
    found = {}
    for row in rows:
        result = results.get(row.number, {})
        is_same = result.get("digest") == row.digest(model) and "error" not in result
        place = folder / row.output
        if is_same and place.is_file() and (not sidecars or sidecar_path(place).is_file()):
            found[row.number] = result
    return found


def _spoken_together(tts: Speaks, rows: Sequence[Row]) -> "dict[int, Result | Exception]":
    """Return what became of rows spoken in one pass, by number; none where the model does not gain by it."""
    if len(rows) < 2 or not getattr(tts, "gains_by_batches", False):
        return {}
    together: Any = tts
    spoken = together.synthesize_batch([row.text for row in rows], [{**row.options, "seed": row.seed} for row in rows])
    return {row.number: result for row, result in zip(rows, spoken, strict=True)}


def _speak(
    tts: Speaks, row: Row, folder: Path, model: str, sidecar: bool, spoken: "Result | Exception | None" = None
) -> dict[str, Any]:
    """Speak one row, unless that is done, and write its file; return its line of the log."""
    line = {"row": row.number, "output": row.output, "digest": row.digest(model), **row.facts}
    try:
        if isinstance(spoken, Exception):
            raise spoken
        result = spoken or tts.synthesize(row.text, **{**row.options, "seed": row.seed})
        write_speech(folder, row.output, result.waveform, result.sample_rate, result.provenance, sidecar)
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise  # a full disk fails every row
        kind = "" if isinstance(error, ValueError | FileNotFoundError) else f"{type(error).__name__}: "
        return {**line, "error": f"{kind}{error}"}
    return {
        **line,
        "duration_s": round(result.duration_s, 4),
        "rtf": round(result.rtf, 4),
        "seed": result.seed,
        "emotion": result.emotion.to_dict(),
        "voice": result.voice,
    }
