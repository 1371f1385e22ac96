"""Every knob moves what it promises, on the model that is shipped; a knob that does nothing, or costs too much, is caught."""

import argparse
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from echo import EchoJudge, EchoTTS, echo_listener, speaker_of

from emotts.cli import evaluate as command
from emotts.emotion.labels import DIMENSIONS, LABELS
from emotts.evaluation import knobs as register
from emotts.evaluation import listen, verify
from emotts.evaluation.knobs import KNOBS, Knob, Take, knobs_of
from emotts.pipeline import EmoTTS
from emotts.request import Options

PLACES = [("It rained all night.", "ada")]
ECHOED = (*DIMENSIONS, "emotion angry", "speed", "pitch", "seed", "voice")


def bench(tts: Any, **options: Any) -> verify.Bench:
    return verify.Bench(tts, EchoJudge(), speaker_of, None, PLACES, **options)


def verdicts_of(tts: Any, names: tuple[str, ...] = ECHOED, **options: Any) -> dict[str, verify.Verdict]:
    chosen = [knob for knob in knobs_of(tts) if knob.name in names]
    return {verdict.name: verdict for verdict in verify.verify(bench(tts, **options), chosen)}


def test_a_model_that_obeys_passes() -> None:
    verdicts = verdicts_of(EchoTTS())
    assert list(verdicts) == [name for name in KNOBS if name in ECHOED]
    assert not {v.name: v.problems for v in verdicts.values() if v.problems}
    assert verdicts["pitch"].change == pytest.approx(4.0, abs=0.1)
    assert verdicts["arousal"].change == pytest.approx(1.6, abs=0.03) and verdicts["arousal"].order == 1.0


class Deaf(EchoTTS):
    """Ignores some of what is asked."""

    def __init__(self, *ignored: str) -> None:
        super().__init__()
        self.ignored = ignored

    def request(self, *arguments: Any, **options: Any) -> Any:
        request = super().request(*arguments, **options)
        for name in self.ignored:
            if name in DIMENSIONS and request.emotion.dimensions:
                request = replace(request, emotion=replace(request.emotion, **{name: 0.0}))
            elif name in ("speed", "pitch", "seed"):
                request = replace(request, **{name: {"speed": 1.0, "pitch": 0.0, "seed": 1}[name]})
        return request


@pytest.mark.parametrize("name", ["arousal", "valence", "speed", "pitch", "seed"])
def test_a_knob_without_effect_is_caught_and_no_other(name: str) -> None:
    failed = [verdict for verdict in verdicts_of(Deaf(name)).values() if not verdict.is_passed]
    assert [verdict.name for verdict in failed] == [name]
    assert "moves by" in failed[0].problems[0]


def test_a_knob_that_turns_the_wrong_way_is_caught() -> None:
    verdict = verdicts_of(EchoTTS(slope=np.diag([-1.0, 1.0, 1.0])), ("arousal",))["arousal"]
    assert verdict.order == -1.0 and len(verdict.problems) == 2


def test_lost_words_and_a_lost_voice_are_caught() -> None:
    tts = EchoTTS()

    def count_words(waveform: np.ndarray, text: str) -> tuple[int, int]:
        return (3 if EchoJudge().hear(waveform, 24_000).avd[0] > 0.5 else 0), 5  # shouting loses words

    def embed(waveform: np.ndarray) -> np.ndarray:
        return np.array([0.0, 1.0]) if EchoJudge().hear(waveform, 24_000).avd[1] < -0.5 else np.array([1.0, 0.0])

    costly = verify.Bench(tts, EchoJudge(), embed, count_words, PLACES)
    arousal, valence, dominance = verify.verify(costly, [KNOBS[name] for name in DIMENSIONS])
    assert arousal.word_errors == pytest.approx(60.0) and "costs 60.0 points of WER" in arousal.problems[0]
    assert valence.speaker_sim == 0.0 and "speaker similarity 0.00" in valence.problems[0]
    assert dominance.is_passed and dominance.word_errors == 0.0


