"""The host's registers, and the shape of the matmul tile that follows from them.

`REGISTER_BYTES`, `TILE_ROWS` and `TILE_VECTORS` are read when a kernel is compiled. LLVM legalises
any width: a wrong one is slow, never incorrect. The tile is `TILE_ROWS` x `TILE_VECTORS`
accumulators: 16 of the 32 registers of AVX-512 and NEON, 8 of the 16 of AVX2; the others hold
operands.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import llvmlite.binding as llvm
import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

_config: Any = numba.config


def _features() -> set[str]:
    """Return the instruction sets that Numba compiles for."""
    if _config.CPU_FEATURES is not None:  # NUMBA_CPU_FEATURES overrides the host's own
        return {name[1:] for name in _config.CPU_FEATURES.split(",") if name.startswith("+")}
    return {name for name, present in llvm.get_host_cpu_features().items() if present}


def _shape() -> tuple[int, int, int]:
    """Return the bytes of a register, and the rows and the vectors of a tile."""
    features = _features()
    if "avx512f" in features:
        # Two fused multiply-adds per cycle, as Intel's servers have them, outrun the second-level
        # cache at 4 x 4: 8 x 2 reads a matrix half as often. At 512 units it is 30 % faster.
        return 64, 8, 2
    if "avx2" in features:
        return 32, 4, 2  # 4 vectors would spill: 39 instead of 103 GFLOP/s
    return 16, 4, 4 if "neon" in features else 2


REGISTER_BYTES, TILE_ROWS, TILE_VECTORS = _shape()
CACHE_LINE = 64  # bytes
HAS_MXCSR = platform.machine().lower() in {"x86_64", "amd64"}


def lanes(dtype: DTypeLike) -> int:
    """Return the number of `dtype` elements in one register."""
    return REGISTER_BYTES // np.dtype(dtype).itemsize


def padded(columns: int, dtype: DTypeLike) -> int:
    """Return `columns` rounded up to whole registers."""
    return -(-columns // lanes(dtype)) * lanes(dtype)


def panel_cuts(columns: int, dtype: DTypeLike) -> range:
    """Return the columns at which a matrix is cut into panels; compiled: `matmul.panel_vectors`."""
    width = TILE_VECTORS * lanes(dtype)
    return range(width, columns, width)


def aligned(rows: int, columns: int, dtype: DTypeLike) -> np.ndarray:
    """Return zeros that begin at a cache line: a register across two lines costs two accesses."""
    size = rows * columns * np.dtype(dtype).itemsize
    return allocate(size).view(dtype).reshape(rows, columns)


def _allocate(size: int) -> np.ndarray:
    """Return zeros, this many bytes from the start of a cache line on."""
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size]


allocate = _allocate  # tests put guard pages around what it returns, see `bench/guard.py`
