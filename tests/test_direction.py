"""Directions: closed forms of the fits, add and erase, files that are refused, and `emotts direction` with the echo judge."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from echo import EchoJudge, EchoTTS
from safetensors.numpy import save

from emotts.cli import main
from emotts.emotion.coordinates import SIZE, coordinates_of, coordinates_of_spec, spec_at
from emotts.emotion.direction import (
    KEY,
    Direction,
    add,
    erase,
    fit_groups,
    fit_pairs,
    like_recordings,
    load_direction,
    local_means,
    save_direction,
    silhouette,
)
from emotts.emotion.heard import Heard
from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABEL_INDEX, LABELS
from emotts.emotion.spec import EmotionSpec, parse_emotion

RATE = 24_000


def heard(label: str = "neutral", p: float = 1.0, avd: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Heard:
    labels = dict.fromkeys(LABELS, 0.0) | {"neutral": 1.0 - p}
    labels[label] += p
    return Heard(0.0, 1.0, labels, avd, (0.1, 0.1, 0.1), np.eye(4)[0], False)


def place(**values: float) -> np.ndarray:
    """Return coordinates with some names set."""
    coordinates = np.zeros(SIZE)
    for name, value in values.items():
        coordinates[(LABEL_INDEX | {n: len(LABELS) + i for i, n in enumerate(DIMENSIONS)})[name]] = value
    return coordinates


ANGRY = Direction(place(angry=0.8, arousal=0.6), 2)


# Coordinates


def test_coordinates_are_probabilities_without_neutral_then_avd() -> None:
    found = coordinates_of(heard("angry", 0.7, (0.5, -0.4, 0.1)))
    np.testing.assert_allclose(found, place(angry=0.7, arousal=0.5, valence=-0.4, dominance=0.1))


@pytest.mark.parametrize(
    "text", ["neutral", "happy:0.8", "happy:0.6+sad:0.4", "arousal=.7,valence=-.4", "sad:0.5,dominance=.3"]
)
def test_a_specification_and_its_place_agree(text: str) -> None:
    spec = parse_emotion(text)
    there = coordinates_of_spec(spec)
    np.testing.assert_allclose(coordinates_of_spec(spec_at(there)), there, atol=2e-4)
    assert dict(spec_at(there).weights) == pytest.approx(dict(spec.weights), abs=2e-4)


def test_a_label_brings_its_usual_place_and_a_dimension_replaces_it() -> None:
    found = coordinates_of_spec(EmotionSpec("sad", 0.5, dominance=0.3))
    expected = [0.5 * AVD_MEANS["sad"][0], 0.5 * AVD_MEANS["sad"][1], 0.3]
    np.testing.assert_allclose(found[len(LABELS) :], expected)


def test_the_origin_is_neutral_and_a_place_without_labels_has_none() -> None:
    assert spec_at(np.zeros(SIZE)) == EmotionSpec()
    assert spec_at(place(arousal=0.5)) == EmotionSpec(None, arousal=0.5, valence=0.0, dominance=0.0)


def test_every_place_makes_a_specification_even_where_weights_sum_too_high() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        spec = spec_at(random.uniform(-2.0, 2.0, SIZE))
        assert sum(weight for _, weight in spec.weights) <= 1.5 + 1e-9
    with pytest.raises(ValueError, match=r"coordinates must be finite numbers; got nan"):
        spec_at(np.full(SIZE, np.nan))
    with pytest.raises(ValueError, match=r"got \[3\]"):
        spec_at(np.zeros(3))


# Fits


def test_one_pair_is_its_own_direction() -> None:
    found = fit_pairs([heard()], [heard("angry", 0.8, (0.6, -0.5, 0.2))])
    np.testing.assert_allclose(found.vector, place(angry=0.8, arousal=0.6, valence=-0.5, dominance=0.2))
    assert (found.pairs, found.kind) == (1, "pairs")


def test_pairs_give_the_mean_of_normalised_differences_at_their_mean_distance() -> None:
    """Steps of 1 along arousal and 0.5 along valence: halfway between the axes, 0.75 long, though one is twice the other."""
    neutral = [heard(avd=(-0.2, 0.0, 0.0)), heard(avd=(0.0, 0.1, 0.0))]
    found = fit_pairs(neutral, [heard(avd=(0.8, 0.0, 0.0)), heard(avd=(0.0, 0.6, 0.0))])
    np.testing.assert_allclose(found.vector, place(arousal=0.75 * 0.5**0.5, valence=0.75 * 0.5**0.5))
    assert found.distance == pytest.approx(0.75)


def test_the_strength_1_takes_the_mean_neutral_the_mean_distance() -> None:
    random = np.random.default_rng(1)
    neutral = [heard(avd=tuple(random.normal(0.0, 0.05, 3))) for _ in range(5)]
    target = [heard("angry", 0.7, tuple(random.normal([0.6, -0.5, 0.2], 0.05))) for _ in range(5)]
    found = fit_pairs(neutral, target)
    distances = [np.linalg.norm(coordinates_of(t) - coordinates_of(n)) for n, t in zip(neutral, target, strict=True)]
    assert found.distance == pytest.approx(np.mean(distances))
    moved = add(np.zeros(SIZE), found, 1.0)
    np.testing.assert_allclose(moved, np.mean([coordinates_of(t) for t in target], axis=0), atol=0.1)


def test_groups_with_one_mean_each_give_the_difference_of_the_means() -> None:
    random = np.random.default_rng(2)
    neutral = [heard(avd=tuple(random.normal(0.0, 0.05, 3))) for _ in range(7)]
    target = [heard(avd=tuple(random.normal([0.6, -0.4, 0.1], 0.05))) for _ in range(9)]
    found = fit_groups(neutral, target)
    means = [np.mean([coordinates_of(h) for h in group], axis=0) for group in (neutral, target)]
    np.testing.assert_allclose(found.vector, means[1] - means[0], atol=1e-9)
    assert (found.pairs, found.kind) == (9, "groups")


def test_groups_pair_the_nearest_local_means() -> None:
    """Two speakers, low and high: each rises by 0.5, which the means of all would show too, but not a spurious axis."""
    random = np.random.default_rng(3)
    noise = lambda: tuple(random.normal(0.0, 0.01, 3))  # noqa: E731
    neutral = [heard(avd=(-0.8 + a, -0.9 + b, c)) for a, b, c in (noise() for _ in range(6))]
    neutral += [heard(avd=(-0.8 + a, 0.9 + b, c)) for a, b, c in (noise() for _ in range(6))]
    target = [heard(avd=(-0.3 + a, -0.9 + b, c)) for a, b, c in (noise() for _ in range(10))]
    target += [heard(avd=(-0.3 + a, 0.9 + b, c)) for a, b, c in (noise() for _ in range(2))]
    found = fit_groups(neutral, target)
    np.testing.assert_allclose(found.vector, place(arousal=0.5), atol=0.02)


def test_local_means_find_as_many_clusters_as_there_are() -> None:
    random = np.random.default_rng(4)
    for k in (1, 2, 3, 4):
        centres = np.eye(SIZE)[:k]
        points = np.concatenate([centre + random.normal(0.0, 0.02, (8, SIZE)) for centre in centres])
        means, sizes = local_means(points)
        assert sizes.tolist() == [8.0] * k
        np.testing.assert_allclose(means[means[:, :k].argmax(axis=0)], centres, atol=0.05)


def test_silhouette_equals_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(5)
    points, labels = random.normal(size=(30, 4)), random.integers(0, 3, 30)
    assert silhouette(points, labels) == pytest.approx(metrics.silhouette_score(points, labels))


@pytest.mark.parametrize(
    ("fit", "neutral", "target", "message"),
    [
        (fit_pairs, [], [], "as many neutral as target recordings; got 0 and 0"),
        (fit_pairs, [heard()], [heard()] * 2, "got 1 and 2"),
        (fit_pairs, [heard()], [heard()], "pair 1 sounds alike"),
        (fit_pairs, [heard()] * 2, [heard(avd=(0.5, 0, 0)), heard(avd=(-0.5, 0, 0))], "opposite directions"),
        (fit_groups, [heard()], [heard()] * 2, "two recordings each; got 1 neutral"),
        (fit_groups, [heard()] * 3, [heard()] * 3, "sound alike"),
    ],
)
def test_what_has_no_direction_is_refused(fit: Callable, neutral: list, target: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(neutral, target)


# Adding and erasing


def test_adding_is_linear_until_the_ranges_end() -> None:
    start = place(angry=0.2, arousal=-0.3)
    np.testing.assert_allclose(add(start, ANGRY, 0.5), place(angry=0.6, arousal=0.0))
    np.testing.assert_allclose(add(start, ANGRY, -1.0), place(angry=0.0, arousal=-0.9))
    np.testing.assert_allclose(add(start, ANGRY, 3.0), place(angry=1.5, arousal=1.0))
    np.testing.assert_array_equal(add(start, ANGRY, 0.0), start)
    for strength in (float("nan"), float("inf"), "1", True):
        with pytest.raises(ValueError, match="strength of a direction must be a number"):
            add(start, ANGRY, strength)  # type: ignore[arg-type]


def test_erasing_leaves_nothing_along_the_axis_and_all_else_alone() -> None:
    axis = ANGRY.vector / ANGRY.distance
    start = add(place(sad=0.4, valence=-0.2), ANGRY, 0.7)
    erased = erase(start, ANGRY)
    assert erased @ axis == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(erased, place(sad=0.4, valence=-0.2), atol=1e-12)
    np.testing.assert_allclose(erase(erased, ANGRY), erased, atol=1e-12)
    np.testing.assert_allclose(erase(add(np.zeros(SIZE), ANGRY, 1.0), ANGRY), np.zeros(SIZE), atol=1e-12)


def test_a_direction_has_a_length_and_leaves_neutral_alone() -> None:
    for vector, message in (
        (np.zeros(SIZE), "direction is zero"),
        (place(neutral=0.5, angry=0.5), "must not move neutral"),
        (np.full(SIZE, np.inf), "finite"),
        (np.zeros(4), r"\[15\]; got \[4\]"),
    ):
        with pytest.raises(ValueError, match=message):
            Direction(vector, 1)


def test_like_recordings_is_their_mean_scaled() -> None:
    a, b = heard("angry", 0.8, (0.6, -0.4, 0.2)), heard("sad", 0.4, (-0.2, -0.6, -0.2))
    np.testing.assert_allclose(like_recordings([a], [0.5]), 0.5 * coordinates_of(a))
    np.testing.assert_allclose(like_recordings([a, b], [1.0, 1.0]), 0.5 * (coordinates_of(a) + coordinates_of(b)))
    np.testing.assert_allclose(like_recordings([a, b], [0.7, 0.3]), 0.7 * coordinates_of(a) + 0.3 * coordinates_of(b))
    with pytest.raises(ValueError, match="got 1 for 2"):
        like_recordings([a, b], [1.0])


# Files


def test_a_file_gives_back_what_was_saved_and_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_direction(tmp_path / f"{name}.safetensors", Direction(ANGRY.vector, 2, "pairs", {"judge": "recognizer"}))
    found = load_direction(tmp_path / "a.safetensors")
    np.testing.assert_allclose(found.vector, ANGRY.vector, rtol=1e-6)
    assert (found.pairs, found.kind, found.metadata) == (2, "pairs", {"judge": "recognizer"})
    assert found.distance == pytest.approx(1.0)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]
    with pytest.raises(ValueError, match=r"must end in .safetensors; got 'a.pt'"):
        save_direction(tmp_path / "a.pt", ANGRY)


def as_file(vector: Any = None, **changes: Any) -> bytes:
    facts = {"version": 1, "labels": LABELS, "dimensions": DIMENSIONS, "kind": "pairs", "pairs": 1, "metadata": {}}
    vector = ANGRY.vector.astype(np.float32) if vector is None else vector
    return save({"vector": vector}, {KEY: json.dumps(facts | changes)})


class Bomb:
    """What a pickle would run."""

    def __reduce__(self) -> tuple:
        return (Path("pwned").touch, ())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not a direction in safetensors"),
        (b"\x80\x04\x95junk of a pickle.", "is not a direction in safetensors"),
        (b"PK\x03\x04" + bytes(40), "is not a direction in safetensors"),
        (as_file()[:-5], "is not a direction in safetensors"),
        (b"\xff" * 8 + as_file()[8:], "is not a direction in safetensors"),
        (save({"vector": ANGRY.vector.astype(np.float32)}), "is not a direction in safetensors"),
        (save({"vector": ANGRY.vector.astype(np.float32)}, {KEY: "{"}), "is not a direction in safetensors"),
        (save({"vector": ANGRY.vector.astype(np.float32)}, {KEY: "[1]"}), "is not of version 1"),
        (as_file(version=2), "is not of version 1"),
        (as_file(labels=["neutral", "happy"]), "has other labels than neutral, calm"),
        (as_file(labels=LABELS[::-1]), "has other labels than"),
        (as_file(dimensions=["valence"]), "has other dimensions than arousal"),
        (as_file(np.zeros(3, np.float32)), r"must hold one vector \[15\] of float32"),
        (as_file(ANGRY.vector), "of float32"),
        (as_file(np.full(SIZE, np.nan, np.float32)), "must be finite numbers; got nan"),
        (as_file(np.zeros(SIZE, np.float32)), "direction is zero"),
        (as_file(np.ones(SIZE, np.float32)), "must not move neutral"),
        (as_file(pairs=0), "pairs must be a whole number"),
        (as_file(kind="magic"), "kind must be one of pairs, groups"),
        (as_file(metadata=3), "has no metadata"),
        (bytes(70_000), "has 70000 bytes; expected at most 65536"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        load_direction(path)
    assert str(caught.value).startswith("direction file a.safetensors: ") and "\n" not in str(caught.value)


def test_a_pickle_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.chdir(tmp_path)
    torch.save(Bomb(), "a.safetensors")
    with pytest.raises(ValueError, match="is not a direction in safetensors"):
        load_direction("a.safetensors")
    assert not Path("pwned").exists()
    with pytest.raises(FileNotFoundError, match=r"'none.safetensors' does not exist"):
        load_direction("none.safetensors")


def test_mutated_files_are_refused_or_read_but_never_crash(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    sound = np.frombuffer(as_file(), np.uint8)
    path = tmp_path / "a.safetensors"
    for _ in range(500):
        data = sound.copy()
        data[random.integers(0, len(data), 3)] = random.integers(0, 256, 3)
        path.write_bytes(
            data[: random.integers(1, len(data) + 1)].tobytes() if random.random() < 0.3 else data.tobytes()
        )
        try:
            assert np.isfinite(load_direction(path).vector).all()
        except ValueError as error:
            assert "\n" not in str(error)


# The command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with recordings of a neutral and an excited tone, and the judge that reads tones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("emotts.judges.load_judge", lambda name, folder=None: EchoJudge(name))
    tts = EchoTTS()
    for kind, (arousal, valence) in {"neutral": (0.0, 0.0), "rage": (0.8, -0.6)}.items():
        Path(kind).mkdir()
        for i in range(3):
            result = tts.synthesize("Hello.", arousal=arousal + 0.02 * i, valence=valence, dominance=0.0, seed=i)
            soundfile.write(f"{kind}/{i}.wav", result.waveform, RATE)
    soundfile.write("silent.wav", np.zeros(RATE), RATE)
    soundfile.write("short.wav", 0.1 * np.ones(900), RATE)
    Path("words.wav").write_text("not audio")
    Path("copy.wav").write_bytes(Path("neutral/0.wav").read_bytes())
    return tmp_path


def run(*arguments: str) -> int:
    try:
        return main(["direction", *arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def test_two_pairs_make_a_direction_that_can_be_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = ["neutral/0.wav,rage/0.wav", "neutral/1.wav,rage/1.wav"]
    assert run("fit", "--pairs", *pairs, "-o", "rage.safetensors", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == "rage.safetensors" and facts["pairs"] == 2 and facts["metadata"]["judge"] == "recognizer"
    assert facts["vector"]["arousal"] == pytest.approx(0.8, abs=0.1)
    assert facts["vector"]["valence"] == pytest.approx(-0.6, abs=0.1)
    assert run("show", "rage.safetensors") == 0
    out = capsys.readouterr().out
    assert "2 pairs" in out and "recognizer" in out and f"{'arousal':<12}{facts['vector']['arousal']:+.2f}  +++" in out
    assert run("show", "rage.safetensors", "--json") == 0
    assert json.loads(capsys.readouterr().out) == facts


def test_two_folders_make_a_direction(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fit", "--neutral", "neutral", "--target", "rage", "-o", "rage.safetensors") == 0
    assert "two groups, 3 recordings of the target" in capsys.readouterr().out
    found = load_direction("rage.safetensors")
    assert found.kind == "groups" and found.vector[len(LABELS)] == pytest.approx(0.8, abs=0.1)
    assert found.metadata["target"] == ["0.wav", "1.wav", "2.wav"]


def test_a_comma_in_a_name_is_found_out(folder: Path) -> None:
    Path("rage/0.wav").rename("a, b.wav")
    assert run("fit", "--pairs", "neutral/0.wav,a, b.wav") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --pairs, or both --neutral and --target"),
        (["--neutral", "neutral"], "give either --pairs, or both"),
        (["--pairs", "neutral/0.wav,rage/0.wav", "--neutral", "neutral", "--target", "rage"], "give either"),
        (["--pairs", "neutral/0.wav"], "two recordings with a comma between; got 'neutral/0.wav'"),
        (["--pairs", "neutral/0.wav,"], "two recordings with a comma"),
        (["--pairs", "a,b,c"], "two recordings with a comma"),
        (["--pairs", "neutral/0.wav,none.wav"], "'none.wav' does not exist"),
        (["--pairs", "neutral/0.wav,words.wav"], "words.wav is not audio"),
        (["--pairs", "neutral/0.wav,silent.wav"], "'silent.wav' is silent"),
        (["--pairs", "neutral/0.wav,short.wav"], "'short.wav' lasts 0.04 s; give at least 0.25 s"),
        (["--pairs", "neutral/0.wav,neutral/0.wav"], "stands among the neutral and the target recordings"),
        (["--pairs", "neutral/0.wav,copy.wav"], "'copy.wav' equals 'neutral/0.wav' and stands among"),
        (["--pairs", "neutral/0.wav,rage/0.wav", "neutral/1.wav,rage/0.wav"], "twice among the targets"),
        (["--neutral", "neutral", "--target", "none"], "--target 'none' is not a folder"),
        (["--neutral", "neutral", "--target", "."], "stands among the neutral and the target"),
        (["--pairs", "neutral/0.wav,rage/0.wav", "-o", "rage.pt"], "output must end in .safetensors"),
        (["--pairs", "neutral/0.wav,rage/0.wav", "-o", "no/rage.safetensors"], "output folder 'no' does not exist"),
        (["--pairs", *[f"{i},{i}" for i in range(51)]], "takes up to 50 pairs; got 51"),
    ],
)
def test_mistakes_are_told_in_one_line_before_the_judge_loads(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    def load(*_: object) -> None:
        raise AssertionError("the judge was loaded")

    monkeypatch.setattr("emotts.judges.load_judge", load)
    assert run("fit", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and message in err
    assert not list(folder.glob("*.safetensors"))


def test_an_existing_file_needs_force(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fit", "--pairs", "neutral/0.wav,rage/0.wav", "-o", "rage.safetensors"]
    assert run(*arguments) == 0 and run(*arguments) == 2
    assert "exists; give another name, or --force" in capsys.readouterr().err
    assert run(*arguments, "--force") == 0


def test_without_a_subcommand_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
