"""Configs of modules: to YAML and back, and from `_target_` plus arguments to the object.

The reader treats the text as hostile: no tags, no aliases, bounded size and depth, and a target is matched against an
allow-list before anything is imported.
"""

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

import yaml
from torch import nn

from emotts.checkpoint.layout import CONFIG, MAX_CONFIG_BYTES, MODULE_NAME, CheckpointError, damage

MAX_DEPTH = 24  # levels of nesting: a module within a list within a module is three

# Rooms whose classes a config may name: networks and plain numbers, nothing that reads, writes or runs.
TARGET_ROOMS = ("acoustic", "audio", "content", "emotion", "layers", "prosody", "speaker", "vocoder")
_TARGET = re.compile(
    rf"(?P<module>emotts\.(?:{'|'.join(TARGET_ROOMS)})(?:\.[a-z][a-z0-9_]*)*)\.(?P<name>[A-Z][A-Za-z0-9]*)", re.ASCII
)


def dump_config(configs: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Write configs as YAML.

    Raises:
        ValueError: a value that YAML cannot hold plainly, or a target that the reader would refuse.
    """
    plain = {name: _plain(config) for name, config in configs.items()}
    _check(plain)
    return yaml.dump(plain, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=120).encode()


def parse_config(data: bytes) -> dict[str, dict[str, Any]]:
    """Read what `dump_config` wrote and check every target in it.

    Raises:
        CheckpointError: not such a text.
    """
    if len(data) > MAX_CONFIG_BYTES:
        raise damage(CONFIG, f"has {len(data)} bytes; expected at most {MAX_CONFIG_BYTES}")
    try:
        _scan(data)
        configs = yaml.safe_load(data)
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError, OverflowError, TypeError) as error:
        raise damage(CONFIG, f"is not plain YAML ({type(error).__name__})") from None
    except ValueError as error:  # such as a date of month 13
        raise error if isinstance(error, CheckpointError) else damage(CONFIG, "is not plain YAML") from None
    if not isinstance(configs, dict) or not configs:
        raise damage(CONFIG, "must map the name of each module to its config")
    for name, config in configs.items():
        if not isinstance(name, str) or not MODULE_NAME.fullmatch(name) or not isinstance(config, dict):
            raise damage(CONFIG, f"must map names of lower-case letters to configs; got {name!r:.60}")
    _check(configs)
    return configs


def build(config: Mapping[str, Any], name: str) -> nn.Module:
    """Build the module that a checked config describes.

    Raises:
        CheckpointError: the target does not exist, is no network, or does not take these arguments.
    """
    module = _instantiate(config, name)
    if not isinstance(module, nn.Module):
        raise damage(CONFIG, f"{name} must be a network; got {type(module).__name__}")
    return module


def _scan(data: bytes) -> None:
    """Refuse aliases and deep nesting while the text is still a stream of events; both make a small text expensive."""
    depth = 0
    for event in yaml.parse(data, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise damage(CONFIG, "uses YAML aliases, which are not read")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise damage(CONFIG, f"is nested deeper than {MAX_DEPTH} levels")


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True  # the reader refuses aliases


def _plain(value: Any) -> Any:
    """Copy a config, of Hydra too, into dicts, lists and scalars."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    raise ValueError(f"a config holds numbers, texts, lists and mappings; got {type(value).__name__}.")


def _check(value: Any) -> None:
    """Walk a config and refuse odd keys and targets outside the allow-list, before anything is imported."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise damage(CONFIG, "has an argument whose name is not a text")
        target = value.get("_target_")
        if "_target_" in value and (not isinstance(target, str) or not _TARGET.fullmatch(target)):
            allowed = ", ".join(f"emotts.{room}" for room in TARGET_ROOMS)
            raise damage(
                CONFIG, f"_target_ must be a class in {allowed}; got {target!r:.80}", "Do not trust this checkpoint"
            )
        for item in value.values():
            _check(item)
    elif isinstance(value, list):
        for item in value:
            _check(item)


def _instantiate(value: Any, where: str) -> Any:
    if isinstance(value, list):
        return [_instantiate(item, where) for item in value]
    if not isinstance(value, dict):
        return value
    arguments = {key: _instantiate(item, f"{where}.{key}") for key, item in value.items() if key != "_target_"}
    if "_target_" not in value:
        return arguments
    factory = _resolve(value["_target_"])
    try:
        return factory(**arguments)
    except Exception as error:
        problem = f"{where} cannot be built from its arguments ({type(error).__name__}: {error})"
        raise damage(CONFIG, problem, "Install the emotts version that wrote it") from error


def _resolve(target: str) -> type:
    match = _TARGET.fullmatch(target)
    assert match is not None, "_check comes first"
    try:
        found = getattr(importlib.import_module(match["module"]), match["name"])
    except (ImportError, AttributeError):
        raise damage(CONFIG, f"{target} does not exist", "Install the emotts version that wrote it") from None
    is_own = isinstance(found, type) and found.__module__ == match["module"]  # not something that it imported
    if not is_own or not (issubclass(found, nn.Module) or is_dataclass(found)):
        raise damage(CONFIG, f"{target} is neither a network nor a dataclass of emotts", "Do not trust this checkpoint")
    return found
