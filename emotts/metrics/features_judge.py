"""The second judge: functionals of voice features and models of another kind than the network on mels.

A waveform comes in, `Heard` goes out. Arousal, valence and dominance are the mean of a ridge regression and a forest, labels are a
forest's; both exist twice, for a clip alone, without level and register, and for a clip beside neutral ones of the same voice.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotts.audio import speech_level_db
from emotts.emotion.heard import WINDOW_S, Heard
from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.metrics.forest import Forest
from emotts.metrics.functionals import REGISTER, SILENCE_DB, clip_functionals
from emotts.metrics.voice_frames import to_mono

FORMAT_VERSION = 1
TENSORS, SETTINGS = "judge.safetensors", "judge.json"
MAX_FILE_BYTES = 19_000_000
VIEWS = ("alone", "beside")  # without and with neutral speech of the same voice
SHORTEST_S = 0.2
PAUSE_DB = 30.0
CONTEXT_S = 1.5  # a window is heard with what lies around it: half a second holds one or two syllables
MAX_CLIP_S = 120.0  # of a longer clip the functionals of its pieces are averaged
CLIP_SD = 4.0  # standardised features beyond this are drawn in: a strange recording must not run off a straight line
UNKNOWN_STD = 0.5  # of arousal, valence and dominance, where nothing is known
MOST = 0.5  # of the features; where more are missing, the label is a guess
FLOOR = 1e-3  # added to probabilities before the temperature


@dataclass(frozen=True)
class View:
    """The models of one way of looking at a clip; F features go in.

    Attributes:
        names: of the features [F].
        median, mean, scale: [F] what stands in for a missing feature; what standardises.
        weights: [3, F]; bias: [3]; the ridge regressions of arousal, valence, dominance.
        points, classes: forests for the three and for the labels.
        stretch: [3, 2] factor and offset that give answers the spread of what was asked.
        std: [2, 3] standard deviation of the error for whole clips and for short ones.
        temperature: of the labels.
    """

    names: tuple[str, ...]
    median: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    points: Forest
    classes: Forest
    stretch: np.ndarray
    std: np.ndarray
    temperature: float

    def standardise(self, values: np.ndarray) -> np.ndarray:
        """Return features [F] (nan where missing) in standard deviations."""
        known = np.where(np.isfinite(values), values, self.median)
        return np.clip((known - self.mean) / self.scale, -CLIP_SD, CLIP_SD)

    def raw_points(self, x: np.ndarray) -> np.ndarray:
        """Return arousal, valence, dominance [3] of standardised features [F], before they are stretched."""
        return 0.5 * (self.weights @ x + self.bias) + 0.5 * self.points.predict(x)

    def answer(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities [K] and arousal, valence, dominance [3] of standardised features [F]."""
        avd = self.raw_points(x) * self.stretch[:, 0] + self.stretch[:, 1]
        return cool(self.shares(x), self.temperature), np.clip(avd, -1.0, 1.0)

    def shares(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities [K] of standardised features [F] before the temperature."""
        mass = self.classes.predict(x)
        return mass / max(float(mass.sum()), 1e-9)


def cool(probability: np.ndarray, temperature: float) -> np.ndarray:
    """Sharpen (below 1) or flatten (above 1) probabilities [..., K] by a temperature."""
    logits = np.log(probability + FLOOR) / temperature
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


class FeaturesJudge:
    """Functionals of the voice, judged; keeps `emotts.emotion.heard.Judge`."""

    name = "features"

    def __init__(self, views: Mapping[str, View], uncertain_below: float, metadata: Mapping[str, Any]) -> None:
        self.views, self.uncertain_below, self.metadata = dict(views), uncertain_below, dict(metadata)
        self.neutral: np.ndarray | None = None  # mean features of the speaker's neutral voice

    @staticmethod
    def from_pretrained(folder: Path | str) -> "FeaturesJudge":
        """Load what `save` wrote.

        Raises:
            ValueError: missing, foreign or damaged files.
        """
        return _load(Path(folder))

    def with_reference(self, neutral: Sequence[tuple[np.ndarray, int]]) -> "FeaturesJudge":
        """Return a judge that compares with this speaker's neutral voice; level and register then count, as changes.

        Args:
            neutral: recordings of the speaker, waveform and sample rate, spoken without emotion over the channel of what will be
                judged. Four tell much more than one.

        Raises:
            ValueError: no recording, or one that `hear` would refuse.
        """
        if not neutral:
            raise ValueError("a reference needs at least one neutral recording of the speaker; got none.")
        rows = [list(_features(_checked(waveform, rate), rate).values()) for waveform, rate in neutral]
        judge = FeaturesJudge(self.views, self.uncertain_below, self.metadata)
        judge.neutral = mean_known(np.array(rows))
        return judge

    def hear(self, waveform: np.ndarray, sample_rate: int) -> Heard:
        """Judge a whole clip of 0.2 s or more; arguments and errors are those of `Judge.hear`."""
        mono = _checked(waveform, sample_rate)
        return self._judge(_features(mono, sample_rate), 0.0, len(mono) / sample_rate)

    def windows(self, waveform: np.ndarray, sample_rate: int, window_s: float = WINDOW_S) -> list[Heard]:
        """Judge consecutive windows, each with up to 1.5 s around its centre; those 30 dB below the speech are left out.

        Raises:
            ValueError: as `hear`, or a window of less than 0.2 s.
        """
        if window_s < SHORTEST_S:
            raise ValueError(f"window_s must be at least {SHORTEST_S}; got {window_s}.")
        mono = _checked(waveform, sample_rate)
        duration_s = len(mono) / sample_rate
        level_db = speech_level_db(mono, max(1, sample_rate // 50))
        if level_db < SILENCE_DB:
            raise ValueError(f"the clip is silent: its level is {level_db:.0f} dBFS, speech needs {SILENCE_DB:.0f}.")
        quiet_db = max(SILENCE_DB, level_db - PAUSE_DB)
        n = max(1, int(duration_s / window_s + 0.5))  # half a window at the end is one more
        found = []
        for i in range(n):
            start_s, end_s = i * window_s, duration_s if i == n - 1 else (i + 1) * window_s
            middle, half = (start_s + end_s) / 2.0, max(CONTEXT_S, end_s - start_s) / 2.0
            piece = mono[int(max(0.0, middle - half) * sample_rate) : int((middle + half) * sample_rate)]
            inner = mono[int(start_s * sample_rate) : int(end_s * sample_rate)]
            if len(inner) and 10.0 * np.log10(np.mean(np.square(inner, dtype=np.float64)) + 1e-20) > quiet_db:
                found.append(self._judge(clip_functionals(piece, sample_rate), start_s, end_s))
        return found

    def _judge(self, features: Mapping[str, float], start_s: float, end_s: float) -> Heard:
        values = np.array(list(features.values()))
        names = list(features)
        view = self.views["alone" if self.neutral is None else "beside"]
        chosen = select(names, values, self.neutral, view.names)
        labels, avd = view.answer(view.standardise(chosen))
        # What could not be measured is not known: without a voiced sound, little but the tempo is.
        missing = 1.0 - float(np.isfinite(chosen).mean())
        labels = (1.0 - missing) * labels + missing / len(LABELS)
        std = np.hypot(view.std[int(end_s - start_s < CONTEXT_S)], missing * UNKNOWN_STD)
        avd = (1.0 - missing) * avd
        alone = self.views["alone"]
        point = alone.standardise(select(names, values, None, alone.names))
        return Heard(
            start_s=start_s,
            end_s=end_s,
            labels=dict(zip(LABELS, labels.tolist(), strict=True)),
            avd=(float(avd[0]), float(avd[1]), float(avd[2])),
            avd_std=(float(std[0]), float(std[1]), float(std[2])),
            embedding=(point / max(float(np.linalg.norm(point)), 1e-9)).astype(np.float32),
            is_uncertain=bool(labels.max() < self.uncertain_below or missing > MOST),
        )


def select(names: Sequence[str], values: np.ndarray, neutral: np.ndarray | None, wanted: Sequence[str]) -> np.ndarray:
    """Return the features [..., F] that a view wants of values [..., G]; "d_" before a name is the change from `neutral`."""
    index = {name: i for i, name in enumerate(names)}
    columns = []
    for name in wanted:
        if name.startswith("d_"):
            assert neutral is not None, "only the view beside asks for changes"
            i = index[name.removeprefix("d_")]
            columns.append(values[..., i] - neutral[..., i])
        else:
            columns.append(values[..., index[name]])
    return np.stack(columns, axis=-1)


def view_names(names: Sequence[str], view: str) -> tuple[str, ...]:
    """Name the features of a view: alone what is free of the voice's register; beside, the changes of all."""
    shape = ("band_",)  # twenty numbers that mostly tell who speaks; six cepstra hold what else they know
    if view == "alone":
        free = [name for name in names if name not in REGISTER and not name.startswith((*shape, "cepstrum_"))]
        return tuple(free)
    return tuple(f"d_{name}" for name in names if not name.startswith(shape))


def mean_known(rows: np.ndarray) -> np.ndarray:
    """Return the means [F] of what is not nan in rows [R, F]; nan where nothing is."""
    known = np.isfinite(rows)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, rows, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def save(judge: FeaturesJudge, folder: Path) -> None:
    """Write a judge as safetensors and JSON, each through a temporary name; the JSON, which names the other's hash, last."""
    from safetensors.numpy import save as dump

    tensors: dict[str, np.ndarray] = {}
    settings: dict[str, Any] = {}
    for name, view in judge.views.items():
        for key in ("median", "mean", "scale", "weights", "bias", "stretch", "std"):
            tensors[f"{name}.{key}"] = np.ascontiguousarray(getattr(view, key), np.float32)
        tensors |= view.points.to_tensors(f"{name}.points") | view.classes.to_tensors(f"{name}.classes")
        settings[name] = {"names": list(view.names), "temperature": round(view.temperature, 6)}
    data = dump(tensors)
    description = {
        "format": FORMAT_VERSION,
        "sha256": hashlib.sha256(data).hexdigest(),
        "labels": list(LABELS),
        "uncertain_below": judge.uncertain_below,
        "views": settings,
        "metadata": judge.metadata,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ((TENSORS, data), (SETTINGS, json.dumps(description, indent=1, allow_nan=False).encode())):
        temporary = folder / f".{name}.tmp"
        temporary.write_bytes(content)
        temporary.replace(folder / name)


def _load(folder: Path) -> FeaturesJudge:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    description, data = _read(folder / SETTINGS), _read(folder / TENSORS)
    try:
        settings = json.loads(description)
        if settings["format"] != FORMAT_VERSION or settings["labels"] != list(LABELS):
            raise _damage(
                folder, f"has format {settings['format']}; this version reads {FORMAT_VERSION} with its own labels"
            )
        if settings["sha256"] != hashlib.sha256(data).hexdigest():
            raise _damage(folder, f"{TENSORS} does not have the sha256 that {SETTINGS} says")
        tensors = load(data)
        views = {name: _view(tensors, name, settings["views"][name]) for name in VIEWS}
        return FeaturesJudge(views, float(settings["uncertain_below"]), dict(settings["metadata"]))
    except (KeyError, TypeError, AttributeError, SafetensorError, json.JSONDecodeError, RecursionError) as error:
        raise _damage(folder, f"is not what this version writes ({type(error).__name__})") from error


def _view(tensors: Mapping[str, np.ndarray], name: str, settings: Mapping[str, Any]) -> View:
    names = tuple(map(str, settings["names"]))
    n = len(names)
    shapes = {
        "median": (n,), "mean": (n,), "scale": (n,), "weights": (3, n), "bias": (3,), "stretch": (3, 2), "std": (2, 3),
    }  # fmt: skip
    arrays = {key: tensors[f"{name}.{key}"] for key in shapes}
    for key, shape in shapes.items():
        if arrays[key].shape != shape or not np.isfinite(arrays[key]).all():
            raise ValueError(f"the judge's {name}.{key} must be finite numbers {list(shape)}; train or copy it again.")
    return View(
        names=names,
        points=Forest.from_tensors(tensors, f"{name}.points", n, len(DIMENSIONS)),
        classes=Forest.from_tensors(tensors, f"{name}.classes", n, len(LABELS)),
        temperature=float(settings["temperature"]),
        **arrays,
    )


def _read(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"{str(path.parent)!r} is not a judge of features: {path.name} is missing.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes; expected at most {MAX_FILE_BYTES}.")
    return path.read_bytes()


def _damage(folder: Path, problem: str) -> ValueError:
    return ValueError(
        f"judge {str(folder)!r}: {problem}. Train it again with recipes/train_judge.py, or copy it whole."
    )


def _checked(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    mono = to_mono(waveform, sample_rate)
    if len(mono) < SHORTEST_S * sample_rate:
        raise ValueError(
            f"the clip lasts {len(mono) / sample_rate:.3f} s; a judge needs at least {SHORTEST_S} s of speech."
        )
    return mono


def _features(mono: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Return the features of a clip; of a long one their mean over pieces that hold speech."""
    size = int(MAX_CLIP_S * sample_rate)
    if len(mono) <= size:
        return clip_functionals(mono, sample_rate)
    found, refusal = [], None
    for start in range(0, len(mono), size):
        try:
            found.append(clip_functionals(mono[start : start + size], sample_rate))
        except ValueError as error:
            refusal = error
    if not found:
        assert refusal is not None
        raise refusal
    means = mean_known(np.array([list(features.values()) for features in found]))
    return dict(zip(found[0], means.tolist(), strict=True))
