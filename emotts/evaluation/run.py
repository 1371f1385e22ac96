"""Run an evaluation: a model, ears and a suite come in; results.jsonl grows line by line, and a killed run goes on where it was.

Every row is named by a digest of its request and of the system that answers it: nothing is made twice, nothing stale is kept.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotts.data.manifest import write_atomically
from emotts.emotion.labels import DIMENSIONS
from emotts.evaluation.conversion import compared, conversion_jobs
from emotts.evaluation.grid import Cell, Suite, make_grid, spread_voices
from emotts.evaluation.listen import Listener, unpack
from emotts.evaluation.measures import direction_similarity
from emotts.loop import steer
from emotts.reference import Neutral, neutral_speech

if TYPE_CHECKING:
    from emotts.pipeline import EmoTTS

RESULTS = "results.jsonl"
MODEL, TEACHER, COPY = "emotts", "teacher", "copy synthesis"
NOT_HEARD = (
    "simulation",
    "cli",
    "training.py",
    "plotting.py",
    "plotting_heard.py",
    "plotting_conversion.py",
)  # parts of emotts that no row depends on
Row = dict[str, Any]
Job = tuple[str, Row, Callable[[], Row]]  # key, what was asked, how it is made and measured


def evaluate(
    tts: "EmoTTS",
    listener: Listener,
    suite: Suite,
    out: Path,
    system: str,
    seed: int = 0,
    corpus: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    recordings: Sequence[Path] = (),
) -> list[Row]:
    """Make and measure every utterance of a suite that `out` does not hold yet.

    Args:
        tts: the model.
        listener: judges and other ears.
        suite: how large the grid is.
        out: a folder; results.jsonl in it is continued.
        system: digest of everything that decides a row besides its request, see `system_digest`.
        seed: of the grid.
        corpus: a simulated corpus whose test split, and its copy synthesis, are measured as the ceiling.
        progress: called with (done, all) after every row.
        recordings: paths that are converted besides the model's own speech.

    Returns:
        The rows of this suite in the order of the grid, with what only the whole shows: spk_similarity, emotion_similarity, and
        what `emotts.evaluation.conversion.compared` adds.

    Raises:
        ValueError: the text beside a recording is empty, or a corpus has no test split.
    """
    voices = voices_of(tts)
    cells = [cell for cell in make_grid(suite, voices, seed) if cell.part != "loop" or len(listener.judges) > 1]
    ears = per_voice(listener, lambda voice: neutral_speech(tts, voice))
    jobs = [_model_job(tts, ears, cell, system) for cell in cells]
    jobs += conversion_jobs(tts, listener, ears, suite, voices[: suite.n_voices], system, seed, recordings)
    if corpus is not None:
        from emotts.evaluation.ceiling import ceiling_jobs

        jobs += ceiling_jobs(tts, listener, corpus, suite.n_ceiling, system)
    out.mkdir(parents=True, exist_ok=True)
    done = read_rows(out / RESULTS)
    write_rows(out / RESULTS, done.values())  # without a line that a kill cut short
    with (out / RESULTS).open("a", encoding="utf-8") as file:
        for i, (key, asked, make) in enumerate(jobs):
            if key not in done:
                done[key] = {"key": key, **asked, **make()}
                file.write(json.dumps(done[key], ensure_ascii=False) + "\n")
                file.flush()
            if progress is not None:
                progress(i + 1, len(jobs))
    names = [judge.name for judge in listener.judges]
    rows = compared(add_similarities([done[key] for key, _, _ in jobs], names), names)
    write_rows(out / RESULTS, rows)
    return rows


def voices_of(tts: "EmoTTS") -> list[str]:
    """Return the voices of a model in the order in which a suite takes them."""
    return spread_voices([card.name for card in tts.voices], [card.teacher for card in tts.voices])


def per_voice(listener: Listener, neutral_of: Callable[[str], Neutral]) -> Callable[[str], Listener]:
    """Return a function from a voice to a listener that knows its neutral speech, which is made when it is first needed."""
    return lru_cache(maxsize=None)(lambda voice: listener.knowing(neutral_of(voice)))


def system_digest(folders: Iterable[Path]) -> str:
    """Digest the files of some folders (checkpoint, judges) and the code of emotts that speaks, hears and measures."""
    code = Path(__file__).resolve().parent.parent
    files = [path for path in code.rglob("*.py") if path.relative_to(code).parts[0] not in (*NOT_HEARD, "evaluation")]
    here = [code / "evaluation" / name for name in ("listen.py", "ceiling.py", "conversion.py")]
    digest = hashlib.sha256()
    for path in [*sorted(files), *here, *(p for f in folders for p in sorted(f.rglob("*")) if p.is_file())]:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def read_rows(path: Path) -> dict[str, Row]:
    """Read the rows of earlier runs by key; a line cut short by a kill is left out."""
    rows: dict[str, Row] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict) and isinstance(row.get("key"), str):
            rows[row["key"]] = row
    return rows


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Replace a file of rows at once."""
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def asked_keys(cell: Cell) -> Row:
    """Return what was asked, under the keys that every row begins with."""
    return {
        "system": MODEL,
        "part": cell.part,
        "text": cell.text,
        "voice": cell.voice,
        "seed": cell.seed,
        "label_asked": cell.label,
        "intensity_asked": cell.intensity,
        **{f"{name}_asked": value for name, value in zip(DIMENSIONS, cell.avd, strict=True)},
        "dimension": cell.dimension,
        "words": cell.words,
    }


