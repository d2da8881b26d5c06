"""X is standardised inside: no scale or level of the features changes what is learned."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from lightrnn import RNNClassifier, RNNRegressor, load
from lightrnn.preprocessing import SequenceScaler

CELLS = ("ffnn", "rnn", "gru", "lstm")
QUICK = {"hidden_layer_sizes": (8,), "learning_rate": "cosine", "max_iter": 8, "random_state": 0}
RNG = np.random.default_rng(0)
X = [RNG.normal(size=(T, 2)) for T in RNG.integers(3, 9, 40)]
Y = [int(x[:, 0].sum() > 0) for x in X]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("scale", "level"), [(1, 1e4), (1, -1e8), (1e8, 0), (1e-6, 0), (1e-3, 1e5)]
)
def test_level_and_scale_of_features_change_nothing(cell, scale, level, tmp_path):
    plain = RNNClassifier(cell, **QUICK).fit(X, Y).predict_proba(X)
    moved = [scale * x + level for x in X]
    model = RNNClassifier(cell, **QUICK).fit(moved, Y)
    np.testing.assert_allclose(model.predict_proba(moved), plain, atol=1e-3)
    model.save(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").predict_proba(moved), model.predict_proba(moved))
    stream = model.stream(method="predict_proba")
    for step in moved[0]:
        answer = stream.step(step)
    assert np.array_equal(answer, model.predict_proba(moved[:1])[0])


@settings(max_examples=15)
@given(
    weights=st.lists(st.sampled_from([0.0, 0.5, 2.0, 3.0]), min_size=4, max_size=4),
    step=st.booleans(),
)
def test_mean_and_scale_are_weighted_and_a_weight_of_zero_is_no_sequence(weights, step):
    weights = np.array([1.0, *weights])
    some = X[:5]
    y = [x[:, 0] for x in some] if step else np.arange(5.0)
    model = RNNRegressor("rnn", target="step" if step else "sequence", **QUICK | {"max_iter": 1})
    model.fit(some, y, sample_weight=weights)
    joined = np.concatenate(some)
    each = np.repeat(weights, [len(x) for x in some])
    mean = np.average(joined, axis=0, weights=each)
    np.testing.assert_allclose(model.X_mean_, mean, rtol=1e-12)
    deviation = np.sqrt(np.average((joined - mean) ** 2, axis=0, weights=each))
    np.testing.assert_allclose(model.X_scale_, deviation, rtol=1e-12)


def test_the_parts_of_partial_fit_count_together_and_a_fit_keeps_its_own():
    model = RNNClassifier("gru", **QUICK)
    for start in range(0, 40, 8):
        model.partial_fit(X[start : start + 8], Y[start : start + 8], classes=[0, 1])
    scaler = SequenceScaler().fit(X)
    np.testing.assert_allclose(model.X_mean_, scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(model.X_scale_, scaler.scale_, rtol=1e-12)
    model.fit(X[:20], Y[:20])
    before = model.X_mean_
    assert np.array_equal(model.partial_fit(X[20:], Y[20:]).X_mean_, before)


def test_without_it_the_network_reads_numbers_as_they_are():
    model = RNNClassifier("gru", standardize=False, **QUICK).fit(X, Y)
    assert model.X_mean_ is None and model.X_scale_ is None
    moved = [x + 1 for x in X]
    assert not np.array_equal(model.predict_proba(moved), model.predict_proba(X))
    # What was learned from numbers as they are goes on so.
    assert model.set_params(standardize=True).partial_fit(X, Y).X_mean_ is None


def test_tokens_are_not_standardised():
    model = RNNClassifier(**QUICK).fit(["ab", "ba"] * 3, [0, 1] * 3)
    assert model.X_mean_ is None


def test_a_constant_feature_is_centred_alone():
    constant = [np.full((4, 1), 0.3), np.full((3, 1), 0.1 + 0.2)]
    model = RNNClassifier(**QUICK).fit(constant, [0, 1])
    assert model.X_scale_.tolist() == [1.0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint8, np.int64, bool])
def test_every_dtype_of_numbers(dtype):
    whole = [np.abs(10 * x).astype(dtype) for x in X]
    model = RNNRegressor("lstm", **QUICK).fit(whole, Y)
    wide = RNNRegressor("lstm", **QUICK).fit([x.astype(np.float64) for x in whole], Y)
    assert np.array_equal(model.predict(whole), wide.predict(whole))


@pytest.mark.parametrize("columns", [1, 3])
def test_moments_have_the_same_bits_for_any_number_of_blas_threads(columns):
    X = [np.random.default_rng(0).normal(size=(60_000, columns))]
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):  # a machine with more CPUs has more
            scaler = SequenceScaler().fit(X)
        found.append((scaler.mean_.tolist(), scaler.scale_.tolist()))
    assert found[0] == found[1]
