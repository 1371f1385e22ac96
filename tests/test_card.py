"""The model card tells what was recorded and names the rest; what a recipe saved loads, and a part says that it is one."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import tiny_configs

from emotts.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from emotts.checkpoint.card import model_card_text
from emotts.checkpoint.config import build
from emotts.cli import main
from emotts.pipeline import EmoTTS, bundled_checkpoint

FACTS = {
    "recipe": "train_acoustic", "command": "python recipes/train_acoustic.py corpus=runs/x", "commit": "abc1234", "steps": 7,
    "minutes": 1.5, "seed": 3, "hours": 2.25, "licences": ["CC BY 4.0"], "config": {"schedule": {"learning_rate": 0.001}},
}  # fmt: skip


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """An acoustic model as its recipe leaves it: alone, beside metrics of which the last line was cut."""
    config = tiny_configs()["acoustic"]
    save_checkpoint(tmp_path / "run" / "export", {"acoustic": (config, build(config, "acoustic"))}, FACTS)
    rows = [{"step": 5, "split": "valid", "loss": 2.0}, {"step": 7, "split": "valid", "loss": 1.25}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "run" / "metrics.jsonl").write_text(lines + '{"step": 8, "spl')
    return tmp_path / "run" / "export"


def section(card: str, name: str) -> str:
    return card.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]


def test_what_was_recorded_is_told(part: Path) -> None:
    card = model_card_text(part)
    training = section(card, "Training")
    for fact in ("train_acoustic", "python recipes/train_acoustic.py corpus=runs/x", "abc1234", "steps: 7", "seed: 3"):
        assert fact in training
    assert "schedule.learning_rate: 0.001" in training
    assert "hours 2.25, licences CC BY 4.0" in section(card, "Data")
    assert "step 7, loss 1.25" in section(card, "Figures")
    assert "a vocoder that learnt nothing" in section(card, "Limits")
    n = sum(value.numel() for value in load_checkpoint(part)[0]["acoustic"].state_dict().values())
    assert f"| acoustic | {n:,} |" in section(card, "Parts")


def test_what_nobody_recorded_is_named(part: Path) -> None:
    missing = section(model_card_text(part), "Not known")
    for name in ("name", "licence", "licence of the voice ada", "evaluation"):
        assert f"- {name}\n" in missing + "\n"
    assert "command" not in missing and "hours" not in missing


def test_figures_of_an_evaluation_are_told(part: Path, tmp_path: Path) -> None:
    value = {"value": 0.625, "low": 0.5, "high": 0.75, "n": 9}
    table = [{"group": "Words", "name": "WER", "judge": None, "values": {"emotts": value}}]
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"suite": "quick", "date": "2026-01-01", "table": table}))
    card = model_card_text(part, evaluation=report)
    assert "| Words | WER |  | 0.625 | 0.5 to 0.75 |" in card and "- evaluation\n" not in card
    report.write_text("{}")
    with pytest.raises(ValueError, match="no report of `emotts evaluate`"):
        model_card_text(part, evaluation=report)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        model_card_text(part, evaluation=tmp_path / "none.json")
    with pytest.raises(FileNotFoundError, match=r"no metrics\.jsonl"):
        model_card_text(part, run=tmp_path)


def test_hostile_metadata_stays_text(tmp_path: Path) -> None:
    config = tiny_configs()["vocoder"]
    metadata = {"name": "x | <script>alert(1)</script>\n# Fake", "licence": "y" * 5_000, "training": "none"}
    save_checkpoint(tmp_path / "v", {"vocoder": (config, build(config, "vocoder"))}, metadata)
    card = model_card_text(tmp_path / "v")
    assert "<script>" not in card and "\n# Fake" not in card and max(map(len, card.splitlines())) < 500
    assert "- training" in section(card, "Not known")


@pytest.mark.parametrize("corpora", [7, [3], [{"title": "<b>ESD</b>", "hours": "x", "languages": 3, "voices": {}}]])
def test_hostile_facts_of_corpora_stay_text(corpora: object, tmp_path: Path) -> None:
    config = tiny_configs()["vocoder"]
    facts = {"recipe": "train_vocoder", "corpora": corpora, "languages": 5, "metrics": {"<b>": {"x|y": 1.0}, "z": 3}}
    save_checkpoint(tmp_path / "v", {"vocoder": (config, build(config, "vocoder"))}, {"training": {"vocoder": facts}})
    card = model_card_text(tmp_path / "v")
    assert "<b>" not in card and "x/y 1" in section(card, "Figures")


def test_the_card_of_the_bundled_model() -> None:
    card = model_card_text(bundled_checkpoint())
    assert "| heart | female |" in card and "Apache-2.0" in card and "CC0-1.0" in card
    assert "15700" in section(card, "Training") and "command of acoustic" in section(card, "Not known")


def test_the_command_writes_a_file_once(part: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = part / "README.md"
    assert main(["card", str(part), "-o", str(path)]) == 0 and capsys.readouterr().out.strip() == str(path)
    assert path.read_text(encoding="utf-8") == model_card_text(part)
    load_checkpoint(part)  # a card may lie in the folder
    assert main(["card", str(part), "-o", str(path)]) == 2 and "--force" in capsys.readouterr().err
    assert main(["card", str(part), "-o", str(path), "--force"]) == 0
    capsys.readouterr()
    assert main(["card", str(part)]) == 0 and capsys.readouterr().out.startswith("# unknown")
    assert main(["card", str(part.parent)]) == 2 and "not an emotts checkpoint" in capsys.readouterr().err
    assert main(["card", str(part), "-o", str(part / "no" / "card.md")]) == 2 and "make it" in capsys.readouterr().err


def test_an_acoustic_model_alone_speaks_and_says_so_once(part: Path) -> None:
    with pytest.warns(UserWarning, match=r"holds an acoustic model alone.*recipes/bundle\.py") as told:
        tts = EmoTTS.from_pretrained(part)
        assert np.isfinite(tts.synthesize("Hello.", seed=1).waveform).all()
    assert len([one for one in told if "alone" in str(one.message)]) == 1
    assert tts.default_temperature == 0.2 and tts.card.steps == {"acoustic": 7}


def test_parts_joined_speak(part: Path, tmp_path: Path) -> None:
    config = tiny_configs()["vocoder"]
    save_checkpoint(tmp_path / "vocoder", {"vocoder": (config, build(config, "vocoder"))})
    with pytest.raises(CheckpointError, match=r"holds a vocoder, which does not speak; emotts\.load reads it"):
        EmoTTS.from_pretrained(tmp_path / "vocoder")
    acoustic = tiny_configs()["acoustic"]
    modules = {
        "acoustic": (acoustic, load_checkpoint(part)[0]["acoustic"]),
        "vocoder": (config, build(config, "vocoder")),
    }
    save_checkpoint(tmp_path / "whole", modules, {"training": {"acoustic": FACTS}})
    assert EmoTTS.from_pretrained(tmp_path / "whole").synthesize("Hello.", seed=1).duration_s > 0
    assert "abc1234" in model_card_text(tmp_path / "whole")
