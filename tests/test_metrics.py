"""Measures against closed forms and libraries."""

import numpy as np
import pytest

from emotts.audio import SPEC
from emotts.metrics import prosody, quality, speaker, statistics, texture
from emotts.metrics.asr import compare_words, normalise_words

RATE = SPEC.sample_rate


def harmonic_tone(f0_hz: float, duration_s: float = 1.0, tilt_db_per_oct: float = 0.0, gain: float = 0.1) -> np.ndarray:
    """Harmonics up to 10 kHz whose levels follow `tilt_db_per_oct`."""
    t = np.arange(int(duration_s * RATE)) / RATE
    orders = np.arange(1, int(10_000 / f0_hz) + 1)
    levels = 10.0 ** (tilt_db_per_oct * np.log2(orders) / 20.0)
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, len(orders))
    wave = sum(a * np.cos(2 * np.pi * f0_hz * k * t + p) for k, a, p in zip(orders, levels, phases, strict=True))
    return (gain * wave / np.sqrt(np.mean(wave**2))).astype(np.float32)


def test_spearman_and_pearson_equal_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, 40), rng.normal(size=40)
    assert statistics.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert statistics.pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)


def test_concordance_of_a_shifted_copy_has_its_closed_form() -> None:
    x = np.random.default_rng(1).normal(size=1_000)
    expected = 2 * x.var() / (2 * x.var() + 0.5**2)
    assert statistics.concordance(x, x + 0.5) == pytest.approx(expected, rel=1e-9)
    assert statistics.concordance(x, np.zeros_like(x)) == pytest.approx(0.0, abs=1e-12)


def test_unweighted_recall_equals_balanced_accuracy() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    true, predicted = rng.integers(0, 3, 90), rng.integers(0, 3, 90)
    expected = metrics.balanced_accuracy_score(true, predicted)
    assert statistics.unweighted_average_recall(true, predicted) == pytest.approx(expected)


def test_bootstrap_interval_of_a_mean_has_the_width_of_the_central_limit() -> None:
    values = np.random.default_rng(3).normal(size=400)
    interval = statistics.bootstrap_mean(values)
    assert interval.value == pytest.approx(values.mean())
    # 2,000 resamples estimate a percentile to about 4 % of the interval's width
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / 20.0, rel=0.1)


def test_bootstrap_ratio_is_the_ratio_of_sums() -> None:
    interval = statistics.bootstrap_ratio([1, 0, 2], [10, 5, 5])
    assert interval.value == pytest.approx(3 / 20)
    assert interval.low <= interval.value <= interval.high


def test_statistics_refuse_rows_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="one length"):
        statistics.spearman([1, 2, 3], [1, 2])


def test_word_errors_count_each_kind_after_normalising() -> None:
    pytest.importorskip("jiwer")
    pytest.importorskip("whisper_normalizer")
    errors = compare_words("The colour of twenty-one cats, isn't it?", "the color of 21 dogs is not it now")
    assert (errors.whisper_wer_replace, errors.whisper_wer_insert, errors.whisper_wer_delete) == (1, 1, 0)
    assert errors.words == errors.whisper_wer_equal + 1
    assert normalise_words("Colour!") == "color"


def test_windows_of_quality_equal_the_public_code() -> None:
    """speechmos doubles a short clip until it fills 9.01 s and steps by a second."""
    for seconds in (1.0, 4.4, 9.5, 12.3):
        audio = np.random.default_rng(0).normal(size=int(seconds * 16_000)).astype(np.float32)
        doubled = audio
        while len(doubled) < 144_160:
            doubled = np.append(doubled, doubled)
        n_hops = int(np.floor(len(doubled) / 16_000) - 9.01) + 1
        windows = [doubled[i * 16_000 : int((i + 9.01) * 16_000)] for i in range(n_hops)]
        expected = [window for window in windows if len(window) >= 144_160]
        got = quality.cut_windows(audio)
        assert len(got) == len(expected)
        assert all(np.array_equal(a, b[:144_160]) for a, b in zip(got, expected, strict=True))


def test_level_and_f0_of_a_tone_are_exact() -> None:
    features = prosody.measure_prosody(harmonic_tone(220.0, tilt_db_per_oct=-6.0, gain=0.1))
    assert features.level_db == pytest.approx(-20.0, abs=0.1)
    assert features.f0_mean_st == pytest.approx(36.0, abs=0.05)  # three octaves above 27.5 Hz; 5 cents of the tracker
    assert features.f0_sd_st < 0.1
    assert features.pause_share == 0.0


