"""Sums over many numbers: of all, of their squares, or column by column.

Each is taken in parts, so that the whole GPU has work, and the parts are added in their order: the
same bits every time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from numba import cuda

from .driver import THREADS
from .intrinsics import shared_memory
from .jit import Kernel, kernel, reader
from .program import Program
from .registers import register_jitable, zeros

LANES = 32  # columns that a block sums at the same time: a warp reads neighbours
PARTS = 256  # of a sum over many numbers, at most


@register_jitable
def _sum(x, y):
    return x + y


@register_jitable
def greater(x, y):
    """Return the greater one; the second, if either is NaN."""
    return x if x > y else y


def _of_block(combine: Callable[[Any, Any], Any], lanes: int = 1) -> Callable[..., Any]:
    """Build the function that combines the numbers of a block's threads, always in the same order.

    With several lanes those of every `lanes`-th thread are combined, and each gets its lane's.
    """

    @register_jitable
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
        cuda.syncthreads()  # before any thread uses the shared memory again
        return combined

    return of_block


block_sum = _of_block(_sum)
block_greatest = _of_block(greater)
lane_sum = _of_block(_sum, LANES)


class TotalArguments(NamedTuple):
    """Arguments of `total`."""

    source: int  # (size,)  # IN
    size: int
    part: int  # numbers of a part
    target: int  # one number per part  # OUT


read_total = reader(TotalArguments)


@cache
def total(dtype: str, squared: bool) -> Kernel:
    """Compile a sum, or a sum of squares, one part to a block."""
    zero = zeros(dtype, 1)[0]
    memory = shared_memory(dtype)

    @kernel(dtype, squared)
    def total(floats, ints, at):
        a = read_total(ints, at)
        shared = memory()
        thread = cuda.threadIdx.x
        begin = cuda.blockIdx.x * a.part
        value = zero
        for i in range(begin + thread, min(a.size, begin + a.part), THREADS):
            x = floats[a.source + i]
            value += x * x if squared else x
        value = block_sum(shared, value)
        if thread == 0:
            floats[a.target + cuda.blockIdx.x] = value

    return total


def add_up(
    program: Program,
    source: int,
    size: int,
    target: int,
    *,
    squared: bool = False,
) -> None:
    """Sum `size` numbers, or their squares."""
    # A thread has at least four numbers; all parts fit a second block.
    part = max(4 * THREADS, -(-size // PARTS))
    parts = -(-size // part)
    with program.scratch():
        partial_sums = program.allocate(parts)
        first = TotalArguments(source, size, part, partial_sums)
        program.blocks(total(program.dtype, squared), parts, first, shared=THREADS)
        # One block adds the parts; each was squared already.
        second = TotalArguments(partial_sums, parts, parts, target)
        program.blocks(total(program.dtype, False), 1, second, shared=THREADS)


class ColumnArguments(NamedTuple):
    """Arguments of `column_sums`."""

    source: int  # (rows, columns), `stride` from row to row  # IN
    stride: int
    rows: int
    columns: int
    part: int  # rows of a part
    target: int  # (parts, columns)  # OUT, or IN, OUT with `adds`
    adds: int


read_columns = reader(ColumnArguments)


@cache
def column_sums(dtype: str) -> Kernel:
    """Compile the sums of columns; a block has `LANES` of them and a part of the rows."""
    zero = zeros(dtype, 1)[0]
    memory = shared_memory(dtype)

    @kernel(dtype)
    def column_sums(floats, ints, at):
        a = read_columns(ints, at)
        shared = memory()
        target = a.target + cuda.blockIdx.y * a.columns
        thread = cuda.threadIdx.x
        begin = cuda.blockIdx.y * a.part
        column = cuda.blockIdx.x * LANES + thread % LANES
        value = zero
        if column < a.columns:
            for i in range(begin + thread // LANES, min(a.rows, begin + a.part), THREADS // LANES):
                value += floats[a.source + i * a.stride + column]
        value = lane_sum(shared, value)
        if thread < LANES and column < a.columns:
            floats[target + column] = floats[target + column] + value if a.adds else value

    return column_sums


class AddPartsArguments(NamedTuple):
    """Arguments of `add_parts`."""

    parts: int  # (n_parts, size)  # IN
    n_parts: int
    target: int  # (size,)  # OUT, or IN, OUT with `adds`
    size: int
    adds: int


read_add_parts = reader(AddPartsArguments)


@cache
def add_parts() -> Kernel:
    """Compile the sum, in order, of a matrix's parts."""

    @kernel()
    def add_parts(floats, ints, at):
        a = read_add_parts(ints, at)
        for i in range(cuda.grid(1), a.size, cuda.gridsize(1)):
            total = floats[a.parts + i]
            for p in range(1, a.n_parts):
                total += floats[a.parts + p * a.size + i]
            floats[a.target + i] = floats[a.target + i] + total if a.adds else total

    return add_parts
