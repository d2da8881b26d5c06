"""Sample and class weights become one checked weight a row."""

import warnings

import numpy as np
import pytest
from helpers.junk import junk, object_array
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn.data.labels import ClassTargets, MultilabelTargets
from lightrnn.data.ragged import pool
from lightrnn.data.sample_weight import check_sample_weight, class_weights, of_mean_one
from lightrnn.utils.indexing import split

N = np.array([2, 3, 1])
AB = np.array(["a", "b"])


def test_no_weights_are_equal_weights():
    assert check_sample_weight(None, N, step=False).tolist() == [1, 1, 1]
    assert [w.tolist() for w in check_sample_weight(None, N, step=True)] == [[1, 1], [1, 1, 1], [1]]


@pytest.mark.parametrize("form", [list, tuple, np.array, object_array])
def test_a_weight_a_sequence_serves_its_steps(form):
    assert check_sample_weight(form([2, 0, 1]), N, step=False).tolist() == [2, 0, 1]
    assert pool(check_sample_weight(form([2, 0, 1]), N, step=True)).tolist() == [2, 2, 0, 0, 0, 1]


@pytest.mark.parametrize("form", [list, tuple, object_array])
def test_a_weight_a_step(form):
    weights = form([np.array([1, 2]), np.array([3, 4, 5]), np.array([6])])
    assert pool(check_sample_weight(weights, N, step=True)).tolist() == [1, 2, 3, 4, 5, 6]
    equal = np.array([3, 3])
    assert pool(check_sample_weight(np.arange(6).reshape(2, 3), equal, step=True)).tolist() == [
        0,
        1,
        2,
        3,
        4,
        5,
    ]


@pytest.mark.parametrize(
    ("weights", "step", "error", "message"),
    [
        ([1, 2], False, ValueError, "X has 3 sequences but sample_weight has 2"),
        (np.ones((3, 2)), False, ValueError, "sample_weight must be 1-D"),
        (np.ones((3, 1)), False, ValueError, "sample_weight must be 1-D"),
        ([1, -1, 2], False, ValueError, "sample_weight must not be negative, got -1"),
        ([1, np.nan, 2], False, ValueError, "Input sample_weight contains NaN"),
        ([1, np.inf, 2], False, ValueError, "Input sample_weight contains infinity"),
        ([1, None, 2], False, ValueError, "Input sample_weight contains NaN"),
        ([0, 0, 0], False, ValueError, "weight.*zero.*class"),
        (["a", "b", "c"], False, TypeError, "sample_weight must hold numbers, got text"),
        ([1, 1j, 1], False, ValueError, "Complex data not supported"),
        (3.0, False, TypeError, "sample_weight must be an array"),
        ("balanced", True, TypeError, "sample_weight must be an array"),
        (
            [[1, 2], [1, 2], [1]],
            True,
            ValueError,
            r"sample_weight\[1\] must have 3 entries, one for each step of X\[1\]",
        ),
        ([[1, 2], [1, 2, 3]], True, ValueError, "X has 3 sequences but sample_weight has 2"),
        ([[1, 2], 1, 1], True, TypeError, r"sample_weight\[1\] must be an array"),
        ([1, [2, 3, 4], 1], True, ValueError, "sample_weight must be rectangular"),
    ],
)
def test_bad_weights_are_errors(weights, step, error, message):
    with pytest.raises(error, match=message):
        check_sample_weight(weights, N, step)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1.0]) | st.floats(1e-3, 1e3), min_size=1, max_size=20),
    st.sampled_from([1.0, 0.1, 2.0**-1040, 1e300]),
)
def test_weights_of_mean_one_depend_on_ratios_alone(weights, factor):
    weights = np.array([*weights, 1.0])
    scaled = of_mean_one(weights * factor)
    positive = weights > 0
    assert np.array_equal(scaled > 0, positive)
    assert np.isclose(scaled[positive].mean(), 1.0)
    assert np.allclose(scaled, weights / weights[positive].mean(), rtol=1e-3)


@pytest.mark.parametrize("weight", [5e-324, 0.1, 1.0, 1e308, np.finfo(float).max])
def test_equal_weights_are_exactly_one(weight):
    assert of_mean_one(np.full(37, weight)).tolist() == [1.0] * 37
    assert pool(of_mean_one(split(np.full(6, weight), N))).tolist() == [1.0] * 6


