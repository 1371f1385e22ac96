"""An experiment and a way of debugging are for some recipes; the others refuse them and say for which they are."""

import re
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "recipes"))

import choices  # noqa: E402
from start import options_of  # noqa: E402

TRAINERS = (
    "train_acoustic", "train_vocoder", "train_recognizer", "train_judge", "train_content", "train_speaker", "distill_sampler",
    "finetune", "run_experiment",
)  # fmt: skip


@pytest.mark.parametrize("recipe", TRAINERS)
@pytest.mark.parametrize("experiment", choices.experiments())
def test_an_experiment_is_taken_or_refused_by_a_sentence(recipe: str, experiment: str) -> None:
    option = f"experiment={experiment}"
    fitting = choices.recipes_of(experiment)
    if recipe in fitting:
        options_of(recipe, [option])
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config, plain = compose(recipe, overrides=[option]), compose(recipe)
        assert set(config) == set(plain), "no key that the recipe does not read"
        return
    for given in (option, f"+{option}"):
        with pytest.raises(
            ValueError, match=f"experiment {experiment} is for {', '.join(fitting)}; {recipe} has no part"
        ):
            options_of(recipe, [given])


def test_every_experiment_is_for_recipes_that_its_head_starts_with_it() -> None:
    for experiment in choices.experiments():
        head = (ROOT / f"conf/experiment/{experiment}.yaml").read_text()
        assert set(re.findall(rf"(\w+)\.py experiment={experiment}[ \n]", head)) <= set(choices.recipes_of(experiment))
    assert {"train_acoustic", "distill_sampler"} <= set(choices.recipes_of("simulated_cpu"))
    assert choices.recipes_of("simulated_cpu_converter") == ["train_content", "train_speaker"]


def test_an_experiment_says_what_its_recipe_is_to_do() -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        student = compose("distill_sampler", overrides=["experiment=simulated_cpu"])
        content = compose("train_content", overrides=["experiment=simulated_cpu_converter"])
        voices = compose("train_speaker", overrides=["experiment=simulated_cpu_converter"])
    assert student.teacher == "runs/bundle"
    assert content.acoustic_folder == voices.acoustic_folder == "runs/bundle"
    assert (content.schedule.max_steps, voices.schedule.max_steps) == (5_200, 2_500), "those of checkpoints/converter"


@pytest.mark.parametrize(
    ("recipe", "option", "told"),
    [
        ("run_experiment", "experiment=esd_en", "name= says which experiment it runs"),
        ("finetune", "debug=two_steps", "max_steps=2 valid_every=2 vocoder_steps=1 are two steps of it"),
        ("train_vocoder", "debug=overfit", "debug overfit is for train_acoustic; train_vocoder has no part in it."),
        ("train_acoustic", "debug=overfitt", "there is no debug 'overfitt'; there are none, overfit, two_steps."),
        ("train_acoustic", "experiment=esd_en,esd", "there is no experiment 'esd'; there are avd_semisupervised,"),
        (
            "train_recognizer",
            "experiment=esd_en,esd_bilingual",
            "experiment esd_bilingual is for train_acoustic, train_voc",
        ),
    ],
)
def test_other_choices_are_refused(recipe: str, option: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        options_of(recipe, [option])


def test_what_fits_passes() -> None:
    for recipe, option in (
        ("train_acoustic", "debug=overfit"),
        ("train_speaker", "debug=two_steps"),
        ("finetune", "rank=2"),
    ):
        assert options_of(recipe, [option]) == [option]
    assert options_of("train_acoustic", ["experiment=none", "debug=none"]) == ["experiment=none", "debug=none"]


@pytest.mark.parametrize("experiment", ["esd_en", "esd_bilingual", "libritts_then_esd", "avd_semisupervised"])
def test_hours_on_a_cpu_are_computed_from_the_measured_step(experiment: str) -> None:
    """Steps and frames of the configuration, seconds per 1,000 frames of docs/scale.md."""
    found = re.search(r"per 1,000 mel frames \| ([\d.]+) s", (ROOT / "docs/scale.md").read_text())
    assert found is not None
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train_acoustic", overrides=[f"experiment={experiment}"])
    steps, frames, seconds = config.schedule.max_steps, config.max_frames, float(found[1])
    hours = steps * frames / 1_000.0 * seconds / 3_600.0
    head = " ".join((ROOT / f"conf/experiment/{experiment}.yaml").read_text().replace("\n#", " ").split())
    assert f"not measured; estimate for a CPU: {hours:.0f} core hours of train_acoustic.py" in head
    assert f"{steps:,} steps x {frames:,} frames x {seconds:g} s per 1,000 frames" in head
