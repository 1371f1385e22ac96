"""The kernel compiles for every architecture that it names, and stays within its registers. Needs NVRTC, but no GPU."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
import torch

from emotts.kernels.cache import ELF
from emotts.kernels.nvrtc import KernelError, Resources, compile_source, find_nvrtc, nvrtc_version
from emotts.kernels.variants import MIDDLE, SHORT, TILES, WIDE, Tile, Variant, kernel_source

ARCHITECTURES = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
LARGEST_STATIC_SHARED = 48 << 10  # bytes; beyond, a kernel must ask for dynamic shared memory

needs_nvrtc = pytest.mark.skipif(
    find_nvrtc() is None, reason="NVRTC is not installed; it comes with CUDA builds of torch (nvidia-cuda-nvrtc)"
)


def compiled(job: tuple[str, Variant]) -> tuple[bytes, Resources]:
    return compile_source(kernel_source(), job[0], job[1].macros)


def check(jobs: list[tuple[str, Variant]]) -> None:
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(compiled, jobs))
    for (_, variant), (cubin, resources) in zip(jobs, results, strict=True):
        assert cubin.startswith(ELF)
        assert resources.spill_bytes == resources.stack_bytes == 0, resources
        assert 0 < resources.registers <= variant.tile.most_registers, resources
        assert 0 < resources.shared_bytes <= LARGEST_STATIC_SHARED, resources


@needs_nvrtc
@pytest.mark.parametrize("tile", TILES, ids=lambda tile: tile.name)
def test_every_architecture_fits_the_budget(tile: Tile) -> None:
    variant = Variant(tile, torch.bfloat16, has_norm=True, has_rope=True)
    check([(architecture, variant) for architecture in ARCHITECTURES])


@needs_nvrtc
def test_every_form_fits_the_budget() -> None:
    forms = [*product((MIDDLE,), (False, True), (False, True)), (SHORT, False, False), (WIDE, False, False)]
    check([("sm_90", Variant(tile, torch.float16, norm, rope)) for tile, norm, rope in forms])


@needs_nvrtc
def test_the_compilers_words_reach_the_user() -> None:
    assert int(nvrtc_version().split(".")[0]) >= 12
    with pytest.raises(KernelError, match='identifier "nonsense" is undefined'):
        compile_source('extern "C" __global__ void f() { nonsense(); }', "sm_90", {})
    with pytest.raises(KernelError, match="NVRTC could not compile for sm_1"):
        compile_source("", "sm_1", {})
