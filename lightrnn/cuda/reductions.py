"""Sums, losses, norms and the solvers' updates."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import cuda

from .driver import SIMULATED, THREADS
from .intrinsics import pointer
from .jit import Kernel, device_function, kernel
from .registers import NUMBA, register_jitable, zeros

LANES = 2 if SIMULATED else 32  # columns that a block sums side by side


@register_jitable
def _sum(x, y):
    return x + y


@register_jitable
def greater(x, y):
    """Return the greater one; the second, if either is NaN."""
    return x if x > y else y


def _of_block(combine: Callable[[Any, Any], Any], lanes: int = 1) -> Callable[..., Any]:
    """Build the function that combines a number of each thread of a block, always in the same order.

    With several lanes those of every `lanes`-th thread are combined, and each gets its lane's.
    """

    @device_function
    def of_block(shared, value):
        thread = cuda.threadIdx.x
        shared[thread] = value
        half = THREADS // 2
        while half >= lanes:
            cuda.syncthreads()
            if thread < half:
                shared[thread] = combine(shared[thread], shared[thread + half])
            half //= 2
        cuda.syncthreads()
        combined = shared[thread % lanes]
        cuda.syncthreads()  # before anyone uses the shared memory again
        return combined

    return of_block


block_sum, block_greatest, lane_sum = _of_block(_sum), _of_block(greater), _of_block(_sum, LANES)


@cache
def total(dtype: str, squared: bool) -> Kernel:
    """Compile a sum, or a sum of squares, a part to a block. Arguments: source, size, part; target, a number a part."""
    number, zero = NUMBA[dtype], zeros(dtype, 1)[0]

    @kernel(dtype, squared)
    def total(floats, ints, at):
        source, size, part, target = ints[at], ints[at + 1], ints[at + 2], ints[at + 3]
        shared = pointer(cuda.shared.array(0, number))
        thread, begin, value = cuda.threadIdx.x, cuda.blockIdx.x * part, zero
        for i in range(begin + thread, min(size, begin + part), THREADS):
            x = floats[source + i]
            value += x * x if squared else x
        value = block_sum(shared, value)
        if thread == 0:
            floats[target + cuda.blockIdx.x] = value

    return total


@cache
def column_sums(dtype: str) -> Kernel:
    """Compile the sums of columns, `LANES` of them and a part of the rows to a block.

    Arguments: source, its pitch; rows, columns, part; target, where parts have rows of their own; adds.
    """
    number, zero = NUMBA[dtype], zeros(dtype, 1)[0]

    @kernel(dtype)
    def column_sums(floats, ints, at):
        source, pitch, rows, columns, part = (
            ints[at],
            ints[at + 1],
            ints[at + 2],
            ints[at + 3],
            ints[at + 4],
        )
        target, adds = ints[at + 5] + cuda.blockIdx.y * columns, ints[at + 6]
        shared = pointer(cuda.shared.array(0, number))
        thread, begin, value = cuda.threadIdx.x, cuda.blockIdx.y * part, zero
        column = cuda.blockIdx.x * LANES + thread % LANES
        if column < columns:
            for i in range(begin + thread // LANES, min(rows, begin + part), THREADS // LANES):
                value += floats[source + i * pitch + column]
        value = lane_sum(shared, value)
        if thread < LANES and column < columns:
            floats[target + column] = floats[target + column] + value if adds else value

    return column_sums
