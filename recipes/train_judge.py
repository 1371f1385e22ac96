"""Train the judge of features on a manifest: python recipes/train_judge.py corpus=runs/corpus.

The features of every clip are measured once and kept in <output>/features.npz. The judge is exported to `export`; its figures
on voices and sentences that it has not seen are printed and kept with it. `evaluate_only=true` prints them for an existing one.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from facts import facts_of, licensed
from omegaconf import DictConfig

from emotts.audio import SPEC, load_audio, resample
from emotts.data.manifest import FAR, ManifestRow, read_manifest
from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABELS
from emotts.emotion.objective import mixture_target
from emotts.metrics.features_judge import FeaturesJudge, View, cool, mean_known, save, select, view_names
from emotts.metrics.forest import LEAF, Forest
from emotts.metrics.functionals import clip_functionals
from emotts.metrics.statistics import concordance, pearson, unweighted_average_recall

TELEPHONE_HZ = (300.0, 3_400.0)
SAVE_EVERY = 100


def is_for_judge(text: str) -> bool:
    """Say whether a sentence belongs to this judge; the other half of all sentences is the recogniser's."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 2 == 1


def degrade(waveform: np.ndarray, variant: str, random: np.random.Generator) -> np.ndarray:
    """Return a clip [L] as it is ("clean"), under noise of a given ratio ("noise10"), by telephone, or cut out of it."""
    if variant == "clean":
        return waveform
    if variant == "telephone":
        return _telephone(waveform)
    if variant.startswith("noise"):
        return _add_noise(waveform, float(variant.removeprefix("noise")), random)
    if variant == "degraded":
        noisy = _add_noise(waveform, random.uniform(8.0, 30.0), random)
        return _telephone(noisy) if random.random() < 0.4 else noisy
    assert variant == "cut"
    length = int(random.uniform(0.9, 2.2) * SPEC.sample_rate)
    start = int(random.integers(max(1, len(waveform) - length)))
    return waveform[start : start + length]


def _telephone(waveform: np.ndarray) -> np.ndarray:
    narrow = resample(waveform, SPEC.sample_rate, 8_000)
    spectrum = np.fft.rfft(narrow)
    hz = np.fft.rfftfreq(len(narrow), 1.0 / 8_000)
    spectrum[(hz < TELEPHONE_HZ[0]) | (hz > TELEPHONE_HZ[1])] = 0.0
    return resample(np.fft.irfft(spectrum, len(narrow)).astype(np.float32), 8_000, SPEC.sample_rate)


def _add_noise(waveform: np.ndarray, ratio_db: float, random: np.random.Generator) -> np.ndarray:
    """Add white or pink noise `ratio_db` below the RMS level of the clip."""
    noise = random.standard_normal(len(waveform))
    if random.random() < 0.5:
        spectrum = np.fft.rfft(noise)
        noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1.0)), len(noise))
    scale = np.sqrt(np.mean(waveform**2) / np.mean(noise**2)) * 10.0 ** (-ratio_db / 20.0)
    return (waveform + scale * noise).astype(np.float32)


class FeatureCache:
    """Features of clips and their variants, measured once; a killed run loses at most SAVE_EVERY of them."""

    def __init__(self, corpus: Path, path: Path, seed: int) -> None:
        self.corpus, self.path, self.seed = corpus, path, seed
        self._known: dict[str, np.ndarray] = {}
        self.names: list[str] = []
        if path.is_file():
            with np.load(path) as stored:
                self.names = [str(name) for name in stored["names"]]
                self._known = dict(zip(map(str, stored["keys"]), stored["values"], strict=True))

    def matrix(self, rows: Sequence[ManifestRow], variant: str) -> np.ndarray:
        """Return features [R, F] of one variant of every row."""
        missing = [row for row in rows if f"{row.id}/{variant}" not in self._known]
        for i, row in enumerate(missing, start=1):
            self._measure(row, variant)
            if i % SAVE_EVERY == 0 or i == len(missing):
                print(f"features {variant}: {i} of {len(missing)}", flush=True)
                self._save()
        return np.array([self._known[f"{row.id}/{variant}"] for row in rows])

    def _measure(self, row: ManifestRow, variant: str) -> None:
        digest = hashlib.sha256(f"{self.seed}/{row.id}/{variant}".encode()).digest()
        random = np.random.default_rng(list(digest))
        features = clip_functionals(degrade(load_audio(self.corpus / row.audio), variant, random), SPEC.sample_rate)
        self.names = list(features)
        self._known[f"{row.id}/{variant}"] = np.array(list(features.values()), np.float32)

    def _save(self) -> None:
        temporary = self.path.with_name(f".{self.path.name}.tmp.npz")
        np.savez(temporary, names=self.names, keys=list(self._known), values=np.array(list(self._known.values())))
        temporary.replace(self.path)


