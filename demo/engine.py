"""The work behind the tabs: checked wishes come in; takes with their files go out, one heavy job at a time."""

import atexit
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotts.emotion.heard import Heard
from emotts.judges import FEATURES, load_judge
from emotts.loop import asked_place
from emotts.pipeline import EmoTTS
from emotts.plan import has_spans
from emotts.provenance import is_of_person
from emotts.reference import neutral_speech
from emotts.server.guard import check_recording, check_text
from emotts.server.limits import Limits
from emotts.speech import Chunk, Result, join

from .takes import Place, Take

if TYPE_CHECKING:
    from emotts.conversion.result import Conversion
    from emotts.metrics.features_judge import FeaturesJudge
    from emotts.request import Request
    from emotts.speaker.profile import VoiceProfile

OWN_FOLDERS = "take-"
MAX_BYTES = 1_000_000_000  # of all that the folder holds
CLEAN_AFTER_S = 5.0
KEEP_S = 3_600.0  # how long files are kept
NO_CONSENT = (
    "consent must be stated before a person's voice is converted; it was not. Ask the person, then tick the box. Recordings that "
    "say of themselves that they are synthetic need none."
)

Tell = Callable[[float, str], None]


def silent(fraction: float, what: str) -> None:
    """Tell nobody."""


class Engine:
    """Speaks, converts and hears for all sessions of one app.

    `folder` holds their files; it is private, cleaned after KEEP_S, and goes when the process does.
    """

    def __init__(self, tts: EmoTTS, limits: Limits | None = None) -> None:
        self.tts, self.limits = tts, limits or Limits()
        self.folder = Path(tempfile.mkdtemp(prefix="emotts-demo-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self._busy = threading.Lock()
        self._cleaned = time.monotonic()
        self._known: dict[str, FeaturesJudge] = {}

    @property
    def voices(self) -> list[str]:
        """Names of the bundled voices, the default one first."""
        names = [card.name for card in self.tts.voices]
        return [self.tts.default_voice, *(name for name in names if name != self.tts.default_voice)]

    @property
    def voice_choices(self) -> list[tuple[str, str]]:
        """The bundled voices as a list shows them, each with its name."""
        cards = {card.name: card for card in self.tts.voices}
        return [
            (" · ".join(filter(None, (name, cards[name].gender, cards[name].accent))), name) for name in self.voices
        ]

    @cached_property
    def judge(self) -> "FeaturesJudge":
        """The judge whose answer is shown: the one that never steers."""
        judge: Any = load_judge(FEATURES)
        return judge

    def warm_up(self) -> None:
        """Speak and hear a word, so that the first visitor need not wait for what is loaded when first used."""
        take, result = self.speak("Hello there.", {"voice": self.voices[0], "seed": 0})
        self.listened(take, result.waveform, result.sample_rate)

    def speak(self, text: str, options: Mapping[str, Any], tell: Tell = silent) -> tuple[Take, Result]:
        """Speak a text; the take is not listened to yet, see `listened`.

        Args:
            text: may hold markup. options: of `EmoTTS.synthesize`, none of which names a file. tell: is told how far it is.

        Raises:
            ValueError: a mistake in text or options.
        """
        text = check_text(text, self.limits)
        with self.working(tell):
            started = time.perf_counter()
            request = self.tts.request(**options)
            chunks: list[Chunk] = []
            for chunk in self.tts.speak(text, request):
                chunks.append(chunk)
                said = sum(len(c.text) for c in chunks) / max(1, len(text))
                tell(min(0.95, said), f"spoken: {sum(len(c.waveform) for c in chunks) / self.tts.sample_rate:.1f} s")
            seconds = time.perf_counter() - started
        provenance = self.tts.provenance(text, request)
        result = join(chunks, text, request, seconds, provenance)
        asked = self._asked(text, request)
        emotion = str(request.asked or request.emotion) if request.timeline is None else "over time"
        take = Take(
            "speech", self.save(result, "emotts.wav"), text, request.voice, emotion, result.seed, result.duration_s,
            result.rtf, asked, None, {**options, "seed": result.seed},
        )  # fmt: skip
        return take, result

    def convert(
        self, path: str | Path, options: Mapping[str, Any], consent: bool, tell: Tell = silent
    ) -> "tuple[Take, Conversion]":
        """Convert a recording.

        Args:
            path: of the recording. options: of `EmoTTS.convert`. consent: whether the user has stated that the person agrees.
            tell: is told how far it is.

        Raises:
            ValueError: as `EmoTTS.convert`; the recording is too large; or a person speaks in it, or in that of the voice, who
                was not said to agree.
        """
        path, voice = Path(path), options.get("voice")
        recordings = [path, *([Path(voice)] if voice is not None and voice not in self.voices else [])]
        length_s = [check_recording(recording, self.limits).duration_s for recording in recordings][0]
        is_person = any(is_of_person(recording) for recording in recordings)
        if is_person and not consent:
            raise ValueError(NO_CONSENT)
        with self.working(tell):
            tell(0.1, "hearing the recording")
            request = self.tts.conversion(**options)
            result = self.tts.converter.convert(
                path,
                request,
                told=lambda made_s: tell(0.1 + 0.55 * min(1.0, made_s / length_s), f"{made_s:.0f} s converted"),
            )
        if result.provenance is not None and is_person:
            result.provenance = replace(result.provenance, consent="stated")
        emotion = str(result.emotion)
        take = Take(
            "conversion", self.save(result, "emotts.wav"), path.name, result.voice, emotion, result.seed,
            result.duration_s, result.rtf, _place(asked_place(result.emotion)), None,
            {**options, "seed": result.seed},
        )  # fmt: skip
        return take, result

    def voice_of(self, path: str | Path, consent: bool) -> "VoiceProfile":
        """Learn a voice from a recording.

        Raises:
            ValueError: too large or too short a recording, nobody speaks in it, or the person was not said to agree.
        """
        check_recording(Path(path), self.limits)
        is_person = is_of_person(path)
        if is_person and not consent:
            raise ValueError(NO_CONSENT)
        with self.working(silent):
            profile = self.tts.voice_of([path], "reference")
        return replace(profile, facts={**profile.facts, "consent": "stated" if is_person else None})

    def listened(self, take: Take, waveform: np.ndarray, sample_rate: int) -> Take:
        """Return a take with what the judge hears in it, who knows the voice's neutral speech where it is a bundled one."""
        try:
            with self.working(silent):
                heard = self._judge_of(take).hear(waveform, sample_rate)
        except ValueError:  # too short, or silent
            return take
        return replace(take, heard=heard)

    def windows(self, take: Take, waveform: np.ndarray, sample_rate: int) -> list[Heard] | None:
        """Return what the judge hears in every half second; None where it hears nothing at all."""
        try:
            with self.working(silent):
                return self._judge_of(take).windows(waveform, sample_rate)
        except ValueError:
            return None

    def hear(self, waveform: np.ndarray, sample_rate: int) -> Heard:
        """Return what the judge hears.

        Raises:
            ValueError: silence, or too short.
        """
        with self.working(silent):
            return self.judge.hear(waveform, sample_rate)

    def save(self, result: Result, name: str) -> str:
        """Write a result with its provenance to a new private place; return the path."""
        place = self.new_file(name)
        result.save(place, sidecar=False)
        return str(place)

    def new_file(self, name: str) -> Path:
        """Return a path with this name in a new private folder; now and then it is cleaned, see `clean`."""
        if time.monotonic() - self._cleaned > CLEAN_AFTER_S:
            self.clean()
        return Path(tempfile.mkdtemp(prefix=OWN_FOLDERS, dir=self.folder)) / Path(name).name

    def clean(self) -> None:
        """Remove folders older than KEEP_S, and the oldest beyond MAX_BYTES, uploads among them."""
        self._cleaned = time.monotonic()
        ages = {}
        for folder in (*self.folder.glob(f"{OWN_FOLDERS}*"), *self.folder.glob("gradio/*")):
            try:
                ages[folder] = (folder.stat().st_mtime, sum(file.stat().st_size for file in folder.rglob("*")))
            except FileNotFoundError:  # somebody else removes too
                continue
        total, now = sum(size for _, size in ages.values()), time.time()
        for folder, (made, size) in sorted(ages.items(), key=lambda item: item[1]):
            is_old = now - made > KEEP_S and folder.parent == self.folder  # of its own files Gradio removes the old
            if is_old or total > MAX_BYTES:
                shutil.rmtree(folder, ignore_errors=True)
                total -= size

    @contextmanager
    def working(self, tell: Tell) -> Iterator[None]:
        """Wait for one's turn: two at once would be slower than one after the other."""
        if self._busy.locked():
            tell(0.0, "waiting for another request")
        with self._busy:
            yield

    def _judge_of(self, take: Take) -> "FeaturesJudge":
        """Return the judge, acquainted with a bundled voice."""
        if take.kind != "speech" or take.voice not in self.voices:
            return self.judge
        if take.voice not in self._known:
            self._known[take.voice] = self.judge.with_reference(neutral_speech(self.tts, take.voice))
        return self._known[take.voice]

    def _asked(self, text: str, request: "Request") -> Place | None:
        """Return the place that was asked for the whole; None where it changes along the text."""
        if request.timeline is not None or request.emotion.auto is not None or has_spans(text):
            return None
        return _place(asked_place(request.emotion))


def _place(values: tuple[float | None, ...]) -> Place:
    arousal, valence, dominance = values
    return arousal, valence, dominance
