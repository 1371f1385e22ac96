"""The judge of features: its forest equals scikit-learn's, its file is whole or refused, it hears, and its recipe runs."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load, save
from test_dataset import write_corpus
from test_voice import harmonics, speech

from emotts.audio import SPEC
from emotts.emotion.labels import LABELS
from emotts.judges import load_judge
from emotts.metrics import features_judge
from emotts.metrics.features_judge import SETTINGS, TENSORS, FeaturesJudge, cool, select, view_names
from emotts.metrics.forest import Forest
from emotts.metrics.functionals import clip_functionals

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "recipes"))
RATE = SPEC.sample_rate
recipe = pytest.importorskip("train_judge", reason="needs hydra")


def loudness_corpus(n: int = 72) -> tuple[list[str], recipe.Clips, np.ndarray]:
    """Clips of two voices whose true arousal is half of one feature; labels follow its sign."""
    random = np.random.default_rng(0)
    names = list(clip_functionals(speech(0.6), RATE))
    values = random.normal(size=(n, len(names)))
    values[::7, names.index("jitter_pct")] = np.nan
    arousal = np.clip(0.5 * values[:, names.index("tilt_db_per_oct")], -1.0, 1.0)
    avd = np.stack([arousal, -arousal, 0.5 * arousal], axis=1)
    labels = np.where(arousal > 0.3, LABELS.index("angry"), np.where(arousal < -0.3, LABELS.index("sad"), 0))
    clips = recipe.Clips(
        values=values,
        neutral=np.zeros_like(values),
        labels=labels,
        weights=np.eye(len(LABELS))[labels],
        avd=avd,
        intensity=np.where(labels == 0, 0.0, 1.0),
        voices=np.where(np.arange(n) % 2, "one", "two"),
    )
    return names, clips, values


def settings(**changes: float) -> "recipe.DictConfig":
    return recipe.DictConfig(
        {
            "ridge": 1.0,
            "trees": 12,
            "max_features": 0.9,
            "point_leaf": 2,
            "class_leaf": 2,
            "seed": 0,
            "clear_intensity": 0.7,
        }
        | changes
    )


@pytest.fixture(scope="module")
def judge() -> FeaturesJudge:
    pytest.importorskip("sklearn")
    names, clips, _ = loudness_corpus()
    views = {
        name: recipe.train_view(name, names, clips, len(clips.labels) // 2, settings()) for name in ("alone", "beside")
    }
    return FeaturesJudge(views, 0.3, {"recipe": "test"})


@pytest.fixture
def folder(judge: FeaturesJudge, tmp_path: Path) -> Path:
    features_judge.save(judge, tmp_path / "judge")
    return tmp_path / "judge"


def test_a_forest_in_arrays_predicts_as_scikit_learn() -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    random = np.random.default_rng(0)
    x, y = random.normal(size=(200, 6)).astype(np.float32), random.normal(size=(200, 3))
    model = ensemble.ExtraTreesRegressor(10, min_samples_leaf=2, random_state=0).fit(x, y)
    forest = recipe.to_forest(model)
    assert np.allclose([forest.predict(row) for row in x], model.predict(x), atol=1e-5)
    stored = Forest.from_tensors(forest.to_tensors("a"), "a", 6, 3)
    # float16 keeps three digits; a value beside a threshold may fall on its other side
    error = np.abs(np.array([stored.predict(row) for row in x]) - model.predict(x))
    assert np.median(error) < 1e-3 and np.mean(error > 0.02) < 0.02


@pytest.mark.parametrize(
    "damage",
    [
        {"a.right": lambda v: v * 0},
        {"a.right": lambda v: v + np.uint16(60_000)},
        {"a.feature": lambda v: v + np.int8(100)},
        {"a.roots": lambda v: v - 5},
        {"a.leaves": lambda v: v * np.float16(np.nan)},
        {"a.leaves": lambda v: v[:-1]},
        {"a.threshold": lambda v: v[:-1]},
    ],
)
def test_a_forest_whose_walk_would_not_end_is_refused(damage: dict) -> None:
    forest = Forest(
        np.array([0]), np.array([0, -1, -1]), np.zeros(3, np.float32), np.array([2, 0, 1]), np.ones((2, 3), np.float32)
    )
    tensors = forest.to_tensors("a")
    assert np.array_equal(Forest.from_tensors(tensors, "a", 1, 3).right, forest.right)
    (name, change), *_ = damage.items()
    with pytest.raises(ValueError, match="contradict"):
        Forest.from_tensors(tensors | {name: change(tensors[name])}, "a", 1, 3)


def test_temperature_sharpens_and_flattens() -> None:
    p = np.array([0.6, 0.3, 0.1])
    assert cool(p, 1.0) == pytest.approx(p, abs=2e-3)  # the floor moves them a little
    assert cool(p, 0.5)[0] > 0.75 and cool(p, 4.0)[0] < 0.45
    assert cool(p, 0.5).sum() == pytest.approx(1.0)


def test_changes_are_from_the_neutral_clips_and_the_view_alone_knows_no_register() -> None:
    names = ["f0_st", "level_db", "flux", "band_0"]
    values, neutral = np.array([30.0, -20.0, 3.0, 9.0]), np.array([28.0, -23.0, 1.0, 9.0])
    assert select(names, values, neutral, view_names(names, "beside")).tolist() == [2.0, 3.0, 2.0]
    assert view_names(names, "alone") == ("flux",)


def test_trained_views_find_what_decides() -> None:
    """Half of a clip's arousal scale is one feature: a model that looks at it is right on new clips."""
    pytest.importorskip("sklearn")
    names, clips, values = loudness_corpus(240)
    train, test = np.arange(240) < 180, np.arange(240) >= 180
    view = recipe.train_view("alone", names, clips.chosen(train), 90, settings(trees=40))
    figures = recipe.measure(view, names, clips.chosen(test), 0.7)
    assert figures["ccc_arousal"] > 0.85 and figures["ccc_valence"] > 0.85
    assert figures["uar"] > 0.6  # of three labels
    assert (view.std > 0.01).all() and 0.1 < view.temperature < 2.0


