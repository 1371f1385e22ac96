"""Conversion part by part: contours, activity, windows, mixing, readers; what must hold for any model."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emotts.content.speech_encoder import ACTIVITIES
from emotts.conversion.activity import Span, activity_of, joined_spans, passing_weights, spans_of
from emotts.conversion.contour import ContourMove, stretched, stretched_f0
from emotts.conversion.feeling import feeling_of, moved_along
from emotts.conversion.reading import check_samples, chunks_of, resampled
from emotts.conversion.windows import FILE, LEAST_FRAMES, PEAK, STREAM, Limiter, Shape, windows_of
from emotts.emotion.spec import EmotionSpec
from emotts.prosody import F0_MAX, F0_MIN

SPEECH, OTHER, SILENCE = (ACTIVITIES.index(name) for name in ("speech", "other", "silence"))


def contours(n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return F0 in Hz with an unvoiced gap, and two contours of a model."""
    time = np.linspace(0.0, 1.0, n)
    f0 = (150.0 * 2.0 ** (0.2 * np.sin(6.0 * time))).astype(np.float32)
    f0[10:15] = 0.0
    return f0, 0.1 * np.sin(5.0 * time), 0.3 + 0.25 * np.sin(5.0 * time)


def test_no_strength_changes_nothing_but_the_register() -> None:
    f0, felt, wanted = contours()
    register = float(np.log2(150.0))
    assert np.allclose(ContourMove(register, register, 1.8, strength=0.0)(f0, felt, wanted), f0, rtol=1e-5)
    higher = ContourMove(register, register + 0.5, 1.8, strength=0.0)(f0, felt, wanted)
    assert np.allclose(higher[f0 > 0] / f0[f0 > 0], 2.0**0.5, rtol=1e-5)
    assert np.array_equal(higher == 0, f0 == 0)


def test_strength_is_continuous_and_goes_all_the_way_to_the_models_difference() -> None:
    f0, felt, wanted = contours()
    register, voiced = float(np.log2(150.0)), f0 > 0
    moved = [
        np.log2(ContourMove(register, register, 1.0, strength=s)(f0, felt, wanted)[voiced]) for s in (0.0, 0.5, 1.0)
    ]
    assert np.allclose(moved[2] - moved[0], (wanted - felt)[voiced], atol=1e-5)
    assert np.allclose(moved[1], 0.5 * (moved[0] + moved[2]), atol=1e-5)


def test_keep_0_is_the_models_own_contour_and_range_widens_the_speakers_own_part() -> None:
    f0, felt, wanted = contours()
    register, voiced = float(np.log2(150.0)), f0 > 0
    alone = np.log2(ContourMove(register, register, 1.0, keep=0.0)(f0, felt, wanted)[voiced])
    assert np.allclose(alone, register + wanted[voiced], atol=1e-5)
    own = np.log2(f0[voiced]) - register - felt[voiced]
    wide = np.log2(ContourMove(register, register, 1.5)(f0, felt, wanted)[voiced])
    assert np.allclose(wide - alone, 1.5 * own, atol=1e-4)


def test_moved_contours_stay_within_what_the_vocoder_follows() -> None:
    f0, felt, wanted = contours()
    register = float(np.log2(150.0))
    for octaves in (-4.0, 4.0):
        moved = ContourMove(register, register + octaves, 2.0, strength=1.5)(f0, felt, wanted)
        assert moved[f0 > 0].min() >= F0_MIN and moved.max() <= F0_MAX


def test_stretching_reads_between_frames_and_never_invents_voicing() -> None:
    assert np.allclose(stretched(np.array([0.0, 1.0, 4.0]), np.array([-1.0, 0.5, 1.5, 9.0])), [0.0, 0.5, 2.5, 4.0])
    f0 = np.array([0.0, 100.0, 200.0, 0.0], np.float32)
    read = stretched_f0(f0, np.array([0.4, 0.6, 1.5, 2.6]))
    assert read[0] == 0.0 and read[1] == pytest.approx(100.0) and read[3] == 0.0
    assert read[2] == pytest.approx(100.0 * 2.0**0.5, rel=1e-4)


def test_short_stretches_take_the_kind_around_them_and_long_ones_stay() -> None:
    kinds = np.full(200, SPEECH)
    kinds[50:55], kinds[100:150] = OTHER, OTHER
    logits = 8.0 * torch.nn.functional.one_hot(torch.from_numpy(kinds), len(ACTIVITIES)).float()
    found = activity_of(logits)
    assert set(found[:95]) == {SPEECH}
    assert abs(int((found == OTHER).sum()) - 50) <= 4
    spans = spans_of(found, first_frame=10)
    assert [span.kind for span in spans] == ["speech", "other", "speech"]
    assert spans[0].start_s == pytest.approx(10 / 93.75) and spans[-1].end_s == pytest.approx(210 / 93.75)


def test_what_passes_passes_wholly_inside_and_not_at_all_outside() -> None:
    kinds = np.full(100, SPEECH)
    kinds[40:70] = OTHER
    kinds[90:] = SILENCE
    weight = passing_weights(kinds)
    assert (weight[:40] == 0).all() and (weight[70:90] == 0).all()
    assert (weight[46:64] == 1).all() and weight[-1] == 1.0
    assert (np.diff(weight[40:47]) >= 0).all()


def test_neighbouring_spans_of_a_kind_are_one() -> None:
    spans = [Span(0.0, 1.0, "speech"), Span(1.0, 2.0, "speech"), Span(2.0, 3.0, "other")]
    assert joined_spans(spans) == [Span(0.0, 2.0, "speech"), Span(2.0, 3.0, "other")]


