"""Voice analysis against signals whose pitch, level, tilt, noise, jitter, shimmer, syllables and pauses are known."""

import json

import numpy as np
import pytest

from emotts.audio import SPEC, resample
from emotts.metrics.functionals import REGISTER, clip_functionals
from emotts.metrics.voice import analyse_voice, find_pauses, hammarberg_db, tilt_of
from emotts.metrics.voice_frames import BIN_HZ, HOP, measure_frames
from emotts.metrics.voice_quality import Periods, find_periods, join_periods

RATE = SPEC.sample_rate


def harmonics(f0_hz: np.ndarray | float, duration_s: float, tilt: float = -6.0, gain: float = 0.1) -> np.ndarray:
    """Harmonics up to 10 kHz with `tilt` dB per octave; F0 in Hz may change from sample to sample."""
    n = int(duration_s * RATE)
    f0 = np.broadcast_to(np.asarray(f0_hz, np.float64), n)
    phase = 2.0 * np.pi * np.cumsum(f0) / RATE
    random = np.random.default_rng(0)
    wave = np.zeros(n)
    for k in range(1, int(10_000 / f0.max()) + 1):
        wave += 10.0 ** (tilt * np.log2(k) / 20.0) * np.cos(k * phase + random.uniform(0, 2 * np.pi))
    return (gain * wave / np.sqrt(np.mean(wave**2))).astype(np.float32)


def pulses(periods_s: np.ndarray, amplitudes: np.ndarray) -> np.ndarray:
    """A damped two-formant response for every period, at places between the samples."""
    places = np.cumsum(periods_s) * RATE
    wave = np.zeros(int(places[-1]) + 2_000)
    offsets = np.arange(400)
    for place, amplitude in zip(places, amplitudes, strict=True):
        first = int(place)
        t = np.maximum(offsets - (place - first), 0.0) / RATE
        response = np.exp(-400 * t) * np.sin(2 * np.pi * 700 * t) + 0.4 * np.exp(-500 * t) * np.sin(
            2 * np.pi * 1_800 * t
        )
        wave[first : first + 400] += amplitude * response[: max(0, len(wave) - first)]
    return 0.3 * wave / np.abs(wave).max()


def local_change_pct(values: np.ndarray) -> float:
    return float(100.0 * np.abs(np.diff(values)).mean() / values.mean())


def speech(duration_s: float = 3.0, seed: int = 0) -> np.ndarray:
    """Five syllables a second with gliding F0; enough of speech for features to be there."""
    n = int(duration_s * RATE)
    t = np.arange(n) / RATE
    f0 = 150.0 * 2.0 ** (0.3 * np.sin(2 * np.pi * 0.7 * t + seed) - 0.1 * t)
    return (harmonics(f0, duration_s, -8.0) * (0.15 + np.sin(np.pi * 5.0 * t) ** 2)).astype(np.float32)


def test_level_and_pitch_of_a_tone_are_exact() -> None:
    voice = analyse_voice(harmonics(220.0, 1.5))
    assert voice.f0_hz == pytest.approx(220.0, rel=0.003)  # 5 cents of the tracker
    assert voice.f0_st == pytest.approx(36.0, abs=0.05)
    assert voice.f0_range_st < 0.2 and abs(voice.f0_slope_st_per_s) < 0.1
    assert voice.level_db == pytest.approx(-20.0, abs=0.2)
    assert voice.pause_count == 0 and voice.pause_share == 0.0 and voice.pause_mean_s == 0.0
    assert voice.voiced_s == pytest.approx(1.5, abs=0.05)


def test_a_glide_has_its_slope_and_range() -> None:
    t = np.arange(2 * RATE) / RATE
    voice = analyse_voice(harmonics(120.0 * 2.0 ** (3.0 * t / 12.0), 2.0))
    assert voice.f0_slope_st_per_s == pytest.approx(3.0, abs=0.1)
    assert voice.f0_range_st == pytest.approx(0.9 * 6.0, abs=0.2)  # 5th to 95th percentile of 6 semitones