def test_hears_a_clip_alone_and_beside_neutral_speech(judge: FeaturesJudge) -> None:
    heard = judge.hear(speech(), RATE)
    assert sum(heard.labels.values()) == pytest.approx(1.0)
    assert all(-1.0 <= value <= 1.0 for value in heard.avd) and all(std > 0.0 for std in heard.avd_std)
    assert np.linalg.norm(heard.embedding) == pytest.approx(1.0, abs=1e-5)
    assert (heard.start_s, heard.end_s) == (0.0, 3.0)
    json.dumps(heard.to_dict(), allow_nan=False)

    neutral = [(speech(seed=seed), RATE) for seed in (1, 2)]
    beside = judge.with_reference(neutral).hear(speech(), RATE)
    assert beside.avd != heard.avd and beside.avd != judge.with_reference(neutral[:1]).hear(speech(), RATE).avd
    same = judge.with_reference([(speech(), RATE)])
    point = judge.views["beside"].raw_points(
        judge.views["beside"].standardise(np.zeros(len(judge.views["beside"].names)))
    )
    stretch = judge.views["beside"].stretch
    assert same.hear(speech(), RATE).avd == pytest.approx(
        np.clip(point * stretch[:, 0] + stretch[:, 1], -1, 1), abs=0.05
    )
    with pytest.raises(ValueError, match="at least one neutral recording"):
        judge.with_reference([])


def test_level_does_not_count_without_a_reference(judge: FeaturesJudge) -> None:
    loud, quiet = judge.hear(speech(), RATE), judge.hear(0.1 * speech(), RATE)
    assert quiet.avd == pytest.approx(loud.avd, abs=1e-3)


