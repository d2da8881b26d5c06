"""Products on packed panels: ``C = start + A @ B`` and ``C += A.T @ B``.

B (K, N) is packed into panels: blocks of `TILE_VECTORS` registers of columns (the last may have
fewer), each contiguous, so that the tile reads it from start to end. N is a whole number of
registers, which padding ensures; K and the number of rows are free. C, start, A and B are views
``(array, offset, stride)``, see `registers.py`.

Two panels are multiplied together, where there are two: a tile of fewer rows than `TILE_ROWS` then
has twice the columns, and as many fused multiply-adds in flight.
"""

from .calls import separate
from .host import TILE_VECTORS
from .jit import Numbers, Pointer, kernel, register_jitable
from .registers import lanes, load, load_flat, store, store_flat, store_transposed
from .tile import strip, strip_t

View = tuple[Pointer, int, int]
Product = tuple[Pointer, View, int]

# Rows of B that are taken at once, for each sum is one chain in the order of k anyway. `product`: a
# panel of so many leaves room in the second-level cache; gradients with respect to the input of an
# output layer for 10,000 words take 0.6 of their time. `products_t`: two panels of so many fit into
# the first-level cache; gradients of 650 units' weights take 0.8 of their time.
_ROWS = 2048
_ROWS_T = 128


@register_jitable
def panel_vectors(L, j, N):
    """Return the registers of the panel that begins at column j; see `host.panel_cuts`."""
    return min((N - j) // L, TILE_VECTORS)


@register_jitable
def _pair_vectors(L, j, N):
    """Return the registers of the two panels that begin at column j, or of one if it is alone."""
    vectors = 2 * TILE_VECTORS
    return vectors if j + vectors * L <= N else panel_vectors(L, j, N)


@register_jitable
def _shifted(view, columns):
    """Return the view that begins `columns` columns further on."""
    return view[0], view[1] + columns, view[2]


@register_jitable
def every(view, rows):
    """Return the view of every so many rows."""
    return view[0], view[1], view[2] * rows


@register_jitable
def _paired(view, columns, apart):
    """Return the same as `strip` takes it: with the distance of two panels."""
    return view[0], view[1] + columns, view[2], apart


@separate
def product(
    C: View,  # (M, N), OUT
    start: View,  # (M, N), IN: C itself to add to it, stride 0 to begin every row with the same
    A: View,  # (M, K), IN
    panels: Pointer,  # B (K, N) in panels, IN
    M: int,  # IN
    K: int,  # IN
    N: int,  # IN
):
    """``C[:M, :N] = start + A[:M, :K] @ B``."""
    L = lanes(C[0])
    width = TILE_VECTORS * L
    for k in range(0, K, _ROWS):
        rows = min(_ROWS, K - k)
        j = 0
        while j < N:
            vectors = _pair_vectors(L, j, N)
            here = _paired(C, j, width)
            B = panels, j * K + k * min(vectors * L, width), K * width
            strip(here, _paired(start, j, width), _shifted(A, k), B, M, rows, vectors)
            j += vectors * L
        start = C


@separate
def products_t(
    # up to three of (C, A, M): C the panels of (M, N), IN, OUT; A (K, M), IN
    products: tuple[Product, Product, Product],
    B: View,  # (K, N), IN
    panels: Pointer,  # (K * columns of two panels,) OUT: two panels of B
    K: int,  # IN
    N: int,  # IN
):
    """``C[:M, :N] += A[:K, :M].T @ B[:K, :N]`` for each product.

    The products share each panel of B, which is packed once.
    """
    L = lanes(panels)
    for k in range(0, K, _ROWS_T):
        rows = min(_ROWS_T, K - k)
        j = 0
        while j < N:
            vectors = _pair_vectors(L, j, N)
            width = min(vectors, TILE_VECTORS)
            for v in range(0, vectors, width):
                _pack_panel((panels, v * L * rows), _shifted(B, k * B[2] + j + v * L), rows, width)
            for C, A, M in products:
                here = C, j * M, width * L, M * width * L
                first = panels, 0, rows * width * L
                strip_t(here, here, _shifted(A, k * A[2]), first, M, rows, vectors)
            j += vectors * L


@register_jitable
def _pack_panel(
    panel,  # (array, index of the panel's first element), OUT
    B,  # view (K, vectors * L), IN
    K,  # IN
    vectors,  # IN
):
    """Copy a panel by registers: copying single numbers took 9 % of a step at 650 units."""
    L = lanes(panel[0])
    for k in range(K):
        for v in range(vectors):
            value = load_flat(B[0], B[1] + k * B[2] + v * L)
            store_flat(panel[0], panel[1] + (k * vectors + v) * L, value)


@register_jitable
def fill(
    C,  # view (M, N), OUT
    values,  # view (1, N), IN
    M,  # IN
    N,  # IN
):
    """``C[:M, :N] = values``."""
    for j in range(0, N, lanes(C[0])):
        value = load_flat(values[0], values[1] + j)
        for i in range(M):
            store_flat(C[0], C[1] + i * C[2] + j, value)


@register_jitable
def copy_row(C, row, A, a_row, N):
    """``C[row, :N] = A[a_row, :N]``, of arrays."""
    for j in range(0, N, lanes(C)):
        store(C, row, j, load(A, a_row, j))


@register_jitable
def add_row(C, row, A, a_row, N):
    """``C[row, :N] += A[a_row, :N]``, of arrays."""
    for j in range(0, N, lanes(C)):
        store(C, row, j, load(C, row, j) + load(A, a_row, j))


@kernel
def transpose_panels(
    panels: Numbers,  # B.T (K, N) in panels, OUT
    B: Numbers,  # (rows, K) in panels, IN
    rows: int,  # IN
    N: int,  # rows, padded to whole registers, IN
):
    """Transpose from panels to panels, one square of lanes at a time; the padding is zeros."""
    L = lanes(B)
    K = len(B) // rows
    j = 0
    while j < N:
        vectors = panel_vectors(L, j, N)
        i = 0
        while i < K:
            width = panel_vectors(L, i, K) * L
            for k in range(i, i + width, L):
                for v in range(vectors):
                    n = j + v * L
                    square = B, i * rows + n * width + k - i, width
                    to = j * K + (k * vectors + v) * L
                    store_transposed(panels, to, vectors * L, square, rows - n)
            i += width
        j += vectors * L
