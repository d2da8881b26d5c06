"""Products of matrices: a tile of the result to a block, four by four of its elements to a thread, in registers.

A matrix lies in `floats`: where it begins, and the distance between its rows. A list of indices may say which rows of
it are meant. A sum over many rows is split over blocks, whose parts are then added in order: the same bits every time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import cuda

from .driver import SIMULATED, kernel
from .values import NUMBA, load4, outer4, register_jitable, zeros

SIDE = 2 if SIMULATED else 16  # threads along a side of a block
TILE = 4 * SIDE
DEPTH = 4 if SIMULATED else 16
PITCH = TILE + 4  # so that columns do not all begin in the same bank of shared memory
SIZE = DEPTH * PITCH
LEAST_PART = 4 * DEPTH  # terms of a sum that are worth a block
ALIGNED = not SIMULATED


def _fetch(vector: bool, across: bool) -> Callable[..., Any]:
    """Build the function that brings a part of a matrix to shared memory, k by k.

    With `across` the rows that it reads are those of the tile, and its columns are k; else the reverse. Beyond the
    matrix there are zeros. With `vector` four columns are loaded at once.
    """
    wide = 4 if vector else 1
    rows, columns = (TILE, DEPTH) if across else (DEPTH, TILE)
    along, apart = (PITCH, 1) if across else (1, PITCH)  # from a column, a row to the next in shared memory

    @register_jitable
    def fetch(tiles, tile, floats, ints, start, index, pitch, row, column, last_row, last_column, thread, zero):
        for item in range(thread, rows * columns // wide, SIDE * SIDE):
            i, j = item // (columns // wide), item % (columns // wide) * wide
            place, inside = tile + i * apart + j * along, row + i < last_row
            source = start
            if inside:
                source += (ints[index + row + i] if index >= 0 else row + i) * pitch + column + j
            if vector:
                if inside and column + j + 3 < last_column:
                    values = load4(floats, source)
                    tiles[place] = values[0]
                    tiles[place + along] = values[1]
                    tiles[place + 2 * along] = values[2]
                    tiles[place + 3 * along] = values[3]
                else:
                    for k in range(4):
                        tiles[place + k * along] = (
                            floats[source + k] if inside and column + j + k < last_column else zero
                        )
            else:
                tiles[place] = floats[source] if inside and column + j < last_column else zero

    return fetch


@register_jitable
def _write(floats, place, value, bias, column, adds):
    """Write an element of the result."""
    if bias >= 0:
        value += floats[bias + column]
    floats[place] = floats[place] + value if adds else value


@register_jitable
def _write_row(floats, ints, C, index, pitch, row, M, values, bias, column, N, adds):
    """Write four elements of a row of the result, as far as they are in it."""
    if row < M:
        place = C + (ints[index + row] if index >= 0 else row) * pitch + column
        if column < N:
            _write(floats, place, values[0], bias, column, adds)
        if column + 1 < N:
            _write(floats, place + 1, values[1], bias, column + 1, adds)
        if column + 2 < N:
            _write(floats, place + 2, values[2], bias, column + 2, adds)
        if column + 3 < N:
            _write(floats, place + 3, values[3], bias, column + 3, adds)


@cache
def product(dtype: str, turn_a: bool, turn_b: bool, vector: bool) -> Callable[..., Any]:
    """Compile ``C = A @ B + bias``, or ``C += A @ B``, A or B transposed or not.

    Arguments: A, its index, its pitch; B, its pitch; C, its index, its pitch; bias; M, N, K; adds; split; apart. Rows
    of A, as it lies in memory, and of C may be meant by an index, -1 if not. With `split` > 0 a block sums so many k,
    and the parts of C are `apart` from each other.
    """
    number, zero, nothing = NUMBA[dtype], np.dtype(dtype).type(0), (zeros(dtype, 4),) * 4
    fetch_a, fetch_b = _fetch(vector, not turn_a), _fetch(vector, turn_b)

    @kernel
    def product(floats, ints, at):
        A, index, pitch_a, B, pitch_b = ints[at], ints[at + 1], ints[at + 2], ints[at + 3], ints[at + 4]
        C, index_c, pitch_c, bias = ints[at + 5], ints[at + 6], ints[at + 7], ints[at + 8]
        M, N, K = ints[at + 9], ints[at + 10], ints[at + 11]
        adds, split, apart = ints[at + 12], ints[at + 13], ints[at + 14]
        if ALIGNED:
            tiles = cuda.shared.array(0, number, 16)
        else:
            tiles = cuda.shared.array(0, number)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        thread, top, left = y * SIDE + x, cuda.blockIdx.y * TILE, cuda.blockIdx.x * TILE
        begin, end = cuda.blockIdx.z * split, K
        if split > 0:
            end = min(K, begin + split)
            C += cuda.blockIdx.z * apart
        sums = nothing
        for k in range(begin, end, DEPTH):
            if turn_a:
                fetch_a(tiles, 0, floats, ints, A, index, pitch_a, k, top, end, M, thread, zero)
            else:
                fetch_a(tiles, 0, floats, ints, A, index, pitch_a, top, k, M, end, thread, zero)
            if turn_b:
                fetch_b(tiles, SIZE, floats, ints, B, -1, pitch_b, left, k, N, end, thread, zero)
            else:
                fetch_b(tiles, SIZE, floats, ints, B, -1, pitch_b, k, left, end, N, thread, zero)
            cuda.syncthreads()
            for d in range(DEPTH):
                sums = outer4(sums, load4(tiles, d * PITCH + 4 * y), load4(tiles, SIZE + d * PITCH + 4 * x))
            cuda.syncthreads()
        row, column = top + 4 * y, left + 4 * x
        _write_row(floats, ints, C, index_c, pitch_c, row, M, sums[0], bias, column, N, adds)
        _write_row(floats, ints, C, index_c, pitch_c, row + 1, M, sums[1], bias, column, N, adds)
        _write_row(floats, ints, C, index_c, pitch_c, row + 2, M, sums[2], bias, column, N, adds)
        _write_row(floats, ints, C, index_c, pitch_c, row + 3, M, sums[3], bias, column, N, adds)

    return product


@cache
def add_parts() -> Callable[..., Any]:
    """Compile the sum, in order, of a matrix's parts. Arguments: parts, apart, count; C, size, adds."""

    @kernel
    def add_parts(floats, ints, at):
        parts, apart, count = ints[at], ints[at + 1], ints[at + 2]
        C, size, adds = ints[at + 3], ints[at + 4], ints[at + 5]
        i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        if i < size:
            total = floats[parts + i]
            for p in range(1, count):
                total += floats[parts + p * apart + i]
            _write(floats, C + i, total, -1, 0, adds)

    return add_parts
