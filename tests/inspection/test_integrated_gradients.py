"""The shares of integrated gradients add up, and are the integrals that they are said to be."""

import numpy as np
import pytest
from helpers.fitted import QUICK, fitted, language_models
from helpers.inspected import sequences
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.inspection import attribution

IG = "integrated_gradients"


@settings(max_examples=12)
@given(
    drawn=fitted() | language_models(),
    baseline=st.sampled_from([None, "zeros", "mean", "previous"]),
)
def test_shares_add_up_to_the_difference_of_the_outputs(drawn, baseline):
    """Whatever the cell, target, head, pooling, patch, missing values or tokens are."""
    found = attribution(drawn.est, drawn.X, method=IG, baseline=baseline)
    sums = np.array([shares.sum() for shares in found])
    np.testing.assert_allclose(sums, found.outputs - found.baseline_outputs, rtol=0, atol=1e-4)
    F = () if not drawn.numbers else np.shape(drawn.X[0])[1:]
    assert found[0].shape[1:] == F


@pytest.mark.parametrize("cell", ["ffnn", "lstm"])
def test_shares_are_the_integrals_of_finite_differences(cell):
    X = sequences([4, 5])
    y = [x.cumsum(axis=0) for x in X]
    model = RNNRegressor(
        cell, (6,), target="step", bidirectional=cell == "lstm", window=3, dtype="float64", **QUICK
    ).fit(X, y)
    x, start = X[1], np.array([0.2, -0.3])
    found = attribution(model, [x], (1, 2), method=IG, baseline=start)
    points, weights = np.polynomial.legendre.leggauss(300)  # each kink costs them a part of 300
    path = [start + (1 + point) / 2 * (x - start) for point in points]
    for t, f in np.ndindex(x.shape):
        bump = np.zeros_like(x)
        bump[t, f] = 1e-6
        up, down = (model.predict([p + sign * bump for p in path]) for sign in (1, -1))
        slopes = [(a[2, 1] - b[2, 1]) / 2e-6 for a, b in zip(up, down, strict=True)]
        share = weights @ np.array(slopes) / 2 * (x - start)[t, f]
        np.testing.assert_allclose(found[0][t, f], share, rtol=0.01, atol=4e-3)
    assert found.outputs[0] == pytest.approx(model.predict([x])[0][2, 1], abs=1e-9)
    assert found.baseline_outputs[0] == pytest.approx(
        model.predict([np.tile(start, (5, 1))])[0][2, 1], abs=1e-9
    )


def test_baselines_of_ones_own():
    X = sequences([4, 6])
    model = RNNRegressor("gru", (4,), **QUICK).fit(X, [0.0, 5])
    own = attribution(model, X, method=IG, baseline=[np.zeros((4, 2)), np.zeros((6, 2))])
    zeros = attribution(model, X, method=IG, baseline="zeros")
    assert all(np.array_equal(a, b) for a, b in zip(own, zeros, strict=True))
    before = attribution(model, X[:1], method=IG, baseline="previous")
    assert not before[0][0].any() and before[0][1:].any()
    itself = attribution(model, X, method="occlusion", baseline=X)
    assert not any(shares.any() for shares in itself)
    for bad in ("median", [np.zeros((4, 2))], [np.zeros((4, 2)), np.zeros((5, 2))], np.zeros(3)):
        with pytest.raises(ValueError, match="baseline must"):
            attribution(model, X, method=IG, baseline=bad)
    words = RNNClassifier("gru", (4,), **QUICK).fit([["a", "b"], ["b", "c"]] * 2, [0, 1] * 2)
    found = attribution(words, [["a", "b"]], 1, method=IG, baseline=[["a", "c"]])
    assert found[0][0] == 0 != found[0][1] and found.feature_names == ()
    with pytest.raises(ValueError, match="baseline must"):
        attribution(words, [["a", "b"]], method=IG, baseline=[["a"]])
    table = np.random.default_rng(0).normal(size=(6, 5))
    net = RNNRegressor("rnn", (3,), **QUICK).fit(table, table[:, 0])
    assert attribution(net, table, method=IG, baseline=table[0])[1].shape == (5, 1)
    assert not attribution(net, table, method=IG, baseline=table)[1].any()


def test_an_output_of_another_step():
    X = sequences([4, 6])
    y = [np.arange(len(x)) % 2 for x in X]
    for both in (False, True):
        model = RNNClassifier("gru", (4,), target="step", bidirectional=both, **QUICK).fit(X, y)
        for method in ("occlusion", "gradient", IG, "shapley"):
            first = attribution(model, X, (1, 1), method=method, n_permutations=4)
            again = attribution(model, X[:1], (1, -3), method=method, n_permutations=4)
            np.testing.assert_array_equal(first[0], again[0])
            assert both or not first[1][2:].any()  # what comes later does not matter
            assert not both or first[1][2:].any()
        chosen = attribution(model, X, (None, 0)).outputs
        assert (chosen >= attribution(model, X, (0, 0)).outputs).all()
    with pytest.raises(ValueError, match=r"output must name a step .* got step 4 of X\[0\]"):
        attribution(model, X, (1, 4))
    model = RNNRegressor("gru", (4,), target="step", **QUICK).fit(X, [x[:, 0] for x in X])
    by_step = attribution(model, X, 2, method=IG).outputs
    np.testing.assert_allclose(by_step, [steps[2] for steps in model.predict(X)], rtol=1e-6)
    with pytest.raises(TypeError, match=r"the step of output must be an integer, got 1\.5"):
        attribution(model, X, (None, 1.5))
    model = RNNRegressor("gru", (4,), **QUICK).fit(X, [0.0, 1])
    with pytest.raises(ValueError, match="output must be a class or a column"):
        attribution(model, X, (0, 1))


def test_rankings_of_a_data_set():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 8, 3))
    options = {"max_iter": 40, "random_state": 0}
    model = RNNRegressor("gru", (8,), **options).fit(X, X[:, -2, 1] * 3)
    found = attribution(model, [*X, X[0][:4]], method=IG)
    features = found.rank_features()
    lags = found.rank_lags()
    assert features.names[0] == "1" and lags.names[0] == "1"
    assert (features.low <= features.high).all() and features.n_sequences.tolist() == [61] * 3
    assert sorted(lags.n_sequences.tolist()) == [60] * 4 + [61] * 4
    assert str(features).splitlines()[0].split() == ["mean", "share", "quartiles", "sequences"]
    steps = attribution(model, X)
    with pytest.raises(ValueError, match="give shares to features"):
        steps.rank_features()
    by_feature = attribution(model, X, method="shapley", groups="feature")
    assert by_feature.rank_features().names[0] == "1"
    with pytest.raises(ValueError, match="give shares to steps"):
        by_feature.rank_lags()


def test_a_language_models_shares():
    model = RNNLanguageModel("lstm", (5,), max_iter=1, random_state=0).fit(["to be or not"] * 3)
    found = attribution(model, ["to b", ""], "e", method=IG)
    assert [shares.shape for shares in found] == [(5,), (1,)]
    alone = attribution(model, ["to b"], "e", method=IG)
    np.testing.assert_allclose(alone[0], found[0], atol=1e-6)
