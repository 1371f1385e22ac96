"""Checkpoints: what is saved comes back, what is damaged is refused by name, a killed writer leaves a whole folder."""

import base64
import hashlib
import json
import os
import random
import shutil
import signal
import struct
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from emotts.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from emotts.layers import TimeEmbedding
from emotts.speaker import VoiceTable

VOICES = {"_target_": "emotts.speaker.table.VoiceTable", "names": ["ada", "max"], "dim": 8}
TIME = {"_target_": "emotts.layers.TimeEmbedding", "channels": 16}


def write(folder: Path, fill: float | None = None, **options) -> dict[str, nn.Module]:
    modules: dict[str, nn.Module] = {"voices": VoiceTable(["ada", "max"], 8), "time": TimeEmbedding(16)}
    for module in modules.values() if fill is not None else ():
        for parameter in module.parameters():
            nn.init.constant_(parameter, fill)
    metadata = {"recipe": "recipes/train_acoustic.py", "metrics": {"loss": 0.5}}
    save_checkpoint(
        folder, {"voices": (VOICES, modules["voices"]), "time": (TIME, modules["time"])}, metadata, **options
    )
    return modules


def weights_of(modules: dict[str, nn.Module]) -> dict[str, torch.Tensor]:
    return {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}


def assert_equal(left: dict[str, nn.Module], right: dict[str, nn.Module]) -> None:
    a, b = weights_of(left), weights_of(right)
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "model")
    return tmp_path / "model"


