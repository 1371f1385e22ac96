"""What the controls of the page ask for, and the lines that make a take again outside it."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile

from demo.components.keyframes import preset
from demo.engine import Engine
from demo.snippets import cli_line, python_lines
from demo.wishes import BY_PLACE, MIXED, Asked, Wishes, nearest_label, read_wishes
from emotts import EmoTTS
from emotts.cli import main
from emotts.emotion.labels import AVD_MEANS
from emotts.emotion.spec import EmotionSpec


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(EmoTTS.from_pretrained())


def asked(engine: Engine, **values: object) -> Asked:
    return read_wishes(engine.tts, Wishes(**values))  # type: ignore[arg-type]


@pytest.mark.parametrize("label", MIXED)
def test_a_label_at_its_usual_place_asks_for_the_label_alone(engine: Engine, label: str) -> None:
    arousal, valence, dominance = AVD_MEANS[label]
    pad = {"arousal": arousal, "valence": valence}
    found = asked(engine, feeling=label, pad=pad, dominance=dominance, intensity=0.7)
    assert found.options == {"emotion": EmotionSpec(label, 0.7)}
    np.testing.assert_allclose(found.place, 0.7 * np.array(AVD_MEANS[label]), atol=1e-3)


def test_a_label_that_was_dragged_away_asks_for_what_moved(engine: Engine) -> None:
    arousal, valence, dominance = AVD_MEANS["sad"]
    found = asked(engine, feeling="sad", pad={"arousal": 0.4, "valence": valence}, dominance=dominance, intensity=0.5)
    assert found.options == {"emotion": EmotionSpec("sad", 0.5, arousal=0.2)}
    assert "moved in arousal" in found.note


def test_a_place_alone_is_scaled_by_the_intensity_and_stays_in_range(engine: Engine) -> None:
    found = asked(engine, feeling=BY_PLACE, pad={"arousal": 0.8, "valence": -0.5}, dominance=0.2, intensity=1.5)
    assert found.options == {"emotion": EmotionSpec(None, 1.0, 1.0, -0.75, 0.3)}
    assert found.place == (1.0, -0.75, 0.3)


def test_a_mixture_that_is_too_strong_is_scaled_to_what_can_be_asked(engine: Engine) -> None:
    found = asked(engine, mode="mix", mix={"happy": 1.5, "sad": 1.0})
    weights = dict(found.options["emotion"].mixture)
    assert sum(weights.values()) == pytest.approx(1.5, abs=0.01)
    assert weights["happy"] / weights["sad"] == pytest.approx(1.5, abs=0.01)
    assert "scaled down" in found.note


@pytest.mark.parametrize(
    ("mix", "spec"), [({}, "neutral"), ({"angry": 0.6}, "angry:0.6"), ({"happy": 0.6, "sad": 0.4}, "happy:0.6+sad:0.4")]
)
def test_a_mixture_reads_as_on_the_command_line(engine: Engine, mix: dict[str, float], spec: str) -> None:
    assert str(asked(engine, mode="mix", mix=mix).options["emotion"]) == spec


def test_words_tell_which_of_them_decided(engine: Engine) -> None:
    found = asked(engine, mode="words", words="furious zzyzx")
    assert "furious" in found.note and "Not understood: zzyzx" in found.note
    assert found.place is not None and found.place[0] > 0.3 > 0 > found.place[1]


def test_a_recording_is_heard_and_its_path_goes_no_further(engine: Engine, tmp_path: Path) -> None:
    engine.tts.synthesize("Give it back to me right now!", emotion="angry", seed=1).save(tmp_path / "angry.wav")
    found = asked(engine, mode="recording", recording=str(tmp_path / "angry.wav"))
    assert not found.options["emotion"].like and str(tmp_path) not in found.note
    assert found.options["emotion"].arousal > 0.2


def test_refused_labels_stand_beside_every_way_to_ask(engine: Engine) -> None:
    ways = [
        {"mode": "pad", "feeling": "happy"}, {"mode": "mix", "mix": {"sad": 0.5}}, {"mode": "words", "words": "furious"},
        {"mode": "text"}, {"mode": "time", "trajectory": preset("rise", "happy")}, {"mode": "keep"},
    ]  # fmt: skip
    for way in ways:
        found = asked(engine, refused=["bored"], refusal=0.4, **way)
        assert found.options["emotion"].away == (("bored", 0.4),), way


@pytest.mark.parametrize(
    "values",
    [
        {"intensity": 9.0}, {"intensity": float("nan")}, {"intensity": "1"}, {"dominance": True}, {"feeling": "joyous"},
        {"pad": {"arousal": 1e400}}, {"pad": {"arousal": []}}, {"mode": "mix", "mix": {"happy": -1.0}}, {"mode": "recording"},
        {"mode": "words", "words": "  "}, {"mode": "words", "words": "zzyzx"}, {"mode": "text", "auto": 2.0}, {"mode": "shout"},
        {"feeling": "happy", "refused": ["happy"]}, {"refused": ["like=/etc/passwd"]}, {"mode": "time"},
        {"refused": ["sad"], "refusal": 7.0}, {"mode": "time", "trajectory": {"arousal": [], "valence": [], "dominance": []}},
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_told_in_one_sentence(engine: Engine, values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=".{20,}"):
        asked(engine, **values)


def test_the_nearest_label_of_a_mean_is_the_label() -> None:
    assert all(nearest_label(place) == label for label, place in AVD_MEANS.items())


WAYS: list[dict[str, object]] = [
    {
        "mode": "pad",
        "feeling": "angry",
        "intensity": 0.8,
        "pad": {"arousal": 0.59, "valence": -0.51},
        "dominance": 0.25,
    },
    {"mode": "pad", "feeling": BY_PLACE, "pad": {"arousal": -0.4, "valence": 0.3}, "refused": ["bored"]},
    {"mode": "mix", "mix": {"happy": 0.6, "sad": 0.4}},
    {"mode": "words", "words": "relieved, but still shaking"},
    {"mode": "text", "auto": 0.7},
    {"mode": "time", "trajectory": preset("burst", "angry")},
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way['mode']}")
def test_the_command_and_the_python_lines_say_the_same_again(
    engine: Engine, way: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = asked(engine, **way).options | {"voice": "ada", "seed": 5, "pitch": -2.0, "speed": 1.1}
    take, result = engine.speak('It\'s "her" $HOME; *all* of it!', options)
    before, _, command = cli_line(take).rpartition("END\n")
    monkeypatch.chdir(tmp_path)
    if before:
        Path("timeline.csv").write_text(before.split("END'\n")[1], encoding="utf-8")
    words = shlex.split(command)
    assert words[0] == "emotts"
    assert main(words[1:]) == 0
    again, _ = soundfile.read("again.wav")
    np.testing.assert_allclose(again, result.waveform, atol=1e-4)
    Path("again.wav").unlink()
    exec(python_lines(take), {})
    again, _ = soundfile.read("again.wav")
    np.testing.assert_allclose(again, result.waveform, atol=1e-4)


def test_facts_of_a_take_name_no_place_on_this_machine(engine: Engine, tmp_path: Path) -> None:
    engine.tts.synthesize("Good morning to all of you, my dear friends.", seed=1).save(tmp_path / "voice.wav")
    profile = engine.voice_of(tmp_path / "voice.wav", consent=False)  # a model spoke it
    take, result = engine.speak("Hello there.", {"voice": profile, "emotion": "sad", "seed": 1})
    told = f"{take.facts} {cli_line(take)} {python_lines(take)} {result.provenance}"
    assert str(tmp_path) not in told and str(engine.folder) not in told
    assert "--voice reference.wav" in cli_line(take)
