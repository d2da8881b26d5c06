"""Products of matrices as parts of a program: which kernel, and over how many blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from . import matmul_kernels
from .driver import THREADS
from .jit import Grid
from .matmul_kernels import ProductArguments
from .memory import Matrix
from .program import Program
from .reductions import LANES, AddPartsArguments, ColumnArguments, add_parts, column_sums

Shape = tuple[int, int, int]  # M, N, K
BLOCK = matmul_kernels.SIDE, matmul_kernels.SIDE, 1


def _aligned(*matrices: Matrix) -> bool:
    """Whether four elements can be loaded at once."""
    return all(matrix.address % 4 == 0 and matrix.stride % 4 == 0 for matrix in matrices)


def _tiles(M: int, N: int, large: bool) -> tuple[int, int]:
    """Return the tiles of a result along its rows and its columns."""
    tile = matmul_kernels.tile_of(large)
    return -(-M // tile), -(-N // tile)


def _worth_large(program: Program, M: int, N: int, parts: int) -> bool:
    """Whether large tiles, each read less often, are enough to give every multiprocessor one.

    A large tile of float64 would not fit a thread's registers.
    """
    x, y = _tiles(M, N, True)
    return (
        program.dtype == "float32"
        and min(M, N) > matmul_kernels.tile_of(False)
        and x * y * parts >= program.context.limits.multiprocessors
    )


def _grid(tiles: tuple[int, int], parts: int, large: bool) -> Grid:
    """Return the grid of a product."""
    return Grid((*tiles, parts), BLOCK, matmul_kernels.shared_of(large))


def add_product(
    program: Program,
    A: Matrix,
    B: Matrix,
    C: Matrix,
    shape: Shape,
    *,
    bias: int = -1,
    turn_b: bool = False,
    adds: bool = False,
) -> None:
    """Let ``C = A @ B + bias``, or ``C += A @ B``; B is (N, K) with `turn_b`, else (K, N)."""
    M, N, K = shape
    large = _worth_large(program, M, N, 1)
    kernel = matmul_kernels.product(program.dtype, False, turn_b, _aligned(A, B), large)
    arguments = ProductArguments(A, B.address, B.stride, C, bias, M, N, K, int(adds))
    program.launch(kernel, _grid(_tiles(M, N, large), 1, large), arguments)


@contextmanager
def _in_parts(
    program: Program, parts: int, target: int, size: int, adds: bool
) -> Iterator[tuple[int, int]]:
    """Yield where to put the first part of a result and whether to add; then add the parts."""
    if parts == 1:
        yield target, int(adds)
        return
    with program.scratch():
        partial_sums = program.allocate(parts * size)
        yield partial_sums, 0
        arguments = AddPartsArguments(partial_sums, parts, target, size, int(adds))
        program.over(add_parts(), size, arguments)


def weight_gradient(
    program: Program, A: Matrix, B: Matrix, C: Matrix, shape: Shape, *, adds: bool = False
) -> None:
    """Let ``C = A.T @ B``, or ``C += A.T @ B``, for A (K, M) and B (K, N) with many rows.

    The sum is split so that all multiprocessors have work.
    """
    M, N, K = shape
    worth = -(-K // matmul_kernels.LEAST_PART)
    large = _worth_large(program, M, N, worth)
    kernel = matmul_kernels.product(program.dtype, True, False, _aligned(A, B), large)
    x, y = _tiles(M, N, large)
    # Two blocks per multiprocessor, so that one computes while the other waits for memory.
    wanted = max(1, min(worth, 2 * program.context.limits.multiprocessors // (x * y)))
    split = -(-K // (wanted * matmul_kernels.DEPTH)) * matmul_kernels.DEPTH
    parts = -(-K // split)
    with _in_parts(program, parts, C.address, M * N, adds) as (first, itself):
        target = Matrix(first, N) if parts > 1 else C  # (parts, M, N)
        sizes = M, N, K, itself, split, M * N
        arguments = ProductArguments(A, B.address, B.stride, target, -1, *sizes)
        program.launch(kernel, _grid((x, y), parts, large), arguments)


def bias_gradient(
    program: Program,
    sums: Matrix,
    count: int,
    target: int,
    columns: int,
    *,
    adds: bool = False,
) -> None:
    """Sum the columns of `count` rows, split so that all multiprocessors have work."""
    blocks = -(-columns // LANES)
    most = max(1, 2 * program.context.limits.multiprocessors // blocks)
    part = max(THREADS, -(-count // most))  # rows: at least one per thread of a lane
    parts = -(-count // part)
    with _in_parts(program, parts, target, columns, adds) as (first, itself):
        arguments = ColumnArguments(sums.address, sums.stride, count, columns, part, first, itself)
        grid = Grid((blocks, parts, 1), (THREADS, 1, 1), THREADS)
        program.launch(column_sums(program.dtype), grid, arguments)
