"""Held-out parts and scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrnn.data.holdout import hold_out
from lightrnn.metrics import accuracy, r_squared


@given(n=st.integers(2, 60), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 9))
def test_a_split_parts_all_sequences(n, fraction, seed):
    training, validation = hold_out(n, fraction, np.random.default_rng(seed))
    assert sorted([*training, *validation]) == list(range(n))
    assert len(training) >= 1
    assert len(validation) == min(max(2, round(fraction * n)), n - 1)


@given(
    counts=st.lists(st.integers(1, 20), min_size=2, max_size=5),
    fraction=st.floats(0.05, 0.9),
    seed=st.integers(0, 9),
)
def test_a_split_by_class_is_even(counts, fraction, seed):
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    training, validation = hold_out(len(classes), fraction, np.random.default_rng(seed), classes)
    assert sorted([*training, *validation]) == list(range(len(classes)))
    assert len(validation) >= 1
    if len(classes) > 2 * len(counts):
        assert set(classes[training]) == set(range(len(counts)))
        share = len(validation) / len(classes)
        for label, count in enumerate(counts):
            assert abs((classes[validation] == label).sum() - share * count) <= 2.0 + share * len(
                counts
            )


def test_scores_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn")
    rng = np.random.default_rng(0)
    y, predicted, weights = rng.normal(size=(9, 2)), rng.normal(size=(9, 2)), rng.random(9)
    y[:, 1] = 3.0
    predicted[:, 1] = 3.0
    assert np.isclose(
        r_squared(y, predicted, weights), metrics.r2_score(y, predicted, sample_weight=weights)
    )
    predicted[0, 1] = 2.0
    assert np.isclose(
        r_squared(y, predicted, weights), metrics.r2_score(y, predicted, sample_weight=weights)
    )
    labels, guesses = rng.integers(0, 3, 9), rng.integers(0, 3, 9)
    assert np.isclose(
        accuracy(labels == guesses, weights),
        metrics.accuracy_score(labels, guesses, sample_weight=weights),
    )


def test_r_squared_of_other_shapes_and_of_nan():
    y = np.arange(4.0)
    assert r_squared(y, y[:, None] + 1) == r_squared(y[:, None], y + 1) == r_squared(y, y + 1)
    with pytest.raises(ValueError, match=r"predicted must have the shape of y, \(4, 1\)"):
        r_squared(y, y[:3])
    with pytest.raises(ValueError, match="predicted must have the shape"):
        r_squared(np.ones((2, 3)), np.ones((3, 2)))
    assert np.isnan(r_squared([1.0, np.nan], [1.0, 2.0]))


@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**1000])
def test_r_squared_has_no_unit(unit):
    rng = np.random.default_rng(0)
    y = rng.normal(size=9)
    predicted = y + rng.normal(size=9)
    with np.errstate(all="raise"):
        assert r_squared(unit * y, unit * predicted) == r_squared(y, predicted)


def test_a_score_does_not_depend_on_what_has_no_weight():
    y, predicted = np.array([1.0, 2.0, 4.0, 1e200]), np.array([1.0, 2.0, 3.0, -1e200])
    weights = np.array([1.0, 1.0, 1.0, 0.0])
    assert r_squared(y, predicted, weights) == r_squared(y[:3], predicted[:3])