def rewrite_manifest(folder: Path) -> None:
    """Make the manifest agree with the files, so that the checks behind it are reached."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        data = (folder / name).read_bytes()
        manifest["files"][name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


# What is saved comes back


def test_load_returns_what_was_saved_in_eval_mode(tmp_path: Path) -> None:
    modules = write(tmp_path / "model")
    loaded, metadata = load_checkpoint(tmp_path / "model")
    assert_equal(loaded, modules)
    assert not any(module.training for module in loaded.values())
    assert metadata == {"recipe": "recipes/train_acoustic.py", "metrics": {"loss": 0.5}}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]


def test_saving_what_was_loaded_gives_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a")
    modules = load_checkpoint(tmp_path / "a")[0]
    save_checkpoint(tmp_path / "b", {"voices": (VOICES, modules["voices"]), "time": (TIME, modules["time"])})
    for name in ("config.yaml", "voices.safetensors", "time.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_half_precision_files_load_as_float32_within_its_rounding(tmp_path: Path) -> None:
    modules = write(tmp_path / "model", dtype=torch.float16)
    loaded = weights_of(load_checkpoint(tmp_path / "model")[0])
    assert (tmp_path / "model" / "time.safetensors").stat().st_size < 2 * 1024 * 2
    for key, value in weights_of(modules).items():
        assert loaded[key].dtype == torch.float32
        torch.testing.assert_close(loaded[key], value, rtol=2**-11, atol=2**-24)  # half precision: 11 bits


def test_a_large_module_is_split_and_joined(tmp_path: Path) -> None:
    modules = write(tmp_path / "model", max_shard_bytes=1_500)
    shards = sorted((tmp_path / "model").glob("time-*.safetensors"))
    assert [s.name for s in shards] == ["time-00001.safetensors", "time-00002.safetensors"]
    assert all(s.stat().st_size <= 1_500 for s in shards)
    assert_equal(load_checkpoint(tmp_path / "model")[0], modules)


def test_nested_modules_and_dataclasses_are_built(tmp_path: Path) -> None:
    from emotts.audio import AudioSpec, LogMel

    config = {"_target_": "emotts.audio.LogMel", "spec": {"_target_": "emotts.audio.AudioSpec", "n_mels": 40}}
    save_checkpoint(tmp_path / "model", {"mel": (config, LogMel(AudioSpec(n_mels=40)))})
    assert load_checkpoint(tmp_path / "model")[0]["mel"](torch.zeros(1, 4_096)).shape[-1] == 40


def test_a_new_save_replaces_the_old_and_keeps_the_card(folder: Path) -> None:
    (folder / "README.md").write_text("# Card")
    modules = write(folder, fill=2.0, max_shard_bytes=1_500)
    assert_equal(load_checkpoint(folder)[0], modules)
    assert (folder / "README.md").read_text() == "# Card"
    assert not (folder / "time.safetensors").exists()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e6])
def test_weights_that_do_not_fit_are_not_written(tmp_path: Path, bad: float) -> None:
    with pytest.raises(ValueError, match="embedding.weight is not finite"):
        write(tmp_path / "model", fill=bad, dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_target_or_name_is_refused_at_the_door(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="_target_ must be a class in emotts"):
        save_checkpoint(tmp_path / "model", {"x": ({"_target_": "torch.nn.Linear"}, nn.Linear(1, 1))})
    with pytest.raises(ValueError, match="module name must be"):
        save_checkpoint(tmp_path / "model", {"../x": (TIME, TimeEmbedding(16))})
    with pytest.raises(ValueError, match="got set"):
        save_checkpoint(tmp_path / "model", {"x": ({**TIME, "channels": {1, 2}}, TimeEmbedding(16))})
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_not_here_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match="device must be cpu, cuda or cuda:N; got 'abacus'"):
        load_checkpoint(folder, "abacus")


# What is damaged is refused by name


def edit_config(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "config.yaml").write_text(text) and rewrite_manifest(folder)


def edit_time(config: str) -> Callable[[Path], None]:
    """Give the module `time` another config and leave the module `voices` as it is."""
    return edit_config(f"time: {config}\nvoices: {json.dumps(VOICES)}")


def edit_manifest(**changes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))

    return change


def list_file(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder.parent / "secret.safetensors").write_bytes(b"secret")
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"][name] = {"size": 6, "sha256": hashlib.sha256(b"secret").hexdigest()}
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return change


def edit_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / "time.safetensors")
        change(tensors)
        save_file(tensors, folder / "time.safetensors")
        rewrite_manifest(folder)

    return edit


def set_bytes(data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / "time.safetensors").write_bytes(data) and rewrite_manifest(folder)


def link(folder: Path) -> None:
    (folder / "time.safetensors").rename(folder.parent / "elsewhere")
    (folder / "time.safetensors").symlink_to(folder.parent / "elsewhere")


FILES = ("config.yaml", "voices.safetensors", "time.safetensors")
BOMB = "a: &a [x, x, x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
PICKLE = base64.b64decode("gASVGwAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjARleGl0lIWUUpQu")  # os.system("exit")
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "is not an emotts checkpoint: expected manifest.json"),
    "manifest not JSON": (lambda f: (f / "manifest.json").write_text("{"), "manifest.json: is not JSON"),
    "manifest nested": (lambda f: (f / "manifest.json").write_text("[" * 100_000), "manifest.json: is not JSON"),
    "manifest a list": (lambda f: (f / "manifest.json").write_text("[]"), "must be a JSON object"),
    "manifest huge": (lambda f: (f / "manifest.json").write_text(" " * 2_000_000), "expected at most 1048576"),
    "newer format": (edit_manifest(format=2), "has format 2; this version reads 1. Install the emotts version"),
    "no files": (edit_manifest(files=[]), "must hold the objects 'files'"),
    "entry without size": (
        edit_manifest(files=dict.fromkeys(FILES, {"sha256": ""})),
        "must give size and sha256 of config.yaml",
    ),
    "entry a text": (edit_manifest(files=dict.fromkeys(FILES, "x")), "must give size and sha256"),
    "path traversal": (list_file("../secret.safetensors"), "lists '../secret.safetensors'"),
    "absolute path": (list_file("/etc/passwd"), "lists '/etc/passwd'"),
    "NUL in name": (list_file("a\0.safetensors"), "lists 'a"),
    "Windows path": (list_file("..\\secret.safetensors"), "lists '..\\\\secret"),
    "listed pickle": (list_file("time.pt"), "lists 'time.pt'"),
    "foreign file": (
        lambda f: (f / "model.pt").write_bytes(PICKLE),
        "'model.pt': is not listed in manifest.json. Remove it",
    ),
    "symbolic link": (link, "time.safetensors: is a link"),
    "folder for a file": (
        lambda f: (f / "time.safetensors").unlink() or (f / "time.safetensors").mkdir(),
        "time.safetensors: is a link or a folder",
    ),
    "missing file": (lambda f: (f / "time.safetensors").unlink(), "time.safetensors: is missing"),
    "truncated": (
        lambda f: os.truncate(f / "time.safetensors", 100),
        "time.safetensors: has 100 bytes; manifest.json says",
    ),
    "pickle for weights": (set_bytes(PICKLE), "time.safetensors: is not safetensors"),
    "header of 2^63 bytes": (set_bytes(struct.pack("<Q", 2**63) + b"{}"), "time.safetensors: is not safetensors"),
    "empty weights": (set_bytes(b"\2\0\0\0\0\0\0\0{}"), "time.safetensors: lacks the weight network.0.bias"),
    "missing key": (edit_weights(lambda t: t.pop("network.2.bias")), "lacks the weight network.2.bias"),
    "extra key": (edit_weights(lambda t: t.update(x=torch.zeros(1))), "has the weight x, which the model does not"),
    "wrong shape": (
        edit_weights(lambda t: t.update({"network.0.bias": torch.zeros(3)})),
        "network.0.bias must have the shape [16]; got [3]",
    ),
    "wrong kind": (
        edit_weights(lambda t: t.update({"network.0.bias": torch.zeros(16, dtype=torch.int64)})),
        "network.0.bias must be of the kind torch.float32; got torch.int64",
    ),
    "NaN": (
        edit_weights(lambda t: t["network.0.bias"].fill_(float("nan"))),
        "network.0.bias has values that are not finite",
    ),
    "infinity": (
        edit_weights(lambda t: t["network.0.bias"].fill_(float("inf"))),
        "not finite. Go back to an earlier checkpoint",
    ),
    "python tag": (
        edit_config("time: !!python/object/apply:os.system ['exit']"),
        "is not plain YAML (ConstructorError)",
    ),
    "alias bomb": (edit_config(BOMB), "uses YAML aliases"),
    "nested config": (edit_config("[" * 30_000), "nested deeper than 24 levels"),
    "deep config": (edit_config("time: " + "{a: " * 40 + "1" + "}" * 40), "nested deeper than"),
    "huge config": (edit_config("#" * 70_000), "expected at most 65536"),
    "config a list": (edit_config("- 1"), "must map the name of each module"),
    "bad date": (edit_time("{_target_: x, y: 2020-13-45}"), "is not plain YAML"),
    "bad module name": (
        edit_config("Ti/me: {_target_: emotts.layers.TimeEmbedding}"),
        "must map names of lower-case letters",
    ),
    "target os.system": (
        edit_time("{_target_: os.system, command: exit}"),
        "_target_ must be a class in emotts.acoustic",
    ),
    "target function": (edit_time("{_target_: emotts.layers.mean_over}"), "got 'emotts.layers.mean_over'"),
    "target of the CLI": (edit_time("{_target_: emotts.cli.Main}"), "got 'emotts.cli.Main'. Do not trust"),
    "target re-export": (
        edit_time("{_target_: emotts.audio.Path}"),
        "is neither a network nor a dataclass of emotts",
    ),
    "target prefix": (edit_time("{_target_: emotts.layersX.Y}"), "_target_ must be a class in"),
    "target dunder": (edit_time("{_target_: emotts.layers.__builtins__.Exec}"), "_target_ must be a class in"),
    "target a number": (edit_time("{_target_: 3}"), "_target_ must be a class in"),
    "target gone": (edit_time("{_target_: emotts.layers.Gone}"), "emotts.layers.Gone does not exist"),
    "not a network": (edit_time("{_target_: emotts.audio.AudioSpec}"), "time must be a network; got AudioSpec"),
    "wrong argument": (
        edit_time("{_target_: emotts.layers.TimeEmbedding, x: 1}"),
        "time cannot be built from its arguments",
    ),
    "module left out": (
        edit_config("time: {_target_: emotts.layers.TimeEmbedding, channels: 16}"),
        "belongs to 'voices'",
    ),
    "other size": (
        edit_config("time: {_target_: emotts.layers.TimeEmbedding, channels: 8}\nvoices: " + json.dumps(VOICES)),
        "network.0.bias must have the shape [8]; got [16]. Weights and config.yaml belong to different models",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused_by_name(folder: Path, name: str) -> None:
    change, expected = DAMAGE[name]
    change(folder)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere' is not a folder; give the folder that holds manifest.json"):
        load_checkpoint(tmp_path / "nowhere")


def mutate(folder: Path, generator: random.Random) -> None:
    """Change one file at random; half of the time make the manifest agree with it."""
    path = folder / generator.choice(["config.yaml", "manifest.json", "time.safetensors", "voices.safetensors"])
    data = bytearray(path.read_bytes())
    kind = generator.choice(["bit", "bit", "header", "cut", "append", "swap", "zero"])
    place = generator.randrange(len(data))
    if kind == "bit":
        data[place] ^= 1 << generator.randrange(8)
    elif kind == "header":
        data[generator.randrange(min(200, len(data)))] = generator.randrange(256)
    elif kind == "cut":
        del data[place:]
    elif kind == "append":
        data += generator.randbytes(20)
    elif kind == "swap":
        data[place : place + 8] = generator.randbytes(8)
    else:
        data[place : place + 16] = bytes(16)
    path.write_bytes(data)
    if path.name != "manifest.json" and generator.random() < 0.5:
        rewrite_manifest(folder)


def test_400_mutated_checkpoints_load_soundly_or_are_refused(tmp_path: Path) -> None:
    modules = write(tmp_path / "model")
    refused = 0
    for seed in range(400):
        folder = tmp_path / "mutated"
        shutil.copytree(tmp_path / "model", folder)
        agrees = (folder / "manifest.json").read_bytes()
        mutate(folder, random.Random(seed))
        manifest_kept = agrees == (folder / "manifest.json").read_bytes()
        try:
            loaded = load_checkpoint(folder)[0]
        except CheckpointError as error:
            refused += 1
            assert str(error).startswith(("checkpoint file ", "'")), error
        else:
            assert all(value.isfinite().all() for value in weights_of(loaded).values())
            if manifest_kept:  # then nothing but the listed bytes can have been read
                assert_equal(loaded, modules)
        shutil.rmtree(folder)
    assert refused > 300


# A killed writer leaves a whole folder


def inode_of(folder: Path) -> int | None:
    """Return the inode of a folder, None in the moment between the two renames of a save."""
    try:
        return folder.stat().st_ino
    except FileNotFoundError:
        return None


def wait_for_change(folder: Path, before: int | None) -> None:
    """Wait until another folder stands under the name."""
    deadline = time.monotonic() + 60
    while inode_of(folder) in (before, None):
        assert time.monotonic() < deadline, "the child saved nothing"
        time.sleep(0.001)


def test_a_writer_killed_at_any_time_leaves_a_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write(folder, fill=0.0)
    generator = random.Random(0)
    last = 0.0
    for _ in range(40):
        before = inode_of(folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # forking with threads; the child only writes files
            child = os.fork()
        if child == 0:
            for step in range(1, 1_000):
                write(folder, fill=last + step)
            os._exit(0)
        wait_for_change(folder, before)
        if before is None:  # the writer before died between the renames; what came first is its own save, put back
            wait_for_change(folder, inode_of(folder))
        time.sleep(generator.uniform(0.0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "was being replaced when its writer died"
            modules = load_checkpoint(folder)[0]
        values = {float(p.detach().flatten()[0]) for m in modules.values() for p in m.parameters()}
        assert len(values) == 1, "all files belong to one save"
        (value,) = values
        assert value > last, "a finished save is never lost"
        last = value
    write(folder, fill=1.0)
    assert [p.name for p in tmp_path.iterdir()] == ["model"], "the next save leaves nothing behind"


def test_a_death_between_the_two_renames_is_recovered_with_a_warning(folder: Path) -> None:
    folder.rename(folder.parent / ".model.previous")
    with pytest.warns(UserWarning, match="was being replaced when its writer died"):
        load_checkpoint(folder)
    modules = write(folder, fill=3.0)
    assert_equal(load_checkpoint(folder)[0], modules)


def test_a_full_disk_leaves_the_old_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_checkpoint(folder)[0]

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(
        OSError, match="model could not be written: No space left on device. The checkpoint before it is whole"
    ):
        write(folder, fill=1.0)
    monkeypatch.undo()
    assert [path.name for path in folder.parent.iterdir()] == ["model"], "nothing is left of what could not be written"
    assert_equal(load_checkpoint(folder)[0], before)
