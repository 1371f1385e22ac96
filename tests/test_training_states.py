"""States on disk: killed while being written, damaged, of others, malicious, on a full disk, where nothing can be written."""

import os
import random
import resource
import signal
import struct
import time

import pytest
import torch
from training_toy import batch_of, losses_of, make, total, weights

from emotts.training import StateError
from emotts.training.states import previous, read_state, write_state

KILLS = 100


def state_of(step, n=20_000):
    return {
        "model": {"w": torch.full((n,), float(step))}, "optimizer": {}, "ema": {}, "step": step, "seconds": 0.0, "seed": 0,
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*going on from")
def test_a_kill_at_any_moment_of_saving_leaves_a_whole_state(tmp_path):
    path, dice, last, within = tmp_path / "state.pt", random.Random(0), 0, 0
    write_state(path, state_of(0))
    for _ in range(KILLS):
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
    assert within > KILLS // 4, "kills fell into the middle of writing"


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
