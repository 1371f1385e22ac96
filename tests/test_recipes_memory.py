"""Recipes whose batches do not fit into memory: computed in parts, a step has the losses that it has as a whole."""

import json
import math
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from emotts.training import Trainer
from emotts.training.parts import n_rows

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "recipes"))

from start import options_of  # noqa: E402

STEPS = ("log_every=1", "schedule.max_steps=1")
OPTIONS = {
    "train_acoustic": ("max_frames=512", *STEPS),
    "train_content": ("max_frames=512", *STEPS),
    "train_speaker": ("max_frames=512", *STEPS),
    "train_vocoder": STEPS,
    "distill_sampler": STEPS,
    "finetune": ("max_steps=1", "valid_every=1", "vocoder_steps=0"),
}


def run(recipe: str, *options: str) -> None:
    given = options_of(recipe, ["smoke=true", *options])
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose(recipe, overrides=given)
    import_module(recipe).main(config)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the recipes need beside a corpus: an acoustic model and a bundle of it."""
    folder = tmp_path_factory.mktemp("memory")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for recipe in ("train_acoustic", "train_vocoder", "distill_sampler", "bundle"):
            run(recipe)
    return folder


@pytest.mark.parametrize("recipe", OPTIONS)
def test_a_step_in_parts_has_the_losses_of_the_whole(
    recipe: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    run(recipe, *OPTIONS[recipe], f"output={tmp_path}/whole")
    fit, sizes = Trainer.fit, []

    def small(self: Any, batch_of: Any, losses_of: Any, *others: Any, **named: Any) -> Any:
        def bounded(model: Any, batch: Any, generator: torch.Generator) -> Any:
            sizes.append(n_rows(batch))
            if n_rows(batch) > 1 and torch.is_grad_enabled():
                raise torch.OutOfMemoryError("out of memory")
            return losses_of(model, batch, generator)

        return fit(self, batch_of, bounded, *others, **named)

    monkeypatch.setattr(Trainer, "fit", small)
    run(recipe, *OPTIONS[recipe], f"output={tmp_path}/parts")
    assert max(sizes) >= 2 and min(sizes) == 1
    whole, parts = (first_row(tmp_path / name) for name in ("whole", "parts"))
    losses = [
        name for name, value in whole.items() if isinstance(value, float) and name not in ("minutes", "wait_share")
    ]
    assert len(losses) > 2 and all(math.isfinite(whole[name]) for name in losses)
    assert {name: parts[name] for name in losses} == pytest.approx(
        {name: whole[name] for name in losses}, rel=1e-4, abs=1e-5
    )


def first_row(folder: Path) -> dict[str, Any]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return next(row for row in rows if row["split"] == "train")