@dataclass(frozen=True)
class Clips:
    """Features of R clips and what was asked of them.

    Attributes:
        values: [R, G] all features.
        neutral: [R, G] mean features of neutral clips of the same voice, the clip itself left out.
        labels: [R] index of the label, -1 without one or for a mixture; weights: [R, K] soft labels, zeros without any.
        avd: [R, 3].
        intensity: [R].
        voices: [R] names.
    """

    values: np.ndarray
    neutral: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    avd: np.ndarray
    intensity: np.ndarray
    voices: np.ndarray

    def chosen(self, rows: np.ndarray) -> "Clips":
        return Clips(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def is_clear(self, intensity: float) -> np.ndarray:
        """Say which clips [R] one label describes, as `ManifestRow.is_clear` does."""
        strength = np.where(self.labels > 0, self.intensity, 0.0)
        usual = np.clip(strength[:, None] * np.array([AVD_MEANS[name] for name in LABELS])[self.labels], -1.0, 1.0)
        is_strong = (self.labels == 0) | ((self.labels > 0) & (self.intensity >= intensity))
        return is_strong & (np.abs(self.avd - usual) <= FAR).all(axis=1)


def gather(
    rows: Sequence[ManifestRow], values: np.ndarray, neutral_values: np.ndarray, n_neutral: int | None, seed: int
) -> Clips:
    """Put features and targets of R rows side by side.

    Args:
        values: [R, G]. neutral_values: [R, G], those of the clips where they stand for the neutral voice.
        n_neutral: how many neutral clips describe a voice; None takes all. seed: of their choice.
    """
    labels = np.array([_label_of(row) for row in rows])
    voices = np.array([row.voice for row in rows])
    intensity = np.array([row.intensity for row in rows])
    strength = np.minimum(1.0, intensity)
    weights = np.zeros((len(rows), len(LABELS)))
    for i in np.flatnonzero(labels >= 0):
        weights[i, labels[i]] += strength[i] if labels[i] else 1.0
        weights[i, 0] += 0.0 if labels[i] == 0 else 1.0 - strength[i]
    for i in (i for i, row in enumerate(rows) if row.mixture is not None):
        weights[i] = mixture_target(rows[i].mixture).numpy()
    random = np.random.default_rng(seed)
    neutral = np.empty_like(values)
    for i in range(len(rows)):
        pool = np.flatnonzero((voices == voices[i]) & (labels == 0) & (np.arange(len(rows)) != i))
        if not len(pool):
            raise ValueError(f"voice {voices[i]!r} has no other neutral clip; leave it out of the configuration.")
        picks = pool if n_neutral is None else random.choice(pool, min(n_neutral, len(pool)), replace=False)
        neutral[i] = mean_known(neutral_values[picks])
    avd = np.array([[row.arousal, row.valence, row.dominance] for row in rows], np.float64)
    return Clips(values, neutral, labels, weights, avd, intensity, voices)


def _label_of(row: ManifestRow) -> int:
    return -1 if row.label is None else 0 if row.intensity == 0.0 else LABELS.index(row.label)


def fit_view(name: str, names: Sequence[str], clips: Clips, config: DictConfig) -> View:
    """Fit ridge regressions and forests; stretch, spread and temperature are left at 1."""
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import Ridge

    wanted = view_names(names, name)
    chosen = select(names, clips.values, clips.neutral, wanted)
    median = np.nan_to_num(np.nanmedian(chosen, axis=0))
    known = np.where(np.isfinite(chosen), chosen, median)
    view = View(
        names=wanted, median=median, mean=known.mean(axis=0), scale=known.std(axis=0) + 1e-6, weights=np.zeros(0),
        bias=np.zeros(0), points=_NO_FOREST, classes=_NO_FOREST, stretch=np.tile([1.0, 0.0], (3, 1)), std=np.ones((2, 3)),
        temperature=1.0,
    )  # fmt: skip
    x = np.array([view.standardise(row) for row in chosen])
    ridge = Ridge(config.ridge).fit(x, clips.avd)
    options = {"n_estimators": config.trees, "max_features": config.max_features, "random_state": config.seed}
    points = ExtraTreesRegressor(min_samples_leaf=config.point_leaf, **options).fit(x, clips.avd)
    has_label = clips.weights.sum(axis=1) > 0  # of mixtures too
    share = clips.weights[has_label]
    mass = share / np.maximum(share.sum(axis=0), 1.0)  # so that every label weighs the same
    classes = ExtraTreesRegressor(min_samples_leaf=config.class_leaf, **options)
    classes.fit(x[has_label], mass / mass.max())
    return View(
        **{**view.__dict__, "weights": ridge.coef_, "bias": ridge.intercept_, "points": to_forest(points),
           "classes": to_forest(classes)}
    )  # fmt: skip


def to_forest(model: Any) -> Forest:
    """Copy the trees of a scikit-learn forest with several outputs."""
    roots, feature, threshold, right, leaves = [], [], [], [], []
    n_nodes = n_leaves = 0
    for estimator in model.estimators_:
        tree = estimator.tree_
        is_leaf = tree.children_left == -1
        inner = np.flatnonzero(~is_leaf)
        assert (tree.children_left[inner] == inner + 1).all(), "scikit-learn numbers the left child next"
        child = tree.children_right + n_nodes
        child[is_leaf] = n_leaves + np.arange(is_leaf.sum())
        roots.append(n_nodes)
        feature.append(np.where(is_leaf, LEAF, tree.feature))
        threshold.append(np.where(is_leaf, 0.0, tree.threshold))
        right.append(child)
        leaves.append(tree.value[is_leaf, :, 0])
        n_nodes, n_leaves = n_nodes + tree.node_count, n_leaves + int(is_leaf.sum())
    return Forest(
        np.array(roots, np.int32), np.concatenate(feature).astype(np.int16), np.concatenate(threshold).astype(np.float32),
        np.concatenate(right).astype(np.int32), np.concatenate(leaves).astype(np.float32),
    )  # fmt: skip


_NO_FOREST = Forest(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0), np.zeros((0, 0)))


