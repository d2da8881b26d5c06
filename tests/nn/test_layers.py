"""The initial parameters of layers."""

import numpy as np
import pytest

from lightrnn.cells import CELLS
from lightrnn.nn.layers import Layer
from lightrnn.nn.network import Network


def initial(cell, features, units, seed=0, **gates):
    layer = Layer("layer0", cell, features, units, "float32")
    return layer.initialize(np.random.default_rng(seed), **gates)


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


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 130])
def test_orthogonal_matrices_are_those_of_lapack(size):
    q, r = np.linalg.qr(np.random.default_rng(5).standard_normal((size, size)))
    layer = Layer("a", "rnn", 0, size, "float64")
    drawn = layer.initialize(np.random.default_rng(5))["a.W_hh"]
    # QR alone is not uniform: its q depends on the signs that LAPACK gives to R's diagonal.
    assert np.allclose(drawn, q * np.sign(np.diag(r)), rtol=0, atol=1e-12)


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


@pytest.mark.parametrize("cell", ["rnn", "ffnn", "linear"])
def test_without_gates_biases_are_zero(cell):
    bias = initial(cell, 3, 5, forget_bias="chrono", longest=50)["layer0.b"]
    assert bias.shape == (5,) and not bias.any()


def test_the_gate_that_keeps_starts_open():
    # Gates i, f, g, o and r, z, n of two units each.
    assert initial("lstm", 3, 2)["layer0.b"].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    gru = initial("gru", 3, 2, forget_bias=-2)
    assert gru["layer0.b_ih"].tolist() == [0, 0, -2, -2, 0, 0]
    assert not gru["layer0.b_hh"].any()


@pytest.mark.parametrize(("cell", "bias"), [("lstm", "layer0.b"), ("gru", "layer0.b_ih")])
def test_chrono_gates_span_the_longest_sequence(cell, bias):
    drawn = initial(cell, 3, 200, forget_bias="chrono", longest=100)
    gates = dict(zip(CELLS[cell].gates, np.split(drawn[bias], len(CELLS[cell].gates)), strict=True))
    keeps = gates.pop("f" if cell == "lstm" else "z")
    assert 1 <= np.exp(keeps).min() < 3 and 97 < np.exp(keeps).max() <= 99
    assert abs(np.exp(keeps).mean() - 50) < 5  # uniform from 1 to 99
    if cell == "lstm":
        assert np.array_equal(gates.pop("i"), -keeps)
    assert not np.any(list(gates.values()))
    # Every other parameter is drawn as with a number.
    plain = initial(cell, 3, 200, forget_bias=0.0)
    assert all(np.array_equal(drawn[name], plain[name]) for name in plain if name != bias)
    for steps in (1, 2):
        assert not initial(cell, 3, 4, forget_bias="chrono", longest=steps)[bias].any()


@pytest.mark.parametrize("cell", ["ffnn", "rnn", "gru", "lstm"])
def test_a_network_initialises_each_layer_from_the_seed(cell):
    first, again, other = (Network(cell, 2, (4, 4), 3, window=2) for _ in range(3))
    for network, seed in ((first, 0), (again, 0), (other, 1)):
        network.initialize(np.random.default_rng(seed))
    assert np.array_equal(first.parameters, again.parameters)
    assert not np.array_equal(first.parameters, other.parameters)
    assert not first.arrays()["head.b"].any() and first.arrays()["head.W"].any()
