"""The kernel's own source, run on a CPU: near float64 at odd lengths, and every seeded mistake is caught."""

import ctypes
import shutil
from contextlib import nullcontext
from dataclasses import dataclass

import pytest
import torch
from emulated import STREAM, Emulator, attention_source
from kernel_cases import TOLERANCE, Case, in_float64, largest_error, make_inputs

from emotts.kernels import ops
from emotts.kernels.launch import Inputs, Launcher
from emotts.kernels.nvrtc import KernelError
from emotts.kernels.variants import MIDDLE, SHORT, TILES, WIDE, Tile, choose_tile

HALF = torch.float16

CASES = {
    "padded": Case((1, 2, 6, 65), room=70),
    "packed with an empty sequence": Case((130, 0, 64), dtype=HALF),
    "nothing but an empty sequence": Case((0,), room=4),
    "the last row of a tile, and one more": Case((63, 64, 65, 127), heads=1, dtype=HALF),
    "no norm, no rotation": Case((33, 129), has_norm=False, has_rope=False),
    "rotation only": Case((7, 97), heads=1, has_norm=False, dtype=HALF),
    "norm only, rows apart": Case((40, 31), has_rope=False, spare_columns=24),
    "much room": Case((5, 17), heads=1, room=300, dtype=HALF),
}


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    if shutil.which("g++") is None:
        pytest.skip("the emulation of the kernel is built by g++, which is not here")
    return Emulator(tmp_path_factory.mktemp("emulator"))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("tile", TILES, ids=lambda tile: tile.name)
def test_the_kernel_is_near_float64(emulator: Emulator, tile: Tile, name: str) -> None:
    inputs = make_inputs(CASES[name])
    out = emulator.run(_launcher(emulator, tile), inputs)
    assert largest_error(out, in_float64(inputs)) < TOLERANCE[inputs.qkv.dtype]


def test_random_lengths_in_random_order(emulator: Emulator) -> None:
    draw = torch.Generator().manual_seed(1)
    for seed in range(4):
        lengths = torch.randint(0, 100, (3,), generator=draw).tolist()
        inputs = make_inputs(Case((1 + lengths[0], *lengths[1:]), heads=1, dtype=HALF), seed)
        out = emulator.run(_launcher(emulator, TILES[seed % 3]), inputs, seed)
        assert largest_error(out, in_float64(inputs)) < TOLERANCE[HALF], lengths


def test_lengths_are_bounded_by_what_a_sequence_owns(emulator: Emulator) -> None:
    inputs = make_inputs(Case((40, 10, 30), heads=1, dtype=HALF))._replace(lengths=torch.tensor([41, -5, 1000]))
    out = emulator.run(_launcher(emulator, SHORT), inputs._replace(max_length=40))
    exact = in_float64(make_inputs(Case((40, 10, 30), heads=1, dtype=HALF))._replace(lengths=torch.tensor([40, 0, 30])))
    real = torch.ones(len(out), dtype=torch.bool)
    real[-33:] = False  # the third may claim the rows after it, which are NaN here
    assert largest_error(out[real], exact[real]) < TOLERANCE[HALF]


def test_the_stream_of_the_moment_is_used_and_a_fault_is_reported(emulator: Emulator) -> None:
    inputs = make_inputs(CASES["padded"])
    launcher = _launcher(emulator, MIDDLE)
    emulator.run(launcher, inputs)
    assert ctypes.c_void_p.in_dll(emulator.library, "fake_stream").value == STREAM
    short_table = inputs._replace(rope=inputs.rope[:64].clone())  # type: ignore[index]  # one position too few
    with pytest.raises(KernelError, match="cuLaunchKernel failed with 719.*read out of bounds"):
        emulator.run(launcher, short_table)


def test_the_shape_chooses_the_tile() -> None:
    assert choose_tile(1, 4, 500) is SHORT
    assert choose_tile(16, 4, 500) is MIDDLE
    assert choose_tile(32, 8, 1000) is WIDE


