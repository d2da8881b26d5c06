"""The initial parameters of layers."""

import numpy as np
import pytest

from lightrnn.nn.layers import Layer
from lightrnn.nn.network import Network


def initial(cell, features, units, seed=0):
    return Layer("layer0", cell, features, units, "float32").initialize(np.random.default_rng(seed))


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
@pytest.mark.parametrize("units", [1, 2, 40])
def test_recurrent_weights_are_orthogonal_gate_by_gate(cell, gates, units):
    W = initial(cell, 3, units)["layer0.W_hh"]
    parts = np.hsplit(W, gates)
    for part in parts:
        assert np.allclose(part.T @ part, np.eye(units), atol=1e-12)
    # Gates are drawn independently; small orthogonal matrices are alike by chance.
    if units > 2:
        assert not any(np.allclose(parts[0], other) for other in parts[1:])


def test_orthogonal_matrices_are_uniform():
    """Of either determinant, and with elements of mean 0, those of the diagonal included."""
    rng = np.random.default_rng(0)
    drawn = np.array(
        [Layer("a", "rnn", 1, 3, "float64").initialize(rng)["a.W_hh"] for _ in range(800)]
    )
    assert abs(np.linalg.det(drawn).mean()) < 0.15
    assert np.abs(drawn.mean(axis=0)).max() < 0.1


@pytest.mark.parametrize(
    ("cell", "name"),
    [("rnn", "W_ih"), ("gru", "W_ih"), ("lstm", "W_ih"), ("ffnn", "W"), ("linear", "W")],
)
def test_input_weights_are_glorots(cell, name):
    W = initial(cell, 30, 50)[f"layer0.{name}"]
    # Uniform up to the limit, so of standard deviation limit / sqrt(3).
    limit = np.sqrt(6 / (30 + 50))
    assert len(W) == 30 and 0.98 * limit < np.abs(W).max() <= limit
    assert abs(W.mean()) < 0.02 * limit * 3 and np.isclose(W.std(), limit / np.sqrt(3), rtol=0.05)


@pytest.mark.parametrize("cell", ["rnn", "gru", "ffnn", "linear"])
def test_biases_are_zero(cell):
    biases = [
        array for name, array in initial(cell, 3, 5).items() if name.split(".")[1].startswith("b")
    ]
    assert biases and not np.any(np.concatenate(biases))


def test_the_forget_gate_starts_open():
    # Gates i, f, g, o of two units each.
    assert initial("lstm", 3, 2)["layer0.b"].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("cell", ["ffnn", "rnn", "gru", "lstm"])
def test_a_network_initialises_each_layer_from_the_seed(cell):
    first, again, other = (Network(cell, 2, (4, 4), 3, window=2) for _ in range(3))
    for network, seed in ((first, 0), (again, 0), (other, 1)):
        network.initialize(np.random.default_rng(seed))
    assert np.array_equal(first.parameters, again.parameters)
    assert not np.array_equal(first.parameters, other.parameters)
    assert not first.arrays()["head.b"].any() and first.arrays()["head.W"].any()
