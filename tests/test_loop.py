"""The closed loop on a model whose slope and bias are known: what it corrects, what it admits, what it must not do."""

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from echo import EchoJudge, EchoTTS, speaker_of

from emotts.cli import check as command
from emotts.emotion.labels import AVD_MEANS, LABELS
from emotts.loop import Outcome, asked_place, check, hold_voice, soften_request, steer, voice_similarity

TEXT = "It rained all night."
STEERING, REPORTING = EchoJudge("recognizer"), EchoJudge("features")
CROOKED = [[0.55, 0.1, 0.15], [0.0, 0.5, -0.1], [0.1, 0.0, 0.6]]  # asks of 1 are heard as half, and leak


def test_what_is_asked_includes_the_usual_place_of_a_label() -> None:
    request = EchoTTS().request
    assert asked_place(request(emotion="angry:0.5").emotion) == pytest.approx(
        tuple(0.5 * m for m in AVD_MEANS["angry"])
    )
    assert asked_place(request(emotion="angry", arousal=-0.2).emotion)[0] == pytest.approx(-0.2)
    assert asked_place(request(valence=0.5).emotion) == (None, pytest.approx(0.5), None)


def test_check_tells_asked_and_heard() -> None:
    tts = EchoTTS(bias=(0.1, 0.0, 0.0))
    outcome = check(tts, TEXT, tts.request(emotion="happy", seed=1), REPORTING)
    assert outcome.judge == "features" and outcome.is_met is None
    assert np.subtract(outcome.heard.avd, outcome.asked) == pytest.approx([0.1, 0.0, 0.0], abs=0.02)
    assert np.array_equal(outcome.result.waveform, tts.synthesize(TEXT, emotion="happy", seed=1).waveform)


def test_steering_more_than_halves_the_error_as_the_other_judge_hears_it() -> None:
    tts = EchoTTS(CROOKED, bias=(0.05, -0.1, 0.1))
    before, after, met = [], [], []
    for i, label in enumerate(LABELS[1:]):
        request = tts.request(emotion=f"{label}:0.6", seed=i)
        outcome = steer(tts, TEXT, request, STEERING, REPORTING, tolerance=0.1)
        open_loop = check(tts, TEXT, request, REPORTING)
        before.append(np.abs(np.subtract(open_loop.heard.avd, open_loop.asked)).mean())
        after.append(np.abs(np.subtract(outcome.heard.avd, outcome.asked)).mean())
        assert len(outcome.tries) <= 4 and outcome.request.emotion.label == label
        met.append(outcome.is_met)
    assert np.mean(after) < 0.5 * np.mean(before)
    assert sum(map(bool, met)) >= 8


def test_what_was_not_asked_stays_open() -> None:
    tts = EchoTTS(CROOKED)
    outcome = steer(tts, TEXT, tts.request(arousal=0.4, seed=1), STEERING, REPORTING, tolerance=0.05)
    assert outcome.is_met and outcome.request.emotion.dimensions.keys() == {"arousal"}
    assert outcome.heard.avd[0] == pytest.approx(0.4, abs=0.07)


def test_a_first_try_that_fits_is_the_open_loop() -> None:
    tts = EchoTTS()
    outcome = steer(tts, TEXT, tts.request(emotion="sad", seed=3), STEERING, REPORTING)
    assert outcome.is_met and len(outcome.tries) == 1
    assert np.array_equal(outcome.result.waveform, tts.synthesize(TEXT, emotion="sad", seed=3).waveform)


def test_what_cannot_be_reached_is_admitted_and_the_nearest_try_returned() -> None:
    tts = EchoTTS(0.2 * np.eye(3))  # at most 0.2 can be heard
    outcome = steer(tts, TEXT, tts.request(arousal=0.9, valence=0.0, dominance=0.0, seed=1), STEERING, REPORTING)
    assert outcome.is_met is False and len(outcome.tries) == 4
    assert outcome.request.emotion.arousal == 1.0  # clipped to what can be asked
    best = min(outcome.tries, key=lambda t: t.distance)
    assert best.result is outcome.result
    assert len({t.request.seed for t in outcome.tries}) > 1  # standing still, it tried another reading
    assert "NOT met" in command.check_rows(outcome, argparse.Namespace(tolerance=0.15))["tolerance"]


