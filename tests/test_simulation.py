"""The simulated corpus: teachers' frame arithmetic, readings, plans, checks, and a corpus from a fake teacher."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from emotts.audio import SPEC, LogMel, load_audio
from emotts.data.manifest import read_manifest
from emotts.emotion.labels import AVD_MEANS, LABEL_INDEX, LABELS
from emotts.emotion.rendering import Controls, controls_for
from emotts.simulation import corpus
from emotts.simulation.checks import WordErrors, attribute_errors, recognise_shard, rejection_reasons
from emotts.simulation.contour import edit_f0, spread_over_frames
from emotts.simulation.corpus import CorpusJob, merge_shards, render_shard, voice_teachers
from emotts.simulation.plan import Shard, Utterance, plan_shards, read_sentences
from emotts.simulation.readings import Reading, plain_reading, sample_reading
from emotts.simulation.teachers import (
    Rendition,
    VoiceInfo,
    apply_gain,
    fit_length,
    frame_durations,
    limit_peaks,
    trim_silence,
)

TOKENS = ["<sil>", "h", "ə", "l", "ˈoʊ", ",", "ð", "ˈɛ", "ɹ", ".", "<sil>"]
SENTENCES = [f"This is sentence number {i}." for i in range(60)]


class FakeTeacher:
    """Speaks a harmonic tone per token; follows tempo, F0 shift and gain."""

    voices = {name: VoiceInfo(name, "female", "none", "fake", "CC0-1.0", "a tone") for name in ("one", "two")}
    n_spoken = 0

    def speak(self, tokens: list[str], voice: str, controls: Controls, reading: Reading, seed: int) -> Rendition:
        FakeTeacher.n_spoken += 1
        samples = 2_000.0 * np.exp(reading.log_duration) / controls.rate
        durations = frame_durations(np.concatenate([[0.0], np.cumsum(samples)]))
        n_frames = int(durations.sum())
        f0 = np.repeat(200.0 * 2.0 ** ((controls.f0_shift_st + reading.f0_st) / 12.0), durations)
        phase = 2.0 * np.pi * np.cumsum(np.repeat(f0, SPEC.hop_length)) / SPEC.sample_rate
        noise = np.random.default_rng(seed).normal(0.0, 1e-3, n_frames * SPEC.hop_length)
        gain = np.repeat(np.repeat(10.0 ** (controls.gain_db / 20.0), durations), SPEC.hop_length)
        return Rendition((gain * (0.1 * np.sin(phase) + noise)).astype(np.float32), durations, f0.astype(np.float32))


def fake_phonemize(text: str) -> list[str]:
    """Return tokens whose number depends on the text."""
    return ["<sil>", *(["h", "ˈoʊ", "l", " "] * (2 + len(text) % 3))[:-1], ".", "<sil>"]


@pytest.fixture
def job(tmp_path: Path) -> CorpusJob:
    return CorpusJob(tmp_path / "corpus", (f"{__name__}.FakeTeacher",), f"{__name__}.fake_phonemize", check_words=False)


def small_plan(seed: int = 0) -> list[Shard]:
    return plan_shards(
        SENTENCES, ["A test.", "Another test."], {"one": 0.01, "two": 0.005}, seed, shard_size=8, test_per_voice=3
    )


def identity(n_tokens: int) -> Controls:
    return controls_for(np.zeros((n_tokens, 3)))


# Frames


def test_frame_durations_sum_to_the_rounded_end_whatever_the_tokens() -> None:
    lengths = np.random.default_rng(0).uniform(0.0, 3_000.0, 200)
    boundaries = np.concatenate([[0.0], np.cumsum(lengths)])
    durations = frame_durations(boundaries)
    assert durations.sum() == np.floor(boundaries[-1] / SPEC.hop_length + 0.5)
    assert np.abs(np.cumsum(durations) - boundaries[1:] / SPEC.hop_length).max() <= 0.5
    assert durations.min() >= 0


def test_fit_length_cuts_and_pads() -> None:
    waveform = np.ones(10, np.float32)
    assert len(fit_length(waveform, 7)) == 7
    assert fit_length(waveform, 12).tolist() == [1.0] * 10 + [0.0] * 2


def test_limiter_leaves_low_samples_alone_and_bounds_high_ones() -> None:
    waveform = np.linspace(-3.0, 3.0, 601).astype(np.float32)
    limited, fraction = limit_peaks(waveform)
    assert np.abs(limited).max() <= 0.95
    assert np.array_equal(limited[np.abs(waveform) < 0.75], waveform[np.abs(waveform) < 0.75])
    assert np.all(np.diff(limited) >= 0)
    assert fraction == pytest.approx((np.abs(waveform) > 0.76).mean())


def test_gain_is_exact_where_it_is_constant() -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.05, 24_000).astype(np.float32)
    louder = apply_gain(noise, np.array([0.0, 12_000.0, 24_000.0]), np.array([6.0, 6.0]), np.ones(2))
    assert louder == pytest.approx(noise * 10.0 ** (6.0 / 20.0), rel=1e-5)


def test_trimming_keeps_80_and_160_milliseconds_and_moves_the_boundaries() -> None:
    rate = SPEC.sample_rate
    boundaries = np.array([0.0, 0.5, 1.0, 1.5, 2.0]) * rate
    waveform = np.zeros(2 * rate, np.float32)
    waveform[rate // 2 : 3 * rate // 2] = 0.1
    start, edges = trim_silence(waveform, ["<sil>", "ə", "l", "<sil>"], boundaries)
    assert start == pytest.approx(0.42 * rate)
    assert edges / rate == pytest.approx([0.0, 0.08, 0.58, 1.08, 1.24])


# Contours


def contour_inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    boundaries_s = np.linspace(0.0, 1.1, len(TOKENS) + 1)
    times_s = np.arange(88) / 80.0
    f0 = 200.0 + 30.0 * np.sin(6.0 * times_s)
    f0[40:50] = 0.0
    return f0, times_s, boundaries_s


def edited(controls: Controls, reading: Reading | None = None, seed: int = 0) -> np.ndarray:
    f0, times_s, boundaries_s = contour_inputs()
    reading = reading or plain_reading(TOKENS)
    return edit_f0(f0, times_s, TOKENS, boundaries_s, controls, reading, np.random.default_rng(seed))


def test_neutral_controls_keep_the_contour() -> None:
    assert edited(identity(len(TOKENS))) == pytest.approx(contour_inputs()[0], rel=1e-9)


def test_edits_keep_what_is_voiced() -> None:
    controls = controls_for(np.tile([0.8, -0.5, -0.6], (len(TOKENS), 1)))
    assert np.array_equal(edited(controls) > 0, contour_inputs()[0] > 0)


def test_arousal_moves_the_mean_by_the_shift() -> None:
    controls = controls_for(np.tile([0.6, 0.0, 0.0], (len(TOKENS), 1)))
    flat = Controls(**{**vars(controls), "accent": np.zeros(len(TOKENS))})
    voiced = contour_inputs()[0] > 0
    mean_st = 12.0 * (np.log2(edited(flat)[voiced]).mean() - np.log2(contour_inputs()[0][voiced]).mean())
    assert mean_st == pytest.approx(2.7, abs=1e-6)


def test_changing_emotion_moves_f0_without_jumps() -> None:
    avd = np.zeros((len(TOKENS), 3))
    avd[6:, 0] = 1.0
    f0 = edited(controls_for(avd))
    steps_st = 12.0 * np.abs(np.diff(np.log2(f0[f0 > 0])))
    assert steps_st.max() < 2.0


def test_final_slope_acts_after_the_last_stress_only() -> None:
    neutral = identity(len(TOKENS))
    rising = edited(Controls(**{**vars(neutral), "final_slope_st": 4.0}))
    _, times_s, boundaries_s = contour_inputs()
    shift = 12.0 * np.log2(np.where(rising > 0, rising, 1.0) / np.where(rising > 0, contour_inputs()[0], 1.0))
    assert np.allclose(shift[times_s < boundaries_s[7]], 0.0)
    flat = edited(Controls(**{**vars(neutral), "final_slope_st": -2.0}))[times_s > boundaries_s[9]]
    assert 12.0 * np.log2(flat / contour_inputs()[0][times_s > boundaries_s[9]]) == pytest.approx(-2.0)


def test_a_full_final_rise_replaces_the_own_fall() -> None:
    neutral = identity(len(TOKENS))
    f0, times_s, boundaries_s = contour_inputs()
    rising = edited(Controls(**{**vars(neutral), "final_slope_st": 4.0}))
    mean_st = 12.0 * np.log2(f0[f0 > 0]).mean()
    assert 12.0 * np.log2(rising[times_s > boundaries_s[9]]) == pytest.approx(mean_st + 4.0)


def test_a_wider_range_lifts_peaks_more_than_it_lowers_valleys() -> None:
    neutral = identity(len(TOKENS))
    f0 = contour_inputs()[0]
    wide = edited(Controls(**{**vars(neutral), "f0_range": np.full(len(TOKENS), 2.0)}))
    deviation = 12.0 * np.log2(f0[f0 > 0]) - 12.0 * np.log2(f0[f0 > 0]).mean()
    growth = 12.0 * np.log2(wide[f0 > 0] / f0[f0 > 0])
    expected = np.where(deviation > 0, 1.0, 0.35) * deviation
    assert growth == pytest.approx(expected - expected.mean())
    assert growth.mean() == pytest.approx(0.0, abs=1e-9)


def test_tokens_without_duration_do_not_disturb_interpolation() -> None:
    spread = spread_over_frames(np.array([1.0, 99.0, 3.0]), np.array([0.0, 1.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0]))
    assert spread == pytest.approx([1.0, 2.0, 3.0])


# Readings


def test_readings_follow_their_generator() -> None:
    one, same, other = (sample_reading(TOKENS, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.f0_st, same.f0_st)
    assert not np.array_equal(one.f0_st, other.f0_st)


def test_readings_have_the_stated_spread() -> None:
    readings = [sample_reading(TOKENS, np.random.default_rng(seed)) for seed in range(2_000)]
    stressed = TOKENS.index("ˈoʊ")
    assert np.std([r.f0_st[stressed] for r in readings]) == pytest.approx(0.9, rel=0.1)  # 5 standard errors
    assert np.std([r.log_duration[stressed] for r in readings]) == pytest.approx(np.hypot(0.07, 0.04), rel=0.1)
    assert np.std([r.declination_st for r in readings]) == pytest.approx(1.0, rel=0.1)


def test_reading_of_pauses_only_is_possible() -> None:
    assert len(sample_reading(["<sil>", "<sil>"], np.random.default_rng(0)).f0_st) == 2


# Plans


def test_plans_follow_the_seed() -> None:
    assert small_plan() == small_plan()
    assert small_plan(1) != small_plan()


def test_more_hours_keep_the_earlier_shards() -> None:
    few = plan_shards(SENTENCES, ["A test."], {"one": 0.02}, 0, 8, 0)
    more = plan_shards(SENTENCES, ["A test."], {"one": 0.2}, 0, 8, 0)
    assert len(more) > len(few) and more[: len(few)] == few


def test_ids_are_unique_and_splits_do_not_share_sentences() -> None:
    utterances = [
        u
        for shard in plan_shards(SENTENCES, SENTENCES[:5], {"one": 0.3, "two": 0.3}, 0, 8, 9)
        for u in shard.utterances
    ]
    assert len({u.id for u in utterances}) == len(utterances)
    texts = {split: {u.text for u in utterances if u.split == split} for split in ("train", "valid", "test")}
    assert not texts["train"] & texts["valid"]
    assert not (texts["train"] | texts["valid"]) & texts["test"]
    assert texts["test"] <= set(SENTENCES[:5])


def test_kinds_of_emotion_have_their_shares() -> None:
    shards = plan_shards(SENTENCES, ["A test."], {"one": 1.5}, 0, 100, 0)
    utterances = [u for shard in shards for u in shard.utterances]
    n = len(utterances)
    tolerance = 4.0 * np.sqrt(0.25 / n)  # four standard errors
    assert sum(u.label == "neutral" for u in utterances) / n == pytest.approx(0.12, abs=tolerance)
    assert sum(u.label is None for u in utterances) / n == pytest.approx(0.39, abs=tolerance)
    assert sum(len(u.keyframes) > 1 for u in utterances) / n == pytest.approx(0.12, abs=tolerance)
    assert sum(len(u.weights) == 1 for u in utterances) / n == pytest.approx(0.09, abs=tolerance)
    assert sum(len(u.weights) == 2 for u in utterances) / n == pytest.approx(0.06, abs=tolerance)
    assert {u.label for u in utterances} == {None, *LABELS}
    strong = [u for u in utterances if u.label == "angry"]
    offsets = np.array([np.array(u.keyframes[0]) - u.intensity * np.array(AVD_MEANS["angry"]) for u in strong])
    assert np.median(np.abs(offsets)) == pytest.approx(0.6745 * 0.08, rel=0.25)  # of a normal distribution
    assert (np.abs(offsets) > 5 * 0.08).sum(axis=1).max() == 1  # moved rows differ in one dimension


def test_a_mixture_weighs_two_labels_and_lies_between_their_means() -> None:
    shards = plan_shards(SENTENCES, ["A test."], {"one": 1.5}, 0, 100, 0)
    mixed = [u for shard in shards for u in shard.utterances if len(u.weights) == 1]
    for u in mixed:
        total = sum(weight for _, weight in u.weights[0])
        assert 0.499 <= total <= 1.201 and len({name for name, _ in u.weights[0]}) == 2 and u.label is None
        mean = sum(weight * np.array(AVD_MEANS[name]) for name, weight in u.weights[0])
        assert np.abs(np.clip(mean, -1.0, 1.0) - np.array(u.keyframes[0])).max() < 6 * 0.08
    weights = mixed[0].label_weights(["m", "b"])
    assert weights.sum(axis=1) == pytest.approx(sum(weight for _, weight in mixed[0].weights[0]))


def test_a_turn_happens_at_once_and_between_words() -> None:
    turn = ((("sad", 0.5),), (("angry", 1.0),))
    points = ((-0.2, 0.0, 0.0), (0.6, 0.0, 0.0))
    utterance = Utterance("x", "x", "one", "train", 0, None, 0.0, points, turn, 0.5)
    tokens = ["<sil>", "m", "b", " ", "n", "d", "i", "f", "<sil>"]
    avd, weights = utterance.avd(tokens), utterance.label_weights(tokens)
    assert avd[:, 0].tolist() == [-0.2] * 3 + [0.6] * 6
    assert weights[:, LABEL_INDEX["sad"]].tolist() == [0.5] * 3 + [0.0] * 6
    assert weights[:, LABEL_INDEX["angry"]].tolist() == [0.0] * 3 + [1.0] * 6
    assert not utterance.avd(["<sil>", "m", "<sil>"])[:, 0].max() > -0.2  # one word cannot turn


def test_keyframes_are_joined_smoothly() -> None:
    utterance = Utterance("x", "x", "one", "train", 0, None, 0.0, ((-1.0, 0.0, 0.5), (1.0, 0.0, -0.5), (0.0, 0.0, 0.0)))
    avd = utterance.avd(["m"] * 101)
    assert avd[[0, 50, 100]] == pytest.approx(np.array(utterance.keyframes))
    assert np.abs(np.diff(avd[:, 0])).max() < 1.6 * 2.0 / 50.0  # a cubic step is at most 1.5 times as steep as a line


def test_label_weights_hold_the_intensity() -> None:
    weights = Utterance("x", "x", "one", "train", 0, "sad", 0.7, ((0.0, 0.0, 0.0),)).label_weights(["m"] * 4)
    assert weights.shape == (4, len(LABELS))
    assert np.all(weights[:, LABEL_INDEX["sad"]] == 0.7) and weights.sum() == pytest.approx(2.8)


def test_sentence_files_are_cleaned(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.\n\n# a note\nTwo.\nOne.\n", encoding="utf-8")
    assert read_sentences([tmp_path / "a.txt"]) == ["One.", "Two."]
    with pytest.raises(FileNotFoundError, match="no sentence file at"):
        read_sentences([tmp_path / "b.txt"])


# Checks


def speak_fake(n_tokens: int = 11) -> Rendition:
    return FakeTeacher().speak(TOKENS[:n_tokens], "one", identity(n_tokens), plain_reading(TOKENS[:n_tokens]), 0)


def test_a_sound_rendition_passes() -> None:
    assert rejection_reasons(speak_fake(), TOKENS) == []


@pytest.mark.parametrize("reason", ["durations", "not finite", "silent", "clipped", "tempo", "f0"])
def test_each_defect_is_named(reason: str) -> None:
    good = speak_fake()
    waveform, durations, f0 = good.waveform.copy(), good.durations.copy(), good.f0.copy()
    if reason == "durations":
        durations[3] += 1
    elif reason == "not finite":
        waveform[100] = np.nan
    elif reason == "silent":
        waveform *= 1e-4
    elif reason == "clipped":
        waveform[200] = 1.0
    elif reason == "tempo":
        durations = np.array([0] * 3 + [int(durations.sum())] + [0] * 7)
    else:
        f0[:] = 30.0
    assert rejection_reasons(Rendition(waveform, durations, f0), TOKENS) == [reason]


@pytest.mark.parametrize(
    ("heard", "counts"),
    [
        ("the cat sat on the mat good night", [0, 0, 0]),
        ("the cat sat on a mat good night", [0, 1, 0]),
        ("the cat sat good night", [0, 3, 0]),
        ("the cat sat on the mat again good knight", [0, 1, 1]),
        ("oh the cat sat on the mat good night", [1, 0, 0]),
        ("", [3, 3, 2]),
    ],
)
def test_errors_go_to_the_utterance_that_made_them(heard: str, counts: list[int]) -> None:
    references = [["the", "cat", "sat"], ["on", "the", "mat"], ["good", "night"]]
    assert attribute_errors(references, heard.split()) == counts


def test_words_heard_without_any_said_are_errors() -> None:
    assert attribute_errors([[]], ["noise"]) == [1]


@pytest.mark.parametrize(
    ("n_errors", "n_words", "is_acceptable"),
    [
        (0, 1, True),
        (1, 1, False),
        (1, 2, False),
        (1, 3, True),
        (1, 10, True),
        (3, 10, True),
        (4, 10, False),
        (2, 4, False),
    ],
)
def test_acceptance_of_word_errors(n_errors: int, n_words: int, is_acceptable: bool) -> None:
    assert WordErrors(n_errors, n_words).is_acceptable is is_acceptable


class ScriptedRecogniser:
    """Hears what it was told, window by window."""

    def __init__(self, transcripts: list[str]) -> None:
        self.transcripts = transcripts
        self.lengths: list[int] = []

    def transcribe(self, waveform: np.ndarray) -> str:
        self.lengths.append(len(waveform))
        return self.transcripts.pop(0)

    def normalise(self, text: str) -> str:
        return text.lower().replace(".", "")


def test_a_lost_utterance_is_heard_again_alone() -> None:
    recogniser = ScriptedRecogniser(["one two three seven eight nine", "four five six"])
    clips = [np.zeros(48_000, np.float32)] * 3
    errors = recognise_shard(recogniser, clips, ["One two three.", "Four five six.", "Seven eight nine."])
    assert [error.n_errors for error in errors] == [0, 0, 0]
    assert recogniser.lengths == [3 * 32_000 + 2 * 9_600, 32_000]


def test_windows_stay_within_28_seconds() -> None:
    recogniser = ScriptedRecogniser(["a b", "c"])
    recognise_shard(recogniser, [np.zeros(10 * 24_000, np.float32)] * 3, ["a", "b", "c"])
    assert max(recogniser.lengths) <= 28 * 16_000 and len(recogniser.lengths) == 2


# The corpus


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.suffix in (".flac", ".safetensors", ".jsonl")
    }


def make(job: CorpusJob, shards: list[Shard]) -> None:
    for shard in shards:
        render_shard(job, shard)
    merge_shards(job.folder, shards)


def test_corpus_fits_the_contract(job: CorpusJob) -> None:
    shards = small_plan()
    make(job, shards)
    rows = read_manifest(job.folder / "manifest.jsonl")
    assert len(rows) == sum(len(shard.utterances) for shard in shards)
    assert {row.voice for row in rows} == {"one", "two"}
    row = rows[0]
    waveform = load_audio(job.folder / row.audio)
    assert len(waveform) == row.n_frames * SPEC.hop_length == sum(row.durations) * SPEC.hop_length
    features = load_file(job.folder / row.features)
    mel, f0, energy, avd = (features[f"{row.id}.{name}"] for name in ("mel", "f0", "energy", "avd"))
    assert (mel.dtype, f0.dtype, energy.dtype, avd.dtype) == (
        torch.float16,
        torch.float32,
        torch.float16,
        torch.float16,
    )
    assert mel.shape == (row.n_frames, SPEC.n_mels) and f0.shape == energy.shape == (row.n_frames,)
    assert avd.shape == (len(row.phonemes), 3)
    expected = LogMel(SPEC)(torch.from_numpy(waveform)[None])[0, : row.n_frames]
    assert torch.allclose(mel.float(), expected, atol=0.01)  # float16 near 10
    assert row.arousal == pytest.approx(float(avd[:, 0].float().mean()), abs=2e-3)


def test_two_runs_are_identical(job: CorpusJob, tmp_path: Path) -> None:
    make(job, small_plan())
    again = CorpusJob(tmp_path / "again", job.teachers, job.phonemizer, check_words=False)
    make(again, small_plan())
    assert snapshot(job.folder) == snapshot(again.folder)


def test_a_stopped_run_continues_and_gives_the_same_corpus(
    job: CorpusJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = small_plan()
    make(job, shards)
    stopped = CorpusJob(tmp_path / "stopped", job.teachers, job.phonemizer, check_words=False)
    render_shard(stopped, shards[0])
    with monkeypatch.context() as patch:  # the second shard dies after audio and features, before its record
        patch.setattr(corpus, "write_atomically", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            render_shard(stopped, shards[1])
    before = FakeTeacher.n_spoken
    make(stopped, shards)
    assert FakeTeacher.n_spoken - before == sum(len(shard.utterances) for shard in shards[1:])
    assert snapshot(stopped.folder) == snapshot(job.folder)


def test_a_shard_of_another_plan_is_not_mixed_in(job: CorpusJob) -> None:
    render_shard(job, small_plan()[0])
    with pytest.raises(ValueError, match="made from other sentences, voices or seed"):
        render_shard(job, small_plan(seed=1)[0])


def test_rejected_utterances_are_counted_and_leave_nothing(job: CorpusJob, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = small_plan()[0]
    victims = iter([["clipped"], [], ["tempo", "f0"]])
    monkeypatch.setattr(corpus, "rejection_reasons", lambda *_: next(victims, []))
    render_shard(job, shard)
    report = merge_shards(job.folder, [shard])
    assert report["rejected"] == {"clipped": 1, "tempo": 1}
    assert report["utterances"] == report["planned"] - 2 == len(list((job.folder / "audio").rglob("*.flac")))
    assert json.loads((job.folder / "report.json").read_text(encoding="utf-8")) == report


def test_config_gives_hours_to_voices_that_its_teachers_have() -> None:
    folder = Path(__file__).parent.parent
    config = yaml.safe_load((folder / "conf" / "simulate_corpus.yaml").read_text(encoding="utf-8"))
    known = voice_teachers(tuple(config["teachers"]))
    assert set(config["voices"]) <= set(config["hours"]) <= set(known)
    assert config["shard_size"] > 0 and config["processes"] > 0
    assert all((folder / path).is_file() for path in config["sentences"] + config["test_sentences"])


# hibari: what needs no network weights


def test_hibari_spelling_maps_every_id_to_its_token() -> None:
    from emotts.simulation.hibari import teacher_ids

    vocabulary = {c: i for i, c in enumerate("\0hələˈOʤʤɜɹWIY, .ðɛdntʧ", start=0)}
    tokens = ["<sil>", "h", "ə", "l", "ˈoʊ", ",", "d͡ʒ", "ˈɚ", "ɚ", ".", "<sil>"]
    ids, owners = teacher_ids(tokens, vocabulary)
    spelled = ["\0", "h", "ə", "l", "ˈ", "O", ",", " ", "ʤ", "ˈ", "ɜ", "ɹ", "ə", "ɹ", "."]
    assert ids[1:-1] == [vocabulary[c] for c in spelled[1:]] and ids[0] == ids[-1] == 0
    assert owners.tolist() == [0, 1, 2, 3, 4, 4, 5, 5, 6, 7, 7, 7, 8, 8, 9, 10]
    with pytest.raises(ValueError, match="cannot be spoken by hibari"):
        teacher_ids(["<sil>", "ʁ", "<sil>"], vocabulary)


def test_whole_units_keep_the_total() -> None:
    from emotts.simulation.delivery import whole_units

    durations = np.random.default_rng(0).uniform(1.0, 4.0, 300)
    units = whole_units(durations)
    assert units.min() >= 1 and abs(units.sum() - durations.sum()) <= 1.0
    assert np.array_equal(whole_units(np.array([14.0, 2.0, 1.0])), [14, 2, 1])


def test_voicing_edges_lose_their_slide_to_zero() -> None:
    from emotts.simulation.hibari import clean_voicing_edges

    f0 = np.array([0.0, 1.0, 50.0, 150.0, 210.0, 220.0, 215.0, 120.0, 3.0, 0.0])
    assert clean_voicing_edges(f0).tolist() == [0.0, 0.0, 0.0, 210.0, 210.0, 220.0, 215.0, 215.0, 0.0, 0.0]


def test_token_boundaries_move_but_the_ends_stay() -> None:
    from emotts.simulation.hibari import BOUNDARY_LEAD, UNIT_LENGTH, token_boundaries

    boundaries = token_boundaries(np.array([1.0, 1.0, 3.0, 2.0]))
    assert boundaries[0] == 0.0 and boundaries[-1] == 7 * UNIT_LENGTH
    assert boundaries[2:-1] == pytest.approx(np.array([2, 5]) * UNIT_LENGTH - BOUNDARY_LEAD)
    assert np.all(np.diff(boundaries) >= 0)  # the first boundary would be negative


def test_only_audible_voicing_counts() -> None:
    from emotts.simulation.hibari import is_audibly_voiced

    low = np.where(np.arange(601) < 75, 3.0, -6.0)  # power below 1.5 kHz
    high, silent = np.where(np.arange(601) > 150, 3.0, -6.0), np.full(601, -12.0)
    harmonic = np.stack([low, low, silent, silent, silent - 2], axis=1).astype(np.float32)
    free = np.stack([silent, silent, high, low, silent - 2], axis=1).astype(np.float32)
    noise = np.full((601, 5), -12.0, np.float32)
    f0 = np.array([150.0, 0.0, 150.0, 80.0, 150.0])  # vowel, no F0, fricative, creak, silence
    assert is_audibly_voiced([harmonic, noise, noise, free, noise], f0).tolist() == [True, False, False, True, False]


def test_frequency_warp_moves_a_peak_by_the_factor() -> None:
    from emotts.simulation.hibari import warp_frequency

    peak = np.exp(-0.5 * ((np.arange(601) - 100.0) / 10.0) ** 2).astype(np.float32)[:, None].repeat(3, axis=1)
    warped = warp_frequency([peak] * 5, np.array([0.9, 1.0, 1.1]))
    for envelope in warped:
        assert np.abs(envelope.argmax(axis=0) - np.array([90, 100, 110])).max() <= 1


def test_hibari_speaks_exactly_what_it_says() -> None:
    pytest.importorskip("hibari")
    pytest.importorskip("onnx")
    from emotts.simulation.hibari import HibariTeacher

    teacher = HibariTeacher()
    controls = controls_for(np.tile(AVD_MEANS["happy"], (len(TOKENS), 1)))
    reading = sample_reading(TOKENS, np.random.default_rng(0))
    one, same = (teacher.speak(TOKENS, "max", controls, reading, seed=3) for _ in range(2))
    assert np.array_equal(one.waveform, same.waveform)
    assert len(one.durations) == len(TOKENS)
    assert len(one.waveform) == one.durations.sum() * SPEC.hop_length == len(one.f0) * SPEC.hop_length
    assert rejection_reasons(one, TOKENS) == []
    with pytest.raises(ValueError, match="voice must be one of heart"):
        teacher.speak(TOKENS, "nobody", controls, reading, seed=3)
