"""Measures against hand-computed values; the grid; a run that is killed and goes on; the report as a browser would read it."""

import argparse
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from echo import EchoJudge, EchoTTS, echo_listener
from test_dataset import write_corpus

from emotts.cli import evaluate as command
from emotts.emotion.labels import AVD_MEANS, DIMENSIONS, LABELS
from emotts.evaluation import grid, knobs, listen, measures
from emotts.evaluation.grid import CHEERFUL, MOURNFUL, TEXTS, Suite, make_grid, spread_voices, suite_named
from emotts.evaluation.listen import pack, unpack
from emotts.evaluation.report import make_clips, render
from emotts.evaluation.run import RESULTS, add_similarities, evaluate, read_rows, system_digest
from emotts.evaluation.scores import grid_scores
from emotts.evaluation.summary import summarise
from emotts.pipeline import EmoTTS

ROOT = Path(__file__).resolve().parent.parent
TINY = Suite(4, 2, 1, 2, (0.5, 1.0), (-1.0, 0.0, 1.0), 2, 6, 1, 1, 3, 6)
MINI = Suite(2, 2, 1, 1, (1.0,), (-1.0, 1.0), 1, 2, 1, 1, 0, 0)
MINI_WITH_CEILING = Suite(2, 2, 1, 1, (1.0,), (-1.0, 1.0), 1, 2, 1, 1, 0, 6)
JUDGES = ["recognizer", "features"]


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals of summaries are not what these tests look at."""
    monkeypatch.setattr(measures, "N_RESAMPLES", 20)


def test_recall_and_f1_of_a_small_confusion_matrix() -> None:
    asked, heard = ["a", "a", "a", "b", "b", "c"], ["a", "a", "b", "b", "c", "c"]
    counts = measures.confusion(asked, heard, ["a", "b", "c", "never"])
    assert counts.tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert measures.recalls(counts)[:3].tolist() == pytest.approx([2 / 3, 1 / 2, 1.0])
    assert np.isnan(measures.recalls(counts)[3])
    assert measures.mean_recall(counts) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    # 2 hits / (asked + heard): a 4/5, b 2/4, c 2/3
    assert measures.macro_f1(counts) == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)


def test_f1_equals_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    asked, heard = random.choice(list("abcd"), 80), random.choice(list("abcd"), 80)
    counts = measures.confusion(list(asked), list(heard), list("abcd"))
    assert measures.macro_f1(counts) == pytest.approx(metrics.f1_score(asked, heard, average="macro"))


def test_line_has_slope_and_share_of_variance() -> None:
    slope, r2 = measures.line_fit([0, 1, 2, 3], [1, 3, 5, 7])
    assert (slope, r2) == pytest.approx((2.0, 1.0))
    # residuals of y = x + (1, -1, -1, 1): slope stays 1, R^2 is 5 / (5 + 4)
    assert measures.line_fit([0, 1, 2, 3], [1, 0, 1, 4]) == pytest.approx((1.0, 5 / 9))
    assert measures.line_fit([1, 1], [0, 5]) == (0.0, 0.0)
    assert measures.line_fit([0, 1], [2, 2]) == (0.0, 0.0)


def test_leak_matrix_finds_the_slopes_whatever_text_and_voice_add() -> None:
    random = np.random.default_rng(1)
    slopes = np.array([[0.8, 0.1, 0.0], [0.0, 0.5, -0.2], [0.3, 0.0, 0.6]])
    asked = random.uniform(-1, 1, (40, 3))
    groups = ["a", "b", "c", "d"] * 10
    offsets = {name: random.normal(size=3) for name in "abcd"}
    heard = asked @ slopes + np.array([offsets[name] for name in groups])
    assert measures.leak_matrix(asked, heard, groups) == pytest.approx(slopes)


def test_order_counts_neighbours_and_ties_as_not_risen() -> None:
    intensity = [0, 0.5, 1, 0, 0.5, 1, 1]
    strength = [0.1, 0.4, 0.3, 0.0, 0.0, 0.9, 0.5]
    groups = ["x", "x", "x", "y", "y", "y", "z"]  # z has no neighbour
    risen, weaker = measures.neighbour_pairs(intensity, strength, groups)
    assert risen.tolist() == [True, False, False, True]
    assert weaker.tolist() == [0, 1, 3, 4]


def test_direction_similarity_does_not_see_what_text_and_voice_share() -> None:
    shared = np.array([5.0, -3.0, 2.0])
    assert measures.direction_similarity(shared + [0, 0, 1], shared, np.array([0, 1, 1])) == pytest.approx(0.5**0.5)
    assert measures.direction_similarity(shared, shared, np.ones(3)) == 0.0


def test_along_is_zero_at_neutral_and_one_at_the_place() -> None:
    place = np.array(AVD_MEANS["angry"])
    heard = np.stack([np.zeros(3), place, 0.5 * place + np.cross(place, [1.0, 0.0, 0.0])])
    assert measures.along(heard, np.zeros(3), place) == pytest.approx([0.0, 1.0, 0.5])


def test_bootstrap_takes_whole_groups() -> None:
    values = np.array([0.0] * 50 + [1.0] * 50)
    by_row = measures.bootstrap_groups(lambda i: values[i].mean(), range(100))
    by_text = measures.bootstrap_groups(lambda i: values[i].mean(), ["one"] * 50 + ["other"] * 50)
    assert by_row.value == by_text.value == 0.5
    assert (by_text.low, by_text.high) == (0.0, 1.0)  # a quarter of the draws has one text twice
    assert by_row.high - by_row.low == pytest.approx(2 * 1.96 * 0.05, rel=0.15)
    alone = measures.bootstrap_groups(lambda i: values[i].mean(), ["one"] * 100)
    assert np.isnan(alone.low)
    with pytest.raises(ValueError, match="at least one row"):
        measures.bootstrap_groups(lambda i: 0.0, [])


def test_bootstrap_of_an_array_is_that_of_its_parts() -> None:
    values = np.random.default_rng(0).normal(size=(30, 2))
    value, low, high = measures.bootstrap_arrays(lambda i: values[i].mean(axis=0), range(30))
    part = measures.bootstrap_groups(lambda i: values[i, 1].mean(), range(30))
    assert (value[1], low[1], high[1]) == pytest.approx((part.value, part.low, part.high))


@pytest.mark.parametrize("name", ["quick", "full"])
def test_every_cell_of_a_suite_is_asked_once_and_can_be_compared(name: str) -> None:
    cells = make_grid(suite_named(name), [f"v{i}" for i in range(8)], seed=3)
    keys = [cell.key("system") for cell in cells]
    assert len(set(keys)) == len(keys)
    assert cells[0].key("system") != cells[0].key("other system")
    neutral = {(c.text, c.voice) for c in cells if c.label == "neutral"}
    labelled = [c for c in cells if c.part == "category" and c.label != "neutral"]
    assert {c.label for c in labelled} == set(LABELS) - {"neutral"}
    assert {(c.text, c.voice) for c in labelled} <= neutral
    for dimension in DIMENSIONS:
        swept = [c for c in cells if c.part == "sweep" and c.dimension in (dimension, None)]
        values = [c.avd[DIMENSIONS.index(dimension)] for c in swept]
        assert len({(c.text, c.voice) for c in swept}) * len(set(values)) == len(swept)
        assert min(values) == -1.0 and max(values) == 1.0
    places = np.array([c.avd for c in cells if c.part == "point"])
    assert np.allclose(np.sort(places, axis=0), np.sort(places[:, :1], axis=0))  # a Latin hypercube
    assert max(abs(x) for c in cells if c.part == "loop" for x in c.avd) <= 0.8
    conflicts = {(c.words, c.label) for c in cells if c.part == "conflict"}
    assert conflicts == {(w, l) for w in ("cheerful", "mournful") for l in ("happy", "sad")}
    assert len(cells) < 160 or name == "full"
    assert len({c.voice for c in cells}) == (4 if name == "quick" else 8)


def test_the_texts_were_never_trained_on() -> None:
    from emotts.reference import REFERENCE_TEXTS

    known = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "recipes" / "sentences").glob("*.txt"))
    assert not [text for text in (*TEXTS, *CHEERFUL, *MOURNFUL, *REFERENCE_TEXTS) if text in known]


def test_an_unknown_suite_is_refused() -> None:
    with pytest.raises(ValueError, match="suite must be one of quick, full"):
        suite_named("medium")


def test_the_first_voices_come_from_different_teachers() -> None:
    assert spread_voices(list("abcde"), list("xxxyz")) == ["a", "d", "e", "b", "c"]


def test_vectors_survive_their_text() -> None:
    vector = np.linspace(-1, 1, 9)
    assert unpack(pack(vector)) == pytest.approx(vector, abs=1e-3)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return evaluate(EchoTTS(), echo_listener(), TINY, tmp_path_factory.mktemp("echo"), "s", seed=1)


def line_of(report: dict[str, Any], name: str, judge: str = "") -> dict[str, Any]:
    (line,) = [line for line in report["table"] if line["name"] == name and line["judge"] == judge]
    return line


def test_a_model_that_does_what_is_asked_scores_one(rows: list[dict[str, Any]], few_resamples: None) -> None:
    report = summarise(rows, JUDGES)
    for name, value in {
        "recall": 1.0,
        "macro-F1": 1.0,
        "arousal: Spearman": 1.0,
        "valence: CCC": 1.0,
        "dominance: linearity": 1.0,
        "order by place": 1.0,
        "order by probability": 1.0,
        "valence follows the request, not the words": 1.0,
        "emotion similarity": 1.0,
    }.items():
        # the window of a short tone lets its neighbours in by a few thousandths
        assert line_of(report, name, "features")["values"]["emotts"]["value"] == pytest.approx(value, abs=0.02), name
    assert line_of(report, "arousal: slope", "recognizer")["values"]["emotts"]["value"] == pytest.approx(0.9, abs=0.02)
    leak = np.array([[cell["value"] for cell in row] for row in report["leak"]["features"]])
    assert leak == pytest.approx(np.eye(3), abs=0.02)
    assert line_of(report, "WER, emotional (%)")["values"]["emotts"]["value"] == 0.0
    assert line_of(report, "speaker similarity, neutral")["values"]["emotts"]["value"] > 0.99
    targets = {line["name"]: line["is_met"] for line in report["table"] if line["at_least"] is not None}
    # an open loop without error cannot be halved
    assert targets.pop("closed loop: error divided by") is False and list(targets.values()) == [True] * 4


def test_a_leak_and_lost_words_are_seen(tmp_path: Path, few_resamples: None) -> None:
    slope = [[0.6, 0.0, 0.3], [0.0, 0.7, 0.0], [0.0, 0.0, 0.5]]  # asked arousal also raises heard dominance
    report = summarise(evaluate(EchoTTS(slope), echo_listener(wrong_words=1), TINY, tmp_path, "s"), JUDGES)
    leak = np.array([[cell["value"] for cell in row] for row in report["leak"]["features"]])
    assert leak == pytest.approx(np.array(slope), abs=0.02)
    assert line_of(report, "closed loop: error divided by", "features")["values"]["emotts"]["value"] > 2.0
    neutral = [row for row in read_rows(tmp_path / RESULTS).values() if row["label_asked"] == "neutral"]
    expected = 100.0 * len(neutral) / sum(len(row["text"].split()) for row in neutral)
    assert line_of(report, "WER, neutral (%)")["values"]["emotts"]["value"] == pytest.approx(expected, abs=1e-3)


def test_judges_know_the_neutral_voice_before_they_judge(tmp_path: Path, few_resamples: None) -> None:
    odd = EchoTTS(bias=(0.3, -0.2, 0.1))  # a voice that sounds aroused when it is neutral
    report = summarise(evaluate(odd, echo_listener(), MINI, tmp_path, "s"), JUDGES)
    assert line_of(report, "recall", "features")["values"]["emotts"]["value"] == 1.0
    assert line_of(report, "valence: CCC", "features")["values"]["emotts"]["value"] > 0.95
    assert grid_scores(odd, EchoJudge("recognizer"))["recall"] == 1.0


def test_what_no_corpus_was_given_for_is_not_measured(rows: list[dict[str, Any]], few_resamples: None) -> None:
    report = summarise(rows, JUDGES)
    assert all(
        line["values"]["teacher"] is None and line["values"]["copy synthesis"] is None for line in report["table"]
    )


def test_results_carry_the_names_of_versa(rows: list[dict[str, Any]]) -> None:
    whole = [row for row in rows if row["label_asked"] == "happy" and row["intensity_asked"] == 1.0]
    names = {"ref_text", "whisper_hyp_text", "whisper_wer_delete", "whisper_wer_insert", "whisper_wer_replace", "whisper_wer_equal",
             "dns_overall", "spk_similarity", "emotion_similarity"}  # fmt: skip
    assert whole and all(names <= row.keys() for row in whole if row["part"] == "category")


class Killed(EchoTTS):
    """Dies in the middle of the grid, as a process does."""

    def speak(self, text: str, request: Any) -> Any:
        if self.n_spoken == 7:
            raise KeyboardInterrupt
        return super().speak(text, request)


def test_a_killed_run_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    whole = evaluate(EchoTTS(), echo_listener(), MINI, tmp_path / "whole", "s", seed=1)
    with pytest.raises(KeyboardInterrupt):
        evaluate(Killed(), echo_listener(), MINI, tmp_path, "s", seed=1)
    with (tmp_path / RESULTS).open("a") as file:
        file.write('{"key": "cut short')  # the kill hit a line
    tts = EchoTTS()
    again = evaluate(tts, echo_listener(), MINI, tmp_path, "s", seed=1)
    assert tts.n_spoken == len(again) - 7
    timeless = [[{**row, "rtf": 0} for row in part] for part in (again, whole)]
    assert timeless[0] == timeless[1]
    lines = (tmp_path / RESULTS).read_text().splitlines()
    assert [json.loads(line) for line in lines] == again
    assert evaluate(tts, echo_listener(), MINI, tmp_path, "s", seed=1) == again
    assert tts.n_spoken == len(again) - 7  # nothing was made twice
    evaluate(tts, echo_listener(), MINI, tmp_path, "another checkpoint", seed=1)
    assert tts.n_spoken == 2 * len(again) - 7


def test_the_digest_follows_the_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"one")
    first = system_digest([tmp_path])
    assert system_digest([tmp_path]) == first
    (tmp_path / "weights.bin").write_bytes(b"two")
    assert system_digest([tmp_path]) != first


class Silent(EchoTTS):
    """Says nothing when it should be sad."""

    def speak(self, text: str, request: Any) -> Any:
        for chunk in super().speak(text, request):
            if request.emotion.label == "sad":
                chunk.waveform[:] = 0.0
            yield chunk


def test_an_utterance_that_cannot_be_judged_is_told_and_left_out(tmp_path: Path, few_resamples: None) -> None:
    report = summarise(evaluate(Silent(), echo_listener(), MINI, tmp_path, "s"), JUDGES)
    assert len(report["failed"]) == 3  # one category, two conflicts
    assert all("silent" in failure["error"] for failure in report["failed"])
    assert line_of(report, "recall", "features")["values"]["emotts"]["value"] == 1.0


def test_similarities_leave_the_row_itself_out() -> None:
    def row(text: str, label: str, embedding: list[float], speaker: list[float]) -> dict[str, Any]:
        facts = {
            "system": "emotts",
            "part": "category",
            "text": text,
            "voice": "v",
            "label_asked": label,
            "intensity_asked": 1.0,
        }
        return {**facts, "embedding_one": pack(np.array(embedding)), "speaker_embedding": pack(np.array(speaker))}

    rows = [
        row("a", "neutral", [1, 0, 0], [1, 0]),
        row("b", "neutral", [0, 0, 1], [0, 1]),
        row("a", "happy", [1, 1, 0], [1, 0]),
        row("b", "happy", [0, 1, 1], [1, 0]),
    ]
    first, _, happy, _ = add_similarities(rows, ["one"])
    assert first["spk_similarity"] == 0.0  # only the other neutral is its reference
    assert happy["spk_similarity"] == pytest.approx(0.5**0.5, abs=1e-4)
    assert happy["emotion_similarity"] == pytest.approx(1.0)  # both shifts are (0, 1, 0)
    assert "emotion_similarity" not in first


class PageReader(HTMLParser):
    """Collects tags and what they point at."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "data", "action", "srcset")]


