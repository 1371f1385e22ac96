"""For which recipes an experiment or a way of debugging is: an option comes in, a refusal in one sentence goes out.

An experiment is for the recipes that it has a file for, conf/experiment/<recipe>/<name>.yaml, or that its head starts with it;
a way of debugging for those that have the group debug and every group that it overrides.
"""

import re
from pathlib import Path

import yaml

CONF = Path(__file__).resolve().parent.parent / "conf"
NONE = "none"
INSTEAD = {  # what does the same in recipes that are no trainers of thousands of steps
    ("finetune", "two_steps"): "max_steps=2 valid_every=2 vocoder_steps=1 are two steps of it",
    ("run_experiment", "experiment"): "name= says which experiment it runs",
}


def experiments() -> list[str]:
    """Return the names of all experiments."""
    return sorted(path.stem for path in (CONF / "experiment").glob("*.yaml") if path.stem != NONE)


def recipes_of(experiment: str) -> list[str]:
    """Return the recipes that an experiment sets something for."""
    head = (CONF / "experiment" / f"{experiment}.yaml").read_text(encoding="utf-8")
    started = re.findall(rf"recipes/(\w+)\.py [^\n]*\bexperiment={experiment}\b(?!_)", head)
    return sorted({path.parent.name for path in (CONF / "experiment").glob(f"*/{experiment}.yaml")} | set(started))


def recipes_with(choice: str) -> list[str]:
    """Return the recipes that can be debugged in a way."""
    told = yaml.safe_load((CONF / "debug" / f"{choice}.yaml").read_text(encoding="utf-8")) or {}
    needed = {"debug"}
    for entry in told.get("defaults", []):
        needed |= {key.removeprefix("override /") for key in entry} if isinstance(entry, dict) else set()
    return sorted(path.stem for path in CONF.glob("*.yaml") if needed <= _groups(path))


def refuse_choice(name: str, option: str) -> None:
    """Refuse experiment= or debug= of a recipe that it is not for; other options pass.

    Args:
        name: of the recipe. option: such as experiment=esd_en; several choices with commas are a sweep.

    Raises:
        ValueError: the choice does not exist or is for other recipes, which are named.
    """
    key, _, given = option.lstrip("+").partition("=")
    if key not in ("experiment", "debug"):
        return
    known = experiments() if key == "experiment" else sorted(path.stem for path in (CONF / "debug").glob("*.yaml"))
    for choice in given.split(","):
        if choice == NONE:
            continue
        if choice not in known:
            raise ValueError(f"there is no {key} {choice!r}; there are {', '.join(known)}.")
        fitting = recipes_of(choice) if key == "experiment" else recipes_with(choice)
        if name not in fitting:
            instead = INSTEAD.get((name, choice)) or INSTEAD.get((name, key))
            raise ValueError(
                f"{key} {choice} is for {', '.join(fitting)}; {name} has no part in it"
                f"{f', but {instead}' if instead else ''}."
            )


def _groups(path: Path) -> set[str]:
    told = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return {key for entry in told.get("defaults", []) if isinstance(entry, dict) for key in entry}