def test_the_same_arguments_give_the_same_speech() -> None:
    first, again = (
        steer(EchoTTS(CROOKED), TEXT, EchoTTS().request(emotion="fearful", seed=9), STEERING, REPORTING, 0.02)
        for _ in range(2)
    )
    assert np.array_equal(first.result.waveform, again.result.waveform)
    assert [t.request for t in first.tries] == [t.request for t in again.tries]


def test_the_judge_that_reports_never_steers() -> None:
    tts, reporting = EchoTTS(CROOKED), EchoJudge("features", slope=-1.0)  # hears the opposite
    request = tts.request(emotion="excited:0.6", seed=2)
    misled = steer(tts, TEXT, request, STEERING, reporting, 0.05)
    plain = steer(tts, TEXT, request, STEERING, REPORTING, 0.05)
    assert reporting.n_heard == 1
    assert [t.request for t in misled.tries] == [t.request for t in plain.tries]
    with pytest.raises(ValueError, match="must not be the one that reports"):
        steer(tts, TEXT, request, STEERING, STEERING)


@pytest.mark.parametrize("options", [{"tolerance": 0.0}, {"tolerance": float("nan")}, {"max_tries": 0}])
def test_numbers_out_of_range_are_refused(options: dict[str, Any]) -> None:
    tts = EchoTTS()
    with pytest.raises(ValueError, match="tolerance must lie in"):
        steer(tts, TEXT, tts.request(seed=1), STEERING, REPORTING, **options)


def similarity_of(tts: EchoTTS, request: Any) -> Any:
    return voice_similarity(tts, TEXT, request, speaker_of)


def test_the_voice_is_held_by_guidance_first_and_emotion_second() -> None:
    tts = EchoTTS()
    request = tts.request(emotion="excited:1.2", guidance=1.8, seed=1)
    measure = similarity_of(tts, request)
    loud = measure(tts.synthesize(TEXT, emotion="excited:1.2", guidance=1.8, seed=1))
    plain = measure(tts.synthesize(TEXT, emotion="excited:1.2", seed=1))
    assert loud < plain < 1.0
    held, reached = hold_voice(tts, TEXT, request, measure, (loud + plain) / 2)
    assert 1.0 <= held.guidance < 1.8 and held.emotion == request.emotion and reached >= (loud + plain) / 2
    held, reached = hold_voice(tts, TEXT, request, measure, (plain + 1.0) / 2)
    assert held.guidance == 1.0 and held.emotion.intensity < 1.2 and reached >= (plain + 1.0) / 2
    asked_for_nothing, reached = hold_voice(tts, TEXT, tts.request(emotion="neutral", seed=1), measure, 0.99)
    assert asked_for_nothing == tts.request(emotion="neutral", seed=1) and reached == pytest.approx(1.0)


def test_a_voice_that_cannot_be_held_ends_and_gives_the_nearest() -> None:
    tts = EchoTTS()
    request = tts.request(arousal=1.0, seed=1)
    held, reached = hold_voice(tts, TEXT, request, lambda result: 0.1, 0.8)
    assert reached == 0.1 and held == request


def test_softening_ends_at_neutral() -> None:
    request = EchoTTS().request(emotion="angry", arousal=0.8, guidance=1.5, seed=1)
    for _ in range(40):
        request = soften_request(request)
    assert request.guidance == 1.0
    assert request.emotion.intensity == pytest.approx(0.0, abs=1e-3)
    assert request.emotion.arousal == pytest.approx(0.0, abs=1e-3)


