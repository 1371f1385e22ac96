"""The forms in which the attention kernel is compiled, and which tile suits which shape."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import torch

HEAD_DIM = 64
REGISTERS = 65_536  # of one multiprocessor, given out by eights
FEW_BLOCKS = 200  # fewer than this at 64 rows each do not fill the multiprocessors of a large GPU (H200: 132)
LONG = 512  # rows from which larger tiles save more key traffic than they cost in parallelism; both estimated, not measured


@dataclass(frozen=True)
class Tile:
    """How one block divides its work; the macros of attention.cu."""

    name: str
    row_tiles: int
    row_warps: int
    key_warps: int
    min_blocks: (
        int  # on one multiprocessor; at 4 of the middle tile some forms spill, and from sm_86 on 2 fill shared memory
    )

    @property
    def rows(self) -> int:
        return 16 * self.row_tiles * self.row_warps

    @property
    def threads(self) -> int:
        return 32 * self.row_warps * self.key_warps

    @property
    def most_registers(self) -> int:
        """Return the registers per thread beyond which fewer blocks fit than were asked for."""
        return min(255, REGISTERS // (self.threads * self.min_blocks) // 8 * 8)


SHORT = Tile("short", row_tiles=1, row_warps=2, key_warps=2, min_blocks=4)
MIDDLE = Tile("middle", row_tiles=1, row_warps=4, key_warps=1, min_blocks=3)
WIDE = Tile("wide", row_tiles=2, row_warps=4, key_warps=1, min_blocks=2)
TILES = (SHORT, MIDDLE, WIDE)


@dataclass(frozen=True)
class Variant:
    """One compiled form of the kernel."""

    tile: Tile
    dtype: torch.dtype
    has_norm: bool
    has_rope: bool

    @property
    def macros(self) -> dict[str, int]:
        return {
            "IS_HALF": int(self.dtype == torch.float16),
            "HAS_NORM": int(self.has_norm),
            "HAS_ROPE": int(self.has_rope),
            "ROW_TILES": self.tile.row_tiles,
            "ROW_WARPS": self.tile.row_warps,
            "KEY_WARPS": self.tile.key_warps,
            "MIN_BLOCKS": self.tile.min_blocks,
        }


def choose_tile(n_sequences: int, heads: int, max_length: int) -> Tile:
    """Choose by shape alone: lengths live on the device and are not read."""
    if n_sequences * heads * -(-max_length // MIDDLE.rows) < FEW_BLOCKS:
        return SHORT
    return WIDE if max_length > LONG else MIDDLE


@cache
def kernel_source() -> str:
    """Return the source that the run-time compiler gets."""
    folder = files("emotts.kernels")
    return "".join((folder / name).read_text(encoding="utf-8") for name in ("primitives.cu", "attention.cu"))
