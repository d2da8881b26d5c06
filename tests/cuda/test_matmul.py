"""Products of matrices on the GPU: any shape, rows by an index, transposed or not, in small tiles and large."""

from types import SimpleNamespace

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
    from lightrnn.cuda import memory as programs
    from lightrnn.cuda.matmul import Matrix
    from lightrnn.cuda.memory import Memory, Program

    (M, N, K), rng = shape, np.random.default_rng(seed)
    A, B, C = (rng.normal(size=size).astype("float32") for size in ((M, K), (K, N), (M, N)))
    bias = rng.normal(size=N).astype("float32")
    left, right = A.T if kind == "weights" else A, B.T if kind == "turned" else B

    memory = Memory("float32", driver.streams(0))
    program = Program(memory)
    run = SimpleNamespace(
        program=program, dtype="float32", twin=SimpleNamespace(limits=driver.Limits(3))
    )

    def send(matrix, pad=pad):
        """Send a matrix whose rows may be further apart than they are long."""
        wide = np.pad(matrix, ((0, 0), (0, pad)), constant_values=np.nan)
        return Matrix(program.send(wide), wide.shape[1])

    rows, index = indexed(left, rng)
    of_a = send(rows if by_index else left)._replace(
        rows=program.send_indices(index) if by_index else -1
    )
    of_b, of_c, of_bias = (
        send(right),
        send(C, pad := 0 if kind == "weights" else pad),
        program.send(bias),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matmul, "_worth_large", lambda *arguments: large)
        patch.setattr(programs, "BLOCKS", 1)  # as if there were more elements than threads
        if kind == "weights":
            matmul.weight_gradient(run, of_a, of_b, of_c, shape, adds)
        else:
            given_bias = -1 if adds else of_bias
            matmul.add_product(
                run, of_a, of_b, of_c, shape, given_bias, turn_b=kind == "turned", adds=adds
            )
    program.run()
    wide = memory.floats.fetch(of_c.start, M * (N + pad)).reshape(M, -1)
    expected = A @ B + (C if adds else 0 if kind == "weights" else bias)
    assert np.allclose(wide[:, :N], expected, atol=1e-4) and np.isnan(wide[:, N:]).all()
