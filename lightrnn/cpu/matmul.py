"""Products on packed panels: ``C = start + A @ B`` and ``C = start + A.T @ B``.

B (K, N) is packed into panels: cut into blocks of `TILE_VECTORS` registers of columns (the last may have one more, or
fewer), each block contiguous, so that the tile reads it straight through. N comes in whole registers, which padding
sees to; K and the rows are any number. Matrices are places, see `tile.py`.
"""

from numba import literal_unroll

from .host import TILE_VECTORS
from .jit import kernel, register_jitable
from .memory import lanes, load, store, store_flat, store_transposed
from .tile import strip, strip_t


@register_jitable
def panel_vectors(L, j, N):
    """Width, in registers, of the panel that begins at column j: one register alone keeps no tile busy."""
    rest = (N - j) // L
    return rest if rest <= TILE_VECTORS + 1 else TILE_VECTORS


@register_jitable
def itself(C):
    """Return a place as its own start."""
    return C[0], C[1], C[2], 1


@register_jitable
def beside(place, columns):
    """Return a place, or a start, so many columns further."""
    return (place[0], place[1], place[2] + columns) + place[3:]  # noqa: RUF005


@register_jitable
def product(C, start, A, panels, M, K, N):
    """``C[:M, :N] = start + A[:M, :K] @ panels``."""
    L, j = lanes(C[0]), 0
    while j < N:
        vectors = panel_vectors(L, j, N)
        strip(beside(C, j), beside(start, j), A, panels, j * K, M, K, vectors)
        j += vectors * L


@register_jitable
def _pack_panel(panels, at, B, K, vectors):
    """One panel from B[:K, : vectors * L]."""
    L = lanes(B[0])
    for k in range(K):
        for v in range(vectors):
            store_flat(panels, at + (k * vectors + v) * L, load(B[0], B[1] + k, B[2] + v * L))


@register_jitable
def products_t(products, B, panel, K, N):
    """``C[:M, :N] = start + A[:K, :M].T @ B[:K, :N]`` for each ``(C, start, A, M)``; `panel` is room for one of B."""
    L, j = lanes(B[0]), 0
    while j < N:
        vectors = panel_vectors(L, j, N)
        _pack_panel(panel, 0, beside(B, j), K, vectors)
        for one in literal_unroll(products):
            C, start, A, M = one
            strip_t(beside(C, j), beside(start, j), A, panel, 0, M, K, vectors)
        j += vectors * L


@register_jitable
def fill(C, values, M, N):
    """``C[:M, :N] = values``, the row at a place."""
    for j in range(0, N, lanes(C[0])):
        value = load(values[0], values[1], values[2] + j)
        for i in range(M):
            store(C[0], C[1] + i, C[2] + j, value)


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
        _pack_panel(panels, j * K, (B, 0, j), K, vectors)
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
