"""Knobs of conversion move what they promise, and one that does nothing is caught; rows about conversion say what it did."""

import argparse
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from echo import (
    F0_HZ,
    HARMONICS_TO_HZ,
    TONES_HZ,
    VOICE_TONES_HZ,
    EchoJudge,
    EchoTTS,
    echo_listener,
    levels_of,
    speaker_of,
)

from emotts.audio import SPEC, save_audio
from emotts.cli import evaluate as command
from emotts.conversion.converter import Converter
from emotts.conversion.request import SOURCE, ConversionRequest, ConvertOptions
from emotts.conversion.result import Conversion
from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABELS
from emotts.emotion.spec import EmotionSpec
from emotts.evaluation import conversion, measures, verify
from emotts.evaluation.conversion_page import make_pairs
from emotts.evaluation.grid import Suite
from emotts.evaluation.knobs import KNOBS, Knob, knobs_of
from emotts.evaluation.listen import Listener
from emotts.evaluation.report import encode_mp3, render
from emotts.evaluation.run import evaluate
from emotts.evaluation.summary import summarise
from emotts.judges import load_judge
from emotts.loop import asked_place
from emotts.pipeline import EmoTTS

PLACES = [("It rained all night.", "ada")]
MOVING = (
    "convert angry", *(f"convert {name}" for name in DIMENSIONS), "convert strength", "convert away",
    "convert source_emotion", "convert retime", "convert speed", "convert pitch", "convert voice", "convert seed",
)  # fmt: skip
SMALL = Suite(2, 2, 1, 1, (1.0,), (-1.0, 1.0), 1, 0, 0, 0, 0, 0, n_sources=4, labels_per_source=2)
NONE_MADE = replace(SMALL, n_sources=0)
JUDGES = ["recognizer", "features"]


class EchoConverter(EchoTTS):
    """Reads the tones of a recording, moves them as asked and writes them again; `ignored` are parts of the request it forgets."""

    def __init__(self, *ignored: str, names: tuple[str, ...] = ("ada", "max")) -> None:
        super().__init__(names=names)
        self.vocoder, self.even, self.log_gain = None, None, {}  # type: ignore[assignment]
        self.ignored, self.n_converted = ignored, 0

    def conversion(self, **options: Any) -> ConversionRequest:
        request = super().conversion(**options)
        usual = {"strength": 1.0, "moved": (), "emotion": None, "source_emotion": None, "retime": False, "speed": 1.0,
                 "pitch": 0.0, "voice": SOURCE, "seed": 1}  # fmt: skip
        if "retime" in self.ignored and request.speed != 1.0:
            return request  # speed needs it
        return replace(request, **{name: usual[name] for name in self.ignored})

    def convert(self, source: Any, sample_rate: int | None = None, **options: Any) -> Conversion:
        self.n_converted += 1
        assert sample_rate == SPEC.sample_rate
        request = self.conversion(**options)
        heard = levels_of(source, sample_rate, TONES_HZ) / 0.02 - 1.5
        felt = heard if request.source_emotion is None else place_of(request.source_emotion, heard)
        wanted = np.array([dict(request.moved).get(name, felt[i]) for i, name in enumerate(DIMENSIONS)])
        if request.emotion is not None:
            wanted = place_of(request.emotion, felt)
        place = np.clip(heard + request.strength * (wanted - felt), -1.2, 1.2)
        names = list(VOICE_TONES_HZ)
        own = names[int(levels_of(source, sample_rate, tuple(VOICE_TONES_HZ.values())).argmax())]
        longer = 1.25 if request.retime and request.emotion is not None else 1.0
        n_frames = round(len(source) / SPEC.hop_length * longer / request.speed)
        wave = tones(own if request.keeps_voice else request.voice, place, request.pitch, n_frames)
        wave += np.random.default_rng(request.seed).normal(0.0, 1e-3, len(wave)).astype(np.float32)
        empty = np.zeros(0, np.float32)
        return Conversion(
            wave, SPEC.sample_rate, "", own, EmotionSpec(), request.seed, 0.1, [], [], empty, np.zeros((0, SPEC.n_mels))
        )


def place_of(spec: EmotionSpec, felt: np.ndarray) -> np.ndarray:
    if spec.away:
        return felt - sum(weight * np.array(AVD_MEANS[name]) for name, weight in spec.away)
    return np.array([value or 0.0 for value in asked_place(spec)])