def test_the_page_stands_alone_and_escapes_what_was_said(rows: list[dict[str, Any]], few_resamples: None) -> None:
    hostile = '<script>alert("1")</script> & "quotes"'
    rows = [{**row, "text": hostile if row["text"] == TEXTS[0] else row["text"]} for row in rows]
    report = {"suite": "quick", "seed": 0, "checkpoint": "<b>x</b>", "date": "d", "seconds": 1.0, "judges": JUDGES}
    report |= summarise(rows, JUDGES)
    clips = make_clips(EchoTTS(), rows, "features")
    page = render(report, rows, clips)
    reader = PageReader()
    reader.feed(page)
    assert "script" not in reader.tags and "<b>x</b>" not in page
    assert hostile not in page and "&lt;script&gt;" in page
    assert reader.links and all(link.startswith("data:audio/mpeg;base64,") for link in reader.links)
    assert not re.search(r"url\(|@import|https?://", page)
    assert reader.tags.count("audio") == sum(map(len, clips.values())) >= 12 + 3
    assert reader.tags.count("svg") == 2 * 3 + 2 * 3 + 2  # scatters, curves, confusions
    assert "width=device-width" in page and "prefers-color-scheme: dark" in page
    assert page.count("not measured") >= 2 * len(report["table"])
    assert not re.search(r"\bnan\b", page)


