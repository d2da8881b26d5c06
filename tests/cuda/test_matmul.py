"""Products of matrices on the GPU: any shape, rows by an index, small tiles and large."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def indexed(matrix, rng):
    """Rows in another order, and the index that puts them right."""
    index = rng.permutation(len(matrix))
    return matrix[np.argsort(index)], index


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(*3 * [st.integers(1, 20)]),
    kind=st.sampled_from(["product", "turned", "weights"]),
    pad=st.integers(0, 3),
    by_index=st.booleans(),
    adds=st.booleans(),
    large=st.booleans(),
    seed=st.integers(0, 100),
)
def test_a_product_is_that_of_numpy(gpu, shape, kind, pad, by_index, adds, large, seed):
    from lightrnn.cuda import driver, matmul
    from lightrnn.cuda import program as programs
    from lightrnn.cuda.context import Context
    from lightrnn.cuda.memory import Matrix, Memory

    M, N, K = shape
    rng = np.random.default_rng(seed)
    A, B, C = (rng.normal(size=size).astype("float32") for size in ((M, K), (K, N), (M, N)))
    bias = rng.normal(size=N).astype("float32")
    left = A.T if kind == "weights" else A
    right = B.T if kind == "turned" else B

    memory = Memory("float32", driver.streams(0))
    program = programs.Program(Context(0, driver.Limits(3), memory, addresses=None))

    def send(matrix, pad=pad):
        """Send a matrix whose rows may be further apart than they are long."""
        wide = np.pad(matrix, ((0, 0), (0, pad)), constant_values=np.nan)
        return Matrix(program.send(wide), wide.shape[1])

    rows, index = indexed(left, rng)
    of_a = send(rows if by_index else left)
    if by_index:
        of_a = of_a._replace(row_index=program.send_indices(index))
    of_b = send(right)
    if kind == "weights":
        pad = 0
    of_c = send(C, pad)
    of_bias = program.send(bias)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matmul, "_worth_large", lambda *arguments: large)
        patch.setattr(programs, "BLOCKS", 1)  # as if there were more elements than threads
        if kind == "weights":
            matmul.weight_gradient(program, of_a, of_b, of_c, shape, adds=adds)
        else:
            options = {"turn_b": kind == "turned", "adds": adds, "bias": -1 if adds else of_bias}
            matmul.add_product(program, of_a, of_b, of_c, shape, **options)
    program.run()
    wide = memory.floats.fetch(of_c.address, M * (N + pad)).reshape(M, -1)
    expected = A @ B + (C if adds else 0 if kind == "weights" else bias)
    assert np.allclose(wide[:, :N], expected, atol=1e-4) and np.isnan(wide[:, N:]).all()
