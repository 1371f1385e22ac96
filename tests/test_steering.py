"""Every way of asking, through the whole pipeline on a tiny random model: what must be exact is exact, and everything acts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emotts.audio import SPEC
from emotts.emotion.coordinates import coordinates_of_spec
from emotts.emotion.direction import Direction, save_direction
from emotts.emotion.spec import parse_emotion
from emotts.emotion.timeline import Keyframe, Timeline
from emotts.intonation import Intonation
from emotts.pipeline import EmoTTS
from emotts.prosody_edit import to_json
from emotts.speech import Result
from emotts.word_times import WordTime

TEXT = "The boats came home late. Nobody was waiting on the shore!"
FRAME_S = 1.0 / SPEC.frame_rate


@pytest.fixture(scope="module")
def tts(tiny_checkpoint: Path) -> EmoTTS:
    tts = EmoTTS.from_pretrained(tiny_checkpoint)
    prosody = tts.acoustic.prosody
    prosody.std[1:3] *= 0.1  # or the random network leaves the range of voices
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for head in (prosody.flow_head, tts.acoustic.estimator.head):  # zeros would hide what the flows do
            torch.nn.init.normal_(head.weight, std=0.05)
    return tts


@pytest.fixture(scope="module")
def plain(tts: EmoTTS) -> Result:
    return tts.synthesize(TEXT, seed=3)


def same(one: Result, other: Result) -> bool:
    return one.waveform.shape == other.waveform.shape and np.array_equal(one.waveform, other.waveform)


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.31])
def test_the_whole_lasts_as_long_as_asked(tts: EmoTTS, plain: Result, factor: float) -> None:
    wanted = factor * plain.duration_s
    result = tts.synthesize(TEXT, seed=3, duration=wanted)
    assert abs(result.duration_s - wanted) <= 0.5 * FRAME_S + 1e-6
    pause = tts.synthesize(TEXT.replace(". ", ". [pause 500ms] "), seed=3, duration=wanted + 0.5)
    assert abs(pause.duration_s - wanted - 0.5) <= FRAME_S


def test_impossible_durations_name_what_is_possible(tts: EmoTTS) -> None:
    with pytest.raises(ValueError, match=r"from [\d.]+ to [\d.]+ s"):
        tts.synthesize(TEXT, seed=3, duration=0.3)
    with pytest.raises(ValueError, match=r"from 3\.\d+ to"):
        tts.synthesize("Well. [pause 3s] No.", seed=3, duration=2.0)
    with pytest.raises(ValueError, match="either duration or word_times"):
        tts.synthesize(TEXT, duration=3.0, word_times=[WordTime("a", 0.0, 1.0)])


def test_every_word_is_where_it_was_asked(tts: EmoTTS, plain: Result) -> None:
    random = np.random.default_rng(0)
    times, end = [], 0.0
    for spoken in plain.word_times:
        begin = end + 0.08 * float(random.random())
        end = begin + (spoken.end_s - spoken.start_s) * float(random.uniform(0.8, 1.3))
        times.append(WordTime("", begin, end))
    result = tts.synthesize(TEXT, seed=3, word_times=times)
    for asked, given in zip(times, result.word_times, strict=True):
        assert abs(asked.start_s - given.start_s) <= FRAME_S and abs(asked.end_s - given.end_s) <= FRAME_S
    with pytest.raises(ValueError, match=f"{len(times)} words; got {len(times) - 1}"):
        tts.synthesize(TEXT, word_times=times[:-1])


def test_a_reading_given_back_is_the_same_speech(tts: EmoTTS, plain: Result, tmp_path: Path) -> None:
    sheets = plain.prosody
    assert len(sheets) == 2 and sum(len(sheet.tokens) for sheet in sheets) == len(plain.tokens)
    again = tts.synthesize(TEXT, seed=3, prosody=sheets)
    assert again.durations == plain.durations
    assert np.abs(again.f0 - plain.f0).max() < 0.05  # Hz; sheets hold three decimals
    path = tmp_path / "reading.json"
    path.write_text(to_json(sheets), encoding="utf-8")
    assert same(again, tts.synthesize(TEXT, seed=3, prosody=path))
    assert same(again, tts.synthesize(TEXT, seed=3, prosody=to_json(sheets)))


def test_an_edited_reading_is_spoken(tts: EmoTTS, plain: Result) -> None:
    higher = [replace(s, f0_hz=tuple((1.2 * a, 1.2 * b) for a, b in s.f0_hz)) for s in plain.prosody]
    result = tts.synthesize(TEXT, seed=3, prosody=higher)
    both = (plain.f0 > 0) & (result.f0 > 0)
    assert np.median(result.f0[both] / plain.f0[both]) == pytest.approx(1.2, rel=0.02)
    with pytest.raises(ValueError, match="token"):
        tts.synthesize(TEXT.replace("late", "soon"), seed=3, prosody=plain.prosody)
    with pytest.raises(ValueError, match="segments"):
        tts.synthesize(TEXT, seed=3, prosody=plain.prosody[:1])


def test_a_still_time_line_is_the_emotion_itself(tts: EmoTTS) -> None:
    wanted = tts.synthesize(TEXT, seed=3, emotion="angry:0.8")
    for kind, places in (("part", (0.0, 1.0)), ("word", (0.0, 9.0)), ("t", (0.0, 1.0))):
        line = Timeline(kind, tuple(Keyframe(place, "angry:0.8") for place in places))
        result = tts.synthesize(TEXT, seed=3, timeline=line)
        assert result.durations == wanted.durations
        assert np.abs(result.waveform - wanted.waveform).max() < 1e-4


def test_a_time_line_moves_what_comes_later(tts: EmoTTS) -> None:
    rising = tts.synthesize(TEXT, seed=3, timeline="rise:angry", prosody_temperature=0.0)
    still = tts.synthesize(TEXT, seed=3, prosody_temperature=0.0)
    n = min(len(rising.mel), len(still.mel))
    change = np.abs(rising.mel[:n] - still.mel[:n]).mean(axis=1)
    assert change[-n // 4 :].mean() > 2.0 * change[: n // 8].mean()


def test_a_span_over_everything_is_the_emotion_itself(tts: EmoTTS) -> None:
    wanted = tts.synthesize(TEXT, seed=3, emotion="sad:0.7")
    assert same(wanted, tts.synthesize(f"[sad:0.7]{TEXT}[/]", seed=3))
    inside = tts.synthesize(TEXT.replace("Nobody", "[angry]Nobody[/]"), seed=3)
    assert not same(inside, tts.synthesize(TEXT, seed=3))
    assert inside.tokens == wanted.tokens


def test_nothing_clicks_where_an_emotion_turns(tts: EmoTTS) -> None:
    text = "The boats [angry]came home [/][sad:1.2]late tonight."
    turned = tts.synthesize(text, seed=3).waveform
    still = tts.synthesize("The boats came home late tonight.", seed=3).waveform
    assert np.abs(np.diff(turned)).max() < 2.0 * np.abs(np.diff(still)).max()


@pytest.mark.parametrize("span", ["[auto]Yes.[/]", "[sad-angry:0.5]Yes.[/]"])
def test_a_span_cannot_ask_for_what_concerns_the_whole(tts: EmoTTS, span: str) -> None:
    with pytest.raises(ValueError, match="span"):
        tts.synthesize(span)


def test_every_way_of_mixing_is_its_own(tts: EmoTTS) -> None:
    results = [
        tts.synthesize(TEXT, seed=3, emotion="happy:0.6+sad:0.4", mixing=mixing)
        for mixing in ("joint", "embedding", "velocity", "schedule")
    ]
    for i, result in enumerate(results):
        assert not any(same(result, other) for other in results[:i])
    with pytest.raises(ValueError, match="mixing must be one of joint"):
        tts.synthesize(TEXT, mixing="average")


def options_that_act(folder: Path) -> list[dict[str, Any]]:
    path = folder / "weary.safetensors"
    save_direction(path, Direction(coordinates_of_spec(parse_emotion("bored:0.8")), 1, "pairs", {}))
    return [
        {"emotion": "angry-fearful:0.5"}, {"emotion": "delight"}, {"emotion": '"bitter and tired"'}, {"emotion": "auto:1.5"},
        {"emotion": f'neutral,direction="{path}":0.7'}, {"emotion": f'bored,erase="{path}",valence=0.5'},
        {"emotion": "angry", "speaker_guidance": 1.5}, {"emotion": "angry", "content_guidance": 1.5},
        {"emotion": "angry", "classifier": 0.5}, {"emotion": "angry-fearful:0.01", "classifier_away": 0.5},
    ]  # fmt: skip


def test_everything_acts(tts: EmoTTS, tmp_path: Path) -> None:
    text = "What a terrible day, I hate it!"
    seen = {tts.synthesize(text, seed=3, emotion=e).waveform.tobytes() for e in ("neutral", "angry", "bored")}
    for options in options_that_act(tmp_path):
        waveform = tts.synthesize(text, seed=3, **options).waveform
        assert np.isfinite(waveform).all()
        assert waveform.tobytes() not in seen, options
        seen.add(waveform.tobytes())


def test_emphasis_lifts_the_word(tts: EmoTTS) -> None:
    plain, stressed = (tts.synthesize(f"Put the {word} box down.", seed=3) for word in ("green", "*green*"))

    def height(result: Result) -> float:
        inside = np.repeat(np.asarray(result.words) == 2, result.durations) & (result.f0 > 0)
        return float(np.log2(result.f0[inside]).max())

    assert plain.tokens == stressed.tokens
    assert 12.0 * (height(stressed) - height(plain)) > 1.5


def test_what_was_asked_and_what_became_of_it_are_both_told(tts: EmoTTS) -> None:
    request = tts.request(emotion='"furious"', valence=-0.9)
    assert request.asked is not None and request.asked.words == "furious"
    assert not request.emotion.sources and request.emotion.valence == -0.9
    assert request.emotion.arousal is not None and request.emotion.arousal > 0.3


def test_an_option_that_does_not_exist_is_refused(tts: EmoTTS) -> None:
    with pytest.raises(TypeError, match="'tempo' is no option"):
        tts.synthesize("Yes.", **{"tempo": 2.0})  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeline": "nowhere.csv"}, "nowhere.csv"),
        ({"word_times": "nowhere.srt"}, "nowhere.srt"),
        ({"intonation": "nowhere.wav"}, "nowhere.wav"),
        ({"prosody": "nowhere.json"}, "nowhere.json"),
        ({"emotion": "like=nowhere.wav"}, "nowhere.wav"),
        ({"emotion": "direction=nowhere.safetensors"}, "nowhere.safetensors"),
    ],
)
def test_missing_files_are_named_before_anything_is_spoken(tts: EmoTTS, options: dict[str, Any], said: str) -> None:
    with pytest.raises((FileNotFoundError, ValueError), match=said):
        tts.stream("Yes.", **options)


def test_contiguous_word_times_hold_across_sentences(tts: EmoTTS, plain: Result) -> None:
    times = [WordTime("", time.start_s + 0.003, time.end_s + 0.003) for time in plain.word_times]
    joined = [WordTime("", a.start_s, b.start_s) for a, b in zip(times, [*times[1:], times[-1]], strict=True)]
    joined[-1] = times[-1]
    result = tts.synthesize(TEXT, seed=3, word_times=joined)
    for asked, given in zip(joined, result.word_times, strict=True):
        assert abs(asked.start_s - given.start_s) <= FRAME_S and abs(asked.end_s - given.end_s) <= FRAME_S


def test_a_melody_spans_all_sentences(tts: EmoTTS) -> None:
    ramp = Intonation(np.linspace(-0.4, 0.4, 300), 200.0, 3.0)
    result = tts.synthesize("We left. The road was long. Nobody spoke. Then we came home.", seed=3, intonation=ramp)
    voiced = result.f0 > 0
    assert np.corrcoef(np.flatnonzero(voiced), np.log2(result.f0[voiced]))[0, 1] > 0.9


def test_emphasis_is_in_the_sheet_once(tts: EmoTTS) -> None:
    text = "I *never* said that."
    first = tts.synthesize(text, seed=3)
    assert tts.synthesize(text, seed=3, prosody=first.prosody).durations == first.durations


def test_classifier_guidance_goes_towards_what_the_segment_asks(tts: EmoTTS) -> None:
    from emotts.plan import plan_segments
    from emotts.text import text_to_segments

    def towards(**options: Any) -> dict[str, float]:
        request = tts.request(classifier=0.5, **options)
        (part,) = plan_segments(text_to_segments("Yes, we left early."), request, [])
        push = tts._push(part, request, 0.0)
        assert push is not None
        return dict(push.towards)

    assert towards(emotion="angry") == {"angry": 1.0}
    assert towards(emotion="angry:0.25") == pytest.approx({"angry": 0.25, "neutral": 0.75})
    assert towards(emotion="happy:0") == {"neutral": 1.0}
    assert 0.3 < towards(timeline="rise:angry")["angry"] < 0.7
    with pytest.raises(ValueError, match="goes towards labels"):
        towards(arousal=0.8)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("Yes.", {"timeline": "rise:angry", "emotion": "sad"}, "time line or an emotion"),
        ("[sad]Yes.[/]", {"timeline": "rise:angry"}, "time line or spans"),
        ("Yes.", {"intonation_weight": 0.5}, "needs intonation"),
        ("Yes.", {"mixing": "velocity", "emotion": "happy"}, "needs a mixture"),
        ("The [sad]boats[/] came home.", {"mixing": "velocity", "emotion": "happy+sad"}, "spans out"),
        ("Yes.", {"classifier": 0.5, "steps": 0, "emotion": "sad"}, "steps of 1"),
        ("Yes.", {"like_neutral": ["a.wav"]}, "like= recordings"),
        ("Yes.", {"norms": "norms.txt"}, "in quotes"),
        ("Yes.", {"timeline": 5}, "timeline must be the path"),
        ("Yes.", {"word_times": ["a"]}, "word_times must be the path"),
        ("[sad]", {}, "nothing speakable"),
        ("[pause 1s]", {}, "nothing speakable"),
        ("[sad][/]", {"duration": 1.0}, "nothing speakable"),
    ],
)
def test_what_would_have_no_effect_is_refused(tts: EmoTTS, text: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tts.synthesize(text, **options)


def test_norms_and_neutral_recordings_serve_spans(tts: EmoTTS, tmp_path: Path) -> None:
    norms = tmp_path / "norms.txt"
    norms.write_text("zorby\t0.9\t0.9\t0.5\n", encoding="utf-8")
    with pytest.raises(ValueError, match="zorby"):
        tts.synthesize('["zorby"]Hello there.[/]', seed=3)
    assert tts.synthesize('["zorby"]Hello there.[/]', seed=3, norms=norms).duration_s > 0


def test_a_time_line_in_seconds_is_kept_when_the_length_is_asked_as_it_is(tts: EmoTTS) -> None:
    line = Timeline("t", (Keyframe(0.0, "sad"), Keyframe(2.0, "excited:1.2")))
    free = tts.synthesize(TEXT, seed=3, timeline=line)
    again = tts.synthesize(TEXT, seed=3, timeline=line, duration=free.duration_s)
    assert np.abs(np.subtract(again.durations, free.durations)).max() <= 1  # a reading's lengths are not whole frames
