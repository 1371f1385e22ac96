"""benchmarks/attention.py runs without a GPU at tiny sizes, and finds in its rows where the kernel wins."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import attention as bench


def row(arm: str, batch: int, frames: int, microseconds: float) -> bench.Row:
    return bench.Row(bench.Shape(batch, 4, frames, False), arm, microseconds, 0.0, 0.0)


def test_it_runs_without_a_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "attention.json"
    assert bench.main(["--quick", "--output", str(path)]) == 0
    assert "| batch | heads | frames | lengths | fused us | math us | gain | error |" in capsys.readouterr().out
    facts = json.loads(path.read_text())
    assert facts["machine"]["device"] and len(facts["rows"]) == 2 * 2 * 2 * 2
    # float32 against float64: a few roundings
    assert all(measured["error"] < 1e-5 and measured["microseconds"] > 0 for measured in facts["rows"])


def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.torch.cuda, "is_available", lambda: False)
    assert bench.main([]) == 2
    assert "no CUDA GPU here" in capsys.readouterr().err


def test_the_table_of_wins_claims_only_what_was_measured() -> None:
    rows = [row("flash", b, t, 10.0) for b in (1, 2) for t in (100, 500)]
    rows += [
        row("fused", 1, 100, 5.0),
        row("fused", 1, 500, 8.0),
        row("fused", 2, 100, 9.0),
        row("fused", 2, 500, 12.0),
    ]
    assert bench.wins(rows) == [(1, 500), (2, 100)]
    assert bench.wins([*rows, row("short", 2, 500, 1.0)]) == [
        (1, 500),
        (2, 100),
    ]  # a tile held fast is not what users get
    assert bench.wins([row("fused", 1, 100, 10.0), row("flash", 1, 100, 10.2)]) == []  # within 5 %


def test_the_tables_gain_is_over_the_best_other() -> None:
    rows = [row("fused", 1, 100, 5.0), row("flash", 1, 100, 10.0), row("cudnn", 1, 100, 8.0)]
    assert "| 1 | 4 | 100 | equal | 5.0 | 10.0 | 8.0 | 1.60 | 0.0e+00 |" in bench.table(rows)