def ask(view: View, names: Sequence[str], clips: Clips) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probabilities before the temperature [R, K], points before and after stretching [R, 3]."""
    x = [view.standardise(row) for row in select(names, clips.values, clips.neutral, view.names)]
    raw = np.array([view.raw_points(row) for row in x])
    return np.array([view.shares(row) for row in x]), raw, raw * view.stretch[:, 0] + view.stretch[:, 1]


def calibrate(
    view: View, probability: np.ndarray, raw: np.ndarray, clips: Clips, n_whole: int, clear_intensity: float
) -> View:
    """Set what out-of-fold answers tell: stretch, spread of the error, temperature.

    Args:
        view: fitted on all clips.
        probability, raw: [R, K] and [R, 3] of models that had not seen the clip's voice.
        clips: R of them.
        n_whole: the first so many are whole clips, the rest short or degraded ones.
        clear_intensity: the temperature fits neutral clips and those with a label of at least this.
    """
    whole = slice(None, n_whole)
    asked, given = clips.avd[whole], raw[whole]
    # concordance rewards the spread of what was asked; a regression's own spread is smaller
    factor = asked.std(axis=0) / np.maximum(given.std(axis=0), 1e-6)
    stretch = np.stack([factor, asked.mean(axis=0) - factor * given.mean(axis=0)], axis=1)
    error = raw * stretch[:, 0] + stretch[:, 1] - clips.avd
    std = np.sqrt(np.stack([np.mean(error[whole] ** 2, axis=0), np.mean(error[n_whole:] ** 2, axis=0)]))
    clear = clips.is_clear(clear_intensity)
    asked_label = clips.labels[clear]
    grid = np.geomspace(0.2, 2.0, 60)
    loss = [-np.mean(np.log(cool(probability[clear], t)[np.arange(len(asked_label)), asked_label])) for t in grid]
    return View(**{**view.__dict__, "stretch": stretch, "std": std, "temperature": float(grid[int(np.argmin(loss))])})


def train_view(name: str, names: Sequence[str], clips: Clips, n_whole: int, config: DictConfig) -> View:
    """Fit on all clips and calibrate by folds that leave one voice out."""
    probability, raw = (np.zeros((len(clips.labels), n)) for n in (len(LABELS), 3))
    for voice in np.unique(clips.voices):
        out = clips.voices == voice
        fold = fit_view(name, names, clips.chosen(~out), config)
        probability[out], raw[out], _ = ask(fold, names, clips.chosen(out))
    return calibrate(fit_view(name, names, clips, config), probability, raw, clips, n_whole, config.clear_intensity)


def measure(view: View, names: Sequence[str], clips: Clips, clear_intensity: float) -> dict[str, float]:
    """Return the figures of one view on clips that it has not seen."""
    raw_probability, _, avd = ask(view, names, clips)
    probability, avd = cool(raw_probability, view.temperature), np.clip(avd, -1.0, 1.0)
    clear = clips.is_clear(clear_intensity)
    top, asked = np.argsort(-probability, axis=1), clips.labels
    figures = {
        "n": float(len(asked)),
        "n_clear": float(clear.sum()),
        "uar": unweighted_average_recall(asked[clear], top[clear, 0]),
        "top2": float(np.mean([label in pair for label, pair in zip(asked[clear], top[clear, :2], strict=True)])),
        "uar_all_intensities": unweighted_average_recall(asked[asked >= 0], top[asked >= 0, 0]),
        "ece": calibration_error(probability[clear], asked[clear]),
    }
    for i, dimension in enumerate(DIMENSIONS):
        figures[f"ccc_{dimension}"] = concordance(clips.avd[:, i], avd[:, i])
        figures[f"r_{dimension}"] = pearson(clips.avd[:, i], avd[:, i])
    return {key: round(float(value), 4) for key, value in figures.items()}


def calibration_error(probability: np.ndarray, asked: np.ndarray, n_bins: int = 10) -> float:
    """Return the expected calibration error of the best label over bins of equal width.

    Reference: Guo et al., "On calibration of modern neural networks" (2017), arXiv 1706.04599, equation 3.
    """
    confidence, right = probability.max(axis=1), probability.argmax(axis=1) == asked
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = [abs(right[bins == b].mean() - confidence[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins)]
    return float(np.sum(gaps))


def main(config: DictConfig) -> None:
    began, corpus, output = time.monotonic(), Path(config.corpus), Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    rows, cache = read_manifest(corpus / "manifest.jsonl"), FeatureCache(corpus, output / "features.npz", config.seed)
    if not config.evaluate_only:
        mine = [row for row in rows if row.split == "train" and row.voice in config.voices and is_for_judge(row.text)]
        if not mine:
            raise ValueError(f"{corpus} has no training rows of the voices {', '.join(config.voices)}.")
        views = {}
        for name, variants in config.variants.items():
            matrices = [cache.matrix(mine, variant) for variant in variants]
            parts = [
                gather(mine, m, matrices[0], config.train_neutral, config.seed + i) for i, m in enumerate(matrices)
            ]
            clips = Clips(*(np.concatenate([getattr(p, f) for p in parts]) for f in Clips.__dataclass_fields__))
            views[name] = train_view(name, cache.names, clips, len(mine), config)
        minutes = round((time.monotonic() - began) / 60.0, 1)
        facts = {"recipe": "train_judge", "minutes": minutes, "voices": list(config.voices)}
        metadata = licensed(facts_of(config, mine)) | facts
        judge = FeaturesJudge(views, config.uncertain_below, metadata)
        save(judge, Path(config.export))
    judge = FeaturesJudge.from_pretrained(config.export)
    judge.metadata["figures"] = figures = evaluate(judge, rows, cache, config)
    save(judge, Path(config.export))
    print(json.dumps(figures, indent=1))


def evaluate(
    judge: FeaturesJudge, rows: Sequence[ManifestRow], cache: FeatureCache, config: DictConfig
) -> dict[str, dict[str, float]]:
    """Measure both views on held-out sentences of voices that were not trained on, clean, under noise and by telephone."""
    held_out = [row for row in rows if row.split != "train" and row.voice in config.held_out]
    if not held_out:
        raise ValueError(f"{config.corpus} has no held-out rows of the voices {', '.join(config.held_out)}.")
    figures = {}
    for variant in ("clean", "noise10", "telephone"):
        values = cache.matrix(held_out, variant)
        clips = gather(held_out, values, values, config.n_references, config.seed)
        for name, view in judge.views.items():
            figures[f"{name}/{variant}"] = measure(view, cache.names, clips, config.clear_intensity)
    return figures


if __name__ == "__main__":
    from start import run

    run("train_judge")