def test_grid_scores_tell_a_good_model_from_a_bad_one() -> None:
    good = grid_scores(EchoTTS(), EchoJudge("recognizer"))
    weak = grid_scores(EchoTTS(0.3 * np.eye(3)), EchoJudge("recognizer"))
    mute = grid_scores(Mute(), EchoJudge("recognizer"))
    assert good["recall"] == 1.0 and good["score"] > 0.97 and good["label_place"] == pytest.approx(1.0, abs=0.02)
    assert weak["label_place"] == pytest.approx(0.3, abs=0.02)
    assert mute["unheard"] == 1.0 and mute["score"] == -1.0
    assert good["score"] > weak["score"] > mute["score"]


class Mute(EchoTTS):
    """A model at its first step."""

    def speak(self, text: str, request: Any) -> Any:
        for chunk in super().speak(text, request):
            chunk.waveform[:] = 0.0
            yield chunk


@pytest.fixture
def small_corpus(tmp_path: Path) -> Path:
    """Nine recorded rows of the test split, with audio of the length that their frames say, and three of another split."""
    from emotts.audio import SPEC, save_audio

    folder = write_corpus(tmp_path)
    lines = []
    for i, line in enumerate((folder / "manifest.jsonl").read_text().splitlines()):
        row = json.loads(line) | {"split": "train" if i % 4 == 0 else "test", "voice": "ada", "intensity": 1.0}
        tts = EchoTTS()
        wave = tts.synthesize("Hi.", voice="ada", emotion=row["label"] or "calm", seed=1).waveform
        save_audio(folder / row["audio"], wave[: row["n_frames"] * SPEC.hop_length])
        lines.append(json.dumps(row) + "\n")
    (folder / "manifest.jsonl").write_text("".join(lines))
    return folder