def test_pcm_stereo_and_other_rates_are_heard(judge: FeaturesJudge) -> None:
    expected = judge.hear(speech(), RATE)
    whole_numbers = np.round(np.stack([speech(), speech()]) * 32_767).astype(np.int16)
    assert judge.hear(whole_numbers, RATE).avd == pytest.approx(expected.avd, abs=0.05)
    assert judge.hear(speech()[::3].copy(), RATE // 3).end_s == pytest.approx(3.0)


def test_windows_follow_each_other_and_leave_silence_out(judge: FeaturesJudge) -> None:
    wave = np.concatenate([speech(1.5), np.zeros(2 * RATE, np.float32), speech(1.3)])
    windows = judge.windows(wave, RATE)
    starts = [heard.start_s for heard in windows]
    assert starts == [0.0, 0.5, 1.0, 3.5, 4.0, 4.5]
    assert windows[-1].end_s == pytest.approx(4.8) and windows[0].end_s == 0.5
    short = tuple(float(v) for v in judge.views["alone"].std[1])  # wider where a feature cannot be measured
    assert windows[0].avd_std == pytest.approx(short, rel=0.07)
    with pytest.raises(ValueError, match=r"window_s must be at least 0\.2"):
        judge.windows(wave, RATE, 0.01)


def test_without_a_voiced_sound_little_is_claimed(judge: FeaturesJudge) -> None:
    noise = (0.1 * np.random.default_rng(0).normal(size=2 * RATE)).astype(np.float32)
    heard = judge.hear(noise, RATE)
    assert heard.is_uncertain and heard.label == "uncertain"
    assert min(heard.avd_std) > min(judge.hear(speech(), RATE).avd_std)


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (np.zeros(RATE, np.float32), "silent"),
        (harmonics(200.0, 0.05), "needs at least 0.2 s"),
        (np.full(RATE, np.nan, np.float32), "not finite"),
        (np.zeros(0, np.float32), "at least one"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(judge: FeaturesJudge, wave: np.ndarray, message: str) -> None:
    for hear in (judge.hear, judge.windows):
        with pytest.raises(ValueError, match=message) as caught:
            hear(wave, RATE)
        assert "\n" not in str(caught.value)


def test_an_hour_is_heard_in_pieces(judge: FeaturesJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def watched(waveform: np.ndarray, sample_rate: int) -> dict[str, float]:
        sizes.append(len(waveform))
        return clip_functionals(waveform, sample_rate)

    monkeypatch.setattr(features_judge, "clip_functionals", watched)
    monkeypatch.setattr(features_judge, "MAX_CLIP_S", 1.0)
    heard = judge.hear(np.concatenate([speech(2.0), np.zeros(RATE, np.float32)]), RATE)
    assert sizes == [RATE] * 3 and heard.end_s == 3.0


def test_a_saved_judge_hears_the_same(judge: FeaturesJudge, folder: Path) -> None:
    loaded = load_judge("features", folder)
    assert loaded.name == "features"
    first, second = judge.hear(speech(), RATE), loaded.hear(speech(), RATE)
    assert second.avd == pytest.approx(first.avd, abs=0.02)
    assert second.labels == pytest.approx(first.labels, abs=0.05)  # thresholds are kept as float16


def test_damaged_and_foreign_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    description, data = (folder / SETTINGS).read_bytes(), (folder / TENSORS).read_bytes()
    tensors = load(data)

    def refuses(message: str, settings: bytes = description, content: bytes | None = data) -> None:
        (folder / SETTINGS).write_bytes(settings)
        (folder / TENSORS).unlink(missing_ok=True)
        if content is not None:
            (folder / TENSORS).write_bytes(content)
        with pytest.raises(ValueError, match=message) as caught:
            FeaturesJudge.from_pretrained(folder)
        assert "\n" not in str(caught.value)

    refuses("is missing", content=None)
    refuses("sha256", content=data[:-1] + b"\x01")
    refuses("is not what this version writes", settings=b"{}")
    refuses("is not what this version writes", settings=b"no json")
    refuses("has format 99", settings=description.replace(b'"format": 1', b'"format": 99'))
    tensors["alone.mean"] = tensors["alone.mean"][:-1]
    forged = save(tensors)
    import hashlib

    digests = [hashlib.sha256(content).hexdigest().encode() for content in (data, forged)]
    refuses(r"alone\.mean must be finite numbers", settings=description.replace(*digests), content=forged)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_judge("features", tmp_path / "none")
    with pytest.raises(ValueError, match="judge must be one of recognizer, features; got 'ears'"):
        load_judge("ears")


def test_the_two_judges_share_no_sentence() -> None:
    texts = [f"Sentence number {i}." for i in range(200)]
    mine = sum(map(recipe.is_for_judge, texts))
    assert 70 < mine < 130
    assert recipe.is_for_judge("Shipwrights bent the planks with steam.") is recipe.is_for_judge(
        "Shipwrights bent the planks with steam."
    )
    other = pytest.importorskip("recognizer_data", reason="the recogniser's recipe is not here")
    assert all(other.is_recognizer_text(text) != recipe.is_for_judge(text) for text in texts)


def test_soft_labels_give_the_rest_to_neutral_and_neighbours_exclude_the_clip() -> None:
    class Row:
        def __init__(self, label: str | None, intensity: float, mixture: dict[str, float] | None = None) -> None:
            self.label, self.intensity, self.voice, self.mixture = label, intensity, "a", mixture
            self.arousal = self.valence = self.dominance = 0.0

    rows = [Row("neutral", 0.0), Row("angry", 0.4), Row("angry", 1.3), Row(None, 0.0), Row("neutral", 0.0)]
    values = np.arange(5.0)[:, None]
    clips = recipe.gather(rows, values, values, None, 0)
    assert clips.labels.tolist() == [0, 5, 5, -1, 0]
    assert clips.weights[1, [0, 5]].tolist() == pytest.approx([0.6, 0.4])
    assert clips.weights[2, 5] == 1.0 and clips.weights[3].sum() == 0.0
    assert clips.neutral[:, 0].tolist() == [4.0, 2.0, 2.0, 2.0, 0.0]  # the means of clips 0 and 4, never oneself
    mixed = recipe.gather([*rows, Row(None, 0.0, {"angry": 0.4, "sad": 0.2})], np.arange(6.0)[:, None], values, None, 0)
    assert mixed.labels[5] == -1 and mixed.weights[5, [0, 4, 5]].tolist() == pytest.approx([0.4, 0.2, 0.4])


@pytest.mark.parametrize("variant", ["clean", "noise10", "telephone", "degraded", "cut"])
def test_variants_change_what_they_say(variant: str) -> None:
    wave = speech(2.5)
    changed = recipe.degrade(wave, variant, np.random.default_rng(0))
    if variant == "clean":
        assert changed is wave
    elif variant == "noise10":
        assert 10 * np.log10(np.mean(wave**2) / np.mean((changed - wave) ** 2)) == pytest.approx(10.0, abs=0.01)
    elif variant == "telephone":
        power = np.abs(np.fft.rfft(changed)) ** 2
        hz = np.fft.rfftfreq(len(changed), 1 / RATE)
        assert power[(hz < 250) | (hz > 3_600)].sum() < 1e-3 * power.sum()
    elif variant == "cut":
        assert 0.9 * RATE <= len(changed) <= 2.2 * RATE
    else:
        assert len(changed) == len(wave) and not np.array_equal(changed, wave)


def test_calibration_error_of_honest_probabilities_is_small() -> None:
    random = np.random.default_rng(0)
    sure = random.uniform(0.5, 1.0, 4_000)
    probability = np.stack([sure, 1.0 - sure], axis=1)
    asked = (random.uniform(size=4_000) > sure).astype(int)
    assert recipe.calibration_error(probability, asked) < 0.03
    assert recipe.calibration_error(np.tile([0.99, 0.01], (4_000, 1)), asked) > 0.15


def spoken_corpus(folder: Path, voices: Sequence[str]) -> Path:
    """The random corpus of tests/test_dataset.py with these voices and sentences, and sound that can be measured."""
    folder.mkdir()
    write_corpus(folder)
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    new = []
    for i in range(16):
        row = dict(rows[i % len(rows)])
        row["id"], row["voice"], row["split"] = f"row-{i}", voices[i % len(voices)], "test" if i % 4 == 3 else "train"
        row["text"] = next(t for t in (f"Line {i} {k}." for k in range(50)) if recipe.is_for_judge(t))
        row["label"], row["intensity"] = ("neutral", 0.0) if i % 8 < 4 else ("angry", 1.0)
        row["arousal"], row["valence"], row["dominance"] = (0.0, 0.0, 0.0) if i % 8 < 4 else (0.6, -0.5, 0.2)
        row["audio"] = f"audio/{row['id']}.flac"
        path = folder / row["audio"]
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, speech(1.0, seed=i), RATE)
        new.append(row)
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in new))
    return folder


def test_the_recipe_trains_exports_and_measures_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    from hydra import compose, initialize_config_dir

    corpus = spoken_corpus(tmp_path / "corpus", ("a", "b", "c", "d"))
    conf = str(Path(recipe.__file__).parent.parent / "conf")
    with initialize_config_dir(conf, version_base="1.3"):
        config = compose("train_judge", [f"corpus={corpus}", f"output={tmp_path}/out", f"export={tmp_path}/export",
                                         "voices=[a,b,c]", "held_out=[d]", "trees=3"])  # fmt: skip
    train = recipe.main
    train(config)
    first = json.loads((tmp_path / "export" / SETTINGS).read_text())["metadata"]["figures"]
    assert first.keys() == {
        f"{view}/{variant}" for view in ("alone", "beside") for variant in ("clean", "noise10", "telephone")
    }
    assert first["alone/clean"]["n"] == 4.0

    monkeypatch.setattr(recipe.FeatureCache, "_measure", lambda *_: pytest.fail("the features were there already"))
    config.evaluate_only = True
    train(config)
    assert json.loads((tmp_path / "export" / SETTINGS).read_text())["metadata"]["figures"] == first
    assert load_judge("features", tmp_path / "export").hear(speech(), RATE).end_s == 3.0
