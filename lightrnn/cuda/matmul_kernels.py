"""Products of matrices: a tile to a block, 4 x 4 or 8 x 8 of its elements to a thread.

A block takes the terms of the sums `DEPTH` at a time. While it multiplies the terms in one half of
its shared memory, the next ones are on their way to registers, and then to the other half. A sum of
very many terms is split over blocks, whose parts are then added in their order: the same bits every
time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from numba import cuda

from .intrinsics import load4, shared_memory, store4
from .jit import Kernel, kernel, reader
from .memory import Matrix
from .registers import each, outer_sum, plus, put, register_jitable, take_some, tuple_of, zeros

SIDE = 16  # threads along a side of a block
DEPTH = 16  # terms of the sums that are in shared memory at once
# Terms of a sum that are worth a block of their own; the parts must then be added.
LEAST_PART = 4 * DEPTH
_plus = plus(4)
_load_some = take_some(4)
_outer = outer_sum(4, 4)

Functions = tuple[Callable[..., Any], Callable[..., Any]]


class ProductArguments(NamedTuple):
    """Arguments of `product`. Rows of A, as it lies in memory, and of C may have an index."""

    A: Matrix  # (M, K), or (K, M) with `turn_a`  # IN
    B: int  # (K, N), or (N, K) with `turn_b`  # IN
    B_stride: int
    C: Matrix  # (M, N)  # OUT, or IN, OUT with `adds`
    bias: int  # (N,), -1 for none  # IN
    M: int
    N: int
    K: int
    adds: int  # whether the product is added to C
    split: int = 0  # terms that a block sums, 0 for all
    part_stride: int = 0  # elements from one part of C to the next


read_product = reader(ProductArguments)


def tile_of(large: bool) -> int:
    """Return the side of a block's tile."""
    return (8 if large else 4) * SIDE


def _padded_stride(large: bool) -> int:
    """Return the stride of terms in shared memory: columns must not all begin in the same bank."""
    return tile_of(large) + 4


def shared_of(large: bool) -> int:
    """Return the elements of shared memory that a block needs: two halves, of two matrices each."""
    return 4 * DEPTH * _padded_stride(large)


# -- from memory to shared memory ------------------------------------------------------------------


class Window(NamedTuple):
    """A tile of a matrix: its first row and column, and where the matrix ends."""

    row: int
    column: int
    last_row: int
    last_column: int


class Layout(NamedTuple):
    """How a tile is read and laid out in shared memory, term by term."""

    wide: int  # elements of an item, which are loaded at once: 1 or 4
    columns: int  # items in a row of the tile
    to_column: int  # elements from a column to the next in shared memory
    to_row: int  # elements from a row to the next


