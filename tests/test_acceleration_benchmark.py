"""benchmarks/backends.py measures fresh processes and says which backends lose nothing."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import backends as bench


def test_it_times_backends_in_fresh_processes(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTTS_CHECKPOINT", str(tiny_checkpoint))
    path = tmp_path / "backends.json"
    options = ["--quick", "--timed", "2", "--judged", "0", "--threads", "1", "--backends", "plain,onnx"]
    assert bench.main([*options, "--output", str(path)]) == 0
    facts = json.loads(path.read_text())
    assert [(row["backend"], row["threads"]["1"]["runs"]) for row in facts["rows"]] == [("plain",) * 2, ("onnx",) * 2]
    times = [row["threads"]["1"] for row in facts["rows"]]
    assert all(0.0 < t["rtf_quartiles"][0] <= t["rtf"] <= t["rtf_quartiles"][1] and t["memory_mb"] > 50 for t in times)
    assert "| plain | " in capsys.readouterr().out and path.with_suffix(".md").is_file()


def row(name: str, dnsmos: float, wer: float) -> dict[str, Any]:
    return {"backend": name, "dnsmos": [dnsmos, 0.0, 9.0], "wer_percent": [wer, 0.0, 9.0]}


def test_a_loss_is_told() -> None:
    rows = [
        row("plain", 3.0, 2.0),
        row("fine", 2.985, 2.25),
        row("dull", 2.97, 2.0),
        row("wrong", 3.1, 2.4),
        {"backend": "compile"},
    ]
    assert bench.within_bounds(rows) == {"plain": True, "fine": True, "dull": False, "wrong": False}


def test_plain_must_be_among_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--backends", "int8"]) == 2
    assert bench.main(["--backends", "plain,fp8"]) == 2
    assert "must name some of plain, bf16, int8, onnx, compile" in capsys.readouterr().err
