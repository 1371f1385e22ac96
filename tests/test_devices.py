"""Every trainer on a device that is not the CPU, without having one: batches, frozen parts, validation, samples and export."""

import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from omegaconf import OmegaConf
from other_device import THERE, OtherDevice, WrongDevice, is_there

from emotts.data.miniature import write_miniature

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "recipes"))

RECIPES = {  # in this order, each with what it leaves behind
    "train_acoustic": "acoustic/export/manifest.json",
    "distill_sampler": "student/export/manifest.json",
    "train_vocoder": "vocoder/export/manifest.json",
    "train_content": "content/export/manifest.json",
    "train_speaker": "speaker/export/manifest.json",
    "train_recognizer": "recognizer/export/manifest.json",
}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    write_miniature(folder / "runs/smoke")
    return folder


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_trainer_moves_everything_to_its_device(recipe, workplace, monkeypatch):
    from importlib import import_module

    from hydra import compose, initialize_config_dir
    from start import options_of

    monkeypatch.chdir(workplace)
    monkeypatch.setenv("EMOTTS_ATTENTION", "reference")
    monkeypatch.setattr(sys, "argv", [f"recipes/{recipe}.py", "smoke=true"])
    options = [option for option in options_of(recipe, ["smoke=true"]) if not option.startswith("hydra")]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose(recipe, overrides=options)
    monkeypatch.setattr(Accelerator, "device", property(lambda self: THERE))
    OmegaConf.update(config, "log_every", 1)
    before = OtherDevice.functions
    with OtherDevice():
        import_module(recipe).main(config)
    assert OtherDevice.functions - before > 1_000, "the model was on the other device"
    assert (workplace / "runs/smoke" / RECIPES[recipe]).is_file()


def test_the_device_that_is_not_there_minds_the_same_things():
    model = torch.nn.Linear(3, 2)
    with OtherDevice():
        model.to(THERE)
        x, generator = torch.ones(1, 3), torch.Generator()
        assert all(is_there(p) for p in model.parameters()) and x.device.type == "cpu"
        with pytest.raises(WrongDevice, match="linear"):
            model(x)
        y = model(x.to(THERE))
        assert is_there(y) and y.device == THERE
        with pytest.raises(WrongDevice, match="NumPy"):
            y.detach().numpy()
        y.sum().backward()
        assert y.detach().cpu().numpy().shape == (1, 2)
        with pytest.raises(WrongDevice, match="generator of the CPU"):
            torch.randn(2, generator=generator, device=y.device)
        with pytest.raises(WrongDevice):
            torch.cat([y, torch.zeros(1, 2)])
        with pytest.raises(WrongDevice):
            torch.where(torch.ones(1, 2, dtype=torch.bool), y, 0.0)
        assert is_there(y * torch.tensor(2.0)) and is_there(y[torch.tensor([0])]) and is_there(torch.zeros_like(y))
        assert is_there(torch.zeros(1, 2).copy_(y)) is True