@pytest.mark.parametrize("tilt", [-12.0, -6.0, 0.0])
def test_tilt_is_that_of_the_harmonics_at_every_bandwidth(tilt: float) -> None:
    wave = harmonics(100.0, 1.5, tilt)
    for rate in (RATE, 16_000, 8_000):
        voice = analyse_voice(resample(wave, RATE, rate), rate)
        assert voice.tilt_db_per_oct == pytest.approx(tilt, abs=0.8)  # bands hold a varying number of harmonics


@pytest.mark.parametrize("tilt", [-6.0, 3.0])
def test_tilt_of_filtered_noise_is_that_of_the_filter(tilt: float) -> None:
    noise = np.random.default_rng(0).normal(size=3 * RATE)
    hz = np.fft.rfftfreq(len(noise), 1.0 / RATE)
    shaped = np.fft.irfft(np.fft.rfft(noise) * np.maximum(hz, 20.0) ** (tilt / (20.0 * np.log10(2.0))), len(noise))
    frames = measure_frames((0.1 * shaped / shaped.std()).astype(np.float32))
    bands_db = 10.0 * np.log10(np.mean(10.0 ** (frames.bands_db / 10.0), axis=0))
    assert tilt_of(bands_db, frames.limit_hz) == pytest.approx(tilt, abs=0.3)


def test_alpha_ratio_and_hammarberg_of_two_partials_are_their_level_difference() -> None:
    spectrum = np.zeros(len(BIN_HZ))
    spectrum[np.argmin(np.abs(BIN_HZ - 500))], spectrum[np.argmin(np.abs(BIN_HZ - 3_000))] = 1.0, 0.01
    assert hammarberg_db(spectrum) == pytest.approx(20.0, abs=0.01)
    t = np.arange(2 * RATE) / RATE
    wave = 0.1 * sum(np.cos(2 * np.pi * 200 * k * t) * (1.0 if 200 * k < 1_000 else 0.1) for k in range(1, 20))
    in_low, in_high = 4, 15 - 0.5  # 200-800 Hz; 1000-3800 Hz, of which half of 1 kHz leaks below
    voice = analyse_voice(wave.astype(np.float32))
    assert voice.alpha_ratio_db == pytest.approx(10 * np.log10(0.01 * in_high / in_low), abs=0.3)


@pytest.mark.parametrize("ratio_db", [5.0, 15.0])
def test_harmonics_to_noise_is_the_mixing_ratio_below_4_khz(ratio_db: float) -> None:
    tone = harmonics(120.0, 2.0)
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=len(tone)))
    hz = np.fft.rfftfreq(len(tone), 1.0 / RATE)
    band_limited = [np.fft.irfft(np.where(hz < 4_000, s, 0.0), len(tone)) for s in (spectrum, np.fft.rfft(tone))]
    noise, low_tone = band_limited
    noise *= low_tone.std() / noise.std() * 10.0 ** (-ratio_db / 20.0)
    assert analyse_voice((tone + noise).astype(np.float32)).hnr_db == pytest.approx(ratio_db, abs=1.5)


