"""States on disk: killed while being written, damaged, of others, malicious, on a full disk, where nothing can be written."""

import errno
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from training_toy import batch_of, losses_of, make, total, weights

from emotts.training import StateError
from emotts.training.logs import Log
from emotts.training.states import previous, read_state, write_state

HERE = Path(__file__).resolve().parent
KILLS = 100


def state_of(step, n=20_000):
    return {
        "model": {"w": torch.full((n,), float(step))}, "optimizer": {}, "ema": {}, "step": step, "seconds": 0.0, "seed": 0,
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*going on from")
def test_a_kill_at_any_moment_of_saving_leaves_a_whole_state(tmp_path):
    path, dice, last, within = tmp_path / "state.pt", random.Random(0), 0, 0
    write_state(path, state_of(0))
    kills = 0
    while kills < KILLS or (within < 5 and kills < 5 * KILLS):
        kills += 1
        child = os.fork()
        if child == 0:
            for step in range(last + 1, last + 1000):
                write_state(path, state_of(step))
            os._exit(1)
        time.sleep(dice.uniform(0.001, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        within += path.with_name(".state.pt.tmp").exists()
        state = read_state(path)
        assert state is not None and state["step"] >= last, "a save was lost"
        assert (state["model"]["w"] == state["step"]).all()
        last = state["step"]
        assert not path.with_name(".state.pt.tmp").exists(), "what the kill left is swept away"
    assert within >= 5, "kills fell into the middle of writing"


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "missing"])
def test_a_damaged_newest_state_falls_back_to_the_one_before(tmp_path, damage):
    path = tmp_path / "state.pt"
    write_state(path, state_of(1))
    write_state(path, state_of(2))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": data[: len(data) // 3], "bit": data, "empty": b""}[damage])
    with pytest.warns(UserWarning, match="going on from .*previous, step 1"):
        state = read_state(path)
    assert state is not None and state["step"] == 1
    previous(path).write_bytes(b"PK nonsense")
    with pytest.raises(StateError, match="damaged"):
        read_state(path)


def test_a_run_goes_on_from_the_state_before(tmp_path):
    make(tmp_path, 6).fit(batch_of, losses_of, total)
    make(tmp_path, 9).fit(batch_of, losses_of, total)
    (tmp_path / "state.pt").write_bytes(b"")
    with pytest.warns(UserWarning, match="going on from .*step 6"):
        assert make(tmp_path, 9).step == 6


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def bare_pickle(command):
    """What calls os.system with the command when it is unpickled."""
    return b"\x80\x02cos\nsystem\nX" + struct.pack("<I", len(command)) + command.encode() + b"\x85R."


def test_a_malicious_state_is_refused_and_not_opened(tmp_path):
    trap = tmp_path / "trap"
    make(tmp_path / "run", 2).fit(batch_of, losses_of, total)
    for write in (
        lambda path: torch.save(state_of(1) | {"extra": Evil(trap)}, path),
        lambda path: torch.save(Evil(trap), path, _use_new_zipfile_serialization=False),
        lambda path: path.write_bytes(bare_pickle(f"touch {trap}")),
    ):
        write(tmp_path / "run" / "state.pt")
        with pytest.raises(StateError, match="could run code"):
            make(tmp_path / "run", 2)
    assert not trap.exists()


def test_states_of_other_schemas_models_and_programs_say_so(tmp_path):
    trainer = make(tmp_path, 2)
    trainer.fit(batch_of, losses_of, total)
    path = tmp_path / "state.pt"
    state = torch.load(path, weights_only=True)
    torch.save(state | {"schema": 99}, path)
    with pytest.raises(StateError, match="schema 99"):
        make(tmp_path, 2)
    torch.save({"weights": state["model"]}, path)
    with pytest.raises(StateError, match="not a state of emotts"):
        make(tmp_path, 2)
    torch.save(state | {"model": state["model"] | {"0.weight": torch.zeros(3, 4)}}, path)
    with pytest.raises(
        StateError, match=r"another model: 1 tensors differ, such as 0.weight \(\[3, 4\] there, \[16, 4\] here"
    ):
        make(tmp_path, 2)


def test_states_of_the_first_schema_load(tmp_path):
    """As the bundled model's: no schema, no pieces, no count of steps left out, the average as diffusers kept it."""
    trainer = make(tmp_path, 4)
    trainer.fit(batch_of, losses_of, total)
    path = tmp_path / "state.pt"
    state = torch.load(path, weights_only=True)
    for name in ("schema", "pieces", "skipped"):
        del state[name]
    state["ema"] |= {"min_decay": 0.0, "update_after_step": 0, "use_ema_warmup": True, "inv_gamma": 1.0, "power": 0.75}
    torch.save(state, path)
    again = make(tmp_path, 4)
    assert again.step == 4
    for a, b in zip(weights(trainer), weights(again), strict=True):
        assert torch.equal(a, b)


def test_the_average_is_that_of_diffusers(tmp_path):
    training_utils = pytest.importorskip("diffusers.training_utils")
    trainer = make(tmp_path, 9)
    parameters = list(trainer.model.parameters())
    ema = training_utils.EMAModel(parameters, decay=0.999, use_ema_warmup=True, inv_gamma=1.0, power=0.75, foreach=True)
    follow = trainer.average.follow
    trainer.average.follow = lambda: (follow(), ema.step(parameters))
    trainer.fit(batch_of, losses_of, total)
    assert all(torch.equal(a, b) for a, b in zip(trainer.average.shadow, ema.shadow_params, strict=True))


def test_a_full_disk_costs_one_line_and_leaves_the_last_state(tmp_path):
    path = tmp_path / "state.pt"
    write_state(path, state_of(1))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        with pytest.raises(OSError, match="could not be written: .*The state before it is whole; make room") as caught:
            write_state(path, state_of(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state.pt"]
    state = read_state(path)
    assert state is not None and state["step"] == 1


def test_a_folder_that_cannot_be_written_to_is_said_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written to .*; choose another one with output="):
        make(tmp_path / "file" / "run", 2)
    with pytest.raises(OSError, match="cannot be written to"):
        make("/proc/emotts", 2)


def broken(state, name):
    """What a state may look like that another program, or nobody, wrote."""
    moments = state["optimizer"]["state"]
    return {
        "no model": {k: v for k, v in state.items() if k != "model"},
        "no step": {k: v for k, v in state.items() if k != "step"},
        "step is text": state | {"step": "6"},
        "step is negative": state | {"step": -1},
        "step is true": state | {"step": True},
        "seconds are endless": state | {"seconds": float("inf")},
        "model is a list": state | {"model": [torch.zeros(2)]},
        "weights are numbers": state | {"model": dict.fromkeys(state["model"], 0.0)},
        "optimizer is a tensor": state | {"optimizer": torch.zeros(2)},
        "optimizer is empty": state | {"optimizer": {}},
        "moments are missing": state | {"optimizer": state["optimizer"] | {"state": {0: {"step": torch.tensor(3.0)}}}},
        "moments are of others": state | {"optimizer": state["optimizer"] | {"state": {9: moments[0]}}},
        "moments have other shapes": state
        | {"optimizer": state["optimizer"] | {"state": {0: moments[0] | {"exp_avg": torch.zeros(7)}}}},
        "groups are numbers": state | {"optimizer": state["optimizer"] | {"param_groups": [1, 2]}},
        "average is empty": state | {"ema": {}},
        "average has other shapes": state | {"ema": state["ema"] | {"shadow_params": [torch.zeros(7)] * 4}},
        "average is numbers": state | {"ema": state["ema"] | {"shadow_params": [1, 2, 3, 4]}},
        "pieces are text": state | {"pieces": "one"},
        "schema of tomorrow": state | {"schema": 3},
        "schema is text": state | {"schema": "new"},
        "a list": [1, 2],
    }[name]


MALFORMED = (
    "no model", "no step", "step is text", "step is negative", "step is true", "seconds are endless", "model is a list",
    "weights are numbers", "optimizer is a tensor", "optimizer is empty", "moments are missing", "moments are of others",
    "moments have other shapes", "groups are numbers", "average is empty", "average has other shapes", "average is numbers",
    "pieces are text", "schema of tomorrow", "schema is text", "a list",
)  # fmt: skip


@pytest.fixture(scope="module")
def two_states(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    make(folder, 6).fit(batch_of, losses_of, total)
    make(folder, 9).fit(batch_of, losses_of, total)
    return folder


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_state_costs_a_sentence_and_the_one_before_it_stays(two_states, tmp_path, name):
    folder = tmp_path / "run"
    shutil.copytree(two_states, folder)
    path = folder / "state.pt"
    torch.save(broken(torch.load(path, weights_only=True), name), path)
    with pytest.raises(StateError, match=r"state\.pt (is not a state of emotts|has schema|trains other)") as told:
        make(folder, 9)
    assert "\n" not in str(told.value) and len(str(told.value)) < 400
    path.unlink()  # as the sentence says
    with pytest.warns(UserWarning, match="going on from .*previous, step 6"):
        assert make(folder, 9).step == 6


def test_a_damaged_state_never_takes_the_place_of_the_one_before_it(two_states, tmp_path):
    """A kill between the two renamings of the next save would else leave the damaged one alone."""
    folder = tmp_path / "run"
    shutil.copytree(two_states, folder)
    path = folder / "state.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=r"set aside as state.pt.damaged; going on from .*, step 6"):
        trainer = make(folder, 9)
    assert (folder / "state.pt.damaged").stat().st_size == 1000
    trainer.step = 7
    trainer.save()
    assert torch.load(previous(path), weights_only=True)["step"] == 6
    assert read_state(path)["step"] == 7


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_killed_run_tells_every_step_once(tmp_path):
    """States at every 8th step, rows at every 5th, killed at 39: the rows of 35 are told again after resuming from 32."""
    command = [sys.executable, str(HERE / "training_toy.py"), str(tmp_path / "broken"), "60", "SIGKILL"]
    assert subprocess.run(command, capture_output=True, timeout=600).returncode == -signal.SIGKILL
    assert [row["step"] for row in rows_of(tmp_path / "broken")] == list(range(5, 36, 5))
    with (tmp_path / "broken" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 38, "min')  # cut short by the kill
    trainer = make(tmp_path / "broken", 60)
    assert trainer.step == 32
    assert [row["step"] for row in rows_of(tmp_path / "broken")] == list(range(5, 31, 5))
    trainer.fit(batch_of, losses_of, total)
    make(tmp_path / "whole", 60).fit(batch_of, losses_of, total)
    told, expected = rows_of(tmp_path / "broken"), rows_of(tmp_path / "whole")
    assert [row["step"] for row in told] == [row["step"] for row in expected] == list(range(5, 61, 5))
    # the row of 35 is a mean over the steps since resuming
    assert [row["fit"] for row in told if row["step"] != 35] == [row["fit"] for row in expected if row["step"] != 35]


def test_a_run_that_ended_ends_again_with_the_same_rows(tmp_path):
    def shown(trainer):
        trainer.log({"fit": 1.0}, prefix="valid")

    for _ in range(3):
        make(tmp_path, 10).fit(batch_of, losses_of, total, on_save=shown)
    assert [(row["split"], row["step"]) for row in rows_of(tmp_path)] == [("train", 5), ("train", 10), ("valid", 10)]


def test_curves_are_not_drawn_twice(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trainer = make(tmp_path, 20)
    trainer.fit(batch_of, losses_of, total)
    trainer.writer.close()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    torch.save(state | {"step": 12}, tmp_path / "state.pt")
    trainer = make(tmp_path, 20)
    trainer.fit(batch_of, losses_of, total)
    trainer.writer.close()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("train/fit")] == [5, 10, 15, 20]


def test_rows_that_cannot_be_rewritten_stay(tmp_path, monkeypatch):
    make(tmp_path, 10).fit(batch_of, losses_of, total)
    log = Log(tmp_path)
    before = log.path.read_bytes()
    monkeypatch.setattr(
        os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
    )
    with pytest.raises(OSError, match="No space left"):
        log.resume(5)
    assert log.path.read_bytes() == before and not list(tmp_path.glob(".metrics*"))
