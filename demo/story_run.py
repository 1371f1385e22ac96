"""Speaking a story: checked rows come in; row by row, files, results and at last one joined file go out, until it is stopped."""

import logging
import queue
import shutil
import threading
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotts.batch.outputs import held
from emotts.batch.rows import Row
from emotts.batch.run import Batch, run_batch
from emotts.batch.script import join_turns
from emotts.emotion.heard import Heard
from emotts.server.guard import sentence
from emotts.speech import Result

from .engine import Engine
from .stopping import Stop
from .story_read import JOINED, KINDS, Story

MAX_STORY_S = 1_200.0  # of speech
_log = logging.getLogger("emotts.demo")


@dataclass(eq=False)
class Run:
    """What became of a story so far.

    Attributes:
        story: that is spoken. folder: with its files.
        results: lines of results.jsonl by row, the feeling that was heard with them.
        heard: by the judge, by row.
        joined: path of the whole story, its length; None until there is one. archive: path of the ZIP.
        note: why it ended before its end; empty if it did not.
    """

    story: Story
    folder: Path
    results: dict[int, dict[str, Any]] = field(default_factory=dict)
    heard: dict[int, Heard] = field(default_factory=dict)
    joined: str | None = None
    joined_s: float = 0.0
    archive: str | None = None
    note: str = ""

    @property
    def spoken(self) -> list[Row]:
        """The rows whose files are there."""
        done = {number for number, result in self.results.items() if "error" not in result}
        return [row for row in self.story.rows if row.number in done]

    def path(self, row: Row) -> str:
        """Return the file of a row."""
        return str(self.folder / row.output)


class _EndedError(Exception):
    """The run ends after the row that was told."""


class _Voice:
    """Speaks through the engine, and listens to what was spoken."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.heard: Heard | None = None
        self.spoken_s = 0.0

    def synthesize(self, text: str, **options: Any) -> Result:
        try:
            take, result = self.engine.speak(text, options)
        except Exception as error:
            if not isinstance(error, ValueError | FileNotFoundError):
                _log.error("a row failed", exc_info=error)
            raise ValueError(sentence(error)) from None
        self.heard = self.engine.listened(take, result.waveform, result.sample_rate).heard
        self.spoken_s += result.duration_s
        shutil.rmtree(Path(take.path).parent, ignore_errors=True)  # the batch writes its own file
        return result


def run_story(engine: Engine, story: Story, stop: Stop) -> Iterator[Run]:
    """Speak the rows; yield what there is after each, and at last with the joined story and the ZIP.

    A row that fails is told and left out. After a wish to stop no other row is begun; what is there is joined and packed.

    Raises:
        ValueError: the story has problems.
    """
    if story.problems or not story.rows:
        raise ValueError(
            f"the story has {len(story.problems)} problems; mend them first. {' '.join(story.problems[:3])}"
        )
    run = Run(story, engine.new_file("story") / "spoken")
    updates: queue.Queue[Any] = queue.Queue()
    voice = _Voice(engine)

    def tell(result: dict[str, Any], is_old: bool) -> None:
        updates.put((result, voice.heard))
        voice.heard = None
        if stop.is_wished or voice.spoken_s > MAX_STORY_S:
            raise _EndedError

    def work() -> None:
        try:
            run_batch(
                voice, Batch(story.rows), run.folder, model=engine.tts.card.manifest_sha256, keep_going=True, tell=tell
            )
        except _EndedError:
            pass
        except BaseException as error:
            updates.put(error)
        updates.put(None)

    worker = threading.Thread(target=work, daemon=True)
    try:
        if not stop.is_wished:
            worker.start()
            while (update := updates.get()) is not None:
                yield _taken_in(run, update)
        _finish(engine, run, stop)
        yield run
    finally:  # also where whoever asked has left
        stop.is_wished = True


def _taken_in(run: Run, update: Any) -> Run:
    """Add a result to a run.

    Raises:
        BaseException: the one that ended the work.
    """
    if isinstance(update, BaseException):
        raise update
    result, heard = update
    if heard is not None:
        run.heard[result["row"]] = heard
        result = {**result, "heard": heard.to_dict()}
    run.results[result["row"]] = result
    return run


def _finish(engine: Engine, run: Run, stop: Stop) -> None:
    """Join what is spoken and pack it."""
    spoken, story = run.spoken, run.story
    if len(run.results) < len(story.rows):
        why = "as was wished" if stop.is_wished else f"as a story lasts at most {MAX_STORY_S / 60:g} min here"
        run.note = f"Stopped after {len(run.results)} of {len(story.rows)} rows, {why}."
    if not spoken:
        return
    pauses = dict(zip((row.number for row in story.rows), story.pauses_s, strict=True))
    with held(run.folder):
        run.joined_s = join_turns(
            run.folder, spoken, [pauses[row.number] * (i > 0) for i, row in enumerate(spoken)], JOINED
        )
    run.joined = str(run.folder / JOINED)
    run.archive = str(pack(run.folder, engine.new_file("story.zip"), f"story{KINDS[story.kind]}", story.source))


def pack(folder: Path, place: Path, name: str, source: str) -> Path:
    """Write a ZIP of all files of a folder that are not hidden, and of the text they come from; return its path."""
    with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(name, source)
        for path in files_of(folder):
            archive.write(path, path.relative_to(folder).as_posix())
    return place


def files_of(folder: Path) -> Sequence[Path]:
    """Return the files below a folder, hidden ones left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
