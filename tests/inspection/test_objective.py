"""Inspections see the fitted network, whatever happens to the estimator, and check their input."""

import pickle
import threading

import numpy as np
import pytest
from helpers.fitted import QUICK
from helpers.inspected import fitted, sequences

from lightrnn import RNNLanguageModel, RNNRegressor, load
from lightrnn.inspection import (
    attribution,
    describe,
    gate_activations,
    gradient_flow,
    memory_horizon,
    parameter_table,
)


def test_the_fitted_network_is_described_whatever_was_set_since():
    X = sequences([6, 9])
    model = RNNRegressor("ffnn", (3,), **QUICK, window=3).fit(X, [0.0, 1.0])
    model.set_params(window=50, cell="lstm", hidden_layer_sizes=(7,))
    assert memory_horizon(model, X).window == 3 and "ffnn: " in describe(model, X)
    assert parameter_table(model).cell == "ffnn" and attribution(model, X)[0].shape == (6,)
    with pytest.raises(ValueError, match="got 'ffnn'"):
        gate_activations(model, X)
    assert model.window == 50


def test_the_loss_of_the_fit_is_differentiated_whatever_was_set_since(tmp_path):
    X = np.random.default_rng(0).normal(size=(8, 6, 2))
    y = 5 * X[:, 0, 0]
    model = RNNRegressor("gru", (3,), **QUICK, loss="huber", delta=0.3).fit(X, y)
    norms = gradient_flow(model, X, y).mean()
    model.save(tmp_path / "model")
    copies = [model, load(tmp_path / "model"), pickle.loads(pickle.dumps(model))]
    for arguments in ({"loss": "squared_error"}, {"delta": 9.0}, {"loss": "x", "delta": -1}):
        for copy in copies:
            copy.set_params(**arguments)
            assert np.array_equal(gradient_flow(copy, X, y).mean(), norms)
    model.set_params(loss="absolute_error", delta=1.0).partial_fit(X, y)
    assert not np.array_equal(gradient_flow(model, X, y).mean(), norms)


def test_inspections_refuse_what_overflows():
    X = [np.ones((4, 2)), np.ones((3, 2)), np.ones((5, 2))]
    model = RNNRegressor("ffnn", (9,), **QUICK, window=3).fit(X, [0.0, 1.0, 2.0])
    X[1][2] = 3e38
    network = model._model.network
    network.assign({name: 3 + abs(array) for name, array in network.arrays().items()})
    for inspect in (attribution, gradient_flow, memory_horizon):
        with pytest.raises(ValueError, match=r"X\[1\] must give finite outputs, got inf: its val"):
            inspect(model, X)


def test_inspections_go_on_while_the_estimator_is_fitted_on():
    X = np.random.default_rng(0).normal(size=(12, 9, 2))
    y = np.arange(12.0)
    model = fitted("lstm", X=X, y=y)
    stop = threading.Event()

    def train():
        while not stop.is_set():
            model.partial_fit(X, y)

    worker = threading.Thread(target=train)
    worker.start()
    try:
        for _ in range(20):
            assert np.isfinite(gradient_flow(model, X).mean()).all()
    finally:
        stop.set()
        worker.join()


def test_what_is_no_estimator_or_no_list_of_texts_is_refused():
    class Holder:
        pass

    for call in (
        lambda h: describe(h),
        lambda h: parameter_table(h),
        lambda h: gate_activations(h, sequences([3])),
    ):
        with pytest.raises(
            TypeError, match=r"estimator must be an RNNClassifier, .* Take the fitted estimator out"
        ):
            call(Holder())
    model = RNNLanguageModel("gru", (5,), max_iter=1, random_state=0).fit(
        ["to be or not to be"] * 3
    )
    for bad, error in (([], ValueError), (None, TypeError), ("to be", TypeError)):
        for inspect in (attribution, gate_activations, memory_horizon):
            with pytest.raises(error, match="X must "):
                inspect(model, bad)