def add_similarities(rows: Sequence[Row], judges: Sequence[str]) -> list[Row]:
    """Return the rows with what needs more than one of them.

    - spk_similarity: cosine with the mean voice of the neutral utterances of the same system and voice, itself left out.
    - emotion_similarity (first judge; the others' under emotion_similarity_<judge>): how alike the shift away from neutral of
      the same text and voice is to the mean shift that the same label and intensity make in other texts.
    """
    rows = [dict(row) for row in rows]
    whole = [row for row in rows if "error" not in row]
    for row in whole:
        others = [
            unpack(other["speaker_embedding"])
            for other in whole
            if _is_neutral(other) and other is not row and all(other[k] == row[k] for k in ("system", "voice"))
        ]
        if others:
            mean = np.mean(others, axis=0)
            row["spk_similarity"] = round(float(unpack(row["speaker_embedding"]) @ mean / np.linalg.norm(mean)), 5)
    for i, judge in enumerate(judges):
        name = "emotion_similarity" if i == 0 else f"emotion_similarity_{judge}"
        _add_emotion_similarity(whole, f"embedding_{judge}", name)
    return rows


def _add_emotion_similarity(rows: Sequence[Row], source: str, name: str) -> None:
    neutral = {_place(row): unpack(row[source]) for row in rows if _is_neutral(row)}
    kinds: dict[tuple[Any, ...], list[tuple[Row, np.ndarray]]] = {}
    for row in rows:
        if row["part"] == "category" and not _is_neutral(row) and _place(row) in neutral:
            shift = unpack(row[source]) - neutral[_place(row)]
            kinds.setdefault((row["system"], row["label_asked"], row["intensity_asked"]), []).append((row, shift))
    for members in kinds.values():
        for row, _ in members:
            others = [shift for other, shift in members if other["text"] != row["text"]]
            if others:
                embedding = unpack(row[source])
                value = direction_similarity(embedding, neutral[_place(row)], np.mean(others, axis=0))
                row[name] = round(value, 5)


def _is_neutral(row: Row) -> bool:
    return row["part"] == "category" and row["label_asked"] == "neutral"


def _place(row: Row) -> tuple[str, str, str]:
    return row["system"], row["text"], row["voice"]


def _model_job(tts: "EmoTTS", ears: Callable[[str], Listener], cell: Cell, system: str) -> Job:
    def make() -> Row:
        listener = ears(cell.voice)
        if cell.part == "loop":
            return _steered(tts, listener, cell)
        result = tts.synthesize(cell.text, **cell.options())
        measured = listener.measure(
            result.waveform,
            result.sample_rate,
            cell.text,
            result.tokens,
            np.asarray(result.durations),
            cell.is_transcribed,
        )
        return {"rtf": round(result.rtf, 5), **measured}

    return cell.key(system), asked_keys(cell), make


def _steered(tts: "EmoTTS", listener: Listener, cell: Cell) -> Row:
    """Steer to a place by the first judge; tell the mean absolute error before and after, as every judge hears it."""
    steering, reporting = listener.judges[0], listener.judges[-1]
    try:
        outcome = steer(tts, cell.text, tts.request(**cell.options()), steering, reporting)
        row: Row = {"n_tries": len(outcome.tries), "is_met": outcome.is_met}
        for judge in listener.judges:
            for when, result in (("open", outcome.tries[0].result), ("closed", outcome.result)):
                heard = judge.hear(result.waveform, result.sample_rate).avd
                row[f"{when}_error_{judge.name}"] = round(float(np.mean(np.abs(np.subtract(cell.avd, heard)))), 5)
    except ValueError as error:
        return {"error": str(error)}
    return row | listener.measure(
        outcome.result.waveform, outcome.result.sample_rate, cell.text, is_transcribed=cell.is_transcribed
    )


def show_progress(what: str) -> Callable[[int, int], None]:
    """Return a callback that tells on stderr how far a run is: over and over on a terminal, every tenth elsewhere."""
    started = time.monotonic()
    shown = -1

    def show(done: int, n: int) -> None:
        nonlocal shown
        seconds = time.monotonic() - started
        line = f"{what}: {done}/{n}, {seconds:.0f} s"
        if sys.stderr.isatty():
            print(f"\r{line} ", end="\n" if done == n else "", file=sys.stderr, flush=True)
        elif 10 * done // n > shown:
            shown = 10 * done // n
            print(line, file=sys.stderr, flush=True)

    return show
