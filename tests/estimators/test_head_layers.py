"""Hidden layers of the output layer in estimators: wherever a network is trained, used or kept."""

import pickle

import numpy as np
import pytest
from helpers import naive
from helpers.fitted import QUICK, fitted
from hypothesis import given, settings

from lightrnn import RNNClassifier, RNNRegressor, load
from lightrnn.cells import HEAD_CELLS
from lightrnn.inspection import parameter_table

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(T, 2)) for T in (5, 1, 8, 3, 6, 4)]
Y = np.array([x.mean() for x in X])


def relu_net(**arguments):
    return RNNRegressor("gru", (4,), head_layer_sizes=(6,), **QUICK | arguments)


@settings(max_examples=15)
@given(case=fitted())
def test_the_outputs_are_the_formulas_of_the_states(case):
    est = case.est
    states = map(np.array, est.transform(case.X))
    raws = [naive.head(est.weights_, h, est.head_activation) for h in states]
    network = est._model.network
    sequences = est._read_sequences(est._fitted(), case.X)
    tolerance = 1e-10 if est.dtype == "float64" else 1e-4
    for raw, expected in zip(network.outputs(sequences), raws, strict=True):
        assert np.allclose(raw, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings("ignore:Maximum iterations")
@pytest.mark.parametrize("activation", HEAD_CELLS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_files_pickles_and_further_training_keep_them(activation, solver, tmp_path):
    est = relu_net(head_activation=activation, solver=solver).fit(X, Y)
    expected = est.predict(X)
    est.save(tmp_path / "model.npz")
    for again in (pickle.loads(pickle.dumps(est)), load(tmp_path / "model.npz")):
        assert again.head_layer_sizes == (6,) and again.head_activation == activation
        assert np.array_equal(again.predict(X), expected)
        again.set_params(warm_start=True).fit(X, Y)
        if solver == "adam":
            again.partial_fit(X, Y)
        assert not np.array_equal(again.predict(X), expected)
    with pytest.raises(ValueError, match=r"head_layer_sizes must stay \(6,\)"):
        est.set_params(warm_start=True, head_layer_sizes=(5,)).fit(X, Y)


def test_without_them_nothing_changes():
    plain = RNNRegressor("gru", (4,), **QUICK).fit(X, Y)
    other = RNNRegressor("gru", (4,), head_layer_sizes=(), head_activation="gelu", **QUICK)
    assert np.array_equal(other.fit(X, Y).predict(X), plain.predict(X))
    assert list(other.weights_) == list(plain.weights_)


def test_a_network_learns_what_is_not_linear_in_its_states():
    """One unit is monotone in its input, so linear outputs find no numbers far from 0."""
    points = np.random.default_rng(1).uniform(-1, 1, (200, 1, 1))
    labels = abs(points[:, 0, 0]) > 0.5
    options = {"max_iter": 40, "learning_rate_init": 0.03, "random_state": 0}
    scores = [
        RNNClassifier("rnn", (1,), head_layer_sizes=sizes, **options)
        .fit(points, labels)
        .score(points, labels)
        for sizes in ((), (16,))
    ]
    assert scores[0] < 0.8 and scores[1] > 0.95


@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_streams_give_what_predict_gives(pooling):
    est = relu_net(pooling=pooling, head_activation="gelu", patch=1, bidirectional=False).fit(X, Y)
    stream = est.stream()
    for t, step in enumerate(X[2]):
        assert stream.step(step) == est.predict([X[2][: t + 1]])[0]
    with pytest.raises(ValueError, match="finite"):
        stream.step([np.inf, 0.0])


def test_the_table_counts_them():
    parts = {part.name: part for part in parameter_table(relu_net().fit(X, Y)).parts}
    assert parts["head0"].formula == "4 x 6 + 6" and parts["head"].formula == "6 x 1 + 1"
    assert parts["head0"].parameters == 30 and parts["head0"].flops == 48
