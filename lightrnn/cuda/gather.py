"""Rows: their index, and rows copied, added up, or found by token. No sum depends on which thread comes first."""

from __future__ import annotations

from functools import cache

from numba import cuda

from ..cells import CELLS
from .jit import Kernel, kernel
from .registers import zeros


@cache
def index(tokens: bool) -> Kernel:
    """Compile the index of packed rows, a step to a block.

    Arguments: lengths, first (see `recurrence`), places, T, B, codes. Then what is filled, for each row: where the data
    has its step, and that of the step counted from the sequence's end (with tokens which codes stand there); the row of
    the latter; the sequence; the row of the state before; and for each sequence its last row.
    """

    @kernel(tokens)
    def index(floats, ints, at):
        lengths, first, places = ints[at], ints[at + 1], ints[at + 2]
        T, B, codes = ints[at + 3], ints[at + 4], ints[at + 5]
        source, back, mirror, member = ints[at + 6], ints[at + 7], ints[at + 8], ints[at + 9]
        before, last = ints[at + 10], ints[at + 11]
        for t in range(cuda.blockIdx.x, T, cuda.gridDim.x):
            begin = ints[first + t + 1]
            for b in range(cuda.threadIdx.x, ints[first + t + 2] - begin, cuda.blockDim.x):
                row, opposite = begin - B + b, ints[lengths + b] - 1 - t
                forth, reverse = ints[places + b] + t, ints[places + b] + opposite
                ints[source + row] = ints[codes + forth] if tokens else forth
                ints[back + row] = ints[codes + reverse] if tokens else reverse
                ints[mirror + row] = ints[first + opposite + 1] - B + b
                ints[member + row] = b
                ints[before + row] = ints[first + t] + b
                if opposite == 0:
                    ints[last + b] = row

    return index


@cache
def copy(dtype: str) -> Kernel:
    """Compile ``target[i] = source[index[i]] * mask[member[i]]``.

    Arguments: target, its pitch; source, its pitch, index; rows, width; mask, its pitch, member. Index and member -1: i
    itself; index -1 in a place: zeros; mask -1: none.
    """
    zero = zeros(dtype, 1)[0]

    @kernel(dtype)
    def copy(floats, ints, at):
        target, pitch, source, pitch_s = ints[at], ints[at + 1], ints[at + 2], ints[at + 3]
        index, rows, width = ints[at + 4], ints[at + 5], ints[at + 6]
        mask, pitch_m, member = ints[at + 7], ints[at + 8], ints[at + 9]
        for item in range(cuda.grid(1), rows * width, cuda.gridsize(1)):
            i, j = item // width, item % width
            k = ints[index + i] if index >= 0 else i
            value = floats[source + k * pitch_s + j] if k >= 0 else zero
            if mask >= 0:
                value *= floats[mask + (ints[member + i] if member >= 0 else i) * pitch_m + j]
            floats[target + i * pitch + j] = value

    return copy


@cache
def fill(dtype: str) -> Kernel:
    """Compile zeros. Arguments: target, size."""
    zero = zeros(dtype, 1)[0]

    @kernel(dtype)
    def fill(floats, ints, at):
        target, size = ints[at], ints[at + 1]
        for i in range(cuda.grid(1), size, cuda.gridsize(1)):
            floats[target + i] = zero

    return fill


@cache
def transpose() -> Kernel:
    """Compile ``target = source.T``. Arguments: target, source, rows and columns of the source."""

    @kernel()
    def transpose(floats, ints, at):
        target, source, rows, columns = ints[at], ints[at + 1], ints[at + 2], ints[at + 3]
        for item in range(cuda.grid(1), rows * columns, cuda.gridsize(1)):
            floats[target + item] = floats[source + item % rows * columns + item // rows]

    return transpose


@cache
def add_by_code(dtype: str) -> Kernel:
    """Compile a table's gradient, a token to a block: the sum, in order, of the rows that have its code.

    Arguments: table, its pitch; codes, rows; source, its pitch; width; adds.
    """
    zero = zeros(dtype, 1)[0]

    @kernel(dtype)
    def add_by_code(floats, ints, at):
        table, pitch, codes, rows = ints[at], ints[at + 1], ints[at + 2], ints[at + 3]
        source, pitch_s, width, adds = ints[at + 4], ints[at + 5], ints[at + 6], ints[at + 7]
        for j in range(cuda.threadIdx.x, width, cuda.blockDim.x):
            place = table + cuda.blockIdx.x * pitch + j
            total = floats[place] if adds else zero
            for i in range(rows):
                if ints[codes + i] == cuda.blockIdx.x:
                    total += floats[source + i * pitch_s + j]
            floats[place] = total

    return add_by_code


@cache
def fold(dtype: str) -> Kernel:
    """Compile the gradient of what windows look at, a sequence to a block: from that of the windows.

    Arguments: target; source; lengths, starts; window, width; only the last step's window. Target and source have rows
    of `width` and ``window * width`` columns.
    """
    zero = zeros(dtype, 1)[0]

    @kernel(dtype)
    def fold(floats, ints, at):
        target, source, lengths, starts = ints[at], ints[at + 1], ints[at + 2], ints[at + 3]
        window, width, last = ints[at + 4], ints[at + 5], ints[at + 6]
        b = cuda.blockIdx.x
        T, start = ints[lengths + b], ints[starts + b]
        for item in range(cuda.threadIdx.x, T * width, cuda.blockDim.x):
            t, j, total = item // width, item % width, zero
            for later in range(T - 1 if last else t, min(T, t + window)):
                if later - t < window:
                    row = b if last else start + later
                    total += floats[source + (row * window + window - 1 - (later - t)) * width + j]
            floats[target + (start + t) * width + j] = total

    return fold


# -- a cell without recurrence ----------------------------------------------------------------------------------------


@cache
def apply(cell: str) -> Kernel:
    """Compile a rule over rows of one slot. Arguments: slots, size; state."""
    rule = CELLS[cell].forward

    @kernel(cell)
    def apply(floats, ints, at):
        slots, size, state = ints[at], ints[at + 1], ints[at + 2]
        for i in range(cuda.grid(1), size, cuda.gridsize(1)):
            after, saved = rule((floats[slots + i],), (floats[slots + i],))
            floats[state + i] = after[0]
            floats[slots + i] = saved[0]

    return apply


@cache
def apply_back(cell: str) -> Kernel:
    """Compile the way back. Arguments: slots, size; the gradient of the state."""
    rule = CELLS[cell].backward

    @kernel(cell)
    def apply_back(floats, ints, at):
        slots, size, dstate = ints[at], ints[at + 1], ints[at + 2]
        for i in range(cuda.grid(1), size, cuda.gridsize(1)):
            saved = (floats[slots + i],)
            dslots, _ = rule((floats[dstate + i],), saved, saved, saved)
            floats[slots + i] = dslots[0]

    return apply_back
