"""Products on packed panels: ``C = start + A @ B`` and ``C = start + A.T @ B``.

B (K, N) is packed into panels: cut into blocks of `TILE_VECTORS` registers of columns (the last may have one more, or
fewer), each block contiguous, so that the tile reads it straight through. N comes in whole registers, which padding
sees to; K and the rows are any number. Matrices are places, see `memory.py`.
"""

from numba import literal_unroll

from .host import TILE_VECTORS
from .jit import kernel, register_jitable
from .registers import lanes, load, load_flat, store, store_flat, store_transposed
from .tile import strip, strip_t


@register_jitable
def panel_vectors(L, j, N):
    """Width, in registers, of the panel that begins at column j: one register alone keeps no tile busy."""
    rest = (N - j) // L
    return rest if rest <= TILE_VECTORS + 1 else TILE_VECTORS


@register_jitable
def beside(place, columns):
    """Return a place so many columns further."""
    return place[0], place[1] + columns, place[2]


@register_jitable
def product(C, start, A, panels, M, K, N):
    """``C[:M, :N] = start + A[:M, :K] @ panels``; from C itself the product is added."""
    L, j = lanes(C[0]), 0
    while j < N:
        vectors = panel_vectors(L, j, N)
        strip(beside(C, j), beside(start, j), A, panels, j * K, M, K, vectors)
        j += vectors * L


@register_jitable
def products_t(products, more, zeros, B, panel, K, N):
    """``C[:M, :N] = A[:K, :M].T @ B[:K, :N]`` for each ``(C, A, M)``, added to C if there is `more` in it already.

    C is in panels, `zeros` a row as wide as one, and `panel` room for one of B.
    """
    L, j = lanes(panel), 0
    while j < N:
        vectors = panel_vectors(L, j, N)
        _pack_panel(panel, beside(B, j), K, vectors)
        for one in literal_unroll(products):
            C, A, M = one
            here = C, j * M, vectors * L
            strip_t(here, here if more else (zeros, 0, 0), A, panel, 0, M, K, vectors)
        j += vectors * L


@register_jitable
def _pack_panel(panel, B, K, vectors):
    """One panel from B[:K, : vectors * L]."""
    L = lanes(panel)
    for k in range(K):
        for v in range(vectors):
            store_flat(panel, (k * vectors + v) * L, load_flat(B[0], B[1] + k * B[2] + v * L))


@register_jitable
def fill(C, values, M, N):
    """``C[:M, :N] = values``, the row at a place."""
    for j in range(0, N, lanes(C[0])):
        value = load_flat(values[0], values[1] + j)
        for i in range(M):
            store_flat(C[0], C[1] + i * C[2] + j, value)


@register_jitable
def copy_row(C, row, A, a_row, N):
    """``C[row, :N] = A[a_row, :N]``."""
    for j in range(0, N, lanes(C)):
        store(C, row, j, load(A, a_row, j))


@register_jitable
def add_row(C, row, A, a_row, N):
    """``C[row, :N] += A[a_row, :N]``."""
    for j in range(0, N, lanes(C)):
        store(C, row, j, load(C, row, j) + load(A, a_row, j))


@kernel
def transpose_panels(panels, B, rows, N):
    """Panels of B.T from those of B (rows, K), `rows` columns padded with zeros to N."""
    L, K, j = lanes(B), len(B) // rows, 0
    while j < N:
        vectors, i = panel_vectors(L, j, N), 0
        while i < K:
            width = panel_vectors(L, i, K) * L
            for k in range(i, i + width, L):
                for v in range(vectors):
                    n = j + v * L
                    place = B, i * rows + n * width + k - i, width
                    store_transposed(
                        panels, j * K + (k * vectors + v) * L, vectors * L, place, rows - n
                    )
            i += width
        j += vectors * L
