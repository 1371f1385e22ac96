"""What recipes publish of themselves, and what they refuse to publish or to call."""

import json
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
sys.path.insert(0, str(RECIPES))

import facts  # noqa: E402
from bundle import check_licence  # noqa: E402
from start import is_of_emotts, refuse_foreign_targets  # noqa: E402


def test_no_folder_of_this_machine_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    argv = [f"{RECIPES}/train_acoustic.py", "corpus=[/home/ada/esd,runs/b]", "output=~/out", "note=a b"]
    monkeypatch.setattr(sys, "argv", argv)
    config = OmegaConf.create({"seed": 1, "corpus": ["/home/ada/esd", "runs/b"], "deep": {"judge": "/data/x/judge"}})
    told = facts.facts_of(config, [])
    assert told["command"] == "python recipes/train_acoustic.py 'corpus=[esd,runs/b]' output=out 'note=a b'"
    assert told["config"] == {"seed": 1, "corpus": ["esd", "runs/b"], "deep": {"judge": "judge"}}
    assert "/home" not in json.dumps(told) and "/data" not in json.dumps(told)


def test_without_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert facts.commit() == "unknown"


def test_open_weights_are_not_made_of_closed_data() -> None:
    trained = {"acoustic": {"licences": ["Apache-2.0", "ESD: research only, signed form"]}, "vocoder": {}}
    with pytest.raises(ValueError, match="acoustic learnt from data under 'ESD: research only"):
        check_licence("Apache-2.0", trained)
    check_licence("ESD: research only, signed form", trained)
    check_licence("Apache-2.0", {"acoustic": {"licences": ["Apache-2.0", "CC0-1.0", "BSD-like"]}})


@pytest.mark.parametrize(
    "target",
    ["os.system", "emotts.training.states.os.mkdir", "emotts.training.states.Path.touch", "emotts.nothing.Here"],
)
def test_only_what_emotts_defines_may_be_called(target: str, tmp_path: Path) -> None:
    assert not is_of_emotts(target)
    with pytest.raises(ValueError, match="which was not called"):
        refuse_foreign_targets(OmegaConf.create({"model": {"_target_": target, "path": str(tmp_path / "made")}}))
    assert not list(tmp_path.iterdir())


def test_what_emotts_defines_may_be_called() -> None:
    refuse_foreign_targets(OmegaConf.create({"a": [{"_target_": "emotts.training.Schedule"}]}))
