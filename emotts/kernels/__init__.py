"""The attention kernel for fast sampling: one CUDA C++ source, compiled at run time, and the plain forms beside it.

`attention` chooses who computes; `emotts.kernels.ops.attention_qkv` is the fused op itself. docs/performance.md tells how it works.
"""

from emotts.kernels.dispatch import BACKENDS, Choice, attend_padded, attention, choose_backend
from emotts.kernels.ops import attention_qkv

__all__ = ["BACKENDS", "Choice", "attend_padded", "attention", "attention_qkv", "choose_backend"]
