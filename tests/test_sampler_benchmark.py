"""benchmarks/sampler.py runs without a GPU, and its table of quality counts as it says."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import sampler as bench
import sampler_quality as quality
import student

from emotts.text import phonemize


def test_it_runs_without_a_gpu(tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sampler.json"
    arguments = ["--tiny", "--device", "cpu", "--checkpoint", str(tiny_checkpoint), "--output", str(path)]
    assert bench.main(arguments) == 0
    shown = capsys.readouterr().out
    assert "| what | arm | dtype | batch | ms | ms per NFE | spread | RTF | gain |" in shown
    facts = json.loads(path.read_text())
    assert facts["machine"]["torch"] == torch.__version__ and facts["machine"]["commit"]
    assert [(row["what"].partition(",")[0], row["batch"]) for row in facts["rows"]] == [
        ("mel flow", 1), ("mel flow", 2), ("phonemes to waveform", 1), ("phonemes to waveform", 2),
    ]  # fmt: skip
    for row in facts["rows"]:
        assert row["milliseconds"] > 0 and row["rtf"] == pytest.approx(row["milliseconds"] / 1e3 / row["speech_s"])


def test_the_kept_tokens_are_those_of_the_sentence() -> None:
    kept = json.loads(bench.TOKENS.read_text(encoding="utf-8"))
    assert kept["tokens"] == phonemize(kept["text"])


def test_gain_is_over_the_plain_run_of_the_same_kind() -> None:
    rows = [bench.Row("x", arm, "float32", 1, ms, 0.1, 4, 2.0) for arm, ms in (("eager", 8.0), ("eager + graph", 2.0))]
    assert "| x | eager + graph | float32 | 1 | 2.00 | 0.50 | 10% | 0.00100 | 4.00 |" in bench.table(rows)


class FakeQuality(quality.Quality):
    """Speaks noise that grows with what is missing to 16 calls, and hears it."""

    def __init__(self, cache: Path) -> None:
        def synthesize(text: str, **options: Any) -> Any:
            self.spoken.append(options)
            mel = np.full((5, 3), 1.0 / options["steps"], np.float32)
            return SimpleNamespace(waveform=np.zeros(10, np.float32), sample_rate=24_000, mel=mel)

        self.spoken: list[dict[str, Any]] = []
        self.system = SimpleNamespace(  # type: ignore[assignment]
            tts=SimpleNamespace(student=None, synthesize=synthesize), voices=["a", "b"], digest="x"
        )
        self.file, self.known = cache / "x.jsonl", quality._read_measures(cache / "x.jsonl")
        self.settled = {}
        wrong = {"whisper_wer_delete": 1, "whisper_wer_insert": 1, "whisper_wer_replace": 0, "whisper_wer_equal": 3}
        words = SimpleNamespace(to_dict=lambda: wrong)
        self.__dict__["recogniser"] = SimpleNamespace(word_errors=lambda *_: [words])
        self.__dict__["dnsmos"] = lambda _: SimpleNamespace(to_dict=lambda: {"dns_overall": 3.0})
        self._judge = SimpleNamespace(hear=lambda *_: SimpleNamespace(labels={"neutral": 0.7, "happy": 0.3}))


def test_quality_is_measured_once_for_every_way_and_counted(tmp_path: Path) -> None:
    fakes: list[FakeQuality] = []

    def make(checkpoint: Path | None) -> FakeQuality:
        fakes.append(FakeQuality(tmp_path))
        return fakes[-1]

    rows = quality.measure_quality(None, 12, True, make)
    assert {(row.steps, row.solver, row.schedule, row.nfe) for row in rows} >= {
        (1, "euler", "uniform", 1), (2, "euler", "epss", 2), (2, "heun", "sway", 4), (1, "midpoint", "uniform", 2),
    }  # fmt: skip
    assert len(rows) == 3 + 9
    for row in rows:
        assert row.wer == pytest.approx(2 / 4) and row.dnsmos == 3.0 and row.agreement == pytest.approx(1 / 12)
        assert row.distance == pytest.approx(1 / row.steps - 1 / 64)
    assert all(options["prosody_steps"] == 0 for options in fakes[0].spoken)
    assert "| 2 | 2 | euler | epss | 50.0% | 3.00 | 8% | 0.484 |" in quality.quality_table(rows)
    assert quality.measure_quality(None, 12, True, make) == rows and fakes[1].spoken == []
    file = tmp_path / "x.jsonl"
    file.write_text(file.read_text()[:-20])  # cut short: only that one is measured again
    quality.measure_quality(None, 12, True, make)
    assert len(fakes[2].spoken) == 2


@pytest.mark.parametrize(("loss", "verdict"), [(0.05, ": met."), (0.2, "not met.")])
def test_the_student_is_held_to_its_teacher(loss: float, verdict: str) -> None:
    class Heard:
        system = SimpleNamespace(voices=["a", "b"])

        def hear(self, ask: Any, options: dict[str, Any]) -> dict[str, Any]:
            lost = loss if options["sampler"] == "student" else 0.0
            words = {"whisper_wer_delete": 1, "whisper_wer_insert": 0, "whisper_wer_replace": 0, "whisper_wer_equal": 9}
            return {"asr": words, "dnsmos": {"dns_overall": 3.0 - lost}, "agrees": ask.label == "neutral"}

    bench = Heard()
    rows = student.measure(bench, 12)  # type: ignore[arg-type]
    assert [row["way"] for row in rows] == list(student.WAYS)
    for row in rows:
        lost = loss if row["way"].startswith("student") else 0.0
        assert row["wer"] == pytest.approx(10.0) and row["agreement"] == pytest.approx(1 / 12)
        assert row["dnsmos_change"] == pytest.approx([-lost] * 3, abs=1e-3)
    assert student.table(rows).endswith(verdict)
