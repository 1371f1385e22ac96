"""Conversion with the models that come with emotts: what is kept is kept, what is asked moves, and bad recordings are refused."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from emotts.audio import LogMel, extract_f0, load_audio, save_audio
from emotts.conversion.result import Conversion
from emotts.conversion.windows import STREAM
from emotts.data.nonspeech import KINDS, make_nonspeech
from emotts.pipeline import EmoTTS
from emotts.speaker.profile import VoiceProfile, load_profile
from emotts.vocoder.editing import EnvelopeStream, take_apart

TEXT = "The old clock on the wall has stopped, and nobody knows why."
RATE = 24_000


@pytest.fixture(scope="module")
def tts() -> EmoTTS:
    return EmoTTS.from_pretrained()


@pytest.fixture(scope="module")
def spoken(tts: EmoTTS, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A neutral recording of 4 s."""
    path = tmp_path_factory.mktemp("spoken") / "spoken.wav"
    save_audio(path, tts.synthesize(TEXT, voice="heart", seed=3).waveform)
    return path


@pytest.fixture(scope="module")
def unchanged(tts: EmoTTS, spoken: Path) -> Conversion:
    return tts.convert(spoken, source_emotion="neutral", seed=1)


def log_mel(waveform: np.ndarray) -> np.ndarray:
    return LogMel()(torch.from_numpy(waveform)[None])[0].numpy()


