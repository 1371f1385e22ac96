"""Prosody sheets, emphasis, and the intonation of another recording."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotts.intonation import Intonation, impose_intonation, intonation_of
from emotts.prosody import Reading
from emotts.prosody_edit import (
    DB_PER_LOG,
    ProsodySheet,
    apply_sheet,
    emphasise,
    from_json,
    sheet_of,
    to_json,
)
from emotts.text.symbols import is_pause, is_voiced

RATE = 93.75
SAMPLE_RATE = 24_000
TOKENS = [
    "<sil>", "w", "i", " ", "h", "ə", "l", "ˈoʊ", " ", "b", "ə", "n", "ˈæ", "n", "ə", " ", "w", "ˈɚ", "l", "d", ".", "<sil>",
]  # fmt: skip
BANANA = slice(9, 15)
N = len(TOKENS)


def reading(seed: int = 0) -> Reading:
    random = np.random.default_rng(seed)
    durations = np.array([0.0 if t == " " else 6.0 if is_pause(t) else 8.0 for t in TOKENS]) + random.integers(0, 5, N)
    return Reading(durations, np.log2(150.0) + random.normal(0.0, 0.1, (N, 2)), random.normal(-1.0, 0.7, N))


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=50)
def test_a_sheet_gives_back_its_reading_through_json(seed: int, is_whole: bool) -> None:
    before = reading(seed)
    if not is_whole:
        before.durations = before.durations + np.where([is_pause(t) for t in TOKENS], 0.0, 0.37)
    (sheet,) = from_json(to_json([sheet_of(before, TOKENS)]))
    assert sheet == sheet_of(before, TOKENS)
    after = apply_sheet(before, TOKENS, sheet)
    if is_whole:
        assert np.array_equal(after.durations, before.durations)
    assert np.allclose(after.durations, before.durations, atol=1e-3)  # seconds have 5 decimals
    assert np.allclose(after.log_f0, before.log_f0, atol=1e-5)  # Hz have 3
    assert np.allclose(after.energy, before.energy, atol=1e-4)  # dB have 3


def test_json_has_a_line_for_each_token_and_a_list_for_each_segment() -> None:
    words = ["" if is_pause(t) else "x" for t in TOKENS]
    text = to_json([sheet_of(reading(1), TOKENS, words), sheet_of(reading(2), TOKENS, words)])
    data = json.loads(text)
    assert data["version"] == 1 and len(data["segments"]) == 2 and len(data["segments"][0]) == N
    assert text.count("\n") == 2 * N + 10 and "ˈoʊ" in text
    assert [sheet.words for sheet in from_json(text)] == [tuple(words)] * 2


def test_an_edited_number_reaches_the_reading_and_no_other() -> None:
    before = reading()
    data = json.loads(to_json([sheet_of(before, TOKENS)]))
    data["segments"][0][7] |= {"duration_s": 0.32, "f0_hz": [200.0, 100.0], "energy_db": -3.0}
    after = apply_sheet(before, TOKENS, from_json(json.dumps(data))[0])
    assert after.durations[7] == 30.0 and 2.0 ** after.log_f0[7] == pytest.approx([200.0, 100.0])
    assert after.energy[7] * DB_PER_LOG == pytest.approx(-3.0)
    others = np.arange(N) != 7
    assert np.array_equal(after.durations[others], before.durations[others])


def test_a_reading_beyond_the_vocoder_is_written_inside_its_range() -> None:
    wild = Reading(np.full(N, 5.0), np.tile(np.log2([30.0, 900.0]), (N, 1)), np.full(N, -40.0))
    (sheet,) = from_json(to_json([sheet_of(wild, TOKENS)]))
    assert sheet.f0_hz[0] == (50.0, 620.0) and sheet.energy_db[0] == -80.0


def test_a_sheet_of_another_text_is_refused() -> None:
    sheet = sheet_of(reading(), TOKENS)
    with pytest.raises(ValueError, match='token 2 of the prosody sheet must be "u", as the text has it; got "i"'):
        apply_sheet(reading(), [*TOKENS[:2], "u", *TOKENS[3:]], sheet)
    with pytest.raises(ValueError, match=f'token {N - 1} of the prosody sheet must be "the end"'):
        apply_sheet(reading(), TOKENS[:-1], sheet)


def change(**cells: object) -> Callable[[dict], None]:
    return lambda data: data["segments"][0][7].update(cells)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data.update(format="x"), 'must be an object with "format": "emotts prosody"'),
        (lambda data: data.update(version=2), "must have version 1; got 2"),
        (lambda data: data.update(version=True), "must have version 1; got True"),
        (lambda data: data.pop("version"), "must have version 1; got None"),
        (lambda data: data.pop("segments"), "must have segments"),
        (lambda data: data.update(segments=[]), "must have segments"),
        (lambda data: data.update(segments=[3]), "must have segments"),
        (lambda data: data["segments"][0].insert(0, 3), "segment 0, token 0: expected an object with token, word"),
        (lambda data: data["segments"][0][7].pop("f0_hz"), 'segment 0, token 7: "f0_hz" is missing'),
        (change(f0=3), "segment 0, token 7: .*f0.* is unknown"),
        (change(token="oʊʊ"), 'segment 0, token 7: phoneme token must be in the alphabet.*"oʊʊ"'),
        (change(token=3), "segment 0, token 7: token and word must be texts; got 3"),
        (change(duration_s=-0.1), 'segment 0, token 7 "ˈoʊ": duration_s must be a number from 0 to 10; got -0.1'),
        (change(duration_s=11), "duration_s must be a number from 0 to 10; got 11"),
        (change(duration_s="1"), "duration_s must be a number from 0 to 10; got '1'"),
        (change(duration_s=True), "duration_s must be a number from 0 to 10; got True"),
        (change(duration_s=float("nan")), "duration_s must be a number from 0 to 10; got nan"),
        (change(duration_s=0.0), r"duration_s must be at least 0.0107 \(one frame\) for a sound; got 0"),
        (change(f0_hz=120.0), "f0_hz must be two numbers"),
        (change(f0_hz=[120.0]), "f0_hz must be two numbers"),
        (change(f0_hz=[120.0, 0.0]), "f0_hz must be a number from 50 to 620; got 0.0"),
        (change(f0_hz=[None, 120.0]), "f0_hz must be a number from 50 to 620; got None"),
        (change(energy_db=1e300), "energy_db must be a number from -80 to 20"),
    ],
)
def test_a_spoilt_sheet_is_refused_with_its_place(edit: Callable[[dict], object], message: str) -> None:
    data = json.loads(to_json([sheet_of(reading(), TOKENS)]))
    edit(data)
    with pytest.raises(ValueError, match=message) as caught:
        from_json(json.dumps(data))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "[" * 100_000, "1" * 10_000])
def test_what_is_no_sheet_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="^prosody sheet"):
        from_json(text)


def test_columns_of_a_sheet_have_one_length() -> None:
    with pytest.raises(ValueError, match="words must have 1 values, as tokens; got 0"):
        ProsodySheet(("ə",), (), (0.1,), ((100.0, 100.0),), (0.0,))


def emphasis_of(*words: slice) -> list[bool]:
    return [any(word.start <= place < word.stop for word in words) for place in range(N)]


def test_emphasis_raises_lengthens_and_strengthens_the_stressed_syllable() -> None:
    before = reading()
    after = emphasise(before, TOKENS, emphasis_of(BANANA))
    semitones = 12.0 * (after.log_f0 - before.log_f0)
    assert semitones[12] == pytest.approx([3.0, 3.0]) and semitones.max() == pytest.approx(3.0)
    assert (np.diff(semitones[12:20].ravel()) <= 1e-9).all() and semitones[19, 1] == 0.0  # a fall after the peak
    syllable = slice(11, 13)  # n æ
    assert np.allclose(after.durations[syllable] / before.durations[syllable], 1.2)
    assert np.allclose((after.energy - before.energy)[syllable] * DB_PER_LOG, 2.5)
    assert np.allclose((after.energy - before.energy)[[9, 14]] * DB_PER_LOG, 1.25)
    neighbours = [1, 2, 4, 5, 6, 7, 16, 17, 18, 19]
    assert (after.durations[neighbours] < before.durations[neighbours]).all()
    assert (after.energy[neighbours] < before.energy[neighbours]).all()
    assert after.durations.sum() == pytest.approx(before.durations.sum(), rel=0.005)


@given(st.integers(0, 10_000), st.lists(st.booleans(), min_size=N, max_size=N), st.floats(0.0, 2.0))
@settings(max_examples=100)
def test_emphasis_of_any_words_keeps_the_reading_sound(seed: int, flags: list[bool], strength: float) -> None:
    before = reading(seed)
    after = emphasise(before, TOKENS, flags, strength)
    assert np.isfinite(after.log_f0).all() and np.isfinite(after.energy).all()
    assert (after.durations >= np.minimum(before.durations, 1.0)).all()
    assert (after.log_f0 - before.log_f0 <= strength * 0.25 + 1e-9).all()
    pauses = [place for place, token in enumerate(TOKENS) if is_pause(token)]
    assert np.array_equal(after.durations[pauses], before.durations[pauses])


def test_no_emphasis_and_no_strength_change_nothing() -> None:
    before = reading()
    for after in (emphasise(before, TOKENS, [False] * N), emphasise(before, TOKENS, emphasis_of(BANANA), strength=0.0)):
        assert np.array_equal(after.durations, before.durations) and np.array_equal(after.log_f0, before.log_f0)
        assert np.array_equal(after.energy, before.energy)


def test_more_strength_is_more_emphasis() -> None:
    peaks = [emphasise(reading(), TOKENS, emphasis_of(BANANA), s).log_f0[12].mean() for s in (0.0, 0.5, 1.0, 2.0)]
    assert (np.diff(peaks) > 0).all()


@pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan"), True])
def test_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="strength of emphasis must be a number from 0 to 2"):
        emphasise(reading(), TOKENS, [True] * N, strength)
    with pytest.raises(ValueError, match="one flag for each"):
        emphasise(reading(), TOKENS, [True])


def voice(contour_hz: np.ndarray) -> np.ndarray:
    """Return a harmonic sound [L] that follows a contour [L] in Hz."""
    phase = 2.0 * np.pi * np.cumsum(contour_hz) / SAMPLE_RATE
    return (0.1 * sum(np.sin(k * phase) / k for k in range(1, 12))).astype(np.float32)


def rise_and_fall(seconds: float = 1.5, base_hz: float = 120.0) -> np.ndarray:
    time = np.arange(int(seconds * SAMPLE_RATE)) / (seconds * SAMPLE_RATE)
    return base_hz * 2.0 ** (0.4 * np.sin(np.pi * time))


def test_intonation_is_the_contour_of_the_speech_around_its_mean() -> None:
    silence = np.zeros(SAMPLE_RATE // 2, np.float32)
    intonation = intonation_of(np.concatenate([silence, voice(rise_and_fall()), silence]), SAMPLE_RATE)
    assert intonation.duration_s == pytest.approx(1.5, abs=0.03)
    time = (np.arange(len(intonation.octaves)) + 0.5) / len(intonation.octaves)
    wanted = 0.4 * np.sin(np.pi * time)
    inner = slice(8, -8)  # 85 ms at each end, where the tracker's window is half outside
    assert np.abs(intonation.octaves - (wanted - wanted.mean()))[inner].max() < 0.03  # a third of a semitone
    assert np.log2(intonation.mean_hz / 120.0) == pytest.approx(wanted.mean(), abs=0.02)


def test_intonation_does_not_depend_on_level_or_register() -> None:
    low = intonation_of(voice(rise_and_fall(base_hz=110.0)), SAMPLE_RATE)
    high = intonation_of(0.05 * voice(rise_and_fall(base_hz=220.0)), SAMPLE_RATE)
    assert np.abs(low.octaves - high.octaves)[8:-8].max() < 0.05


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(SAMPLE_RATE), "recording is silent"),
        (np.zeros(0), "recording is silent"),
        (voice(rise_and_fall(0.15)), "at least 0.25 s of speech"),
        (0.1 * np.random.default_rng(0).normal(size=SAMPLE_RATE), "must have a voice with a pitch"),
        (np.full(SAMPLE_RATE, np.nan), "finite samples"),
        (np.zeros((2, SAMPLE_RATE)), "one channel"),
    ],
)
def test_a_recording_without_intonation_is_refused(waveform: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        intonation_of(waveform, SAMPLE_RATE)


def mean_of(reading: Reading) -> float:
    voiced = [place for place, token in enumerate(TOKENS) if is_voiced(token)]
    return float(np.average(reading.log_f0[voiced].mean(axis=1), weights=reading.durations[voiced]))


def test_the_shape_is_copied_and_the_register_kept() -> None:
    before = reading()
    shape = Intonation(0.5 * np.linspace(-1.0, 1.0, 200), 300.0, 2.0)
    after = impose_intonation(before, TOKENS, shape)
    assert mean_of(after) == pytest.approx(mean_of(before))
    first, last = before.durations[0], before.durations.sum() - before.durations[-2:].sum()
    starts = np.cumsum(before.durations) - before.durations
    for token in (2, 7, 12, 18):
        place = (starts[token] + 0.25 * before.durations[token] - first) / (last - first)
        wanted = place - (starts[2] + 0.25 * before.durations[2] - first) / (last - first)
        assert after.log_f0[token, 0] - after.log_f0[2, 0] == pytest.approx(wanted, abs=0.01)
    assert after.durations is before.durations and after.energy is before.energy


def test_weight_blends_from_its_own_shape_to_the_copied_one() -> None:
    before, shape = reading(), Intonation(np.sin(np.linspace(0, 7, 150)), 200.0, 2.0)
    none, half, whole = (impose_intonation(before, TOKENS, shape, weight).log_f0 for weight in (0.0, 0.5, 1.0))
    assert np.allclose(none, before.log_f0) and np.allclose(half, 0.5 * (none + whole))
    for weight in (-0.1, 1.6, float("nan"), True):
        with pytest.raises(ValueError, match="weight of the intonation must be a number from 0 to 1.5"):
            impose_intonation(before, TOKENS, shape, weight)


def test_a_recording_of_the_contour_gives_it_to_the_reading() -> None:
    intonation = intonation_of(voice(rise_and_fall()), SAMPLE_RATE)
    after = impose_intonation(reading(), TOKENS, intonation)
    line = after.log_f0[1:20].mean(axis=1)
    assert 7 <= line.argmax() <= 11 and line.max() - line.min() == pytest.approx(0.4, abs=0.06)


def test_pauses_alone_take_no_intonation() -> None:
    silent = Reading(np.array([5.0, 5.0]), np.zeros((2, 2)), np.zeros(2))
    with pytest.raises(ValueError, match="must have sounds"):
        impose_intonation(silent, ["<sil>", "<sil>"], Intonation(np.zeros(9), 100.0, 1.0))