def test_the_register_refuses_a_name_twice_and_a_knob_that_promises_nothing() -> None:
    with pytest.raises(ValueError, match="registered already"):
        register.register(KNOBS["speed"])
    with pytest.raises(ValueError, match="min_change above 0"):
        replace(KNOBS["speed"], min_change=0.0)
    with pytest.raises(ValueError, match="at least two values"):
        Knob("volume", "it grows louder", (1.0,), lambda value: {}, lambda take: 0.0, 1, 0.1)


def test_every_argument_of_synthesis_has_a_knob() -> None:
    """Who adds a control must register what it does."""

    knobs_of(EchoTTS())
    arguments = set(Options.__annotations__)
    assert arguments <= {knob.parameter or knob.name for knob in KNOBS.values()}
    assert {f"emotion {label}" for label in LABELS if label != "neutral"} <= KNOBS.keys()


def test_a_model_with_one_voice_is_not_asked_to_change_it() -> None:
    assert "voice" not in {knob.name for knob in knobs_of(EchoTTS(names=("ada",)))}


@pytest.mark.parametrize("is_quick", [True, False])
def test_places_take_voices_in_turn(is_quick: bool) -> None:
    places = verify.places_for(list("abcdef"), is_quick)
    assert len(places) == len(set(places)) == (2 if is_quick else 8)
    assert len({voice for _, voice in places}) == (2 if is_quick else 4)


@pytest.fixture(scope="module")
def shipped() -> EmoTTS:
    return EmoTTS.from_pretrained()


SIGNAL = (
    "speed",
    "pitch",
    "steps",
    "prosody_steps",
    "seed",
    "temperature",
    "prosody_temperature",
    "schedule",
    "solver",
)


def test_the_shipped_model_obeys_the_knobs_that_need_no_judge(shipped: EmoTTS) -> None:
    place = ("It rained.", shipped.default_voice)
    setting = verify.Bench(shipped, EchoJudge(), speaker_of, None, [place])
    chosen = [knob for knob in knobs_of(shipped) if knob.name in SIGNAL]
    verdicts = verify.verify(setting, [replace(knob, keeps_voice=False) for knob in chosen])
    assert len(verdicts) == len(SIGNAL)
    assert not {v.name: v.problems for v in verdicts if v.problems}


def test_a_take_is_made_once_and_varied_by_copy() -> None:
    tts = EchoTTS()
    take = Take(tts, EchoJudge(), speaker_of, "Hello.", {"voice": "ada", "seed": 1})
    assert take.result is take.result and tts.n_spoken == 1
    assert take.again(seed=2).options == {"voice": "ada", "seed": 2} and take.options["seed"] == 1


def run_command(monkeypatch: pytest.MonkeyPatch, tts: EchoTTS, **options: Any) -> None:
    from emotts import judges

    monkeypatch.setattr(judges, "load_judge", EchoJudge)
    monkeypatch.setattr(listen, "load_listener", lambda found: echo_listener(list(found)))
    monkeypatch.setattr(EmoTTS, "from_pretrained", classmethod(lambda *_: tts))
    names = ",".join(options.pop("names", ("arousal", "valence", "speed")))
    settings = {
        "checkpoint": None,
        "device": "cpu",
        "backend": None,
        "seed": 1,
        "quick": True,
        "json": False,
        "knobs": names,
        **options,
    }
    command.verify(argparse.Namespace(**settings))


def test_the_command_prints_verdicts_and_exits_by_them(monkeypatch: Any, capsys: Any) -> None:
    run_command(monkeypatch, EchoTTS())
    assert "3 of 3 knobs work" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        run_command(monkeypatch, Deaf("valence"))
    out = capsys.readouterr().out
    assert left.value.code == 1
    assert "FAIL valence" in out and "2 of 3 knobs work" in out and "heard valence rises" in out
    run_command(monkeypatch, EchoTTS(), json=True)
    assert [row["is_passed"] for row in json.loads(capsys.readouterr().out)] == [True] * 3


def test_the_command_refuses_knobs_that_do_not_exist(monkeypatch: Any) -> None:
    with pytest.raises(ValueError, match="--knobs must be of arousal"):
        run_command(monkeypatch, EchoTTS(), names=("sarcasm",))
