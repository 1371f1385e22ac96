"""How a recipe starts: what the command line says goes in, the recipe runs, and a mistake costs one line.

Beside Hydra's own ways: smoke=true takes the options of conf/smoke/<recipe>.yaml, a miniature corpus among them; an option that
does not exist is refused with the nearest one; nothing but parts of emotts may be named by `_target_`.
"""

import difflib
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import hydra
import yaml
from choices import refuse_choice
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, InstantiationException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

CONF = Path(__file__).resolve().parent.parent / "conf"
SMOKE = Path("runs/smoke")
EXTRAS = {"slurm": "hydra/launcher", "sweep": "hydra/sweeper"}


def run(name: str, folder: Path = CONF) -> None:
    """Run recipes/<name>.py with the command line's options over <folder>/<name>.yaml; a sweep minimises what its main returns."""
    spell_out(name, folder)
    if folder == CONF:  # Hydra's own files lie in the output; preparing makes it after it has seen where it lies
        make_output(name, sys.argv[1:])
    recipes = str(Path(__file__).parent)  # where the jobs of a launcher find the recipe
    os.environ["PYTHONPATH"] = os.pathsep.join([recipes, *filter(None, [os.environ.get("PYTHONPATH")])])

    def guarded(config: DictConfig) -> float | None:
        try:
            refuse_foreign_targets(config)
            return import_module(name).main(config)
        except (ValueError, OSError, MemoryError, FloatingPointError, HydraException, OmegaConfBaseException) as error:
            if "HYDRA_FULL_ERROR" in os.environ:
                raise
            sys.exit(f"{name}: error: {told(error, name, folder)}")

    hydra.main(version_base="1.3", config_path=str(folder), config_name=name)(guarded)()


def told(error: Exception, name: str, folder: Path) -> str:
    """Say an error in one line."""
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is missing: give {error.full_key}=... {see(name, folder)}"
    if isinstance(error, InstantiationException):  # in several lines, with the whole of the target
        place = str(error).rpartition("full_key: ")[2].strip() if "full_key: " in str(error) else "a part"
        cause = " ".join(str(error.__cause__ or error).split())
        return f"{place} cannot be made from its _target_ and its values ({cause}). {see(name, folder)}"
    return " ".join(str(error).split())


def see(name: str, folder: Path) -> str:
    """Name the file that says which options a recipe has."""
    return f"See {(folder / name).relative_to(CONF.parent)}.yaml."


def make_output(name: str, arguments: list[str]) -> None:
    """Make the folder that the command line names, of a file the folder around it, or say that it cannot be made.

    Hydra would tell it in forty lines.
    """
    for option in arguments:
        if option.startswith("output=") and "${" not in option:
            try:
                path = Path(option.partition("=")[2])
                (path.parent if path.suffix == ".json" else path).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                sys.exit(f"{name}: error: {option} cannot be written to ({error.strerror}); choose another folder.")


def spell_out(name: str, folder: Path = CONF) -> None:
    """Check the command line and spell smoke=true out in it; for recipes that are Hydra's own mains."""
    try:
        sys.argv[1:] = options_of(name, sys.argv[1:], folder)
    except ValueError as error:
        sys.exit(f"{name}: error: {error}")


def options_of(name: str, arguments: list[str], folder: Path = CONF) -> list[str]:
    """Return the arguments with smoke=true spelt out.

    Raises:
        ValueError: an option or a choice does not exist.
    """
    if "smoke=true" in arguments:
        own = yaml.safe_load((CONF / "smoke" / f"{name}.yaml").read_text(encoding="utf-8"))
        from emotts.data.miniature import write_miniature

        write_miniature(SMOKE)
        given = {key_of(argument) for argument in arguments}
        place = arguments.index("smoke=true")
        arguments[place : place + 1] = [option for option in own if key_of(option) not in given]
    check(name, [argument for argument in arguments if "=" in argument and not argument.startswith("-")], folder)
    return arguments


def check(name: str, options: list[str], folder: Path) -> None:
    """Refuse options that the recipe has not."""
    for option in options:
        refuse_choice(name, option)
    groups = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_dir()}
    chosen = [option for option in options if key_of(option) in groups]
    for option in chosen:
        group, _, choice = option.partition("=")
        there = sorted(path.stem for path in (folder / key_of(group)).glob("*.yaml"))
        if choice not in there and "," not in choice:
            raise ValueError(f"there is no {key_of(group)} {choice!r}; there are {', '.join(there)}.")
    single = [option for option in chosen if "," not in option]  # several are a sweep
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            config = compose(name, overrides=single)
    except HydraException as error:
        told = " ".join(str(error).split()).partition(" Available")[0]
        if "Could not override" in told:
            told = f"{' '.join(single)} is not for {name}: {told}"
        wants = [extra for extra, plugin in EXTRAS.items() if plugin in told]
        raise ValueError(f"{told}; pip install 'emotts[{wants[0]}]'." if wants else told) from None
    known = list(keys(OmegaConf.to_container(config)))
    for option in options:
        key = key_of(option)
        if key in groups or key.startswith("hydra") or key in known:
            continue
        parent = key.rpartition(".")[0]
        if option.startswith("+") and parent in known:
            continue  # a mapping whose keys are free, such as hours of voices
        nearest = difflib.get_close_matches(key, [*known, *groups], 1, 0.0)
        raise ValueError(f"there is no option {key}; the nearest is {nearest[0]}. {see(name, folder)}")


def key_of(option: str) -> str:
    """Return the name of what an option sets, without its value and what Hydra puts before."""
    return option.partition("=")[0].lstrip("+~").partition("@")[0]


def keys(node: Any, before: str = "") -> Iterator[str]:
    """Give the dotted names of everything in a configuration."""
    for name, value in node.items() if isinstance(node, dict) else ():
        yield f"{before}{name}"
        yield from keys(value, f"{before}{name}.")


def is_of_emotts(target: str) -> bool:
    """Whether a dotted name is of something that emotts itself defines, and not of what one of its files imports."""
    try:
        found = get_object(target)
    except Exception:  # it does not exist: instantiate will say so
        return False
    return str(getattr(found, "__module__", "")).partition(".")[0] == "emotts"


def refuse_foreign_targets(config: DictConfig) -> None:
    """Refuse a configuration that would call something else than emotts.

    Raises:
        ValueError: it would.
    """

    def targets(node: Any) -> Iterator[str]:
        for name, value in (
            node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        ):
            if name == "_target_":
                yield str(value)
            yield from targets(value)

    for target in targets(OmegaConf.to_container(config, resolve=False)):
        refuse_foreign(target, "_target_")


def refuse_foreign(target: str, option: str) -> None:
    """Refuse a dotted name of something else than emotts; it is not even imported.

    Raises:
        ValueError: it is one.
    """
    if not (target.startswith("emotts.") and is_of_emotts(target)):
        raise ValueError(f"{option} must name a part of emotts; got {target!r}, which was not called.")