@pytest.mark.parametrize(("jitter", "shimmer"), [(0.5, 0.0), (2.0, 0.0), (0.0, 4.0), (1.0, 6.0)])
@pytest.mark.parametrize("f0_hz", [110.0, 210.0])
def test_jitter_and_shimmer_are_those_that_were_put_in(f0_hz: float, jitter: float, shimmer: float) -> None:
    random = np.random.default_rng(1)
    n = int(2 * f0_hz)
    scale = np.sqrt(np.pi) / 200.0  # standard deviation -> mean difference of neighbours, per cent
    periods = (1.0 + jitter * scale * random.standard_normal(n)) / f0_hz
    amplitudes = 1.0 + shimmer * scale * random.standard_normal(n)
    wave = pulses(periods, amplitudes)
    f0 = np.full(1 + len(wave) // HOP, f0_hz)
    found = find_periods(wave, f0, RATE, HOP)
    assert len(found.length_s) == pytest.approx(n, rel=0.03)
    assert found.jitter_pct() == pytest.approx(local_change_pct(periods), rel=0.1, abs=0.06)
    if jitter == 0.0:  # a response that reaches into the next period turns jitter into shimmer, as in Praat
        assert found.shimmer_pct() == pytest.approx(local_change_pct(amplitudes), rel=0.15)
    else:
        assert found.shimmer_pct() >= 0.8 * local_change_pct(amplitudes)


def test_periods_of_pieces_do_not_meet_at_the_cut() -> None:
    part = Periods(np.full(4, 0.01), np.ones(4), np.array([False, True, True, True]))
    other = Periods(np.full(4, 0.012), np.ones(4), np.array([False, True, True, True]))
    assert join_periods([part, other]).jitter_pct() == 0.0
    assert np.isnan(join_periods([Periods(np.zeros(0), np.zeros(0), np.zeros(0, bool))]).jitter_pct())


@pytest.mark.parametrize("rate", [3.0, 5.0])
def test_syllables_are_the_bursts_of_the_vowel_band(rate: float) -> None:
    t = np.arange(4 * RATE) / RATE
    wave = harmonics(140.0, 4.0) * (0.05 + np.sin(np.pi * rate * t) ** 2)
    assert analyse_voice(wave.astype(np.float32)).syllable_rate == pytest.approx(rate, rel=0.08)


def test_pauses_are_counted_and_measured_under_noise_too() -> None:
    wave = harmonics(140.0, 4.0)
    wave[int(1.0 * RATE) : int(1.4 * RATE)] = 0.0
    wave[int(2.5 * RATE) : int(2.7 * RATE)] = 0.0
    noisy = wave + (0.03 * np.random.default_rng(0).normal(size=len(wave))).astype(np.float32)  # 10 dB
    for signal in (wave, noisy):
        voice = analyse_voice(signal)
        assert voice.pause_count == 2
        assert voice.pause_mean_s == pytest.approx(0.3, abs=0.06)  # windows of 43 ms reach into a pause
        assert voice.pause_share == pytest.approx(0.15, abs=0.03)
    assert len(find_pauses(np.array([True] * 5 + [False] * 5 + [True] * 5))) == 0  # 53 ms is a stop, not a pause


def test_steady_noise_hardly_moves_pitch_and_timbre() -> None:
    wave = np.concatenate([np.zeros(RATE // 4, np.float32), speech(), np.zeros(RATE // 4, np.float32)])
    noise = np.random.default_rng(0).normal(size=len(wave)) * wave.std() * 10.0 ** (-10.0 / 20.0)
    clean, noisy = analyse_voice(wave), analyse_voice((wave + noise).astype(np.float32))
    assert noisy.f0_st == pytest.approx(clean.f0_st, abs=0.3)
    # white noise, left in, would bring both to about 0
    assert noisy.alpha_ratio_db == pytest.approx(clean.alpha_ratio_db, abs=2.0)
    assert noisy.tilt_db_per_oct == pytest.approx(clean.tilt_db_per_oct, abs=2.5)


def test_what_cannot_be_measured_is_none_in_json() -> None:
    noise = (0.1 * np.random.default_rng(0).normal(size=RATE)).astype(np.float32)
    for wave in (noise, np.zeros(RATE, np.float32), noise[:10], noise[:1_200]):
        values = analyse_voice(wave).to_dict()
        assert "NaN" not in json.dumps(values, allow_nan=False)
    silent = analyse_voice(np.zeros(RATE, np.float32)).to_dict()
    assert silent["f0_hz"] is silent["level_db"] is silent["jitter_pct"] is silent["tilt_db_per_oct"] is None
    assert silent["duration_s"] == pytest.approx(1.0, abs=0.02)


def test_pieces_of_a_long_recording_sum_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = speech(8.0)
    whole = analyse_voice(wave).to_dict()
    monkeypatch.setattr("emotts.metrics.voice_frames.PIECE_S", 2.0)
    pieces = analyse_voice(wave).to_dict()
    assert pieces.keys() == whole.keys()
    for name in ("f0_st", "level_db", "tilt_db_per_oct", "alpha_ratio_db", "hnr_db", "duration_s"):
        assert pieces[name] == pytest.approx(whole[name], abs=0.3), name  # four medians are not one


@pytest.mark.parametrize("kind", ["int16", "uint8", "stereo", "offset", "float64"])
def test_every_kind_of_samples_gives_the_same_voice(kind: str) -> None:
    wave = speech(1.5)
    samples = {
        "int16": np.round(wave * 32_767).astype(np.int16),
        "uint8": np.round(wave * 127 + 128).astype(np.uint8),
        "stereo": np.stack([wave, wave]),
        "offset": wave + np.float32(0.2),
        "float64": wave.astype(np.float64),
    }[kind]
    expected, found = analyse_voice(wave), analyse_voice(samples)
    assert found.f0_st == pytest.approx(expected.f0_st, abs=0.05)
    assert found.level_db == pytest.approx(expected.level_db, abs=0.2)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.array([0.0, np.nan]), RATE, "not finite"),
        (np.zeros(0), RATE, "at least one"),
        (np.zeros((2, 2, 2)), RATE, r"\[L\] or \[channels, L\]"),
        (np.zeros(100), 1, "sample_rate must be from 2000"),
        (np.full(100, 30_000.0), RATE, "must lie in"),
    ],
)
def test_impossible_waveforms_are_refused_in_one_line(samples: np.ndarray, rate: int, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        analyse_voice(samples, rate)
    assert "\n" not in str(caught.value)


def test_features_other_than_the_level_do_not_depend_on_it() -> None:
    loud, quiet = clip_functionals(speech(), RATE), clip_functionals(0.05 * speech(), RATE)
    assert quiet["level_db"] == pytest.approx(loud["level_db"] - 26.02, abs=0.01)
    for name in loud.keys() - set(REGISTER):
        assert quiet[name] == pytest.approx(loud[name], rel=1e-3, abs=1e-3, nan_ok=True), name


def test_features_have_the_same_names_whatever_is_voiced() -> None:
    noise = (0.1 * np.random.default_rng(0).normal(size=RATE)).astype(np.float32)
    names = list(clip_functionals(speech(), RATE))
    assert list(clip_functionals(noise, RATE)) == names
    assert list(clip_functionals(noise[:3_000], RATE)) == names
    with pytest.raises(ValueError, match="silent"):
        clip_functionals(np.zeros(RATE), RATE)


def vowel(formants_hz: tuple[float, ...], f0_hz: float) -> np.ndarray:
    """Pulses through resonators of known frequency."""
    from scipy.signal import lfilter

    wave = np.zeros(24_000)
    wave[:: int(24_000 / f0_hz)] = 1.0
    for hz, width_hz in zip(formants_hz, (60.0, 90.0, 120.0, 150.0), strict=True):
        radius = np.exp(-np.pi * width_hz / 24_000)
        wave = lfilter([1.0], [1.0, -2.0 * radius * np.cos(2.0 * np.pi * hz / 24_000), radius**2], wave)
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)


@pytest.mark.parametrize("f0_hz", [100.0, 180.0])
def test_formants_of_a_known_vowel_are_found(f0_hz: float) -> None:
    from emotts.metrics.formants import formant_spacing
    from emotts.metrics.voice_frames import measure_frames

    wanted = np.array([500.0, 1_500.0, 2_500.0, 3_500.0])
    plain, larger = (measure_frames(vowel(tuple(wanted * f), f0_hz)).formants for f in (1.0, 0.94))
    assert np.abs(plain / wanted - 1.0)[1:].max() < 0.04  # the first may follow the nearest harmonic
    assert larger[2:] / plain[2:] == pytest.approx(0.94, abs=0.02)
    assert formant_spacing(wanted) == pytest.approx(1_000.0)


def test_formants_are_not_told_of_a_recording_that_cannot_hold_them() -> None:
    from emotts.metrics.voice_frames import measure_frames

    assert np.isnan(measure_frames(vowel((500.0, 1_500.0, 2_500.0, 3_500.0), 120.0)[::3], 8_000).formants).all()