def test_the_op_runs_the_launcher(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the public function to the fake driver, by the function that is registered for CUDA."""
    inputs = make_inputs(Case((20, 9), heads=2, dtype=HALF, room=24))
    launcher = _launcher(emulator, SHORT)
    monkeypatch.setattr(ops, "torch_launcher", lambda: EmulatedLauncher(emulator, launcher))
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    out = ops._forward_cuda(*inputs)
    assert largest_error(out, in_float64(inputs)) < TOLERANCE[HALF]


@dataclass
class EmulatedLauncher:
    """A launcher as the op sees it, with the emulator's checks around it."""

    emulator: Emulator
    launcher: Launcher

    def run(self, inputs: Inputs) -> torch.Tensor:
        return self.emulator.run(self.launcher, inputs)


# name -> tile, and what is replaced by what in attention.cu
Mutant = tuple[Tile, tuple[tuple[str, str], ...]]
MAIN_BARRIER = "block_barrier();  // this tile is whole, and nobody reads the other stage any more"
MUTANTS: dict[str, Mutant] = {
    "mask one key late": (MIDDLE, (("(i & 1) >= limit", "(i & 1) > limit"),)),
    "mask one key early": (MIDDLE, (("(i & 1) >= limit", "(i & 1) >= limit - 1"),)),
    "no mask": (MIDDLE, (("if (first_key + TILE_KEYS > length) {", "if (false) {"),)),
    "mask in pairs": (MIDDLE, (("n * 8 + (i & 1) >= limit", "n * 8 >= limit"),)),
    "no barrier after a tile's copies": (MIDDLE, ((MAIN_BARRIER, ""),)),
    "barrier after the prefetch": (
        MIDDLE,
        ((MAIN_BARRIER, ""), ("        attend(rows,", "        block_barrier();\n        attend(rows,")),
    ),
    "no barrier after the queries": (
        MIDDLE,
        (("query_weight, rope, epsilon);\n    block_barrier();",
          "query_weight, rope, epsilon);"),),
    ),
    "no wait for a tile": (MIDDLE, (("copies_wait<0>();", ""),)),
    "wait for all tiles but the last": (MIDDLE, (("copies_wait<0>();", "copies_wait<1>();"),)),
    "no wait for the queries": (MIDDLE, (("copies_wait<1>();", "copies_wait<2>();"),)),
    "prefetch into the tile in use": (MIDDLE, (("copy_tile<TILE_KEYS>(other, ", "copy_tile<TILE_KEYS>(here, "),)),
    "keys from the next head": (
        MIDDLE,
        (("*keys_from = queries_from + out_stride",
          "*keys_from = queries_from + HEAD_DIM"),),
    ),
    "values from the keys": (MIDDLE, (("*values_from = keys_from + out_stride", "*values_from = keys_from"),)),
    "rows assumed dense": (MIDDLE, (("qkv + start * qkv_stride", "qkv + start * 3 * out_stride"),)),
    "one head for all": (MIDDLE, (("start * qkv_stride + head * HEAD_DIM", "start * qkv_stride"),)),
    "one start for all": (MIDDLE, (("out += start * out_stride + head", "out += head"),)),
    "swizzle of the values": (MIDDLE, (("n * 2 + (lane >> 4))", "n * 2 + (lane >> 4) & 7 ^ 1)"),)),
    "no swizzle where keys are read": (MIDDLE, (("(lane & 7), k * 2", "0, k * 2"),)),
    "fragments in the wrong order": (
        MIDDLE,
        (("pack(scores[t][2 * k + i / 2][2 * (i & 1)]",
          "pack(scores[t][2 * k + (i & 1)][2 * (i & 1)]"),),
    ),
    "sums not rescaled": (
        MIDDLE,
        (("rows.sum[t][n][2 * half] *= rescale, rows.sum[t][n][2 * half + 1] *= rescale",
          ""),),
    ),
    "half of the sums rescaled": (MIDDLE, ((", rows.sum[t][n][2 * half + 1] *= rescale", ""),)),
    "denominator not rescaled": (MIDDLE, (("rows.denominator[t][half] * rescale", "rows.denominator[t][half]"),)),
    "maximum of two lanes": (MIDDLE, (("maximum = max_of(maximum, shuffle_xor(maximum, 2));", ""),)),
    "denominator of two lanes": (
        MIDDLE,
        (("rows.denominator[t][half] += shuffle_xor(rows.denominator[t][half], 2);",
          ""),),
    ),
    "one row too many is read": (MIDDLE, (("is_real = first + row < length;", "is_real = first + row <= length;"),)),
    "one row too many is written": (MIDDLE, (("if (first + row < length) store", "if (first + row <= length) store"),)),
    "one row too few is written": (
        MIDDLE,
        (("if (first + row < length) store",
          "if (first + row < length - 1) store"),),
    ),
    "no zeros after the length": (MIDDLE, (("zeros_from = first > length ? first : length", "zeros_from = owned"),)),
    "zeros only as far as the tiles go": (MIDDLE, (("is_last_tile() || ", ""),)),
    "length not bounded by the next start": (MIDDLE, (("bounded = bounded < owned ? bounded : owned;", ""),)),
    "norm over half of the row": (MIDDLE, (("squares += shuffle_xor(squares, 2);", ""),)),
    "norm without epsilon's mean": (MIDDLE, (("squares * (1.0f / HEAD_DIM)", "squares"),)),
    "rotation the other way": (MIDDLE, (("a * cosine - b * sine", "a * cosine + b * sine"),)),
    "positions start anew in every tile": (
        MIDDLE,
        (("const i64 position = first + row < length ? first + row : 0",
          "const i64 position = row"),),
    ),
    "rows written before the warp is done": (MIDDLE, (("    warp_barrier();\n", ""),)),
    "tiles of 16 rows mixed up": (
        WIDE,
        (("const int row = first_row + t * 16 + half * 8",
          "const int row = first_row + half * 8"),),
    ),
    "masked warps not a number": (
        SHORT,
        (("maximum == minus_infinity() ? 0.0f : maximum * scale",
          "maximum * scale"),),
    ),
    "all key warps at the same keys": (SHORT, (("/ ROW_WARPS * WARP_KEYS", "* 0"),)),
    "merge over keys still in use": (
        SHORT,
        (("block_barrier();  // the keys and values that lay here have been read",
          ""),),
    ),
    "merge before all have written": (
        SHORT,
        (("    block_barrier();\n    if (key_warp == 0)",
          "    if (key_warp == 0)"),),
    ),
    "merged sums not rescaled": (SHORT, (("rows.sum[t][n][i] * keep + sum * take", "rows.sum[t][n][i] + sum"),)),
    "merged denominator forgotten": (SHORT, ((" * keep + denominator * take", " * keep"),)),
}  # fmt: skip
HUNT = (
    Case((130, 0, 1, 65), dtype=HALF, room=270, spare_columns=8),
    Case((40, 65), heads=1, dtype=HALF),
)


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: tile.name)
def test_the_hunt_finds_nothing_in_the_source_itself(emulator: Emulator, tile: Tile) -> None:
    assert _is_right(emulator, attention_source(), tile, f"whole-{tile.name}")


