"""The closed loop for conversions on a converter whose slope is known: what it corrects, what it softens, what a judge is told."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from echo import TONES_HZ, VOICE_TONES_HZ, EchoJudge, EchoTTS, speaker_of

from emotts.audio import SPEC
from emotts.conversion.request import ConversionRequest
from emotts.conversion.result import Conversion
from emotts.emotion.coordinates import coordinates_of_spec
from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABELS
from emotts.emotion.spec import EmotionSpec, parse_emotion
from emotts.loop.conversion import (
    OF_NOBODY,
    OF_SOURCE,
    OF_VOICE,
    check,
    check_steerable,
    hold_voice,
    learn,
    similarity_to,
    soften_request,
    steer,
)

STEERING, REPORTING = EchoJudge("recognizer"), EchoJudge("features")
SAD = parse_emotion("sad")
NOT_ANGRY = EmotionSpec(away=(("angry", 1.0),))
LENGTH = 24_064


def place_of(spec: EmotionSpec) -> np.ndarray:
    return coordinates_of_spec(spec)[len(LABELS) :]


def tones(place: np.ndarray, voice: str) -> np.ndarray:
    time = np.arange(LENGTH) / SPEC.sample_rate
    wave = 0.05 * np.sin(2 * np.pi * VOICE_TONES_HZ[voice] * time)
    for value, hz in zip(place, TONES_HZ, strict=True):
        wave += 0.02 * (value + 1.5) * np.sin(2 * np.pi * hz * time)
    return wave.astype(np.float32)


class EchoConverter:
    """Moves tones from the place felt towards the place asked, `slope` of the way that strength asks for."""

    def __init__(self, slope: float) -> None:
        self.slope, self.n_converted = slope, 0

    def convert(self, source: np.ndarray, request: ConversionRequest, sample_rate: int | None = None) -> Conversion:
        self.n_converted += 1
        assert sample_rate == SPEC.sample_rate
        felt = request.source_emotion or EmotionSpec()
        wanted = request.emotion or replace(felt, **dict(request.moved))
        place = place_of(felt) + request.strength * self.slope * (place_of(wanted) - place_of(felt))
        wave = tones(place, "ada" if request.voice == "source" else request.voice)
        return Conversion(wave, SPEC.sample_rate, "", request.voice, wanted, request.seed, 0.1, [], [], wave, wave,
                          source_emotion=felt, strength=request.strength)  # fmt: skip


def model(slope: float = 0.6) -> Any:
    tts = EchoTTS()
    tts.converter = EchoConverter(slope)  # type: ignore[misc, assignment]
    return tts


def asked(
    emotion: str | EmotionSpec | None, felt: EmotionSpec | None = None, moved: Any = (), **options: Any
) -> ConversionRequest:
    spec = None if emotion is None else parse_emotion(emotion)
    settings = {"voice": "source", "strength": 1.0, "seed": 1, **options}
    return ConversionRequest(
        spec, moved, profile=None, source_emotion=felt, asked=spec, retime=False, keep_intonation=1.0, speed=1.0,
        pitch=0.0, **settings,
    )  # fmt: skip


SOURCE = tones(np.zeros(3), "ada")


def test_what_should_be_heard_lies_on_the_way_as_far_as_the_strength_goes() -> None:
    angry, sad = np.array(AVD_MEANS["angry"]), np.array(AVD_MEANS["sad"])
    for strength in (0.0, 0.5, 1.0):
        known = learn(model(), SOURCE, asked("angry", SAD, strength=strength))
        assert known.asked == pytest.approx(tuple(sad + strength * (angry - sad)), abs=1e-6)
    assert learn(model(), SOURCE, asked(None, moved=(("valence", 0.5),))).asked == (None, 0.5, None)
    for request in (asked(None), asked(NOT_ANGRY)):
        assert learn(model(), SOURCE, request).asked == (None, None, None)


def test_the_judge_is_told_what_is_neutral() -> None:
    tts = model()
    neutral, sad = learn(tts, SOURCE, asked("angry")), learn(tts, SOURCE, asked("angry", SAD))
    assert neutral.told == OF_SOURCE and np.array_equal(neutral.neutral[0][0], tones(np.zeros(3), "ada"))
    assert sad.told == OF_NOBODY and sad.acquaint(REPORTING) is REPORTING
    known = learn(tts, SOURCE, asked("angry", SAD, voice="max"))
    assert known.told == OF_VOICE and len(known.neutral) > 1
    assert learn(tts, SOURCE, asked("angry", voice="max")).told == OF_SOURCE  # as said in the other voice
    assert neutral.request.source_emotion == EmotionSpec()  # heard once, and settled


def test_check_converts_once_and_tells() -> None:
    tts = model(1.0)
    known = learn(tts, SOURCE, asked("angry"))
    before = tts.converter.n_converted
    outcome = check(tts, known, known.acquaint(REPORTING))
    assert tts.converter.n_converted == before + 1 and outcome.judge == "features"
    assert outcome.heard.avd == pytest.approx(outcome.asked, abs=0.02)


@pytest.mark.parametrize("slope", [0.6, 1.4])
def test_steering_brings_what_is_heard_to_what_is_asked(slope: float) -> None:
    for request in (asked("angry:0.5"), asked(None, moved=tuple(zip(DIMENSIONS, (0.4, -0.3, 0.2), strict=True)))):
        tts = model(slope)
        known = learn(tts, SOURCE, request)
        outcome = steer(tts, known, STEERING, REPORTING, tolerance=0.06, max_tries=6)
        assert outcome.is_met and outcome.heard.avd == pytest.approx(outcome.asked, abs=0.08)
        errors = [attempt.distance for attempt in outcome.tries]
        assert errors[-1] < 0.5 * errors[0]


def test_where_the_place_ends_the_strength_goes_on() -> None:
    tts = model(0.8)
    known = learn(tts, SOURCE, asked(None, moved=(("arousal", 0.98),)))
    outcome = steer(tts, known, STEERING, REPORTING, tolerance=0.05, max_tries=6)
    assert outcome.is_met and outcome.request.strength > 1.0
    assert len({attempt.request.seed for attempt in outcome.tries}) == 1


def test_the_voice_is_held_by_less_strength() -> None:
    tts = model(1.0)
    known = learn(tts, SOURCE, asked("excited"))
    similarity = similarity_to([SOURCE], speaker_of)
    loud = similarity(tts.converter.convert(SOURCE, known.request, SPEC.sample_rate))
    strengths = []
    for limit in (loud, (1.0 + loud) / 2.0, (3.0 + loud) / 4.0):
        held, reached = hold_voice(tts, known, similarity, limit)
        assert reached >= limit - 1e-9
        strengths.append(held.strength)
    assert strengths[0] == 1.0 > strengths[1] > strengths[2] > 0.0
    held, reached = hold_voice(tts, known, lambda result: 0.1, 0.8)
    assert reached == 0.1 and held.strength == 1.0  # nothing helps, so nothing is taken away


def test_softening_ends_at_copy_synthesis() -> None:
    request = asked("angry", strength=1.5)
    for _ in range(20):
        request = soften_request(request)
    assert request.strength == 0.0 == soften_request(request).strength


def test_what_cannot_be_steered_or_compared_is_refused() -> None:
    for request in (asked(None), asked(NOT_ANGRY)):
        with pytest.raises(ValueError, match="ask for an emotion"):
            check_steerable(request)
    with pytest.raises(ValueError, match="needs speech of the voice"):
        similarity_to([], speaker_of)
