"""The emotion recogniser: network, losses, calibration, distortions, the judge on waveforms, and frozen encoders."""

import json
import math
import os
import subprocess
import sys
import tracemalloc
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_dataset import write_corpus
from torch import Tensor

from emotts.audio import SPEC, LogMel, resample, save_audio
from emotts.checkpoint import load_checkpoint, save_checkpoint
from emotts.checkpoint.config import build
from emotts.emotion import augment as distort
from emotts.emotion.heard import UNCERTAIN, Heard
from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABELS
from emotts.emotion.listening import PIECE_S, RecognizerJudge
from emotts.emotion.objective import (
    CONTROL_SCALES,
    EmotionTarget,
    LossWeights,
    concordance_loss,
    control_loss,
    control_target,
    distribution_loss,
    expected_calibration_error,
    fit_temperature,
    impossible_pairs,
    intensity_target,
    recognition_losses,
    soft_target,
)
from emotts.emotion.recognizer import N_CONTROLS, Recognition, Recognizer
from emotts.emotion.regions import LabelRegions
from emotts.emotion.rendering import controls_for
from emotts.emotion.stems import FeatureStem, _fitted, contour_statistics, speech_level
from emotts.metrics.statistics import concordance

ROOT = Path(__file__).resolve().parent.parent
ROOM = "emotts.emotion"
CONFIG = {
    "_target_": f"{ROOM}.recognizer.Recognizer",
    "stem": {"_target_": f"{ROOM}.stems.MelStem", "channels": 32, "stride": 4},
    **{"channels": 32, "layout": "c", "context": 16, "groups": 2, "head": 32, "embedding_dim": 16, "dropout": 0.0},
}
RATE = SPEC.sample_rate


@pytest.fixture(scope="module")
def model() -> Recognizer:
    """A random network in which every part has an effect."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = build(CONFIG, "recognizer")
        for parameter in built.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
    assert isinstance(built, Recognizer)
    return built.eval()


@pytest.fixture(scope="module")
def judge(model: Recognizer) -> RecognizerJudge:
    return RecognizerJudge(model)


def clips(n: int = 3, n_frames: int = 90, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random mels and F0 [n, T, M + 1] of several lengths."""
    generator = torch.Generator().manual_seed(seed)
    mel = -4.0 + torch.randn(n, n_frames, SPEC.n_mels, generator=generator)
    f0 = 150.0 + 50.0 * torch.rand(n, n_frames, 1, generator=generator)
    f0 = f0 * (torch.rand(n, n_frames, 1, generator=generator) > 0.3)
    return torch.cat([mel, f0], dim=-1), torch.tensor([n_frames, n_frames - 31, n_frames - 2][:n])


def speechlike(duration_s: float, seed: int = 0, rate: int = RATE, noise: float = 0.001) -> np.ndarray:
    """Harmonics of a wavering pitch that come in syllables."""
    t = np.arange(int(duration_s * rate)) / rate
    phase = 2.0 * np.pi * np.cumsum(140.0 + 20.0 * np.sin(2.0 * np.pi * 0.7 * t + seed)) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 12))
    hiss = noise * np.random.default_rng(seed).standard_normal(len(t))
    return (0.1 * voice * (0.55 + 0.45 * np.sin(2.0 * np.pi * 4.0 * t)) + hiss).astype(np.float32)


def target_of(n: int, w: int = 1) -> EmotionTarget:
    generator = torch.Generator().manual_seed(5)
    return EmotionTarget(
        labels=torch.rand(n, w, len(LABELS), generator=generator).softmax(dim=-1),
        label_known=torch.ones(n, w, dtype=torch.bool),
        avd=2.0 * torch.rand(n, w, 3, generator=generator) - 1.0,
        avd_known=torch.ones(n, w, 3, dtype=torch.bool),
        avd_std=torch.zeros(n, w, 3),
        controls=torch.randn(n, w, N_CONTROLS, generator=generator),
        controls_known=torch.ones(n, w, dtype=torch.bool),
    )


def recognition(n: int, requires_grad: bool = False) -> Recognition:
    """Random answers for n clips."""
    generator = torch.Generator().manual_seed(7)

    def part(size: int) -> Tensor:
        return torch.randn(n, 1, size, generator=generator).requires_grad_(requires_grad)

    return Recognition(part(len(LABELS)), part(3), part(3), part(8), part(N_CONTROLS))


def close(a: Recognition, b: Recognition, atol: float = 1e-5) -> None:
    for field in fields(a):
        torch.testing.assert_close(getattr(a, field.name), getattr(b, field.name), atol=atol, rtol=1e-4)


# -- the network


