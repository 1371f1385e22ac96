"""What the parts of benchmarks/convert.py stand on: the model that converts, the judges, and a store of both.

A source and options go in, a `Clip` comes out; a clip goes in, measures come out. Audio lies under runs/bench, in a folder named
by a digest of code and weights; measures lie beside it by a digest of the judges, each under the digest of the samples it is of.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from convert_data import Source, Speaker
from convert_store import SEED, Clip, Heard, Store, Target, copy_synthesis, main_label, word_borders
from instruments import Instruments
from speak_systems import ROOT, digest_files

from emotts import EmoTTS
from emotts.audio import SPEC, LogMel, load_audio
from emotts.emotion.labels import LABELS
from emotts.emotion.spec import EmotionSpec
from emotts.judges import bundled_judge, load_judge
from emotts.pipeline import bundled_checkpoint
from emotts.reference import neutral_speech
from emotts.text import phonemize

# what decides how a result sounds
CONVERTING = ("audio", "layers", "listeners", "pipeline", "pitch", "prosody", "resolve", "speech")
ROOMS = ("acoustic", "content", "conversion", "emotion", "speaker", "vocoder")


class Bench(Instruments):
    """The model under test and everything that judges it."""

    def __init__(self, checkpoint: Path | None = None, threads: int = 2, cache: Path = ROOT / "runs" / "bench") -> None:
        self.checkpoint, self.threads, self.cache = checkpoint or bundled_checkpoint(), threads, cache
        weights = [*_weights(self.checkpoint), *_weights(bundled_judge("recognizer")), *_converter()]
        self.digest = digest_files([*weights, *_code()])
        judging = [*(ROOT / "emotts" / "metrics").glob("*.py"), *_weights(bundled_judge("features"))]
        self.store = Store(cache / f"convert-measures-{digest_files(judging)}.jsonl")
        self.folder = cache / f"convert-{self.digest}"

    @cached_property
    def tts(self) -> Any:
        return EmoTTS.from_pretrained(self.checkpoint)

    @cached_property
    def judge(self) -> Any:
        return load_judge("features")

    @cached_property
    def listener(self) -> Any:
        from emotts.listeners import load_listener

        return load_listener()

    @cached_property
    def reference_voice(self) -> Any:
        from emotts.listeners import load_reference_voice

        return load_reference_voice()

    @cached_property
    def hearing(self) -> str:
        """Digest of what lays words over a recording."""
        return digest_files([*_converter(), *(ROOT / "emotts" / "content").glob("*.py")])

    # --- sound

    def load(self, source: Source) -> Clip:
        return Clip(load_audio(source.path))

    def convert(self, source: Source, target: Target | None = None, **options: Any) -> Clip:
        """Return the recording converted, from the store if it was made before."""
        given = {"seed": SEED, **options}
        key = [self.load(source).key, target.name if target else None, sorted(given.items())]
        voice = {"voice": target.value} if target else {}

        def make() -> Clip:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they are in the result too
                result = self.tts.convert(source.path, **given, **voice)
            return Clip(result.waveform, tuple(result.warnings), main_label(result.source_emotion))

        return self._kept(key, make)

    def still(self, source: Source) -> Clip:
        """Return the recording converted with strength 0, where the emotion that is asked makes no difference."""
        return self.convert(source, emotion="happy", strength=0.0)

    def is_taken_for_neutral(self, source: Source) -> bool:
        """Say whether a conversion that is told nothing of the source takes it for neutral."""
        return self.tts.converter.emotion_of(self.load(source).waveform) == EmotionSpec()

    def say(self, text: str, voice: str, emotion: str) -> Clip:
        """Return what synthesis says: the model's own way of moving a text."""
        return self._kept(
            ["say", text, voice, emotion],
            lambda: Clip(self.tts.synthesize(text, voice=voice, emotion=emotion, seed=SEED).waveform),
        )

    def copy(self, source: Source) -> Clip:
        """Return the recording through front end and vocoder alone."""
        clip = self.load(source)
        return self._kept(["copy", clip.key], lambda: Clip(copy_synthesis(self.tts.vocoder, clip.waveform)))

    def neutral(self, voice: str) -> tuple[Clip, ...]:
        """Return the neutral sentences of a named voice."""

        def make() -> Clip:
            return Clip(np.concatenate([waveform for waveform, _ in self._spoken(voice)]))

        lengths = self.store.keep(f"{self.digest}/lengths/{voice}", lambda: [len(w) for w, _ in self._spoken(voice)])
        joined = self._kept(["neutral", voice], make).waveform
        return tuple(Clip(part) for part in np.split(joined, np.cumsum(lengths)[:-1]))

    def _spoken(self, voice: str) -> Any:
        return neutral_speech(self.tts, voice)

    def _kept(self, key: Sequence[Any], make: Callable[[], Clip]) -> Clip:
        name = hashlib.sha256(json.dumps(key, default=str).encode()).hexdigest()[:20]
        path = self.folder / f"{name}.npz"
        if not path.is_file():
            clip = make()
            facts = json.dumps({"warnings": clip.warnings, "source_emotion": clip.source_emotion})
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".tmp.npz")
            samples = np.round(np.clip(clip.waveform, -1.0, 1.0) * 32_767.0).astype(np.int16)
            np.savez(temporary, waveform=samples, facts=facts)
            temporary.replace(path)
        with np.load(path) as saved:
            facts = json.loads(str(saved["facts"]))
            waveform = saved["waveform"].astype(np.float32) / 32_767.0
        return Clip(waveform, tuple(facts["warnings"]), facts["source_emotion"])

    # --- voices

    def told(self, speaker: Speaker) -> tuple[Clip, ...]:
        """Return what a judge is told of a speaker: copies, so that the vocoder is no part of what it hears."""
        return tuple(self.copy(source) for source in speaker.told)

    def named(self, voice: str) -> Target:
        return Target(voice, voice, self.neutral(voice))

    def zero_shot(self, speaker: Speaker) -> Target:
        """Return a target known from the told recordings alone; it is compared with the other ones."""
        return Target(
            speaker.name,
            self.tts.voice_of([source.path for source in speaker.told]),
            tuple(map(self.load, speaker.neutral or speaker.emotional)),
        )

    # --- measures

    def words(self, clip: Clip, text: str) -> tuple[int, int]:
        """Return word errors and words."""

        def count() -> list[int]:
            counted = self.recogniser.word_errors([clip.waveform], [text])[0]
            return [counted.errors, counted.words]

        errors, words = self.store.keep(f"{clip.key}/words/{text}", count)
        return errors, words

    def word_change(self, source: Source, after: Clip) -> tuple[int, int, int]:
        """Return word errors in a source and in what became of it, and how many words there are."""
        wrong, words = self.words(self.load(source), source.text)
        return wrong, self.words(after, source.text)[0], words

    def quality(self, clip: Clip) -> float:
        """Return DNSMOS OVRL."""
        return float(self.store.keep(f"{clip.key}/quality", lambda: self.dnsmos(clip.waveform).dns_overall))

    def voice(self, clip: Clip) -> np.ndarray:
        """Return the speaker embedding [256], of length 1."""
        return np.array(
            self.store.keep(
                f"{clip.key}/voice", lambda: [round(x, 5) for x in self.encoder.embed(clip.waveform).tolist()]
            )
        )

    def likeness(self, clip: Clip, others: Sequence[Clip]) -> float:
        """Return the cosine to the mean of others."""
        centre = np.mean([self.voice(other) for other in others], axis=0)
        return float(self.voice(clip) @ centre / np.linalg.norm(centre))

    def borders(self, clip: Clip, text: str) -> list[float]:
        """Return where the words of a text begin and end in a clip, in seconds: [2 W]."""

        def find() -> list[float]:
            from emotts.content.segments import fit_tokens

            tokens = phonemize(text)
            return word_borders(tokens, fit_tokens(self.listener.hear(clip.waveform), tokens).durations)

        return list(self.store.keep(f"{clip.key}/borders/{self.hearing}/{text}", find))

    def reference(self, clip: Clip) -> np.ndarray:
        """Return the speaker embedding of the converter itself [D], of length 1: not independent of what it converts."""

        @torch.inference_mode()
        def embed() -> list[float]:
            mel = LogMel()(torch.from_numpy(clip.waveform)[None])
            speaker, _ = self.reference_voice.encoder(mel, torch.ones(mel.shape[:2], dtype=torch.bool))
            return [round(x, 5) for x in torch.nn.functional.normalize(speaker[0], dim=0).tolist()]

        return np.array(self.store.keep(f"{clip.key}/reference/{self.hearing}", embed))

    def hear(self, clip: Clip, told: Sequence[Clip]) -> Heard:
        """Return what the judge hears that knows the voice from `told`."""
        context = hashlib.sha256("".join(other.key for other in told).encode()).hexdigest()[:12]

        def listen() -> dict[str, Any]:
            heard = self._ear(tuple(told)).hear(clip.waveform, SPEC.sample_rate)
            return {
                "labels": [round(heard.labels[name], 5) for name in LABELS],
                "avd": [round(x, 5) for x in heard.avd],
            }

        kept = self.store.keep(f"{clip.key}/heard/{context}", listen)
        return Heard(dict(zip(LABELS, kept["labels"], strict=True)), tuple(kept["avd"]))

    def _ear(self, told: tuple[Clip, ...]) -> Any:
        key = tuple(clip.key for clip in told)
        if key not in self._ears:
            self._ears[key] = self.judge.with_reference([(clip.waveform, SPEC.sample_rate) for clip in told])
        return self._ears[key]

    @cached_property
    def _ears(self) -> dict[tuple[str, ...], Any]:
        return {}


def _weights(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _converter() -> list[Path]:
    from emotts.listeners import bundled_converter

    try:
        return _weights(bundled_converter())
    except FileNotFoundError:
        return []


def _code() -> list[Path]:
    rooms = [path for room in ROOMS for path in (ROOT / "emotts" / room).rglob("*.py")]
    return [*rooms, *(ROOT / "emotts" / f"{name}.py" for name in CONVERTING)]