def test_no_class_weight_leaves_the_weights():
    weights = np.ones(3)
    assert class_weights(np.array([0, 1, 1]), weights, None, AB) is weights


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0.1, 10)), min_size=1, max_size=30))
def test_balanced_gives_every_class_the_same_share_of_the_same_total(rows):
    codes, weights = np.array([code for code, _ in rows]), np.array([weight for _, weight in rows])
    balanced = class_weights(codes, weights, "balanced", np.arange(3))
    present = np.unique(codes)
    shares = np.bincount(codes, balanced, minlength=3)[present]
    np.testing.assert_allclose(shares, weights.sum() / len(present))


def test_balanced_counts_steps():
    codes = split(np.array([0, 0, 0, 0, 1, 0]), N)
    balanced = class_weights(codes, check_sample_weight(None, N, step=True), "balanced", AB)
    np.testing.assert_allclose(pool(balanced), np.array([0.6, 0.6, 0.6, 0.6, 3, 0.6]))
    assert [len(w) for w in balanced] == N.tolist()


@pytest.mark.parametrize(
    "classes",
    [AB, AB.astype(object), np.array([0, 1]), np.array([False, True]), np.array([0.0, 1])],
)
def test_a_dict_weighs_its_labels(classes):
    weights = class_weights(np.array([0, 1, 1]), np.array([1.0, 2, 3]), {classes[1]: 10}, classes)
    assert weights.tolist() == [1, 20, 30]


def test_a_dict_may_name_classes_that_a_fold_lacks():
    classes = np.array(["a", "b"])
    factors = {"a": 1, "b": 10, "rare": 100}
    weights = class_weights(np.array([0, 1, 1]), np.array([1.0, 2, 3]), factors, classes)
    assert weights.tolist() == [1, 20, 30]


@pytest.mark.parametrize(
    ("class_weight", "error", "message"),
    [
        ("balance", ValueError, "class_weight must be None, 'balanced' or a dict"),
        (3, TypeError, "class_weight must be None, 'balanced' or a dict"),
        ([1, 2], TypeError, "class_weight must be None"),
        ({"z": 1}, ValueError, r"unknown label 'z'. The classes are \['a', 'b'\]"),
        ({"a": -1}, ValueError, r"class_weight\['a'\] must be a number in \[0, inf\), got -1"),
        ({"a": np.nan}, ValueError, r"class_weight\['a'\]"),
        ({"a": "1"}, TypeError, r"class_weight\['a'\]"),
        ({"a": 1e308}, ValueError, "class_weight must leave weights finite"),
    ],
)
def test_bad_class_weights_are_errors(class_weight, error, message):
    with pytest.raises(error, match=message):
        class_weights(np.array([0, 1, 1]), np.full(3, 2.0), class_weight, AB)


def test_class_weights_need_classes():
    with pytest.raises(ValueError, match="class_weight must be None for multilabel y"):
        class_weights(np.ones((3, 2)), np.ones(3), "balanced", AB)


def test_two_classes_must_be_left():
    targets = ClassTargets(AB)
    targets.require_enough(np.array([0, 1]), np.array([1.0, 0.5]))
    MultilabelTargets(3).require_enough(np.ones((2, 3)), np.ones(2))
    for weights in ([1.0, 0.0], [0.0, 0.0]):
        with pytest.raises(ValueError, match=r"at least two classes .* one class"):
            targets.require_enough(np.array([0, 1]), np.array(weights))
    with pytest.raises(ValueError, match="at least two classes"):
        targets.require_enough(split(np.zeros(6, int), N), split(np.ones(6), N))


@settings(max_examples=300, deadline=None)
@given(junk | st.lists(junk, min_size=3, max_size=3), st.booleans())
def test_whatever_weights_are_the_door_answers_with_weights_or_an_error(weights, step):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = pool(check_sample_weight(weights, N, step))
        except (ValueError, TypeError):
            return
    assert (
        found.shape == (6 if step else 3,)
        and np.isfinite(found).all()
        and (found >= 0).all()
        and found.any()
    )


@settings(deadline=None)
@given(junk)
def test_whatever_class_weight_is_the_door_answers_with_weights_or_an_error(class_weight):
    try:
        found = class_weights(np.array([0, 1, 1]), np.ones(3), class_weight, AB)
    except (ValueError, TypeError):
        return
    assert found.shape == (3,)
