"""Products on packed panels: ``C += A @ B`` and ``C += A.T @ B``.

B (K, N) is packed into panels: cut into blocks of `TILE_VECTORS` registers of columns (single ones at the end), each
block contiguous, so that the tile reads it straight through. N comes in whole registers, which padding sees to; K and
the rows are any number.
"""

from collections.abc import Callable
from typing import Any

from .host import TILE_ROWS, TILE_VECTORS
from .jit import kernel, named, register_jitable
from .memory import lanes, load, store, store_flat, store_transposed
from .tile import load_tile, products, products_t, store_tile


@register_jitable
def panel_vectors(L, j, N):
    """Width, in registers, of the panel that begins at column j."""
    return TILE_VECTORS if j + TILE_VECTORS * L <= N else 1


def _block(rows: int, vectors: int, *, transposed: bool) -> Callable[..., Any]:
    """Add to one tile of C."""
    chain = products_t if transposed else products

    @register_jitable
    @named(f"block{'_t' * transposed}_{rows}_{vectors}")
    def block(C, row, column, A, a_row, a_column, panels, at, K):
        tile = load_tile(C, row, column, rows, vectors)
        store_tile(C, row, column, chain(tile, A, a_row, a_column, panels, at, K))

    return block


def _strip(vectors: int) -> Callable[..., Any]:
    """Rows of C under one panel, `A`'s rows giving C's."""
    many, two, one = (_block(rows, vectors, transposed=False) for rows in (TILE_ROWS, 2, 1))

    @register_jitable
    @named(f"strip_{vectors}")
    def strip(C, row, column, A, a_row, a_column, panels, at, M, K):
        i = 0
        while i + TILE_ROWS <= M:
            many(C, row + i, column, A, a_row + i, a_column, panels, at, K)
            i += TILE_ROWS
        while i + 2 <= M:
            two(C, row + i, column, A, a_row + i, a_column, panels, at, K)
            i += 2
        if i < M:
            one(C, row + i, column, A, a_row + i, a_column, panels, at, K)

    return strip


def _strip_t(vectors: int) -> Callable[..., Any]:
    """Rows of C under one panel, `A`'s columns giving C's rows."""
    many, two, one = (_block(rows, vectors, transposed=True) for rows in (TILE_ROWS, 2, 1))

    @register_jitable
    @named(f"strip_t_{vectors}")
    def strip_t(C, column, A, a_row, M, panel, K):
        i = 0
        while i + TILE_ROWS <= M:
            many(C, i, column, A, a_row, i, panel, 0, K)
            i += TILE_ROWS
        while i + 2 <= M:
            two(C, i, column, A, a_row, i, panel, 0, K)
            i += 2
        if i < M:
            one(C, i, column, A, a_row, i, panel, 0, K)

    return strip_t


_wide, _narrow = _strip(TILE_VECTORS), _strip(1)
_wide_t, _narrow_t = _strip_t(TILE_VECTORS), _strip_t(1)


@register_jitable
def add_product(C, row, column, A, a_row, a_column, panels, M, K, N):
    """``C[row : row + M, column : column + N] += A[a_row : a_row + M, a_column : a_column + K] @ panels``."""
    L, j = lanes(C), 0
    while j < N:
        vectors = panel_vectors(L, j, N)
        if vectors > 1:
            _wide(C, row, column + j, A, a_row, a_column, panels, j * K, M, K)
        else:
            _narrow(C, row, column + j, A, a_row, a_column, panels, j * K, M, K)
        j += vectors * L


@register_jitable
def _pack_panel(panels, at, B, row, column, K, vectors):
    """One panel from B[row : row + K, column : column + vectors * L]."""
    L = lanes(B)
    for k in range(K):
        for v in range(vectors):
            store_flat(panels, at + (k * vectors + v) * L, load(B, row + k, column + v * L))


@register_jitable
def add_product_t(C, M, A, a_row, B, b_row, b_column, panel, K):
    """``C[:M] += A[a_row : a_row + K, :M].T @ B[b_row : b_row + K, b_column : ...]``, `panel` holding a panel of B."""
    L, N, j = lanes(C), C.shape[1], 0
    while j < N:
        vectors = panel_vectors(L, j, N)
        _pack_panel(panel, 0, B, b_row, b_column + j, K, vectors)
        if vectors > 1:
            _wide_t(C, j, A, a_row, M, panel, K)
        else:
            _narrow_t(C, j, A, a_row, M, panel, K)
        j += vectors * L


@register_jitable
def fill_rows(C, row, M, values):
    """``C[row : row + M] = values``, one row."""
    for j in range(0, C.shape[1], lanes(C)):
        value = load(values, 0, j)
        for i in range(M):
            store(C, row + i, j, value)


@register_jitable
def add_column_sums(total, C, row, M):
    """``total += C[row : row + M].sum(axis=0)``."""
    for j in range(0, C.shape[1], lanes(C)):
        value = load(total, 0, j)
        for i in range(M):
            value = value + load(C, row + i, j)
        store(total, 0, j, value)


@register_jitable
def copy_row(C, row, A, a_row):
    """``C[row] = A[a_row, : C.shape[1]]``."""
    for j in range(0, C.shape[1], lanes(C)):
        store(C, row, j, load(A, a_row, j))


@kernel
def pack(panels, B):
    """Panels of B (K, N)."""
    L, (K, N), j = lanes(B), B.shape, 0
    while j < N:
        vectors = panel_vectors(L, j, N)
        _pack_panel(panels, j * K, B, 0, j, K, vectors)
        j += vectors * L


@kernel
def pack_transposed(panels, B, N):
    """Panels of B.T, B (rows, K), whose `rows` columns are padded with zeros to N."""
    L, (rows, K), j = lanes(B), B.shape, 0
    while j < N:
        vectors = panel_vectors(L, j, N)
        for k in range(0, K, L):
            for v in range(vectors):
                n = j + v * L
                store_transposed(panels, j * K + (k * vectors + v) * L, vectors * L, B, n, k, rows - n)
        j += vectors * L
