"""Who speaks in the benchmark, the teachers and the model, and a store that keeps what was measured.

An `Ask` goes in; out comes `Speech`, or through `Bench.measure` numbers, which go into a file under `runs/bench`, so
that an interrupted run resumes. The file is named by a digest of the system's code and weights.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from instruments import Instruments

from emotts.emotion.labels import AVD_MEANS, LABEL_INDEX, LABELS
from emotts.text.phonemize import phonemize

ROOT = Path(__file__).resolve().parent.parent
TEACHERS = (
    "emotts.simulation.hibari.HibariTeacher",
    "emotts.simulation.piper.PiperTeacher",
    "emotts.simulation.kokoro.KokoroTeacher",
)
# what decides how a model sounds: files and folders
SPEAKING = ("audio", "layers", "pipeline", "prosody", "prosody_flow", "request", "speech", "steps")
SPEAKING_ROOMS = ("acceleration", "acoustic", "speaker", "vocoder")


@dataclass(frozen=True)
class Ask:
    """One request: a label with intensity, or a point (arousal, valence, dominance) where the label is None.

    Attributes:
        steps, prosody_steps: of the model's flows; None is its default. Teachers ignore them.
    """

    text: str
    voice: str
    label: str | None = "neutral"
    intensity: float = 1.0
    point: tuple[float, float, float] = (0.0, 0.0, 0.0)
    seed: int = 0
    steps: int | None = None
    prosody_steps: int | None = None

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Speech:
    """An answer: waveform float32 [L] at 24 kHz, tokens [N], durations [N] in frames, F0 [T] in Hz, mel [T, M]."""

    waveform: np.ndarray
    tokens: list[str]
    durations: np.ndarray
    f0: np.ndarray
    mel: np.ndarray


class System(Protocol):
    """Something that answers an Ask; `digest` changes when its answers may."""

    name: str
    digest: str
    voices: list[str]

    def speak(self, ask: Ask) -> Speech: ...


class TeacherSystem:
    """The teachers of the simulated corpus, reading with the variation of the corpus; the seed draws the reading."""

    name = "teacher"

    def __init__(self, teachers: tuple[str, ...] = TEACHERS, cache: Path = ROOT / "runs" / "bench") -> None:
        self._owners: dict[str, Any] = {}
        for path in teachers:
            module, _, attribute = path.rpartition(".")
            try:
                cls = getattr(import_module(module), attribute)
            except ImportError as error:
                print(f"{attribute} is left out: {error}", file=sys.stderr)
                continue
            self._owners.update(dict.fromkeys(cls.voices, cls))
        self._speakers: dict[Any, Any] = {}
        self.voices = list(self._owners)
        sources = [*(ROOT / "emotts" / "simulation").glob("*.py"), ROOT / "emotts" / "emotion" / "rendering.py"]
        self.digest = digest_files(sources)
        self._folder = cache / f"teacher-{self.digest}"

    def speak(self, ask: Ask) -> Speech:
        path = self._folder / f"{ask.key}.npz"
        tokens = phonemize(ask.text)
        if path.is_file():
            with np.load(path) as saved:
                return _speech(saved["waveform"].astype(np.float32) / 32_767.0, tokens, saved["durations"], saved["f0"])
        rendition = self._render(ask, tokens)
        self._folder.mkdir(parents=True, exist_ok=True)
        samples = np.round(np.clip(rendition.waveform, -1.0, 1.0) * 32_767.0).astype(np.int16)
        np.savez(path, waveform=samples, durations=rendition.durations, f0=rendition.f0)
        return _speech(samples.astype(np.float32) / 32_767.0, tokens, rendition.durations, rendition.f0)

    def _render(self, ask: Ask, tokens: list[str]) -> Any:
        from emotts.emotion.rendering import controls_for
        from emotts.simulation.readings import sample_reading

        weights = np.zeros((len(tokens), len(LABELS)))
        point = np.asarray(ask.point, np.float64)
        if ask.label is not None:
            point = np.asarray(AVD_MEANS[ask.label]) * ask.intensity
            weights[:, LABEL_INDEX[ask.label]] = 0.0 if ask.label == "neutral" else ask.intensity
        cls = self._owners[ask.voice]
        if cls not in self._speakers:
            self._speakers[cls] = cls()
        reading = sample_reading(tokens, np.random.default_rng(ask.seed))
        controls = controls_for(np.tile(point, (len(tokens), 1)), weights)
        return self._speakers[cls].speak(tokens, ask.voice, controls, reading, ask.seed)


class ModelSystem:
    """The checkpoint under test."""

    name = "model"

    def __init__(self, checkpoint: Path | None = None, tts: Any = None) -> None:
        from emotts.pipeline import EmoTTS, bundled_checkpoint

        self.folder = None if tts is not None else (checkpoint or bundled_checkpoint())
        self.tts = tts if tts is not None else EmoTTS.from_pretrained(self.folder)
        self.voices = [voice.name for voice in self.tts.voices]
        files = [path for path in self.folder.rglob("*") if path.is_file()] if self.folder else []
        code = [ROOT / "emotts" / f"{name}.py" for name in SPEAKING]
        rooms = [path for room in SPEAKING_ROOMS for path in (ROOT / "emotts" / room).glob("*.py")]
        self.digest = digest_files([*files, *code, *rooms])

    def speak(self, ask: Ask) -> Speech:
        names = ("arousal", "valence", "dominance")
        if ask.label is not None:
            emotion: dict[str, Any] = {"emotion": f"{ask.label}:{ask.intensity:g}"}
        else:
            emotion = dict(zip(names, ask.point, strict=True))
        flow = {name: getattr(ask, name) for name in ("steps", "prosody_steps") if getattr(ask, name) is not None}
        result = self.tts.synthesize(ask.text, voice=ask.voice, seed=ask.seed, **emotion, **flow)
        return Speech(result.waveform, list(result.tokens), np.asarray(result.durations), result.f0, result.mel)


class Bench(Instruments):
    """Two systems and the judges, with every measure kept on disk."""

    def __init__(self, teacher: System, model: System, cache: Path = ROOT / "runs" / "bench", threads: int = 2) -> None:
        self.teacher, self.model, self.threads = teacher, model, threads
        cache.mkdir(parents=True, exist_ok=True)
        self._files = {s.name: cache / f"{s.name}-{s.digest}.jsonl" for s in (teacher, model)}
        self._known = {name: _read_measures(path) for name, path in self._files.items()}
        self._last: dict[tuple[str, str], Speech] = {}
        self._judges: dict[str, Callable[[Speech, Ask], dict[str, Any]]] = {
            "asr": lambda speech, ask: self.recogniser.word_errors([speech.waveform], [ask.text])[0].to_dict(),
            "quality": lambda speech, ask: self.dnsmos(speech.waveform).to_dict(),
            "speaker": lambda speech, ask: {"embedding": np.round(self.encoder.embed(speech.waveform), 5).tolist()},
            "prosody": lambda speech, ask: self._prosody(speech),
        }

    @property
    def voices(self) -> list[str]:
        """Voices that both systems have."""
        return [name for name in self.model.voices if name in self.teacher.voices]

    def speak(self, system: System, ask: Ask) -> Speech:
        """Return the answer; the last one is kept, since several judges hear it in turn."""
        key = (system.name, ask.key)
        if key not in self._last:
            self._last = {key: system.speak(ask)}
        return self._last[key]

    def measure(self, system: System, ask: Ask, kind: str) -> dict[str, Any]:
        """Return what the judge `kind` ("asr", "quality", "speaker", "prosody") says of the answer."""
        return self.keep(system, f"{ask.key}/{kind}", lambda: self._judges[kind](self.speak(system, ask), ask))

    def keep(self, system: System, key: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the values stored under a key for this system, computing and storing them on first use."""
        known = self._known[system.name]
        if key not in known:
            known[key] = compute()
            with self._files[system.name].open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "values": known[key]}) + "\n")
        return known[key]

    def _prosody(self, speech: Speech) -> dict[str, Any]:
        from emotts.metrics.prosody import measure_prosody

        return measure_prosody(speech.waveform, speech.tokens, speech.durations).to_dict()


def digest_files(paths: list[Path]) -> str:
    """Digest names and contents."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _speech(waveform: np.ndarray, tokens: list[str], durations: np.ndarray, f0: np.ndarray) -> Speech:
    import torch

    from emotts.audio import LogMel

    mel = LogMel()(torch.from_numpy(waveform)[None])[0, : len(f0)].numpy()
    return Speech(waveform, tokens, durations, f0, mel)


def _read_measures(path: Path) -> dict[str, dict[str, Any]]:
    """Read the measures of earlier runs; a line cut short by an interruption is left out."""
    known: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        known[row["key"]] = row["values"]
    return known
