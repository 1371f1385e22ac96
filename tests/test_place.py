"""What every way of asking becomes: tracks of labels and dimensions, evened intensities, and resolved recordings and words."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from emotts.emotion.coordinates import coordinates_of_spec
from emotts.emotion.direction import Direction, save_direction
from emotts.emotion.labels import AVD_MEANS, LABEL_INDEX, LABELS
from emotts.emotion.place import evenness, track_along, track_of
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.resolve import Resolver

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "recipes"))
K = len(LABELS)


def test_a_label_brings_its_dimensions_and_a_given_one_takes_its_place() -> None:
    track = track_of([parse_emotion("sad:0.5,dominance=.3"), parse_emotion("arousal=.7"), EmotionSpec()])
    given = track.to_input()
    assert given.labels[0, 0, LABEL_INDEX["sad"]] == 0.5 and given.labels[0, 1:].sum() == 0.0
    arousal, valence, _ = AVD_MEANS["sad"]
    torch.testing.assert_close(given.avd[0, 0], torch.tensor([0.5 * arousal, 0.5 * valence, 0.3]))
    assert given.label_known[0].tolist() == [True, False, True]
    assert given.avd_known[0].tolist() == [[True] * 3, [True, False, False], [True] * 3]
    assert given.avd[0, 2].tolist() == [0.0, 0.0, 0.0]


def test_a_mixture_is_the_weighted_sum() -> None:
    track = track_of([parse_emotion("happy:0.6+sad:0.4")])
    mean = 0.6 * np.array(AVD_MEANS["happy"]) + 0.4 * np.array(AVD_MEANS["sad"])
    assert track.avd[0] == pytest.approx(mean)
    assert track.labels[0, LABEL_INDEX["happy"]] == 0.6 and track.labels[0].sum() == pytest.approx(1.0)


def test_evenness_maps_the_whole_intensity_and_keeps_shares() -> None:
    even = evenness({"happy": [[0.0, 0.0], [0.5, 0.8], [1.0, 1.0], [1.5, 1.2]]})
    assert [even("happy", x) for x in (0.0, 0.25, 0.5, 1.0, 1.5)] == pytest.approx([0.0, 0.4, 0.8, 1.0, 1.2])
    assert even("sad", 0.5) == 0.5
    alone = track_of([parse_emotion("happy:0.5")], even)
    assert alone.labels[0, LABEL_INDEX["happy"]] == pytest.approx(0.8)
    assert alone.avd[0] == pytest.approx(0.8 * np.array(AVD_MEANS["happy"]))
    both = track_of([parse_emotion("happy:0.25+sad:0.25")], even)  # at 0.5 in all, happy is told 0.8 / 0.5 of its share
    assert both.labels[0, LABEL_INDEX["happy"]] == pytest.approx(0.4)
    assert both.labels[0, LABEL_INDEX["sad"]] == pytest.approx(0.25)
    neutral = track_of([parse_emotion("happy:0")], even)
    assert not neutral.labels.any() and not neutral.avd.any()


def test_what_a_time_line_does_not_say_is_masked() -> None:
    coordinates = np.zeros((2, K + 3))
    coordinates[0, :K] = np.nan
    coordinates[1, K + 1] = np.nan
    track = track_along(coordinates)
    assert track.label_known.tolist() == [False, True]
    assert track.avd_known.tolist() == [[True] * 3, [True, False, True]]
    assert np.isfinite(track.labels).all() and np.isfinite(track.avd).all()


def test_the_inverse_curve_makes_equal_steps_of_what_is_heard() -> None:
    pytest.importorskip("hydra")
    from calibrate_intensity import GRID, inverse_curve

    heard = 0.1 + np.sqrt(GRID)  # steep at first
    even = evenness({"happy": inverse_curve(heard)})
    steps = [np.interp(even("happy", x), GRID, heard) for x in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert np.diff(steps) == pytest.approx(0.25, abs=0.05)
    assert even("happy", 0.0) == 0.0 and even("happy", 1.0) == 1.0
    falling = np.array(inverse_curve(np.array([0.0, 0.4, 0.3, 0.6, 1.0, 0.9, 1.1])))
    assert (np.diff(falling, axis=0) >= 0).all() and falling[-1, 1] <= 1.5
    assert inverse_curve(np.zeros(7)) == [[0.0, 0.0], [1.5, 1.5]]


class OneHeard(Resolver):
    """A resolver whose recogniser hears the same in every recording, more when it knows the speaker."""

    recognizer: Any = None

    def __init__(self, heard: Any) -> None:
        def hear(waveform: np.ndarray, sample_rate: int) -> Any:
            return heard

        self.recognizer = SimpleNamespace(hear=hear, with_reference=lambda neutral: SimpleNamespace(hear=hear))


def heard_as(label: str) -> Any:
    labels = {name: 0.9 if name == label else 0.1 / (K - 1) for name in LABELS}
    return SimpleNamespace(labels=labels, avd=AVD_MEANS[label])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    from emotts.audio import save_audio

    path = tmp_path / "ref.wav"
    save_audio(path, (0.1 * np.sin(np.arange(24_000) / 20.0)).astype(np.float32), 24_000)
    return path


def test_a_recording_becomes_what_is_heard_in_it(recording: Path) -> None:
    resolver = OneHeard(heard_as("angry"))
    full, half = (resolver.plain(parse_emotion(f'like="{recording}":{x}')) for x in (1.0, 0.5))
    assert full.label == "angry" or full.mixture[0][0] == "angry"
    assert np.array([*full.dimensions.values()]) == pytest.approx(AVD_MEANS["angry"], abs=1e-3)
    assert np.array([*half.dimensions.values()]) == pytest.approx(0.5 * np.array(AVD_MEANS["angry"]), abs=1e-3)
    over = resolver.plain(parse_emotion(f'like="{recording}",valence=0.4'))
    assert over.valence == 0.4 and not over.sources


def test_parts_are_added_and_refused_labels_left_out(recording: Path, tmp_path: Path) -> None:
    resolver = OneHeard(heard_as("angry"))
    refused = resolver.plain(parse_emotion(f'happy:0.2-angry:0.5,like="{recording}"'))
    assert "angry" not in dict(refused.weights) and refused.away == (("angry", 0.5),)
    path = tmp_path / "sad.safetensors"
    save_direction(path, Direction(coordinates_of_spec(parse_emotion("sad")), 1, "pairs", {}))
    erased = resolver.plain(parse_emotion(f'sad:0.8,erase="{path}"'))
    assert not erased.weights and np.abs([*erased.dimensions.values()]).max(initial=0.0) < 1e-3
    crowded = resolver.plain(parse_emotion(f'angry:1.4,direction="{path}":2'))
    assert sum(weight for _, weight in crowded.weights) <= 1.5 + 1e-6


def test_words_stand_beside_a_label_and_norms_go_before_the_list(tmp_path: Path) -> None:
    resolver = Resolver()
    alone, beside = resolver.plain(parse_emotion('"weary"')), resolver.plain(parse_emotion('sad:0.3,"weary"'))
    assert beside.valence is not None and alone.valence is not None and beside.valence < alone.valence
    path = tmp_path / "norms.txt"
    path.write_text("weary\t0.9\t0.9\t0.5\n", encoding="utf-8")
    cheerful = resolver.plain(parse_emotion('"weary"'), norms=path)
    assert cheerful.arousal == pytest.approx(0.8, abs=0.05) and cheerful.valence == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(
    ("spec", "options", "said"),
    [
        ('"qwertz"', {}, "qwertz"),
        ('"weary"', {"norms": "nowhere.txt"}, "nowhere.txt"),
    ],
)
def test_what_does_not_fit_is_told(spec: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        Resolver().plain(parse_emotion(spec), **options)
