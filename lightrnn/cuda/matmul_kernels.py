"""Products of matrices: a tile of the result to a block, four by four of its elements to a thread, or eight by eight.

A matrix lies in `floats`: where it begins, and the distance between its rows. A list of indices may say which rows of
it are meant. A sum over many rows is split over blocks, whose parts are then added in order: the same bits every time.

A block takes the sum's terms `DEPTH` at a time. While it multiplies what is in one half of its shared memory, what
comes next is on its way to registers, and then to the other half.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import cuda

from .driver import SIMULATED
from .intrinsics import load4, pointer, store4
from .jit import Kernel, kernel
from .registers import NUMBA, PLUS, outer4, register_jitable, zeros

SIDE = 2 if SIMULATED else 16  # threads along a side of a block
DEPTH = 4 if SIMULATED else 16
LEAST_PART = 4 * DEPTH  # terms of a sum that are worth a block
ALIGNED = not SIMULATED
_plus = PLUS[4]


def tile_of(large: bool) -> int:
    """Return the side of a block's tile."""
    return (8 if large else 4) * SIDE


def _pitch(large: bool) -> int:
    """Return the distance between terms in shared memory: columns do not all begin in the same bank."""
    return tile_of(large) + 4


def shared_of(large: bool) -> int:
    """Return the elements of shared memory that a block needs: two halves, of two matrices each."""
    return 4 * DEPTH * _pitch(large)


