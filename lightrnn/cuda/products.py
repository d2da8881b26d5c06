"""Products of matrices as parts of a program: which kernel, cut into how many blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import matmul
from .sums import column_sums

if TYPE_CHECKING:
    from .passes import Pass

Shape = tuple[int, int, int]  # M, N, K


class Matrix(NamedTuple):
    """Where a matrix begins, the distance between its rows, and which rows of it are meant, -1 for all in order."""

    start: int
    pitch: int
    rows: int = -1


class Weights(NamedTuple):
    """Where a layer's parameters, or their gradients, are."""

    W_ih: Matrix
    b_ih: int
    W_hh: Matrix
    b_hh: int


def _aligned(*matrices: Matrix) -> bool:
    """Whether four elements can be loaded at once."""
    return all(matrix.start % 4 == 0 and matrix.pitch % 4 == 0 for matrix in matrices)


def _tiles(M: int, N: int) -> tuple[int, int]:
    return -(-N // matmul.TILE), -(-M // matmul.TILE)


def add_product(
    run: Pass,
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
    kernel = matmul.product(run.dtype, False, turn_b, _aligned(A, B))
    M, N, K = shape
    arguments = A.start, A.rows, A.pitch, B.start, B.pitch, C.start, C.rows, C.pitch, bias, M, N, K, adds, 0, 0
    run.program.launch(
        kernel, (*_tiles(M, N), 1), (matmul.SIDE, matmul.SIDE), *map(int, arguments), shared=2 * matmul.SIZE
    )


def weight_gradient(run: Pass, A: Matrix, B: Matrix, C: Matrix, shape: Shape, adds: bool = False) -> None:
    """Let ``C = A.T @ B`` for A (K, M), B (K, N), K long: a sum in parts, so that all of the GPU has work."""
    kernel = matmul.product(run.dtype, True, False, _aligned(A, B))
    M, N, K = shape
    x, y = _tiles(M, N)
    parts = max(1, min(-(-K // matmul.LEAST_PART), 2 * run.twin.limits.multiprocessors // (x * y)))
    split = -(-K // (parts * matmul.DEPTH)) * matmul.DEPTH
    parts = -(-K // split)
    block, several = (matmul.SIDE, matmul.SIDE), parts > 1
    with run.program.scratch():
        target = Matrix(run.program.room(parts * M * N), N) if several else C
        of_c = target.start, target.rows, target.pitch
        first = A.start, A.rows, A.pitch, B.start, B.pitch, *of_c, -1, M, N, K
        run.program.launch(
            kernel, (x, y, parts), block, *first, int(adds and not several), split, M * N, shared=2 * matmul.SIZE
        )
        if several:
            run.program.over(matmul.add_parts(), M * N, target.start, M * N, parts, C.start, M * N, int(adds))


def bias_gradient(run: Pass, sums: Matrix, count: int, target: int, columns: int, adds: bool = False) -> None:
    """Sum the columns of `count` rows."""
    kernel = column_sums(run.dtype)
    run.program.launch(
        kernel, columns, run.twin.threads, sums.start, sums.pitch, count, target, int(adds), shared=run.twin.threads
    )
