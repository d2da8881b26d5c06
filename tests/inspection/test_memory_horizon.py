"""Memory horizons of networks whose gradient vanishes, explodes or is nothing."""

import math

import numpy as np
import pytest
from helpers.inspected import fitted, random_rnn

from lightrnn import RNNRegressor
from lightrnn.datasets import make_adding_problem
from lightrnn.inspection import memory_horizon


def test_what_grows_explodes_and_what_shrinks_vanishes():
    model, X = random_rnn(1.1)
    horizon = memory_horizon(model, X)
    assert horizon.word == "exploding" and horizon.horizon == math.inf
    assert horizon.growth == pytest.approx(1.1, rel=0.05)
    model, X = random_rnn(0.9)
    horizon = memory_horizon(model, X)
    assert horizon.word == "vanishing" and horizon.growth == pytest.approx(0.9, rel=0.05)
    assert 20 < horizon.horizon < 90 and horizon.half_life < horizon.horizon
    assert horizon.n_parameters == horizon.window * 2 * 64 + 64 + 65


@pytest.mark.parametrize("cell", ["ffnn", "gru"])
def test_a_pooled_network_sees_all_steps(cell):
    X = np.random.default_rng(0).normal(size=(9, 12, 2))
    horizon = memory_horizon(fitted(cell, X=X, y=np.arange(9.0), pooling="mean"), X)
    assert horizon.horizon == math.inf and horizon.window == 12 and horizon.word != "windowed"
    assert f"{cell}: remembers beyond the 12 steps that were measured" in str(horizon)


def test_a_network_that_says_nothing_has_no_horizon():
    X = np.random.default_rng(0).normal(size=(4, 9, 2))
    model = fitted("gru", X=X, y=np.arange(4.0))
    weights = model.weights_
    weights["head.W"][:] = 0
    model._model.network.assign(weights)
    with pytest.raises(ValueError, match="estimator must have outputs that depend on its states"):
        memory_horizon(model, X)


@pytest.mark.slow
def test_the_lstm_remembers_as_far_as_it_had_to_and_the_failing_rnn_does_not():
    n_steps = 50
    horizons = {}
    chunks = 40
    X_test, y_test = make_adding_problem(200, n_steps, random_state=0)
    for cell, rate in (("lstm", 5e-3), ("rnn", 1e-3)):
        net = RNNRegressor(cell, (64,), learning_rate_init=rate, batch_size=8, random_state=0)
        # The marks of the two numbers to add are rare: standardised they are so large that the
        # plain net finds them, too.
        net.set_params(standardize=False, patch=1, learning_rate="constant")
        for chunk in range(1, chunks + 1):
            net.partial_fit(*make_adding_problem(1000, n_steps, random_state=chunk))
            error = np.mean((net.predict(X_test) - y_test) ** 2)
            if error < 1e-3:
                break
        chunks = chunk  # the plain net sees as much as the lstm needed
        horizons[cell] = error, memory_horizon(net, X_test).horizon
    assert horizons["lstm"][0] < 1e-3 and horizons["lstm"][1] > n_steps
    assert horizons["rnn"][0] > 0.05 and horizons["rnn"][1] < n_steps
