"""What the host's registers hold, and with it the shape of the matmul tile.

`REGISTER_BYTES` and `TILE_VECTORS` are read when a kernel is compiled. LLVM legalises any width, so a wrong one is slow
and never wrong. The tile is `TILE_ROWS` x `TILE_VECTORS` accumulators: 16 of the 32 registers of AVX-512 and NEON, 8 of
AVX2's 16, the rest being left for operands.
"""

import platform
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np

_config: Any = numba.config


def _features() -> set[str]:
    """Instruction sets that Numba compiles for; NUMBA_CPU_FEATURES overrides the host's own."""
    if _config.CPU_FEATURES is not None:
        return {name[1:] for name in _config.CPU_FEATURES.split(",") if name.startswith("+")}
    return {name for name, present in llvm.get_host_cpu_features().items() if present}


def _shape() -> tuple[int, int]:
    """Bytes of a register and vectors of a tile."""
    features = _features()
    if "avx512f" in features:
        return 64, 4
    if "avx2" in features:
        return 32, 2
    return 16, 4 if "neon" in features else 2


REGISTER_BYTES, TILE_VECTORS = _shape()
TILE_ROWS = 4
CACHE_LINE = 64  # bytes
HAS_MXCSR = platform.machine().lower() in {"x86_64", "amd64"}


def lanes(dtype: np.typing.DTypeLike) -> int:
    """Return the number of `dtype` elements in one register."""
    return REGISTER_BYTES // np.dtype(dtype).itemsize


def padded(columns: int, dtype: np.typing.DTypeLike) -> int:
    """`columns` rounded up to whole registers."""
    return -(-columns // lanes(dtype)) * lanes(dtype)


def panel_cuts(columns: int, dtype: np.typing.DTypeLike) -> range:
    """Columns between the panels of a matrix of whole registers; `matmul.panel_vectors` is the rule compiled."""
    width = TILE_VECTORS * lanes(dtype)
    return range(width, columns - lanes(dtype), width)


def aligned(rows: int, columns: int, dtype: np.typing.DTypeLike) -> np.ndarray:
    """Zeros that begin at a cache line: a register that straddles two costs two accesses."""
    size = rows * columns * np.dtype(dtype).itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(rows, columns)