def test_steering_prefers_tries_that_hold_the_voice() -> None:
    tts = EchoTTS(0.5 * np.eye(3))
    request = tts.request(arousal=0.45, seed=1)
    measure = similarity_of(tts, request)
    free = steer(tts, TEXT, request, STEERING, REPORTING, 0.05, 4, measure)
    limit = 0.5 * (float(free.speaker_sim or 0.0) + float(free.tries[0].speaker_sim or 0.0))
    assert free.is_met and free.speaker_sim < limit
    bound = steer(tts, TEXT, request, STEERING, REPORTING, 0.05, 4, measure, limit)
    assert bound.is_voice_held and bound.speaker_sim >= limit and not bound.is_met
    hopeless = steer(tts, TEXT, request, STEERING, REPORTING, 0.05, 4, measure, 1.1)
    assert hopeless.is_voice_held is False


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_check_options(parser)
    return parser.parse_args(list(words))


def test_the_options_say_when_the_loop_is_wanted() -> None:
    assert not command.wants_check(options())
    for words in (["--check"], ["--tolerance", "0.2"], ["--min-speaker-sim", "0.8"]):
        assert command.wants_check(options(*words))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tolerance", "nan"], "--tolerance must be from"),
        (["--tolerance", "0"], "--tolerance must be from"),
        (["--min-speaker-sim", "2"], "--min-speaker-sim must be from"),
        (["--tolerance", "0.1", "--max-tries", "0"], "--max-tries must be from"),
        (["--max-tries", "3"], "--max-tries needs --tolerance"),
    ],
)
def test_options_that_make_no_sense_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        command.wants_check(options(*words))


def run_command(monkeypatch: pytest.MonkeyPatch, tts: EchoTTS, request: Any, *words: str) -> tuple[Outcome, dict]:
    from emotts import judges
    from emotts.metrics import speaker

    monkeypatch.setattr(judges, "load_judge", EchoJudge)
    monkeypatch.setattr(speaker, "load_speaker_encoder", lambda: argparse.Namespace(embed=speaker_of))
    arguments = options(*words)
    outcome = command.speak_checked(tts, TEXT, request, arguments)
    return outcome, {**command.check_rows(outcome, arguments), **command.check_facts(outcome)}


def test_the_command_tells_what_was_heard_and_what_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    tts = EchoTTS(CROOKED)
    request = tts.request(emotion="happy:0.6", seed=4)
    outcome, told = run_command(monkeypatch, tts, request, "--check")
    assert outcome.tries == () and "tolerance" not in told and "emotion used" not in told
    outcome, told = run_command(monkeypatch, tts, request, "--tolerance", "0.1", "--max-tries", "5")
    assert "met" in told["tolerance"] and told["check"]["judge"] == "features"
    assert told["asked A V D"] == "+0.31 +0.49 +0.28" and len(told["check"]["tries"]) == len(outcome.tries)
    assert "features, which did not steer" in told["heard A V D"]


def test_the_command_holds_the_voice_and_keeps_the_users_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    tts = EchoTTS()
    request = tts.request(emotion="excited:1.2", guidance=1.8, seed=1)
    measure = similarity_of(tts, request)
    limit = (measure(tts.synthesize(TEXT, emotion="excited:1.2", seed=1)) + 1.0) / 2
    outcome, told = run_command(monkeypatch, tts, request, "--min-speaker-sim", f"{limit:.4f}")
    assert outcome.is_voice_held and "held" in told["speaker similarity"] and "guidance 1," in told["emotion used"]
    assert outcome.asked == asked_place(request.emotion)  # what the user asked, not what was left of it
    both, _ = run_command(monkeypatch, tts, request, "--min-speaker-sim", f"{limit:.4f}", "--tolerance", "0.1")
    assert both.asked == pytest.approx(outcome.asked) and both.is_voice_held
    assert replace(both.request, emotion=request.emotion).guidance == 1.0
