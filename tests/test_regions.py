"""Labels as regions of A, V, D: both ways, the learnt spread, and the trees of labels."""

import pytest
import torch

from emotts.emotion.labels import AVD_MEANS, LABELS
from emotts.emotion.regions import (
    EMONET,
    PARROTT,
    SMALLEST_STD,
    LabelRegions,
    emonet_labels,
    emonet_of,
    parrott_of,
)


@pytest.mark.parametrize("name", LABELS)
def test_a_label_gives_its_mean_and_its_mean_gives_the_label(name: str) -> None:
    regions = LabelRegions()
    one_hot = torch.eye(len(LABELS))[LABELS.index(name)]
    mean, std = regions.avd_of(one_hot)
    torch.testing.assert_close(mean, torch.tensor(AVD_MEANS[name]))
    torch.testing.assert_close(std, regions.std[LABELS.index(name)], atol=1e-3, rtol=0)
    share = regions.labels_of(mean)
    assert share.sum() == pytest.approx(1.0, abs=1e-5)
    assert LABELS[int(share.argmax())] == name


def test_the_mixture_has_the_moments_of_samples() -> None:
    regions = LabelRegions()
    regions.std.copy_(torch.linspace(0.1, 0.5, 36).reshape(12, 3))
    share = torch.softmax(torch.arange(12.0) / 4.0, dim=0)
    generator = torch.Generator().manual_seed(0)
    picks = torch.multinomial(share, 200_000, replacement=True, generator=generator)
    points = regions.mean[picks] + regions.std[picks] * torch.randn(200_000, 3, generator=generator)
    mean, std = regions.avd_of(share)
    torch.testing.assert_close(mean, points.mean(dim=0), atol=0.01, rtol=0)  # standard error 0.0014
    torch.testing.assert_close(std, points.std(dim=0), atol=0.01, rtol=0)


def test_the_spread_is_learnt_and_a_label_without_rows_keeps_its_own() -> None:
    regions = LabelRegions()
    before = regions.std.clone()
    angry, calm = LABELS.index("angry"), LABELS.index("calm")
    generator = torch.Generator().manual_seed(1)
    true = torch.tensor([0.3, 0.15, 0.02])
    points = regions.mean[angry] + true * torch.randn(20_000, 3, generator=generator)
    regions.fit(points, torch.eye(12)[angry].expand(20_000, -1))
    torch.testing.assert_close(regions.std[angry], torch.tensor([0.3, 0.15, SMALLEST_STD]), atol=0.01, rtol=0)
    torch.testing.assert_close(regions.std[calm], before[calm])


def test_uncertainty_of_the_point_flattens_the_labels() -> None:
    regions = LabelRegions()
    point = torch.tensor(AVD_MEANS["angry"])
    sharp, flat = regions.labels_of(point), regions.labels_of(point, torch.full((3,), 0.6))
    assert flat.max() < sharp.max()


def test_parrotts_tiers_add_up() -> None:
    labels = {name: (i + 1) / 78.0 for i, name in enumerate(LABELS)}
    first, second = parrott_of(labels, 1), parrott_of(labels, 2)
    assert sum(first.values()) == pytest.approx(1.0) == sum(second.values())
    assert first["joy"] == pytest.approx(labels["happy"] + labels["excited"] + labels["calm"])
    assert second["disgust"] == pytest.approx(labels["disgusted"] + labels["contempt"])
    assert first["other"] == pytest.approx(labels["neutral"] + labels["bored"])
    assert set(first) - {"other"} == {"love", "joy", "surprise", "anger", "sadness", "fear"}
    assert set(PARROTT) <= set(LABELS)


def test_parrott_refuses_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="tier must be 1 .* or 2"):
        parrott_of({"happy": 1.0}, 3)
    with pytest.raises(ValueError, match="'jolly'"):
        parrott_of({"jolly": 1.0})


def test_every_category_of_emonet_is_its_own_nearest() -> None:
    assert len(EMONET) == 40
    for name, point in EMONET.items():
        share = emonet_of(point)
        assert sum(share.values()) == pytest.approx(1.0, abs=1e-5)
        assert EMONET[max(share, key=share.__getitem__)] == point, name


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Anger", "angry"), ("Disgust", "disgusted"), ("contempt", "contempt"), ("Sadness", "sad"), ("FEAR", "fearful"),
        ("Hope / Optimism", None), ("Jealousy/Envy", None), ("Intoxication/Altered States", None),
    ],
)  # fmt: skip
def test_categories_of_emonet_become_labels_in_any_spelling(name: str, label: str | None) -> None:
    if name == "Jealousy/Envy":  # the same letters as "Jealousy & Envy"
        assert emonet_labels(name, LabelRegions()) == emonet_labels("Jealousy & Envy", LabelRegions())
    share = emonet_labels(name, LabelRegions())
    assert sum(share.values()) == pytest.approx(1.0, abs=1e-5)
    assert label is None or max(share, key=share.__getitem__) == label


def test_an_unknown_category_of_emonet_is_refused() -> None:
    with pytest.raises(ValueError, match="no category of EmoNet-Voice"):
        emonet_labels("Hunger", LabelRegions())
