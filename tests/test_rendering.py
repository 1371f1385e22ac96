"""The acoustic mapping: directions, limits and identities that the literature gives."""

import itertools

import numpy as np
import pytest

from emotts.emotion.labels import AVD_MEANS, LABEL_INDEX, LABELS
from emotts.emotion.rendering import LIMITS, RESIDUALS, Controls, controls_for

FACTORS = ("f0_range", "rate", "pause", "formant", "energy_range")
OFFSETS = ("f0_shift_st", "gain_db", "tilt_db_per_oct", "breathiness", "jitter_pct", "tremor_st", "accent")
SLOPES = ("final_slope_st", "phrase_slope_st")


def controls_at(arousal: float = 0.0, valence: float = 0.0, dominance: float = 0.0) -> Controls:
    return controls_for(np.array([[arousal, valence, dominance]]))


def controls_of(label: str, intensity: float = 1.0, avd: tuple[float, float, float] | None = None) -> Controls:
    weights = np.zeros((1, len(LABELS)))
    weights[0, LABEL_INDEX[label]] = intensity
    return controls_for(intensity * np.array([avd or AVD_MEANS[label]]), weights)


def is_identity(controls: Controls) -> bool:
    return (
        all(np.array_equal(getattr(controls, name), np.ones(len(controls))) for name in FACTORS)
        and all(np.allclose(getattr(controls, name), 0.0, atol=1e-15) for name in OFFSETS)
        and all(abs(getattr(controls, name)) < 1e-15 for name in SLOPES)
    )


def test_origin_is_the_identity() -> None:
    assert is_identity(controls_for(np.zeros((3, 3)), np.zeros((3, len(LABELS)))))


@pytest.mark.parametrize("label", LABELS)
def test_intensity_zero_is_the_identity(label: str) -> None:
    assert is_identity(controls_of(label, 0.0))


@pytest.mark.parametrize("name", ["f0_shift_st", "f0_range", "rate", "gain_db", "tilt_db_per_oct", "energy_range"])
def test_arousal_raises(name: str) -> None:
    values = [float(getattr(controls_at(arousal=a), name)[0]) for a in np.linspace(-1.0, 1.0, 9)]
    assert np.all(np.diff(values) > 0)


def test_arousal_shortens_pauses() -> None:
    assert controls_at(arousal=1.0).pause[0] < controls_at().pause[0] < controls_at(arousal=-1.0).pause[0]


def test_valence_lowers_gain_and_tilt_at_equal_arousal() -> None:
    for arousal in (-0.5, 0.0, 0.5):
        low, high = controls_at(arousal, -0.8), controls_at(arousal, 0.8)
        assert high.gain_db[0] < low.gain_db[0]
        assert high.tilt_db_per_oct[0] < low.tilt_db_per_oct[0]


def test_dominance_lowers_breathiness_and_the_final_slope() -> None:
    low, high = controls_at(-0.5, 0.0, -0.8), controls_at(-0.5, 0.0, 0.8)
    assert high.breathiness[0] < low.breathiness[0]
    assert high.final_slope_st < low.final_slope_st


def test_fear_is_higher_than_anger_at_equal_coordinates() -> None:
    point = AVD_MEANS["angry"]
    assert controls_of("fearful", avd=point).f0_shift_st[0] > controls_of("angry", avd=point).f0_shift_st[0]


def test_tempo_is_ordered_sad_neutral_happy() -> None:
    assert controls_of("sad").rate[0] < controls_of("neutral").rate[0] < controls_of("happy").rate[0]


def test_surprise_rises_and_anger_falls_at_the_end() -> None:
    assert controls_of("surprised").final_slope_st > 3.0
    assert controls_of("angry").final_slope_st < -1.0


def test_every_corner_and_category_is_finite_and_within_limits() -> None:
    corners = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=3)))
    assert len(corners) == 27
    for weights in (None, *(1.5 * np.eye(len(LABELS))[[i] * 27] for i in range(len(LABELS)))):
        controls = controls_for(corners, weights)
        for name, (low, high) in LIMITS.items():
            values = np.atleast_1d(getattr(controls, name))
            assert np.isfinite(values).all()
            assert values.min() >= low and values.max() <= high


def test_residuals_add_up_with_their_weights() -> None:
    weights = np.zeros((1, len(LABELS)))
    weights[0, LABEL_INDEX["sad"]] = weights[0, LABEL_INDEX["fearful"]] = 0.5
    mixed = controls_for(np.zeros((1, 3)), weights)
    expected = 0.5 * (RESIDUALS["sad"].f0_shift_st + RESIDUALS["fearful"].f0_shift_st)
    assert mixed.f0_shift_st[0] == pytest.approx(expected)
    assert np.log(mixed.rate[0]) == pytest.approx(0.5 * (RESIDUALS["sad"].log_rate + RESIDUALS["fearful"].log_rate))


def test_tokens_are_independent() -> None:
    points = np.array([[0.5, -0.5, 0.2], [-0.5, 0.1, 0.0]])
    both = controls_for(points)
    for i, point in enumerate(points):
        assert both.f0_shift_st[i] == controls_for(point[None]).f0_shift_st[0]


@pytest.mark.parametrize(
    ("avd", "weights", "message"),
    [
        (np.zeros((2, 2)), None, r"avd must have the shape"),
        (np.zeros((2, 3)), np.zeros((2, 5)), r"label_weights must have the shape"),
        (np.full((2, 3), np.nan), None, r"must be finite"),
    ],
)
def test_wrong_inputs_are_refused(avd: np.ndarray, weights: np.ndarray | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        controls_for(avd, weights)
