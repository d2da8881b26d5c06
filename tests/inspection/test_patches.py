"""Inspections of a network that reads patches count steps, as those of a plain one do."""

import numpy as np
import pytest
from helpers.fitted import QUICK
from helpers.inspected import sequences
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier
from lightrnn.inspection import (
    describe,
    gate_activations,
    gate_summary,
    gradient_flow,
    memory_horizon,
)

X = sequences([7, 12, 24, 1])
Y = [0, 1, 0, 1]


@settings(max_examples=8)
@given(
    cell=st.sampled_from(["ffnn", "rnn", "gru", "lstm"]),
    both=st.booleans(),
    p=st.integers(2, 4),
)
def test_lags_and_horizons_are_steps(cell, both, p):
    options = QUICK | {"hidden_layer_sizes": (4,), "window": 3, "dtype": "float64"}
    options |= {"cell": cell, "bidirectional": both and cell != "ffnn", "standardize": False}
    model = RNNClassifier(patch=p, **options).fit(X, Y)
    joined = [np.pad(x, [(0, -len(x) % p), (0, 0)], "edge").reshape(-1, 2 * p) for x in X]
    plain = RNNClassifier(**options).fit(joined, Y)
    for y in (None, Y):
        flow, by_patch = gradient_flow(model, X, y), gradient_flow(plain, joined, y)
        assert flow.lags.tolist() == [p * lag for lag in by_patch.lags]
        for kind in ("state", "input", "jacobian"):
            np.testing.assert_array_equal(flow.values(kind), by_patch.values(kind))
    assert len(gradient_flow(model, X, max_lag=2 * p + 1).lags) == 3
    with pytest.raises(ValueError, match=f"longest sequence has steps, 24, got {24}"):
        gradient_flow(model, X, max_lag=24)
    horizon, by_patch = memory_horizon(model, X), memory_horizon(plain, joined)
    for name in ("horizon", "half_life", "observed", "window"):
        assert getattr(horizon, name) == p * getattr(by_patch, name)
    assert horizon.growth**p == pytest.approx(by_patch.growth)
    assert horizon.n_parameters == by_patch.n_parameters
    with pytest.raises(ValueError, match=f"X must have a sequence of at least {p + 1} steps"):
        memory_horizon(model, [x[:p] for x in X])
    if cell not in ("gru", "lstm"):
        return
    gates, wanted = gate_activations(model, X)["layer0"], gate_activations(plain, joined)["layer0"]
    assert all(np.array_equal(gates[name][2], wanted[name][2]) for name in gates)
    keeps = "forget" if cell == "lstm" else "update"
    constant = gate_summary(model, X)["layer0"][keeps].time_constant
    wanted = gate_summary(plain, joined)["layer0"][keeps].time_constant
    np.testing.assert_allclose(constant, p * wanted)
    assert f"in patches of {p}" in describe(model, X)
