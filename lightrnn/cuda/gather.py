"""Kernels that copy rows, look them up or add them up, and those of cells without recurrence.

Sums are taken by one thread in a fixed order, so that no bit depends on which thread comes first.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from numba import cuda

from ..cells import CELLS
from .jit import Kernel, kernel, reader
from .memory import Matrix
from .program import Program
from .registers import zeros


class IndexArguments(NamedTuple):
    """Arguments of `index`; N is the number of packed rows."""

    lengths: int  # (B,)  # IN
    first: int  # (T + 3,) row after the initial states' at which a step begins  # IN
    starts: int  # (B,) index of a sequence's first step in the data  # IN
    T: int
    B: int
    codes: int  # tokens of the data, -1 if it has none  # IN
    source: int  # (N,) step of the data, or its token  # OUT
    back: int  # (N,) the same for the step counted from the sequence's end  # OUT
    mirror: int  # (N,) row of the latter  # OUT
    member: int  # (N,) sequence  # OUT
    before: int  # (N,) row of the state before  # OUT
    last: int  # (B,) last row of a sequence  # OUT


read_index = reader(IndexArguments)


@cache
def index(tokens: bool) -> Kernel:
    """Compile the index of packed rows; a block takes one step after the other."""

    @kernel(tokens)
    def index(floats, ints, at):
        a = read_index(ints, at)
        for t in range(cuda.blockIdx.x, a.T, cuda.gridDim.x):
            begin = ints[a.first + t + 1]
            for b in range(cuda.threadIdx.x, ints[a.first + t + 2] - begin, cuda.blockDim.x):
                row = begin - a.B + b
                opposite = ints[a.lengths + b] - 1 - t
                forth = ints[a.starts + b] + t
                reverse = ints[a.starts + b] + opposite
                ints[a.source + row] = ints[a.codes + forth] if tokens else forth
                ints[a.back + row] = ints[a.codes + reverse] if tokens else reverse
                ints[a.mirror + row] = ints[a.first + opposite + 1] - a.B + b
                ints[a.member + row] = b
                ints[a.before + row] = ints[a.first + t] + b
                if opposite == 0:
                    ints[a.last + b] = row

    return index


# -- rows ------------------------------------------------------------------------------------------


class Mask(NamedTuple):
    """A dropout mask, with row ``ints[member + i]`` for row i; i itself if `member` is -1."""

    address: int = -1  # (B, stride), -1 for none  # IN
    stride: int = 0
    member: int = -1  # IN


class CopyArguments(NamedTuple):
    """Arguments of `copy`; where the source's row index says -1, the target's row is zero."""

    target: Matrix  # (rows, width)  # OUT
    source: Matrix  # (rows, width)  # IN
    rows: int
    width: int
    mask: Mask  # (rows, width)


read_copy = reader(CopyArguments)


@cache
def copy(dtype: str) -> Kernel:
    """Compile ``target[i] = source[i] * mask[member[i]]``, both rows by the index, if any."""
    zero = zeros(dtype, 1)[0]

    @kernel(dtype)
    def copy(floats, ints, at):
        a = read_copy(ints, at)
        for item in range(cuda.grid(1), a.rows * a.width, cuda.gridsize(1)):
            i = item // a.width
            j = item % a.width
            row = ints[a.source.row_index + i] if a.source.row_index >= 0 else i
            value = floats[a.source.address + row * a.source.stride + j] if row >= 0 else zero
            if a.mask.address >= 0:
                member = ints[a.mask.member + i] if a.mask.member >= 0 else i
                value *= floats[a.mask.address + member * a.mask.stride + j]
            to = ints[a.target.row_index + i] if a.target.row_index >= 0 else i
            floats[a.target.address + to * a.target.stride + j] = value

    return copy


def copy_rows(
    program: Program,
    target: Matrix,
    source: Matrix,
    shape: tuple[int, int],
    mask: Mask = Mask(),  # noqa: B008 - a tuple
) -> None:
    """Copy rows, after dropout."""
    count, width = shape
    arguments = CopyArguments(target, source, count, width, mask)
    program.over(copy(program.dtype), count * width, arguments)


class FillArguments(NamedTuple):
    """Arguments of `fill`."""

    target: int  # (size,)  # OUT
    size: int


read_fill = reader(FillArguments)


@cache
def fill(dtype: str) -> Kernel:
    """Compile ``target[:] = 0``."""
    zero = zeros(dtype, 1)[0]

    @kernel(dtype)
    def fill(floats, ints, at):
        a = read_fill(ints, at)
        for i in range(cuda.grid(1), a.size, cuda.gridsize(1)):
            floats[a.target + i] = zero

    return fill


def let_be_zero(program: Program, target: int, size: int) -> None:
    """Set numbers to zero."""
    program.over(fill(program.dtype), size, FillArguments(target, size))


class TransposeArguments(NamedTuple):
    """Arguments of `transpose`."""

    target: int  # (columns, rows)  # OUT
    source: int  # (rows, columns)  # IN
    rows: int
    columns: int


read_transpose = reader(TransposeArguments)


@cache
def transpose() -> Kernel:
    """Compile ``target = source.T``."""

    @kernel()
    def transpose(floats, ints, at):
        a = read_transpose(ints, at)
        for item in range(cuda.grid(1), a.rows * a.columns, cuda.gridsize(1)):
            source = a.source + item % a.rows * a.columns + item // a.rows
            floats[a.target + item] = floats[source]

    return transpose


# -- gradients of the input ------------------------------------------------------------------------


class AddByCodeArguments(NamedTuple):
    """Arguments of `add_by_code`."""

    table: int  # (n_tokens, width)  # OUT, or IN, OUT with `adds`
    codes: int  # (rows,)  # IN
    rows: int
    source: int  # (rows, width)  # IN
    width: int
    adds: int  # whether the table already holds a part of its gradient


read_add_by_code = reader(AddByCodeArguments)


@cache
def add_by_code(dtype: str) -> Kernel:
    """Compile the gradient of a table of tokens, one token to a block: the sum of its rows."""
    zero = zeros(dtype, 1)[0]

    @kernel(dtype)
    def add_by_code(floats, ints, at):
        a = read_add_by_code(ints, at)
        for j in range(cuda.threadIdx.x, a.width, cuda.blockDim.x):
            place = a.table + cuda.blockIdx.x * a.width + j
            total = floats[place] if a.adds else zero
            for i in range(a.rows):
                if ints[a.codes + i] == cuda.blockIdx.x:
                    total += floats[a.source + i * a.width + j]
            floats[place] = total

    return add_by_code


class ScatterArguments(NamedTuple):
    """Arguments of `scatter_windows`; n is the number of steps in all sequences."""

    target: int  # (n, width)  # OUT
    source: int  # (n, window * width), or (B, window * width) with `last`  # IN
    lengths: int  # (B,)  # IN
    starts: int  # (B,)  # IN
    window: int
    width: int
    last: int  # whether each sequence has one window alone, that of its last step


read_scatter = reader(ScatterArguments)


@cache
def scatter_windows(dtype: str) -> Kernel:
    """Compile the gradient of the steps that windows look at, a sequence to a block."""
    zero = zeros(dtype, 1)[0]

    @kernel(dtype)
    def scatter_windows(floats, ints, at):
        a = read_scatter(ints, at)
        b = cuda.blockIdx.x
        T = ints[a.lengths + b]
        start = ints[a.starts + b]
        for item in range(cuda.threadIdx.x, T * a.width, cuda.blockDim.x):
            t = item // a.width
            j = item % a.width
            total = zero
            for later in range(T - 1 if a.last else t, min(T, t + a.window)):
                if later - t < a.window:
                    row = b if a.last else start + later
                    step = row * a.window + a.window - 1 - (later - t)
                    total += floats[a.source + step * a.width + j]
            floats[a.target + (start + t) * a.width + j] = total

    return scatter_windows


# -- cells without recurrence ----------------------------------------------------------------------


class CellArguments(NamedTuple):
    """Arguments of `apply` and `apply_back`."""

    gates: int  # (size,)  # IN, OUT: sums, then what backward needs; at last their gradient
    size: int
    state: int  # (size,)  # OUT of `apply`; IN: the state's gradient


read_cell = reader(CellArguments)


@cache
def apply(cell: str) -> Kernel:
    """Compile the rule of a cell with one gate and no memory."""
    rule = CELLS[cell].forward

    @kernel(cell)
    def apply(floats, ints, at):
        a = read_cell(ints, at)
        for i in range(cuda.grid(1), a.size, cuda.gridsize(1)):
            sums = (floats[a.gates + i],)
            after, saved = rule(sums, sums)
            floats[a.state + i] = after[0]
            floats[a.gates + i] = saved[0]

    return apply


@cache
def apply_back(cell: str) -> Kernel:
    """Compile the gradient of such a rule."""
    rule = CELLS[cell].backward

    @kernel(cell)
    def apply_back(floats, ints, at):
        a = read_cell(ints, at)
        for i in range(cuda.grid(1), a.size, cuda.gridsize(1)):
            saved = (floats[a.gates + i],)
            dgates, _ = rule((floats[a.state + i],), saved, saved, saved)
            floats[a.gates + i] = dgates[0]

    return apply_back
