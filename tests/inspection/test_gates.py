"""Gates are those of the oracle, and their summary is what one computes by hand."""

import math

import numpy as np
import pytest
from helpers import naive
from helpers.fitted import QUICK
from helpers.inspected import sequences

from lightrnn import RNNRegressor
from lightrnn.inspection import gate_activations, gate_summary


def gates_of(weights, cell, name, X):
    """Return the oracle's gates at every step of a layer, in its own direction."""
    W = naive.part(weights, name)
    state = naive.zeros(weights, cell, name)
    rows = []
    for x in X:
        if cell == "lstm":
            i, f, _, o = np.split(naive.sigmoid(x @ W["W_ih"] + state[0] @ W["W_hh"] + W["b"]), 4)
            rows.append({"input": i, "forget": f, "output": o})
        else:
            sums = x @ W["W_ih"] + W["b_ih"] + state[0] @ W["W_hh"] + W["b_hh"]
            r, z, _ = np.split(naive.sigmoid(sums), 3)
            rows.append({"reset": r, "update": z})
        state = naive.STEPS[cell](W, x, state)
    return {gate: np.array([row[gate] for row in rows]) for gate in rows[0]}


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("target", ["sequence", "step"])
def test_gates_are_the_oracles(cell, target):
    X = sequences([3, 7, 5] * 12)
    y = X if target == "step" else np.arange(36.0)
    model = RNNRegressor(
        cell, (5, 3), bidirectional=True, target=target, dtype="float64", **QUICK
    ).fit(X, y)
    found = gate_activations(model, X)
    assert list(found) == ["layer0", "layer0.reverse", "layer1", "layer1.reverse"]
    inputs = naive.standardised(model, X)
    for i in (0, 1, 35):
        for name, order in (("layer0", 1), ("layer0.reverse", -1)):
            for gate, rows in gates_of(model.weights_, cell, name, inputs[i][::order]).items():
                np.testing.assert_allclose(found[name][gate][i], rows[::order], rtol=1e-12)


def test_a_summary_of_gates_that_are_known():
    X = sequences([4, 6])
    model = RNNRegressor("lstm", (3,), dtype="float64", **QUICK).fit(X, [0.0, 1.0])
    weights = {name: 0 * array for name, array in model.weights_.items()}
    weights["layer0.b"] = np.array([-9.0, 0, 9, math.log(9), 0, -9, 0, 0, 0, 0, 0, 0])
    model._model.network.assign(weights)
    gates = gate_summary(model, X)["layer0"]
    np.testing.assert_allclose(gates["forget"].mean[:2], [0.9, 0.5], rtol=1e-12)
    np.testing.assert_allclose(
        gates["forget"].time_constant[:2], [-1 / math.log(0.9), 1 / math.log(2)], rtol=1e-9
    )
    assert gates["input"].closed.tolist() == [1, 0, 0] and gates["input"].open.tolist() == [0, 0, 1]
    assert gates["input"].time_constant is None
    assert gate_summary(RNNRegressor("gru", (2,), **QUICK).fit(X, [0.0, 1.0]), X)["layer0"][
        "update"
    ].time_constant.shape == (2,)


def test_a_gate_that_never_closes_keeps_for_ever():
    X = sequences([4, 6])
    model = RNNRegressor("lstm", (2,), **QUICK).fit(X, [0.0, 1.0])
    weights = model.weights_
    weights["layer0.b"] = np.full(8, 50.0)
    model._model.network.assign(weights)
    assert np.isposinf(gate_summary(model, X)["layer0"]["forget"].time_constant).all()


@pytest.mark.parametrize("cell", ["rnn", "ffnn"])
def test_a_cell_without_gates_is_refused(cell):
    model = RNNRegressor(cell, (3,), **QUICK).fit(sequences([3, 4]), [0.0, 1.0])
    with pytest.raises(
        ValueError, match=f"must have a cell with gates, 'gru' or 'lstm', got '{cell}'"
    ):
        gate_activations(model, sequences([3]))