def distance_db(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean difference of two log mels over the frames where the first one is loud, in dB."""
    a, b = log_mel(one), log_mel(other)
    return float(np.abs(a - b)[a.max(axis=1) > -1.0].mean() * 20.0 / np.log(10.0))


def mean_log_f0(waveform: np.ndarray) -> float:
    f0 = extract_f0(waveform)
    return float(np.log2(f0[f0 > 0]).mean())


def test_nothing_asked_is_copy_synthesis(tts: EmoTTS, spoken: Path, unchanged: Conversion) -> None:
    recording = load_audio(spoken)
    assert len(unchanged.waveform) == len(recording) and unchanged.sample_rate == RATE
    assert unchanged.voice == "source" and unchanged.emotion == unchanged.source_emotion
    with torch.inference_mode():
        mel = LogMel()(torch.from_numpy(recording)[None])[:, : len(recording) // 256]
        f0 = torch.from_numpy(extract_f0(recording)[: mel.shape[1]])[None].float()
        stream = EnvelopeStream(tts.vocoder, torch.Generator().manual_seed(1))
        copied = torch.cat([stream.push(take_apart(tts.vocoder, mel, f0), f0), stream.finish()]).numpy()
    spoken_part = np.zeros(len(recording), bool)
    for span in unchanged.spans:
        if span.kind == "speech":
            spoken_part[int((span.start_s + 0.05) * RATE) : int((span.end_s - 0.05) * RATE)] = True
    spoken_part = spoken_part[: len(copied)]
    assert spoken_part.mean() > 0.5
    # the F0 tracker sees other ends, so that single frames may differ; the samples are otherwise the same
    same = np.abs(unchanged.waveform[: len(copied)] - copied)[spoken_part]
    assert np.mean(same < 1e-3) > 0.95


def test_strength_0_is_the_same_as_nothing_asked_and_more_moves_further(
    tts: EmoTTS, spoken: Path, unchanged: Conversion
) -> None:
    def move(strength: float) -> np.ndarray:
        return tts.convert(spoken, emotion="angry", source_emotion="neutral", strength=strength, seed=1).waveform

    assert np.array_equal(move(0.0), unchanged.waveform)
    steps = [distance_db(unchanged.waveform, move(strength)) for strength in (0.02, 0.25, 0.5, 1.0, 1.5)]
    assert steps[0] < 1.5
    assert steps == sorted(steps)
    assert steps[3] > 2.0


def test_the_voice_rises_and_gets_louder_when_excited_and_falls_when_sad(
    tts: EmoTTS, spoken: Path, unchanged: Conversion
) -> None:
    excited, sad = (
        tts.convert(spoken, emotion=x, source_emotion="neutral", seed=1).waveform for x in ("excited", "sad")
    )
    register = mean_log_f0(unchanged.waveform)
    assert mean_log_f0(excited) - register > 2.0 / 12.0
    assert mean_log_f0(sad) - register < -1.0 / 12.0
    assert np.abs(excited).mean() > 1.2 * np.abs(sad).mean()


def test_one_dimension_moves_alone(tts: EmoTTS, spoken: Path, unchanged: Conversion) -> None:
    high = tts.convert(spoken, arousal=0.8, source_emotion="neutral", seed=1)
    low = tts.convert(spoken, arousal=-0.8, source_emotion="neutral", seed=1)
    assert (high.emotion.arousal, high.emotion.valence, high.emotion.dominance) == (0.8, 0.0, 0.0)
    assert mean_log_f0(low.waveform) < mean_log_f0(unchanged.waveform) < mean_log_f0(high.waveform)


def test_saying_that_the_source_is_angry_already_moves_less(tts: EmoTTS, spoken: Path, unchanged: Conversion) -> None:
    from_neutral, from_angry = (
        distance_db(unchanged.waveform, tts.convert(spoken, emotion="angry", source_emotion=felt, seed=1).waveform)
        for felt in ("neutral", "angry:0.8")
    )
    assert from_angry < 0.5 * from_neutral


def test_not_angry_alone_calms_an_angry_recording(tts: EmoTTS, spoken: Path, unchanged: Conversion) -> None:
    calmed = tts.convert(spoken, emotion="-angry", source_emotion="angry", seed=1)
    assert calmed.emotion.label == "neutral" and calmed.emotion.away == (("angry", 1.0),)
    assert mean_log_f0(calmed.waveform) < mean_log_f0(unchanged.waveform)


def test_another_voice_speaks_in_its_own_register(tts: EmoTTS, spoken: Path) -> None:
    converted = tts.convert(spoken, voice="max", source_emotion="neutral", seed=1)
    own = float(tts.acoustic.voices.mean_log_f0[tts.acoustic.voices.index("max")])
    assert converted.voice == "max"
    assert mean_log_f0(converted.waveform) == pytest.approx(own, abs=2.0 / 12.0)
    assert len(converted.waveform) == len(load_audio(spoken))


def test_durations_move_with_the_feeling_only_if_asked(tts: EmoTTS, spoken: Path, unchanged: Conversion) -> None:
    n = len(unchanged.waveform)
    sad = tts.convert(spoken, emotion="sad", source_emotion="neutral", retime=True, seed=1)
    excited = tts.convert(spoken, emotion="excited", source_emotion="neutral", retime=True, seed=1)
    fast = tts.convert(spoken, source_emotion="neutral", retime=True, speed=1.5, seed=1)
    assert len(sad.waveform) > 1.05 * n > n > 1.05 * len(excited.waveform)
    assert n / len(fast.waveform) == pytest.approx(1.5, rel=0.12)  # pauses pass as they are
    for result in (unchanged, sad, excited):
        assert sum(result.durations) == len(result.f0) == len(result.mel)
        assert abs(sum(result.durations) * 256 - len(result.waveform)) < 256


def test_the_contour_can_be_the_models_own(tts: EmoTTS, spoken: Path, unchanged: Conversion) -> None:
    kept = tts.convert(spoken, emotion="happy", source_emotion="neutral", seed=1)
    new = tts.convert(spoken, emotion="happy", source_emotion="neutral", keep_intonation=0.0, seed=1)
    voiced = (unchanged.f0 > 0) & (kept.f0 > 0) & (new.f0 > 0)

    def likeness(result: Conversion) -> float:
        return float(np.corrcoef(np.log2(unchanged.f0[voiced]), np.log2(result.f0[voiced]))[0, 1])

    assert likeness(kept) > likeness(new) + 0.05


def test_pitch_adds_semitones(tts: EmoTTS, spoken: Path, unchanged: Conversion) -> None:
    higher = tts.convert(spoken, source_emotion="neutral", pitch=3.0, seed=1)
    voiced = unchanged.f0 > 0
    assert np.median(12.0 * np.log2(higher.f0[voiced] / unchanged.f0[voiced])) == pytest.approx(3.0, abs=0.05)


def test_the_same_seed_gives_the_same_samples(tts: EmoTTS, spoken: Path) -> None:
    first, again, other = (
        tts.convert(spoken, emotion="sad", source_emotion="neutral", seed=s).waveform for s in (1, 1, 2)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize("kind", ["music", "noise"])
def test_what_is_no_speech_passes_sample_by_sample_and_is_reported(tts: EmoTTS, spoken: Path, kind: str) -> None:
    recording = load_audio(spoken)
    sound = make_nonspeech(kind, 2.0, np.random.default_rng(4))
    both = np.concatenate([recording, 0.5 * sound])
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        result = tts.convert(both, RATE, emotion="angry", source_emotion="neutral", seed=1)
    inner = slice(len(recording) + RATE // 4, len(both) - RATE // 4)
    passed = np.abs(result.waveform[inner] - both[inner]) < 1e-3
    assert passed.mean() > 0.8
    others = [span for span in result.spans if span.kind == "other"]
    assert sum(span.end_s - span.start_s for span in others) > 1.2
    assert any("no speech" in warning for warning in result.warnings)


def test_long_recordings_come_in_pieces_that_join_to_the_whole(tts: EmoTTS, spoken: Path, tmp_path: Path) -> None:
    recording = load_audio(spoken)
    long = np.tile(recording, 1 + int(25 * RATE / len(recording)))
    soundfile.write(tmp_path / "long.wav", long, RATE)
    request = tts.conversion(emotion="sad", source_emotion="neutral", seed=1)
    pieces = list(tts.convert_pieces(tmp_path / "long.wav", request))
    assert len(pieces) >= 3 and max(len(piece.waveform) for piece in pieces) < 12 * RATE
    joined = np.concatenate([piece.waveform for piece in pieces])
    assert len(joined) == len(long)
    whole = tts.converter.convert(tmp_path / "long.wav", request)
    assert np.array_equal(joined, whole.waveform)
    repeated = joined[len(recording) : 2 * len(recording)]
    assert distance_db(joined[: len(recording)], repeated) < 3.0  # the same words, wherever a piece ends


def test_a_stream_says_what_a_file_does(tts: EmoTTS, spoken: Path) -> None:
    recording = load_audio(spoken)
    request = tts.conversion(emotion="angry", source_emotion="neutral", seed=1)
    source = tts.converter.know(recording, request)
    offline = tts.converter.convert(recording, request, RATE).waveform

    def streamed(size: int) -> np.ndarray:
        chunks = (recording[i : i + size] for i in range(0, len(recording), size))
        return np.concatenate(list(tts.converter.stream(chunks, RATE, request, source)))

    one, other = streamed(2_400), streamed(777)
    assert np.array_equal(one, other)
    assert len(one) == len(offline)
    assert distance_db(offline, one) < 3.0
    before, after = (extract_f0(waveform) for waveform in (offline, one))
    voiced = (before > 0) & (after > 0)
    assert np.median(np.abs(12.0 * np.log2(after[voiced] / before[voiced]))) < 1.0


def test_a_stream_gives_samples_within_its_latency(tts: EmoTTS, spoken: Path) -> None:
    recording = load_audio(spoken)
    request = tts.conversion(emotion="calm", source_emotion="neutral", seed=1)
    source = tts.converter.know(recording, request)
    given = 0

    def chunks() -> "object":
        nonlocal given
        for start in range(0, len(recording), 240):
            given = start + 240
            yield recording[start : start + 240]

    came, worst = 0, 0
    for part in tts.converter.stream(chunks(), RATE, request, source):
        worst = max(worst, given - came)  # the oldest sample of this part waited so long
        came += len(part)
    assert worst / RATE <= STREAM.latency_s + 0.02 <= 0.42


def test_streams_do_not_retime(tts: EmoTTS) -> None:
    with pytest.raises(ValueError, match="keeps its timing"):
        list(tts.convert_stream(iter([np.zeros(100, np.float32)]), RATE, retime=True))


@pytest.fixture(scope="module")
def profile(tts: EmoTTS, tmp_path_factory: pytest.TempPathFactory) -> VoiceProfile:
    path = tmp_path_factory.mktemp("voice") / "otto.wav"
    save_audio(path, tts.synthesize(TEXT + " He asked at the station.", voice="otto", seed=5).waveform)
    return tts.voice_of([path])


def test_a_voice_known_from_a_recording_speaks_and_converts(tts: EmoTTS, spoken: Path, profile: VoiceProfile) -> None:
    own = float(tts.acoustic.voices.mean_log_f0[tts.acoustic.voices.index("otto")])
    assert profile.mean_log_f0 == pytest.approx(own, abs=2.5 / 12.0)
    spoken_by = tts.synthesize("Good evening, everybody.", voice=profile, seed=1)
    assert spoken_by.voice == "otto" and mean_log_f0(spoken_by.waveform) == pytest.approx(own, abs=3.0 / 12.0)
    converted = tts.convert(spoken, voice=profile, source_emotion="neutral", seed=1)
    assert mean_log_f0(converted.waveform) == pytest.approx(own, abs=3.0 / 12.0)
    named = tts.synthesize("Good evening, everybody.", voice="heart", seed=1)
    like = tts.synthesize("Good evening, everybody.", voice="otto", seed=1)
    means = [log_mel(x.waveform).mean(axis=0) for x in (spoken_by, named, like)]
    means = [mean - mean.mean() for mean in means]  # their colour, not their level
    assert np.abs(means[0] - means[2]).mean() < np.abs(means[0] - means[1]).mean()


def test_a_kept_voice_comes_back_as_it_was(profile: VoiceProfile, tmp_path: Path) -> None:
    profile.save(tmp_path / "otto.safetensors")
    back = load_profile(tmp_path / "otto.safetensors")
    assert back.name == profile.name and back.mean_log_f0 == profile.mean_log_f0 and back.facts == profile.facts
    assert torch.equal(back.embedding, profile.embedding) and torch.equal(back.residual, profile.residual)


@pytest.mark.parametrize("damage", ["empty", "cut", "other", "nan", "huge"])
def test_a_damaged_voice_is_refused(profile: VoiceProfile, tmp_path: Path, damage: str) -> None:
    from dataclasses import replace

    from safetensors.torch import save_file

    path = tmp_path / "voice.safetensors"
    profile.save(path)
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "other":
        save_file({"x": torch.zeros(3)}, path)
    elif damage == "nan":
        replace(profile, embedding=torch.full_like(profile.embedding, float("nan"))).save(path)
    else:
        path.write_bytes(b"0" * 5_000_000)
    with pytest.raises(ValueError, match="not a kept voice"):
        load_profile(path)
    with pytest.raises(ValueError, match=r"ends in \.safetensors"):
        profile.save(tmp_path / "voice.pt")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(RATE, np.float32), "silent"),
        (np.zeros(0, np.float32), "empty|samples must"),
        (np.full(RATE, np.nan, np.float32), "not finite"),
        (0.1 * np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32), "no speech"),
        (make_nonspeech("tones", 3.0, np.random.default_rng(1)), "no speech"),
        (0.1 * np.ones(200, np.float32), "lasts|no speech|short"),
    ],
)
def test_recordings_in_which_nobody_speaks_are_refused(tts: EmoTTS, samples: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tts.convert(samples, RATE, emotion="happy", seed=1)


def test_options_that_make_no_sense_are_refused(tts: EmoTTS, spoken: Path, tmp_path: Path) -> None:
    for options, message in (
        ({"strength": 2.0}, "strength must be"),
        ({"keep_intonation": -0.1}, "keep_intonation must be"),
        ({"speed": 1.2}, "ask for retime"),
        ({"emotion": "hapy"}, "happy"),
        ({"arousal": 3.0}, "arousal"),
        ({"voice": "hart"}, "heart"),
        ({"seed": -1}, "seed must be"),
    ):
        with pytest.raises(ValueError, match=message):
            tts.conversion(**options)
    with pytest.raises(FileNotFoundError):
        tts.conversion(voice=tmp_path / "nobody.wav")
    with pytest.raises(FileNotFoundError):
        tts.convert(tmp_path / "nothing.wav")
    with pytest.raises(TypeError, match="no option"):
        tts.conversion(emotoin="happy")
    save_audio(tmp_path / "short.wav", load_audio(spoken)[: RATE // 2])
    with pytest.raises(ValueError, match="at least 1 s"):
        tts.conversion(voice=tmp_path / "short.wav")
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(ValueError, match="not audio"):
        tts.convert(tmp_path / "text.wav")


def test_two_people_at_once_are_reported(tts: EmoTTS, spoken: Path) -> None:
    one = load_audio(spoken)
    other = tts.synthesize("Please leave the window open, it is far too warm in here.", voice="joe", seed=2).waveform
    n = min(len(one), len(other))
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        result = tts.convert(one[:n] + other[:n], RATE, emotion="sad", source_emotion="neutral", seed=1)
    assert any("two people" in warning for warning in result.warnings)


@pytest.mark.parametrize("kind", KINDS)
def test_sounds_that_are_no_speech_are_made_to_measure(kind: str) -> None:
    first, again = (make_nonspeech(kind, 1.5, np.random.default_rng(2)) for _ in range(2))
    assert len(first) == 36_000 and np.array_equal(first, again)
    assert np.isfinite(first).all() and np.abs(first).max() == pytest.approx(0.5, abs=1e-6)
    with pytest.raises(ValueError, match="kind must be"):
        make_nonspeech("poetry", 1.0, np.random.default_rng(0))


def test_speech_is_found_wherever_it_begins(tts: EmoTTS, spoken: Path) -> None:
    late = np.concatenate([np.zeros(42 * RATE, np.float32), load_audio(spoken)])
    result = tts.convert(late, RATE, emotion="sad", source_emotion="neutral", seed=1)
    assert len(result.waveform) == len(late) and not result.waveform[: 40 * RATE].any()
    assert np.abs(result.waveform[43 * RATE :]).max() > 0.05
    speech = [span for span in result.spans if span.kind == "speech"]
    assert speech and speech[0].start_s > 41.5


def test_a_stream_lets_silence_pass_until_somebody_speaks(tts: EmoTTS, spoken: Path) -> None:
    recording = load_audio(spoken)
    late = np.concatenate([np.zeros(3 * RATE, np.float32), recording])
    chunks = [late[i : i + 2_400] for i in range(0, len(late), 2_400)]
    chunks.insert(5, np.zeros(0, np.float32))  # sources send empty buffers, too
    streamed = list(tts.convert_stream(iter(chunks), RATE, emotion="angry", source_emotion="neutral", seed=1))
    joined = np.concatenate(streamed)
    assert len(joined) == len(late)
    assert not joined[:RATE].any() and np.abs(joined[4 * RATE :]).max() > 0.05
    silent = list(tts.convert_stream(iter([np.zeros(RATE, np.float32)] * 3), RATE, emotion="angry", seed=1))
    assert not np.concatenate(silent).any()


def test_the_voice_and_its_model_belong_together(tts: EmoTTS, profile: VoiceProfile) -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="another model"):
        tts.conversion(voice=replace(profile, facts={**profile.facts, "model": "0123"}))


def test_what_models_spoke_needs_no_consent_and_samples_do(tts: EmoTTS, spoken: Path, tmp_path: Path) -> None:
    tts.synthesize("Hello there, this is a voice.", seed=1).save(tmp_path / "made.wav")
    request = tts.conversion(emotion="sad", source_emotion="neutral", seed=1)
    assert tts.converter.convert(tmp_path / "made.wav", request).provenance.consent is None
    assert tts.converter.convert(spoken, request).provenance.consent == "not stated"  # says nothing of itself
    assert tts.converter.convert(load_audio(spoken), request, RATE).provenance.consent == "not stated"