def _layout(vector: bool, across: bool, large: bool) -> Layout:
    """Return the layout of a tile; with `across` its columns are the terms, else its rows are."""
    wide = 4 if vector else 1
    stride = _padded_stride(large)
    if across:
        return Layout(wide, DEPTH // wide, stride, 1)
    return Layout(wide, tile_of(large) // wide, 1, stride)


@register_jitable
def start_of(ints, matrix, row):
    """Return where a row of a matrix begins."""
    if matrix.row_index >= 0:
        row = ints[matrix.row_index + row]
    return matrix.address + row * matrix.stride


def _load_item(dtype: str, layout: Layout) -> Callable[..., Any]:
    """Build the function that loads an item of a tile; beyond the matrix there are zeros."""
    zero = zeros(dtype, 1)[0]
    columns = layout.columns

    @register_jitable
    def load_one(floats, ints, matrix, window, item):
        row = window.row + item // columns
        column = window.column + item % columns
        if row < window.last_row and column < window.last_column:
            return (floats[start_of(ints, matrix, row) + column],)
        return (zero,)

    @register_jitable
    def load_four(floats, ints, matrix, window, item):
        row = window.row + item // columns
        column = window.column + item % columns * 4
        if row >= window.last_row or column >= window.last_column:
            return zero, zero, zero, zero
        source = start_of(ints, matrix, row) + column
        if column + 3 < window.last_column:
            return load4(floats, source)
        return _load_some(floats, source, 1, window.last_column - column, zero)

    return load_four if layout.wide == 4 else load_one


@register_jitable
def _store_neighbours(tiles, place, stride, values):
    store4(tiles, place, values)


def _put_item(layout: Layout) -> Callable[..., Any]:
    """Build the function that puts an item of a tile to shared memory."""
    wide, columns, to_column, to_row = layout
    store = _store_neighbours if wide == 4 and to_column == 1 else put(wide)

    @register_jitable
    def put_item(tiles, place, item, values):
        place += item // columns * to_row + item % columns * wide * to_column
        store(tiles, place, to_column, values)

    return put_item


def _items(one: Functions, count: int) -> Functions:
    """Build the functions that load and put `count` items of a thread, as nested pairs."""
    if count == 1:
        return one
    load_half, put_half = _items(one, count // 2)
    step = count // 2 * SIDE * SIDE

    @register_jitable
    def load(floats, ints, matrix, window, item):
        first = load_half(floats, ints, matrix, window, item)
        return first, load_half(floats, ints, matrix, window, item + step)

    @register_jitable
    def put(tiles, place, item, values):
        put_half(tiles, place, item, values[0])
        put_half(tiles, place, item + step, values[1])

    return load, put


def _tile(dtype: str, vector: bool, across: bool, large: bool) -> Functions:
    """Build the functions that load and put a thread's part of a tile."""
    layout = _layout(vector, across, large)
    count = tile_of(large) * DEPTH // (SIDE * SIDE * layout.wide)
    return _items((_load_item(dtype, layout), _put_item(layout)), count)


# -- the result ------------------------------------------------------------------------------------


@register_jitable
def _write(floats, place, value, adds):
    """Write an element of the result."""
    floats[place] = floats[place] + value if adds else value


@register_jitable
def _write_row(floats, ints, a, C, row, column, values):
    """Write four elements of a row of the result, as far as they are in it."""
    if row < a.M and column < a.N:
        place = start_of(ints, C, row) + column
        # Four elements are stored at once where the row begins at a multiple of 16 bytes.
        if C.address % 4 == 0 and C.stride % 4 == 0 and column + 3 < a.N:
            if a.adds:
                values = _plus(values, load4(floats, place))
            store4(floats, place, values)
        else:
            _write(floats, place, values[0], a.adds)
            if column + 1 < a.N:
                _write(floats, place + 1, values[1], a.adds)
            if column + 2 < a.N:
                _write(floats, place + 2, values[2], a.adds)
            if column + 3 < a.N:
                _write(floats, place + 3, values[3], a.adds)


def _bias(k):
    """Build the function that returns the bias of the k-th column; beyond the last, any."""

    @register_jitable
    def bias(floats, a, column):
        return floats[a.bias + min(column + k, a.N - 1)]

    return bias


def _biased(k):
    """Build the function that adds biases to the k-th row of sums."""

    @register_jitable
    def add(sums, bias):
        return _plus(sums[k], bias)

    return add


def _row(k):
    """Build the function that writes the k-th row of sums."""

    @register_jitable
    def write(floats, ints, a, C, row, column, sums):
        _write_row(floats, ints, a, C, row + k, column, sums[k])

    return write


_load_bias = tuple_of(_bias, 4)
_add_bias = tuple_of(_biased, 4)
_write_four_rows = each(_row, 4)


@register_jitable
def _write_rows(floats, ints, a, C, row, column, sums):
    """Write four by four elements of the result, as far as they are in it."""
    if a.bias >= 0:
        sums = _add_bias(sums, _load_bias(floats, a, column))
    _write_four_rows(floats, ints, a, C, row, column, sums)


# -- the product -----------------------------------------------------------------------------------


def _multiplier(large: bool) -> Callable[..., Any]:
    """Build the function that adds the products of a tile's terms to a thread's sums."""
    stride = _padded_stride(large)
    half = tile_of(large) // 2

    @register_jitable
    def small_term(sums, tiles, a, b):
        return _outer(sums, load4(tiles, a), load4(tiles, b))

    @register_jitable
    def large_term(sums, tiles, a, b):
        a0 = load4(tiles, a)
        a1 = load4(tiles, a + half)
        b0 = load4(tiles, b)
        b1 = load4(tiles, b + half)
        return (
            _outer(sums[0], a0, b0),
            _outer(sums[1], a0, b1),
            _outer(sums[2], a1, b0),
            _outer(sums[3], a1, b1),
        )

    term = large_term if large else small_term

    @register_jitable
    def multiply(sums, tiles, a, b):
        # Four terms at a time, so that one's operands are read during another's products.
        for _ in range(DEPTH // 4):
            sums = term(sums, tiles, a, b)
            sums = term(sums, tiles, a + stride, b + stride)
            sums = term(sums, tiles, a + 2 * stride, b + 2 * stride)
            sums = term(sums, tiles, a + 3 * stride, b + 3 * stride)
            a += 4 * stride
            b += 4 * stride
        return sums

    return multiply


def _writer(large: bool) -> Callable[..., Any]:
    """Build the function that writes a thread's sums to the result."""
    half = tile_of(large) // 2

    @register_jitable
    def write_large(floats, ints, a, C, row, column, sums):
        _write_rows(floats, ints, a, C, row, column, sums[0])
        _write_rows(floats, ints, a, C, row, column + half, sums[1])
        _write_rows(floats, ints, a, C, row + half, column, sums[2])
        _write_rows(floats, ints, a, C, row + half, column + half, sums[3])

    return write_large if large else _write_rows


@cache
def product(
    dtype: str,
    turn_a: bool,
    turn_b: bool,
    vector: bool,
    large: bool,
) -> Kernel:
    """Compile ``C = A @ B + bias``, or ``C += A @ B``, A or B transposed or not.

    Parameters
    ----------
    dtype : str
        Of the numbers.
    turn_a, turn_b : bool
        Whether A is stored as (K, M), and B as (N, K).
    vector : bool
        Whether all rows of A and B begin at multiples of four, so that four elements are loaded at
        once.
    large : bool
        Whether a thread has 8 x 8 elements of the result rather than 4 x 4.
    """
    load_a, put_a = _tile(dtype, vector, not turn_a, large)
    load_b, put_b = _tile(dtype, vector, turn_b, large)
    multiply = _multiplier(large)
    write = _writer(large)
    memory = shared_memory(dtype)
    tile = tile_of(large)
    size = DEPTH * _padded_stride(large)
    zero_sums = (zeros(dtype, 4),) * 4
    if large:
        zero_sums = (zero_sums,) * 4

    @kernel(dtype, turn_a, turn_b, vector, large)
    def product(floats, ints, at):
        a = read_product(ints, at)
        tiles = memory()
        x = cuda.threadIdx.x
        y = cuda.threadIdx.y
        thread = y * SIDE + x
        top = cuda.blockIdx.x * tile
        left = cuda.blockIdx.y * tile
        begin = cuda.blockIdx.z * a.split
        end = a.K
        address = a.C.address
        if a.split > 0:
            end = min(a.K, begin + a.split)
            address += cuda.blockIdx.z * a.part_stride
        B = Matrix(a.B, a.B_stride, -1)  # no index: the compiler drops the branch
        C = Matrix(address, a.C.stride, a.C.row_index)
        sums = zero_sums
        here = 0
        there = 2 * size
        # One round more than there are tiles: a round multiplies what the one before has loaded.
        for k in range(begin, end + DEPTH, DEPTH):
            if turn_a:
                of_a = load_a(floats, ints, a.A, Window(k, top, end, a.M), thread)
            else:
                of_a = load_a(floats, ints, a.A, Window(top, k, a.M, end), thread)
            if turn_b:
                of_b = load_b(floats, ints, B, Window(left, k, a.N, end), thread)
            else:
                of_b = load_b(floats, ints, B, Window(k, left, end, a.N), thread)
            if k > begin:
                sums = multiply(sums, tiles, there + 4 * y, there + size + 4 * x)
            put_a(tiles, here, thread, of_a)
            put_b(tiles, here + size, thread, of_b)
            cuda.syncthreads()  # one barrier per round: it writes one half and reads the other
            here, there = there, here
        write(floats, ints, a, C, top + 4 * y, left + 4 * x, sums)

    return product
