"""Compare the products on packed panels with NumPy's at every tail; integers make sums exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn.cpu import host
from lightrnn.cpu.jit import kernel
from lightrnn.cpu.matmul import (
    add_row,
    copy_row,
    fill,
    panel_vectors,
    product,
    products_t,
    transpose_panels,
)
from lightrnn.cpu.registers import at

DTYPES = ["float32", "float64"]


@kernel
def add(
    C,  # (array, row, column) from which the product is added, IN, OUT
    A,  # (array, row, column), IN
    panels,  # IN
    M,  # IN
    K,  # IN
    N,  # IN
):
    array, row, column = C
    view = at(array, row, column)
    array, row, column = A
    product(view, view, at(array, row, column), panels, M, K, N)


@kernel
def begin(
    C,  # (>= M, N), OUT
    values,  # (N,) IN
    A,  # (M, K), IN
    panels,  # IN
    M,  # IN
    K,  # IN
    N,  # IN
):
    product(at(C, 0, 0), (values, 0, 0), at(A, 0, 0), panels, M, K, N)


@kernel
def gradients(
    C,  # (M, N) in panels, IN, OUT
    sums,  # (N,) IN, OUT
    A,  # (array, row, column), IN
    B,  # (array, row, column), IN
    M,  # IN
    K,  # IN
    N,  # IN
):
    ones = np.ones((K, 1), C.dtype)
    panel = np.empty(K * N, C.dtype)
    array, row, column = A
    products = (C, at(array, row, column), M), (sums, at(ones, 0, 0), 1)
    array, row, column = B
    products_t(products, at(array, row, column), panel, K, N)


@kernel
def rows_of(
    C,  # (>= row + M, N), OUT
    row,  # IN
    M,  # IN
    values,  # (N,) IN
    copied,  # (1, N), OUT
):
    fill(at(C, row, 0), (values, 0, 0), M, C.shape[1])
    copy_row(copied, 0, C, row, C.shape[1])
    add_row(copied, 0, C, row, C.shape[1])


def whole(rng, shape, dtype):
    """Return integers small enough that sums are exact."""
    return rng.integers(-8, 9, shape).astype(dtype)


def packed(B):
    """Return the panels of B, cut where the layout of parameters cuts them."""
    parts = np.split(B, host.panel_cuts(B.shape[1], B.dtype), axis=1)
    return np.concatenate([part.ravel() for part in parts])


def widths(dtype):
    """Draw a number of whole registers, from one to more than two pairs of panels."""
    lanes = host.lanes(dtype)
    return st.integers(1, 4 * host.TILE_VECTORS + 1).map(lambda registers: registers * lanes)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=80)
@given(
    data=st.data(),
    M=st.integers(0, 27),
    K=st.integers(1, 9) | st.just(2050),  # more rows than are taken at once
    starts=st.tuples(*[st.integers(0, 3)] * 3),
)
def test_product_at_every_tail(dtype, data, M, K, starts):
    N = data.draw(widths(dtype))
    row, a_row, a_column = starts
    column = host.lanes(dtype) * row
    rng = np.random.default_rng(M + 11 * K)
    A = whole(rng, (a_row + M + 1, a_column + K + 2), dtype)
    B = whole(rng, (K, N), dtype)
    C = whole(rng, (row + M + 2, column + N + 16), dtype)
    want = C.copy()
    want[row : row + M, column : column + N] += A[a_row : a_row + M, a_column : a_column + K] @ B
    add((C, row, column), (A, a_row, a_column), packed(B), M, K, N)
    assert np.array_equal(C, want)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40)
@given(data=st.data(), M=st.integers(0, 27), K=st.integers(1, 9))
def test_product_that_begins_from_one_row(dtype, data, M, K):
    """The row is a bias, or zeros: the old values of C do not count."""
    N = data.draw(widths(dtype))
    rng = np.random.default_rng(M + 11 * K)
    A, B, values = (whole(rng, shape, dtype) for shape in ((M, K), (K, N), N))
    C = np.full((M + 1, N), np.nan, dtype)
    begin(C, values, A, packed(B), M, K, N)
    assert np.array_equal(C[:M], values + A @ B) and np.isnan(C[M]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=80)
@given(
    data=st.data(),
    M=st.integers(1, 10),
    K=st.integers(1, 9) | st.integers(127, 131),  # more rows than are taken at once
    starts=st.tuples(*[st.integers(0, 3)] * 2),
)
def test_products_of_the_transpose_at_every_tail(dtype, data, M, K, starts):
    """Two products share each panel of B; they are added to what is there."""
    N = data.draw(widths(dtype))
    a_row, b_row = starts
    b_column = host.lanes(dtype) * a_row
    rng = np.random.default_rng(M + 11 * K)
    A = whole(rng, (a_row + K, M + 3), dtype)
    B = whole(rng, (b_row + K, b_column + N), dtype)
    C = whole(rng, (M, N), dtype)
    sums = whole(rng, N, dtype)
    got = packed(C)
    got_sums = sums.copy()
    gradients(got, got_sums, (A, a_row, 0), (B, b_row, b_column), M, K, N)
    factor = B[b_row:, b_column:]
    assert np.array_equal(got, packed(C + A[a_row:, :M].T @ factor))
    assert np.array_equal(got_sums, sums + factor.sum(axis=0))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60)
@given(rows=st.integers(1, 200), registers=st.integers(1, 11))
def test_transposed_panels_are_the_panels_of_the_padded_transpose(dtype, rows, registers):
    B = np.random.default_rng(rows).normal(size=(rows, registers * host.lanes(dtype))).astype(dtype)
    N = host.padded(rows, dtype)
    transposed = np.zeros((B.shape[1], N), dtype)
    transposed[:, :rows] = B.T
    panels = np.full(transposed.size, np.nan, dtype)
    transpose_panels(panels, packed(B), rows, N)
    assert np.array_equal(panels, packed(transposed))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("registers", range(1, 16))
def test_both_rules_cut_the_same_panels(dtype, registers):
    """One rule is Python, one compiled."""
    lanes = host.lanes(dtype)
    columns = registers * lanes
    ends = [0]
    while ends[-1] < columns:
        ends.append(ends[-1] + panel_vectors(lanes, ends[-1], columns) * lanes)
    assert list(host.panel_cuts(columns, dtype)) == ends[1:-1]


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=30)
@given(M=st.integers(1, 15), K=st.integers(1, 70), data=st.data())
def test_a_rows_bits_do_not_depend_on_other_rows(dtype, M, K, data):
    """Nor do a column's on the width of its panel: each sum is one chain in the order of K."""
    N = data.draw(widths(dtype))
    rng = np.random.default_rng(K)
    A, B, C = (rng.normal(size=shape).astype(dtype) for shape in ((M, K), (K, N), (M, N)))
    together, alone, narrow = (C.copy() for _ in range(3))
    add((together, 0, 0), (A, 0, 0), packed(B), M, K, N)
    for i in range(M):
        add((alone, i, 0), (A, i, 0), packed(B), 1, K, N)
    for j in range(0, N, host.lanes(dtype)):
        part = np.ascontiguousarray(B[:, j : j + host.lanes(dtype)])
        add((narrow, 0, j), (A, 0, 0), packed(part), M, K, part.shape[1])
    assert np.array_equal(together, alone)
    assert np.array_equal(together, narrow)
    assert np.allclose(together, C + A.astype(float) @ B, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_overlapping_rows_are_read_by_their_stride(dtype):
    """Windows share memory: the distance between rows is the array's stride, not its width."""
    flat = np.arange(40, dtype=dtype)
    lanes = host.lanes(dtype)
    A = np.lib.stride_tricks.as_strided(flat, (10, 12), (3 * flat.itemsize, flat.itemsize))
    B = whole(np.random.default_rng(0), (12, lanes), dtype)
    C = np.zeros((10, lanes), dtype)
    add((C, 0, 0), (A, 0, 0), packed(B), 10, 12, lanes)
    assert np.array_equal(C, A @ B)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("M", [1, 4, 7])
def test_rows_filled_copied_and_added(dtype, M):
    N = 3 * host.lanes(dtype)
    rng = np.random.default_rng(0)
    C, values = (whole(rng, shape, dtype) for shape in ((M + 3, N), N))
    want = C.copy()
    copied = np.zeros((1, N), dtype)
    want[2 : 2 + M] = values
    rows_of(C, 2, M, values, copied)
    assert np.array_equal(C, want)
    assert np.array_equal(copied[0], 2 * values)