def tones(voice: str, place: np.ndarray, pitch: float = 0.0, n_frames: int = 90) -> np.ndarray:
    time = np.arange(n_frames * SPEC.hop_length) / SPEC.sample_rate
    f0_hz = F0_HZ[voice] * 2.0 ** (pitch / 12.0)
    wave = sum(0.05 * np.sin(2 * np.pi * f0_hz * k * time) for k in range(1, int(HARMONICS_TO_HZ / f0_hz) + 1))
    wave = wave + 0.05 * np.sin(2 * np.pi * VOICE_TONES_HZ[voice] * time)
    for value, hz in zip(place, TONES_HZ, strict=True):
        wave = wave + 0.02 * (value + 1.5) * np.sin(2 * np.pi * hz * time)
    return np.asarray(wave, np.float32)


def bench(tts: Any, **options: Any) -> verify.Bench:
    return verify.Bench(tts, EchoJudge(), speaker_of, options.pop("count_words", None), PLACES, **options)


def knobs_named(tts: Any, *names: str) -> list[Knob]:
    found = {knob.name: knob for knob in knobs_of(tts)}
    return [found[name] for name in names]


def problems_of(tts: Any, names: tuple[str, ...] = MOVING) -> dict[str, tuple[str, ...]]:
    verdicts = verify.verify(bench(tts), knobs_named(tts, *names))
    return {verdict.name: verdict.problems for verdict in verdicts if verdict.problems}


def test_a_converter_that_obeys_passes() -> None:
    assert not problems_of(EchoConverter())


@pytest.mark.parametrize(
    ("ignored", "failing"),
    [
        ("strength", {"convert strength"}),
        ("moved", {f"convert {name}" for name in DIMENSIONS}),
        ("source_emotion", {"convert source_emotion"}),
        ("retime", {"convert retime"}),
        ("pitch", {"convert pitch"}),
        ("speed", {"convert speed"}),
        ("voice", {"convert voice"}),
        ("seed", {"convert seed"}),
        ("emotion", {"convert angry", "convert strength", "convert away", "convert source_emotion", "convert retime"}),
    ],
)
def test_what_a_converter_ignores_is_caught_and_nothing_else(ignored: str, failing: set[str]) -> None:
    found = problems_of(EchoConverter(ignored))
    assert found.keys() == failing
    assert all("moves by" in problems[0] for problems in found.values())


def test_every_argument_of_conversion_and_every_label_has_a_knob() -> None:
    """Who adds a control must register what it does."""
    knobs_of(EchoConverter())
    known = {knob.parameter or knob.name for knob in KNOBS.values()}
    assert {f"convert {name}" for name in ConvertOptions.__annotations__} <= known
    assert {f"convert {label}" for label in LABELS if label != "neutral"} <= KNOBS.keys()


def test_a_model_with_one_voice_is_not_asked_for_another() -> None:
    names = {knob.name for knob in knobs_of(EchoConverter(names=("ada",)))}
    assert "convert strength" in names and not {"convert voice", "convert voice recorded"} & names


def test_sources_and_conversions_are_made_once_for_all_knobs() -> None:
    tts = EchoConverter()
    verify.verify(bench(tts), knobs_named(tts, "convert angry", "convert sad", "convert strength", "convert away"))
    assert tts.n_spoken == 2  # neutral and angry
    assert tts.n_converted == 1 + 2 + 4 + 3  # as it is, two labels, four strengths; the angry one in three ways


def test_words_and_voice_are_compared_with_the_source() -> None:
    def count_words(waveform: np.ndarray, text: str) -> tuple[int, int]:
        return (4 if EchoJudge().hear(waveform, 24_000).avd[0] > 0.4 else 0), 5  # shouting loses words

    tts = EchoConverter()
    up, away = verify.verify(bench(tts, count_words=count_words), knobs_named(tts, "convert arousal", "convert away"))
    assert up.word_errors == pytest.approx(80.0) and "costs 80.0 points of WER" in up.problems[-1]
    assert away.word_errors == 0.0 and away.is_passed  # its source shouts already


@pytest.fixture(scope="module")
def shipped() -> EmoTTS:
    return EmoTTS.from_pretrained()