@settings(max_examples=60)
@given(
    st.integers(0, 9_000), st.lists(st.integers(1, 3_000), min_size=1, max_size=5), st.integers(1, 9), st.integers(0, 6),
    st.integers(0, 6),
)  # fmt: skip
def test_windows_cover_every_frame_once_whatever_the_chunks(
    length: int, sizes: list[int], core: int, before: int, after: int
) -> None:
    audio = np.arange(1, length + 1, dtype=np.float32)
    chunks, at = [], 0
    while at < length:
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(audio[at : at + size])
        at += size
    shape = Shape(core, before, after)
    done = 0
    for window in windows_of(chunks, shape):
        first, last = window.core
        assert window.first_frame + first == done and last > first
        done = window.first_frame + last
        whole = np.pad(audio, (0, 256))[window.first_frame * 256 :][: len(window.samples)]
        assert np.array_equal(window.samples, np.pad(whole, (0, len(window.samples) - len(whole))))
        assert len(window.samples) // 256 - last <= max(after, LEAST_FRAMES - 1)
        assert first == min(before, window.first_frame + first)
    assert done == -(-length // 256)


def test_a_stream_waits_at_most_400_ms_and_a_file_hears_more() -> None:
    assert STREAM.latency_s <= 0.4
    assert FILE.before > STREAM.before and FILE.after > STREAM.after


@pytest.mark.parametrize("sizes", [[40], [1, 2, 5], [7]])
def test_the_limiter_turns_down_without_bending_and_does_not_depend_on_the_grouping(sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    loudness = np.repeat(np.concatenate([np.full(10, 0.2), np.full(12, 1.8), np.full(18, 0.1)]), 256)
    audio = (loudness * np.sin(np.arange(40 * 256) * 0.05 + rng.uniform())).astype(np.float32)
    whole = Limiter()
    expected = np.concatenate([whole.push(audio), whole.finish()])
    grouped, parts, at = Limiter(), [], 0
    while at < len(audio):
        size = 256 * sizes[len(parts) % len(sizes)]
        parts.append(grouped.push(audio[at : at + size]))
        at += size
    found = np.concatenate([*parts, grouped.finish()])
    assert np.array_equal(found, expected) and len(found) == len(audio)
    assert np.abs(found).max() <= PEAK + 1e-6
    assert np.array_equal(found[: 9 * 256], audio[: 9 * 256])  # before the loud part nothing changes
    assert np.array_equal(found[-256:], audio[-256:])  # and long after it
    clear = np.abs(audio) > 0.01
    assert np.abs(np.diff(found[clear] / audio[clear])).max() < 0.05  # a gain that moves slowly: no corners


def test_a_refused_label_is_taken_away_and_weights_add_up_to_one() -> None:
    feeling = feeling_of(EmotionSpec("happy", away=(("angry", 0.5),)))
    assert sum(weight for weight, _ in feeling.parts) == pytest.approx(1.0)
    assert [(weight, spec.label) for weight, spec in feeling.parts] == [
        (1.0, "happy"),
        (0.5, "neutral"),
        (-0.5, "angry"),
    ]


def test_moving_one_dimension_keeps_the_others_where_they_were_heard() -> None:
    moved = moved_along(EmotionSpec("angry", 0.5), {"arousal": -0.2})
    assert moved.arousal == -0.2 and moved.label is None
    assert moved.valence is not None and moved.valence < 0.0 and moved.dominance is not None and moved.dominance > 0.0


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 48_000])
def test_recordings_of_any_rate_and_width_come_at_24_khz(tmp_path: Path, rate: int) -> None:
    time = np.arange(int(2.3 * rate)) / rate
    tone = 0.3 * np.sin(2.0 * np.pi * 440.0 * time)
    soundfile.write(tmp_path / "a.wav", np.stack([tone, tone], axis=1), rate, subtype="PCM_24")
    read = np.concatenate(list(chunks_of(tmp_path / "a.wav")))
    assert abs(len(read) - 2.3 * 24_000) <= 2
    spectrum = np.abs(np.fft.rfft(read * np.hanning(len(read))))
    assert np.argmax(spectrum) / len(read) * 24_000 == pytest.approx(440.0, abs=1.0)
    given = np.concatenate(list(chunks_of(tone, rate)))
    assert len(given) == len(read) and np.abs(given - read).max() < 1e-3


def test_resampling_does_not_depend_on_the_chunks() -> None:
    noise = np.random.default_rng(0).standard_normal(30_000).astype(np.float32)
    whole = np.concatenate(list(resampled([noise], 16_000)))
    parts = np.concatenate(list(resampled(np.split(noise, [100, 7_000, 7_001]), 16_000)))
    assert np.array_equal(whole, parts)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(100), None, "sample_rate"),
        (np.zeros(100), 10, "sample_rate"),
        (np.full(100, np.nan), 24_000, "not finite"),
        (np.zeros((2, 2, 2)), 24_000, "samples must be"),
        (np.zeros(0), 24_000, "samples must be"),
        (np.array(["a"]), 24_000, "samples must be"),
    ],
)
def test_samples_that_will_not_do_are_refused(samples: np.ndarray, rate: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_samples(samples, rate)


def test_integers_are_scaled_and_channels_averaged() -> None:
    mono, rate = check_samples(np.array([[16_384, 0, 0], [16_384, 0, -16_384]], np.int16), 24_000)
    assert rate == 24_000 and np.allclose(mono, [0.5, 0.0, -0.25])