@pytest.mark.parametrize("tilt", [-9.0, -3.0])
def test_spectral_tilt_is_that_of_the_harmonics(tilt: float) -> None:
    features = prosody.measure_prosody(harmonic_tone(100.0, tilt_db_per_oct=tilt))
    assert features.tilt_db_per_oct == pytest.approx(tilt, abs=0.5)  # bands hold a varying number of harmonics


def test_alpha_ratio_of_two_sinusoids_is_their_level_difference() -> None:
    t = np.arange(RATE) / RATE
    wave = np.sin(2 * np.pi * 500 * t) + 0.1 * np.sin(2 * np.pi * 3_000 * t)
    spectrum = prosody.mean_spectrum(wave, np.ones(90, bool), SPEC.hop_length)
    assert prosody.alpha_ratio_db(spectrum, RATE) == pytest.approx(-20.0, abs=0.2)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_harmonics_to_noise_is_the_mixing_ratio(snr_db: float) -> None:
    tone = harmonic_tone(120.0, 2.0)
    noise = np.random.default_rng(0).normal(size=len(tone))
    noise *= 0.1 * 10.0 ** (-snr_db / 20.0)
    f0 = np.full(1 + len(tone) // SPEC.hop_length, 120.0)
    f0[:4] = f0[-4:] = 0.0
    value = prosody.harmonics_to_noise_db((tone + noise).astype(np.float32), f0, RATE, (0.0, 12_000.0))
    assert value == pytest.approx(snr_db, abs=1.5)  # choosing the best lag within 3 % adds a little


def test_syllable_rate_counts_vowels_in_speech_only() -> None:
    tokens = ["<sil>", "h", "ə", "l", "ˈoʊ", ".", "<sil>"]
    durations = np.array([50, 10, 10, 10, 20, 30, 40])
    assert prosody.syllable_rate(tokens, durations) == pytest.approx(2 / (50 / SPEC.frame_rate))


def test_contours_of_two_tempi_agree_and_of_mirrored_pitch_oppose() -> None:
    slow = np.repeat(np.array([6, 8, 10, 6]), 1)
    contour = 200.0 * 2.0 ** (np.sin(np.linspace(0, 6, slow.sum())) / 4)
    fast = slow // 2
    half = contour[::2][: fast.sum()]
    assert prosody.contour_correlation(contour, slow, half, fast) > 0.98
    mirrored = 200.0**2 / contour
    assert prosody.contour_correlation(contour, slow, mirrored, slow) == pytest.approx(-1.0, abs=1e-9)


def test_speaker_mel_and_partials_follow_the_public_code() -> None:
    pytest.importorskip("librosa")
    assert speaker.power_mel(np.zeros(16_000, np.float32)).shape == (101, 40)
    # resemblyzer: rate 1.3 a second is a step of 77 frames; the last partial stays if 75 % of it is speech
    assert speaker.partial_starts(16_000) == [0]
    assert speaker.partial_starts(16_000 * 3) == [0, 77, 154]
    assert speaker.partial_starts(int(16_000 * 1.9)) == [0]


def test_speaker_encoder_gives_unit_vectors_and_refuses_silence() -> None:
    pytest.importorskip("librosa")
    encoder = speaker.SpeakerEncoder().eval()
    encoder.linear.bias.data.fill_(0.1)  # keeps some of the rectified outputs above zero
    vector = encoder.embed(harmonic_tone(150.0, 2.0))
    assert vector.shape == (256,)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(ValueError, match="silent"):
        encoder.embed(np.zeros(RATE, np.float32))


def test_texture_is_one_and_zero_for_the_same_mels() -> None:
    mels = [np.random.default_rng(i).normal(size=(150, 20)) for i in range(3)]
    assert texture.variance_ratio(mels, mels) == pytest.approx(1.0)
    assert texture.modulation_distance_db(mels, mels) == 0.0
    assert texture.diversity([mels[0], mels[0]]) == 0.0


def test_halved_deviations_quarter_the_global_variance() -> None:
    mels = [np.random.default_rng(i).normal(size=(150, 20)) for i in range(3)]
    smooth = [mel / 2.0 for mel in mels]
    assert texture.variance_ratio(smooth, mels) == pytest.approx(0.25)
    assert texture.modulation_distance_db(smooth, mels) == pytest.approx(20 * np.log10(2.0), abs=1e-3)


def test_pitch_tracker_makes_no_octave_errors_on_low_and_high_tones() -> None:
    from emotts.pitch import track_f0

    for f0_hz in (70.0, 110.0, 220.0, 440.0):
        track = track_f0(harmonic_tone(f0_hz, tilt_db_per_oct=-6.0), RATE, SPEC.hop_length)[5:-5]
        assert np.mean(track > 0) > 0.98
        assert np.abs(1_200.0 * np.log2(track[track > 0] / f0_hz)).max() < 30.0  # a lag is 1 / 8000 s, refined