@pytest.mark.parametrize("name", MUTANTS)
def test_a_seeded_mistake_is_caught(emulator: Emulator, name: str) -> None:
    tile, changes = MUTANTS[name]
    source = attention_source()
    for old, new in changes:
        assert source.count(old) == 1, (
            f"{name}: {old!r} is not in attention.cu exactly once; bring the mutant up to date"
        )
        source = source.replace(old, new)
    assert not _is_right(emulator, source, tile, f"mutant-{list(MUTANTS).index(name)}")


def _is_right(emulator: Emulator, source: str, tile: Tile, name: str) -> bool:
    launcher = emulator.launcher(tile, source, name)
    for case in HUNT:
        inputs = make_inputs(case)
        claimed = inputs.lengths.clone()
        if case.room is None:
            claimed[0] += 7  # more than the sequence owns
        exact = in_float64(inputs)
        try:
            out = emulator.run(launcher, inputs._replace(lengths=claimed, max_length=case.max_length))
        except KernelError:
            return False
        if largest_error(out, exact) >= TOLERANCE[case.dtype]:
            return False
    return True


def _launcher(emulator: Emulator, tile: Tile) -> Launcher:
    """Keep one launcher per tile, so that each form is built once."""
    kept = emulator.__dict__.setdefault("kept", {})
    if tile not in kept:
        kept[tile] = emulator.launcher(tile)
    return kept[tile]