@torch.no_grad()
def test_padding_does_not_change_output(model: Recognizer) -> None:
    features, lengths = clips()
    weight = torch.tensor([[0.0, 0.5, 0.5], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    windows = torch.tensor([[[0, 40], [20, 50]]]).expand(3, -1, -1)
    padded = torch.cat([features, 37.0 * torch.ones(3, 53, features.shape[-1])], dim=1)
    for b, n in enumerate(lengths.tolist()):
        padded[b, n:] = 37.0
    close(model(features, lengths, windows, None, weight), model(padded, lengths, windows, None, weight))
    for b, n in enumerate(lengths.tolist()):  # and alone each clip is what it is in the batch
        alone = model(features[b : b + 1, :n], lengths[b : b + 1])
        together = model(features, lengths)
        close(alone, Recognition(**{k: v[b : b + 1] for k, v in vars(together).items()}))


@torch.no_grad()
def test_level_does_not_change_output(model: Recognizer) -> None:
    features, lengths = clips()
    louder = features.clone()
    louder[..., :-1] += 12.0 * math.log(10.0) / 20.0
    close(model(features, lengths), model(louder, lengths), atol=1e-4)


def test_the_level_of_speech_ignores_padding_and_pauses() -> None:
    mel = torch.full((1, 40, SPEC.n_mels), -2.0)
    mel[:, 20:30] = -12.0
    mask = torch.arange(40)[None] < 30
    assert speech_level(mel, mask).item() == pytest.approx(-2.0, abs=1e-5)


@torch.no_grad()
def test_the_whole_window_is_the_clip_and_other_windows_differ(model: Recognizer) -> None:
    features, lengths = clips()
    whole = torch.stack([torch.zeros_like(lengths), lengths], dim=-1)[:, None]
    close(model(features, lengths), model(features, lengths, whole))
    halves = model(features, lengths, torch.tensor([[[0, 30], [30, 60]]]).expand(3, -1, -1))
    assert halves.avd.shape == (3, 2, 3)
    assert (halves.avd[:, 0] - halves.avd[:, 1]).abs().max() > 1e-3
    one_frame = model(features, lengths, torch.tensor([[[0, 1], [10_000, 10_001]]]).expand(3, -1, -1))
    assert torch.isfinite(one_frame.logits).all()


@torch.no_grad()
def test_a_known_voice_is_compared_with(model: Recognizer) -> None:
    features, lengths = clips()
    unknown = model(features, lengths)
    close(unknown, model(features, lengths, None, None, torch.zeros(3, 3)))
    weight = torch.tensor([[0.0, 0.5, 0.5], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    inside = model(features, lengths, None, None, weight)
    given = model(features, lengths, None, model.describe(features, lengths), weight)
    close(inside, given)
    assert (inside.avd - unknown.avd)[:2].abs().amax(dim=(1, 2)).min() > 1e-3
    torch.testing.assert_close(inside.avd[2], unknown.avd[2])


def test_the_comparison_finds_shift_and_tilt_in_any_voice() -> None:
    axis = torch.linspace(-1.0, 1.0, 60)
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        phase = 6.28 * torch.rand(4, generator=generator)
        position = torch.arange(60.0)

        def spectrum(at: Tensor, phase: Tensor = phase) -> Tensor:
            return sum((torch.sin(at / (4.0 + 2.0 * k) + phase[k]) for k in range(4)), torch.zeros(()))

        reference = spectrum(position)
        bands = spectrum(position + 0.3) + 0.2 * axis - 0.1
        fit = _fitted(bands[None], reference[None])[0]
        torch.testing.assert_close(fit, torch.tensor([-0.1, 0.2, 0.0, 0.3]), atol=0.05, rtol=0)
    nothing = _fitted(torch.full((1, 60), 0.5), torch.zeros(1, 60))[0]
    torch.testing.assert_close(nothing, torch.tensor([0.5, 0.0, 0.0, 0.0]), atol=0.01, rtol=0)


def test_contours_are_described_as_they_are() -> None:
    """A rising pitch in one half of a window: slope, spread and pauses against their closed forms."""
    n = 200
    voicing = torch.ones(1, n)
    place = (torch.arange(n) + 0.5) / n - 0.5
    height = 0.3 + 0.4 * place[None]
    energy = torch.where(place[None] < 0.3, 0.0, -5.0)  # the last fifth is a pause
    tracks = torch.stack([voicing, height, energy], dim=-1)
    windows = torch.ones(1, 1, n, dtype=torch.bool)
    got = contour_statistics(tracks, windows)[0, 0].tolist()
    assert got[0] == pytest.approx(0.6, abs=1e-3)
    assert got[1] == pytest.approx(5.0 * 0.4 / math.sqrt(12.0), abs=0.02)
    variance = 1.0 / 12.0
    assert got[2] == pytest.approx(2.0 * 0.4 * variance / (variance + 0.01), abs=1e-3)
    assert got[3] == pytest.approx(-got[4], abs=1e-3) and got[4] == pytest.approx(4.0 * 0.4 * 0.375, abs=0.01)
    assert got[8] == pytest.approx(2.0 * 0.8, abs=0.01)
    shifted = torch.cat([tracks, torch.zeros(1, 50, 3)], dim=1)
    longer = torch.cat([windows, torch.zeros(1, 1, 50, dtype=torch.bool)], dim=2)
    assert contour_statistics(shifted, longer)[0, 0].tolist() == pytest.approx(got, abs=1e-5)
    unvoiced = contour_statistics(torch.zeros(1, 3, 3), torch.tensor([[[True, False, False]]]))
    assert torch.isfinite(unvoiced).all()


@torch.no_grad()
def test_embeddings_are_unit_vectors_from_which_all_is_read_linearly(model: Recognizer) -> None:
    heard = model(*clips())
    torch.testing.assert_close(heard.embedding.norm(dim=-1), torch.ones(3, 1))
    torch.testing.assert_close(model.avd(heard.embedding * 4.0), heard.avd)  # sqrt(E) = 4
    torch.testing.assert_close(model.labels(heard.embedding * 4.0), heard.logits)


def test_saving_and_loading_changes_nothing(model: Recognizer, tmp_path: Path) -> None:
    model.temperature.copy_(torch.tensor([1.5, 0.7]))
    save_checkpoint(tmp_path / "recognizer", {"recognizer": (CONFIG, model)}, {"recipe": "test"})
    loaded = load_checkpoint(tmp_path / "recognizer")[0]["recognizer"]
    with torch.no_grad():
        close(model(*clips()), loaded(*clips()), atol=0.0)
        assert isinstance(loaded, Recognizer)
        logits = torch.randn(4, len(LABELS))
        torch.testing.assert_close(loaded.probabilities(logits, True), (logits / 0.7).softmax(dim=-1))
    model.temperature.fill_(1.0)


# -- targets and losses


def test_all_votes_become_a_soft_target() -> None:
    target = soft_target(["angry", "anger", "sad", "disgusted"])
    assert target.sum() == pytest.approx(1.0)
    assert target[LABELS.index("angry")] == pytest.approx(0.5)
    torch.testing.assert_close(target, soft_target({"angry": 4, "sadness": 2, "disgust": 2.0}))


@pytest.mark.parametrize(
    ("votes", "message"), [([], "at least one vote"), (["jolly"], "'jolly'"), ({"sad": -1}, "at least 0")]
)
def test_votes_that_say_nothing_are_refused(votes: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        soft_target(votes)  # type: ignore[arg-type]


def test_intensity_is_shared_with_neutral() -> None:
    target = intensity_target("happy", 0.3)
    assert target[LABELS.index("happy")] == pytest.approx(0.3) and target[0] == pytest.approx(0.7)
    assert intensity_target("happy", 1.2)[LABELS.index("happy")] == 1.0
    assert intensity_target("neutral", 0.0)[0] == 1.0


def test_the_concordance_loss_is_one_minus_ccc() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(50, 3, generator=generator), torch.randn(50, 3, generator=generator)
    y = 0.6 * x + 0.5 * y + 0.2
    known = torch.rand(50, 3, generator=generator) > 0.3
    known[:, 2] = False
    known[0, 2] = True  # one value has no correlation
    expected = np.mean([1.0 - concordance(x[known[:, d], d], y[known[:, d], d]) for d in range(2)])
    y[~known] = math.nan  # what is not known is never looked at
    assert concordance_loss(x, y, known).item() == pytest.approx(expected, abs=1e-5)


def test_the_distribution_loss_is_the_divergence_of_gaussians() -> None:
    heard = recognition(4)
    target = replace(target_of(4), avd_std=torch.full((4, 1, 3), 0.3))
    predicted = torch.distributions.Normal(heard.avd, torch.exp(0.5 * heard.log_variance))
    rated = torch.distributions.Normal(target.avd, target.avd_std)
    divergence = torch.distributions.kl_divergence(rated, predicted)
    constant = rated.entropy() - 0.5 * math.log(2.0 * math.pi)
    torch.testing.assert_close(distribution_loss(heard, target), divergence + constant)


def test_missing_targets_give_no_gradient() -> None:
    target = target_of(6)
    target.label_known[:2] = False
    target.avd_known[3:, :, 1] = False
    target.avd[3:, :, 1] = math.nan
    target.controls_known[4:] = False
    target.controls[4:] = math.nan
    heard = recognition(6, requires_grad=True)
    losses = recognition_losses(heard, target, torch.ones(12), LabelRegions())
    LossWeights(impossible=0.0).total(losses).backward()
    logits, avd, log_variance, controls = (
        x.grad for x in (heard.logits, heard.avd, heard.log_variance, heard.controls)
    )
    assert logits is not None and avd is not None and log_variance is not None and controls is not None
    assert logits[:2].abs().max() == 0.0 < logits[2:].abs().min()
    assert controls[4:].abs().max() == 0.0 < controls[:4].abs().min()
    for grad in (avd, log_variance):
        assert torch.isfinite(grad).all() and grad[3:, :, 1].abs().max() == 0.0 < grad[3:, :, 0].abs().min()


def test_the_controls_are_those_that_render_the_emotion() -> None:
    target = control_target("fearful", 0.8, (0.5, -0.5, -0.3))
    weights = np.zeros((1, len(LABELS)))
    weights[0, LABELS.index("fearful")] = 0.8
    controls = controls_for(np.array([[0.5, -0.5, -0.3]]), weights)
    got = dict(zip(CONTROL_SCALES, (target * torch.tensor(list(CONTROL_SCALES.values()))).tolist(), strict=True))
    assert len(got) == N_CONTROLS
    assert got["tremor_st"] == pytest.approx(float(controls.tremor_st[0]), abs=1e-5)
    assert math.exp(got["rate"]) == pytest.approx(float(controls.rate[0]), abs=1e-5)
    assert got["phrase_slope_st"] == pytest.approx(controls.phrase_slope_st, abs=1e-5)
    neutral = control_target(None, 0.0, (0.0, 0.0, 0.0))
    torch.testing.assert_close(neutral, torch.zeros(N_CONTROLS))
    heard = recognition(1)
    loss = control_loss(heard.controls, target[None, None], torch.ones(1, 1, dtype=torch.bool))
    assert loss.item() == pytest.approx((heard.controls[0, 0] - target).square().mean().item(), rel=1e-5)


def test_class_weights_count_in_the_cross_entropy() -> None:
    heard = recognition(6)
    target = target_of(6)
    plain = recognition_losses(heard, target, torch.ones(12), LabelRegions())["labels"]
    expected = -(target.labels * heard.logits.log_softmax(dim=-1)).sum(dim=-1).mean()
    torch.testing.assert_close(plain, expected)
    heavy = torch.ones(12)
    heavy[3] = 20.0
    assert recognition_losses(heard, target, heavy, LabelRegions())["labels"] != plain


def test_impossible_pairs_cost_and_their_weight_counts() -> None:
    regions = LabelRegions()
    angry = torch.eye(12)[LABELS.index("angry")]
    assert impossible_pairs(angry, torch.tensor(AVD_MEANS["angry"]), regions) == 0.0
    point = torch.tensor(AVD_MEANS["calm"], requires_grad=True)
    cost = impossible_pairs(angry, point, regions)
    assert cost > 1.0
    cost.backward()
    assert (
        point.grad is not None and point.grad[0] < 0.0 < point.grad[1]
    )  # more aroused, less pleasant would be possible
    with_it, without = LossWeights(impossible=0.5).total({"impossible": cost}), LossWeights(impossible=0.0)
    assert with_it == 0.5 * cost and without.total({"impossible": cost}) == 0.0


def test_a_tiny_network_learns_a_few_clips_by_heart() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(CONFIG, "recognizer")
        features, _ = clips(8, 48, seed=3)
        features = torch.cat([features, clips(3, 48, seed=4)[0], clips(1, 48, seed=6)[0]])[:12]
        n = len(features)
        lengths = torch.full((n,), 48)
        labels = torch.eye(12)[torch.arange(n) % 4]
        avd = torch.linspace(-0.8, 0.8, n)[:, None].expand(-1, 3)
        target = EmotionTarget(
            labels[:, None], torch.ones(n, 1, dtype=torch.bool), avd[:, None], torch.ones(n, 1, 3, dtype=torch.bool),
            torch.zeros(n, 1, 3), torch.zeros(n, 1, N_CONTROLS), torch.zeros(n, 1, dtype=torch.bool),
        )  # fmt: skip
        optimizer = torch.optim.Adam(network.parameters(), 3e-3)
        history = []
        for _ in range(120):
            losses = recognition_losses(network(features, lengths), target, torch.ones(12), network.regions)
            loss = LossWeights(impossible=0.0).total(losses)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append({name: value.item() for name, value in losses.items()})
    assert history[0]["labels"] > 2.0 and history[-1]["labels"] < 0.2
    assert history[-1]["concordance"] < 0.1


# -- calibration


def test_the_temperature_is_found_and_lowers_the_likelihood_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2.0 * torch.randn(4_000, 12, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)[:, 0]
    target = torch.eye(12)[labels]
    overconfident = 2.5 * logits
    temperature = fit_temperature(overconfident, target)
    assert temperature == pytest.approx(2.5, rel=0.06)  # two standard errors of 4000 draws

    def loss(t: float) -> float:
        return -(target * (overconfident / t).log_softmax(dim=-1)).sum(dim=-1).mean().item()

    assert loss(temperature) < loss(1.0) - 0.1
    before = expected_calibration_error(overconfident.softmax(dim=-1), target)
    after = expected_calibration_error((overconfident / temperature).softmax(dim=-1), target)
    assert after < 0.04 < 0.1 < before  # 10 bins of 400: standard error 0.02


def test_the_calibration_error_has_its_closed_form() -> None:
    probability = torch.tensor([[0.8, 0.2]] * 10)
    target = torch.eye(2)[torch.tensor([0] * 6 + [1] * 4)]
    assert expected_calibration_error(probability, target, bins=1) == pytest.approx(0.2, abs=1e-6)


# -- distortions

STILL = distort.MelAugment(
    tilt_db=0.0, noise=0.0, band=0.0, room=0.0, quantise=0.0, speed=0.0, size_st=0.0, register_st=0.0, mistrack=0.0,
    masking=0.0,
)  # fmt: skip


def augmented(
    setting: distort.MelAugment, features: Tensor, lengths: Tensor, voice: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    voice = torch.arange(len(features)) if voice is None else voice
    return setting(features, lengths, voice, torch.Generator().manual_seed(1))


def test_an_augmentation_of_zeros_changes_nothing() -> None:
    features, lengths = clips()
    got, got_lengths = augmented(STILL, features, lengths)
    assert torch.equal(got_lengths, lengths)
    for b, n in enumerate(lengths.tolist()):
        torch.testing.assert_close(got[b, :n], features[b, :n], atol=2e-4, rtol=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tilt_db", 3.0), ("noise", 1.0), ("band", 1.0), ("room", 1.0), ("quantise", 1.0), ("speed", 0.2), ("size_st", 2.0),
        ("register_st", 2.0), ("mistrack", 1.0), ("masking", 1.0),
    ],
)  # fmt: skip
def test_every_augmentation_has_an_effect_and_one_voice_changes_alike(name: str, value: float) -> None:
    features, lengths = clips()
    setting = replace(STILL, **{name: value})
    got, got_lengths = augmented(setting, features, lengths)
    n = min(int(lengths.min()), int(got_lengths.min()))
    assert (got[:, :n] - features[:, :n]).abs().amax() > 0.05
    assert torch.isfinite(got).all()
    if name not in ("mistrack", "masking", "noise"):  # those are drawn per clip, or flutter
        twice = features[:1].expand(2, -1, -1)
        same, _ = augmented(setting, twice, lengths[:1].expand(2), torch.zeros(2, dtype=torch.int64))
        torch.testing.assert_close(same[0], same[1])


def test_pitch_and_formants_move_as_far_as_f0_says() -> None:
    """A tone stays a tone at its frequency times the factor that F0 got."""
    log_mel = LogMel()
    t = torch.arange(RATE) / RATE
    mel = log_mel(0.3 * torch.sin(2.0 * torch.pi * 1_000.0 * t)[None])
    features = torch.cat([mel, torch.full((1, mel.shape[1], 1), 200.0)], dim=-1)
    got, _ = augmented(replace(STILL, size_st=4.0), features, torch.tensor([mel.shape[1]]))
    factor = float(got[0, 40, -1] / 200.0)
    expected = log_mel(0.3 * torch.sin(2.0 * torch.pi * 1_000.0 * factor * t)[None])
    assert abs(factor - 1.0) > 0.02
    assert abs(int(got[0, 40, :-1].argmax()) - int(expected[0, 40].argmax())) <= 1


def test_noise_in_the_mel_has_the_power_of_noise_in_the_waveform() -> None:
    waveform = torch.from_numpy(speechlike(1.0))
    log_mel = LogMel()
    quiet = log_mel(waveform[None])
    noisy = log_mel(torch.from_numpy(distort.add_noise(waveform.numpy(), 0.0))[None])
    features = torch.cat([quiet, torch.zeros(1, quiet.shape[1], 1)], dim=-1)
    lengths, chosen = torch.tensor([quiet.shape[1]]), torch.tensor([True])
    flat = torch.zeros(1, SPEC.n_mels)
    generator = torch.Generator().manual_seed(0)
    approximate = distort._add_noise(quiet, lengths, chosen, torch.zeros(1), flat, generator)

    def power(mel: Tensor) -> float:
        return float(torch.exp(2.0 * mel).mean().log10() * 10.0)

    assert features.shape[-1] == SPEC.n_mels + 1
    assert power(approximate) - power(quiet) == pytest.approx(3.0, abs=0.7)  # equal powers add to 3 dB
    assert power(noisy) > power(quiet) + 1.0


def test_the_telephone_passes_its_band_only() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    heard = distort.telephone(noise)
    assert heard.shape == noise.shape and heard.dtype == np.float32
    spectrum = 10.0 * np.log10(np.abs(np.fft.rfft(heard)) ** 2 + 1e-12)
    hz = np.fft.rfftfreq(len(heard), 1.0 / RATE)
    inside = spectrum[(hz > 400) & (hz < 3_300)].mean()
    assert spectrum[(hz > 4_200)].mean() < inside - 40.0
    assert spectrum[hz < 150].mean() < inside - 15.0


def test_mu_law_has_the_signal_to_noise_ratio_of_telephony() -> None:
    for level in (0.5, 0.05):
        tone = level * np.sin(np.linspace(0.0, 1_000.0, 20_000))
        error = distort.mu_law(tone) - tone
        assert 10.0 * np.log10((tone**2).mean() / (error**2).mean()) > 33.0  # G.711 gives about 38 dB


def test_a_room_rings_on_for_its_time() -> None:
    click = np.zeros(RATE, np.float32)
    click[100] = 1.0
    heard = distort.reverberate(click, 0.5)
    assert heard[100] == pytest.approx(1.0)
    early, late = (heard[a : a + 1_200].astype(np.float64) for a in (200, 200 + 6_000))
    assert 10.0 * np.log10((early**2).sum() / (late**2).sum()) == pytest.approx(
        30.0, abs=2.0
    )  # 0.25 s of 0.5 s for 60 dB


# -- batches


def test_batches_hold_windows_and_neutral_clips_of_the_same_voice(tmp_path: Path) -> None:
    from emotts.data.clips import Clips, Draw, distorted
    from emotts.data.manifest import read_manifest

    write_corpus(tmp_path)
    rows = read_manifest(tmp_path / "manifest.jsonl")
    corpus = Clips(tmp_path, rows)
    draw = Draw(n_windows=2, window_s=(0.05, 0.1), n_references=2, unknown=0.0)
    batch = corpus.batch([2, 3, 6], np.random.default_rng(0), draw)  # voices a, b, a; happy, no label, no label
    n = len(batch.features)
    assert n == 3 + 4 and batch.windows.shape == (n, 3, 2) and batch.target.labels.shape == (3, 3, 12)
    assert batch.voice.tolist() == [0, 1, 0, 0, 0, 1, 1]
    torch.testing.assert_close(batch.reference_weight.sum(dim=1), torch.ones(n))
    assert batch.reference_weight[0].tolist() == [0, 0, 0, 0.5, 0.5, 0, 0]
    assert batch.target.label_known[:, 0].tolist() == [True, False, False]
    assert batch.target.labels[0, 0, LABELS.index("happy")] == pytest.approx(0.8)
    torch.testing.assert_close(batch.target.avd, torch.full((3, 3, 3), 0.25))
    assert (batch.windows[..., 1] > batch.windows[..., 0]).all()
    assert (batch.windows[..., 1] <= batch.lengths[:, None]).all()
    assert not corpus.batch([2], np.random.default_rng(0), replace(draw, unknown=1.0)).reference_weight.any()
    recorded = Clips(tmp_path, rows, is_simulated=False)
    assert not recorded.batch([2], np.random.default_rng(0), draw).target.controls_known.any()
    faster = distorted(batch, replace(STILL, speed=0.3), torch.Generator().manual_seed(0))
    assert not torch.equal(faster.lengths, batch.lengths)
    assert (faster.windows[..., 1] <= faster.lengths[:, None] + 1).all()
    assert corpus.only("b").rows == [row for row in rows if row.voice == "b"]


def test_tracked_f0_is_kept(tmp_path: Path) -> None:
    from emotts.data.clips import tracked_f0
    from emotts.data.manifest import read_manifest

    write_corpus(tmp_path, n=2)
    rows = read_manifest(tmp_path / "manifest.jsonl")
    for row in rows:
        save_audio(tmp_path / row.audio, speechlike(row.duration_s))
    got = tracked_f0(tmp_path, rows, tmp_path / "cache" / "f0.safetensors")
    assert {name: f0.shape for name, f0 in got.items()} == {row.id: (row.n_frames,) for row in rows}
    for row in rows:
        (tmp_path / row.audio).unlink()
    again = tracked_f0(tmp_path, rows, tmp_path / "cache" / "f0.safetensors")
    assert all(np.array_equal(again[name], f0) for name, f0 in got.items())


def test_the_recipe_trains_resumes_exports_and_measures(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path, n=48)
    rows = [json.loads(line) for line in (corpus / "manifest.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        row |= {
            "text": f"Sentence {i}.",
            "split": ["train", "train", "test"][i // 2 % 3],
            "intensity": 0.9 if row["label"] == "happy" else 0.0,
            **dict(zip(DIMENSIONS, (0.46, 0.73, 0.41) if row["label"] == "happy" else (0.0, 0.0, 0.0), strict=True)),
        }
        save_audio(corpus / row["audio"].replace(".flac", ".wav"), speechlike(row["duration_s"], seed=i))
        row["audio"] = row["audio"].replace(".flac", ".wav")
    (corpus / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = [
        f"corpus={corpus}", f"output={tmp_path}/run", f"export={tmp_path}/exported", "recognizer=tiny", "voices=[a]",
        "held_out=[b]", "max_frames=600", "device=cpu", "schedule.decay_steps=0", "n_references=2", "draw.window_s=[0.05,0.1]",
    ]  # fmt: skip

    def recipe(*extra: str) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "recipes/train_recognizer.py", *options, *extra]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]

    recipe("schedule.max_steps=2")
    recipe("schedule.max_steps=3")
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["step"] == 3
    trained = json.loads((tmp_path / "exported-figures.json").read_text())
    modules, metadata = load_checkpoint(tmp_path / "exported")
    assert isinstance(modules["recognizer"], Recognizer) and metadata["figures"] == trained
    assert {"test", "test_known", "noise_10db", "telephone_known", "own_voices"} <= set(trained)
    recipe("evaluate_only=true")
    measured = json.loads((tmp_path / "exported-figures.json").read_text())
    for name in ("ccc_arousal", "ccc_valence"):  # measured before and after storage as float16
        assert measured["test"][name] == pytest.approx(trained["test"][name], abs=0.02)


# -- the judge


def test_a_judge_hears_and_the_answer_is_whole(judge: RecognizerJudge) -> None:
    heard = judge.hear(speechlike(1.3), RATE)
    assert heard.start_s == 0.0 and heard.end_s == pytest.approx(1.3)
    assert sum(heard.labels.values()) == pytest.approx(1.0) and set(heard.labels) == set(LABELS)
    assert all(-1.0 <= value <= 1.0 for value in heard.avd) and all(value > 0.0 for value in heard.avd_std)
    assert np.linalg.norm(heard.embedding) == pytest.approx(1.0, abs=1e-5)
    row = json.loads(json.dumps(heard.to_dict()))
    assert row["arousal"] == pytest.approx(heard.avd[0], abs=1e-4) and "embedding" not in row


def test_uncertain_is_an_answer(model: Recognizer) -> None:
    sure, unsure = (RecognizerJudge(model, limit).hear(speechlike(1.0), RATE) for limit in (0.0, 1.1))
    assert sure.label == max(sure.labels, key=sure.labels.__getitem__) and not sure.is_uncertain
    assert unsure.label == UNCERTAIN and unsure.is_uncertain and unsure.to_dict()["label"] == UNCERTAIN
    with pytest.raises(ValueError, match="labels must give a probability"):
        Heard(0.0, 1.0, {"happy": 1.0}, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), np.zeros(2), False)


def test_level_rate_channels_and_sample_format_do_not_matter(judge: RecognizerJudge) -> None:
    waveform = speechlike(1.5)
    expected = judge.hear(waveform, RATE)
    pcm = np.round(waveform * 32_767).astype(np.int16)
    for same in (
        judge.hear(waveform * 10.0 ** (12.0 / 20.0), RATE),
        judge.hear(waveform * 10.0 ** (-12.0 / 20.0), RATE),
        judge.hear(np.stack([waveform, waveform]), RATE),
        judge.hear(np.stack([waveform, waveform], axis=1), RATE),
        judge.hear(waveform.astype(np.float64), RATE),
        judge.hear(pcm, RATE),
    ):
        np.testing.assert_allclose(same.avd, expected.avd, atol=0.05)
    clean = speechlike(1.5, noise=0.0)  # a filter of the resampler must not take away what the mel shows
    other_rate = judge.hear(resample(clean, RATE, 48_000), 48_000)
    np.testing.assert_allclose(other_rate.avd, judge.hear(clean, RATE).avd, atol=0.05)


def test_mel_and_waveform_are_heard_alike(judge: RecognizerJudge) -> None:
    from emotts.audio import extract_f0

    waveform = speechlike(1.5)
    waveform = waveform * np.float32(0.5 / np.abs(waveform).max())
    with torch.no_grad():
        mel = LogMel()(torch.from_numpy(waveform)[None])[0]
    f0 = extract_f0(waveform)[: len(mel)]
    heard = judge.hear_mel(mel[: len(f0)], f0)
    np.testing.assert_allclose(heard.avd, judge.hear(waveform, RATE).avd, atol=1e-3)
    with pytest.raises(ValueError, match="shapes"):
        judge.hear_mel(mel, f0[:-3])
    with pytest.raises(ValueError, match="not finite"):
        judge.hear_mel(mel[: len(f0)] * math.nan, f0)


def test_windows_follow_one_another_and_leave_silence_out(judge: RecognizerJudge) -> None:
    waveform = np.concatenate([speechlike(1.0), np.zeros(RATE, np.float32), speechlike(1.3, seed=2)])
    heard = judge.windows(waveform, RATE)
    assert [(h.start_s, h.end_s) for h in heard] == [
        (0.0, 0.5), (0.5, 1.0), (2.0, 2.5), (2.5, 3.0), (3.0, pytest.approx(3.3)),
    ]  # fmt: skip
    assert len(judge.windows(waveform, RATE, window_s=1.0)) == 2  # 0.3 s at the end are no window of 1 s
    with pytest.raises(ValueError, match="window_s"):
        judge.windows(waveform, RATE, window_s=0.01)


def test_a_reference_is_heard_against(judge: RecognizerJudge) -> None:
    told = judge.with_reference([(speechlike(2.0, seed=5), RATE), (speechlike(1.5, seed=6, rate=16_000), 16_000)])
    waveform = speechlike(1.5)
    assert (
        max(abs(a - b) for a, b in zip(told.hear(waveform, RATE).avd, judge.hear(waveform, RATE).avd, strict=True))
        > 1e-3
    )
    assert judge.voice is None
    with pytest.raises(ValueError, match="at least one neutral recording"):
        judge.with_reference([])
    with pytest.raises(ValueError, match="silent"):
        judge.with_reference([(np.zeros(RATE), RATE)])


@pytest.mark.parametrize(
    ("waveform", "rate", "message"),
    [
        (np.zeros(RATE), RATE, "silent"),
        (np.zeros((2, RATE), np.int16), RATE, "silent"),
        (speechlike(0.05), RATE, "at least 0.25 s"),
        (np.array([], np.float32), RATE, "at least 0.25 s"),
        (np.full(RATE, np.nan), RATE, "not finite"),
        (np.where(np.arange(RATE) == 9, np.inf, 0.1), RATE, "not finite"),
        (np.zeros((2, 3, RATE)), RATE, r"\[channels, L\]"),
        (np.array(["speech"] * RATE), RATE, "numbers"),
        (speechlike(1.0), 0, "sample_rate"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(
    judge: RecognizerJudge, waveform: np.ndarray, rate: int, message: str
) -> None:
    for method in (judge.hear, judge.windows):
        with pytest.raises(ValueError, match=message) as caught:
            method(waveform, rate)
        assert "\n" not in str(caught.value)


def test_eight_bit_music_is_answered(judge: RecognizerJudge) -> None:
    t = np.arange(2 * RATE) / RATE
    chord = sum(np.sin(2.0 * np.pi * hz * t) for hz in (220.0, 277.2, 329.6)) / 4.0
    heard = judge.hear(np.round(127.5 + 127.0 * chord).astype(np.uint8), RATE)
    assert np.isfinite(heard.avd).all() and heard.end_s == pytest.approx(2.0)


def test_long_recordings_are_judged_in_pieces_and_bounded_memory(
    judge: RecognizerJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = 8_000
    lengths: list[int] = []

    def unvoiced(waveform: np.ndarray) -> np.ndarray:  # the pitch tracker is tested elsewhere and is what takes time
        lengths.append(len(waveform))
        return np.zeros(1 + len(waveform) // SPEC.hop_length, np.float32)

    monkeypatch.setattr("emotts.emotion.listening.extract_f0", unvoiced)
    minute = speechlike(60.0, rate=rate)
    long = np.broadcast_to(minute, (10, len(minute))).reshape(-1)
    tracemalloc.start()
    heard = judge.hear(long, rate)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert heard.end_s == pytest.approx(600.0)
    assert len(lengths) == 20 and max(lengths) <= (PIECE_S + 1.0) * RATE
    assert peak < 0.7 * long.nbytes  # 13 MB: pieces of 30 s at 24 kHz take 3 MB each time they are copied
    assert sum(heard.labels.values()) == pytest.approx(1.0)
    assert len(judge.windows(long[: 65 * rate], rate)) > 100


# -- frozen encoders


def torchaudio_folder(folder: Path, factory: str) -> Path:
    """A random encoder of two tiny layers, saved the way load_backbone reads it."""
    import torchaudio
    from safetensors.torch import save_file

    arguments = {
        "extractor_mode": "layer_norm", "extractor_conv_bias": False,
        "extractor_conv_layer_config": [[16, 10, 5], [16, 3, 2], [16, 3, 2], [16, 3, 2], [16, 3, 2], [16, 2, 2], [16, 2, 2]],
        "encoder_embed_dim": 24, "encoder_projection_dropout": 0.0, "encoder_pos_conv_kernel": 8,
        "encoder_pos_conv_groups": 2, "encoder_num_layers": 2, "encoder_num_heads": 2, "encoder_attention_dropout": 0.0,
        "encoder_ff_interm_features": 32, "encoder_ff_interm_dropout": 0.0, "encoder_dropout": 0.0,
        "encoder_layer_norm_first": False, "encoder_layer_drop": 0.0, "aux_num_out": None,
    }  # fmt: skip
    if factory == "wavlm_model":
        arguments |= {"encoder_num_buckets": 8, "encoder_max_distance": 16}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = getattr(torchaudio.models, factory)(**arguments)
    folder.mkdir()
    save_file(network.state_dict(), folder / "model.safetensors")
    config = {"torchaudio": factory, "is_normalised": True, "arguments": arguments}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def transformers_folder(folder: Path, kind: str) -> Path:
    """A random encoder of two tiny layers, saved by transformers."""
    transformers = pytest.importorskip("transformers")
    config_class, model_class = {
        "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2Model"),
        "wavlm": ("WavLMConfig", "WavLMModel"),
        "hubert": ("HubertConfig", "HubertModel"),
    }[kind]
    config = getattr(transformers, config_class)(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=[16] * 7,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        getattr(transformers, model_class)(config).save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (torchaudio_folder, "wav2vec2_model"), (torchaudio_folder, "wavlm_model"),
        (transformers_folder, "wav2vec2"), (transformers_folder, "wavlm"), (transformers_folder, "hubert"),
    ],
)  # fmt: skip
def test_a_frozen_encoder_takes_the_place_of_the_mel(make, kind: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from emotts.emotion.backbones import load_backbone

    encoder = load_backbone(make(tmp_path / kind, kind))
    features = encoder.encode(speechlike(2.0), RATE)
    assert features.shape == (99, 24) and features.dtype == np.float32  # 50 frames a second, less the edge
    np.testing.assert_allclose(features, encoder.encode(speechlike(2.0), RATE))
    assert not any(parameter.requires_grad for parameter in encoder.network.parameters())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Recognizer(FeatureStem(24, 32, n_bands=16), 32, "c", 16, 2, 32, 16)
    judge = RecognizerJudge(network, encoder=encoder)
    assert judge.hear(speechlike(1.5), RATE).end_s == pytest.approx(1.5)
    assert [h.end_s for h in judge.windows(speechlike(1.5), RATE)] == [0.5, 1.0, 1.5]
    with pytest.raises(ValueError, match="give it"):
        RecognizerJudge(network)
    with pytest.raises(ValueError, match="needs 0.025 s"):
        encoder.encode(speechlike(0.01), RATE)


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    from emotts.emotion.backbones import load_backbone

    with pytest.raises(FileNotFoundError, match="lacks config.json"):
        load_backbone(tmp_path)
    folder = torchaudio_folder(tmp_path / "encoder", "wav2vec2_model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"torchaudio": "load"}))
    with pytest.raises(ValueError, match="wav2vec2_model, wavlm_model"):
        load_backbone(folder)
    config["arguments"]["encoder_embed_dim"] = 32
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="does not hold"):
        load_backbone(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        load_backbone(folder)


def test_a_judge_of_mels_takes_no_encoder(model: Recognizer, tmp_path: Path) -> None:
    from emotts.emotion.backbones import load_backbone

    with pytest.raises(ValueError, match="give no encoder"):
        RecognizerJudge(model, encoder=load_backbone(torchaudio_folder(tmp_path / "e", "wav2vec2_model")))