def _item(vector: bool, across: bool, large: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Build the functions that load an item of a matrix, one element or four, and put it to shared memory, k by k.

    With `across` the rows that are read are those of the tile, and their columns are k; else the reverse. Beyond the
    matrix there are zeros.
    """
    wide = 4 if vector else 1
    columns = (DEPTH if across else tile_of(large)) // wide
    along, apart = (
        (_pitch(large), 1) if across else (1, _pitch(large))
    )  # to the next column, row in shared memory

    @register_jitable
    def source_of(ints, start, index, pitch, row, column):
        return start + (ints[index + row] if index >= 0 else row) * pitch + column

    @register_jitable
    def load_one(floats, ints, start, index, pitch, row, column, last_row, last_column, item, zero):
        row, column = row + item // columns, column + item % columns
        if row < last_row and column < last_column:
            return (floats[source_of(ints, start, index, pitch, row, column)],)
        return (zero,)

    @register_jitable
    def put_one(tiles, place, item, values):
        tiles[place + item // columns * apart + item % columns * along] = values[0]

    @register_jitable
    def load_four(
        floats, ints, start, index, pitch, row, column, last_row, last_column, item, zero
    ):
        row, column = row + item // columns, column + item % columns * 4
        if row >= last_row or column >= last_column:
            return zero, zero, zero, zero
        source = source_of(ints, start, index, pitch, row, column)
        if column + 3 < last_column:
            return load4(floats, source)
        return (
            floats[source],
            floats[source + 1] if column + 1 < last_column else zero,
            floats[source + 2] if column + 2 < last_column else zero,
            zero,
        )

    @register_jitable
    def put_across(tiles, place, item, values):
        place += item // columns * apart + item % columns * 4 * along
        tiles[place] = values[0]
        tiles[place + along] = values[1]
        tiles[place + 2 * along] = values[2]
        tiles[place + 3 * along] = values[3]

    @register_jitable
    def put_along(tiles, place, item, values):
        store4(tiles, place + item // columns * apart + item % columns * 4, values)

    if not vector:
        return load_one, put_one
    return load_four, put_across if across else put_along


def _items(
    one: tuple[Callable[..., Any], Callable[..., Any]], count: int
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Build the functions that load and put `count` items, a block's threads apart: nested pairs."""
    if count == 1:
        return one
    (load_half, put_half), step = _items(one, count // 2), count // 2 * SIDE * SIDE

    @register_jitable
    def load(floats, ints, start, index, pitch, row, column, last_row, last_column, item, zero):
        of_all = start, index, pitch, row, column, last_row, last_column
        return load_half(floats, ints, *of_all, item, zero), load_half(
            floats, ints, *of_all, item + step, zero
        )

    @register_jitable
    def put(tiles, place, item, values):
        put_half(tiles, place, item, values[0])
        put_half(tiles, place, item + step, values[1])

    return load, put


def _tile(vector: bool, across: bool, large: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Build the functions that load and put a thread's part of a tile."""
    count = tile_of(large) * DEPTH // (SIDE * SIDE) // (4 if vector else 1)
    return _items(_item(vector, across, large), count)


@register_jitable
def _write(floats, place, value, adds):
    """Write an element of the result."""
    floats[place] = floats[place] + value if adds else value


@register_jitable
def _write_row(floats, ints, C, index, pitch, row, M, values, column, N, adds, vector):
    """Write four elements of a row of the result, as far as they are in it."""
    if row < M and column < N:
        place = C + (ints[index + row] if index >= 0 else row) * pitch + column
        if vector and column + 3 < N:
            if adds:
                values = _plus(values, load4(floats, place))
            store4(floats, place, values)
        else:
            _write(floats, place, values[0], adds)
            if column + 1 < N:
                _write(floats, place + 1, values[1], adds)
            if column + 2 < N:
                _write(floats, place + 2, values[2], adds)
            if column + 3 < N:
                _write(floats, place + 3, values[3], adds)


@register_jitable
def _write_rows(floats, ints, C, index, pitch, row, M, sums, bias, column, N, adds, vector):
    """Write four by four elements of the result, as far as they are in it."""
    if bias >= 0:
        a = floats[bias + min(column, N - 1)]
        b, c = floats[bias + min(column + 1, N - 1)], floats[bias + min(column + 2, N - 1)]
        of_row = a, b, c, floats[bias + min(column + 3, N - 1)]
        sums = (
            _plus(sums[0], of_row),
            _plus(sums[1], of_row),
            _plus(sums[2], of_row),
            _plus(sums[3], of_row),
        )
    _write_row(floats, ints, C, index, pitch, row, M, sums[0], column, N, adds, vector)
    _write_row(floats, ints, C, index, pitch, row + 1, M, sums[1], column, N, adds, vector)
    _write_row(floats, ints, C, index, pitch, row + 2, M, sums[2], column, N, adds, vector)
    _write_row(floats, ints, C, index, pitch, row + 3, M, sums[3], column, N, adds, vector)


def _multiplier(large: bool) -> Callable[..., Any]:
    """Build the function that adds the products of a tile's terms to a thread's sums."""
    pitch, half = _pitch(large), tile_of(large) // 2
    if large:

        @register_jitable
        def term(sums, tiles, a, b):
            a0, a1, b0, b1 = (
                load4(tiles, a),
                load4(tiles, a + half),
                load4(tiles, b),
                load4(tiles, b + half),
            )
            return (
                outer4(sums[0], a0, b0),
                outer4(sums[1], a0, b1),
                outer4(sums[2], a1, b0),
                outer4(sums[3], a1, b1),
            )

    else:

        @register_jitable
        def term(sums, tiles, a, b):
            return outer4(sums, load4(tiles, a), load4(tiles, b))

    @register_jitable
    def multiply(sums, tiles, a, b):
        for _ in range(
            DEPTH // 4
        ):  # four in a row, so that one's operands are read during another's products
            sums = term(sums, tiles, a, b)
            sums = term(sums, tiles, a + pitch, b + pitch)
            sums = term(sums, tiles, a + 2 * pitch, b + 2 * pitch)
            sums = term(sums, tiles, a + 3 * pitch, b + 3 * pitch)
            a, b = a + 4 * pitch, b + 4 * pitch
        return sums

    return multiply


@cache
def product(dtype: str, turn_a: bool, turn_b: bool, vector: bool, large: bool) -> Kernel:
    """Compile ``C = A @ B + bias``, or ``C += A @ B``, A or B transposed or not.

    Arguments: A, its index, its pitch; B, its pitch; C, its index, its pitch; bias; M, N, K; adds; split; apart. Rows
    of A, as it lies in memory, and of C may be meant by an index, -1 if not. With `split` > 0 a block sums so many k,
    and the parts of C are `apart` from each other.
    """
    number, zero, nothing = NUMBA[dtype], np.dtype(dtype).type(0), (zeros(dtype, 4),) * 4
    (load_a, put_a), (load_b, put_b) = (
        _tile(vector, not turn_a, large),
        _tile(vector, turn_b, large),
    )
    multiply, tile, size, half = (
        _multiplier(large),
        tile_of(large),
        DEPTH * _pitch(large),
        tile_of(large) // 2,
    )
    nothing = (nothing,) * 4 if large else nothing

    @kernel(dtype, turn_a, turn_b, vector, large)
    def product(floats, ints, at):
        A, index, pitch_a, B, pitch_b = (
            ints[at],
            ints[at + 1],
            ints[at + 2],
            ints[at + 3],
            ints[at + 4],
        )
        C, index_c, pitch_c, bias = ints[at + 5], ints[at + 6], ints[at + 7], ints[at + 8]
        M, N, K = ints[at + 9], ints[at + 10], ints[at + 11]
        adds, split, apart = ints[at + 12], ints[at + 13], ints[at + 14]
        if ALIGNED:
            tiles = pointer(cuda.shared.array(0, number, 16))
        else:
            tiles = pointer(cuda.shared.array(0, number))
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        thread, top, left = y * SIDE + x, cuda.blockIdx.x * tile, cuda.blockIdx.y * tile
        begin, end = cuda.blockIdx.z * split, K
        if split > 0:
            end = min(K, begin + split)
            C += cuda.blockIdx.z * apart
        sums, place, other = nothing, 0, 2 * size
        for k in range(
            begin, end + DEPTH, DEPTH
        ):  # one round more: what is loaded in one is multiplied in the next
            if turn_a:
                a = load_a(floats, ints, A, index, pitch_a, k, top, end, M, thread, zero)
            else:
                a = load_a(floats, ints, A, index, pitch_a, top, k, M, end, thread, zero)
            if turn_b:
                b = load_b(floats, ints, B, -1, pitch_b, left, k, N, end, thread, zero)
            else:
                b = load_b(floats, ints, B, -1, pitch_b, k, left, end, N, thread, zero)
            if k > begin:
                sums = multiply(sums, tiles, other + 4 * y, other + size + 4 * x)
            put_a(tiles, place, thread, a)
            put_b(tiles, place + size, thread, b)
            cuda.syncthreads()
            place, other = other, place
        row, column, wide = top + 4 * y, left + 4 * x, C % 4 == 0 and pitch_c % 4 == 0
        if large:
            _write_rows(
                floats, ints, C, index_c, pitch_c, row, M, sums[0], bias, column, N, adds, wide
            )
            _write_rows(
                floats,
                ints,
                C,
                index_c,
                pitch_c,
                row,
                M,
                sums[1],
                bias,
                column + half,
                N,
                adds,
                wide,
            )
            _write_rows(
                floats,
                ints,
                C,
                index_c,
                pitch_c,
                row + half,
                M,
                sums[2],
                bias,
                column,
                N,
                adds,
                wide,
            )
            _write_rows(
                floats,
                ints,
                C,
                index_c,
                pitch_c,
                row + half,
                M,
                sums[3],
                bias,
                column + half,
                N,
                adds,
                wide,
            )
        else:
            _write_rows(
                floats, ints, C, index_c, pitch_c, row, M, sums, bias, column, N, adds, wide
            )

    return product


@cache
def add_parts() -> Kernel:
    """Compile the sum, in order, of a matrix's parts. Arguments: parts, apart, count; C, size, adds."""

    @kernel()
    def add_parts(floats, ints, at):
        parts, apart, count = ints[at], ints[at + 1], ints[at + 2]
        C, size, adds = ints[at + 3], ints[at + 4], ints[at + 5]
        for i in range(cuda.grid(1), size, cuda.gridsize(1)):
            total = floats[parts + i]
            for p in range(1, count):
                total += floats[parts + p * apart + i]
            _write(floats, C + i, total, adds)

    return add_parts