def verdicts_of_shipped(shipped: EmoTTS, judge: Any, *names: str) -> list[verify.Verdict]:
    setting = verify.Bench(shipped, judge, speaker_of, None, [("It rained all night long.", shipped.default_voice)])
    return verify.verify(setting, [replace(knob, keeps_voice=False) for knob in knobs_named(shipped, *names)])


def test_the_shipped_model_obeys_the_knobs_that_need_no_judge(shipped: EmoTTS) -> None:
    names = [f"convert {name}" for name in ("keep_intonation", "retime", "speed", "pitch", "seed")]
    verdicts = verdicts_of_shipped(shipped, EchoJudge(), *names)
    assert len(verdicts) == len(names)
    assert not {v.name: v.problems for v in verdicts if v.problems}


def test_strength_that_is_ignored_fails_on_the_shipped_model(shipped: EmoTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    (verdict,) = verdicts_of_shipped(shipped, load_judge("features"), "convert strength")
    assert verdict.is_passed
    request = Converter.request
    monkeypatch.setattr(Converter, "request", lambda self, **options: replace(request(self, **options), strength=1.0))
    (verdict,) = verdicts_of_shipped(shipped, load_judge("features"), "convert strength")
    assert "moves by 0.000" in verdict.problems[0]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals of summaries are not what these tests look at."""
    monkeypatch.setattr(measures, "N_RESAMPLES", 20)


@pytest.fixture
def still_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tones have no phonemes: three borders at fixed parts of the length."""

    def borders(tts: Any, waveform: np.ndarray, tokens: Any) -> tuple[list[str], np.ndarray]:
        return ["a", "b", "c"], np.array([0.2, 0.5, 1.0]) * len(waveform) / 24.0

    monkeypatch.setattr(conversion, "borders", borders)


def line_of(report: dict[str, Any], name: str, group: str = "Conversion of the model's own speech") -> dict[str, Any]:
    (line,) = [line for line in report["table"] if line["name"] == name and line["group"] == group]
    return line["values"]


def test_a_converter_that_obeys_scores_one(tmp_path: Path, still_borders: None) -> None:
    rows = evaluate(EchoConverter(), echo_listener(), SMALL, tmp_path, "s", seed=1)
    report = summarise(rows, JUDGES)
    assert not report["failed"]
    for name, value, ceiling in (
        ("WER rise, emotion (points)", 0.0, 0.0),
        ("asked emotion is heard first", 1.0, None),
        ("asked emotion is in the first two", 1.0, None),
        ("order of strengths", 1.0, None),
        ("target beats source, voice", 1.0, None),
        ("DNSMOS against copy synthesis, emotion", 0.0, None),
        ("shift of the length (frames)", 0.0, 0.0),
        ("shift of phoneme borders (ms)", 0.0, 0.0),
        ("real-time factor of converting", 0.1, 0.1),
    ):
        values = line_of(report, name)
        assert values["emotts"]["value"] == pytest.approx(value, abs=1e-3), name
        reached = None if values["copy synthesis"] is None else values["copy synthesis"]["value"]
        assert reached == (None if ceiling is None else pytest.approx(ceiling, abs=1e-3)), name
        assert values["teacher"] is None
    for name in ("similarity to the source, emotion", "similarity to the target, voice"):
        assert line_of(report, name)["copy synthesis"]["value"] > 0.98
        assert line_of(report, name)["emotts"]["value"] > 0.8
    usual = [line for line in report["table"] if line["name"] == "real-time factor"]
    assert usual[0]["values"]["emotts"]["n"] == sum(row["part"] == "category" or row["part"] == "sweep" for row in rows)


def lossy_listener() -> Listener:
    """Hears two words less and a worse quality where arousal is high."""
    plain = echo_listener()

    def is_high(waveform: np.ndarray) -> bool:
        return bool(levels_of(waveform, SPEC.sample_rate, TONES_HZ)[0] > 0.02 * 1.9)

    def words(waveform: np.ndarray, text: str) -> dict[str, Any]:
        heard = plain.words(waveform, text)
        lost = 2 if is_high(waveform) else 0
        return {**heard, "whisper_wer_delete": lost, "whisper_wer_equal": heard["whisper_wer_equal"] - lost}

    def quality(waveform: np.ndarray, text: str) -> dict[str, Any]:
        return {"dns_overall": 2.5 if is_high(waveform) else 3.0, "dns_sig": 3.0, "dns_bak": 4.0}

    return replace(plain, words=words, quality=quality)


def test_what_a_conversion_costs_is_seen(tmp_path: Path, still_borders: None) -> None:
    class Sloppy(EchoConverter):
        def convert(self, source: Any, sample_rate: int | None = None, **options: Any) -> Conversion:
            is_copy = options.get("strength") == 0.0
            result = super().convert(source, sample_rate, **(options if is_copy else {**options, "strength": 1.0}))
            if not is_copy:
                result.waveform = np.append(result.waveform, np.zeros(2_560, np.float32))
            return result

    rows = evaluate(Sloppy("voice"), lossy_listener(), SMALL, tmp_path, "s", seed=1)
    report = summarise(rows, JUDGES)
    emotional = [row for row in rows if row["part"] == conversion.EMOTION]
    n_high = sum(AVD_MEANS[row["label_asked"]][0] > 0.4 for row in emotional)
    assert 0 < n_high < len(emotional)
    words = sum(len(row["text"].split()) for row in emotional)
    own = sum(conversion.wrong_words(row) for row in rows if row["part"] == conversion.SOURCE) * SMALL.labels_per_source
    assert line_of(report, "WER rise, emotion (points)")["emotts"]["value"] == pytest.approx(
        100.0 * (2 * n_high - own) / words, abs=1e-3
    )
    assert line_of(report, "WER rise, emotion (points)")["copy synthesis"]["value"] == 0.0
    assert line_of(report, "DNSMOS against copy synthesis, emotion")["emotts"]["value"] < 0.0
    assert line_of(report, "order of strengths")["emotts"]["value"] == 0.5  # half as strong is as strong
    assert line_of(report, "target beats source, voice")["emotts"]["value"] == 0.0
    assert line_of(report, "shift of the length (frames)")["emotts"]["value"] == pytest.approx(10.0)
    assert line_of(report, "shift of phoneme borders (ms)")["emotts"]["value"] > 10.0
    assert line_of(report, "shift of the length (frames)")["copy synthesis"]["value"] == 0.0


@pytest.fixture
def recordings(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "own"
    folder.mkdir()
    for name, voice, place in (("one", "max", (0.0, 0.0, 0.0)), ("two", "ada", (0.4, -0.2, 0.1))):
        save_audio(folder / f"{name}.wav", tones(voice, np.array(place)))
    (folder / "one.txt").write_text("Nothing happened\n all day.\n")
    return sorted(folder.glob("*.wav"))


def test_a_users_recordings_stand_in_the_table(recordings: list[Path], tmp_path: Path, still_borders: None) -> None:
    tts = EchoConverter()
    out = tmp_path / "out"
    rows = evaluate(tts, echo_listener(), NONE_MADE, out, "s", recordings=recordings)
    mine = {row["original"]: row for row in rows if row["part"] == conversion.EMOTION}
    assert len(mine) == 2
    texts = {name: row.get("ref_text") for name, row in mine.items()}
    assert list(texts.values()) == ["Nothing happened all day.", None]  # no text beside it, no words
    assert all(row["dns_overall"] == 3.0 and row["border_shift_ms"] == 0.0 for row in mine.values())
    report = summarise(rows, JUDGES)
    group = "Conversion of recordings"
    assert line_of(report, "asked emotion is in the first two", group)["emotts"]["value"] == 1.0
    assert line_of(report, "target beats source, voice", group)["emotts"]["value"] == 1.0
    assert line_of(report, "WER rise, emotion (points)", group)["emotts"]["n"] == SMALL.labels_per_source
    assert {line["group"] for line in report["table"]} & {"Conversion of the model's own speech"} == set()
    made = tts.n_converted
    assert evaluate(tts, echo_listener(), NONE_MADE, out, "s", recordings=recordings) == rows
    assert tts.n_converted == made  # nothing was made twice
    save_audio(recordings[0], tones("max", np.array([0.1, 0.0, 0.0])))
    evaluate(tts, echo_listener(), NONE_MADE, out, "s", recordings=recordings)
    assert tts.n_converted == made + 5  # another recording under the old name: a copy, two labels, one halfway, a voice


def test_recordings_that_cannot_be_used_are_told(recordings: list[Path], tmp_path: Path, still_borders: None) -> None:
    save_audio(recordings[1], np.zeros(24_000, np.float32))
    report = summarise(
        evaluate(EchoConverter(), echo_listener(), NONE_MADE, tmp_path / "out", "s", recordings=recordings), JUDGES
    )
    assert report["failed"] and all("silent" in failure["error"] for failure in report["failed"])
    assert {failure["voice"] for failure in report["failed"]} == {"two"}
    recordings[0].with_suffix(".txt").write_text(" \n")
    with pytest.raises(ValueError, match="one.txt is empty; write what one.wav says"):
        evaluate(EchoConverter(), echo_listener(), NONE_MADE, tmp_path / "out", "s", recordings=recordings)
    given = {
        "suite": "quick",
        "checkpoint": None,
        "out": None,
        "corpus": None,
        "seed": 0,
        "device": "cpu",
        "json": False,
    }
    with pytest.raises(FileNotFoundError, match="--recordings 'nowhere' is no folder"):
        command.evaluate(argparse.Namespace(**given, recordings="nowhere"))


def test_the_page_plays_before_and_after(recordings: list[Path], tmp_path: Path, still_borders: None) -> None:
    tts = EchoConverter()
    rows = evaluate(tts, echo_listener(), SMALL, tmp_path / "out", "s", recordings=recordings)
    pairs = make_pairs(tts, rows, SMALL, ["ada", "max"], 0, encode_mp3, recordings)
    assert len(pairs) == 2 * (SMALL.n_sources + len(recordings))  # an emotion and a voice of each
    assert all(pair.before != pair.after for pair in pairs)
    hostile = replace(pairs[0], row={**pairs[0].row, "original": "<script>x</script>"})
    report = {"suite": "quick", "seed": 0, "checkpoint": "x", "date": "d", "seconds": 1.0, "judges": JUDGES}
    page = render(report | summarise(rows, JUDGES), rows, {}, [hostile, *pairs[1:]])
    assert page.count("<audio") == 2 * len(pairs)
    assert "Conversion, before and after" in page and "Conversion of recordings" in page
    assert "<script>" not in page and not re.search(r"https?://|\bnan\b", page)


@pytest.fixture(scope="module")
def spoken(shipped: EmoTTS) -> Iterator[Any]:
    yield shipped.synthesize("It rained all night.", voice=shipped.default_voice, seed=1)


def test_a_shift_of_all_borders_is_measured(shipped: EmoTTS, spoken: Any) -> None:
    wave = spoken.waveform
    tokens, before = conversion.borders(shipped, wave, spoken.tokens)
    assert tokens == spoken.tokens and before[-1] == pytest.approx(1_000.0 * len(wave) / SPEC.sample_rate)
    late = np.concatenate([np.zeros(6 * SPEC.hop_length, np.float32), wave])
    _, after = conversion.borders(shipped, late, spoken.tokens)
    shift = np.median((after - before)[:-1])
    assert shift == pytest.approx(6_000.0 / SPEC.frame_rate, abs=1_000.0 / SPEC.frame_rate)  # within a frame
    assert len(conversion.borders(shipped, wave, None)[0]) > 8  # what is heard


def test_the_shipped_model_is_measured_without_an_error(shipped: EmoTTS, tmp_path: Path) -> None:
    suite = replace(NONE_MADE, n_texts=1, n_voices=2, n_sources=1, labels_per_source=1)
    jobs = conversion.conversion_jobs(
        shipped, echo_listener(), lambda voice: echo_listener(), suite, [card.name for card in shipped.voices[:2]], "s"
    )
    rows = [{"key": key, **asked, **make()} for key, asked, make in jobs]
    assert [row["part"] for row in rows] == [
        conversion.SOURCE, conversion.COPY, conversion.EMOTION, conversion.HALFWAY, conversion.VOICE,
    ]  # fmt: skip
    assert not [row["error"] for row in rows if "error" in row]
    assert all(row["length_shift"] == 0.0 for row in rows if "length_shift" in row)
    # copy synthesis moves nothing: what is left is the aligner's own doubt, of a few frames of 10.7 ms
    assert rows[1]["border_shift_ms"] < 40.0
    assert conversion.compared(rows, JUDGES)[2].keys() >= {
        "source_similarity",
        "dns_against_copy",
        "copy_arousal_features",
    }