def test_the_ceiling_stands_in_the_same_table(small_corpus: Path, tmp_path: Path, few_resamples: None) -> None:
    tts = EchoTTS()
    copied = []

    def vocoder(mel: torch.Tensor, f0: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        copied.append((mel.shape[1:], f0.shape[1:]))
        time = torch.arange(f0.shape[1] * 256) / 24_000
        return (0.1 * torch.sin(2 * torch.pi * 1_500.0 * time) + 0.1 * torch.sin(2 * torch.pi * 150.0 * time))[None]

    tts.vocoder = vocoder  # type: ignore[assignment]
    rows = evaluate(tts, echo_listener(), MINI_WITH_CEILING, tmp_path / "out", "s", corpus=small_corpus)
    taken = [row for row in rows if row["system"] == "teacher"]
    assert len(taken) == 6 and len(copied) == 6 + 4 and all(mel == (frames, 100) for mel, (frames,) in copied)
    assert {row["label_asked"] for row in taken} == {None, "happy"}  # all four neutral rows are the judges' references
    report = summarise(rows, JUDGES)
    values = line_of(report, "recall", "features")["values"]
    assert values["teacher"]["value"] == 1.0 > values["copy synthesis"]["value"]
    assert line_of(report, "real-time factor")["values"]["teacher"] is None
    assert report["n_utterances"]["copy synthesis"] == 6


def test_a_corpus_without_a_test_split_is_refused(small_corpus: Path, tmp_path: Path) -> None:
    manifest = small_corpus / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"split": "test"', '"split": "valid"'))
    with pytest.raises(ValueError, match="no rows in its test split"):
        evaluate(EchoTTS(), echo_listener(), MINI_WITH_CEILING, tmp_path / "out", "s", corpus=small_corpus)


def settings(**options: Any) -> argparse.Namespace:
    usual = {
        "suite": "quick",
        "checkpoint": None,
        "out": None,
        "corpus": None,
        "recordings": None,
        "seed": 0,
        "device": "cpu",
        "backend": None,
        "json": False,
    }
    return argparse.Namespace(**{**usual, **options})


def test_the_command_writes_three_files_and_prints_the_targets(
    tmp_path: Path, monkeypatch: Any, capsys: Any, few_resamples: None
) -> None:
    from emotts import judges

    (tmp_path / "weights").mkdir()
    monkeypatch.setattr(judges, "load_judge", EchoJudge)
    monkeypatch.setattr(judges, "bundled_judge", lambda name: tmp_path / "weights")
    monkeypatch.setattr(listen, "load_listener", lambda found: echo_listener(list(found)))
    monkeypatch.setattr(EmoTTS, "from_pretrained", classmethod(lambda *_: EchoTTS()))
    monkeypatch.setitem(grid.SIZES, "quick", MINI)
    monkeypatch.setattr(knobs, "knobs_of", lambda tts: [knobs.KNOBS[name] for name in ("arousal", "speed", "seed")])
    out = tmp_path / "out"
    command.evaluate(settings(out=str(out), checkpoint=str(tmp_path / "weights")))
    printed = capsys.readouterr().out
    assert "arousal: Spearman" in printed and "at least 0.85: met" in printed and str(out / "report.html") in printed
    assert {path.name for path in out.iterdir()} == {"results.jsonl", "report.json", "report.html"}
    report = json.loads((out / "report.json").read_text())
    assert [control["name"] for control in report["controls"]] == ["arousal", "speed", "seed"]
    assert (
        report["controls"][0]["means"] == sorted(report["controls"][0]["means"]) and not report["controls"][2]["means"]
    )
    assert "Every control" in (out / "report.html").read_text()
    assert report["judges"] == JUDGES and report["n_utterances"]["emotts"] == len(
        (out / RESULTS).read_text().splitlines()
    )
    command.evaluate(settings(out=str(out), checkpoint=str(tmp_path / "weights"), json=True))
    assert json.loads(capsys.readouterr().out)["table"] == report["table"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out": __file__}, "is a file; give a folder"),
        ({"corpus": "nowhere"}, "has no manifest.jsonl"),
        ({"seed": -1}, "--seed must be a whole number"),
        ({"checkpoint": "nowhere"}, "nowhere"),
    ],
)
def test_mistakes_are_told_before_anything_is_made(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        command.evaluate(settings(**options))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "PACKAGES", ("json", "no_such_package"))
    with pytest.raises(FileNotFoundError, match="needs the packages no_such_package; install"):
        listen.load_listener([])


def test_grid_scores_run_on_an_untrained_model_and_are_the_same_twice(tiny_checkpoint: Path) -> None:
    tts = EmoTTS.from_pretrained(tiny_checkpoint)
    first, again = (grid_scores(tts, EchoJudge("recognizer"), n_points=3) for _ in range(2))
    assert first == again and all(np.isfinite(value) for value in first.values())
    assert first["score"] < 0.5  # noise is not what was asked
