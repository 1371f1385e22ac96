"""`emotts doctor` says what runs here, for people and for programs."""

import json
from pathlib import Path

import pytest

from emotts.cli import main


def test_it_tells_backend_reason_and_cache(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("EMOTTS_ATTENTION", "reference")
    assert main(["doctor", "--checkpoint", str(tiny_checkpoint)]) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert rows["attention in float32"].strip() == "reference: EMOTTS_ATTENTION=reference"
    assert rows["checkpoint"].strip() == str(tiny_checkpoint)
    assert main(["doctor", "--json", "--checkpoint", str(tiny_checkpoint)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {"emotts", "Python", "torch", "devices", "kernel compiler", "kernel cache", "matplotlib"} <= facts.keys()
    assert not list(tmp_path.iterdir())  # it looks and leaves nothing behind


def test_a_missing_checkpoint_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--checkpoint", str(tmp_path)]) == 1
    assert "missing: " in capsys.readouterr().out


def test_a_wrong_switch_is_a_mistake(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTTS_ATTENTION", "flash")
    assert main(["doctor"]) == 2
    assert "EMOTTS_ATTENTION must be one of auto, fused, sdpa, reference" in capsys.readouterr().err
