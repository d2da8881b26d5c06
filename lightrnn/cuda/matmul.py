"""Products of matrices as parts of a program: which kernel, cut into how many blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from . import matmul_kernels
from .driver import THREADS
from .reductions import LANES, column_sums

if TYPE_CHECKING:
    from .forward_backward import CudaForwardBackward

Shape = tuple[int, int, int]  # M, N, K
BLOCK = matmul_kernels.SIDE, matmul_kernels.SIDE, 1


class Matrix(NamedTuple):
    """Where a matrix begins, the distance between its rows, and which rows of it are meant, -1 for all in order."""

    start: int
    pitch: int
    rows: int = -1


def _aligned(*matrices: Matrix) -> bool:
    """Whether four elements can be loaded at once."""
    return all(matrix.start % 4 == 0 and matrix.pitch % 4 == 0 for matrix in matrices)


def _tiles(M: int, N: int, large: bool) -> tuple[int, int]:
    tile = matmul_kernels.tile_of(large)
    return -(-M // tile), -(-N // tile)


def _worth_large(run: CudaForwardBackward, M: int, N: int, parts: int) -> bool:
    """Whether large tiles, each read less often, are enough to give every multiprocessor one."""
    x, y = _tiles(M, N, True)
    return (
        run.dtype == "float32"
        and min(M, N) > matmul_kernels.tile_of(False)
        and x * y * parts >= run.twin.limits.multiprocessors
    )


def add_product(
    run: CudaForwardBackward,
    A: Matrix,
    B: Matrix,
    C: Matrix,
    shape: Shape,
    bias: int = -1,
    *,
    turn_b: bool = False,
    adds: bool = False,
) -> None:
    """Let ``C = A @ B + bias``, or ``C += A @ B``, for A (M, K), B (K, N) or with `turn_b` (N, K)."""
    M, N, K = shape
    large = _worth_large(run, M, N, 1)
    kernel = matmul_kernels.product(run.dtype, False, turn_b, _aligned(A, B), large)
    arguments = (
        A.start,
        A.rows,
        A.pitch,
        B.start,
        B.pitch,
        C.start,
        C.rows,
        C.pitch,
        bias,
        M,
        N,
        K,
        int(adds),
        0,
        0,
    )
    run.program.launch(
        kernel, (*_tiles(M, N, large), 1), BLOCK, *arguments, shared=matmul_kernels.shared_of(large)
    )


@contextmanager
def _in_parts(
    run: CudaForwardBackward, parts: int, target: int, size: int, adds: bool
) -> Iterator[tuple[int, int]]:
    """Let parts of a result be computed, then added up; yields where the first goes, and whether itself adds."""
    if parts == 1:
        yield target, int(adds)
        return
    with run.program.scratch():
        first = run.program.room(parts * size)
        yield first, 0
        run.program.over(
            matmul_kernels.add_parts(), size, first, size, parts, target, size, int(adds)
        )


def weight_gradient(
    run: CudaForwardBackward, A: Matrix, B: Matrix, C: Matrix, shape: Shape, adds: bool = False
) -> None:
    """Let ``C = A.T @ B`` for A (K, M), B (K, N), K long: a sum in parts, so that all of the GPU has work."""
    M, N, K = shape
    large = _worth_large(run, M, N, -(-K // matmul_kernels.LEAST_PART))
    kernel = matmul_kernels.product(run.dtype, True, False, _aligned(A, B), large)
    x, y = _tiles(M, N, large)
    parts = max(
        1, min(-(-K // matmul_kernels.LEAST_PART), 2 * run.twin.limits.multiprocessors // (x * y))
    )
    split = -(-K // (parts * matmul_kernels.DEPTH)) * matmul_kernels.DEPTH
    parts = -(-K // split)
    of_a, of_b, of_c = (
        (A.start, A.rows, A.pitch),
        (B.start, B.pitch),
        (C.rows, C.pitch) if parts == 1 else (-1, N),
    )
    with _in_parts(run, parts, C.start, M * N, adds) as (first, itself):
        arguments = *of_a, *of_b, first, *of_c, -1, M, N, K, itself, split, M * N
        run.program.launch(
            kernel, (x, y, parts), BLOCK, *arguments, shared=matmul_kernels.shared_of(large)
        )


def bias_gradient(
    run: CudaForwardBackward,
    sums: Matrix,
    count: int,
    target: int,
    columns: int,
    adds: bool = False,
) -> None:
    """Sum the columns of `count` rows: in parts, so that all of the GPU has work."""
    kernel, blocks = column_sums(run.dtype), -(-columns // LANES)
    most = max(1, 2 * run.twin.limits.multiprocessors // blocks)
    part = max(THREADS, -(-count // most))
    parts = -(-count // part)
    with _in_parts(run, parts, target, columns, adds) as (first, itself):
        arguments = sums.start, sums.pitch, count, columns, part, first, itself
        run.program.launch(kernel, (blocks, parts, 1), (THREADS, 1, 1), *arguments, shared=THREADS)
